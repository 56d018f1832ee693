"""Measure mean activations over a folder of pictures and keep them in the file.

Rescaling a network to unit mean activation needs them (see
``nst_jax.features.rescale``); they differ with the pooling, so both are measured.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from nst_jax.features.rescale import mean_activations
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import POOLINGS, Weights, read, write
from nst_jax.images.io import load
from nst_jax.images.resize import fit_longer_side

PICTURE_SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
)
LONGER_SIDE = 256
# Below this nothing is left of a picture after four poolings.
SHORTER_SIDE = 16


def calibrate(
    path: str | os.PathLike,
    pictures: str | os.PathLike,
    out: str | os.PathLike | None = None,
) -> int:
    """Measure mean activations for both poolings and write them into a weights file.

    Each picture counts the same; larger ones are reduced to a longer side of 256.

    Args:
        path: the weights file.
        pictures: a folder; what has no picture's ending is left out.
        out: the file to write; ``path`` itself if None.

    Returns:
        The number of pictures.

    Raises:
        ValueError: if there are no pictures, or one cannot be used.
    """
    weights = read(path)
    paths = picture_paths(pictures)
    mu = {pooling: _measure(weights, pooling, paths) for pooling in POOLINGS}
    write(path if out is None else out, weights._replace(mu=mu))
    return len(paths)


def picture_paths(folder: str | os.PathLike) -> list[Path]:
    """The pictures of a folder, by name.

    Raises:
        ValueError: if it is no folder, or holds none.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"{folder}: there is no such folder")
    paths = sorted(
        p for p in Path(folder).iterdir() if p.suffix.lower() in PICTURE_SUFFIXES
    )
    if not paths:
        raise ValueError(f"{folder}: holds no pictures")
    return paths


def _measure(
    weights: Weights, pooling: str, paths: list[Path]
) -> dict[str, np.ndarray]:
    network = network_of(weights, pooling=pooling, precision="float32")  # pyright: ignore[reportArgumentType]
    pictures = (jnp.asarray(pixels) for pixels in _small(paths))
    mu = mean_activations(network, device_params(weights), pictures)
    return {layer: np.asarray(values) for layer, values in mu.items()}


def _small(paths: list[Path]) -> Iterator[np.ndarray]:
    for path in paths:
        pixels = load(path).pixels
        if max(pixels.shape) > LONGER_SIDE:
            pixels = fit_longer_side(pixels, LONGER_SIDE)
        if min(pixels.shape[:2]) < SHORTER_SIDE:
            raise ValueError(
                f"{path}: too narrow; at a longer side of at most {LONGER_SIDE} the "
                f"shorter one needs {SHORTER_SIDE} pixels"
            )
        yield pixels
