"""Regions of a run: masks read, checked against each other, and made into guides."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from nst_jax.config import Config, Mask
from nst_jax.features.guides import layer_guides
from nst_jax.images.io import Picture
from nst_jax.images.masks import Masks, by_area, coloured, grays, of_alpha, size_note
from nst_jax.inputs import ALPHA, style_names, styles_of
from nst_jax.objective.regions import Regions, present

Sides = tuple[int, int]


class RegionMasks(NamedTuple):
    """Masks of the regions that get a style, each at its own size.

    Attributes:
        names: of the regions.
        weights: of the regions.
        content: ``(regions, h, w)``.
        kept: ``(h, w)``: how far the content stays as it is; None: nowhere.
        styles: ``(regions, h, w)`` of each style; None: all of it is of all regions.
        notes: what the user should know.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    content: np.ndarray
    kept: np.ndarray | None
    styles: tuple[np.ndarray | None, ...]
    notes: tuple[str, ...]


def read_regions(
    config: Config, content: Picture, styles: Sequence[Picture]
) -> RegionMasks | None:
    """The regions that the config asks for; None if it asks for none.

    Args:
        config: as loaded.
        content: at its own size.
        styles: at their own sizes.

    Raises:
        ValueError: naming the mask or the region: no mask, none of the regions named in
            the config, one that no style has, or nothing left to be styled.
    """
    regions = config.regions
    if regions.content is None:
        _check_none(config)
        return None
    masks = _content_masks(regions.content, content)
    names = masks.names
    _check_named(config, names)
    keep = regions.keep or ()
    others = [
        _style_mask(mask, names, part.regions)
        for mask, part in zip(_style_masks(config), styles_of(config), strict=True)
    ]
    _check_found(names, keep, others, config)
    styled = [n for n, name in enumerate(names) if name not in keep]
    kept = masks.values[[n for n, name in enumerate(names) if name in keep]]
    weights = regions.weights or {}
    pairs: list[tuple[str, Masks | None, Picture]] = [("content", masks, content)]
    pairs += zip(style_names(config), others, styles, strict=True)
    return RegionMasks(
        tuple(names[n] for n in styled),
        tuple(weights.get(names[n], 1.0) for n in styled),
        masks.values[styled],
        kept.sum(0) if len(kept) else None,
        tuple(None if one is None else one.values[styled] for one in others),
        tuple(note for pair in pairs for note in _notes(*pair)),
    )


def _check_none(config: Config) -> None:
    """Refuse settings of regions where there are none."""
    regions = config.regions
    given = {
        "regions.style": regions.style,
        "regions.styles": regions.styles,
        "regions.weights": regions.weights,
        "regions.keep": regions.keep,
    }
    given |= {
        f"style {n}: regions": s.regions for n, s in enumerate(styles_of(config), 1)
    }
    for key, value in given.items():
        if value is not None:
            raise ValueError(
                f"{key} is given, but regions.content is missing: give the mask of the "
                "content picture"
            )


def _content_masks(mask: Mask, content: Picture) -> Masks:
    if mask != ALPHA:
        return coloured(mask) if isinstance(mask, str) else grays(mask)
    if content.alpha is None:
        raise ValueError(
            f"regions.content is alpha, but {content.name} has no transparent part: "
            "give a mask"
        )
    return of_alpha(content.alpha)


def _style_masks(config: Config) -> tuple[Mask | None, ...]:
    """A mask, or None, for each style."""
    count, regions = len(styles_of(config)), config.regions
    masks = regions.styles or ((regions.style,) if regions.style else (None,) * count)
    if len(masks) != count:
        key = "regions.styles has" if regions.styles else "regions.style is"
        raise ValueError(
            f"{key} {len(masks)} mask{'s' if len(masks) > 1 else ''}, but there are "
            f"{count} styles: give each a mask in regions.styles, or null for all of it"
        )
    return masks


def _style_mask(
    mask: Mask | None, names: tuple[str, ...], own: tuple[str, ...] | None
) -> Masks | None:
    """The mask of a style, in the order of the content's regions.

    A style without one is of all its regions as a whole; regions that it has no part in
    are empty.
    """
    if mask is None:
        if own is None:
            return None
        return Masks(names, np.array([[[name in own]] for name in names], np.float32))
    if isinstance(mask, str):
        found = coloured(mask)
    elif len(mask) != len(names):
        raise ValueError(
            f"regions: {len(mask)} masks of a style, but the content has "
            f"{len(names)} regions: {', '.join(names)}"
        )
    else:
        found = grays(mask, names=names)
    values = np.zeros((len(names), *found.values.shape[1:]), np.float32)
    for name, plane in zip(found.names, found.values, strict=True):
        if name in names and (own is None or name in own):
            values[names.index(name)] = plane
    unused = [name for name in found.names if name not in names]
    notes = [
        f"region {name} of {mask} is not in the content's mask, and is not used"
        for name in unused
    ]
    return Masks(names, values, (*found.notes, *notes))


