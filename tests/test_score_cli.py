"""``nst-jax score``: its table, its file, and what it refuses."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

SIDES = (96, 72)  # width, height


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Content, style, and two results: the content itself, and a smaller style."""
    folder = tmp_path_factory.mktemp("score")
    y, x = np.mgrid[: 2 * SIDES[1], : 2 * SIDES[0]].astype(np.float32) / 60
    waves = 0.5 + 0.5 * np.stack([np.sin(x), np.sin(y + x), np.cos(y)], axis=-1)
    noise = np.random.default_rng(0).random(waves.shape)
    pictures = {}
    for name, pixels, sides in (
        ("content", waves, (2 * SIDES[0], 2 * SIDES[1])),
        ("style", noise, (2 * SIDES[0], 2 * SIDES[1])),
        ("same", waves, SIDES),
        ("styled", noise, SIDES),
    ):
        image = Image.fromarray((255 * pixels).astype(np.uint8)).resize(
            sides, Image.Resampling.LANCZOS
        )
        pictures[name] = folder / f"{name}.png"
        image.save(pictures[name])
    return pictures


@pytest.fixture
def score(run_cli, files, tiny_weights):
    def run(*arguments, results=("same", "styled")):
        return run_cli(
            "score",
            files["content"],
            files["style"],
            *(files.get(name, name) for name in results),
            *("--weights", tiny_weights, *arguments),
        )

    return run


def refused(ran) -> str:
    assert ran.code == 2, ran
    assert ran.err.startswith("nst-jax: ")
    assert ran.err.count("\n") == 1
    return ran.err


def test_table_and_file(score, tmp_path):
    target = tmp_path / "scores.csv"
    ran = score("--csv", target)
    assert ran.code == 0, ran.err
    assert "results of 96 x 72: content resized from 192 x 144 to 96 x 72" in ran.out
    assert ran.out.count("content resized") == 1  # two results of one size
    for word in ("gram/conv1_2", "wasserstein", "random_filters", "ssim", "noise"):
        assert word in ran.out
    same, styled = csv.DictReader(target.read_text().splitlines())
    assert (same["width"], same["height"]) == ("96", "72")
    assert float(same["ssim"]) > 0.99 > 0.5 > float(styled["ssim"])
    assert float(same["cosine/conv4_3"]) > 0.999
    assert "gram/conv5_1" not in same
    assert "same.png, " in ran.out
    assert "no run folder; taken as made with the default layers" in ran.out
    for name in ("gram", "wasserstein", "random_filters", "colours"):
        assert float(styled[name]) < 0.2 * float(same[name]), name
    assert 0.9 < float(styled["noise"]) < 1.1
    assert "already" in refused(score("--csv", target))
    assert score("--csv", target, "--overwrite").code == 0


def test_layers_that_a_run_optimised_are_left_out(score, files, tmp_path):
    folder = tmp_path / "night"
    folder.mkdir()
    shutil.copy(files["styled"], folder / "result.png")
    (folder / "config.yaml").write_text(
        "objective: {alpha: 1, content_layers: [conv4_3], style_layers: {conv1_2: 1}}\n"
    )
    target = tmp_path / "scores.csv"
    ran = score("--csv", target, results=[folder / "result.png"])
    assert "no run folder" not in ran.out
    assert "left out, as optimised: conv1_2, conv4_3\n" in ran.out
    style = "conv1_1, conv2_2, conv3_3, conv4_2, conv5_1"
    assert f"at {style} (content: conv4_2, conv5_1)" in ran.out
    (row,) = csv.DictReader(target.read_text().splitlines())
    assert next(n for n in row if n.startswith("gram/")) == "gram/conv1_1"
    # Of a run that looked everywhere no network can tell.
    (folder / "config.yaml").write_text("objective: {preset: novak}\n")
    ran = score("--csv", target, "--overwrite", results=[folder / "result.png"])
    assert "at no layer: all that it has were optimised" in ran.out
    (row,) = csv.DictReader(target.read_text().splitlines())
    assert not [name for name in row if name.startswith(("gram", "cosine", "wass"))]
    assert float(row["random_filters"]) < 0.1
    (folder / "config.yaml").write_text("objective: {presets: novak}\n")
    assert "config.yaml: unknown key" in refused(score(results=[folder / "result.png"]))


def test_what_does_not_fit_is_refused_in_one_line(score, files, tmp_path):
    assert "no such file" in refused(score(results=[tmp_path / "none.png"]))
    square = tmp_path / "square.png"
    Image.new("RGB", (72, 72)).save(square)
    assert "not of the same shape" in refused(score(results=[square]))
    small = tmp_path / "small.png"
    Image.new("RGB", (32, 24)).save(small)
    assert "too small for the random filters" in refused(score(results=[small]))
    assert "neither a file nor a name" in refused(score("--weights", "vgg91"))
    assert "required: RESULT" in refused(score(results=[]))
