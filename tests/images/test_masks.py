import numpy as np
import pytest
from PIL import Image

from nst_jax.images.masks import (
    COLOURS,
    Masks,
    coloured,
    fitted,
    grays,
    of_alpha,
    size_note,
)


def saved(path, array):
    Image.fromarray(np.asarray(array, np.uint8)).save(path)
    return path


def painted(*names, side=40):
    """Stripes of equal width."""
    stripes = np.array([COLOURS[name] for name in names])
    columns = np.arange(side) * len(names) // side
    return np.broadcast_to(stripes[columns], (side, side, 3))


def test_colours_are_regions_by_name(tmp_path):
    names = ("red", "black", "green", "olive")
    masks = coloured(saved(tmp_path / "mask.png", painted(*names)))
    assert set(masks.names) == set(names)
    assert masks.notes == ()
    for name, plane in zip(masks.names, masks.values, strict=True):
        expected = (np.arange(40) * 4 // 40) == names.index(name)
        np.testing.assert_array_equal(plane, np.broadcast_to(expected, (40, 40)))


def test_all_colours_of_the_table_are_told_apart(tmp_path):
    file = saved(tmp_path / "mask.png", painted(*COLOURS, side=64))
    assert coloured(file).names == tuple(COLOURS)


def test_nearly_the_colour_will_do(tmp_path):
    array = np.clip(painted("red", "blue") + np.array([-30, 25, 10]), 0, 255)
    assert coloured(saved(tmp_path / "mask.png", array)).names == ("red", "blue")


def test_the_noise_of_a_jpeg_is_no_region(tmp_path):
    path = tmp_path / "mask.jpg"
    Image.fromarray(painted("red", "blue", side=200).astype(np.uint8)).save(path)
    masks = coloured(path)
    assert masks.names == ("red", "blue")
    assert (masks.values.sum(0) == 1).all()
    wrong = masks.values[0, :, :100] == 0
    assert wrong.mean() < 0.02
    assert (
        "mask.jpg: 200 pixels of stray colours" in "".join(masks.notes) or wrong.any()
    )


def test_soft_edges_go_to_the_nearest_region_and_that_is_said(tmp_path):
    array = painted("red", "blue", side=400).copy()
    array[:100, 200] = [128, 0, 128]  # between maroon and purple: neither is there
    masks = coloured(saved(tmp_path / "mask.png", array))
    assert masks.names == ("red", "blue")
    assert masks.notes == (
        "mask.png: 100 pixels of stray colours (soft edges, or a JPEG's noise) were "
        "given to the nearest region",
    )


def test_a_photograph_is_no_mask(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3))
    with pytest.raises(
        ValueError, match=r"photo\.png: holds too many colours for a mask"
    ):
        coloured(saved(tmp_path / "photo.png", noise))


def test_two_areas_of_one_name_are_refused(tmp_path):
    array = painted("red", "blue").copy()
    array[:10] = [200, 40, 40]
    with pytest.raises(ValueError, match="#c82828 and #ff0000 are all nearest to red"):
        coloured(saved(tmp_path / "mask.png", array))


def test_grays_keep_soft_edges_and_their_names(tmp_path):
    ramp = np.rint(np.broadcast_to(np.linspace(0, 255, 32), (20, 32)))
    sky = saved(tmp_path / "sky.png", ramp)
    ground = saved(tmp_path / "ground.png", 255 - ramp)
    masks = grays([sky, ground])
    assert masks.names == ("sky", "ground")
    assert masks.notes == ()
    np.testing.assert_allclose(masks.values[0], ramp / 255, atol=0.003)
    assert grays([sky, ground], names=("a", "b")).names == ("a", "b")


def test_overlapping_grays_are_divided_and_that_is_said(tmp_path):
    full = saved(tmp_path / "full.png", np.full((20, 20), 255))
    half = np.zeros((20, 20))
    half[:10] = 255
    masks = grays([full, saved(tmp_path / "half.png", half)])
    np.testing.assert_allclose(masks.values[:, 0, 0], 0.5)
    np.testing.assert_allclose(masks.values[:, 15, 0], [1, 0])
    assert masks.notes == ("masks overlap on 50.0% of the picture: divided there",)


def test_grays_of_other_sizes_are_resized_by_area_and_that_is_said(tmp_path):
    first = np.zeros((20, 20))
    first[:, 12:] = 255
    first = saved(tmp_path / "a.png", first)
    second = np.zeros((40, 40))
    second[:, :21] = 255
    masks = grays([first, saved(tmp_path / "b.png", second)])
    assert masks.notes == ("b.png: the mask of 40 x 40 was resized to 20 x 20",)
    np.testing.assert_allclose(masks.values[1, 0, 9:12], [1, 0.5, 0])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 20)), "b.png: this region is empty"),
        (painted("red", "blue"), "b.png: is coloured; a mask is one picture with"),
    ],
)
def test_empty_and_coloured_grays_are_refused(tmp_path, array, message):
    first = saved(tmp_path / "a.png", np.full((20, 20), 255))
    with pytest.raises(ValueError, match=message):
        grays([first, saved(tmp_path / "b.png", array)])


def test_two_grays_of_one_name_are_refused(tmp_path):
    first = saved(tmp_path / "a.png", np.full((20, 20), 255))
    with pytest.raises(ValueError, match="masks need a name each: a, a"):
        grays([first, first])


def test_alpha_is_two_regions_that_add_up_to_one():
    alpha = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    masks = of_alpha(alpha)
    assert masks.names == ("opaque", "transparent")
    np.testing.assert_allclose(masks.values.sum(0), 1)


def test_masks_are_fitted_by_area():
    values = np.zeros((1, 4, 4), np.float32)
    values[0, :3, :2] = 1
    masks = Masks(("a",), values)
    np.testing.assert_allclose(fitted(masks, 2, 2), [[[1, 0], [0.5, 0]]])
    assert size_note(masks, 4, 4) is None
    assert size_note(masks, 2, 8) == "the mask of 4 x 4 was resized to 8 x 2"
