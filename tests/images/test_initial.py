import numpy as np
import pytest

from nst_jax.images.initial import cover, finer, noise
from nst_jax.images.resize import resample, resize


def picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((height, width, 3), dtype=np.float32)


def test_noise_is_gray_with_the_stated_spread():
    values = np.asarray(noise(200, 150, seed=1))
    assert values.shape == (200, 150, 3)
    assert values.mean() == pytest.approx(0.5, abs=2e-3)
    assert values.std() == pytest.approx(0.1, rel=0.02)
    assert not np.array_equal(values, noise(200, 150, seed=2))
    np.testing.assert_array_equal(values, noise(200, 150, seed=1))


def test_every_seed_of_32_bits_works():
    assert np.isfinite(noise(4, 4, seed=2**32 - 1)).all()


def test_cover_cuts_the_overhang_off_evenly():
    wide = np.zeros((10, 30, 3), np.float32)
    wide[:, 10:20] = 1.0
    np.testing.assert_array_equal(cover(wide, 10, 10), np.ones((10, 10, 3)))
    assert cover(wide, 25, 40).shape == (25, 40, 3)


def test_what_did_not_change_becomes_the_finer_content():
    larger = picture(32, 40)
    content = resize(larger, 16, 20)
    np.testing.assert_array_equal(finer(content, content, larger), larger)


def test_what_changed_is_enlarged_and_added():
    larger, changed = picture(32, 40), picture(16, 20, seed=1) - 0.5
    content = resize(larger, 16, 20)
    start = finer(content + changed, content, larger)
    np.testing.assert_allclose(start - larger, resample(changed, 32, 40), atol=1e-5)
    # A change of one colour stays that colour, also outside [0, 1].
    shifted = finer(content + np.array([1, 0, -1], np.float32), content, larger)
    expected = np.broadcast_to([1.0, 0.0, -1.0], larger.shape)
    np.testing.assert_allclose(shifted - larger, expected, atol=1e-5)


def test_resample_keeps_the_overshoot_that_resize_clips():
    edge = np.zeros((16, 16, 3), np.float32)
    edge[:, 8:] = 1.0
    free = resample(edge, 32, 32)
    assert free.min() < -0.01
    assert free.max() > 1.01
    np.testing.assert_array_equal(np.clip(free, 0, 1), resize(edge, 32, 32))
    assert resample(edge, 16, 16) is edge
