"""Masks: pictures that say which region each pixel of another picture is of.

Either one picture with a colour for each region, or one gray picture for each, white
where the region is, gray at soft edges. A mask has any size; it is brought to that of
its picture by area, so that edges stay where they are and become soft.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from nst_jax.images.io import load

# The colours that regions are painted in, by the names they are known by.
COLOURS = {
    "black": (0, 0, 0), "white": (255, 255, 255), "gray": (128, 128, 128),
    "red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255),
    "yellow": (255, 255, 0), "magenta": (255, 0, 255), "cyan": (0, 255, 255),
    "orange": (255, 128, 0), "purple": (128, 0, 255), "pink": (255, 128, 192),
    "maroon": (128, 0, 0), "darkgreen": (0, 128, 0), "navy": (0, 0, 128),
    "olive": (128, 128, 0),
}  # fmt: skip
# A colour that fewer pixels have is an edge or noise of a JPEG, not a region.
LEAST_SHARE = 0.003
EDGE = 7  # pixels: what is nowhere so wide, in a JPEG, is an edge
# Pixels farther from every colour than this (of 442) are of none: a mask has few.
FARTHEST, MOST_FAR = 70.0, 0.2
MOST_REGIONS = len(COLOURS)
NEITHER = "a mask is one picture with a colour for each region, or a list of gray ones"


class Masks(NamedTuple):
    """Which region each pixel is of.

    Attributes:
        names: of the regions.
        values: float32 ``(regions, h, w)`` in [0, 1]; their sum is at most 1.
        notes: what the user should know, one sentence each.
    """

    names: tuple[str, ...]
    values: np.ndarray
    notes: tuple[str, ...] = ()


def coloured(path: str | PathLike) -> Masks:
    """The regions of one picture, named by the nearest of ``COLOURS``.

    Colours that hardly any pixel has (soft edges, a JPEG's noise) are given to the
    nearest region, which is said in ``notes``.

    Raises:
        ValueError: naming the file: no picture, one that is no mask, or one in which
            two colours would get the same name.
    """
    picture = load(path)
    pixels, name = np.rint(picture.pixels * 255).reshape(-1, 3), picture.name
    found, index, counts = np.unique(
        pixels, axis=0, return_inverse=True, return_counts=True
    )
    table = np.array(list(COLOURS.values()), float)
    distances = np.linalg.norm(found[:, None] - table, axis=-1)
    far = counts[distances.min(1) > FARTHEST].sum() / len(pixels)
    if far > MOST_FAR and len(found) > MOST_REGIONS:
        raise ValueError(
            f"{path}: holds too many colours for a mask ({len(found):,}): paint each "
            f"region in one of {', '.join(COLOURS)}"
        )
    nearest = distances.argmin(1)
    _check_names(path, found, nearest, counts / len(pixels))
    classes = nearest[index.reshape(-1)].reshape(picture.pixels.shape[:2])
    regions = _regions(classes, flat=len(found) <= MOST_REGIONS)
    notes = list(picture.notes)
    if dropped := int(counts[~np.isin(nearest, regions)].sum()):
        notes.append(
            f"{dropped:,} pixels of stray colours (soft edges, or a JPEG's noise) were "
            "given to the nearest region"
        )
    own = distances[:, regions].argmin(1)[index.reshape(-1)]
    values = (
        own.reshape(picture.pixels.shape[:2]) == np.arange(len(regions))[:, None, None]
    )
    names = tuple(np.array(list(COLOURS))[regions].tolist())
    told = tuple(f"{name}: {note}" for note in notes)
    return Masks(names, values.astype(np.float32), told)


def _regions(classes: np.ndarray, *, flat: bool) -> np.ndarray:
    """Which classes of ``(h, w)`` are regions, not edges.

    Args:
        classes: number of the nearest colour.
        flat: whether the picture has few colours: then thin regions are meant.
    """
    least, found = LEAST_SHARE * classes.size, []
    for number, count in enumerate(np.bincount(classes.reshape(-1))):
        is_thin = (
            not flat
            and not ndimage.binary_erosion(
                classes == number, np.ones((EDGE, EDGE))
            ).any()
        )
        if count >= least and not is_thin:
            found.append(number)
    return np.array(found, int)


def _check_names(path, found, nearest, shares) -> None:
    """Refuse two large areas of different colours that are nearest to one name."""
    large = shares >= LEAST_SHARE
    if large.sum() > MOST_REGIONS:
        return  # no flat areas: a JPEG
    for colour in set(nearest[large]):
        same = found[large & (nearest == colour)]
        if len(same) > 1 and np.ptp(same, axis=0).max() > 24:
            shown = " and ".join(
                "#{:02x}{:02x}{:02x}".format(*map(int, c)) for c in same
            )
            raise ValueError(
                f"{path}: the colours {shown} are all nearest to "
                f"{list(COLOURS)[colour]}: paint each region in one of "
                f"{', '.join(COLOURS)}"
            )


def grays(
    paths: Sequence[str | PathLike], *, names: Sequence[str] | None = None
) -> Masks:
    """The regions of gray pictures, one for each: white is in it, black is not.

    The first picture's size is that of all. Where they overlap to more than 1, they are
    divided by their sum.

    Args:
        paths: a picture for each region.
        names: of the regions; None: those of the files.

    Raises:
        ValueError: naming the file: no picture, coloured, or empty; two of one name.
    """
    names = [Path(path).stem for path in paths] if names is None else list(names)
    if len(set(names)) < len(names) or len(names) != len(paths):
        raise ValueError(f"masks need a name each: {', '.join(names)}")
    if len(paths) > MOST_REGIONS:
        raise ValueError(f"{len(paths)} masks: at most {MOST_REGIONS} regions")
    planes, notes = [], []
    for path in paths:
        picture = load(path)
        if np.ptp(picture.pixels, axis=-1).max() > 0.1:
            raise ValueError(f"{path}: is coloured; {NEITHER}")
        plane = picture.pixels.mean(-1)
        if not plane.max() > 0:
            raise ValueError(f"{path}: this region is empty: all of the mask is black")
        shape = planes[0].shape if planes else plane.shape
        if plane.shape != shape:
            notes.append(f"{picture.name}: {_resized_note(plane.shape, shape)}")
        planes.append(by_area(plane, *shape))
        notes += [f"{picture.name}: {note}" for note in picture.notes]
    values, overlap = _normalised(np.stack(planes))
    if overlap:
        notes.append(f"masks overlap on {overlap:.1%} of the picture: divided there")
    return Masks(tuple(names), values, tuple(notes))


def of_alpha(alpha: np.ndarray) -> Masks:
    """The regions "opaque" and "transparent" of an alpha channel ``(h, w)``."""
    return Masks(("opaque", "transparent"), np.stack([alpha, 1 - alpha]))


def _normalised(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Masks whose sum is at most 1, and the share of pixels where it was not."""
    total = values.sum(0)
    over = total > 1 + 1e-3
    return (values / np.maximum(total, 1)).astype(np.float32), float(over.mean())


def fitted(masks: Masks, height: int, width: int) -> np.ndarray:
    """``(regions, height, width)``: the masks at that size."""
    return np.stack([by_area(plane, height, width) for plane in masks.values])


def size_note(masks: Masks, height: int, width: int) -> str | None:
    """A sentence if the masks have another size than their picture, else None."""
    shape = masks.values.shape[1:]
    return None if shape == (height, width) else _resized_note(shape, (height, width))


def _resized_note(old: tuple[int, ...], new: tuple[int, ...]) -> str:
    return f"the mask of {old[1]} x {old[0]} was resized to {new[1]} x {new[0]}"


def by_area(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask ``(h, w)`` resized, each pixel the mean of what it covers."""
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    resized = image.resize((width, height), Image.Resampling.BOX)
    return np.clip(np.asarray(resized), 0, 1)
