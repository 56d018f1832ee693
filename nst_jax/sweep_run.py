"""A sweep from end to end: its lanes in batches, and its folder."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nst_jax.config import Config
from nst_jax.features.rescale import TapParams
from nst_jax.host import use_compile_cache
from nst_jax.judge import Judge, judge_text
from nst_jax.outputs import sweep_folder
from nst_jax.outputs.files import FolderLock
from nst_jax.outputs.lanes import LaneResult, trouble
from nst_jax.outputs.progress import Quiet
from nst_jax.outputs.sweep_folder import NOT_DONE
from nst_jax.prepare_sweep import Batch, prepare_batches
from nst_jax.prepare_sweep import run as run_batch
from nst_jax.signals import Stop, stoppable
from nst_jax.solve.loop import Outcome, Record
from nst_jax.sweep_lanes import input_hashes, lane_result, missing
from nst_jax.sweep_plan import (
    BatchPlan,
    SweepPlan,
    check_length,
    plan_sweep,
    plan_text,
    with_batches,
)
from nst_jax.sweep_result import SweepResult, outcomes_text
from nst_jax.sweep_scores import judge_of, score, seen_by
from nst_jax.sweep_spec.spec import Sweep
from nst_jax.sweep_store import (
    Store,
    batch_entry,
    check_folder,
    facts_of,
    manifest_of,
    sweep_yaml,
)
from nst_jax.team import Team, begin, local_devices, say_end, wait_for
from nst_jax.types import Device

NO_JUDGE = (
    "no held_out score: the network that judged the first lanes is not here any more"
)
SHOW_SECONDS = 0.1  # between two steps of the progress that are shown


def run_sweep(
    base: Config,
    sweep: Sweep,
    *,
    write: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    yes: bool = False,
    keep_records: bool = False,
    reporter: Quiet | None = None,
    began: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
    team: Team | None = None,
) -> SweepResult:
    """Run a sweep and write its folder.

    Args:
        base: what all lanes have in common; ``output.dir`` is the folder.
        sweep: its lanes.
        write: whether to write a folder at all.
        overwrite: whether an existing folder may be replaced.
        resume: run only what is missing in the folder.
        yes: whether a sweep that takes very long is meant.
        keep_records: whether the result has the records of each lane.
        reporter: told about each step; silent by default.
        began: ``time.perf_counter()`` value at which the process began.
        progress: called with bytes done and in all while weights are downloaded.
        stop: asked whether to end; if None, Ctrl-C and SIGTERM are heeded.
        team: the processes that share the lanes; None: this one alone.

    Raises:
        KeyboardInterrupt: if asked to end before there is anything to save.
        ValueError: for bad input, before anything is overwritten, and for a folder
            that cannot be written.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    began = time.perf_counter() if began is None else began
    team, reporter = team or Team(), reporter or Quiet()
    wanted = None
    if write:
        wanted = _check_folder(base, sweep, team, overwrite=overwrite, resume=resume)
    with (
        nullcontext(stop) if stop else stoppable() as stop,
        use_compile_cache(base.compile_cache),
        FolderLock() as lock,
    ):
        stop.on_ask = reporter.stopping
        devices = local_devices(base.device)
        with jax.default_device(devices[0]):
            plan = plan_sweep(sweep, devices=devices, progress=stop.checking(progress))
            hashes = input_hashes(sweep, plan.shapes)
            store = Store(plan, hashes, sweep_yaml(base, sweep))
            done = _earlier(store, wanted, reporter) if resume and wanted else {}
            earlier = sweep_folder.read_manifest(wanted) if done and wanted else None
            judge = judge_of(plan.shapes, earlier=(earlier or {}).get("judge"))
            plan = with_batches(plan, devices=devices, team=team, done=done)
            for line in plan_text(plan, devices=devices, team=team):
                reporter.say(line)
            for line in judge_text(judge) if judge else [NO_JUDGE]:
                reporter.say(line)
            check_length(plan, yes=yes)
            stop.check()
            work = _Work(plan, store, judge, reporter, stop, began, devices, team, done)
            work.keep_records = keep_records
            token = 0
            if write:
                manifest = work.manifest(None)

                def make() -> None:
                    store.make(wanted, lock, manifest, keep=resume)

                token = begin(team, make)
                store.folder = store.folder or wanted
            with reporter:
                work.run()
            return work.finish(token)


