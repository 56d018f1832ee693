"""Reconstructions from single layers: 2016, figure 1."""

import numpy as np

from scripts.papers import laws
from scripts.papers.experiment import Experiment, Found, Law
from scripts.papers.figures import strip
from scripts.papers.judge import psnr
from scripts.papers.lab import Lab, Run
from scripts.papers.settings import ORDER, RANDOM, STYLE_LAYERS, SWAPPED

CONTENT_LAYERS = ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2")


def content(lab: Lab) -> Found:
    """The content picture from one layer's responses each."""
    layers = [lab.deepest(layer) for layer in CONTENT_LAYERS]
    # On the original network, as in the paper: its responses are not rescaled.
    runs = lab.run(
        [{"content_layers": {layer: 1.0}} for layer in layers],
        network={"rescale": False},
        objective={"alpha": 1.0, "beta": 0.0, "style_layers": {"conv1_1": 0.0}},
    )
    rows = [
        {
            "layer": layer,
            "psnr_db": psnr(run.picture, lab.content),
            "ssim": lab.scores(run.picture)["ssim"],
            "response_error": lab.response_error(run.picture, layer),
        }
        for layer, run in zip(layers, runs, strict=True)
    ]
    tiles = [(r["layer"], run.picture) for r, run in zip(rows, runs, strict=True)]
    return Found(
        rows, {"": strip([("content", lab.content), *tiles])}, _ends(lab, layers)
    )


def style(lab: Lab) -> Found:
    """Textures from one to five layers' Gram matrices."""
    sets = [STYLE_LAYERS[: n + 1] for n in range(len(STYLE_LAYERS))]
    nothing = {"alpha": 0.0, "content_layers": {"conv1_1": 0.0}}
    # One by one: the smaller sets need but the beginning of the network.
    runs = lab.alone(
        [
            {"objective": {"style_layers": dict.fromkeys(chosen, 0.2), **nothing}}
            for chosen in sets
        ]
    )
    rows = [
        # Before they are clipped: without deeper layers, colours leave [0, 1].
        {"layers": f"to {chosen[-1]}", **lab.gram_errors(_unclipped(run))}
        for chosen, run in zip(sets, runs, strict=True)
    ]
    tiles = [(r["layers"], run.picture) for r, run in zip(rows, runs, strict=True)]
    return Found(rows, {"": strip([("style", lab.style), *tiles])})


def _unclipped(run: Run) -> np.ndarray:
    assert run.raw is not None
    return run.raw


def _ends(lab: Lab, layers) -> tuple[str, ...]:
    if "conv5_2" in layers:
        return ()
    return (f"{lab.network_name} ends at conv5_1, which stands in for conv5_2.",)


EXPERIMENTS = (
    Experiment(
        "content-reconstructions",
        "Content reconstructions (2016, figure 1, above)",
        "From noise, the picture whose responses at one layer are the content's, on "
        "the network without rescaling. Lower layers give nearly the picture itself; "
        "higher ones keep what is shown and lose the pixels.",
        content,
        (
            Law(
                laws.falls,
                {"column": "psnr_db", "factor": 1.0},
                ORDER,
                {"factor": 1.05},
            ),
            Law(
                laws.at_least,
                {"column": "psnr_db", "least": 25, "only": ("layer", "conv1_2")},
                SWAPPED,
                {"least": 20},
            ),
        ),
    ),
    Experiment(
        "style-reconstructions",
        "Style reconstructions (2016, figure 1, below)",
        "From noise, the picture whose Gram matrices are the style's at conv1_1, then "
        "also at conv2_1, and so on to all five layers. The numbers are relative "
        "Gram errors at each layer, of a network rescaled on the two pictures, before "
        "pixels are clipped to [0, 1].",
        style,
        (
            Law(
                laws.matched,
                {"layers": STYLE_LAYERS, "most": 1e-2},
                RANDOM,
                {"most": 5e-2},
            ),
            Law(laws.unmatched, {"layers": STYLE_LAYERS, "factor": 2.0}, ORDER),
        ),
    ),
)
