"""Distilling a VGG network into a narrower one through 1 x 1 maps.

At each layer the student's responses, mapped by a learned matrix to the teacher's
channels, should equal the teacher's responses (as in FitNets, Romero et al. 2015,
arXiv 1412.6550). The maps are dropped after the training.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from nst_jax.features.layout import LAYOUTS, block, up_to_deepest
from nst_jax.features.rescale import floored, mean_activations
from nst_jax.features.vgg import VGG, Network, device_params, network_of
from nst_jax.features.weights import Weights
from nst_jax.types import Params, Scalar

DEEPEST = "conv5_1"
# Weight of a layer's relative error in the loss; the other layers help to train.
LAYER_WEIGHTS = {
    "conv1_1": 1.0,
    "conv2_1": 1.0,
    "conv3_1": 1.0,
    "conv4_1": 1.0,
    "conv4_2": 3.0,
    "conv5_1": 1.0,
}
OTHER_LAYERS = 0.5
# Training compares every so manyth row and column in these blocks: neighbours there
# say nearly the same, and comparing all of them takes as long as the student itself.
STRIDES = {1: 4, 2: 2}
# Optimisers' usual cure for the first steps of Adam, as a share of all steps.
WARM_UP = 0.02


class Teacher(NamedTuple):
    """The network to imitate, and the scale of its responses.

    Attributes:
        network: what it computes.
        params: its weights, up to the deepest layer that is matched.
        scale: ``layer -> (c,)``, mean response of each channel, floored (channels
            that hardly fire would rule the error otherwise).
        variance: ``layer -> ()``, variance of the scaled responses.
    """

    network: Network
    params: Params
    scale: dict[str, jax.Array]
    variance: dict[str, jax.Array]


class Trained(NamedTuple):
    """What is trained: the student, and the maps to the teacher's channels."""

    student: Params
    maps: dict[str, dict[str, jax.Array]]


def make_teacher(weights: Weights, pictures: np.ndarray) -> Teacher:
    """The teacher, its scales measured on pictures ``(n, h, w, 3)`` of one size."""
    network = network_of(weights)
    layers = up_to_deepest(network.layout, frozenset({DEEPEST}))
    params = {layer: device_params(weights)[layer] for layer in layers}
    scale = floored(mean_activations(network, params, pictures))
    first, second = [], []
    for picture in pictures:
        scaled = _scaled_responses(network, params, scale, picture)
        first.append({k: v.mean((0, 1)) for k, v in scaled.items()})
        second.append({k: (v**2).mean() for k, v in scaled.items()})
    mean, power = (
        jax.tree.map(lambda *v: sum(v) / len(v), *m) for m in (first, second)
    )
    variance = {k: power[k] - (mean[k] ** 2).mean() for k in layers}
    return Teacher(network, params, scale, variance)


@partial(jax.jit, static_argnums=0)
def _scaled_responses(network, params, scale, picture):
    responses = network(params, picture, tuple(params))
    return {layer: responses[layer] / scale[layer] for layer in params}


def student_network(block_channels: tuple[int, ...], teacher: Network) -> Network:
    """A network of the teacher's layout with other widths, up to ``DEEPEST``.

    Args:
        block_channels: channels of the convolutions of each block.
        teacher: gives layout, pooling and input convention.

    Raises:
        ValueError: if there is not one width per block.
    """
    blocks = len(LAYOUTS[teacher.layout])
    if len(block_channels) != blocks or min(block_channels) < 1:
        raise ValueError(f"widths need {blocks} positive numbers, not {block_channels}")
    layers = up_to_deepest(teacher.layout, frozenset({DEEPEST}))
    widths = tuple((layer, block_channels[block(layer) - 1]) for layer in layers)
    return teacher._replace(widths=widths)


