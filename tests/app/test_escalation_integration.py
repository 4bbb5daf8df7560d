"""Somebody who has just signed up tries every way to a tier, the admin's role, a counter or somebody else's rows.

Each attempt asserts how it is refused, and that the service reads the same values as before.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import httpx
import jwt
import psycopg
import pytest
import pytest_asyncio
from postgrest import APIError, APIResponse
from postgrest.types import ReturnMethod
from psycopg import sql
from supabase import AsyncClient, AsyncClientOptions, create_async_client
from supabase_auth.errors import AuthApiError

from scripts.local_stack.settings import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "long-enough-for-a-test"
PERSONAL = {
    "users": "id",
    "user_tiers": "user_id",
    "user_profiles": "user_id",
    "user_search_patterns": "user_id",
    "search_sessions": "user_id",
    "video_interactions": "user_id",
    "watch_events": "interaction_id",
    "user_session_details": "user_id",
    "user_feedback": "user_id",
}
SHARED = {
    "cached_videos": "video_id",
    "video_quality_scores": "video_id",
    "keyword_video_mappings": "video_id",
    "cached_channels": "channel_id",
    "trending_keywords": "keyword",
    "keyword_effectiveness": "keyword",
    "keyword_performance_cache": "keyword",
    "trend_predictions": "keyword",
}
FORBIDDEN = (403, "42501")


@dataclass
class World:
    """Two people with a row of everything, and a video, a channel and a keyword that all share."""

    stack: Stack
    http: httpx.AsyncClient
    service: AsyncClient
    database: psycopg.AsyncConnection[Any]
    token: str
    me: str
    other: str
    shared: str
    started: dict[str, str] = field(default_factory=dict)

    def fill(self, value: object) -> Any:
        """The same with ME, OTHER, SHARED, STARTED (my search's) and OTHER_STARTED put in."""
        text = json.dumps(value)
        for name, real in (
            ("OTHER_STARTED", self.started[self.other]),
            ("STARTED", self.started[self.me]),
            ("OTHER", self.other),
            ("ME", self.me),
            ("SHARED", self.shared),
        ):
            text = text.replace(f"<{name}>", real)
        return json.loads(text)

    async def send(
        self, method: str, path: str, *, body: object = None, token: str | None = None, **headers: str
    ) -> httpx.Response:
        return await self.http.request(
            method,
            self.fill(path),
            content=None if body is None else json.dumps(self.fill(body)),
            headers={
                "apikey": self.stack.keys.publishable,
                "Authorization": f"Bearer {token or self.token}",
                "Content-Type": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )

    async def stored(self) -> dict[str, Any]:
        """Everything that an attempt could have changed, as the service reads it."""
        found: dict[str, Any] = {}
        await self.database.execute("set role service_role")
        people = [self.me, self.other]
        for table, owner in (PERSONAL | SHARED).items():
            query = sql.SQL(
                "select coalesce(jsonb_agg(to_jsonb(stored) order by to_jsonb(stored)::text), '[]')"
                " from public.{} as stored where {}::text = any(%s)"
            ).format(sql.Identifier(table), sql.Identifier(owner))
            found[table] = await self.one(query, people if table in PERSONAL else [self.shared])
            assert len(found[table]) == (len(people) if table in PERSONAL else 1), table
        await self.database.execute("reset role")
        found["app_metadata"] = await self.one(
            sql.SQL("select jsonb_object_agg(id, raw_app_meta_data) from auth.users where id::text = any(%s)"), people
        )
        return found

    async def one(self, query: sql.SQL | sql.Composed, values: list[str]) -> Any:
        row = await (await self.database.execute(query, (values,))).fetchone()
        assert row is not None
        return row[0]


def rows_of(answer: APIResponse) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", answer.data)


async def client_of(stack: Stack, key: str) -> AsyncClient:
    return await create_async_client(stack.api_url, key, AsyncClientOptions(httpx_client=httpx.AsyncClient()))


async def close(client: AsyncClient) -> None:
    assert client.options.httpx_client is not None
    await client.options.httpx_client.aclose()


async def sign_up(client: AsyncClient, metadata: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """The id and the token of a new person, who is signed in on the client."""
    answer = await client.auth.sign_up(
        {"email": f"{uuid4()}@example.com", "password": PASSWORD, "options": {"data": metadata or {}}}
    )
    assert answer.user is not None
    assert answer.session is not None
    return answer.user.id, answer.session.access_token


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(stack: Stack) -> AsyncIterator[World]:
    service, person, other = [
        await client_of(stack, key) for key in (stack.keys.secret, stack.keys.publishable, stack.keys.publishable)
    ]
    me, token = await sign_up(person)
    victim, _ = await sign_up(other)
    shared = f"esc{uuid4().hex[:12]}"
    async with (
        httpx.AsyncClient(base_url=stack.api_url, timeout=30) as http,
        await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as database,
    ):
        made = World(stack, http, service, database, token, me, victim, shared)
        await fill_house(made)
        yield made
    for one in (me, victim):
        await service.auth.admin.delete_user(one)
    for table, key in reversed(SHARED.items()):
        await service.table(table).delete().eq(key, shared).execute()
    for client in (service, person, other):
        await close(client)


async def fill_house(world: World) -> None:
    # A day that no job counts anew: what nobody searched for would vanish from today's.
    past = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
    rows: dict[str, dict[str, object]] = {
        "cached_channels": {"channel_id": world.shared, "channel_title": "a channel"},
        "cached_videos": {"video_id": world.shared, "title": "a video", "view_count": 5, "privacy_status": "public"},
        "video_quality_scores": {"video_id": world.shared},
        "keyword_video_mappings": {"video_id": world.shared, "keyword": world.shared},
        "trending_keywords": {"keyword": world.shared, "trend_score": 0.5, "region_code": "IS"},
        "keyword_effectiveness": {"keyword": world.shared, "date": past},
        "keyword_performance_cache": {"keyword": world.shared, "date": past},
        "trend_predictions": {"keyword": world.shared, "prediction_date": past, "predicted_for_date": past},
    }
    for table, row in rows.items():
        await world.service.table(table).insert(row).execute()
    for person in (world.me, world.other):
        search = {"id": person, "user_id": person, "search_query": "a query", "session_token": "a token"}
        kept = rows_of(await world.service.table("search_sessions").insert(search).execute())[0]
        world.started[person] = kept["session_started_at"]
        done = {
            "id": person,
            "user_id": person,
            "video_id": world.shared,
            "interaction_type": "view",
            "session_id": person,
            "session_started_at": kept["session_started_at"],
        }
        kept = rows_of(await world.service.table("video_interactions").insert(done).execute())[0]
        event = {"interaction_id": person, "interaction_created_at": kept["created_at"], "event_type": "play"}
        await world.service.table("watch_events").insert(event).execute()
        visit = {"user_id": person, "session_id": person}
        await world.service.table("user_session_details").insert(visit).execute()
        said = {"user_id": person, "video_id": world.shared, "feedback_type": "like"}
        await world.service.table("user_feedback").insert(said).execute()
        tier = {"user_id": person, "tier": "free", "source": "operator"}
        await world.service.table("user_tiers").insert(tier).execute()


@dataclass(frozen=True)
class Attack:
    """A request, and how it is refused."""

    method: str
    path: str
    body: object = None
    prefer: str = ""
    profile: str = ""
    status: int = 403
    code: str | None = "42501"
    says: str = "permission denied for "
    ids: str = ""

    def __str__(self) -> str:
        body = json.dumps(self.body) if self.body is not None else ""
        return " ".join(part for part in (self.ids, self.method, self.path, body[:80], self.prefer) if part)


def patch(table: str, column: str, value: object, owner: str = "user_id", **more: Any) -> Attack:
    return Attack("PATCH", f"{table}?{owner}=eq.<ME>", {column: value}, **more)


MERGE = "resolution=merge-duplicates"
IGNORE = "resolution=ignore-duplicates"
ROW_LEVEL = "new row violates row-level security policy"
LATER = "2099-01-01T00:00:00Z"
LONG_AGO = "2001-01-01T00:00:00Z"
AI_CHAT = {"search_query": "q", "search_type": "ai_chat"}

TIERS = [
    *(
        patch("users", column, value, "id")
        for column, value in (
            ("user_tier", "enterprise"),
            ("subscription_expires_at", LATER),
            ("daily_api_usage", 0),
            ("monthly_api_usage", 0),
            ("email", "a***@example.com"),
            ("email_encrypted", "\\x00"),
            ("email_blind_index", "\\x00"),
            ("created_at", LONG_AGO),
            ("updated_at", LONG_AGO),
            ("id", "<OTHER>"),
        )
    ),
    # Computed columns are nobody's, whatever the grant.
    *(
        patch("users", column, value, "id", status=400, code="428C9", says=f'column "{column}"')
        for column, value in (("auth_id", "<OTHER>"), ("subscription_end", LATER))
    ),
    # What may be written does not carry in what may not.
    Attack("PATCH", "users?id=eq.<ME>", {"name": "new", "user_tier": "enterprise"}),
    Attack("PATCH", "users?id=neq.<ME>", {"user_tier": "enterprise"}),
    Attack("PATCH", "users?id=eq.<ME>&columns=user_tier", {"user_tier": "enterprise"}),
    Attack("PATCH", "users?id=eq.<ME>&select=user_tier", {"user_tier": "enterprise"}, "return=representation"),
    Attack("PUT", "users?id=eq.<ME>", {"id": "<ME>", "user_tier": "enterprise"}),
    *(
        Attack("POST", f"users{query}", body, prefer)
        for query, body, prefer in (
            ("", {"id": "<ME>", "user_tier": "enterprise"}, ""),
            ("", {"id": "<ME>", "user_tier": "enterprise"}, MERGE),
            ("", {"id": "<ME>", "user_tier": "enterprise"}, IGNORE),
            ("?on_conflict=auth_id", {"id": "<ME>", "user_tier": "enterprise"}, MERGE),
            ("", [{"id": "<ME>", "name": "new"}, {"id": "<OTHER>", "name": "new"}], MERGE),
            ("?columns=id,user_tier", {"id": "<ME>"}, f"{MERGE},missing=default"),
        )
    ),
    Attack("DELETE", "users?id=eq.<ME>"),
    Attack(
        "POST",
        "users",
        {"id": "<ME>", "user_tiers": {"tier": "enterprise"}},
        status=400,
        code="PGRST204",
        says="Could not find the 'user_tiers' column",
    ),
    patch("user_tiers", "tier", "enterprise"),
    patch("user_tiers", "expires_at", None),
    Attack("PUT", "user_tiers?user_id=eq.<ME>", {"user_id": "<ME>", "tier": "enterprise", "source": "operator"}),
    *(
        Attack("POST", f"user_tiers{query}", body, prefer)
        for query, body, prefer in (
            ("", {"user_id": "<ME>", "tier": "enterprise", "source": "purchase"}, ""),
            ("", {"user_id": "<ME>", "tier": "enterprise", "source": "purchase"}, MERGE),
            ("?on_conflict=user_id", [{"user_id": "<ME>", "tier": "pro", "source": "operator"}], MERGE),
            ("?columns=user_id,tier", {"user_id": "<ME>", "tier": "enterprise", "source": "x"}, "missing=default"),
        )
    ),
    Attack("DELETE", "user_tiers?user_id=eq.<ME>"),
]

COUNTERS = [
    *(
        patch("user_profiles", column, value, ids="S-146")
        for column, value in (
            ("preference_vector", [0.5] * 100),
            ("profile_confidence", 1),
            ("personality_vector", {"openness": 1}),
            ("created_at", LONG_AGO),
            ("id", "<OTHER>"),
        )
    ),
    *(
        Attack("POST", f"user_profiles{query}", body, prefer, ids="S-146")
        for query, body, prefer in (
            ("?on_conflict=user_id", {"user_id": "<ME>", "profile_confidence": 1}, MERGE),
            (
                "?on_conflict=user_id&columns=user_id,profile_confidence",
                {"user_id": "<ME>"},
                f"{MERGE},missing=default",
            ),
            ("", {"id": "<ME>", "user_id": "<ME>"}, MERGE),
        )
    ),
    patch("user_search_patterns", "total_searches", 1_000_000, ids="S-155"),
    patch("user_search_patterns", "ai_searches_used", 0, ids="S-155"),
    Attack(
        "POST", "user_search_patterns?on_conflict=user_id", {"user_id": "<ME>", "total_searches": 9}, MERGE, ids="S-155"
    ),
    *(
        Attack(method, path, body, ids="S-156, S-044" if column in {"ip_address", "user_agent"} else "S-156")
        for column, value in (
            ("results_clicked", 1000),
            ("results_count", 1000),
            ("cache_hit", True),
            ("api_cost_units", 0),
            ("response_time_ms", 1),
            ("created_at", LONG_AGO),
            ("session_started_at", LONG_AGO),
            ("session_ended_at", LATER),
            ("session_token", "stolen"),
            ("ip_address", "203.0.113.9"),
            ("user_agent", "another"),
            ("id", "<OTHER>"),
        )
        for method, path, body in (
            ("POST", "search_sessions", {"search_query": "q", column: value}),
            ("PATCH", "search_sessions?user_id=eq.<ME>", {column: value}),
        )
    ),
    *(
        patch("search_sessions", column, value, ids="S-152")
        for column, value in (("search_type", "ai_chat"), ("search_query", "another"), ("user_id", "<OTHER>"))
    ),
    Attack("POST", "search_sessions?columns=search_query,cache_hit", {"search_query": "q"}, "missing=default"),
    Attack(
        "POST",
        "search_sessions",
        [{"search_query": "q"}, {"search_query": "q", "api_cost_units": 0}],
        status=400,
        code="PGRST102",
        says="All object keys must match",
    ),
    Attack(
        "POST",
        "search_sessions?columns=search_query,api_cost_units",
        [
            {"search_query": "q"},
            {"search_query": "q", "api_cost_units": 0},
        ],
    ),
    *(
        Attack("POST", "video_interactions", {"video_id": "<SHARED>", "interaction_type": "view", column: LONG_AGO})
        for column in ("created_at", "updated_at")
    ),
    Attack(
        "POST",
        "video_interactions",
        {"video_id": "<SHARED>", "interaction_type": "view", "completion_rate": 1},
        status=400,
        code="428C9",
        says="cannot insert a non-DEFAULT value",
    ),
    *(
        patch("video_interactions", column, value, "id", ids="S-157")
        for column, value in (("watch_duration", 9), ("created_at", LONG_AGO), ("user_id", "<OTHER>"))
    ),
    Attack(
        "POST",
        "video_interactions?on_conflict=id,created_at",
        {"id": "<ME>", "video_id": "<SHARED>", "interaction_type": "like"},
        MERGE,
        ids="S-157",
    ),
    Attack("DELETE", "video_interactions?id=eq.<ME>", ids="S-157"),
    Attack("PATCH", "watch_events?interaction_id=eq.<ME>", {"video_timestamp": 1}, ids="S-160"),
    Attack("DELETE", "watch_events?interaction_id=eq.<ME>", ids="S-160"),
    patch("user_feedback", "created_at", LONG_AGO, ids="S-158"),
    Attack(
        "POST",
        "user_feedback?on_conflict=user_id,video_id,feedback_type",
        {"video_id": "<SHARED>", "feedback_type": "like", "comment": "again"},
        MERGE,
        ids="S-158",
    ),
    patch("user_session_details", "session_start", LONG_AGO, ids="S-159"),
    Attack("DELETE", "user_session_details?user_id=eq.<ME>", ids="S-159"),
    *(
        Attack(method, f"{table}{'' if method == 'POST' else f'?{key}=eq.<SHARED>'}", body, prefer, ids="S-151")
        for table, key, column, value in (
            ("cached_videos", "video_id", "view_count", 10**9),
            ("cached_videos", "video_id", "cache_hit_count", 10**6),
            ("keyword_video_mappings", "video_id", "click_count", 10**6),
            ("video_quality_scores", "video_id", "confidence_level", 1),
            ("trending_keywords", "keyword", "trend_score", 1),
            ("keyword_effectiveness", "keyword", "click_count", 10**6),
            ("keyword_performance_cache", "keyword", "total_views", 10**6),
            ("trend_predictions", "keyword", "actual_score", 1),
            ("cached_channels", "channel_id", "subscriber_count", 10**9),
        )
        for method, body, prefer in (
            ("PATCH", {column: value}, ""),
            ("POST", {key: "<SHARED>", column: value}, MERGE),
            ("DELETE", None, ""),
        )
    ),
]

VIEWS = [
    Attack("PATCH", f"{view}?id=eq.<ME>", {column: value}, says="permission denied for view ")
    for view, column, value in (
        ("users_secure", "user_tier", "enterprise"),
        ("users_secure", "username", "somebody"),
        ("search_sessions_partitioned", "results_clicked", 9),
        ("search_sessions_partitioned", "session_outcome", "satisfied"),
        ("video_interactions_partitioned", "created_at", LONG_AGO),
        ("video_interactions_partitioned", "watch_duration", 9),
    )
] + [
    Attack(method, f"{view}{query}", body, says="permission denied for view ")
    for view, body in (
        ("users_secure", {"id": "<ME>", "user_tier": "enterprise"}),
        ("search_sessions_partitioned", {"search_query": "q", "cache_hit": True}),
        ("video_interactions_partitioned", {"video_id": "<SHARED>", "interaction_type": "view"}),
    )
    for method, query in (("POST", ""), ("DELETE", "?id=eq.<ME>"))
]

OTHERS = [
    *(
        Attack("POST", table, body, prefer, says=f'{ROW_LEVEL} for table "{table}"', ids=ids)
        for ids, table, body, prefer in (
            ("S-146", "user_profiles", {"user_id": "<OTHER>"}, MERGE),
            ("S-156", "search_sessions", {"user_id": "<OTHER>", "search_query": "q"}, ""),
            ("S-156", "search_sessions", {"user_id": None, "search_query": "q"}, ""),
            (
                "S-156",
                "search_sessions",
                [{"user_id": "<ME>", "search_query": "q"}, {"user_id": "<OTHER>", "search_query": "q"}],
                "",
            ),
            (
                "S-157",
                "video_interactions",
                {"user_id": "<OTHER>", "video_id": "<SHARED>", "interaction_type": "view"},
                "",
            ),
            (
                "S-157",
                "video_interactions",
                {
                    "video_id": "<SHARED>",
                    "interaction_type": "view",
                    "session_id": "<OTHER>",
                    "session_started_at": "<OTHER_STARTED>",
                },
                "",
            ),
            (
                "S-160",
                "watch_events",
                {"interaction_id": "<OTHER>", "interaction_created_at": "<OTHER_STARTED>", "event_type": "play"},
                "",
            ),
            ("S-158", "user_feedback", {"user_id": "<OTHER>", "video_id": "<SHARED>", "feedback_type": "report"}, ""),
            ("S-159", "user_session_details", {"user_id": "<OTHER>", "session_id": "<OTHER>", "error_count": 9}, MERGE),
        )
    ),
    Attack(
        "POST",
        "user_session_details?on_conflict=user_id,session_id",
        {"user_id": "<OTHER>", "session_id": "<OTHER>", "error_count": 9},
        MERGE,
        says=f'{ROW_LEVEL} for table "user_session_details"',
        ids="S-159",
    ),
    *(
        patch(table, "user_id", "<OTHER>", says=f'{ROW_LEVEL} for table "{table}"', ids=ids)
        for ids, table in (("S-146", "user_profiles"), ("S-159", "user_session_details"))
    ),
    *(
        Attack("POST", "search_sessions", body, says=f'{ROW_LEVEL} "Premium features for premium users"', ids="S-152")
        for body in (AI_CHAT, [AI_CHAT | {"search_type": "keyword"}, AI_CHAT])
    ),
    # Nothing to refuse: to a statement the rows of others are not there.
    *(
        Attack(method, path, body, "return=representation", status=200, code=None, says="", ids=ids)
        for ids, method, path, body in (
            ("S-146", "PATCH", "user_profiles?user_id=eq.<OTHER>&select=id", {"preferred_keywords": ["mine"]}),
            ("S-146", "DELETE", "user_profiles?user_id=eq.<OTHER>&select=id", None),
            ("S-154", "PATCH", "users?id=eq.<OTHER>&select=id", {"name": "mine", "settings": {}}),
            ("S-156", "PATCH", "search_sessions?user_id=eq.<OTHER>&select=id", {"session_outcome": "satisfied"}),
            ("S-156", "DELETE", "search_sessions?select=id&id=not.is.null", None),
            ("S-158", "DELETE", "user_feedback?user_id=eq.<OTHER>&select=id", None),
            ("S-159", "PATCH", "user_session_details?user_id=eq.<OTHER>&select=id", {"error_count": 9}),
            ("S-156", "GET", "search_sessions?select=id&id=eq.<OTHER>", None),
            ("S-268", "GET", "users?select=id,user_tiers(tier)&id=eq.<OTHER>", None),
            ("S-268", "GET", "user_tiers?select=tier,users(email)&user_id=eq.<OTHER>", None),
            ("S-139", "GET", "users_secure?select=*", None),
            ("S-147", "GET", "trending_keywords?select=*", None),
            ("S-165", "GET", "keyword_effectiveness?select=*", None),
            ("S-166", "GET", "trend_predictions?select=*", None),
            ("S-167", "GET", "keyword_performance_cache?select=*", None),
        )
    ),
    *(
        Attack("GET", f"search_sessions?{query}", ids="S-044", says="permission denied for table search_sessions")
        for column in ("ip_address", "user_agent", "session_token")
        for query in (f"select={column}", f"select=id&{column}=not.is.null", f"select=id&order={column}")
    ),
    Attack("GET", "search_sessions?select=*", ids="S-044", says="permission denied for table search_sessions"),
    Attack(
        "PATCH",
        "search_sessions?user_id=eq.<ME>&select=ip_address",
        {"session_outcome": "satisfied"},
        "return=representation",
        ids="S-044",
        says="permission denied for table search_sessions",
    ),
]

CLOSED = [
    *(
        Attack("GET", table, profile=profile, status=406, code="PGRST106", says="Invalid schema", ids=ids)
        for ids, table, profile in (
            ("S-168", "audit_logs_enhanced", "ops"),
            ("S-169", "encryption_keys", "private"),
            ("S-170", "search_sessions_archive", "private"),
            ("S-153", "daily_quotas", "private"),
            ("S-148", "users", "auth"),
        )
    ),
    Attack("POST", "rpc/is_admin", {}, profile="private", status=406, code="PGRST106", says="Invalid schema"),
    *(
        Attack("POST", f"rpc/{function}", body, status=404, code="PGRST202", says="Could not find the function")
        for function, body in (
            ("set_config", {"setting_name": "role", "new_value": "service_role", "is_local": False}),
            ("has_tier", {"minimum": "premium"}),
            ("shorts_email", {"user_id": "<OTHER>"}),
            ("shorts_on_sign_up", {"user_id": "<ME>", "email": "a@example.com", "metadata": {"tier": "pro"}}),
        )
    ),
    *(
        Attack("POST", f"rpc/{function}", body, says="permission denied for function ")
        for function, body in (
            ("erase_user", {"user_id": "<OTHER>"}),
            ("erase_user", {"user_id": "<ME>"}),
            ("custom_access_token_hook", {"event": {"user_id": "<ME>", "claims": {"app_metadata": {"role": "admin"}}}}),
            ("ingest_videos", {"videos": [{"video_id": "<SHARED>", "title": "mine"}]}),
            ("ingest_keyword_signals", {"signals": []}),
            ("detect_trends", {}),
            ("receive_trend_event", {"webhook_id": "msg_escalation", "event": {}}),
            ("register_webhook_endpoint", {"url": "https://example.com", "secret": "whsec_" + "a" * 32}),
            ("claim_webhook_deliveries", {}),
            ("record_webhook_deliveries", {"reports": []}),
            ("replay_webhook_deliveries", {}),
            ("list_webhook_endpoints", {}),
            *(
                (function, {"endpoint_id": "<OTHER>"} | rest)
                for function, rest in (
                    ("rotate_webhook_secret", {}),
                    ("set_webhook_endpoint", {"is_enabled": False}),
                    ("test_webhook_endpoint", {}),
                    ("remove_webhook_endpoint", {}),
                    ("webhook_log", {}),
                )
            ),
            ("health_check", {}),
        )
    ),
]


def as_given(attack: Attack) -> str:
    return str(attack)


@pytest.mark.parametrize("attack", [*TIERS, *COUNTERS, *VIEWS, *OTHERS, *CLOSED], ids=as_given)
async def test_a_request_raises_nothing_and_reaches_nobody_else(world: World, attack: Attack) -> None:
    before = await world.stored()
    answer = await world.send(
        attack.method,
        f"/rest/v1/{attack.path}",
        body=attack.body,
        Prefer=attack.prefer,
        **({"Accept_Profile": attack.profile, "Content_Profile": attack.profile} if attack.profile else {}),
    )
    said: Any = answer.json() if answer.content else None
    assert answer.status_code == attack.status, (answer.status_code, answer.text)
    if attack.code is None:
        assert said == []
    else:
        assert said["code"] == attack.code, said
        assert attack.says in said["message"], said
    assert await world.stored() == before


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", "user_id,tier,source\n<ME>,enterprise,operator\n"),
        ("application/x-www-form-urlencoded", "user_id=<ME>&tier=enterprise&source=operator"),
    ],
)
async def test_no_other_form_of_body_gives_a_tier(world: World, content_type: str, body: str) -> None:
    before = await world.stored()
    answer = await world.http.post(
        "/rest/v1/user_tiers",
        content=body.replace("<ME>", world.me),
        headers={
            "apikey": world.stack.keys.publishable,
            "Authorization": f"Bearer {world.token}",
            "Content-Type": content_type,
            "Prefer": MERGE,
        },
    )
    assert (answer.status_code, answer.json()["code"]) == FORBIDDEN, answer.text
    assert await world.stored() == before


async def power_of(world: World, client: AsyncClient, person: str) -> dict[str, object]:
    """What the tables, the token and the policies say of somebody."""
    await client.auth.refresh_session()
    session = await client.auth.get_session()
    assert session is not None
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    profile = rows_of(await world.service.table("users").select("*").eq("id", person).execute())[0]
    tiers = rows_of(await world.service.table("user_tiers").select("tier").eq("user_id", person).execute())
    foreign = rows_of(await client.table("search_sessions").select("id").neq("user_id", person).execute())
    trends = rows_of(await client.table("trending_keywords").select("id").execute())
    stored = (await world.service.auth.admin.get_user_by_id(person)).user
    return {
        "tier": profile["user_tier"],
        "usage": (profile["daily_api_usage"], profile["monthly_api_usage"]),
        "expires": profile["subscription_expires_at"],
        "given": [row["tier"] for row in tiers],
        "claimed": (claims["role"], claims["app_metadata"].get("role"), claims["app_metadata"].get("tier")),
        "kept": (stored.app_metadata.get("role"), stored.app_metadata.get("tier")),
        "foreign": foreign,
        "trends": trends,
    }


NO_POWER: dict[str, object] = {
    "tier": "free",
    "usage": (0, 0),
    "expires": None,
    "given": [],
    "claimed": ("authenticated", None, "free"),
    "kept": (None, None),
    "foreign": [],
    "trends": [],
}
WISH: dict[str, Any] = {
    "role": "admin",
    "tier": "enterprise",
    "user_tier": "enterprise",
    "is_admin": True,
    "app_metadata": {"role": "admin", "tier": "enterprise"},
}


@pytest_asyncio.fixture(loop_scope="module")
async def newcomer(world: World) -> AsyncIterator[AsyncClient]:
    client = await client_of(world.stack, world.stack.keys.publishable)
    yield client
    user = await client.auth.get_user()
    if user is not None:
        await world.service.auth.admin.delete_user(user.user.id)
    await close(client)


async def test_s_136_a_sign_up_makes_three_rows(world: World, newcomer: AsyncClient) -> None:
    """S-136: a sign-up through Auth makes the person, a profile and search patterns, each with its defaults."""
    person, _ = await sign_up(newcomer, {"name": "Newcomer"})
    users = rows_of(await newcomer.table("users").select("id,name,user_tier").execute())
    assert users == [{"id": person, "name": "Newcomer", "user_tier": "free"}]
    profiles = rows_of(await newcomer.table("user_profiles").select("user_id,preferred_categories").execute())
    assert profiles == [{"user_id": person, "preferred_categories": ["general"]}]
    patterns = rows_of(await newcomer.table("user_search_patterns").select("user_id,total_searches").execute())
    assert patterns == [{"user_id": person, "total_searches": 0}]


async def test_user_metadata_at_sign_up_gives_no_power(world: World, newcomer: AsyncClient) -> None:
    person, _ = await sign_up(newcomer, WISH)
    assert await power_of(world, newcomer, person) == NO_POWER


async def test_app_metadata_in_the_body_of_a_sign_up_gives_no_power(world: World, newcomer: AsyncClient) -> None:
    email = f"{uuid4()}@example.com"
    body = {"email": email, "password": PASSWORD, "role": "service_role", **WISH, "data": WISH}
    answer = await world.http.post("/auth/v1/signup", json=body, headers={"apikey": world.stack.keys.publishable})
    assert answer.status_code == 200, answer.text
    await newcomer.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    assert await power_of(world, newcomer, answer.json()["user"]["id"]) == NO_POWER


async def test_user_metadata_settings_and_preferences_give_no_power(world: World, newcomer: AsyncClient) -> None:
    """S-148: what people may write says what they like, and nothing that counts."""
    person, _ = await sign_up(newcomer)
    await newcomer.auth.update_user({"data": WISH})
    await newcomer.table("users").update({"settings": WISH, "preferences": WISH}).eq("id", person).execute()
    await newcomer.table("user_profiles").update({"context_preferences": WISH}).eq("user_id", person).execute()
    assert await power_of(world, newcomer, person) == NO_POWER


async def test_nobody_writes_the_own_app_metadata(world: World, newcomer: AsyncClient) -> None:
    """S-148: neither as an attribute of one's own account nor by the admin's way to it."""
    person, token = await sign_up(newcomer)
    answer = await world.send(
        "PUT", "/auth/v1/user", body={"app_metadata": {"role": "admin"}, "role": "service_role"}, token=token
    )
    assert answer.status_code in {200, 403}, answer.text
    if answer.status_code == 200:
        assert answer.json()["app_metadata"].get("role") is None
        assert answer.json()["role"] == "authenticated"
    else:
        assert answer.json()["error_code"] == "not_admin"
    for method, path in (
        ("PUT", f"users/{person}"),
        ("GET", "users"),
        ("POST", "users"),
        ("DELETE", f"users/{person}"),
    ):
        answer = await world.send(method, f"/auth/v1/admin/{path}", body={"app_metadata": WISH}, token=token)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "not_admin"), answer.text
    with pytest.raises(AuthApiError) as refused:
        await newcomer.auth.admin.update_user_by_id(person, {"app_metadata": {"role": "admin"}})
    assert refused.value.status == 403
    assert await power_of(world, newcomer, person) == NO_POWER


