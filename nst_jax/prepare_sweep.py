"""From the lanes of a sweep to batches that run as one program each.

First only the shapes are worked out (``plan_shapes``): lanes of different shapes run
apart. Then the batches are prepared one by one, each when it is needed, so that no more
than one is in memory.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import jax

from nst_jax.colours import check_colours, in_luminance, recolours_style
from nst_jax.config import Config
from nst_jax.encoding import check_finish
from nst_jax.features.rescale import RescaledTaps, TapParams, rescale
from nst_jax.features.vgg import device_params
from nst_jax.images.io import Picture, load
from nst_jax.inputs import expand_home, picture_files, style_names
from nst_jax.loading import Loaded, has_mu, load_network, unit_mu
from nst_jax.memory import FLOAT, Plan, Work
from nst_jax.modes import sweep as mode
from nst_jax.objective.objective import Extract
from nst_jax.photorealism import check_photorealism
from nst_jax.prepare import (
    Pictures,
    Prepared,
    measured,
    plan_with,
    prepare_with,
    resolve_with,
    seen_through,
    work_with,
)
from nst_jax.regions import read_regions
from nst_jax.resolve import check_objective, check_scales, stages_of, wanted_layers
from nst_jax.sizes import Sizer, sides_at
from nst_jax.solve.lanes import LaneRecord
from nst_jax.sources import check_start, content_of
from nst_jax.sweep_spec.groups import Group
from nst_jax.sweep_spec.spec import Lane
from nst_jax.types import Device, Params

Shape = tuple[int, ...]
TEXTURE = ""  # in the place of a content's file


class LaneShape(NamedTuple):
    """Lanes whose pictures have the same shapes: they can run side by side.

    Attributes:
        lanes: in the order of the sweep.
        config: of one of them, resolved.
        contents: height and width of the result at each scale, from coarse to fine.
        styles: height and width of the style pictures at the full size, of the lane
            where they are largest.
        iterations: at each scale.
        layers: that have targets in any lane.
        pictures: file -> bytes of the picture as it is read.
        regions: of the content; 0: its style is the same everywhere.
    """

    lanes: tuple[Lane, ...]
    config: Config
    contents: tuple[tuple[int, int], ...]
    styles: tuple[tuple[int, int], ...]
    iterations: tuple[int, ...]
    layers: frozenset[str]
    pictures: dict[str, int]
    regions: int = 0


class GroupPlan(NamedTuple):
    """What a group of lanes needs, before anything of it is prepared.

    Attributes:
        loaded: the network that all its lanes share.
        shapes: lanes by shape, in the order of their first lanes.
    """

    loaded: Loaded
    shapes: tuple[LaneShape, ...]


class Batch(NamedTuple):
    """Lanes that run side by side, ready to run.

    Attributes:
        lanes: in the order of the sweep.
        prepared: of each lane; ``params`` are those of ``extract``.
        extract: the network, or one that all lanes can share.
        params_axes: see ``modes.sweep.sweep``.
    """

    lanes: tuple[Lane, ...]
    prepared: tuple[Prepared, ...]
    extract: Extract
    params_axes: Any


# --- the plan ---------------------------------------------------------------------


def plan_shapes(
    group: Group, *, progress: Callable[[int, int], None] | None = None
) -> GroupPlan:
    """Read the network and look at the pictures; prepare nothing.

    Args:
        group: lanes with ``content`` and ``style``.
        progress: called with bytes done and in all while weights are downloaded.

    Raises:
        ValueError: naming the lane, for whatever in it does not fit.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    lanes = [lane._replace(config=expand_home(lane.config)) for lane in group.lanes]
    for lane in lanes:
        with naming(lane):
            check_objective(lane.config)
            check_scales(lane.config)
            check_colours(lane.config)
            check_photorealism(lane.config)
            check_finish(lane.config)
    loaded = load_network(
        lanes[0].config, others=[lane.config for lane in lanes[1:]], progress=progress
    )
    pictures = _picture_shapes(lanes)
    found: dict[tuple, list[LaneShape]] = {}
    for lane in lanes:
        with naming(lane):
            shape = _shape(lane, loaded, pictures)
        photorealistic = shape.config.photorealism.weight > 0
        key = shape.contents, shape.iterations, shape.regions, photorealistic
        found.setdefault(key, []).append(shape)
    return GroupPlan(loaded, tuple(map(_together, found.values())))


