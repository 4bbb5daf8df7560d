"""What is installed, running and reachable, and the next step when it is not."""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Container
from dataclasses import dataclass
from typing import Literal

from .client import Client
from .config import Settings, read_settings
from .errors import NotFoundError, OndolError, UnexpectedAnswerError
from .messages import Language, text
from .realtime import join
from .shorts.api import ShortsApi
from .shorts.watch import TREND_BROADCAST

__all__ = ["Check", "examine"]

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20
Outcome = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis; `name` is a key of `doctor_<name>` in the messages."""

    name: str
    outcome: Outcome
    detail: str
    next_step: str | None = None


async def examine(language: Language, *, settings: Callable[[], Settings] = read_settings) -> AsyncIterator[Check]:
    """Yield each check as it is done; what cannot be reached is told once per service."""
    yield _python(language)
    yield await _node(language)
    try:
        found = settings()
    except OndolError as error:
        yield _failed("settings", error, language)
        return
    yield Check("settings", "ok", found.url)

    async with Client(found) as client:
        for check in await _data_api_and_migrations(client, language):
            yield check
        yield await _auth(client, language)
        yield await _secret_key(found, language)
        yield await _realtime(client, language)
        yield await _edge_function(client, language)


def _failed(name: str, error: OndolError, language: Language) -> Check:
    return Check(name, "failed", error.say(language), error.next_step(language))


def _python(language: Language) -> Check:
    found = platform.python_version()
    if sys.version_info >= OLDEST_PYTHON:
        return Check("python", "ok", found)
    return Check("python", "failed", found, text("doctor_python.next", language=language))


async def _node(language: Language) -> Check:
    next_step = text("doctor_node.next", language=language)
    node = shutil.which("node")
    if node is None:
        return Check("node", "failed", "-", next_step)
    process = await asyncio.create_subprocess_exec(node, "--version", stdout=asyncio.subprocess.PIPE)
    version = (await process.communicate())[0].decode(errors="replace").strip()
    major = version.removeprefix("v").partition(".")[0]
    if major.isdigit() and int(major) >= OLDEST_NODE:
        return Check("node", "ok", version)
    return Check("node", "failed", version or "-", next_step)


async def _data_api_and_migrations(client: Client, language: Language) -> list[Check]:
    """One call tells both: any answer proves the Data API and the key, a good one proves the migrations."""
    api = Check("api", "ok", f"{client.settings.url}/rest/v1")
    try:
        await ShortsApi(client).trending_now("KR", limit=1)
    except (NotFoundError, UnexpectedAnswerError) as error:
        return [api, _failed("migrations", error, language)]
    except OndolError as error:
        return [_failed("api", error, language)]
    return [api, Check("migrations", "ok", "trending_now")]


async def _auth(client: Client, language: Language) -> Check:
    return await _request(client, "GET", "/auth/v1/health", name="auth", language=language, accepted=range(200, 300))


async def _secret_key(settings: Settings, language: Language) -> Check:
    """An empty batch changes nothing and is refused to everybody but the service."""
    if settings.secret_key is None:
        return Check("secret_key", "skipped", text("doctor_secret_key_absent", language=language))
    try:
        async with Client(settings, key=settings.secret_key) as client:
            await ShortsApi(client).ingest_videos([])
    except OndolError as error:
        return _failed("secret_key", error, language)
    return Check("secret_key", "ok", str(settings.secret_key))


async def _realtime(client: Client, language: Language) -> Check:
    """Joins the topic that everybody may hear, and leaves it."""
    try:
        await join(TREND_BROADCAST, client=client)
    except OndolError as error:
        return _failed("realtime", error, language)
    return Check("realtime", "ok", TREND_BROADCAST.topic)


async def _edge_function(client: Client, language: Language) -> Check:
    """An unsigned wake-up is refused by the function itself, which shows that it runs."""
    path = "/functions/v1/notify-trend"
    return await _request(client, "POST", path, name="function", language=language, accepted=(200, 202, 400, 401, 403))


async def _request(
    client: Client, method: str, path: str, *, name: str, language: Language, accepted: Container[int]
) -> Check:
    try:
        answer = await client.request(method, path, json={} if method == "POST" else None)
    except OndolError as error:
        return _failed(name, error, language)
    if answer.status_code in accepted:
        return Check(name, "ok", path)
    return Check(name, "failed", f"{path}: HTTP {answer.status_code}", text(f"doctor_{name}.next", language=language))
