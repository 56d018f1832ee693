"""The config's output: bits and colour profile of the pictures that are written."""

from nst_jax.config import Config
from nst_jax.images.encode import WIDE, Encoding, profile_trouble
from nst_jax.images.io import Picture, writable_ending
from nst_jax.outputs.files import split_output


def check_finish(config: Config) -> None:
    """Refuse bits that the format lacks, and an average that the solver has not.

    Raises:
        ValueError: as it says.
    """
    if config.solver.average is not None and config.solver.name != "adam":
        raise ValueError(
            "solver.average is for solver.name: adam; L-BFGS hands out its best "
            "picture: set one of them"
        )
    _, picture = split_output(config.output.dir)
    if picture is None or config.output.bits == 8:
        return
    if (kind := writable_ending(picture)) not in WIDE:
        raise ValueError(
            f"{picture}: {kind} holds 8 bits, and output.bits is 16: choose .png or "
            ".tif, or 8 bits"
        )


def encoding_of(config: Config, content: Picture) -> tuple[Encoding, tuple[str, ...]]:
    """How results are stored, and notes on what cannot be.

    Args:
        config: its output.
        content: may have a profile.
    """
    output = config.output
    if output.profile == "srgb":
        return Encoding(output.bits), ()
    trouble = "it has none"
    if content.profile is not None:
        trouble = profile_trouble(content.profile)
    if trouble is None:
        return Encoding(output.bits, content.profile), ()
    note = (
        f"{content.name}: its colour profile cannot be kept ({trouble}); sRGB is used"
    )
    return Encoding(output.bits), (note,)
