"""docs/openapi.json is what the code says, is OpenAPI 3.1, and every answer that it names is really given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from app.errors import UnreachableError, request_error
from functions import bright_data, requests
from functions.openapi import document
from functions.receipts import Refused, Unavailable
from functions.server import create_app
from functions.settings import Settings
from scripts import generate_openapi
from scripts.local_stack.settings import Stack
from tests.bright_data_server import scraped_row

from .documented import CONFORMS, FILE, conforms, written
from .json_schema import at, violations
from .room import SETTINGS, TOKEN, FakeRoom
from .signing import NOW, SECRET, signed_headers, trend_body, update_body
from .test_inbound import GOOD, LIMITS

TYPE = {"content-type": "application/json"}
TEST = b'{"type": "webhook.test", "timestamp": "2026-09-21T13:33:20Z", "data": {"message": "hello"}}'
OTHER = b'{"type": "video.archived", "timestamp": "2026-09-21T13:33:20Z", "data": {}}'


def test_the_file_is_what_the_code_says() -> None:
    assert FILE.read_text(encoding="utf-8") == generate_openapi.text(), "Run ./scripts/generate-openapi."


# The document by itself: the fixed fields of OpenAPI 3.1.0, needed and allowed, for the objects that we use.

FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "document": ({"openapi", "info", "paths"}, {"servers", "webhooks", "components", "tags"}),
    "info": ({"title", "version"}, {"summary", "description", "license"}),
    "operation": (
        {"operationId", "summary", "responses"},
        {"tags", "description", "security", "parameters", "requestBody"},
    ),
    "parameter": ({"name", "in", "schema"}, {"description", "required"}),
    "body": ({"content"}, {"required", "description"}),
    "response": ({"description"}, {"content", "headers"}),
    "header": ({"schema"}, {"description"}),
    "components": (set(), {"schemas", "parameters", "responses", "securitySchemes"}),
    "scheme": ({"type", "in", "name"}, {"description"}),
}


def has_fields(kind: str, found: dict[str, Any]) -> None:
    needed, allowed = FIELDS[kind]
    assert needed <= set(found) <= needed | allowed, f"{kind}: {sorted(found)}"


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for group in ("paths", "webhooks"):
        for name, item in written()[group].items():
            for method, operation in item.items():
                yield name, method, operation


def test_it_has_the_form_of_openapi_3_1() -> None:
    made = written()
    has_fields("document", made)
    has_fields("info", made["info"])
    has_fields("components", made["components"])
    assert made["openapi"] == "3.1.0"
    assert all(path.startswith("/") for path in made["paths"])
    tags = {tag["name"] for tag in made["tags"]}
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    for name, method, operation in operations():
        assert method in {"get", "post"}, name
        has_fields("operation", operation)
        assert set(operation.get("tags", [])) <= tags
        for needed in operation.get("security", []):
            assert set(needed) <= set(made["components"]["securitySchemes"])
        for parameter in operation.get("parameters", []):
            has_fields("parameter", at(made, parameter["$ref"]) if "$ref" in parameter else parameter)
        if "requestBody" in operation:
            has_fields("body", operation["requestBody"])
        for status, response in operation["responses"].items():
            assert status in {"2XX", "default"} or 100 <= int(status) <= 599
            told = at(made, response["$ref"]) if "$ref" in response else response
            has_fields("response", told)
            for header in told.get("headers", {}).values():
                has_fields("header", header)
    for parameter in made["components"]["parameters"].values():
        has_fields("parameter", parameter)
        assert parameter["in"] in {"header", "query"}
    for scheme in made["components"]["securitySchemes"].values():
        has_fields("scheme", scheme)


def parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from parts(one)


def test_every_reference_leads_somewhere_and_everything_is_referred_to() -> None:
    references = {part["$ref"] for part in parts(written()) if isinstance(part.get("$ref"), str)}
    for reference in references:
        assert at(written(), reference), reference
    for kind in ("schemas", "parameters", "responses"):
        defined = {f"#/components/{kind}/{name}" for name in written()["components"][kind]}
        assert defined - references == set()


# What is served


def server(given: Settings) -> httpx.AsyncClient:
    async def receive(webhook_id: str, *, event: dict[str, Any]) -> bool:
        return False

    app = create_app(given, receive=receive, open_room=FakeRoom().open, clock=lambda: NOW)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://handler", event_hooks=CONFORMS)


async def test_a_server_with_every_handler_serves_the_file() -> None:
    async with server(SETTINGS) as client:
        assert (await client.get("/openapi.json")).json() == written()


async def test_a_handler_that_is_not_open_is_not_served_and_nothing_dangles() -> None:
    async with server(replace(SETTINGS, ai_secrets=(), bright_data_tokens=())) as client:
        made = (await client.get("/openapi.json")).json()
    assert set(written()["paths"]) - set(made["paths"]) == {"/webhooks/ai-analysis", "/webhooks/bright-data"}
    assert "AnalyzedEvent" not in made["components"]["schemas"]
    for part in parts(made):
        if isinstance(part.get("$ref"), str):
            assert at(made, part["$ref"])


# What is answered: each case gives its path, status and code; together they are all that the document has.

OPEN = replace(SETTINGS, update_secrets=(SECRET,))
Case = tuple[str, int, str | None]
seen: set[Case] = set()


class Desk:
    """A server whose room and receipts fail as they are told."""

    def __init__(self) -> None:
        self.room = FakeRoom()
        self.error: Exception | None = None
        self.duplicate = False

    async def receive(self, webhook_id: str, *, event: dict[str, Any]) -> bool:
        if self.error:
            raise self.error
        return self.duplicate

    def client(self, given: Settings = OPEN) -> httpx.AsyncClient:
        app = create_app(given, receive=self.receive, open_room=self.room.open, clock=lambda: NOW)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(
            transport=transport, base_url="http://handler", event_hooks={"response": [conforms, note]}
        )


async def note(answer: httpx.Response) -> None:
    told = answer.json()
    seen.add((answer.request.url.path, answer.status_code, told.get("code") if answer.status_code >= 400 else None))


async def slow() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.sleep(5)
    yield b"x"


TRENDS = {"/webhooks/notify-trend": trend_body(), "/webhooks/trend-update": update_body()}
INBOUND = {f"/webhooks/{name}": json.dumps(content).encode() for name, content in GOOD.items()}
BRIGHT_DATA = "/webhooks/bright-data"
LIMIT = {**dict.fromkeys(TRENDS, 20_000), **{f"/webhooks/{name}": size for name, size in LIMITS.items()}}
LIMIT[BRIGHT_DATA] = bright_data.MAX_PACKED
BODIES = {**TRENDS, **INBOUND, BRIGHT_DATA: json.dumps([scraped_row(), {}]).encode()}


async def post(client: httpx.AsyncClient, path: str, body: bytes) -> httpx.Response:
    headers = TYPE | {"authorization": TOKEN} if path == BRIGHT_DATA else signed_headers(body)
    return await client.post(path, content=body, headers=headers)


@pytest.mark.parametrize("path", BODIES)
async def test_the_body_of_each_handler_is_as_documented_and_answered_as_documented(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_TIMEOUT", 0.05)
    monkeypatch.setattr(bright_data, "DELIVERY_TIMEOUT", 0.05)
    body, desk = BODIES[path], Desk()
    operation = written()["paths"][path]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert violations(json.loads(body), schema, of=written()) == []
    assert f"{LIMIT[path]:,} bytes" in operation["description"]
    async with desk.client() as client:
        assert (await post(client, path, body)).status_code == 200
        if path in TRENDS:
            desk.duplicate = True
            for one in (body, TEST, OTHER):
                assert (await post(client, path, one)).status_code == 200
        elif path not in (BRIGHT_DATA, "/webhooks/youtube-videos"):
            assert (await post(client, path, OTHER)).json() == {"ignored": True}
        assert (await post(client, path, b"[{")).status_code == 400
        assert (await client.post(path, content=body, headers=TYPE)).status_code == 401
        assert (await client.get(path)).status_code == 405
        given = TYPE | {"authorization": TOKEN}
        assert (await client.post(path, content=slow(), headers=given)).status_code == 408
        assert (await post(client, path, b" " * (LIMIT[path] + 1))).status_code == 413
        refused: list[tuple[int, Exception, Exception]] = [
            (400, Refused("no"), request_error("no", doing="x", code="PT400", status=400)),
            (500, RuntimeError("no"), RuntimeError("no")),
            (503, Unavailable("no"), UnreachableError("unreachable", url="http://x.test", problem="no")),
        ]
        for status, by_receipts, by_room in refused:
            desk.error, desk.room.error = by_receipts, by_room
            assert (await post(client, path, body)).status_code == status
        if "404" in operation["responses"]:
            desk.room.error = request_error("no", doing="x", code="PT404", status=404)
            assert (await post(client, path, body)).json()["code"] == "unknown_video"
    if "404" in operation["responses"]:
        closed = Settings(supabase_url="https://abc.supabase.co", supabase_secret_key="k", webhook_secrets=(SECRET,))
        async with desk.client(closed) as client:
            assert (await post(client, path, body)).json()["code"] == "not_found"
    missing = {case for case in documented(path) if case not in seen}
    assert missing == set()


@pytest.mark.parametrize("path", ["/health", "/openapi.json"])
async def test_what_is_asked_with_get_is_answered_as_documented(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Desk().client() as client:
        assert (await client.get(path)).status_code == 200
        assert (await client.post(path)).status_code == 405

        def broken(*arguments: Any, **given: Any) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr("functions.server.JSONResponse", broken)
        assert (await client.get(path)).status_code == 500
    assert documented(path) - seen == set()


def documented(path: str) -> set[Case]:
    """Every path, status and code that the file has."""
    found: set[Case] = set()
    for operation in written()["paths"][path].values():
        for status, response in operation["responses"].items():
            told = at(written(), response["$ref"]) if "$ref" in response else response
            schema = told["content"]["application/json"]["schema"]
            codes = schema["allOf"][1]["properties"]["code"]["enum"] if int(status) >= 400 else [None]
            found |= {(path, int(status), code) for code in codes}
    return found


def test_every_path_is_tried() -> None:
    assert set(written()["paths"]) == {*BODIES, "/health", "/openapi.json"}


async def test_an_answer_that_is_not_documented_is_found() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"status": "ok", "more": 1})

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond), event_hooks=CONFORMS) as client:
        with pytest.raises(AssertionError, match="more is not known"):
            await client.get("http://handler/health")


def test_the_document_holds_what_the_handlers_ask_for() -> None:
    schema = document()["paths"]["/webhooks/trend-update"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    event = json.loads(update_body())
    assert violations(event, schema, of=written()) == []
    del event["data"]["id"]
    assert violations(event, schema, of=written()) == ["$.data: id is missing"]
    assert violations(json.loads(OTHER), schema, of=written()) == []


# What Ondol sends

URL = "https://example.com/documented"


def test_the_events_that_the_database_builds_are_those_of_the_document(stack: Stack) -> None:
    """Each of the four is made in one transaction, read as the sender reads it, and undone."""
    with psycopg.connect(stack.database_url()) as connection:
        known = {row[0] for row in connection.execute("select event_type from ops.event_types").fetchall()}
        assert known == set(written()["webhooks"])
        one = connection.execute(
            "select public.register_webhook_endpoint(%s, %s, %s)",
            (URL, SECRET, sorted(known - {"webhook.test"})),
        ).fetchone()
        connection.execute(
            "insert into public.trending_keywords"
            " (keyword, region_code, trend_score, search_volume, growth_rate, data_source, detected_at, expires_at)"
            " values ('documented', 'KR', 0.9, 7, 12.5, 'internal', now(), now() + interval '4 hours')"
        )
        connection.execute("select ops.raise_alert('documented', 'one', 'message')")
        connection.execute("select public.test_webhook_endpoint(%s)", one)
        bodies = [
            json.loads(row[0])
            for row in connection.execute(
                'select body from public.claim_webhook_deliveries("limit" => 500) where url = %s', (URL,)
            ).fetchall()
        ]
        connection.rollback()
    assert {body["type"] for body in bodies} == known
    for body in bodies:
        operation = written()["webhooks"][body["type"]]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert violations(body, schema, of=written()) == []
