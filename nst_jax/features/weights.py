"""The project's weights file: HDF5 with one group per convolution.

Layout of a file (``FORMAT`` is checked on reading)::

    /conv1_1/kernel  (3, 3, in, out) float    HWIO
    /conv1_1/bias    (out,) float
    ...
    /conv1_1/codes   (3, 3, in, out) uint8    instead of a kernel: ``table[codes]``
    /conv1_1/table   (n,) float               of at most 256 values
    /mu/avg/conv1_1  (out,) float             optional: mean activations measured
    /mu/max/conv1_1  (out,) float             with average / max pooling
    attributes: format, name, source, sha256, licence,
                channel_order ("RGB" | "BGR"), mean (3,), scale (3,)

A file without codes is of the first format, one with codes of the second; kernels are
expanded when they are read. Channel widths are whatever the file holds, and a file may
end early (after conv5_1, say). The network's input is
``(picture[..., order] - mean) * scale`` for a picture with values in [0, 1].
"""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import h5py
import numpy as np

from nst_jax.features.clustering import cluster, codes_of, expand
from nst_jax.features.layout import in_order, layout_of

FORMAT = "nst-jax weights 1"
FORMAT_8_BITS = "nst-jax weights 2"  # some kernels are codes and tables
POOLINGS = ("avg", "max")
# Sixty-four times the widest layer of a VGG: a damaged or hostile file cannot ask for
# more memory than this.
MOST_NUMBERS = 9 * 4096**2


class InputConvention(NamedTuple):
    """What the network expects: ``(picture[..., order] - mean) * scale``.

    ``mean`` and ``scale`` are in the network's own channel order; the picture's
    values are in [0, 1].
    """

    channel_order: str = "RGB"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    scale: tuple[float, float, float] = (1 / 0.229, 1 / 0.224, 1 / 0.225)


# torchvision: RGB, ImageNet mean and standard deviation.
TORCHVISION_INPUT = InputConvention()
# Original Caffe release: BGR on 0..255, minus the ImageNet mean.
CAFFE_INPUT = InputConvention(
    "BGR", (103.939 / 255, 116.779 / 255, 123.68 / 255), (255.0, 255.0, 255.0)
)


class Weights(NamedTuple):
    """A network's weights and where they come from.

    Attributes:
        params: ``layer -> {"kernel": (3, 3, in, out), "bias": (out,)}``, float32.
        mu: ``pooling -> layer -> (out,)`` mean activations; may be empty.
        name: short name for people ("vgg19").
        source: address or file name the weights came from.
        sha256: hash of the source file, "" for weights made here.
        licence: licence note.
        input: the input convention.
        tables: ``layer -> (n,)``, the at most 256 values that a kernel is made of;
            such kernels are stored in 8 bits. May be empty.
    """

    params: dict[str, dict[str, np.ndarray]]
    mu: Mapping[str, dict[str, np.ndarray]] = MappingProxyType({})
    name: str = ""
    source: str = ""
    sha256: str = ""
    licence: str = ""
    input: InputConvention = TORCHVISION_INPUT
    tables: Mapping[str, np.ndarray] = MappingProxyType({})


def in_8_bits(weights: Weights) -> Weights:
    """The weights with each kernel rounded to the 256 values that suit it best."""
    clusters = {layer: cluster(a["kernel"]) for layer, a in weights.params.items()}
    params = {
        layer: weights.params[layer] | {"kernel": expand(*clustered)}
        for layer, clustered in clusters.items()
    }
    tables = {layer: clustered.table for layer, clustered in clusters.items()}
    return weights._replace(params=params, tables=tables)


def write(path: str | os.PathLike, weights: Weights) -> None:
    """Write a weights file atomically: the whole file appears, or none.

    Raises:
        ValueError: if layers or shapes do not fit together (see ``check``), or a
            kernel is not made of the values of its table.
    """
    check(weights, where=str(path))
    if unknown := set(weights.tables) - set(weights.params):
        raise ValueError(f"{path}: tables of unknown layers {in_order(unknown)}")
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(_image(path, weights))
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _image(path: Path, weights: Weights) -> bytes:
    """The bytes of the file, made in memory.

    HDF5 that finds a disk full as it closes a file may crash the process later.
    """
    with h5py.File(str(path), "w", driver="core", backing_store=False) as file:
        _fill(file, weights)
        file.flush()
        return file.id.get_file_image()


