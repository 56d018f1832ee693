"""Slow float64 twins of the losses, written from the papers' formulas.

Explicit loops wherever they make the formula plain to see. Maps are ``(h, w, c)``;
the papers write the same map as a matrix F of N = c filters and M = h w positions.

Sources: Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional
Neural Networks", equations 1 to 7; Li et al. 2017, "Demystifying Neural Style
Transfer" (arXiv 1701.01036), for the maximum mean discrepancy.
"""

from collections.abc import Mapping

import numpy as np


def gram_matrix(F: np.ndarray) -> np.ndarray:
    """Gram matrix per position, ``(c, c)``: G_ij = 1/(h w) sum_k F_ik F_jk."""
    return gram_matrix_paper(F) / (F.shape[0] * F.shape[1])


def content_loss(F: np.ndarray, P: np.ndarray) -> float:
    """Mean squared difference of two maps ``(h, w, c)``."""
    return _mean_squared_difference(F, P)


def style_loss(G: np.ndarray, A: np.ndarray) -> float:
    """Mean squared difference of two Gram matrices ``(c, c)``."""
    return _mean_squared_difference(G, A)


def total_variation(x: np.ndarray) -> float:
    """Total variation of a picture ``(h, w, 3)``.

    Mean squared difference of vertical neighbours plus mean squared difference of
    horizontal neighbours, each mean over its own number of pairs.
    """
    height, width, channels = x.shape
    vertical, horizontal = [], []
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                here = float(x[row, column, channel])
                if row + 1 < height:
                    vertical.append((float(x[row + 1, column, channel]) - here) ** 2)
                if column + 1 < width:
                    horizontal.append((float(x[row, column + 1, channel]) - here) ** 2)
    return sum(vertical) / len(vertical) + sum(horizontal) / len(horizontal)


def gram_matrix_paper(F: np.ndarray) -> np.ndarray:
    """Equation 3, without division: G_ij = sum_k F_ik F_jk, ``(c, c)``."""
    height, width, channels = F.shape
    gram = np.zeros((channels, channels))
    for row in range(height):
        for column in range(width):
            response = F[row, column].astype(np.float64)
            gram += np.outer(response, response)
    return gram


def content_loss_paper(F: np.ndarray, P: np.ndarray) -> float:
    """Equation 1: half the sum of squared differences of two maps ``(h, w, c)``."""
    difference = F.astype(np.float64) - P.astype(np.float64)
    return 0.5 * sum(float(d) ** 2 for d in difference.ravel())


def style_loss_paper(F: np.ndarray, A: np.ndarray) -> float:
    """Equation 4: E_l = 1/(4 N^2 M^2) sum_ij (G_ij - A_ij)^2.

    Args:
        F: map ``(h, w, c)``.
        A: Gram matrix ``(c, c)`` of the style by equation 3, of a map with as many
            positions as F.
    """
    positions, channels = F.shape[0] * F.shape[1], F.shape[2]
    difference = gram_matrix_paper(F) - A
    total = sum(float(d) ** 2 for d in difference.ravel())
    return total / (4 * channels**2 * positions**2)


def content_gradient_paper(F: np.ndarray, P: np.ndarray) -> np.ndarray:
    """Equation 2, ``(h, w, c)``: F - P where F > 0, and 0 elsewhere.

    F is a rectified response, so this is the gradient of ``content_loss_paper`` with
    respect to the response before the ReLU.
    """
    difference = F.astype(np.float64) - P.astype(np.float64)
    return np.where(F > 0, difference, 0.0)


def style_gradient_paper(F: np.ndarray, A: np.ndarray) -> np.ndarray:
    """Equation 6, ``(h, w, c)``: 1/(N^2 M^2) (F^T (G - A))_ji where F > 0, else 0.

    The gradient of ``style_loss_paper`` with respect to the response before the ReLU;
    A as there.
    """
    height, width, channels = F.shape
    difference = gram_matrix_paper(F) - A
    gradient = np.zeros(F.shape)
    for row in range(height):
        for column in range(width):
            gradient[row, column] = F[row, column].astype(np.float64) @ difference
    scale = 1.0 / (channels**2 * (height * width) ** 2)
    return np.where(F > 0, scale * gradient, 0.0)


def mmd_squared(F: np.ndarray, S: np.ndarray) -> float:
    """Squared maximum mean discrepancy with the kernel k(x, y) = (x . y)^2.

    The biased estimate; the responses at the positions of the two maps ``(h, w, c)``
    are the samples.
    """

    def mean_kernel(xs: np.ndarray, ys: np.ndarray) -> float:
        total = sum(float(np.dot(x, y)) ** 2 for x in xs for y in ys)
        return total / (len(xs) * len(ys))

    f = F.astype(np.float64).reshape(-1, F.shape[2])
    s = S.astype(np.float64).reshape(-1, S.shape[2])
    return mean_kernel(f, f) + mean_kernel(s, s) - 2 * mean_kernel(f, s)


def convolution_relu(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Rectified 3 x 3 correlation with zero padding: ``(h, w, in)`` -> ``(h, w, out)``.

    Args:
        x: map ``(h, w, in)``.
        kernel: ``(3, 3, in, out)``.
        bias: ``(out,)``.
    """
    height, width, _ = x.shape
    padded = np.zeros((height + 2, width + 2, x.shape[2]))
    padded[1:-1, 1:-1] = x
    result = np.zeros((height, width, kernel.shape[3]))
    for row in range(height):
        for column in range(width):
            window = padded[row : row + 3, column : column + 3]
            for out in range(kernel.shape[3]):
                response = np.sum(window * kernel[..., out]) + bias[out]
                result[row, column, out] = max(float(response), 0.0)
    return result


def average_pool(x: np.ndarray) -> np.ndarray:
    """Mean over 2 x 2 squares, stride 2; an odd last row or column is dropped."""
    height, width, channels = x.shape
    result = np.zeros((height // 2, width // 2, channels))
    for row in range(height // 2):
        for column in range(width // 2):
            square = x[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            result[row, column] = square.mean(axis=(0, 1))
    return result


def features(
    picture: np.ndarray, layers: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Rectified responses of a network with VGG's layer names and average pooling.

    Args:
        picture: ``(h, w, 3)``, what the first layer is to see.
        layers: name such as conv2_1 -> (kernel, bias), shallowest first; a pooling
            precedes the first layer of every block but the first.
    """
    maps: dict[str, np.ndarray] = {}
    x, block = picture.astype(np.float64), None
    for name, (kernel, bias) in layers.items():
        next_block = name.split("_")[0]
        if block is not None and next_block != block:
            x = average_pool(x)
        x = convolution_relu(x, kernel, bias)
        maps[name], block = x, next_block
    return maps


def _mean_squared_difference(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        raise ValueError(f"shapes differ: {a.shape} and {b.shape}")
    difference = a.astype(np.float64) - b.astype(np.float64)
    return sum(float(d) ** 2 for d in difference.ravel()) / difference.size
