"""Laws: pure functions from the rows of an experiment to a verdict."""

import itertools
from collections.abc import Sequence
from statistics import mean, stdev

from scripts.papers.experiment import Row, Verdict


def _number(value: float) -> str:
    return f"{value:.3g}"


def _chain(values: Sequence[float]) -> str:
    return " > ".join(map(_number, values))


def falls(rows: Sequence[Row], *, column: str, factor: float = 1.0) -> Verdict:
    """Each row's value is below ``factor`` times the one before.

    A factor above 1 forgives a small rise, one below 1 asks for more than a small fall.
    """
    values = [row[column] for row in rows]
    held = all(b < factor * a for a, b in itertools.pairwise(values))
    wanted = "falls" if factor == 1 else f"falls below {factor:g} of the one before"
    chain = ", ".join(map(_number, values))
    return Verdict(held, f"{column} {wanted} from row to row: {chain}")


def rises(rows: Sequence[Row], *, column: str, factor: float = 1.0) -> Verdict:
    """Each row's value is above ``factor`` times the one before."""
    values = [row[column] for row in rows]
    held = all(b > factor * a for a, b in itertools.pairwise(values))
    wanted = "rises" if factor == 1 else f"rises above {factor:g} of the one before"
    chain = ", ".join(map(_number, values))
    return Verdict(held, f"{column} {wanted} from row to row: {chain}")


def rises_within(
    rows: Sequence[Row], *, column: str, group: str, least: float
) -> Verdict:
    """In each group of rows, the last value is at least ``least`` times the first."""
    ratios = {}
    for name, members in itertools.groupby(rows, lambda row: row[group]):
        values = [row[column] for row in members]
        ratios[name] = values[-1] / values[0]
    text = ", ".join(f"{name}: {_number(r)}" for name, r in ratios.items())
    return Verdict(
        min(ratios.values()) >= least,
        f"{column}, last over first, is at least {least:g} in each {group}: {text}",
    )


def at_most(
    rows: Sequence[Row],
    *,
    column: str,
    most: float,
    only: tuple[str, str | int] | None = None,
) -> Verdict:
    """No value is above ``most``; ``only=(column, text)`` looks at some rows."""
    chosen = [row for row in rows if only is None or row[only[0]] == only[1]]
    worst = max(row[column] for row in chosen)
    of = f" of {only[1]}" if only else ""
    return Verdict(worst <= most, f"{column}{of} is at most {most:g}: {_number(worst)}")


def at_least(
    rows: Sequence[Row],
    *,
    column: str,
    least: float,
    only: tuple[str, str | int] | None = None,
) -> Verdict:
    """No value is below ``least``; ``only=(column, text)`` looks at some rows."""
    chosen = [row for row in rows if only is None or row[only[0]] == only[1]]
    worst = min(row[column] for row in chosen)
    of = f" of {only[1]}" if only else ""
    return Verdict(
        worst >= least, f"{column}{of} is at least {least:g}: {_number(worst)}"
    )


def alike(
    rows: Sequence[Row],
    *,
    column: str,
    share: float,
    only: tuple[str, str | int] | None = None,
) -> Verdict:
    """The largest value is at most ``1 + share`` times the smallest."""
    chosen = [row for row in rows if only is None or row[only[0]] == only[1]]
    values = [row[column] for row in chosen]
    spread = max(values) / min(values) - 1
    of = f" of {only[1]}" if only else ""
    return Verdict(
        spread <= share,
        f"{column}{of} lies within {100 * share:g} %: {100 * spread:.1f} %",
    )


def above(
    rows: Sequence[Row], *, column: str, key: str, more: str, less: str, factor: float
) -> Verdict:
    """One row's value is at least ``factor`` times another's, rows named by ``key``."""
    named = {row[key]: row[column] for row in rows}
    ratio = named[more] / named[less]
    return Verdict(
        ratio >= factor,
        f"{column} of {more} is at least {factor:g} x that of {less}: "
        f"{_number(ratio)} x",
    )


def apart(
    rows: Sequence[Row],
    *,
    column: str,
    key: str,
    more: str,
    less: str,
    deviations: float,
) -> Verdict:
    """One group lies above another by so many standard deviations over seeds.

    The deviation is the larger one of the two groups.
    """
    groups = {
        name: [row[column] for row in rows if row[key] == name] for name in (more, less)
    }
    scatter = max(stdev(values) for values in groups.values())
    distance = (mean(groups[more]) - mean(groups[less])) / max(scatter, 1e-30)
    return Verdict(
        distance > deviations,
        f"{column} of {more} lies above that of {less} by more than {deviations:g} "
        f"standard deviations over seeds: {_number(mean(groups[more]))} and "
        f"{_number(mean(groups[less]))}, {distance:.1f} deviations",
    )


def matched(rows: Sequence[Row], *, layers: Sequence[str], most: float) -> Verdict:
    """Row n matched the first n layers: no error there is above ``most``."""
    errors = [row[layer] for n, row in enumerate(rows, 1) for layer in layers[:n]]
    return Verdict(
        max(errors) <= most,
        f"errors at matched layers are at most {most:g}: {_number(max(errors))}",
    )


def unmatched(rows: Sequence[Row], *, layers: Sequence[str], factor: float) -> Verdict:
    """In row n, the next deeper layer's error is ``factor`` times the matched ones'."""
    ratios = [
        row[layers[n]] / max(row[layer] for layer in layers[:n])
        for n, row in enumerate(rows, 1)
        if n < len(layers)
    ]
    text = ", ".join(f"{_number(r)} x" for r in ratios)
    return Verdict(
        min(ratios) >= factor,
        f"the error at the next deeper layer is at least {factor:g} x that of the "
        f"matched ones: {text}",
    )


def slows_down(rows: Sequence[Row], *, column: str, most: float) -> Verdict:
    """The last step down is at most ``most`` times the first one, and still down."""
    values = [row[column] for row in rows]
    first, last = values[0] - values[1], values[-2] - values[-1]
    part = last / max(first, 1e-30)
    return Verdict(
        first > 0 and 0 < part <= most,
        f"{column} falls still, by at most {most:g} of its first fall: "
        f"{_number(first)}, then {_number(last)}",
    )


def lowest(
    rows: Sequence[Row], *, column: str, key: str, name: str, among: str
) -> Verdict:
    """Of the rows whose ``among`` is true, the named one has the lowest value."""
    chosen = {row[key]: row[column] for row in rows if row[among]}
    best = min(chosen, key=lambda one: chosen[one])
    values = ", ".join(f"{one} {_number(value)}" for one, value in chosen.items())
    return Verdict(best == name, f"{name} has the lowest {column}: {values}")
