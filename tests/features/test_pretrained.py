import hashlib
import subprocess
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from safetensors.numpy import save

import weights_convert.formats
from nst_jax.features import cache, download, pretrained, weights
from nst_jax.features.layout import layer_names
from nst_jax.features.published import REAL, REAL_CAFFE, Pretrained
from nst_jax.features.random_weights import random_weights
from tests.reference.web_server import running

# Positions of the convolutions in torchvision's vgg19().features.
FEATURES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
TINY = random_weights("vgg19", seed=5, width=1 / 32)


def torchvision_file(params: dict) -> bytes:
    """The weights in torchvision's names and OIHW order."""
    tensors = {}
    for number, layer in zip(FEATURES, layer_names("vgg19"), strict=True):
        kernel = params[layer]["kernel"].transpose(3, 2, 0, 1)
        tensors[f"features.{number}.weight"] = np.ascontiguousarray(kernel)
        tensors[f"features.{number}.bias"] = params[layer]["bias"]
    return save(tensors)


ORIGINAL = torchvision_file(TINY.params)
SHA256 = hashlib.sha256(ORIGINAL).hexdigest()
FILE_NAME = "tiny-1234.safetensors"


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    """A cache of its own, and no wait between attempts."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("NST_JAX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NST_JAX_WEIGHTS_DIR", raising=False)
    monkeypatch.setattr(download, "time", SimpleNamespace(sleep=lambda wait: None))
    return tmp_path / "cache" / "weights"


@pytest.fixture(autouse=True)
def server(monkeypatch):
    """A server that has the original of the only weights there are, "tiny"."""
    with running() as server:
        server.files[f"/{FILE_NAME}"] = ORIGINAL
        entry = Pretrained(
            "a tiny network",
            server.url(f"/{FILE_NAME}"),
            len(ORIGINAL),
            f"sha256:{SHA256}",
        )
        monkeypatch.setattr(pretrained, "PRETRAINED", {"tiny": entry})
        yield server


@pytest.fixture
def weights_dir(tmp_path, monkeypatch):
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("NST_JAX_WEIGHTS_DIR", str(folder))
    return folder


@pytest.fixture
def conversions(monkeypatch):
    """The sources that were converted."""
    sources = []
    convert_file = weights_convert.formats.convert_file

    def counted(source, *rest, **options):
        sources.append(source)
        return convert_file(source, *rest, **options)

    monkeypatch.setattr(weights_convert.formats, "convert_file", counted)
    return sources


def assert_is_tiny(path):
    read = weights.read(path)
    assert read.sha256 == SHA256
    assert list(read.params) == list(TINY.params)
    for layer, arrays in TINY.params.items():
        for key in ("kernel", "bias"):
            np.testing.assert_array_equal(read.params[layer][key], arrays[key])


# Names


def test_a_name_is_downloaded_converted_and_cached(server, cache_dir, conversions):
    path = pretrained.resolve("tiny")
    assert path == cache_dir / "tiny.h5"
    assert_is_tiny(path)
    assert sorted(p.suffix for p in cache_dir.iterdir()) in (
        [".h5"],
        [".h5", ".lock"],
    )

    assert pretrained.resolve("tiny") == pretrained.fetch("tiny") == path
    assert len(server.log) == len(conversions) == 1


def test_progress_reaches_the_caller():
    calls = []
    pretrained.resolve("tiny", progress=lambda *call: calls.append(call))
    assert calls[-1] == (len(ORIGINAL), len(ORIGINAL))


def test_a_broken_download_goes_on_in_the_next_call(server, monkeypatch, cache_dir):
    monkeypatch.setattr(download, "CHUNK_BYTES", 64)
    server.cuts = [640] * 4
    with pytest.raises(ConnectionError, match="broke off the transfer"):
        pretrained.fetch("tiny")
    assert (cache_dir / f"{FILE_NAME}.part").stat().st_size == 4 * 640
    assert pretrained.locate("tiny") is None
    assert_is_tiny(pretrained.fetch("tiny"))
    assert server.log[-1].range == "bytes=2560-"
    assert server.log[-1].sent == len(ORIGINAL) - 2560


def test_a_downloaded_file_that_was_not_converted_is_used(server, cache_dir):
    cache_dir.mkdir(parents=True)
    (cache_dir / FILE_NAME).write_bytes(ORIGINAL)
    assert_is_tiny(pretrained.fetch("tiny"))
    assert server.log == []


def test_a_wrong_file_leaves_nothing_behind(server, cache_dir):
    server.files[f"/{FILE_NAME}"] = b"<html>please log in</html>"
    with pytest.raises(ValueError, match=rf"\({FILE_NAME}\) does not match"):
        pretrained.fetch("tiny")
    assert [p for p in cache_dir.iterdir() if p.suffix != ".lock"] == []


def test_without_a_connection_the_ways_on_are_named(server):
    server.server_close()
    with pytest.raises(ConnectionError) as caught:
        pretrained.fetch("tiny")
    text = str(caught.value)
    for part in (
        f"weights 'tiny': {FILE_NAME}",
        server.url(f"/{FILE_NAME}"),
        ": no connection to 127.0.0.1.",
        "`nst-jax weights fetch tiny`",
        f"under the name {FILE_NAME}, into a folder that NST_JAX_WEIGHTS_DIR names",
        "give its path as network.weights",
    ):
        assert part in text
    assert "\n" not in text
    assert len(text) < 600


def test_a_missing_file_on_the_server(server):
    server.files.clear()
    with pytest.raises(ConnectionError, match="answered 404 Not Found"):
        pretrained.fetch("tiny")


FETCH_IN_A_PROCESS = """
import sys
from nst_jax.features import pretrained, published
entry = published.Pretrained("", sys.argv[1], 0, "sha256:" + sys.argv[2])
pretrained.PRETRAINED["tiny"] = entry
print("ready", flush=True)
print(pretrained.fetch("tiny"))
"""


def test_two_processes_at_once_download_once(server, cache_dir):
    server.gate.clear()
    command = [sys.executable, "-c", FETCH_IN_A_PROCESS]
    command += [server.url(f"/{FILE_NAME}"), SHA256]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        server.gate.set()
        answers = [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert answers == [f"{cache_dir / 'tiny.h5'}\n"] * 2
    assert_is_tiny(cache_dir / "tiny.h5")
    assert len(server.log) == 1


def test_a_truncated_cached_file_is_made_again(server):
    path = pretrained.fetch("tiny")
    path.write_bytes(path.read_bytes()[:-100])
    assert pretrained.locate("tiny") is None
    assert pretrained.fetch("tiny") == path
    assert_is_tiny(path)
    assert len(server.log) == 2


def test_an_intact_cache_needs_no_write(cache_dir, monkeypatch):
    path = pretrained.fetch("tiny")

    def refuse(*args, **options):
        raise PermissionError("read-only")

    monkeypatch.setattr(cache, "FileLock", refuse)
    assert pretrained.fetch("tiny") == path


def test_a_cache_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NST_JAX_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(ValueError, match="cannot write to the cache folder") as caught:
        pretrained.fetch("tiny")
    assert str(tmp_path / "file") in str(caught.value)
    assert "set NST_JAX_CACHE_DIR to another folder" in str(caught.value)


def test_a_full_disk(monkeypatch, cache_dir):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights_convert.formats, "convert_file", full)
    with pytest.raises(ValueError, match=r"\(No space left on device\).*free some"):
        pretrained.fetch("tiny")
    assert (cache_dir / FILE_NAME).read_bytes() == ORIGINAL


# The user's own folder


def test_the_own_folder_comes_before_the_cache(weights_dir, cache_dir, server):
    cached = pretrained.fetch("tiny")
    own = weights_dir / "tiny.h5"
    weights.write(own, random_weights("vgg19", seed=9, width=1 / 64))
    assert pretrained.locate("tiny") == pretrained.resolve("tiny") == own
    own.unlink()
    assert pretrained.locate("tiny") == pretrained.resolve("tiny") == cached


def test_the_original_in_the_own_folder_is_converted_once(
    weights_dir, cache_dir, server, conversions
):
    original = weights_dir / FILE_NAME
    original.write_bytes(ORIGINAL)
    assert pretrained.locate("tiny") == original
    path = pretrained.resolve("tiny")
    assert path == pretrained.resolve("tiny") == cache_dir / f"{SHA256}.h5"
    assert_is_tiny(path)
    assert conversions == [original]
    assert server.log == []
    assert original.read_bytes() == ORIGINAL


def test_another_file_under_the_original_name_is_refused(weights_dir, server):
    (weights_dir / FILE_NAME).write_bytes(ORIGINAL[:-1])
    with pytest.raises(ValueError, match=f"{FILE_NAME}: damaged, or not the file"):
        pretrained.fetch("tiny")
    assert server.log == []


def test_a_damaged_file_in_the_own_folder_is_named(weights_dir):
    weights.write(weights_dir / "tiny.h5", TINY)
    content = (weights_dir / "tiny.h5").read_bytes()
    (weights_dir / "tiny.h5").write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"tiny\.h5: damaged.*delete it"):
        pretrained.fetch("tiny")


def test_an_own_folder_that_does_not_exist(tmp_path, monkeypatch, server):
    monkeypatch.setenv("NST_JAX_WEIGHTS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="NST_JAX_WEIGHTS_DIR: there is no folder"):
        pretrained.fetch("tiny")
    assert server.log == []


# Paths


def test_a_file_of_this_project_is_returned_as_it_is(tmp_path, cache_dir):
    path = tmp_path / "mine.h5"
    weights.write(path, TINY)
    assert pretrained.resolve(str(path)) == path
    assert not cache_dir.exists()


def test_a_converted_file_is_cached_by_its_content(tmp_path, cache_dir, conversions):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    first.write_bytes(ORIGINAL)
    second.write_bytes(ORIGINAL)
    path = pretrained.resolve(str(first))
    assert path == cache_dir / f"{SHA256}.h5"
    assert_is_tiny(path)
    assert pretrained.resolve(str(first)) == path
    assert pretrained.resolve(str(second)) == path
    assert conversions == [first]

    other = random_weights("vgg19", seed=6, width=1 / 32)
    first.write_bytes(torchvision_file(other.params))
    assert pretrained.resolve(str(first)) != path
    assert len(conversions) == 2


def test_a_truncated_conversion_is_made_again(tmp_path, conversions):
    source = tmp_path / "a.safetensors"
    source.write_bytes(ORIGINAL)
    path = pretrained.resolve(str(source))
    path.write_bytes(path.read_bytes()[:2000])
    assert_is_tiny(pretrained.resolve(str(source)))
    assert len(conversions) == 2


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    weights.write(tmp_path / "mine.h5", TINY)
    assert pretrained.resolve("~/mine.h5") == tmp_path / "mine.h5"


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "mine.h5"
    weights.write(path, TINY)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"mine\.h5") as caught:
        pretrained.resolve(str(path))
    assert "cache folder" not in str(caught.value)


def test_hdf5_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"other\.h5"):
        pretrained.resolve(str(path))


@pytest.mark.parametrize("spec", ["tyni", "tiny.pth", "no/such/file.h5", ""])
def test_neither_a_name_nor_a_file(spec):
    with pytest.raises(ValueError, match="neither a file nor a name") as caught:
        pretrained.resolve(spec)
    assert "the names are vgg19-tiny, tiny" in str(caught.value)
    assert ("did you mean 'tiny'?" in str(caught.value)) == (
        spec in ("tyni", "tiny.pth")
    )


# The list of names


def test_states(weights_dir, cache_dir):
    row = pretrained.Listed(
        "tiny", "a tiny network", len(ORIGINAL), "not here", path=None
    )
    assert pretrained.listing()[1:] == [row]
    path = pretrained.fetch("tiny")
    assert pretrained.listing()[1:] == [row._replace(state="cached", path=path)]
    original = weights_dir / FILE_NAME
    original.write_bytes(ORIGINAL)
    assert pretrained.listing()[1:] == [
        row._replace(state="in NST_JAX_WEIGHTS_DIR", path=original)
    ]


@pytest.mark.parametrize("function", [pretrained.fetch, pretrained.locate])
def test_unknown_name(function):
    with pytest.raises(ValueError, match=r"unknown weights 'tinny'.*mean 'tiny'"):
        function("tinny")


def test_the_cache_folder(monkeypatch, tmp_path):
    assert cache.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("NST_JAX_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder().name in ("nst-jax", "Cache")
    if sys.platform == "linux":
        assert cache.cache_folder() == tmp_path / "xdg" / "nst-jax"


def test_the_published_table(monkeypatch):
    monkeypatch.undo()
    real = {"vgg19", "vgg19-caffe", "vgg19-8bit"}
    assert set(pretrained.PRETRAINED) == {"vgg16", *real}
    assert set(REAL) == set(REAL_CAFFE) == real
    lengths = {"sha256": 64, "md5": 32}
    for entry in pretrained.PRETRAINED.values():
        for known in entry.originals.values():
            algorithm, digest = known.split(":")
            assert len(bytes.fromhex(digest)) * 2 == lengths[algorithm]
        # What pip brings has no address: its index is the user's own.
        assert entry.url == "" if entry.wheel else entry.url.startswith("https://")
        # torchvision puts the first digits of the hash into the file's name.
        if entry.file_name.endswith(".pth"):
            digest = entry.known_hash.removeprefix("sha256:")
            assert digest[:8] == entry.file_name[-12:-4]
