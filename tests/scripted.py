"""A real server on this machine that answers, and misbehaves, as a test tells it."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest


class Server(ThreadingHTTPServer):
    """Answers a path with what `script[path]` yields: a list of answers (the last one stays) or a
    function of the query.

    An answer is (status, body, headers); a body may be bytes, json or a function that writes to the
    socket itself.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.seen, self.queries, self.now, self.most = {}, Counter(), [], 0, 0
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the tests


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server, url = self.server, urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        with server.lock:
            server.seen[url.path] += 1
            server.queries.append(query)
            server.now += 1
            server.most = max(server.most, server.now)
            count = server.seen[url.path]
        try:
            answers = server.script[url.path]
            answer = answers(query) if callable(answers) else answers[min(count, len(answers)) - 1]
            status, body, headers = (*answer, {})[:3]
            if callable(body):
                return body(self)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(data))} | kind | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
        finally:
            with server.lock:
                server.now -= 1

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    "A server that runs until the test ends."
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    "A cache folder of the test's own."
    monkeypatch.setenv("PRODREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PRODREC_PROGRESS", "0")
    monkeypatch.delenv("BLUECART_API_KEY", raising=False)
    return tmp_path / "cache"
