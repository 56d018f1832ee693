"""Where a run starts: 2016, figures 6 and 7; seeds."""

from scripts.papers import laws
from scripts.papers.experiment import Experiment, Found, Law
from scripts.papers.figures import curves, strip
from scripts.papers.judge import rmse
from scripts.papers.lab import Lab
from scripts.papers.ratios import scored
from scripts.papers.settings import EARLY, SEED, SWAPPED

SEEDS = (0, 1, 2, 3)


def starts(lab: Lab) -> Found:
    """From the content, from the style, from four kinds of noise."""
    lanes = [{"start": "content"}, {"start": "style"}]
    lanes += [{"start": "noise", "seed": seed} for seed in SEEDS]
    # Keys that some lanes leave out are those of the first seed.
    runs = lab.run([{"seed": 0, **lane} for lane in lanes], objective={"alpha": 1e-3})
    pictures = [run.picture for run in runs]
    rows = [
        scored(lab, {"start": lane["start"], "seed": lane.get("seed", "")}, run)
        | {"nearest_rmse": _nearest(pictures, place)}
        for place, (lane, run) in enumerate(zip(lanes, runs, strict=True))
    ]
    tiles = [
        (f"{row['start']} {row['seed']}", picture)
        for row, picture in zip(rows, pictures, strict=True)
    ]
    return Found(rows, {"": strip(tiles)})


def _nearest(pictures, place: int) -> float:
    others = (p for i, p in enumerate(pictures) if i != place)
    return min(rmse(pictures[place], other) for other in others)


def photograph(lab: Lab) -> Found:
    """A photograph in the style of a photograph, from the content."""
    other = lab.with_style(lab.settings.photograph)
    (run,) = other.run([{"alpha": 1e-2}], start="content")
    rows = [
        {"picture": name, **_both(other, picture)}
        for name, picture in (("content", other.content), ("result", run.picture))
    ]
    tiles = [
        ("content", other.content), ("style", other.style), ("result", run.picture)
    ]  # fmt: skip
    return Found(rows, {"": strip(tiles)})


def _both(lab: Lab, picture) -> dict[str, float]:
    scores = lab.scores(picture)
    names = ("gram", "random_filters", "colours", "ssim", "edges", "cosine/conv4_2")
    return {name: scores[name] for name in names}


def seeds(lab: Lab) -> Found:
    """Two seeds: how much of a picture is chance."""
    chosen = (0, 2019)
    runs = lab.run([{"seed": seed} for seed in chosen], objective={"alpha": 1e-3})
    first, second = runs
    apart = rmse(first.picture, second.picture)
    rows = [
        scored(lab, {"seed": seed}, run) | {"rmse": apart}
        for seed, run in zip(chosen, runs, strict=True)
    ]
    marks = range(50, len(second.trace), 50)
    curve = [abs(second.at(i) / first.at(i) - 1) for i in marks]
    widest = max(curve, default=abs(second.at(10**9) / first.at(10**9) - 1))
    lines = {
        f"seed {seed}": list(enumerate(row["total"] for row in run.trace))
        for seed, run in zip(chosen, runs, strict=True)
    }
    tiles = [(f"seed {s}", run.picture) for s, run in zip(chosen, runs, strict=True)]
    notes = (
        f"The pictures differ by {apart:.3f} (root mean square, of [0, 1]); the curves "
        f"by at most {100 * widest:.1f} %, looked at every 50 iterations.",
    )
    return Found(
        rows,
        {"": strip(tiles, columns=2), "curves": curves(lines, x="iteration")},
        notes,
    )


EXPERIMENTS = (
    Experiment(
        "starts",
        "Starts: content, style, noise (2016, figure 6)",
        "alpha/beta = 1e-3. Different starts end at other pictures of about the same "
        "objective. nearest_rmse is the root mean squared difference from the nearest "
        "of the other results.",
        starts,
        (
            Law(
                laws.alike,
                {"column": "total", "share": 0.1, "only": ("start", "noise")},
                EARLY,
                {"share": 0.2},
            ),
            Law(laws.alike, {"column": "total", "share": 0.5}, EARLY, {"share": 1.0}),
            Law(laws.at_least, {"column": "nearest_rmse", "least": 0.05}, SEED),
        ),
    ),
    Experiment(
        "photograph",
        "A photograph as style (2016, figure 7)",
        "alpha/beta = 1e-2, from the content. The light and colours of the one, the "
        "things of the other.",
        photograph,
        (
            Law(
                laws.above,
                {
                    "column": "colours",
                    "key": "picture",
                    "more": "content",
                    "less": "result",
                    "factor": 1.2,
                },
                SWAPPED,
                {"factor": 1.05},
            ),
            Law(
                laws.at_least,
                {"column": "edges", "least": 0.4, "only": ("picture", "result")},
                SWAPPED,
                {"least": 0.3},
            ),
        ),
        remark=(
            "The bound on edges is ours, not the paper's, and was set before this run: "
            "houses stand where they stood, but their walls and windows are drawn anew."
        ),
    ),
    Experiment(
        "seeds",
        "Seeds 0 and 2019",
        "The same settings from other noise: how much pictures and curves differ.",
        seeds,
        (
            Law(laws.alike, {"column": "total", "share": 0.1}, EARLY, {"share": 0.2}),
            Law(laws.at_least, {"column": "rmse", "least": 0.05}, SEED),
        ),
    ),
)
