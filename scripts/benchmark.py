"""Measure speed, memory and whole runs, against PyTorch; write a record.

Command: python scripts/benchmark.py --out docs/benchmarks
Time: on two CPU cores about an hour in all; pieces of it take minutes (see below);
--quick takes two minutes, with sizes that say nothing.
Result: DATE-DEVICE.json and .md under --out, and the tables on the terminal.

Parts, chosen by --only: evaluation (one evaluation, in and outside a loop), solver
(a step, and the host between chunks), controls (evaluations with several styles,
regions, other statistics), memory (peaks of whole processes), compile (start of a
process, cold and warm) and runs (whole runs to a loss). How each is measured stands
above its table. --list shows their cases, and --case TEXT keeps those
whose name contains it. A record of the same day and device is added to, case by case:

    python scripts/benchmark.py --out docs/benchmarks --only evaluation --case "512 x"
    python scripts/benchmark.py --out docs/benchmarks --only runs --case "256 px" \
        --rounds 1 --add

Filters are random (He) where the speed alone is measured, or it does not depend on
them; --weights gives those of the run at quarter width. On a GPU the same command
measures 512, 1024 and 2048 pixels. PyTorch (the extra [benchmark]) is optional:
without it its columns are empty.
"""

import argparse
import datetime
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# Two libraries share the GPU, and peaks are wanted: nothing is to be taken in advance.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax

from nst_jax.outputs.manifest import device_name, versions
from scripts.bench import controls, in_process, processes
from scripts.bench.cases import torch_version
from scripts.bench.page import as_markdown

PARTS = ("evaluation", "solver", "controls", "memory", "compile", "runs")
# Rounds if --rounds does not say: of turns in this process, and of whole processes.
ROUNDS, PROCESS_ROUNDS = 7, 3

Entries = Iterator[tuple[str, dict[str, Any]]]


class Measurement(NamedTuple):
    """A case of a part, and how to measure it: yields table names and entries."""

    part: str
    name: str
    measure: Callable[[], Entries]


def measurements(options: argparse.Namespace) -> list[Measurement]:
    """All cases of the parts asked for."""
    kind = {"gpu": jax.default_backend() == "gpu", "quick": options.quick}
    gpu = kind["gpu"]
    turns = options.rounds or (2 if options.quick else ROUNDS)
    rounds = options.rounds or (1 if options.quick else PROCESS_ROUNDS)
    settings = _settings(options)

    def of(
        part: str, specs: Sequence, measure, *, about: str = "", **arguments
    ) -> list[Measurement]:
        return [
            Measurement(part, about + _name(spec), partial(measure, spec, **arguments))
            for spec in specs
        ]

    made = [
        *of(
            "evaluation",
            in_process.evaluation_specs(**kind),
            in_process.measure_evaluation,
            rounds=turns,
        ),
        *of(
            "solver",
            in_process.solver_specs(**kind),
            in_process.measure_solver,
            rounds=turns,
        ),
        *of(
            "solver",
            in_process.host_specs(**kind),
            in_process.measure_host,
            about="chunks, ",
            seconds=0.2 if options.quick else 15.0,
            history=4 if options.quick else 20,
        ),
        *of(
            "controls",
            controls.control_specs(**kind),
            controls.measure_controls,
            rounds=turns,
        ),
        *of(
            "memory",
            processes.memory_specs(**kind),
            processes.measure_memory,
            gpu=gpu,
        ),
        *of(
            "compile",
            processes.compile_specs(**kind),
            processes.measure_compile,
            rounds=rounds,
        ),
        *of(
            "runs",
            processes.run_specs(settings, **kind),
            processes.measure_run,
            settings=settings,
            rounds=rounds,
            gpu=gpu,
        ),
    ]
    return [
        one for one in made if one.part in options.only and options.case in one.name
    ]


def _name(spec) -> str:
    precision = getattr(spec, "precision", None)
    return f"{spec.name}, {precision}" if precision else spec.name


def _settings(options: argparse.Namespace) -> processes.Settings:
    keys = [*options.set]
    for flag, key in (
        ("history", "solver.history"),
        ("scales", "scales"),
        ("precision", "solver.precision"),
    ):
        if (value := getattr(options, flag)) is not None:
            keys.append(f"{key}={value}")
    lengths = (20, 30) if options.quick else (options.evaluations, options.iterations)
    return processes.Settings(
        options.weights,
        options.content,
        options.style,
        *lengths,
        tuple(keys),
        options.torch_precision,
    )


