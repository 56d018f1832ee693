"""State dicts: names and tensors, in a PyTorch or a safetensors file."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike

import numpy as np
from safetensors import SafetensorError, safe_open

from nst_jax.features.layout import LAYOUTS
from weights_convert.tensors import LazyTensor, hwio, read_convolutions
from weights_convert.torch_file import is_torch, open_torch

HEAD_BYTES = 16
SAFETENSORS_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
LISTED_NAMES = 8


def is_safetensors(head: bytes) -> bool:
    """Whether a file that starts with these (16) bytes may be a safetensors file."""
    return len(head) > 8 and head[8:9] == b"{"


@contextmanager
def open_state_dict(path: str | PathLike) -> Iterator[dict[str, LazyTensor]]:
    """The tensors of a file by name; they can be read while it is open.

    Raises:
        ValueError: if the file is neither format, or damaged.
        OSError: if there is no such file.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if is_torch(head):
        opened = open_torch(path)
    elif is_safetensors(head):
        opened = _open_safetensors(path)
    else:
        raise ValueError(
            f"{path}: neither a PyTorch (.pth) nor a .safetensors file, or its start "
            "is damaged"
        )
    with opened as tensors:
        yield tensors


@contextmanager
def _open_safetensors(path: str | PathLike) -> Iterator[dict[str, LazyTensor]]:
    try:
        file = safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged safetensors file ({error})") from error
    with file:
        yield {name: _safetensor(file, name, str(path)) for name in file.keys()}  # noqa: SIM118


def _safetensor(file, name: str, where: str) -> LazyTensor:
    piece = file.get_slice(name)
    dtype = SAFETENSORS_DTYPES.get(piece.get_dtype(), "V")  # "V": refused if wanted

    def read() -> np.ndarray:
        try:
            return file.get_tensor(name)
        except SafetensorError as error:
            raise ValueError(f"{where}: {name}: damaged ({error})") from error

    return LazyTensor(tuple(piece.get_shape()), dtype, read)


def read_layers(
    tensors: Mapping[str, LazyTensor],
    tables: Mapping[str, Mapping[str, str]],
    *,
    where: str,
) -> dict[str, dict[str, np.ndarray]]:
    """Read the convolutions of a state dict that holds the front of a VGG network.

    Args:
        tensors: all tensors but those of the fully connected layers; kernels OIHW.
        tables: ``layout -> layer -> name`` without ".weight" and ".bias".
        where: the file's name, for messages.

    Returns:
        ``layer -> {"kernel": (3, 3, in, out), "bias": (out,)}``, float32.

    Raises:
        ValueError: listing what is missing and what is extra if the names are the
            front of no layout; or naming the layer that does not fit.
    """
    layers = _front(set(tensors), tables, where)
    pairs = {
        layer: (hwio(tensors[f"{name}.weight"]), tensors[f"{name}.bias"])
        for layer, name in layers.items()
    }
    return read_convolutions(pairs, where=where)


def _front(
    given: set[str], tables: Mapping[str, Mapping[str, str]], where: str
) -> dict[str, str]:
    """The layers of the layout that fits best, down to the deepest one given."""
    best = None
    for table in tables.values():
        deepest = max(
            (i for i, name in enumerate(table.values(), 1) if _pair(name) & given),
            default=0,
        )
        front = dict(list(table.items())[:deepest])
        wanted = {name for layer in front.values() for name in _pair(layer)}
        missing, extra = wanted - given, given - wanted
        if wanted and not missing and not extra:
            return front
        if best is None or len(missing | extra) < len(best[0] | best[1]):
            best = missing, extra
    missing, extra = best or (set(), given)
    raise ValueError(
        f"{where}: these names are the front of no known network "
        f"({', '.join(LAYOUTS)}): missing {_listed(missing)}; extra {_listed(extra)}"
    )


def _pair(name: str) -> set[str]:
    return {f"{name}.weight", f"{name}.bias"}


def _listed(names: Iterable[str]) -> str:
    names = [ascii(name)[1:-1][:80] for name in sorted(names)]
    more = f" and {len(names) - LISTED_NAMES} more" * (len(names) > LISTED_NAMES)
    return (", ".join(names[:LISTED_NAMES]) or "none") + more
