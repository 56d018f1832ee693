"""The config's photorealism: what it cannot go with, how its picture is finished."""

from typing import NamedTuple

import numpy as np

from nst_jax.colours import Finish
from nst_jax.config import Config
from nst_jax.images.smoothing import guided_filter


def check_photorealism(config: Config) -> None:
    """Refuse it where there is no photograph, or no place for its edges.

    Raises:
        ValueError: as it says.
    """
    wanted = config.photorealism
    if not wanted.weight:
        return
    if config.texture is not None:
        raise ValueError(
            "photorealism keeps the edges of the content, and a texture has no "
            "content: leave photorealism out"
        )
    if config.tileable:
        raise ValueError(
            "photorealism keeps the edges of the content, at its borders too, and "
            "tileable makes these fit together: leave one of them out"
        )
    if wanted.stage_iterations is not None and wanted.stages == 1:
        raise ValueError(
            "photorealism.stage_iterations is of the second stage, and "
            "photorealism.stages is 1: leave one of them out"
        )


class Smoothed(NamedTuple):
    """The picture made locally affine in the content's colours, then in its own.

    Luan et al. 2017 fit an affine function of the content's colours to the result
    around each pixel, and average these functions with a bilateral filter. Departure:
    the guided filter does the same with windows of one size, in a time that does not
    depend on it.

    Attributes:
        content: ``(h, w, 3)``, of the picture's size, in the run's own colours.
        radius: see ``images.smoothing``.
        edge: likewise.
        kept: ``(h, w)``: how far the content stays as it is; None: nowhere.
        then: what is done with its colours.
    """

    content: np.ndarray
    radius: int
    edge: float
    kept: np.ndarray | None
    then: Finish

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """``(h, w, 3)``, clipped to [0, 1] before."""
        options = {"radius": self.radius, "edge": self.edge}
        smooth = guided_filter(np.clip(picture, 0, 1), self.content, **options)
        if self.kept is not None:
            kept = self.kept[..., None]
            smooth = kept * self.content + (1 - kept) * smooth
        return self.then(smooth)


def smoothed(
    config: Config, then: Finish, content, kept: np.ndarray | None
) -> Finish | Smoothed:
    """What is done to a picture when it is handed out.

    Args:
        config: its photorealism.
        then: what is done with colours.
        content: see ``Smoothed``.
        kept: likewise.
    """
    wanted = config.photorealism
    if not wanted.weight or not wanted.smooth_radius:
        return then
    content = np.asarray(content, np.float32)
    return Smoothed(content, wanted.smooth_radius, wanted.smooth_edge, kept, then)
