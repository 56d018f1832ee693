"""Going on with a run: what is left of it, and what may differ from then."""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax.config import Config, from_tree
from nst_jax.images.encode import Encoding
from nst_jax.images.io import load
from nst_jax.inputs import ALPHA, is_start_file, mask_files, repeatable, style_names
from nst_jax.outputs import checkpoint as checkpoints
from nst_jax.outputs.checkpoint import Checkpoint, restore
from nst_jax.outputs.progress import Quiet
from nst_jax.outputs.run_folder import CONFIG, MANIFEST, RESULT, RESULTS
from nst_jax.prepare import Prepared
from nst_jax.resolve import iterations_of, with_iterations
from nst_jax.result import Result
from nst_jax.solve.loop import Outcome, Resume
from nst_jax.yamltext import parse_yaml

# They decide how far a run goes, where, and what is written; not what each step does.
MAY_CHANGE = {
    *("device", "compile_cache", "output.dir", "output.every"),
    *("output.bits", "output.profile"),
    *("solver.iterations", "solver.scale_iterations", "solver.minutes"),
    "photorealism.stage_iterations",
    *("solver.tolerance", "solver.window", "solver.memory"),
    "solver.checkpoint_seconds",
}
# Files may have moved: they are known by their hashes.
BY_HASH = {"content": "content", "network.weights": "weights"}


class Earlier(NamedTuple):
    """What a run has left in its folder.

    Attributes:
        folder: its folder.
        config: resolved, as it was; None if nothing is left to go on with.
        hashes: of the input files, by name.
        checkpoint: the newest whole one, or None.
        manifest: of a run that came to an end, or None.
        notes: what the user should know.
    """

    folder: Path
    config: Config | None
    hashes: dict[str, str | None]
    checkpoint: Checkpoint | None
    manifest: dict[str, Any] | None
    notes: list[str]


def check_resume(config: Config, overwrite: bool) -> None:
    """Refuse ``--resume`` where it makes no sense.

    Raises:
        ValueError: as it says.
    """
    if overwrite:
        raise ValueError(
            "--resume goes on with a run and --overwrite replaces it: give one of them"
        )
    if config.output.dir is None:
        raise ValueError("--resume goes on with the run in --out FOLDER: give that")


def find(folder: Path) -> Earlier:
    """What a run has left in a folder, which need not exist.

    Raises:
        ValueError: if the folder holds something else, or a checkpoint of another
            version of nst-jax.
    """
    saved, notes = checkpoints.read(folder)
    manifest = _manifest(folder)
    if saved is not None:
        config = _config(saved.made_from["config"], folder / checkpoints.FOLDER)
        hashes = saved.made_from["hashes"]
    elif manifest is not None:
        config = _config((folder / CONFIG).read_text(), folder / CONFIG)
        hashes = hashes_of(manifest["inputs"], manifest["weights"])
    else:
        if not (folder / CONFIG).exists() and any(
            (folder / name).exists() for name in RESULTS
        ):
            raise ValueError(
                f"{folder}: holds no run to go on with; choose another --out"
            )
        config, hashes = None, {}
    return Earlier(folder, config, hashes, saved, manifest, notes)


def _manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest, if all that a finished run needs is there."""
    if not (folder / RESULT).exists() or not (folder / CONFIG).exists():
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        needed = ("inputs", "weights", "outcome", "scales", "seconds")
        return manifest if all(manifest.get(name) for name in needed) else None
    except (OSError, ValueError, AttributeError):
        return None


def _config(text: str, where: Path) -> Config:
    tree = parse_yaml(text, where=str(where))
    return from_tree(tree or {}, where=str(where))


def hashes_of(inputs: dict[str, Any], weights: dict[str, Any]) -> dict[str, str | None]:
    """SHA-256 of input files and weights, from the manifest's entries."""
    hashes = {name: entry.get("sha256") for name, entry in inputs.items()}
    return {**hashes, "weights": weights["sha256"]}


# --- what may differ --------------------------------------------------------------


def check_unchanged(
    earlier: Earlier, config: Config, hashes: dict[str, str | None]
) -> None:
    """Refuse to go on with other pictures, weights or settings.

    Args:
        earlier: with a config.
        config: resolved, as it is now.
        hashes: of the input files now.

    Raises:
        ValueError: naming the key, its old and its new value.
    """
    assert earlier.config is not None
    old, new = _flat(earlier.config), _flat(repeatable(config))
    by_hash = dict(BY_HASH)
    if is_start_file(str(old["start"])) and is_start_file(str(new["start"])):
        by_hash["start"] = "start"
    for name in (*style_names(earlier.config), *style_names(config)):
        by_hash["style" if name == "style" else f"styles, {name}"] = name
    masks = [*mask_files(earlier.config), *mask_files(config)]
    by_hash |= {f"regions, {name}": name for name in masks}
    for key, name in by_hash.items():
        if hashes.get(name) != earlier.hashes.get(name):
            was, now = (str(x.get(name))[:12] for x in (earlier.hashes, hashes))
            raise _changed(
                earlier,
                key,
                f"{old.get(key, '')} (SHA-256 {was}...)".strip(),
                f"{new.get(key, '')} ({now}...)".strip(),
            )
    for key in new:
        if key in MAY_CHANGE or key in by_hash:
            continue
        if old[key] != new[key]:
            raise _changed(earlier, key, _text(old[key]), _text(new[key]))