def _check_folder(base: Config, sweep: Sweep, team: Team, **options) -> Path | None:
    """``check_folder``, by the first process; the others end if it refuses."""
    found: list[Path | None] = []
    begin(team, lambda: found.append(check_folder(base, sweep, **options)))
    if team.is_first:
        return found[0]
    assert base.output.dir is not None
    return Path(base.output.dir).expanduser()


def _earlier(store: Store, folder: Path, reporter: Quiet) -> dict[int, LaneResult]:
    done, count = store.find_done(folder), len(store.plan.sweep.lanes)
    if done is None:
        reporter.say(f"{folder}: nothing to go on with; starting from the beginning")
        return {}
    reporter.say(f"{folder}: {len(done)} of {count} lanes are done already")
    return done


@dataclass
class _Work:
    """A sweep at work: the lanes that are done, and what there is to say of them."""

    plan: SweepPlan
    store: Store
    judge: Judge | None
    reporter: Quiet
    stop: Stop
    began: float
    devices: Sequence[Device]
    team: Team
    results: dict[int, LaneResult]
    records: dict[int, list[Record]] = field(default_factory=dict)
    configs: dict[int, Config] = field(default_factory=dict)
    batches: list[dict[str, Any]] = field(default_factory=list)
    failures: list[ValueError] = field(default_factory=list)
    keep_records: bool = False
    steps: int = 0
    shown: float = 0.0

    # --- the lanes --------------------------------------------------------------

    def run(self) -> None:
        """Run all batches, or until asked to end."""
        batches = self.plan.batches
        if not batches:
            return
        count = len(batches)
        notes = [batch.loaded.note for batch in batches]
        self.reporter.headline(
            f"running {sum(len(batch.shape.lanes) for batch in batches)} lanes",
            [
                (
                    max(max(batch.shape.contents[-1]) for batch in batches),
                    self.plan.steps,
                )
            ],
            note=next(filter(None, notes), None),
        )
        for number, (planned, batch) in enumerate(_prepared(batches, self.devices), 1):
            if self.stop.asked:
                return
            self._run_batch(planned, batch)
            if count > 1:
                lanes = [self.results[lane.index] for lane in batch.lanes]
                self.reporter.say(f"batch {number} of {count}: {outcomes_text(lanes)}")
            if self.stop.asked:
                return

    def _run_batch(self, planned: BatchPlan, batch: Batch) -> None:
        before, steps = time.perf_counter(), self.steps
        for note in dict.fromkeys(note for one in batch.prepared for note in one.notes):
            self.reporter.say(f"note: {note}")
        records: list[list[Record]] = [[] for _ in batch.lanes]
        pictures: dict[int, np.ndarray] = {}
        for number, record in run_batch(
            batch,
            should_stop=lambda: self.stop.asked,
            began=self.began,
            devices=self.devices if len(self.devices) > 1 else (),
        ):
            self._show(record)
            if record.outcome is not None:
                assert record.picture is not None
                pictures[number] = record.picture
            kept = record._replace(state=None, picture=None)
            records[number].append(kept)
        seconds = (time.perf_counter() - before) / len(batch.lanes)
        self.steps = steps + len(batch.lanes) * sum(
            n + 1 for n in planned.shape.iterations
        )
        seen = seen_by(self.judge, batch.prepared) if self.judge else None
        for number, picture in sorted(pictures.items()):
            params = seen[number] if seen else None
            self._lane_done(batch, number, records[number], picture, seconds, params)
        self.batches.append(batch_entry(planned, batch.lanes, records))

    def _show(self, record: Record) -> None:
        """One bar for all lanes: it counts the steps of all of them."""
        self.steps += 1
        now = time.perf_counter()
        if now - self.shown >= SHOW_SECONDS:
            self.shown = now
            self.reporter.take(
                record._replace(
                    iteration=self.steps,
                    seconds=now - self.began,
                    scale=0,
                    picture=None,
                    outcome=None,
                )
            )

    def _lane_done(
        self,
        batch: Batch,
        number: int,
        records: list[Record],
        picture,
        seconds: float,
        params: TapParams | None,
    ) -> None:
        lane, prepared = batch.lanes[number], batch.prepared[number]
        picture = np.clip(picture, 0, 1).astype(np.float32)
        scores = {}
        code = records[-1].outcome.code if records[-1].outcome else None
        if np.isfinite(picture).all() and code not in NOT_DONE:
            style, judge = prepared.styles[0].picture, self.judge
            extract, layers = (judge.extract, judge.layers) if judge else (None, ())
            scores = score(extract, params, picture, style, layers)
            # Scores are of what the solver made of the style that it saw.
            picture = np.clip(prepared.finish(picture), 0, 1).astype(np.float32)
        found = lane_result(
            lane,
            self.plan.sweep,
            records,
            picture=picture,
            scores=scores,
            seconds=seconds,
        )
        if trouble(found) == "diverged":
            self.reporter.say(f"lane {lane.index:04d} diverged: {found.text}")
        try:
            found = self.store.save(lane, found, records, prepared)
        except ValueError as error:
            # A full disk must not cost the other lanes.
            self.reporter.say(f"warning: lane {lane.index:04d}: {error}")
            self.failures.append(error)
        self.results[lane.index] = found
        self.configs[lane.index] = prepared.config
        if self.keep_records:
            self.records[lane.index] = records

    # --- the end ----------------------------------------------------------------

    def finish(self, token: int) -> SweepResult:
        """Wait for the other processes, and write what shows all lanes.

        Raises:
            ValueError: naming the first file that could not be written.
        """
        team, folder = self.team, self.store.folder
        others = [n for n in range(team.processes) if n != team.process]
        if folder is not None and others and not team.is_first:
            say_end(folder, team, token, self._outcome().code)
            wait_for(folder, [0], token, stop=lambda: self.stop.asked)
        elif folder is not None and others:
            self.reporter.say("waiting for the other processes")
            wait_for(folder, others, token, stop=lambda: self.stop.asked)
            self.results = self.store.done_in(folder) | self.results
        result = self._result()
        try:
            if folder is not None and team.is_first:
                self._write(folder, result)
        finally:
            if folder is not None and others and team.is_first:
                say_end(folder, team, token, result.outcome.code)
        if self.failures:
            raise self.failures[0]
        return result

    def _write(self, folder: Path, result: SweepResult) -> None:
        names = " x ".join(axis.name for axis in self.plan.sweep.axes)
        try:
            sweep_folder.write_overview(
                folder,
                result.lanes,
                grid=result.grid,
                settings=self.store.config,
                facts=facts_of(result.manifest),
                title=f"Sweep: {names}",
            )
        finally:
            sweep_folder.write_manifest(folder, result.manifest)

    def _lanes(self) -> list[LaneResult]:
        """All lanes for the first process, else this process's own."""
        sweep = self.plan.sweep
        return [
            self.results.get(lane.index) or missing(lane, sweep)
            for lane in sweep.lanes
            if self.team.is_first or lane.index in self.results
        ]

    def _outcome(self) -> Outcome:
        lanes = self._lanes()
        left = sum(lane.outcome in NOT_DONE for lane in lanes)
        if left:
            text = f"stopped: {len(lanes) - left} of {len(lanes)} lanes are done"
            return Outcome("interrupted", text)
        return Outcome("finished", f"{len(lanes)} lanes: {outcomes_text(lanes)}")

    def _result(self) -> SweepResult:
        lanes, outcome, sweep = self._lanes(), self._outcome(), self.plan.sweep
        configs = {lane.index: lane.config for lane in sweep.lanes} | self.configs
        axes = {axis.name: axis.labels for axis in sweep.axes}
        return SweepResult(
            lanes,
            [self.records.get(lane.index, []) for lane in lanes],
            [configs[lane.index] for lane in lanes],
            axes if sweep.combine == "grid" else None,
            outcome,
            self.manifest(outcome),
            self.store.folder,
        )

    def manifest(self, outcome: Outcome | None) -> dict[str, Any]:
        """See ``manifest_of``."""
        return manifest_of(
            self.plan,
            self._lanes(),
            outcome,
            hashes=self.store.hashes,
            judge=self.judge.entry() if self.judge else None,
            batches=self.batches,
            devices=self.devices,
            processes=self.team.processes,
            began=self.began,
        )


def _prepared(
    batches: Iterable[BatchPlan], devices: Sequence[Device]
) -> Iterator[tuple[BatchPlan, Batch]]:
    """Batches, each prepared when its turn comes; those of one network share it."""
    for _, same in groupby(batches, key=lambda batch: id(batch.loaded)):
        planned = list(same)
        shapes = [batch.shape for batch in planned]
        ready = prepare_batches(planned[0].loaded, shapes, devices=devices)
        yield from zip(planned, ready, strict=True)
