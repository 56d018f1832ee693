"""A whole sweep: its lanes against lone runs, its folder, going on, the API."""

import csv
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import nst_jax
from nst_jax.config import Config, changed, load
from nst_jax.images.io import load as load_picture
from nst_jax.judge import configs_of, open_judge, optimised_by
from nst_jax.outputs.progress import Quiet
from nst_jax.run import run
from nst_jax.signals import Stop
from nst_jax.sweep_run import run_sweep
from nst_jax.sweep_scores import judge_of, score
from nst_jax.sweep_spec.command_line import read
from nst_jax.sweep_spec.spec import parse

EXAMPLES = Path(__file__).parents[1] / "configs" / "pictures"
SOLVER = {"iterations": 8, "history": 4}
OBJECTIVE = {"content_layers": ["conv3_1"], "style_layers": ["conv1_1", "conv2_1"]}
AXES = {
    "style_layers": {"A": ["conv1_1"], "B": ["conv1_1", "conv2_1"]},
    "alpha": [1e-3, 1e-1],
    "lanes": 2,
}


def base_of(pictures, tiny_weights, **more) -> Config:
    config = changed(
        Config(),
        content=pictures.content,
        style=pictures.style,
        size=48,
        network={"weights": tiny_weights},
        objective=OBJECTIVE,
        solver=SOLVER,
    )
    return changed(config, **more)


class Said(Quiet):
    """Keeps what it is told, and may ask the sweep to end."""

    def __init__(self, *, stop: Stop | None = None, when: str = ""):
        self.lines: list[str] = []
        self.steps: list[int] = []
        self.total, self.stop, self.when = 0, stop, when

    def say(self, text):
        self.lines.append(text)
        if self.stop is not None and self.when in text:
            self.stop.asked = True

    def headline(self, text, scales, *, note=None):
        self.say(text)
        ((_, self.total),) = scales

    def take(self, record):
        self.steps.append(record.iteration)


@pytest.fixture(scope="module")
def swept(pictures, tiny_weights, tmp_path_factory):
    """A finished sweep of four lanes in two batches: (result, what was said)."""
    out = tmp_path_factory.mktemp("swept") / "out"
    base = base_of(pictures, tiny_weights, output={"dir": out})
    said = Said()
    result = run_sweep(base, parse(AXES, base), reporter=said, keep_records=True)
    return result, said


@pytest.fixture
def copy(swept, tmp_path):
    """A copy of the finished sweep's folder."""
    folder = tmp_path / "copy"
    shutil.copytree(swept[0].folder, folder)
    return folder


def table_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "table.csv").read_text().splitlines()))


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


# --- what comes out ---------------------------------------------------------------


def test_everything_is_there(swept):
    result, _ = swept
    lanes = {
        f"lanes/{n:04d}/{name}"
        for n in range(4)
        for name in ("config.yaml", "result.png", "trace.csv", "done.json")
    }
    tops = {"sheet.png", "table.csv", "pareto.png", "report.html", "manifest.json"}
    assert names(result.folder) == lanes | tops | {"config.yaml"}
    assert result.outcome.code == "finished"
    assert [len(records) for records in result.records] == [9] * 4
    assert result.grid == {"style_layers": ("A", "B"), "alpha": ("0.001", "0.1")}


@pytest.mark.run
@pytest.mark.parametrize("number", [0, 3])
def test_a_lane_run_alone_gives_the_same(swept, number, tmp_path):
    result, _ = swept
    place = result.folder / "lanes" / f"{number:04d}"
    config = load(place / "config.yaml")
    alone = run(changed(config, output={"dir": tmp_path / "alone"}))
    ours = [record.terms.total for record in result.records[number]]
    theirs = [record.terms.total for record in alone.records]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    difference = np.abs(load_picture(place / "result.png").pixels - alone.picture)
    assert difference.max() < 0.02
    # The same columns, too: layers of other lanes do not show.
    heads = [
        (folder / "trace.csv").read_text().splitlines()[0]
        for folder in (place, tmp_path / "alone")
    ]
    assert heads[0] == heads[1]


