"""Make lbfgs.npz: losses of torch.optim.LBFGS on a small style transfer problem.

Run by hand from the root of the repository, with PyTorch installed:

    python -m tests.golden.make_lbfgs

The problem, in float64: pictures of 16 x 20, a random network of two 3 x 3
convolutions (3 -> 8 -> 12 channels, zero padding, ReLU) with a 2 x 2 average pooling
between them. The picture goes in as it is, without normalisation.

    loss = alpha mean((F2 - P2)^2) + 1/2 sum over both layers of mean((G - A)^2)

with G = F^T F/(h w). Arrays in the file:

    content, style, start      (16, 20, 3)
    kernel1, kernel2           (3, 3, in, out)
    bias1, bias2               (out,)
    alpha                      ()
    histories                  (3,)            the history sizes m
    losses/<m>                 (40,)           loss at each evaluation, start first
    final/<m>                  (16, 20, 3)     picture after 40 steps
    torch_version              ()
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from tests.reference import lbfgs

SEED = 2016
SHAPE = (16, 20, 3)
CHANNELS = (3, 8, 12)
# With it the features are large enough for |g|_1 > 1, so that the first step is
# really scaled; with ALPHA the losses fall almost monotonically.
FIRST_LAYER_GAIN = 4.0
ALPHA = 0.3
STEPS = 40
HISTORIES = (3, 10, 100)
FILE = Path(__file__).with_name("lbfgs.npz")

Loss = Callable[[torch.Tensor], torch.Tensor]
Run = tuple[np.ndarray, np.ndarray]  # losses (STEPS,), final picture (h, w, 3)


def problem() -> dict[str, np.ndarray]:
    """Pictures, kernels and biases from one seed."""
    rng = np.random.default_rng(SEED)
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    phase = np.arange(3)
    waves = np.sin(row[..., None] / 4 + phase) * np.cos(column[..., None] / 5 - phase)
    stripes = np.sign(np.sin(1.3 * (row + column))[..., None] * (1 - phase))
    arrays = {
        "content": 0.5 + 0.4 * waves,
        "style": 0.5 + 0.25 * stripes + 0.2 * rng.uniform(-1, 1, SHAPE),
        "start": 0.5 + 0.1 * rng.standard_normal(SHAPE),
    }
    for layer in (1, 2):
        fan_in, out = CHANNELS[layer - 1], CHANNELS[layer]
        gain = FIRST_LAYER_GAIN if layer == 1 else 1.0
        he = np.sqrt(2 / (9 * fan_in))
        kernel = he * rng.standard_normal((3, 3, fan_in, out))
        arrays[f"kernel{layer}"] = gain * kernel
        arrays[f"bias{layer}"] = gain * 0.1 * rng.standard_normal(out)
    return arrays | {"alpha": np.array(ALPHA)}


def to_batch(picture: np.ndarray) -> torch.Tensor:
    """``(h, w, 3)`` -> ``(1, 3, h, w)``."""
    return torch.tensor(picture).permute(2, 0, 1)[None].contiguous()


def to_picture(batch: torch.Tensor) -> np.ndarray:
    """``(1, 3, h, w)`` -> ``(h, w, 3)``."""
    return batch.detach()[0].permute(1, 2, 0).contiguous().numpy().copy()


def maps(x: torch.Tensor, arrays: dict[str, np.ndarray]) -> list[torch.Tensor]:
    """Rectified maps of both layers, ``(1, c, h, w)``."""
    weights = [
        (
            torch.tensor(arrays[f"kernel{layer}"]).permute(3, 2, 0, 1).contiguous(),
            torch.tensor(arrays[f"bias{layer}"]),
        )
        for layer in (1, 2)
    ]
    first = torch.relu(torch.nn.functional.conv2d(x, *weights[0], padding=1))
    pooled = torch.nn.functional.avg_pool2d(first, 2)
    return [
        first,
        torch.relu(torch.nn.functional.conv2d(pooled, *weights[1], padding=1)),
    ]


def gram(feature_map: torch.Tensor) -> torch.Tensor:
    """``(1, c, h, w)`` -> ``(c, c)``, per position."""
    flat = feature_map[0].flatten(1)
    return flat @ flat.T / flat.shape[1]


def make_loss(arrays: dict[str, np.ndarray]) -> Loss:
    """The loss of a picture ``(1, 3, h, w)``."""
    content = maps(to_batch(arrays["content"]), arrays)[1]
    style = [gram(m) for m in maps(to_batch(arrays["style"]), arrays)]

    def loss(x: torch.Tensor) -> torch.Tensor:
        found = maps(x, arrays)
        terms = [
            (gram(m) - target).square().mean()
            for m, target in zip(found, style, strict=True)
        ]
        content_term = (found[1] - content).square().mean()
        return float(arrays["alpha"]) * content_term + sum(terms) / len(terms)

    return loss


def run_torch(loss: Loss, start: np.ndarray, history: int) -> Run:
    """Losses of ``STEPS`` evaluations, and the picture after as many steps."""
    x = to_batch(start).requires_grad_()
    optimiser = torch.optim.LBFGS(
        [x],
        lr=1,
        max_iter=1,
        history_size=history,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn=None,
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        value = loss(x)
        value.backward()
        return value

    losses = [optimiser.step(closure).item() for _ in range(STEPS)]
    return np.array(losses), to_picture(x)


def run_twin(loss: Loss, start: np.ndarray, history: int) -> Run:
    """The same by the NumPy L-BFGS, with PyTorch's gradients."""

    def fun_and_grad(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = value_and_grad(loss, flat.reshape(SHAPE))
        return value, gradient.ravel()

    found = lbfgs.iterates(fun_and_grad, start.ravel(), history)
    values, points = zip(*islice(found, STEPS + 1), strict=True)
    return np.array(values[:STEPS]), points[STEPS].reshape(SHAPE)


def value_and_grad(loss: Loss, picture: np.ndarray) -> tuple[float, np.ndarray]:
    """Loss and gradient ``(h, w, 3)`` of a picture."""
    x = to_batch(picture).requires_grad_()
    value = loss(x)
    (gradient,) = torch.autograd.grad(value, x)
    return value.item(), to_picture(gradient)


def check_start(loss: Loss, start: np.ndarray) -> None:
    """Refuse a problem whose first step is not scaled down."""
    _, gradient = value_and_grad(loss, start)
    norm = float(np.sum(np.abs(gradient)))
    if norm < 2:
        raise RuntimeError(
            f"|g|_1 = {norm:.2g} at the start: the first step is not scaled"
        )


def check_run(torch_run: Run, twin_run: Run) -> str:
    """Refuse a run that a safeguard would touch, or that the NumPy twin disputes."""
    losses, final = torch_run
    twin_losses, twin_final = twin_run
    growth = float(np.max(losses[1:] / losses[:-1]))
    off = float(np.max(np.abs(twin_losses / losses - 1)))
    moved = float(np.max(np.abs(twin_final - final)))
    if not (np.isfinite(losses).all() and growth <= 1.5):
        raise RuntimeError(
            f"the run is not well-behaved: a step grew {growth:.2f}-fold"
        )
    if off > 1e-8 or moved > 1e-8:
        raise RuntimeError(
            f"the NumPy twin differs: {off:.1e} in the loss, {moved:.1e}"
        )
    return (
        f"loss {losses[0]:.4g} -> {losses[-1]:.4g}, largest growth in a step "
        f"{growth:.3f}-fold; NumPy twin off by {off:.1e}, its picture by {moved:.1e}"
    )


def main() -> None:
    """Make the file."""
    torch.set_num_threads(1)
    arrays = problem()
    loss = make_loss(arrays)
    check_start(loss, arrays["start"])
    results = {}
    for history in HISTORIES:
        losses, final = run_torch(loss, arrays["start"], history)
        twin = run_twin(loss, arrays["start"], history)
        print(f"history {history}: {check_run((losses, final), twin)}")
        results |= {f"losses/{history}": losses, f"final/{history}": final}
    np.savez_compressed(
        FILE,
        **arrays,
        **results,
        histories=np.array(HISTORIES),
        torch_version=np.array(torch.__version__.split("+")[0]),
    )


if __name__ == "__main__":
    main()
