"""The bench of telling measures what it says: a tiny run adds up, and what was not told ends it."""

from __future__ import annotations

import json

import pytest

from scripts.bench import telling
from scripts.bench.telling import Case


def test_a_tiny_run_is_measured_and_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "CASES", (Case(2, 3),))
    monkeypatch.setattr("sys.argv", ["telling", "--seconds", "1", "--rounds", "1", "--json"])
    assert telling.main() == 0
    [told] = json.loads(capsys.readouterr().out)
    assert (told["clients"], told["trends"]) == (2, 3)
    assert told["statements"] > 0
    assert 0 < told["untold_p50"] <= told["untold_p99"]
    assert 0 < told["told_p50"] <= told["told_p99"]
    assert told["extra_p50"] == pytest.approx(told["told_p50"] - told["untold_p50"])
    assert told["extra_p99"] == pytest.approx(told["told_p99"] - told["untold_p99"])
    telling.show([telling.Result(**told)])
    assert "extra p99" in capsys.readouterr().out


def test_a_trigger_that_did_not_tell_ends_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is quick: it must not be taken for a good figure."""
    monkeypatch.setattr(telling, "TABLE", "alter table public.trending_keywords disable trigger user -- {}")
    with pytest.raises(SystemExit, match=r"not \(\d+, \d+, \d+, True, True\)"):
        list(telling.measure([Case(1, 1)], seconds=1, rounds=1, quiet=True))


def test_percentiles() -> None:
    times = [float(number) for number in range(100, 0, -1)]
    assert [telling.percentile(times, part) for part in (0, 0.5, 0.99, 1)] == [1, 51, 100, 100]