def test_the_table_says_what_the_records_say(swept):
    result, _ = swept
    rows = table_of(result.folder)
    assert [row["lane"] for row in rows] == ["0000", "0001", "0002", "0003"]
    assert [row["style_layers"] for row in rows] == ["A", "A", "B", "B"]
    assert [float(row["alpha"]) for row in rows] == [1e-3, 1e-1] * 2
    for row, records in zip(rows, result.records, strict=True):
        assert float(row["total"]) == pytest.approx(records[-1].terms.total)
    assert [row["style/conv2_1"] == "" for row in rows] == [True, True, False, False]
    assert {row["outcome"] for row in rows} == {"finished"}
    assert result.table.to_csv() == (result.folder / "table.csv").read_text()
    assert [row["alpha"] for row in result.table] == [1e-3, 1e-1] * 2


@pytest.mark.run
def test_all_lanes_are_scored_where_none_was_optimised(swept):
    scores = [row["held_out"] for row in swept[0].table]
    assert all(0 < score < 10 for score in scores)
    assert len(set(scores)) == 4


def test_the_judge_looks_where_no_lane_does(monkeypatch):
    def group(*looked_at):
        return SimpleNamespace(shapes=[SimpleNamespace(layers=frozenset(looked_at))])

    monkeypatch.delenv("NST_JAX_WEIGHTS_DIR", raising=False)
    groups = [group("conv1_1", "conv5_1"), group("conv2_2", "conv1_2")]
    judge = judge_of(groups)  # pyright: ignore
    assert judge is not None
    assert judge.layers == ("conv2_1", "conv3_3", "conv4_3")
    assert judge.optimised == ("conv1_1", "conv1_2", "conv2_2", "conv5_1")
    # A sweep that goes on keeps its judge, or has none.
    same = judge_of(groups, earlier=judge.entry())  # pyright: ignore
    assert same is not None
    assert same.entry() == judge.entry()
    gone = {**judge.entry(), "network": "vgg19-caffe"}
    assert judge_of(groups, earlier=gone) is None  # pyright: ignore


def test_the_sweep_says_who_judges(swept):
    result, said = swept
    layers = ["conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_1"]
    assert result.manifest["judge"]["network"] == "vgg19-tiny"
    assert result.manifest["judge"]["layers"] == layers
    where = f"judge: vgg19-tiny, at {', '.join(layers)} (content: conv4_3, conv5_1)"
    assert where in said.lines
    assert "left out, as optimised: conv1_1, conv2_1, conv3_1" in said.lines
    assert any("large forms badly" in line for line in said.lines)
    assert "judge of held_out" in (result.folder / "report.html").read_text()


def test_the_scores_of_lanes_are_those_of_their_pictures(swept, pictures):
    result, _ = swept
    files = [result.folder / lane.file for lane in result.lanes]
    judge = open_judge("vgg19-tiny", optimised_by(configs_of(map(str, files))))
    content, style = (
        load_picture(p).pixels for p in (pictures.content, pictures.style)
    )
    params = judge.seen_by([content, style])
    for file, row in zip(files, result.table, strict=True):
        picture = load_picture(file).pixels
        own = score(judge.extract, params, picture, jnp.asarray(style), judge.layers)
        assert own["held_out"] == pytest.approx(row["held_out"], rel=0.02)  # 8 bits


def doubled(params, picture, layers):
    return dict.fromkeys(layers, 2 * picture)


def test_scores_of_plain_pictures():
    """Gray a against gray b: Gram matrices of a^2 and b^2, relative error squared."""
    picture, style = np.full((8, 8, 3), 0.5, np.float32), np.full((9, 7, 3), 0.25)
    found = score(doubled, {}, picture, style, ("conv1_2", "conv2_2"))  # pyright: ignore
    assert found == {"held_out": pytest.approx((0.25 - 0.0625) ** 2 / 0.0625**2)}
    assert score(doubled, {}, picture, style, ()) == {}  # pyright: ignore
    large = np.full((64, 64, 3), 0.5, np.float32)
    found = score(doubled, {}, large, large, ("conv1_2",))  # pyright: ignore
    assert found == {"held_out": pytest.approx(0, abs=1e-6), "random_filters": 0}


