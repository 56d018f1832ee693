"""A whole run: its result, its folder, and that it can be repeated."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nst_jax
from nst_jax.config import Config, changed, load
from nst_jax.features.weights import read
from nst_jax.images.io import read_settings
from nst_jax.run import run
from nst_jax.signals import Stop
from nst_jax.solve.loop import _chunk
from tests.reference import losses
from weights_convert.numpy_forward import forward

ITERATIONS = 12
NETWORK = {"rescale": False}  # so that the NumPy twin needs no rescaling
OBJECTIVE = {
    "alpha": 2.0,
    "beta": 3.0,
    "tv": 0.5,
    "content_layers": {"conv2_1": 0.5, "conv3_1": 2.0},
    "style_layers": ["conv1_1", "conv2_1"],
}
SOLVER = {"iterations": ITERATIONS, "history": 4}


def settings(pictures, tiny_weights, **more) -> Config:
    return changed(
        Config(),
        content=pictures.content,
        style=pictures.style,
        size=48,
        seed=7,
        network={"weights": tiny_weights, **NETWORK},
        objective=OBJECTIVE,
        solver=SOLVER,
        **more,
    )


@pytest.fixture(scope="module")
def finished(pictures, tiny_weights, tmp_path_factory):
    """A finished run; its ``folder`` holds all files."""
    out = tmp_path_factory.mktemp("finished") / "out"
    output = {"dir": out, "every": 5}
    return run(settings(pictures, tiny_weights, output=output))


def rows_of(folder: Path) -> list[dict[str, str]]:
    text = (folder / "trace.csv").read_text()
    return list(csv.DictReader(text.splitlines()))


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


# --- the folder -------------------------------------------------------------------


def test_the_folder_holds_what_is_promised(finished):
    found = {
        p.relative_to(finished.folder).as_posix()
        for p in finished.folder.rglob("*")
        if p.is_file()
    }
    assert found == {
        *("result.png", "losses.png", "trace.csv", "manifest.json", "config.yaml"),
        *("snapshots/iteration_0005.png", "snapshots/iteration_0010.png"),
    }


def test_the_trace_has_a_row_per_iteration(finished):
    rows = rows_of(finished.folder)
    assert list(rows[0]) == [
        *("iteration", "evaluations", "seconds", "size"),
        *("total", "content", "style", "tv"),
        *("content/conv2_1", "content/conv3_1", "style/conv1_1", "style/conv2_1"),
    ]
    assert [int(row["iteration"]) for row in rows] == list(range(ITERATIONS + 1))
    assert [int(row["evaluations"]) for row in rows] == list(range(1, ITERATIONS + 2))
    assert {row["size"] for row in rows} == {"48"}
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_the_terms_of_the_trace_carry_no_weights(finished):
    for row in rows_of(finished.folder):
        term = {name: float(value) for name, value in row.items()}
        content = 0.5 * term["content/conv2_1"] + 2 * term["content/conv3_1"]
        style = (term["style/conv1_1"] + term["style/conv2_1"]) / 2
        total = 2 * term["content"] + 3 * term["style"] + 0.5 * term["tv"]
        assert term["content"] == pytest.approx(content, rel=1e-5)
        assert term["style"] == pytest.approx(style, rel=1e-5)
        assert term["total"] == pytest.approx(total, rel=1e-5)


def numpy_terms(picture, pictures, tiny_weights) -> dict[str, float]:
    """The terms of a picture from the twin in plain NumPy."""
    weights = read(
        tiny_weights, ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]
    )
    of = {
        "x": forward(weights, picture),
        "content": forward(weights, pixels(pictures.content) / 255),
        "style": forward(weights, pixels(pictures.style) / 255),
    }
    terms = {"tv": losses.total_variation(picture)}
    for layer in ("conv2_1", "conv3_1"):
        terms[f"content/{layer}"] = losses.content_loss(
            of["x"][layer], of["content"][layer]
        )
    for layer in ("conv1_1", "conv2_1"):
        grams = (losses.gram_matrix(of[name][layer]) for name in ("x", "style"))
        terms[f"style/{layer}"] = losses.style_loss(*grams)
    return terms


@pytest.mark.run
def test_the_last_row_is_the_picture_that_was_written(finished, pictures, tiny_weights):
    last = finished.records[-1]
    expected = numpy_terms(last.picture, pictures, tiny_weights)
    row = rows_of(finished.folder)[-1]
    assert {name: float(row[name]) for name in expected} == pytest.approx(
        expected, rel=1e-3
    )
    rounded = np.rint(np.clip(last.picture, 0, 1) * 255)
    np.testing.assert_array_equal(pixels(finished.folder / "result.png"), rounded)


def test_row_0_is_the_start(finished, pictures, tiny_weights):
    from nst_jax.images.initial import noise

    start = np.asarray(noise(40, 48, seed=7))
    expected = numpy_terms(start, pictures, tiny_weights)
    row = rows_of(finished.folder)[0]
    assert {name: float(row[name]) for name in expected} == pytest.approx(
        expected, rel=1e-3
    )


@pytest.mark.run
def test_the_objective_goes_down(finished):
    total = [float(row["total"]) for row in rows_of(finished.folder)]
    assert total[-1] == min(total) < total[0] / 2


def test_the_manifest_says_what_made_the_result(finished, pictures, tiny_weights):
    manifest = json.loads((finished.folder / "manifest.json").read_text())
    assert set(manifest) == {
        *("versions", "device", "weights", "inputs", "seed", "seconds"),
        *("evaluations", "refused_steps", "peak_memory_bytes", "outcome", "scales"),
        "memory",
    }
    assert 1e8 < manifest["memory"]["predicted_bytes"] < 2e9
    assert manifest["memory"]["history"] == 4
    assert manifest["memory"]["remat"] == []
    assert manifest["scales"] == [{"size": 48, "iterations": ITERATIONS}]
    assert set(manifest["seconds"]) == {"compile", "solve", "total"}
    assert manifest["weights"]["sha256"] == read(tiny_weights).sha256
    assert manifest["inputs"]["content"]["file"] == str(pictures.content)
    assert manifest["inputs"]["content"]["width"] == 48
    assert manifest["seed"] == 7
    assert manifest["evaluations"] == ITERATIONS + 1
    assert manifest["outcome"]["code"] == "finished"
    assert manifest["peak_memory_bytes"] > 0


def test_the_pictures_hold_their_settings_without_folders(finished, tiny_weights):
    for name in ("result.png", "snapshots/iteration_0005.png"):
        text = read_settings(finished.folder / name)
        assert text is not None
        assert "content: content.png" in text
        assert f"weights: {tiny_weights.name}" in text
        assert "/" not in text


def test_the_config_gives_the_same_picture_from_anywhere(
    finished, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    again = run(load(finished.folder / "config.yaml"))
    assert again.folder is not None
    assert again.folder == Path("runs/0001")
    first, second = finished.folder / "result.png", tmp_path / "runs/0001/result.png"
    assert first.read_bytes() == second.read_bytes()
    configs = (folder / "config.yaml" for folder in (finished.folder, again.folder))
    assert len({path.read_text() for path in configs}) == 1


# --- starts and pictures ----------------------------------------------------------


def test_alpha_of_the_content_is_kept(pictures, tiny_weights, tmp_path):
    config = settings(pictures, tiny_weights, output={"dir": tmp_path / "x.webp"})
    result = run(changed(config, content=pictures.transparent))
    assert result.alpha is not None
    for path in (tmp_path / "x.webp", tmp_path / "x" / "result.png"):
        written = pixels(path)
        assert written.shape == (40, 48, 4)
        np.testing.assert_array_equal(
            written[..., 3], pixels(pictures.transparent)[..., 3]
        )


def test_16_bits_are_accepted(pictures, tiny_weights, tmp_path):
    config = settings(pictures, tiny_weights, output={"dir": tmp_path / "out"})
    result = run(changed(config, content=pictures.sixteen_bit))
    assert result.outcome.code == "finished"


def test_a_picture_to_start_from_is_named_in_the_manifest(
    pictures, tiny_weights, tmp_path
):
    start = pictures.transparent
    config = settings(
        pictures, tiny_weights, start=start, output={"dir": tmp_path / "out"}
    )
    result = run(config)
    assert result.manifest["inputs"]["start"]["file"] == str(start)


def test_an_input_that_goes_away_during_the_run_costs_nothing(
    pictures, tiny_weights, tmp_path
):
    content = tmp_path / "content.png"
    content.write_bytes(pictures.content.read_bytes())
    arguments = arguments_of(tiny_weights)

    def delete(record):
        content.unlink(missing_ok=True)

    result = nst_jax.stylize(content, pictures.style, on_record=delete, **arguments)
    assert not content.exists()
    assert len(result.manifest["inputs"]["content"]["sha256"]) == 64


def test_a_run_that_is_stopped_before_its_first_step_leaves_nothing(
    pictures, tiny_weights, tmp_path
):
    stop = Stop()
    stop.asked = True
    config = settings(pictures, tiny_weights, output={"dir": tmp_path / "out"})
    with pytest.raises(KeyboardInterrupt):
        run(config, stop=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_download_can_be_stopped(pictures, tiny_weights, tmp_path, monkeypatch):
    stop, seen = Stop(), []

    def download(spec, *, progress):
        progress(1000, 4000)
        stop.asked = True
        progress(2000, 4000)

    monkeypatch.setattr("nst_jax.features.pretrained.resolve", download)
    config = settings(pictures, tiny_weights, output={"dir": tmp_path / "out"})
    with pytest.raises(KeyboardInterrupt):
        run(config, stop=stop, progress=lambda *bytes_: seen.append(bytes_))
    assert seen == [(1000, 4000)]
    assert list(tmp_path.iterdir()) == []


# --- from Python ------------------------------------------------------------------


def arguments_of(tiny_weights, **more) -> dict[str, Any]:
    return {
        "size": 48,
        "seed": 7,
        "network": {"weights": tiny_weights, **NETWORK},
        "objective": OBJECTIVE,
        "solver": SOLVER,
        **more,
    }


def test_arrays_and_files_give_the_same(finished, pictures, tiny_weights):
    records = []
    result = nst_jax.stylize(
        pixels(pictures.content),
        (pixels(pictures.style) / 255).astype(np.float64),
        on_record=records.append,
        **arguments_of(tiny_weights),
    )
    assert [r.iteration for r in records] == list(range(ITERATIONS + 1))
    assert records == result.records
    np.testing.assert_array_equal(result.picture, finished.picture)
    assert result.picture.dtype == np.float32
    assert result.folder is None
    assert result.manifest["inputs"]["content"] == {
        **{"file": None, "height": 40, "width": 48}
    }


def test_pictures_of_the_same_size_compile_nothing_anew(
    finished, pictures, tiny_weights
):
    content, style = pixels(pictures.content), pixels(pictures.style)
    before = _chunk._cache_size()  # pyright: ignore
    nst_jax.stylize(255 - content, style[::-1], **arguments_of(tiny_weights, seed=3))
    objective = OBJECTIVE | {"alpha": 0.1, "tv": 0}
    solver = SOLVER | {"iterations": ITERATIONS + 9}
    nst_jax.stylize(
        pictures.style,
        pictures.content,
        **arguments_of(tiny_weights, start="content")
        | {"objective": objective, "solver": solver},
    )
    assert _chunk._cache_size() == before  # pyright: ignore
    nst_jax.stylize(content, style, **arguments_of(tiny_weights, size=32))
    assert _chunk._cache_size() == before + 1  # pyright: ignore


def test_a_history_longer_than_the_run_takes_no_memory(
    finished, pictures, tiny_weights
):
    before = _chunk._cache_size()  # pyright: ignore
    for history in (4, 10**6):
        arguments = arguments_of(tiny_weights)
        arguments["solver"] = {"iterations": 4, "history": history}
        nst_jax.stylize(pictures.content, pictures.style, **arguments)
    # It ran the program that was compiled for a history of 4.
    assert _chunk._cache_size() == before  # pyright: ignore


@pytest.mark.parametrize(
    ("ending", "most"), [(".png", 0), (".jpg", 10), (".tif", 0), (".webp", 35)]
)
def test_a_result_is_saved_in_any_format_with_its_settings(
    finished, tmp_path, ending, most
):
    path = tmp_path / f"x{ending}"
    finished.save(path)
    expected = np.rint(finished.picture * 255)
    difference = np.abs(pixels(path).astype(float) - expected)
    assert difference.mean() <= most  # of a picture that is nearly noise
    assert "seed: 7" in (read_settings(path) or "")
    with pytest.raises(ValueError, match="unknown ending"):
        finished.save(tmp_path / "x.gif")


def test_rgba_arrays_keep_their_alpha(pictures, tiny_weights, tmp_path):
    rgba = pixels(pictures.transparent)
    result = nst_jax.stylize(rgba, pictures.style, **arguments_of(tiny_weights))
    result.save(tmp_path / "x.png")
    np.testing.assert_array_equal(pixels(tmp_path / "x.png")[..., 3], rgba[..., 3])


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"size": 0}, ValueError, "config: size must be from 1"),
        ({"size": 48.0}, ValueError, "config: size: expected a whole number"),
        ({"solver": {"steps": 3}}, ValueError, "unknown key solver.steps"),
        ({"network": {"weights": "nope"}}, ValueError, "neither a file nor a name"),
        ({"device": "nope"}, ValueError, "device 'nope' is not there"),
        ({"start": "nope.png"}, ValueError, "start 'nope.png': no such file"),
        ({"size": 15}, ValueError, "choose a larger size"),
    ],
)
def test_mistakes_from_python_are_one_clear_line(
    pictures, tiny_weights, more, error, message
):
    arguments = arguments_of(tiny_weights) | {"objective": None} | more
    with pytest.raises(error, match=message):
        nst_jax.stylize(pictures.content, pictures.style, **arguments)


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros((40, 48), np.uint8), ValueError, r"\(h, w, 3\) or \(h, w, 4\)"),
        (np.zeros((40, 48, 3), np.int32), TypeError, "uint8 or floats"),
        (np.full((40, 48, 3), 2.0), ValueError, r"must lie in \[0, 1\]"),
        (np.full((40, 48, 3), np.nan), ValueError, r"must lie in \[0, 1\]"),
        (np.zeros((2, 48, 3), np.uint8), ValueError, "too small"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(
    pictures, tiny_weights, array, error, message
):
    with pytest.raises(error, match=message):
        nst_jax.stylize(array, pictures.style, **arguments_of(tiny_weights))


def test_numbers_and_paths_of_other_libraries_are_understood(pictures, tiny_weights):
    result = nst_jax.stylize(
        str(pictures.content),
        pictures.style,
        **arguments_of(tiny_weights, size=np.int64(48), seed=np.uint32(7)),
    )
    assert type(result.config.size) is int
