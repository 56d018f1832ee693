"""Where experiments are made: runs through the public API, and their judge.

A lab can be broken on purpose (``settings.VARIANTS``): the runs are then made wrongly,
while whatever judges them stays right. Laws must notice.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import nst_jax
from nst_jax.config import Config, changed
from nst_jax.features.layout import BLOCK_CHANNELS, layer_names
from nst_jax.features.random_weights import random_weights
from nst_jax.features.weights import write
from nst_jax.images.initial import cover
from nst_jax.images.io import load, save
from nst_jax.outputs.lanes import trouble
from nst_jax.run import run as run_config
from scripts.papers.judge import Judge
from scripts.papers.settings import (
    EARLY,
    ORDER,
    PLAIN,
    QUICK_PART,
    RANDOM,
    SEED,
    SWAPPED,
    TERMS,
    Settings,
)


class Run(NamedTuple):
    """A run that was made.

    Attributes:
        picture: float32 (h, w, 3) in [0, 1].
        terms: losses at the end by name; see trace.csv.
        trace: a dict of losses per iteration; the number of the iteration is its place.
        seconds: of solving; of a sweep's lane, its share of compiling, too.
        raw: the picture before it was clipped to [0, 1]; None of a sweep's lane.
    """

    picture: np.ndarray
    terms: dict[str, float]
    trace: list[dict[str, float]]
    seconds: float
    raw: np.ndarray | None = None

    def at(self, iteration: int, term: str = "total") -> float:
        """A loss after so many iterations, or at the end of a shorter run."""
        return self.trace[min(iteration, len(self.trace) - 1)][term]


class Lab(Judge):
    """Runs under given settings, and their judge."""

    def __init__(self, settings: Settings, folder: Path):
        """``folder`` is for files of its own."""
        super().__init__(settings)
        self.folder = folder

    def with_style(self, style: Path) -> "Lab":
        """A lab with another style picture."""
        return Lab(replace(self.settings, style=style), self.folder)

    def with_weights(self, weights: str) -> "Lab":
        """A lab with another network."""
        return Lab(replace(self.settings, weights=weights), self.folder)

    # --- runs ----------------------------------------------------------------------

    def iterations(self, count: int) -> int:
        """So many iterations, or the part of them that a quick run makes."""
        return max(2, round(count * QUICK_PART)) if self.settings.quick else count

    def run(
        self, lanes: Sequence[Mapping[str, Any]], *, iterations: int = 500, **settings
    ) -> list[Run]:
        """Runs side by side, in the order of the lanes, through ``nst_jax.sweep``.

        Args:
            lanes: settings of each by the names that a sweep knows, such as alpha.
            iterations: of each; fewer in a quick run.
            **settings: of ``nst_jax.sweep``, for all lanes.
        """
        wanted = [self._lane(lane, iterations) for lane in self._ordered(lanes)]
        wanted = [
            lane | self._haste(lane, len(wanted) - place)
            for place, lane in enumerate(wanted, 1)
        ]
        # A sweep refuses equal lanes, which a broken lab may ask for.
        different = [lane for i, lane in enumerate(wanted) if lane not in wanted[:i]]
        result = nst_jax.sweep(
            *self._pictures(),
            axes=different,
            combine="list",
            **self._common(settings),
        )
        _check(result.outcome)
        made = []
        for lane, records in zip(result.lanes, result.records, strict=True):
            if lane.picture is None or trouble(lane):
                raise ValueError(f"{lane.labels}: {lane.text}")
            terms, trace = dict(lane.terms), _trace(records)
            made.append(Run(lane.picture, terms, trace, lane.seconds))
        return [made[different.index(lane)] for lane in wanted]

    def alone(
        self, lanes: Sequence[Mapping[str, Any]], *, iterations: int = 500
    ) -> list[Run]:
        """Runs one after the other: for their seconds, or where shapes differ.

        Args:
            lanes: arguments of ``nst_jax.stylize`` for each.
            iterations: of each, unless it says how many at each scale.
        """
        made = []
        for left, lane in zip(
            range(len(lanes))[::-1], self._ordered(lanes), strict=True
        ):
            common = self._common(dict(lane))
            count = {"iterations": self.iterations(iterations)}
            count |= self._haste(count, left)
            common["solver"] = count | common["solver"]
            result = nst_jax.stylize(*self._pictures(), **common)
            _check(result.outcome)
            seconds = result.manifest["seconds"]
            trace = _trace(result.records)
            raw = result.records[-1].picture
            made.append(Run(result.picture, trace[-1], trace, seconds["solve"], raw))
        return made

    def watch(
        self, *, iterations: int, every: int, **keys
    ) -> tuple[Run, dict[int, np.ndarray]]:
        """One run, and its pictures every so many iterations."""
        count, step = self.iterations(iterations), self.iterations(every)
        if self.settings.broken == EARLY:
            count = max(1, count // 20)
        pictures = self._pictures(files=True)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            common = self._common({})
            config = changed(
                Config(),
                content=str(pictures[0]),
                style=str(pictures[1]),
                size=common["size"],
                scales=common["scales"],
                start=common["start"],
                network=common["network"],
                objective=keys,
                solver={
                    **common["solver"],
                    "iterations": count,
                    "checkpoint_seconds": 0,
                },
                output={"dir": str(out), "every": min(step, count)},
            )
            result = run_config(config)
            _check(result.outcome)
            files = (out / "snapshots").glob("iteration_*.png")
            shots = {int(p.stem.rpartition("_")[2]): load(p).pixels for p in files}
        trace = _trace(result.records)
        kept = {n: p for n, p in shots.items() if n % min(step, count) == 0}
        return Run(result.picture, trace[-1], trace, 0.0), kept

    def _common(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings of ``sweep`` and ``stylize`` that all runs share: as in the papers
        one scale, from noise, by L-BFGS on the pixels.
        """
        size = self.settings.size
        network = {"weights": self._weights(), **settings.pop("network", {})}
        solver = {**PLAIN, **settings.pop("solver", {})}
        common = {"size": size, "start": "noise", "network": network, **settings}
        common["solver"] = solver
        common.setdefault("scales", [common["size"]])
        return common

    def _lane(self, lane: Mapping[str, Any], iterations: int) -> dict[str, Any]:
        lane = {"iterations": self.iterations(iterations), **lane}
        if self.settings.broken == SEED and "seed" in lane:
            lane["seed"] = 0
        return lane

    def _haste(self, lane: Mapping[str, Any], left: int) -> dict[str, Any]:
        if self.settings.broken != EARLY or left % 2:
            return {}
        return {"iterations": max(1, lane["iterations"] // 20)}

    def _ordered(self, lanes: Sequence) -> list:
        lanes = list(lanes)
        return lanes[::-1] if self.settings.broken == ORDER else lanes

    def _weights(self) -> str:
        if self.settings.broken != RANDOM:
            return self.settings.weights
        path = self.folder / f"random-{Path(self.settings.weights).stem}.h5"
        if not path.exists():
            channels = self._loaded.layout.widths["conv1_1"]
            name = self._loaded.layout.name
            width = channels / BLOCK_CHANNELS[0]
            deepest = next(x for x in layer_names(name)[::-1] if x in self._stored)
            write(path, random_weights(name, seed=0, width=width, deepest=deepest))
        return str(path)

    def _pictures(self, *, files: bool = False) -> list:
        given: list[Any] = [self.settings.content, self.settings.style]
        if self.settings.broken != SWAPPED:
            return given
        height, width = self.content.shape[:2]
        arrays = [cover(load(given[1]).pixels, height, width), self.content]
        if not files:
            return arrays
        paths = [self.folder / f"{name}.png" for name in ("content", "style")]
        for path, array in zip(paths, arrays, strict=True):
            save(path, array)
        return paths


def _check(outcome) -> None:
    """Half a run says nothing: a signal that ended it ends the experiment."""
    if outcome.code == "interrupted":
        raise KeyboardInterrupt


def _trace(records) -> list[dict[str, float]]:
    return [
        {name: float(getattr(record.terms, name)) for name in TERMS}
        | {"seconds": float(record.solve_seconds)}
        for record in records
    ]
