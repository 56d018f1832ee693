"""The network that judges results, and the layers at which it does."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from nst_jax import config as configs
from nst_jax.config import Config
from nst_jax.features import pretrained
from nst_jax.features.layout import layer_names, up_to_deepest
from nst_jax.features.pretrained import AUTO, EMBEDDED, PRETRAINED
from nst_jax.features.random_weights import random_weights
from nst_jax.features.rescale import RescaledTaps, TapParams
from nst_jax.features.vgg import Network, device_params, network_of
from nst_jax.features.weights import Weights, layout_of, read, stored_layers
from nst_jax.loading import unit_mu
from nst_jax.outputs.files import split_output
from nst_jax.outputs.run_folder import CONFIG, RESULT
from nst_jax.resolve import RANDOM, optimised_layers
from nst_jax.scores.held_out import for_content, held_out
from nst_jax.types import Image, Params

# The network of the papers, the same in 8 bits, and the same layout trained anew by
# torchvision: what the authors saw comes first.
JUDGES = ("vgg19-caffe", "vgg19-8bit", "vgg19")


class Judge(NamedTuple):
    """A network to look through, down to the deepest layer that it looks at.

    Attributes:
        name: of the network.
        weights: its weights.
        params: the same on the device.
        optimised: layers left out, because runs optimised them.
        layers: where it looks for style.
        content_layers: where it looks for content.
        note: a sentence for the user on the network that was chosen, or None.
    """

    name: str
    weights: Weights
    params: Params
    optimised: tuple[str, ...]
    layers: tuple[str, ...]
    content_layers: tuple[str, ...]
    note: str | None

    @property
    def extract(self) -> RescaledTaps:
        """The network rescaled, for the parameters of ``seen_by``."""
        return RescaledTaps(self._network)

    @property
    def _network(self) -> Network:
        return network_of(self.weights)

    def seen_by(
        self,
        pictures: Iterable[Image | np.ndarray],
        *,
        counts: Sequence[float] | None = None,
    ) -> TapParams:
        """Parameters with which all filters respond alike to the pictures on average.

        Args:
            pictures: content and styles, each (h, w, 3) in [0, 1].
            counts: how much each of them counts; None: all the same.
        """
        seen = [jnp.asarray(picture) for picture in pictures]
        mu = unit_mu(self._network, self.weights, self.params, seen, counts=counts)
        return TapParams(self.params, mu)

    def entry(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {
            "network": self.name,
            "sha256": self.weights.sha256,
            "layers": list(self.layers),
        }


def choose() -> str:
    """Name of the network that judges now: the first of ``JUDGES`` that is here, else
    the small one that comes with the package.

    Raises:
        ValueError: if NST_JAX_WEIGHTS_DIR is no folder, or holds a damaged file.
    """
    return next((name for name in JUDGES if pretrained.locate(name)), EMBEDDED)


def open_judge(spec: str, optimised: Collection[str]) -> Judge:
    """Read the judging network.

    Args:
        spec: "auto" (see ``choose``), a name, a file, or "random".
        optimised: layers to leave out.

    Raises:
        ValueError: if the weights cannot be found or read.
        ConnectionError: if named weights must be downloaded and cannot be.
    """
    name = choose() if spec == AUTO else spec
    path = None if name == RANDOM else pretrained.resolve(name)
    there = layer_names("vgg19") if path is None else tuple(stored_layers(path))
    layout = layout_of(there, where=str(path))
    layers = held_out(optimised, there)
    running = up_to_deepest(layout, frozenset(layers or there[:1]))
    weights = (
        random_weights(layout, seed=0, deepest=running[-1])
        if path is None
        else read(path, running)
    )
    return Judge(
        name if name in (EMBEDDED, *PRETRAINED) else weights.name,
        weights,
        device_params(weights),
        tuple(layer for layer in layer_names("vgg19") if layer in optimised),
        layers,
        for_content(layers),
        _small_note() if spec == AUTO and name == EMBEDDED else None,
    )


def judge_text(judge: Judge) -> list[str]:
    """Lines for the user: which network, at which layers, and which it leaves out."""
    style, content = (", ".join(x) for x in (judge.layers, judge.content_layers))
    where = f"at {style} (content: {content})"
    if not judge.layers:
        where = "at no layer: all that it has were optimised"
    lines = [f"judge: {judge.name}, {where}"]
    if judge.optimised:
        lines.append(f"left out, as optimised: {', '.join(judge.optimised)}")
    return [*lines, judge.note] if judge.note else lines


def _small_note() -> str:
    least = min(JUDGES, key=lambda name: PRETRAINED[name].size)
    return (
        f"the judge is {EMBEDDED}, the small network that comes with nst-jax, which "
        "sees large forms badly; for the real one: nst-jax weights fetch "
        f"{least} ({PRETRAINED[least].size / 1e6:.3g} MB)"
    )


# --- what runs optimised ------------------------------------------------------------


def configs_of(results: Iterable[str]) -> dict[str, Config | None]:
    """Each picture with the config of the run that made it; see ``run_config``."""
    return {file: run_config(file) for file in results}


def run_config(result: str) -> Config | None:
    """The config of the run that made a picture; None for a picture by itself.

    Such a picture is ``result.png`` beside a config.yaml, as in run folders and lanes
    of sweeps; a snapshot in such a folder; or ``night.jpg`` beside the run folder
    ``night``.

    Raises:
        ValueError: if there is a config that cannot be read.
    """
    path = Path(result).expanduser()
    places = [split_output(result)[0]]
    if path.name == RESULT:
        places.insert(0, path.parent)
    if path.parent.name == "snapshots":
        places.insert(0, path.parent.parent)
    for place in places:
        if place is not None and (place / CONFIG).is_file():
            return configs.load(place / CONFIG)
    return None


def optimised_by(runs: Mapping[str, Config | None]) -> frozenset[str]:
    """All layers that any run optimised; a picture by itself counts as made with the
    default settings.
    """
    found = (optimised_layers(config or Config()) for config in runs.values())
    return frozenset().union(*found)
