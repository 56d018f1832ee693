"""Check a weights file: its hash, its values, and what the network makes of them."""

import os
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import POOLINGS, Weights, read
from weights_convert.formats import origin_of
from weights_convert.numpy_forward import forward

TOLERANCE = 1e-4
PICTURE_SHAPE = (32, 48, 3)


class Report(NamedTuple):
    """What ``verify`` found; it raises where something is wrong.

    Attributes:
        name: the weights' name.
        rounding: how many bits or values the kernels have.
        source_checked: whether a source file was given and has the recorded hash.
        differences: ``pooling -> layer -> `` largest difference between this
            project's network and the NumPy one, relative to the largest response.
    """

    name: str
    rounding: str
    source_checked: bool
    differences: dict[str, dict[str, float]]

    @property
    def largest(self) -> float:
        """Largest of all differences."""
        return max(max(layers.values()) for layers in self.differences.values())


def verify(
    path: str | os.PathLike,
    source: str | os.PathLike | None = None,
    *,
    tolerance: float = TOLERANCE,
) -> Report:
    """Check a weights file of this project.

    Args:
        path: the file.
        source: the file it was converted from, to compare the recorded SHA-256 with.
        tolerance: largest relative difference allowed between the network and a
            plain NumPy computation, on a small random picture.

    Raises:
        ValueError: if the file is damaged, the hash differs, or responses differ; the
            message lists the layers.
    """
    weights = read(path)
    if source is not None:
        _check_hash(weights, source, str(path))
    differences = {pooling: compare(weights, pooling) for pooling in POOLINGS}
    wrong = [
        f"{layer} ({pooling} pooling, {difference:.1e})"
        for pooling, layers in differences.items()
        for layer, difference in layers.items()
        if not difference <= tolerance
    ]
    if wrong:
        raise ValueError(
            f"{path}: responses differ from plain NumPy by more than {tolerance:g} in "
            f"{', '.join(wrong)}"
        )
    return Report(weights.name, rounding(weights), source is not None, differences)


def compare(weights: Weights, pooling: str) -> dict[str, float]:
    """Largest relative difference of each layer between the two networks."""
    picture = np.random.default_rng(0).random(PICTURE_SHAPE, np.float32)
    network = network_of(weights, pooling=pooling, precision="float32")  # pyright: ignore[reportArgumentType]
    ours = network(device_params(weights), jnp.asarray(picture), network.layers)
    plain = forward(weights, picture, pooling=pooling)
    return {layer: _relative(np.asarray(ours[layer]), plain[layer]) for layer in plain}


def rounding(weights: Weights) -> str:
    """What the kernels are rounded to, such as "kernels in 8 bits"."""
    if weights.tables:
        most = max(table.size for table in weights.tables.values())
        which = "kernels"
        if set(weights.tables) != set(weights.params):
            which = f"{len(weights.tables)} of {len(weights.params)} kernels"
        return f"{which} in 8 bits, {most} values per layer"
    kernels = [arrays["kernel"] for arrays in weights.params.values()]
    with np.errstate(over="ignore"):
        half = all(np.array_equal(k, k.astype(np.float16)) for k in kernels)
    return f"kernels in {16 if half else 32} bits"


def _relative(given: np.ndarray, expected: np.ndarray) -> float:
    largest = np.abs(expected).max()
    difference = np.abs(given - expected).max()
    return float(difference / largest if largest > 0 else difference)


def _check_hash(weights: Weights, source: str | os.PathLike, where: str) -> None:
    if (actual := origin_of(source).sha256) != weights.sha256:
        raise ValueError(
            f"{where}: was not converted from {source}: its SHA-256 is {actual}, the "
            f"recorded one is {weights.sha256 or 'empty'}"
        )
