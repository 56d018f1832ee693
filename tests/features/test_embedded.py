"""The network that comes with the package, and what ``auto`` stands for."""

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features import pretrained
from nst_jax.features.layout import up_to_deepest
from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import TORCHVISION_INPUT, read, write


@pytest.fixture(autouse=True)
def nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("NST_JAX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NST_JAX_WEIGHTS_DIR", raising=False)


def test_it_is_small_and_whole():
    path = pretrained.resolve("vgg19-tiny")
    assert path.stat().st_size <= 1.5e6
    weights = read(path)
    assert tuple(weights.params) == up_to_deepest("vgg19", {"conv5_1"})
    assert weights.input == TORCHVISION_INPUT
    assert weights.name == "vgg19-tiny"
    assert "MIT" in weights.licence


def test_its_filters_fire():
    weights = read(pretrained.resolve("vgg19-tiny"))
    picture = jnp.asarray(np.random.default_rng(0).random((64, 64, 3)), jnp.float32)
    network = network_of(weights)
    features = network(device_params(weights), picture, network.layers)
    for layer, response in features.items():
        assert float((response.mean((0, 1)) > 0).mean()) > 0.5, layer


def test_auto_is_the_embedded_one_until_vgg19_is_here(tmp_path, monkeypatch):
    assert pretrained.choose("auto") == "vgg19-tiny"
    write(tmp_path / "vgg19.h5", random_weights("vgg19", seed=0, width=1 / 32))
    monkeypatch.setenv("NST_JAX_WEIGHTS_DIR", str(tmp_path))
    assert pretrained.choose("auto") == "vgg19"
    assert pretrained.resolve("vgg19") == tmp_path / "vgg19.h5"


def test_a_name_stands_for_itself():
    assert pretrained.choose("vgg19") == "vgg19"
    assert pretrained.choose("some/file.h5") == "some/file.h5"


def test_it_is_listed_first():
    first = pretrained.listing()[0]
    assert (first.name, first.state) == ("vgg19-tiny", "included")
    assert first.size == pretrained.resolve("vgg19-tiny").stat().st_size
