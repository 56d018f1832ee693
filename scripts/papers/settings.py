"""What all experiments have in common, and the ways to break it on purpose."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
HELD_OUT = ("conv1_2", "conv2_2", "conv3_3", "conv4_3")  # no experiment matches them
JUDGED = (*STYLE_LAYERS, *HELD_OUT, "conv2_2", "conv4_2")

RANDOM = "random network"
SWAPPED = "content and style swapped"
ORDER = "wrong order"
SEED = "seed ignored"
EARLY = "stopped early"
VARIANTS: Mapping[str, str] = {
    RANDOM: "filters are random (He), of the same widths",
    SWAPPED: "the runs take the content picture as style, and the style as content",
    ORDER: "layers, weights or whatever an experiment varies are given in reverse",
    SEED: "every run starts from the same noise",
    EARLY: "every second run, the last one among them, ends after a twentieth of it",
}
QUICK_SIZE, QUICK_PART = 96, 0.2  # of the size and the iterations of a quick run
PLAIN = {"preconditioned": False, "history": 20}  # L-BFGS as in the papers
TERMS = ("total", "content", "style", "tv")


@dataclass(frozen=True)
class Settings:
    """What all experiments have in common.

    Attributes:
        content: the content picture.
        style: the style picture.
        photograph: a photograph to be used as style (2016, figure 7).
        size: longer side of the results.
        weights: ``network.weights``.
        quick: a fifth of the iterations, and looser laws.
        broken: one of ``VARIANTS``, or None.
        own: whether content and style are the caller's own.
    """

    content: Path
    style: Path
    photograph: Path
    size: int = 256
    weights: str = "vgg19-tiny"
    quick: bool = False
    broken: str | None = None
    own: bool = False
