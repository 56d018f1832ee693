"""One picture at one size: the method, from arrays to a stream of records.

Read this first. The rest of the package makes these few lines fast, safe and easy to
call.
"""

from collections.abc import Iterator, Sequence

from nst_jax.objective.objective import Extract, LossWeights, Objective, Problem
from nst_jax.objective.regions import Regions, shown
from nst_jax.objective.statistics.base import Statistic
from nst_jax.objective.statistics.gram import GramMatrix
from nst_jax.objective.targets import Style, make_targets
from nst_jax.solve.loop import Record, optimise
from nst_jax.solve.state import Solver
from nst_jax.types import Image, Params, Stencil


def single(
    content: Image,
    styles: Sequence[Style],
    start: Image,
    *,
    extract: Extract,
    params: Params,
    weights: LossWeights,
    solver: Solver,
    statistic: Statistic = GramMatrix(),  # noqa: B008
    regions: Regions | None = None,
    matting: Stencil | None = None,
    circular: bool = False,
    **options,
) -> Iterator[Record]:
    """Change ``start`` until it has the one picture's content, the others' style.

    Args:
        content: ``(h, w, 3)`` in [0, 1].
        styles: one picture ``(h', w', 3)`` in [0, 1], or several and their weights.
        start: ``(h, w, 3)``.
        extract: ``(params, picture, layers) -> features``, such as a
            ``features.vgg.Network``.
        params: the network's weights, rescaled or not.
        weights: alpha, beta, tv, and the layers that count.
        solver: ``solve.lbfgs.LBFGS()`` or ``solve.adam.Adam()``.
        statistic: what is meant by style.
        regions: of the content, if each has a style of its own.
        matting: the content's matting Laplacian, if the weights have ``photorealism``.
        circular: whether opposite edges of the picture are neighbours.
        **options: of ``solve.loop.optimise``: ``iterations``, ``pauses``, ...

    Yields:
        A record per iteration; the last one holds the picture.
    """
    targets = make_targets(
        extract,
        params,
        content=content,
        styles=styles,
        content_layers=tuple(weights.content),
        style_layers=tuple(weights.style),
        statistic=statistic,
        regions=regions,
    )
    problem = Problem(params, targets._replace(matting=matting), weights)
    objective = Objective(extract, statistic, circular)
    for record in optimise(objective, problem, solver, start, **options):
        if record.picture is not None:
            record = record._replace(picture=shown(record.picture, targets.regions))
        yield record
