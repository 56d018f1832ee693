"""sheet.png: the pictures of a sweep side by side, labelled with their settings."""

import bisect
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nst_jax.images.encode import to_uint8
from nst_jax.outputs.files import write_bytes
from nst_jax.outputs.lanes import LaneResult, in_order, pixels_of, thumbnail, trouble
from nst_jax.outputs.sheet_pages import Grid, Page, pages

LARGEST_SHEET = 4000  # pixels of a side
LARGEST_CELL, SMALLEST_CELL = 320, 24
LARGEST_FONT, SMALLEST_FONT, SMALLEST_BOLD = 60, 11, 8
FONT_OF_SHEET, FONT_OF_CELL = 0.018, 0.15  # letters' height
MOST_LINES, LONGEST_LABEL = 5, 120  # lines and letters of a label
PAPER, INK, NOTHING, RED = "#ffffff", "#151515", "#e6e6e6", "#b3001b"


class Block(NamedTuple):
    """Labels that share a font: their lines, and how large they are in pixels."""

    texts: list[str]
    font: ImageFont.FreeTypeFont
    width: int
    height: int


class Layout(NamedTuple):
    """How large everything is, in pixels."""

    cell: int
    gap: int
    title: Block
    axis_names: ImageFont.FreeTypeFont
    row_labels: Block
    column_labels: Block
    captions: Block
    left: int
    top: int
    below: int


def sheets(
    lanes: Sequence[LaneResult], folder: Path, *, grid: Grid | None = None
) -> dict[str, bytes]:
    """PNG files by name: ``sheet.png``, or ``sheet_1.png`` and so on.

    Args:
        lanes: in any order.
        folder: of the sweep; pictures that are not at hand are read from there.
        grid: of a grid, axis name -> all its labels in order. The first two axes with
            several labels are rows and columns, each combination of the others is a
            sheet. None: the lanes are wrapped, their settings below them.

    Raises:
        ValueError: if there are no lanes, or one does not fit into the grid.
    """
    found = pages(in_order(lanes), grid)
    if len(found) == 1:
        return {"sheet.png": _draw(found[0], folder)}
    digits = len(str(len(found)))
    return {
        f"sheet_{number:0{digits}d}.png": _draw(page, folder)
        for number, page in enumerate(found, 1)
    }


def write_sheets(
    lanes: Sequence[LaneResult], folder: Path, *, grid: Grid | None = None
) -> list[Path]:
    """Write what ``sheets`` gives into the sweep's folder; returns the paths.

    Raises:
        ValueError: as ``sheets``, or naming a file that cannot be written.
    """
    files = sheets(lanes, folder, grid=grid)
    for name, data in files.items():
        write_bytes(folder / name, data)
    return [folder / name for name in files]


# --- layout ----------------------------------------------------------------------


def _layout(page: Page) -> Layout:
    """The largest cells with which the sheet stays within ``LARGEST_SHEET``."""
    rows, columns = len(page.cells), len(page.cells[0])
    cells = range(SMALLEST_CELL, LARGEST_CELL + 1, 8)

    def side(cell: int) -> int:
        return max(_size(_layout_of(page, cell), rows, columns, cell, cell))

    fitting = bisect.bisect_right(cells, LARGEST_SHEET, key=side)
    return _layout_of(page, cells[max(fitting - 1, 0)])


