"""Where experiments are made: pictures, network, runs through the public API, scores.

A lab can be broken on purpose (``VARIANTS``): the runs are then made wrongly, while
whatever judges them stays right. Laws must notice.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

import nst_jax
from nst_jax.config import Config, NetworkConfig, changed
from nst_jax.features.layout import BLOCK_CHANNELS, layer_names
from nst_jax.features.pretrained import locate
from nst_jax.features.random_weights import random_weights
from nst_jax.features.rescale import rescale
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import stored_layers, write
from nst_jax.images.initial import cover
from nst_jax.images.io import load
from nst_jax.images.resize import fit_area, fit_longer_side
from nst_jax.loading import load_network, unit_mu
from nst_jax.run import run as run_config
from nst_jax.scores.card import score_card
from nst_jax.scores.features import gram_errors, response_errors

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
HELD_OUT = ("conv1_2", "conv2_2", "conv3_3", "conv4_3")  # no experiment matches them
JUDGED = (*STYLE_LAYERS, *HELD_OUT, "conv2_2", "conv4_2")

RANDOM = "random network"
SWAPPED = "content and style swapped"
ORDER = "wrong order"
SEED = "seed ignored"
EARLY = "stopped early"
VARIANTS: Mapping[str, str] = {
    RANDOM: "filters are random (He), of the same widths",
    SWAPPED: "the runs take the content picture as style, and the style as content",
    ORDER: "layers, weights or whatever an experiment varies are given in reverse",
    SEED: "every run starts from the same noise",
    EARLY: "every second run, the last one among them, ends after a twentieth of it",
}
QUICK_SIZE, QUICK_PART = 96, 0.2  # of the size and the iterations of a quick run
PLAIN = {"preconditioned": False, "history": 20}  # L-BFGS as in the papers
TERMS = ("total", "content", "style", "tv")


@dataclass(frozen=True)
class Settings:
    """What all experiments have in common.

    Attributes:
        content: the content picture.
        style: the style picture.
        photograph: a photograph to be used as style (2016, figure 7).
        size: longer side of the results.
        weights: ``network.weights``.
        quick: a fifth of the iterations, and looser laws.
        broken: one of ``VARIANTS``, or None.
        own: whether content and style are the caller's own.
    """

    content: Path
    style: Path
    photograph: Path
    size: int = 256
    weights: str = "vgg19-tiny"
    quick: bool = False
    broken: str | None = None
    own: bool = False


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


class Lab:
    """Runs and scores under given settings."""

    def __init__(self, settings: Settings, folder: Path):
        """``folder`` is for files of its own."""
        self.settings = settings
        self.folder = folder

    # --- pictures and network ----------------------------------------------------

    @cached_property
    def content(self) -> np.ndarray:
        """The content picture at the size of the runs."""
        return fit_longer_side(load(self.settings.content).pixels, self.settings.size)

    @cached_property
    def style(self) -> np.ndarray:
        """The style picture at the content's area."""
        height, width = self.content.shape[:2]
        return fit_area(load(self.settings.style).pixels, height * width)

    def with_style(self, style: Path) -> "Lab":
        """A lab with another style picture."""
        return Lab(replace(self.settings, style=style), self.folder)

    def has(self, weights: str) -> bool:
        """Whether named weights are here."""
        return locate(weights) is not None

    def with_weights(self, weights: str) -> "Lab":
        """A lab with another network."""
        return Lab(replace(self.settings, weights=weights), self.folder)

    @property
    def _narrowest(self) -> int:
        return min(*self.content.shape[:2], *self.style.shape[:2])

    def deepest(self, layer: str) -> str:
        """The layer, or conv5_1 where the network ends before it."""
        return layer if layer in self._stored else "conv5_1"

    @cached_property
    def network_name(self) -> str:
        """What the judging network is called."""
        return self._loaded.weights.name

    @cached_property
    def _loaded(self):
        weights = NetworkConfig(weights=self.settings.weights)
        return load_network(Config(network=weights), layers=frozenset(JUDGED))

    @cached_property
    def _stored(self) -> tuple[str, ...]:
        from nst_jax.features.pretrained import choose, resolve

        return tuple(stored_layers(resolve(choose(self.settings.weights))))

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
            if lane.picture is None or lane.outcome != "finished":
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
        from nst_jax.images.io import save

        paths = [self.folder / f"{name}.png" for name in ("content", "style")]
        for path, array in zip(paths, arrays, strict=True):
            save(path, array)
        return paths

    # --- judging ---------------------------------------------------------------------

    @cached_property
    def _judge(self):
        """Network and its parameters, rescaled on the two pictures."""
        weights = self._loaded.weights
        network, params = network_of(weights), device_params(weights)
        pair = jnp.asarray(self.content), jnp.asarray(self.style)
        return network, rescale(params, unit_mu(network, weights, params, pair))

    def scores(self, picture: np.ndarray) -> dict[str, float]:
        """All scores of a picture of the runs' size; see ``scores.card``."""
        network, params = self._judge
        return score_card(
            network,
            params,
            result=np.asarray(picture, np.float32),
            content=self.content,
            style=self.style,
            style_layers=HELD_OUT,
            content_layers=("conv4_2", "conv5_1"),
            octaves=min(4, int(np.log2(self._narrowest / 7)) + 1),
        )

    def gram_errors(
        self, picture: np.ndarray, layers: tuple[str, ...] = STYLE_LAYERS
    ) -> dict[str, float]:
        """Relative Gram errors at layers; of a picture of any size."""
        network, params = self._judge
        result, style = jnp.asarray(picture), jnp.asarray(self.style)
        return gram_errors(network, params, result=result, style=style, layers=layers)

    def response_error(self, picture: np.ndarray, layer: str = "conv4_2") -> float:
        """Relative error of the responses at a layer, against the content's."""
        network, params = self._judge
        result, content = jnp.asarray(picture), jnp.asarray(self.content)
        return response_errors(
            network, params, result=result, content=content, layers=(layer,)
        )[layer]


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


def psnr(picture: np.ndarray, reference: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two pictures in [0, 1]."""
    return float(-10 * np.log10(np.mean((picture - reference) ** 2) + 1e-12))


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean squared difference of two pictures."""
    return float(np.sqrt(np.mean((a - b) ** 2)))
