"""Run hostile settings, and see that none is lost: the safeguard's proof.

Command: python scripts/hostile_grid.py --out docs/benchmarks/hostile_grid.csv
Time: about ten minutes on two CPU cores; --cells 60 takes two.
Result: a CSV file and a page (.md) beside it: settings, start and kept loss, refused
steps, outcome. Violations are printed, and the exit code is 1 if there is one.

The law: no run ends with a picture or a loss that is not finite, and the loss that is
kept is never above the start's. A start whose own loss is not finite must be refused
in a sentence.

The cells: a full core (weight of the style, total variation, start and solver, all
else usual), each other setting alone in the most hostile corner of the core, and a
seeded sample of the full product of all settings. ``vgg19-tiny``, 64 pixels, 40
iterations, one process.
"""

import argparse
import csv
import io
import itertools
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np

from nst_jax.features.pretrained import EMBEDDED
from nst_jax.images.io import load
from nst_jax.images.resize import fit_longer_side
from nst_jax.objective.presets import PRESETS
from nst_jax.run import stylize

PICTURES = ROOT / "configs" / "pictures"
CONSTANT = {"black": 0.0, "gray": 0.5, "white": 1.0}


class Cell(NamedTuple):
    """The settings of one run.

    Attributes:
        preset: the recipe, whose other keys these settings replace.
        style_weight: factor on the preset's beta.
        tv: weight of the total variation.
        start: "noise" or "content".
        pooling: "avg" or "max".
        rescale: whether the network is rescaled.
        content: "picture", "black", "gray" or "white".
        style: likewise.
        precision: of the network.
        solver: "lbfgs" or "adam".
    """

    preset: str = "gatys2016"
    style_weight: float = 1.0
    tv: float = 0.0
    start: str = "noise"
    pooling: str = "avg"
    rescale: bool = True
    content: str = "picture"
    style: str = "picture"
    precision: str = "float32"
    solver: str = "lbfgs"


SETTINGS: dict[str, tuple] = {
    "preset": tuple(PRESETS),
    "style_weight": (1.0, 1e3, 1e6),
    "tv": (0.0, 1.0, 1e3),
    "start": ("noise", "content"),
    "pooling": ("avg", "max"),
    "rescale": (True, False),
    "content": ("picture", *CONSTANT),
    "style": ("picture", *CONSTANT),
    "precision": ("float32", "default", "bfloat16"),
    "solver": ("lbfgs", "adam"),
}
CORE = ("style_weight", "tv", "start", "solver")
CORNER = Cell(style_weight=1e6, tv=1e3)


class Row(NamedTuple):
    """What a run came to.

    Attributes:
        cell: its settings.
        start_loss: objective of the start; None if it was refused.
        kept_loss: objective of the picture that was handed out.
        finite: whether that picture, and every loss on the way, is finite.
        refused: steps that were undone.
        iterations: that were made.
        outcome: the code, or the sentence of the refusal.
    """

    cell: Cell
    start_loss: float | None
    kept_loss: float | None
    finite: bool
    refused: int
    iterations: int
    outcome: str

    @property
    def violation(self) -> str | None:
        """How the law was broken, or None."""
        if self.start_loss is None or self.kept_loss is None:
            lawful = "not finite" in self.outcome
            return None if lawful else f"no result: {self.outcome}"
        if not self.finite:
            return "not finite"
        if not self.kept_loss <= self.start_loss:
            return f"kept {self.kept_loss:g}, above the start's {self.start_loss:g}"
        return None


# --- cells ------------------------------------------------------------------------


def core() -> list[Cell]:
    """The full product of ``CORE``, all else usual."""
    values = (SETTINGS[name] for name in CORE)
    return [
        Cell(**dict(zip(CORE, chosen, strict=True)))
        for chosen in itertools.product(*values)
    ]


def corners() -> list[Cell]:
    """Each setting alone at each of its values, in the most hostile corner."""
    return [
        CORNER._replace(**{name: value})
        for name, values in SETTINGS.items()
        for value in values
    ]


def sample(count: int, *, seed: int = 0) -> Iterator[Cell]:
    """Cells drawn from the full product."""
    draw = random.Random(seed)
    for _ in range(count):
        yield Cell(**{name: draw.choice(values) for name, values in SETTINGS.items()})


def grid(count: int, *, seed: int = 0) -> list[Cell]:
    """The core, the corners, and cells drawn at random: ``count`` of them in all."""
    cells = [*core(), *corners(), *sample(count, seed=seed)]
    return list(dict.fromkeys(cells))[:count]


# --- runs -------------------------------------------------------------------------


def pictures(size: int) -> dict[str, dict[str, np.ndarray]]:
    """Role -> name -> picture with that longer side."""
    found = {}
    for role, file in (("content", "town.jpg"), ("style", "night_sky.jpg")):
        picture = fit_longer_side(load(PICTURES / file).pixels, size)
        flat = {k: np.full_like(picture, value) for k, value in CONSTANT.items()}
        found[role] = {"picture": picture, **flat}
    return found


