"""From a config and pictures to everything a mode needs."""

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.colours import AsItIs, Finish, finish_of, in_luminance
from nst_jax.config import Config, ObjectiveConfig, changed
from nst_jax.encoding import encoding_of
from nst_jax.features.gray import Gray
from nst_jax.features.layout import up_to_deepest
from nst_jax.features.rescale import rescale
from nst_jax.features.vgg import Network, device_params, network_of
from nst_jax.features.weights import Weights
from nst_jax.images.color import match_colours
from nst_jax.images.encode import PLAIN, Encoding
from nst_jax.images.initial import cover, noise
from nst_jax.images.io import Picture
from nst_jax.images.resize import resize
from nst_jax.inputs import style_names, styles_of
from nst_jax.loading import Loaded, load_network, unit_mu
from nst_jax.memory import Plan, Work, available_bytes, plan
from nst_jax.modes.multiscale import Scale
from nst_jax.objective.objective import Extract, LossWeights, loss_weights
from nst_jax.objective.statistics.base import Statistic
from nst_jax.objective.statistics.names import make_statistic
from nst_jax.objective.targets import Style
from nst_jax.photorealism import Smoothed, smoothed
from nst_jax.resolve import (
    at_scale,
    iterations_of,
    resolve,
    stages_of,
    wanted_layers,
    with_layers_there,
)
from nst_jax.sizes import (
    Shape,
    Sizer,
    check_side,
    content_sides,
    sides_at,
    size_notes,
    with_regions,
)
from nst_jax.solve.adam import Adam
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.state import Solver
from nst_jax.styles import check_style_layers, weighted
from nst_jax.types import Device, Image, Params


class Prepared(NamedTuple):
    """Arguments of a mode, and what the outputs say about them.

    Attributes:
        config: resolved.
        content: at the size of the run, in the run's own colours.
        styles: at the content's area times their scale, in their own shapes; likewise.
        start: of the shape of the first scale's content.
        alpha: the content's alpha channel at the size of the run, or None.
        network: without weights.
        params: rescaled if the config says so.
        scales: from coarse to fine; the last one is of the size of the run.
        solver: the solver.
        statistic: what is meant by style.
        weights: where the network's weights come from (its arrays are in ``params``).
        note: a sentence for the user on the weights that were chosen, or None.
        memory: what the run will need, and what was chosen so that it fits.
        finish: what is done to a picture when it is handed out.
        encoding: how pictures are written.
        notes: what else the user should know, a sentence each.
    """

    config: Config
    content: Image
    styles: tuple[Style, ...]
    start: Image
    alpha: np.ndarray | None
    network: Network
    params: Params
    scales: tuple[Scale, ...]
    solver: Solver
    statistic: Statistic
    weights: Weights
    note: str | None
    memory: Plan
    finish: Finish | Smoothed = AsItIs()
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
    styles: tuple[Picture, ...]
    start: Picture | None = None


