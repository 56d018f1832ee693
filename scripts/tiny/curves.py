"""The curves of a training as a picture.

Command: python -m scripts.tiny.curves LOG.json CURVES.png
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

SHOWN = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1")


def draw(log: dict) -> Figure:
    """Training loss and held-out errors by layer over the steps, from the log."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot(yscale="log", xlabel="step", ylabel="relative error")
    training, validation = log["training"], log["validation"]
    steps, losses = zip(*((r["step"], r["loss"]) for r in training), strict=True)
    axes.plot(steps, losses, color="0.7", label="training, all layers")
    for layer in SHOWN:
        errors = [(r["step"], r["errors"][layer]) for r in validation]
        axes.plot(*zip(*errors, strict=True), label=f"held out, {layer}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", ncols=2)
    return figure


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text())).savefig(sys.argv[2], dpi=100)
