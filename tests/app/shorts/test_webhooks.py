"""What is sent to the functions of webhooks, what comes back, and how the command shows it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from standardwebhooks import Webhook

from app.cli.webhook_owners import Operator, Person
from app.cli.webhook_tail import FOLLOWED_PAGES, follow
from app.cli.webhook_views import print_attempt, show_secret, state_text
from app.config import Secret
from app.errors import InvalidRequestError, NotFoundError, OndolError, UnexpectedAnswerError
from app.shorts.api import ShortsApi
from app.shorts.webhooks import (
    NewWebhook,
    RotatedWebhook,
    TestedWebhook,
    WebhookEndpoint,
    WebhookLog,
    new_webhook_secret,
)

from .test_activity import Backend, refused

AT = datetime(2026, 7, 10, 0, 24, 48, tzinfo=UTC)
ID = "5a3b1e00-0000-4000-8000-000000000001"
OTHER = "5a3b1e00-0000-4000-8000-000000000002"
SECRET = "whsec_" + base64.b64encode(b"x" * 32).decode()
ENDPOINT: dict[str, Any] = {
    "id": ID,
    "user_id": None,
    "url": "https://example.com/hooks",
    "description": "시험",
    "event_types": ["trend.detected"],
    "allow_private": False,
    "entitled_until": None,
    "disabled_at": None,
    "disabled_reason": None,
    "failing_since": None,
    "last_success_at": None,
    "previous_secret_until": None,
    "created_at": AT.isoformat(),
}
MADE = {"id": ID, "secret": SECRET}
ROTATED = {**MADE, "previous_until": AT.isoformat()}
SENT = {"delivery_id": OTHER, "webhook_id": "msg_1"}
DELIVERY: dict[str, Any] = {
    "delivery_id": OTHER,
    "webhook_id": "msg_1",
    "event_type": "trend.detected",
    "created_at": AT.isoformat(),
    "state": "scheduled",
    "attempt": 1,
    "next_attempt_at": AT.isoformat(),
    "last_status": 503,
    "last_error": None,
    "attempts": [{"attempt": 1, "status": 503, "error": None, "duration_ms": 7, "ended_at": AT.isoformat()}],
}
LOG = {"deliveries": [DELIVERY], "next_before": AT.isoformat()}
EVENTS = ["trend.detected"]
PAGE = {"endpoint_id": ID, "limit": 50, "before": None}


@pytest.mark.parametrize(
    ("function", "args", "named", "body", "answer", "result"),
    [
        ("list_webhook_endpoints", [], {}, {}, [ENDPOINT], [WebhookEndpoint.model_validate(ENDPOINT)]),
        (
            "register_webhook_endpoint",
            ["https://a.example"],
            {"secret": Secret(SECRET)},
            {"url": "https://a.example", "secret": SECRET, "event_types": EVENTS, "allow_private": False},
            ID,
            ID,
        ),
        (
            "register_webhook_endpoint",
            ["http://127.0.0.1"],
            {"secret": Secret(SECRET), "event_types": ["trend.updated"], "allow_private": True},
            {"url": "http://127.0.0.1", "secret": SECRET, "event_types": ["trend.updated"], "allow_private": True},
            ID,
            ID,
        ),
        (
            "rotate_webhook_secret",
            [ID],
            {},
            {"endpoint_id": ID, "secret": None, "overlap_seconds": 86400},
            ROTATED,
            RotatedWebhook.model_validate(ROTATED),
        ),
        (
            "rotate_webhook_secret",
            [ID],
            {"secret": Secret(SECRET), "overlap_seconds": 0},
            {"endpoint_id": ID, "secret": SECRET, "overlap_seconds": 0},
            {**MADE, "previous_until": None},
            RotatedWebhook.model_validate(MADE),
        ),
        ("test_webhook_endpoint", [ID], {}, {"endpoint_id": ID}, SENT, TestedWebhook.model_validate(SENT)),
        (
            "set_webhook_endpoint",
            [ID],
            {"is_enabled": False},
            {"endpoint_id": ID, "is_enabled": False, "description": None},
            ENDPOINT,
            WebhookEndpoint.model_validate(ENDPOINT),
        ),
        ("remove_webhook_endpoint", [ID], {}, {"endpoint_id": ID}, False, False),
        ("webhook_log", [ID], {}, PAGE, LOG, WebhookLog.model_validate(LOG)),
        (
            "webhook_log",
            [ID],
            {"limit": 3, "before": AT},
            {"endpoint_id": ID, "limit": 3, "before": AT.isoformat()},
            {"deliveries": [], "next_before": None},
            WebhookLog(deliveries=[]),
        ),
        (
            "replay_webhook_deliveries",
            [],
            {},
            {"endpoint_id": None, "delivery_ids": None, "since": None, "until": None},
            5,
            5,
        ),
        (
            "replay_webhook_deliveries",
            [ID],
            {"delivery_ids": (OTHER,), "since": AT, "until": AT + timedelta(hours=1)},
            {
                "endpoint_id": ID,
                "delivery_ids": [OTHER],
                "since": "2026-07-10T00:24:48+00:00",
                "until": "2026-07-10T01:24:48+00:00",
            },
            0,
            0,
        ),
        (
            "add_my_webhook",
            ["https://a.example"],
            {},
            {"url": "https://a.example", "event_types": EVENTS, "description": None},
            MADE,
            NewWebhook.model_validate(MADE),
        ),
        (
            "rotate_my_webhook_secret",
            [ID],
            {},
            {"endpoint_id": ID, "overlap_seconds": 86400},
            ROTATED,
            RotatedWebhook.model_validate(ROTATED),
        ),
        ("test_my_webhook", [ID], {}, {"endpoint_id": ID}, SENT, TestedWebhook.model_validate(SENT)),
        (
            "set_my_webhook",
            [ID],
            {"is_enabled": True},
            {"endpoint_id": ID, "is_enabled": True},
            ENDPOINT,
            WebhookEndpoint.model_validate(ENDPOINT),
        ),
        ("remove_my_webhook", [ID], {}, {"endpoint_id": ID}, True, True),
        ("my_webhook_log", [ID], {}, PAGE, LOG, WebhookLog.model_validate(LOG)),
        ("replay_my_webhooks", [ID], {"since": AT}, {"endpoint_id": ID, "since": AT.isoformat()}, 2, 2),
    ],
)
async def test_each_function_is_asked_under_its_name(
    function: str, args: list[Any], named: dict[str, Any], body: Any, answer: Any, result: Any
) -> None:
    backend = Backend(**{function: answer})
    assert await backend.use(lambda api: getattr(api, function)(*args, **named)) == result
    assert backend.asked == [(function, body)]


async def test_ones_own_endpoints_are_read_from_the_table() -> None:
    backend = Backend(webhook_endpoints=[ENDPOINT])
    assert await backend.use(lambda api: api.my_webhooks()) == [WebhookEndpoint.model_validate(ENDPOINT)]
    (name, asked) = backend.asked[0]
    assert name == "webhook_endpoints"
    assert asked["select"] == ",".join(WebhookEndpoint.model_fields)
    assert asked["order"].startswith("created_at")


async def test_a_refusal_and_another_form_are_named() -> None:
    with pytest.raises(NotFoundError) as unknown:
        await Backend(webhook_log=refused(404, "PT404")).use(lambda api: api.webhook_log(ID))
    assert unknown.value.next_step("en") == "Look here."
    with pytest.raises(InvalidRequestError):
        await Backend(add_my_webhook=refused(409, "PT409")).use(lambda api: api.add_my_webhook("https://a.example"))
    for answer in (None, {"id": ID}, {"id": ID, "secret": 5}):
        with pytest.raises(UnexpectedAnswerError, match="add_my_webhook"):
            await Backend(add_my_webhook=answer).use(lambda api: api.add_my_webhook("https://a.example"))


def test_a_secret_prints_as_stars_until_it_is_revealed() -> None:
    made = NewWebhook.model_validate(MADE)
    assert SECRET not in f"{made!r} {made} {made.model_dump()} {made.model_dump_json()}"
    assert made.secret.reveal() == SECRET


def test_a_new_secret_is_one_of_standard_webhooks() -> None:
    made = {new_webhook_secret().reveal() for _ in range(10)}
    assert len(made) == 10
    for secret in made:
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
        assert Webhook(secret).sign("msg_1", AT, "{}").startswith("v1,")


async def operator_of(backend: Backend, question: Callable[[Operator], Any]) -> Any:
    return await backend.use(lambda api: question(Operator(api)))


async def person_of(backend: Backend, question: Callable[[Person], Any]) -> Any:
    return await backend.use(lambda api: question(Person(api)))


async def test_the_operator_adds_an_address_once() -> None:
    """A second registration would take the secret from under the receiver."""
    theirs = {**ENDPOINT, "id": OTHER, "user_id": OTHER, "url": "https://a.example"}
    backend = Backend(
        list_webhook_endpoints=[ENDPOINT, theirs], register_webhook_endpoint=OTHER, set_webhook_endpoint=ENDPOINT
    )
    with pytest.raises(OndolError, match=f"registered already: endpoint {ID}"):
        await operator_of(
            backend, lambda owner: owner.add(ENDPOINT["url"], EVENTS, description=None, allow_private=False)
        )
    assert [name for name, _ in backend.asked] == ["list_webhook_endpoints"]

    made = await operator_of(
        backend, lambda owner: owner.add("https://a.example", EVENTS, description="시험", allow_private=True)
    )
    sent = dict(backend.asked[2:])
    assert made.id == OTHER
    assert sent["register_webhook_endpoint"] == {
        "url": "https://a.example",
        "secret": made.secret.reveal(),
        "event_types": EVENTS,
        "allow_private": True,
    }
    assert sent["set_webhook_endpoint"] == {"endpoint_id": OTHER, "is_enabled": True, "description": "시험"}


async def test_removing_nothing_is_an_error() -> None:
    for answer, question, who in (
        ("remove_webhook_endpoint", lambda owner: owner.remove(ID), operator_of),
        ("remove_my_webhook", lambda owner: owner.remove(ID), person_of),
    ):
        with pytest.raises(OndolError, match=ID):
            await who(Backend(**{answer: False}), question)
        await who(Backend(**{answer: True}), question)


@pytest.mark.parametrize(
    "question",
    [
        lambda owner: owner.add("https://a.example", EVENTS, description=None, allow_private=True),
        lambda owner: owner.replay(ID, since=None, until=AT, delivery_ids=None),
        lambda owner: owner.replay(ID, since=None, until=None, delivery_ids=[OTHER]),
        lambda owner: owner.replay(None, since=None, until=None, delivery_ids=None),
    ],
)
async def test_what_is_the_operators_is_refused_before_it_is_asked(question: Callable[[Person], Any]) -> None:
    backend = Backend()
    with pytest.raises(typer.BadParameter):
        await person_of(backend, question)
    assert not backend.asked


def delivery(number: int, *attempts: int) -> dict[str, Any]:
    return {
        **DELIVERY,
        "webhook_id": f"msg_{number}",
        "delivery_id": f"5a3b1e00-0000-4000-8000-{number:012}",
        "attempts": [
            {"attempt": attempt, "status": 200, "ended_at": (AT + timedelta(seconds=60 * attempt + number)).isoformat()}
            for attempt in attempts
        ],
    }


class Rounds(Backend):
    """Answers each round's log from a list, and ends with an error that does not pass."""

    def __init__(self, *rounds: Any) -> None:
        super().__init__(list_webhook_endpoints=[ENDPOINT])
        self.rounds = list(rounds)

    async def follow(self, endpoint: str | None = ID) -> list[tuple[str, str, int]]:
        pauses = 0

        async def pause() -> None:
            nonlocal pauses
            pauses += 1
            self.answers["webhook_log"] = self.rounds[pauses] if pauses < len(self.rounds) else refused(403, "42501")

        self.answers["webhook_log"] = self.rounds[0]
        shown: list[tuple[str, str, int]] = []

        async def using(api: ShortsApi) -> None:
            async for told, sent, attempt in follow(Operator(api), endpoint, pause=pause):
                shown.append((told, sent.webhook_id, attempt.attempt))

        with pytest.raises(OndolError):
            await self.use(using)
        return shown


