"""A run on luminance alone: pictures without their colours, and the colours put back.

Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving Color in Neural Artistic Style
Transfer", section 5: pictures are taken apart into luminance Y and chroma I, Q; style
is transferred between the luminances; the content's chroma is put back.
"""

import numpy as np

from nst_jax.images.color import LEAST_DEVIATION, colour_statistics

# First row of the matrix from RGB to YIQ (NTSC). The rows of I and Q add up to 0: a
# gray added to a picture leaves them as they are.
Y = np.array([0.299, 0.587, 0.114])


def luminance(picture: np.ndarray) -> np.ndarray:
    """Luminance of ``(h, w, 3)`` as three equal channels, float32 ``(h, w, 3)``."""
    return np.repeat((picture @ Y).astype(np.float32)[..., None], 3, axis=-1)


def match_luminance(
    gray: np.ndarray,
    reference: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    reference_alpha: np.ndarray | None = None,
) -> np.ndarray:
    """``sigma_r / sigma (L - mu) + mu_r``: section 5's shift and scale.

    Args:
        gray: ``(h, w, 3)`` of three equal channels, in [0, 1].
        reference: likewise; its mean and deviation are taken.
        alpha: of ``gray``, see ``color.colour_statistics``.
        reference_alpha: of ``reference``.

    Returns:
        float32 ``(h, w, 3)`` of three equal channels, clipped to [0, 1]. A picture of
        one shade stays one.
    """
    own = colour_statistics(gray, alpha=alpha)
    wanted = colour_statistics(reference, alpha=reference_alpha)
    deviation = np.sqrt(own.covariance[0, 0])
    # A single shade has no contrast to be stretched, only rounding.
    factor = (
        np.sqrt(wanted.covariance[0, 0]) / deviation
        if deviation > LEAST_DEVIATION
        else 0.0
    )
    one = factor * (gray[..., 0] - own.mean[0]) + wanted.mean[0]
    clipped = np.clip(one, 0.0, 1.0).astype(np.float32)
    return np.repeat(clipped[..., None], 3, axis=-1)


def with_luminance(picture: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """A picture with another luminance; its chroma I, Q stays.

    Args:
        picture: ``(h, w, 3)``.
        gray: ``(h, w, 3)``; the mean of its channels is the luminance.

    Returns:
        float32 ``(h, w, 3)``, not clipped.
    """
    new = gray.mean(axis=-1, keepdims=True)
    return (picture + (new - luminance(picture))).astype(np.float32)
