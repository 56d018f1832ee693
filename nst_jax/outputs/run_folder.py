"""The run folder: takes the records of a run and writes what is to be kept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.images.encode import PLAIN, Encoding
from nst_jax.images.io import save
from nst_jax.outputs import checkpoint
from nst_jax.outputs.files import (
    clear_temporaries,
    split_output,
    write_all,
    write_bytes,
    write_text,
)
from nst_jax.outputs.manifest import to_json
from nst_jax.outputs.plots import loss_plot
from nst_jax.outputs.trace import to_csv
from nst_jax.solve.loop import Record

SNAPSHOTS = (100, 200, 300, 500)
RESULT, PLOT, TRACE = "result.png", "losses.png", "trace.csv"
MANIFEST, CONFIG = "manifest.json", "config.yaml"
RESULTS = (RESULT, PLOT, TRACE, MANIFEST)


def snapshot_iterations(iterations: int, every: int | None) -> frozenset[int]:
    """Iterations at which a snapshot is written: the papers' usual ones, and every so
    many if asked for.
    """
    regular = range(every, iterations + 1, every) if every else ()
    return frozenset(i for i in (*SNAPSHOTS, *regular) if i <= iterations)


def check_inputs_survive(given: str | None, inputs: Iterable[str]) -> None:
    """Refuse an output that would replace a file which the run reads.

    Args:
        given: what ``--out`` says, or None.
        inputs: paths of files that the run reads.

    Raises:
        ValueError: naming the file.
    """
    folder, picture = split_output(given)
    if folder is None:
        return
    written = {path.resolve() for path in (*_results(folder), picture) if path}
    for path in inputs:
        if Path(path).resolve() in written:
            raise ValueError(
                f"{path}: the run reads this file and would overwrite it; choose "
                "another --out"
            )


def _results(folder: Path) -> list[Path]:
    """What a run writes into its folder, but for its config."""
    snapshots = (folder / "snapshots").glob("iteration_*.png")
    return [folder / name for name in RESULTS] + [*snapshots]


@dataclass
class RunFolder:
    """Where a run is kept.

    Attributes:
        folder: exists already.
        picture_file: a second place for the result, chosen by the user, or None.
        config: the resolved config as YAML, written as config.yaml.
        settings: text for the pictures' metadata.
        snapshots: iterations of which the picture is kept.
        alpha: the content's alpha channel at the result's size, or None.
        encoding: of all pictures.
        records: all so far, without solver states; of a run that goes on, from its
            beginning.
    """

    folder: Path
    picture_file: Path | None
    config: str
    settings: str
    snapshots: frozenset[int] = frozenset()
    alpha: np.ndarray | None = None
    encoding: Encoding = PLAIN
    records: list[Record] = field(default_factory=list)

    def begin(self, *, keep: bool = False) -> None:
        """Write the config; take away what an earlier run left here.

        Args:
            keep: the earlier run goes on: only what tells of its end is taken away.

        Raises:
            ValueError: naming the file that cannot be written or removed.
        """
        stale = _results(self.folder)
        for path in (*stale, self.folder / CONFIG):
            if path.is_dir():
                raise ValueError(f"{path}: is a folder; a file goes there")
        # Nothing is taken away if nothing can be written.
        write_text(self.folder / CONFIG, self.config)
        try:
            for path in [self.folder / MANIFEST] if keep else stale:
                path.unlink(missing_ok=True)
            if not keep:
                checkpoint.remove(self.folder)
            for place in (self.folder, self.folder / "snapshots"):
                clear_temporaries(place)
        except OSError as error:
            raise ValueError(f"{self.folder}: {error.strerror}") from error

    def take(self, record: Record) -> None:
        """Keep a record; some pictures in the middle of a run become snapshots.

        A record of the last iteration once more takes the place of the first.

        Raises:
            ValueError: naming the file that cannot be written.
        """
        if self.records and self.records[-1].iteration == record.iteration:
            self.records.pop()
        self.records.append(record._replace(state=None))
        if record.picture is not None and record.iteration in self.snapshots:
            self._snapshot(record)

    def _snapshot(self, record: Record) -> None:
        folder = self.folder / "snapshots"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise ValueError(f"{folder}: {error.strerror}") from error
        self._save(folder / f"iteration_{record.iteration:04d}.png", record)
        write_text(self.folder / TRACE, to_csv(self.records))

    def finish(self, manifest: dict[str, Any]) -> Path:
        """Write the result and everything about it; returns the result's path.

        A file that cannot be written does not keep the others from it.

        Raises:
            ValueError: naming the first file that could not be written.
        """
        last, result = self.records[-1], self.folder / RESULT
        writers: list[Callable[[], None]] = [partial(self._save, result, last)]
        if self.picture_file is not None:
            writers.append(partial(self._save, self.picture_file, last))
        writers += [
            lambda: write_text(self.folder / TRACE, to_csv(self.records)),
            lambda: write_text(self.folder / MANIFEST, to_json(manifest)),
            lambda: write_bytes(self.folder / PLOT, loss_plot(self.records)),
        ]
        write_all(writers)
        return self.picture_file or result

    def _save(self, path: Path, record: Record) -> None:
        assert record.picture is not None
        save(
            path,
            record.picture,
            alpha=self.alpha,
            settings=self.settings,
            encoding=self.encoding,
        )