def page(*deliveries: dict[str, Any], next_before: str | None = None) -> dict[str, Any]:
    return {"deliveries": list(deliveries), "next_before": next_before}


@pytest.mark.parametrize("endpoint", [ID, None])
async def test_tail_shows_each_new_attempt_once_and_in_order(endpoint: str | None) -> None:
    """A retry of an old delivery counts as well as a new delivery; what was there at the start is not shown."""
    shown = await Rounds(
        page(delivery(1, 1)),
        page(delivery(1, 1)),
        page(delivery(3, 1), delivery(2, 1), delivery(1, 1, 2)),
        page(delivery(2, 1), delivery(1, 1, 2)),
        page(delivery(3, 1), delivery(2, 1), delivery(1, 1, 2)),
    ).follow(endpoint)
    assert shown == [(ID, "msg_2", 1), (ID, "msg_3", 1), (ID, "msg_1", 2)]


async def test_tail_goes_on_after_what_passes(capsys: pytest.CaptureFixture[str]) -> None:
    shown = await Rounds(page(), refused(503, "57P03"), page(delivery(1, 1))).follow()
    assert shown == [(ID, "msg_1", 1)]
    assert "refused webhook_log" in capsys.readouterr().err


async def test_tail_that_cannot_begin_ends() -> None:
    assert await Rounds(refused(503, "57P03"), page(), page(delivery(1, 1))).follow() == []


