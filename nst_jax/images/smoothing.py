"""A picture made locally affine in the colours of another: the guided filter.

He, Sun and Tang 2013, "Guided Image Filtering", section 3.5, colour guide. Box means
come from scipy, so that the time does not depend on the radius.
"""

import numpy as np
from scipy.ndimage import uniform_filter


def guided_filter(
    picture: np.ndarray, guide: np.ndarray, *, radius: int, edge: float
) -> np.ndarray:
    """``picture`` with the edges of ``guide``, and with none where that has none.

    In each window the best affine function ``q = A I + b`` of the guide's colours I is
    found (equation 19); each pixel takes the mean of those of all windows it lies in
    (equation 21).

    Args:
        picture: ``(h, w, 3)``.
        guide: ``(h, w, 3)`` in [0, 1].
        radius: of the window, in pixels; it is cut at the borders.
        edge: what deviates by less from the window's mean colour is no edge; its square
            is the paper's epsilon.

    Returns:
        float32 ``(h, w, 3)``, not clipped.

    Raises:
        ValueError: if the sizes differ.
    """
    if picture.shape != guide.shape:
        raise ValueError(f"sizes differ: {picture.shape} and {guide.shape}")
    p, i = (np.asarray(each, np.float64) for each in (picture, guide))
    inside = _box(np.ones(p.shape[:2]), radius)

    def mean(values: np.ndarray) -> np.ndarray:
        parts = np.expand_dims(inside, tuple(range(2, values.ndim)))
        return _box(values, radius) / parts

    def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        both = a[..., :, None] * b[..., None, :]
        return mean(both) - mean(a)[..., :, None] * mean(b)[..., None, :]

    slopes = np.linalg.solve(covariance(i, i) + edge**2 * np.eye(3), covariance(i, p))
    offsets = mean(p) - _applied(slopes, mean(i))
    return (_applied(mean(slopes), i) + mean(offsets)).astype(np.float32)


def _box(values: np.ndarray, radius: int) -> np.ndarray:
    """Sums over windows, over their size; 0 counts outside."""
    return uniform_filter(values, 2 * radius + 1, mode="constant", axes=(0, 1))


def _applied(slopes: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return np.einsum("yxcd,yxc->yxd", slopes, colours)
