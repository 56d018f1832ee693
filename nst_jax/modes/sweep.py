"""Many runs of one shape side by side: lanes of one compiled program.

Lanes differ in numbers only: weights, targets, starts. They may look at different
layers: the program has them all, and a lane's weight of a layer it does not look at is
zero.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax.modes.multiscale import (
    Scale,
    Sums,
    at_end,
    enlarged,
    numbered,
    run_ends,
    sums_after,
)
from nst_jax.objective.objective import Extract, LossWeights, Objective, Problem
from nst_jax.objective.regions import Guided, shown
from nst_jax.objective.statistics.base import Statistic
from nst_jax.objective.statistics.gram import GramMatrix
from nst_jax.objective.targets import Style, Targets, make_targets
from nst_jax.solve.lanes import LaneRecord, optimise_lanes
from nst_jax.solve.loop import Record
from nst_jax.solve.state import Solver
from nst_jax.types import Image


class Lane(NamedTuple):
    """One run of a sweep: what ``multiscale`` takes, but for what all lanes share.

    Attributes:
        scales: from coarse to fine; of the same sizes and iterations in all lanes.
        start: (h, w, 3), of the first scale's size.
        params: of the network; see ``sweep``.
    """

    scales: Sequence[Scale]
    start: Image
    params: Any


def sweep(
    lanes: Sequence[Lane],
    *,
    extract: Extract,
    params_axes: Any = None,
    solver: Solver,
    statistic: Statistic = GramMatrix(),  # noqa: B008
    circular: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    began: float | None = None,
    **options,
) -> Iterator[LaneRecord]:
    """Run all lanes, each as ``multiscale`` would run it alone.

    Pictures and params that several lanes share should be the same objects: then their
    targets are computed once.

    Args:
        lanes: of one shape.
        extract: see ``single``.
        params_axes: as for ``jax.vmap``: 0 where the lanes' ``params`` differ, None
            where those of the first lane are meant for all.
        solver: begins anew at each scale.
        statistic: what is meant by style, in all lanes.
        circular: whether opposite edges of the pictures are neighbours.
        should_stop: see ``solve.loop.optimise``; asked between scales too.
        began: ``time.perf_counter()`` value that times count from.
        **options: of ``solve.lanes.optimise_lanes``: ``minutes``, ``devices``, ...

    Yields:
        The records of each lane as ``multiscale`` has them, with the losses of the
        layers that the lane looks at. Only a lane's last record has picture and
        outcome; the picture is of the last scale's size.
    """
    began = time.perf_counter() if began is None else began
    starts = {number: lane.start for number, lane in enumerate(lanes)}
    sums = dict.fromkeys(starts, Sums())
    for index in range(len(lanes[0].scales)):
        # A lane that ended at a coarser scale has no start here.
        going = list(starts)
        problems, axes, regions = _problems(
            [lanes[n] for n in going], index, extract, statistic, params_axes
        )
        records = optimise_lanes(
            Objective(extract, statistic, circular),
            problems,
            solver,
            jnp.stack([starts.pop(number) for number in going]),
            axes=axes,
            iterations=lanes[0].scales[index].iterations,
            should_stop=should_stop,
            began=began,
            **options,
        )
        for place, record in records:
            number = going[place]
            scales = lanes[number].scales
            record = _own_layers(numbered(record, sums[number], index), scales[index])
            if record.picture is not None:
                picture = shown(record.picture, regions[place])
                record = record._replace(picture=picture)
            if record.outcome is None:
                yield LaneRecord(number, record)
            elif run_ends(record, scales, should_stop):
                yield LaneRecord(number, at_end(record, scales, circular=circular))
            else:
                yield LaneRecord(number, record._replace(outcome=None, picture=None))
                pair = scales[index], scales[index + 1]
                finer = enlarged(record.picture, *pair, circular=circular)
                starts[number], sums[number] = jnp.asarray(finer), sums_after(record)
        if not starts:
            return


def _own_layers(record: Record, scale: Scale) -> Record:
    """The record without losses of layers that only other lanes look at."""
    terms, weights = record.terms, scale.weights

    def own(losses, layers):
        return {layer: loss for layer, loss in losses.items() if layer in layers}

    terms = terms._replace(
        content_layers=own(terms.content_layers, weights.content),
        style_layers=own(terms.style_layers, weights.style),
    )
    return record._replace(terms=terms)


def _problems(
    lanes: Sequence[Lane], index: int, extract: Extract, statistic, params_axes
) -> tuple[Problem, Problem, list[Guided | None]]:
    """What the lanes' objectives need at a scale, stacked; its axes; their regions."""
    scales = [lane.scales[index] for lane in lanes]
    content_layers = _union(scale.weights.content for scale in scales)
    style_layers = _union(scale.weights.style for scale in scales)
    content, style, regions = _targets(
        lanes, scales, extract, statistic, content_layers, style_layers
    )
    weights = [_over(s.weights, content_layers, style_layers) for s in scales]
    params = jax.tree.map(
        lambda axis, *own: own[0] if axis is None else _stacked(own),
        params_axes,
        *(lane.params for lane in lanes),
        is_leaf=lambda axis: axis is None,
    )
    # Responses are large: lanes of one content picture share them.
    same = all(features is content[0] for features in content)
    own = content[0] if same else _stacked(content)
    mattings = [scale.matting for scale in scales]
    shared = all(matting is mattings[0] for matting in mattings)
    matting = mattings[0] if shared else _stacked(mattings)
    targets = Targets(own, _stacked(style), _stacked(regions), matting)
    axes = Targets(None if same else 0, 0, 0, None if shared else 0)  # pyright: ignore
    problem = Problem(params, targets, _stacked(weights))
    return problem, Problem(params_axes, axes, 0), regions  # pyright: ignore


