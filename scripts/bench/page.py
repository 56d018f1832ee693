"""A record as a page: what was measured, how, and the tables."""

from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

Entry = dict[str, Any]
MISSING = "-"


class Table(NamedTuple):
    """A section of the page.

    Attributes:
        title: of the section.
        how: how it was measured.
        columns: head -> the text of an entry's cell.
    """

    title: str
    how: str
    columns: dict[str, Callable[[Entry], str]]


def _seconds(key: str) -> Callable[[Entry], str]:
    def text(entry: Entry) -> str:
        value = entry.get(key)
        if value is None:
            return MISSING
        return f"{1e3 * value:.2f} ms" if value < 0.1 else f"{value:.3f} s"

    return text


def _times(key: str) -> Callable[[Entry], str]:
    return lambda entry: _ratio(entry.get(key))


def _ratio(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f} x"


def _gigabytes(key: str) -> Callable[[Entry], str]:
    def text(entry: Entry) -> str:
        value = entry.get(key)
        return MISSING if value is None else f"{value / 1e9:.2f} GB"

    return text


def _over(above: str, below: str) -> Callable[[Entry], str]:
    def text(entry: Entry) -> str:
        if entry.get(above) is None or entry.get(below) is None:
            return MISSING
        return _ratio(entry[above] / entry[below])

    return text


def _plain(key: str) -> Callable[[Entry], str]:
    return lambda entry: str(entry.get(key, MISSING))


def _percent(key: str) -> Callable[[Entry], str]:
    return lambda entry: f"{100 * entry[key]:.2f} %"


def _of_rounds(key: str, form: str) -> Callable[[Entry], str]:
    """The median over rounds; "never" where a round did not get there."""

    def text(entry: Entry) -> str:
        rounds = [one for one in entry["rounds"] if key in one]
        values = [one[key] for one in rounds if one[key] is not None]
        if not rounds:
            return MISSING
        if not values:
            return "never"
        short = len(rounds) - len(values)
        note = f" ({short} of {len(rounds)} never)" if short else ""
        return form.format(median(values)) + note

    return text


