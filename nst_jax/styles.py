"""Styles at the size of a run: scaled, checked, weighted."""

from collections.abc import Sequence

from nst_jax.config import Config, StyleConfig
from nst_jax.images.resize import size_for_area
from nst_jax.inputs import styles_of
from nst_jax.objective.targets import Style
from nst_jax.types import Image

Sides = tuple[int, int]


def style_sides(
    styles: Sequence[StyleConfig], shapes: Sequence[tuple[int, ...]], content: Sides
) -> list[Sides]:
    """Height and width of the styles: the content's area times their scales' squares.

    Args:
        styles: of ``styles_of``.
        shapes: of their pictures, (h, w, ...).
        content: height and width of the content at the same size.
    """
    height, width = content
    return [
        size_for_area(shape[0], shape[1], area(style, height * width))
        for style, shape in zip(styles, shapes, strict=True)
    ]


def area(style: StyleConfig, positions: int) -> int:
    """Pixels of a style, where the content has so many."""
    return max(1, round(positions * style.scale**2))


def weighted(config: Config, pictures: Sequence[Image]) -> tuple[Style, ...]:
    """The pictures with the weights and layers of the config's styles."""
    return tuple(
        Style(picture, style.weight, style.layers)
        for style, picture in zip(styles_of(config), pictures, strict=True)
    )


def check_style_layers(config: Config) -> None:
    """Refuse styles that leave a layer without any, or have layers that do not count.

    Args:
        config: resolved, so that ``style_layers`` are a mapping.

    Raises:
        ValueError: naming the layer.
    """
    counting = config.objective.style_layers
    assert isinstance(counting, dict)
    names = ", ".join(counting)
    for number, style in enumerate(config.styles or (), start=1):
        for layer in style.layers or ():
            if layer not in counting:
                raise ValueError(
                    f"styles: style {number} has the layer {layer}, which is none of "
                    f"objective.style_layers: {names}"
                )
    for layer, weight in counting.items():
        if weight > 0 and not any(
            style.weight > 0 and (style.layers is None or layer in style.layers)
            for style in styles_of(config)
        ):
            raise ValueError(
                f"styles: none has a part in the style layer {layer}: give one of them "
                "that layer, or leave it out of objective.style_layers"
            )
