"""What a sweep will do, before it does it: batches, memory, a rough time."""

import math
import os
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

from nst_jax.features.layout import block
from nst_jax.loading import Loaded
from nst_jax.memory import available_bytes, predict
from nst_jax.outputs.manifest import device_name
from nst_jax.outputs.progress import duration
from nst_jax.prepare_sweep import GroupPlan, LaneShape, plan_shapes, split, work_of
from nst_jax.sweep_spec.combine import TooManyLanes
from nst_jax.sweep_spec.groups import Group, groups
from nst_jax.sweep_spec.spec import Lane, Sweep
from nst_jax.team import Team, local_devices
from nst_jax.types import Device

# Lanes of a batch that a device is given at most. More would not make it faster, and a
# batch that is cut short is lost.
MOST_PER_DEVICE = {"cpu": 16}
MOST_PER_ACCELERATOR = 64
# Rule of thumb: floating point operations in a second, of a CPU core and of an
# accelerator. VGG-19 at 256 pixels takes 0.38 s per step on two cores.
CORE_SPEED, ACCELERATOR_SPEED = 1.2e11, 5e13
# What is not products, on a CPU: core seconds per pixel and step. A step of vgg19-tiny
# at 256 x 192 takes 18 ms on two cores, of which the products are 11.
CORE_PIXEL = 3e-7
# A sweep that takes longer by that rule is asked about.
VERY_LONG = 24 * 3600


class BatchPlan(NamedTuple):
    """Lanes that will run side by side.

    Attributes:
        loaded: their network.
        shape: the lanes and the shapes of their pictures.
        predicted: bytes at the peak.
    """

    loaded: Loaded
    shape: LaneShape
    predicted: int


class SweepPlan(NamedTuple):
    """All that will be done.

    Attributes:
        sweep: with the lanes of all processes.
        groups: lanes by the program they need.
        shapes: of all lanes, by group.
        batches: of this process, without lanes that are done.
        available: bytes that the sweep may have; None if that is not known.
        seconds: that this process will take by a rule of thumb.
    """

    sweep: Sweep
    groups: list[Group]
    shapes: list[GroupPlan]
    batches: list[BatchPlan]
    available: int | None
    seconds: float

    @property
    def steps(self) -> int:
        """Evaluations of all lanes in the batches."""
        return sum(
            len(batch.shape.lanes) * _steps(batch.shape) for batch in self.batches
        )


