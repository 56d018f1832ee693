"""One picture at one size: the method, from arrays to a stream of records.

Read this first. The rest of the package makes these few lines fast, safe and easy to
call.
"""

from collections.abc import Iterator

from nst_jax.objective.objective import Extract, LossWeights, Objective, Problem
from nst_jax.objective.targets import make_targets
from nst_jax.solve.loop import Record, optimise
from nst_jax.solve.state import Solver
from nst_jax.types import Image, Params


def single(
    content: Image,
    style: Image,
    start: Image,
    *,
    extract: Extract,
    params: Params,
    weights: LossWeights,
    solver: Solver,
    **options,
) -> Iterator[Record]:
    """Change ``start`` until it has the one picture's content, the other's style.

    Args:
        content: ``(h, w, 3)`` in [0, 1].
        style: ``(h', w', 3)`` in [0, 1].
        start: ``(h, w, 3)``.
        extract: ``(params, picture, layers) -> features``, such as a
            ``features.vgg.Network``.
        params: the network's weights, rescaled or not.
        weights: alpha, beta, tv, and the layers that count.
        solver: ``solve.lbfgs.LBFGS()`` or ``solve.adam.Adam()``.
        **options: of ``solve.loop.optimise``: ``iterations``, ``pauses``, ...

    Yields:
        A record per iteration; the last one holds the picture.
    """
    targets = make_targets(
        extract,
        params,
        content=content,
        style=style,
        content_layers=tuple(weights.content),
        style_layers=tuple(weights.style),
    )
    problem = Problem(params, targets, weights)
    yield from optimise(Objective(extract), problem, solver, start, **options)
