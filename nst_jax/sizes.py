"""Pictures and masks at the sizes of a run, each made once."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from nst_jax.colours import Recolour
from nst_jax.config import Config
from nst_jax.features.layout import block, up_to_deepest
from nst_jax.features.vgg import Network
from nst_jax.images.io import Picture
from nst_jax.images.matting import matting_laplacian, stencil
from nst_jax.images.resize import resize, size_for_longer_side
from nst_jax.inputs import styles_of
from nst_jax.modes.multiscale import Scale
from nst_jax.objective.regions import Regions
from nst_jax.regions import (
    RegionMasks,
    read_regions,
    regions_at,
    style_guides_at,
    vanished,
)
from nst_jax.resolve import Layout, wanted_layers
from nst_jax.styles import Sides, style_sides
from nst_jax.types import Image, Stencil

Shape = tuple[int, ...]


def sides_at(
    config: Config, content: Shape, styles: Sequence[Shape], size: int
) -> tuple[Sides, list[Sides]]:
    """Height and width of content and style pictures at a size; see ``Sizer``."""
    own = content_sides(config, content, size)
    return own, style_sides(styles_of(config), styles, own)


def content_sides(config: Config, content: Shape, size: int) -> Sides:
    """Height and width of the result at a size.

    With ``tileable`` the sides are rounded to what every pooling divides without a
    rest: a row that is dropped would be a seam.
    """
    height, width = size_for_longer_side(content[0], content[1], size)
    if not config.tileable:
        return height, width
    layers = wanted_layers(config)
    step = 2 ** (block(up_to_deepest(config.network.name or "vgg19", layers)[-1]) - 1)
    return (
        max(1, round(height / step)) * step,
        max(1, round(width / step)) * step,
    )


def check_side(
    name: str,
    shape: Sides,
    layout: Layout,
    config: Config,
    size: int,
    *,
    scale: float = 1.0,
) -> None:
    """Refuse a picture of which nothing would be left at the deepest layer.

    Args:
        name: of the picture.
        shape: its height and width at the size.
        layout: of the network.
        config: as loaded; its layers, padding and size count.
        size: of the scale.
        scale: of the style.

    Raises:
        ValueError: as it says.
    """
    deepest = up_to_deepest(layout.name, wanted_layers(config))[-1]
    # Reflection needs two positions to reflect.
    positions = 2 if config.network.padding == "reflect" else 1
    least = positions * 2 ** (block(deepest) - 1)
    height, width = shape[:2]
    if min(height, width) < least:
        of_scales = size != config.size
        raise ValueError(
            f"the {name} picture is {width} x {height} at "
            f"{f'scale {size} of scales' if of_scales else f'size {size}'}"
            f"{f' and style scale {scale:g}' if scale != 1 else ''}; "
            f"{deepest} needs at least {least} pixels on each side: choose "
            f"{'a larger first scale' if of_scales else 'a larger size'}"
            f"{' or style scale' if scale < 1 else ''}"
        )


class Sizer:
    """Pictures at the sizes of the scales, as arrays on the device, each made once.

    ``recolour`` gives them the run's colours before.

    The content gets the longer side that is asked for, a style the content's area times
    the square of its scale. The style picture keeps its own shape, as in the authors'
    code; the paper says "the same size".
    """

    def __init__(self) -> None:
        self.recolour = Recolour()
        # The pictures are kept, too: an id is theirs only while they are there.
        self._known: dict[tuple, tuple[Picture, Image]] = {}
        self._mattings: dict[tuple, tuple[Picture, Stencil]] = {}
        self._masks: dict[tuple, tuple[Any, RegionMasks | None]] = {}
        self._guides: dict[tuple, tuple[Any, tuple[Regions, list]]] = {}

    def fit(self, picture: Picture, sides: Sides) -> Image:
        """A picture with that height and width."""
        key = id(picture), *sides
        if key not in self._known:
            self._known[key] = picture, jnp.asarray(resize(picture.pixels, *sides))
        return self._known[key][1]

    def matting(self, picture: Picture, sides: Sides) -> Stencil:
        """The matting Laplacian of ``fit``."""
        key = id(picture), *sides
        if key not in self._mattings:
            laplacian = matting_laplacian(np.asarray(self.fit(picture, sides)))
            made = jnp.asarray(stencil(laplacian, *sides))
            self._mattings[key] = picture, made
        return self._mattings[key][1]

    def masks(
        self, config: Config, content: Picture, styles: Sequence[Picture]
    ) -> RegionMasks | None:
        """``read_regions``, once for all runs of the same pictures."""
        key = (content, *styles), repr((config.regions, styles_of(config)))
        key = (*map(id, key[0]), key[1])
        if key not in self._masks:
            masks = read_regions(config, content, styles)
            self._masks[key] = (content, *styles), masks
        return self._masks[key][1]

    def guides(
        self,
        masks: RegionMasks,
        config: Config,
        sizes: tuple[Sides, list[Sides]],
        layers: tuple[str, ...],
    ) -> tuple[Regions, list]:
        """Regions of the content and guides of the styles, at height and width."""
        own, others = sizes
        key = id(masks), config.regions.mode, own, *others, layers
        if key not in self._guides:
            made = (
                regions_at(masks, config, own, layers),
                style_guides_at(masks, config, others, layers),
            )
            self._guides[key] = masks, made
        return self._guides[key][1]


def with_regions(
    scale: Scale,
    masks: RegionMasks,
    config: Config,
    sizes: tuple[Sides, list[Sides]],
    network: Network,
    sizer: Sizer,
) -> tuple[Scale, list[str]]:
    """The scale with its regions, and notes on regions that vanish at some layers.

    Args:
        scale: without regions.
        masks: of the regions.
        config: resolved.
        sizes: height and width of the content, and of each style.
        network: whose layers may be looked at.
        sizer: one for all runs whose arrays are to be shared.
    """
    regions, guides = sizer.guides(masks, config, sizes, network.layers)
    counting = [layer for layer in network.layers if layer in scale.weights.style]
    notes = vanished(masks.names, regions, guides, counting)
    styles = tuple(
        style._replace(guides=own)
        for style, own in zip(scale.styles, guides, strict=True)
    )
    return scale._replace(styles=styles, regions=regions), notes


def size_notes(config: Config, shape: Shape, sides: Sides) -> list[str]:
    """A note if the sides are not those that were asked for; see ``content_sides``."""
    height, width = size_for_longer_side(shape[0], shape[1], config.size)
    if (height, width) == sides:
        return []
    return [
        f"tileable: {width} x {height} became {sides[1]} x {sides[0]}, which every "
        "pooling divides"
    ]
