import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import DTypeLike

from nst_jax.features.winograd import (
    convolve,
    side_by_side,
    winograd,
    winograd_bfloat16,
)

SAME, FULL, VALID = ((1, 1), (1, 1)), ((2, 2), (2, 2)), ((0, 0), (0, 0))
SIZES = [(1, 1), (2, 5), (3, 4), (4, 3), (9, 10), (12, 16)]


def slow(inputs, kernel, padding):
    """The sum over the taps, in NumPy."""
    padded = np.pad(inputs, ((0, 0), *padding, (0, 0)))
    h, w = padded.shape[1] - 2, padded.shape[2] - 2
    return sum(
        padded[:, i : i + h, j : j + w] @ kernel[i, j]
        for i in range(3)
        for j in range(3)
    )


def example(size, n_in=5, n_out=4, dtype: DTypeLike = np.float64):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((2, *size, n_in)).astype(dtype)
    return inputs, rng.standard_normal((3, 3, n_in, n_out)).astype(dtype)


@pytest.mark.parametrize("padding", [SAME, FULL, VALID])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("columns", [1, 2])
def test_winograd_is_the_convolution(size, padding, columns):
    if padding == VALID and min(size) < 3:
        pytest.skip("nothing comes out")
    inputs, kernel = example(size)
    with jax.enable_x64(True):
        ours = winograd(
            jnp.asarray(inputs), jnp.asarray(kernel), padding, columns=columns
        )
    assert ours.dtype == jnp.float64
    np.testing.assert_allclose(ours, slow(inputs, kernel, padding), atol=1e-12)


@pytest.mark.parametrize("padding", [SAME, FULL, VALID])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_side_by_side_is_the_convolution(size, padding, columns):
    if padding == VALID and min(size) < 3:
        pytest.skip("nothing comes out")
    inputs, kernel = example(size)
    with jax.enable_x64(True):
        ours = side_by_side(
            jnp.asarray(inputs), jnp.asarray(kernel), padding, columns=columns
        )
    np.testing.assert_allclose(ours, slow(inputs, kernel, padding), atol=1e-12)


@pytest.mark.parametrize("padding", [SAME, FULL, VALID])
@pytest.mark.parametrize("size", [(3, 4), (9, 10)])
def test_bfloat16_products_have_bfloat16_errors(size, padding):
    inputs, kernel = example(size, n_in=64, dtype=np.float32)
    ours = winograd_bfloat16(jnp.asarray(inputs), jnp.asarray(kernel), padding)
    assert ours.dtype == jnp.float32
    exact = slow(inputs, kernel, padding)
    error = np.sqrt(np.mean((ours - exact) ** 2) / np.mean(exact**2))
    assert 5e-4 < error < 5e-3  # half a unit of 8 bits is 2e-3


def test_errors_in_float32():
    """Of a layer with 256 channels, against float64."""
    inputs, kernel = example((16, 16), n_in=256, n_out=8)
    exact = slow(inputs, kernel, SAME)
    single = jnp.asarray(inputs, jnp.float32), jnp.asarray(kernel, jnp.float32)
    for method in (convolve, winograd):
        error = np.abs(method(*single, SAME) - exact).max() / np.abs(exact).max()
        assert error < 1e-5


def test_lanes_share_a_kernel():
    inputs, kernel = example((9, 10), dtype=np.float32)
    pictures = jnp.stack([jnp.asarray(inputs), 2 * jnp.asarray(inputs)])
    kernel = jnp.asarray(kernel)
    for columns in (1, 2):
        together = jax.vmap(lambda x, c=columns: winograd(x, kernel, SAME, columns=c))(
            pictures
        )
        np.testing.assert_allclose(
            together[1], 2 * slow(inputs, kernel, SAME), rtol=1e-4, atol=1e-4
        )
