"""No setting, however hostile, loses a run; and the grid that shows it sees losses."""

import math

import pytest

from scripts import hostile_grid
from scripts.hostile_grid import CONSTANT, CORNER, Cell, Row, run_cell

SIZE, ITERATIONS = 32, 25
HOSTILE = {
    "style": Cell(style_weight=1e6),
    "all at once": CORNER,
    "from the content": CORNER._replace(start="content"),
    "sums as printed": Cell(preset="gatys2016-literal", tv=1e3, style_weight=1e6),
    "black on black": CORNER._replace(content="black", style="black"),
    "unscaled": Cell(preset="neural-style", rescale=False, style_weight=1e6),
    "bfloat16": CORNER._replace(precision="bfloat16"),
    "adam": CORNER._replace(solver="adam"),
}
QUICK = ("all at once", "from the content", "sums as printed", "adam")


@pytest.fixture(scope="module")
def given():
    return hostile_grid.pictures(SIZE)


def lawful(cell: Cell, given, weights) -> Row:
    row = run_cell(cell, given, size=SIZE, iterations=ITERATIONS, weights=str(weights))
    assert row.violation is None, row
    return row


@pytest.mark.run
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow)
        for name in HOSTILE
    ],
)
def test_hostile_settings_lose_nothing(name, given, tiny_weights):
    row = lawful(HOSTILE[name], given, tiny_weights)
    assert row.kept_loss is not None
    assert row.start_loss is not None
    # Safe, but not by standing still: each of these can be improved.
    assert row.kept_loss < 0.9 * row.start_loss


def test_a_start_that_is_perfect_is_kept(given, tiny_weights):
    """Content, style and start are one gray of one shape: nothing is left to do."""
    gray = given["content"]["gray"]
    same = {"content": {"gray": gray}, "style": {"gray": gray}}
    cell = Cell(content="gray", style="gray", start="content", tv=1.0)
    row = lawful(cell, same, tiny_weights)
    assert row.start_loss == pytest.approx(0, abs=1e-9)


@pytest.mark.run
@pytest.mark.slow
@pytest.mark.parametrize(
    "cell", hostile_grid.grid(250, seed=1), ids=lambda c: "-".join(map(str, c))
)
def test_the_grid(cell, given, tiny_weights):
    lawful(cell, given, tiny_weights)


def row_of(start: float | None, kept: float | None, **changed) -> Row:
    return Row(Cell(), start, kept, True, 0, 40, "finished")._replace(**changed)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (row_of(1.0, 1.5), "above"),
        (row_of(1.0, math.nan), "above"),
        (row_of(1.0, 0.5, finite=False), "not finite"),
        (row_of(None, None, outcome="no such file"), "no result"),
    ],
)
def test_breaking_the_law_is_seen(row, word):
    assert word in (row.violation or "")
    assert "1 violations" in hostile_grid.to_markdown([row], about="")


@pytest.mark.parametrize(
    "row",
    [
        row_of(1.0, 1.0),
        row_of(0.0, 0.0),
        row_of(None, None, outcome="the objective is not finite; lower alpha"),
    ],
)
def test_what_is_within_the_law(row):
    assert row.violation is None


def test_grid_has_the_core_and_every_value():
    cells = hostile_grid.grid(200)
    assert len(cells) == len(set(cells)) == 200
    assert set(hostile_grid.core()) <= set(cells)
    for name, values in hostile_grid.SETTINGS.items():
        assert {getattr(cell, name) for cell in cells} == set(values)


def test_constant_pictures_are_constant(given):
    for role in ("content", "style"):
        assert set(given[role]) == {"picture", *CONSTANT}
        for name, value in CONSTANT.items():
            assert (given[role][name] == value).all()
        assert given[role]["picture"].std() > 0.05


def test_program_exits_1_on_a_violation_and_writes_both_files(
    monkeypatch, tmp_path, capsys
):
    rows = iter([row_of(1.0, 0.5), row_of(1.0, 2.0)])
    monkeypatch.setattr(hostile_grid, "run_cell", lambda *_, **__: next(rows))
    out = tmp_path / "grid.csv"
    assert hostile_grid.main(["--cells", "2", "--out", str(out)]) == 1
    assert "violation: kept 2" in capsys.readouterr().out
    assert len(out.read_text().splitlines()) == 3
    assert "2 runs, 1 violations" in out.with_suffix(".md").read_text()
