"""A VGG network in plain NumPy: slow, and short enough to be checked by eye.

It shares no code with the network it is compared to, but for the order of the layers.
"""

import numpy as np

from nst_jax.features.weights import Weights


def forward(
    weights: Weights, picture: np.ndarray, *, pooling: str = "avg"
) -> dict[str, np.ndarray]:
    """Rectified responses of every layer, with zero padding, in float64.

    Args:
        weights: the network.
        picture: ``(h, w, 3)`` in [0, 1].
        pooling: "avg" or "max", 2 x 2; an odd last row or column is dropped.

    Returns:
        ``layer -> (h', w', channels)``.
    """
    convention = weights.input
    channels = ["RGB".index(channel) for channel in convention.channel_order]
    x = np.asarray(picture, np.float64)[:, :, channels]
    x = (x - convention.mean) * convention.scale
    responses, previous_block = {}, "1"
    for layer, arrays in weights.params.items():
        current_block = layer.removeprefix("conv").split("_")[0]
        if current_block != previous_block:
            x = _pool(x, pooling)
        x = np.maximum(_convolve(x, arrays["kernel"]) + arrays["bias"], 0)
        responses[layer], previous_block = x, current_block
    return responses


def _convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Sum over the nine taps of the shifted picture times the tap's matrix."""
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    result = np.zeros((height, width, kernel.shape[3]))
    for i in range(3):
        for j in range(3):
            shifted = padded[i : i + height, j : j + width]
            result += shifted @ kernel[i, j].astype(np.float64)
    return result


def _pool(x: np.ndarray, pooling: str) -> np.ndarray:
    height, width, channels = x.shape[0] // 2, x.shape[1] // 2, x.shape[2]
    x = x[: 2 * height, : 2 * width]
    windows = x.reshape(height, 2, width, 2, channels)
    return windows.mean((1, 3)) if pooling == "avg" else windows.max((1, 3))