def _stacked(trees: Sequence):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _targets(
    lanes: Sequence[Lane],
    scales: Sequence[Scale],
    extract: Extract,
    statistic: Statistic,
    content_layers: tuple[str, ...],
    style_layers: tuple[str, ...],
) -> tuple[list, list, list]:
    """Content and style targets of each lane, and its regions.

    They are computed once for equal pictures.
    """
    contents: dict[tuple[int, int], Any] = {}
    styles: dict[tuple, Targets] = {}

    def make(lane, scale, content=(), style=()) -> Targets:
        return make_targets(
            extract,
            lane.params,
            content=scale.content,
            styles=_in_part(scale.styles, set(style) - set(scale.weights.style)),
            content_layers=content,
            style_layers=style,
            statistic=statistic,
            regions=scale.regions,
        )

    def style_key(lane, scale) -> tuple:
        each = [
            (id(one.picture), one.weight, one.layers, id(one.guides))
            for one in scale.styles
        ]
        if scale.regions is not None:
            each += [id(scale.regions), id(scale.content)]
        # Where a style lacks layers, targets are made up for those that the lane does
        # not look at: see ``_in_part``.
        whole = all(one.layers is None for one in scale.styles)
        own = () if whole else tuple(scale.weights.style)
        return *each, own, id(lane.params)

    for lane, scale in zip(lanes, scales, strict=True):
        key = id(scale.content), id(lane.params)
        if key not in contents:
            contents[key] = make(lane, scale, content=content_layers).content
        key = style_key(lane, scale)
        if key not in styles:
            styles[key] = make(lane, scale, style=style_layers)
    pairs = list(zip(lanes, scales, strict=True))
    own = [styles[style_key(lane, scale)] for lane, scale in pairs]
    return (
        [contents[id(scale.content), id(lane.params)] for lane, scale in pairs],
        [targets.style for targets in own],
        [targets.regions for targets in own],
    )


def _in_part(styles: Sequence[Style], layers: set[str]) -> list[Style]:
    """The styles with a part in these layers too, where a lane's weight is zero."""
    return [
        style
        if style.layers is None
        else style._replace(layers=(*style.layers, *layers))
        for style in styles
    ]


def _union(layers: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*layers)))


def _over(weights: LossWeights, content: Iterable[str], style: Iterable[str]):
    """A lane's weights over the layers of all lanes: 0 where it does not look."""

    def filled(own: Mapping[str, Any], layers: Iterable[str]):
        zero = jnp.zeros_like(weights.alpha)
        return {layer: own.get(layer, zero) for layer in layers}

    return weights._replace(
        content=filled(weights.content, content), style=filled(weights.style, style)
    )
