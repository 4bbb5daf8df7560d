from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from app import doctor
from app.client import Client
from app.config import Secret, Settings
from app.doctor import Check, examine
from app.errors import SettingsError

from .fake_realtime import FakeRealtime, fake_realtime

EMPTY_BATCH = {"received": 0, "inserted": 0, "updated": 0, "unchanged": 0, "rejected": []}
Answers = dict[str, httpx.Response]


@pytest.fixture
async def realtime() -> AsyncIterator[FakeRealtime]:
    async with fake_realtime() as fake:
        yield fake


@pytest.fixture
def healthy() -> Answers:
    return {
        "/rest/v1/rpc/trending_now": httpx.Response(200, json=[]),
        "/rest/v1/rpc/ingest_videos": httpx.Response(200, json=EMPTY_BATCH),
        "/auth/v1/health": httpx.Response(200, json={}),
        "/functions/v1/notify-trend": httpx.Response(401, json={"code": "invalid_wake"}),
    }


@pytest.fixture
def settings(realtime: FakeRealtime) -> Settings:
    return Settings(realtime.url, Secret("sb_publishable_x"), secret_key=Secret("sb_secret_y"), timeout_seconds=1)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, healthy: Answers) -> Answers:
    """Every client of the doctor gets these answers instead of the network's; Realtime is the fake server."""

    def client(settings: Settings, *, key: Secret | None = None) -> Client:
        transport = httpx.MockTransport(lambda request: healthy[request.url.path])
        return Client(settings, key=key, http=httpx.AsyncClient(transport=transport))

    monkeypatch.setattr(doctor, "Client", client)
    return healthy


async def checks_of(settings: Callable[[], Settings]) -> dict[str, Check]:
    return {check.name: check async for check in examine("en", settings=settings)}


async def test_a_healthy_project(backend: Answers, settings: Settings) -> None:
    checks = await checks_of(lambda: settings)
    names = ["python", "node", "settings", "api", "migrations", "auth", "secret_key", "realtime", "function"]
    assert list(checks) == names
    assert {check.outcome for check in checks.values()} == {"ok"}
    assert "sb_secret_y" not in json.dumps([str(check) for check in checks.values()])


async def test_without_a_secret_key_its_check_is_skipped(backend: Answers, realtime: FakeRealtime) -> None:
    checks = await checks_of(lambda: Settings(realtime.url, Secret("x"), timeout_seconds=1))
    assert checks["secret_key"].outcome == "skipped"


@pytest.mark.parametrize(
    ("path", "answer", "failed", "step"),
    [
        (
            "/rest/v1/rpc/trending_now",
            httpx.Response(404, json={"code": "PGRST202", "message": "no function trending_now"}),
            "migrations",
            "supabase db push",
        ),
        ("/rest/v1/rpc/trending_now", httpx.Response(200, json=[{"n": 1}]), "migrations", "supabase db push"),
        ("/rest/v1/rpc/trending_now", httpx.Response(401, json={"message": "Invalid API key"}), "api", "key"),
        (
            "/rest/v1/rpc/ingest_videos",
            httpx.Response(403, json={"code": "42501", "message": "permission denied"}),
            "secret_key",
            "SUPABASE_SECRET_KEY",
        ),
        ("/auth/v1/health", httpx.Response(503), "auth", "./scripts/dev status"),
        ("/functions/v1/notify-trend", httpx.Response(404), "function", "supabase functions deploy"),
    ],
)
async def test_one_broken_part_is_named_with_its_next_step(
    backend: Answers, settings: Settings, path: str, answer: httpx.Response, failed: str, step: str
) -> None:
    backend[path] = answer
    checks = await checks_of(lambda: settings)
    assert [name for name, check in checks.items() if check.outcome == "failed"] == [failed]
    assert step in (checks[failed].next_step or "")


async def test_a_refused_subscription_is_named(backend: Answers, settings: Settings, realtime: FakeRealtime) -> None:
    realtime.refusals = 1
    checks = await checks_of(lambda: settings)
    assert checks["realtime"].outcome == "failed"
    assert "not today" in checks["realtime"].detail


async def test_missing_settings_end_the_examination() -> None:
    def missing() -> Settings:
        raise SettingsError("setting_missing", name="SUPABASE_URL")

    checks = await checks_of(missing)
    assert list(checks) == ["python", "node", "settings"]
    assert checks["settings"].next_step


async def test_an_old_or_absent_node_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Settings:
        raise SettingsError("setting_missing", name="SUPABASE_URL")

    monkeypatch.setattr("shutil.which", lambda name: None)
    assert (await checks_of(missing))["node"].outcome == "failed"
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "OLDEST_NODE", 1000)
    assert "Node.js" in ((await checks_of(missing))["node"].next_step or "")