def _shape(lane: Lane, loaded: Loaded, pictures: Mapping[str, Shape]) -> LaneShape:
    files = _files(lane.config)
    content = _content_shape(lane.config, pictures)
    styles = [pictures[files[name]] for name in style_names(lane.config)]
    config = resolve_with(lane.config, loaded, content, styles)
    stages = stages_of(config)
    sides = [sides_at(config, content, styles, stage.size) for stage in stages]
    return LaneShape(
        (lane,),
        config,
        tuple(own for own, _ in sides),
        tuple(sides[-1][1]),
        tuple(stage.iterations for stage in stages),
        wanted_layers(config),
        {
            name: FLOAT * math.prod(pictures[file])
            for name, file in _kept(files, config)
        },
        _count_regions(config, files),
    )


def _kept(files: Mapping[str, str], config: Config) -> Iterator[tuple[str, str]]:
    """Names and files of the pictures in memory; recoloured ones come besides."""
    yield from ((file, file) for file in files.values())
    if recolours_style(config.colours):
        colours = f"{config.colours} of {files['content']}"
        for name in files if in_luminance(config.colours) else style_names(config):
            yield f"{files[name]} in {colours}", files[name]


def _count_regions(config: Config, files: Mapping[str, str]) -> int:
    """Refuses bad masks now rather than when the lane's batch has its turn."""
    if config.regions.content is None:
        return 0
    styles = [load(files[name]) for name in style_names(config)]
    masks = read_regions(config, load(files["content"]), styles)
    return 0 if masks is None else len(masks.names)


def _content_shape(config: Config, pictures: Mapping[str, Shape]) -> Shape:
    if config.texture is not None:
        return content_of(config).pixels.shape
    return pictures[picture_files(config)["content"]]


def _together(shapes: Sequence[LaneShape]) -> LaneShape:
    """Lanes of one shape as one."""
    return shapes[0]._replace(
        lanes=tuple(lane for shape in shapes for lane in shape.lanes),
        styles=max(
            (shape.styles for shape in shapes),
            key=lambda styles: sum(map(math.prod, styles)),
        ),
        layers=frozenset().union(*(shape.layers for shape in shapes)),
        pictures={file: n for s in shapes for file, n in s.pictures.items()},
    )


def work_of(plan: GroupPlan, shape: LaneShape, *, lanes: int = 1) -> Work:
    """What decides on the memory of so many of these lanes."""
    return _work(plan.loaded, shape, lanes)


