"""From a config and two pictures to everything a mode needs."""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.colours import AsItIs, Finish, Recolour, finish_of, in_luminance
from nst_jax.config import Config, ObjectiveConfig, changed
from nst_jax.encoding import encoding_of
from nst_jax.features.gray import Gray
from nst_jax.features.layout import block, up_to_deepest
from nst_jax.features.rescale import rescale
from nst_jax.features.vgg import Network, device_params, network_of
from nst_jax.features.weights import Weights
from nst_jax.images.color import match_colours
from nst_jax.images.encode import PLAIN, Encoding
from nst_jax.images.initial import cover, noise
from nst_jax.images.io import Picture
from nst_jax.images.resize import (
    fit_area,
    fit_longer_side,
    resize,
    size_for_area,
    size_for_longer_side,
)
from nst_jax.loading import Loaded, load_network, unit_mu
from nst_jax.memory import Plan, Work, available_bytes, plan
from nst_jax.modes.multiscale import Scale
from nst_jax.objective.objective import Extract, LossWeights, loss_weights
from nst_jax.resolve import (
    Layout,
    at_scale,
    iterations_of,
    resolve,
    wanted_layers,
)
from nst_jax.solve.adam import Adam
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.state import Solver
from nst_jax.types import Device, Image, Params


class Prepared(NamedTuple):
    """Arguments of a mode, and what the outputs say about them.

    Attributes:
        config: resolved.
        content: at the size of the run, in the run's own colours.
        style: at the content's area, in its own shape; likewise.
        start: of the shape of the first scale's content.
        alpha: the content's alpha channel at the size of the run, or None.
        network: without weights.
        params: rescaled if the config says so.
        scales: from coarse to fine; the last one is of the size of the run.
        solver: the solver.
        weights: where the network's weights come from (its arrays are in ``params``).
        note: a sentence for the user on the weights that were chosen, or None.
        memory: what the run will need, and what was chosen so that it fits.
        finish: what is done to a picture when it is handed out.
        encoding: how pictures are written.
        notes: on what was asked for and cannot be, one sentence each.
    """

    config: Config
    content: Image
    style: Image
    start: Image
    alpha: np.ndarray | None
    network: Network
    params: Params
    scales: tuple[Scale, ...]
    solver: Solver
    weights: Weights
    note: str | None
    memory: Plan
    finish: Finish = AsItIs()
    encoding: Encoding = PLAIN
    notes: tuple[str, ...] = ()

    @property
    def extract(self) -> Extract:
        """The network as the objective sees pictures through it."""
        return seen_through(self.config, self.network)


def seen_through(config: Config, network: Extract) -> Extract:
    """The network, or in shades of gray where the run is made on luminance alone."""
    return Gray(network) if in_luminance(config.colours) else network


class Pictures(NamedTuple):
    """What a run is made from, each at its own size; a start only if it is a file."""

    content: Picture
    style: Picture
    start: Picture | None = None


