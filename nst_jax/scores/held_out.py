"""At which layers a result is judged: those that its run did not look at."""

from collections.abc import Collection

from nst_jax.features.layout import block

# One of each block. Style losses of the papers look at the first layer of a block and
# content losses at conv4_2; these are elsewhere, and as deep as style goes.
HELD_OUT = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_2")
CONTENT_BLOCKS = (4, 5)  # where a network knows things rather than their texture


def held_out(optimised: Collection[str], there: Collection[str]) -> tuple[str, ...]:
    """One layer of each block that was not optimised, shallowest first.

    It is the one of ``HELD_OUT``, or else the nearest in its block, of two as near the
    shallower one. A block of which all was optimised has none.

    Args:
        optimised: names of layers to leave out.
        there: names of the network's layers.
    """
    free = [layer for layer in there if layer not in optimised]
    chosen = []
    for wanted in HELD_OUT:
        same = [layer for layer in free if block(layer) == block(wanted)]
        if same:
            chosen.append(min(same, key=lambda x: (abs(_place(x) - _place(wanted)), x)))
    return tuple(chosen)


def for_content(layers: Collection[str]) -> tuple[str, ...]:
    """Those of the layers by which content is judged: deep ones, else the deepest."""
    deep = tuple(layer for layer in layers if block(layer) in CONTENT_BLOCKS)
    return deep or tuple(layers)[-1:]


def _place(layer: str) -> int:
    """Number of a layer in its block: 2 of conv4_2."""
    return int(layer.rpartition("_")[2])
