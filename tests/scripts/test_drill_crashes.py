"""The crash drill in small: a kill of each part at a moment of its own, then its three faults, which it has to see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest

from scripts.drills import crashes
from scripts.drills.crashes import MOMENTS, VICTIMS, Cell, Drill, Outcome, in_turn
from scripts.drills.crashes_stack import PORT_BASE, crash_stack

LEASE_SECONDS = 2.0
RUN = (
    ("postgres", "response, before record"),
    ("backend", "during record"),
    ("edge function", "after claim, before send"),
    ("net-worker", "in the sweep"),
    ("handler", "sent, before handler commit"),
)
DONE_TWICE = ("handler", "handler committed, before response")


@pytest.fixture(scope="module")
def drill() -> Iterator[Drill]:
    with crash_stack(port_base=PORT_BASE, lease_seconds=LEASE_SECONDS) as own:
        drill = Drill(own, lease_seconds=LEASE_SECONDS)
        drill.write()
        assert drill.settle(crashes.REACH_SECONDS) is not None, "nothing is delivered before the first kill"
        yield drill


def test_nothing_is_lost_or_done_twice_whoever_is_killed(drill: Drill) -> None:
    cells = [Cell(victim, moment) for victim, moment in RUN]
    for cell in cells:
        drill.play(cell)
    outcome = drill.judge(cells, seconds=1)
    assert outcome.is_kept, outcome
    assert outcome.kills == len(RUN)
    assert outcome.processes_killed > outcome.kills
    assert outcome.events >= 2 * len(drill.committed)


def test_a_handler_that_forgets_does_it_twice(drill: Drill) -> None:
    """The first negative control: without receipts a repeated delivery is a repeated effect."""
    drill.own.plant_fault("receipts")
    before = drill.count(crashes.TWICE)
    drill.play(Cell(*DONE_TWICE))
    drill.own.plant_fault(None)
    assert (before, drill.count(crashes.TWICE) > 0) == (0, True)


@pytest.mark.parametrize(
    ("fault", "cell"), [("sweep", None), ("lease", Cell("edge function", "after claim, before send"))]
)
def test_what_nobody_asks_for_again_is_stuck(drill: Drill, fault: str, cell: Cell | None) -> None:
    """The other two: a wake-up that is lost needs the sweep, a sender that died needs the end of its lease."""
    drill.own.plant_fault(fault)
    if cell is None:
        drill.rounds += 1
        drill.write(is_woken=False)
        assert drill.settle(drill.limit) is None
    else:
        drill.play(cell)
        assert cell.stuck == 1
    assert drill.count(crashes.MISSING) > 0
    drill.own.plant_fault(None)


def test_few_kills_see_every_part_and_every_moment() -> None:
    cells = list(islice(in_turn(), len(MOMENTS) * len(VICTIMS)))
    assert len(set(cells)) == len(cells)
    assert {victim for victim, _ in cells[:8]} == set(VICTIMS)
    assert {moment for _, moment in cells[:8]} == set(MOMENTS)


KEPT = Outcome(
    kills=1,
    processes_killed=1,
    events=1,
    lost=0,
    duplicate_effects=0,
    stuck=0,
    phantoms=0,
    moments_not_reached=0,
    duplicates_delivered=7,
    longest_wait_s=1.5,
    wait_limit_s=10.0,
    seconds=2.0,
    cells=[Cell("handler", "during record", kills=1)],
)


def test_every_broken_promise_turns_the_drill_red(capsys: pytest.CaptureFixture[str]) -> None:
    broken = [
        replace(KEPT, lost=1),
        replace(KEPT, duplicate_effects=1),
        replace(KEPT, stuck=1),
        replace(KEPT, phantoms=1),
        replace(KEPT, moments_not_reached=1),
        replace(KEPT, kills=0),
    ]
    assert KEPT.is_kept
    assert not any(outcome.is_kept for outcome in broken)
    crashes.report(KEPT, as_json=True)
    assert json.loads(capsys.readouterr().out)["duplicates_delivered"] == 7
    crashes.report(KEPT, as_json=False)
    assert "lost 0" in capsys.readouterr().out
