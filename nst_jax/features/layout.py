"""The VGG networks as tables: names and order of their convolutions.

Source: Simonyan and Zisserman 2015 (arXiv 1409.1556), table 1, columns D and E.
"""

from collections.abc import Iterable, Mapping

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


def layout_of(layers: Mapping | Iterable[str], *, where: str = "weights") -> str:
    """Name of the VGG layout whose first layers these are ("vgg16" or "vgg19").

    Layers that are the front of both (up to conv3_3) count as VGG-19.

    Raises:
        ValueError: if they are the front of neither; lists missing and extra.
    """
    given = in_order(layers)
    for name in ("vgg19", "vgg16"):
        if given and given == list(layer_names(name))[: len(given)]:
            return name
    full = layer_names("vgg19")
    known = [layer for layer in full if layer in given]
    deepest = full.index(known[-1]) + 1 if known else len(full)
    missing = [layer for layer in full[:deepest] if layer not in given]
    extra = [layer for layer in given if layer not in full]
    raise ValueError(
        f"{where}: these layers are the front of no known layout "
        f"({', '.join(LAYOUTS)}): missing {missing or 'none'}, extra {extra or 'none'}"
    )


def in_order(layers: Iterable[str]) -> list[str]:
    """Layer names from the shallowest to the deepest (conv2_1 before conv10_1)."""

    def position(layer: str) -> tuple[int, ...]:
        numbers = layer.removeprefix("conv").split("_")
        return tuple(int(n) if n.isdigit() else 99 for n in numbers)

    return sorted(layers, key=position)