def _check_named(config: Config, names: Collection[str]) -> None:
    """Refuse regions in the config that the content does not have."""
    regions = config.regions
    named = {"regions.weights": regions.weights, "regions.keep": regions.keep}
    for number, style in enumerate(config.styles or (), start=1):
        named[f"style {number}"] = style.regions
    for key, own in named.items():
        for name in own or ():
            if name not in names:
                raise ValueError(
                    f"{key}: the content's mask has no region {name}; it has "
                    f"{', '.join(names)}"
                )


def _check_found(names, keep, styles: Sequence[Masks | None], config: Config) -> None:
    """Refuse a region without any style, and a picture without any region."""
    counting = [part.weight > 0 for part in styles_of(config)]
    for number, name in enumerate(names):
        if name not in keep and not any(
            counts and (one is None or one.values[number].any())
            for one, counts in zip(styles, counting, strict=True)
        ):
            raise ValueError(
                f"region {name} of the content's mask is in no style: paint it into a "
                f"style's mask, or leave it as it is with keep: [{name}]"
            )
    weights = config.regions.weights or {}
    if not any(name not in keep and weights.get(name, 1) > 0 for name in names):
        raise ValueError("regions: nothing is left to get a style")


def _notes(name: str, masks: Masks | None, picture: Picture) -> list[str]:
    if masks is None:
        return []
    notes = list(masks.notes)
    height, width = picture.pixels.shape[:2]
    if masks.values.shape[1:] != (1, 1) and (note := size_note(masks, height, width)):
        notes.append(f"{name}: {note}")
    if name == "content" and (none := float((masks.values.sum(0) < 0.5).mean())):
        notes.append(f"{none:.1%} of the content is of no region, and gets no style")
    return notes


# --- guides -----------------------------------------------------------------------


def regions_at(
    masks: RegionMasks, config: Config, sides: Sides, layers: Collection[str]
) -> Regions:
    """The regions of the content at a size.

    Args:
        masks: of ``read_regions``.
        config: resolved.
        sides: height and width of the content.
        layers: all that a run may look at.
    """
    kept = None if masks.kept is None else by_area(masks.kept, *sides)
    guides = _guides(masks.content, config, sides, layers)
    return Regions(guides, masks.weights, kept)


def style_guides_at(
    masks: RegionMasks,
    config: Config,
    sides: Sequence[Sides],
    layers: Collection[str],
) -> list[dict[str, np.ndarray] | None]:
    """Guides of each style at a size; see ``regions_at``."""
    return [
        None if own is None else _guides(own, config, size, layers)
        for own, size in zip(masks.styles, sides, strict=True)
    ]


def _guides(masks: np.ndarray, config: Config, sides: Sides, layers):
    fitted = np.stack([by_area(plane, *sides) for plane in masks])
    return layer_guides(
        fitted,
        layers,
        layout=config.network.name or "vgg19",
        mode=config.regions.mode,
        circular=config.tileable,
    )


def vanished(
    names: Sequence[str],
    regions: Regions,
    styles: Sequence[dict[str, np.ndarray] | None],
    layers: Collection[str],
) -> list[str]:
    """Notes on layers at which nothing is left of a region, which do not count there.

    Args:
        names: of the regions.
        regions: of the content.
        styles: guides of each style.
        layers: style layers that count.

    Raises:
        ValueError: if nothing is left of a region at any of them.
    """
    lost: dict[str, list[str]] = {}
    for layer in layers:
        there = present(regions.guides[layer])
        in_styles = [s is None or present(s[layer]) for s in styles]
        there = there & np.any(np.broadcast_arrays(there, *in_styles)[1:], axis=0)
        for number in np.flatnonzero(~there).tolist():
            lost.setdefault(names[number], []).append(layer)
    for name, gone in lost.items():
        if len(gone) == len(layers):
            raise ValueError(
                f"nothing is left of region {name} at any style layer: choose "
                "regions.mode simple, a larger size, or a larger region"
            )
    return [
        f"region {name} vanishes at {', '.join(gone)}, and does not count there"
        for name, gone in lost.items()
    ]
