"""losses.png: the losses over the iterations."""

import io
import logging
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nst_jax.outputs.trace import columns, row, terms_of
from nst_jax.solve.loop import Record

# A font that matplotlib's cache names and the system lacks is no news to the user.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def loss_plot(records: Sequence[Record]) -> bytes:
    """PNG of total, content and style on the left, each layer's loss on the right.

    Both axes of losses are logarithmic; terms that are zero throughout are left out.
    """
    names = columns(records[0])
    curves = dict(zip(names, zip(*map(row, records), strict=True), strict=True))
    iterations = curves["iteration"]
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in terms_of(records[0].terms):
        label = "total (weighted)" if name == "total" else name
        _curve(left, iterations, curves[name], label, bold=name == "total")
    for name in names:
        if "/" in name:
            dashes = "--" if name.startswith("content") else "-"
            _curve(right, iterations, curves[name], name, dashes=dashes)
    left.set_title("objective, and its parts unweighted")
    right.set_title("layers")
    for axes in (left, right):
        _finish(axes)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _curve(axes: Axes, x, y, label: str, *, bold=False, dashes="-") -> None:
    if not any(value > 0 for value in y):
        return
    # A logarithm has no zero.
    shown = [value if value > 0 else float("nan") for value in y]
    axes.plot(x, shown, dashes, label=label, linewidth=2.4 if bold else 1.3)


def _finish(axes: Axes) -> None:
    axes.set_xlabel("iteration")
    axes.grid(True, which="major", alpha=0.3)
    if axes.lines:
        axes.set_yscale("log")
        # From the content picture, content begins at next to nothing: without that
        # point the rest of the curves has room.
        later = [
            y for line in axes.lines for y in np.asarray(line.get_ydata())[5:] if y > 0
        ]
        if later:
            axes.set_ylim(bottom=min(later) / 2)
        axes.legend(fontsize="small")
