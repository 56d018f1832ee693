"""The project's weights file: HDF5 with one group per convolution.

Layout of a file (``FORMAT`` is checked on reading)::

    /conv1_1/kernel  (3, 3, in, out) float    HWIO
    /conv1_1/bias    (out,) float
    ...
    /mu/avg/conv1_1  (out,) float             optional: mean activations measured
    /mu/max/conv1_1  (out,) float             with average / max pooling
    attributes: format, name, source, sha256, licence,
                channel_order ("RGB" | "BGR"), mean (3,), scale (3,)

Channel widths are whatever the file holds, and a file may end early (after
conv5_1, say). The network's input is ``(picture[..., order] - mean) * scale`` for a
picture with values in [0, 1].
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

from nst_jax.features.layout import LAYOUTS, layer_names

FORMAT = "nst-jax weights 1"
POOLINGS = ("avg", "max")


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
    """

    params: dict[str, dict[str, np.ndarray]]
    mu: Mapping[str, dict[str, np.ndarray]] = MappingProxyType({})
    name: str = ""
    source: str = ""
    sha256: str = ""
    licence: str = ""
    input: InputConvention = TORCHVISION_INPUT


def write(path: str | os.PathLike, weights: Weights) -> None:
    """Write a weights file atomically: the whole file appears, or none.

    Raises:
        ValueError: if layers or shapes do not fit together (see ``check``).
    """
    check(weights, where=str(path))
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with h5py.File(temporary, "w") as file:
            _fill(file, weights)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _fill(file: h5py.File, weights: Weights) -> None:
    file.attrs["format"] = FORMAT
    for key in ("name", "source", "sha256", "licence"):
        file.attrs[key] = getattr(weights, key)
    for key, value in weights.input._asdict().items():
        file.attrs[key] = value
    for layer, arrays in weights.params.items():
        file[f"{layer}/kernel"] = arrays["kernel"]
        file[f"{layer}/bias"] = arrays["bias"]
    for pooling, means in weights.mu.items():
        for layer, mu in means.items():
            file[f"mu/{pooling}/{layer}"] = mu


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
            if file.attrs.get("format") != FORMAT:
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
    params = {
        layer: _arrays(file, layer, {"kernel", "bias"}, where)
        for layer in in_order(wanted)
    }
    mu = {
        pooling: _arrays(file, f"mu/{pooling}", set(params), where)
        for pooling in (_names(file, "mu", where) if "mu" in file else ())
    }
    weights = Weights(params, mu, **_attributes(file, where))
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
        node = file[f"{group}/{name}"]
        if not isinstance(node, h5py.Dataset) or node.dtype.kind != "f":
            raise ValueError(f"{where}: {group}/{name} should be an array of floats")
        if name in wanted:
            arrays[name] = np.asarray(node, np.float32)
    return arrays


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


def layout_of(layers: Mapping | Iterable[str], *, where: str = "weights") -> str:
    """Name of the VGG layout whose first layers these are ("vgg16" or "vgg19").

    Layers that are the front of both (up to conv3_3) count as VGG-19.

    Raises:
        ValueError: if they are the front of neither; lists missing and extra.
    """
    given = in_order(layers)
    for name in ("vgg19", "vgg16"):
        if given and given == list(layer_names(name))[: len(given)]:
            return name
    full = layer_names("vgg19")
    known = [layer for layer in full if layer in given]
    deepest = full.index(known[-1]) + 1 if known else len(full)
    missing = [layer for layer in full[:deepest] if layer not in given]
    extra = [layer for layer in given if layer not in full]
    raise ValueError(
        f"{where}: these layers are the front of no known layout "
        f"({', '.join(LAYOUTS)}): missing {missing or 'none'}, extra {extra or 'none'}"
    )


def in_order(layers: Iterable[str]) -> list[str]:
    """Layer names from the shallowest to the deepest (conv2_1 before conv10_1)."""

    def position(layer: str) -> tuple[int, ...]:
        numbers = layer.removeprefix("conv").split("_")
        return tuple(int(n) if n.isdigit() else 99 for n in numbers)

    return sorted(layers, key=position)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
