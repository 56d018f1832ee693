"""Gatys' style transfer in PyTorch, as most people run it: what we measure against.

The recipe, in float32: rectified responses of a VGG network, mean squared difference
of the responses of one content layer and of the Gram matrices per position of the
style layers, and ``torch.optim.LBFGS(lr=1)`` without a line search on the pixels:

    loss = alpha mean((F - P)^2) + beta sum_l v_l mean((G_l - A_l)^2)

Gatys' published PyTorch recipe is alpha = 1, beta = 1, v_l = 1e3/N_l^2 with N_l
channels, max pooling, a history of 100 and the content picture as start, on the
original network's weights: ``notebook`` is that. As a program it is a whole process
of it, from the import of PyTorch to the written picture::

    python -m tests.reference.torch_gatys --content content.png --style style.png \\
        --weights weights.h5 --evaluations 500 --trace trace.json --out result.png

PyTorch, h5py and Pillow are imported inside the functions: the first is an optional
dependency, the others only the program needs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

Kernels = Mapping[str, tuple[np.ndarray, np.ndarray]]
Triple = tuple[float, float, float]

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
HISTORY = 100
PRECISIONS = ("float32", "default", "bfloat16")


def main() -> None:
    """A whole process of the notebook's recipe; see the first lines of this file."""
    parser = argparse.ArgumentParser(description="Gatys' notebook in PyTorch.")
    for name in ("content", "style", "weights", "trace", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--history", type=int, default=HISTORY)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS)
    options = parser.parse_args()

    from PIL import Image

    pictures = (
        np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
        for path in (options.content, options.style)
    )
    content, style = pictures
    trace, picture = notebook(
        options.weights,
        content,
        style,
        evaluations=options.evaluations,
        history=options.history,
        device=options.device,
        precision=options.precision,
    )
    Image.fromarray((255 * picture.clip(0, 1) + 0.5).astype(np.uint8)).save(options.out)
    options.trace.write_text(json.dumps(trace))


def notebook(
    weights: Path,
    content: np.ndarray,
    style: np.ndarray,
    *,
    evaluations: int,
    history: int = HISTORY,
    **settings: Any,
) -> tuple[dict[str, Any], np.ndarray]:
    """The notebook's recipe: a trace, and the last picture ``(h, w, 3)``.

    As there, it is the network's normalised input that is optimised, so the first
    step is as long as there.

    Args:
        weights: a weights file of this project.
        content: ``(h, w, 3)``, RGB in [0, 1]; also the start.
        style: ``(h', w', 3)``, likewise.
        evaluations: of loss and gradient.
        history: pairs that L-BFGS keeps.
        settings: device and precision, see ``problem``.

    Returns:
        ``{"began": ..., "records": [[seconds, loss], ...], "peak_bytes": ...}``: the
        value of ``time.perf_counter()`` from which the seconds count; a record per
        evaluation; the GPU's peak memory, or None on a CPU.
    """
    kernels, order, mean, scale = read_weights(weights)

    def normalised(picture: np.ndarray) -> np.ndarray:
        return (picture[..., order] - mean) * scale

    style_weights = {
        layer: 1e3 / kernels[layer][1].shape[0] ** 2 for layer in STYLE_LAYERS
    }
    latest: list[torch.Tensor] = []
    began = time.perf_counter()
    records = run(
        kernels,
        normalised(content),
        normalised(style),
        normalised(content),
        iterations=evaluations,
        history=history,
        keep=latest,
        alpha=1.0,
        beta=1.0,
        style_weights=style_weights,
        pooling="max",
        **settings,
    )
    result = latest[0].detach()[0].permute(1, 2, 0).cpu().numpy()
    picture = np.empty_like(content)
    picture[..., order] = result / scale + mean
    trace = {
        "began": began,
        "records": records,
        "peak_bytes": _device_peak(settings.get("device", "cpu")),
    }
    return trace, picture


def _device_peak(device: str) -> int | None:
    import torch

    return None if device == "cpu" else int(torch.cuda.max_memory_allocated(device))


def read_weights(path: Path) -> tuple[Kernels, list[int], np.ndarray, np.ndarray]:
    """Kernels, channel order as indices of RGB, mean and scale of a weights file.

    Without our own reader, which would import JAX: a user of PyTorch does not.
    """
    import h5py

    with h5py.File(path, "r") as file:
        groups = sorted(str(name) for name in file)
        layers = [name for name in groups if name.startswith("conv")]
        kernels = {
            layer: (
                np.asarray(file[f"{layer}/kernel"], np.float32),
                np.asarray(file[f"{layer}/bias"], np.float32),
            )
            for layer in layers
        }
        order = ["RGB".index(channel) for channel in str(file.attrs["channel_order"])]
        mean, scale = (
            np.asarray(file.attrs[name], np.float32) for name in ("mean", "scale")
        )
    return kernels, order, mean, scale


def run(
    kernels: Kernels,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    *,
    iterations: int,
    history: int,
    keep: list[torch.Tensor] | None = None,
    **settings: Any,
) -> list[tuple[float, float]]:
    """Optimise the picture; one (seconds, loss) per evaluation, the start's first.

    Seconds count from the call, so they hold the computation of the targets.

    Args:
        kernels: as in ``problem``, like the pictures.
        content: ``(h, w, 3)``.
        style: ``(h', w', 3)``.
        start: ``(h, w, 3)``.
        iterations: number of evaluations of loss and gradient.
        history: pairs that L-BFGS keeps.
        keep: the optimised picture ``(1, 3, h, w)`` is appended to it.
        settings: alpha, beta, style_weights, pooling and the rest of ``problem``.
    """
    import torch

    began = time.perf_counter()
    loss, x = problem(kernels, content, style, start, **settings)
    optimiser = torch.optim.LBFGS(
        [x],
        lr=1,
        max_iter=iterations,
        max_eval=iterations,
        history_size=history,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn=None,
    )
    records: list[tuple[float, float]] = []

    def closure() -> float:
        optimiser.zero_grad()
        value = loss(x)
        value.backward()
        number = value.item()
        records.append((time.perf_counter() - began, number))
        return number

    optimiser.step(closure)
    if keep is not None:
        keep.append(x)
    return records


def evaluation(
    kernels: Kernels,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    **settings: Any,
) -> Callable[[], tuple[float, torch.Tensor]]:
    """A function that computes loss and gradient at the start once per call.

    It returns the loss and the gradient ``(h, w, 3)``, on the device; the loss is a
    Python number, so the call has waited for the device. Args as in ``problem``.
    """
    import torch

    loss, x = problem(kernels, content, style, start, **settings)

    def evaluate() -> tuple[float, torch.Tensor]:
        value = loss(x)
        (gradient,) = torch.autograd.grad(value, x)
        return value.item(), gradient[0].permute(1, 2, 0)

    return evaluate


def problem(
    kernels: Kernels,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    *,
    alpha: float,
    beta: float,
    style_weights: Mapping[str, float],
    pooling: str,
    content_layer: str = "conv4_2",
    mean: Triple = (0.0, 0.0, 0.0),
    scale: Triple = (1.0, 1.0, 1.0),
    channels_last: bool = False,
    device: str = "cpu",
    precision: str = "float32",
) -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]:
    """The loss as a function of the picture ``(1, 3, h, w)``, and the start.

    Args:
        kernels: layer -> (kernel ``(3, 3, in, out)``, bias ``(out,)``), shallowest
            first, named as VGG's; layers deeper than needed are not run.
        content: ``(h, w, 3)``, channels in the network's order.
        style: ``(h', w', 3)``, likewise.
        start: ``(h, w, 3)``, likewise; the picture that is optimised.
        alpha: weight of the content loss.
        beta: weight of the style loss.
        style_weights: style layer -> weight.
        pooling: "avg" or "max".
        content_layer: name of the content layer.
        mean: the network sees ``(picture - mean) * scale``.
        scale: see ``mean``.
        channels_last: memory format of pictures, kernels and maps.
        device: PyTorch's name of the device.
        precision: "float32"; "default" lets a GPU use TF32 in convolutions, as
            PyTorch does if nothing is said; "bfloat16" is automatic mixed precision
            of the network. Losses are float32.

    Raises:
        ValueError: if a content or style layer has no kernel, or for an unknown
            precision.
    """
    import torch

    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {PRECISIONS}, not {precision!r}")

    layout = torch.channels_last if channels_last else torch.contiguous_format

    def to_device(array: np.ndarray, *axes: int) -> torch.Tensor:
        transposed = np.ascontiguousarray(array.transpose(axes), dtype=np.float32)
        return torch.tensor(transposed, device=device)

    def batch(picture: np.ndarray) -> torch.Tensor:
        return to_device(picture, 2, 0, 1)[None].contiguous(memory_format=layout)

    weights = {
        layer: (
            to_device(kernel, 3, 2, 0, 1).contiguous(memory_format=layout),
            to_device(bias, 0),
        )
        for layer, (kernel, bias) in kernels.items()
    }
    centre, spread = batch(np.array([[mean]])), batch(np.array([[scale]]))

    def features(x: torch.Tensor, wanted: set[str]) -> dict[str, torch.Tensor]:
        if device != "cpu":
            # For the whole process: the gradient, which follows, has it too.
            torch.backends.cudnn.allow_tf32 = precision != "float32"
        mixed = precision == "bfloat16"
        kind = torch.device(device).type
        with torch.autocast(kind, torch.bfloat16, enabled=mixed):
            maps = _features((x - centre) * spread, weights, wanted, pooling)
        return {layer: response.float() for layer, response in maps.items()}

    with torch.no_grad():
        content_target = features(batch(content), {content_layer})[content_layer]
        maps = features(batch(style), set(style_weights))
        style_targets = {layer: _gram(maps[layer]) for layer in style_weights}

    def loss(x: torch.Tensor) -> torch.Tensor:
        maps = features(x, {content_layer, *style_weights})
        mse = torch.nn.functional.mse_loss
        total = alpha * mse(maps[content_layer], content_target)
        for layer, weight in style_weights.items():
            gram = _gram(maps[layer])
            total = total + beta * weight * mse(gram, style_targets[layer])
        return total

    return loss, batch(start).requires_grad_()


def _features(
    x: torch.Tensor,
    weights: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    wanted: set[str],
    pooling: str,
) -> dict[str, torch.Tensor]:
    """Rectified maps ``(1, c, h, w)`` of the wanted layers; stops at the deepest."""
    import torch

    pools = {
        "avg": torch.nn.functional.avg_pool2d,
        "max": torch.nn.functional.max_pool2d,
    }
    if missing := wanted - set(weights):
        raise ValueError(f"no kernel for layer {', '.join(sorted(missing))}")
    maps: dict[str, torch.Tensor] = {}
    for layer, (kernel, bias) in weights.items():
        if layer.endswith("_1") and layer != "conv1_1":
            x = pools[pooling](x, kernel_size=2, stride=2)
        x = torch.relu(torch.nn.functional.conv2d(x, kernel, bias, padding=1))
        if layer in wanted:
            maps[layer] = x
        if len(maps) == len(wanted):
            break
    return maps


def _gram(feature_map: torch.Tensor) -> torch.Tensor:
    """``(1, c, h, w)`` -> ``(c, c)``, divided by the number of positions."""
    flat = feature_map[0].flatten(1)
    return flat @ flat.T / flat.shape[1]


if __name__ == "__main__":
    main()
