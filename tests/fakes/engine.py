"""A container engine's socket: real HTTP over a real Unix socket, good and bad."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Self


class Engine:
    """Serves names by full id at ``path`` for the time of a ``with`` block; ``behaviour`` may be changed meanwhile.

    ``names``: as the real one does. ``hangs``: takes the question and says nothing until the end. ``garbage``: answers
    something else. ``endless``: answers without an end.
    """

    def __init__(self, path: Path, names: dict[str, str] | None = None) -> None:
        self.path = path
        self.names = names or {}
        self.behaviour = "names"
        self.asked: list[str] = []
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        self.path.unlink(missing_ok=True)
        self.ended.clear()
        self._server = _Server(str(self.path), _Handler)
        self._server.engine = self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self.path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    engine: Engine

    def handle_error(self, *_: object) -> None:
        """A caller that has gone is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        engine = self.server.engine
        engine.asked.append(self.path)
        getattr(self, f"_{engine.behaviour}")(engine)
        self.close_connection = True

    def _names(self, engine: Engine) -> None:
        _, _, identity, _ = self.path.split("/")
        name = engine.names.get(identity)
        known = {"Id": identity, "Name": f"/{name}", "Config": {"Env": ["SECRET=1"]}}
        body = json.dumps(known if name is not None else {"message": f"No such container: {identity}"}).encode()
        self.send_response(200 if name is not None else 404)
        # As Docker does for anything large: in pieces.
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (body[:10], body[10:]):
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _hangs(self, engine: Engine) -> None:
        engine.ended.wait(30)

    def _garbage(self, _engine: Engine) -> None:
        self.wfile.write(b"\x00\xff\x16 not HTTP at all")

    def _no_json(self, _engine: Engine) -> None:
        self._send(b"<html>")

    def _nested(self, _engine: Engine) -> None:
        self._send(b"[" * 100_000)

    def _no_name(self, _engine: Engine) -> None:
        self._send(b'{"Name": {"x": 1}}')

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _endless(self, engine: Engine) -> None:
        while not engine.ended.is_set():
            self.wfile.write(b"x" * 65_536)

    def _drips(self, engine: Engine) -> None:
        while not engine.ended.wait(0.02):
            self.wfile.write(b"H")

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal of the tests."""
