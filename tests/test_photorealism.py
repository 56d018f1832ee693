"""Photorealism from the config to the result: runs of the tiny network."""

import csv
import json
from itertools import pairwise

import jax
import numpy as np
import pytest
from PIL import Image

import nst_jax
from nst_jax.config import Config, changed, from_tree, load
from nst_jax.images.masks import COLOURS
from nst_jax.memory import predict
from nst_jax.outputs.progress import Quiet
from nst_jax.photorealism import Smoothed, check_photorealism
from nst_jax.resolve import Stage, iterations_of, stages_of, with_iterations
from nst_jax.run import run
from nst_jax.scores.pixels import edge_correlation
from nst_jax.signals import Stop
from nst_jax.solve import loop
from nst_jax.solve.loop import _chunk
from tests.conftest import SMALL
from tests.test_memory import work
from tests.test_resume import same

HEIGHT, WIDTH = 40, 48
# Enough for the plain run to lose the photo's edges.
LAYERS = {"content_layers": ["conv3_1"], "style_layers": ["conv1_1", "conv2_1"]}
SOLVER = {"iterations": 40, "history": 6}
ON = {"weight": 1000.0, "smooth_radius": 0}


def photo() -> np.ndarray:
    """Blocks of several colours, each with a little shade."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    colours = np.random.default_rng(3).random((5, 6, 3))
    blocks = np.kron(colours, np.ones((8, 8, 1)))
    return (0.15 + 0.6 * blocks + 0.2 * ((x + y) / 90)[..., None]).astype(np.float32)


def style() -> np.ndarray:
    """Stripes."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=-1)
    return (0.5 + 0.5 * waves).astype(np.float32)


@pytest.fixture(scope="module")
def made(tiny_weights):
    """``made(weight=10.0)``: a small run from noise with this photorealism."""

    def stylized(*, solver=None, more=None, **photorealism):
        return nst_jax.stylize(
            photo(),
            style(),
            **{"size": WIDTH, "scales": [WIDTH], **(more or {})},
            network={"weights": tiny_weights},
            objective={"alpha": 1e-3, **LAYERS},
            solver={**SOLVER, **(solver or {})},
            photorealism=photorealism,
        )

    return stylized


@pytest.fixture(scope="module")
def plain(made):
    return made()


def edges(result) -> float:
    return edge_correlation(result.picture, photo())


