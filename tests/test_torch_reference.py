"""The PyTorch reference recipe against the slow NumPy losses and L-BFGS."""

from typing import Any

import numpy as np
import pytest

from tests.reference import lbfgs, losses, torch_gatys

pytest.importorskip("torch")

ALPHA, BETA = 0.3, 2.0
STYLE_WEIGHTS = {"conv1_1": 0.25, "conv2_1": 0.75}
SETTINGS: dict[str, Any] = {
    "alpha": ALPHA,
    "beta": BETA,
    "style_weights": STYLE_WEIGHTS,
    "pooling": "avg",
    "content_layer": "conv2_1",
}


@pytest.fixture
def kernels():
    rng = np.random.default_rng(0)
    widths = {
        "conv1_1": (3, 4),
        "conv1_2": (4, 5),
        "conv2_1": (5, 6),
        "conv2_2": (6, 6),
    }
    return {
        layer: (rng.normal(0, 0.4, (3, 3, *pair)), rng.normal(0, 0.1, pair[1]))
        for layer, pair in widths.items()
    }


@pytest.fixture
def pictures():
    """Content, style and start; style of another size, odd sides."""
    rng = np.random.default_rng(1)
    sizes = [(9, 12, 3), (8, 7, 3), (9, 12, 3)]
    return tuple(rng.normal(0, 1, size) for size in sizes)


def numpy_loss(kernels, content, style, x):
    P = losses.features(content, kernels)["conv2_1"]
    S = losses.features(style, kernels)
    F = losses.features(x, kernels)
    total = ALPHA * losses.content_loss(F["conv2_1"], P)
    for layer, weight in STYLE_WEIGHTS.items():
        G, A = losses.gram_matrix(F[layer]), losses.gram_matrix(S[layer])
        total += BETA * weight * losses.style_loss(G, A)
    return total


@pytest.mark.parametrize("channels_last", [False, True])
def test_loss_equals_the_numpy_loss(kernels, pictures, channels_last):
    evaluate = torch_gatys.evaluation(
        kernels, *pictures, channels_last=channels_last, **SETTINGS
    )
    value, _ = evaluate()
    assert value == pytest.approx(numpy_loss(kernels, *pictures), rel=1e-4)


def test_gradient_predicts_the_change_of_the_numpy_loss(kernels, pictures):
    content, style, start = pictures
    _, gradient = torch_gatys.evaluation(kernels, *pictures, **SETTINGS)()
    direction = np.random.default_rng(2).normal(size=start.shape)
    step = 1e-6 * direction
    up = numpy_loss(kernels, content, style, start + step)
    down = numpy_loss(kernels, content, style, start - step)
    expected = (up - down) / 2e-6
    assert np.sum(gradient.numpy() * direction) == pytest.approx(expected, rel=1e-3)


def test_evaluation_leaves_the_picture_alone(kernels, pictures):
    evaluate = torch_gatys.evaluation(kernels, *pictures, **SETTINGS)
    first, second = evaluate(), evaluate()
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1].numpy(), second[1].numpy())


def test_run_takes_the_steps_of_the_textbook(kernels, pictures):
    content, style, start = pictures

    def fun_and_grad(flat):
        x = flat.reshape(start.shape)
        value, gradient = torch_gatys.evaluation(
            kernels, content, style, x, **SETTINGS
        )()
        return value, gradient.numpy().astype(np.float64).ravel()

    records = torch_gatys.run(kernels, *pictures, iterations=8, history=3, **SETTINGS)
    expected = lbfgs.minimise(fun_and_grad, start.ravel(), 8, 3)
    seconds, values = zip(*records, strict=True)
    np.testing.assert_allclose(values, expected, rtol=1e-3)
    assert values[-1] < 0.5 * values[0]
    assert list(seconds) == sorted(seconds)


@pytest.mark.parametrize(("pooling", "pooled"), [("avg", 2.5), ("max", 4.0)])
def test_pooling_by_hand(pooling, pooled):
    """Kernels that pass a picture on leave mean(pool(x)^2) as content loss."""
    identity = np.zeros((3, 3, 3, 3))
    identity[1, 1] = np.eye(3)
    layers = {name: (identity, np.zeros(3)) for name in ("conv1_1", "conv2_1")}
    x = np.repeat(np.array([[1.0, 2.0], [4.0, 3.0]])[..., None], 3, axis=2)
    settings = SETTINGS | {"pooling": pooling, "alpha": 1.0, "beta": 0.0}
    evaluate = torch_gatys.evaluation(layers, np.zeros_like(x), x, x, **settings)
    assert evaluate()[0] == pytest.approx(pooled**2)


def test_mean_and_scale_normalise_all_three_pictures(kernels, pictures):
    mean, scale = (0.4, 0.5, 0.6), (4.0, 5.0, 6.0)
    raw = [np.asarray(mean) + picture / np.asarray(scale) for picture in pictures]
    found, gradient = torch_gatys.evaluation(
        kernels, *raw, mean=mean, scale=scale, **SETTINGS
    )()
    expected, plain = torch_gatys.evaluation(kernels, *pictures, **SETTINGS)()
    assert found == pytest.approx(expected, rel=1e-4)
    chained = plain.numpy() * np.asarray(scale)
    np.testing.assert_allclose(
        gradient.numpy(), chained, rtol=1e-3, atol=1e-4 * np.abs(chained).max()
    )


def test_missing_layer_is_named(kernels, pictures):
    settings = SETTINGS | {"content_layer": "conv4_2"}
    with pytest.raises(ValueError, match="conv4_2"):
        torch_gatys.evaluation(kernels, *pictures, **settings)
