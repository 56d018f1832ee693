import hashlib
import json
import platform
from types import SimpleNamespace

import jax

from nst_jax.outputs.manifest import (
    device_name,
    input_entry,
    peak_memory_bytes,
    to_json,
    versions,
)


def test_versions_name_python_and_what_a_result_depends_on():
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["jax"] == jax.__version__
    assert {"nst-jax", "jaxlib", "flax", "optax", "jaxopt", "numpy"} <= set(found)


def test_an_input_is_named_by_its_absolute_path_and_hash(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)
    assert input_entry("a.png", (4, 6, 3)) == {
        "file": str(tmp_path / "a.png"),
        "sha256": hashlib.sha256(b"abc").hexdigest(),
        "height": 4,
        "width": 6,
    }
    assert input_entry(None, (4, 6, 3)) == {"file": None, "height": 4, "width": 6}


def test_devices_in_words():
    gpu = SimpleNamespace(platform="gpu", device_kind="NVIDIA H200")
    assert device_name(gpu) == "GPU: NVIDIA H200"
    assert device_name(jax.devices("cpu")[0]).startswith("CPU (")


def test_peak_memory_is_the_devices_own_where_it_tells():
    stats = {"peak_bytes_in_use": 12345}
    gpu = SimpleNamespace(platform="gpu", memory_stats=lambda: stats)
    assert peak_memory_bytes(gpu) == 12345
    cpu = peak_memory_bytes(jax.devices("cpu")[0])
    assert cpu is not None
    assert 10**7 < cpu < 10**12  # bytes, not kilobytes: Python with jax takes more


def test_json_keeps_letters():
    text = to_json({"file": "/é"})
    assert json.loads(text) == {"file": "/é"}
    assert "é" in text
