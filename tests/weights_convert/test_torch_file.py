import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.reference import torch_files as make
from weights_convert.torch_file import open_torch

GOLDEN = Path(__file__).parents[1] / "golden"
WRITERS = {"zip": make.write_zip, "legacy": make.write_legacy}
ARRAYS = {
    "a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "a.bias": np.array([0.5, -1.0], np.float64),
}


def read_all(path) -> dict[str, np.ndarray]:
    with open_torch(path) as tensors:
        return {name: tensor.read() for name, tensor in tensors.items()}


@pytest.fixture(params=list(WRITERS))
def kind(request):
    return request.param


@pytest.fixture
def write(kind, tmp_path):
    def write(arrays=ARRAYS, **options):
        path = tmp_path / f"{kind}.pth"
        WRITERS[kind](path, arrays, **options)
        return path

    return write


def state(arrays, kind):
    return make.state_dict(arrays, legacy=kind == "legacy")


@pytest.mark.parametrize("kind", list(WRITERS))
def test_reads_what_pytorch_wrote(kind):
    expected = np.load(GOLDEN / "torch_files.npz")
    with open_torch(GOLDEN / f"torch_{kind}.pth") as tensors:
        assert set(tensors) == set(expected)
        for name in expected:
            values = tensors[name].read()
            assert values.dtype == expected[name].dtype == tensors[name].dtype
            assert tensors[name].shape == expected[name].shape
            np.testing.assert_array_equal(values, expected[name])


def test_reads_hand_written_files(write):
    found = read_all(write())
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_reads_a_strided_view(write):
    base = np.arange(12, dtype=np.float32)
    view = make.Entry(base, shape=(2, 3), strides=(1, 4), offset=1)
    expected = [[1, 5, 9], [2, 6, 10]]
    np.testing.assert_array_equal(read_all(write({"x": view}))["x"], expected)


def test_reads_nested_state_dict(write, kind):
    body = make.dictionary(
        [("epoch", make.plain(3)), ("state_dict", state(ARRAYS, kind))]
    )
    assert list(read_all(write(body=body))) == list(ARRAYS)


def test_reads_parameters_as_python_2_pickled_them(write, kind):
    """OrderedDict from a list of lists, Parameter with its state, four arguments."""
    array = ARRAYS["a.weight"]
    storage = make.storage("0", "<f4", 24, legacy=kind == "legacy")
    tensor = make.call(
        "torch._utils",
        "_rebuild_tensor",
        storage,
        *(make.plain(value) for value in (0, (2, 3, 4), (12, 4, 1))),
    )
    built_state = b"(" + make.plain(True) + make.plain(False)
    built_state += make.ORDERED_DICT + b")Rtb"
    parameter = make.call("torch.nn.parameter", "Parameter", tensor) + built_state
    name = b"U\x08a.weight"  # a byte string
    pairs = b"](](" + name + parameter + b"ee"
    body = make.call("collections", "OrderedDict", pairs)
    found = read_all(write({"a.weight": array}, body=body))
    np.testing.assert_array_equal(found["a.weight"], array)


