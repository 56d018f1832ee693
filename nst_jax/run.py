"""A run from end to end: ``run`` from a config and files, ``stylize`` from arrays.

The one place where the config is unpacked and the stages are joined.
"""

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import chain
from os import PathLike
from typing import Any

import numpy as np

from nst_jax.config import Config, changed, to_yaml
from nst_jax.host import on_device, use_compile_cache
from nst_jax.images.io import load
from nst_jax.inputs import (
    expand_home,
    input_files,
    picture_files,
    repeatable,
    settings_text,
    styles_of,
)
from nst_jax.modes.multiscale import Sums, multiscale
from nst_jax.outputs import checkpoint
from nst_jax.outputs.checkpoint import Checkpoints
from nst_jax.outputs.files import FolderLock, check_output, claim_folder, split_output
from nst_jax.outputs.progress import Quiet
from nst_jax.outputs.progress import reporter as make_reporter
from nst_jax.outputs.run_folder import (
    RunFolder,
    check_inputs_survive,
    snapshot_iterations,
)
from nst_jax.prepare import Prepared, prepare
from nst_jax.result import Result, inputs_of, result_of
from nst_jax.resume import (
    Earlier,
    as_it_is,
    check_resume,
    check_size,
    check_unchanged,
    find,
    going_on,
    hashes_of,
    is_finished,
)
from nst_jax.signals import Stop, stoppable
from nst_jax.solve.loop import Record, Resume
from nst_jax.sources import (
    content_of,
    file_name,
    picture_of,
    start_picture,
    style_keys,
    style_sources,
)
from nst_jax.tell import say_failures, say_headline, say_where


