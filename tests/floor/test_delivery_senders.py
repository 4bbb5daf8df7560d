"""Several senders at once: each delivery is one sender's, and owners who change endpoints meanwhile stop nobody."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from scripts.local_stack.settings import Stack

SENDERS = 4
EVENTS = 200
TYPE = "planted.senders"

Claims = list[tuple[str, int, str]]


@pytest.fixture
def endpoints(stack: Stack) -> Iterator[list[str]]:
    """Three endpoints with `EVENTS` deliveries each, of a type that no edge function of the stack sends."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute(
            "insert into ops.event_types (event_type, edge_function, description) values (%s, 'planted', 'a test')",
            (TYPE,),
        )
        made = [
            str(
                connection.execute(
                    "select private.add_webhook_endpoint(null, %s, array[%s]) ->> 'id'",
                    (f"https://senders-{n}.example/", TYPE),
                ).fetchone()[0]  # type: ignore[index]
            )
            for n in range(3)
        ]
        events = json.dumps([{"dedupe_key": str(n), "data": {}} for n in range(EVENTS)])
        connection.execute("select ops.enqueue(%s, %s)", (TYPE, events))
        yield made
        connection.execute("delete from ops.outbox where event_type = %s", (TYPE,))
        connection.execute("delete from public.webhook_endpoints where event_types = array[%s]", (TYPE,))
        connection.execute("delete from ops.event_types where event_type = %s", (TYPE,))
        connection.execute("delete from ops.alerts where subject like 'senders-%%.example%%'")


def send(stack: Stack, start: threading.Barrier, gone: str | None = None) -> Claims:
    """Claim and report until nothing is due; deliveries to the endpoint `gone` are answered by 410."""
    mine: Claims = []
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        start.wait(timeout=10)
        while True:
            claimed = connection.execute(
                "select delivery_id::text, attempt, url from public.claim_webhook_deliveries(array[%s], 20, 600)",
                (TYPE,),
            ).fetchall()
            if not claimed:
                return mine
            mine += [(delivery, attempt, url) for delivery, attempt, url in claimed]
            reports = [
                {"delivery_id": delivery, "attempt": attempt, "status": 410 if url == gone else 200}
                for delivery, attempt, url in claimed
            ]
            connection.execute("select public.record_webhook_deliveries(%s)", (json.dumps(reports),))


def states(stack: Stack) -> Counter[tuple[str, str]]:
    with psycopg.connect(stack.database_url()) as connection:
        rows = connection.execute(
            "select endpoint_id::text, state from ops.webhook_deliveries where event_type = %s", (TYPE,)
        )
        return Counter((endpoint, state) for endpoint, state in rows.fetchall())


def test_a_delivery_is_one_senders(stack: Stack, endpoints: list[str]) -> None:
    """S-214: what one sender has claimed no other gets, and together they leave nothing."""
    start = threading.Barrier(SENDERS)
    with ThreadPoolExecutor(SENDERS) as pool:
        claims = [claim for mine in pool.map(lambda _: send(stack, start), range(SENDERS)) for claim in mine]
    assert Counter(Counter(delivery for delivery, _, _ in claims).values()) == Counter({1: 3 * EVENTS})
    assert states(stack) == Counter({(endpoint, "delivered"): EVENTS for endpoint in endpoints})


def test_owners_and_senders_do_not_block_each_other(stack: Stack, endpoints: list[str]) -> None:
    """S-214: while senders report, one endpoint is gone and another is removed: nothing fails or is left."""
    gone, removed, kept = endpoints
    start = threading.Barrier(SENDERS + 1)

    def change() -> None:
        with psycopg.connect(stack.database_url(), autocommit=True) as connection:
            start.wait(timeout=10)
            for _ in range(10):
                connection.execute("select public.rotate_webhook_secret(%s)", (kept,))
                connection.execute("select public.set_webhook_endpoint(%s, true, 'changed')", (kept,))
            connection.execute("select public.remove_webhook_endpoint(%s)", (removed,))

    with ThreadPoolExecutor(SENDERS + 1) as pool:
        senders = [pool.submit(send, stack, start, "https://senders-0.example/") for _ in range(SENDERS)]
        owner = pool.submit(change)
        owner.result(timeout=60)
        claims = [claim for sender in senders for claim in sender.result(timeout=60)]
    left = states(stack)
    assert left == Counter({(gone, "dead"): EVENTS, (kept, "delivered"): EVENTS})
    # Who had claimed it already still sent it: at most a batch a sender, and nobody after them.
    assert sum(url == "https://senders-0.example/" for _, _, url in claims) <= 2 * SENDERS * 20
