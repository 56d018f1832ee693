"""trace.csv: a row per iteration."""

import csv
import io
from collections.abc import Sequence

from nst_jax.solve.loop import Record
from nst_jax.types import LossTerms

LEADING = ("iteration", "evaluations", "seconds", "size")
TERMS = ("total", "content", "style", "tv")


def columns(record: Record) -> list[str]:
    """Names of the columns: the leading ones, the terms, a column per layer."""
    return [*LEADING, *terms_of(record.terms), *_layers(record)]


def terms_of(terms: LossTerms) -> dict[str, float]:
    """The terms by name; ``photorealism`` only where the objective has it."""
    found = {name: getattr(terms, name) for name in TERMS}
    if terms.photorealism is not None:
        found["photorealism"] = terms.photorealism
    return found


def row(record: Record) -> list[float]:
    """One record as numbers, in the order of ``columns``.

    Terms are unweighted; ``total`` is the objective.
    """
    leading = [getattr(record, name) for name in LEADING]
    terms = terms_of(record.terms).values()
    return [*leading, *terms, *_layers(record).values()]


def to_csv(records: Sequence[Record]) -> str:
    """The trace of a run as CSV text with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(records[0]))
    for record in records:
        values = row(record)
        values[2] = f"{record.seconds:.4f}"  # type: ignore[call-overload]
        writer.writerow(values)
    return text.getvalue()


def _layers(record: Record) -> dict[str, float]:
    content = {f"content/{k}": v for k, v in record.terms.content_layers.items()}
    style = {f"style/{k}": v for k, v in record.terms.style_layers.items()}
    return {**content, **style}  # pyright: ignore[reportReturnType]
