"""Keras's VGG-16 and VGG-19 files: the original Caffe weights as HDF5.

Older files hold ``block1_conv1/block1_conv1_W_1:0``, newer ones
``block1_conv1/block1_conv1/kernel:0``; both store kernels as (height, width, in, out).
Their input is Caffe's: BGR on 0..255 minus the mean ("caffe" mode in Keras).
"""

import re
from os import PathLike

import h5py
import numpy as np

from nst_jax.features.layout import in_order, layout_of
from nst_jax.features.weights import CAFFE_INPUT, Weights
from weights_convert.tensors import LazyTensor, read_convolutions

LAYER = re.compile(r"(?:model_weights/)?block(\d)_conv(\d)/")


def convert(src: str | PathLike) -> Weights:
    """Weights of a Keras .h5 file, with or without the fully connected layers.

    Datasets are told by their rank (4: kernel, 1: bias), not by their names.

    Raises:
        ValueError: if the file is damaged, is another network, or a shape does not
            fit.
    """
    where = str(src)
    try:
        with h5py.File(src, "r") as file:
            if "theano" in str(file.attrs.get("backend")):  # text, or bytes
                raise ValueError(
                    f"{where}: written for the Theano backend, whose kernels are "
                    "flipped; take the file with tf_kernels in its name"
                )
            params = _params(file, where)
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{where}: not a readable HDF5 weights file ({reason})"
        ) from error
    return Weights(params, input=CAFFE_INPUT)


def is_keras(file: h5py.File) -> bool:
    """Whether an HDF5 file has groups named as in Keras's VGG networks."""
    return bool(_datasets(file))


def _params(file: h5py.File, where: str) -> dict[str, dict[str, np.ndarray]]:
    found = _datasets(file)
    layout_of(found, where=where)
    layers = {
        layer: _kernel_and_bias(found[layer], f"{where}: {layer}")
        for layer in in_order(found)
    }
    return read_convolutions(layers, where=where)


def _datasets(file: h5py.File) -> dict[str, list[h5py.Dataset]]:
    """Datasets of each convolution; links to other places are not followed."""
    found: dict[str, list[h5py.Dataset]] = {}

    def visit(name: str, item: object) -> None:
        match = LAYER.match(name)
        if match and isinstance(item, h5py.Dataset):
            found.setdefault("conv{}_{}".format(*match.groups()), []).append(item)

    file.visititems(visit)
    return found


def _kernel_and_bias(
    datasets: list[h5py.Dataset], where: str
) -> tuple[LazyTensor, LazyTensor]:
    ranks = {len(dataset.shape): dataset for dataset in datasets}
    if len(datasets) != 2 or set(ranks) != {1, 4}:
        shapes = ", ".join(str(dataset.shape) for dataset in datasets)
        raise ValueError(f"{where}: expected one kernel and one bias, found {shapes}")
    if any(dataset.external or dataset.is_virtual for dataset in datasets):
        raise ValueError(f"{where}: its numbers lie in another file")
    return _lazy(ranks[4]), _lazy(ranks[1])


def _lazy(dataset: h5py.Dataset) -> LazyTensor:
    return LazyTensor(dataset.shape, dataset.dtype.str, lambda: dataset[()])