def rows_of(path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def losses(result) -> list:
    return [record.terms.photorealism for record in result.records]


# --- what it does -----------------------------------------------------------------


@pytest.mark.run
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_the_edges_are_the_contents(made, plain, solver):
    assert abs(edges(plain)) < 0.1
    result = made(**ON, solver={"name": solver})
    assert edges(result) > edges(plain) + 0.2
    # Not by giving the photo back.
    assert np.abs(result.picture - photo()).mean() > 0.08
    of_stages = losses(result)
    assert of_stages[-1] < 0.1 * of_stages[SOLVER["iterations"]]


@pytest.mark.run
def test_more_weight_is_nearer_to_the_contents_edges(made, plain):
    results = [plain, *(made(weight=w, smooth_radius=0) for w in (1.0, 1000.0))]
    assert all(a < b for a, b in pairwise(map(edges, results)))


@pytest.mark.run
def test_the_first_stage_is_the_plain_run(made, plain):
    result = made(**ON)
    count = SOLVER["iterations"] + 1
    assert len(result.records) == 2 * count
    first, second = result.records[:count], result.records[count:]
    assert [r.scale for r in result.records] == [0] * count + [1] * count
    for own, other in zip(first, plain.records, strict=True):
        if own is not first[-1]:  # which is that of its best picture
            assert own.terms.total == pytest.approx(other.terms.total, rel=0.05)
    # The second begins with the best picture of the first.
    assert second[0].terms.style == pytest.approx(first[-1].terms.style, rel=1e-5)
    expected = first[-1].terms.total + ON["weight"] * first[-1].terms.photorealism
    assert second[0].terms.total == pytest.approx(expected, rel=1e-5)
    assert [s["iterations"] for s in result.manifest["scales"]] == [40, 40]
    assert result.outcome.text.startswith("stage 2 of 2 (48 pixels): all iterations")


@pytest.mark.run
def test_one_stage_has_the_term_from_the_start(made, plain):
    result = made(**ON, stages=1)
    assert len(result.records) == SOLVER["iterations"] + 1
    assert edges(result) > edges(plain) + 0.15
    start = result.records[0].terms
    bare = plain.records[0].terms
    expected = bare.total + ON["weight"] * start.photorealism
    assert start.total == pytest.approx(expected, rel=1e-4)


def test_both_stages_and_all_weights_are_one_program(made, plain):
    made(**ON)
    programs = _chunk._cache_size()
    made(weight=3.0, smooth_radius=4)
    made(**ON, stages=1)
    assert _chunk._cache_size() == programs


def test_without_a_weight_it_is_the_plain_run(made, plain):
    programs = _chunk._cache_size()
    off = made(weight=0.0, smooth_radius=3, stages=1)
    assert _chunk._cache_size() == programs
    np.testing.assert_array_equal(off.picture, plain.picture)
    assert set(losses(off)) == {None}


@pytest.mark.run
def test_smoothing_takes_what_is_no_edge_of_the_content(made):
    rough, smooth = made(weight=0.1, smooth_radius=0), made(weight=0.1, smooth_radius=4)
    assert losses(rough) == losses(smooth)
    assert edges(smooth) > edges(rough) + 0.05
    expected = Smoothed(photo(), 4, 0.05, None, lambda picture: picture)
    np.testing.assert_allclose(
        smooth.picture, np.clip(expected(rough.picture), 0, 1), atol=1e-6
    )


# --- with other controls ----------------------------------------------------------


@pytest.mark.run
@pytest.mark.slow
def test_it_works_with_scales_and_luminance(made):
    result = made(**ON, more={"scales": [24, 48], "colours": {"preserve": "luminance"}})
    sizes = [entry["size"] for entry in result.manifest["scales"]]
    assert sizes == [24, 48, 48]
    assert result.outcome.text.startswith("stage 3 of 3")
    assert edges(result) > 0.2
    gray = [c - c.mean(-1, keepdims=True) for c in (result.picture, photo())]
    assert np.corrcoef(*(c.ravel() for c in gray))[0, 1] > 0.95


@pytest.mark.run
def test_what_is_kept_is_not_smoothed(stylize_cli, workdir, pictures):
    mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    mask[:, :24], mask[:, 24:] = COLOURS["red"], COLOURS["blue"]
    Image.fromarray(mask).save("mask.png")
    ran = stylize_cli(
        "--out", "out", "photorealism.weight=10", "start=noise",
        "regions.content=mask.png", "regions.keep=[blue]",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    result = np.asarray(Image.open("out/result.png"), int)
    content = np.asarray(Image.open(pictures.content), int)
    np.testing.assert_array_equal(result[:, 24:], content[:, 24:])
    assert np.abs(result - content)[:, :24].mean() > 5


@pytest.mark.run
def test_the_run_folder_tells_of_it(stylize_cli, workdir):
    ran = stylize_cli("--out", "out", "photorealism.weight=10", "start=content")
    assert ran.code == 0, ran.err
    assert "2 stages · 24 iterations" in ran.out
    assert "photorealism " in ran.out
    rows = rows_of(workdir / "out" / "trace.csv")
    assert len(rows) == 26
    assert float(rows[-1]["photorealism"]) >= -1e-6
    manifest = json.loads((workdir / "out" / "manifest.json").read_text())
    assert manifest["scales"] == [{"size": WIDTH, "iterations": 12}] * 2
    assert load("out/config.yaml").photorealism.weight == 10
    ran = stylize_cli("--out", "plain", "start=content")
    header = (workdir / "plain" / "trace.csv").read_text().splitlines()[0]
    assert "photorealism" not in header


@pytest.mark.parametrize("at", [4, 12, 17])
def test_a_run_goes_on_in_either_stage(stylize_cli, workdir, monkeypatch, at):
    """Stopped in the first stage, at its end, in the second; then the same result."""
    keys = ("photorealism.weight=10", "start=noise")
    assert stylize_cli("--out", "whole", *keys).code == 0
    stop = Stop()

    class Asking(Quiet):
        def take(self, record):
            stop.asked = record.iteration >= at - 1

    with monkeypatch.context() as slowly:
        slowly.setattr(loop, "SHORTEST_CHUNK", 1)
        slowly.setattr(loop, "CHUNK_SECONDS", 0)  # a step at a time
        config = load("whole/config.yaml", ["output.dir=part"])
        stopped = run(config, reporter=Asking(), stop=stop)
    assert stopped.outcome.code == "interrupted"
    assert stopped.records[-1].iteration == at
    ran = stylize_cli("--out", "part", *keys, "--resume")
    assert ran.code == 0, ran.err
    same(workdir / "whole", workdir / "part")


def test_the_second_stage_can_be_longer_than_it_was(stylize_cli, workdir):
    keys = ("--out", "out", "photorealism.weight=10", "solver.checkpoint_seconds=1e-9")
    assert stylize_cli(*keys).code == 0
    ran = stylize_cli(*keys, "--resume", "photorealism.stage_iterations=15")
    assert ran.code == 0, ran.err
    assert "going on after iteration 25" in ran.out
    manifest = json.loads((workdir / "out" / "manifest.json").read_text())
    assert [scale["iterations"] for scale in manifest["scales"]] == [12, 15]
    ran = stylize_cli(*keys, "--resume", "photorealism.weight=11")
    assert ran.code == 2
    assert "photorealism.weight was 10.0 and is now 11.0" in ran.err


@pytest.mark.run
@pytest.mark.slow
def test_a_sweep_over_the_weight_is_one_program(
    run_cli, pictures, tiny_weights, workdir
):
    ran = run_cli(
        "sweep", "--content", pictures.content, "--style", pictures.style,
        "--weights", tiny_weights, "--out", "out", *SMALL,
        "photorealism.weight=0,1,1000", "photorealism.smooth_radius=0,3",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    manifest = json.loads((workdir / "out" / "manifest.json").read_text())
    # Lanes without it have no second stage.
    assert [batch["lanes"] for batch in manifest["batches"]] == [[0, 1], [2, 3, 4, 5]]
    energies = [row["photorealism"] for row in rows_of(workdir / "out" / "table.csv")]
    assert energies[0] == energies[1] == ""
    assert float(energies[4]) < float(energies[2])
    lane = load("out/lanes/0004/config.yaml", ["output.dir=alone"])
    assert run(lane).folder is not None
    alone, swept = (
        np.asarray(Image.open(file), float)
        for file in ("alone/result.png", "out/lanes/0004/result.png")
    )
    assert np.abs(alone - swept).mean() < 1


# --- the plan ---------------------------------------------------------------------


def test_the_stages_of_a_config():
    config = changed(
        Config(), size=64, scales=[32, 64], solver={"scale_iterations": [5, 9]}
    )
    assert stages_of(config) == (Stage(32, 5), Stage(64, 9))
    two = changed(config, photorealism={"weight": 3})
    assert stages_of(two) == (Stage(32, 5, 0.0), Stage(64, 9, 0.0), Stage(64, 9, 3.0))
    one = changed(two, photorealism={"stages": 1})
    assert stages_of(one) == (Stage(32, 5, 3.0), Stage(64, 9, 3.0))
    longer = changed(two, photorealism={"stage_iterations": 7})
    assert iterations_of(longer) == (5, 9, 7)
    for any_config, counts in ((config, (1, 2)), (two, (1, 2, 3)), (one, (4, 5))):
        assert iterations_of(with_iterations(any_config, counts)) == counts


def test_its_memory_is_counted():
    pixels = 512 * 384
    more = predict(work(mattings=2)) - predict(work())
    assert 2 * 100 * pixels < more < 4 * 100 * pixels
    # 25 numbers of float32 for each pixel.
    assert jax.numpy.zeros((5, 5, 4, 4)).nbytes == 100 * 16


# --- bad input --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({"texture": [64, 64]}, "a texture has no content: leave photorealism out"),
        ({"tileable": True}, "leave one of them out"),
        (
            {"photorealism": {"stages": 1, "stage_iterations": 5}},
            "photorealism.stages is 1",
        ),
    ],
)
def test_what_it_cannot_go_with_is_refused(tree, reason):
    on = changed(Config(), photorealism={"weight": 1})
    with pytest.raises(ValueError, match=reason):
        check_photorealism(from_tree(tree, base=on))
    off = changed(from_tree(tree, base=on), photorealism={"weight": 0})
    check_photorealism(off)


def test_a_refusal_leaves_no_folder(run_cli, pictures, tiny_weights, workdir):
    files = ("--style", pictures.style, "--weights", tiny_weights, "--out", "out")
    ran = run_cli("stylize", *files, "texture=[48, 40]", "photorealism.weight=1")
    assert ran.code == 2
    assert "a texture has no content" in ran.err
    assert not (workdir / "out").exists()


def test_a_picture_without_windows_is_refused(run_cli, tiny_weights, workdir):
    Image.new("RGB", (240, 20), "red").save("thin.png")
    ran = run_cli(
        "stylize", "--content", "thin.png", "--style", "thin.png", "--out", "out",
        "--weights", tiny_weights, "size=48", "objective.content_layers=[conv1_1]",
        "objective.style_layers=[conv1_1]", "photorealism.weight=1",
    )  # fmt: skip
    assert ran.code == 2
    assert "a matting Laplacian needs 5 pixels on each side" in ran.err
    assert not (workdir / "out").exists()


@pytest.mark.parametrize(
    "value", ["weight=-1", "weight=.nan", "stages=3", "smooth_radius=-1",
              "smooth_edge=0", "stage_iterations=0", "radius=3"],
)  # fmt: skip
def test_impossible_values_are_refused(value, stylize_cli):
    ran = stylize_cli(f"photorealism.{value}")
    assert ran.code == 2
    assert f"photorealism.{value.partition('=')[0]}" in ran.err
