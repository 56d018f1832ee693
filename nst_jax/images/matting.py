"""The matting Laplacian of a picture: how far another one is from its local colours.

Levin, Lischinski and Weiss 2008, "A Closed-Form Solution to Natural Image Matting",
equation 12: for the windows k of 3 x 3 pixels that hold the pixels i and j,

``M_ij = sum_k (delta_ij - 1/9 (1 + (I_i - m_k)^T (C_k + e/9 1)^-1 (I_j - m_k)))``

with the mean m_k and the covariance C_k of the window's colours I. ``v^T M v`` is what
is left of v after the best affine function ``a_k . I + b_k`` in each window: 0 for a v
that has no edge where the picture has none.
"""

from itertools import product

import numpy as np
from scipy.sparse import dia_array

# e of the equation: as Luan et al. 2017 have it, for colours in [0, 1].
EPSILON = 1e-7
REACH = 2  # windows of 3 x 3 join pixels that are so far apart
WIDTH = 2 * REACH + 1
SMALLEST = WIDTH  # sides below it would have diagonals that coincide
PLACES = tuple(product(range(3), repeat=2))  # of a window's pixels


def matting_laplacian(picture: np.ndarray) -> dia_array:
    """The matting Laplacian of ``(h, w, 3)`` in [0, 1]: ``(h w, h w)``, float64.

    Pixels are numbered row by row. Symmetric, positive semidefinite, rows sum to 0; its
    25 diagonals are the pairs of pixels at most two rows and columns apart.

    Raises:
        ValueError: if a side is below 5 pixels, or there are not three colours.
    """
    if picture.ndim != 3 or picture.shape[-1] != 3:
        raise ValueError(f"expected a picture (h, w, 3), not {picture.shape}")
    height, width = picture.shape[:2]
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"a matting Laplacian needs {SMALLEST} pixels on each side, and the "
            f"picture is {width} x {height}: choose a larger size"
        )
    rows = _rows(np.asarray(picture, np.float64))
    # Of each diagonal scipy keeps what stands in a column; the matrix is symmetric.
    diagonals = rows[::-1, ::-1].reshape(WIDTH**2, -1)
    reach = range(-REACH, REACH + 1)
    offsets = [down * width + right for down, right in product(reach, repeat=2)]
    count = height * width
    return dia_array((diagonals, offsets), shape=(count, count))


def stencil(laplacian: dia_array, height: int, width: int) -> np.ndarray:
    """The same numbers by pixel: ``(5, 5, h, w)`` float32, as the objective applies it.

    ``stencil[2 + p, 2 + q, y, x]`` joins the pixels ``(y, x)`` and ``(y + p, x + q)``,
    and is 0 where the latter is outside.
    """
    by_pixel = laplacian.data.reshape(WIDTH, WIDTH, height, width)[::-1, ::-1]
    return np.ascontiguousarray(by_pixel, np.float32)


def _rows(picture: np.ndarray) -> np.ndarray:
    """The matrix by pixel, as in ``stencil``."""
    height, width = picture.shape[:2]
    inside = height - 2, width - 2
    windows = np.stack(
        [picture[y : y + inside[0], x : x + inside[1]] for y, x in PLACES]
    )
    windows -= windows.mean(0)
    covariance = np.einsum("nyxc,nyxd->yxcd", windows, windows) / 9
    inverse = np.linalg.inv(covariance + EPSILON / 9 * np.eye(3))
    whitened = np.einsum("nyxc,yxcd->nyxd", windows, inverse)
    rows = np.zeros((WIDTH, WIDTH, height, width))
    for (a, (y, x)), (b, (v, u)) in product(enumerate(PLACES), repeat=2):
        near = (1 + np.einsum("yxc,yxc->yx", whitened[a], windows[b])) / 9
        place = rows[REACH + v - y, REACH + u - x]
        place[y : y + inside[0], x : x + inside[1]] += (a == b) - near
    return rows
