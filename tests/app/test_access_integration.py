"""What a person may see and do, through the gateway, from sign-up to premium, on the running stack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest

from app import Client, NotAllowedError, Secret, Settings
from app.shorts import ShortsApi, TrendRow, watch_trends
from scripts.local_stack.settings import Stack

PASSWORD = "long-enough-for-a-test"
REGION = "IS"  # no other test writes trends of this region


@asynccontextmanager
async def connected(stack: Stack, *, as_service: bool = False) -> AsyncIterator[Client]:
    secret = Secret(stack.keys.secret)
    settings = Settings(url=stack.api_url, publishable_key=Secret(stack.keys.publishable), secret_key=secret)
    async with Client(settings, key=secret if as_service else None) as client:
        yield client


@pytest.fixture
async def service(stack: Stack) -> AsyncIterator[Client]:
    async with connected(stack, as_service=True) as client:
        yield client


@pytest.fixture
async def person(stack: Stack, service: Client) -> AsyncIterator[Client]:
    """Somebody who has just signed up."""
    async with connected(stack) as client:
        answer = await client.supabase.auth.sign_up({"email": f"{uuid4()}@example.com", "password": PASSWORD})
        assert answer.user is not None
        yield client
        await service.supabase.auth.admin.delete_user(answer.user.id)


@pytest.fixture
async def trend(service: Client) -> AsyncIterator[str]:
    """The keyword of a trend that is open now."""
    keyword = f"시험{uuid4().hex[:8]}"
    await write_trend(service, keyword)
    yield keyword
    await service.supabase.table("trending_keywords").delete().eq("region_code", REGION).execute()


async def write_trend(service: Client, keyword: str) -> None:
    now = datetime.now(UTC)
    row = {
        "keyword": keyword,
        "region_code": REGION,
        "data_source": "youtube_api",
        "trend_score": 0.7,
        "growth_rate": 250,
        "search_volume": 12,
        "hourly_trend_data": [None] * 23 + [12],
        "detected_at": now.isoformat(),
        "expires_at": (now + timedelta(hours=4)).isoformat(),
    }
    await service.supabase.table("trending_keywords").insert(row).execute()


async def make_premium(service: Client, person: Client, *, expires_at: datetime | None = None) -> None:
    tier = {
        "user_id": await user_id(person),
        "tier": "premium",
        "source": "operator",
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    await service.supabase.table("user_tiers").upsert(tier).execute()


async def user_id(person: Client) -> str:
    user = await person.supabase.auth.get_user()
    assert user is not None
    return user.user.id


async def full_rows(client: Client, keyword: str) -> int:
    found = await client.supabase.table("trending_keywords").select("keyword").eq("keyword", keyword).execute()
    return len(found.data)


async def test_everybody_reads_the_limited_list_and_premium_the_full_rows(
    stack: Stack, service: Client, person: Client, trend: str
) -> None:
    async with connected(stack) as anonymous:
        for client in (anonymous, person):
            limited = await ShortsApi(client).trending_now(REGION)
            assert [row.keyword for row in limited] == [trend]
            assert await full_rows(client, trend) == 0

    await make_premium(service, person)
    assert await full_rows(person, trend) == 1

    await make_premium(service, person, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert await full_rows(person, trend) == 0


async def test_the_tier_is_in_the_profile_and_in_the_next_token(service: Client, person: Client) -> None:
    await make_premium(service, person)
    profile = await person.supabase.table("users").select("user_tier").single().execute()
    assert profile.data == {"user_tier": "premium"}
    refreshed = await person.supabase.auth.refresh_session()
    assert refreshed.session is not None
    claims = jwt.decode(refreshed.session.access_token, options={"verify_signature": False})
    assert claims["app_metadata"]["tier"] == "premium"


async def test_premium_hears_of_a_trend_as_a_full_row(service: Client, person: Client, trend: str) -> None:
    await make_premium(service, person)
    subscribed = asyncio.Event()
    keyword = f"{trend}둘"

    async def first() -> TrendRow:
        async for row in watch_trends(person, region=REGION, on_subscribed=subscribed.set):
            assert isinstance(row, TrendRow)
            return row
        raise AssertionError("the subscription ended")

    async with asyncio.timeout(20):
        hearing = asyncio.create_task(first())
        await subscribed.wait()
        await write_trend(service, keyword)
        assert (await hearing).keyword == keyword


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("users", {"user_tier": "enterprise"}),
        ("users", {"daily_api_usage": 0}),
        ("user_tiers", {"tier": "enterprise"}),
        ("trending_keywords", {"trend_score": 1}),
        ("cached_videos", {"title": "mine"}),
    ],
)
async def test_nobody_writes_what_gives_power(person: Client, table: str, change: dict[str, object]) -> None:
    own = await user_id(person)
    column = {"users": "id", "user_tiers": "user_id"}.get(table, "id")
    with pytest.raises(NotAllowedError) as refused, person.errors(table):
        await person.supabase.table(table).update(change).eq(column, own).execute()
    assert refused.value.code == "42501"
    assert "permission denied" in refused.value.message


async def test_settings_give_no_power(person: Client, trend: str) -> None:
    own = await user_id(person)
    wish = {"settings": {"role": "admin", "tier": "enterprise"}}
    await person.supabase.table("users").update(wish).eq("id", own).execute()
    await person.supabase.auth.update_user({"data": {"role": "admin", "tier": "enterprise"}})
    await person.supabase.auth.refresh_session()
    assert await full_rows(person, trend) == 0
    others = await person.supabase.table("users").select("id").execute()
    assert others.data == [{"id": own}]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("ingest_videos", {"videos": []}),
        ("ingest_keyword_signals", {"signals": []}),
        ("detect_trends", {}),
        ("claim_webhook_deliveries", {}),
        ("record_webhook_deliveries", {"reports": []}),
        ("list_webhook_endpoints", {}),
        ("rotate_webhook_secret", {"endpoint_id": "00000000-0000-4000-8000-000000000000"}),
        ("register_webhook_endpoint", {"url": "https://example.com", "secret": "whsec_" + "a" * 32}),
        ("receive_trend_event", {"webhook_id": "msg_1", "event": {}}),
        ("custom_access_token_hook", {"event": {}}),
    ],
)
async def test_the_services_own_verbs_are_refused(person: Client, function: str, arguments: dict[str, object]) -> None:
    with pytest.raises(NotAllowedError) as refused:
        await person.call(function, arguments)
    assert (refused.value.code, refused.value.status) == ("42501", 403)