def test_the_plan_and_the_batches_are_told(swept):
    _, said = swept
    text = "\n".join(said.lines)
    assert "sweep: 4 lanes (grid: 2 style_layers x 2 alpha)" in text
    assert "style_layers: A, B" in text
    assert "4 lanes of 48 x 40, 8 iterations each" in text
    assert "2 batches, 2 lanes side by side; memory: about" in text
    assert "batch 2 of 2: 2 finished" in text
    assert said.total == 4 * 9
    assert said.steps == sorted(said.steps)
    assert said.steps[-1] <= said.total


def test_the_manifest_knows_what_made_it(swept, pictures):
    result, _ = swept
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["lanes"] == 4
    assert manifest["outcomes"] == {"finished": 4}
    assert [batch["lanes"] for batch in manifest["batches"]] == [[0, 1], [2, 3]]
    assert manifest["evaluations"] == 4 * 9
    assert manifest["outcome"]["code"] == "finished"
    assert str(pictures.style) in manifest["inputs"]


def test_the_config_gives_the_same_lanes_from_anywhere(swept, tmp_path, monkeypatch):
    result, _ = swept
    monkeypatch.chdir(tmp_path)
    path = result.folder / "config.yaml"
    base = load(path)
    sweep = read(path, [], base)
    assert sweep.batch == 2
    assert [lane.labels for lane in sweep.lanes] == [x.labels for x in result.lanes]
    assert base.output.dir is None
    found = [lane.config.objective.alpha for lane in sweep.lanes]
    assert found == [1e-3, 1e-1] * 2


def test_the_sheet_is_shown_in_a_notebook(swept):
    result, _ = swept
    assert result._repr_png_() == (result.folder / "sheet.png").read_bytes()
    assert repr(result).startswith("<nst_jax.SweepResult 4 lanes: 4 finished")
    assert [picture.shape for picture in result.pictures] == [(40, 48, 3)] * 4


# --- going on ---------------------------------------------------------------------


def again(folder, pictures, tiny_weights, *, axes=AXES, reporter=None, **more):
    base = base_of(pictures, tiny_weights, output={"dir": folder}, **more)
    return run_sweep(base, parse(axes, base), resume=True, reporter=reporter)


@pytest.mark.run
def test_only_what_is_missing_is_run(swept, copy, pictures, tiny_weights):
    (copy / "lanes" / "0002" / "done.json").unlink()
    kept = [copy / "lanes" / f"{n:04d}" / "result.png" for n in (0, 1, 3)]
    for path in kept:
        os.utime(path, (1, 1))
    said = Said()
    result = again(copy, pictures, tiny_weights, reporter=said)
    assert [bool(records) for records in result.records] == [False] * 4
    assert said.total == 9
    assert [path.stat().st_mtime for path in kept] == [1, 1, 1]
    before, after = table_of(swept[0].folder), table_of(copy)
    for one, other in zip(before, after, strict=True):
        assert float(one["total"]) == pytest.approx(float(other["total"]), rel=1e-4)
    assert any("3 of 4 lanes are done already" in line for line in said.lines)
    assert "to run: 1 of 4 lanes" in said.lines


def test_a_sweep_that_is_done_runs_nothing(copy, pictures, tiny_weights):
    said = Said()
    result = again(copy, pictures, tiny_weights, reporter=said)
    assert said.steps == []
    assert result.outcome.code == "finished"
    assert [picture.shape for picture in result.pictures] == [(40, 48, 3)] * 4


@pytest.mark.parametrize(
    ("axes", "more", "what"),
    [
        ({**AXES, "alpha": [1e-3, 1]}, {}, "axis alpha was"),
        ({**AXES, "tv": [0, 1]}, {}, "axes were style_layers, alpha and is now"),
        (AXES, {"solver": {"iterations": 9}}, "solver.iterations"),
        (AXES, {"size": 40}, "size"),
    ],
)
def test_another_sweep_does_not_go_on(copy, pictures, tiny_weights, axes, more, what):
    with pytest.raises(ValueError, match="goes on as it began") as error:
        again(copy, pictures, tiny_weights, axes=axes, **more)
    assert what in str(error.value)


