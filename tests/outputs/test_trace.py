import csv
from typing import Any

from nst_jax.outputs.trace import to_csv
from nst_jax.solve.loop import Record
from nst_jax.types import LossTerms

Terms: Any = LossTerms  # here of plain floats, as records have them


def record(iteration, seconds, total):
    terms = Terms(total, 2.0, 3.0, 0.25, {"conv4_2": 5.0}, {"conv1_1": 0.1})
    return Record(iteration, iteration + 1, seconds, 64, terms)


def test_a_header_and_a_row_per_record():
    text = to_csv([record(0, 1.5, 0.1 + 0.2), record(1, 2.25, 1e-30)])
    header, *rows = list(csv.reader(text.splitlines()))
    assert header == [
        *("iteration", "evaluations", "seconds", "size"),
        *("total", "content", "style", "tv", "content/conv4_2", "style/conv1_1"),
    ]
    assert [float(value) for value in rows[0]] == [
        *(0, 1, 1.5, 64, 0.1 + 0.2, 2, 3, 0.25, 5, 0.1)
    ]
    assert [float(value) for value in rows[1]][:5] == [1, 2, 2.25, 64, 1e-30]
    assert text.endswith("\n")
    assert "\r" not in text
