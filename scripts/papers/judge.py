"""Two pictures and the network that judges results made from them."""

from functools import cached_property

import jax.numpy as jnp
import numpy as np

from nst_jax.config import Config, NetworkConfig, ObjectiveConfig
from nst_jax.features.pretrained import choose, locate, resolve
from nst_jax.features.rescale import rescale
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import stored_layers
from nst_jax.images.io import load
from nst_jax.images.resize import fit_area, fit_longer_side
from nst_jax.loading import load_network, unit_mu
from nst_jax.scores.card import score_card
from nst_jax.scores.features import gram_errors, response_errors
from scripts.papers.settings import HELD_OUT, JUDGED, STYLE_LAYERS, Settings


class Judge:
    """Scores under given settings, right even where the runs are broken on purpose."""

    def __init__(self, settings: Settings):
        """Nothing is read before it is needed."""
        self.settings = settings

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

    def has(self, weights: str) -> bool:
        """Whether named weights are here."""
        return locate(weights) is not None

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
        network = NetworkConfig(weights=self.settings.weights)
        judged = ObjectiveConfig(style_layers=tuple(JUDGED))
        return load_network(Config(network=network, objective=judged))

    @cached_property
    def _stored(self) -> tuple[str, ...]:
        return tuple(stored_layers(resolve(choose(self.settings.weights))))

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


def psnr(picture: np.ndarray, reference: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two pictures in [0, 1]."""
    return float(-10 * np.log10(np.mean((picture - reference) ** 2) + 1e-12))


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean squared difference of two pictures."""
    return float(np.sqrt(np.mean((a - b) ** 2)))
