"""Run folders and atomic files."""

import os
import secrets
from pathlib import Path

from nst_jax.images.io import WRITABLE


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically: the whole file appears, or none.

    Raises:
        ValueError: naming the file, if it cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically; as ``write_text``."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror})") from error


def split_output(given: str | None) -> tuple[Path | None, Path | None]:
    """What ``--out`` means: the run folder, and a picture file wanted besides.

    ``out/night`` is a folder. ``out/night.jpg`` is a picture; its run folder is
    ``out/night``.
    """
    if given is None:
        return None, None
    path = Path(given).expanduser()
    if path.suffix.lower() in WRITABLE:
        return path.with_suffix(""), path
    return path, None


def check_free(given: str | None, *, overwrite: bool) -> None:
    """Refuse an output that exists, before any work is done.

    Raises:
        ValueError: if the run folder is a file, or it or the picture exists already
            and ``overwrite`` is not set.
    """
    for path, wanted in zip(split_output(given), ("folder", "file"), strict=True):
        if path is None or not path.exists():
            continue
        if path.is_dir() != (wanted == "folder"):
            is_what = "folder" if path.is_dir() else "file"
            raise ValueError(f"{path}: is a {is_what}; a {wanted} goes there")
        if not overwrite:
            raise ValueError(
                f"{path}: exists already; choose another --out or add --overwrite"
            )


def claim_folder(folder: Path | None, *, numbered_under: Path = Path("runs")) -> Path:
    """Make the run folder, or the next free numbered one, and see that it can be
    written to.

    Raises:
        ValueError: naming the folder, if it cannot be made or written to.
    """
    try:
        if folder is None:
            folder = _next_numbered(numbered_under)
        else:
            folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{secrets.token_hex(4)}.tmp"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        place = folder or numbered_under
        raise ValueError(
            f"{place}: cannot be written to ({error.strerror}); choose another --out"
        ) from error
    return folder


def _next_numbered(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    taken = [int(path.name) for path in parent.iterdir() if path.name.isdigit()]
    number = max(taken, default=0)
    while True:
        number += 1
        try:
            (parent / f"{number:04d}").mkdir()
        except FileExistsError:  # another run took it meanwhile
            continue
        return parent / f"{number:04d}"
