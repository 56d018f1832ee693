"""From a config and two pictures to everything a mode needs."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from nst_jax.config import Config, changed
from nst_jax.features import pretrained
from nst_jax.features.layout import block, up_to_deepest
from nst_jax.features.pretrained import EMBEDDED
from nst_jax.features.random_weights import random_weights
from nst_jax.features.rescale import floored, mean_activations, rescale
from nst_jax.features.vgg import Network, device_params, network_of
from nst_jax.features.weights import Weights, layout_of, read, stored_layers
from nst_jax.images.initial import cover, noise
from nst_jax.images.io import Picture
from nst_jax.images.resize import fit_area, fit_longer_side, resize
from nst_jax.objective.objective import LossWeights, loss_weights
from nst_jax.resolve import RANDOM, Layout, check_objective, resolve, wanted_layers
from nst_jax.solve.adam import Adam
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.state import Solver
from nst_jax.types import Image, Params

EMBEDDED_NOTE = (
    f"weights: {EMBEDDED}, the small network that comes with nst-jax; for the real one "
    "once: nst-jax weights fetch vgg19 (575 MB)"
)


class Prepared(NamedTuple):
    """Arguments of a mode, and what the outputs say about them.

    Attributes:
        config: resolved.
        content: at the size of the run.
        style: at the content's area, in its own shape.
        start: of the content's shape.
        alpha: the content's alpha channel at the size of the run, or None.
        network: without weights.
        params: rescaled if the config says so.
        loss_weights: traced weights of the objective.
        solver: the solver.
        weights: where the network's weights come from (its arrays are in ``params``).
        note: a sentence for the user on the weights that were chosen, or None.
    """

    config: Config
    content: Image
    style: Image
    start: Image
    alpha: np.ndarray | None
    network: Network
    params: Params
    loss_weights: LossWeights
    solver: Solver
    weights: Weights
    note: str | None


def prepare(
    config: Config,
    content: Picture,
    style: Picture,
    start: Picture | None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Load the network, size the pictures, resolve the preset.

    Args:
        config: as loaded.
        content: the content picture at its own size.
        style: the style picture at its own size.
        start: the starting picture at its own size, if the config names a file.
        progress: called with bytes done and in all while weights are downloaded.

    Raises:
        ValueError: for whatever in config, weights or pictures does not fit.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    asked = config.network.weights
    config = changed(config, network={"weights": pretrained.choose(asked)})
    weights = load_weights(config, progress=progress)
    pixels = fit_longer_side(content.pixels, config.size)
    height, width = pixels.shape[:2]
    widths = {layer: a["bias"].shape[0] for layer, a in weights.params.items()}
    layout = Layout(layout_of(weights.params), widths)
    config = resolve(config, layout, height, width)
    # The style picture gets the content's area in its own shape, as the authors' code
    # does; the paper says "the same size".
    style_pixels = fit_area(style.pixels, height * width)
    for name, picture in (("content", pixels), ("style", style_pixels)):
        _check_side(name, picture, layout, config)
    network = network_of(
        weights,
        pooling=config.network.pooling or "avg",
        padding=config.network.padding,
        precision=config.solver.precision,
    )
    content_array, style_array = jnp.asarray(pixels), jnp.asarray(style_pixels)
    return Prepared(
        config,
        content_array,
        style_array,
        _start(config, content_array, style_pixels, start),
        None if content.alpha is None else resize(content.alpha, height, width),
        network,
        _params(config, network, weights, (content_array, style_array)),
        _loss_weights(config),
        _solver(config),
        weights._replace(params={}, mu={}),
        EMBEDDED_NOTE if asked != config.network.weights == EMBEDDED else None,
    )


def load_weights(config: Config, *, progress=None) -> Weights:
    """The weights that the config names, down to the deepest layer it asks for.

    Raises:
        ValueError: if they cannot be found or read, or end before that layer.
        ConnectionError: if they must be downloaded and cannot be.
    """
    check_objective(config)
    wanted, spec = wanted_layers(config), config.network.weights
    if spec == RANDOM:
        layout = config.network.name or "vgg19"
        deepest = up_to_deepest(layout, wanted)[-1]
        # Always the same network: seeds of a run are for its noise.
        return random_weights(layout, seed=0, deepest=deepest)
    _check_name(config)
    path = pretrained.resolve(spec, progress=progress)
    stored = stored_layers(path)
    layout = layout_of(stored, where=str(path))
    if config.network.name not in (None, layout):
        raise ValueError(
            f"{path}: holds a {layout}, but network.name is {config.network.name}"
        )
    running = up_to_deepest(layout, wanted)
    if deeper := [layer for layer in running if layer not in stored]:
        raise ValueError(
            f"layer {deeper[-1]} is deeper than the weights file {path}, which ends "
            f"at {stored[-1]}"
        )
    return read(path, running)


def _check_name(config: Config) -> None:
    """Refuse a name of weights that are of another network, before a download."""
    name, spec = config.network.name, config.network.weights
    if name and spec in pretrained.PRETRAINED and not spec.startswith(name):
        raise ValueError(
            f"network.name is {name}, but network.weights is {spec}: choose weights of "
            f"a {name}, such as {name} or a file"
        )


def _check_side(name: str, picture: np.ndarray, layout: Layout, config: Config) -> None:
    """Refuse a picture of which nothing would be left at the deepest layer."""
    deepest = up_to_deepest(layout.name, wanted_layers(config))[-1]
    # Reflection needs two positions to reflect.
    positions = 2 if config.network.padding == "reflect" else 1
    least = positions * 2 ** (block(deepest) - 1)
    height, width = picture.shape[:2]
    if min(height, width) < least:
        raise ValueError(
            f"the {name} picture is {width} x {height} at size {config.size}; "
            f"{deepest} needs at least {least} pixels on each side: choose a larger "
            "size"
        )


def _params(config: Config, network: Network, weights: Weights, pictures) -> Params:
    params = device_params(weights)
    if not config.network.rescale:
        return params
    stored = weights.mu.get(network.pooling, {})
    if set(stored) == set(params):
        mu = {layer: jnp.asarray(stored[layer]) for layer in params}
    else:
        mu = mean_activations(network, params, pictures)
    return rescale(params, floored(mu))


def _start(
    config: Config, content: Image, style: np.ndarray, picture: Picture | None
) -> Image:
    height, width = content.shape[:2]
    if picture is not None:
        return jnp.asarray(cover(picture.pixels, height, width))
    if config.start == "content":
        return content
    if config.start == "style":
        return jnp.asarray(cover(style, height, width))
    return noise(height, width, seed=config.seed)


def _loss_weights(config: Config) -> LossWeights:
    objective = config.objective
    assert isinstance(objective.content_layers, dict)
    assert isinstance(objective.style_layers, dict)
    return loss_weights(
        alpha=objective.alpha or 0.0,
        beta=objective.beta or 0.0,
        tv=objective.tv or 0.0,
        content=objective.content_layers,
        style=objective.style_layers,
    )


def _solver(config: Config) -> Solver:
    if config.solver.name == "adam":
        return Adam(config.solver.learning_rate)
    # A run of n iterations has at most n pairs to keep.
    return LBFGS(min(config.solver.history, config.solver.iterations))
