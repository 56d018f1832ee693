import h5py
import numpy as np
import pytest

from nst_jax.features.layout import in_order, layout_of
from nst_jax.features.random_weights import random_weights
from nst_jax.features.weights import (
    CAFFE_INPUT,
    Weights,
    check,
    in_8_bits,
    read,
    stored_layers,
    write,
)


@pytest.fixture
def weights():
    made = random_weights("vgg19", seed=1, width=1 / 32, deepest="conv3_4")
    mu = {
        "avg": {k: np.abs(v["bias"]) + 1 for k, v in made.params.items()},
    }
    return made._replace(mu=mu, source="a file", licence="ours", input=CAFFE_INPUT)


def test_what_is_written_is_read_back(tmp_path, weights):
    write(tmp_path / "w.h5", weights)
    back = read(tmp_path / "w.h5")
    assert back._replace(params={}, mu={}) == weights._replace(params={}, mu={})
    assert list(back.params) == list(weights.params)
    for layer, arrays in weights.params.items():
        np.testing.assert_array_equal(back.params[layer]["kernel"], arrays["kernel"])
        np.testing.assert_array_equal(back.mu["avg"][layer], weights.mu["avg"][layer])


def test_only_named_layers_are_read(tmp_path, weights):
    write(tmp_path / "w.h5", weights)
    assert stored_layers(tmp_path / "w.h5") == list(weights.params)
    part = read(tmp_path / "w.h5", ["conv1_1", "conv1_2"])
    assert list(part.params) == list(part.mu["avg"]) == ["conv1_1", "conv1_2"]
    with pytest.raises(ValueError, match=r"missing conv5_1; the file holds conv1_1"):
        read(tmp_path / "w.h5", ["conv1_1", "conv5_1"])


def test_half_precision_files_are_read_as_float32(tmp_path, weights):
    half = {
        layer: {key: value.astype(np.float16) for key, value in arrays.items()}
        for layer, arrays in weights.params.items()
    }
    write(tmp_path / "w.h5", weights._replace(params=half))
    assert read(tmp_path / "w.h5").params["conv1_1"]["kernel"].dtype == np.float32


def test_a_failed_write_leaves_nothing(tmp_path, weights):
    write(tmp_path / "w.h5", weights)
    before = (tmp_path / "w.h5").read_bytes()
    broken = weights._replace(mu={"avg": {"conv1_1": np.array(["x"], object)}})
    with pytest.raises(Exception):  # noqa: B017, PT011 whatever h5py or numpy says
        write(tmp_path / "w.h5", broken)
    assert (tmp_path / "w.h5").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.h5"]


def spoil(file: h5py.File, how: str) -> None:
    if how == "format":
        file.attrs["format"] = "other"
    elif how == "no bias":
        del file["conv2_1/bias"]
    elif how == "shape":
        del file["conv2_1/kernel"]
        file["conv2_1/kernel"] = np.zeros((3, 3, 1, 1), np.float32)
    elif how == "nan":
        file["conv2_1/bias"][0] = np.nan
    elif how == "array for group":
        del file["conv2_1"]
        file["conv2_1"] = np.zeros(3)
    elif how == "gap":
        del file["conv2_1"]
    elif how == "extra":
        file["fc6/kernel"] = np.zeros(3)
        file["fc6/bias"] = np.zeros(3)
    elif how == "mean":
        file.attrs["mean"] = "none"
    elif how == "no licence":
        del file.attrs["licence"]
    elif how == "mu":
        file["mu/median/conv1_1"] = np.zeros(2, np.float32)
    elif how == "text":
        del file["conv2_1/bias"]
        file["conv2_1/bias"] = "text"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("format", "not a weights file of this project"),
        ("no bias", "conv2_1: missing bias"),
        ("shape", r"conv2_1: kernel \(3, 3, 1, 1\)"),
        ("nan", "conv2_1: values are not all finite"),
        ("array for group", "conv2_1 should be a group"),
        ("gap", r"missing \['conv2_1'\], extra none"),
        ("extra", r"extra \['fc6'\]"),
        ("mean", "attributes are missing or damaged"),
        ("no licence", "attributes are missing or damaged"),
        ("mu", "mu/median: unknown pooling"),
        ("text", "conv2_1/bias should be an array of floats"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, weights, how, said):
    path = tmp_path / "w.h5"
    write(path, weights)
    with h5py.File(path, "r+") as file:
        spoil(file, how)
    with pytest.raises(ValueError, match=f"w.h5.*{said}"):
        read(path)


