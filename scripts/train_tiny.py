"""Train the loss network that the package carries.

Command::

    python scripts/train_tiny.py --teacher vgg19_quarter.pth --pictures PHOTOS \
        --holdout OTHERS --output nst_jax/features/vgg19_tiny.h5 --log log.json

Time: FILL
Result: the weights file (float16, with mean activations), replaced every few minutes
while the training runs, and a JSON file with the losses and the held-out errors.

The network has VGG-19's layout at a fraction of its width and ends after conv5_1. It
learns to respond like the teacher, up to one 1 x 1 map per layer (see
``tiny/distill.py``), on random crops of the pictures in PHOTOS, of the example
pictures in ``configs/pictures`` and of procedural ones. The same seed, pictures and
machine give the same file.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# From a clone, without installing the project itself.
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import jax
import numpy as np

from nst_jax.features.pretrained import resolve
from nst_jax.features.weights import Weights, read, write
from nst_jax.images.resize import fit_longer_side
from scripts.tiny import distill
from scripts.tiny.pictures import batches, procedural, read_folders, squares

LICENCE = (
    "MIT; distilled from the quarter-width VGG-19 of Wang et al., Collaborative "
    "Distillation for Ultra-Resolution Universal Style Transfer, CVPR 2020 (MIT, "
    "Copyright (c) 2020 Huan Wang)"
)
CALIBRATION = 24  # batches that the teacher's scales are measured on
MEANS_SIZE = 256  # pictures that mean activations are measured on, in pixels


class Plan(NamedTuple):
    """Settings of a training.

    Attributes:
        widths: channels of the student's convolutions, block by block.
        steps: number of batches.
        batch: crops per batch.
        size: side of a crop in pixels.
        learning_rate: Adam's, at its highest.
        seed: of the pictures, the crops and the initial weights.
        procedural: number of procedural pictures.
        made_size: their side in pixels.
    """

    widths: tuple[int, ...]
    steps: int
    batch: int = 8
    size: int = 128
    learning_rate: float = 2e-3
    seed: int = 0
    procedural: int = 48
    made_size: int = 512


class Progress(NamedTuple):
    """State of a training after some steps.

    Attributes:
        step: number of steps done.
        seconds: since the first step began, its compilation included.
        network: the student's.
        trained: its weights, and the maps.
        teacher: see ``distill.Teacher``.
        losses: mean loss since the last report.
        errors: mean relative errors by layer since the last report.
    """

    step: int
    seconds: float
    network: distill.Network
    trained: distill.Trained
    teacher: distill.Teacher
    loss: float
    errors: dict[str, float]


def train(
    plan: Plan,
    teacher_weights: Weights,
    photos: list[np.ndarray],
    report: Callable[[Progress], None] = lambda progress: None,
    *,
    every: int = 100,
) -> tuple[Progress, list[np.ndarray]]:
    """Train a student; returns the last state, and the procedural pictures used.

    Args:
        plan: settings.
        teacher_weights: a VGG network down to conv5_1 at least.
        photos: ``(h, w, 3)`` in [0, 1]; may be none.
        report: called after every ``every`` steps and after the last.
        every: steps between reports.
    """
    rng = np.random.default_rng(plan.seed)
    made = procedural(rng, plan.procedural, plan.made_size)
    stream = batches(rng, photos, made, batch=plan.batch, size=plan.size)
    calibration = np.concatenate([next(stream) for _ in range(CALIBRATION)])
    teacher = distill.make_teacher(teacher_weights, calibration)
    network = distill.student_network(plan.widths, teacher.network)
    trained = distill.initial(jax.random.key(plan.seed), network, teacher)
    trained = distill.fit_maps(network, trained, teacher, calibration)
    optimise = distill.optimiser(plan.learning_rate, plan.steps)
    state, step = optimise.init(trained), distill.make_step(network, optimise)
    start, recent = time.monotonic(), []
    for done in range(1, plan.steps + 1):
        trained, state, *measured = step(trained, state, teacher, next(stream))
        recent.append(measured)
        if done % every == 0 or done == plan.steps:
            loss, errors = jax.tree.map(
                lambda *v: float(np.mean(v)), *map(tuple, recent)
            )
            seconds = time.monotonic() - start
            progress = Progress(done, seconds, network, trained, teacher, loss, errors)
            report(progress)
            recent = []
    return progress, made


class Recorder:
    """Prints the progress, and keeps the weights file and the log up to date."""

    def __init__(self, options: argparse.Namespace, photos: list[np.ndarray]):
        held_out = read_folders([options.holdout]) if options.holdout else {}
        self.held_out = [
            fit_longer_side(pixels, options.holdout_size)
            for pixels in held_out.values()
        ]
        self.options, self.photos = options, photos
        self.log = {"options": _plain(vars(options)), "held_out": list(held_out)}
        self.log |= {"training": [], "validation": []}

    def __call__(self, progress: Progress) -> None:
        row = {"step": progress.step, "seconds": round(progress.seconds, 1)}
        training = row | {"loss": progress.loss, "errors": progress.errors}
        self.log["training"].append(training)
        print(f"{progress.step:6d} {progress.seconds:7.0f} s  {progress.loss:.4f}")
        last = progress.step == self.options.steps
        if progress.step % self.options.checkpoint == 0 or last:
            self._check(progress, row)
            self._save(progress)
        sys.stdout.flush()

    def _check(self, progress: Progress, row: dict) -> None:
        if not self.held_out:
            return
        errors = distill.held_out_errors(
            progress.network, progress.trained, progress.teacher, self.held_out
        )
        self.log["validation"].append(row | {"errors": errors})
        print("  held out: " + "  ".join(f"{k} {v:.3f}" for k, v in errors.items()))

    def _save(self, progress: Progress) -> None:
        weights = distill.finished(
            progress.network,
            progress.trained.student,
            squares(self.photos, MEANS_SIZE),
            name=self.options.name,
            source=self.options.source,
            licence=self.options.licence,
        )
        write(self.options.output, weights)
        if self.options.log:
            temporary = self.options.log.with_suffix(".tmp")
            temporary.write_text(json.dumps(self.log, indent=1) + "\n")
            os.replace(temporary, self.options.log)


def _plain(options: dict) -> dict:
    """Options for the log: of paths only the last part, which is no one's machine."""

    def plain(value):
        return value.name if isinstance(value, Path) else value

    return {
        key: [plain(v) for v in value] if isinstance(value, list) else plain(value)
        for key, value in options.items()
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="Train the loss network vgg19-tiny.")
    add = parser.add_argument
    add("--teacher", required=True, help="weights file, or the name of known weights")
    add("--pictures", type=Path, action="append", default=[], help="folder; repeatable")
    add(
        "--holdout", type=Path, help="folder of pictures to validate on, not trained on"
    )
    add("--holdout-size", type=int, default=384, help="their longer side in pixels")
    add("--output", type=Path, required=True, help="weights file to write")
    add("--log", type=Path, help="JSON file with losses and held-out errors")
    add("--widths", type=int, nargs=5, default=[12, 24, 48, 96, 96])
    add("--steps", type=int, default=12000, help="batches; the learning rate ends at 0")
    add("--batch", type=int, default=8)
    add("--size", type=int, default=128, help="side of the crops")
    add("--learning-rate", type=float, default=2e-3)
    add("--seed", type=int, default=0)
    add("--report", type=int, default=100, help="steps between lines")
    add("--checkpoint", type=int, default=1000, help="steps between validations")
    add("--name", default="vgg19-tiny")
    add("--source", default="trained by scripts/train_tiny.py of nst-jax")
    add("--licence", default=LICENCE)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says; returns the exit status."""
    options = parse(arguments)
    folders = [ROOT / "configs" / "pictures", *options.pictures]
    photos = list(read_folders(folders).values())
    plan = Plan(
        tuple(options.widths),
        options.steps,
        options.batch,
        options.size,
        options.learning_rate,
        options.seed,
    )
    recorder = Recorder(options, photos)
    train(plan, read(resolve(options.teacher)), photos, recorder, every=options.report)
    print(f"wrote {options.output} ({options.output.stat().st_size} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
