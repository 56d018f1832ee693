"""How much memory a run will need, and the options with which it fits.

A formula, not a compiler: the activations that the gradient needs, the solver's
vectors, the pictures, the weights, and what the process takes by itself. Its constants
stand together below. tests/test_memory.py holds the peaks that they were fitted to, and
says how these were measured.
"""

from collections.abc import Iterator
from itertools import groupby, pairwise, product
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

from nst_jax.features.layout import block
from nst_jax.features.vgg import Network
from nst_jax.types import Device

Memory = Literal["auto", "fast", "low"]
FLOAT = 4

# --- constants, fitted to peaks measured on CPUs ----------------------------------

# Python, JAX, our imports, and the compiler at work (which is 0.28 GB of it).
PROCESS = 720e6
# Of an accelerator's memory: the workspace of its libraries. An estimate.
ACCELERATOR = 500e6
# Weights: as read, as rescaled, flipped for the gradient, and left-overs in between.
PARAMS = 4.5
# Content, style and start, on the host and on the device: bytes per pixel.
PICTURES = 60
# A further style picture, on the host and on the device.
STYLE_PICTURE = 24
# A matting Laplacian: 25 numbers per pixel, and those of coarser scales.
MATTING = 25 * FLOAT * 1.5
# L-BFGS or Adam within a step: bytes per pixel.
STEP = 40
# Of the largest layer: its gradient and the one that becomes it; more where blocks
# are computed again.
GRADIENTS, GRADIENTS_REMAT = 2.0, 2.5
# A forward pass without a gradient, of the largest layer.
FORWARD = 3.0
# Share of the float32 memory that bfloat16 features take (on a CPU).
BFLOAT16 = 0.85
# A longer history hardly helps; a shorter one costs iterations.
LEAST_HISTORY = 5
SHORTER_HISTORIES = (10, LEAST_HISTORY)


class Work(NamedTuple):
    """What decides on the memory of a run.

    Attributes:
        network: as it will be used; its ``remat`` counts.
        content: height and width of the result; of the largest, if there are several.
        style: height and width of the style picture.
        layers: layers that have targets.
        history: correction pairs of L-BFGS; None for Adam.
        pictures: bytes of the pictures as they were read, if they stay in memory.
        lanes: how many results are made at once.
        more_styles: pixels of the style pictures besides the largest.
        regions: of the content; 0: its style is the same everywhere.
        rounded: whether pairs are kept in bfloat16, which pays on a CPU only: there
            the bytes of the history are much of a step.
        mattings: matting Laplacians in memory.
    """

    network: Network
    content: tuple[int, int]
    style: tuple[int, int]
    layers: tuple[str, ...]
    history: int | None
    pictures: int = 0
    lanes: int = 1
    more_styles: int = 0
    regions: int = 0
    rounded: bool = False
    mattings: int = 0


class Plan(NamedTuple):
    """The options chosen.

    Attributes:
        work: with its ``history`` and ``network.remat`` chosen.
        predicted: bytes at the peak.
        available: bytes the run may have, or None if that is not known.
        text: a line for the user.
    """

    work: Work
    predicted: int
    available: int | None
    text: str


def plan(
    work: Work,
    *,
    memory: Memory = "auto",
    available: int | None,
    platform: str = "cpu",
) -> Plan:
    """Choose blocks to compute twice, and the history, so that the run fits.

    Args:
        work: as asked for.
        memory: "auto" takes the first that fits of: as asked, blocks 1 and 2 computed
            twice, all blocks twice; then these three with a history of 10, and of 5.
            "low" takes the one that needs least. "fast" is as asked, and never refused.
        available: bytes the run may have (see ``available_bytes``); None if not known.
        platform: "cpu", "gpu" or "tpu".

    Raises:
        ValueError: if nothing fits; names the largest size that does.
    """
    work = work._replace(rounded=work.rounded and platform == "cpu")
    options = list(_options(work))
    leanest = min(options, key=lambda option: predict(option, platform=platform))
    if memory != "auto":
        options = [work if memory == "fast" else leanest]
    for option in options:
        predicted = predict(option, platform=platform)
        if memory == "fast" or available is None or predicted <= available:
            text = _text(work, option, predicted, available)
            return Plan(option, predicted, available, text)
    raise ValueError(_refusal(work, leanest, available, platform))


