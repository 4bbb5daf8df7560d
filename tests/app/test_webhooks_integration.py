"""`ondol webhooks` from end to end: SQL, wake-up, edge function, a receiver that checks the signature, and the log."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from standardwebhooks import Webhook

from app import InvalidRequestError, NotAllowedError, NotFoundError
from app.errors import RequestError
from scripts.local_stack.settings import Stack

from .people import PASSWORD, Person, connected, signed_up

SECONDS = 60
NOWHERE = "https://hooks.ondol.example/hook"  # a name of RFC 2606: it never resolves


@dataclass
class Receiver:
    """Answers `status` to every POST and keeps what came."""

    url: str
    status: int = 200
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    arrived: Event = field(default_factory=Event)

    def next(self) -> tuple[dict[str, str], bytes]:
        assert self.arrived.wait(SECONDS), "nothing arrived"
        self.arrived.clear()
        return self.taken[-1]


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.status)
            self.send_header("content-length", "0")
            self.end_headers()
            receiver.arrived.set()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is http.server's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/{uuid4().hex}")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


class Commands:
    """`ondol webhooks …` as somebody runs it."""

    def __init__(self, stack: Stack, folder: Path, **environ: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SUPABASE_", "ONDOL_"))}
        self.folder = folder
        self.environ = {
            **inherited,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "LANG": "C.UTF-8",
            "PYTHONIOENCODING": "utf-8",
            "SUPABASE_URL": stack.api_url,
            "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
            "ONDOL_TIMEOUT_SECONDS": "30",
            **environ,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environ,
        )

    def ask(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        with self.start(*arguments) as process:
            printed, said = process.communicate(timeout=SECONDS)
        assert process.returncode == code, said
        return printed, said

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ask(*arguments, "--json")[0])

    def until_ended(self, endpoint: str, webhook_id: str, state: str) -> dict[str, Any]:
        """The delivery once the log tells that it is in this state and was tried."""
        for _ in range(SECONDS):
            for sent in self.json("webhooks", "log", endpoint)["deliveries"]:
                if sent["webhook_id"] == webhook_id and sent["state"] == state and sent["attempts"]:
                    found: dict[str, Any] = sent
                    return found
            Event().wait(0.2)
        raise AssertionError(f"{webhook_id} is not {state}")


@pytest.fixture
def operator(stack: Stack, tmp_path: Path) -> Commands:
    return Commands(stack, tmp_path, SUPABASE_SECRET_KEY=stack.keys.secret)


def test_an_endpoint_of_the_operator_from_its_first_day_to_its_last(operator: Commands) -> None:
    with receiving() as receiver:
        added, said = operator.ask("webhooks", "add", receiver.url, "--allow-private", "--description", "시험")
        first_line, second_line = added.splitlines()
        endpoint, secret = first_line.split()[-1], second_line.split()[-1]
        assert "only now" in said
        assert secret not in said
        _, refusal = operator.ask("webhooks", "add", receiver.url, "--allow-private", code=1)
        assert f"registered already: endpoint {endpoint}" in refusal

        with operator.start("webhooks", "tail", endpoint, "--every", "0.2", "--count", "1", "--json") as tail:
            assert tail.stderr is not None
            assert "Following" in tail.stderr.readline()
            sent = operator.json("webhooks", "test", endpoint)
            headers, body = receiver.next()
            printed, _ = tail.communicate(timeout=SECONDS)
        told = json.loads(printed)
        assert (told["webhook_id"], told["attempt"], told["status"]) == (sent["webhook_id"], 1, 200)
        assert headers["webhook-id"] == sent["webhook_id"]
        assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"

        rotated = operator.json("webhooks", "rotate", endpoint)
        operator.ask("webhooks", "test", endpoint)
        headers, body = receiver.next()
        assert rotated["secret"] != secret
        for signs in (secret, rotated["secret"]):
            assert Webhook(signs).verify(body, headers)["type"] == "webhook.test"

        receiver.status = 503
        sent = operator.json("webhooks", "test", endpoint)
        receiver.next()
        failed = operator.until_ended(endpoint, sent["webhook_id"], "scheduled")
        assert (failed["last_status"], len(failed["attempts"])) == (503, 1)

        assert "switched off" in operator.ask("webhooks", "disable", endpoint)[0]
        operator.until_ended(endpoint, sent["webhook_id"], "dead")
        assert "Next step: " in operator.ask("webhooks", "test", endpoint, code=1)[1]
        assert operator.ask("webhooks", "enable", endpoint)[0].strip().endswith(": on")
        receiver.status = 200
        assert operator.json("webhooks", "replay", endpoint, "--until", "2020-01-01T00:00:00Z") == {"replayed": 0}
        replayed = operator.json("webhooks", "replay", endpoint, "--delivery", sent["delivery_id"])
        assert replayed == {"replayed": 1}
        headers, _ = receiver.next()
        assert headers["webhook-id"] == sent["webhook_id"]
        delivered = operator.until_ended(endpoint, sent["webhook_id"], "delivered")
        assert [attempt["status"] for attempt in delivered["attempts"]] == [503, 200]
        assert sent["webhook_id"][:8] in operator.ask("webhooks", "log", endpoint, "--limit", "1")[0]

        listed = {row["id"]: row for row in operator.json("webhooks", "list")}[endpoint]
        assert (listed["url"], listed["description"], listed["user_id"]) == (receiver.url, "시험", None)
        assert secret not in operator.ask("webhooks", "list")[0]
        assert endpoint in operator.ask("webhooks", "remove", endpoint)[1]
        assert f"There is no endpoint {endpoint}." in operator.ask("webhooks", "remove", endpoint, code=1)[1]
        assert operator.ask("webhooks", "log", endpoint, code=1)[1].splitlines()[1].startswith("Next step: ")


@pytest.fixture
async def premium(stack: Stack) -> AsyncIterator[Person]:
    async with signed_up(stack) as person, connected(stack, as_service=True) as service:
        tier = {"user_id": person.id, "tier": "premium", "source": "operator"}
        await service.supabase.table("user_tiers").upsert(tier).execute()
        yield person


async def test_a_premium_person_looks_after_their_own(stack: Stack, premium: Person, tmp_path: Path) -> None:
    """With `--email` the secret key of the environment is not used."""
    user = await premium.client.supabase.auth.get_user()
    assert user is not None
    email = user.user.email
    assert email is not None
    commands = Commands(stack, tmp_path, SUPABASE_SECRET_KEY=stack.keys.secret, ONDOL_PASSWORD=PASSWORD)

    def own() -> None:
        mine = ("--email", email)
        assert "no endpoints" in commands.ask("webhooks", "list", *mine)[1]
        added = commands.json("webhooks", "add", NOWHERE, "--event", "trend.updated", *mine)
        endpoint = added["id"]
        [listed] = commands.json("webhooks", "list", *mine)
        assert (listed["id"], listed["user_id"], listed["event_types"]) == (endpoint, premium.id, ["trend.updated"])
        assert commands.json("webhooks", "rotate", endpoint, "--overlap", "0", *mine)["secret"] != added["secret"]
        sent = commands.json("webhooks", "test", endpoint, *mine)
        failed = commands.until_ended(endpoint, sent["webhook_id"], "scheduled")
        assert failed["last_status"] is None
        assert failed["last_error"]
        assert commands.json("webhooks", "log", endpoint, *mine)["deliveries"][0]["webhook_id"] == sent["webhook_id"]
        assert "off" in commands.ask("webhooks", "disable", endpoint, *mine)[0]
        assert "on" in commands.ask("webhooks", "enable", endpoint, *mine)[0]
        assert commands.json("webhooks", "replay", endpoint, *mine) == {"replayed": 1}
        assert "--allow-private" in commands.ask("webhooks", "add", NOWHERE, "--allow-private", *mine, code=2)[1]
        assert "ENDPOINT" in commands.ask("webhooks", "replay", *mine, code=2)[1]
        assert commands.json("webhooks", "remove", endpoint, *mine) == {"removed": endpoint}
        assert commands.json("webhooks", "list", *mine) == []

    await asyncio.to_thread(own)


async def test_nobody_reaches_the_endpoint_of_another(stack: Stack, premium: Person) -> None:
    made = await premium.api.add_my_webhook(NOWHERE)
    async with signed_up(stack) as other:
        with pytest.raises(NotAllowedError):
            await other.api.add_my_webhook(NOWHERE)
        assert await other.api.my_webhooks() == []
        for unknown in (made.id, str(uuid4())):
            kept: tuple[Awaitable[object], ...] = (
                other.api.my_webhook_log(unknown),
                other.api.set_my_webhook(unknown, is_enabled=False),
                other.api.remove_my_webhook(unknown),
            )
            for call in kept:
                with pytest.raises(NotFoundError) as refused:
                    await call
                assert refused.value.code == "PT404"
            premium_only: tuple[Awaitable[object], ...] = (
                other.api.rotate_my_webhook_secret(unknown),
                other.api.test_my_webhook(unknown),
                other.api.replay_my_webhooks(unknown),
            )
            for call in premium_only:
                with pytest.raises(RequestError):
                    await call
        operators: tuple[Awaitable[object], ...] = (
            other.api.list_webhook_endpoints(),
            other.api.rotate_webhook_secret(made.id),
        )
        for call in operators:
            with pytest.raises(NotAllowedError):
                await call
    assert [endpoint.id for endpoint in await premium.api.my_webhooks()] == [made.id]
    with pytest.raises(InvalidRequestError) as private:
        await premium.api.add_my_webhook("https://127.0.0.1/hook")
    assert private.value.code == "PT400"
    assert private.value.hint