def run_cell(
    cell: Cell,
    given: dict[str, dict[str, np.ndarray]],
    *,
    size: int,
    iterations: int,
    weights: str = EMBEDDED,
) -> Row:
    """Run one cell.

    Args:
        cell: its settings.
        given: see ``pictures``.
        size: longer side.
        iterations: steps.
        weights: name or file of the network's weights.
    """
    try:
        result = stylize(
            given["content"][cell.content],
            given["style"][cell.style],
            start=cell.start,
            size=size,
            scales=[size],
            network={
                "weights": weights,
                "pooling": cell.pooling,
                "rescale": cell.rescale,
            },
            objective={
                "preset": cell.preset,
                "beta": cell.style_weight * PRESETS[cell.preset].beta,
                "tv": cell.tv,
            },
            solver={
                "name": cell.solver,
                "iterations": iterations,
                "precision": cell.precision,
            },
        )
    except ValueError as error:
        return Row(cell, None, None, False, 0, 0, str(error))
    first, last = result.records[0], result.records[-1]
    assert last.picture is not None
    losses = [record.terms.total for record in result.records]
    return Row(
        cell,
        float(first.terms.total),
        float(last.terms.total),
        bool(np.isfinite(last.picture).all() and np.isfinite(losses).all()),
        last.refused,
        last.iteration,
        result.outcome.code,
    )


# --- the table --------------------------------------------------------------------


def table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One flat entry per row."""
    return [
        {
            **row.cell._asdict(),
            "start loss": _number(row.start_loss),
            "kept loss": _number(row.kept_loss),
            "refused": row.refused,
            "iterations": row.iterations,
            "outcome": row.outcome,
            "violation": row.violation or "",
        }
        for row in rows
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def to_csv(rows: Sequence[Row]) -> str:
    """The table as CSV."""
    entries, text = table(rows), io.StringIO()
    writer = csv.DictWriter(text, list(entries[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(entries)
    return text.getvalue()


def to_markdown(rows: Sequence[Row], *, about: str) -> str:
    """A page: what came out in all, and a line for each setting's value."""
    broken = [row for row in rows if row.violation]
    lines = [
        "# Hostile settings",
        "",
        "Made by `python scripts/hostile_grid.py`, whose first lines say what the law "
        f"is; every run stands in the CSV file beside this page. {about}",
        "",
        f"{len(rows)} runs, {len(broken)} violations.",
        "",
        "| setting | value | runs | kept / start, worst | with undone steps "
        "| most undone | stalled | start refused | violations |",
        "|" + "---|" * 9,
    ]
    for name, values in SETTINGS.items():
        for value in values:
            chosen = [row for row in rows if getattr(row.cell, name) == value]
            lines.append(f"| {name} | {value} | {_summary(chosen)} |")
    lines += [f"\nViolation: {row.violation}: `{row.cell}`" for row in broken]
    return "\n".join(lines) + "\n"


def _summary(rows: Sequence[Row]) -> str:
    shares = [
        row.kept_loss / row.start_loss
        for row in rows
        if row.start_loss and row.kept_loss is not None
    ]
    cells = [
        len(rows),
        f"{max(shares):.3g}" if shares else "",
        sum(row.refused > 0 for row in rows),
        max((row.refused for row in rows), default=0),
        sum(row.outcome == "stalled" for row in rows),
        sum(row.start_loss is None for row in rows),
        sum(row.violation is not None for row in rows),
    ]
    return " | ".join(str(cell) for cell in cells)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the grid; 1 if the law is broken."""
    parser = argparse.ArgumentParser(description="Run hostile settings.")
    add = parser.add_argument
    add("--out", type=Path, help="the CSV file; none if absent")
    add("--cells", type=int, default=400, help="how many in all (400)")
    add("--size", type=int, default=64, help="longer side in pixels (64)")
    add("--iterations", type=int, default=40, help="steps of each run (40)")
    add("--seed", type=int, default=0, help="of the sample")
    add("--weights", default=EMBEDDED, help="name or file of the network's weights")
    options = parser.parse_args(arguments)
    given, rows = pictures(options.size), []
    began = time.perf_counter()
    for cell in grid(options.cells, seed=options.seed):
        row = run_cell(
            cell,
            given,
            size=options.size,
            iterations=options.iterations,
            weights=options.weights,
        )
        rows.append(row)
        if row.violation:
            print(f"violation: {row.violation}: {cell}", flush=True)
    seconds = time.perf_counter() - began
    broken = sum(row.violation is not None for row in rows)
    print(f"{len(rows)} runs in {seconds:.0f} s, {broken} violations")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(to_csv(rows))
        about = (
            f"{options.size} pixels, {options.iterations} iterations, weights "
            f"{Path(options.weights).name}."
        )
        options.out.with_suffix(".md").write_text(to_markdown(rows, about=about))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
