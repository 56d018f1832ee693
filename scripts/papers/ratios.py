"""Content against style: 2015, figure 3; 2016, figure 4; the ratio trap."""

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.papers import laws
from scripts.papers.experiment import Experiment, Found, Law, Row
from scripts.papers.figures import grid, strip
from scripts.papers.lab import Lab, Run
from scripts.papers.settings import ORDER, STYLE_LAYERS, SWAPPED

SETS = {"ABCDE"[n]: STYLE_LAYERS[: n + 1] for n in range(len(STYLE_LAYERS))}
SCORES = ("gram", "random_filters", "colours", "ssim", "cosine/conv4_2", "noise")


def scored(lab: Lab, names: Mapping[str, Any], run: Run) -> Row:
    """A row of names, final losses, and the scores that most experiments show."""
    scores = lab.scores(run.picture)
    losses = {term: run.terms[term] for term in ("total", "content", "style")}
    return {**names, **losses, **{name: scores[name] for name in SCORES}}


def compare(
    lab: Lab,
    name: str,
    lanes: Mapping[str, Mapping[str, Any]],
    *,
    columns: int = 3,
    before: Sequence = (),
    iterations: int = 500,
    **settings,
) -> Found:
    """Runs side by side, a row and a picture of each: what most experiments do."""
    runs = lab.run(list(lanes.values()), iterations=iterations, **settings)
    rows = [
        scored(lab, {name: label}, run) for label, run in zip(lanes, runs, strict=True)
    ]
    tiles = [
        (f"{name}: {label}", run.picture)
        for label, run in zip(lanes, runs, strict=True)
    ]
    return Found(rows, {"": strip([*before, *tiles], columns=columns)})


def layers_and_ratios(lab: Lab) -> Found:
    """Five sets of style layers by four ratios."""
    alphas = (1e-5, 1e-4, 1e-3, 1e-2)
    names = [{"layers": s, "alpha/beta": f"{a:g}"} for s in SETS for a in alphas]
    runs = lab.run(
        [
            {"style_layers": {x: 1 / len(SETS[s]) for x in SETS[s]}, "alpha": a}
            for s in SETS
            for a in alphas
        ],
        iterations=300,
    )
    rows = [
        scored(lab, name, run)
        | {"gram/conv5_1": lab.gram_errors(run.picture)["conv5_1"]}
        for name, run in zip(names, runs, strict=True)
    ]
    tiles = [
        (f"{n['layers']}  {n['alpha/beta']}", run.picture)
        for n, run in zip(names, runs, strict=True)
    ]
    width = len(alphas)
    rows_of_tiles = [tiles[i : i + width] for i in range(0, len(tiles), width)]
    return Found(rows, {"": grid(rows_of_tiles, width=800)})


def ratios(lab: Lab) -> Found:
    """alpha/beta from 1e-4 to 1e-1."""
    lanes = {f"{a:g}": {"alpha": a} for a in (1e-4, 1e-3, 1e-2, 1e-1)}
    return compare(lab, "alpha/beta", lanes, columns=2)


def weights(lab: Lab) -> Found:
    """content : style as 1 to 100, 1000, 10000, from the content picture."""
    lanes = {f"1:{n}": {"alpha": 1 / n} for n in (100, 1000, 10000)}
    return compare(lab, "content:style", lanes, start="content")


def trap(lab: Lab) -> Found:
    """The captions' 1e-3 with sums, as printed, and with means."""
    lanes = {name: {"preset": name} for name in ("gatys2016-literal", "gatys2016")}
    return compare(
        lab, "preset", lanes, columns=2, objective={"alpha": 1e-3, "beta": 1.0}
    )


EXPERIMENTS = (
    Experiment(
        "layers-and-ratios",
        "Style layers against alpha/beta (2015, figure 3)",
        "Rows: style from conv1_1 alone (A) to all five layers (E). Columns: "
        "alpha/beta 1e-5 to 1e-2. Structures grow along the rows, the content comes "
        "through along the columns. 300 iterations.",
        layers_and_ratios,
        (
            Law(
                laws.rises_within,
                {"column": "ssim", "group": "layers", "least": 1.5},
                ORDER,
                {"least": 1.1},
            ),
            Law(
                laws.rises_within,
                {"column": "ssim", "group": "layers", "least": 1.5},
                SWAPPED,
                {"least": 1.1},
            ),
        ),
    ),
    Experiment(
        "ratios",
        "alpha/beta (2016, figure 4)",
        "From noise, alpha/beta from 1e-4 to 1e-1: from texture to photograph.",
        ratios,
        (
            Law(
                laws.rises,
                {"column": "ssim", "factor": 1.0},
                SWAPPED,
                None,  # the two smallest ratios change places by chance at 96 pixels
            ),
            Law(laws.rises, {"column": "gram", "factor": 1.0}, ORDER),
        ),
    ),
    Experiment(
        "weights",
        "Content to style 1:100, 1:1000, 1:10000",
        "The weights that many tutorials compare, from the content picture. Here the "
        "losses are means on a rescaled network: 1:1000 is alpha/beta = 1e-3.",
        weights,
        (
            Law(laws.falls, {"column": "ssim", "factor": 1.0}, ORDER),
            Law(laws.falls, {"column": "gram", "factor": 1.0}, SWAPPED),
        ),
    ),
    Experiment(
        "ratio-trap",
        "The ratio trap",
        "alpha/beta = 1e-3 with the sums as the papers print them (gatys2016-literal) "
        "and with means, as their captions and code have it (gatys2016). With sums the "
        "content dominates; see docs/presets.md.",
        trap,
        (
            Law(
                laws.above,
                {
                    "column": "gram",
                    "key": "preset",
                    "more": "gatys2016-literal",
                    "less": "gatys2016",
                    "factor": 5.0,
                },
                ORDER,
                {"factor": 2.0},
            ),
            Law(
                laws.above,
                {
                    "column": "ssim",
                    "key": "preset",
                    "more": "gatys2016-literal",
                    "less": "gatys2016",
                    "factor": 1.5,
                },
                ORDER,
                {"factor": 1.1},
            ),
        ),
    ),
)
