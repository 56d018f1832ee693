"""Make vgg_random.npz: PyTorch's features of narrow random VGG networks.

Run by hand from the root of the repository, with PyTorch installed:

    python -m tests.golden.make_vgg_random

Kernels, biases and pictures are random, rounded to float32; the responses are
computed from the rounded numbers in float64. The networks have all convolutions of
VGG-19 and VGG-16 with 4, 4, 6, 6, 8, 10 and 10 channels in place of 64, 64, 128, 128,
256, 512 and 512. Their input is ``(picture - mean)/std`` with torchvision's constants;
2 x 2 pooling drops an odd last row or column. Arrays in the file:

    picture                            (40, 52, 3)      in [0, 1], for zero padding
    picture_large                      (64, 80, 3)      in [0, 1], for reflect padding
    mean, std                          (3,)             of the normalisation
    <network>/kernel/<layer>           (3, 3, in, out)
    <network>/bias/<layer>             (out,)
    <network>/<padding>/<pooling>/map/<layer>   (h, w, c) rectified, for the layers
                                                of ``STORED``
    <network>/<padding>/<pooling>/mean/<layer>  (c,) its mean over positions, for the
                                                other layers
    torch_version                      ()

for the networks, paddings and poolings of ``CASES``.
"""

from pathlib import Path

import numpy as np
import torch

SEED = 19
# The layout is spelt out here so that a mistake in the package's table shows.
CONVOLUTIONS = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}
CHANNELS = (4, 6, 8, 10, 10)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
CASES = (
    ("vgg19", "zeros", "avg"),
    ("vgg19", "zeros", "max"),
    ("vgg19", "reflect", "avg"),
    ("vgg16", "zeros", "avg"),
    ("vgg16", "zeros", "max"),
)
FRONT = ("conv1_1", "conv1_2", "conv2_2", "conv3_1")
STORED = {
    "vgg19": (*FRONT, "conv3_4", "conv4_4", "conv5_1", "conv5_4"),
    "vgg16": (*FRONT, "conv3_3", "conv4_3", "conv5_1", "conv5_3"),
}
FILE = Path(__file__).with_name("vgg_random.npz")

Arrays = dict[str, np.ndarray]


def picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A smooth random picture with some noise, values in [0, 1]."""
    row, column = np.mgrid[:height, :width]
    frequency, phase = rng.uniform(0.05, 0.4, (2, 3)), rng.uniform(0, 6, (2, 3))
    waves = np.sin(row[..., None] * frequency[0] + phase[0]) * np.sin(
        column[..., None] * frequency[1] + phase[1]
    )
    noisy = 0.5 + 0.4 * waves + 0.1 * rng.standard_normal((height, width, 3))
    return np.clip(noisy, 0, 1).astype(np.float32)


def weights(rng: np.random.Generator, network: str) -> dict[str, tuple]:
    """Layer -> (kernel HWIO, bias), float32, of He's scale."""
    params, channels = {}, 3
    blocks = zip(CONVOLUTIONS[network], CHANNELS, strict=True)
    for block, (count, out) in enumerate(blocks, start=1):
        for index in range(1, count + 1):
            he = np.sqrt(2 / (9 * channels))
            kernel = he * rng.standard_normal((3, 3, channels, out))
            bias = 0.2 + 0.2 * rng.standard_normal(out)
            arrays = (kernel.astype(np.float32), bias.astype(np.float32))
            params[f"conv{block}_{index}"] = arrays
            channels = out
    return params


def features(image: np.ndarray, params: dict, padding: str, pooling: str) -> Arrays:
    """All rectified maps ``(h, w, c)``, float64."""
    double = image.astype(np.float64)
    x = torch.tensor((double - MEAN) / STD).permute(2, 0, 1)[None]
    pool = {
        "avg": torch.nn.functional.avg_pool2d,
        "max": torch.nn.functional.max_pool2d,
    }[pooling]
    mode = {"zeros": "constant", "reflect": "reflect"}[padding]
    maps = {}
    for layer, (kernel, bias) in params.items():
        if layer.endswith("_1") and layer != "conv1_1":
            x = pool(x, kernel_size=2, stride=2)
        oihw = torch.tensor(kernel, dtype=torch.float64).permute(3, 2, 0, 1)
        padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode=mode)
        double_bias = torch.tensor(bias, dtype=torch.float64)
        x = torch.relu(torch.nn.functional.conv2d(padded, oihw, double_bias))
        maps[layer] = x[0].permute(1, 2, 0).numpy().copy()
    return maps


def check(maps: Arrays, case: str) -> None:
    """Refuse a network in which most of a layer is dead, or nothing is cut off."""
    for layer, values in maps.items():
        firing = float(np.mean(values > 0))
        alive = int(np.sum(values.max(axis=(0, 1)) > 0))
        if not (0.2 < firing < 0.95 and alive >= values.shape[2] / 2):
            raise RuntimeError(f"{case}/{layer}: {firing:.0%} fire, {alive} channels")


def main() -> None:
    """Make the file."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    images = {"zeros": picture(rng, 40, 52), "reflect": picture(rng, 64, 80)}
    networks = {name: weights(rng, name) for name in CONVOLUTIONS}
    arrays: Arrays = {
        "picture": images["zeros"],
        "picture_large": images["reflect"],
        "mean": np.array(MEAN),
        "std": np.array(STD),
        "torch_version": np.array(torch.__version__.split("+")[0]),
    }
    for name, params in networks.items():
        for layer, (kernel, bias) in params.items():
            arrays[f"{name}/kernel/{layer}"] = kernel
            arrays[f"{name}/bias/{layer}"] = bias
    for name, padding, pooling in CASES:
        case = f"{name}/{padding}/{pooling}"
        maps = features(images[padding], networks[name], padding, pooling)
        check(maps, case)
        for layer, values in maps.items():
            if layer in STORED[name]:
                arrays[f"{case}/map/{layer}"] = values.astype(np.float32)
            else:
                arrays[f"{case}/mean/{layer}"] = values.mean(axis=(0, 1))
    np.savez_compressed(FILE, **arrays)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main()
