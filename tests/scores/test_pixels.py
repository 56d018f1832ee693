"""Scores by pixels, against closed forms and scikit-image."""

from pathlib import Path

import numpy as np
import pytest

from nst_jax.scores.pixels import (
    colour_distance,
    edge_correlation,
    luminance,
    noise_ratio,
    structural_similarity,
)

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "scores.npz")


def gray(values):
    return np.repeat(np.asarray(values, np.float32)[..., None], 3, axis=-1)


@pytest.fixture(scope="module")
def pair():
    return gray(GOLDEN["first"] / 255), gray(GOLDEN["second"] / 255)


def test_luminance_weighs_green_most():
    red, green, blue = (
        luminance(np.eye(3)[i].reshape(1, 1, 3))[0, 0] for i in range(3)
    )
    assert (red, green, blue) == (0.299, 0.587, 0.114)


def test_similarity_is_that_of_scikit_image(pair):
    expected = float(GOLDEN["similarity"])
    assert structural_similarity(*pair) == pytest.approx(expected, abs=1e-5)
    assert structural_similarity(pair[0], pair[0]) == pytest.approx(1)


def test_similarity_of_constant_pictures_is_that_of_their_means():
    a, b = 0.25, 0.75
    expected = (2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4)
    flat = structural_similarity(gray(np.full((16, 20), a)), gray(np.full((16, 20), b)))
    assert flat == pytest.approx(expected, rel=1e-5)


def test_similarity_of_a_negative_is_negative(pair):
    assert structural_similarity(pair[0], 1 - pair[0]) < -0.3


def test_edges_are_those_of_scikit_image(pair):
    assert edge_correlation(*pair) == pytest.approx(float(GOLDEN["edges"]), abs=1e-3)


def test_edges_do_not_see_contrast_nor_sign(pair):
    assert edge_correlation(0.3 * pair[0] + 0.2, pair[0]) == pytest.approx(1, abs=1e-4)
    assert edge_correlation(1 - pair[0], pair[0]) == pytest.approx(1, abs=1e-4)
    assert edge_correlation(0 * pair[0], pair[0]) == 0
    noise = np.random.default_rng(3).random(pair[0].shape[:2])
    assert abs(edge_correlation(gray(noise), pair[0])) < 0.1


@pytest.mark.parametrize("score", [structural_similarity, edge_correlation])
def test_content_scores_want_one_size(score, pair):
    with pytest.raises(ValueError, match="sizes differ"):
        score(pair[0], pair[1][:-1])


def test_small_pictures_have_no_similarity():
    with pytest.raises(ValueError, match="11 pixels"):
        structural_similarity(np.zeros((10, 30, 3)), np.zeros((10, 30, 3)))


def test_colours_are_counted():
    black, red = np.zeros((4, 5, 3)), np.zeros((4, 5, 3))
    red[:2, :, 0] = 1  # ten of twenty pixels
    assert colour_distance(red, black) == pytest.approx(0.5)
    assert colour_distance(red[:2], black) == 1
    assert colour_distance(red, red[::-1]) == 0  # places do not count
    assert colour_distance(np.concatenate([red, red]), red) == 0  # nor do sizes
    assert colour_distance(black, black + 0.9 / 8) == 0  # nor what is within a bin
    assert colour_distance(np.ones((1, 1, 3)), np.full((1, 1, 3), 0.99)) == 0


def test_noise_is_the_energy_that_a_gaussian_takes_away():
    rng = np.random.default_rng(0)
    fine = rng.standard_normal((200, 240))
    style = gray(0.5 + 0.05 * fine)
    assert noise_ratio(gray(0.5 + 0.1 * fine), style) == pytest.approx(4, rel=1e-3)
    assert noise_ratio(style[:50], style) == pytest.approx(1, rel=0.1)
    # A wave of w radians a pixel keeps 1 - exp(-w^2 / 2) of its height (the Gaussian's
    # transform), so that two waves of equal height differ by the square of that.
    x = np.arange(400)
    waves = [gray(np.tile(0.5 + 0.2 * np.sin(w * x), (30, 1))) for w in (0.6, 1.2)]
    expected = ((1 - np.exp(-(1.2**2) / 2)) / (1 - np.exp(-(0.6**2) / 2))) ** 2
    assert noise_ratio(waves[1], waves[0]) == pytest.approx(expected, rel=0.02)


def test_a_style_without_detail_has_that_of_eight_bits():
    flat = gray(np.full((64, 64), 0.5))
    rounding = np.random.default_rng(0).uniform(-0.5, 0.5, (64, 64)) / 255
    assert noise_ratio(flat, flat) < 1e-20
    assert 0.5 < noise_ratio(flat + gray(rounding), flat) < 1
