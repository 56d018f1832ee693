"""scripts/reproduce.py: its laws can fail, its records and pages say what was found."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from scripts import reproduce
from scripts.papers import figures, gallery, laws
from scripts.papers.catalogue import EXPERIMENTS
from scripts.papers.experiment import Experiment, Found, Law
from scripts.papers.judge import psnr, rmse
from scripts.papers.lab import Lab
from scripts.papers.networks import NOTEBOOK, NOTEBOOK_WEIGHTS
from scripts.papers.page import as_markdown, table
from scripts.papers.record import earlier, judged, perform, read
from scripts.papers.settings import ORDER, SEED, VARIANTS, Settings

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "configs" / "pictures"
CASES = [
    pytest.param(one, broken, id=f"{one.name}, {broken}")
    for one in EXPERIMENTS.values()
    if not one.needs
    for broken in dict.fromkeys(law.broken for law in one.laws)
]


def settings(**changes) -> Settings:
    pictures = (PICTURES / f"{n}.jpg" for n in ("town", "night_sky", "still_life"))
    return Settings(*pictures, **{"size": 64, "quick": True, **changes})


# --- laws by hand ------------------------------------------------------------------


def rows(column, *values, key="name"):
    return [{key: str(i), column: value} for i, value in enumerate(values)]


def groups(names, values):
    return [{"g": name, "x": x} for name, x in zip(names, values, strict=True)]


BY_HAND = [
    (laws.falls, {"column": "x"}, rows("x", 3, 2, 1), rows("x", 3, 2, 2)),
    (laws.falls, {"column": "x", "factor": 0.5}, rows("x", 9, 4), rows("x", 9, 5)),
    (laws.rises, {"column": "x"}, rows("x", 1, 2, 3), rows("x", 1, 3, 2)),
    (laws.at_most, {"column": "x", "most": 2}, rows("x", 1, 2), rows("x", 1, 2.1)),
    (laws.at_least, {"column": "x", "least": 1}, rows("x", 1, 2), rows("x", 0.9, 2)),
    (
        laws.at_least,
        {"column": "x", "least": 1, "only": ("name", "1")},
        rows("x", 0, 2),
        rows("x", 2, 0),
    ),
    (laws.alike, {"column": "x", "share": 0.1}, rows("x", 10, 10.9), rows("x", 10, 12)),
    (
        laws.alike,
        {"column": "x", "share": 0.1, "only": ("name", "a")},
        [{"name": "a", "x": 1}, {"name": "b", "x": 9}, {"name": "a", "x": 1.05}],
        [{"name": "b", "x": 1}, {"name": "a", "x": 9}, {"name": "a", "x": 1.05}],
    ),
    (
        laws.rises_within,
        {"column": "x", "group": "g", "least": 2},
        groups("AABB", (1, 2, 3, 7)),
        groups("AABB", (1, 3, 3, 5)),
    ),
    (
        laws.above,
        {"column": "x", "key": "name", "more": "0", "less": "1", "factor": 2},
        rows("x", 4, 2),
        rows("x", 3, 2),
    ),
    (
        # Means 10 and 7, larger deviation 1: three deviations are not more than three.
        laws.apart,
        {"column": "x", "key": "g", "more": "a", "less": "b", "deviations": 3},
        groups("aaabbb", (9, 10, 11, 6, 6.5, 7)),
        groups("aaabbb", (9, 10, 11, 6, 7, 8)),
    ),
    (
        laws.matched,
        {"layers": ("p", "q"), "most": 0.1},
        [{"p": 0.1, "q": 5}, {"p": 0.1, "q": 0.05}],
        [{"p": 0.1, "q": 5}, {"p": 0.1, "q": 0.2}],
    ),
    (
        laws.unmatched,
        {"layers": ("p", "q"), "factor": 2},
        [{"p": 0.1, "q": 0.2}, {"p": 0.1, "q": 0.05}],
        [{"p": 0.1, "q": 0.15}, {"p": 0.1, "q": 0.05}],
    ),
    (
        laws.slows_down,
        {"column": "x", "most": 0.5},
        rows("x", 10, 6, 4),
        rows("x", 10, 6, 3),
    ),
    (
        laws.slows_down,
        {"column": "x", "most": 0.5},
        rows("x", 9, 6, 5),
        rows("x", 9, 6, 6),
    ),
    (
        laws.lowest,
        {"column": "x", "key": "name", "name": "0", "among": "in"},
        [{"name": "0", "x": 2, "in": True}, {"name": "1", "x": 1, "in": False}],
        [{"name": "0", "x": 2, "in": True}, {"name": "1", "x": 1, "in": True}],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("law", "bounds", "good", "bad"), BY_HAND)
def test_a_law_holds_and_fails_by_hand(law, bounds, good, bad):
    assert law(good, **bounds).held
    assert not law(bad, **bounds).held
    assert law(good, **bounds).text != law(bad, **bounds).text  # the numbers are in it


def test_every_law_is_tried_by_hand_and_names_a_variant():
    used = {law.check for one in EXPERIMENTS.values() for law in one.laws}
    assert used <= {law for law, *_ in BY_HAND}
    for one in EXPERIMENTS.values():
        assert one.laws, one.name
        assert {law.broken for law in one.laws} <= set(VARIANTS), one.name


def test_the_notebooks_law_looks_at_the_last_published_loss():
    (law,) = EXPERIMENTS["notebook"].laws

    def verdict(last: float):
        column = law.bounds["column"]
        return law.judge([{"evaluations": n, column: 2.0} for n in list(NOTEBOOK)[:-1]]
                         + [{"evaluations": 500, column: last}])  # fmt: skip

    assert verdict(1.05).held
    assert not verdict(1.06).held


# --- laws on broken methods --------------------------------------------------------


def broken_verdicts(experiment: Experiment, broken: str, folder: Path):
    lab = Lab(settings(broken=broken), folder)
    found = experiment.run(lab).rows
    return [
        (law.judge(found, quick=True), law)
        for law in experiment.laws
        if law.broken == broken
    ]


@pytest.mark.run
@pytest.mark.slow
@pytest.mark.parametrize(("experiment", "broken"), CASES)
def test_every_law_fails_on_its_broken_variant(experiment, broken, tmp_path):
    verdicts = broken_verdicts(experiment, broken, tmp_path)
    assert verdicts
    for verdict, _ in verdicts:
        assert not verdict.held, verdict.text


@pytest.mark.run
@pytest.mark.slow
def test_a_law_fails_on_its_broken_variant(tmp_path):
    ((verdict, _),) = broken_verdicts(EXPERIMENTS["seeds"], SEED, tmp_path)
    assert not verdict.held, verdict.text


@pytest.mark.run
@pytest.mark.slow
def test_the_sound_method_keeps_the_same_laws(tmp_path):
    found = EXPERIMENTS["seeds"].run(Lab(settings(), tmp_path))
    for law in EXPERIMENTS["seeds"].laws:
        verdict = law.judge(found.rows, quick=True)
        assert verdict.held, verdict.text


# --- records, pages, figures -------------------------------------------------------


def toy(*, values=(2.0, 1.0), **changes) -> Experiment:
    """An experiment that runs nothing: a network is read, for its name alone."""
    found = Found(
        [{"name": str(i), "x": value} for i, value in enumerate(values)],
        {"": figures.strip([("gray", np.full((24, 32, 3), 0.5, np.float32))])},
        ("A note.",),
    )
    experiment = Experiment(
        "toy", "A toy", "It falls.", lambda lab: found,
        (Law(laws.falls, {"column": "x"}, ORDER, {"factor": 9}),),
        remark="It did not.",
    )  # fmt: skip
    return experiment._replace(**changes)


def page_of(folder: Path, *experiments: Experiment) -> str:
    return as_markdown(
        read(folder), experiments, folder=folder.name, command="x", also={}
    )


def test_a_record_holds_rows_figures_and_verdicts(tmp_path):
    lab = Lab(settings(quick=False), tmp_path)
    record = perform(toy(), lab, tmp_path)
    assert record == json.loads((tmp_path / "toy.json").read_text())
    assert (tmp_path / "toy.jpg").stat().st_size > 500
    assert record["settings"]["content"] == "town.jpg"  # and no folder of this machine
    assert [law["held"] for law in record["laws"]] == [True]
    page = page_of(tmp_path, toy())
    assert "| A toy | 1 of 1 |" in page
    assert f"![A toy]({tmp_path.name}/toy.jpg)" in page
    assert "* Held: x falls from row to row: 2, 1 (fails with: wrong order)" in page
    assert "It did not." not in page


def test_a_law_that_did_not_hold_is_on_the_page_with_its_reason(tmp_path):
    lab = Lab(settings(quick=False), tmp_path)
    perform(toy(values=(1.0, 2.0)), lab, tmp_path)
    page = page_of(tmp_path, toy())
    assert "0 of 1 laws held; not in `toy`." in page
    assert "| A toy | **0 of 1** |" in page
    assert "* **Not held**: x falls" in page
    assert "It did not." in page


def test_quick_runs_have_looser_laws_or_none(tmp_path):
    lab = Lab(settings(), tmp_path)
    (law,) = perform(toy(values=(1.0, 2.0)), lab, tmp_path)["laws"]
    assert law["held"]
    assert "below 9 of" in law["text"]  # the bound is stated
    strict = toy(laws=(Law(laws.falls, {"column": "x"}, ORDER, None),))
    record = perform(strict, lab, tmp_path)
    assert record["laws"] == []
    assert record["not_asked"] == ["x falls from row to row: 2, 1"]
    assert "* Not asked at this size: x falls" in page_of(tmp_path, strict)


def test_records_are_kept_for_the_same_settings_and_judged_anew(tmp_path):
    lab = Lab(settings(quick=False), tmp_path)
    perform(toy(), lab, tmp_path)
    harder = toy(laws=(Law(laws.at_most, {"column": "x", "most": 1}, ORDER),))
    kept = earlier(harder, lab.settings, tmp_path)
    assert kept is not None
    assert not kept["laws"][0]["held"]
    assert earlier(toy(), settings(quick=False, size=65), tmp_path) is None
    assert judged(toy(), kept)["laws"][0]["held"]


def test_what_cannot_be_run_is_listed_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("NST_JAX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NST_JAX_WEIGHTS_DIR", raising=False)
    lab = Lab(settings(), tmp_path)
    perform(toy(needs=("vgg19-tiny", "vgg16")), lab, tmp_path)
    page = page_of(tmp_path, toy(), toy(name="other", title="Another"))
    assert "| A toy | not run: weights absent: vgg16 |" in page
    assert "| Another | not run |" in page
    assert "no --content" in perform(toy(pair=True), lab, tmp_path)["not_run"]


def test_a_table_is_markdown():
    text = table([{"name": "a", "x": 0.123456}, {"name": "b", "x": True}])
    assert text == "| name | x |\n|---|---|\n| a | 0.123 |\n| b | yes |\n"


def test_figures_show_what_they_are_given():
    red, wide = np.zeros((20, 30, 3), np.float32), np.ones((10, 40, 3), np.float32)
    red[..., 0] = 1
    page = np.asarray(
        figures.grid([[("a", red), ("b", wide)], [("c", red)]], width=200)
    )
    assert page.shape[1] == 6 + 2 * (80 + 6)  # twice the widest, at most
    assert page.shape[0] < 250
    assert (page == (255, 0, 0)).all(-1).sum() > 2 * 60 * 40
    drawn = figures.curves({"one": [(0, 1.0), (1, 0.1)], "none": [(0, 0.0)]})
    assert np.asarray(drawn).min() < 100


def test_differences_of_pictures():
    a, b = np.zeros((4, 4, 3)), np.full((4, 4, 3), 0.1)
    assert rmse(a, b) == pytest.approx(0.1)
    assert psnr(a, b) == pytest.approx(20)


# --- the command -------------------------------------------------------------------


def test_the_command_runs_judges_and_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(reproduce, "EXPERIMENTS", {"toy": toy()})
    monkeypatch.setattr(reproduce, "WHAT", ("toy", "page"))
    out = tmp_path / "found"
    assert reproduce.main(["toy", "--out", str(out)]) == 0
    assert "A toy" in (tmp_path / "found.md").read_text()
    worse = toy(values=(1.0, 2.0))
    monkeypatch.setattr(reproduce, "EXPERIMENTS", {"toy": worse})
    # Kept, as it was made with the same settings.
    assert reproduce.main(["toy", "--resume", "--out", str(out)]) == 0
    assert reproduce.main(["toy", "--out", str(out)]) == 1
    assert "NOT HELD" in capsys.readouterr().out
    arguments = ["page", "--out", str(out), "--also", "Elsewhere", str(out)]
    assert reproduce.main(arguments) == 0
    assert "## Elsewhere" in (tmp_path / "found.md").read_text()


def test_unknown_experiments_are_refused(capsys):
    for wrong in (["nothing"], [], ["all", "--jitter", "1", "--resume"]):
        with pytest.raises(SystemExit) as end:
            reproduce.main(wrong)
        assert end.value.code == 2
    said = capsys.readouterr().err
    assert "known are all, page" in said
    assert "--resume keeps what was made with any jitter" in said


def test_every_experiment_is_listed(capsys):
    assert reproduce.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in EXPERIMENTS)


# --- the pages that are there ------------------------------------------------------


def test_the_page_is_what_its_records_say():
    # python scripts/reproduce.py page --out docs/reproduction \\
    #     --also "The same on photographs" docs/reproduction/photographs
    folder = ROOT / "docs" / "reproduction"
    records, others = read(folder), read(folder / "photographs")
    assert set(records) == set(EXPERIMENTS)
    for record in (*records.values(), *others.values()):
        assert judged(EXPERIMENTS[record["name"]], record) == record
    page = as_markdown(
        records,
        EXPERIMENTS.values(),
        folder=folder.name,
        command="python scripts/reproduce.py all",
        also={"The same on photographs": others},
    )
    assert (ROOT / "docs" / "reproduction.md").read_text() == page


def test_the_gallerys_commands_are_accepted():
    from nst_jax import config as configs
    from nst_jax.cli import _config, _options

    page = (ROOT / "docs" / "gallery.md").read_text()
    for content in gallery.CONTENTS:
        for style in gallery.STYLES:
            command = gallery.command(content, style)
            assert command in page
            options = _options(command.replace("\\\n", "").split()[1:])
            found = _config(options)
            assert isinstance(found, configs.Config)
            assert (found.size, found.objective.alpha) == (gallery.SIZE, gallery.ALPHA)


# --- opt-in -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.weights
def test_the_losses_of_the_authors_notebook(tmp_path):
    """With NST_JAX_NOTEBOOK_CONTENT and _STYLE the two pictures of the notebook."""
    pair = [os.environ.get(f"NST_JAX_NOTEBOOK_{n}") for n in ("CONTENT", "STYLE")]
    if None in pair:
        pytest.skip("needs NST_JAX_NOTEBOOK_CONTENT and NST_JAX_NOTEBOOK_STYLE")
    files = [Path(str(name)) for name in pair]
    lab = Lab(Settings(*files, files[0], own=True), tmp_path)
    if not lab.has(NOTEBOOK_WEIGHTS):
        pytest.skip(f"needs the weights {NOTEBOOK_WEIGHTS}")
    found = EXPERIMENTS["notebook"].run(lab)
    for law in EXPERIMENTS["notebook"].laws:
        verdict = law.judge(found.rows)
        assert verdict.held, verdict.text
