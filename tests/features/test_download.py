import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from nst_jax.features import download
from tests.reference.web_server import running

CONTENT = bytes(range(256)) * 40
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "CHUNK_BYTES", 256)
    with running() as server:
        server.files["/net.bin"] = CONTENT
        yield server


@pytest.fixture
def waited(monkeypatch):
    """The waits between attempts, which are noted and not waited for."""
    waits = []
    monkeypatch.setattr(download, "time", SimpleNamespace(sleep=waits.append))
    return waits


@pytest.fixture
def target(tmp_path):
    return tmp_path / "net.bin"


@pytest.fixture
def part(tmp_path):
    return tmp_path / "net.bin.part"


def get(server, target, **options):
    download.retrieve(server.url("/net.bin"), target, SHA256, **options)


def test_the_file_arrives_whole_and_nothing_else_stays(server, target, tmp_path, capfd):
    get(server, target)
    assert target.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [target]
    assert capfd.readouterr() == ("", "")


def test_an_md5_is_checked_too(server, target):
    md5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
    download.retrieve(server.url("/net.bin"), target, md5)
    assert target.read_bytes() == CONTENT


def test_a_target_with_the_right_hash_is_left_alone(server, target):
    target.write_bytes(CONTENT)
    get(server, target)
    assert server.log == []


def test_progress_counts_the_bytes(server, target):
    calls = []
    get(server, target, progress=lambda *call: calls.append(call))
    assert calls == [(done, SIZE) for done in range(256, SIZE + 1, 256)]


def test_a_broken_connection_is_resumed_in_the_same_call(server, target, waited):
    server.cuts = [1024, 2048]
    get(server, target)
    assert target.read_bytes() == CONTENT
    assert [(r.range, r.status, r.sent) for r in server.log] == [
        (None, 200, 1024),
        ("bytes=1024-", 206, 2048),
        ("bytes=3072-", 206, SIZE - 3072),
    ]
    assert waited == [0.5, 1.0]


def test_what_arrived_is_kept_for_the_next_call(server, target, part, waited):
    server.cuts = [512] * 4
    with pytest.raises(ConnectionError, match=r"^127\.0\.0\.1 broke off the transfer$"):
        get(server, target)
    assert part.read_bytes() == CONTENT[:2048]
    assert not target.exists()

    calls = []
    get(server, target, progress=lambda *call: calls.append(call))
    assert target.read_bytes() == CONTENT
    assert server.log[-1].range == "bytes=2048-"
    assert server.log[-1].sent == SIZE - 2048
    assert calls[0] == (2048 + 256, SIZE)
    assert calls[-1] == (SIZE, SIZE)
    assert not part.exists()


def test_an_interruption_by_the_user_keeps_the_part(server, target, part):
    def interrupt(done: int, total: int) -> None:
        if done >= 1024:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, target, progress=interrupt)
    assert part.read_bytes() == CONTENT[:1024]
    assert list(part.parent.iterdir()) == [part]


def test_a_server_without_ranges_sends_the_whole_file(server, target, part):
    server.ignores_range = True
    part.write_bytes(CONTENT[:5000])
    get(server, target)
    assert target.read_bytes() == CONTENT
    assert [(r.range, r.sent) for r in server.log] == [("bytes=5000-", SIZE)]


def test_a_complete_part_is_taken_without_another_byte(server, target, part):
    part.write_bytes(CONTENT)
    get(server, target)
    assert target.read_bytes() == CONTENT
    assert [(r.status, r.sent) for r in server.log] == [(416, 0)]


def test_a_part_longer_than_the_file_is_dropped(server, target, part, waited):
    part.write_bytes(CONTENT + b"more")
    get(server, target)
    assert target.read_bytes() == CONTENT
    assert [(r.range, r.status) for r in server.log] == [
        (f"bytes={SIZE + 4}-", 416),
        (None, 200),
    ]


def test_an_answer_with_another_range_is_not_appended(server, target, part, waited):
    part.write_bytes(CONTENT[:100])
    server.range_shift = 7
    get(server, target)
    assert target.read_bytes() == CONTENT
    assert [r.status for r in server.log] == [206, 200]


def test_a_file_that_changed_is_refused_and_fetched_afresh(
    server, target, part, tmp_path
):
    part.write_bytes(b"an older release")
    with pytest.raises(ValueError, match=r"SHA256 hash of downloaded file \(net\.bin"):
        get(server, target)
    assert list(tmp_path.iterdir()) == []
    get(server, target)
    assert target.read_bytes() == CONTENT


def test_a_wrong_file_is_refused(server, target, tmp_path):
    server.files["/net.bin"] = b"<html>please log in</html>"
    with pytest.raises(ValueError, match="does not match"):
        get(server, target)
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_server_are_tried_again(server, target, waited):
    server.statuses = [500, 503, 429]
    get(server, target)
    assert target.read_bytes() == CONTENT
    assert waited == [0.5, 1.0, 2.0]


def test_a_lasting_error_of_the_server_ends(server, target, part, waited):
    part.write_bytes(CONTENT[:300])
    server.statuses = [500] * 4
    with pytest.raises(ConnectionError, match="answered 500 Internal Server Error"):
        get(server, target)
    assert part.read_bytes() == CONTENT[:300]


def test_a_missing_file_is_not_asked_for_twice(server, target, waited):
    with pytest.raises(ConnectionError, match=r"^127\.0\.0\.1 answered 404 Not Found$"):
        download.retrieve(server.url("/gone.bin"), target, SHA256)
    assert len(server.log) == 1
    assert waited == []


def test_nobody_listening(server, target, waited):
    url = server.url("/net.bin")
    server.server_close()
    with pytest.raises(ConnectionError, match=r"^no connection to 127\.0\.0\.1$"):
        download.retrieve(url, target, SHA256)
    assert len(waited) == 3


@pytest.mark.parametrize(
    "url", ["http://example.org/net.bin", "ftp://localhost/net.bin", "/net.bin"]
)
def test_only_https(url, target):
    with pytest.raises(ValueError, match="only https"):
        download.retrieve(url, target, SHA256)


def test_a_redirect_to_plain_http_is_refused(server, target, waited):
    # 127.1 is this machine too, but not one of the names that are let through.
    server.redirects["/moved.bin"] = server.url("/net.bin", host="127.1")
    with pytest.raises(ConnectionError, match="unsafe address"):
        download.retrieve(server.url("/moved.bin"), target, SHA256)
    assert not target.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_not_taken_for_a_broken_connection(server, target, part):
    part.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        get(server, target)
    assert len(server.log) == 1
