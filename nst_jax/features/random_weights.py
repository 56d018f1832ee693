"""Random VGG weights: no download; for tests and timing."""

import hashlib

import numpy as np

from nst_jax.features.layout import BLOCK_CHANNELS, block, layer_names, up_to_deepest
from nst_jax.features.weights import Weights


def random_weights(
    layout: str, *, seed: int, width: float = 1.0, deepest: str | None = None
) -> Weights:
    """Weights drawn from He's normal distribution, the same for the same seed.

    The standard deviation is ``sqrt(2 / (9 in))``, which keeps the variance from
    layer to layer after a ReLU; biases are zero (He et al. 2015, arXiv 1502.01852,
    eq. 10).

    Args:
        layout: "vgg16" or "vgg19".
        seed: seed of NumPy's default generator.
        width: channels relative to the published network; at least one is kept.
        deepest: the last layer to make; the layout's last if None.

    Raises:
        ValueError: if the layout or the layer is unknown, or the width is not
            positive.
    """
    if not width > 0:
        raise ValueError(f"width must be positive, not {width}")
    names = up_to_deepest(layout, {deepest or layer_names(layout)[-1]})
    rng = np.random.default_rng(seed)
    digest = hashlib.sha256()
    params, channels = {}, 3
    for layer in names:
        out = max(1, round(BLOCK_CHANNELS[block(layer) - 1] * width))
        kernel = rng.standard_normal((3, 3, channels, out), np.float32)
        kernel *= np.float32(np.sqrt(2 / (9 * channels)))
        bias = np.zeros(out, np.float32)
        params[layer] = {"kernel": kernel, "bias": bias}
        digest.update(kernel.tobytes() + bias.tobytes())
        channels = out
    name = f"{layout} random (He, seed {seed})"
    return Weights(params, name=name, source="random", sha256=digest.hexdigest())