def test_changed_pictures_do_not_go_on(copy, pictures, tiny_weights, tmp_path):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["inputs"][str(pictures.style)] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"style\.png is not what it was"):
        again(copy, pictures, tiny_weights)


def test_a_stopped_sweep_keeps_what_is_done_and_goes_on(
    pictures, tiny_weights, tmp_path
):
    out = tmp_path / "out"
    base = base_of(pictures, tiny_weights, output={"dir": out})
    stop = Stop()
    said = Said(stop=stop, when="batch 1 of 2")
    result = run_sweep(base, parse(AXES, base), reporter=said, stop=stop)
    assert result.outcome.code == "interrupted"
    assert [row["outcome"] for row in table_of(out)] == ["finished"] * 2 + [
        "missing"
    ] * 2
    assert result.pictures[2] is None
    assert (out / "report.html").exists()
    done = (out / "lanes" / "0001" / "done.json").read_text()
    assert again(out, pictures, tiny_weights).outcome.code == "finished"
    assert (out / "lanes" / "0001" / "done.json").read_text() == done
    assert {row["outcome"] for row in table_of(out)} == {"finished"}


# --- trouble ----------------------------------------------------------------------


@pytest.mark.run
def test_a_lane_that_diverges_is_marked_and_the_others_are_not_touched(
    pictures, tiny_weights, tmp_path
):
    # 1e40 is more than float32 can hold.
    axes = {"content_layers": {"good": {"conv3_1": 1}, "bad": {"conv3_1": 1e30}}}
    out = tmp_path / "out"
    base = base_of(pictures, tiny_weights, objective={"alpha": 1e10})
    base = changed(base, output={"dir": out})
    said = Said()
    result = run_sweep(base, parse(axes, base), reporter=said, keep_records=True)
    assert [row["outcome"] for row in table_of(out)] == ["finished", "diverged"]
    assert any(line.startswith("lane 0001 diverged") for line in said.lines)
    assert result.outcome == ("finished", "2 lanes: 1 finished, 1 diverged")
    config = load(out / "lanes" / "0000" / "config.yaml")
    alone = run(changed(config, output={"dir": tmp_path / "alone"}))
    np.testing.assert_allclose(
        [record.terms.total for record in result.records[0]],
        [record.terms.total for record in alone.records],
        rtol=1e-4,
    )
    # It would diverge again: it counts as done.
    assert run_sweep(base, parse(axes, base), resume=True, reporter=said).records == [
        [],
        [],
    ]


def test_an_existing_folder_is_kept_unless_told(copy, pictures, tiny_weights):
    base = base_of(pictures, tiny_weights, output={"dir": copy})
    with pytest.raises(ValueError, match="exists already"):
        run_sweep(base, parse(AXES, base))
    assert len(table_of(copy)) == 4
    (copy / "notes.txt").write_text("mine")
    one = {"seed": [5]}
    result = run_sweep(base, parse(one, base), overwrite=True)
    assert len(result.lanes) == 1
    assert (copy / "notes.txt").exists()
    assert not (copy / "lanes" / "0003").exists()


def test_pictures_of_two_shapes_run_apart(pictures, tiny_weights, tmp_path):
    tall = tmp_path / "tall.png"
    Image.open(pictures.content).rotate(90, expand=True).save(tall)
    base = base_of(pictures, tiny_weights, solver={"iterations": 2})
    axes = {"content": [str(pictures.content), str(tall)], "seed": [0, 1]}
    said = Said()
    result = run_sweep(base, parse(axes, base), write=False, reporter=said)
    assert [p.shape for p in result.pictures] == [(40, 48, 3)] * 2 + [(48, 40, 3)] * 2
    lines = [line for line in said.lines if "apart" in line]
    assert lines == [
        "  2 lanes of 48 x 40, 2 iterations each; apart: pictures of this shape",
        "  2 lanes of 40 x 48, 2 iterations each; apart: pictures of this shape",
    ]


