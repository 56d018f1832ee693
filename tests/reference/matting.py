"""Slow float64 twins of the matting Laplacian and of the guided filter.

Sources: Levin, Lischinski and Weiss 2008, "A Closed-Form Solution to Natural Image
Matting", equation 12; He, Sun and Tang 2013, "Guided Image Filtering", equations 19 to
21. Both are also solved as the least squares problems that the equations come from.
"""

import numpy as np


def matting_laplacian(picture: np.ndarray, epsilon: float) -> np.ndarray:
    """Equation 12, window by window: dense ``(h w, h w)``."""
    height, width, _ = picture.shape
    result = np.zeros((height * width, height * width))
    for top in range(height - 2):
        for left in range(width - 2):
            places = [(top + y, left + x) for y in range(3) for x in range(3)]
            colours = np.array([picture[place] for place in places], np.float64)
            mean, covariance = colours.mean(0), np.cov(colours.T, bias=True)
            inverse = np.linalg.inv(covariance + epsilon / 9 * np.eye(3))
            for i, (y, x) in enumerate(places):
                for j, (v, u) in enumerate(places):
                    away = (colours[i] - mean) @ inverse @ (colours[j] - mean)
                    result[y * width + x, v * width + u] += (i == j) - (1 + away) / 9
    return result


def local_affine_error(picture: np.ndarray, plane: np.ndarray, epsilon: float) -> float:
    """What is left of ``plane`` ``(h, w)`` after the best affine function of the
    colours in each window, summed: Levin et al., equation 4 for colours. Equal to
    ``v^T M v``.
    """
    height, width, _ = picture.shape
    total = 0.0
    for top in range(height - 2):
        for left in range(width - 2):
            here = slice(top, top + 3), slice(left, left + 3)
            colours = picture[here].reshape(9, 3)
            total += _residual(colours, plane[here].reshape(9), epsilon)
    return total


def _residual(colours: np.ndarray, values: np.ndarray, epsilon: float) -> float:
    """min over a, b of ``sum_i (a . I_i + b - v_i)^2 + epsilon |a|^2``."""
    system = np.concatenate([colours, np.ones((len(colours), 1))], axis=1)
    ridge = np.concatenate([np.sqrt(epsilon) * np.eye(3), np.zeros((3, 1))], axis=1)
    system = np.concatenate([system, ridge])
    wanted = np.concatenate([values, np.zeros(3)])
    found = np.linalg.lstsq(system, wanted, rcond=None)[0]
    return float(np.sum((system @ found - wanted) ** 2))


def guided_filter(
    picture: np.ndarray, guide: np.ndarray, radius: int, epsilon: float
) -> np.ndarray:
    """Equations 19 to 21, window by window."""
    height, width, _ = picture.shape

    def window(y: int, x: int) -> tuple[slice, slice]:
        return (
            slice(max(0, y - radius), y + radius + 1),
            slice(max(0, x - radius), x + radius + 1),
        )

    slopes, offsets = np.zeros((height, width, 3, 3)), np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            i = guide[window(y, x)].reshape(-1, 3)
            p = picture[window(y, x)].reshape(-1, 3)
            covariance = np.cov(i.T, bias=True) + epsilon * np.eye(3)
            both = i.T @ p / len(i) - np.outer(i.mean(0), p.mean(0))
            slopes[y, x] = np.linalg.inv(covariance) @ both
            offsets[y, x] = p.mean(0) - slopes[y, x].T @ i.mean(0)
    result = np.zeros(picture.shape)
    for y in range(height):
        for x in range(width):
            slope = slopes[window(y, x)].mean((0, 1))
            offset = offsets[window(y, x)].mean((0, 1))
            result[y, x] = slope.T @ guide[y, x] + offset
    return result
