"""The page of results, from records alone."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scripts.papers.experiment import Experiment
from scripts.papers.record import Record

WIDTH = 88  # of lines of prose
HEAD = """\
# The papers reproduced

Written by `scripts/reproduce.py` from its own results: experiments of Gatys, Ecker and
Bethge 2015 ([arXiv 1508.06576](https://arxiv.org/abs/1508.06576)) and 2016 (CVPR), and
of those who built on them. Each claim is tested by laws, with numbers. A law that did
not hold is here, too, and the command ends with exit code 1 then.

    {command}

"""
SCORES = """\
## How to read the numbers

total is the objective, content and style its parts without their weights, which belong
to the settings of the run. The others are scores that no run optimised ("0 best" unless
said otherwise): gram, relative error of Gram matrices at conv1_2, conv2_2, conv3_3 and
conv4_3 (geometric mean), which no experiment matches as style; random_filters, the same
through random filters instead of VGG; colours, distance of colour histograms; ssim and
edges (1 best), structural similarity and correlation of edges with the content; cosine
(1 best) of responses; noise, finest detail, of the style's. See `nst_jax/scores`.

Each law must fail on a method that is broken on purpose, and tests hold that it does:
the words after "fails with" name the variant.

"""


def as_markdown(
    records: Mapping[str, Record],
    experiments: Iterable[Experiment],
    *,
    folder: str,
    command: str,
    also: Mapping[str, Mapping[str, Record]],
) -> str:
    """The page.

    Args:
        records: by the experiments' names.
        experiments: in the order of the page; those without a record are listed.
        folder: of the figures, from the page.
        command: that made the records.
        also: title -> records of other runs, shown as tables only.
    """
    experiments = list(experiments)
    parts = [HEAD.format(command=command), _made_with(records), _summary(
        records, experiments
    ), SCORES]  # fmt: skip
    for one in experiments:
        parts.append(_section(one, records.get(one.name), folder))
    for title, others in also.items():
        parts.append(f"## {title}\n\n{_made_with(others)}")
        parts.append(_summary(others, experiments))
        parts += [
            _short(one, others[one.name]) for one in experiments if one.name in others
        ]
    return "\n".join("".join(parts).rstrip().splitlines()) + "\n"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table."""
    columns = list(rows[0])
    lines = [_line(columns), "|" + "---|" * len(columns)]
    lines += [_line([_cell(row[column]) for column in columns]) for row in rows]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _made_with(records: Mapping[str, Record]) -> str:
    """Settings, machine and time of the records that were run."""
    done = [record for record in records.values() if "rows" in record]
    if not done:
        return "Nothing was run.\n\n"
    first = done[0]
    settings = first["settings"]
    minutes = sum(record["seconds"] for record in done) / 60
    quick = (
        ", quick: a fifth of the iterations, looser laws" if settings["quick"] else ""
    )
    broken = (
        f" **Broken on purpose: {settings['broken']}.**" if settings["broken"] else ""
    )
    return _paragraph(
        f"Content {settings['content']}, style {settings['style']}, longer side "
        f"{settings['size']} pixels{quick}; network {first['network']}; "
        f"{first['device']}, jax {first['versions']['jax']}; {minutes:.0f} minutes in "
        f"all, on {first['date']}. 500 iterations at one scale from noise, seed 0, "
        f"of L-BFGS on the pixels (solver.preconditioned=false), with the preset "
        f"gatys2016, unless said otherwise.{broken}"
    )


def _summary(records: Mapping[str, Record], experiments: Sequence[Experiment]) -> str:
    rows = []
    for one in experiments:
        record = records.get(one.name)
        rows.append(
            {
                "experiment": one.title,
                "laws held": _outcome(record),
                "seconds": f"{record['seconds']:.0f}"
                if record and "rows" in record
                else "",
            }
        )
    return _paragraph(_count(records, experiments)) + table(rows) + "\n"


def _count(records: Mapping[str, Record], experiments: Sequence[Experiment]) -> str:
    """How many laws held, and where one did not."""
    verdicts = [
        (one.name, law["held"])
        for one in experiments
        for law in records.get(one.name, {}).get("laws", ())
    ]
    failed = dict.fromkeys(f"`{name}`" for name, held in verdicts if not held)
    held = sum(held for _, held in verdicts)
    text = f"{held} of {len(verdicts)} laws held"
    return f"{text}; not in {', '.join(failed)}." if failed else f"{text}."


def _outcome(record: Record | None) -> str:
    if record is None:
        return "not run"
    if "rows" not in record:
        return f"not run: {record['not_run']}"
    held = sum(law["held"] for law in record["laws"])
    count = len(record["laws"])
    if not count:
        return "not judged"
    return f"{held} of {count}" if held == count else f"**{held} of {count}**"


def _section(one: Experiment, record: Record | None, folder: str) -> str:
    text = f"## {one.title}\n\n{_paragraph(one.claim)}"
    if record is None or "rows" not in record:
        return f"{text}{_outcome(record).capitalize()}.\n\n"
    for name in record["figures"]:
        text += f"![{one.title}]({folder}/{name})\n\n"
    text += table(record["rows"]) + "\n"
    text += "".join(map(_paragraph, record["notes"]))
    text += _verdicts(record) + "\n"
    if one.remark and not all(law["held"] for law in record["laws"]):
        text += _paragraph(one.remark)
    return f"{text}`{one.name}`, {record['seconds']:.0f} seconds.\n\n"


def _short(one: Experiment, record: Record) -> str:
    """An experiment on other pictures: its numbers and its laws."""
    if "rows" not in record:
        return ""
    notes = "".join(map(_paragraph, record["notes"]))
    return f"### {one.title}\n\n{table(record['rows'])}\n{notes}{_verdicts(record)}\n"


def _verdicts(record: Record) -> str:
    lines = [
        f"* {'Held' if law['held'] else '**Not held**'}: {law['text']} (fails with: "
        f"{law['broken']})"
        for law in record["laws"]
    ]
    lines += [f"* Not asked at this size: {x}" for x in record.get("not_asked", ())]
    return "".join(
        textwrap.fill(line, WIDTH, subsequent_indent="  ") + "\n" for line in lines
    )


def _paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False) + "\n\n"