def _fill(file: h5py.File, weights: Weights) -> None:
    file.attrs["format"] = FORMAT_8_BITS if weights.tables else FORMAT
    for key in ("name", "source", "sha256", "licence"):
        file.attrs[key] = getattr(weights, key)
    for key, value in weights.input._asdict().items():
        file.attrs[key] = value
    for layer, arrays in weights.params.items():
        table = weights.tables.get(layer)
        stored = {"kernel": arrays["kernel"]}
        if table is not None:
            stored = _codes(arrays["kernel"], table, f"{file.filename}: {layer}")
        for key, value in (stored | {"bias": arrays["bias"]}).items():
            file[f"{layer}/{key}"] = value
    for pooling, means in weights.mu.items():
        for layer, mu in means.items():
            file[f"mu/{pooling}/{layer}"] = mu


def _codes(kernel: np.ndarray, table: np.ndarray, where: str) -> dict[str, np.ndarray]:
    try:
        return codes_of(kernel, table)._asdict()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def read(path: str | os.PathLike, layers: Iterable[str] | None = None) -> Weights:
    """Read a weights file, or only the named layers of it.

    Args:
        path: the HDF5 file.
        layers: names of the convolutions to read; all of the file's if None.

    Raises:
        ValueError: if the file is not a weights file, is damaged, lacks a layer or
            holds one that does not fit; the message lists what is missing and what
            is extra.
    """
    with _opened(path) as file:
        return _read(file, str(path), None if layers is None else list(layers))


