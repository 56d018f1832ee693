"""A run from end to end: ``run`` from a config and files, ``stylize`` from arrays.

The one place where the config is unpacked and the stages are joined.
"""

import io
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from nst_jax.config import Config, changed, to_yaml
from nst_jax.host import on_device
from nst_jax.images.initial import STARTS
from nst_jax.images.io import Picture, from_array, load, save, to_uint8
from nst_jax.modes.single import single
from nst_jax.outputs import manifest as manifests
from nst_jax.outputs.files import check_output, claim_folder, split_output
from nst_jax.outputs.progress import Quiet
from nst_jax.outputs.run_folder import (
    RunFolder,
    check_inputs_survive,
    snapshot_iterations,
)
from nst_jax.prepare import Prepared, prepare
from nst_jax.resolve import (
    expand_home,
    input_files,
    is_start_file,
    repeatable,
    settings_text,
)
from nst_jax.signals import Stop, stoppable
from nst_jax.solve.loop import Outcome, Record
from nst_jax.types import Device


class Result(NamedTuple):
    """What a run gives back.

    Attributes:
        picture: float32 (h, w, 3), clipped to [0, 1].
        alpha: float32 (h, w), the content's, or None.
        records: one per iteration, with the losses; record 0 is the start.
        outcome: why the run ended.
        config: resolved: with it and the same pictures, the run can be repeated.
        manifest: versions, device, weights, seconds, evaluations, memory.
        folder: the run folder, or None.
    """

    picture: np.ndarray
    alpha: np.ndarray | None
    records: list[Record]
    outcome: Outcome
    config: Config
    manifest: dict[str, Any]
    folder: Path | None = None

    def __repr__(self) -> str:
        """Short: a notebook shows the last value of a cell."""
        height, width = self.picture.shape[:2]
        return f"<nst_jax.Result {width} x {height}: {self.outcome.text}>"

    def _repr_png_(self) -> bytes:
        """The picture, for notebooks."""
        buffer = io.BytesIO()
        Image.fromarray(to_uint8(self.picture)).save(buffer, "PNG")
        return buffer.getvalue()

    def save(self, path: str | PathLike) -> None:
        """Write the picture; the ending chooses the format.

        Raises:
            ValueError: if it cannot be written.
        """
        save(path, self.picture, alpha=self.alpha, settings=settings_text(self.config))


def stylize(
    content: "str | PathLike | np.ndarray",
    style: "str | PathLike | np.ndarray",
    *,
    start: str | PathLike | None = None,
    size: int = 512,
    seed: int = 0,
    device: str | None = None,
    network: Mapping[str, Any] | None = None,
    objective: Mapping[str, Any] | None = None,
    solver: Mapping[str, Any] | None = None,
    on_record: Callable[[Record], None] | None = None,
) -> Result:
    """Stylise one picture, from Python.

    The keywords are the keys of the config; a section is a mapping::

        result = nst_jax.stylize(
            "town.jpg", "night.jpg", size=384,
            network={"weights": "vgg19"}, objective={"alpha": 1e-2},
            solver={"iterations": 300},
        )
        result.save("out.png")

    Args:
        content: a file, or an array (h, w, 3 or 4): uint8, or float in [0, 1].
        style: likewise.
        start: "noise", "content", "style" or a file; None: as the preset says.
        size: longer side of the result in pixels.
        seed: seed of the noise.
        device: "cpu", "gpu", "tpu", "gpu:1"; None: the best there is.
        network: keys of the section ``network``.
        objective: keys of the section ``objective``.
        solver: keys of the section ``solver``.
        on_record: called with each record as it comes.

    Raises:
        ValueError: for whatever in settings, weights or pictures does not fit.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    began = time.perf_counter()
    sections = {"network": network, "objective": objective, "solver": solver}
    config = changed(
        Config(),
        **{name: section for name, section in sections.items() if section},
        size=size,
        seed=seed,
        device=device,
        start=start,
        content=_file_name(content),
        style=_file_name(style),
    )
    config = expand_home(config)
    pictures = _picture(content), _picture(style), _start_picture(config)
    with on_device(config.device) as device, stoppable() as stop:
        prepared = prepare(config, *pictures, progress=_checking(stop, None))
        inputs, kept = _inputs(prepared), []
        for record in _solve(prepared, frozenset(), stop, began):
            kept.append(record)
            if on_record is not None:
                on_record(record)
        return _result(prepared, kept, inputs, device, began)


def run(
    config: Config,
    *,
    overwrite: bool = False,
    reporter: Quiet | None = None,
    began: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
) -> Result:
    """Run a config and write the run folder.

    Args:
        config: with ``content`` and ``style`` set.
        overwrite: whether an existing output may be replaced.
        reporter: told about each step; silent by default.
        began: ``time.perf_counter()`` value at which the process began.
        progress: called with bytes done and in all while weights are downloaded.
        stop: asked whether to end; if None, Ctrl-C and SIGTERM are heeded.

    Raises:
        KeyboardInterrupt: if asked to end before there is anything to save.
        ValueError: for bad input, before anything is overwritten, and for an output
            that cannot be written.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    began = time.perf_counter() if began is None else began
    reporter = reporter or Quiet()
    config = expand_home(config)
    content, style = config.content, config.style
    if content is None or style is None:
        missing = "content" if content is None else "style"
        raise ValueError(f"no {missing} picture: give --{missing} FILE")
    check_output(config.output.dir, size=config.size, overwrite=overwrite)
    check_inputs_survive(config.output.dir, input_files(config))
    pictures = load(content), load(style), _start_picture(config)
    for picture in filter(None, pictures):
        for note in picture.notes:
            reporter.say(f"note: {picture.name}: {note}")
    with (
        on_device(config.device) as device,
        nullcontext(stop) if stop else stoppable() as stop,
    ):
        stop.on_ask = reporter.stopping
        stop.check()
        prepared = prepare(config, *pictures, progress=_checking(stop, progress))
        stop.check()
        inputs = _inputs(prepared)
        iterations = prepared.config.solver.iterations
        headline = _headline(prepared, device)
        reporter.headline(headline, iterations, note=prepared.note)
        with reporter:
            folder = _fill_folder(prepared, reporter, stop, began)
        result = _result(prepared, folder.records, inputs, device, began)
        path = folder.finish(result.manifest)
    reporter.say(f"{result.outcome.text}\n{path}")
    return result._replace(folder=folder.folder)


