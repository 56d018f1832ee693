"""Recipes of the paper and of the peers, as exact multiples of our objective.

docs/presets.md derives each of them. With ``m`` the content loss and ``g_l`` the
style losses of ``objective.losses``, N channels, M positions:

==================  ===========================================================
gatys2016           1e-3 m + 1/5 sum g_l
gatys2016-literal   1e-3 (N M / 2) m + 1/5 sum g_l / 4
gatys-normalised    1e6 m + sum (1e9 / 5) g_l
gatys-notebook      m + sum (1e3 / N_l^2) g_l
neural-style        5 m + sum (100 / N_l^2) g_l + total variation
crowson             0.015 m + sum (4^-l / sum 4^-l) w_l + total variation
spst                m + sum (1e3 / N_l^2) g_l + 1e4 (mean + deviation)
novak               1e-3 m + sum (2^-l / sum 2^-l) c_l
==================  ===========================================================

w_l is the Wasserstein distance and c_l that of the chain of Gram matrices across
layers (``objective.statistics``); l counts the style layers from 1.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from nst_jax.features.layout import layer_names

Shape = tuple[int, int, int]  # of a response: h, w, channels
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
ALL_LAYERS = layer_names("vgg19")
# What is meant by style; ``statistics.names`` makes them.
STYLE_LOSSES = (
    *("gram", "gram-shifted", "gram-chain", "mean-std", "mean-std-gram", "spst"),
    *("wasserstein", "sliced-wasserstein", "histogram"),
    *("mmd-linear", "mmd-polynomial", "mmd-gaussian"),
)
# Ratio of the weights of a style layer and the next deeper one.
RATIOS = {"equal": 1.0, "geometric": 2.0, "crowson": 4.0}


class Preset(NamedTuple):
    """A recipe. Weights that depend on the network or the size are functions.

    Attributes:
        about: one line on where it comes from.
        alpha: weight of the content loss.
        beta: weight of the style loss.
        rescale: whether the network is rescaled to unit mean activation.
        pooling: "avg" or "max".
        start: "noise" or "content".
        content_layers: layers whose responses are matched.
        style_layers: layers whose statistics are matched; of ``ALL_LAYERS`` those
            that the weights have.
        style_loss: one of ``STYLE_LOSSES``.
        content_weight: shape of a layer's response -> w_l.
        style_weight: shape, number of style layers -> v_l.
        layer_weights: instead of ``style_weight``: a scheme, see ``layer_scheme``.
        tv: height and width of the picture -> weight of the total variation.
        scales: "auto" where a run from noise goes from coarse to fine unless the
            config says otherwise; None: one scale.
    """

    about: str
    alpha: float
    beta: float
    rescale: bool
    pooling: str
    start: str
    content_layers: tuple[str, ...] = ("conv4_2",)
    style_layers: tuple[str, ...] = STYLE_LAYERS
    style_loss: str = "gram"
    content_weight: Callable[[Shape], float] = lambda shape: 1.0
    style_weight: Callable[[Shape, int], float] = lambda shape, layers: 1 / layers
    layer_weights: str | None = None
    tv: Callable[[int, int], float] = lambda height, width: 0.0
    scales: Literal["auto"] | None = None

    @property
    def original_scale(self) -> bool:
        """Whether its weights hold for the scale of the original Caffe network.

        Rescaled networks all respond alike; torchvision's responds on another scale.
        """
        return not self.rescale


def _half_sum(shape: Shape) -> float:
    height, width, channels = shape
    return height * width * channels / 2


def _per_channel_squared(shape: Shape, layers: int) -> float:
    return 1 / shape[2] ** 2


def _neural_style_tv(height: int, width: int) -> float:
    # neural-style adds the gradient of half the sum of squared differences of
    # neighbours, times 1e-3, on a 0..255 scale. It leaves out the last row and
    # column; our means over all pairs stand for them.
    return 1e-3 * 255**2 / 2 * 3 * height * width


def _crowson_tv(height: int, width: int) -> float:
    # Twice the mean over a 3 x 3 neighbourhood, axial differences / 3 and diagonal ones
    # / 12. A diagonal difference is taken for the sum of two axial ones, which it is
    # for noise; each of ours is counted from both its ends there.
    return 2.0 * (2 / 3 + 4 / 12)


PRESETS: dict[str, Preset] = {
    "gatys2016": Preset(
        "CVPR 2016, with the captions' alpha/beta read as the authors' code does",
        alpha=1e-3, beta=1.0, rescale=True, pooling="avg", start="noise",
        # Not in the paper: the same objective, reached in 0.6 of the time.
        scales="auto",
    ),
    "gatys2016-literal": Preset(
        "CVPR 2016 with the sums as printed: content wins by about a million",
        alpha=1e-3, beta=1.0, rescale=True, pooling="avg", start="noise",
        content_weight=_half_sum,
        style_weight=lambda shape, layers: 1 / (4 * layers),
    ),
    "gatys-normalised": Preset(
        "the authors' later code on the normalised network (NeuralImageSynthesis)",
        alpha=1e6, beta=1e9, rescale=True, pooling="max", start="content",
    ),
    "gatys-notebook": Preset(
        "the authors' PyTorch notebook, on the original network",
        alpha=1.0, beta=1e3, rescale=False, pooling="max", start="content",
        style_weight=_per_channel_squared,
    ),
    "neural-style": Preset(
        "defaults of jcjohnson/neural-style and neural-style-pt",
        alpha=5.0, beta=100.0, rescale=False, pooling="max", start="noise",
        style_weight=_per_channel_squared,
        tv=_neural_style_tv,
    ),
    "crowson": Preset(
        "crowsonkb/style-transfer-pytorch: Wasserstein distance of mean and covariance",
        alpha=0.015, beta=1.0, rescale=False, pooling="max", start="content",
        style_loss="wasserstein", layer_weights="crowson",
        tv=_crowson_tv,
    ),
    "spst": Preset(
        "Galerne et al. 2024: Gram matrices, means and deviations; original network",
        alpha=1.0, beta=1e3, rescale=False, pooling="max", start="content",
        style_loss="spst", style_weight=_per_channel_squared,
    ),
    "novak": Preset(
        "Novak and Nikulin 2016: all layers, shifted Gram matrices of neighbours",
        alpha=1e-3, beta=1.0, rescale=True, pooling="avg", start="content",
        style_layers=ALL_LAYERS, style_loss="gram-chain", layer_weights="geometric",
    ),
}  # fmt: skip


def layer_scheme(name: str, channels: dict[str, int]) -> dict[str, float]:
    """Weights of style layers by a scheme.

    Args:
        name: "equal", "geometric" (each half the one before: Novak and Nikulin 2016,
            section 3.1) or "crowson" (256 : 64 : 16 : 4 : 1 for five layers), all with
            a sum of 1; "per-channel" (1 / N^2, as neural-style has it).
        channels: of the layers, from shallow to deep.

    Raises:
        ValueError: if there is no such scheme.
    """
    if name == "per-channel":
        return {layer: 1 / count**2 for layer, count in channels.items()}
    if name not in RATIOS:
        known = ", ".join([*RATIOS, "per-channel"])
        raise ValueError(f"unknown layer_weights {name!r}; known are {known}")
    falling = {layer: RATIOS[name] ** -n for n, layer in enumerate(channels)}
    return {layer: w / sum(falling.values()) for layer, w in falling.items()}


def check_style_loss(name: str) -> None:
    """Refuse an unknown style loss.

    Raises:
        ValueError: listing those there are.
    """
    if name not in STYLE_LOSSES:
        known = ", ".join(STYLE_LOSSES)
        raise ValueError(f"unknown style_loss {name!r}; known are {known}")


def find_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ValueError: if there is none; lists those there are.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; known are {', '.join(PRESETS)}")
    return PRESETS[name]
