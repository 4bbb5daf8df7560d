"""The server of a model: speaks what an OpenAI-compatible endpoint speaks, good and bad, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-the-key-of-the-model"


@dataclass(frozen=True)
class Reply:
    """One answer of the server; `endless` goes on until the asker hangs up, `late` waits for that."""

    body: bytes
    status: int = 200
    location: str | None = None
    endless: bool = False
    late: bool = False


@dataclass
class ModelServer:
    """What it was asked, and what it answers next: the last reply stays."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def will(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked.clear()
        self.paths.clear()

    def next(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def says(content: str) -> Reply:
    """A completion, with everything around it that such endpoints send."""
    message = {"role": "assistant", "content": content, "refusal": None}
    completion = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "a-model-2026",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340},
    }
    return Reply(json.dumps(completion, ensure_ascii=False).encode())


def answers(answer: str, *video_ids: str) -> Reply:
    return says(json.dumps({"answer": answer, "video_ids": video_ids}, ensure_ascii=False))


def fails(status: int, *, location: str | None = None) -> Reply:
    error = {"error": {"message": f"Incorrect key {KEY}", "type": "server_error", "code": None}}
    return Reply(json.dumps(error).encode(), status, location)


@contextmanager
def served_model() -> Iterator[ModelServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = json.loads(self.rfile.read(length))
            model.paths.append(self.path)
            model.asked.append({"headers": {**self.headers}, "body": body})
            reply = model.next()
            if reply.late:
                model.closing.wait(10)
            self.send_response(reply.status)
            self.send_header("content-type", "application/json")
            if reply.location is not None:
                self.send_header("location", reply.location)
            if reply.endless:
                self.close_connection = True
                self.end_headers()
                self.pour(reply.body)
                return
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.pour(reply.body, times=1)

        def pour(self, body: bytes, *, times: int = 1_000_000) -> None:
            try:
                for _ in range(times):
                    self.wfile.write(body)
            except OSError:
                self.close_connection = True  # who asked has hung up

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        model = ModelServer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield model
        finally:
            model.closing.set()
            server.shutdown()
            thread.join()
