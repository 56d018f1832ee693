"""Values that a config may have: what can be said of each key without the pictures."""

from nst_jax import fields
from nst_jax.config.records import Config

LARGEST = 2**15  # pixels of a side
MOST_ITERATIONS = 10**6
# Weights reach the device as float32, and are multiplied with losses there.
WEIGHT_RANGE = (1e-30, 1e30)
MOST_SCALES = 16
STYLE_SCALES = (1 / 16, 16.0)


def check_values(config: Config, where: str) -> None:
    """Refuse impossible values.

    Raises:
        ValueError: naming the key.
    """
    solver, objective = config.solver, config.objective
    limits = {
        "size": (config.size, 1, LARGEST),
        "seed": (config.seed, 0, 2**32 - 1),
        "solver.iterations": (solver.iterations, 1, MOST_ITERATIONS),
        "solver.history": (solver.history, 1, MOST_ITERATIONS),
        "solver.window": (solver.window, 1, MOST_ITERATIONS),
        "solver.checkpoint_seconds": (solver.checkpoint_seconds, 0, 1e9),
        "output.every": (config.output.every, 1, MOST_ITERATIONS),
        "colours.strength": (config.colours.strength, 0, 1),
        "photorealism.stage_iterations": (
            config.photorealism.stage_iterations,
            1,
            MOST_ITERATIONS,
        ),
        "photorealism.smooth_radius": (config.photorealism.smooth_radius, 0, LARGEST),
        "photorealism.smooth_edge": (config.photorealism.smooth_edge, 1e-4, 1),
    }
    for key, (value, lowest, highest) in limits.items():
        if value is not None and not lowest <= value <= highest:
            raise ValueError(
                f"{where}: {key} must be from {lowest} to {highest}, not "
                f"{fields.short(value)}"
            )
    for key in ("tolerance", "minutes"):
        if (value := getattr(solver, key)) is not None and not 0 < value <= 1e9:
            raise ValueError(
                f"{where}: solver.{key} must be above 0 and at most 1e9, not {value:g}"
            )
    if solver.average is not None and not 0 < solver.average < 1:
        raise ValueError(
            f"{where}: solver.average must be between 0 and 1, as 0.99, not "
            f"{solver.average:g}"
        )
    _check_scales(config, where)
    _check_styles(config, where)
    _check_regions(config, where)
    _check_texture(config, where)
    for key in ("alpha", "beta", "tv"):
        if (weight := getattr(objective, key)) is not None:
            check_weight(weight, f"{where}: objective.{key}")
    check_weight(config.photorealism.weight, f"{where}: photorealism.weight")
    if not 0 < solver.learning_rate <= 1e3 or solver.learning_rate < WEIGHT_RANGE[0]:
        raise ValueError(
            f"{where}: solver.learning_rate must be above 0 and at most 1000, not "
            f"{solver.learning_rate:g}"
        )


def _check_scales(config: Config, where: str) -> None:
    """Each list by itself; together, and with the size, they are checked in a run."""
    scales, iterations = config.scales, config.solver.scale_iterations
    if isinstance(scales, tuple) and (
        sorted(set(scales)) != list(scales) or not 1 <= scales[0] <= LARGEST
    ):
        raise ValueError(f"{where}: scales must be positive and grow, not {scales}")
    if iterations and not all(1 <= n <= MOST_ITERATIONS for n in iterations):
        raise ValueError(f"{where}: solver.scale_iterations must be from 1 up")


def _check_styles(config: Config, where: str) -> None:
    if config.style is not None and config.styles is not None:
        raise ValueError(f"{where}: style and styles are given: give one of them")
    styles = config.styles or ()
    for number, style in enumerate(styles, start=1):
        check_weight(style.weight, f"{where}: styles, style {number}: weight")
    if styles and not any(style.weight for style in styles):
        raise ValueError(f"{where}: styles: all weights are 0: give one of them more")
    lowest, highest = STYLE_SCALES
    for scale in (config.style_scale, *(style.scale for style in styles)):
        if not lowest <= scale <= highest:
            raise ValueError(
                f"{where}: the scale of a style must be from {lowest:g} to "
                f"{highest:g}, not {scale:g}"
            )


def _check_regions(config: Config, where: str) -> None:
    regions = config.regions
    if regions.style is not None and regions.styles is not None:
        raise ValueError(f"{where}: regions: style and styles are given: give one")


def _check_texture(config: Config, where: str) -> None:
    texture = config.texture
    if config.tileable and config.network.padding != "zeros":
        raise ValueError(
            f"{where}: tileable needs its own padding: leave network.padding out"
        )
    if texture is None:
        return
    if len(texture) != 2 or not all(1 <= side <= LARGEST for side in texture):
        raise ValueError(
            f"{where}: texture must be width and height, as [512, 384], not "
            f"{fields.short(list(texture))}"
        )
    if max(texture) != config.size:
        raise ValueError(
            f"{where}: size is {config.size}, but texture is {list(texture)}: leave "
            "size out"
        )
    if config.content is not None:
        raise ValueError(f"{where}: a texture has no content: give one of them")
    if config.regions.content is not None:
        raise ValueError(f"{where}: a texture has no regions: leave them out")
    if config.start in ("content", "content-recoloured"):
        raise ValueError(f"{where}: a texture has no content to start from")


def check_weight(weight: float, where: str) -> None:
    """Refuse a weight that float32 cannot multiply losses with.

    Raises:
        ValueError: naming the key.
    """
    lowest, highest = WEIGHT_RANGE
    if weight != 0 and not lowest <= weight <= highest:
        raise ValueError(
            f"{where}: a weight must be 0 or from {lowest:g} to {highest:g}, not "
            f"{weight:g}"
        )
