"""Which layers: 2016, figure 5; blocks; style from conv4_2 and conv5_2."""

from scripts.papers import laws
from scripts.papers.experiment import Experiment, Found, Law
from scripts.papers.figures import strip
from scripts.papers.lab import Lab
from scripts.papers.ratios import compare, scored
from scripts.papers.settings import EARLY, ORDER, STYLE_LAYERS, SWAPPED

SEEDS = (0, 1, 2, 3)


def content_layer(lab: Lab) -> Found:
    """Content from conv2_2 and from conv4_2, each from four seeds."""
    names = [
        {"content layer": layer, "seed": s}
        for layer in ("conv2_2", "conv4_2")
        for s in SEEDS
    ]
    runs = lab.run(
        [
            {"content_layers": {name["content layer"]: 1.0}, "seed": name["seed"]}
            for name in names
        ],
        objective={"alpha": 1e-3},
    )
    rows = [scored(lab, name, run) for name, run in zip(names, runs, strict=True)]
    tiles = [
        (name["content layer"], run.picture)
        for name, run in zip(names, runs, strict=True)
        if name["seed"] == 0
    ]
    return Found(rows, {"": strip([("content", lab.content), *tiles])})


def blocks(lab: Lab) -> Found:
    """Content from block 1, 3 and 5."""
    layers = [lab.deepest(layer) for layer in ("conv1_2", "conv3_2", "conv5_2")]
    lanes = {layer: {"content_layers": {layer: 1.0}} for layer in layers}
    found = compare(lab, "content layer", lanes, objective={"alpha": 1e-3})
    return found._replace(notes=_ends(lab))


def style_layers(lab: Lab) -> Found:
    """The last two style layers at conv4_1, conv5_1, and at conv4_2, conv5_2."""
    other = (*STYLE_LAYERS[:3], "conv4_2", lab.deepest("conv5_2"))
    lanes = {
        f"{chosen[3]}, {chosen[4]}": {"style_layers": dict.fromkeys(chosen, 0.2)}
        for chosen in (STYLE_LAYERS, other)
    }
    found = compare(
        lab, "last two layers", lanes, columns=2, iterations=1000,
        objective={"alpha": 1e-3},
    )  # fmt: skip
    totals = [row["total"] for row in found.rows]
    notes = (
        f"The objective is {totals[1] / totals[0]:.2f} times the default's (published: "
        "0.81). Losses at different layers are different measures: the scores beside "
        "them are at layers that neither run matched.",
    )
    return found._replace(notes=(*_ends(lab), *notes))


def _ends(lab: Lab) -> tuple[str, ...]:
    if lab.deepest("conv5_2") == "conv5_2":
        return ()
    return (f"{lab.network_name} ends at conv5_1, which stands in for conv5_2.",)


def _apart(column: str, broken: str, *, quick: dict | None) -> Law:
    bounds = {
        "column": column,
        "key": "content layer",
        "more": "conv2_2",
        "less": "conv4_2",
        "deviations": 3.0,
    }
    return Law(laws.apart, bounds, broken, quick)


LOOSE = {"deviations": 1.0}


EXPERIMENTS = (
    Experiment(
        "content-layer",
        "Content from conv2_2 and from conv4_2 (2016, figure 5)",
        "alpha/beta = 1e-3, from four noise seeds each. The lower layer keeps the "
        "pixels of the photograph, and so leaves the style less room.",
        content_layer,
        (
            _apart("ssim", ORDER, quick=LOOSE),
            _apart("ssim", SWAPPED, quick=LOOSE),
            _apart("style", EARLY, quick=None),
        ),
        remark=(
            "One alpha is not one strength: on the rescaled network the content loss "
            "at conv2_2 can be met more nearly than at conv4_2, and so costs the "
            "style less. Where the content weighs more (alpha/beta = 0.1, 128 px, 250 "
            "iterations) the style seen by others is worse with conv2_2, as the "
            "paper has it: gram 0.053 against 0.036, random_filters 0.34 against 0.14."
        ),
    ),
    Experiment(
        "content-blocks",
        "Content from block 1, 3 and 5",
        "alpha/beta = 1e-3, from noise. The deeper the layer, the freer the picture.",
        blocks,
        # Blocks 3 and 5 change places by chance at 96 pixels.
        (Law(laws.falls, {"column": "ssim", "factor": 1.0}, ORDER, None),),
    ),
    Experiment(
        "style-layers",
        "Style from conv4_2 and conv5_2 instead of conv4_1 and conv5_1",
        "A published analysis reports an 18.8 % lower objective after 1000 iterations "
        "on the papers' own pair. The law asks for a lower one at equal iterations.",
        style_layers,
        (Law(laws.falls, {"column": "total", "factor": 1.0}, EARLY, None),),
        remark=(
            "The content layer is conv4_2, too: matched for the style as well, its "
            "responses are pulled both ways, and the content loss doubles. The style "
            "seen at held-out layers is nearer for it."
        ),
    ),
)
