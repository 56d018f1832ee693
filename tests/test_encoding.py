"""The pictures that a run writes: bits, colour profile; averages and bounds."""

import json

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from nst_jax.config import Config, changed
from nst_jax.encoding import check_finish
from nst_jax.images.io import load
from nst_jax.run import run
from tests.images.test_encode import swapped_profile
from tests.images.test_io import cmyk_profile


@pytest.fixture
def settings(pictures, tiny_weights, workdir):
    """``settings({"output": ...})``: a small run."""

    def config(*, content=None, **sections) -> Config:
        solver = {"iterations": 6, "history": 4} | sections.pop("solver", {})
        return changed(
            Config(),
            content=content or pictures.content,
            style=pictures.style,
            size=48,
            network={"weights": tiny_weights},
            objective={"content_layers": ["conv3_1"], "style_layers": ["conv1_1"]},
            solver=solver,
            **sections,
        )

    return config


@pytest.fixture
def photo_with(pictures, tmp_path):
    """``photo_with(profile)``: the content with an embedded profile."""

    def made(profile: bytes, *, mode="RGB"):
        with Image.open(pictures.content) as image:
            path = tmp_path / ("photo.jpg" if mode == "CMYK" else "photo.png")
            image.convert(mode).save(path, icc_profile=profile)
        return path

    return made


# --- bits -------------------------------------------------------------------------


def test_sixteen_bits_are_written(settings):
    output = {"dir": "out.tif", "bits": 16, "every": 3}
    result = run(settings(output=output))
    assert result.folder is not None
    wanted = np.rint(result.picture * np.float32(65535))
    values = imagecodecs.png_decode((result.folder / "result.png").read_bytes())
    np.testing.assert_array_equal(values, wanted)
    values = imagecodecs.tiff_decode((result.folder.parent / "out.tif").read_bytes())
    np.testing.assert_array_equal(values, wanted)
    snapshot = result.folder / "snapshots/iteration_0003.png"
    assert imagecodecs.png_decode(snapshot.read_bytes()).dtype == np.uint16


def test_alpha_has_sixteen_bits_too(settings, pictures):
    output = {"dir": "out", "bits": 16}
    result = run(settings(content=pictures.transparent, output=output))
    assert result.folder is not None
    values = imagecodecs.png_decode((result.folder / "result.png").read_bytes())
    assert values.shape == (40, 48, 4)
    assert set(np.unique(values[..., 3])) == {0, 65535}


def test_a_jpeg_has_no_sixteen_bits(stylize_cli, workdir):
    ran = stylize_cli("--out", "night.jpg", "output.bits=16")
    assert ran.code == 2
    assert "night.jpg: JPEG holds 8 bits" in ran.err
    assert list(workdir.iterdir()) == []


def test_a_result_is_saved_as_the_config_says_or_as_asked(settings, tmp_path):
    result = run(settings(output={"dir": "out", "bits": 16}))
    result.save(tmp_path / "a.png")
    result.save(tmp_path / "b.png", bits=8)
    read = imagecodecs.png_decode
    assert read((tmp_path / "a.png").read_bytes()).dtype == np.uint16
    assert read((tmp_path / "b.png").read_bytes()).dtype == np.uint8
    with pytest.raises(ValueError, match=r"c\.jpg: JPEG holds 8 bits"):
        result.save(tmp_path / "c.jpg")


# --- profiles ---------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
def test_the_contents_profile_is_kept(settings, photo_with, bits):
    profile = swapped_profile()  # it says when it was made
    photo = photo_with(profile)
    output = {"profile": "content", "bits": bits}
    plain = run(settings(content=photo, output={"dir": "plain"}))
    kept = run(settings(content=photo, output={"dir": "kept"} | output))
    assert plain.folder is not None
    assert kept.folder is not None
    np.testing.assert_array_equal(kept.picture, plain.picture)
    picture = load(kept.folder / "result.png")
    assert picture.profile == profile
    np.testing.assert_allclose(picture.pixels, np.clip(plain.picture, 0, 1), atol=0.01)
    assert load(plain.folder / "result.png").profile is None
    stored = {8: np.uint8, 16: np.uint16}[bits]
    values = imagecodecs.png_decode((kept.folder / "result.png").read_bytes())
    assert values.dtype == stored
    # Red is stored where green is in sRGB.
    share = values[..., 1] / np.iinfo(stored).max
    np.testing.assert_allclose(share, plain.picture[..., 0], atol=0.03)


