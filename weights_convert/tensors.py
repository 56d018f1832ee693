"""Tensors of a file that has not been read yet, and convolutions made of them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

# Eight times the widest layer of a VGG: no honest file needs more, and a damaged or
# hostile one cannot ask for more memory than this allows.
MAX_WIDTH = 4096


class LazyTensor(NamedTuple):
    """A tensor in a file; ``read()`` fetches its values.

    Attributes:
        shape: its shape.
        dtype: its NumPy type, as text.
        read: returns the values, in this shape.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]


def hwio(tensor: LazyTensor) -> LazyTensor:
    """An (out, in, height, width) kernel as (height, width, in, out), still unread."""
    if len(tensor.shape) != 4:
        return tensor
    out, into, height, width = tensor.shape
    return LazyTensor(
        (height, width, into, out),
        tensor.dtype,
        lambda: tensor.read().transpose(2, 3, 1, 0),
    )


def read_convolutions(
    layers: Mapping[str, tuple[LazyTensor, LazyTensor]], *, where: str
) -> dict[str, dict[str, np.ndarray]]:
    """Read a chain of 3 x 3 convolutions; shapes are checked before values are read.

    Args:
        layers: ``layer -> (kernel HWIO, bias)``, shallowest first, from 3 channels.
        where: the file's name, for messages.

    Returns:
        ``layer -> {"kernel": (3, 3, in, out), "bias": (out,)}``, float32.

    Raises:
        ValueError: naming the layer whose shape or type is wrong.
    """
    params, channels = {}, 3
    for layer, (kernel, bias) in layers.items():
        _check_shapes(kernel.shape, bias.shape, channels, f"{where}: {layer}")
        params[layer] = {
            "kernel": _float32(kernel, f"{where}: {layer}: kernel"),
            "bias": _float32(bias, f"{where}: {layer}: bias"),
        }
        channels = bias.shape[0]
    return params


def _check_shapes(kernel: tuple, bias: tuple, channels: int, where: str) -> None:
    out = bias[0] if len(bias) == 1 else 0
    if kernel != (3, 3, channels, out) or not out:
        raise ValueError(
            f"{where}: kernel {kernel} (height, width, in, out) and bias {bias} do not "
            f"fit; expected kernel (3, 3, {channels}, out) and bias (out,)"
        )
    if out > MAX_WIDTH:
        raise ValueError(f"{where}: {out} channels; at most {MAX_WIDTH} are accepted")


def _float32(tensor: LazyTensor, where: str) -> np.ndarray:
    if np.dtype(tensor.dtype).kind != "f":
        raise ValueError(f"{where} holds {tensor.dtype}, not floating-point numbers")
    with np.errstate(over="ignore"):  # float64 beyond float32: refused as not finite
        values = np.ascontiguousarray(tensor.read(), np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{where}: values are not all finite in float32")
    return values
