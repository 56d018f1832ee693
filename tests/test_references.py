"""Tests of the slow references that the other tests compare with."""

from pathlib import Path

import numpy as np
import pytest

from tests.reference import lbfgs, losses

GOLDEN = Path(__file__).parent / "golden"


def rectified(seed: int, shape=(4, 5, 3)) -> np.ndarray:
    return np.maximum(np.random.default_rng(seed).normal(size=shape), 0)


def finite_differences(function, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


def test_gram_matrix_by_hand():
    # Two positions with responses (1, 2) and (3, 0).
    F = np.array([[[1.0, 2.0], [3.0, 0.0]]])
    np.testing.assert_allclose(losses.gram_matrix_paper(F), [[10, 2], [2, 4]])
    np.testing.assert_allclose(losses.gram_matrix(F), [[5, 1], [1, 2]])


def test_losses_by_hand():
    F, P = np.array([[[1.0, 2.0]]]), np.array([[[0.0, 5.0]]])
    assert losses.content_loss(F, P) == 5.0
    assert losses.content_loss_paper(F, P) == 5.0
    # G - A = [[1, 2], [2, 4]] - 0: 25 in all; N = 2, M = 1.
    assert losses.style_loss_paper(F, np.zeros((2, 2))) == 25 / 16
    assert losses.style_loss(losses.gram_matrix(F), np.zeros((2, 2))) == 25 / 4


def test_total_variation_by_hand():
    # Vertical differences 3 and 0; horizontal differences 1 and 2; other channels 0.
    x = np.zeros((2, 2, 3))
    x[..., 0] = [[0, 1], [3, 1]]
    assert losses.total_variation(x) == pytest.approx(9 / 6 + (1 + 4) / 6)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shapes differ"):
        losses.content_loss(np.zeros((2, 3, 1)), np.zeros((3, 2, 1)))


def test_content_gradient_against_finite_differences():
    before = np.random.default_rng(0).normal(size=(4, 5, 3))
    P = rectified(1)
    numeric = finite_differences(
        lambda z: losses.content_loss_paper(np.maximum(z, 0), P), before
    )
    closed = losses.content_gradient_paper(np.maximum(before, 0), P)
    np.testing.assert_allclose(closed, numeric, rtol=1e-6, atol=1e-8)
    assert 10 < np.count_nonzero(closed) < closed.size - 10


def test_style_gradient_against_finite_differences():
    before = np.random.default_rng(2).normal(size=(4, 5, 3))
    A = losses.gram_matrix_paper(rectified(3))
    numeric = finite_differences(
        lambda z: losses.style_loss_paper(np.maximum(z, 0), A), before
    )
    closed = losses.style_gradient_paper(np.maximum(before, 0), A)
    np.testing.assert_allclose(closed, numeric, rtol=1e-6, atol=1e-9)
    assert 10 < np.count_nonzero(closed) < closed.size - 10


def test_style_loss_is_a_maximum_mean_discrepancy():
    F, S = rectified(4), rectified(5)
    expected = losses.mmd_squared(F, S) / (4 * F.shape[2] ** 2)
    found = losses.style_loss_paper(F, losses.gram_matrix_paper(S))
    assert found == pytest.approx(expected, rel=1e-10)


def test_printed_losses_are_multiples_of_the_mean_ones():
    F, S = rectified(6), rectified(7)
    positions, channels = F.shape[0] * F.shape[1], F.shape[2]
    content = positions * channels / 2 * losses.content_loss(F, S)
    assert losses.content_loss_paper(F, S) == pytest.approx(content)
    style = losses.style_loss(losses.gram_matrix(F), losses.gram_matrix(S)) / 4
    printed = losses.style_loss_paper(F, losses.gram_matrix_paper(S))
    assert printed == pytest.approx(style)


def test_convolution_by_hand():
    x = np.zeros((3, 4, 1))
    x[0, 0] = 2.0
    kernel = np.zeros((3, 3, 1, 2))
    kernel[0, 0, 0, 0] = 5.0  # out(1, 1) sees x(0, 0) through the upper left tap
    kernel[1, 1, 0, 1] = -1.0
    found = losses.convolution_relu(x, kernel, np.array([0.0, 0.5]))
    expected = np.zeros((3, 4, 2))
    expected[1, 1, 0] = 10.0
    expected[..., 1] = 0.5
    expected[0, 0, 1] = 0.0
    np.testing.assert_allclose(found, expected)


def test_average_pool_drops_the_odd_row_and_column():
    x = np.arange(15.0).reshape(3, 5, 1)
    np.testing.assert_allclose(losses.average_pool(x)[..., 0], [[3.0, 5.0]])


def curved_pairs(size: int, count: int) -> list[lbfgs.Pair]:
    rng = np.random.default_rng(8)
    root = rng.normal(size=(size, size))
    hessian = root @ root.T + np.eye(size)
    steps = [rng.normal(size=size) for _ in range(count)]
    return [(s, hessian @ s) for s in steps]


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_two_loop_recursion_equals_the_matrix(count):
    pairs = curved_pairs(6, count)
    gradient = np.random.default_rng(9).normal(size=6)
    np.testing.assert_allclose(
        lbfgs.two_loop(gradient, pairs),
        lbfgs.explicit_product(gradient, pairs),
        rtol=1e-9,
        atol=1e-12,
    )


def test_inverse_hessian_satisfies_the_secant_equation():
    pairs = curved_pairs(6, 4)
    H = lbfgs.inverse_hessian(pairs, 6)
    s, y = pairs[-1]
    np.testing.assert_allclose(H @ y, s, rtol=1e-9)
    np.testing.assert_allclose(H, H.T, atol=1e-12)
    assert np.linalg.eigvalsh(H).min() > 0


def quadratic(x: np.ndarray) -> tuple[float, np.ndarray]:
    curvature = np.array([1.0, 2.0, 5.0, 10.0])
    away = x - np.arange(4)
    return 0.5 * float(np.sum(curvature * away**2)), curvature * away


def test_both_forms_take_the_same_steps():
    x0 = np.full(4, 3.0)
    by_loops = lbfgs.minimise(quadratic, x0, 12, 3)
    by_matrix = lbfgs.minimise(quadratic, x0, 12, 3, lbfgs.explicit_product)
    np.testing.assert_allclose(by_loops, by_matrix, rtol=1e-7, atol=1e-12)


def test_minimises_a_quadratic():
    found = lbfgs.minimise(quadratic, np.full(4, 3.0), 30, 10)
    assert len(found) == 30
    assert found[0] == quadratic(np.full(4, 3.0))[0]
    assert min(found) < 1e-12


def test_first_step_has_length_one_in_the_sum_norm():
    x0 = np.full(4, 3.0)
    (_, start), (_, second), *_ = (
        pair
        for pair, _ in zip(lbfgs.iterates(quadratic, x0, 5), range(2), strict=False)
    )
    _, gradient = quadratic(x0)
    np.testing.assert_allclose(second - start, -gradient / np.abs(gradient).sum())


def test_pair_without_curvature_is_skipped():
    """On a slope y = 0: no pair is ever kept and the step stays the gradient."""
    slope = np.array([0.25, -0.5])
    found = lbfgs.minimise(lambda x: (float(slope @ x), slope), np.zeros(2), 4, 5)
    np.testing.assert_allclose(found, -np.arange(4) * (slope @ slope))


@pytest.fixture(scope="module")
def problem():
    with np.load(GOLDEN / "lbfgs.npz") as file:
        return dict(file)


def golden_loss(problem, picture) -> float:
    layers = {
        f"conv{layer}_1": (problem[f"kernel{layer}"], problem[f"bias{layer}"])
        for layer in (1, 2)
    }
    F, P, S = (
        losses.features(x, layers)
        for x in (picture, problem["content"], problem["style"])
    )
    style = [
        losses.style_loss(losses.gram_matrix(F[name]), losses.gram_matrix(S[name]))
        for name in layers
    ]
    content = losses.content_loss(F["conv2_1"], P["conv2_1"])
    return float(problem["alpha"]) * content + sum(style) / len(style)


def test_golden_problem_can_be_rebuilt(problem):
    start = golden_loss(problem, problem["start"])
    assert problem["losses/10"][0] == pytest.approx(start, rel=1e-12)


def test_golden_runs_are_well_behaved(problem):
    assert list(problem["histories"]) == [3, 10, 100]
    for history in problem["histories"]:
        values = problem[f"losses/{history}"]
        assert values.shape == (40,)
        assert np.max(values[1:] / values[:-1]) < 1.5
        final = golden_loss(problem, problem[f"final/{history}"])
        assert final == pytest.approx(values[-1], rel=0.1)


@pytest.mark.parametrize("network", ["vgg16", "vgg19"])
def test_golden_features_against_loops(network):
    with np.load(GOLDEN / "vgg_random.npz") as file:
        picture = (file["picture"] - file["mean"]) / file["std"]
        layers = {
            layer: (file[f"{network}/kernel/{layer}"], file[f"{network}/bias/{layer}"])
            for layer in ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
        }
        found = losses.features(picture, layers)
        case = f"{network}/zeros/avg"
        for layer in ("conv1_1", "conv1_2", "conv2_2", "conv3_1"):
            np.testing.assert_allclose(
                found[layer], file[f"{case}/map/{layer}"], rtol=1e-6, atol=1e-6
            )
        np.testing.assert_allclose(
            found["conv2_1"].mean(axis=(0, 1)), file[f"{case}/mean/conv2_1"]
        )
