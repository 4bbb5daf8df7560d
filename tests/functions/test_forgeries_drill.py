"""The forgery drill, reduced: the handlers pass, and each planted fault turns the part red that is there for it."""

from __future__ import annotations

import asyncio
import json

import pytest

from scripts.drills.forgeries_drill import BREAKS, main
from scripts.drills.forgeries_made import FORGERIES
from scripts.drills.forgeries_target import HANDLERS, SIGNED, Target, genuine, signed

REDUCED = ["--count", str(len(FORGERIES) * len(HANDLERS) * 10), "--rotations", "500", "--strange", "400", "--json"]
SEES = {"signature": "forgeries", "tolerance": "limits of time", "rotation": "rotation", "crash": "strange requests"}


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_handlers_pass_the_drill(capsys: pytest.CaptureFixture[str], seed: str) -> None:
    """S-262, S-263: nothing forged is believed, nothing genuine is refused, nothing strange breaks a handler."""
    assert main([*REDUCED, "--seed", seed]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is True
    assert [part["wrong"] for part in told["parts"]] == [0] * (3 + len(HANDLERS))
    assert told["parts"][0]["sent"] > 1_000
    assert told["parts"][0]["statuses"]["200"] >= 10  # the genuine ones in between


@pytest.mark.parametrize("fault", BREAKS)
def test_a_planted_fault_is_seen(capsys: pytest.CaptureFixture[str], fault: str) -> None:
    assert main([*REDUCED, "--break", fault]) == 1
    told = json.loads(capsys.readouterr().out)
    red = [part["name"] for part in told["parts"] if part["wrong"]]
    assert any(name.startswith(SEES[fault]) for name in red), red


@pytest.mark.parametrize("handler", HANDLERS)
async def test_what_it_takes_for_genuine_is_genuine_and_has_an_effect(handler: str) -> None:
    target = Target()
    assert await target.ask(signed(genuine(handler))) == 200
    assert target.effects.count > 0


async def test_a_handler_that_hangs_is_told_from_one_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.drills.forgeries_target.LONGEST", 0.05)
    target = Target()

    async def hang(scope: object, receive: object, send: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(target, "app", hang)
    assert await target.ask(signed(genuine(SIGNED[0]))) == 599
