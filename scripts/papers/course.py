"""The course of a run: snapshots, a thousand iterations, smoothness, pooling."""

from scripts.papers import laws
from scripts.papers.experiment import Experiment, Found, Law
from scripts.papers.figures import curves, strip
from scripts.papers.lab import Lab
from scripts.papers.ratios import SCORES, compare
from scripts.papers.settings import EARLY, ORDER, SWAPPED


def progress(lab: Lab) -> Found:
    """The picture after 100, 200, ..., 500 iterations."""
    run, shots = lab.watch(iterations=500, every=100, alpha=1e-3)
    rows = []
    for count in (100, 200, 300, 400, 500):
        at = lab.iterations(count)
        # A run that ended before has no other picture than its last.
        scores = lab.scores(shots.get(at, run.picture))
        losses = {term: run.at(at, term) for term in ("total", "content", "style")}
        rows.append({"iteration": at, **losses, **{x: scores[x] for x in SCORES}})
    lines = {
        term: [(i, row[term]) for i, row in enumerate(run.trace)]
        for term in ("total", "content", "style")
    }
    tiles = [
        (f"after {row['iteration']}", shots.get(row["iteration"], run.picture))
        for row in rows
    ]
    return Found(
        rows, {"": strip(tiles), "curves": curves(lines, x="iteration", y="loss")}
    )


def thousand(lab: Lab) -> Found:
    """The losses of a long run."""
    (run,) = lab.run([{"alpha": 1e-3}], iterations=1000)
    marks = [lab.iterations(n) for n in (100, 500, 1000)]
    rows = [
        {"iteration": n, **{t: run.at(n, t) for t in ("total", "content", "style")}}
        for n in marks
    ]
    lines = {
        term: [(i, row[term]) for i, row in enumerate(run.trace)]
        for term in ("total", "content", "style")
    }
    return Found(rows, {"curves": curves(lines, x="iteration", y="loss")})


def smoothness(lab: Lab) -> Found:
    """Total variation from none to strong."""
    lanes = {f"{tv:g}": {"tv": tv} for tv in (0.0, 1e-2, 1e-1, 1.0, 10.0)}
    return compare(lab, "tv weight", lanes, objective={"alpha": 1e-3})


def pooling(lab: Lab) -> Found:
    """Average and max pooling."""
    lanes = {p: {"network.pooling": p} for p in ("avg", "max")}
    found = compare(lab, "pooling", lanes, columns=2, objective={"alpha": 1e-3})
    average, most = found.rows
    note = (
        f"With averages the noise is {average['noise'] / most['noise']:.2f} of that "
        f"with maxima, the objective {average['total'] / most['total']:.2f}; but each "
        "network is rescaled with its own pooling: the objectives are two measures."
    )
    return found._replace(notes=(note,))


EXPERIMENTS = (
    Experiment(
        "progress",
        "Progress",
        "alpha/beta = 1e-3, from noise: a run after 100 to 500 iterations.",
        progress,
        (
            Law(laws.falls, {"column": "total", "factor": 1.0}, EARLY),
            Law(laws.at_most, {"column": "gram", "most": 0.1}, SWAPPED, {"most": 0.2}),
        ),
    ),
    Experiment(
        "thousand",
        "Losses to 1000 iterations",
        "alpha/beta = 1e-3, from noise. The second half of a run brings little.",
        thousand,
        (
            Law(
                laws.slows_down,
                {"column": "total", "most": 0.5},
                EARLY,
            ),
        ),
    ),
    Experiment(
        "smoothness",
        "Total variation",
        "Not in the papers, but in most programs: a weight on the differences of "
        "neighbours, here mean squares. noise is the finest detail, in units of the "
        "style's.",
        smoothness,
        (Law(laws.falls, {"column": "noise", "factor": 1.0}, ORDER),),
    ),
    Experiment(
        "pooling",
        "Average and max pooling",
        "The papers find averages slightly more appealing. Which one has the lower "
        "losses and less noise is reported; the law asks that both find the style.",
        pooling,
        (Law(laws.at_most, {"column": "gram", "most": 0.1}, SWAPPED, {"most": 0.2}),),
    ),
)