def _fill_folder(prepared: Prepared, reporter: Quiet, stop: Stop, began) -> RunFolder:
    config = prepared.config
    pauses = snapshot_iterations(config.solver.iterations, config.output.every)
    records = _solve(prepared, pauses, stop, began)
    # The first record shows that the start can be evaluated at all. Nothing is left
    # to be refused: only now is anything made, replaced, or worth saving.
    first = next(records)
    stop.check()
    folder = _folder(prepared, pauses)
    for record in chain([first], records):
        reporter.take(record)
        _keep(folder, record, reporter)
    return folder


def _checking(stop: Stop, progress) -> Callable[[int, int], None]:
    """``progress``, by which a download ends if the run is asked to."""

    def show(done: int, total: int) -> None:
        stop.check()
        if progress is not None:
            progress(done, total)

    return show


def _solve(prepared: Prepared, pauses, stop: Stop, began) -> Iterator[Record]:
    return single(
        prepared.content,
        prepared.style,
        prepared.start,
        extract=prepared.network,
        params=prepared.params,
        weights=prepared.loss_weights,
        solver=prepared.solver,
        iterations=prepared.config.solver.iterations,
        pauses=pauses,
        should_stop=lambda: stop.asked,
        began=began,
    )


def _keep(folder: RunFolder, record: Record, reporter: Quiet) -> None:
    try:
        folder.take(record)
    except ValueError as error:
        # A full disk must not cost the run: its end may find room again.
        reporter.say(f"warning: no snapshot: {error}")


def _folder(prepared: Prepared, snapshots: frozenset[int]) -> RunFolder:
    wanted, picture_file = split_output(prepared.config.output.dir)
    config = repeatable(prepared.config)
    folder = RunFolder(
        claim_folder(wanted),
        picture_file,
        f"# Run again with: nst-jax stylize --config THIS_FILE\n{to_yaml(config)}",
        settings_text(config),
        snapshots,
        prepared.alpha,
    )
    folder.begin()
    return folder


def _result(
    prepared: Prepared, records, inputs: dict[str, Any], device: Device, began: float
) -> Result:
    last = records[-1]
    picture = np.clip(last.picture, 0, 1)
    manifest = _manifest(prepared, last, inputs, device, began)
    return Result(
        picture, prepared.alpha, records, last.outcome, prepared.config, manifest
    )


def _inputs(prepared: Prepared) -> dict[str, Any]:
    """The pictures that were read, before anybody changes them."""
    config = prepared.config
    shapes = {"content": prepared.content.shape, "style": prepared.style.shape}
    files = {"content": config.content, "style": config.style}
    if config.start and is_start_file(config.start):
        shapes["start"], files["start"] = prepared.start.shape, config.start
    return {name: manifests.input_entry(files[name], shapes[name]) for name in shapes}


def _manifest(
    prepared: Prepared, last: Record, inputs, device: Device, began: float
) -> dict[str, Any]:
    config, weights = prepared.config, prepared.weights
    total = time.perf_counter() - began
    return {
        "versions": manifests.versions(),
        "device": manifests.device_name(device),
        "weights": {
            "name": weights.name,
            "sha256": weights.sha256,
            "source": weights.source,
            "licence": weights.licence,
            "note": prepared.note,
        },
        "inputs": inputs,
        "seed": config.seed,
        "seconds": {
            "compile": round(last.compile_seconds, 3),
            "solve": round(last.solve_seconds, 3),
            "total": round(total, 3),
        },
        "evaluations": last.evaluations,
        "refused_steps": last.refused,
        "peak_memory_bytes": manifests.peak_memory_bytes(device),
        "outcome": last.outcome._asdict() if last.outcome else None,
    }


def _headline(prepared: Prepared, device: Device) -> str:
    height, width = prepared.content.shape[:2]
    return (
        f"{manifests.device_name(device)} · {prepared.weights.name} "
        f"({prepared.network.pooling} pooling) · {width} x {height} · "
        f"{prepared.config.solver.iterations} iterations"
    )


def _start_picture(config: Config) -> Picture | None:
    """The starting picture, if the config names a file.

    Raises:
        ValueError: if there is no such file, or it is no picture.
    """
    start = config.start
    if start is None or not is_start_file(start):
        return None
    if not Path(start).exists():
        raise ValueError(f"start {start!r}: no such file, nor {', '.join(STARTS)}")
    return load(start)


def _picture(source) -> Picture:
    if isinstance(source, str | PathLike):
        return load(os.path.expanduser(source))
    return from_array(source)


def _file_name(source) -> str | None:
    return str(source) if isinstance(source, str | PathLike) else None
