"""The first weights of the student: random."""

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.types import Params
from scripts.tiny.teacher import Teacher


def he_normal(teacher: Teacher, *, seed: int) -> Params:
    """Random weights (He et al. 2015), for inputs of mean 1 as scaled responses are.

    The bias makes up for that mean and begins at half a mean response, so that hardly
    a channel begins dead.

    Args:
        teacher: its layers and chosen channels count, not its weights.
        seed: of the weights.

    Returns:
        Weights of the student, in scaled units.
    """
    params, key = {}, jax.random.key(seed)
    before = len(teacher.network.input.mean)
    for layer, index in teacher.chosen.items():
        key, own = jax.random.split(key)
        # Scaled responses have a mean square of about 4.
        deviation = np.sqrt(2 / (9 * before)) / 2
        kernel = deviation * jax.random.normal(own, (3, 3, before, index.size))
        mean = kernel.sum((0, 1, 2)) if params else jnp.zeros(index.size)
        params[layer] = {"kernel": kernel, "bias": 0.5 - mean}
        before = index.size
    return params
