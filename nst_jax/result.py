"""What a run gives back, and what its manifest says of it."""

import io
import time
from collections.abc import Sequence
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from nst_jax.config import Config
from nst_jax.images.encode import PLAIN, Encoding, to_uint8
from nst_jax.images.io import save
from nst_jax.inputs import is_start_file, mask_files, settings_text, style_names
from nst_jax.outputs import manifest as manifests
from nst_jax.prepare import Prepared
from nst_jax.solve.loop import Outcome, Record
from nst_jax.types import Device


class Result(NamedTuple):
    """What a run gives back.

    Attributes:
        picture: float32 (h, w, 3), clipped to [0, 1].
        alpha: float32 (h, w), the content's, or None.
        records: one per iteration, with the losses; record 0 is the start. Empty for
            a run that was finished already.
        outcome: why the run ended.
        config: resolved: with it and the same pictures, the run can be repeated.
        manifest: versions, device, weights, seconds, evaluations, memory.
        folder: the run folder, or None.
        encoding: how it is written, as the config's output says.
    """

    picture: np.ndarray
    alpha: np.ndarray | None
    records: list[Record]
    outcome: Outcome
    config: Config
    manifest: dict[str, Any]
    folder: Path | None = None
    encoding: Encoding = PLAIN

    def __repr__(self) -> str:
        """Short: a notebook shows the last value of a cell."""
        height, width = self.picture.shape[:2]
        return f"<nst_jax.Result {width} x {height}: {self.outcome.text}>"

    def _repr_png_(self) -> bytes:
        """The picture, for notebooks."""
        buffer = io.BytesIO()
        Image.fromarray(to_uint8(self.picture)).save(buffer, "PNG")
        return buffer.getvalue()

    def save(self, path: str | PathLike, *, bits: Literal[8, 16] | None = None) -> None:
        """Write the picture; the ending chooses the format.

        Args:
            path: the file.
            bits: 8, or 16 in PNG and TIFF; None: as the config says.

        Raises:
            ValueError: if it cannot be written.
        """
        encoding = self.encoding
        if bits is not None:
            encoding = encoding._replace(bits=bits)
        save(
            path,
            self.picture,
            alpha=self.alpha,
            settings=settings_text(self.config),
            encoding=encoding,
        )


def result_of(
    prepared: Prepared, records, inputs: dict[str, Any], device: Device, began: float
) -> Result:
    """What a run gives back, once its last record has come.

    Args:
        prepared: what it was made from.
        records: of the whole run.
        inputs: see ``inputs_of``.
        device: it ran on.
        began: ``time.perf_counter()`` value at which it began.
    """
    last = records[-1]
    picture = np.clip(last.picture, 0, 1)
    manifest = manifest_of(prepared, records, inputs, device, began)
    return Result(
        picture,
        prepared.alpha,
        records,
        last.outcome,
        prepared.config,
        manifest,
        encoding=prepared.encoding,
    )


def inputs_of(prepared: Prepared) -> dict[str, Any]:
    """The pictures that were read, before anybody changes them."""
    config, names = prepared.config, style_names(prepared.config)
    shapes, files = {}, {}
    if config.texture is None:
        shapes["content"], files["content"] = prepared.content.shape, config.content
    for name, style in zip(names, prepared.styles, strict=True):
        shapes[name], files[name] = style.picture.shape, config.style
    for name, style in zip(names, config.styles or (), strict=False):
        files[name] = style.picture
    if config.start and is_start_file(config.start):
        shapes["start"], files["start"] = prepared.start.shape, config.start
    entries = {
        name: manifests.input_entry(files[name], shapes[name]) for name in shapes
    }
    masks = mask_files(config)
    return entries | {name: _mask_entry(file) for name, file in masks.items()}


def _mask_entry(file: str) -> dict[str, Any]:
    with Image.open(file) as image:
        return manifests.input_entry(file, (image.height, image.width))


def manifest_of(
    prepared: Prepared, records: Sequence[Record], inputs, device: Device, began: float
) -> dict[str, Any]:
    """What made the result, for manifest.json."""
    last = records[-1]
    config, weights = prepared.config, prepared.weights
    total = time.perf_counter() - began
    return {
        "versions": manifests.versions(),
        "device": manifests.device_name(device),
        "weights": {
            "name": weights.name,
            "sha256": weights.sha256,
            "source": weights.source,
            "licence": weights.licence,
            "note": prepared.note,
        },
        "inputs": inputs,
        "seed": config.seed,
        "seconds": {
            "compile": round(last.compile_seconds, 3),
            "solve": round(last.solve_seconds, 3),
            "total": round(total, 3),
        },
        "scales": [
            {"size": size, "iterations": len(list(group)) - 1}
            for (_, size), group in groupby(records, lambda r: (r.scale, r.size))
        ],
        "evaluations": last.evaluations,
        "refused_steps": last.refused,
        "peak_memory_bytes": manifests.peak_memory_bytes(device),
        "memory": {
            "predicted_bytes": prepared.memory.predicted,
            "available_bytes": prepared.memory.available,
            "history": getattr(prepared.solver, "history", None),
            "remat": list(prepared.network.remat),
        },
        "outcome": last.outcome._asdict() if last.outcome else None,
    }
