"""The sections of a config as frozen dataclasses, with their defaults.

``None`` means "as the preset says" or "as the weights say".
"""

from dataclasses import dataclass, field
from typing import Literal

# A list of layers is averaged; a mapping layer: weight is used as given.
Layers = tuple[str, ...] | dict[str, float]
# Which part of a picture is of which region: one picture with a colour for each region,
# or a gray one for each; of a content also "alpha".
Mask = str | tuple[str, ...]
LayerWeights = Literal["equal", "per-channel", "geometric", "crowson"]
# Longer sides from coarse to fine; "auto" halves the size again and again, "sqrt2"
# divides it by the square root of 2.
Scales = Literal["auto", "sqrt2"] | tuple[int, ...]


@dataclass(frozen=True)
class NetworkConfig:
    """Which network the losses see."""

    name: Literal["vgg16", "vgg19"] | None = None  # None: as the weights say
    # auto: vgg19 if it is here, else the small network that comes with the package;
    # or a name, a file, or "random"
    weights: str = "auto"
    pooling: Literal["avg", "max"] | None = None
    padding: Literal["zeros", "reflect"] = "zeros"
    rescale: bool | None = None


@dataclass(frozen=True)
class StyleConfig:
    """One of several styles."""

    picture: str | None  # None: an array
    weight: float = 1.0  # against those of the others; only ratios count
    scale: float = 1.0  # times the content's size: larger ones have larger strokes
    layers: tuple[str, ...] | None = None  # that it has a part in; None: all
    regions: tuple[str, ...] | None = None  # that it has a part in; None: all


@dataclass(frozen=True)
class RegionsConfig:
    """Regions of the content, each with a style of its own."""

    content: Mask | None = None  # None: no regions
    style: Mask | None = None  # None: all of the style is for every region
    styles: tuple[Mask | None, ...] | None = None  # of several styles
    mode: Literal["simple", "inside", "all"] = "simple"
    weights: dict[str, float] | None = None  # of regions; None: 1 each
    keep: tuple[str, ...] | None = None  # regions that stay as they are


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised. Keys that are given win over the preset."""

    preset: str = "gatys2016"
    style_loss: str | None = None
    alpha: float | None = None
    beta: float | None = None
    tv: float | None = None
    content_layers: Layers | None = None
    style_layers: Layers | None = None
    # weights of style layers that are given without any; None: averaged
    layer_weights: LayerWeights | None = None


@dataclass(frozen=True)
class SolverConfig:
    """How it is minimised."""

    name: Literal["lbfgs", "adam"] = "lbfgs"
    iterations: int = 500
    # correction pairs of L-BFGS: 24 bytes per pixel each, on a CPU 12
    history: int = 40
    preconditioned: bool = True  # large forms first; false: plain L-BFGS on pixels
    learning_rate: float = 0.05  # of Adam, in pixel values of [0, 1]
    precision: Literal["default", "float32", "bfloat16"] = "default"
    scale_iterations: tuple[int, ...] | None = None  # of each scale; None: iterations
    tolerance: float | None = None  # ends when the loss fell by less, relatively, ...
    window: int = 50  # ... within so many iterations
    minutes: float | None = None  # ends after them
    memory: Literal["auto", "fast", "low"] = "auto"  # low computes blocks twice
    checkpoint_seconds: float = 60.0  # between checkpoints; 0: none
    average: float | None = None  # of Adam: decay of a mean of iterates, as 0.99
    box: Literal["after", "during"] = "after"  # when pixels are kept in [0, 1]


@dataclass(frozen=True)
class ColoursConfig:
    """Whose colours the result has."""

    match: Literal["none", "pca", "chol", "ot"] = "none"  # means and covariances
    when: Literal["before", "after"] = "before"  # of the style, or of the result
    strength: float = 1.0  # of match, 0 to 1
    preserve: Literal["none", "luminance"] = "none"  # a run on luminance only


@dataclass(frozen=True)
class PhotorealismConfig:
    """Whether the result shall look like a photograph."""

    weight: float = 0.0  # of the matting Laplacian; 0: all of this is off
    # 2: it is added once the plain run is at its end; 1: it is there from the start
    stages: Literal[1, 2] = 2
    stage_iterations: int | None = None  # of the second; None: as the last scale
    smooth_radius: int = 7  # of the result's local smoothing, in pixels; 0: none
    smooth_edge: float = 0.05  # what differs by less in the content is no edge there


@dataclass(frozen=True)
class OutputConfig:
    """What is written, and where."""

    dir: str | None = None  # None: the next free numbered folder under runs/
    every: int | None = None  # snapshots; None: at 100, 200, 300 and 500
    bits: Literal[8, 16] = 8  # of a sample; 16 in PNG and TIFF only
    profile: Literal["srgb", "content"] = "srgb"  # colour profile of the result


@dataclass(frozen=True)
class Config:
    """A whole run."""

    content: str | None = None
    style: str | None = None
    styles: tuple[StyleConfig, ...] | None = None  # several, instead of ``style``
    style_scale: float = 1.0  # of all styles, times their own
    texture: tuple[int, ...] | None = None  # width and height, instead of a content
    tileable: bool = False  # opposite edges of the result fit together
    size: int = 512  # longer side of the result, in pixels
    seed: int = 0
    scales: Scales | None = None  # coarse to fine; None: one scale
    # noise, content, content-recoloured, style, or a picture file
    start: str | None = None
    device: str | None = None  # cpu, gpu, tpu; None: the best there is
    compile_cache: bool = True  # keep compiled programs for the next run
    regions: RegionsConfig = field(default_factory=RegionsConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    colours: ColoursConfig = field(default_factory=ColoursConfig)
    photorealism: PhotorealismConfig = field(default_factory=PhotorealismConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
