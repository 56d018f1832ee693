"""Recognise a weights file of another project and write it as one of this project."""

import hashlib
import os
from collections.abc import Callable
from fractions import Fraction
from os import PathLike
from pathlib import Path

import h5py

from nst_jax.features.layout import BLOCK_CHANNELS, block
from nst_jax.features.weights import FORMAT, Weights, layout_of, write
from weights_convert import caffe, keras, torchvision
from weights_convert.state_dict import open_state_dict

CONVERTERS: dict[str, Callable[[str | PathLike], Weights]] = {
    "torchvision": torchvision.convert,
    "keras": keras.convert,
    "caffe": caffe.convert,
}
NAME_SUFFIXES = {"torchvision": "", "keras": "-caffe", "caffe": "-caffe"}
LICENCES = {
    "torchvision": "torchvision, BSD-3-Clause; trained on ImageNet",
    "keras": "Visual Geometry Group, CC BY 4.0 (original Caffe weights)",
    "caffe": "Visual Geometry Group, CC BY 4.0 (original Caffe weights)",
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
        src: .pth, .safetensors or .h5 file of another project.
        dst: the file to write, atomically; an existing one is replaced.
        kind: "torchvision", "keras" or "caffe"; told from the content if None.
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
    weights = weights._replace(
        name=name or layout_of(weights.params) + NAME_SUFFIXES[kind] + widths,
        source=Path(src).name,
        sha256=sha256(src),
        licence=licence or (UNKNOWN_LICENCE if widths else LICENCES[kind]),
    )
    write(dst, weights)
    return weights


def kind_of(src: str | PathLike) -> str:
    """Kind of a file by its content: "torchvision", "keras" or "caffe".

    Raises:
        ValueError: if it is none of them, or already a weights file of this project.
        OSError: if it cannot be opened.
    """
    os.stat(src)  # h5py takes a missing file for one that is not HDF5
    if h5py.is_hdf5(src):
        return _kind_of_hdf5(src)
    with open_state_dict(src) as tensors:
        if torchvision.is_torchvision(tensors):
            return "torchvision"
        if caffe.is_caffe(tensors):
            return "caffe"
    raise ValueError(
        f"{src}: neither torchvision's tensor names (features.0.weight) nor Caffe's "
        "(conv1_1.weight)"
    )


def _kind_of_hdf5(src: str | PathLike) -> str:
    try:
        with h5py.File(src, "r") as file:
            if file.attrs.get("format") == FORMAT:
                raise ValueError(f"{src}: already a weights file of this project")
            if keras.is_keras(file):
                return "keras"
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{src}: damaged HDF5 file ({reason})") from error
    raise ValueError(f"{src}: an HDF5 file without Keras's names (block1_conv1)")


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
