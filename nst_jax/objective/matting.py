"""The photorealism term of Luan et al. 2017, "Deep Photo Style Transfer".

``L_m = sum_c V_c^T M V_c`` with the picture's colour channels V_c and the matting
Laplacian M of the content picture (see ``images.matting``).

Departure from the paper, and the convention of this project: a mean instead of a sum.
``matting_loss`` is L_m over the number of pixels and channels, so that its weight means
the same at every size.
"""

import jax
import jax.numpy as jnp

from nst_jax.types import Image, Scalar, Stencil


def apply_matting(picture: Image, stencil: Stencil) -> Image:
    """``M V`` for each colour channel of ``(h, w, 3)``; ``stencil`` is M.

    Raises:
        ValueError: if they are of different sizes.
    """
    height, width = picture.shape[:2]
    if stencil.shape[2:] != (height, width):
        raise ValueError(
            f"the matting Laplacian is of {stencil.shape[2:]}, the picture of "
            f"{(height, width)}"
        )
    down, right = stencil.shape[0] // 2, stencil.shape[1] // 2
    # Planes, whose rows the processor reads in one go.
    planes = jnp.pad(
        jnp.moveaxis(picture, -1, 0), ((0, 0), (down, down), (right, right))
    )
    applied = sum(
        stencil[y, x] * planes[:, y : y + height, x : x + width]
        for y in range(stencil.shape[0])
        for x in range(stencil.shape[1])
    )
    return jnp.moveaxis(applied, 0, -1)


@jax.custom_vjp
def matting_loss(picture: Image, stencil: Stencil) -> Scalar:
    """``1 / (3 h w) sum_c V_c^T M V_c`` of ``(h, w, 3)``.

    Its gradient is ``2 M V / (3 h w)``, from the same product; the stencil is a
    constant.
    """
    return _forward(picture, stencil)[0]


def _forward(picture, stencil):
    applied = apply_matting(picture, stencil)
    return jnp.mean(picture * applied), applied


def _backward(applied, cotangent):
    return 2 * cotangent / applied.size * applied, None


matting_loss.defvjp(_forward, _backward)