def prepare(
    config: Config,
    content: Picture,
    style: Picture,
    start: Picture | None,
    *,
    device: Device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Load the network, size the pictures, resolve the preset, plan the memory.

    Args:
        config: as loaded.
        content: the content picture at its own size.
        style: the style picture at its own size.
        start: the starting picture at its own size, if the config names a file.
        device: to run on; the default one if None.
        progress: called with bytes done and in all while weights are downloaded.

    Raises:
        ValueError: for whatever in config, weights or pictures does not fit, or if
            all that would not fit into memory.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    loaded = load_network(config, progress=progress)
    pictures = Pictures(content, style, start)
    config = resolve_with(config, loaded, content.pixels.shape, style.pixels.shape)
    sides = sides_at(content.pixels.shape, style.pixels.shape, config.size)
    sizer = Sizer()
    recoloured = sizer.recolour(config.colours, *pictures)
    kept = {id(one): one.pixels.nbytes for one in (*pictures, *recoloured) if one}
    work = work_with(
        config,
        loaded,
        content=sides[:2],
        style=sides[2:],
        layers=wanted_layers(config),
        pictures=sum(kept.values()),
    )
    memory = plan_with(config, work, device or jax.devices()[0])
    prepared = prepare_with(config, loaded, pictures, sizer, memory)
    params = device_params(loaded.weights)
    if prepared.config.network.rescale:
        # One network for all scales, or their objectives would not be the same.
        pair = prepared.content, prepared.style
        params = rescale(
            params, unit_mu(prepared.network, loaded.weights, params, pair)
        )
    return prepared._replace(params=params)


def resolve_with(
    config: Config, loaded: Loaded, content: tuple[int, ...], style: tuple[int, ...]
) -> Config:
    """The config resolved for pictures of these shapes (h, w, ...), each its own.

    Raises:
        ValueError: for whatever in the config does not fit, or if a picture is too
            small at one of the scales.
    """
    config = changed(config, network={"weights": loaded.name})
    sides = sides_at(content, style, config.size)
    config = resolve(config, loaded.layout, *sides[:2], narrowest=min(sides))
    # From the full size down: what the full size lacks is not a scale's fault.
    for size, _ in reversed(list(sizes_of(config))):
        sides = sides_at(content, style, size)
        _check_side("content", sides[:2], loaded.layout, config, size)
        _check_side("style", sides[2:], loaded.layout, config, size)
    return config


def sides_at(
    content: tuple[int, ...], style: tuple[int, ...], size: int
) -> tuple[int, int, int, int]:
    """Height and width of content and style picture at a size; see ``Sizer``."""
    height, width = size_for_longer_side(content[0], content[1], size)
    return height, width, *size_for_area(style[0], style[1], height * width)


def work_with(
    config: Config,
    loaded: Loaded,
    *,
    content: tuple[int, int],
    style: tuple[int, int],
    layers: Collection[str],
    pictures: int,
    lanes: int = 1,
) -> Work:
    """What decides on the memory of a run with a resolved config; see ``Work``."""
    network = network_of(
        loaded.weights,
        pooling=config.network.pooling or "avg",
        padding=config.network.padding,
        precision=config.solver.precision,
    )
    # A run of n iterations has at most n pairs to keep.
    history = min(config.solver.history, max(iterations_of(config)))
    return Work(
        network,
        content,
        style,
        tuple(layer for layer in network.layers if layer in layers),
        None if config.solver.name == "adam" else history,
        pictures,
        lanes,
        rounded=config.solver.precision != "float32",
    )


def plan_with(config: Config, work: Work, device: Device) -> Plan:
    """What is chosen so that the work fits into the device's memory.

    Raises:
        ValueError: if it does not fit, whatever is chosen.
    """
    available, platform = available_bytes(device), device.platform
    return plan(
        work, memory=config.solver.memory, available=available, platform=platform
    )


def prepare_with(
    config: Config, loaded: Loaded, pictures: Pictures, sizer: "Sizer", memory: Plan
) -> Prepared:
    """All but the network's parameters, which are left empty.

    Args:
        config: of ``resolve_with``.
        loaded: of ``load_network``.
        pictures: as they were read.
        sizer: one for all runs whose arrays are to be shared.
        memory: of ``plan_with``.
    """
    content, style, start = sizer.recolour(config.colours, *pictures)
    shapes = content.pixels.shape, style.pixels.shape
    full = sides_at(*shapes, config.size)[:2]
    scales = []
    for size, iterations in sizes_of(config):
        sides = sides_at(*shapes, size)[:2]
        weights = _loss_weights(at_scale(config, loaded.layout, full, sides))
        scales.append(Scale(*sizer.pair(content, style, size), weights, iterations))
    alpha = None if content.alpha is None else resize(content.alpha, *full)
    encoding, notes = encoding_of(config, content)
    return Prepared(
        config,
        scales[-1].content,
        scales[-1].style,
        _start(config, scales[0], start),
        alpha,
        memory.work.network,
        {},
        tuple(scales),
        _solver(config, memory.work),
        loaded.weights._replace(params={}, mu={}),
        loaded.note,
        memory,
        finish_of(config, pictures.content, alpha),
        encoding,
        notes,
    )


class Sizer:
    """Pictures at the sizes of the scales, as arrays on the device, each made once.

    ``recolour`` gives them the run's colours before.

    The content gets the longer side that is asked for, the style the content's area.
    The style picture keeps its own shape, as in the authors' code; the paper says
    "the same size".
    """

    def __init__(self) -> None:
        self.recolour = Recolour()
        # The pictures are kept, too: an id is theirs only while they are there.
        self._known: dict[tuple, tuple[Picture, Image]] = {}

    def pair(self, content: Picture, style: Picture, size: int) -> tuple[Image, Image]:
        """Content with that longer side, and style with the content's area."""
        pixels = self._once(content, size, fit_longer_side)
        height, width = pixels.shape[:2]
        return pixels, self._once(style, height * width, fit_area)

    def _once(self, picture: Picture, size: int, fit) -> Image:
        key = id(picture), size, fit
        if key not in self._known:
            self._known[key] = picture, jnp.asarray(fit(picture.pixels, size))
        return self._known[key][1]


def sizes_of(config: Config) -> Iterator[tuple[int, int]]:
    """Longer side and iterations of each scale of a resolved config."""
    assert isinstance(config.scales, tuple)
    return zip(config.scales, iterations_of(config), strict=True)


def _check_side(
    name: str, shape: tuple[int, ...], layout: Layout, config: Config, size: int
) -> None:
    """Refuse a picture of which nothing would be left at the deepest layer."""
    deepest = up_to_deepest(layout.name, wanted_layers(config))[-1]
    # Reflection needs two positions to reflect.
    positions = 2 if config.network.padding == "reflect" else 1
    least = positions * 2 ** (block(deepest) - 1)
    height, width = shape[:2]
    if min(height, width) < least:
        of_scales = size != config.size
        raise ValueError(
            f"the {name} picture is {width} x {height} at "
            f"{f'scale {size} of scales' if of_scales else f'size {size}'}; "
            f"{deepest} needs at least {least} pixels on each side: choose "
            f"{'a larger first scale' if of_scales else 'a larger size'}"
        )


def _start(config: Config, scale: Scale, picture: Picture | None) -> Image:
    content, style = np.asarray(scale.content), np.asarray(scale.style)
    height, width = content.shape[:2]
    if picture is not None:
        return jnp.asarray(cover(picture.pixels, height, width))
    if config.start == "content":
        return scale.content
    if config.start == "content-recoloured":
        return jnp.asarray(match_colours(content, style))
    if config.start == "style":
        return jnp.asarray(cover(style, height, width))
    random = noise(height, width, seed=config.seed)
    # The same noise in all channels: a mean of three would have less contrast.
    return (
        jnp.repeat(random[..., :1], 3, -1) if in_luminance(config.colours) else random
    )


def _loss_weights(objective: ObjectiveConfig) -> LossWeights:
    assert isinstance(objective.content_layers, dict)
    assert isinstance(objective.style_layers, dict)
    return loss_weights(
        alpha=objective.alpha or 0.0,
        beta=objective.beta or 0.0,
        tv=objective.tv or 0.0,
        content=objective.content_layers,
        style=objective.style_layers,
    )


def _solver(config: Config, work: Work) -> Solver:
    box = config.solver.box == "during"
    if work.history is None:
        return Adam(config.solver.learning_rate, config.solver.average, box)
    return LBFGS(
        work.history,
        preconditioned=config.solver.preconditioned,
        rounded=work.rounded,
        box=box,
    )
