"""The run folder: takes the records of a run and writes what is to be kept."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.images.io import WRITABLE, save
from nst_jax.outputs.files import write_bytes, write_text
from nst_jax.outputs.manifest import to_json
from nst_jax.outputs.plots import loss_plot
from nst_jax.outputs.trace import to_csv
from nst_jax.solve.loop import Record

SNAPSHOTS = (100, 200, 300, 500)


def snapshot_iterations(iterations: int, every: int | None) -> frozenset[int]:
    """Iterations at which a snapshot is written: the papers' usual ones, and every so
    many if asked for.
    """
    regular = range(every, iterations + 1, every) if every else ()
    return frozenset(i for i in (*SNAPSHOTS, *regular) if i <= iterations)


@dataclass
class RunFolder:
    """Where a run is kept.

    Attributes:
        folder: exists already.
        picture_file: a second place for the result, chosen by the user, or None.
        config: the resolved config as YAML, written as config.yaml.
        settings: text for the pictures' metadata.
        alpha: the content's alpha channel at the result's size, or None.
        records: all records so far.
    """

    folder: Path
    picture_file: Path | None
    config: str
    settings: str
    alpha: np.ndarray | None = None
    records: list[Record] = field(default_factory=list)

    def begin(self) -> None:
        """Write the config; take away what an earlier run left here.

        Raises:
            ValueError: naming the file that cannot be written or removed.
        """
        names = [f"result{ending}" for ending in WRITABLE]
        names += ["losses.png", "trace.csv", "manifest.json"]
        stale = [self.folder / name for name in names]
        stale += (self.folder / "snapshots").glob("iteration_*.png")
        try:
            for path in stale:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise ValueError(f"{self.folder}: {error.strerror}") from error
        write_text(self.folder / "config.yaml", self.config)

    def take(self, record: Record) -> None:
        """Keep a record; a picture in the middle of a run becomes a snapshot.

        Raises:
            ValueError: naming the file that cannot be written.
        """
        self.records.append(record)
        if record.picture is not None and record.iteration > 0:
            self._snapshot(record)

    def _snapshot(self, record: Record) -> None:
        if record.outcome and record.iteration not in SNAPSHOTS:
            return
        folder = self.folder / "snapshots"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise ValueError(f"{folder}: {error.strerror}") from error
        self._save(folder / f"iteration_{record.iteration:04d}.png", record)
        write_text(self.folder / "trace.csv", to_csv(self.records))

    def finish(self, manifest: dict[str, Any]) -> Path:
        """Write the result and everything about it; returns the result's path.

        Raises:
            ValueError: naming the file that cannot be written.
        """
        result = self.folder / "result.png"
        self._save(result, self.records[-1])
        if self.picture_file is not None:
            self._save(self.picture_file, self.records[-1])
        write_text(self.folder / "trace.csv", to_csv(self.records))
        write_text(self.folder / "manifest.json", to_json(manifest))
        write_bytes(self.folder / "losses.png", loss_plot(self.records))
        return self.picture_file or result

    def _save(self, path: Path, record: Record) -> None:
        assert record.picture is not None
        save(path, record.picture, alpha=self.alpha, settings=self.settings)