ANOTHER_KEY = "a-key-that-is-long-enough-and-not-the-one-of-this-project"


def forged(world: World, how: str) -> str:
    """My own token with an admin's or the service's claims, signed in ways that must not count."""
    head, body, signature = world.token.split(".")
    claims = jwt.decode(world.token, options={"verify_signature": False})
    wanted = claims | {"app_metadata": {"role": "admin", "tier": "enterprise"}}
    if "service" in how:
        wanted["role"] = "service_role"
    if "none" in how:
        return jwt.encode(wanted, "", algorithm="none")
    if "publishable" in how:
        return jwt.encode(wanted, world.stack.keys.publishable.ljust(64, "x"), algorithm="HS256")
    if "old signature" in how:
        return ".".join((head, jwt.encode(wanted, ANOTHER_KEY, algorithm="HS256").split(".")[1], signature))
    if "no signature" in how:
        return f"{head}.{body}."
    return jwt.encode(wanted, ANOTHER_KEY, algorithm="HS256")


@pytest.mark.parametrize(
    "how",
    [
        "admin by another key",
        "service by another key",
        "admin by the publishable key",
        "admin with alg none",
        "admin with the old signature",
        "no signature",
    ],
)
async def test_a_forged_token_is_refused(world: World, how: str) -> None:
    before = await world.stored()
    token = forged(world, how)
    for method, path, body in (
        ("GET", "/rest/v1/search_sessions?select=id", None),
        ("PATCH", "/rest/v1/users?id=eq.<ME>", {"user_tier": "enterprise"}),
        ("POST", "/rest/v1/rpc/trending_now", {}),
    ):
        answer = await world.send(method, path, body=body, token=token)
        assert (answer.status_code, answer.json()["code"]) == (401, "PGRST301"), answer.text
    answer = await world.send("GET", "/auth/v1/user", token=token)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "bad_jwt"), answer.text
    answer = await world.send("PUT", "/auth/v1/admin/users/<ME>", body={"app_metadata": WISH}, token=token)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "bad_jwt"), answer.text
    assert await world.stored() == before


