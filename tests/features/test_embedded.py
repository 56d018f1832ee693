"""The network that comes with the package, and what ``auto`` stands for."""

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.config import Config, NetworkConfig, ObjectiveConfig
from nst_jax.features import pretrained
from nst_jax.features.layout import up_to_deepest
from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import TORCHVISION_INPUT, read, write
from nst_jax.loading import load_network, weights_for
from nst_jax.objective.presets import PRESETS


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


@pytest.fixture
def bring(tmp_path, monkeypatch):
    """``bring("vgg19")``: from then on some weights of that name are here."""
    monkeypatch.setenv("NST_JAX_WEIGHTS_DIR", str(tmp_path))

    def bring(name):
        path = tmp_path / f"{name}.h5"
        write(path, random_weights("vgg19", seed=0, width=1 / 32))
        return path

    return bring


def test_auto_is_the_embedded_one_until_vgg19_is_here(bring):
    assert pretrained.choose("auto") == "vgg19-tiny"
    path = bring("vgg19")
    assert pretrained.choose("auto") == "vgg19"
    assert pretrained.resolve("vgg19") == path


def test_auto_takes_the_best_that_is_here(bring):
    for name in ("vgg19-8bit", "vgg19-caffe", "vgg19"):
        bring(name)
        assert pretrained.choose("auto") == name
    assert pretrained.choose("auto", caffe=True) == "vgg19-caffe"
    assert pretrained.choose("vgg19", caffe=True) == "vgg19"


def config(preset, weights="auto"):
    return Config(
        objective=ObjectiveConfig(preset=preset), network=NetworkConfig(weights=weights)
    )


ORIGINAL_SCALE = {"gatys-notebook", "neural-style", "crowson", "spst"}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_of_the_original_scale_prefer_the_caffe_weights(bring, preset):
    original = preset in ORIGINAL_SCALE
    assert PRESETS[preset].original_scale == original
    bring("vgg19")
    alone = load_network(config(preset))
    assert alone.name == "vgg19"
    assert ("made for the scale of the Caffe weights" in (alone.note or "")) == original
    # What was asked for by name needs no explanation.
    assert load_network(config(preset, "vgg19")).note is None
    bring("vgg19-8bit")
    both = load_network(config(preset))
    assert both.name == weights_for(config(preset))
    assert both.name == ("vgg19-8bit" if original else "vgg19")
    assert both.note is None


def test_a_name_stands_for_itself():
    assert pretrained.choose("vgg19") == "vgg19"
    assert pretrained.choose("some/file.h5") == "some/file.h5"


def test_it_is_listed_first():
    first = pretrained.listing()[0]
    assert (first.name, first.state) == ("vgg19-tiny", "included")
    assert first.size == pretrained.resolve("vgg19-tiny").stat().st_size
