"""Distilling a VGG network into a narrower one, channel by channel.

Of each layer's channels the student keeps those that respond most, and learns to
respond like them: its channel i like the teacher's channel ``chosen[i]``. So it has the
teacher's feature space, only with fewer dimensions. During the training all responses
are divided by the teacher's mean response of the channel; ``finished`` undoes that.

Every layer is first trained alone, with the teacher's responses as its input. The
student as a whole follows, running on its own responses.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from nst_jax.features.layout import block
from nst_jax.features.rescale import rescale
from nst_jax.features.weights import Weights
from nst_jax.types import Params, Scalar
from scripts.tiny.teacher import Teacher, convolved, inputs, run, total

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
# say nearly the same.
STRIDES = {1: 4, 2: 2}
# Share of a phase in which the learning rate rises.
WARM_UP = 0.02


def squared_errors(
    params: Params,
    teacher: Teacher,
    batch: jax.Array,
    *,
    layerwise: bool,
    strides: Mapping[int, int] = STRIDES,
) -> tuple[dict[str, Scalar], dict[str, jax.Array]]:
    """Mean square of the student's scaled responses minus the teacher's, by layer.

    Args:
        params: the student's, in scaled units.
        teacher: see ``Teacher``.
        batch: ``(n, h, w, 3)`` in [0, 1].
        layerwise: give each layer the teacher's responses as its input, not the
            student's own.
        strides: ``block -> s``: compare every s-th row and column there.

    Returns:
        The errors, and the teacher's scaled responses.
    """
    wanted = teacher.select(run(teacher.network, teacher.params, batch))
    if layerwise:
        seen = inputs(teacher.student, wanted, batch)
        ours = {k: jax.nn.relu(convolved(seen[k], **params[k])) for k in wanted}
    else:
        ours = run(teacher.student, params, batch)
    errors = {}
    for layer in wanted:
        stride = strides.get(block(layer), 1)
        at = np.s_[:, ::stride, ::stride]
        errors[layer] = jnp.mean((ours[layer][at] - wanted[layer][at]) ** 2)
    return errors, wanted


def loss_function(
    params: Params, teacher: Teacher, batch: jax.Array, layerwise: bool
) -> tuple[Scalar, dict[str, Scalar]]:
    """Weighted mean over layers of the error relative to the teacher's variance."""
    errors, _ = squared_errors(params, teacher, batch, layerwise=layerwise)
    relative = {k: error / teacher.variance[k] for k, error in errors.items()}
    weights = {k: LAYER_WEIGHTS.get(k, OTHER_LAYERS) for k in relative}
    loss = sum(weights[k] * relative[k] for k in relative) / sum(weights.values())
    return jnp.asarray(loss), relative


def learning_rate(highest: float, share: float) -> float:
    """Linear warm-up, then cosine decay to zero; ``share`` of the phase is done."""
    if share < WARM_UP:
        return highest * share / WARM_UP
    return highest * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP))) / 2


# Adam's direction; the learning rate is an argument of each step.
OPTIMISER = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam())


class Outcome(NamedTuple):
    """Result of a step: the loss and the relative errors are those before it."""

    params: Params
    state: optax.OptState
    loss: jax.Array
    errors: dict[str, jax.Array]


def step(
    teacher: Teacher,
    params: Params,
    state: optax.OptState,
    rate: float,
    batch: np.ndarray,
    *,
    layerwise: bool,
) -> Outcome:
    """One step of training.

    Args:
        teacher: see ``Teacher``.
        params: the student's, in scaled units; used up.
        state: of ``OPTIMISER``; used up.
        rate: learning rate.
        batch: ``(n, h, w, 3)`` in [0, 1].
        layerwise: see ``squared_errors``.
    """
    return _step(teacher.network, layerwise, params, state, teacher.arrays, rate, batch)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2, 3))
def _step(network, layerwise, params, state, arrays, rate, batch):
    def loss(shifted):
        teacher = Teacher(network, *arrays)
        return loss_function(_shifted(shifted, -1), teacher, batch, layerwise)

    shifted = _shifted(params, 1)
    (value, errors), gradient = jax.value_and_grad(loss, has_aux=True)(shifted)
    direction, state = OPTIMISER.update(gradient, state)
    shifted = jax.tree.map(lambda p, d: p - rate * d, shifted, direction)
    return Outcome(_shifted(shifted, -1), state, value, errors)


def _shifted(params: Params, sign: int) -> Params:
    """The bias as that of an input of mean 0: scaled responses have mean 1.

    Otherwise every change of a kernel would change the mean of its responses too.
    """
    first, *others = params
    moved = {
        layer: params[layer]["bias"] + sign * params[layer]["kernel"].sum((0, 1, 2))
        for layer in others
    }
    biases = {first: params[first]["bias"]} | moved
    return {k: {"kernel": params[k]["kernel"], "bias": biases[k]} for k in params}


def held_out_errors(
    params: Params,
    teacher: Teacher,
    pictures: Iterable[np.ndarray],
    *,
    layerwise: bool = False,
) -> dict[str, float]:
    """Relative error by layer: sum of squared error over sum of squares about the mean.

    Both in units of the teacher's scale; the mean is that of each channel over all
    positions of all pictures. 0 is perfect; the best constant scores 1.

    Args:
        params: the student's, in scaled units.
        teacher: see ``Teacher``.
        pictures: ``(h, w, 3)`` in [0, 1]; sizes may differ.
        layerwise: see ``squared_errors``.
    """
    sums = total(
        _error_sums(teacher.network, layerwise, params, teacher.arrays, picture[None])
        for picture in pictures
    )
    return {
        layer: float(error / (power - (added**2).sum() / count))
        for layer, (error, power, added, count) in sums.items()
    }


@partial(jax.jit, static_argnums=(0, 1))
def _error_sums(network, layerwise, params, arrays, batch):
    errors, wanted = squared_errors(
        params, Teacher(network, *arrays), batch, layerwise=layerwise, strides={}
    )
    return {
        k: (errors[k] * x.size, (x**2).sum(), x.sum((0, 1, 2)), x[..., 0].size)
        for k, x in wanted.items()
    }


def unscaled(params: Params, teacher: Teacher) -> Params:
    """The student's weights in the teacher's units: its responses times the scale."""
    return rescale(params, {k: 1 / scale for k, scale in teacher.scale.items()})


def finished(params: Params, teacher: Teacher, **about: str) -> Weights:
    """The student as a weights record of float16 arrays, in the teacher's units.

    Args:
        params: the student's, in scaled units.
        teacher: see ``Teacher``.
        about: name, source and licence for ``Weights``.
    """
    arrays = {
        layer: {part: np.asarray(kept[part], np.float16) for part in ("kernel", "bias")}
        for layer, kept in unscaled(params, teacher).items()
    }
    weights = Weights(arrays, sha256=_digest(arrays), input=teacher.network.input)
    return weights._replace(**about)


def _digest(params: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    digest = hashlib.sha256()
    for arrays in params.values():
        digest.update(arrays["kernel"].tobytes() + arrays["bias"].tobytes())
    return digest.hexdigest()
