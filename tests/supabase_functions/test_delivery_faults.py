"""What becomes of a webhook when its receiver fails, on the running stack; and that private addresses are not called.

The drills are the commands that an operator may run; here they run without the silent receiver, which costs 15 s.
"""

from __future__ import annotations

import json
import subprocess

import psycopg
import pytest

from scripts.drills.faults_drill import BREAKS, CASES, drill, endpoints, one, outcomes
from scripts.drills.faults_server import receivers
from scripts.local_stack.settings import REPOSITORY, Stack

from .test_deno import deno

QUICK = [case for case in CASES if case.name != "black-hole"]
FEW = [case for case in CASES if case.name in ("accepted", "410", "500", "dropped")]
SSRF = REPOSITORY / "scripts" / "drills" / "ssrf_drill.ts"


async def test_every_fault_ends_as_the_table_says(stack: Stack) -> None:
    findings = await drill(stack, QUICK)
    assert [finding for finding in findings if finding.problem] == []
    moments: dict[str, list[tuple[str, str]]] = {finding.fault: [] for finding in findings}
    for finding in findings:
        moments[finding.fault].append((finding.moment, finding.state))
    assert moments["accepted"] == [("first", "delivered")]
    assert moments["410"] == [("first", "dead")]
    assert moments["503-in-20-s"] == [("first", "scheduled"), ("then well", "delivered"), ("tenth", "dead")]
    assert moments["unknown-name"] == [("first", "scheduled"), ("then well", "scheduled"), ("tenth", "dead")]
    assert len(moments) == len(QUICK)


@pytest.mark.parametrize("broken", BREAKS)
async def test_a_planted_fault_is_found(stack: Stack, broken: str) -> None:
    wrong = {finding.fault for finding in await drill(stack, FEW, broken=broken) if finding.problem}
    assert wrong == ({"410"} if broken == "expectation" else {"410", "500", "dropped"})


async def test_trend_update_delivers_its_own_events(stack: Stack) -> None:
    """S-275: what is scheduled under trend.updated is delivered by trend-update, which the commit itself wakes."""
    schedule = """
        with event as (
            insert into ops.outbox (event_type, dedupe_key, data)
            values ('trend.updated', gen_random_uuid()::text, '{}')
            returning id
        )
        insert into ops.webhook_deliveries (outbox_id, endpoint_id, event_type)
        select event.id, %s, 'trend.updated' from event
        returning id::text
    """
    accepted = [case for case in CASES if case.name == "accepted"]
    async with (
        await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as database,
        receivers() as played,
        endpoints(database, played, accepted) as ids,
    ):
        (delivery,) = await one(database, schedule, [ids["accepted"]])
        found = await outcomes(database, {"accepted": delivery})
        await database.execute(
            "delete from ops.outbox where id in (select outbox_id from ops.webhook_deliveries where id = %s)",
            [delivery],
        )
    assert found["accepted"][:2] == ("delivered", 204)
    assert played.seen == {"accepted": [f"msg_{delivery.replace('-', '')}"]}


def ssrf(*arguments: str) -> tuple[int, dict[str, object]]:
    command = [str(REPOSITORY / "scripts" / "drills" / "ssrf"), "--json", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_no_spelling_of_a_private_address_gets_a_connection() -> None:
    code, found = ssrf()
    assert (code, found["reached"], found["connections"]) == (0, [], 0)
    assert isinstance(found["attacks"], int)
    assert found["attacks"] >= 60


@pytest.mark.parametrize(("broken", "at_least"), [("guard", 30), ("pin", 1)])
def test_without_the_guard_the_canary_is_called(broken: str, at_least: int) -> None:
    code, found = ssrf("--break", broken)
    assert code == 1
    assert isinstance(found["connections"], int)
    assert found["connections"] >= at_least


@pytest.mark.parametrize("check", [("check",), ("lint",), ("fmt", "--check")], ids=lambda check: check[0])
def test_the_drill_is_held_to_the_functions_rules(check: tuple[str, ...]) -> None:
    done = deno(*check, "--config", "deno.json", str(SSRF))
    assert done.returncode == 0, done.stdout + done.stderr
