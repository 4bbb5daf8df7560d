"""The delivery bench measures what it says: its receiver believes signatures only, its figures add up."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from scripts.bench import delivery_speed
from scripts.bench.delivery_speed import Backlog, System, opened, percentile, rate, receiving, tenths

STARTED = 1_800_000_000.0
PORT_BASE = 21320


def test_events_on_their_way_are_counted_at_the_receiver() -> None:
    """Through a real stack: outbox, wake-up, edge function, receiver."""
    with opened(PORT_BASE, ()) as bench:
        arrivals = bench.turn("ondol", "tiny ", 30)
        assert len(arrivals) == 30
        assert arrivals == sorted(arrivals)
        assert len(bench.turn("pg_net alone", "tiny ", 30)) == 30
        assert all(0 < each < 60_000 for each in bench.paced("ondol", "paced ", 5))


def test_the_receiver_counts_what_is_signed_and_only_once() -> None:
    with receiving() as (url, secret):
        body = json.dumps({"data": {"event": "one"}})
        signature = Webhook(secret).sign("msg_1", datetime.fromtimestamp(STARTED, tz=UTC), body)
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(STARTED)), "webhook-signature": signature}
        answers = [httpx.post(url, content=body, headers=headers).status_code for _ in range(2)]
        answers.append(httpx.post(url, content=body + " ", headers=headers).status_code)
        told = httpx.get(f"{url}seen?all").json()
    assert answers == [200, 200, 401]
    assert (told["received"], told["repeated"], told["bad"], list(told["at"])) == (1, 1, 1, ["one"])


def test_rates_are_between_the_first_and_the_last() -> None:
    steady = [STARTED + number / 100 for number in range(1001)]
    slowing = [STARTED + (number / 100) ** 2 for number in range(1001)]
    assert rate(steady) == pytest.approx(100)
    assert tenths(steady) == pytest.approx([100] * 10)
    assert Backlog(1001, tenths(steady)).flatness == pytest.approx(1)
    assert Backlog(1001, tenths(slowing)).flatness < 0.1
    assert percentile([float(number) for number in range(100)], 0.99) == 99


def test_the_report_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    systems = [System("ondol", rates=[1.0, 3.0, 2.0], p50_ms=5, p99_ms=9)]
    delivery_speed.report(systems, Backlog(10, [1.0] * 10), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["systems"][0]["rate"], told["backlog"]["flatness"]) == (2, 1)
    delivery_speed.report(systems, Backlog(10, [1.0] * 10), as_json=False)
    assert "backlog of 10" in capsys.readouterr().out
