"""A server that behaves like a hub: ranges, redirects, gates, bad days and cut connections."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import pytest

PIECE = 1 << 14
"""Bytes that are sent at a time, where they are sent slowly."""


class Hub:
    """What it holds, what it shall do wrong, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.files: dict[str, bytes] = {}
        self.faults: list[str] = []
        """What goes wrong with the next requests for weights, one each."""
        self.token = ""
        """Needed for everything but the storage, when there is one."""
        self.asked: list[tuple[str, str, str]] = []
        """Path, range and authorization of every request for weights."""
        self.wrong_hash = False
        self.pages: list[str] = []
        """Path of every other request."""
        self.open = Event()
        """Unset, storage sends half of each file and then waits."""
        self.open.set()
        self.pace = 0.0
        """Seconds between two pieces of a file, if it is sent in pieces."""
        self.sent = 0
        """Bytes of files."""

    def info(self) -> bytes:
        siblings = []
        for name, data in self.files.items():
            digest = "0" * 64 if self.wrong_hash else hashlib.sha256(data).hexdigest()
            lfs = {"sha256": digest, "size": len(data), "pointerSize": 100}
            siblings.append({"rfilename": name, "size": len(data), "lfs": lfs})
        card = {"license": "openrail"}
        told = {"id": "org/name", "modelId": "org/name", "sha": "c" * 40, "siblings": siblings, "cardData": card}
        return json.dumps(told | {"private": False, "tags": [], "downloads": 0, "likes": 0}).encode()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        hub, path = self.hub, urlsplit(self.path).path  # a proxy is asked with the whole address
        if not path.startswith("/storage/"):
            hub.pages.append(path)
        given = self.headers.get("Authorization", "")
        if hub.token and not path.startswith("/storage/") and given != f"Bearer {hub.token}":
            self._answer(403 if given else 401)
        elif path.startswith("/api/models/"):
            self._answer(200, hub.info(), Content_Type="application/json")
        elif path == "/api/v1/model-versions/17":
            name = "lora/fox.safetensors"
            hashes = {"SHA256": hashlib.sha256(hub.files[name]).hexdigest().upper()}
            pickle = {"name": "civit.ckpt", "downloadUrl": f"{hub.url}/storage/model.ckpt"}
            told = {"name": "civit.safetensors", "downloadUrl": f"{hub.url}/storage/{name}", "hashes": hashes}
            told_of = {"model": {"name": "Foxes"}, "modelId": 5, "files": [pickle, told]}
            self._answer(200, json.dumps(told_of).encode())
        elif path == "/api/v1/models/5":
            self._answer(200, json.dumps({"allowCommercialUse": ["Image"], "allowNoCredit": False}).encode())
        elif "/resolve/" in path:
            name = path.partition("/resolve/")[2].partition("/")[2]
            host = hub.url.replace("127.0.0.1", "localhost")
            self._answer(302, Location=f"{host}/storage/{name}")
        elif path.startswith("/storage/"):
            self._send(path.removeprefix("/storage/"))
        else:
            self._answer(404)

    def _send(self, name: str) -> None:
        hub = self.hub
        data = hub.files.get(name)
        hub.asked.append((name, self.headers.get("Range", ""), self.headers.get("Authorization", "")))
        fault = hub.faults.pop(0) if hub.faults else ""
        if fault.isdigit():
            self._answer(int(fault), Retry_After="0")
            return
        if data is None:
            self._answer(404)
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if fault == "no ranges":
            start = 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        rest = data[start:]
        for at in range(0, len(rest), PIECE) if hub.pace else ():
            try:
                self.wfile.write(rest[at : at + PIECE])
            except OSError:  # whoever asked has died
                return
            hub.sent += len(rest[at : at + PIECE])
            time.sleep(hub.pace)
        if hub.pace:
            return
        half = len(rest) // 2
        self.wfile.write(rest[:half])
        if fault != "cut":
            self.wfile.flush()
            hub.open.wait(60)
            self.wfile.write(rest[half:])


@contextmanager
def hub_of_user(monkeypatch: pytest.MonkeyPatch, models: Path) -> Iterator[Hub]:
    """A hub that whatever is started meanwhile fetches from, into `models`."""
    with hub_server() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("LATENTTY_MODEL_FOLDERS", str(models))
        monkeypatch.setenv("LATENTTY_DOWNLOAD_HOSTS", "127.0.0.1:localhost")
        yield hub


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A hub that runs while the block does."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.hub = hub = Hub(server.server_address[1])  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield hub
        finally:
            hub.open.set()
            server.shutdown()
            thread.join()
