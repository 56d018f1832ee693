import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nst_jax.features.conv import frozen_conv

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def plain(x, kernel, padding):
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=DIMENSIONS
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size", [(3, 3), (1, 1), (5, 3)])
def test_value_and_input_gradient_are_those_of_the_plain_convolution(padding, size):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, 9, 7, 3)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((*size, 3, 5)), jnp.float32)

    def loss(x, convolve):
        return jnp.sum(jnp.sin(convolve(x)))

    ours = jax.value_and_grad(loss)(
        x, lambda x: frozen_conv(x, kernel, (1, 1), padding)
    )
    theirs = jax.value_and_grad(loss)(x, lambda x: plain(x, kernel, padding))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-4, atol=1e-5)


def test_batches_come_from_vmap():
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.standard_normal((3, 1, 6, 5, 2)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, 2, 4)), jnp.float32)

    def gradient(x):
        return jax.grad(lambda x: jnp.sum(frozen_conv(x, kernel, (1, 1), "SAME") ** 2))(
            x
        )

    together = jax.vmap(gradient)(x)
    for index in range(3):
        np.testing.assert_allclose(
            together[index], gradient(x[index]), rtol=1e-5, atol=1e-5
        )


def test_training_the_frozen_kernel_is_noticed():
    x, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2))
    gradient = jax.grad(lambda k: jnp.sum(frozen_conv(x, k, (1, 1), "SAME")))(kernel)
    assert np.isnan(gradient).all()


@pytest.mark.parametrize(
    "options",
    [
        {"window_strides": (2, 2), "padding": "SAME"},
        {"window_strides": (1, 1), "padding": "SAME", "feature_group_count": 2},
        {"window_strides": (1, 1), "padding": "SAME", "rhs_dilation": (2, 2)},
        {"window_strides": (1, 1), "padding": [(1, 1), (1, 1)]},
    ],
)
def test_what_it_does_not_know_is_refused(options):
    with pytest.raises(ValueError, match="frozen_conv"):
        frozen_conv(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2)), **options)
