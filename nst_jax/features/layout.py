"""The VGG networks as tables: names and order of their convolutions.

Source: Simonyan and Zisserman 2015 (arXiv 1409.1556), table 1, columns D and E.
"""

# Convolutions per block; a 2 x 2 pooling of stride 2 follows each block.
LAYOUTS: dict[str, tuple[int, ...]] = {
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
# Channels of each block's convolutions at full width.
BLOCK_CHANNELS = (64, 128, 256, 512, 512)


def layer_names(layout: str) -> tuple[str, ...]:
    """Names of all convolutions, shallowest first: conv1_1, conv1_2, conv2_1, ...

    Raises:
        ValueError: if the layout is unknown.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown network {layout!r}; known are {', '.join(LAYOUTS)}")
    return tuple(
        f"conv{block}_{index}"
        for block, count in enumerate(LAYOUTS[layout], start=1)
        for index in range(1, count + 1)
    )


def up_to_deepest(layout: str, wanted: set[str] | frozenset[str]) -> tuple[str, ...]:
    """The layers that must run so that all of ``wanted`` are computed.

    Raises:
        ValueError: if a wanted layer does not exist in the layout.
    """
    names = layer_names(layout)
    if unknown := sorted(wanted - set(names)):
        raise ValueError(
            f"unknown layer {', '.join(unknown)}; {layout} has {', '.join(names)}"
        )
    if not wanted:
        return ()
    return names[: max(names.index(layer) for layer in wanted) + 1]


def block(layer: str) -> int:
    """Block number of a layer, from 1: ``block("conv4_2") == 4``."""
    return int(layer.removeprefix("conv").split("_")[0])
