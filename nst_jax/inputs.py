"""The files that a config names: pictures and weights, and their paths."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nst_jax.config import Config, Mask, RegionsConfig, StyleConfig, to_yaml
from nst_jax.features.pretrained import AUTO, EMBEDDED, PRETRAINED
from nst_jax.images.initial import STARTS
from nst_jax.resolve import RANDOM

ALPHA = "alpha"  # regions.content: the mask is the content's alpha channel


def styles_of(config: Config) -> tuple[StyleConfig, ...]:
    """The styles of a config, each with its own scale times that of all."""
    styles = config.styles or (StyleConfig(config.style),)
    return tuple(replace(s, scale=s.scale * config.style_scale) for s in styles)


def picture_files(config: Config) -> dict[str, str]:
    """What the pictures are for -> their files: content, style, start.

    Several styles are "style 1", "style 2", ...; a start only if it is a file; a
    texture has no content.

    Raises:
        ValueError: if there is no content or no style.
    """
    files = {}
    if config.content is not None:
        files["content"] = config.content
    elif config.texture is None:
        raise ValueError("no content picture: give --content FILE")
    names = style_names(config)
    for name, style in zip(names, styles_of(config), strict=True):
        if style.picture is None:
            raise ValueError(f"no {name} picture: give --style FILE")
        files[name] = style.picture
    if config.start is not None and is_start_file(config.start):
        files["start"] = config.start
    return files


def style_names(config: Config) -> tuple[str, ...]:
    """What the styles are called in records: "style", or "style 1", "style 2", ..."""
    if config.styles is None:
        return ("style",)
    return tuple(f"style {n}" for n in range(1, len(config.styles) + 1))


def mask_files(config: Config) -> dict[str, str]:
    """What the masks of regions are for -> their files: "mask of content"."""
    regions, files = config.regions, {}
    masks = {"content": regions.content, "style": regions.style}
    if regions.content == ALPHA:
        masks["content"] = None
    masks |= {f"style {n}": mask for n, mask in enumerate(regions.styles or (), 1)}
    for name, mask in masks.items():
        if isinstance(mask, str):
            files[f"mask of {name}"] = mask
        for number, file in enumerate(mask if isinstance(mask, tuple) else (), 1):
            files[f"mask {number} of {name}"] = file
    return files


def is_start_file(start: str) -> bool:
    """Whether ``start`` names a file rather than one of ``STARTS``."""
    return start not in STARTS


def is_weights_name(weights: str) -> bool:
    """Whether ``network.weights`` is a name rather than a file."""
    return weights in (RANDOM, AUTO, EMBEDDED, *PRETRAINED)


def input_files(config: Config) -> list[str]:
    """Paths of the files that a run reads."""
    start, weights = config.start, config.network.weights
    files = [config.content, config.style]
    files += [style.picture for style in config.styles or ()]
    files += mask_files(config).values()
    files.append(start if start and is_start_file(start) else None)
    files.append(None if is_weights_name(weights) else weights)
    return [path for path in files if path is not None]


def expand_home(config: Config) -> Config:
    """The config with ``~`` in the paths of inputs replaced."""
    return _with_paths(config, os.path.expanduser)


def repeatable(config: Config) -> Config:
    """Absolute input paths and no output folder: it runs from anywhere."""
    config = _with_paths(config, lambda path: str(Path(path).resolve()))
    return replace(config, output=replace(config.output, dir=None))


def settings_text(config: Config) -> str:
    """The config as YAML for a picture's metadata, without this machine's folders."""
    config = _with_paths(config, lambda path: Path(path).name)
    return to_yaml(replace(config, output=replace(config.output, dir=None)))


def _with_paths(config: Config, made: Callable[[str], str]) -> Config:
    """The config with the paths of all inputs changed."""

    def path(value: str | None) -> str | None:
        return None if value is None else made(value)

    styles, start, weights = config.styles, config.start, config.network.weights
    if styles is not None:
        styles = tuple(replace(s, picture=path(s.picture)) for s in styles)
    return replace(
        config,
        content=path(config.content),
        style=path(config.style),
        styles=styles,
        regions=_with_mask_paths(config.regions, made),
        start=path(start) if start and is_start_file(start) else start,
        network=replace(
            config.network,
            weights=weights if is_weights_name(weights) else made(weights),
        ),
    )


def _with_mask_paths(regions: RegionsConfig, made: Callable[[str], str]):
    def paths(mask: Mask | None) -> Mask | None:
        if mask is None or mask == ALPHA:
            return mask
        return made(mask) if isinstance(mask, str) else tuple(map(made, mask))

    styles = regions.styles
    return replace(
        regions,
        content=paths(regions.content),
        style=paths(regions.style),
        styles=None if styles is None else tuple(map(paths, styles)),
    )
