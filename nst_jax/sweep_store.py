"""What a sweep keeps of itself: its definition, its manifest, the lanes that are done.

A store is the folder of a sweep, or none: then everything stays in memory.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_jax import config as configs
from nst_jax.config import Config, to_yaml
from nst_jax.inputs import expand_home, input_files, repeatable, settings_text
from nst_jax.outputs import manifest as manifests
from nst_jax.outputs import sweep_folder
from nst_jax.outputs.files import FolderLock, check_output, claim_folder, write_text
from nst_jax.outputs.lanes import LaneResult
from nst_jax.outputs.run_folder import CONFIG
from nst_jax.prepare import Prepared
from nst_jax.solve.loop import Outcome, Record
from nst_jax.sweep_lanes import as_it_runs, digest
from nst_jax.sweep_plan import BatchPlan, SweepPlan
from nst_jax.sweep_spec.command_line import read
from nst_jax.sweep_spec.section import check_same, section_of
from nst_jax.sweep_spec.spec import Lane, Sweep
from nst_jax.types import Device
from nst_jax.yamltext import dump_yaml


def check_folder(
    base: Config, sweep: Sweep, *, overwrite: bool, resume: bool
) -> Path | None:
    """Where the sweep goes; refuses a place before any work is done.

    Returns:
        The folder; None: the next numbered one.

    Raises:
        ValueError: if it exists and may not be replaced, cannot be written to, or
            holds a file that the sweep reads.
    """
    given = base.output.dir
    if overwrite and resume:
        raise ValueError(
            "--resume goes on with a sweep and --overwrite replaces it: give one of "
            "them"
        )
    if given is None:
        if resume:
            raise ValueError("--resume goes on with the sweep in --out FOLDER: give it")
        return None
    folder = Path(given).expanduser()
    if folder.suffix.lower() in sweep_folder.PICTURES:
        raise ValueError(
            f"{given}: a sweep writes a folder; give a name without ending"
        )
    check_output(given, size=base.size, overwrite=overwrite or resume)
    inputs = {
        path for lane in sweep.lanes for path in input_files(expand_home(lane.config))
    }
    sweep_folder.check_inputs_survive(folder, sorted(inputs), clear=not resume)
    return folder


def sweep_yaml(base: Config, sweep: Sweep) -> str:
    """The config file that makes the same sweep again, from any folder."""
    base = as_it_runs(base)
    section = dump_yaml({"sweep": section_of(sweep)})
    head = "# Run again with: nst-jax sweep --config THIS_FILE"
    return f"{head}\n{to_yaml(base)}{section}"


def manifest_of(
    plan: SweepPlan,
    lanes: Sequence[LaneResult],
    outcome: Outcome | None,
    *,
    hashes: Mapping[str, str | None],
    judge: Mapping[str, Any] | None,
    batches: Sequence[Mapping[str, Any]],
    devices: Sequence[Device],
    processes: int,
    began: float,
) -> dict[str, Any]:
    """What made the sweep, for manifest.json.

    Args:
        plan: what was to be done.
        lanes: those that are known.
        outcome: None before the end.
        hashes: of the inputs.
        judge: the network that judges the lanes, and at which layers.
        batches: entries of those that this process ran.
        devices: of this process.
        processes: how many share the lanes.
        began: ``time.perf_counter()`` value at which the process began.
    """
    sweep, device = plan.sweep, devices[0]
    weights = {group.loaded.weights.name: group.loaded.weights for group in plan.shapes}
    return {
        "versions": manifests.versions(),
        "device": manifests.device_name(device),
        "devices": len(devices),
        "processes": processes,
        "weights": {
            name: {"sha256": w.sha256, "source": w.source, "licence": w.licence}
            for name, w in weights.items()
        },
        "judge": judge,
        "inputs": dict(hashes),
        "axes": {axis.name: list(axis.labels) for axis in sweep.axes},
        "combine": sweep.combine,
        "lanes": len(sweep.lanes),
        "outcomes": dict(Counter(lane.outcome for lane in lanes)),
        "batches": list(batches),
        "seconds": round(time.perf_counter() - began, 3),
        "evaluations": sum(batch["evaluations"] for batch in batches),
        "peak_memory_bytes": manifests.peak_memory_bytes(device),
        "outcome": outcome._asdict() if outcome else None,
    }


def batch_entry(
    planned: BatchPlan, lanes: Sequence[Lane], records: Sequence[Sequence[Record]]
) -> dict[str, Any]:
    """What the manifest says of a batch."""
    last = [lane[-1] for lane in records if lane]
    height, width = planned.shape.contents[-1]
    return {
        "lanes": [lane.index for lane in lanes],
        "height": height,
        "width": width,
        "compile_seconds": round(max((r.compile_seconds for r in last), default=0), 3),
        "solve_seconds": round(max((r.solve_seconds for r in last), default=0), 3),
        "evaluations": sum(record.evaluations for record in last),
        "predicted_memory_bytes": planned.predicted,
    }


def facts_of(manifest: dict[str, Any]) -> dict[str, str]:
    """What the report tells besides the lanes."""
    versions, judge = manifest["versions"], manifest["judge"]
    judged = f"{judge['network']}, at {', '.join(judge['layers'])}" if judge else ""
    return {
        "outcome": manifest["outcome"]["text"],
        "device": manifest["device"],
        "weights": ", ".join(manifest["weights"]),
        **({"judge of held_out": judged} if judge else {}),
        "seconds": str(manifest["seconds"]),
        "evaluations": str(manifest["evaluations"]),
        "versions": ", ".join(f"{name} {versions[name]}" for name in versions),
    }


@dataclass
class Store:
    """The folder of a sweep.

    Attributes:
        plan: of the sweep.
        hashes: of its inputs.
        config: see ``sweep_yaml``.
        folder: None: nothing is written.
    """

    plan: SweepPlan
    hashes: dict[str, str | None]
    config: str
    folder: Path | None = None

    def find_done(self, folder: Path) -> dict[int, LaneResult] | None:
        """The lanes that an earlier sweep in a folder has done; None without one.

        Raises:
            ValueError: if that sweep was another one, naming what differs.
        """
        manifest = sweep_folder.read_manifest(folder)
        if manifest is None or not (folder / CONFIG).exists():
            return None
        base = configs.load(folder / CONFIG)
        old = read(folder / CONFIG, [], base, many=True)
        check_same(*map(_as_it_runs, (old, self.plan.sweep)), where=str(folder))
        for name, known in manifest.get("inputs", {}).items():
            if self.hashes.get(name, known) != known:
                raise ValueError(
                    f"{folder}: {name} is not what it was: a sweep goes on as it "
                    "began; choose another --out"
                )
        return self.done_in(folder)

    def done_in(self, folder: Path) -> dict[int, LaneResult]:
        """Lanes of this sweep that are done and whole in a folder."""
        found = {}
        for lane in self.plan.sweep.lanes:
            own = digest(lane, self.hashes)
            done = sweep_folder.saved_lane(folder, lane.index, digest=own)
            if done is not None:
                found[lane.index] = done
        return found

    def make(
        self,
        wanted: Path | None,
        lock: FolderLock,
        manifest: dict[str, Any],
        *,
        keep: bool,
    ) -> None:
        """Make the folder, or empty it of an earlier sweep, and say what is in it.

        Args:
            wanted: where; None: the next numbered folder.
            lock: to keep other sweeps out.
            manifest: as it is before the end.
            keep: whether to keep the lanes that are there.

        Raises:
            ValueError: if it cannot be made or written to.
        """
        folder = claim_folder(wanted)
        lock.hold(folder)
        if not keep:
            sweep_folder.clear(folder)
        write_text(folder / CONFIG, self.config)
        sweep_folder.write_manifest(folder, manifest)
        self.folder = folder

    def save(
        self,
        lane: Lane,
        found: LaneResult,
        records: Sequence[Record],
        prepared: Prepared,
    ) -> LaneResult:
        """Write a lane; returns it without its picture, which need not stay in memory.

        Raises:
            ValueError: naming the file that cannot be written.
        """
        if self.folder is None:
            return found
        config = repeatable(prepared.config)
        head = "# Run it alone with: nst-jax stylize --config THIS_FILE"
        sweep_folder.save_lane(
            self.folder,
            found,
            records,
            config=f"{head}\n{to_yaml(config)}",
            settings=settings_text(config),
            digest=digest(lane, self.hashes),
            alpha=prepared.alpha,
            encoding=prepared.encoding,
        )
        return found._replace(picture=None)


def _as_it_runs(sweep: Sweep) -> Sweep:
    lanes = [lane._replace(config=as_it_runs(lane.config)) for lane in sweep.lanes]
    return sweep._replace(lanes=tuple(lanes))