def stylize(
    content: "str | PathLike | np.ndarray | None",
    style: "str | PathLike | np.ndarray | Sequence",
    *,
    style_weights: Sequence[float] | None = None,
    style_scale: float = 1.0,
    regions: Mapping[str, Any] | None = None,
    texture: Sequence[int] | None = None,
    tileable: bool = False,
    start: str | PathLike | None = None,
    size: int = 512,
    scales: str | Sequence[int] | None = None,
    seed: int = 0,
    device: str | None = None,
    network: Mapping[str, Any] | None = None,
    objective: Mapping[str, Any] | None = None,
    solver: Mapping[str, Any] | None = None,
    colours: Mapping[str, Any] | None = None,
    photorealism: Mapping[str, Any] | None = None,
    on_record: Callable[[Record], None] | None = None,
    progress: bool = False,
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
        content: a file, or an array (h, w, 3 or 4): uint8, or float in [0, 1]; None
            for a texture.
        style: likewise; or a list of several, which are blended. Each may be a mapping
            with keys of ``styles``: ``{"picture": "a.jpg", "layers": ["conv1_1"]}``.
        style_weights: of several styles; only their ratios count.
        style_scale: size of the styles, times the content's: larger ones have larger
            strokes.
        regions: keys of the section ``regions``.
        texture: width and height of a texture, instead of a content and a size.
        tileable: whether opposite edges of the result fit together.
        start: "noise", "content", "style" or a file; None: as the preset says.
        size: longer side of the result in pixels.
        scales: longer sides from coarse to fine, "auto" or "sqrt2"; None: one scale.
        seed: seed of the noise.
        device: "cpu", "gpu", "tpu", "gpu:1"; None: the best there is.
        network: keys of the section ``network``.
        objective: keys of the section ``objective``.
        solver: keys of the section ``solver``.
        colours: keys of the section ``colours``.
        photorealism: keys of the section ``photorealism``.
        on_record: called with each record as it comes.
        progress: whether to show how far it is.

    Raises:
        ValueError: for whatever in settings, weights or pictures does not fit.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    began = time.perf_counter()
    sections = {
        "network": network,
        "objective": objective,
        "solver": solver,
        "colours": colours,
        "photorealism": photorealism,
        "regions": regions,
        "texture": texture,
    }
    sources = style_sources(style)
    config = changed(
        Config(),
        **{name: section for name, section in sections.items() if section},
        tileable=tileable,
        size=size if texture is None else max(texture),
        scales=scales,
        seed=seed,
        device=device,
        start=start,
        content=None if content is None else file_name(content),
        style_scale=style_scale,
        **style_keys(style, style_weights, [file_name(one) for one in sources]),
    )
    config = expand_home(config)
    styles = [picture_of(one) for one in sources]
    own = content_of(config) if content is None else picture_of(content)
    pictures = own, styles, start_picture(config.start)
    with (
        on_device(config.device) as device,
        use_compile_cache(config.compile_cache),
        stoppable() as stop,
    ):
        reporter = make_reporter(quiet=not progress)
        stop.on_ask = reporter.stopping
        prepared = prepare(
            config, *pictures, device=device, progress=stop.checking(None)
        )
        inputs, kept = inputs_of(prepared), []
        say_headline(reporter, prepared, device)
        with reporter:
            for record in _solve(prepared, stop, began):
                kept.append(record._replace(state=None))
                reporter.take(kept[-1])
                if on_record is not None:
                    on_record(kept[-1])
        return result_of(prepared, kept, inputs, device, began)


def run(
    config: Config,
    *,
    overwrite: bool = False,
    resume: bool = False,
    reporter: Quiet | None = None,
    began: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
) -> Result:
    """Run a config and write the run folder.

    Args:
        config: with ``content`` and ``style`` set.
        overwrite: whether an existing output may be replaced.
        resume: go on with the run in the output folder, if there is one.
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
    picture_files(config)  # are named
    if resume:
        check_resume(config, overwrite)
    check_output(config.output.dir, size=config.size, overwrite=overwrite or resume)
    check_inputs_survive(config.output.dir, input_files(config))
    styles = [load(str(style.picture)) for style in styles_of(config)]
    pictures = content_of(config), styles, start_picture(config.start)
    for picture in filter(None, [pictures[0], *styles, pictures[2]]):
        for note in picture.notes:
            reporter.say(f"note: {picture.name}: {note}")
    with (
        on_device(config.device) as device,
        use_compile_cache(config.compile_cache),
        nullcontext(stop) if stop else stoppable() as stop,
        FolderLock() as lock,
    ):
        stop.on_ask = reporter.stopping
        stop.check()
        earlier = _earlier(config, lock) if resume else None
        prepared = prepare(
            config, *pictures, device=device, progress=stop.checking(progress)
        )
        stop.check()
        inputs = inputs_of(prepared)
        hashes = hashes_of(inputs, {"sha256": prepared.weights.sha256})
        going = None
        if earlier is not None and earlier.config is not None:
            check_unchanged(earlier, prepared.config, hashes)
            if is_finished(earlier, prepared.config):
                return as_it_is(earlier, reporter)
            if earlier.checkpoint is not None:
                prepared, going = going_on(earlier, prepared)
                began -= going.record.seconds
        say_headline(reporter, prepared, device)
        say_where(reporter, earlier, going)
        kept = _checkpoints(prepared, hashes)
        with reporter:
            folder = _fill_folder(
                prepared, earlier, going, kept, reporter, stop, lock, began
            )
        result = result_of(prepared, folder.records, inputs, device, began)
        try:
            path = folder.finish(result.manifest)
        finally:
            can_go_on = kept.finish()
            say_failures(reporter, kept)
    reporter.say(f"{result.outcome.text}\n{path}")
    if can_go_on and result.outcome.code == "interrupted":
        place = shlex.quote(config.output.dir or str(folder.folder))
        reporter.say(f"go on with: nst-jax stylize --resume --out {place}")
    return result._replace(folder=folder.folder)


def _fill_folder(
    prepared: Prepared,
    earlier: Earlier | None,
    going: Resume | None,
    kept: Checkpoints,
    reporter: Quiet,
    stop: Stop,
    lock: FolderLock,
    began: float,
) -> RunFolder:
    before = earlier.checkpoint.records if earlier and earlier.checkpoint else []
    pauses = snapshot_iterations(_total(prepared), prepared.config.output.every)
    records = _solve(
        prepared,
        stop,
        began,
        pauses=pauses,
        keep_state=kept.due if prepared.config.solver.checkpoint_seconds else None,
        going=going,
        totals=[float(record.terms.total) for record in before],
    )
    # The first record shows that the start can be evaluated at all. Nothing is left
    # to be refused: only now is anything made, replaced, or worth saving.
    first = next(records)
    stop.check()
    folder = _folder(prepared, pauses, lock)
    if going is None:
        folder.begin()
    else:
        if earlier is not None and earlier.notes:
            # Damaged: it must not take the place of the one that is whole.
            checkpoint.remove(folder.folder, names=[checkpoint.CURRENT])
        folder.records.extend(before)
        folder.begin(keep=True)
    kept.folder = folder.folder
    for record in chain([first], records):
        reporter.take(record)
        _keep(folder, record, reporter)
        if record.state is not None:
            kept.take([*folder.records[:-1], record])
        say_failures(reporter, kept)
    return folder


def _solve(
    prepared: Prepared,
    stop: Stop,
    began: float,
    *,
    pauses: frozenset[int] = frozenset(),
    keep_state: Callable[[], bool] | None = None,
    going: Resume | None = None,
    totals: Sequence[float] = (),
) -> Iterator[Record]:
    """Records with their pictures finished; their states are the solver's own."""
    limits = prepared.config.solver
    records = multiscale(
        prepared.scales,
        prepared.start,
        extract=prepared.extract,
        params=prepared.params,
        solver=prepared.solver,
        minutes=limits.minutes,
        tolerance=limits.tolerance,
        window=limits.window,
        pauses=pauses,
        should_stop=lambda: stop.asked,
        keep_state=keep_state,
        began=began,
        statistic=prepared.statistic,
        circular=prepared.config.tileable,
        resume=going,
        totals=totals,
    )
    before = Sums() if going is None else going.record
    for record in records:
        if record.picture is not None:
            record = record._replace(picture=prepared.finish(record.picture))
        yield record._replace(
            compile_seconds=before.compile_seconds + record.compile_seconds,
            solve_seconds=before.solve_seconds + record.solve_seconds,
        )


def _total(prepared: Prepared) -> int:
    """Number of the last iteration, counted through all scales from 0."""
    return sum(scale.iterations + 1 for scale in prepared.scales) - 1


def _keep(folder: RunFolder, record: Record, reporter: Quiet) -> None:
    try:
        folder.take(record)
    except ValueError as error:
        # A full disk must not cost the run: its end may find room again.
        reporter.say(f"warning: no snapshot: {error}")


def _folder(
    prepared: Prepared, snapshots: frozenset[int], lock: FolderLock
) -> RunFolder:
    wanted, picture_file = split_output(prepared.config.output.dir)
    config = repeatable(prepared.config)
    path = claim_folder(wanted)
    lock.hold(path)
    return RunFolder(
        path,
        picture_file,
        f"# Run again with: nst-jax stylize --config THIS_FILE\n{to_yaml(config)}",
        settings_text(config),
        snapshots,
        prepared.alpha,
        prepared.encoding,
    )


# --- going on ---------------------------------------------------------------------


def _earlier(config: Config, lock: FolderLock) -> Earlier:
    folder, _ = split_output(config.output.dir)
    assert folder is not None
    if folder.is_dir():
        lock.hold(folder)
    earlier = find(folder)
    check_size(earlier, config)
    return earlier


def _checkpoints(prepared: Prepared, hashes: dict[str, str | None]) -> Checkpoints:
    made_from = {
        "config": to_yaml(repeatable(prepared.config)),
        "hashes": hashes,
        "solver": prepared.solver._asdict(),  # pyright: ignore
        "remat": prepared.network.remat,
    }
    return Checkpoints(
        made_from,
        seconds=prepared.config.solver.checkpoint_seconds,
        scale_iterations=[scale.iterations for scale in prepared.scales],
    )
