"""A web server on this machine that can misbehave in the ways downloads meet."""

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

MOST_REQUESTS = 30


class Request(NamedTuple):
    """What was asked, and what went back."""

    path: str
    range: str | None
    status: int
    sent: int


class WebServer(ThreadingHTTPServer):
    """Serves ``files`` (path -> bytes) and logs every request.

    Attributes:
        cuts: for each coming request, the bytes after which the connection is cut.
        statuses: for each coming request, an error to answer with.
        redirects: path -> address.
        ignores_range: answer every request with the whole file.
        range_shift: answer with a range that begins so many bytes too late.
        gate: requests wait until it is set.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.log: list[Request] = []
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        self.ignores_range = False
        self.range_shift = 0
        self.gate = threading.Event()
        self.gate.set()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self):
        server = self.server
        server.gate.wait(timeout=30)
        if len(server.log) >= MOST_REQUESTS:
            return self._answer(429)
        if server.statuses:
            return self._answer(server.statuses.pop(0))
        if self.path in server.redirects:
            return self._answer(302, {"Location": server.redirects[self.path]})
        if self.path not in server.files:
            return self._answer(404)
        return self._file(server.files[self.path])

    def _file(self, content: bytes):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None or self.server.ignores_range:
            return self._answer(200, body=content)
        start = int(asked[1]) + self.server.range_shift
        if start >= len(content):
            return self._answer(416, {"Content-Range": f"bytes */{len(content)}"})
        where = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self._answer(206, {"Content-Range": where}, content[start:])

    def _answer(self, status: int, headers: dict | None = None, body: bytes = b""):
        cut = self.server.cuts.pop(0) if self.server.cuts and body else None
        part = body[:cut]
        self.server.log.append(
            Request(self.path, self.headers.get("Range"), status, len(part))
        )
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, format, *args):
        pass


@contextmanager
def running():
    """A server that runs in a thread until the block ends."""
    with WebServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.gate.set()
            server.shutdown()
            thread.join()