def predict(work: Work, *, platform: str = "cpu") -> int:
    """Bytes at the peak of a run: of the process on a CPU, else of the device.

    The largest of three moments: the targets are made, a step is made, or the solver's
    state is copied for a checkpoint.
    """
    height, width = work.content
    pixels = height * width
    largest = max(_layer_bytes(work.network, work.layers).values())
    rounded = work.rounded and platform == "cpu"
    state = work.lanes * pixels * _state_bytes(work.history, rounded)
    resident = (
        (PROCESS if platform == "cpu" else ACCELERATOR)
        + PARAMS * _params_bytes(work.network)
        + work.lanes * pixels * PICTURES
        + work.more_styles * STYLE_PICTURE
        + work.mattings * pixels * MATTING
        + (work.pictures if platform == "cpu" else 0)
    )
    preparing = FORWARD * largest * max(pixels, work.style[0] * work.style[1])
    # On a CPU the gradients of two lanes at a time are computed (solve/lanes.py).
    at_once = min(work.lanes, 2) if platform == "cpu" else work.lanes
    step = work.lanes * pixels * STEP
    step += at_once * pixels * _activation_bytes(work.network, work.layers)
    # Each region has its own responses, as they are weighted by its guide.
    sizes = _layer_bytes(work.network, work.layers)
    step += at_once * pixels * work.regions * sum(sizes[one] for one in work.layers)
    return round(resident + max(preparing, state + step, 2 * state))


def available_bytes(device: Device) -> int | None:
    """Bytes that a run on this device may have, or None where that is not known.

    On a CPU what this process has already counts as available.
    """
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        if "bytes_limit" not in stats:
            return None
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    free = [psutil.virtual_memory().available, *_free_in_groups(Path("/"))]
    return min(free) + psutil.Process().memory_info().rss


# --- the formula ----------------------------------------------------------------


def _layer_bytes(network: Network, layers: tuple[str, ...]) -> dict[str, float]:
    """Bytes of each response that is computed, per pixel of the picture."""
    names = list(network.layers)
    running = names[: max(names.index(layer) for layer in layers) + 1]
    widths = dict(network.widths)
    return {layer: FLOAT * widths[layer] / 4 ** (block(layer) - 1) for layer in running}


def _activation_bytes(network: Network, layers: tuple[str, ...]) -> float:
    """Bytes per pixel while the gradient is computed."""
    sizes = _layer_bytes(network, layers)
    kept, again = 0.0, 0.0
    for number, names in groupby(sizes, block):
        inside = [sizes[name] for name in names]
        # Which of the four the maximum was is kept, too.
        total = sum(inside) + (inside[-1] if network.pooling == "max" else 0)
        if number in network.remat:
            again = max(again, total)
        else:
            kept += total
    gradients = GRADIENTS_REMAT if network.remat else GRADIENTS
    padding = 0.0 if network.padding == "zeros" else 0.5
    total = max(kept, again) + (gradients + padding) * max(sizes.values())
    return total * (BFLOAT16 if str(network.precision) == "bfloat16" else 1.0)


