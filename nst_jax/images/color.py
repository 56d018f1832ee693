"""Colours of one picture given to another: mean and covariance of its pixels.

Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving Color in Neural Artistic Style
Transfer", section 4; the map between covariances is the one of Hertzmann et al. 2001,
"Image Analogies". Pixels are points in RGB space; where they lie does not matter.
"""

from typing import NamedTuple

import numpy as np

# Along a direction in which the colours spread by less than one step of 8 bits there
# is rounding, not colour: it is not stretched.
LEAST_DEVIATION = 1 / 255


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


def colour_statistics(picture: np.ndarray) -> ColourStatistics:
    """Mean and covariance of the pixels of ``(h, w, 3)``.

    Raises:
        ValueError: if the last axis does not hold three colours.
    """
    if picture.ndim < 2 or picture.shape[-1] != 3 or picture.size == 0:
        raise ValueError(f"expected a picture (h, w, 3), got shape {picture.shape}")
    pixels = picture.reshape(-1, 3).astype(np.float64)
    mean = pixels.mean(axis=0)
    centred = pixels - mean
    return ColourStatistics(mean, centred.T @ centred / len(pixels))


def colour_map(source: ColourStatistics, target: ColourStatistics) -> ColourMap:
    """The map ``C_t^{1/2} C_s^{-1/2}`` with symmetric roots, and the shift of means.

    It turns the source's mean and covariance into the target's. Directions in which
    the source has no colours (a gray picture has two of them) get none: a gray picture
    becomes shades along one line of the target's colours.
    """
    matrix = _root(target.covariance) @ _inverse_root(source.covariance)
    return ColourMap(matrix, target.mean - matrix @ source.mean)


def match_colours(picture: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The picture with the reference's mean and covariance of colours.

    Args:
        picture: ``(h, w, 3)`` in [0, 1].
        reference: ``(h', w', 3)`` in [0, 1].

    Returns:
        float32 ``(h, w, 3)``, clipped to [0, 1], which changes the statistics a little.

    Raises:
        ValueError: if one of them is not a picture.
    """
    mapped = colour_map(colour_statistics(picture), colour_statistics(reference))
    return np.clip(mapped(picture), 0.0, 1.0).astype(np.float32)


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T


def _inverse_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    deviations = np.sqrt(np.maximum(values, 0.0))
    spread = deviations > LEAST_DEVIATION
    inverse = np.where(spread, 1 / np.where(spread, deviations, 1.0), 0.0)
    return vectors * inverse @ vectors.T
