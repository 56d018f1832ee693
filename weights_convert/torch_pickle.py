"""The pickle inside a PyTorch file, read without running what it asks for.

A pickle is a program that may import and call anything. Here it can reach nothing but
inert records that describe tensors: every other global is refused by name.
"""

import io
import math
import pickle
import pickletools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

# State dicts of VGG networks have pickles of a few kilobytes.
MAX_PICKLE_BYTES = 4 * 2**20
MAX_MEMO_INDEX = 2**20
MAX_RANK = 8
# PyTorch's name -> little-endian NumPy type. NumPy has no bfloat16: read as its bits.
STORAGE_TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
ITEM_BYTES = {
    dtype: 2 if dtype == "bfloat16" else int(dtype[-1])
    for dtype in STORAGE_TYPES.values()
}


class TorchFileError(ValueError):
    """A PyTorch file that is damaged, hostile or not understood."""


class Storage(NamedTuple):
    """A run of ``count`` numbers somewhere in the file."""

    key: str
    dtype: str
    count: int

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return self.count * ITEM_BYTES[self.dtype]


class StoredTensor(NamedTuple):
    """A tensor as a strided view of a storage; offset and strides count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __setstate__(self, state: object) -> None:
        """Drop what old files add to a parameter (whether it wants a gradient)."""

    @property
    def span(self) -> int:
        """How many numbers of the storage lie between its first and its last one."""
        if 0 in self.shape:
            return 0
        pairs = zip(self.shape, self.strides, strict=True)
        return 1 + sum((size - 1) * stride for size, stride in pairs)


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Turn whatever a damaged file brings about into one line that names the file."""
    try:
        yield
    except TorchFileError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise TorchFileError(
            f"{where}: damaged, or not a PyTorch file ({reason})"
        ) from error


class Loaded(NamedTuple):
    """What a pickle holds, and every storage it mentions by key."""

    value: Any
    storages: dict[str, Storage]


def load_pickle(file: BinaryIO, where: str) -> Loaded:
    """Load the pickle that starts at the file's position; stops right after it.

    Args:
        file: seekable; only the pickle's own bytes are loaded.
        where: the file's name, for messages.

    Raises:
        TorchFileError: if the pickle is damaged, too large or asks for anything but
            tensors in dictionaries.
    """
    with readable(where):
        start = file.tell()
        _check_opcodes(file, where)
        size = file.tell() - start
        file.seek(start)
        unpickler = _TensorUnpickler(io.BytesIO(file.read(size)), where)
        return Loaded(unpickler.load(), unpickler.storages)


def tensors_of(loaded: object, where: str) -> dict[str, StoredTensor]:
    """The named tensors of a loaded state dict, or of a dict with a "state_dict".

    Raises:
        TorchFileError: if there are none.
    """
    nested = loaded.get("state_dict") if isinstance(loaded, dict) else None
    found = nested if isinstance(nested, dict) else loaded
    tensors = {
        name: value
        for name, value in (found.items() if isinstance(found, dict) else ())
        if isinstance(name, str) and isinstance(value, StoredTensor)
    }
    if not tensors:
        raise TorchFileError(f"{where}: holds no state dict (names and tensors)")
    return tensors


class _Head:
    """What pickletools reads from: a file that ends after ``MAX_PICKLE_BYTES``."""

    def __init__(self, file: BinaryIO) -> None:
        self.tell = file.tell
        self._file = file
        self._end = file.tell() + MAX_PICKLE_BYTES

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self._end - self._file.tell()))

    def readline(self) -> bytes:
        return self._file.readline(self._end - self._file.tell())


def _check_opcodes(file: BinaryIO, where: str) -> None:
    """Move to the end of the pickle, refusing what would harm the real unpickler.

    Its memo is an array: a single opcode with a huge index would make it allocate
    gigabytes. Extension codes would bypass ``find_class``.
    """
    for opcode, argument, _ in pickletools.genops(_Head(file)):  # pyright: ignore[reportArgumentType]
        if opcode.name.startswith("EXT"):
            raise TorchFileError(f"{where}: refuses a pickle with extension codes")
        if opcode.name.endswith("PUT") and argument > MAX_MEMO_INDEX:  # pyright: ignore
            raise TorchFileError(f"{where}: damaged (its pickle's memo is too large)")


class _Dict(dict):
    """Stands for OrderedDict; the attributes that PyTorch adds to it are dropped."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


class _Call:
    """A function that a pickle can call and cannot change."""

    __slots__ = ("_function",)

    def __init__(self, function) -> None:
        self._function = function

    def __call__(self, *args):
        return self._function(*args)

    def __setstate__(self, state: object) -> None:
        pass


class _StorageType(NamedTuple):
    dtype: str


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, where: str) -> None:
        # Files written by Python 2 hold byte strings.
        super().__init__(file, encoding="utf-8")
        self._where = where
        self.storages: dict[str, Storage] = {}
        self._globals = {
            "collections.OrderedDict": _Call(_Dict),
            "torch._utils._rebuild_tensor": _Call(self._tensor),
            "torch._utils._rebuild_tensor_v2": _Call(self._tensor),
            "torch._utils._rebuild_parameter": _Call(_parameter),
            "torch.nn.parameter.Parameter": _Call(_parameter),
        } | {f"torch.{name}": _StorageType(d) for name, d in STORAGE_TYPES.items()}

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}"
        if full_name not in self._globals:
            raise TorchFileError(
                f"{self._where}: refuses to load {ascii(full_name)[1:-1][:100]}: "
                "a weights file holds tensors only"
            )
        return self._globals[full_name]

    def persistent_load(self, pid: Any) -> Storage:
        # ("storage", type, key, device, count), and in old files a view, always None.
        kind, storage_type, key, _, count = pid[:5]
        if (
            kind != "storage"
            or type(storage_type) is not _StorageType
            or type(key) is not str
            or not _all_counts(count)
            or any(view is not None for view in pid[5:])
        ):
            raise TorchFileError(f"{self._where}: describes a storage wrongly")
        storage = Storage(key, storage_type.dtype, count)
        if self.storages.setdefault(key, storage) != storage:
            raise TorchFileError(f"{self._where}: describes a storage in two ways")
        return storage

    def _tensor(self, storage, offset, shape, strides, *_) -> StoredTensor:
        if (
            type(storage) is not Storage
            or not (type(shape) is tuple and type(strides) is tuple)
            or not len(shape) == len(strides) <= MAX_RANK
            or not _all_counts(offset, *shape, *strides)
        ):
            raise TorchFileError(f"{self._where}: describes a tensor wrongly")
        tensor = StoredTensor(storage, offset, shape, strides)
        # The first condition stops views that repeat numbers (stride 0) endlessly.
        if math.prod(shape) > storage.count or offset + tensor.span > storage.count:
            raise TorchFileError(
                f"{self._where}: a tensor of shape {shape}, strides {strides} and "
                f"offset {offset} reaches outside of its storage of {storage.count}"
            )
        return tensor


def _parameter(data: object, *_) -> object:
    return data


def _all_counts(*numbers: object) -> bool:
    return all(type(n) is int and 0 <= n < 2**62 for n in numbers)