def test_reads_a_compressed_zip(tmp_path):
    path = tmp_path / "x.pth"
    make.write_zip(path, ARRAYS, compression=zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(read_all(path)["a.weight"], ARRAYS["a.weight"])


EVIL = {
    "os.system": make.call("os", "system", make.plain("exit 1")),
    "posix.system": make.call("posix", "system", make.plain("true")),
    "builtins.eval": make.call("builtins", "eval", make.plain("1 / 0")),
    "__builtin__.eval": make.call("__builtin__", "eval", make.plain("1 / 0")),
    "builtins.getattr": b"\x8c\x08builtins\x8c\x07getattr\x93",
    "torch.load": make.call("torch", "load", make.plain("x")),
    "os.remove": b"(" + make.plain("x") + b"ios\nremove\n",
}


@pytest.mark.parametrize("name", list(EVIL))
@pytest.mark.parametrize("place", ["top", "value", "argument"])
def test_refuses_code_by_name(write, kind, name, place):
    body = {
        "top": EVIL[name],
        "value": make.dictionary([("x", EVIL[name])]),
        "argument": make.call("torch._utils", "_rebuild_parameter", EVIL[name]),
    }[place]
    path = write(body=body)
    with pytest.raises(ValueError, match="refuses to load") as caught:
        read_all(path)
    assert str(caught.value) == (
        f"{path}: refuses to load {name}: a weights file holds tensors only"
    )


def test_refuses_code_anywhere_in_an_older_file(tmp_path):
    evil = make.program(EVIL["os.system"])
    good = make.legacy_head(make.state_dict({}, legacy=True), [])
    magic, pickles = good[:15], good[15:]
    (tmp_path / "x.pth").write_bytes(magic + evil + pickles)
    with pytest.raises(ValueError, match=r"refuses to load os\.system"):
        read_all(tmp_path / "x.pth")


def test_one_line_even_if_the_global_has_newlines(write):
    body = b"\x8c\x04a\nbc\x8c\x01d\x93"
    with pytest.raises(ValueError, match="refuses to load") as caught:
        read_all(write(body=body))
    assert "\n" not in str(caught.value)


def test_a_pickle_cannot_change_what_it_calls(write, kind):
    """BUILD on a function would set its attributes."""
    function = b"ctorch._utils\n_rebuild_tensor_v2\n"
    body = function + make.plain((None, {"_function": 1})) + b"b0"
    found = read_all(write(body=body + state(ARRAYS, kind)))
    np.testing.assert_array_equal(found["a.bias"], ARRAYS["a.bias"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"N" + b"r" + struct.pack("<I", 2**32 - 1), "memo"),
        (b"Np999999999\n", "memo"),
        (b"\x82\x01", "extension"),
        (b"X" + struct.pack("<I", 2**32 - 1), "damaged"),
        (b"\x8e" + struct.pack("<Q", 2**62), "damaged"),
        (b"\x96" + struct.pack("<Q", 2**62), "damaged"),
        (b"(" * 10 + b"0" * 20, "damaged"),
        (b"\xff", "damaged"),
        (make.plain([1, 2]), "no state dict"),
        (make.plain({"a": 1}), "no state dict"),
        (make.plain({"state_dict": {"a": [1]}}), "no state dict"),
        (b"(" + make.plain("storage") + b"tQ", "damaged"),
        (make.plain(("module", 1, "0", "cpu", 3)) + b"Q", "wrongly"),
        (make.plain(("storage", "<f4", "0", "cpu", 3)) + b"Q", "wrongly"),
    ],
)
def test_refuses_hostile_pickles_quickly(write, body, message):
    path = write(body=body)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            read_all(path)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"offset": 1},
        {"offset": 2**70},
        {"offset": -1},
        {"strides": (12, 4, 2)},
        {"strides": (-12, 4, 1)},
        {"strides": (12, 4)},
        {"shape": (2, 3, 5)},
        {"shape": (-2, 3, 4)},
        {"shape": (2**40, 2**40, 2**40), "strides": (0, 0, 0)},
        {"shape": (2.0, 3, 4)},
        {"shape": (1,) * 70, "strides": (1,) * 70},
        {"count": 23},
        {"count": 25},
        {"count": 2**60},
        {"count": 2**80},
        {"count": -1},
    ],
)
def test_refuses_tensors_that_do_not_fit_their_storage(write, change):
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    path = write({"x": make.Entry(array)._replace(**change)})
    with pytest.raises(ValueError, match=r"a tensor|storage"):
        read_all(path)


def test_refuses_one_storage_described_twice(write, kind):
    legacy = kind == "legacy"
    array = ARRAYS["a.weight"]
    body = make.dictionary(
        [
            ("x", make.tensor("0", make.Entry(array), legacy=legacy)),
            (
                "y",
                make.tensor("0", make.Entry(array.astype(np.float64)), legacy=legacy),
            ),
        ]
    )
    with pytest.raises(ValueError, match="in two ways"):
        read_all(write({"x": array}, body=body))


def test_refuses_big_endian(tmp_path):
    make.write_zip(tmp_path / "zip.pth", ARRAYS, byteorder=b"big")
    make.write_legacy(tmp_path / "legacy.pth", ARRAYS, little_endian=False)
    for name in ("zip", "legacy"):
        with pytest.raises(ValueError, match="big-endian"):
            read_all(tmp_path / f"{name}.pth")


def test_truncated_anywhere_is_a_value_error(write, tmp_path):
    data = write().read_bytes()
    path = tmp_path / "short.pth"
    for size in range(0, len(data), 3):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"short\.pth"):
            read_all(path)


