"""report.html: a sweep in one file that works offline.

A sortable table with thumbnails, the curves of the losses, the settings. The page asks
for nothing but the lanes' own pictures beside it, and shows thumbnails without them.
"""

import base64
import hashlib
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from nst_jax.images.encode import to_uint8
from nst_jax.outputs.lanes import (
    LaneResult,
    axes_of,
    in_order,
    name_of,
    pixels_of,
    thumbnail,
    trouble,
)
from nst_jax.outputs.table import (
    axis_columns,
    layer_columns,
    score_columns,
    term_columns,
)

THUMBNAIL = 200  # pixels of the longer side
JPEG_QUALITY = 80
CURVE_POINTS = 150
CURVE_DIGITS = 5
CURVES = ("iteration", "total", "content", "style")


def report(
    lanes: Sequence[LaneResult],
    folder: Path,
    *,
    title: str = "Sweep",
    settings: str = "",
    facts: Mapping[str, str] | None = None,
    files: Sequence[str] = (),
) -> str:
    """The page as text.

    Args:
        lanes: in any order.
        folder: of the sweep; pictures that are not at hand are read from there.
        title: heading of the page.
        settings: the sweep's settings, shown as they are (YAML).
        facts: what else is to be known, name -> text: device, weights, versions.
        files: names of other files of the sweep to link to: "sheet.png".

    Raises:
        ValueError: if there are no lanes or they do not fit together.
    """
    lanes = in_order(lanes)
    axes = axes_of(lanes)
    data = {
        "axes": [
            {"name": name, "column": column, "labels": labels}
            for column, (name, labels) in zip(
                axis_columns(lanes), axes.items(), strict=True
            )
        ],
        "terms": [
            name
            for name in term_columns(lanes)
            if name != "tv" or any(lane.terms.get(name) for lane in lanes)
        ],
        "layers": layer_columns(lanes),
        "scores": score_columns(lanes),
        "lanes": [_lane(lane, folder) for lane in lanes],
        "settings": settings,
        "facts": list((facts or {}).items()),
        "files": [[name, _url(name)] for name in files],
    }
    style, script = _part("css"), _part("js")
    parts = {
        "title": html.escape(title),
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "data": _json(data),
    }
    return _filled(_part("html"), parts)


def thin(count: int, most: int) -> list[int]:
    """Indices of at most ``most`` of ``count`` rows, evenly, the first and the last
    among them.
    """
    if count <= most:
        return list(range(count))
    return np.rint(np.linspace(0, count - 1, most)).astype(int).tolist()


def _lane(lane: LaneResult, folder: Path) -> dict[str, Any]:
    numbers = {**lane.terms, **lane.scores}
    values = [lane.values.get(name, label) for name, label in lane.labels.items()]
    return {
        "index": lane.index,
        "name": name_of(lane),
        "labels": list(lane.labels.values()),
        "values": [_value(value) for value in values],
        "numbers": {name: _number(number) for name, number in numbers.items()},
        "trace": _trace(lane.trace),
        "seconds": _number(lane.seconds),
        "outcome": lane.outcome,
        "text": lane.text,
        "trouble": trouble(lane),
        "url": _url(lane.file),
        **_picture(lane, folder),
    }


def _trace(rows: Sequence[Sequence[float]]) -> dict[str, list]:
    kept = [rows[i] for i in thin(len(rows), CURVE_POINTS)]
    return {
        name: [_number(row[i], digits=CURVE_DIGITS) for row in kept]
        for i, name in enumerate(CURVES)
    }


def _picture(lane: LaneResult, folder: Path) -> dict[str, Any]:
    """Thumbnail as a data URL, and its width and height."""
    pixels = pixels_of(lane, folder)
    if pixels is None:
        return {"thumb": None, "size": None}
    small = Image.fromarray(to_uint8(thumbnail(pixels, THUMBNAIL)))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode()
    return {"thumb": f"data:image/jpeg;base64,{text}", "size": small.size}


def _value(value: Any) -> float | str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _number(value) if is_number else str(value)


def _number(value: float, *, digits: int = 8) -> float | int | str:
    """A number as JSON can hold it; text for what is not finite."""
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short


def _url(path: str) -> str:
    """A relative path as a URL, whatever letters it has."""
    return quote(path.encode(errors="surrogateescape"))


def _part(ending: str) -> str:
    return Path(__file__).with_name(f"report.{ending}").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How the page's policy names the one script and the one style that it may use."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _json(data: dict[str, Any]) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """The template with ``{name}`` replaced; what is put in is not looked at again."""
    pieces = []
    for piece in template.split("{"):
        name, brace, rest = piece.partition("}")
        pieces.append(parts[name] + rest if brace else piece)
    return "".join(pieces)
