"""The losses: arrays in, scalar out.

Notation of Gatys et al. 2016: F is a layer's response to the picture, P the one to
the content picture, G the Gram matrix of F, A the one of the style picture. A layer
has N channels and M = h w positions.

Departure from the printed equations, and the convention of this project: every loss
is a mean, not a sum. With ``G = F^T F / M`` the printed content loss (eq. 1) is
``N M / 2`` times ``content_loss`` and the printed E_l (eq. 4) is ``1 / 4`` of
``style_loss``. The captions' alpha/beta belong to the means; see docs/presets.md.
"""

import jax
import jax.numpy as jnp

from nst_jax.types import FeatureMap, Gram, Image, Scalar


def content_loss(response: FeatureMap, target: FeatureMap) -> Scalar:
    """Mean squared difference of two responses ``(h, w, c)``; cf. eq. 1.

    Raises:
        ValueError: if the shapes differ.
    """
    check_same_shape("content_loss", response, target)
    return jnp.mean((response - target) ** 2)


@jax.custom_vjp
def gram_matrix(response: FeatureMap) -> Gram:
    """``F^T F / (h w)`` of a response ``(h, w, c)``: ``(c, c)``; cf. eq. 3.

    Always in full float32: TF32 or bfloat16 products would drown the differences
    that the style loss consists of. Its gradient, ``F (D + D^T) / (h w)`` for a
    cotangent D, is one product, where JAX's own takes two.
    """
    positions = response.reshape(-1, response.shape[-1])
    return jnp.matmul(positions.T, positions, precision="highest") / positions.shape[0]


def _gram_forward(response):
    return gram_matrix(response), response


def _gram_backward(response, cotangent):
    positions = response.reshape(-1, response.shape[-1])
    both = (cotangent + cotangent.T) / positions.shape[0]
    product = jnp.matmul(positions, both, precision="highest")
    return (product.reshape(response.shape),)


gram_matrix.defvjp(_gram_forward, _gram_backward)


def style_loss(gram: Gram, target: Gram) -> Scalar:
    """Mean squared difference of two Gram matrices ``(c, c)``; cf. eq. 4.

    Raises:
        ValueError: if the shapes differ.
    """
    check_same_shape("style_loss", gram, target)
    return jnp.mean((gram - target) ** 2)


def total_variation(picture: Image, *, circular: bool = False) -> Scalar:
    """Mean squared difference of neighbours, both axes added, of ``(h, w, 3)``.

    Not in Gatys et al.; peers use it against noise. 0 for a constant picture.

    Args:
        picture: of any range.
        circular: whether opposite edges are neighbours.
    """
    if circular:
        differences = [picture - jnp.roll(picture, 1, axis) for axis in (0, 1)]
        return jnp.mean(differences[0] ** 2) + jnp.mean(differences[1] ** 2)
    vertical = jnp.mean((picture[1:] - picture[:-1]) ** 2)
    horizontal = jnp.mean((picture[:, 1:] - picture[:, :-1]) ** 2)
    return vertical + horizontal


def check_same_shape(name: str, a: jax.Array, b: jax.Array) -> None:
    """Refuse different shapes: broadcasting would give a number, and a wrong one.

    Raises:
        ValueError: as it says.
    """
    if a.shape != b.shape:
        raise ValueError(f"{name}: shapes differ: {a.shape} and {b.shape}")
