import numpy as np
import pytest
from scipy.linalg import sqrtm

from nst_jax.images import color
from nst_jax.images.color import (
    ColourStatistics,
    colour_map,
    colour_statistics,
    match_colours,
    partly,
)

METHODS = ("pca", "chol", "ot")
each_method = pytest.mark.parametrize("method", METHODS)


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


def test_statistics_do_not_depend_on_how_rows_are_taken(monkeypatch):
    whole = colour_statistics(picture())
    monkeypatch.setattr(color, "ROWS", 7)
    for a, b in zip(whole, colour_statistics(picture()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_what_is_transparent_has_no_colour():
    pixels, alpha = picture(), np.zeros((20, 30), np.float32)
    alpha[:, :11] = 1
    for a, b in zip(
        colour_statistics(pixels, alpha=alpha),
        colour_statistics(pixels[:, :11]),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    weights = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    mean, covariance = colour_statistics(pixels, alpha=weights)
    flat = np.float64(pixels).reshape(-1, 3)
    known = np.cov(flat.T, aweights=weights.ravel(), bias=True)
    np.testing.assert_allclose(
        mean, np.average(flat, axis=0, weights=weights.ravel()), rtol=1e-9
    )
    np.testing.assert_allclose(covariance, known, rtol=1e-6)
    # A picture of which nothing is seen has all of its colours.
    unseen = colour_statistics(pixels, alpha=np.zeros_like(alpha))
    np.testing.assert_array_equal(unseen.mean, colour_statistics(pixels).mean)


@each_method
def test_mean_and_covariance_become_the_references(method):
    source, reference = picture(seed=1), picture(16, 18, seed=2)
    wanted = colour_statistics(reference)
    mapped = colour_map(colour_statistics(source), wanted, method=method)(source)
    mean, covariance = colour_statistics(mapped)
    np.testing.assert_allclose(mean, wanted.mean, atol=1e-6)
    np.testing.assert_allclose(covariance, wanted.covariance, atol=1e-6)
    # Nothing of it is outside [0, 1], so the clipped picture is the same.
    matched = match_colours(source, reference, method=method)
    np.testing.assert_allclose(matched, mapped, atol=1e-6)


def test_the_maps_are_three_different_ones():
    """Against SciPy's matrix root, LAPACK's Cholesky and the least way to move."""
    source, target = (colour_statistics(picture(seed=s)) for s in (1, 2))
    a, b = source.covariance, target.covariance
    found = {m: colour_map(source, target, method=m) for m in METHODS}
    pca = sqrtm(b) @ np.linalg.inv(sqrtm(a))
    chol = np.linalg.cholesky(b) @ np.linalg.inv(np.linalg.cholesky(a))
    np.testing.assert_allclose(found["pca"].matrix, pca, atol=1e-9)
    np.testing.assert_allclose(found["chol"].matrix, chol, atol=1e-9)
    np.testing.assert_allclose(found["ot"].matrix, found["ot"].matrix.T, atol=1e-9)
    # Wasserstein-2 distance of two normal distributions (Dowson and Landau 1982).
    root = sqrtm(a)
    bures = np.trace(a + b - 2 * sqrtm(root @ b @ root))
    least = np.sum((source.mean - target.mean) ** 2) + bures
    moved = {
        m: np.mean(np.sum((f(picture(seed=1)) - picture(seed=1)) ** 2, axis=-1))
        for m, f in found.items()
    }
    assert moved["ot"] == pytest.approx(least, rel=1e-5)
    assert moved["ot"] < min(moved["pca"], moved["chol"])


@each_method
def test_strength_goes_a_part_of_the_way(method):
    source, reference = picture(seed=1), picture(seed=2)
    whole = match_colours(source, reference, method=method)
    third = match_colours(source, reference, method=method, strength=1 / 3)
    np.testing.assert_allclose(third, source + (whole - source) / 3, atol=1e-6)
    none = match_colours(source, reference, method=method, strength=0.0)
    np.testing.assert_allclose(none, source, atol=1e-6)
    full = colour_map(*map(colour_statistics, (source, reference)), method=method)
    np.testing.assert_allclose(partly(full, 1.0).matrix, full.matrix, atol=1e-12)


@each_method
def test_the_map_by_hand(method):
    """Standard deviations 0.1, 0.2, 0.1 to 0.2, 0.1, 0.3; means 0.5 to 0.25."""
    source = ColourStatistics(np.full(3, 0.5), np.diag([0.01, 0.04, 0.01]))
    target = ColourStatistics(np.full(3, 0.25), np.diag([0.04, 0.01, 0.09]))
    matrix, offset = colour_map(source, target, method=method)
    np.testing.assert_allclose(matrix, np.diag([2.0, 0.5, 3.0]), atol=1e-12)
    np.testing.assert_allclose(offset, [-0.75, 0.0, -1.25], atol=1e-12)


@each_method
def test_the_order_of_the_channels_matters_to_cholesky_only(method):
    source, reference = picture(seed=1), picture(seed=2)
    turned = match_colours(source[..., ::-1], reference[..., ::-1], method=method)
    straight = match_colours(source, reference, method=method)
    apart = np.abs(turned[..., ::-1] - straight).max()
    assert apart < 1e-6 if method != "chol" else apart > 0.01


@each_method
def test_a_picture_matched_with_itself_stays(method):
    pixels = picture()
    matched = match_colours(pixels, pixels, method=method)
    np.testing.assert_allclose(matched, pixels, atol=1e-6)


def test_other_methods_are_refused():
    with pytest.raises(ValueError, match="one of pca, chol, ot, not 'median'"):
        match_colours(picture(), picture(), method="median")  # pyright: ignore


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


def test_a_gray_picture_by_the_other_maps():
    """chol: red's column of L, as far as red varies; ot: gray, as far as gray does."""
    wanted = colour_statistics(picture(seed=2))
    own = colour_statistics(gray())
    chol, ot = (
        colour_statistics(colour_map(own, wanted, method=m)(gray()))
        for m in ("chol", "ot")
    )
    red = np.linalg.cholesky(wanted.covariance)[:, 0]
    np.testing.assert_allclose(chol.covariance, np.outer(red, red), atol=1e-6)
    line = np.full(3, 3**-0.5)
    along = line @ wanted.covariance @ line
    np.testing.assert_allclose(ot.covariance, along * np.outer(line, line), atol=1e-6)


@each_method
def test_rounding_of_a_gray_picture_is_not_stretched_into_colours(method):
    rng = np.random.default_rng(5)
    rounding = rng.uniform(-0.5, 0.5, gray().shape) / 255
    grainy, smooth = (
        match_colours(x.astype(np.float32), picture(seed=2), method=method)
        for x in (gray() + rounding, gray())
    )
    assert np.abs(grainy - smooth).max() < 0.03


@each_method
def test_a_gray_reference_makes_gray(method):
    mapped = match_colours(picture(seed=1), gray(), method=method)
    np.testing.assert_allclose(np.ptp(mapped, axis=-1), 0, atol=1e-6)


@each_method
def test_pictures_of_one_colour(method):
    one = np.full((8, 8, 3), [0.2, 0.5, 0.9], np.float32)
    matched = match_colours(one, picture(), method=method)
    mean = colour_statistics(picture()).mean
    np.testing.assert_allclose(matched, np.broadcast_to(mean, one.shape), atol=1e-6)
    np.testing.assert_allclose(
        match_colours(picture(), one, method=method)[3, 4], one[0, 0], atol=1e-6
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
