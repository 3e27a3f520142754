"""A server between a client and the org that keeps what really went over the socket."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import httpx


class Exchange(NamedTuple):
    """One request as it was sent, and the answer's status and body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    status: int
    answer: bytes

    @property
    def intent(self) -> tuple[str, str, dict[str, str], Any]:
        """What the request asks, however it is written: no body and `null` are the same."""
        return self.method, self.path, self.query, self.body


class Recorder(ThreadingHTTPServer):
    """Passes requests on to `target` and keeps the exchanges."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.http = httpx.Client(base_url=target)
        self.exchanges: list[Exchange] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self.http.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        kept = {
            name: headers[name] for name in ("authorization", "content-type") if name in headers
        }
        answer = self.server.http.request(self.command, self.path, content=content, headers=kept)
        parts = urlsplit(self.path)
        exchange = Exchange(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            headers,
            _read(content, headers.get("content-type", "")),
            answer.status_code,
            answer.content,
        )
        self.server.exchanges.append(exchange)
        self.send_response(answer.status_code)
        for name in ("content-type", "inin-correlation-id", "retry-after"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        return


def _read(content: bytes, kind: str) -> Any:
    if "form" in kind:
        return dict(parse_qsl(content.decode()))
    return json.loads(content) if content else None