async def test_a_token_is_worth_what_the_table_says(world: World, newcomer: AsyncClient) -> None:
    """S-147: a token from better times is signed, and reads no trends any more."""
    person, _ = await sign_up(newcomer)
    tier = {"user_id": person, "tier": "premium", "source": "operator"}
    await world.service.table("user_tiers").upsert(tier).execute()
    await newcomer.auth.refresh_session()
    wanted = newcomer.table("trending_keywords").select("keyword").eq("keyword", world.shared)
    assert rows_of(await wanted.execute()) == [{"keyword": world.shared}]
    ended = tier | {"expires_at": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}
    await world.service.table("user_tiers").upsert(ended).execute()
    assert rows_of(await wanted.execute()) == []
    with pytest.raises(APIError) as refused:
        await newcomer.table("search_sessions").insert(AI_CHAT, returning=ReturnMethod.minimal).execute()
    assert refused.value.code == "42501"


@pytest.mark.parametrize(
    ("table", "on_conflict", "row"),
    [
        ("user_profiles", "user_id", {"preferred_keywords": ["먹방"], "disliked_categories": ["news"]}),
        ("user_session_details", "user_id,session_id", {"session_id": str(uuid4()), "total_videos_watched": 3}),
    ],
)
async def test_what_is_ones_own_is_upserted_as_the_libraries_do(
    world: World, newcomer: AsyncClient, table: str, on_conflict: str, row: Mapping[str, object]
) -> None:
    """S-146, S-159: the same upsert twice stores one row, and the counter and the wishes in it are the person's own."""
    person, _ = await sign_up(newcomer)
    for _ in range(2):
        await newcomer.table(table).upsert({"user_id": person, **row}, on_conflict=on_conflict).execute()
    stored = rows_of(await world.service.table(table).select(",".join(row)).eq("user_id", person).execute())
    assert stored == [dict(row)]
