"""Scores by pixels alone: structure, edges, colours, noise.

All take NumPy pictures ``(h, w, 3)``, sRGB in [0, 1]. Filters are scipy's. Structural
similarity is written out: scikit-image, which has it, would bring five more packages
along. Tests compare the two.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, generic_gradient_magnitude, sobel

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
BINS = 8  # of a colour channel
ROUNDING = 1 / 255**2 / 12  # mean square of what 8 bits round off


def luminance(picture: np.ndarray) -> np.ndarray:
    """Luminance ``(h, w)``, float64, of the sRGB values as they are (BT.601)."""
    return np.asarray(picture, np.float64) @ LUMA


def structural_similarity(result: np.ndarray, content: np.ndarray) -> float:
    """Mean SSIM of the luminances; 1 is the same, 0 unrelated, below 0 a negative.

    As Wang, Bovik, Sheikh and Simoncelli 2004, section III.B: Gaussian window of 11
    pixels and deviation 1.5, K1 = 0.01, K2 = 0.03; over the windows that lie inside.

    Raises:
        ValueError: if the sizes differ, or a side is below 11 pixels.
    """
    x, y = _two_luminances(result, content)
    if min(x.shape) < 11:
        raise ValueError(f"structural similarity needs 11 pixels a side, not {x.shape}")

    def mean(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5, truncate=3.5)[5:-5, 5:-5]

    mx, my = mean(x), mean(y)
    variances = mean(x * x) - mx * mx + mean(y * y) - my * my
    covariance = mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mx * my + c1) * (2 * covariance + c2)
    return float(np.mean(similarity / ((mx * mx + my * my + c1) * (variances + c2))))


def edge_correlation(result: np.ndarray, content: np.ndarray) -> float:
    """Pearson correlation of Sobel gradient magnitudes of the luminances.

    1 where the edges are the same, whatever their contrast; about 0 for edges that have
    nothing to do with each other, and where a picture has none.

    Raises:
        ValueError: if the sizes differ.
    """
    edges = [
        generic_gradient_magnitude(y, sobel)  # pyright: ignore[reportArgumentType]
        for y in _two_luminances(result, content)
    ]
    a, b = (e - e.mean() for e in edges)
    norm = np.sqrt(np.sum(a * a) * np.sum(b * b))
    return float(np.sum(a * b) / norm) if norm > 1e-12 else 0.0


def colour_distance(result: np.ndarray, style: np.ndarray) -> float:
    """Part of the pixels that must change colour: 0 the same colours, 1 none in common.

    Total variation distance, half of the sum of absolute differences, of the joint
    histograms of red, green and blue, eight bins each. Sizes may differ.
    """
    return float(np.abs(_histogram(result) - _histogram(style)).sum() / 2)


def noise_ratio(result: np.ndarray, style: np.ndarray) -> float:
    """Energy of the finest detail against the style's: above 1 is noisier than it.

    Mean square of what a Gaussian of deviation 1 takes away from the luminance. Sizes
    should be alike: detail is measured in pixels. A style without any counts as having
    what 8 bits round off.
    """
    ours, theirs = (_finest(picture) for picture in (result, style))
    return ours / max(theirs, ROUNDING)


def _finest(picture: np.ndarray) -> float:
    y = luminance(picture)
    return float(np.mean((y - gaussian_filter(y, 1.0)) ** 2))


def _histogram(picture: np.ndarray) -> np.ndarray:
    """Parts of the pixels in each of the bins, ``(8, 8, 8)``."""
    pixels = np.asarray(picture, np.float64).reshape(-1, 3)
    counts, _ = np.histogramdd(pixels, BINS, range=[(0, 1)] * 3)
    return counts / len(pixels)


def _two_luminances(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if a.shape != b.shape:
        raise ValueError(f"sizes differ: {a.shape} and {b.shape}")
    return luminance(a), luminance(b)
