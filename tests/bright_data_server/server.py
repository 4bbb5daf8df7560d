"""The three calls that Ondol makes of Bright Data's API, answered as docs.brightdata.com has them, with faults."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

KEY = "bd-test-key-0123456789"


def scraped_row(number: int = 1, *, keyword: str = "김치", **changes: Any) -> dict[str, Any]:
    """A row with the fields of Bright Data's YouTube data set, made up; `changes` replace them, None takes one away."""
    video_id = f"scraped{number:04d}"
    row = {
        "url": f"https://www.youtube.com/watch?v={video_id}",
        "title": f"김치 담그는 법 {number} #김치",
        "youtuber": "@kimchi",
        "video_length": 45,
        "likes": 120,
        "views": 3400,
        "date_posted": "2026-07-10T03:15:00.000Z",
        "description": "배추와 고춧가루",
        "num_comments": 7,
        "subscribers": 15000,
        "video_id": video_id,
        "channel_url": "https://www.youtube.com/channel/UCabcdefghijklmnopqrstuv",
        "preview_image": f"https://i.ytimg.com/vi/{video_id}/hq720.jpg",
        "tags": ["김치", "recipe"],
        "hashtags": [{"hashtag": "#김치", "link": "/hashtag/x"}],
        "is_age_restricted": False,
        "timestamp": "2026-07-10T05:00:00.000Z",
        "input": {"keyword": keyword},
    } | changes
    return {name: value for name, value in row.items() if value is not None}


@dataclass
class Snapshot:
    """What a trigger leads to: `states` are told one by one, the last one for ever."""

    rows: list[Any]
    states: list[str] = field(default_factory=lambda: ["starting", "running", "ready"])
    as_lines: bool = False
    is_gzip: bool = False


class MockBrightData:
    """`faults` are answers that come first, by call: a status, (status, headers), or 'cut' for a body that breaks."""

    def __init__(self) -> None:
        self.next_snapshot = Snapshot([scraped_row()])
        self.snapshots: dict[str, Snapshot] = {}
        self.triggers: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.faults: dict[str, list[Any]] = {"trigger": [], "progress": [], "snapshot": []}
        self.url = ""
        self.app = Starlette(
            routes=[
                Route("/datasets/v3/trigger", self.trigger, methods=["POST"]),
                Route("/datasets/v3/progress/{snapshot_id}", self.progress, methods=["GET"]),
                Route("/datasets/v3/snapshot/{snapshot_id}", self.snapshot, methods=["GET"]),
            ]
        )

    async def trigger(self, request: Request) -> Response:
        fault = self._fault("trigger", request)
        if isinstance(fault, Response):
            return fault
        self.triggers.append({"query": dict(request.query_params), "searches": await request.json()})
        snapshot_id = f"s_test{len(self.snapshots) + 1}"
        self.snapshots[snapshot_id] = self.next_snapshot
        if fault == "lost":  # it was begun, and the answer says nothing of it
            return Response("", status_code=502)
        return JSONResponse({"snapshot_id": snapshot_id})

    async def progress(self, request: Request) -> Response:
        fault = self._fault("progress", request)
        if isinstance(fault, Response):
            return fault
        snapshot_id = request.path_params["snapshot_id"]
        if snapshot_id not in self.snapshots:
            return Response("Snapshot does not exist", status_code=404)
        states = self.snapshots[snapshot_id].states
        status = states.pop(0) if len(states) > 1 else states[0]
        return JSONResponse({"snapshot_id": snapshot_id, "dataset_id": "gd_test", "status": status})

    async def snapshot(self, request: Request) -> Response:
        fault = self._fault("snapshot", request)
        if isinstance(fault, Response):
            return fault
        found = self.snapshots[request.path_params["snapshot_id"]]
        if found.as_lines:
            body = b"".join(json.dumps(row).encode() + b"\n" for row in found.rows)
        else:
            body = json.dumps(found.rows, ensure_ascii=False).encode()
        if fault == "cut":
            return Response(body[: len(body) // 2])

        async def chunks() -> AsyncIterator[bytes]:
            sent = gzip.compress(body) if found.is_gzip else body
            for start in range(0, len(sent), 1_000):
                yield sent[start : start + 1_000]

        return StreamingResponse(chunks(), headers={"content-encoding": "gzip"} if found.is_gzip else None)

    def _fault(self, call: str, request: Request) -> Response | str | None:
        self.calls.append(call)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Response("Invalid token", status_code=401)
        fault = self.faults[call].pop(0) if self.faults[call] else None
        if isinstance(fault, int):
            return JSONResponse({"status": "building", "message": "try again in 10s"}, status_code=fault)
        if isinstance(fault, tuple):
            status, headers = fault
            return Response("slow down", status_code=status, headers=headers)
        if isinstance(fault, dict):
            return JSONResponse(fault)
        return fault


@asynccontextmanager
async def serving(mock: MockBrightData) -> AsyncIterator[MockBrightData]:
    """`mock` on a free port of this machine, its address in `mock.url`."""
    listening = socket.create_server(("127.0.0.1", 0))
    mock.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(mock.app, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield mock
    finally:
        server.should_exit = True
        await task
        listening.close()