# --- the record -------------------------------------------------------------------


def new_record() -> dict[str, Any]:
    """A record of today, on this machine, without any table."""
    return {
        "date": datetime.date.today().isoformat(),
        "device": device_name(jax.devices()[0]),
        "versions": {**versions(), "torch": torch_version()},
        "tables": {},
    }


def stem_of(record: dict[str, Any], folder: Path, *, quick: bool) -> Path:
    """Path of the record without its ending."""
    words = "".join(c if c.isalnum() else " " for c in record["device"].lower())
    quickly = "-quick" if quick else ""
    return folder / f"{record['date']}-{'-'.join(words.split())}{quickly}"


def put(
    record: dict[str, Any], table: str, entry: dict[str, Any], *, add: bool = False
) -> None:
    """Put an entry into a table, in place of one of the same case.

    Args:
        record: is changed.
        table: name of the table.
        entry: has a "case".
        add: rounds of an entry of the same case are kept in front of the new ones.
    """
    entries = record["tables"].setdefault(table, [])
    cases = [other["case"] for other in entries]
    if entry["case"] not in cases:
        entries.append(entry)
        return
    index = cases.index(entry["case"])
    if add and isinstance(entry.get("rounds"), list):
        entry = {**entry, "rounds": entries[index]["rounds"] + entry["rounds"]}
    entries[index] = entry


def write(record: dict[str, Any], stem: Path) -> None:
    """Write record and page."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix, text in (
        (".json", json.dumps(record, indent=2) + "\n"),
        (".md", as_markdown(record)),
    ):
        stem.with_name(stem.name + suffix).write_text(text)


def earlier(stem: Path) -> dict[str, Any] | None:
    """The record that is there already, if it is of this form."""
    path = stem.with_name(f"{stem.name}.json")
    record = json.loads(path.read_text()) if path.exists() else {}
    return record if "tables" in record else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = _options(arguments)
    wanted = measurements(options)
    if options.list:
        print("\n".join(f"{one.part:12} {one.name}" for one in wanted))
        return
    record = new_record()
    stem = None
    if options.out:
        stem = stem_of(record, options.out, quick=options.quick)
        before = earlier(stem) or record
        record["tables"] = before["tables"]
    for one in wanted:
        print(f"{one.part}: {one.name} ...", file=sys.stderr, flush=True)
        # What stood there before; entries that grow are put in again and again.
        tables = json.dumps(record["tables"])
        for table, entry in one.measure():
            record["tables"] = json.loads(tables)
            put(record, table, entry, add=options.add)
            if stem:
                write(record, stem)
    print(as_markdown(record))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure speed and memory.")
    add = parser.add_argument
    add("--out", type=Path, help="folder for the record; none if absent")
    add("--quick", action="store_true", help="tiny sizes, few rounds: a trial")
    add("--only", type=_parts, default=PARTS, help=f"parts, of {','.join(PARTS)}")
    add("--case", default="", help="only cases whose name contains this text")
    add("--list", action="store_true", help="show the cases and measure nothing")
    add("--rounds", type=int, help=f"{ROUNDS}, of processes {PROCESS_ROUNDS}")
    add("--add", action="store_true", help="add rounds of runs to those of the record")
    runs = parser.add_argument_group("runs to a loss")
    add = runs.add_argument
    add("--weights", help="of the run at quarter width; random if absent")
    add("--content", type=Path, help="picture; an example picture if absent")
    add("--style", type=Path, help="picture; an example picture if absent")
    add("--evaluations", type=int, default=500, help="of PyTorch (500)")
    add("--iterations", type=int, default=700, help="of ours at most (700)")
    add("--history", help="ours: solver.history")
    add("--scales", help="ours: scales")
    add("--precision", help="ours: solver.precision")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="ours: any key")
    add("--torch-precision", default="float32", help="float32, default or bfloat16")
    return parser.parse_args(arguments)


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"unknown part {', '.join(sorted(unknown))}")
    return parts


if __name__ == "__main__":
    main()
