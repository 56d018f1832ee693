"""Restricted reader of PyTorch's .pth files, without PyTorch: zip and older format.

Zip (PyTorch 1.6 and later): ``NAME/data.pkl`` describes the tensors and
``NAME/data/KEY`` holds the numbers of each storage.

Older: the pickles of a magic number, a protocol version, the writer's byte order, the
description and a list of keys; then each storage in that order, as a 64-bit count
followed by its numbers.

Only the tensors that are asked for are read: in a VGG file the fully connected layers
are most of the bytes, and they are skipped.
"""

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from os import PathLike
from typing import BinaryIO

import numpy as np

from weights_convert.tensors import LazyTensor
from weights_convert.torch_pickle import (
    ITEM_BYTES,
    MAX_PICKLE_BYTES,
    Storage,
    StoredTensor,
    TorchFileError,
    load_pickle,
    readable,
    tensors_of,
)

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
ZIP_START = b"PK\x03\x04"
LEGACY_START = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little")
# Trained weights hardly compress; a member that inflates this much is an attack.
MAX_INFLATION = 100
SMALL_MEMBER_BYTES = 2**20

# (storage, first byte in it, number of bytes) -> the bytes
ReadBytes = Callable[[Storage, int, int], bytes]


def is_torch(head: bytes) -> bool:
    """Whether a file that starts with these (16) bytes may be a PyTorch file."""
    return head.startswith((ZIP_START, LEGACY_START))


@contextmanager
def open_torch(
    path: str | PathLike, content: bytes | None = None
) -> Iterator[dict[str, LazyTensor]]:
    """The tensors of a PyTorch file by name; they can be read while it is open.

    Args:
        path: the file.
        content: its bytes, if it is no file of its own; then ``path`` says where they
            are from.

    Raises:
        ValueError: if the file is damaged, truncated, written on a big-endian
            machine, or asks for anything but tensors; on entering or on reading.
    """
    where = str(path)
    with ExitStack() as stack:
        with readable(where):
            file = stack.enter_context(_binary(path, content))
            opener = _open_zip if file.read(4) == ZIP_START else _open_legacy
            file.seek(0)
            stored, read_bytes = opener(file, where)
        yield {
            name: LazyTensor(
                tensor.shape,
                "<f4" if tensor.storage.dtype == "bfloat16" else tensor.storage.dtype,
                _reader(tensor, read_bytes, f"{where}: {ascii(name)[1:-1][:100]}"),
            )
            for name, tensor in stored.items()
        }


def _binary(path: str | PathLike, content: bytes | None) -> BinaryIO:
    return open(path, "rb") if content is None else io.BytesIO(content)


def _open_zip(file: BinaryIO, where: str) -> tuple[dict[str, StoredTensor], ReadBytes]:
    archive = zipfile.ZipFile(file)
    members = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in members if name.endswith("/data.pkl")]
    if len(pickles) != 1 or len(members) != len(archive.infolist()):
        raise TorchFileError(f"{where}: not a PyTorch file (no single data.pkl in it)")
    folder = pickles[0].removesuffix("data.pkl")

    def content(name: str, first: int = 0, size: int = MAX_PICKLE_BYTES) -> bytes:
        info = members[folder + name]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise TorchFileError(f"{where}: {name} is compressed in an unknown way")
        if info.file_size > max(SMALL_MEMBER_BYTES, MAX_INFLATION * info.compress_size):
            raise TorchFileError(f"{where}: {name} inflates too much to be weights")
        with archive.open(info) as member:
            member.seek(first)
            return member.read(size)

    if folder + "byteorder" in members and content("byteorder", size=8) != b"little":
        raise TorchFileError(f"{where}: written on a big-endian machine")
    state = load_pickle(io.BytesIO(content("data.pkl")), where)
    tensors = tensors_of(state.value, where)
    for storage in {tensor.storage for tensor in tensors.values()}:
        info = members.get(f"{folder}data/{storage.key}")
        if info is None or info.file_size != storage.nbytes:
            raise TorchFileError(
                f"{where}: the storage {storage.key!a} is missing or has another "
                "size than described"
            )
    return tensors, lambda storage, first, size: content(
        f"data/{storage.key}", first, size
    )


def _open_legacy(
    file: BinaryIO, where: str
) -> tuple[dict[str, StoredTensor], ReadBytes]:
    if file.read(len(LEGACY_START)) != LEGACY_START:
        raise TorchFileError(f"{where}: not a PyTorch file, or its start is damaged")
    file.seek(0)
    _, protocol, system, state, keys = (load_pickle(file, where) for _ in range(5))
    if protocol.value != PROTOCOL:
        raise TorchFileError(f"{where}: unknown version of PyTorch's older format")
    if system.value["little_endian"] is not True:
        raise TorchFileError(f"{where}: written on a big-endian machine")
    tensors = tensors_of(state.value, where)
    starts = _storage_starts(file, keys.value, state.storages, where)

    def read_bytes(storage: Storage, first: int, size: int) -> bytes:
        file.seek(starts[storage.key] + first)
        return file.read(size)

    return tensors, read_bytes


def _storage_starts(
    file: BinaryIO, keys: list[str], storages: dict[str, Storage], where: str
) -> dict[str, int]:
    """Where each storage's numbers start; reads their counts and none of them."""
    starts, position = {}, file.tell()
    end = file.seek(0, io.SEEK_END)
    for key in keys:
        file.seek(position)
        (count,) = struct.unpack("<q", file.read(8))
        if key not in storages:
            raise TorchFileError(f"{where}: lists a storage that it never describes")
        if count != storages[key].count:
            raise TorchFileError(f"{where}: a storage has another size than described")
        starts[key] = position + 8
        position += 8 + storages[key].nbytes
        if position > end:
            raise TorchFileError(f"{where}: truncated")
    if missing := set(storages) - set(starts):
        raise TorchFileError(f"{where}: {len(missing)} storages are missing")
    return starts


def _reader(
    tensor: StoredTensor, read_bytes: ReadBytes, where: str
) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        item = ITEM_BYTES[tensor.storage.dtype]
        size = tensor.span * item
        with readable(where):
            data = read_bytes(tensor.storage, tensor.offset * item, size)
            if len(data) != size:
                raise TorchFileError(f"{where}: truncated")
            flat = _numbers(data, tensor.storage.dtype)
            strides = [stride * flat.itemsize for stride in tensor.strides]
            return np.ndarray(tensor.shape, flat.dtype, flat, 0, strides).copy()

    return read


def _numbers(data: bytes, dtype: str) -> np.ndarray:
    if dtype != "bfloat16":
        return np.frombuffer(data, dtype)
    # bfloat16 is the upper half of a float32.
    return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
