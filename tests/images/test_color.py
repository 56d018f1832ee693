import numpy as np
import pytest

from nst_jax.images.color import (
    ColourStatistics,
    colour_map,
    colour_statistics,
    match_colours,
)


def picture(height=20, width=30, *, seed=0):
    """Colours that depend on each other, well inside [0, 1]."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(3) + rng.random((3, 3))
    return (0.5 + 0.04 * rng.standard_normal((height, width, 3)) @ mixing).astype(
        np.float32
    )


def test_statistics_are_those_of_numpy():
    pixels = picture()
    mean, covariance = colour_statistics(pixels)
    flat = np.float64(pixels).reshape(-1, 3).T
    np.testing.assert_allclose(mean, flat.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(flat, bias=True), rtol=1e-9)


def test_mean_and_covariance_become_the_references():
    source, reference = picture(seed=1), picture(16, 18, seed=2)
    wanted = colour_statistics(reference)
    mapped = colour_map(colour_statistics(source), wanted)(source)
    mean, covariance = colour_statistics(mapped)
    np.testing.assert_allclose(mean, wanted.mean, atol=1e-6)
    np.testing.assert_allclose(covariance, wanted.covariance, atol=1e-6)
    # Nothing of it is outside [0, 1], so the clipped picture is the same.
    np.testing.assert_allclose(match_colours(source, reference), mapped, atol=1e-6)


def test_the_map_by_hand():
    """Standard deviations 0.1, 0.2, 0.1 to 0.2, 0.1, 0.3; means 0.5 to 0.25."""
    source = ColourStatistics(np.full(3, 0.5), np.diag([0.01, 0.04, 0.01]))
    target = ColourStatistics(np.full(3, 0.25), np.diag([0.04, 0.01, 0.09]))
    matrix, offset = colour_map(source, target)
    np.testing.assert_allclose(matrix, np.diag([2.0, 0.5, 3.0]), atol=1e-12)
    np.testing.assert_allclose(offset, [-0.75, 0.0, -1.25], atol=1e-12)


def test_the_order_of_the_channels_does_not_matter():
    source, reference = picture(seed=1), picture(seed=2)
    turned = match_colours(source[..., ::-1], reference[..., ::-1])
    np.testing.assert_allclose(
        turned[..., ::-1], match_colours(source, reference), atol=1e-6
    )


def test_a_picture_matched_with_itself_stays():
    pixels = picture()
    np.testing.assert_allclose(match_colours(pixels, pixels), pixels, atol=1e-6)


def gray(seed=3):
    return np.repeat(picture(seed=seed)[..., :1], 3, axis=-1)


def test_a_gray_picture_gets_shades_along_one_line():
    """Its one direction (1, 1, 1) goes to C^{1/2} (1, 1, 1), as far as it varies."""
    reference = picture(seed=2)
    wanted = colour_statistics(reference)
    mapped = colour_map(colour_statistics(gray()), wanted)(gray())
    mean, covariance = colour_statistics(mapped)
    values, vectors = np.linalg.eigh(wanted.covariance)
    line = vectors * np.sqrt(values) @ vectors.T @ np.full(3, 3**-0.5)
    np.testing.assert_allclose(mean, wanted.mean, atol=1e-6)
    np.testing.assert_allclose(covariance, np.outer(line, line), atol=1e-6)


def test_rounding_of_a_gray_picture_is_not_stretched_into_colours():
    rng = np.random.default_rng(5)
    rounding = rng.uniform(-0.5, 0.5, gray().shape) / 255
    grainy = match_colours((gray() + rounding).astype(np.float32), picture(seed=2))
    smooth = match_colours(gray(), picture(seed=2))
    assert np.abs(grainy - smooth).max() < 0.03


def test_a_gray_reference_makes_gray():
    mapped = match_colours(picture(seed=1), gray())
    np.testing.assert_allclose(np.ptp(mapped, axis=-1), 0, atol=1e-6)


def test_pictures_of_one_colour():
    one = np.full((8, 8, 3), [0.2, 0.5, 0.9], np.float32)
    matched = match_colours(one, picture())
    mean = colour_statistics(picture()).mean
    np.testing.assert_allclose(matched, np.broadcast_to(mean, one.shape), atol=1e-6)
    np.testing.assert_allclose(
        match_colours(picture(), one)[3, 4], one[0, 0], atol=1e-6
    )


def test_the_result_is_a_picture():
    wide = (np.random.default_rng(0).random((20, 20, 3)) > 0.5).astype(np.float32)
    matched = match_colours(picture(), wide)
    assert matched.dtype == np.float32
    assert (matched.min(), matched.max()) == (0.0, 1.0)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (0, 8, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected a picture \(h, w, 3\), got shape"):
        match_colours(np.zeros(shape, np.float32), picture())