def _layout_of(page: Page, cell: int) -> Layout:
    rows, columns = len(page.cells), len(page.cells[0])
    wished = min(FONT_OF_SHEET * max(rows, columns) * cell, FONT_OF_CELL * cell)
    size = int(np.clip(wished, SMALLEST_FONT, LARGEST_FONT))
    row_labels = _block(page.rows[1] if page.rows else [], size, max(cell, 9 * size))
    column_labels = _block(page.columns[1] if page.columns else [], size, cell)
    captions = _block([t for row in page.captions for t in row], size, cell)
    title = _block([page.title] if page.title else [], size, columns * cell)
    gap, line = max(3, cell // 40), round(1.5 * size)
    left = gap + (row_labels.width + line + 4 * gap if page.rows else 0)
    top = gap + (title.height + 2 * gap if page.title else 0)
    if page.columns:
        top += line + column_labels.height + 2 * gap
    below = captions.height + 2 * gap if page.captions else 0
    names = _font(size, bold=True)
    return Layout(
        cell, gap, title, names, row_labels, column_labels, captions, left, top, below
    )


def _size(
    layout: Layout, rows: int, columns: int, width: int, height: int
) -> tuple[int, int]:
    """Width and height of the sheet with cells of this width and height."""
    return (
        layout.left + columns * (width + layout.gap),
        layout.top + rows * (height + layout.gap + layout.below),
    )


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(path, size)


def _block(texts: Sequence[str], size: int, width: int) -> Block:
    """Labels wrapped to a width, in the largest font that leaves words whole."""
    for part in (1.0, 0.85, 0.7, 0.6):
        font = _font(max(SMALLEST_FONT, round(part * size)))
        wrapped = [_wrap(text, font, width) for text in texts]
        if all(fits for _, fits in wrapped):
            break
    lines = [lines for lines, _ in wrapped]
    widest = max((font.getlength(x) for line in lines for x in line), default=0)
    most = max(map(len, lines), default=0)
    return Block(
        ["\n".join(line) for line in lines],
        font,
        int(widest) + 1,
        round(1.25 * font.size * most),
    )


def _wrap(
    text: str, font: ImageFont.FreeTypeFont, width: int
) -> tuple[list[str], bool]:
    """Lines of a text, and whether it is all there with no word broken."""
    lines: list[str] = []
    whole = len(text) <= LONGEST_LABEL
    for paragraph in text[:LONGEST_LABEL].splitlines():
        line = ""
        for word in paragraph.split():
            joined = f"{line} {word}".lstrip()
            if font.getlength(joined) <= width:
                line = joined
                continue
            lines += [line] if line else []
            while font.getlength(word) > width and len(word) > 1:
                whole = False
                most = _fitting(word, font, width)
                lines.append(word[:most])
                word = word[most:]
            line = word
        lines.append(line)
    if len(lines) > MOST_LINES or len(text) > LONGEST_LABEL:
        lines = lines[:MOST_LINES]
        return [*lines[:-1], lines[-1][:-1] + "…"], False
    return lines, whole


def _fitting(word: str, font: ImageFont.FreeTypeFont, width: int) -> int:
    """How many letters fit, at least one."""
    lengths = range(1, len(word))
    shorter = bisect.bisect_right(
        lengths, width, key=lambda n: font.getlength(word[:n])
    )
    return max(shorter, 1)


# --- drawing ---------------------------------------------------------------------


def _draw(page: Page, folder: Path) -> bytes:
    layout = _layout(page)
    shown = [[_shown(lane, folder, layout.cell) for lane in row] for row in page.cells]
    shapes = [x.shape for row in shown for x in row if x is not None]
    # Cells are as large as the pictures need, and square if there are none.
    height = max((shape[0] for shape in shapes), default=layout.cell)
    width = max((shape[1] for shape in shapes), default=layout.cell)
    size = _size(layout, len(shown), len(shown[0]), width, height)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    _letter(draw, page, layout, width, height)
    for row, pictures in enumerate(shown):
        for column, picture in enumerate(pictures):
            x, y = _corner(layout, row, column, width, height)
            box = (x, y, x + width, y + height)
            _paint(sheet, draw, box, picture, page.cells[row][column])
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _corner(layout: Layout, row: int, column: int, width: int, height: int):
    return (
        layout.left + column * (width + layout.gap),
        layout.top + row * (height + layout.gap + layout.below),
    )


def _shown(lane: LaneResult | None, folder: Path, cell: int) -> np.ndarray | None:
    """The lane's picture at its size on the sheet, uint8."""
    pixels = None if lane is None else pixels_of(lane, folder)
    if pixels is None:
        return None
    # Small pictures are enlarged by whole factors: they stay crisp.
    factor = max(1, cell // max(pixels.shape[:2]))
    small = to_uint8(thumbnail(pixels, cell))
    return small.repeat(factor, axis=0).repeat(factor, axis=1)


def _letter(
    draw: ImageDraw.ImageDraw, page: Page, layout: Layout, width: int, height: int
) -> None:
    """Title, axis names, labels and captions."""
    gap, line = layout.gap, round(1.5 * layout.axis_names.size)
    step_x, step_y = width + gap, height + gap + layout.below
    rows, columns = len(page.cells), len(page.cells[0])
    middle = layout.left + (columns * step_x - gap) // 2
    for text in layout.title.texts:
        _text(draw, (middle, gap), text, layout.title.font, "ma")
    if page.columns:
        y = layout.top - 2 * gap - layout.column_labels.height
        font = _font_for(page.columns[0], columns * step_x, layout.axis_names.size)
        _text(draw, (middle, y - line), page.columns[0], font, "ma")
        for column, text in enumerate(layout.column_labels.texts):
            x = layout.left + column * step_x + width // 2
            _text(draw, (x, layout.top - gap), text, layout.column_labels.font, "md")
    if page.rows:
        down = layout.top + (rows * step_y - gap) // 2
        font = _font_for(page.rows[0], rows * step_y, layout.axis_names.size)
        _upwards(draw, (gap + line // 2, down), page.rows[0], font)
        for row, text in enumerate(layout.row_labels.texts):
            y = layout.top + row * step_y + height // 2
            _text(draw, (layout.left - 2 * gap, y), text, layout.row_labels.font, "rm")
    captions = iter(layout.captions.texts)
    for row, texts in enumerate(page.captions):
        for column in range(len(texts)):
            x, y = _corner(layout, row, column, width, height)
            place = (x + width // 2, y + height + gap)
            _text(draw, place, next(captions), layout.captions.font, "ma")


def _text(draw: ImageDraw.ImageDraw, place, text: str, font, anchor: str) -> None:
    align = "right" if anchor[0] == "r" else "center"
    spacing = 0.15 * font.size
    draw.multiline_text(
        place, text, INK, font, anchor=anchor, align=align, spacing=spacing
    )


def _upwards(draw: ImageDraw.ImageDraw, middle, text: str, font) -> None:
    """A line of text turned to read from below, centred on a point."""
    box = font.getbbox(text)
    line = Image.new("L", (int(box[2]) + 2, int(box[3]) + 2), 0)
    ImageDraw.Draw(line).text((1, 1), text, 255, font)
    line = line.rotate(90, expand=True)
    corner = (middle[0] - line.width // 2, middle[1] - line.height // 2)
    draw.bitmap(corner, line, INK)


def _paint(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    picture: np.ndarray | None,
    lane: LaneResult | None,
) -> None:
    """One cell: the picture in its middle, and what is wrong with the lane if so."""
    left, top, right, bottom = box
    wrong = "missing" if lane is None else trouble(lane)
    if picture is None:
        _hatch(sheet, box)
        wrong = wrong or "no picture"
    else:
        x = left + (right - left - picture.shape[1]) // 2
        y = top + (bottom - top - picture.shape[0]) // 2
        sheet.paste(Image.fromarray(picture), (x, y))
    if wrong is None:
        return
    thick = max(2, (right - left) // 60)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=RED, width=thick)
    width = right - left - 4 * thick
    font = _font_for(wrong, width, 0.14 * width)
    band = round(1.5 * font.size)
    y = (top + bottom - band) // 2 if picture is None else bottom - band
    draw.rectangle((left, y, right - 1, y + band - 1), fill=RED)
    draw.text(((left + right) / 2, y + band / 2), wrong, PAPER, font, anchor="mm")


def _font_for(text: str, width: int, largest: float) -> ImageFont.FreeTypeFont:
    """The largest bold font in which a line fits."""
    for size in range(round(largest), SMALLEST_BOLD, -1):
        if _font(size, bold=True).getlength(text) <= width:
            return _font(size, bold=True)
    return _font(SMALLEST_BOLD, bold=True)


def _hatch(sheet: Image.Image, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    y, x = np.mgrid[: bottom - top, : right - left]
    period = max(6, (right - left) // 16)
    stripes = ((x + y) // period) % 2 == 0
    tone = np.where(stripes, 0xE6, 0xF4).astype(np.uint8)
    sheet.paste(Image.fromarray(np.repeat(tone[..., None], 3, axis=2)), (left, top))