def prepare(
    config: Config,
    content: Picture,
    styles: Sequence[Picture],
    start: Picture | None,
    *,
    device: Device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Load the network, size the pictures, resolve the preset, plan the memory.

    Args:
        config: as loaded.
        content: the content picture at its own size.
        styles: the style pictures at their own sizes, as ``inputs.styles_of`` has them.
        start: the starting picture at its own size, if the config names a file.
        device: to run on; the default one if None.
        progress: called with bytes done and in all while weights are downloaded.

    Raises:
        ValueError: for whatever in config, weights or pictures does not fit, or if
            all that would not fit into memory.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    loaded = load_network(config, progress=progress)
    pictures = Pictures(content, tuple(styles), start)
    shapes = content.pixels.shape, [style.pixels.shape for style in styles]
    config = resolve_with(config, loaded, *shapes)
    own, others = sides_at(config, *shapes, config.size)
    sizer = Sizer()
    masks = sizer.masks(config, content, styles)
    used = sizer.recolour(config.colours, *pictures)
    read = (content, *styles, start, used[0], *used[1], used[2])
    kept = {id(one): one.pixels.nbytes for one in read if one is not None}
    work = work_with(
        config,
        loaded,
        content=own,
        styles=others,
        layers=wanted_layers(config),
        pictures=sum(kept.values()),
        regions=0 if masks is None else len(masks.names),
    )
    memory = plan_with(config, work, device or jax.devices()[0])
    prepared = prepare_with(config, loaded, pictures, sizer, memory)
    params = device_params(loaded.weights)
    if prepared.config.network.rescale:
        # One network for all scales, or their objectives would not be the same.
        seen, counts = measured(prepared)
        mu = unit_mu(prepared.network, loaded.weights, params, seen, counts=counts)
        params = rescale(params, mu)
    return prepared._replace(params=params)


def measured(prepared: Prepared) -> tuple[tuple[Image, ...], tuple[float, ...]]:
    """What unit activations are measured on, and how much each picture counts.

    The content, if there is one, counts as much as all styles together: so a style that
    is given twice, or with a weight of 0, changes nothing.
    """
    styles = tuple(style.picture for style in prepared.styles)
    weights = [style.weight for style in prepared.styles]
    parts = tuple(weight / sum(weights) for weight in weights)
    if prepared.config.texture:
        return styles, parts
    return (prepared.content, *styles), (1.0, *parts)


def resolve_with(
    config: Config, loaded: Loaded, content: Shape, styles: Sequence[Shape]
) -> Config:
    """The config resolved for pictures of these shapes (h, w, ...), each its own.

    Raises:
        ValueError: for whatever in the config does not fit, or if a picture is too
            small at one of the scales.
    """
    config = with_layers_there(config, loaded.layout.widths)[0]
    config = changed(config, network={"weights": loaded.name})
    own, others = sides_at(config, content, styles, config.size)
    narrowest = min(min(sides) for sides in (own, *others))
    config = resolve(config, loaded.layout, *own, narrowest=narrowest)
    check_style_layers(config)
    _check_guides(config)
    names, parts = style_names(config), styles_of(config)
    # From the full size down: what the full size lacks is not a scale's fault.
    for size in reversed(dict.fromkeys(stage.size for stage in stages_of(config))):
        own, others = sides_at(config, content, styles, size)
        check_side("content", own, loaded.layout, config, size)
        for name, part, sides in zip(names, parts, others, strict=True):
            check_side(name, sides, loaded.layout, config, size, scale=part.scale)
    return config


def work_with(
    config: Config,
    loaded: Loaded,
    *,
    content: tuple[int, int],
    styles: Sequence[tuple[int, int]],
    layers: Collection[str],
    pictures: int,
    lanes: int = 1,
    regions: int = 0,
    mattings: int | None = None,
) -> Work:
    """What decides on the memory of a run with a resolved config; see ``Work``.

    ``mattings``: None: one if there is photorealism.
    """
    if mattings is None:
        mattings = int(config.photorealism.weight > 0)
    network = network_of(
        loaded.weights,
        pooling=config.network.pooling or "avg",
        padding="circular" if config.tileable else config.network.padding,
        precision=config.solver.precision,
    )
    # A run of n iterations has at most n pairs to keep.
    history = min(config.solver.history, max(iterations_of(config)))
    return Work(
        network,
        content,
        max(styles, key=math.prod),
        tuple(layer for layer in network.layers if layer in layers),
        None if config.solver.name == "adam" else history,
        pictures,
        lanes,
        sum(map(math.prod, styles)) - max(map(math.prod, styles)),
        regions,
        rounded=config.solver.precision != "float32",
        mattings=mattings,
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
    config: Config, loaded: Loaded, pictures: Pictures, sizer: Sizer, memory: Plan
) -> Prepared:
    """All but the network's parameters, which are left empty.

    Args:
        config: of ``resolve_with``.
        loaded: of ``load_network``.
        pictures: as they were read.
        sizer: one for all runs whose arrays are to be shared.
        memory: of ``plan_with``.
    """
    masks = sizer.masks(config, pictures.content, pictures.styles)
    content, styles, start = sizer.recolour(config.colours, *pictures)
    shapes = content.pixels.shape, [style.pixels.shape for style in styles]
    full = content_sides(config, shapes[0], config.size)
    network = memory.work.network
    notes = [*size_notes(config, shapes[0], full), *(masks.notes if masks else ())]
    scales = []
    for size, iterations, photorealism in stages_of(config):
        sides, others = sides_at(config, *shapes, size)
        objective = at_scale(config, loaded.layout, full, sides)
        weights = _loss_weights(objective, photorealism)
        sized = [sizer.fit(*pair) for pair in zip(styles, others, strict=True)]
        scale = Scale(
            sizer.fit(content, sides), weighted(config, sized), weights, iterations
        )
        if photorealism is not None:
            scale = scale._replace(matting=sizer.matting(content, sides))
        if masks is not None:
            sizes = sides, others
            scale, lost = with_regions(scale, masks, config, sizes, network, sizer)
            where = f"scale {size}: " if size != config.size else ""
            notes += [f"{where}{note}" for note in lost]
        scales.append(scale)
    alpha = None if content.alpha is None else resize(content.alpha, *full)
    regions = scales[-1].regions
    kept = None if regions is None else regions.kept
    encoding, lost = encoding_of(config, content)
    finish = finish_of(config, pictures.content, full, alpha, kept=kept)
    return Prepared(
        config,
        scales[-1].content,
        scales[-1].styles,
        _start(config, scales[0], start),
        alpha,
        network,
        {},
        tuple(scales),
        _solver(config, memory.work),
        _statistic(config),
        loaded.weights._replace(params={}, mu={}),
        loaded.note,
        memory,
        smoothed(config, finish, scales[-1].content, kept),
        encoding,
        tuple(dict.fromkeys([*notes, *lost])),
    )


def _start(config: Config, scale: Scale, picture: Picture | None) -> Image:
    content, style = np.asarray(scale.content), np.asarray(scale.styles[0].picture)
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


def _loss_weights(
    objective: ObjectiveConfig, photorealism: float | None
) -> LossWeights:
    assert isinstance(objective.content_layers, dict)
    assert isinstance(objective.style_layers, dict)
    return loss_weights(
        alpha=objective.alpha or 0.0,
        beta=objective.beta or 0.0,
        tv=objective.tv or 0.0,
        content=objective.content_layers,
        style=objective.style_layers,
        photorealism=photorealism,
    )


def _statistic(config: Config) -> Statistic:
    objective = config.objective
    layers = objective.style_layers or ()
    in_order = up_to_deepest(config.network.name or "vgg19", frozenset(layers))
    chosen = tuple(layer for layer in in_order if layer in layers)
    return make_statistic(objective.style_loss or "gram", layers=chosen)


def _check_guides(config: Config) -> None:
    """Refuse regions with a statistic that cannot tell positions apart."""
    if config.regions.content is not None and not _statistic(config).takes_guide:
        raise ValueError(
            f"objective.style_loss {config.objective.style_loss} knows no regions: "
            "choose another one, such as gram, or leave regions out"
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