def test_changed_bytes_give_a_value_error_or_tensors(write, tmp_path):
    data = write().read_bytes()
    rng = np.random.default_rng(0)
    path, messages = tmp_path / "changed.pth", []
    for _ in range(400):
        changed = bytearray(data)
        for position in rng.integers(len(data), size=2):
            changed[position] = rng.integers(256)
        path.write_bytes(changed)
        try:
            assert read_all(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert all("changed.pth" in m and "\n" not in m for m in messages)


def test_damaged_numbers_in_a_zip_are_noticed(tmp_path):
    path = tmp_path / "x.pth"
    make.write_zip(path, ARRAYS)
    data = path.read_bytes()
    numbers = ARRAYS["a.weight"].tobytes()
    assert numbers in data
    path.write_bytes(data.replace(numbers, numbers[:-1] + b"\x7f"))
    with open_torch(path) as tensors:
        np.testing.assert_array_equal(tensors["a.bias"].read(), ARRAYS["a.bias"])
        with pytest.raises(ValueError, match=r"x\.pth: a\.weight: damaged"):
            tensors["a.weight"].read()


def test_an_older_file_is_skipped_through_not_read(tmp_path):
    """A classifier of 4 GiB (a hole in the file) lies before the wanted tensor."""
    huge = 2**30
    body = make.dictionary(
        [
            ("classifier", make.tensor("0", hole(huge), legacy=True)),
            ("x", make.tensor("1", make.Entry(np.ones(3, "<f4")), legacy=True)),
        ]
    )
    path = tmp_path / "sparse.pth"
    with open(path, "wb") as file:
        file.write(make.legacy_head(body, ["0", "1"]) + struct.pack("<q", huge))
        file.seek(4 * huge, 1)
        file.write(struct.pack("<q", 3) + np.full(3, 7, "<f4").tobytes())
    tracemalloc.start()
    try:
        with open_torch(path) as tensors:
            np.testing.assert_array_equal(tensors["x"].read(), [7, 7, 7])
            assert tensors["classifier"].shape == (huge,)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


def hole(count: int) -> make.Entry:
    return make.Entry(np.ones(1, "<f4"), shape=(count,), count=count)


def test_only_wanted_members_of_a_zip_are_opened(tmp_path, monkeypatch):
    path = tmp_path / "x.pth"
    make.write_zip(path, {"classifier": np.ones(9, "<f4"), "x": np.ones(3, "<f4")})
    opened, original = [], zipfile.ZipFile.open

    def recording(self, name, *args, **kwargs):
        opened.append(getattr(name, "filename", name))
        return original(self, name, *args, **kwargs)

    monkeypatch.setattr(zipfile.ZipFile, "open", recording)
    with open_torch(path) as tensors:
        tensors["x"].read()
    assert set(opened) == {"archive/byteorder", "archive/data.pkl", "archive/data/1"}


def test_refuses_a_zip_bomb_without_inflating_it(tmp_path):
    path = tmp_path / "x.pth"
    zeros = np.zeros(2**22, "<f4")
    make.write_zip(path, {"x": zeros}, compression=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="inflates too much"):
            read_all(path)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


def test_refuses_an_unusual_compression(tmp_path):
    make.write_zip(tmp_path / "x.pth", ARRAYS, compression=zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match="compressed in an unknown way"):
        read_all(tmp_path / "x.pth")


def test_refuses_other_zip_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as file:
        file.writestr("notes.txt", "hello")
    with pytest.raises(ValueError, match="not a PyTorch file"):
        read_all(tmp_path / "x.pth")


def test_an_older_file_may_list_only_what_it_describes(tmp_path):
    body = make.state_dict(ARRAYS, legacy=True)
    head = make.legacy_head(body, ["9", "0", "1"])
    (tmp_path / "x.pth").write_bytes(head + bytes(1000))
    with pytest.raises(ValueError, match="never describes"):
        read_all(tmp_path / "x.pth")


def test_a_missing_storage_is_noticed(tmp_path):
    body = make.state_dict(ARRAYS, legacy=False)
    make.write_zip(tmp_path / "zip.pth", {}, body=body)
    make.write_legacy(
        tmp_path / "legacy.pth", {}, body=make.state_dict(ARRAYS, legacy=True)
    )
    for name in ("zip", "legacy"):
        with pytest.raises(ValueError, match="missing"):
            read_all(tmp_path / f"{name}.pth")
