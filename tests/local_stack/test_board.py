"""What serves the board locally: the files of a build and nothing else, with the headers of the build."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from aiohttp import web

from scripts.local_stack.board import Board, headers_for
from scripts.local_stack.listening import listen
from scripts.local_stack.processes import require_free_port
from scripts.local_stack.settings import REPOSITORY, Stack
from tests.docs.blocks import blocks

PORT_BASE = 56420
HEADERS = REPOSITORY / "web" / "public" / "_headers"


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    stack = Stack.create("board", port_base=PORT_BASE, repository=REPOSITORY)
    return replace(stack, repository=tmp_path)


@pytest_asyncio.fixture
async def board(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    require_free_port(stack.ports.board)
    runner = web.AppRunner(Board(stack).application(), handle_signals=False)
    await runner.setup()
    await listen(runner, stack.ports.board)
    async with httpx.AsyncClient(base_url=stack.board_url) as client:
        yield client
    await runner.cleanup()


@pytest.fixture
def build(stack: Stack) -> Path:
    folder = stack.repository / "web" / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Ondol</title>", encoding="utf-8")
    (folder / "assets" / "main.js").write_text("export {}", encoding="utf-8")
    (folder / ".stamp").write_text("made of", encoding="utf-8")
    (folder.parent / "beside.txt").write_text("not for a browser", encoding="utf-8")
    (folder / "_headers").write_text(HEADERS.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


async def test_says_where_its_data_comes_from(board: httpx.AsyncClient, stack: Stack) -> None:
    found = (await board.get("/config.json")).json()
    assert found == {"url": stack.api_url, "publishableKey": stack.keys.publishable}
    assert stack.keys.secret not in json.dumps(found)
    [shown] = blocks("json", page="web/README.md")
    assert json.loads(shown.text).keys() == found.keys()


async def test_says_how_to_build_what_is_not_built(board: httpx.AsyncClient) -> None:
    answer = await board.get("/")
    assert (answer.status_code, "npm run build" in answer.text) == (503, True)


async def test_serves_the_build_with_its_headers(board: httpx.AsyncClient, build: Path, stack: Stack) -> None:
    page, script = await board.get("/"), await board.get("/assets/main.js")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html")
    assert (script.status_code, script.headers["content-type"].endswith("/javascript")) == (200, True)
    assert "immutable" in script.headers["cache-control"]
    assert page.headers["cache-control"] == "no-cache"
    for answer in (page, script, await board.get("/config.json")):
        policy = answer.headers["content-security-policy"]
        assert f"connect-src 'self' {stack.api_url} ws://127.0.0.1:{stack.ports.gateway};" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/.stamp", "/_headers", "/%2e%2e/beside.txt", "/..%2fbeside.txt", "/assets", "/no"])
async def test_serves_nothing_else(board: httpx.AsyncClient, build: Path, path: str) -> None:
    assert (await board.get(path)).status_code == 404


def test_the_policy_lets_no_text_become_code() -> None:
    policy = headers_for("/", HEADERS.read_text(encoding="utf-8"), "http://127.0.0.1:1")["Content-Security-Policy"]
    rules = {name: values for name, *values in (rule.split() for rule in policy.split(";"))}
    assert rules["default-src"] == ["'none'"]
    assert (rules["script-src"], rules["style-src"]) == (["'self'"], ["'self'"])
    assert "unsafe" not in policy
    assert rules["frame-src"] == ["https://www.youtube-nocookie.com"]
    assert rules["frame-ancestors"] == ["'none'"]