async def test_tail_reads_a_bounded_number_of_pages() -> None:
    backend = Rounds(page(delivery(1, 1), next_before=AT.isoformat()))
    await backend.follow()
    assert len(backend.asked) == FOLLOWED_PAGES + 1
    assert [asked["before"] for _, asked in backend.asked[:2]] == [None, AT.isoformat()]


def test_an_attempt_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log = WebhookLog.model_validate(LOG)
    sent = log.deliveries[0]
    print_attempt(ID, sent, sent.attempts[0], as_json=True)
    print_attempt(ID, sent, sent.attempts[0], as_json=False)
    as_json, in_words = capsys.readouterr().out.splitlines()
    told = json.loads(as_json)
    assert (told["endpoint_id"], told["webhook_id"], told["status"], told["state"]) == (ID, "msg_1", 503, "scheduled")
    assert "attempt 1: HTTP 503, 7 ms, scheduled" in in_words


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "on"),
        ({"disabled_at": AT.isoformat(), "disabled_reason": "gone"}, "it answered 410"),
        ({"disabled_at": AT.isoformat(), "disabled_reason": "failing"}, "it failed for five days"),
        ({"disabled_at": AT.isoformat(), "disabled_reason": "switched_off"}, "switched off"),
        ({"disabled_at": AT.isoformat(), "disabled_reason": "of_tomorrow"}, "of_tomorrow"),
        ({"entitled_until": "2020-01-01T00:00:00Z"}, "the tier ended"),
        ({"entitled_until": "2999-01-01T00:00:00Z"}, "on"),
        ({"failing_since": AT.isoformat()}, "on, failing since"),
    ],
)
def test_how_an_endpoint_is_doing(changed: dict[str, Any], said: str) -> None:
    state = state_text(WebhookEndpoint.model_validate({**ENDPOINT, **changed}))
    assert state.endswith(said) or said in state
    assert (state == "on") is (said == "on")


def test_a_secret_goes_to_stdout_and_the_words_about_it_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    show_secret(ID, Secret(SECRET), until=AT, as_json=False)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"endpoint {ID}", f"secret   {SECRET}"]
    assert "only now" in printed.err
    assert SECRET not in printed.err
    show_secret(ID, Secret(SECRET), as_json=True)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"id": ID, "secret": SECRET, "previous_until": None}
    assert "only now" in printed.err
