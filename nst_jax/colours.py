"""The config's colours: what a run is made from, and how its picture is finished.

The run itself knows nothing of them. Pictures are recoloured before they are sized, and
what the solver made is finished where it is handed out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nst_jax.config import ColoursConfig, Config
from nst_jax.images.color import (
    ColourStatistics,
    Method,
    colour_statistics,
    match_colours,
)
from nst_jax.images.io import Picture
from nst_jax.images.luminance import luminance, match_luminance, with_luminance
from nst_jax.images.resize import resize


def check_colours(config: Config) -> None:
    """Refuse colours that contradict each other.

    Raises:
        ValueError: as it says.
    """
    colours = config.colours
    if config.texture is not None and colours != ColoursConfig():
        raise ValueError(
            "colours are matched to the content's, and a texture has no content: leave "
            "colours out"
        )
    if not in_luminance(colours):
        return
    if colours.match != "none":
        raise ValueError(
            "colours.preserve: luminance keeps the content's own colours, and "
            f"colours.match: {colours.match} would give it others: set one of them "
            "to none"
        )
    if colours.strength != 1:
        raise ValueError(
            "colours.strength belongs to colours.match; colours.preserve: luminance "
            "is whole or not at all: leave strength at 1"
        )


def in_luminance(colours: ColoursConfig) -> bool:
    """Whether the run is made on luminance alone."""
    return colours.preserve == "luminance"


def recolours_style(colours: ColoursConfig) -> bool:
    """Whether the style picture is made anew for each content picture."""
    return in_luminance(colours) or (
        colours.match != "none" and colours.when == "before" and colours.strength > 0
    )


# --- before -----------------------------------------------------------------------


class Recolour:
    """The pictures of runs as their colours want them, each made once."""

    def __init__(self) -> None:
        # The pictures are kept, too: an id is theirs only while they are there.
        self._known: dict[tuple, tuple[tuple[Picture, ...], Picture]] = {}

    def __call__(
        self,
        colours: ColoursConfig,
        content: Picture,
        styles: Sequence[Picture],
        start: Picture | None,
    ) -> tuple[Picture, tuple[Picture, ...], Picture | None]:
        """Content, styles and start to run with; the same where nothing is done.

        Args:
            colours: see there.
            content: at its own size; its mean and covariance are taken there.
            styles: likewise; each is matched by itself.
            start: likewise, or None.
        """
        if not recolours_style(colours):
            return content, tuple(styles), start
        if not in_luminance(colours):
            key = colours.match, colours.strength
            matched = [self._once(_matched, key, style, content) for style in styles]
            return content, tuple(matched), start
        gray = self._once(_gray, (), content)
        if start is not None:
            start = self._once(_gray, (), start)
        matched = [self._once(_matched_luminance, (), style, gray) for style in styles]
        return gray, tuple(matched), start

    def _once(self, make, key: tuple, *pictures: Picture) -> Picture:
        name = make, key, *map(id, pictures)
        if name not in self._known:
            self._known[name] = pictures, make(*pictures, *key)
        return self._known[name][1]


def _matched(
    style: Picture, content: Picture, method: Method, strength: float
) -> Picture:
    wanted = colour_statistics(content.pixels, alpha=content.alpha)
    pixels = match_colours(
        style.pixels, wanted, method=method, strength=strength, alpha=style.alpha
    )
    return style._replace(pixels=pixels)


def _gray(picture: Picture) -> Picture:
    return picture._replace(pixels=luminance(picture.pixels))


def _matched_luminance(style: Picture, content: Picture) -> Picture:
    pixels = match_luminance(
        luminance(style.pixels),
        content.pixels,
        alpha=style.alpha,
        reference_alpha=content.alpha,
    )
    return style._replace(pixels=pixels)


# --- after ------------------------------------------------------------------------


class AsItIs(NamedTuple):
    """The picture as the solver made it."""

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """``(h, w, 3)``, not clipped."""
        return picture


class Kept(NamedTuple):
    """What stays as it is of the content.

    Attributes:
        share: ``(h, w)`` in [0, 1].
        content: ``(h, w, 3)``.
    """

    share: np.ndarray
    content: np.ndarray

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """The content where it is kept, else the picture, ``(h, w, 3)``."""
        share = self.share[..., None]
        return share * self.content + (1 - share) * picture


class MatchedAfter(NamedTuple):
    """The picture with the content's mean and covariance of colours.

    Attributes:
        wanted: of the content.
        method: see ``images.color``.
        strength: 0 to 1.
        alpha: of the picture, ``(h, w)``, or None.
        kept: regions that are not recoloured either, or None.
    """

    wanted: ColourStatistics
    method: Method
    strength: float
    alpha: np.ndarray | None
    kept: Kept | None = None

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """``(h, w, 3)``, clipped to [0, 1], before and after."""
        matched = match_colours(
            np.clip(picture, 0, 1),
            self.wanted,
            method=self.method,
            strength=self.strength,
            alpha=self.alpha,
        )
        return matched if self.kept is None else self.kept(matched)


class ContentsChroma(NamedTuple):
    """The picture's luminance, and the chroma of the content.

    Attributes:
        content: ``(h, w, 3)``, in colour, of the picture's size.
    """

    content: np.ndarray

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """``(h, w, 3)``, not clipped: a light gray with much chroma is no colour."""
        return with_luminance(self.content, np.clip(picture, 0, 1))


Finish = AsItIs | MatchedAfter | ContentsChroma


def finish_of(
    config: Config,
    content: Picture,
    sides: tuple[int, int],
    alpha: np.ndarray | None,
    *,
    kept: np.ndarray | None = None,
) -> Finish:
    """What is done to a picture when it is handed out.

    Args:
        config: its colours.
        content: in colour, at its own size.
        sides: height and width of the result.
        alpha: of the result, or None.
        kept: how far the content stays as it is, ``(h, w)`` of the result, or None.
    """
    colours = config.colours
    if in_luminance(colours):
        return ContentsChroma(resize(content.pixels, *sides))
    if colours.match == "none" or colours.when == "before" or not colours.strength:
        return AsItIs()
    wanted = colour_statistics(content.pixels, alpha=content.alpha)
    own = None if kept is None else Kept(kept, resize(content.pixels, *sides))
    return MatchedAfter(wanted, colours.match, colours.strength, alpha, own)
