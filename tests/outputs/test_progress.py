import io
import os
import sys
from typing import Any

import pytest
from rich.console import Console

from nst_jax.outputs import progress
from nst_jax.outputs.progress import Bar, Lines, Quiet, byte_progress, duration
from nst_jax.solve.loop import Outcome, Record
from nst_jax.types import LossTerms

Terms: Any = LossTerms  # here of plain floats, as records have them

TERMS = Terms(1.234e-1, 2.0, 3.0, 0.25, {}, {})


def record(iteration, seconds, outcome=None):
    return Record(iteration, iteration + 1, seconds, 64, TERMS, outcome=outcome)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 0 min"),
        (3900, "1 h 5 min"),
    ],
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


def lines(monkeypatch, stream, every=0.0):
    monkeypatch.setattr(progress, "LINE_SECONDS", every)
    reporter = Lines(stream)
    reporter.headline("CPU · vgg19", [(64, 101)])
    return reporter


def test_the_expected_time_waits_for_a_measured_step(monkeypatch):
    out = io.StringIO()
    reporter = lines(monkeypatch, out)
    reporter.take(record(0, 5.0))  # 5 s until here: compiled, and one evaluation
    assert out.getvalue() == "CPU · vgg19\n"
    reporter.take(record(1, 25.0))  # the first step is slow, and does not count
    assert out.getvalue() == "CPU · vgg19\n"
    reporter.take(record(2, 27.0))
    _, first, second = out.getvalue().splitlines()
    # 27 s so far, and 99 steps of 2 s.
    assert first == "about 3 min 45 s in all"
    assert second == (
        "iteration 2/101  loss 1.234e-01 (content 2.000e+00, style 3.000e+00, "
        "tv 2.5e-01)  2 s each  3 min 18 s left"
    )


def test_lines_come_now_and_then_and_at_the_end(monkeypatch):
    out = io.StringIO()
    reporter = lines(monkeypatch, out, every=1e6)
    for i in range(101):
        reporter.take(record(i, float(i)))
    reporter.take(record(101, 101.0, Outcome("finished", "done")))
    assert len(out.getvalue().splitlines()) == 3
    assert "iteration 101/101" in out.getvalue()
    assert out.getvalue().endswith("  1 s each  1 min 41 s in all\n")


def test_the_time_of_several_scales_goes_by_their_areas(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    reporter = Lines(out)
    reporter.headline("CPU", [(64, 10), (128, 5)], note="note")
    for i in range(11):
        reporter.take(record(i, i * 2.0)._replace(size=64))
    for i in range(11, 14):
        reporter.take(record(i, 20 + (i - 10) * 9.0)._replace(size=128, scale=1))
    said = out.getvalue().splitlines()
    assert said[:2] == ["CPU", "note"]
    # 4 s, 8 steps of 2 s, 6 steps of 8 s.
    assert said[2] == "about 1 min 8 s in all"
    # 3 steps of 9 s.
    assert said[-1].startswith("iteration 13/16  ")
    assert said[-1].endswith("  9 s each  27 s left")


def test_a_run_that_goes_on_has_its_own_pace(monkeypatch):
    out = io.StringIO()
    reporter = lines(monkeypatch, out)
    for i, seconds in ((50, 100.0), (51, 103.0), (52, 105.0)):
        reporter.take(record(i, seconds))
    # 105 s so far, and 49 steps of 2 s.
    assert "about 3 min 23 s in all" in out.getvalue()


def test_what_the_stream_cannot_encode_is_replaced(monkeypatch):
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    lines(monkeypatch, out).say("a · \udcff")
    assert raw.getvalue().splitlines()[-1].split() == [b"a", b"?", b"?"]


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def test_a_reader_who_went_away_does_not_stop_the_run(monkeypatch):
    lines(monkeypatch, Broken()).say("x")
    closed = io.StringIO()
    closed.close()
    lines(monkeypatch, closed).say("x")


def test_a_broken_pipe_takes_all_that_follows(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        reporter = lines(monkeypatch, out)
        reporter.say("x")
        reporter.say("y")
        print("z", file=out, flush=True)  # what Python itself writes at its exit


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_bar_takes_two_lines_at_any_width(width):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width)
    bar = Bar(console)
    bar.headline("CPU · vgg19", [(64, 100000)])
    bar.take(record(0, 5.0))
    bar.take(record(1, 5.5))
    bar.take(record(2, 6.0))
    bar.take(record(99999, 5.5e4))
    frame = console.render_lines(bar.bar.get_renderable(), pad=False)
    texts = ["".join(segment.text for segment in line) for line in frame]
    assert len(texts) == 2
    assert all(len(text) <= width for text in texts)
    if width >= 80:
        assert " 99999/100000 0.55 s each  1 s left" in texts[0]
        assert texts[1].startswith("loss 1.234e-01 (content 2.000e+00, style 3.000e+00")
    assert "CPU · vgg19\nabout 13 h 53 min in all\n" in out.getvalue()


def test_the_bar_says_that_it_is_stopping_below_itself():
    out = io.StringIO()
    bar = Bar(Console(file=out, force_terminal=True, width=80))
    bar.stopping()
    assert out.getvalue().startswith("stopping after this step")
    with bar:
        written = len(out.getvalue())
        bar.bar.live.auto_refresh = False
        bar.stopping()
        assert bar.bar.below.startswith("stopping after this step")
    assert "stopping after this step" in out.getvalue()[written:]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_for_terminals(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert type(progress.reporter()) is Bar
    assert type(progress.reporter(quiet=True)) is Quiet
    monkeypatch.setenv("TERM", "dumb")
    assert type(progress.reporter()) is Lines


def test_no_bar_in_a_log_even_if_colours_are_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert type(progress.reporter()) is Lines
    monkeypatch.setattr(sys, "stdout", None)
    assert type(progress.reporter()) is Quiet


def test_a_download_is_shown_on_stderr(capsys):
    with byte_progress() as show:
        assert show is not None
        show(1000, 4000)
        show(4000, 4000)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "4.0/4.0 kB" in captured.err


def test_no_download_leaves_no_trace(capsys):
    with byte_progress() as show:
        assert show is not None
        show(1000, 0)  # a server that does not say how much there is
    with byte_progress(quiet=True) as show:
        assert show is None
    assert capsys.readouterr() == ("", "")