TABLES = {
    "evaluation": Table(
        "Evaluation of objective and gradient",
        "Preset gatys2016 on random pictures, six layers to conv5_1. *Alone*: one "
        "jitted call. *In a loop*: evaluations of a loop on the device, where each "
        "needs the one before it, as in the solver; this is what a run pays, and what "
        "is compared. *PyTorch*: the same loss (checked) and gradient in the same "
        "process, in float32 and in the precision of the row. Turns are taken (A B C, "
        "A B C, ...); medians, and medians of the ratios of neighbours.",
        {
            "case": _plain("case"),
            "alone": _seconds("alone_seconds"),
            "in a loop": _seconds("loop_seconds"),
            "loop / alone": _times("loop_over_alone"),
            "PyTorch float32": _seconds("torch_seconds"),
            "loop / it": _times("loop_over_torch"),
            "PyTorch, same precision": _seconds("torch_same_seconds"),
            "loop / that": _times("loop_over_torch_same"),
        },
    ),
    "solver": Table(
        "Step of L-BFGS",
        "Steps in the solver's loop with the history full, against evaluations alone "
        "and in a loop; turns and medians as above. The history is filled by steps on "
        "a narrow network first. *Undone*: steps of the measurement that the "
        "safeguard refused; three in a row drop the history.",
        {
            "case": _plain("case"),
            "evaluation alone": _seconds("evaluation_seconds"),
            "evaluation in a loop": _seconds("loop_seconds"),
            "step": _seconds("step_seconds"),
            "step / alone": _times("step_over_evaluation"),
            "step / in a loop": _times("step_over_loop"),
            "undone": _plain("refused"),
        },
    ),
    "host": Table(
        "Between chunks",
        "A run of the solver's loop on its own, from its second chunk to its last "
        "record: the part of the time that passes outside of chunks.",
        {
            "case": _plain("case"),
            "iterations": _plain("iterations"),
            "seconds": _seconds("seconds"),
            "between chunks": _percent("between_chunks_share"),
        },
    ),
    "controls": Table(
        "Controls",
        "Evaluations of a loop on the device with one control each, over plain ones: "
        "two styles blended, three regions side by side, other statistics instead of "
        "Gram matrices; turns and medians as above. A step of the solver costs the "
        "same besides.",
        {
            "case": _plain("case"),
            "plain": _seconds("plain_seconds"),
            "two styles": _times("two_styles_over_plain"),
            "three regions": _times("three_regions_over_plain"),
            "sliced Wasserstein": _times("sliced_wasserstein_over_plain"),
            "Wasserstein": _times("wasserstein_over_plain"),
        },
    ),
    "memory": Table(
        "Peak memory",
        "Whole processes, `nst-jax stylize` with the preset gatys-notebook, all of the "
        "history (allocated at the start) and solver.memory fast and low, against the "
        "PyTorch reference after four evaluations, and with its history of 100 full "
        "(calculated: 24 bytes per pixel and pair). The most memory that the system "
        "saw (ru_maxrss; a small process starts them, as a child begins with its "
        "parent's peak); on a GPU the allocator's peak. *Predicted*: by the memory "
        "plan.",
        {
            "case": _plain("case"),
            "picture": _plain("picture"),
            "history": _plain("history"),
            "fast": _gigabytes("fast_bytes"),
            "predicted": _gigabytes("fast_predicted_bytes"),
            "low": _gigabytes("low_bytes"),
            "low predicted": _gigabytes("low_predicted_bytes"),
            "PyTorch": _gigabytes("torch_bytes"),
            "PyTorch, history full": _gigabytes("torch_full_bytes"),
            "fast / PyTorch": _over("fast_bytes", "torch_bytes"),
            "low / PyTorch": _over("low_bytes", "torch_bytes"),
            "fast / full": _over("fast_bytes", "torch_full_bytes"),
            "low / full": _over("low_bytes", "torch_full_bytes"),
        },
    ),
    "compile": Table(
        "Start of a process",
        "Whole processes of `nst-jax stylize`, the first with an empty cache of "
        "compiled programs (cold), the next with what it left (warm). Seconds from "
        "the start of the process to the first step (row 1 of trace.csv) and to its "
        "end; *compile* is that of the manifest, of the solver's loop alone. Medians.",
        {
            "case": _plain("case"),
            "first step, cold": _seconds("cold_first_step_seconds"),
            "warm": _seconds("warm_first_step_seconds"),
            "compile, cold": _seconds("cold_compile_seconds"),
            "warm ": _seconds("warm_compile_seconds"),
            "process, cold": _seconds("cold_process_seconds"),
            "warm  ": _seconds("warm_process_seconds"),
            "rounds": _plain("rounds"),
        },
    ),
    "runs": Table(
        "Whole runs to a loss",
        "The recipe of the authors' notebook: original weights, max pooling, start "
        "from the content, torch.optim.LBFGS (lr 1, history 100, no line search), 500 "
        "evaluations, in PyTorch (tests/reference/torch_gatys.py); and `nst-jax "
        "stylize --preset gatys-notebook` with the same weights file and the same "
        "pictures, programs compiled by an earlier run. Turns are taken. Seconds "
        "count from the start of the process: for PyTorch to its last evaluation, for "
        "us to the first one below the lowest loss that PyTorch has seen. *As many*: "
        "our loss after as many evaluations, over PyTorch's lowest. Medians over "
        "rounds.",
        {
            "case": _plain("case"),
            "picture": _plain("picture"),
            "PyTorch": _of_rounds("torch_seconds", "{:.1f} s"),
            "to the loss": _of_rounds("torch_lowest", "{:.4g}"),
            "ours": _of_rounds("seconds", "{:.1f} s"),
            "evaluations": _of_rounds("evaluations", "{:.0f}"),
            "ours / PyTorch": _of_rounds("over_torch", "{:.2f} x"),
            "as many": lambda entry: _as_many(entry),
            "per evaluation": _of_rounds("solve_seconds_per_evaluation", "{:.4f} s"),
            "PyTorch's": _of_rounds("torch_solve_seconds_per_evaluation", "{:.4f} s"),
            "rounds": lambda entry: str(len(entry["rounds"])),
        },
    ),
}


def _as_many(entry: Entry) -> str:
    both = [one for one in entry["rounds"] if "loss_at_as_many" in one]
    if not both:
        return MISSING
    return _ratio(median(one["loss_at_as_many"] / one["torch_lowest"] for one in both))


def as_markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    lines = [
        f"# {record['device']}, {record['date']}",
        "",
        "Made by `python scripts/benchmark.py`. A table may have been measured in "
        "pieces, on the same machine and day.",
        "",
        ", ".join(f"{k} {v}" for k, v in record["versions"].items() if v),
    ]
    for name, table in TABLES.items():
        if entries := record["tables"].get(name):
            lines += ["", f"## {table.title}", "", table.how, ""]
            lines += _table(table, entries)
    return "\n".join(lines) + "\n"


def _table(table: Table, entries: list[Entry]) -> list[str]:
    heads = [head.strip() for head in table.columns]
    lines = [_row(heads), "|" + "---|" * len(heads)]
    return lines + [
        _row([cell(entry) for cell in table.columns.values()]) for entry in entries
    ]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
