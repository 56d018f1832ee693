"""Large forms before fine detail: the pixels in another basis for the solver.

A solver that is given pixels changes all frequencies alike, while pictures have most of
their energy in the low ones. Here the picture is ``x = x0 + P z`` and the solver's
variable is z: P scales each spatial frequency f, in cycles per pixel, by
``(0.1 + f)^-0.5``. The objective and its minima are the same; L-BFGS gets there in
fewer steps (docs/performance.md). The basis is that of Mordvintsev et al. 2018,
"Differentiable Image Parameterizations", with a flatter spectrum: theirs, 1 / f, was
no quicker than pixels.
"""

import jax
import jax.numpy as jnp
import numpy as np

FLOOR, EXPONENT = 0.1, 0.5


def precondition(vector: jax.Array, *, inverse: bool = False) -> jax.Array:
    """P times ``(h, w, 3)``: symmetric, so that it is the gradient's map, too.

    ``inverse``: its inverse times that.

    Scaled so that a picture of all frequencies alike keeps its mean square.
    """
    height, width = vector.shape[:2]
    gains = _gains(height, width)[..., None] ** (-1 if inverse else 1)
    gains = jnp.asarray(gains, vector.dtype)
    spectrum = jnp.fft.rfft2(vector, axes=(0, 1)) * gains
    return jnp.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))


def _gains(height: int, width: int) -> np.ndarray:
    """What each frequency of ``rfft2`` is multiplied with: (h, w // 2 + 1)."""
    vertical, horizontal = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    gains = (FLOOR + np.hypot(vertical, horizontal)) ** -EXPONENT
    return gains[:, : width // 2 + 1] / np.sqrt(np.mean(gains**2))
