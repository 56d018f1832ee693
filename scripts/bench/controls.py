"""What controls cost: evaluations with several styles, regions, another statistic."""

from collections.abc import Iterator
from statistics import median
from typing import Any

import jax
import numpy as np

from nst_jax.features.guides import layer_guides
from nst_jax.objective.objective import Problem
from nst_jax.objective.presets import STYLE_LAYERS
from nst_jax.objective.regions import Regions
from nst_jax.objective.statistics.names import make_statistic
from nst_jax.objective.targets import Style, make_targets
from scripts.bench.cases import (
    TINY,
    Case,
    Spec,
    evaluation,
    loop,
    make_case,
    ratio,
    seconds_of,
    take_turns,
)

Entry = dict[str, Any]
REGIONS = 3
FEWEST, MOST = 2, 50  # evaluations per turn: for about half a second, between these


def control_specs(*, gpu: bool, quick: bool) -> list[Spec]:
    """The cases on which controls are compared with a plain evaluation."""
    if quick:
        return [Spec(1 / 16, 48, 64)]
    precision = "default" if gpu else "float32"
    return [Spec(TINY, 256, 256, precision), Spec(0.25, 256, 256, precision)]


def measure_controls(spec: Spec, *, rounds: int) -> Iterator[tuple[str, Entry]]:
    """An evaluation in a loop with each control, over the plain one; taking turns."""
    plain = make_case(spec)
    cases = {"plain": plain, **controlled(plain)}
    alone = evaluation(plain)
    alone()
    count = max(FEWEST, min(MOST, round(0.5 / seconds_of(alone))))
    loops = [loop(case, count) for case in cases.values()]
    times = dict(zip(cases, take_turns(rounds, *loops), strict=True))
    entry: Entry = {
        "case": f"{spec.name}, {spec.precision}",
        "rounds": rounds,
        "plain_seconds": median(times["plain"]) / count,
    }
    for name in cases:
        if name != "plain":
            entry[f"{name}_over_plain"] = ratio(times[name], times["plain"])
    yield "controls", entry


def controlled(plain: Case) -> dict[str, Case]:
    """The same problem with a control each."""
    other = jax.random.uniform(jax.random.key(3), plain.style.shape)
    three = _regions(plain)
    return {
        "two_styles": _case(plain, styles=(Style(plain.style), Style(other, 2.0))),
        "three_regions": _case(plain, regions=three),
        "sliced_wasserstein": _case(plain, style_loss="sliced-wasserstein"),
        "wasserstein": _case(plain, style_loss="wasserstein"),
    }


def _case(
    plain: Case,
    *,
    styles: tuple[Style, ...] = (),
    regions: Regions | None = None,
    style_loss: str = "gram",
) -> Case:
    statistic = make_statistic(style_loss, layers=STYLE_LAYERS)
    problem = plain.problem
    targets = make_targets(
        plain.objective.extract,
        problem.params,
        content=plain.content,
        styles=styles or (Style(plain.style),),
        content_layers=("conv4_2",),
        style_layers=STYLE_LAYERS,
        statistic=statistic,
        regions=regions,
    )
    return plain._replace(
        objective=plain.objective._replace(statistic=statistic),
        problem=Problem(problem.params, targets, problem.weights),
    )


def _regions(plain: Case) -> Regions:
    """Strips beside each other, with soft edges at the deeper layers."""
    height, width = plain.content.shape[:2]
    strips = np.arange(width) * REGIONS // width
    masks = np.stack([np.tile(strips == n, (height, 1)) for n in range(REGIONS)])
    guides = layer_guides(masks.astype(np.float32), STYLE_LAYERS, layout="vgg19")
    return Regions(guides, (1.0,) * REGIONS)
