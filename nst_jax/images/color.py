"""Colours of one picture given to another: mean and covariance of its pixels.

Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving Color in Neural Artistic Style
Transfer", section 4. Pixels are points in RGB space; where they lie does not matter.
An affine map ``x -> A x + b`` with ``A C_s A^T = C_t`` turns the mean and covariance of
the one into those of the other. There are many; three are usual:

* pca: ``A = C_t^{1/2} C_s^{-1/2}`` with symmetric roots (Hertzmann et al. 2001, "Image
  Analogies"), the authors' default.
* chol: ``A = L_t L_s^{-1}`` with Cholesky factors: red alone decides on red.
* ot: ``A = C_s^{-1/2} (C_s^{1/2} C_t C_s^{1/2})^{1/2} C_s^{-1/2}``, which moves colours
  least (Pitie and Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping"):
  optimal transport between two normal distributions.
"""

from typing import Literal, NamedTuple

import numpy as np

Method = Literal["pca", "chol", "ot"]
# Along a direction in which the colours spread by less than one step of 8 bits there
# is rounding, not colour: it is not stretched. The authors add 1e-5 to the diagonals
# instead, which misses the target's covariance by as much.
LEAST_DEVIATION = 1 / 255
# Rows that are taken together, so that no copy of a large picture is made in float64.
ROWS = 256


class ColourStatistics(NamedTuple):
    """Mean ``(3,)`` and covariance ``(3, 3)`` of a picture's pixels, as float64."""

    mean: np.ndarray
    covariance: np.ndarray


class ColourMap(NamedTuple):
    """``colour -> matrix @ colour + offset``: ``(3, 3)`` and ``(3,)``, float64."""

    matrix: np.ndarray
    offset: np.ndarray

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """A picture ``(h, w, 3)`` with its colours mapped; not clipped, float64."""
        return picture @ self.matrix.T + self.offset


def colour_statistics(
    picture: np.ndarray, *, alpha: np.ndarray | None = None
) -> ColourStatistics:
    """Mean and covariance of the pixels of ``(h, w, 3)``.

    Args:
        picture: see above.
        alpha: ``(h, w)`` in [0, 1], how much each pixel counts: what nobody sees has no
            colour. None, or 0 everywhere: all count the same.

    Raises:
        ValueError: if the last axis does not hold three colours.
    """
    if picture.ndim < 2 or picture.shape[-1] != 3 or picture.size == 0:
        raise ValueError(f"expected a picture (h, w, 3), got shape {picture.shape}")
    if alpha is None or not alpha.any():
        alpha = np.ones(picture.shape[:-1], np.float32)
    whole = alpha.sum(dtype=np.float64)
    parts = list(zip(_in_rows(picture), _in_rows(alpha), strict=True))
    mean = sum(_sum(pixels, counts) for pixels, counts in parts) / whole
    squares = (_squares(pixels - mean, counts) for pixels, counts in parts)
    return ColourStatistics(mean, sum(squares) / whole)


def _in_rows(array: np.ndarray) -> list[np.ndarray]:
    return [array[row : row + ROWS] for row in range(0, len(array), ROWS)]


def _sum(pixels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return counts.ravel().astype(np.float64) @ pixels.reshape(-1, 3)


def _squares(centred: np.ndarray, counts: np.ndarray) -> np.ndarray:
    flat = centred.reshape(-1, 3)
    return (flat * counts.reshape(-1, 1)).T @ flat


def colour_map(
    source: ColourStatistics, target: ColourStatistics, *, method: Method = "pca"
) -> ColourMap:
    """The map that turns the source's mean and covariance into the target's.

    Directions in which the source has no colours (a gray picture has two of them) get
    none: a gray picture becomes shades along one line of colours, by "ot" of gray.

    Raises:
        ValueError: for an unknown method.
    """
    if method not in _MATRICES:
        raise ValueError(f"expected one of {', '.join(_MATRICES)}, not {method!r}")
    matrix = _MATRICES[method](source.covariance, target.covariance)
    return ColourMap(matrix, target.mean - matrix @ source.mean)


def match_colours(
    picture: np.ndarray,
    reference: np.ndarray | ColourStatistics,
    *,
    method: Method = "pca",
    strength: float = 1.0,
    alpha: np.ndarray | None = None,
) -> np.ndarray:
    """The picture with the reference's mean and covariance of colours.

    Args:
        picture: ``(h, w, 3)`` in [0, 1].
        reference: ``(h', w', 3)`` in [0, 1], or its statistics.
        method: see the module.
        strength: 0 to 1, how far each colour goes on the way to its new one.
        alpha: of the picture, see ``colour_statistics``.

    Returns:
        float32 ``(h, w, 3)``, clipped to [0, 1], which changes the statistics a little.

    Raises:
        ValueError: if one of them is not a picture, or the method unknown.
    """
    own = colour_statistics(picture, alpha=alpha)
    if not isinstance(reference, ColourStatistics):
        reference = colour_statistics(reference)
    mapped = partly(colour_map(own, reference, method=method), strength)
    rows = (np.clip(mapped(row), 0.0, 1.0) for row in _in_rows(picture))
    return np.concatenate([row.astype(np.float32) for row in rows])


def partly(full: ColourMap, strength: float) -> ColourMap:
    """The map that goes a part of the way, 0 (nowhere) to 1."""
    rest = (1 - strength) * np.eye(3)
    return ColourMap(rest + strength * full.matrix, strength * full.offset)


# --- matrices A with A C_s A^T = C_t ----------------------------------------------


def _pca(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    return _root(target) @ _inverse_root(source)


def _chol(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    return _cholesky(target, 0.0) @ _forward(_cholesky(source, LEAST_DEVIATION))


def _ot(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    root, inverse = _root(source), _inverse_root(source)
    return inverse @ _root(root @ target @ root) @ inverse


_MATRICES = {"pca": _pca, "chol": _chol, "ot": _ot}


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T


def _inverse_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    deviations = np.sqrt(np.maximum(values, 0.0))
    spread = deviations > LEAST_DEVIATION
    inverse = np.where(spread, 1 / np.where(spread, deviations, 1.0), 0.0)
    return vectors * inverse @ vectors.T


def _cholesky(covariance: np.ndarray, least: float) -> np.ndarray:
    """L with L L^T = C. Columns are 0 where a channel varies by at most ``least`` once
    those before it are known; LAPACK refuses such matrices.
    """
    factor = np.zeros((3, 3))
    for i in range(3):
        rest = covariance[i:, i] - factor[i:, :i] @ factor[i, :i]
        # What float64 leaves of a variance of 0.
        rounding = 1e-12 * np.trace(covariance)
        if rest[0] > max(least**2, rounding):
            factor[i:, i] = rest / np.sqrt(rest[0])
    return factor


def _forward(factor: np.ndarray) -> np.ndarray:
    """Inverse of a lower triangular matrix, on the columns that are not 0."""
    inverse = np.zeros((3, 3))
    for i in range(3):
        if factor[i, i] > 0:
            inverse[i] = (np.eye(3)[i] - factor[i, :i] @ inverse[:i]) / factor[i, i]
    return inverse
