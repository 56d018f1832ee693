"""The first weights of the student: least squares, layer by layer.

What a layer computes before its ReLU is linear in its weights, so the best weights for
the teacher's chosen responses as input follow in closed form. He, Zhang and Sun 2017
("Channel Pruning for Accelerating Very Deep Neural Networks", arXiv 1707.06168)
reconstruct the layers of a pruned network like this.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.types import Params
from scripts.tiny.teacher import DIMENSIONS, Teacher, convolved, inputs, run, total

# Relative to the mean square of the inputs.
RIDGE = 1e-4


def least_squares(teacher: Teacher, pictures: np.ndarray) -> Params:
    """Each layer fitted before its ReLU, from the teacher's chosen responses.

    Args:
        teacher: see ``Teacher``.
        pictures: ``(n, h, w, 3)`` in [0, 1].

    Returns:
        Weights of the student, in scaled units.
    """
    equations = total(
        _normal_equations(teacher.network, teacher.arrays, picture[None])
        for picture in pictures
    )
    params = {}
    for layer, (inner, cross) in equations.items():
        inner, cross = np.asarray(inner, float), np.asarray(cross, float)
        ridge = RIDGE * np.trace(inner) / len(inner)
        solved = np.linalg.solve(inner + ridge * np.eye(len(inner)), cross)
        kernel = solved[:-1].reshape(-1, 3, 3, cross.shape[1]).transpose(1, 2, 0, 3)
        arrays = {"kernel": kernel, "bias": solved[-1]}
        params[layer] = {k: jnp.asarray(v, jnp.float32) for k, v in arrays.items()}
    return params


@partial(jax.jit, static_argnums=0)
def _normal_equations(network, arrays, batch):
    teacher = Teacher(network, *arrays)
    responses = run(network, teacher.params, batch)
    complete = inputs(network, responses, batch)
    reduced = inputs(network, teacher.select(responses), batch)
    # Patches list the input's channels first, then rows and columns of the kernel.
    equations = {}
    for layer, index in teacher.chosen.items():
        kernel, bias = (
            teacher.params[layer][k][..., index] for k in ("kernel", "bias")
        )
        wanted = convolved(complete[layer], kernel, bias) / teacher.scale[layer]
        patches = jax.lax.conv_general_dilated_patches(
            reduced[layer], (3, 3), (1, 1), "SAME", dimension_numbers=DIMENSIONS
        )
        rows = patches.reshape(-1, patches.shape[-1])
        rows = jnp.concatenate([rows, jnp.ones((len(rows), 1))], 1)
        targets = wanted.reshape(len(rows), -1)
        equations[layer] = rows.T @ rows, rows.T @ targets
    return equations
