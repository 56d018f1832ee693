import io
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from nst_jax.images.io import save
from nst_jax.outputs.lanes import LaneResult
from nst_jax.outputs.sheet import LARGEST_SHEET, sheets, write_sheets

HEIGHT, WIDTH = 24, 32


def colour(index):
    """A different one for each lane, none of them gray, white, black or red."""
    return (40 + index % 12 * 15, 250 - index // 12 * 15, 77)


def flat(index, height=HEIGHT, width=WIDTH):
    return np.full((height, width, 3), np.array(colour(index)) / 255, np.float32)


def grid_lanes(axes):
    combinations = itertools.product(*axes.values())
    return [
        LaneResult(
            i, dict(zip(axes, labels, strict=True)), {}, flat(i),
            f"lanes/{i:04d}/result.png", {"total": 1.0},
        )
        for i, labels in enumerate(combinations)
    ]  # fmt: skip


def opened(data):
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    assert max(image.size) <= LARGEST_SHEET
    return np.asarray(image)


def boxes_of(sheet):
    """Lane -> rows and columns between which its colour lies; it fills them."""
    red, green, blue = (sheet[..., channel].astype(int) for channel in range(3))
    (column, off), (row, odd) = divmod(red - 40, 15), divmod(250 - green, 15)
    ours = (blue == 77) & (off == 0) & (odd == 0) & (column < 12)
    numbers = np.where(ours, row * 12 + column + 1, 0)
    found = {}
    for index, place in enumerate(ndimage.find_objects(numbers)):
        if place is not None:
            assert (numbers[place] == index + 1).all()
            rows, columns = place
            found[index] = (rows.start, rows.stop, columns.start, columns.stop)
    return found


def reds(sheet):
    return int((sheet == np.array([0xB3, 0x00, 0x1B])).all(axis=-1).sum())


@pytest.mark.parametrize(("rows", "columns"), [(5, 4), (12, 12)])
def test_two_axes_are_rows_and_columns(tmp_path, rows, columns):
    axes = {
        "layers": tuple(f"set {i}" for i in range(rows)),
        "alpha": tuple(f"1e-{i}" for i in range(columns)),
    }
    lanes = grid_lanes(axes)
    found = sheets(lanes[::-1], tmp_path, grid=axes)
    assert list(found) == ["sheet.png"]
    sheet = opened(found["sheet.png"])
    found = boxes_of(sheet)
    boxes = np.array([found[lane.index] for lane in lanes])
    boxes = boxes.reshape(rows, columns, 4)
    heights, widths = boxes[..., 1] - boxes[..., 0], boxes[..., 3] - boxes[..., 2]
    assert len({*heights.ravel()}) == len({*widths.ravel()}) == 1
    assert widths[0, 0] * HEIGHT == heights[0, 0] * WIDTH
    # Equal steps down the rows and along the columns, without overlap.
    assert (boxes[:, :, 0] == boxes[:, :1, 0]).all()
    assert (boxes[:, :, 2] == boxes[:1, :, 2]).all()
    assert (np.diff(boxes[:, 0, 0]) > heights[0, 0]).all()
    assert (np.diff(boxes[0, :, 2]) > widths[0, 0]).all()
    # Labels stand left of each row and above each column.
    ink = (sheet < 100).all(axis=-1)
    for top, bottom, left, _ in boxes[:, 0]:
        assert ink[top:bottom, :left].any()
    for top, _, left, right in boxes[0]:
        assert ink[:top, left:right].any()


def test_an_axis_of_one_value_goes_into_the_title(tmp_path):
    axes = {"a": ("1", "2"), "b": ("1", "2")}
    plain = opened(sheets(grid_lanes(axes), tmp_path, grid=axes)["sheet.png"])
    axes = {"start": ("noise",), **axes}
    titled = opened(sheets(grid_lanes(axes), tmp_path, grid=axes)["sheet.png"])
    assert titled.shape[0] > plain.shape[0]
    assert titled.shape[1] == plain.shape[1]


def test_further_axes_give_a_sheet_each(tmp_path):
    axes = {"a": ("1", "2"), "b": ("x", "y"), "seed": ("0", "1", "2")}
    lanes = grid_lanes(axes)
    paths = write_sheets(lanes, tmp_path, grid=axes)
    assert [path.name for path in paths] == [f"sheet_{i}.png" for i in (1, 2, 3)]
    for number, path in enumerate(paths):
        sheet = np.asarray(Image.open(path))
        # The last axis changes first: seed s has lanes s, s + 3, s + 6, s + 9.
        found = boxes_of(sheet)
        assert list(found) == [number + step for step in (0, 3, 6, 9)]
        places = [place[::2] for place in found.values()]
        assert places[0][0] == places[1][0] < places[2][0] == places[3][0]
        assert places[0][1] == places[2][1] < places[1][1] == places[3][1]


@pytest.mark.parametrize(("count", "columns"), [(6, 6), (12, 4), (19, 5)])
def test_one_axis_is_a_row_that_wraps(tmp_path, count, columns):
    axes = {"seed": tuple(str(i) for i in range(count))}
    for grid in (axes, None):
        sheet = opened(sheets(grid_lanes(axes), tmp_path, grid=grid)["sheet.png"])
        found = boxes_of(sheet)
        boxes = [found[i] for i in range(count)]
        assert len({top for top, *_ in boxes}) == -(-count // columns)
        assert len({left for _, _, left, _ in boxes}) == columns
        assert sorted(boxes) == boxes
        ink = (sheet < 100).all(axis=-1)
        for _, bottom, left, right in boxes:
            assert ink[bottom : bottom + 60, left:right].any()


def test_a_lane_in_trouble_is_marked_in_its_own_cell(tmp_path):
    axes = {"a": ("1", "2"), "b": ("1", "2", "3")}
    lanes = grid_lanes(axes)
    assert reds(opened(sheets(lanes, tmp_path, grid=axes)["sheet.png"])) == 0
    changes = [
        {"outcome": "diverged"},
        {"terms": {"total": float("nan")}},
        {"picture": None},
        {"picture": np.full((HEIGHT, WIDTH, 3), np.nan, np.float32)},
    ]
    whole = opened(sheets(lanes, tmp_path, grid=axes)["sheet.png"])
    top, bottom, left, right = boxes_of(whole)[4]
    cases = [[*lanes[:4], lanes[4]._replace(**c), lanes[5]] for c in changes]
    cases.append([lane for lane in lanes if lane.index != 4])
    for changed in cases:
        sheet = opened(sheets(changed, tmp_path, grid=axes)["sheet.png"])
        assert sheet.shape == whole.shape
        cell = np.s_[top:bottom, left:right]
        assert reds(sheet[cell]) > 200
        assert reds(sheet) == reds(sheet[cell])
        other = sheet.copy()
        other[cell] = whole[cell]
        assert (other == whole).all()


def test_pictures_of_different_shapes_keep_theirs(tmp_path):
    axes = {"content": ("tall", "wide"), "seed": ("0", "1")}
    lanes = grid_lanes(axes)
    for i in (0, 1):
        lanes[i] = lanes[i]._replace(picture=flat(i, 64, 32))
    for i in (2, 3):
        lanes[i] = lanes[i]._replace(picture=flat(i, 400, 800))
    sheet = opened(sheets(lanes, tmp_path, grid=axes)["sheet.png"])
    shapes = [(b - t, r - x) for t, b, x, r in boxes_of(sheet).values()]
    assert shapes == [(320, 160)] * 2 + [(160, 320)] * 2


def test_pictures_are_read_from_their_files(tmp_path):
    axes = {"a": ("1", "2"), "b": ("1", "2")}
    lanes = grid_lanes(axes)
    for lane in lanes:
        path = tmp_path / lane.file
        path.parent.mkdir(parents=True)
        save(path, lane.picture)
    bare = [lane._replace(picture=None) for lane in lanes]
    assert sheets(bare, tmp_path, grid=axes) == sheets(lanes, tmp_path, grid=axes)


def test_long_labels_and_many_lanes_stay_within_the_sheet(tmp_path):
    lanes = [
        LaneResult(
            i, {"style": f"{'long_name_' * 9}{i}", "of": "a b " * 60}, {}, flat(i),
            "x.png", {},
        )
        for i in range(144)
    ]  # fmt: skip
    sheet = opened(sheets(lanes, tmp_path)["sheet.png"])
    assert list(boxes_of(sheet)) == list(range(144))


def test_lanes_outside_the_grid_are_refused(tmp_path):
    axes = {"a": ("1", "2"), "b": ("1", "2")}
    lanes = grid_lanes(axes)
    with pytest.raises(ValueError, match="lane 2 is not in the grid"):
        sheets(lanes, tmp_path, grid={"a": ("1",), "b": ("1", "2")})
    twice = [*lanes, lanes[0]._replace(index=9)]
    with pytest.raises(ValueError, match="lanes 0 and 9 are the same"):
        sheets(twice, tmp_path, grid=axes)
    with pytest.raises(ValueError, match="no lanes"):
        sheets([], tmp_path)
