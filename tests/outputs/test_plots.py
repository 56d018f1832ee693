import io
from typing import Any

import numpy as np
from PIL import Image

from nst_jax.outputs.plots import loss_plot
from nst_jax.solve.loop import Record
from nst_jax.types import LossTerms

Terms: Any = LossTerms  # here of plain floats, as records have them


def record(iteration, total):
    layers = {"conv4_2": total}, {"conv1_1": total / 2}
    terms = Terms(total, total / 4, total / 8, 0.0, *layers)
    return Record(iteration, iteration + 1, 1.0, 64, terms)


def pixels(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def test_the_curves_show_in_both_halves():
    plain = pixels(loss_plot([record(i, 0.0) for i in range(9)]))
    drawn = pixels(loss_plot([record(i, 10.0**-i) for i in range(9)]))
    assert plain.shape == drawn.shape
    middle = plain.shape[1] // 2
    for half in (np.s_[:, :middle], np.s_[:, middle:]):
        assert np.mean(plain[half] != drawn[half]) > 0.005


def test_one_record_and_only_zeros_are_no_trouble():
    for records in ([record(0, 1.0)], [record(0, 0.0)], [record(0, 1e-38)] * 2):
        assert pixels(loss_plot(records)).size