def initial(key: jax.Array, network: Network, teacher: Teacher) -> Trained:
    """He's initialisation for the student, LeCun's for the maps."""
    student, maps, channels = {}, {}, 3
    for layer, out in network.widths:
        key, first, second = jax.random.split(key, 3)
        kernel = jax.nn.initializers.he_normal()(first, (3, 3, channels, out))
        student[layer] = {"kernel": kernel, "bias": jnp.zeros(out)}
        shape = (out, teacher.scale[layer].size)
        matrix = jax.nn.initializers.lecun_normal()(second, shape)
        maps[layer] = {"matrix": matrix, "offset": jnp.zeros(shape[1])}
        channels = out
    return Trained(student, maps)


def fit_maps(network: Network, trained: Trained, teacher: Teacher, pictures) -> Trained:
    """Replace the maps by the least-squares ones on pictures ``(n, h, w, 3)``.

    A start from which the student's gradient means something at the first step.
    """
    # Ridge: random filters of the student may repeat each other, or never fire.
    sums = [_normal_equations(network, trained.student, teacher, x) for x in pictures]
    maps = {}
    for layer, (inner, cross) in _sum(sums).items():
        ridge = 1e-3 * jnp.trace(inner) / len(inner)
        solved = jnp.linalg.solve(inner + ridge * jnp.eye(len(inner)), cross)
        maps[layer] = {"matrix": solved[:-1], "offset": solved[-1]}
    return trained._replace(maps=maps)


def _normal_equations(network, student, teacher, picture):
    ours = network(student, picture, network.layers)
    wanted = _scaled_responses(
        teacher.network, teacher.params, teacher.scale, picture
    )
    equations = {}
    for layer in network.layers:
        rows = ours[layer].reshape(-1, ours[layer].shape[-1])
        rows = jnp.concatenate([rows, jnp.ones((len(rows), 1))], 1)
        targets = wanted[layer].reshape(len(rows), -1)
        equations[layer] = rows.T @ rows, rows.T @ targets
    return equations


def squared_errors(
    network: Network,
    trained: Trained,
    teacher: Teacher,
    batch: jax.Array,
    strides: Mapping[int, int] = STRIDES,
) -> dict[str, Scalar]:
    """Mean square of (mapped student - teacher) / the teacher's scale, by layer.

    Args:
        network: the student's.
        trained: its weights, and the maps.
        teacher: see ``Teacher``.
        batch: ``(n, h, w, 3)`` in [0, 1].
        strides: ``block -> s``: compare every s-th row and column there.
    """
    layers = network.layers
    ours = _responses(network, layers, trained.student, batch)
    theirs = _responses(teacher.network, layers, teacher.params, batch)
    errors = {}
    for layer in layers:
        mapping = trained.maps[layer]
        stride = strides.get(block(layer), 1)
        at = np.s_[:, ::stride, ::stride]
        mapped = ours[layer][at] @ mapping["matrix"] + mapping["offset"]
        wanted = jax.lax.stop_gradient(theirs[layer][at]) / teacher.scale[layer]
        errors[layer] = jnp.mean((mapped - wanted) ** 2)
    return errors


def _responses(network, layers, params, batch):
    # The default convolution has no gradient with respect to its kernel.
    module = VGG(network, layers, layers, convolution=jax.lax.conv_general_dilated)
    return jax.vmap(lambda picture: module.apply({"params": params}, picture))(batch)


def loss_function(
    trained: Trained, network: Network, teacher: Teacher, batch: jax.Array
) -> tuple[Scalar, dict[str, Scalar]]:
    """Weighted mean over layers of the error relative to the teacher's variance."""
    errors = squared_errors(network, trained, teacher, batch)
    relative = {k: error / teacher.variance[k] for k, error in errors.items()}
    weights = {k: LAYER_WEIGHTS.get(k, OTHER_LAYERS) for k in relative}
    total = sum(weights[k] * relative[k] for k in relative) / sum(weights.values())
    return jnp.asarray(total), relative


