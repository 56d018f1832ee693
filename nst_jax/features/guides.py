"""Regions of a picture as guides: how far each position of a layer belongs to them.

The three ways of Gatys et al. 2017 ("Controlling Perceptual Factors in Neural Style
Transfer", section 4). Departure: the authors find the receptive fields of "inside" and
"all" by sending noise through the network, and move the edges by a few pixels. Here
they follow from the layers alone: through a convolution the least (or largest) value
of a 3 x 3 window goes on, through a pooling that of a 2 x 2 window. A chain of these is
exact, for soft edges too.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Literal, get_args

import numpy as np
from scipy import ndimage

from nst_jax.features.layout import block, up_to_deepest

Mode = Literal["simple", "inside", "all"]


def layer_guides(
    masks: np.ndarray,
    layers: Iterable[str],
    *,
    layout: str,
    mode: Mode = "simple",
    circular: bool = False,
) -> dict[str, np.ndarray]:
    """Guides ``layer -> (regions, h', w')`` of masks ``(regions, h, w)`` in [0, 1].

    Args:
        masks: of a picture of that size.
        layers: names of convolutions.
        layout: "vgg16" or "vgg19".
        mode: "simple": the mean of the mask over the pixels that a position stands
            for, whatever its receptive field sees besides; "inside": the mask's least
            value in the receptive field, so that a position counts only if all it sees
            is of the region; "all": the largest value there. What lies beyond the
            border of the picture does not count.
        circular: whether the network sees the opposite edge beyond a border.

    Raises:
        ValueError: for an unknown mode or layer.
    """
    if mode not in get_args(Mode):
        raise ValueError(
            f"unknown mode {mode!r}; known are {', '.join(get_args(Mode))}"
        )
    wanted = frozenset(layers)
    running = up_to_deepest(layout, wanted)
    x, found = np.asarray(masks, np.float32), {}
    blocks = [tuple(names) for _, names in groupby(running, block)]
    for number, names in enumerate(blocks):
        for layer in names:
            x = _through_convolution(x, mode, circular)
            if layer in wanted:
                found[layer] = x
        if number < len(blocks) - 1:
            x = _through_pooling(x, mode)
    return found


def _through_convolution(x: np.ndarray, mode: Mode, circular: bool) -> np.ndarray:
    if mode == "simple":
        return x
    window = ndimage.minimum_filter if mode == "inside" else ndimage.maximum_filter
    # "nearest" repeats the border's values, which are in the window already.
    return window(x, size=(1, 3, 3), mode="wrap" if circular else "nearest")


def _through_pooling(x: np.ndarray, mode: Mode) -> np.ndarray:
    h, w = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    corners = np.stack([x[:, i:h:2, j:w:2] for i in (0, 1) for j in (0, 1)])
    return {"simple": np.mean, "inside": np.min, "all": np.max}[mode](corners, axis=0)
