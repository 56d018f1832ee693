import csv
import math

import pytest

from nst_jax.outputs.lanes import LaneResult
from nst_jax.outputs.table import to_csv


def lane(index, labels, values, terms, **more):
    file = f"lanes/{index:04d}/result.png"
    return LaneResult(index, labels, values, None, file, terms, **more)


def parsed(lanes):
    return list(csv.DictReader(to_csv(lanes).splitlines()))


def test_a_row_per_lane_parses_back():
    terms = {"total": 0.1 + 0.2, "content": 2.0, "style": 3.0, "tv": 1e-30}
    first = lane(
        7,
        {"alpha": "1e-3", "style_layers": "A, shallow"},
        {"alpha": 0.001, "style_layers": "A, shallow"},
        {**terms, "style/conv1_1": 5.0, "content/conv4_2": 6.0},
        scores={"gram conv3_3": 0.25},
        seconds=1.23456,
    )
    second = lane(
        2,
        {"alpha": "1e-2", "style_layers": 'B "deep"'},
        {"alpha": 0.01},
        {**terms, "total": math.nan, "style/conv2_1": math.inf},
        outcome="diverged",
    )
    rows = parsed([first, second])
    assert list(rows[0]) == [
        *("lane", "alpha", "style_layers", "total", "content", "style", "tv"),
        *("content/conv4_2", "style/conv1_1", "style/conv2_1", "gram conv3_3"),
        *("seconds", "outcome"),
    ]
    assert [row["lane"] for row in rows] == ["0002", "0007"]
    assert float(rows[1]["alpha"]) == 0.001
    assert [row["style_layers"] for row in rows] == ['B "deep"', "A, shallow"]
    assert float(rows[1]["total"]) == 0.1 + 0.2
    assert float(rows[1]["tv"]) == 1e-30
    assert rows[1]["style/conv2_1"] == ""
    assert float(rows[1]["gram conv3_3"]) == 0.25
    assert float(rows[1]["seconds"]) == 1.2346
    assert math.isnan(float(rows[0]["total"]))
    assert math.isinf(float(rows[0]["style/conv2_1"]))
    assert [row["outcome"] for row in rows] == ["diverged", "finished"]


def test_an_axis_named_like_a_loss_keeps_both():
    (row,) = parsed([lane(0, {"tv": "5"}, {"tv": 5.0}, {"tv": 0.125})])
    assert (float(row["axis/tv"]), float(row["tv"])) == (5, 0.125)


def test_a_lane_that_is_missing_has_an_empty_row():
    (row,) = parsed([lane(3, {"seed": "1"}, {"seed": 1}, {}, outcome="missing")])
    assert (row["seed"], row["total"], row["outcome"]) == ("1", "", "missing")


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        ([], "no lanes"),
        ([lane(1, {"a": "1"}, {}, {})] * 2, "lane 1 is given twice"),
        (
            [lane(1, {"a": "1"}, {}, {}), lane(2, {"b": "1"}, {}, {})],
            "lane 2 has the axes b, lane 1 has a",
        ),
    ],
)
def test_lanes_that_do_not_fit_together_are_refused(lanes, message):
    with pytest.raises(ValueError, match=message):
        to_csv(lanes)