def optimiser(learning_rate: float, steps: int) -> optax.GradientTransformation:
    """Adam with a short warm-up and cosine decay to zero at ``steps``."""
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, max(1, round(WARM_UP * steps)), steps
    )
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


def make_step(network: Network, optimise: optax.GradientTransformation):
    """The jitted step: trained, state, teacher, batch -> trained, state, loss, errors.

    ``errors`` are relative to the teacher's variance, by layer.
    """

    # The network of the teacher is static, its arrays are arguments.
    @partial(jax.jit, static_argnums=2, donate_argnums=(0, 1))
    def step(trained, state, teacher_network, arrays, batch):
        teacher = Teacher(teacher_network, *arrays)
        (loss, errors), gradient = jax.value_and_grad(loss_function, has_aux=True)(
            trained, network, teacher, batch
        )
        updates, state = optimise.update(gradient, state, trained)
        return optax.apply_updates(trained, updates), state, loss, errors

    return lambda trained, state, teacher, batch: step(
        trained, state, teacher.network, tuple(teacher)[1:], batch
    )


def held_out_errors(
    network: Network,
    trained: Trained,
    teacher: Teacher,
    pictures: Iterable[np.ndarray],
) -> dict[str, float]:
    """Relative error by layer: sum of squared error over sum of squares about the mean.

    Both in units of the teacher's scale; the mean is that of each channel over all
    positions of all pictures. 0 is perfect; the best constant scores 1.

    Args:
        network: the student's.
        trained: its weights, and the maps.
        teacher: see ``Teacher``.
        pictures: ``(h, w, 3)`` in [0, 1]; sizes may differ.
    """
    measured = [
        _moments(network, teacher.network, trained, tuple(teacher)[1:], picture)
        for picture in pictures
    ]
    sums = _sum(measured)
    return {
        layer: float(m["error"] / (m["power"] - (m["sum"] ** 2).sum() / m["count"]))
        for layer, m in sums.items()
    }


def _sum(trees):
    return jax.tree.map(lambda *values: sum(values), *trees)


@partial(jax.jit, static_argnums=(0, 1))
def _moments(network, teacher_network, trained, arrays, picture):
    teacher = Teacher(teacher_network, *arrays)
    errors = squared_errors(network, trained, teacher, picture[None], {})
    wanted = _scaled_responses(teacher_network, teacher.params, teacher.scale, picture)
    return {
        layer: {
            "error": errors[layer] * wanted[layer].size,
            "power": jnp.sum(wanted[layer] ** 2),
            "sum": jnp.sum(wanted[layer], (0, 1)),
            "count": jnp.asarray(wanted[layer][..., 0].size, jnp.float32),
        }
        for layer in errors
    }


def finished(
    network: Network, student: Params, pictures: list[np.ndarray], **about: str
) -> Weights:
    """The student as a weights record: float16 arrays, with their mean activations.

    Args:
        network: the student's.
        student: its weights.
        pictures: of one size, to measure the means on (with each pooling).
        about: name, source and licence for ``Weights``.
    """
    params = {
        layer: {
            part: np.asarray(student[layer][part], np.float16)
            for part in ("kernel", "bias")
        }
        for layer in network.layers
    }
    return Weights(
        params,
        {pooling: _means(network, params, pooling, pictures) for pooling in _POOLINGS},
        sha256=_digest(params),
        input=network.input,
        **about,
    )


_POOLINGS = ("avg", "max")


def _means(network, params, pooling, pictures) -> dict[str, np.ndarray]:
    single = jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), params)
    means = mean_activations(network._replace(pooling=pooling), single, pictures)
    return {layer: np.asarray(means[layer], np.float32) for layer in network.layers}


def _digest(params: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    digest = hashlib.sha256()
    for arrays in params.values():
        digest.update(arrays["kernel"].tobytes() + arrays["bias"].tobytes())
    return digest.hexdigest()