def _state_bytes(history: int | None, rounded: bool) -> int:
    """Bytes of the solver's state per pixel: pictures, gradients, and its own."""
    if history is None:
        return FLOAT * 5 * 3
    pair = 2 * 3 * (FLOAT // 2 if rounded else FLOAT)
    return FLOAT * 4 * 3 + history * pair


def _params_bytes(network: Network) -> int:
    widths = [3, *(width for _, width in network.widths)]
    pairs = pairwise(widths)
    return FLOAT * sum(9 * before * after + after for before, after in pairs)


# --- the choice -----------------------------------------------------------------


def _options(work: Work) -> Iterator[Work]:
    """As asked for, and then what gives way: first time, then history."""
    network = work.network
    everything = tuple(sorted({block(layer) for layer in network.layers}))
    remats = [network.remat]
    remats += [more for more in ((1, 2), everything) if set(more) > set(network.remat)]
    histories = [work.history]
    if work.history is not None:
        histories += [fewer for fewer in SHORTER_HISTORIES if fewer < work.history]
    for history, remat in product(histories, remats):
        yield work._replace(network=network._replace(remat=remat), history=history)


def _text(asked: Work, chosen: Work, predicted: int, available: int | None) -> str:
    text = f"memory: about {_size(predicted)}"
    if available is None:
        text += "; how much is free is not known here"
    else:
        text += f" of {_size(available)} free"
        if predicted > available:
            text += ", which is not enough by this estimate"
    changes = []
    if chosen.network.remat != asked.network.remat:
        blocks = [str(number) for number in chosen.network.remat]
        named = " and ".join(filter(None, [", ".join(blocks[:-1]), blocks[-1]]))
        changes.append(f"blocks {named} computed twice")
    if chosen.history != asked.history:
        changes.append(f"history {chosen.history}")
    return f"{text}; to save memory: {', '.join(changes)}" if changes else text


def _refusal(asked: Work, leanest: Work, available: int | None, platform: str) -> str:
    assert available is not None
    longer = max(asked.content)
    needed = _size(predict(leanest, platform=platform))
    text = f"size {longer} needs about {needed} of memory, and {_size(available)} are "
    text += "free"
    size = largest_size(leanest, available=available, platform=platform)
    if size is None:
        return f"{text}; no size fits: free some memory"
    return f"{text}; the largest size that fits is {size}"


def largest_size(work: Work, *, available: int, platform: str = "cpu") -> int | None:
    """The largest longer side with which the work fits, or None if there is none.

    A multiple of 8; the shapes of both pictures stay as they are.
    """
    fits, too_large = 0, max(work.content) // 8 + 1
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        smaller = _resized(work, 8 * middle)
        if predict(smaller, platform=platform) <= available:
            fits = middle
        else:
            too_large = middle
    return 8 * fits or None


def _resized(work: Work, size: int) -> Work:
    factor = size / max(work.content)
    # Rounded up: a side that is larger by a pixel must fit, too.
    content, style = (
        (int(side[0] * factor) + 1, int(side[1] * factor) + 1)
        for side in (work.content, work.style)
    )
    more = int(work.more_styles * factor**2)
    return work._replace(content=content, style=style, more_styles=more)


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


# --- control groups -------------------------------------------------------------


def _free_in_groups(root: Path) -> list[int]:
    """Bytes that the control groups of this process (Linux, containers) leave free."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount, limit, usage = root / "sys/fs/cgroup", "max", "current"
        elif "memory" in controllers.split(","):
            mount = root / "sys/fs/cgroup/memory"
            limit, usage = "limit_in_bytes", "usage_in_bytes"
        else:
            continue
        # Limits of the groups around this one count, too.
        folder = mount / path.strip("/")
        for group in [folder, *folder.parents]:
            if group.is_relative_to(mount):
                found.append(_free_in_group(group, limit, usage))
    return [free for free in found if free is not None]


def _free_in_group(group: Path, limit: str, usage: str) -> int | None:
    try:
        most = int((group / f"memory.{limit}").read_text())
        used = int((group / f"memory.{usage}").read_text())
        lines = (group / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # no such file, or "max"
        return None
    stat = dict(line.split() for line in lines)
    # Copies of files, which make room when it is needed.
    reclaimable = int(stat.get("inactive_file", 0)) + int(stat.get("active_file", 0))
    return max(0, most - used + reclaimable)
