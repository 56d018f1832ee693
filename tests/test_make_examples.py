"""The example pictures: the makers are deterministic and make what is wanted."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.examples import CONTENTS, MASKS, PICTURES, STYLES
from scripts.examples.fields import blur, colour, shrink
from scripts.examples.raster import draw_faces, empty
from scripts.examples.solids import Solid, ball, march

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "configs" / "pictures"
SIZE = 96


@pytest.fixture(scope="module")
def small() -> dict[str, np.ndarray]:
    return {name: make(SIZE) for name, make in PICTURES.items()}


@pytest.fixture(scope="module")
def shipped() -> dict[str, np.ndarray]:
    return {
        name: np.asarray(Image.open(FOLDER / f"{name}.jpg"), np.float32) / 255
        for name in PICTURES
    }


def brightness(picture: np.ndarray) -> np.ndarray:
    return picture @ np.array([0.2126, 0.7152, 0.0722], np.float32)


@pytest.mark.parametrize("name", PICTURES)
def test_picture_has_the_size_asked_for_and_values_in_range(small, name):
    picture = small[name]
    assert picture.dtype == np.float32
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert max(picture.shape) == SIZE
    assert min(picture.shape[:2]) > SIZE / 2
    assert picture.min() >= 0
    assert picture.max() <= 1


@pytest.mark.parametrize("name", PICTURES)
def test_making_a_picture_twice_gives_the_same_array(small, name):
    np.testing.assert_array_equal(PICTURES[name](SIZE), small[name])


def test_folder_holds_exactly_the_pictures_of_the_script_within_the_limit():
    files = sorted(path for path in FOLDER.iterdir())
    wanted = [f"{name}.jpg" for name in PICTURES] + [f"{name}.png" for name in MASKS]
    assert [path.name for path in files] == sorted(wanted)
    for path in FOLDER.glob("*.jpg"):
        assert path.stat().st_size <= 250_000
        with Image.open(path) as picture:
            assert picture.format == "JPEG"
            assert max(picture.size) == 768


@pytest.mark.parametrize("name", PICTURES)
def test_shipped_picture_is_what_the_maker_draws(small, shipped, name):
    # Both reduced to about 12 x 9 cells, where size and JPEG no longer matter.
    height, width = shipped[name].shape[0] // 64, 768 // 64
    large = shrink(shipped[name], 64)[:height, :width]
    coarse = shrink(small[name], 8)[:height, :width]
    assert coarse.shape == large.shape
    assert np.corrcoef(coarse.ravel(), large.ravel())[0, 1] > 0.85


@pytest.mark.parametrize("name", CONTENTS)
def test_contents_have_the_tones_and_edges_of_a_photograph(shipped, name):
    light = brightness(shipped[name])
    dark, bright = np.percentile(light, [2, 98])
    assert dark < 0.15
    assert bright > 0.70
    # Every quarter of the tonal range is really used.
    shares = np.histogram(light, bins=4, range=(0, 1))[0] / light.size
    assert shares.min() > 0.02
    # Sharp edges cover part of the picture, smooth areas another part.
    edges = np.hypot(*np.gradient(blur(light, 1.0)))
    assert np.mean(edges > 0.04) > 0.03
    assert np.mean(edges < 0.01) > 0.15


@pytest.mark.parametrize("name", MASKS)
def test_shipped_mask_is_what_the_maker_draws(name):
    made = MASKS[name](768)
    with Image.open(FOLDER / f"{name}.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask.convert("RGB")), made)
    assert len(np.unique(made.reshape(-1, 3), axis=0)) == 3


def test_the_mask_parts_sky_town_and_river(shipped):
    """Blue is the smoothest, green the darkest."""
    mask = MASKS["town_regions"](768)
    light = brightness(shipped["town"])
    detail = np.hypot(*np.gradient(light))
    red, green, blue = (mask[..., channel] > 0 for channel in range(3))
    assert detail[blue].mean() < 0.5 * detail[red].mean()
    assert light[green].mean() < light[red].mean() < light[blue].mean()


def test_town_has_a_smooth_sky_above_and_a_darker_river_below(shipped):
    light = brightness(shipped["town"])
    height = len(light)
    # Sky above is smoother than the houses, whose windows are in the middle.
    detail = np.hypot(*np.gradient(light))
    assert (
        detail[: height // 6].mean()
        < 0.5 * detail[height // 2 : height * 2 // 3].mean()
    )
    # The river is darker than the houses which it mirrors.
    assert light[-height // 8 :].mean() < light[height // 2 : height * 2 // 3].mean()


@pytest.mark.parametrize("name", STYLES)
def test_styles_have_contrast_at_several_scales(shipped, name):
    light = brightness(shipped[name])
    fine = light - blur(light, 2.0)
    middle = blur(light, 2.0) - blur(light, 8.0)
    large = blur(light, 8.0)
    assert fine.std() > 0.02
    assert middle.std() > 0.03
    assert large.std() > 0.05


def test_styles_differ_in_palette(shipped):
    means = {name: shipped[name].mean(axis=(0, 1)) for name in STYLES}
    names = list(means)
    gaps = [
        np.abs(means[first] - means[second]).max()
        for index, first in enumerate(names)
        for second in names[index + 1 :]
    ]
    assert min(gaps) > 0.05


def test_script_writes_the_picture_of_its_maker_with_the_same_bytes_twice(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "make_examples.py")]
    options = ["--only", "woodcut_waves", "--size", "64", "--out", str(tmp_path)]
    first = subprocess.run(command + options, check=True, capture_output=True)
    written = (tmp_path / "woodcut_waves.jpg").read_bytes()
    subprocess.run(command + options, check=True, capture_output=True)
    assert (tmp_path / "woodcut_waves.jpg").read_bytes() == written
    assert b"woodcut_waves.jpg" in first.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["woodcut_waves.jpg"]
    picture = np.asarray(Image.open(io.BytesIO(written)), np.float32) / 255
    assert np.abs(picture - PICTURES["woodcut_waves"](64)).mean() < 0.03


def test_colour_reads_hexadecimal():
    np.testing.assert_allclose(colour("ff0033"), [1.0, 0.0, 0.2], atol=1e-6)


def test_blur_of_a_point_is_a_gaussian():
    field = np.zeros((41, 41), np.float32)
    field[20, 20] = 1
    y, x = np.mgrid[-20:21, -20:21]
    expected = np.exp(-(x**2 + y**2) / (2 * 2.5**2)) / (2 * np.pi * 2.5**2)
    np.testing.assert_allclose(blur(field, 2.5), expected, atol=2e-5)


def test_rasteriser_shows_the_nearer_face():
    square = np.array([[2, 2], [8, 2], [8, 8], [2, 8]], float)
    near, far = (np.c_[square, np.full(4, z)] for z in (1.0, 2.0))
    buffer = empty(10, 10)
    draw_faces(buffer, [far, near, far], lambda p: (p[:, 0], p[:, 1], 1 / p[:, 2]))
    expected = np.full((10, 10), -1)
    expected[2:8, 2:8] = 1
    np.testing.assert_array_equal(buffer.index, expected)
    np.testing.assert_allclose(buffer.q[2:8, 2:8], 1.0)


def test_marched_ray_meets_a_ball_where_geometry_says():
    solid = Solid(np.array([0.0, 0.0, 5.0]), 1.2, ball(1.0), "ball")
    # Straight at it, 0.6 beside its middle, and past it.
    start = np.array([[0.0, 0, 0], [0.6, 0, 0], [1.1, 0, 0]])
    hits = march([solid], start, np.tile([0.0, 0, 1], (3, 1)))
    np.testing.assert_allclose(hits.travel[:2], [4.0, 4.2], atol=0.005)
    assert hits.travel[2] == np.inf
    np.testing.assert_array_equal(hits.solid, [0, 0, -1])