def test_truncated_files_are_refused(tmp_path, weights):
    write(tmp_path / "w.h5", weights)
    data = (tmp_path / "w.h5").read_bytes()
    for length in [*range(0, len(data) - 1, len(data) // 23)]:
        (tmp_path / "cut.h5").write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"cut\.h5"):
            read(tmp_path / "cut.h5")


def test_no_file_and_no_hdf5(tmp_path):
    (tmp_path / "text.h5").write_text("hello")
    for name in ("none.h5", "text.h5"):
        with pytest.raises(ValueError, match="not a readable HDF5 weights file"):
            read(tmp_path / name)


def test_layouts_are_told_apart():
    for layout in ("vgg16", "vgg19"):
        params = random_weights(layout, seed=0, width=1 / 64).params
        assert layout_of(params) == layout
    with pytest.raises(ValueError, match="front of no known layout"):
        layout_of([])
    with pytest.raises(ValueError, match="conv9_1"):
        layout_of(["conv1_1", "conv9_1"])


def test_order_is_by_number():
    assert in_order(["conv10_1", "conv2_2", "conv2_1"]) == [
        "conv2_1",
        "conv2_2",
        "conv10_1",
    ]


def test_channel_order_is_checked(weights):
    wrong = weights.input._replace(channel_order="RGA")
    with pytest.raises(ValueError, match="RGB or BGR"):
        check(weights._replace(input=wrong))


def test_empty_weights_are_refused():
    with pytest.raises(ValueError, match="front of no known layout"):
        check(Weights({}))


# Kernels in 8 bits


def test_8_bits_are_written_and_expanded(tmp_path):
    full = random_weights("vgg19", seed=1, width=1 / 8, deepest="conv3_4")
    rounded = in_8_bits(full)
    write(tmp_path / "full.h5", full)
    write(tmp_path / "w.h5", rounded)
    back = read(tmp_path / "w.h5")
    assert list(back.tables) == list(back.params) == list(full.params)
    for layer, arrays in rounded.params.items():
        kernel = back.params[layer]["kernel"]
        assert kernel.dtype == np.float32
        np.testing.assert_array_equal(kernel, arrays["kernel"])
        np.testing.assert_array_equal(back.params[layer]["bias"], arrays["bias"])
        np.testing.assert_array_equal(back.tables[layer], rounded.tables[layer])
        difference = kernel - full.params[layer]["kernel"]
        assert np.abs(difference).max() < 0.1 * full.params[layer]["kernel"].std()
    sizes = [(tmp_path / name).stat().st_size for name in ("w.h5", "full.h5")]
    assert sizes[0] < 0.45 * sizes[1]
    # Written again it is the same, and a part of it can be read.
    write(tmp_path / "again.h5", back)
    for layer, table in read(tmp_path / "again.h5").tables.items():
        np.testing.assert_array_equal(table, back.tables[layer])
    assert list(read(tmp_path / "w.h5", ["conv1_1"]).tables) == ["conv1_1"]


def test_formats_of_files(tmp_path, weights):
    """The first format stays what it was; only codes need the second."""
    write(tmp_path / "1.h5", weights)
    only = in_8_bits(weights).tables["conv1_2"]
    kernel = in_8_bits(weights).params["conv1_2"]
    some = weights._replace(
        params=weights.params | {"conv1_2": kernel}, tables={"conv1_2": only}
    )
    write(tmp_path / "2.h5", some)
    for number in ("1", "2"):
        with h5py.File(tmp_path / f"{number}.h5") as file:
            assert file.attrs["format"] == f"nst-jax weights {number}"
            assert set(file["conv1_1"]) == {"kernel", "bias"}
    assert list(read(tmp_path / "2.h5").tables) == ["conv1_2"]


def test_kernels_that_left_their_table_are_not_written(tmp_path, weights):
    rounded = in_8_bits(weights)
    changed = rounded._replace(params=weights.params, tables=rounded.tables)
    changed.params["conv2_1"]["kernel"][0, 0, 0, 0] = 99
    with pytest.raises(ValueError, match=r"conv2_1: the kernel holds numbers that"):
        write(tmp_path / "w.h5", changed)
    gone = {k: v for k, v in rounded.params.items() if k != "conv3_4"}
    with pytest.raises(ValueError, match=r"tables of unknown layers \['conv3_4'\]"):
        write(tmp_path / "w.h5", rounded._replace(params=gone, mu={}))
    assert list(tmp_path.iterdir()) == []


def spoil_codes(file: h5py.File, how: str) -> None:
    group = file["conv2_1"]
    if how == "beyond":
        table = group["table"][:-1]
        del group["table"]
        group["table"] = table
    elif how == "long table":
        del group["table"]
        group["table"] = np.zeros(257, np.float32)
    elif how == "no table":
        del group["table"]
    elif how == "both":
        group["kernel"] = np.zeros((3, 3, 2, 4), np.float32)
    elif how == "wide codes":
        codes = group["codes"][()].astype(np.int64)
        del group["codes"]
        group["codes"] = codes
    elif how == "nan":
        group["table"][0] = np.nan
    elif how == "shape":
        codes = group["codes"][()][:2]
        del group["codes"]
        group["codes"] = codes
    elif how == "huge":
        del group["codes"]
        group.create_dataset("codes", (3, 3, 2**20, 2**20), np.uint8, chunks=True)
    elif how == "huge table":
        del group["table"]
        group.create_dataset("table", (2**40,), np.float32, chunks=True)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("beyond", "conv2_1: code [0-9]+ is beyond its table"),
        ("long table", "conv2_1: its table has the shape"),
        ("no table", "conv2_1: codes need a table"),
        ("both", "conv2_1: codes need a table"),
        ("wide codes", "conv2_1/codes should be an array of 8-bit codes"),
        ("nan", "conv2_1: values are not all finite"),
        ("shape", r"conv2_1: kernel \(2, 3"),
        ("huge", "conv2_1/codes is larger than any layer"),
        ("huge table", "conv2_1/table is larger than any layer"),
    ],
)
def test_codes_that_do_not_fit_are_refused(tmp_path, weights, how, said):
    path = tmp_path / "w.h5"
    write(path, in_8_bits(weights))
    with h5py.File(path, "r+") as file:
        spoil_codes(file, how)
    with pytest.raises(ValueError, match=f"w.h5.*{said}"):
        read(path)
