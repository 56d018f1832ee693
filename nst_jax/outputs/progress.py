"""What a run says while it runs: a bar in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from nst_jax.solve.loop import Record

LINE_SECONDS = 10.0


class Quiet(AbstractContextManager):
    """Says nothing. Also what the others have in common."""

    def __exit__(self, *exception) -> None:
        """Close what is open."""

    def say(self, text: str) -> None:
        """One line for the user."""

    def headline(self, text: str, iterations: int) -> None:
        """What the run is, shown with its expected time once that is known."""

    def take(self, record: Record) -> None:
        """One step of the run."""


class _Counting(Quiet):
    """Knows the pace: seconds per iteration, and what is left."""

    def __init__(self, console: Console):
        self.console, self.text, self.iterations = console, "", 0
        self.first: Record | None = None

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def headline(self, text: str, iterations: int) -> None:
        self.text, self.iterations = text, iterations

    def pace(self, record: Record) -> float:
        """Seconds per iteration, the compilation not counted."""
        if self.first is None or record.iteration <= self.first.iteration:
            return 0.0
        steps = record.iteration - self.first.iteration
        return (record.seconds - self.first.seconds) / steps

    def left(self, record: Record) -> float:
        """Seconds left."""
        return self.pace(record) * (self.iterations - record.iteration)

    def take(self, record: Record) -> None:
        if self.first is None:
            self.first = record
            return
        if record.iteration == self.first.iteration + 1:
            # The first line waits for a measured step: a guess would be a lie on
            # somebody's machine.
            expected = record.seconds + self.left(record)
            self.say(f"{self.text} · about {duration(expected)}")
        self.show(record)

    def show(self, record: Record) -> None:
        """Show one step."""


class Lines(_Counting):
    """A line now and then, for files and pipes."""

    def __init__(self, console: Console):
        super().__init__(console)
        self.last = time.perf_counter()

    def show(self, record: Record) -> None:
        """Print a line, unless one was printed just now."""
        now = time.perf_counter()
        if now - self.last < LINE_SECONDS and record.outcome is None:
            return
        self.last = now
        self.say(
            f"iteration {record.iteration}/{self.iterations}  {_losses(record)}  "
            f"{self.pace(record):.3g} s each  {duration(self.left(record))} left"
        )


class Bar(_Counting):
    """A progress bar."""

    def __init__(self, console: Console):
        super().__init__(console)
        self.bar = Progress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        self.task = self.bar.add_task("compiling", total=None)

    def __enter__(self) -> "Bar":
        self.bar.start()
        return self

    def __exit__(self, *exception) -> None:
        self.bar.stop()

    def show(self, record: Record) -> None:
        """Move the bar."""
        self.bar.update(
            self.task,
            total=self.iterations,
            completed=record.iteration,
            description=f"{_losses(record)}  {self.pace(record):.3g} s each  "
            f"{duration(self.left(record))} left",
        )


def reporter(*, quiet: bool = False) -> Quiet:
    """The reporter that fits: a bar in a terminal, lines elsewhere, or silence."""
    if quiet:
        return Quiet()
    console = Console()
    return Bar(console) if console.is_terminal else Lines(console)


@contextmanager
def byte_progress(
    *, quiet: bool = False
) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for downloads, as ``progress(done_bytes, total_bytes)``."""
    if quiet:
        yield None
        return
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn())
    bar = Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn())
    task = None

    def show(done: int, total: int) -> None:
        nonlocal task
        if task is None:
            bar.start()
            task = bar.add_task("", total=total)
        bar.update(task, completed=done, total=total)
        if done >= total:
            bar.stop()

    try:
        yield show
    finally:
        bar.stop()


def duration(seconds: float) -> str:
    """Seconds in words: "8 s", "3 min 20 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _losses(record: Record) -> str:
    terms = record.terms
    return (
        f"loss {terms.total:.3e} (content {terms.content:.3e}, "
        f"style {terms.style:.3e}, tv {terms.tv:.1e})"
    )
