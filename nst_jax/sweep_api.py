"""``nst_jax.sweep``: many runs at once, from Python."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from nst_jax.config import Config, changed
from nst_jax.images.io import from_array
from nst_jax.outputs.progress import reporter
from nst_jax.sources import file_name, style_keys, style_sources
from nst_jax.sweep_plan import refusal_of_many
from nst_jax.sweep_result import SweepResult
from nst_jax.sweep_run import run_sweep
from nst_jax.sweep_spec.combine import TooManyLanes
from nst_jax.sweep_spec.spec import parse


def sweep(
    content: "str | PathLike | np.ndarray | None",
    style: "str | PathLike | np.ndarray | Sequence | None",
    *,
    axes: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    combine: str = "grid",
    samples: int | None = None,
    sample_seed: int = 0,
    style_weights: Sequence[float] | None = None,
    style_scale: float = 1.0,
    regions: Mapping[str, Any] | None = None,
    texture: Sequence[int] | None = None,
    tileable: bool = False,
    start: str | PathLike | None = None,
    size: int = 512,
    scales: str | Sequence[int] | None = None,
    seed: int = 0,
    device: str | None = None,
    network: Mapping[str, Any] | None = None,
    objective: Mapping[str, Any] | None = None,
    solver: Mapping[str, Any] | None = None,
    colours: Mapping[str, Any] | None = None,
    photorealism: Mapping[str, Any] | None = None,
    lanes: int | None = None,
    out: str | PathLike | None = None,
    overwrite: bool = False,
    resume: bool = False,
    many: bool = False,
    progress: bool = False,
) -> SweepResult:
    """Stylise one picture in many ways at once, from Python.

    Settings that change numbers only run side by side in one compiled program::

        result = nst_jax.sweep(
            "town.jpg", "night.jpg", size=256,
            axes={"alpha": [1e-4, 1e-3, 1e-2], "seed": [0, 1]},
        )
        result             # in a notebook: the labelled sheet
        result.pictures    # six arrays
        result.table       # six rows

    Args:
        content: a file, or an array (h, w, 3 or 4): uint8, or float in [0, 1]; None if
            it is an axis.
        style: likewise; or several, as for ``stylize``.
        axes: name of a setting -> its values, or label -> value; see `nst-jax sweep
            --help`. For ``combine="list"`` a list of settings for each lane.
        combine: "grid", "zip", "random" or "list".
        samples: lanes of a random sweep.
        sample_seed: of a random sweep.
        style_weights: as for ``stylize``, as are the following.
        style_scale: size of the styles, times the content's.
        regions: keys of the section ``regions``.
        texture: width and height of a texture, instead of a content and a size.
        tileable: whether opposite edges of the results fit together.
        start: what the runs start from.
        size: longer side of the results in pixels.
        scales: longer sides from coarse to fine.
        seed: seed of the noise.
        device: "cpu", "gpu", "tpu", "gpu:1"; None: all of the best kind there is.
        network: keys of the section ``network``.
        objective: keys of the section ``objective``.
        solver: keys of the section ``solver``.
        colours: keys of the section ``colours``.
        photorealism: keys of the section ``photorealism``.
        lanes: how many run side by side; None: as many as fit.
        out: folder to write, as `nst-jax sweep` does; None: nothing is written.
        overwrite: whether ``out`` may be replaced.
        resume: run only what is missing in ``out``.
        many: whether a sweep of more than 10,000 lanes or many hours is meant.
        progress: whether to show the plan and how far it is.

    Raises:
        ValueError: for whatever in axes, settings, weights or pictures does not fit.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    sections = {
        "network": network,
        "objective": objective,
        "solver": solver,
        "colours": colours,
        "regions": regions,
        "texture": texture,
        "photorealism": photorealism,
    }
    base = changed(
        Config(),
        **{name: _plain(section) for name, section in sections.items() if section},
        style_scale=style_scale,
        tileable=tileable,
        size=size if texture is None else max(texture),
        scales=scales,
        seed=seed,
        device=device,
        start=None if start is None else str(start),
        output={"dir": None if out is None else str(out)},
    )
    tree = _tree(axes, combine, samples, sample_seed, lanes)
    sources = [content, *style_sources(style)]
    with _files(sources, out) as files:
        keys = style_keys(style, style_weights, files[1:])
        base = changed(base, content=files[0], **keys)
        try:
            parsed = parse(tree, base, where="axes", many=many)
        except TooManyLanes as error:
            raise refusal_of_many(error) from error
        result = run_sweep(
            base,
            parsed,
            write=out is not None,
            overwrite=overwrite,
            resume=resume,
            yes=many,
            keep_records=True,
            reporter=reporter(quiet=not progress),
        )
    configs = [_without_arrays(config, sources) for config in result.configs]
    return result._replace(configs=configs)


def _tree(axes, combine: str, samples, sample_seed: int, lanes) -> dict[str, Any]:
    """The section ``sweep`` that the arguments stand for."""
    options: dict[str, Any] = {"combine": combine}
    if combine == "random":
        options |= {"samples": samples, "sample_seed": sample_seed}
    elif samples is not None:
        options["samples"] = samples  # refused where axes are read
    if lanes is not None:
        options["lanes"] = lanes
    if combine == "list":
        return {"list": _plain(axes), **options}
    if not isinstance(axes, Mapping):
        raise ValueError("axes: expected a mapping, as {'alpha': [1e-4, 1e-3]}")
    return {**_plain(axes), **options}


def _plain(value: Any) -> Any:
    """Arrays, ranges and paths as what a YAML file could hold."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, PathLike):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value


# --- arrays -----------------------------------------------------------------------


@contextlib.contextmanager
def _files(sources: Sequence, out) -> Iterator[list[str | None]]:
    """Content and styles as files; those of arrays are gone afterwards."""
    arrays = [isinstance(source, np.ndarray) for source in sources]
    if any(arrays) and out is not None:
        raise ValueError(
            "out is for picture files, which the configs in it can name: save the "
            "arrays as pictures first, or leave out away"
        )
    with tempfile.TemporaryDirectory() as folder:
        yield [
            _written(source, Path(folder) / f"{_name(number)}.png") if is_array
            else file_name(source)
            for number, (source, is_array) in enumerate(
                zip(sources, arrays, strict=True)
            )
        ]  # fmt: skip


def _name(number: int) -> str:
    return ("content", "style")[number] if number < 2 else f"style_{number}"


def _written(array: np.ndarray, path: Path) -> str:
    """A PNG of 16 bits: 8 bits of an array stay as they are."""
    pixels = from_array(array).pixels
    path.write_bytes(imagecodecs.png_encode(np.rint(pixels * 65535).astype(np.uint16)))
    return str(path)


def _without_arrays(config: Config, sources: Sequence) -> Config:
    """The config of a lane without the files that stood for arrays."""
    own, *styles = (isinstance(source, np.ndarray) for source in sources)
    if own:
        config = replace(config, content=None)
    if config.styles is None:
        return replace(config, style=None) if any(styles) else config
    kept = [
        replace(style, picture=None) if is_array else style
        for style, is_array in zip(config.styles, styles, strict=True)
    ]
    return replace(config, styles=tuple(kept))
