"""Train the loss network that the package carries.

Command::

    python scripts/train_tiny.py --teacher vgg19_quarter.pth --pictures PHOTOS \
        --holdout OTHERS --output nst_jax/features/vgg19_tiny.h5 --log log.json

Time: about three quarters of an hour of one CPU core.
Result: the weights file (float16), replaced every few minutes while the training
runs, and a JSON file with the losses and the held-out errors.

The network has VGG-19's layout at a fraction of its width and ends after conv5_1. From
random weights it is trained to respond as the teacher's stronger channels do (see
``tiny/distill.py``), on random crops of the pictures in PHOTOS, of the example
pictures in ``configs/pictures`` and of procedural ones: first every layer alone, then
all of them together. The same seed, pictures, steps and machine give the same file.
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
from nst_jax.types import Params
from scripts.tiny import distill
from scripts.tiny.pictures import batches, procedural, read_folders
from scripts.tiny.start import he_normal
from scripts.tiny.teacher import Teacher, make_teacher

LICENCE = (
    "MIT; distilled from the quarter-width VGG-19 of Wang et al., "
    "Collaborative Distillation for Ultra-Resolution Universal Style Transfer, CVPR "
    "2020 (MIT, Copyright (c) 2020 Huan Wang)"
)
CALIBRATION = 60  # batches that the scales are computed from


class Plan(NamedTuple):
    """Settings of a training.

    Attributes:
        widths: channels of the student's convolutions, block by block.
        steps: number of batches.
        batch: crops per batch.
        size: side of a crop in pixels.
        layerwise: share of the training in which every layer is trained alone.
        layer_rate: Adam's learning rate there, at its highest.
        learning_rate: the same for the rest, when all layers are trained together.
        seed: of the pictures, the crops and the initial weights.
        minutes: if given, how long to train, whatever the number of steps.
        procedural: number of procedural pictures.
        made_size: their side in pixels.
    """

    widths: tuple[int, ...]
    steps: int
    batch: int = 4
    size: int = 128
    layerwise: float = 0.2
    layer_rate: float = 3e-3
    learning_rate: float = 1e-3
    seed: int = 0
    minutes: float | None = None
    procedural: int = 48
    made_size: int = 512


class Progress(NamedTuple):
    """State of a training after some steps.

    Attributes:
        step: number of steps done.
        seconds: since the first step began, its compilation included.
        share: part of the training that is done; 1 at its end.
        layerwise: whether every layer is being trained alone.
        params: the student's weights, in scaled units.
        teacher: see ``teacher.Teacher``.
        loss: mean loss since the last report.
        errors: mean relative errors by layer since the last report.
    """

    step: int
    seconds: float
    share: float
    layerwise: bool
    params: Params
    teacher: Teacher
    loss: float
    errors: dict[str, float]


def train(
    plan: Plan,
    teacher_weights: Weights,
    photos: list[np.ndarray],
    report: Callable[[Progress], None] = lambda progress: None,
    *,
    every: int = 100,
) -> Progress:
    """Train a student; returns the last state.

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
    teacher = make_teacher(teacher_weights, plan.widths, calibration)
    params = he_normal(teacher, seed=plan.seed)
    state = distill.OPTIMISER.init(params)
    start, recent, done, share = time.monotonic(), [], 0, 0.0
    layerwise = plan.layerwise > 0
    while True:
        if layerwise and share >= plan.layerwise:
            layerwise, state = False, distill.OPTIMISER.init(params)
        params, state, *measured = distill.step(
            teacher,
            params,
            state,
            _rate(plan, share),
            next(stream),
            layerwise=layerwise,
        )
        recent.append(measured)
        done, seconds = done + 1, time.monotonic() - start
        share = seconds / (60 * plan.minutes) if plan.minutes else done / plan.steps
        if done % every == 0 or share >= 1:
            loss, errors = jax.tree.map(lambda *v: float(np.mean(v)), *recent)
            recent = []
            progress = Progress(
                done, seconds, share, layerwise, params, teacher, loss, errors
            )
            report(progress)
            if share >= 1:
                return progress


def _rate(plan: Plan, share: float) -> float:
    if share < plan.layerwise:
        return distill.learning_rate(plan.layer_rate, share / plan.layerwise)
    part = (share - plan.layerwise) / (1 - plan.layerwise)
    return distill.learning_rate(plan.learning_rate, part)


class Recorder:
    """Prints the progress, and keeps the weights file and the log up to date."""

    def __init__(self, options: argparse.Namespace):
        held_out = read_folders([options.holdout]) if options.holdout else {}
        self.held_out = [
            fit_longer_side(pixels, options.holdout_size)
            for pixels in held_out.values()
        ]
        self.options = options
        settings = vars(options) | {"teacher": Path(options.teacher)}
        self.log = {"options": _plain(settings), "held_out": list(held_out)}
        self.log |= {"training": [], "validation": []}

    def __call__(self, progress: Progress) -> None:
        """Take down a progress report; at checkpoints validate and save as well."""
        row = {"step": progress.step, "seconds": round(progress.seconds, 1)}
        row |= {"layerwise": progress.layerwise}
        training = row | {"loss": progress.loss, "errors": progress.errors}
        self.log["training"].append(training)
        phase = "layer by layer" if progress.layerwise else "all together"
        done = f"{progress.step:6d} {progress.seconds:7.0f} s"
        print(f"{done}  {phase}  {progress.loss:.5f}")
        if progress.step % self.options.checkpoint == 0 or progress.share >= 1:
            self._check(progress, row)
            self._save(progress)
        sys.stdout.flush()

    def _check(self, progress: Progress, row: dict) -> None:
        if not self.held_out:
            return
        errors = distill.held_out_errors(
            progress.params, progress.teacher, self.held_out
        )
        self.log["validation"].append(row | {"errors": errors})
        print("  held out: " + "  ".join(f"{k} {v:.3f}" for k, v in errors.items()))

    def _save(self, progress: Progress) -> None:
        weights = distill.finished(
            progress.params,
            progress.teacher,
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
    add("--steps", type=int, default=24000, help="batches; the learning rate ends at 0")
    add("--minutes", type=float, help="train this long instead; not reproducible")
    add("--batch", type=int, default=4)
    add("--size", type=int, default=128, help="side of the crops")
    add("--layerwise", type=float, default=0.2, help="share of the training")
    add("--layer-rate", type=float, default=3e-3, help="learning rate there")
    add("--learning-rate", type=float, default=1e-3, help="learning rate after it")
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
        options.layerwise,
        options.layer_rate,
        options.learning_rate,
        options.seed,
        options.minutes,
    )
    recorder = Recorder(options)
    train(plan, read(resolve(options.teacher)), photos, recorder, every=options.report)
    print(f"wrote {options.output} ({options.output.stat().st_size} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
