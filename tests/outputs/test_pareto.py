import io
import itertools
import math

import numpy as np
import pytest
from PIL import Image

from nst_jax.outputs.lanes import LaneResult
from nst_jax.outputs.pareto import pareto_front, pareto_plot

RED = np.array([0xB3, 0x00, 0x1B])


def lane(index, content, style, label=None):
    labels = {"alpha": label or f"1e-{index}"}
    terms = {"total": 1.0, "content": content, "style": style, "tv": 0.0}
    return LaneResult(index, labels, {}, None, "x.png", terms)


def pixels(data):
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB")).astype(int)


def reddish(picture):
    return int((np.abs(picture - RED).max(axis=-1) < 60).sum())


def test_the_front_of_points_made_by_hand():
    points = [(3, 3), (1, 9), (2, 4), (4, 1), (2, 5), (5, 1), (9, 0.5), (4, 1)]
    # (3, 3) is on it: (2, 4) has less of one, (4, 1) of the other.
    assert pareto_front(points) == [1, 2, 0, 3, 7, 6]
    assert pareto_front([]) == []


def test_the_front_is_what_nothing_beats():
    points = np.random.default_rng(0).integers(0, 12, (80, 2)).tolist()
    points = [tuple(point) for point in points]
    expected = {
        i
        for i, a in enumerate(points)
        if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in points)
    }
    assert set(pareto_front(points)) == expected


def test_the_front_is_drawn_as_a_line():
    lanes = [lane(i, 10.0**i, 10.0**-i) for i in range(4)]
    one = pixels(pareto_plot(lanes[:1]))
    line = pixels(pareto_plot(lanes))
    assert one.shape == line.shape
    # Nothing of one point is a line across; four in a log-log diagonal are.
    assert reddish(line) > 3 * reddish(one) > 0
    columns = np.flatnonzero((np.abs(line - RED).max(-1) < 60).any(axis=0))
    assert columns.max() - columns.min() > line.shape[1] / 2


def test_lanes_without_finite_losses_are_left_out_and_counted():
    good = [lane(0, 1.0, 2.0), lane(1, 2.0, 1.0)]
    bad = [lane(2, math.nan, 1.0), lane(3, 1.0, math.inf), lane(4, 1.0, 1.0)]
    bad[2] = bad[2]._replace(terms={})
    alone, both = pixels(pareto_plot(good)), pixels(pareto_plot([*good, *bad]))
    title = slice(0, 30)
    assert (alone[title] != both[title]).any()
    assert (alone[30:] == both[30:]).all()
    assert pixels(pareto_plot(bad)).size


@pytest.mark.parametrize("losses", [(0.0, 0.0), (1e-38, 1e30), (5.0, 5.0)])
def test_odd_losses_and_labels_are_no_trouble(losses):
    lanes = [lane(0, *losses, label="$x"), lane(1, *losses, label="y$" * 50)]
    assert pixels(pareto_plot(lanes)).size


def test_the_same_lanes_give_the_same_bytes_in_any_order():
    lanes = [lane(i, 1.0 + i, 9.0 - i) for i in range(5)]
    first, second = (pareto_plot(x) for x in (lanes, lanes[::-1]))
    assert first == second


def test_labels_in_a_crowd_do_not_overlap(monkeypatch):
    from nst_jax.outputs import pareto

    found = []
    place = pareto._is_free

    def spy(box, taken, inside):
        if free := place(box, taken, inside):
            found.append(box)
        return free

    monkeypatch.setattr(pareto, "_is_free", spy)
    random = np.random.default_rng(1)
    pareto_plot([lane(i, *random.lognormal(size=2)) for i in range(60)])
    assert len(found) > 30
    for one, other in itertools.combinations(found, 2):
        assert not one.overlaps(other)
