import numpy as np
import pytest
from PIL import Image

from nst_jax.features.random_weights import random_weights
from nst_jax.features.weights import read, write
from weights_convert.calibrate import calibrate
from weights_convert.numpy_forward import forward


@pytest.fixture
def path(tmp_path):
    weights = random_weights("vgg19", seed=0, width=1 / 32, deepest="conv2_1")
    write(tmp_path / "x.h5", weights)
    return tmp_path / "x.h5"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "notes.txt").write_text("not a picture")
    return tmp_path / "pictures"


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return pixels / 255


def test_each_picture_counts_the_same(path, folder):
    rng = np.random.default_rng(0)
    small = save(folder / "a.png", rng.integers(256, size=(16, 20, 3), dtype=np.uint8))
    large = save(folder / "b.PNG", rng.integers(64, size=(40, 32, 3), dtype=np.uint8))
    before = read(path)
    assert calibrate(path, folder) == 2
    after = read(path)
    assert after._replace(mu={}, params={}) == before._replace(params={})
    for pooling in ("avg", "max"):
        maps = [forward(before, p, pooling=pooling) for p in (small, large)]
        assert list(after.mu[pooling]) == ["conv1_1", "conv1_2", "conv2_1"]
        for layer, mu in after.mu[pooling].items():
            expected = sum(m[layer].mean((0, 1)) for m in maps) / 2
            np.testing.assert_allclose(mu, expected, rtol=1e-5, atol=1e-6)


def test_large_pictures_are_reduced(path, folder, tmp_path):
    """One colour stays that colour at any size, but its border weighs differently."""
    colour = np.array([200, 100, 50], np.uint8)
    save(folder / "a.png", np.broadcast_to(colour, (384, 512, 3)).copy())
    calibrate(path, folder, tmp_path / "y.h5")
    assert read(path).mu == {}
    weights = read(tmp_path / "y.h5")
    reduced = np.broadcast_to(colour / 255, (192, 256, 3))
    expected = forward(weights, reduced)["conv2_1"].mean((0, 1))
    np.testing.assert_allclose(
        weights.mu["avg"]["conv2_1"], expected, rtol=1e-5, atol=1e-6
    )


def test_refuses_no_folder_no_pictures_and_narrow_ones(path, folder):
    with pytest.raises(ValueError, match="no such folder"):
        calibrate(path, folder / "none")
    with pytest.raises(ValueError, match="holds no pictures"):
        calibrate(path, folder)
    save(folder / "narrow.png", np.zeros((300, 17, 3), np.uint8))
    with pytest.raises(ValueError, match=r"narrow\.png: too narrow"):
        calibrate(path, folder)
    (folder / "narrow.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"narrow\.png"):
        calibrate(path, folder)
    assert read(path).mu == {}
