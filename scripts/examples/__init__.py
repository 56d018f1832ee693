"""The makers of the example pictures: content and style, drawn from code alone."""

from collections.abc import Callable

import numpy as np

from .expressionist import expressionist
from .mosaic import mosaic
from .night_sky import night_sky
from .still_life import still_life
from .town import regions, town
from .woodcut_waves import woodcut_waves

Maker = Callable[[int], np.ndarray]

# Each maker takes the longer side and returns float32 sRGB (h, w, 3) in [0, 1].
CONTENTS: dict[str, Maker] = {"town": town, "still_life": still_life}
STYLES: dict[str, Maker] = {
    "night_sky": night_sky,
    "expressionist": expressionist,
    "mosaic": mosaic,
    "woodcut_waves": woodcut_waves,
}
PICTURES = CONTENTS | STYLES
# Which part of a content is of which region: uint8 (h, w, 3), a colour for each.
MASKS: dict[str, Maker] = {"town_regions": regions}
