"""Download of one large file: checked, and resumed where it broke off.

pooch compares the hash and moves the file into place. Its own downloader starts
from the first byte after every interruption, so the transfer itself is done here:
the bytes collect in ``TARGET.part``, which an interruption leaves for the next try.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests

# Called with the bytes on disk and the bytes in all (0 if the server does not say).
Progress = Callable[[int, int], None]

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
CHUNK_BYTES = 1 << 18
TIMEOUT_SECONDS = (10, 30)  # to connect; between two pieces of the answer
WAITS_SECONDS = (0.5, 1.0, 2.0)  # before the second, third and fourth attempt


def retrieve(
    url: str,
    target: Path,
    known_hash: str,
    *,
    progress: Progress | None = None,
    waits: Sequence[float] = WAITS_SECONDS,
) -> None:
    """Download ``url`` to ``target``; a target with the right hash is left alone.

    Args:
        url: address, https only (http is accepted for this machine itself).
        target: the file to write; its folder exists.
        known_hash: "sha256:..." or "md5:...".
        progress: called as ``progress(done_bytes, total_bytes)`` while it runs.
        waits: seconds to wait before each further attempt.

    Raises:
        ValueError: if the address is not https, or the hash is wrong; the partial
            file is removed, so that the next call starts afresh.
        ConnectionError: if the file cannot be had, with one short reason; what
            has arrived is kept for the next call.
        OSError: if the folder cannot be written to.
    """
    if not _is_allowed(url):
        raise ValueError(f"{url}: only https addresses are downloaded from")
    part = target.with_name(target.name + ".part")

    def downloader(url: str, output_file: str, _: object) -> None:
        _collect(url, part, progress, waits)
        os.replace(part, output_file)

    pooch.get_logger().setLevel("WARNING")  # it prints each download otherwise
    pooch.retrieve(
        url,
        known_hash,
        target.name,
        target.parent,
        # pooch 1.9 types it with the parameters of a processor.
        downloader=downloader,  # pyright: ignore[reportArgumentType]
    )


def _is_allowed(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in LOCAL_HOSTS
    )


def _collect(
    url: str, part: Path, progress: Progress | None, waits: Sequence[float]
) -> None:
    for wait in (*waits, None):
        try:
            return _transfer(url, part, progress)
        except requests.RequestException as error:
            if wait is None or not _may_pass(error):
                # The text of requests runs over many lines; `from None` drops it.
                raise ConnectionError(_reason(error, url)) from None
            time.sleep(wait)


def _transfer(url: str, part: Path, progress: Progress | None) -> None:
    """One attempt: add what is missing to ``part``."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(
        url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS
    ) as response:
        if not _is_allowed(response.url):
            raise requests.exceptions.InvalidURL("redirected to an unsafe address")
        if _is_complete(response, have):
            return
        done = _offset(response, part, have)
        length = int(response.headers.get("Content-Length", 0))
        total = done + length if length else 0
        with part.open("ab" if done else "wb") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)


def _is_complete(response: requests.Response, have: int) -> bool:
    """Whether the server says that the file ends where the partial file does."""
    return (
        response.status_code == requests.codes.requested_range_not_satisfiable
        and response.headers.get("Content-Range") == f"bytes */{have}"
    )


def _offset(response: requests.Response, part: Path, have: int) -> int:
    """Position in the file of the first byte of the answer.

    Raises:
        requests.RequestException: if the answer is an error, or not the range
            that was asked for; then the partial file is removed.
    """
    status = response.status_code
    range_is_off = status == requests.codes.requested_range_not_satisfiable or (
        status == requests.codes.partial_content
        and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    )
    if range_is_off:
        part.unlink(missing_ok=True)
        raise requests.exceptions.ChunkedEncodingError("the partial file is of no use")
    response.raise_for_status()
    return have if status == requests.codes.partial_content else 0


def _may_pass(error: requests.RequestException) -> bool:
    """Whether another attempt may help: not after a refusal such as 404."""
    if error.response is not None:
        return error.response.status_code in (408, 429) or (
            error.response.status_code >= 500
        )
    return not isinstance(
        error, (requests.exceptions.SSLError, requests.exceptions.InvalidURL)
    )


def _reason(error: requests.RequestException, url: str) -> str:
    host = urlsplit(url).hostname
    if error.response is not None:
        return f"{host} answered {error.response.status_code} {error.response.reason}"
    # From the particular to the general: SSLError is a requests.ConnectionError.
    for kind, reason in (
        (requests.exceptions.SSLError, f"no trusted connection to {host}"),
        (requests.exceptions.ProxyError, "the proxy refuses the connection"),
        (requests.Timeout, f"{host} does not answer in time"),
        (requests.exceptions.ChunkedEncodingError, f"{host} broke off the transfer"),
        (requests.ConnectionError, f"no connection to {host}"),
    ):
        if isinstance(error, kind):
            return reason
    return str(error).splitlines()[0][:100] if str(error) else type(error).__name__
