from typing import Any

import numpy as np
import pytest

from nst_jax.images.resize import (
    fit_area,
    fit_longer_side,
    resize,
    size_for_area,
    size_for_longer_side,
)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [
        (768, 1024, 512, (384, 512)),
        (1024, 768, 512, (512, 384)),
        (300, 300, 512, (512, 512)),
        (100, 300, 100, (33, 100)),  # 33.33
        (200, 300, 100, (67, 100)),  # 66.67
        (100, 200, 101, (51, 101)),  # 50.5: halves up
        (7, 5, 7, (7, 5)),
        (1, 1000, 16, (1, 16)),  # 0.016: at least a pixel
    ],
)
def test_size_for_longer_side(height, width, size, expected):
    assert size_for_longer_side(height, width, size) == expected


@pytest.mark.parametrize(
    ("height", "width", "area", "expected"),
    [
        (100, 200, 20000, (100, 200)),
        (100, 200, 5000, (50, 100)),
        (400, 100, 512 * 512, (1024, 256)),
        (3, 2, 96, (12, 8)),
        (3, 4, 100, (9, 12)),  # 8.66 x 11.55
        (1, 900, 9, (1, 90)),  # 0.1 x 90
        (777, 1023, 777 * 1023, (777, 1023)),
    ],
)
def test_size_for_area(height, width, area, expected):
    assert size_for_area(height, width, area) == expected


@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30)])
@pytest.mark.parametrize("target", [(7, 9), (40, 60), (31, 11)])
def test_constant_stays_constant(shape, target):
    result = resize(np.full(shape, 0.3, np.float32), *target)
    assert result.shape == (*target, *shape[2:])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 0.3, atol=1e-6)


def test_same_size_is_the_same_array():
    pixels = picture(20, 30)
    assert resize(pixels, 20, 30) is pixels
    assert fit_longer_side(pixels, 30) is pixels
    assert fit_area(pixels, 600) is pixels


def test_ramp_keeps_its_values_and_mean():
    ramp = np.tile((np.arange(64, dtype=np.float32) + 0.5) / 64, (48, 1))
    half = resize(ramp, 24, 32)
    # Away from the edges a symmetric filter leaves a straight line straight.
    np.testing.assert_allclose(
        half[:, 4:-4], np.tile((np.arange(32) + 0.5) / 32, (24, 1))[:, 4:-4], atol=1e-6
    )
    assert abs(half.mean() - 0.5) < 1e-3


def test_checkerboard_becomes_gray():
    board = (np.indices((64, 64)).sum(axis=0) % 2).astype(np.float32)
    small = resize(board, 16, 16)
    # Without antialiasing every fourth field would be picked: all 0 or all 1.
    assert np.abs(small - 0.5).max() < 0.02
    assert abs(small.mean() - 0.5) < 1e-3


def test_stripes_too_fine_for_the_target_vanish():
    stripes = 0.5 + 0.5 * np.sin(2 * np.pi * np.arange(256) * 0.4)
    small = resize(np.tile(stripes.astype(np.float32), (32, 1)), 32, 64)
    assert small[:, 4:-4].std() < 0.01


def test_matches_a_lanczos_sum_written_out():
    row = picture(1, 24)[0, :, 0]
    # Shrinking by 3: the kernel sinc(x) sinc(x / 3) is widened threefold.
    expected = []
    for i in range(8):
        distance = (np.arange(24) + 0.5 - (3 * i + 1.5)) / 3
        kernel = np.sinc(distance) * np.sinc(distance / 3) * (np.abs(distance) < 3)
        expected.append((kernel * row).sum() / kernel.sum())
    result = resize(np.tile(row, (5, 1)), 5, 8)
    np.testing.assert_allclose(result[2], np.clip(expected, 0, 1), atol=1e-6)


def test_overshoot_is_clipped():
    step = np.zeros((20, 20), np.float32)
    step[:, 10:] = 1.0
    large = resize(step, 50, 50)
    assert large.min() == 0.0
    assert large.max() == 1.0


def test_channels_and_axes_are_not_mixed():
    pixels = picture(24, 36)
    result = resize(pixels, 12, 9)
    for channel in range(3):
        alone = resize(np.ascontiguousarray(pixels[..., channel]), 12, 9)
        np.testing.assert_array_equal(result[..., channel], alone)
    turned = resize(np.ascontiguousarray(pixels.swapaxes(0, 1)), 9, 12)
    np.testing.assert_allclose(turned.swapaxes(0, 1), result, atol=1e-6)


def test_accepts_views():
    pixels = picture(24, 36)
    view = pixels[::-1, ::2]
    np.testing.assert_array_equal(resize(view, 8, 8), resize(view.copy(), 8, 8))


def test_fit():
    pixels = picture(30, 60)
    assert fit_longer_side(pixels, 20).shape == (10, 20, 3)
    assert fit_area(pixels, 200).shape == (10, 20, 3)
    assert fit_area(pixels[..., 0], 7200).shape == (60, 120)


@pytest.mark.parametrize("bad", [0, -3])
def test_sizes_must_be_positive(bad):
    with pytest.raises(ValueError, match=f"size must be positive, got {bad}"):
        fit_longer_side(picture(20, 20), bad)
    with pytest.raises(ValueError, match="area must be positive"):
        fit_area(picture(20, 20), bad)
    with pytest.raises(ValueError, match="width must be positive"):
        resize(picture(20, 20), 20, bad)


@pytest.mark.parametrize("bad", [1.5, "20", True, None])
def test_sizes_must_be_integers(bad):
    with pytest.raises(TypeError, match="must be an integer"):
        fit_longer_side(picture(20, 20), bad)
    with pytest.raises(TypeError, match="must be an integer"):
        size_for_area(20, 20, bad)


def test_numpy_integers_are_integers():
    numbers: list[Any] = [np.int64(10), np.int32(20), np.uint8(40)]
    assert size_for_longer_side(*numbers) == (20, 40)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((20, 20, 3)), np.zeros((20, 20, 3), np.uint8), [[0.0]]],
    ids=["float64", "uint8", "list"],
)
def test_dtype_is_checked(pixels):
    with pytest.raises(TypeError, match="float32"):
        resize(pixels, 10, 10)


@pytest.mark.parametrize("shape", [(20,), (20, 20, 4), (1, 20, 20, 3), (0, 20, 3)])
def test_shape_is_checked(shape):
    with pytest.raises(ValueError, match="shape"):
        resize(np.zeros(shape, np.float32), 10, 10)
