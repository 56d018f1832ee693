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
        return jnp.sum(convolve(x) ** 2)

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


QUICK = {
    "four columns at once": ((12, 13), 3, 5),
    "Winograd": ((48, 40), 80, 96),
    "Winograd, two columns at once": ((129, 120), 80, 16),
}


@pytest.mark.parametrize("case", QUICK)
def test_what_the_cpu_does_is_within_1e_4_of_the_plain_convolution(case):
    """Values and input gradients, inside the loop where the solver has them."""
    (h, w), n_in, n_out = QUICK[case]
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((1, h, w, n_in)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, n_in, n_out)), jnp.float32)
    target = jnp.asarray(rng.standard_normal((1, h, w, n_out)), jnp.float32)

    def in_a_loop(convolve):
        def body(_, carry):
            response, pull = jax.vjp(convolve, carry[2])
            return response, pull(target)[0], carry[2]

        zeros = jnp.zeros_like(target), jnp.zeros_like(x), x
        compiled = jax.jit(lambda: lax.fori_loop(0, 1, body, zeros)).lower().compile()
        return compiled()[:2], str(compiled.as_text())

    ours, text = in_a_loop(lambda x: frozen_conv(x, kernel, (1, 1), "SAME"))
    theirs, _ = in_a_loop(lambda x: plain(x, kernel, "SAME"))
    # XLA's naive kernel takes any order of dimensions, the quick one only this.
    assert "01oi" not in text
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a - b).max() < 1e-4 * np.abs(b).max()


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("precision", [None, "bfloat16"])
def test_other_devices_get_the_plain_convolution(platform, precision):
    x, kernel = jnp.ones((1, 48, 40, 200)), jnp.ones((3, 3, 200, 200))

    def gradient(x):
        response, pull = jax.vjp(
            lambda x: frozen_conv(x, kernel, (1, 1), "SAME", precision=precision), x
        )
        return pull(response)

    traced = jax.jit(gradient).trace(x)

    def text(platform):
        return traced.lower(lowering_platforms=(platform,)).as_text()

    assert text(platform).count("stablehlo.convolution") == 2
    assert "dot_general" not in text(platform)
    on_cpu = text("cpu").count("stablehlo.convolution")
    assert on_cpu == (12 if precision is None else 0)


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
