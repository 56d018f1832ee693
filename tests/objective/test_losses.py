import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.objective.losses import (
    content_loss,
    gram_matrix,
    style_loss,
    total_variation,
)
from tests.reference import losses as slow


@pytest.fixture
def responses():
    """Pre-activations, so that half the rectified responses are 0."""
    rng = np.random.default_rng(5)
    return rng.standard_normal((5, 7, 4)), rng.standard_normal((5, 7, 4))


def relu(x):
    return jnp.maximum(x, 0)


def test_values_are_those_of_the_slow_twin(responses):
    f, p = (np.maximum(x, 0) for x in responses)
    g, a = slow.gram_matrix(f), slow.gram_matrix(p)
    ours = jnp.asarray(f, jnp.float32), jnp.asarray(p, jnp.float32)
    np.testing.assert_allclose(content_loss(*ours), slow.content_loss(f, p), rtol=1e-6)
    np.testing.assert_allclose(gram_matrix(ours[0]), g, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(
        style_loss(*map(gram_matrix, ours)), slow.style_loss(g, a), rtol=1e-5
    )


def test_content_gradient_is_the_closed_form_of_eq_2(responses):
    """dL/dF = F - P where F > 0, else 0, for L = 1/2 sum (F - P)^2."""
    f, p = responses
    count = f.size

    def paper(x):
        return count / 2 * content_loss(relu(x), relu(jnp.asarray(p, jnp.float32)))

    ours = jax.grad(paper)(jnp.asarray(f, jnp.float32))
    expected = slow.content_gradient_paper(np.maximum(f, 0), np.maximum(p, 0))
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
    assert (np.asarray(ours)[f <= 0] == 0).all()


def test_style_gradient_is_the_closed_form_of_eq_6(responses):
    """dE/dF = (F^T (G - A)) / (N^2 M^2) where F > 0, else 0, with G = F F^T."""
    f, p = (np.maximum(x, 0) for x in responses)
    target = jnp.asarray(slow.gram_matrix(p), jnp.float32)

    def paper(x):
        return style_loss(gram_matrix(relu(x)), target) / 4

    ours = jax.grad(paper)(jnp.asarray(responses[0], jnp.float32))
    expected = slow.style_gradient_paper(f, slow.gram_matrix_paper(p))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(ours / scale, expected / scale, atol=1e-5)


def test_printed_losses_are_the_stated_multiples(responses):
    """Content: N M / 2; style E_l: 1/4 (see docs/presets.md)."""
    f, p = (np.maximum(x, 0) for x in responses)
    h, w, n = f.shape
    ours = jnp.asarray(f, jnp.float32), jnp.asarray(p, jnp.float32)
    np.testing.assert_allclose(
        content_loss(*ours) * n * h * w / 2, slow.content_loss_paper(f, p), rtol=1e-5
    )
    np.testing.assert_allclose(
        style_loss(*map(gram_matrix, ours)) / 4,
        slow.style_loss_paper(f, slow.gram_matrix_paper(p)),
        rtol=1e-5,
    )


@pytest.mark.parametrize("name", ["content", "style", "tv"])
def test_gradients_are_finite_differences(name, responses):
    f, p = responses
    with jax.enable_x64(True):
        target = jnp.asarray(p)
        loss = {
            "content": lambda x: content_loss(x, target),
            "style": lambda x: style_loss(gram_matrix(x), gram_matrix(target)),
            "tv": total_variation,
        }[name]
        x = jnp.asarray(f)
        gradient = jax.grad(loss)(x)
        assert gradient.dtype == jnp.float64
        step = 1e-6
        rng = np.random.default_rng(0)
        for _ in range(5):
            direction = jnp.asarray(rng.standard_normal(f.shape))
            difference = loss(x + step * direction) - loss(x - step * direction)
            np.testing.assert_allclose(
                jnp.vdot(gradient, direction), difference / (2 * step), rtol=1e-7
            )


def test_gram_gradient_is_that_of_the_plain_product(responses):
    f = jnp.asarray(responses[0], jnp.float32)
    weights = jax.random.normal(jax.random.key(0), (4, 4))  # not symmetric

    def plain(f):
        positions = f.reshape(-1, 4)
        return jnp.sum(weights * (positions.T @ positions) / len(positions))

    ours = jax.grad(lambda f: jnp.sum(weights * gram_matrix(f)))(f)
    np.testing.assert_allclose(ours, jax.grad(plain)(f), rtol=1e-5, atol=1e-6)


def test_gram_does_not_know_positions(responses):
    f = jnp.asarray(responses[0], jnp.float32)
    shuffled = jax.random.permutation(jax.random.key(0), f.reshape(-1, 4))
    np.testing.assert_allclose(
        gram_matrix(f), gram_matrix(shuffled.reshape(f.shape)), rtol=1e-5, atol=1e-6
    )


def test_style_loss_is_a_maximum_mean_discrepancy(responses):
    """Li et al. 2017, eq. 6: with k(x, y) = (x . y)^2, for G = F F^T / M."""
    f, p = responses
    ours = [gram_matrix(jnp.asarray(x, jnp.float32)) for x in (f, p)]
    n = f.shape[-1]
    np.testing.assert_allclose(
        style_loss(*ours), slow.mmd_squared(f, p) / n**2, rtol=1e-4
    )


def test_total_variation_by_hand():
    checkers = jnp.indices((4, 6)).sum(0) % 2 * jnp.ones((3, 1, 1))
    assert total_variation(checkers.transpose(1, 2, 0)) == 2.0
    assert total_variation(jnp.full((4, 5, 3), 0.3)) == 0.0
    ramp = jnp.broadcast_to(jnp.arange(5.0)[:, None, None], (5, 4, 3))
    assert total_variation(ramp) == 1.0
    picture = np.random.default_rng(0).random((6, 5, 3))
    np.testing.assert_allclose(
        total_variation(jnp.asarray(picture, jnp.float32)),
        slow.total_variation(picture),
        rtol=1e-6,
    )


def test_nothing_broadcasts_by_accident():
    with pytest.raises(ValueError, match=r"content_loss: shapes differ: \(2, 3, 4\)"):
        content_loss(jnp.ones((2, 3, 4)), jnp.ones((1, 3, 4)))
    with pytest.raises(ValueError, match="style_loss"):
        style_loss(jnp.ones((4, 4)), jnp.ones(4))
