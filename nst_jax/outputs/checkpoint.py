"""checkpoint/: all that a run needs to go on after it was killed.

Two files, the current one and the one before, each a NumPy .npz without pickles: the
solver's state, the records so far, and what the run was made from. A file is whole or
it is not used: each of its arrays carries a checksum.
"""

import contextlib
import json
import os
import threading
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.outputs.files import clear_temporaries, temporary_in
from nst_jax.solve.loop import Record
from nst_jax.solve.state import Solver, State
from nst_jax.types import LossTerms

FOLDER, CURRENT, PREVIOUS = "checkpoint", "current.npz", "previous.npz"
VERSION = 1  # of the format
WHOLE = ("iteration", "evaluations", "size", "refused", "scale")
CLOCKS = ("seconds", "compile_seconds", "solve_seconds")
TERMS = ("total", "content", "style", "tv")
STATE = "state"  # what the names of the state's arrays begin with


class Checkpoint(NamedTuple):
    """A moment of a run.

    Attributes:
        records: all so far, without pictures and states.
        arrays: the solver's state, by name; see ``restore``.
        made_from: the resolved config, hashes of inputs, the solver's options.
    """

    records: list[Record]
    arrays: dict[str, np.ndarray]
    made_from: dict[str, Any]


def checkpoint(records: Sequence[Record], made_from: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint after a record that carries the solver's state.

    Args:
        records: all so far.
        made_from: what can be written as JSON.
    """
    last = records[-1]
    assert last.state is not None
    kept = [r._replace(picture=None, outcome=None, state=None) for r in records]
    return Checkpoint(kept, _named(last.state), dict(made_from))


def restore(saved: Checkpoint, solver: Solver) -> State:
    """The solver's state.

    Raises:
        ValueError: if it is not a state of this solver.
    """
    picture = saved.arrays.get(f"{STATE}.picture", np.zeros((1, 1, 3), np.float32))
    terms = jax.tree.map(lambda _: jnp.zeros(()), saved.records[-1].terms)
    shapes = jax.eval_shape(
        partial(solver.init, lambda x: (jnp.sum(x), terms)),
        jax.ShapeDtypeStruct(picture.shape, picture.dtype),
    )
    expected = _named(shapes)
    if {k: v.shape for k, v in expected.items()} != {
        k: v.shape for k, v in saved.arrays.items()
    }:
        raise ValueError(
            "the checkpoint was written by another version of nst-jax; go on with that "
            "one, or begin again with --overwrite"
        )
    leaves = [saved.arrays[name] for name in expected]
    return jax.tree.unflatten(jax.tree.structure(shapes), leaves)


def _named(state) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return {STATE + jax.tree_util.keystr(path): leaf for path, leaf in leaves}


# --- files ------------------------------------------------------------------------


def write(run_folder: Path, saved: Checkpoint) -> None:
    """Write a checkpoint; the one before is kept.

    Raises:
        ValueError: naming the file that cannot be written.
    """
    folder = run_folder / FOLDER
    temporary = temporary_in(folder)
    try:
        folder.mkdir(exist_ok=True)
        clear_temporaries(folder)
        try:
            with temporary.open("wb") as file:
                np.savez(file, **_to_arrays(saved))  # pyright: ignore[reportArgumentType]
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                os.replace(folder / CURRENT, folder / PREVIOUS)
            os.replace(temporary, folder / CURRENT)
        finally:
            temporary.unlink(missing_ok=True)
        _sync(folder)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written ({error.strerror})") from error


def read(run_folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint, or None; and notes on those that are damaged.

    Raises:
        ValueError: if it was written by another version of nst-jax.
    """
    notes = []
    for name in (CURRENT, PREVIOUS):
        path = run_folder / FOLDER / name
        try:
            return _read(path), notes
        except FileNotFoundError:
            continue
        except _Damaged as error:
            notes.append(f"{path}: damaged ({error}); not used")
    return None, notes


def remove(run_folder: Path, *, names: Sequence[str] = (CURRENT, PREVIOUS)) -> None:
    """Take checkpoints away; what else is in their folder stays."""
    folder = run_folder / FOLDER
    with contextlib.suppress(OSError):
        for name in names:
            (folder / name).unlink(missing_ok=True)
        clear_temporaries(folder)
        folder.rmdir()  # fails if anything is left in it


class _Damaged(Exception):
    pass


def _sync(folder: Path) -> None:
    """Let the folder's entries reach the disk; only POSIX can say so."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(path: Path) -> Checkpoint:
    try:
        # NumPy leaves a damaged file that it opened itself open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about")))
    except FileNotFoundError:
        raise
    # What a cut or altered zip file, array header or text leads to.
    except (
        OSError, EOFError, KeyError, ValueError, NotImplementedError, MemoryError,
        RuntimeError, zipfile.BadZipFile, zlib.error, SyntaxError, TypeError,
    ) as error:  # fmt: skip
        raise _Damaged(str(error).splitlines()[0] if str(error) else "cut") from error
    if about.get("version") != VERSION:
        raise ValueError(
            f"{path}: written by another version of nst-jax (format "
            f"{about.get('version')}; this one reads {VERSION}); go on with that one, "
            "or begin again with --overwrite"
        )
    layers = about["content_layers"], about["style_layers"]
    records = _from_columns(arrays, *layers, more=about.get("photorealism", False))
    state = {k: v for k, v in arrays.items() if k.startswith(STATE)}
    return Checkpoint(records, state, about["made_from"])


# --- records <-> columns ----------------------------------------------------------


def _to_arrays(saved: Checkpoint) -> dict[str, np.ndarray]:
    records, terms = saved.records, saved.records[-1].terms
    about = {
        "version": VERSION,
        "content_layers": list(terms.content_layers),
        "style_layers": list(terms.style_layers),
        "photorealism": terms.photorealism is not None,
        "made_from": saved.made_from,
    }
    columns = {
        name: np.array([getattr(record, name) for record in records])
        for name in (*WHOLE, *CLOCKS)
    }
    columns["terms"] = np.array([_flat(record.terms) for record in records], np.float64)
    return {"about": np.array(json.dumps(about)), **columns, **saved.arrays}


def _flat(terms: LossTerms) -> list[Any]:
    parts = [getattr(terms, name) for name in TERMS]
    parts += [*terms.content_layers.values(), *terms.style_layers.values()]
    return parts if terms.photorealism is None else [*parts, terms.photorealism]


def _from_columns(
    arrays, content: list[str], style: list[str], *, more: bool
) -> list[Record]:
    columns = {name: arrays[name].tolist() for name in (*WHOLE, *CLOCKS)}
    split = len(TERMS) + len(content)
    end = split + len(style)
    return [
        Record(
            **{name: values[i] for name, values in columns.items()},
            terms=LossTerms(
                **dict(zip(TERMS, row, strict=False)),
                content_layers=dict(zip(content, row[len(TERMS) : split], strict=True)),
                style_layers=dict(zip(style, row[split:end], strict=True)),
                photorealism=row[end] if more else None,
            ),
        )
        for i, row in enumerate(arrays["terms"].tolist())
    ]


# --- during a run -----------------------------------------------------------------


class Checkpoints:
    """Writes a run's checkpoints beside it, without holding it up.

    Attributes:
        failures: what could not be written, in words; the reader takes them away.
    """

    def __init__(
        self,
        made_from: Mapping[str, Any],
        *,
        seconds: float,
        scale_iterations: Sequence[int],
    ) -> None:
        """What all of them have in common.

        Args:
            made_from: see ``checkpoint``.
            seconds: between two; 0 for none.
            scale_iterations: of each scale.
        """
        self.failures: list[str] = []
        # None: there is no run folder yet.
        self.folder: Path | None = None
        self._made_from, self._seconds = made_from, seconds
        self._scale_iterations = scale_iterations
        self._last = time.perf_counter()
        self._end: Sequence[Record] = ()
        self._thread: threading.Thread | None = None

    def due(self) -> bool:
        """Whether it is time for one."""
        if not self._seconds or self.folder is None:
            return False
        if self._thread is not None and self._thread.is_alive():
            return False
        return time.perf_counter() - self._last >= self._seconds

    def take(self, records: Sequence[Record]) -> None:
        """Begin to write one if it is time; the end of the run is for ``finish``.

        Args:
            records: all so far; the last one has a state.
        """
        assert records[-1].state is not None
        if records[-1].outcome is not None:
            self._end = records
        elif self.due():
            self._last = time.perf_counter()
            saved = self._checkpoint(records)
            self._thread = threading.Thread(target=self._write, args=(saved,))
            self._thread.start()

    def finish(self) -> bool:
        """At the end of a run: keep its last moment, or tidy up.

        A run that finished within the time between two checkpoints leaves none: to
        run it again is as quick.

        Returns:
            whether there is a checkpoint of the last record.
        """
        if self._thread:
            self._thread.join()
        if not self._seconds:
            return False
        last = self._end[-1]
        assert last.outcome is not None
        assert self.folder is not None
        interrupted = last.outcome.code == "interrupted"
        took = last.compile_seconds + last.solve_seconds
        if not (interrupted or took > self._seconds):
            remove(self.folder)
            return False
        if not self._write(self._checkpoint(self._end)):
            return False
        if not interrupted:
            remove(self.folder, names=[PREVIOUS])
        return True

    def _checkpoint(self, records: Sequence[Record]) -> Checkpoint:
        last = records[-1]
        assert last.state is not None
        scales = self._scale_iterations
        # The last record of a scale tells of its best picture, from which the next
        # scale starts; that of a run does so too, but a run that goes on is not there.
        done = last.state.evaluations > scales[last.scale]
        if last.outcome is not None and not (done and last.scale < len(scales) - 1):
            terms = jax.tree.map(float, last.state.terms)
            records = [*records[:-1], last._replace(terms=terms)]
        return checkpoint(records, self._made_from)

    def _write(self, saved: Checkpoint) -> bool:
        assert self.folder is not None
        try:
            write(self.folder, saved)
        except ValueError as error:
            self.failures.append(str(error))
            return False
        return True
