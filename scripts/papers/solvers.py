"""Solvers and sizes."""

from dataclasses import replace

from nst_jax.images.resize import fit_longer_side, resize
from scripts.papers import laws
from scripts.papers.experiment import Experiment, Found, Law
from scripts.papers.figures import strip, two_curves
from scripts.papers.lab import Lab
from scripts.papers.settings import ORDER

MARKS = (50, 100, 200, 500)


def solvers(lab: Lab) -> Found:
    """L-BFGS, Adam at several rates, and from coarse to fine."""
    size = lab.settings.size
    lanes = {
        "L-BFGS": {},
        "L-BFGS, large forms first": {
            "solver": {"preconditioned": True, "history": 40}
        },
        **{
            f"Adam {rate:g}": {"solver": {"name": "adam", "learning_rate": rate}}
            for rate in (0.01, 0.02, 0.05, 0.1)
        },
    }
    count = lab.iterations(500)
    # Half of the iterations at half the size, a third of them at full size.
    coarse = {
        "scales": [size // 2, size],
        "solver": {"scale_iterations": [count // 2, count // 3]},
    }
    lanes["coarse to fine"] = coarse
    objective = {"objective": {"alpha": 1e-3}}
    runs = lab.alone([{**lane, **objective} for lane in lanes.values()])
    rows = []
    for name, run in zip(lanes, runs, strict=True):
        one = "scales" not in lanes[name]
        marks = {
            f"after {lab.iterations(n)}": run.at(lab.iterations(n)) if one else ""
            for n in MARKS
        }
        best = min(row["total"] for row in run.trace[-count // 3 :])
        rows.append(
            {
                "solver": name,
                "compared": name == "L-BFGS" or name.startswith("Adam"),
                **marks,
                "total": best,
                "seconds": run.seconds,
            }
        )
    by_evaluations, by_seconds = {}, {}
    for name, run in zip(lanes, runs, strict=True):
        by_evaluations[name] = [(i, row["total"]) for i, row in enumerate(run.trace)]
        by_seconds[name] = [(row["seconds"], row["total"]) for row in run.trace]
    figure = two_curves(by_evaluations, by_seconds, x=("evaluations", "seconds"))
    tiles = [(n, run.picture) for n, run in zip(lanes, runs, strict=True)]
    return Found(rows, {"": strip(tiles), "curves": figure})


def sizes(lab: Lab) -> Found:
    """The same pair at half, once and twice the size."""
    size = lab.settings.size
    sides = (size // 2, size, 2 * size)
    runs = lab.run(
        [{"size": side, "scales": [side]} for side in sides],
        start="content",
        objective={"alpha": 1e-3},
    )
    small = Lab(replace(lab.settings, size=size // 2), lab.folder)
    height, width = small.content.shape[:2]
    rows, tiles = [], []
    for side, run in zip(sides, runs, strict=True):
        shrunk = resize(run.picture, height, width)
        rows.append(
            {"size": side}
            | {t: run.terms[t] for t in ("total", "content", "style")}
            | {"ssim": small.scores(shrunk)["ssim"]}
        )
        tiles.append((f"{side} px", fit_longer_side(run.picture, max(sides))))
    return Found(rows, {"": strip(tiles)})


EXPERIMENTS = (
    Experiment(
        "solvers",
        "Solvers",
        "L-BFGS on the pixels, as in the papers, and in this project's basis, Adam at "
        "several rates, and L-BFGS from coarse to fine; alpha/beta = 1e-3, from noise, "
        "one after the other for their seconds. The law compares what the literature "
        "does: L-BFGS on the pixels and Adam.",
        solvers,
        (
            Law(
                laws.lowest,
                {
                    "column": "total",
                    "key": "solver",
                    "name": "L-BFGS",
                    "among": "compared",
                },
                ORDER,
            ),
        ),
    ),
    Experiment(
        "sizes",
        "Sizes",
        "The same pair at three sizes, alpha/beta = 1e-3, from the content. Strokes "
        "are as large as what the network sees of the style, in pixels: the larger the "
        "picture, the finer they are in it, and the more is left of the photograph. "
        "ssim is measured at the smallest size.",
        sizes,
        (Law(laws.rises, {"column": "ssim", "factor": 1.0}, ORDER),),
    ),
)
