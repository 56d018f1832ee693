"""The PyTorch reference recipe against the slow NumPy losses and L-BFGS."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nst_jax.features.weights import CAFFE_INPUT, InputConvention, read, write
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


def test_bfloat16_is_near_float32(kernels, pictures):
    exact, _ = torch_gatys.evaluation(kernels, *pictures, **SETTINGS)()
    rounded, gradient = torch_gatys.evaluation(
        kernels, *pictures, precision="bfloat16", **SETTINGS
    )()
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.05)
    assert str(gradient.dtype) == "torch.float32"


def test_unknown_precision_is_refused(kernels, pictures):
    with pytest.raises(ValueError, match="float16"):
        torch_gatys.evaluation(kernels, *pictures, precision="float16", **SETTINGS)


@pytest.fixture
def bgr_weights(tiny_weights, tmp_path) -> Path:
    """Weights of another input convention: not RGB, other mean and scale."""
    weights = read(tiny_weights)
    mild = InputConvention("BGR", CAFFE_INPUT.mean, (4.0, 5.0, 6.0))
    write(tmp_path / "bgr.h5", weights._replace(input=mild))
    return tmp_path / "bgr.h5"


def test_weights_file_is_read_as_our_own_reader_reads_it(bgr_weights):
    ours = read(bgr_weights)
    kernels, order, mean, scale = torch_gatys.read_weights(bgr_weights)
    assert list(kernels) == list(ours.params)
    for layer, (kernel, bias) in kernels.items():
        np.testing.assert_array_equal(kernel, ours.params[layer]["kernel"])
        np.testing.assert_array_equal(bias, ours.params[layer]["bias"])
    assert order == [2, 1, 0]
    np.testing.assert_allclose(mean, ours.input.mean, rtol=1e-6)
    np.testing.assert_allclose(scale, ours.input.scale, rtol=1e-6)


def test_the_notebook_as_a_program(bgr_weights, tmp_path):
    """Its start has the loss of the slow NumPy twin; its picture is written."""
    rng = np.random.default_rng(3)
    files, arrays = {}, {}
    for name, size in (("content", (32, 40, 3)), ("style", (40, 32, 3))):
        eight = rng.integers(0, 256, size, np.uint8)
        files[name], arrays[name] = tmp_path / f"{name}.png", eight / 255
        Image.fromarray(eight).save(files[name])
    trace, out = tmp_path / "trace.json", tmp_path / "out.png"
    command = [
        *(sys.executable, "-m", "tests.reference.torch_gatys"),
        *("--content", files["content"], "--style", files["style"]),
        *("--weights", bgr_weights, "--evaluations", 6),
        *("--trace", trace, "--out", out),
    ]
    root = Path(__file__).resolve().parent.parent
    subprocess.run([str(part) for part in command], check=True, cwd=root)
    found = json.loads(trace.read_text())
    values = [loss for _, loss in found["records"]]
    assert len(values) == 6
    # The start is the content: what is left is the style.
    assert values[0] == pytest.approx(
        notebook_style_loss(bgr_weights, arrays), rel=1e-3
    )
    assert min(values) < values[0]
    assert found["peak_bytes"] is None
    changed = np.asarray(Image.open(out), np.int16) - 255 * arrays["content"]
    # The channels are in the order of the content again, and few pixels moved far.
    assert changed.shape == (32, 40, 3)
    assert np.abs(changed).max() > 0
    assert np.median(np.abs(changed)) < 30


def notebook_style_loss(weights: Path, pictures) -> float:
    kernels, order, mean, scale = torch_gatys.read_weights(weights)
    total = 0.0
    content, style = (
        max_pooled_features((pictures[name][..., order] - mean) * scale, kernels)
        for name in ("content", "style")
    )
    for layer in torch_gatys.STYLE_LAYERS:
        channels = content[layer].shape[2]
        total += (
            1e3
            / channels**2
            * losses.style_loss(
                losses.gram_matrix(content[layer]), losses.gram_matrix(style[layer])
            )
        )
    return total


def max_pooled_features(x: np.ndarray, kernels) -> dict[str, np.ndarray]:
    maps = {}
    for layer, (kernel, bias) in kernels.items():
        if layer.endswith("_1") and layer != "conv1_1":
            h, w = (side // 2 for side in x.shape[:2])
            x = x[: 2 * h, : 2 * w].reshape(h, 2, w, 2, -1).max((1, 3))
        x = maps[layer] = losses.convolution_relu(x, kernel, bias)
    return maps