def test_a_very_long_sweep_asks(pictures, tiny_weights):
    base = base_of(pictures, tiny_weights, size=30000, solver={"iterations": 10**6})
    with pytest.raises(ValueError, match=r"2 lanes would take very roughly .*--yes"):
        run_sweep(base, parse({"seed": [0, 1]}, base), write=False)


@pytest.mark.parametrize(
    "axes",
    [
        {"seed": range(9999), "style_layers.conv1_1": [0, 1]},
        {"style_layers": {"A": ["conv1_1"], "B": ["conv2_1"]}, "seed": range(9999)},
    ],
)
def test_a_huge_grid_says_how_many_and_how_long(pictures, tiny_weights, axes):
    with pytest.raises(ValueError, match=r"19,998 lanes.*--yes.* roughly .* min"):
        nst_jax.sweep(
            pictures.content, pictures.style, axes=axes,
            size=48, network={"weights": tiny_weights},
        )  # fmt: skip


# --- from Python ------------------------------------------------------------------


@pytest.mark.run
def test_arrays_do_and_nothing_is_written(pictures, tiny_weights, workdir):
    content, style = (np.asarray(Image.open(p)) for p in pictures[:2])
    options = {
        "size": 48,
        "axes": {"alpha": np.array([1e-3, 1e-1]), "seed": range(2)},
        "network": {"weights": tiny_weights},
        "objective": OBJECTIVE,
        "solver": {"iterations": 2, "history": 4},
    }
    result = nst_jax.sweep(content, style, **options)
    assert [picture.shape for picture in result.pictures] == [(40, 48, 3)] * 4
    assert [(row["alpha"], row["seed"]) for row in result.table] == [
        (1e-3, 0), (1e-3, 1), (1e-1, 0), (1e-1, 1),
    ]  # fmt: skip
    assert result.configs[0].content is None
    assert result.folder is None
    assert list(workdir.iterdir()) == []
    files = nst_jax.sweep(pictures.content, pictures.style, **options)
    for one, other in zip(result.pictures, files.pictures, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    with pytest.raises(ValueError, match="out is for picture files"):
        nst_jax.sweep(content, style, out="x", **options)


def test_the_other_ways_to_combine(pictures, tiny_weights):
    options = {
        "size": 48,
        "network": {"weights": tiny_weights},
        "objective": OBJECTIVE,
        "solver": {"iterations": 1, "history": 4},
    }

    def rows(**more):
        result = nst_jax.sweep(pictures.content, pictures.style, **options, **more)
        return [(row["alpha"], row["seed"]) for row in result.table]

    both = [(1e-3, 5), (1e-1, 6)]
    assert rows(axes={"alpha": [1e-3, 1e-1], "seed": [5, 6]}, combine="zip") == both
    entries = [{"alpha": 1e-3, "seed": 5}, {"alpha": 1e-1, "seed": 6}]
    assert rows(axes=entries, combine="list") == both
    drawn = rows(
        axes={"alpha": {"log_uniform": [1e-4, 1e-1]}, "seed": [5, 6]},
        combine="random",
        samples=2,
    )
    assert len(set(drawn)) == 2
    assert all(1e-4 <= alpha <= 1e-1 for alpha, _ in drawn)


# --- what a sweep shows -----------------------------------------------------------


@pytest.mark.run
@pytest.mark.slow
def test_content_falls_and_style_rises_along_alpha():
    """The monotone law: medians of three seeds, from noise.

    Not with smaller pictures or shorter runs: at 96 pixels and 150 iterations the style
    losses of alpha 1e-5 and 1e-4 differ by less than a seed makes.
    """
    alphas = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    result = nst_jax.sweep(
        EXAMPLES / "town.jpg",
        EXAMPLES / "night_sky.jpg",
        axes={"alpha": alphas, "seed": [0, 1, 2]},
        size=192,
        scales=[192],
        start="noise",
        network={"weights": "vgg19-tiny"},
        solver={"iterations": 300},
        lanes=16,
    )

    def medians(name):
        rows = list(result.table)
        return [
            np.median([row[name] for row in rows if row["alpha"] == alpha])
            for alpha in alphas
        ]

    assert (np.diff(medians("content")) < 0).all()
    assert (np.diff(medians("style")) > 0).all()