@pytest.mark.parametrize(
    ("profile", "mode", "trouble"),
    [
        (None, "RGB", "it has none"),
        (b"broken", "RGB", "it has none"),
        (cmyk_profile(), "CMYK", "it is for CMYK, and the picture is RGB"),
    ],
    ids=["none", "broken", "CMYK"],
)
def test_a_profile_that_cannot_be_kept_is_said(
    stylize_cli, photo_with, workdir, profile, mode, trouble
):
    photo = photo_with(profile, mode=mode)
    ran = stylize_cli("--content", photo, "--out", "out", "output.profile=content")
    assert (ran.code, ran.err) == (0, "")
    assert f"cannot be kept ({trouble}); sRGB is used" in ran.out
    if profile == b"broken":
        assert "the embedded colour profile was ignored" in ran.out
    assert load(workdir / "out/result.png").profile is None


def test_a_sweep_says_it_once_and_writes_wide_pictures(run_cli, stylize_cli, workdir):
    arguments = ("seed=0,1", "output.profile=content", "output.bits=16")
    from tests.conftest import SMALL

    given = (*_files(stylize_cli), *SMALL, "solver.iterations=2", *arguments)
    ran = run_cli("sweep", *given, "--out", "out")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("cannot be kept (it has none)") == 1
    for lane in ("0000", "0001"):
        data = (workdir / "out/lanes" / lane / "result.png").read_bytes()
        assert imagecodecs.png_decode(data).dtype == np.uint16
        assert "bits: 16" in (workdir / "out/lanes" / lane / "config.yaml").read_text()


def _files(stylize_cli) -> tuple:
    """The pictures and weights that the fixture stands for."""
    (files,) = (
        cell.cell_contents
        for cell in stylize_cli.__closure__
        if isinstance(cell.cell_contents, tuple)
    )
    return files


# --- average and box --------------------------------------------------------------


@pytest.mark.run
def test_an_average_is_handed_out_and_said(settings):
    solver = {"name": "adam", "iterations": 12}
    plain = run(settings(solver=solver, output={"dir": "plain"}))
    result = run(settings(solver=solver | {"average": 0.9}, output={"dir": "out"}))
    assert "the picture is an average over the last iterations" in result.outcome.text
    assert np.abs(result.picture - plain.picture).mean() > 1e-3
    totals = [[r.terms.total for r in x.records[:-1]] for x in (plain, result)]
    assert totals[0] == totals[1]
    assert result.folder is not None
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["evaluations"] == 13  # one each, none for the average
    again = run(changed(result.config, output={"dir": "again"}))
    np.testing.assert_array_equal(again.picture, result.picture)


def test_an_average_is_for_adam(stylize_cli):
    ran = stylize_cli("solver.average=0.99")
    assert ran.code == 2
    assert "solver.average is for solver.name: adam" in ran.err
    check_finish(changed(Config(), solver={"name": "adam", "average": 0.99}))


@pytest.mark.run
@pytest.mark.parametrize("name", ["lbfgs", "adam"])
def test_a_box_keeps_the_solvers_own_picture_inside(settings, name):
    """A style of pure black and white drives free pixels out of [0, 1]."""
    free, boxed = (
        run(
            settings(
                start="style",
                output={"dir": box},
                solver={"name": name, "box": box, "iterations": 25},
            )
        )
        for box in ("after", "during")
    )
    outside = [r.picture for x in (free, boxed) for r in x.records if r.outcome]
    assert outside[0].min() < 0 or outside[0].max() > 1
    assert outside[1].min() >= 0
    assert outside[1].max() <= 1
    # The bounds do not keep it from its work, nor far from where it goes without them.
    start, end = (boxed.records[i].terms.total for i in (0, -1))
    assert end < 0.8 * start
    assert end < 1.5 * free.records[-1].terms.total
