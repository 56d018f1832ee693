"""Problems of one size and width, ready to be evaluated by us and by PyTorch."""

import math
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.features import pretrained
from nst_jax.features.random_weights import random_weights
from nst_jax.features.rescale import floored, mean_activations, rescale
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import Weights, read
from nst_jax.objective.objective import Objective, Problem, loss_weights
from nst_jax.objective.presets import STYLE_LAYERS
from nst_jax.objective.targets import Style, make_targets
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.loop import LONGEST_CHUNK, _chunk

TINY = pretrained.EMBEDDED
ALPHA, BETA = 1e-3, 1.0
STYLE_WEIGHTS = {layer: 1 / len(STYLE_LAYERS) for layer in STYLE_LAYERS}
# A network so narrow costs next to nothing, and fills a history all the same.
FILLING_WIDTH = 1 / 16
# The losses of ours and of PyTorch must agree to this.
AGREEMENT = {"float32": 1e-3, "default": 1e-2, "bfloat16": 5e-2}
# A turn lasts at least about so long, or the clock and the calls would count.
TURN_SECONDS = 0.1


class Spec(NamedTuple):
    """What a case is made of.

    Attributes:
        network: a width of VGG-19 with random filters, or the name of a network.
        height: of content, style and result.
        columns: likewise.
        precision: of the convolutions.
    """

    network: float | str
    height: int
    columns: int
    precision: str = "float32"

    @property
    def name(self) -> str:
        """The case in words, without its precision."""
        if isinstance(self.network, str):
            return f"{self.network}, {self.columns} x {self.height}"
        return f"width {self.network:g}, {self.columns} x {self.height}"


class Case(NamedTuple):
    """A problem of one size and width."""

    spec: Spec
    weights: Weights
    objective: Objective
    problem: Problem
    content: jax.Array
    style: jax.Array
    start: jax.Array


def weights_of(network: float | str) -> Weights:
    """Seeded He weights of that width to conv5_1, or those of that name."""
    if isinstance(network, str):
        return read(pretrained.resolve(network))
    return random_weights("vgg19", seed=0, width=network, deepest="conv5_1")


def make_case(spec: Spec) -> Case:
    """Rescaled network, noise pictures: what the preset ``gatys2016`` runs on."""
    weights = weights_of(spec.network)
    keys = jax.random.split(jax.random.key(0), 3)
    shape = spec.height, spec.columns, 3
    content, style, start = (jax.random.uniform(key, shape) for key in keys)
    # Whatever the precision is, the rescaled weights are the same.
    exact = network_of(weights, precision="float32")
    network = network_of(weights, precision=spec.precision)  # type: ignore[arg-type]
    params = device_params(weights)
    mu = floored(mean_activations(exact, params, (content, style)))
    params = jax.block_until_ready(rescale(params, mu))
    targets = make_targets(
        network,
        params,
        content=content,
        styles=(Style(style),),
        content_layers=("conv4_2",),
        style_layers=STYLE_LAYERS,
    )
    losses = loss_weights(
        alpha=ALPHA, beta=BETA, content={"conv4_2": 1.0}, style=STYLE_WEIGHTS
    )
    problem = Problem(params, targets, losses)
    return Case(spec, weights, Objective(network), problem, content, style, start)


# --- what is timed: functions without arguments, and how much each call does ------


def evaluation(case: Case) -> Callable[[], Any]:
    """One jitted evaluation of objective and gradient, outside any loop."""
    evaluate = partial(_evaluate, case.objective)
    return lambda: jax.block_until_ready(evaluate(case.start, case.problem))


@partial(jax.jit, static_argnums=0)
def _evaluate(objective: Objective, picture, problem):
    return jax.value_and_grad(objective, has_aux=True)(picture, problem)


def loop(case: Case, count: int) -> Callable[[], Any]:
    """``count`` evaluations inside a loop on the device, where the solver has them."""

    run = partial(_loop, case.objective)
    return lambda: jax.block_until_ready(run(case.start, case.problem, count))


