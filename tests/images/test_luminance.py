import colorsys

import numpy as np
import pytest

from nst_jax.images.luminance import luminance, match_luminance, with_luminance


def picture(height=12, width=16, *, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def chroma(pixels) -> np.ndarray:
    """I and Q by Python's own conversion, pixel by pixel."""
    flat = np.float64(pixels).reshape(-1, 3)
    return np.array([colorsys.rgb_to_yiq(*pixel)[1:] for pixel in flat])


def test_luminance_is_that_of_the_standard_library():
    """Whose Y has the weights 0.30, 0.59, 0.11; ours are 0.299, 0.587, 0.114."""
    gray = luminance(picture())
    assert gray.dtype == np.float32
    np.testing.assert_array_equal(gray[..., 0], gray[..., 1])
    np.testing.assert_array_equal(gray[..., 0], gray[..., 2])
    known = [colorsys.rgb_to_yiq(*pixel)[0] for pixel in picture().reshape(-1, 3)]
    np.testing.assert_allclose(gray[..., 0].ravel(), known, atol=0.005)


def test_luminance_of_luminance_is_the_same_to_the_bit():
    gray = luminance(picture())
    np.testing.assert_array_equal(luminance(gray), gray)


def test_another_luminance_leaves_the_chroma():
    photo, gray = picture(seed=1), luminance(picture(seed=2))
    made = with_luminance(photo, gray)
    np.testing.assert_allclose(chroma(made), chroma(photo), atol=1e-6)
    np.testing.assert_allclose(luminance(made), gray, atol=1e-6)


def test_shift_and_scale():
    gray, reference = luminance(picture(seed=1)), luminance(picture(seed=2)) / 4 + 0.4
    made = match_luminance(gray, reference)
    assert made.mean() == pytest.approx(reference.mean(), abs=1e-6)
    assert made.std() == pytest.approx(reference.std(), abs=1e-6)
    slope = (reference.std() / gray.std()) * (gray - gray.mean()) + reference.mean()
    np.testing.assert_allclose(made, slope, atol=1e-6)


def test_one_shade_stays_one():
    flat = np.full((8, 8, 3), 0.3, np.float32)
    rounding = np.random.default_rng(0).uniform(-0.5, 0.5, (8, 8, 1)) / 255
    made = match_luminance(
        (flat + rounding).astype(np.float32), luminance(picture(seed=2))
    )
    assert np.ptp(made) == 0
    assert made[0, 0, 0] == pytest.approx(luminance(picture(seed=2)).mean(), abs=1e-6)


def test_what_is_transparent_does_not_count():
    gray, reference = luminance(picture(seed=1)), luminance(picture(seed=2)) / 2
    alpha = np.zeros((12, 16), np.float32)
    alpha[:5] = 1
    made = match_luminance(gray, reference, reference_alpha=alpha)
    np.testing.assert_allclose(made, match_luminance(gray, reference[:5]), atol=1e-6)
    own = match_luminance(gray, reference, alpha=alpha)
    assert own[:5].mean() == pytest.approx(reference.mean(), abs=1e-3)
