"""The photorealism term against scipy's matrix, and the objective without it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.images.matting import matting_laplacian, stencil
from nst_jax.objective.losses import content_loss, style_loss, total_variation
from nst_jax.objective.matting import apply_matting, matting_loss
from nst_jax.objective.objective import Objective, Problem, loss_weights
from nst_jax.objective.targets import Style, make_targets
from nst_jax.types import LossTerms

HEIGHT, WIDTH = 9, 12


def picture(seed=0, height=HEIGHT, width=WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3))


def operands(content, dtype=np.float64):
    laplacian = matting_laplacian(content)
    height, width = content.shape[:2]
    # As in ``stencil``, but not rounded to float32.
    by_pixel = laplacian.data.reshape(5, 5, height, width)[::-1, ::-1]
    np.testing.assert_allclose(by_pixel, stencil(laplacian, height, width), atol=1e-6)
    return laplacian, jnp.asarray(by_pixel, dtype)


def test_it_is_scipys_product():
    with jax.enable_x64(True):
        laplacian, numbers = operands(picture())
        v = picture(1)
        expected = (laplacian @ v.reshape(-1, 3)).reshape(v.shape)
        np.testing.assert_allclose(apply_matting(v, numbers), expected, atol=1e-12)
        energy = sum(x @ (laplacian @ x) for x in v.reshape(-1, 3).T)
        loss = matting_loss(jnp.asarray(v), numbers)
        assert float(loss) == pytest.approx(energy / v.size, rel=1e-12)
    v32 = jnp.asarray(v, jnp.float32)
    loss = matting_loss(v32, operands(picture(), np.float32)[1])
    assert float(loss) == pytest.approx(energy / v.size, rel=1e-5)


def test_the_gradient_is_2_m_v_and_that_of_finite_differences():
    with jax.enable_x64(True):
        laplacian, numbers = operands(picture())
        v = picture(1)
        gradient = np.asarray(jax.grad(matting_loss)(jnp.asarray(v), numbers))
        expected = 2 / v.size * (laplacian @ v.reshape(-1, 3)).reshape(v.shape)
        np.testing.assert_allclose(gradient, expected, atol=1e-13)
        for place in ((0, 0, 0), (4, 7, 1), (8, 11, 2)):
            step = np.zeros(v.shape)
            step[place] = 1e-4
            both = [
                float(matting_loss(jnp.asarray(v + s), numbers)) for s in (step, -step)
            ]
            assert gradient[place] == pytest.approx(
                (both[0] - both[1]) / 2e-4, rel=1e-6
            )


def test_what_is_affine_in_the_contents_colours_costs_nothing():
    content = picture()
    numbers = operands(content, np.float32)[1]
    recoloured = jnp.asarray(content @ picture(2)[0, :3] - 0.4, jnp.float32)
    other = jnp.asarray(picture(3), jnp.float32)
    assert abs(float(matting_loss(recoloured, numbers))) < 1e-6
    assert float(matting_loss(other, numbers)) > 0.1


def test_its_weight_means_the_same_at_every_size():
    losses = []
    for side in (32, 96):
        content = picture(4, side, side)
        v = jnp.asarray(picture(5, side, side), jnp.float32)
        losses.append(float(matting_loss(v, operands(content, np.float32)[1])))
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_sizes_must_be_equal():
    numbers = operands(picture(), np.float32)[1]
    with pytest.raises(ValueError, match="the matting Laplacian is of"):
        apply_matting(jnp.zeros((WIDTH, HEIGHT, 3)), numbers)


# --- in the objective -------------------------------------------------------------


def extract(params, x, layers):
    """A network of one layer."""
    del params
    return {layer: jnp.maximum(x[..., :2] * x[..., 1:], 0) for layer in layers}


def problem(photorealism=None, matting=None) -> Problem:
    content, style = (jnp.asarray(picture(n), jnp.float32) for n in (0, 1))
    weights = loss_weights(
        alpha=1, beta=2, tv=3, content={"a": 1}, style={"a": 1},
        photorealism=photorealism,
    )  # fmt: skip
    targets = make_targets(
        extract, {}, content=content, styles=[Style(style)], content_layers=("a",),
        style_layers=("a",),
    )  # fmt: skip
    return Problem({}, targets._replace(matting=matting), weights)


def plain(x, problem):
    """The objective as it was before there was photorealism."""
    targets, weights = problem.targets, problem.weights
    response = extract({}, x, ("a",))["a"]
    content = {"a": content_loss(response, targets.content["a"])}
    objective = Objective(extract)
    describe = objective.statistic.describe
    view = objective.statistic.views({"a": response})["a"]
    style = {"a": style_loss(describe(view), targets.style["a"])}
    tv = total_variation(x)
    zero = jnp.zeros(())
    sums = [zero + w["a"] * own["a"] for w, own in (
        (weights.content, content), (weights.style, style)
    )]  # fmt: skip
    total = weights.alpha * sums[0] + weights.beta * sums[1] + weights.tv * tv
    return total, LossTerms(total, *sums, tv, content, style)


def lowered(objective, problem) -> str:
    def program(x, problem):
        return jax.value_and_grad(objective, has_aux=True)(x, problem)

    return jax.jit(program).lower(jnp.zeros((HEIGHT, WIDTH, 3)), problem).as_text()


def test_a_program_without_it_does_not_know_of_it():
    without = lowered(Objective(extract), problem())
    assert without == lowered(plain, problem())
    numbers = operands(picture(), np.float32)[1]
    assert without != lowered(Objective(extract), problem(0.0, numbers))


def test_it_is_added_with_its_weight():
    laplacian, numbers = operands(picture(), np.float32)
    x = jnp.asarray(picture(6), jnp.float32)
    total, terms = Objective(extract)(x, problem())
    assert terms.photorealism is None
    more, with_it = Objective(extract)(x, problem(7.0, numbers))
    v = picture(6).reshape(-1, 3)
    expected = float(np.sum(v * (laplacian @ v))) / v.size
    assert float(with_it.photorealism) == pytest.approx(expected, rel=1e-5)
    assert float(more) == pytest.approx(float(total) + 7 * expected, rel=1e-5)
    assert float(with_it.total) == float(more)
    assert float(with_it.style) == float(terms.style)


def test_a_weight_without_a_laplacian_is_refused():
    x, numbers = jnp.zeros((HEIGHT, WIDTH, 3)), operands(picture(), np.float32)[1]
    for wrong in (problem(1.0), problem(None, numbers)):
        with pytest.raises(ValueError, match="give both, or neither"):
            Objective(extract)(x, wrong)