@partial(jax.jit, static_argnums=0)
def _loop(objective: Objective, picture, problem, count):
    def body(_, carry):
        total, picture = carry
        (value, _), gradient = jax.value_and_grad(objective, has_aux=True)(
            picture, problem
        )
        # The next one needs this one, or the compiler would do it only once.
        return total + value, picture - 1e-9 * gradient

    return jax.lax.fori_loop(0, count, body, (jnp.zeros(()), picture))


class Steps:
    """``count`` steps of L-BFGS inside the solver's loop per call, the history full."""

    def __init__(self, case: Case, *, history: int, count: int):
        # As a run makes it; see memory.Work.
        on_cpu = jax.default_backend() == "cpu"
        solver = LBFGS(history, rounded=on_cpu and case.spec.precision != "float32")
        narrow = make_case(case.spec._replace(network=FILLING_WIDTH))
        state = solver.init(
            partial(narrow.objective, problem=narrow.problem), case.start
        )
        state = jax.tree.map(jnp.copy, state)
        fill = partial(_chunk, narrow.objective, solver, narrow.problem)
        left = history + 2
        while left > 0:
            state, _ = fill(state, min(left, LONGEST_CHUNK))
            left -= LONGEST_CHUNK
        # The two losses are of one scale, but not the same: no step is to be refused
        # because of that, which in the end would drop the history.
        high = jax.tree.map(lambda x: jnp.full_like(x, 1e30), state.terms)
        best = jax.tree.map(jnp.copy, high)
        self._state = state._replace(terms=high, best_terms=best)
        self._advance = partial(_chunk, case.objective, solver, case.problem)
        self._count = count
        self._refused = int(state.refused)

    def __call__(self) -> None:
        """Make the steps, and wait for them."""
        self._state, rows = self._advance(self._state, self._count)
        jax.block_until_ready(rows)

    @property
    def refused(self) -> int:
        """Steps of the case that were undone; many would have dropped the history."""
        return int(self._state.refused) - self._refused


def torch_evaluation(case: Case, precision: str) -> Callable[[], Any] | None:
    """The same evaluation in PyTorch, or None where it is not installed.

    Raises:
        ValueError: if its loss is another one.
    """
    if torch_version() is None:
        return None
    from tests.reference import torch_gatys

    params = jax.device_get(case.problem.params)
    convention = case.weights.input
    order = ["RGB".index(channel) for channel in convention.channel_order]
    pictures = (
        np.asarray(x)[..., order] for x in (case.content, case.style, case.start)
    )
    evaluate = torch_gatys.evaluation(
        {layer: (a["kernel"], a["bias"]) for layer, a in params.items()},
        *pictures,
        alpha=ALPHA,
        beta=BETA,
        style_weights=STYLE_WEIGHTS,
        pooling="avg",
        mean=convention.mean,
        scale=convention.scale,
        device="cuda" if jax.default_backend() == "gpu" else "cpu",
        precision=precision,
    )
    ours, theirs = float(evaluation(case)()[0][0]), evaluate()[0]
    allowed = max(AGREEMENT[precision], AGREEMENT[case.spec.precision])
    if abs(ours - theirs) > allowed * abs(ours):
        raise ValueError(f"{case.spec.name}: the losses differ: {ours} and {theirs}")
    return evaluate


def torch_version() -> str | None:
    """The version of PyTorch, if it is installed."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    return torch.__version__


# --- timing -----------------------------------------------------------------------


def seconds_of(function: Callable[[], Any]) -> float:
    """Seconds of one call."""
    before = time.perf_counter()
    function()
    return time.perf_counter() - before


def take_turns(rounds: int, *functions: Callable[[], Any]) -> list[list[float]]:
    """Seconds per call of each function in each round, after one that is not counted.

    A quick function is called several times in each of its turns.
    """
    calls = []
    for function in functions:
        function()
        calls.append(max(1, math.ceil(TURN_SECONDS / seconds_of(function))))
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, count, kept in zip(functions, calls, times, strict=True):
            before = time.perf_counter()
            for _ in range(count):
                function()
            kept.append((time.perf_counter() - before) / count)
    return times


def ratio(numerators: list[float], denominators: list[float]) -> float:
    """Median of the ratios of neighbours in time."""
    return median(a / b for a, b in zip(numerators, denominators, strict=True))
