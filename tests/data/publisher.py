"""A publisher on this machine: an HTTP server that knows byte ranges and can be told to misbehave."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Publisher(ThreadingHTTPServer):
    """Serves `content` at every address but /absent.

    allowances: bytes that each coming answer may send before the connection breaks; None is no limit.
    ranges: whether byte ranges are known. asked: the Range header of every request so far.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content = content
        self.allowances: list = []
        self.ranges = True
        self.asked: list = []

    def handle_error(self, request, client_address) -> None:
        """Broken connections are part of the play."""

    def url(self, path="/set.npz") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Answer(BaseHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        pass

    def do_GET(self) -> None:
        publisher = self.server
        asked = self.headers.get("Range")
        publisher.asked.append(asked)
        allowance = publisher.allowances.pop(0) if publisher.allowances else None
        total = len(publisher.content)
        if self.path == "/absent":
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and publisher.ranges else 0
        if start >= total > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{total}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if asked and publisher.ranges else 200)
        self.send_header("Content-Length", str(total - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.end_headers()
        body = publisher.content[start:]
        self.wfile.write(body if allowance is None else body[:allowance])


@contextmanager
def publishing(content: bytes):
    """A running publisher, stopped at the end."""
    publisher = Publisher(content)
    thread = threading.Thread(target=publisher.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield publisher
    finally:
        publisher.shutdown()
        publisher.server_close()
        thread.join()
