"""What an experiment is: a claim of the literature, a run, and laws that test it.

A law is a pure function from an experiment's rows to a verdict, so that it can be tried
on numbers of any origin. Each names a broken variant of the method, one of
``settings.VARIANTS``, on which it must fail: a law that nothing can break would test
nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from PIL.Image import Image

from scripts.papers.lab import Lab

# A line of an experiment's table: column -> number or text, the first one a name.
Row = dict[str, Any]


class Verdict(NamedTuple):
    """Whether a law held, and the sentence that says so with its numbers."""

    held: bool
    text: str


class Law(NamedTuple):
    """A law with its bounds.

    Attributes:
        check: ``check(rows, **bounds) -> Verdict``.
        bounds: its arguments.
        broken: name of the variant on which it must fail.
        quick: arguments that replace others in a quick run, which is further from
            convergence; None: 96 pixels cannot show it, and it is not asked there.
    """

    check: Callable[..., Verdict]
    bounds: Mapping[str, Any]
    broken: str
    quick: Mapping[str, Any] | None = {}

    def judge(self, rows: Sequence[Row], *, quick: bool = False) -> Verdict:
        """The verdict on an experiment's rows."""
        bounds = {**self.bounds, **((self.quick or {}) if quick else {})}
        return self.check(rows, **bounds)


class Found(NamedTuple):
    """What an experiment brings back.

    Attributes:
        rows: its table.
        figures: name -> picture; the experiment's own name goes before it.
        notes: sentences for the page.
    """

    rows: list[Row]
    figures: dict[str, Image]
    notes: tuple[str, ...] = ()


class Experiment(NamedTuple):
    """An experiment of the literature.

    Attributes:
        name: of its files, and on the command line.
        title: of its section.
        claim: what the papers say or show, and how it is tried here.
        run: the experiment.
        laws: what must hold of its rows.
        needs: names of weights without which it is not run.
        pair: whether it is only run on a pair of pictures of the caller's own.
        remark: what there is to say of laws that did not hold, or of the figure.
    """

    name: str
    title: str
    claim: str
    run: Callable[[Lab], Found]
    laws: tuple[Law, ...]
    needs: tuple[str, ...] = ()
    pair: bool = False
    remark: str = ""
