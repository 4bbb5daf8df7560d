"""What becomes of a webhook under each fault of its receiver, on the running stack, against a table of what must.

Every fault is played three times: at the first attempt; again when the receiver is well, which must bring what was not
brought before; and at the tenth attempt, which must be the last. Exits with 1 when anything ends otherwise. `--break`
plants a fault in the drill itself, which must make it exit with 1: a drill that cannot fail proves nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import psycopg

from scripts.local_stack.errors import StackError
from scripts.local_stack.settings import REPOSITORY, Stack

from .faults_server import Receivers, receivers

PATIENCE_SECONDS = 30
HUNG_UP = "The connection broke before there was an answer."
BREAKS = ("expectation", "receivers")
LAST = 10

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@dataclass(frozen=True)
class Case:
    """One fault and what must become of a first attempt; `wait` is the time to the next, in seconds."""

    name: str
    state: str
    status: int | None = None
    error: str | None = None
    wait: float = 5.0
    recovers: bool = True
    address: Callable[[Receivers], str] | None = None  # where it is not a path of the server of http

    def url(self, played: Receivers) -> str:
        return self.address(played) if self.address else f"http://127.0.0.1:{played.http}/{self.name}"


CASES = (
    Case("accepted", "delivered", 204),
    Case("late", "delivered", 200),
    Case("truncated-body", "delivered", 200),
    Case(
        "refused",
        "scheduled",
        error="The endpoint could not be reached.",
        address=lambda played: f"http://127.0.0.1:{played.closed.getsockname()[1]}/refused",
        recovers=False,
    ),
    Case("reset", "scheduled", error=HUNG_UP),
    Case("dropped", "scheduled", error=HUNG_UP),
    Case("black-hole", "scheduled", error="No answer within 15 s."),
    Case("truncated-head", "scheduled", error=HUNG_UP),
    Case("endless-head", "scheduled", error="The head of the answer is too long."),
    Case("no-http", "scheduled", error="The answer is no HTTP."),
    Case("500", "scheduled", 500, "Answered 500."),
    Case("502", "scheduled", 502, "Answered 502."),
    Case("503-in-20-s", "scheduled", 503, "Answered 503.", wait=20),
    Case("503-at-a-date", "scheduled", 503, "Answered 503.", wait=60),
    Case("429-in-an-hour", "scheduled", 429, "Answered 429.", wait=3600),
    Case("429-at-once", "scheduled", 429, "Answered 429."),
    Case("429-nonsense", "scheduled", 429, "Answered 429."),
    Case("301", "scheduled", 301, "Answered 301; redirects are not followed."),
    Case("410", "dead", 410, "Answered 410."),
    Case(
        "untrusted-certificate",
        "scheduled",
        error="The TLS handshake failed.",
        address=lambda played: f"https://127.0.0.1:{played.https}/untrusted-certificate",
        recovers=False,
    ),
    Case(
        "no-tls",
        "scheduled",
        error="The TLS handshake failed.",
        address=lambda played: f"https://127.0.0.1:{played.http}/no-tls",
        recovers=False,
    ),
    Case(
        "unknown-name",
        "scheduled",
        error="The name could not be resolved.",
        address=lambda _: f"https://{secrets.token_hex(8)}.nobody.example/",
        recovers=False,
    ),
)


@dataclass(frozen=True)
class Finding:
    """What became of one attempt; `problem` says what of it is not as it must be."""

    fault: str
    moment: str
    state: str
    status: int | None
    error: str | None
    wait: float | None
    problem: str | None


async def drill(stack: Stack, chosen: Sequence[Case] = CASES, *, broken: str | None = None) -> list[Finding]:
    """Play the faults on the running `stack`; the endpoints that it needs are gone afterwards."""
    async with (
        await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as database,
        receivers() as played,
        endpoints(database, played, chosen) as ids,
    ):
        played.is_well = broken == "receivers"
        cases = [
            replace(case, state="scheduled") if broken == "expectation" and case.status == 410 else case
            for case in chosen
        ]

        deliveries = {case.name: await send(database, ids[case.name]) for case in cases}
        found = await outcomes(database, deliveries)
        findings = [judged(case, "first", found[case.name], case.state) for case in cases]
        if played.seen.pop("moved-here", None):
            findings.append(Finding("301", "first", "followed", None, None, None, "the redirect was followed"))

        played.is_well = True
        waiting = [case for case in cases if found[case.name][0] == "scheduled"]
        again = {case.name: deliveries[case.name] for case in waiting}
        (since,) = await one(database, "select clock_timestamp()")
        await database.execute(
            "update ops.webhook_deliveries set next_attempt_at = now() where id = any(%s)", [list(again.values())]
        )
        await database.execute("select private.wake_delivery('notify-trend')")
        found = await outcomes(database, again, since)
        for case in waiting:
            state = "delivered" if case.recovers else "scheduled"
            findings.append(judged(case, "then well", found[case.name], state, is_first=False))
            ids_seen = played.seen[case.name]
            if case.recovers and broken is None and (len(ids_seen) < 2 or len(set(ids_seen)) != 1):
                findings[-1] = replace(findings[-1], problem=f"the webhook-ids were {sorted(set(ids_seen))}")

        played.is_well = broken == "receivers"
        failing = [case for case in cases if case.state == "scheduled" and case.status != 410]
        last = {case.name: await send(database, ids[case.name], LAST - 1) for case in failing}
        found = await outcomes(database, last)
        findings += [judged(case, "tenth", found[case.name], "dead") for case in failing]
    return findings


@asynccontextmanager
async def endpoints(database: Connection, played: Receivers, cases: Sequence[Case]) -> AsyncIterator[Mapping[str, str]]:
    """One endpoint of the operator's for each fault."""
    ids: dict[str, str] = {}
    register = "select public.register_webhook_endpoint(url => %s, secret => %s, allow_private => %s)"
    try:
        for case in cases:
            secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
            # A name is asked for as a stranger's is: through the guard.
            allow_private = case.name != "unknown-name"
            (ids[case.name],) = await one(database, register, [case.url(played), secret, allow_private])
        yield ids
    finally:
        for kind in ("dead_letters", "webhook_endpoint_disabled"):
            await database.execute(
                "select ops.resolve_alert(%s, private.endpoint_label(endpoint)) "
                "from public.webhook_endpoints as endpoint where endpoint.id = any(%s)",
                [kind, list(ids.values())],
            )
        for endpoint in ids.values():
            await database.execute("select public.remove_webhook_endpoint(%s)", [endpoint])


