"""pareto.png: content against style loss of a sweep's lanes, and the front."""

import io
import itertools
import logging
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from nst_jax.outputs.lanes import LaneResult, axes_of, in_order
from nst_jax.outputs.sheet_pages import settings

# A font that matplotlib's cache names and the system lacks is no news to the user.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

LOG_FROM = 10.0  # largest over smallest loss from which an axis is logarithmic
LONGEST_LABEL = 48
# Where a label may stand, in pixels right of and above its point. Nothing lies below
# and left of the front: its labels go there first.
AROUND = [
    (distance * math.cos(angle), distance * math.sin(angle))
    for distance in (10, 22, 40, 62, 90)
    for angle in np.pi * np.array([0, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75, 1])
]
BELOW_FIRST = sorted(AROUND, key=lambda place: math.hypot(*place) + 0.3 * sum(place))
FRONT, OTHERS = "#b3001b", "#5b6b7a"

Point = tuple[float, float]


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other point is at least as good as in both, and
    better in one; smaller is better. By the first coordinate, then by the index.
    """
    order = sorted(range(len(points)), key=lambda i: (points[i], i))
    front: list[int] = []
    for index in order:
        last = points[front[-1]] if front else (math.inf, math.inf)
        if points[index][1] < last[1] or points[index] == last:
            front.append(index)
    return front


def pareto_plot(lanes: Sequence[LaneResult]) -> bytes:
    """PNG of content (x) against style (y) loss, both unweighted.

    The front is drawn and its lanes labelled with their settings; the others have
    their numbers where there is room. Lanes without finite losses are left out, which
    the figure says.

    Raises:
        ValueError: if there are no lanes or they do not fit together.
    """
    lanes = in_order(lanes)
    shown = [lane for lane in lanes if _is_finite(lane)]
    points = [(lane.terms["content"], lane.terms["style"]) for lane in shown]
    front = pareto_front(points)
    figure = Figure(figsize=(9.6, 6.6), dpi=125, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_xlabel("content loss")
    axes.set_ylabel("style loss")
    axes.set_title(_title(len(shown), len(lanes) - len(shown)))
    axes.grid(True, which="major", alpha=0.25)
    if points:
        _draw(axes, points, front)
        figure.draw_without_rendering()  # the layout is settled before labels are set
        figure.set_layout_engine("none")
        varied = [name for name, labels in axes_of(lanes).items() if len(labels) > 1]
        _label(axes, points, front, shown, varied)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _is_finite(lane: LaneResult) -> bool:
    losses = (lane.terms.get(name, math.nan) for name in ("content", "style"))
    return all(math.isfinite(loss) for loss in losses)


def _title(shown: int, left_out: int) -> str:
    text = f"{shown} lane{'' if shown == 1 else 's'}; the line is the Pareto front"
    if left_out:
        text += f"; {left_out} left out (no finite loss)"
    return text


def _draw(axes: Axes, points: Sequence[Point], front: Sequence[int]) -> None:
    x, y = (np.array(values) for values in zip(*points, strict=True))
    best = list(front)
    rest = [i for i in range(len(points)) if i not in set(front)]
    axes.plot(x[rest], y[rest], "o", color=OTHERS, alpha=0.7, markersize=5)
    axes.plot(x[best], y[best], "-o", color=FRONT, linewidth=1.4, markersize=7)
    for values, scale in ((x, axes.set_xscale), (y, axes.set_yscale)):
        if values.min() > 0 and values.max() > LOG_FROM * values.min():
            scale("log")
    # Room for the labels.
    axes.margins(0.2, 0.12)


def _label(
    axes: Axes,
    points: Sequence[Point],
    front: Sequence[int],
    lanes: Sequence[LaneResult],
    varied: Sequence[str],
) -> None:
    """Labels that overlap neither each other nor a point; the front's come first."""
    pixels = axes.transData.transform(points)
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in pixels]
    taken += _along(pixels[list(front)])
    rest = sorted(set(range(len(points))) - set(front))
    for index in (*front, *rest):
        lane = lanes[index]
        texts = [str(lane.index)]
        if index in set(front):
            texts.insert(0, _shortened(settings(lane.labels, varied, between=", ")))
        best = index in set(front)
        for text in filter(None, texts):
            if _place(axes, text, points[index], pixels[index], taken, best=best):
                break


def _along(corners: np.ndarray) -> list[Bbox]:
    """Small boxes along a line, so that no label covers it."""
    boxes = []
    for start, end in itertools.pairwise(corners):
        steps = int(np.hypot(*(end - start)) // 4)
        for part in np.arange(1, steps) / max(steps, 1):
            x, y = start + part * (end - start)
            boxes.append(Bbox.from_bounds(x - 1, y - 1, 2, 2))
    return boxes


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def _place(
    axes: Axes,
    text: str,
    point: Point,
    pixel: np.ndarray,
    taken: list[Bbox],
    *,
    best: bool,
) -> bool:
    """Put a label where it is free, with a line to its point; False if nowhere."""
    color = FRONT if best else OTHERS
    label = axes.annotate(
        text,
        point,
        xytext=(0, 0),
        textcoords="offset pixels",
        parse_math=False,  # a label may hold a dollar sign
        fontsize=8,
        color=color,
        arrowprops={"arrowstyle": "-", "color": color, "lw": 0.5, "alpha": 0.6},
    )
    size = _extent(label)
    for x, y in BELOW_FIRST if best else AROUND:
        box = _box(pixel, x, y, size)
        if _is_free(box, taken, axes.bbox):
            label.set_position((box.x0 - pixel[0], box.y0 - pixel[1]))
            taken.append(box)
            return True
    label.remove()
    return False


def _extent(label: Annotation) -> tuple[float, float]:
    box = label.get_window_extent()
    return box.width, box.height


def _box(pixel: np.ndarray, x: float, y: float, size: tuple[float, float]) -> Bbox:
    """Where a label lies whose nearest edge or corner is ``(x, y)`` from its point."""
    width, height = size
    left = pixel[0] + x - width * (x < -1) - width / 2 * (abs(x) <= 1)
    bottom = pixel[1] + y - height * (y < -1) - height / 2 * (abs(y) <= 1)
    return Bbox.from_bounds(left, bottom, width, height)


def _is_free(box: Bbox, taken: Sequence[Bbox], inside: Bbox) -> bool:
    within = inside.x0 < box.x0 and box.x1 < inside.x1
    within = within and inside.y0 < box.y0 and box.y1 < inside.y1
    return within and box.count_overlaps(taken) == 0
