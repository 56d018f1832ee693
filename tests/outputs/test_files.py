import errno
import os
from pathlib import Path

import pytest

from nst_jax.outputs.files import (
    check_output,
    claim_folder,
    split_output,
    write_bytes,
    write_text,
)


def check(given, *, size=512, overwrite=False):
    check_output(str(given), size=size, overwrite=overwrite)


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_writing_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_text(path, "new é")
    assert path.read_text(encoding="utf-8") == "new é"
    assert files_in(tmp_path) == ["a.txt"]


def test_a_name_that_is_no_utf8_can_be_written_about(tmp_path):
    write_text(tmp_path / "a.json", "\udcff")
    assert (tmp_path / "a.json").read_bytes() == b"\\udcff"


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ValueError, match=r"a\.txt: cannot be written \(No space left"):
        write_bytes(path, b"new")
    assert path.read_text() == "old"
    assert files_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("given", "folder", "picture"),
    [
        (None, None, None),
        ("out/night", "out/night", None),
        ("night.v2", "night.v2", None),
        ("out/night.jpg", "out/night", "out/night.jpg"),
        ("night.PNG", "night", "night.PNG"),
        (".png", ".png", None),
    ],
)
def test_out_is_a_folder_or_a_picture_besides_one(given, folder, picture):
    expected = tuple(None if p is None else Path(p) for p in (folder, picture))
    assert split_output(given) == expected


def test_a_new_place_is_free_and_stays_untouched(tmp_path):
    check(tmp_path / "a" / "b" / "c.jpg")
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("existing", ["night", "night.jpg"])
def test_what_exists_is_refused_unless_it_may_be_replaced(tmp_path, existing):
    if existing == "night":
        (tmp_path / existing).mkdir()
    else:
        (tmp_path / existing).write_bytes(b"mine")
    with pytest.raises(ValueError, match=f"{existing}: exists already; choose another"):
        check(tmp_path / "night.jpg")
    check(tmp_path / "night.jpg", overwrite=True)
    assert files_in(tmp_path) == [existing]


def test_file_and_folder_are_not_taken_for_each_other(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "x.jpg").mkdir()
    with pytest.raises(ValueError, match="is a file; a folder goes there"):
        check(tmp_path / "file", overwrite=True)
    with pytest.raises(ValueError, match="is a folder; a file goes there"):
        check(tmp_path / "x.jpg", overwrite=True)


@pytest.mark.parametrize("ending", [".gif", ".bmp", ".HEIC", ".avif"])
def test_pictures_that_are_not_written_are_no_folders_either(tmp_path, ending):
    with pytest.raises(ValueError, match=r"pictures are written as \.png, \.jpg"):
        check(tmp_path / f"night{ending}")


def test_a_picture_too_large_for_webp_is_refused_at_once(tmp_path):
    check(tmp_path / "x.webp", size=16383)
    with pytest.raises(ValueError, match="at most 16383 pixels on a side, not 16384"):
        check(tmp_path / "x.webp", size=16384)
    check(tmp_path / "x.png", size=16384)


@pytest.mark.parametrize("name", ["a/b", "a.jpg", "x" * 300])
def test_a_place_that_cannot_be_written_to_is_refused(tmp_path, name):
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    place = tmp_path / name if len(name) > 255 else file / name
    try:
        check(place)
    except ValueError as error:
        message = str(error)
    else:  # a name that is too long shows only when it is used
        with pytest.raises(ValueError, match="cannot be written to") as refused:
            claim_folder(place)
        message = str(refused.value)
    assert "cannot be written to" in message
    assert "choose another --out" in message
    assert file.read_bytes() == b"mine"


def test_a_folder_that_takes_no_files_is_refused(tmp_path, monkeypatch):
    def read_only(self, data):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "write_bytes", read_only)
    with pytest.raises(ValueError, match="Read-only file system"):
        check(tmp_path / "new")
    with pytest.raises(ValueError, match="Read-only file system"):
        check_output(None, size=512, overwrite=False)


def test_folders_are_numbered_after_the_largest_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert claim_folder(None) == Path("runs/0001")
    assert claim_folder(None) == Path("runs/0002")
    for name in ("0041", "x", "²"):
        (tmp_path / "runs" / name).mkdir()
    assert claim_folder(None) == Path("runs/0042")
    assert (tmp_path / "runs" / "0042").is_dir()


def test_a_number_that_another_run_takes_meanwhile_is_passed_over(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    mkdir = Path.mkdir

    def race(self, *arguments, **options):
        if self.name == "0001" and not self.exists():
            mkdir(self)  # the other run
        return mkdir(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", race)
    assert claim_folder(None) == Path("runs/0002")