async def send(database: Connection, endpoint: str, attempts_before: int = 0) -> str:
    """Send a test event to one endpoint, as if so many attempts had failed already; returns the delivery."""
    async with database.transaction():
        (told,) = await one(database, "select public.test_webhook_endpoint(%s)", [endpoint])
        delivery: str = told["delivery_id"]
        if attempts_before:
            await database.execute(
                "update ops.webhook_deliveries set attempt = %s where id = %s", [attempts_before, delivery]
            )
    return delivery


Outcome = tuple[str, int | None, str | None, float | None]


async def outcomes(database: Connection, deliveries: Mapping[str, str], since: Any = None) -> dict[str, Outcome]:
    """Each delivery right after its next attempt was recorded: state, status, error, seconds to the one after."""
    look = """
        select
            delivery.state,
            attempt.status,
            attempt.error,
            extract(epoch from delivery.next_attempt_at - attempt.ended_at)::float
        from ops.webhook_deliveries as delivery
        inner join ops.webhook_attempts as attempt on attempt.delivery_id = delivery.id
        where delivery.id = %s and (%s::timestamptz is null or attempt.ended_at > %s)
        order by attempt.ended_at desc
        limit 1
    """
    found: dict[str, Outcome] = {}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while missing := deliveries.keys() - found.keys():
            for name in missing:
                cursor = await database.execute(look, [deliveries[name], since, since])
                if row := await cursor.fetchone():
                    found[name] = (row[0], row[1], row[2], row[3])
            await asyncio.sleep(0.1)
    return found


def judged(case: Case, moment: str, outcome: Outcome, state: str, *, is_first: bool = True) -> Finding:
    """Compare an outcome with what must be; after a recovery only the state is fixed."""
    got, status, error, wait = outcome
    problems = [] if got == state else [f"it must be {state}"]
    if is_first and (status, error) != (case.status, case.error):
        problems.append(f"it must say {case.status or case.error}")
    if moment == "first" and state == "scheduled" and not is_about(wait, case.wait):
        problems.append(f"it must wait {case.wait:g} s")
    return Finding(case.name, moment, got, status, error, wait, "; ".join(problems) or None)


def is_about(wait: float | None, expected: float) -> bool:
    """Within the ±10 % of the schedule's jitter; a date of Retry-After is rounded to a second besides."""
    return wait is not None and expected * 0.9 - 1 <= wait <= expected * 1.1 + 1


async def one(database: Connection, query: str, values: list[Any] | None = None) -> tuple[Any, ...]:
    row = await (await database.execute(query, values)).fetchone()
    assert row is not None
    return row


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description="Play every fault of a webhook's receiver.")
    parser.add_argument("--stack", default="dev", help="the name of the running stack (default: dev)")
    parser.add_argument("--break", dest="broken", choices=BREAKS, help="plant a fault; the drill must then fail")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    chosen = parser.parse_args()
    try:
        stack = Stack.load(REPOSITORY / ".local" / chosen.stack / "stack.json")
        findings = asyncio.run(drill(stack, broken=chosen.broken))
    except StackError as error:
        print(f"faults: {error}", file=sys.stderr)
        return 2
    except TimeoutError:
        print("faults: an attempt was not recorded in time; is the stack healthy?", file=sys.stderr)
        return 1
    wrong = [finding for finding in findings if finding.problem]
    if chosen.json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings], "wrong": len(wrong)}, indent=2))
    else:
        for finding in findings:
            wait = "" if finding.wait is None else f"{finding.wait:.1f} s"
            said = finding.status or finding.error
            print(
                f"{'WRONG' if finding.problem else 'ok':5} {finding.fault:22} {finding.moment:10} {finding.state:10} "
                f"{wait:>9}  {said}{f'  ({finding.problem})' if finding.problem else ''}"
            )
        print(f"{len(findings)} outcomes, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