def stored_layers(path: str | os.PathLike) -> list[str]:
    """Names of the convolutions in a weights file, shallowest first.

    Raises:
        ValueError: as ``read``.
    """
    with _opened(path) as file:
        return in_order(_stored(file))


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Open a weights file; whatever HDF5 cannot read becomes a ValueError."""
    try:
        with h5py.File(path, "r") as file:
            if not has_format(file):
                raise ValueError(
                    f"{path}: not a weights file of this project (attribute 'format' "
                    f"is {file.attrs.get('format')!r}, expected {FORMAT!r}); convert "
                    "other formats with `python -m weights_convert`"
                )
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"{path}: not a readable HDF5 weights file ({_first_line(error)})"
        ) from error


def has_format(file: h5py.File) -> bool:
    """Whether an HDF5 file says that it is a weights file of this project."""
    return str(file.attrs.get("format")) in (FORMAT, FORMAT_8_BITS)


def _stored(file: h5py.File) -> list[str]:
    return [str(name) for name in file if name != "mu"]


def _read(file: h5py.File, where: str, layers: list[str] | None) -> Weights:
    stored = _stored(file)
    wanted = stored if layers is None else layers
    if missing := [layer for layer in wanted if layer not in stored]:
        raise ValueError(
            f"{where}: missing {', '.join(missing)}; the file holds "
            f"{', '.join(in_order(stored))}"
        )
    params, tables = {}, {}
    for layer in in_order(wanted):
        params[layer] = _convolution(file, layer, where)
        if (table := params[layer].pop("table", None)) is not None:
            tables[layer] = table
    mu = {
        pooling: _arrays(file, f"mu/{pooling}", set(params), where)
        for pooling in (_names(file, "mu", where) if "mu" in file else ())
    }
    weights = Weights(params, mu, **_attributes(file, where), tables=tables)
    check(weights, where=where)
    return weights


def _names(file: h5py.File, group: str, where: str) -> list[str]:
    node = file[group]
    if not isinstance(node, h5py.Group):
        raise ValueError(f"{where}: {group} should be a group of arrays")
    return [str(name) for name in node]


def _arrays(
    file: h5py.File, group: str, wanted: set[str], where: str
) -> dict[str, np.ndarray]:
    """Those of the wanted arrays that a group holds, in float32."""
    arrays = {}
    for name in _names(file, group, where):
        node = _dataset(file, f"{group}/{name}", "f", where)
        if name in wanted:
            arrays[name] = np.asarray(node, np.float32)
    return arrays


def _dataset(file: h5py.File, name: str, kind: str, where: str) -> h5py.Dataset:
    """An array, not yet read: "f" of floats, "u1" of codes."""
    node = file[name]
    if not isinstance(node, h5py.Dataset) or kind not in (
        node.dtype.kind,
        node.dtype.str[1:],
    ):
        what = {"f": "floats", "u1": "8-bit codes"}[kind]
        raise ValueError(f"{where}: {name} should be an array of {what}")
    if node.size is None or node.size > MOST_NUMBERS:
        raise ValueError(f"{where}: {name} is larger than any layer of a VGG")
    return node


def _convolution(file: h5py.File, layer: str, where: str) -> dict[str, np.ndarray]:
    """Kernel and bias of a layer, and the table if the kernel is stored in 8 bits."""
    names = set(_names(file, layer, where))
    if "codes" not in names:
        return _arrays(file, layer, {"kernel", "bias"}, where)
    if names != {"codes", "table", "bias"}:
        raise ValueError(
            f"{where}: {layer}: codes need a table and a bias and nothing else beside "
            f"them, but it holds {', '.join(sorted(names))}"
        )
    codes = np.asarray(_dataset(file, f"{layer}/codes", "u1", where))
    floats = {
        name: np.asarray(_dataset(file, f"{layer}/{name}", "f", where), np.float32)
        for name in ("table", "bias")
    }
    try:
        return {"kernel": expand(codes, floats["table"])} | floats
    except ValueError as error:
        raise ValueError(f"{where}: {layer}: {error}") from None


def _attributes(file: h5py.File, where: str) -> dict:
    attrs: dict[str, Any] = dict(file.attrs)
    try:
        convention = InputConvention(
            str(attrs["channel_order"]), _three(attrs["mean"]), _three(attrs["scale"])
        )
        keys = ("name", "source", "sha256", "licence")
        return {key: str(attrs[key]) for key in keys} | {"input": convention}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{where}: attributes are missing or damaged ({_first_line(error)})"
        ) from error


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = values
    return float(first), float(second), float(third)


def check(weights: Weights, *, where: str = "weights") -> None:
    """Refuse weights that do not form the front of a VGG network.

    Raises:
        ValueError: naming the layer and what is wrong with it.
    """
    layout_of(weights.params, where=where)
    channels = 3
    for layer, arrays in weights.params.items():
        if missing := {"kernel", "bias"} - set(arrays):
            raise ValueError(f"{where}: {layer}: missing {', '.join(sorted(missing))}")
        kernel, bias = arrays["kernel"], arrays["bias"]
        out = kernel.shape[-1] if kernel.ndim else 0
        expected = (3, 3, channels, out)
        if kernel.shape != expected or bias.shape != (out,):
            raise ValueError(
                f"{where}: {layer}: kernel {kernel.shape} and bias {bias.shape} do not "
                f"fit; expected kernel (3, 3, {channels}, out) and bias (out,)"
            )
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise ValueError(f"{where}: {layer}: values are not all finite")
        channels = out
    _check_mu(weights, where)
    if sorted(weights.input.channel_order) != ["B", "G", "R"]:
        raise ValueError(f"{where}: channel_order must be RGB or BGR")


def _check_mu(weights: Weights, where: str) -> None:
    for pooling, means in weights.mu.items():
        if pooling not in POOLINGS:
            raise ValueError(f"{where}: mu/{pooling}: unknown pooling")
        for layer, mu in means.items():
            if layer not in weights.params:
                raise ValueError(f"{where}: mu/{pooling}/{layer}: no such layer")
            if mu.shape != weights.params[layer]["bias"].shape:
                raise ValueError(f"{where}: mu/{pooling}/{layer}: wrong shape")
            if not (np.isfinite(mu).all() and (mu >= 0).all()):
                raise ValueError(f"{where}: mu/{pooling}/{layer}: bad values")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