def plan_sweep(
    sweep: Sweep,
    *,
    devices: Sequence[Device],
    progress: Callable[[int, int], None] | None = None,
) -> SweepPlan:
    """Look at all networks and pictures; the batches are still to be made.

    Raises:
        ValueError: naming the lane, for whatever in it does not fit.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    found = groups(sweep)
    shapes = [plan_shapes(group, progress=progress) for group in found]
    return SweepPlan(sweep, found, shapes, [], available_bytes(devices[0]), 0.0)


def with_batches(
    plan: SweepPlan,
    *,
    devices: Sequence[Device],
    team: Team,
    done: Collection[int] = (),
) -> SweepPlan:
    """The plan with the batches of this process.

    Args:
        plan: of ``plan_sweep``.
        devices: that a batch is spread over.
        team: the processes that share the lanes of each shape.
        done: lanes that need not run.
    """
    batches = []
    for group in plan.shapes:
        for shape in group.shapes:
            lanes = [x for x in team.share(shape.lanes) if x.index not in done]
            if lanes:
                mine = shape._replace(lanes=tuple(lanes))
                most = plan.sweep.batch or _most_lanes(
                    group, mine, plan.available, devices
                )
                for part in split(mine, most):
                    each = _per_device(len(part.lanes), devices)
                    needed = predict(
                        work_of(group, part, lanes=each), platform=devices[0].platform
                    )
                    batches.append(BatchPlan(group.loaded, part, needed))
    seconds = sum(_seconds(batch, devices) for batch in batches)
    return plan._replace(batches=batches, seconds=seconds)


def _most_lanes(
    group: GroupPlan, shape: LaneShape, available: int | None, devices
) -> int:
    """Lanes that fit into memory side by side, at least one on each device."""
    platform = devices[0].platform
    most = MOST_PER_DEVICE.get(platform, MOST_PER_ACCELERATOR)
    # Devices of a CPU share its memory, and its cores.
    separate = len(devices) if platform != "cpu" else 1
    fitting = 1
    while fitting < most and available is not None:
        work = work_of(group, shape, lanes=fitting + 1)
        if predict(work, platform=platform) > available:
            break
        fitting += 1
    if available is None:
        fitting = most
    return max(fitting * separate, len(devices))


def _per_device(lanes: int, devices: Sequence[Device]) -> int:
    """Lanes in the memory that is counted: of one accelerator, or of the machine."""
    if devices[0].platform == "cpu":
        return lanes
    return math.ceil(lanes / len(devices))


def _steps(shape: LaneShape) -> int:
    """Evaluations of a lane, those of the starts of its scales included."""
    return sum(count + 1 for count in shape.iterations)


def _seconds(batch: BatchPlan, devices: Sequence[Device]) -> float:
    """By the rule of thumb; each step is a pass forward and one back."""
    widths = batch.loaded.layout.widths
    layers = [layer for layer in batch.loaded.weights.params if layer in widths]
    pairs = pairwise([3, *(widths[layer] for layer in layers)])
    per_pixel = sum(
        2 * 2 * 9 * before * after / 4 ** (block(layer) - 1)
        for layer, (before, after) in zip(layers, pairs, strict=True)
    )
    sides = zip(batch.shape.contents, batch.shape.iterations, strict=True)
    pixels = sum(height * width * (count + 1) for (height, width), count in sides)
    if devices[0].platform == "cpu":
        each = (per_pixel / CORE_SPEED + CORE_PIXEL) / (os.cpu_count() or 1)
    else:
        each = per_pixel / (ACCELERATOR_SPEED * len(devices))
    return len(batch.shape.lanes) * pixels * each


# --- in words ---------------------------------------------------------------------


def plan_text(plan: SweepPlan, *, devices: Sequence[Device], team: Team) -> list[str]:
    """Lines for the user: lanes, axes, batches and why they are apart, memory, time."""
    sweep, count = plan.sweep, len(plan.sweep.lanes)
    axes = " x ".join(f"{len(axis.labels)} {axis.name}" for axis in sweep.axes)
    lines = [f"sweep: {_several(count, 'lane')} ({sweep.combine}: {axes})"]
    lines += [f"  {axis.name}: {_some(axis.labels)}" for axis in sweep.axes]
    where = device_name(devices[0])
    if len(devices) > 1:
        where = f"{len(devices)} devices, each {where}"
    if team.processes > 1:
        where += f"; this is process {team.process} of {team.processes}"
    names = dict.fromkeys(group.loaded.weights.name for group in plan.shapes)
    lines.append(f"on {where} · {', '.join(names)}")
    for group, shapes in zip(plan.groups, plan.shapes, strict=True):
        for shape in shapes.shapes:
            lines.append(_shape_text(group, shape, several=len(shapes.shapes) > 1))
    left = sum(len(batch.shape.lanes) for batch in plan.batches)
    if left < count:
        here = " here" if team.processes > 1 else ""
        lines.append(f"to run{here}: {left} of {_several(count, 'lane')}")
    if plan.batches:
        lines += _batch_texts(plan)
    return lines


def _shape_text(group: Group, shape: LaneShape, *, several: bool) -> str:
    """Size, lanes and steps of one program, and why it is one of its own."""
    height, width = shape.contents[-1]
    count = len(shape.contents)
    # Two of one size are the stages of photorealism.
    kind = "scales" if len(set(shape.contents)) == count else "stages"
    scales = f" at {count} {kind}" if count > 1 else ""
    text = (
        f"  {_several(len(shape.lanes), 'lane')} of {width} x {height}, "
        f"{_several(sum(shape.iterations), 'iteration')} each{scales}"
    )
    reasons = [f"{name} {labels}" for name, labels in group.apart.items()]
    if several:
        reasons.append("pictures of this shape")
    return f"{text}; apart: {', '.join(reasons)}" if reasons else text


def _batch_texts(plan: SweepPlan) -> list[str]:
    sizes = list(dict.fromkeys(len(batch.shape.lanes) for batch in plan.batches))
    lanes = " or ".join(map(str, sorted(sizes)))
    memory = f"{max(batch.predicted for batch in plan.batches) / 1e9:.1f} GB"
    if plan.available is not None:
        memory += f" of {plan.available / 1e9:.1f} GB free"
        if max(batch.predicted for batch in plan.batches) > plan.available:
            memory += ", which is not enough by this estimate"
    return [
        f"{_several(len(plan.batches), 'batch', 'batches')}, {lanes} lanes side by "
        f"side; memory: about {memory}",
        f"time: very roughly {duration(plan.seconds)}; measured after the first steps",
    ]


def _several(count: int, one: str, more: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def _some(labels: Sequence[str]) -> str:
    """Labels of an axis; the middle of a long one is left out."""
    if len(labels) <= 12:
        return ", ".join(labels)
    return f"{', '.join(labels[:6])}, ..., {', '.join(labels[-3:])}"


def check_length(plan: SweepPlan, *, yes: bool) -> None:
    """Refuse a sweep that would take very long, unless that is meant.

    Raises:
        ValueError: saying how many lanes, and how long.
    """
    if plan.seconds > VERY_LONG and not yes:
        lanes = sum(len(batch.shape.lanes) for batch in plan.batches)
        raise ValueError(
            f"{_several(lanes, 'lane')} would take very roughly "
            f"{duration(plan.seconds)}: choose a smaller size, fewer iterations or "
            "fewer lanes; or go ahead with --yes"
        )


def refusal_of_many(error: TooManyLanes, *, progress=None) -> ValueError:
    """The error with how long so many lanes would take, judged by one of them.

    Args:
        error: of ``sweep_spec.spec.parse``.
        progress: called with bytes done and in all while weights are downloaded.

    Raises:
        ValueError: for whatever in that lane does not fit.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    devices = local_devices(error.config.device)
    sweep = Sweep((), (Lane(0, error.labels, error.config),), "list")
    one = with_batches(
        plan_sweep(sweep, devices=devices, progress=progress),
        devices=devices,
        team=Team(),
    )
    text = duration(error.count * one.seconds)
    return ValueError(f"{error}; they would take very roughly {text}")