def check_size(earlier: Earlier, config: Config) -> None:
    """Refuse another size at once: scales that do not end at it would be blamed.

    Raises:
        ValueError: as ``check_unchanged``.
    """
    if earlier.config is not None and earlier.config.size != config.size:
        old, new = _text(earlier.config.size), _text(config.size)
        raise _changed(earlier, "size", old, new)


def _changed(earlier: Earlier, key: str, old: str, new: str) -> ValueError:
    return ValueError(
        f"{earlier.folder}: {key} was {old} and is now {new}: a run goes on as it "
        "began; leave that as it was, or choose another --out"
    )


def _text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _flat(record: Any, *, prefix: str = "") -> dict[str, Any]:
    """Values by key: ``objective.alpha`` and so on."""
    found = {}
    for field in dataclasses.fields(record):
        value, key = getattr(record, field.name), f"{prefix}{field.name}"
        if key == "styles" and value is not None:
            # Their pictures are known by their hashes.
            found[key] = [(s.weight, s.scale, s.layers, s.regions) for s in value]
        elif key in ("regions.content", "regions.style", "regions.styles"):
            # So are masks.
            found[key] = value if value in (None, ALPHA) else "masks"
        elif dataclasses.is_dataclass(value):
            found |= _flat(value, prefix=f"{key}.")
        else:
            found[key] = value
    return found


def is_finished(earlier: Earlier, config: Config) -> bool:
    """Whether a run came to its end, and ``config`` asks for no more of it."""
    manifest, old = earlier.manifest, earlier.config
    if manifest is None or old is None:
        return False
    code, made = manifest["outcome"]["code"], manifest["scales"][-1]["iterations"]
    solver = config.solver
    if code == "finished":
        return iterations_of(config)[-1] <= made
    if code == "time":
        seconds = manifest["seconds"]["total"]
        return solver.minutes is not None and 60 * solver.minutes <= seconds
    if code == "converged":
        then = old.solver.tolerance, old.solver.window
        return (solver.tolerance, solver.window) == then
    return code == "stalled"


def as_it_is(earlier: Earlier, reporter: Quiet) -> Result:
    """The result of a run that was finished already."""
    manifest, config, path = earlier.manifest, earlier.config, earlier.folder / RESULT
    assert manifest is not None
    assert config is not None
    outcome, picture = Outcome(**manifest["outcome"]), load(path)
    reporter.say(
        f"this run is at its end: {outcome.text}; for more of it ask for more "
        f"--iterations\n{path}"
    )
    encoding = Encoding(config.output.bits, picture.profile)
    return Result(
        picture.pixels,
        picture.alpha,
        [],
        outcome,
        config,
        manifest,
        earlier.folder,
        encoding,
    )


# --- going on ---------------------------------------------------------------------


def going_on(earlier: Earlier, prepared: Prepared) -> tuple[Prepared, Resume]:
    """What was prepared, as the checkpoint wants it, and where to go on.

    Scales that are done keep the iterations they made, and L-BFGS the length of its
    history, whatever fits into the memory now.

    Raises:
        ValueError: if ``solver.scale_iterations`` changes a scale that is done, or the
            checkpoint is of another version.
    """
    saved, old = earlier.checkpoint, earlier.config
    assert saved is not None
    assert old is not None
    last = saved.records[-1]
    done = iterations_of(old)[: last.scale]
    wanted = iterations_of(prepared.config)
    if wanted[: last.scale] != done:
        if prepared.config.solver.scale_iterations is not None:
            old_text, new_text = _text(iterations_of(old)), _text(wanted)
            raise _changed(earlier, "solver.scale_iterations", old_text, new_text)
        wanted = (*done, *wanted[last.scale :])
        prepared = prepared._replace(
            config=with_iterations(prepared.config, wanted),
            scales=tuple(
                scale._replace(iterations=count)
                for scale, count in zip(prepared.scales, wanted, strict=True)
            ),
        )
    solver = type(prepared.solver)(**saved.made_from["solver"])
    # Blocks computed again may round otherwise.
    network = prepared.network._replace(remat=tuple(saved.made_from["remat"]))
    prepared = prepared._replace(solver=solver, network=network)
    return prepared, Resume(last, restore(saved, solver))
