"""Figures of the pages: pictures in a grid, curves."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from nst_jax.images.encode import to_uint8

WIDTH = 780  # pixels of a figure
GAP, LETTERS = 6, 13

Tile = tuple[str, np.ndarray]  # a label and a picture (h, w, 3) in [0, 1]


def grid(rows: Sequence[Sequence[Tile]], *, width: int = WIDTH) -> Image.Image:
    """Pictures in rows, each with its label above; a picture of a wide page.

    All get one width, and none is enlarged beyond twice its size.
    """
    columns = max(len(row) for row in rows)
    largest = max(tile.shape[1] for row in rows for _, tile in row)
    cell = min((width - GAP) // columns - GAP, 2 * largest)
    head = round(LETTERS * 1.6)
    heights = [max(_height(tile, cell) for _, tile in row) for row in rows]
    page = Image.new(
        "RGB",
        (
            GAP + columns * (cell + GAP),
            GAP + sum(height + head + GAP for height in heights),
        ),
        "white",
    )
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=LETTERS)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, (label, tile) in enumerate(row):
            left = GAP + column * (cell + GAP)
            draw.text((left, top), label, fill="black", font=font)
            page.paste(_sized(tile, cell), (left, top + head))
        top += height + head + GAP
    return page


def strip(tiles: Sequence[Tile], *, columns: int = 3) -> Image.Image:
    """Pictures one after the other, so many in a row."""
    return grid([tiles[i : i + columns] for i in range(0, len(tiles), columns)])


def curves(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: str = "evaluations",
    y: str = "objective",
) -> Image.Image:
    """Lines of (x, y) by name, y on a logarithmic scale."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    _lines(axes, lines)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return _drawn(figure)


def two_curves(
    left: Mapping[str, Sequence[tuple[float, float]]],
    right: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: tuple[str, str],
    y: str = "objective",
) -> Image.Image:
    """Two such plots side by side."""
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    for axes, lines, name in zip(figure.subplots(1, 2), (left, right), x, strict=True):
        _lines(axes, lines)
        axes.set_xlabel(name)
        axes.set_ylabel(y)
    return _drawn(figure)


def _lines(axes: Axes, lines: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    for name, points in lines.items():
        shown = [(at, value) for at, value in points if value > 0]
        if shown:  # a logarithm has no zero
            axes.plot(*zip(*shown, strict=True), label=name, linewidth=1.3)
    axes.set_yscale("log")
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize="small")


def _drawn(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return Image.open(buffer).convert("RGB")


def _height(tile: np.ndarray, cell: int) -> int:
    return round(tile.shape[0] * cell / tile.shape[1])


def _sized(tile: np.ndarray, cell: int) -> Image.Image:
    picture = Image.fromarray(to_uint8(np.asarray(tile, np.float32)))
    return picture.resize((cell, _height(tile, cell)), Image.Resampling.LANCZOS)
