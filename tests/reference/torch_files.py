"""PyTorch files written by hand, opcode by opcode, without PyTorch.

Both formats follow from what PyTorch writes (see ``torch_file``); an ``Entry`` may lie
about its tensor, and ``write_zip`` and ``write_legacy`` take any pickle.
"""

import pickle
import struct
import zipfile
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

ORDERED_DICT = b"ccollections\nOrderedDict\n"
STORAGES = {
    "<f4": "Float",
    "<f8": "Double",
    "<f2": "Half",
    "<i8": "Long",
    "|u1": "Byte",
}


class Entry(NamedTuple):
    """A tensor as the pickle describes it; None: as the array is."""

    array: np.ndarray
    shape: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    offset: int = 0
    count: int | None = None


Arrays = Mapping[str, np.ndarray | Entry]


def plain(value: object) -> bytes:
    """Opcodes that push a plain Python value."""
    return pickle.dumps(value, protocol=2)[2:-1]


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def call(module: str, name: str, *arguments: bytes) -> bytes:
    """Opcodes that call a global with arguments given as opcodes."""
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def storage(key: str, dtype: str, count: int, *, legacy: bool) -> bytes:
    name = STORAGES[dtype]
    view = plain(None) if legacy else b""
    start = plain("storage") + f"ctorch\n{name}Storage\n".encode()
    return b"(" + start + plain(key) + plain("cpu") + plain(count) + view + b"tQ"


def tensor(key: str, entry: Entry, *, legacy: bool) -> bytes:
    array = entry.array
    shape = array.shape if entry.shape is None else entry.shape
    strides = tuple(s // array.itemsize for s in array.strides)
    count = array.size if entry.count is None else entry.count
    return call(
        "torch._utils",
        "_rebuild_tensor_v2",
        storage(key, array.dtype.str, count, legacy=legacy),
        plain(entry.offset),
        plain(shape),
        plain(strides if entry.strides is None else entry.strides),
        plain(False),
        ORDERED_DICT + b")R",
    )


def dictionary(items: Iterable[tuple[str, bytes]]) -> bytes:
    body = b"".join(plain(name) + value for name, value in items)
    return ORDERED_DICT + b")R(" + body + b"u"


def entries(arrays: Arrays) -> dict[str, Entry]:
    return {k: v if isinstance(v, Entry) else Entry(v) for k, v in arrays.items()}


def state_dict(arrays: Arrays, *, legacy: bool) -> bytes:
    return dictionary(
        (name, tensor(str(i), entry, legacy=legacy))
        for i, (name, entry) in enumerate(entries(arrays).items())
    )


def write_zip(
    path,
    arrays: Arrays,
    *,
    body: bytes | None = None,
    byteorder: bytes = b"little",
    compression: int = zipfile.ZIP_STORED,
) -> None:
    body = state_dict(arrays, legacy=False) if body is None else body
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", program(body))
        file.writestr("archive/byteorder", byteorder)
        for i, entry in enumerate(entries(arrays).values()):
            file.writestr(f"archive/data/{i}", entry.array.tobytes())
        file.writestr("archive/version", b"3\n")


def legacy_head(body: bytes, keys: list[str], *, little_endian: bool = True) -> bytes:
    values = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": little_endian})
    start = b"".join(program(plain(value)) for value in values)
    return start + program(body) + program(plain(keys))


def write_legacy(
    path,
    arrays: Arrays,
    *,
    body: bytes | None = None,
    little_endian: bool = True,
) -> None:
    body = state_dict(arrays, legacy=True) if body is None else body
    keys = [str(i) for i in range(len(arrays))]
    with open(path, "wb") as file:
        file.write(legacy_head(body, keys, little_endian=little_endian))
        for entry in entries(arrays).values():
            file.write(struct.pack("<q", entry.array.size) + entry.array.tobytes())