def split(shape: LaneShape, most: int) -> list[LaneShape]:
    """The lanes in batches of at most so many, of nearly equal size."""
    lanes = shape.lanes
    count = math.ceil(len(lanes) / most)
    ends = [len(lanes) * part // count for part in range(count + 1)]
    return [shape._replace(lanes=lanes[a:b]) for a, b in pairwise(ends)]


def _work(loaded: Loaded, shape: LaneShape, lanes: int) -> Work:
    mattings = 0
    if shape.config.photorealism.weight:
        contents = {lane.config.content for lane in shape.lanes}
        # Lanes of one content share it; others have it by themselves, and stacked.
        mattings = 1 if len(contents) == 1 else len(contents) + lanes
    return work_with(
        shape.config,
        loaded,
        content=shape.contents[-1],
        styles=shape.styles,
        layers=shape.layers,
        pictures=sum(shape.pictures.values()),
        lanes=lanes,
        regions=shape.regions,
        mattings=mattings,
    )


def _picture_shapes(lanes: Sequence[Lane]) -> dict[str, Shape]:
    """File -> shape of its pixels; each is read once, and not kept."""
    shapes: dict[str, Shape] = {}
    for lane in lanes:
        with naming(lane):
            for file in _files(lane.config).values():
                if file not in shapes:
                    shapes[file] = load(file).pixels.shape
    return shapes


def _files(config: Config) -> dict[str, str]:
    if config.start is not None:
        check_start(config.start)
    return picture_files(config)


@contextmanager
def naming(lane: Lane) -> Iterator[None]:
    """Errors of the block begin with the lane's number and settings."""
    try:
        yield
    except ValueError as error:
        settings = ", ".join(f"{name} {label}" for name, label in lane.labels.items())
        raise ValueError(f"lane {lane.index} ({settings}): {error}") from error


# --- batches ----------------------------------------------------------------------


def prepare_batches(
    loaded: Loaded, batches: Iterable[LaneShape], *, devices: Sequence[Device] = ()
) -> Iterator[Batch]:
    """Prepare batches one by one, each when it is asked for.

    Args:
        loaded: see ``plan_shapes``.
        batches: of ``split``.
        devices: see ``run``.

    Raises:
        ValueError: naming the lane, for whatever in it does not fit; if a batch does
            not fit into memory.
    """
    params = device_params(loaded.weights)
    devices = devices or jax.local_devices()[:1]
    for shape in batches:
        # The devices of a CPU share its memory.
        apart = 1 if devices[0].platform == "cpu" else len(devices)
        work = _work(loaded, shape, math.ceil(len(shape.lanes) / apart))
        memory = plan_with(shape.lanes[0].config, work, devices[0])
        yield _prepare_batch(loaded, shape.lanes, params, memory)


def _prepare_batch(
    loaded: Loaded, lanes: Sequence[Lane], params: Params, memory: Plan
) -> Batch:
    pictures: dict[str, Picture] = {}
    sizer, prepared = Sizer(), []
    for lane in lanes:
        with naming(lane):
            files = _files(lane.config)
            for file in files.values():
                if file not in pictures:
                    pictures[file] = load(file)
            content = files.get("content", TEXTURE)
            if content == TEXTURE and TEXTURE not in pictures:
                pictures[TEXTURE] = content_of(lane.config)
            own = Pictures(
                pictures[content],
                tuple(pictures[files[name]] for name in style_names(lane.config)),
                pictures[files["start"]] if "start" in files else None,
            )
            shapes = [style.pixels.shape for style in own.styles]
            config = resolve_with(lane.config, loaded, own.content.pixels.shape, shapes)
            prepared.append(prepare_with(config, loaded, own, sizer, memory))
    return _with_params(tuple(lanes), prepared, loaded, params)


def _with_params(
    lanes: tuple[Lane, ...], prepared: Sequence[Prepared], loaded: Loaded, params
) -> Batch:
    """The lanes with the parameters of the network, rescaled if they say so.

    Lanes of several pictures would each have kernels of their own, and convolutions
    would no longer be shared: then it is the responses that are rescaled.
    """
    network = prepared[0].network

    def batch(extract, axes, params_of) -> Batch:
        own = tuple(one._replace(params=params_of(one)) for one in prepared)
        return Batch(lanes, own, seen_through(prepared[0].config, extract), axes)

    if not prepared[0].config.network.rescale:
        return batch(network, None, lambda _: params)
    mus = {}
    for one in prepared:
        key = () if has_mu(network, loaded.weights) else _measured(one)
        if key not in mus:
            seen, counts = measured(one)
            mus[key] = unit_mu(network, loaded.weights, params, seen, counts=counts)
    if len(mus) == 1:
        rescaled = rescale(params, next(iter(mus.values())))
        return batch(network, None, lambda _: rescaled)
    # One object for each set of pictures, so that its targets are computed once.
    taps = {key: TapParams(params, mu) for key, mu in mus.items()}
    extract = RescaledTaps(network)
    return batch(extract, TapParams(None, 0), lambda one: taps[_measured(one)])  # pyright: ignore


def _measured(prepared: Prepared) -> tuple[float, ...]:
    pictures, parts = measured(prepared)
    return (*map(id, pictures), *parts)


def run(
    batch: Batch,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    began: float | None = None,
    devices: Sequence[Device] = (),
) -> Iterator[LaneRecord]:
    """Run the lanes of a batch.

    Args:
        batch: of ``prepare_batches``.
        should_stop: asked between chunks; True ends all lanes.
        began: ``time.perf_counter()`` value that times count from, and the lanes'
            ``minutes``; now if None.
        devices: spread the lanes over these; none: the default one.

    Yields:
        See ``modes.sweep.sweep``; ``lane`` counts within the batch.
    """
    first = batch.prepared[0]
    limits = first.config.solver
    return mode.sweep(
        [mode.Lane(one.scales, one.start, one.params) for one in batch.prepared],
        extract=batch.extract,
        params_axes=batch.params_axes,
        solver=first.solver,
        statistic=first.statistic,
        circular=first.config.tileable,
        minutes=limits.minutes,
        tolerance=limits.tolerance,
        window=limits.window,
        should_stop=should_stop,
        began=began,
        devices=devices,
    )
