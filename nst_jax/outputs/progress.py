"""What a run says while it runs: a bar in a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from nst_jax.solve.loop import Record

LINE_SECONDS = 10.0
STOPPING = "stopping after this step; once more stops at once"


class Quiet(AbstractContextManager):
    """Says nothing. Also what the others have in common."""

    def __exit__(self, *exception) -> None:
        """Close what is open."""

    def say(self, text: str) -> None:
        """One line for the user."""

    def headline(
        self, text: str, scales: Sequence[tuple[int, int]], *, note: str | None = None
    ) -> None:
        """What the run is. Its expected time follows once that is known.

        Args:
            text: device, network, size.
            scales: longer side and iterations of each, from coarse to fine.
            note: a line to follow it, or None.
        """

    def take(self, record: Record) -> None:
        """One step of the run."""

    def stopping(self) -> None:
        """The user asked the run to end. Called from within a signal handler."""


class _Counting(Quiet):
    """Knows the pace: seconds per iteration, and what is left."""

    def __init__(self, stream: TextIO):
        self.stream, self.iterations, self.said = stream, 0, False
        self.scales: Sequence[tuple[int, int]] = ()
        # Of the scale at work: the record that the pace is counted from, and how many
        # there were.
        self.first: Record | None = None
        self.seen = 0

    def say(self, text: str) -> None:
        """One line for the user; a reader who went away does not stop the run."""
        encoding = self.stream.encoding or "utf-8"
        try:
            self.line(text.encode(encoding, "replace").decode(encoding))
        # A closed pipe, a full disk, a terminal that is gone.
        except (OSError, ValueError):
            _discard(self.stream)
        except RuntimeError:
            pass  # from a signal handler, while a line was being written

    def line(self, text: str) -> None:
        """Write a line that the stream can encode."""

    def headline(
        self, text: str, scales: Sequence[tuple[int, int]], *, note: str | None = None
    ) -> None:
        self.scales = scales
        # Every scale begins with the evaluation of its start.
        self.iterations = sum(count + 1 for _, count in scales) - 1
        self.say(text)
        if note:
            self.say(note)

    def pace(self, record: Record) -> float:
        """Seconds per iteration, the compilation not counted."""
        if self.first is None or record.iteration <= self.first.iteration:
            return 0.0
        steps = record.iteration - self.first.iteration
        return (record.seconds - self.first.seconds) / steps

    def left(self, record: Record) -> float:
        """Seconds left; a step of a finer scale takes as long as its area says."""
        sizes = [size for size, _ in self.scales]
        steps = [count + 1 for _, count in self.scales]
        here = sum(steps[: record.scale + 1]) - 1 - record.iteration
        finer = range(record.scale + 1, len(steps))
        later = sum(steps[k] * (sizes[k] / record.size) ** 2 for k in finer)
        return self.pace(record) * (max(here, 0) + later)

    def times(self, record: Record) -> str:
        """Seconds per iteration and seconds left, in words; at the end, all of them."""
        if record.outcome is not None:
            return f"{self.pace(record):.3g} s each  {duration(record.seconds)} in all"
        return f"{self.pace(record):.3g} s each  {duration(self.left(record))} left"

    def take(self, record: Record) -> None:
        if self.first is None or record.scale != self.first.scale:
            self.seen = 0
        # The first step after the compilation is slow, and would spoil the pace.
        if self.seen <= 1:
            self.first = record
        self.seen += 1
        if not self.said and self.seen > 2:
            # It waits for a measured step: a guess would be a lie on somebody's
            # machine.
            self.said = True
            self.say(f"about {duration(record.seconds + self.left(record))} in all")
        if self.said or record.outcome:
            self.show(record)

    def show(self, record: Record) -> None:
        """Show one step."""

    def stopping(self) -> None:
        self.say(STOPPING)


class Lines(_Counting):
    """A line now and then, for files and pipes."""

    def __init__(self, stream: TextIO):
        super().__init__(stream)
        self.last = time.perf_counter()

    def line(self, text: str) -> None:
        """Print it."""
        print(text, file=self.stream, flush=True)

    def show(self, record: Record) -> None:
        """Print a line, unless one was printed just now."""
        now = time.perf_counter()
        if now - self.last < LINE_SECONDS and record.outcome is None:
            return
        self.last = now
        self.say(
            f"iteration {record.iteration}/{self.iterations}  {_losses(record)}  "
            f"{self.times(record)}"
        )


class Bar(_Counting):
    """A progress bar with the losses below it: both fit 80 columns."""

    def __init__(self, console: Console):
        super().__init__(console.file)  # pyright: ignore[reportArgumentType]
        self.bar = _TwoLines(
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

    def line(self, text: str) -> None:
        """Print it above the bar, whole: a path can then be copied."""
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, record: Record) -> None:
        """Move the bar."""
        self.bar.below = _losses(record)
        self.bar.update(
            self.task,
            total=self.iterations,
            completed=record.iteration,
            description=self.times(record),
        )

    def stopping(self) -> None:
        """Say so; the bar's own thread writes it, not the signal handler."""
        if self.bar.live.is_started:
            self.bar.below = STOPPING
        else:
            self.say(STOPPING)


class _TwoLines(Progress):
    below = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.below:
            yield Text(self.below, no_wrap=True, overflow="ellipsis")


def reporter(*, quiet: bool = False) -> Quiet:
    """The reporter that fits: a bar in a terminal, lines elsewhere, or silence."""
    if quiet or sys.stdout is None:  # None: it was closed before Python began
        return Quiet()
    console = Console()
    # Not console.is_terminal: FORCE_COLOR would put the bar's escapes into a log.
    if sys.stdout.isatty() and not console.is_dumb_terminal:
        return Bar(console)
    return Lines(sys.stdout)


def _discard(stream: TextIO) -> None:
    """Let the rest go nowhere, also what Python writes when it exits."""
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
    except (OSError, ValueError):  # a stream without a file
        pass


@contextmanager
def byte_progress(
    *, quiet: bool = False
) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for downloads, as ``progress(done_bytes, total_bytes)``."""
    if quiet:
        yield None
        return
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn())
    # On stderr: `nst-jax weights fetch` prints a path that others read.
    bar = Progress(
        *columns,
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task = None

    def show(done: int, total: int) -> None:
        nonlocal task
        if not total:
            return
        if task is None:
            bar.start()
            task = bar.add_task("", total=total)
        bar.update(task, completed=done)
        if done == total:
            bar.stop()

    try:
        yield show
    finally:
        if task is not None:  # a bar that never started would leave an empty line
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
    terms, more = record.terms, record.terms.photorealism
    # One of the two, so that it fits.
    last = f"tv {terms.tv:.1e}" if more is None else f"photorealism {more:.1e}"
    return (
        f"loss {terms.total:.3e} (content {terms.content:.3e}, "
        f"style {terms.style:.3e}, {last})"
    )
