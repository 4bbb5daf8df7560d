"""What the commands say without any service: costs, wrong usage, missing keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.errors import QuotaSpentError

from .test_cli import NOWHERE, ondol

KEY = {"YOUTUBE_API_KEY": "made-up-key", "YOUTUBE_API_URL": "http://127.0.0.1:9/youtube/v3"}


def test_a_dry_run_says_what_it_would_cost_and_needs_no_key(tmp_path: Path) -> None:
    arguments = ("ingest", "youtube", "김치", "[b]", "--region", "KR", "--region", "JP", "--pages", "3", "--chart")
    done = ondol(*arguments, "--video", "short000001", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "search “김치” in KR, at most 3 pages",
        "search “김치” in JP, at most 3 pages",
        "search “[b]” in KR, at most 3 pages",
        "search “[b]” in JP, at most 3 pages",
        "chart of KR, at most 3 pages",
        "chart of JP, at most 3 pages",
        "the videos that were named",
        "At most 12 searches and 25 units, and a unit per 50 channels. Nothing was sent.",
    ]


def test_a_dry_run_speaks_json(tmp_path: Path) -> None:
    done = ondol("ingest", "youtube", "김치", "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == {
        "dry_run": True,
        "pages": 1,
        "steps": [{"kind": "search", "query": "김치", "region": "KR"}],
        "at_most": {"searches": 1, "units": 1},
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("youtube",),
        ("youtube", " "),
        ("youtube", "--video", "a b"),
        ("youtube", "--video", "a,b"),
        ("youtube", "x", "--pages", "0"),
        ("youtube", "x", "--pages", "11"),
        ("youtube", "x", "--max", "0"),
        ("refresh", "--max", "0"),
        ("refresh", "--watch", "0"),
        ("status", "x"),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = ondol("ingest", *arguments, cwd=tmp_path, **NOWHERE, **KEY)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("arguments", "environ", "sentence"),
    [
        (("youtube", "x"), NOWHERE, "The setting YOUTUBE_API_KEY is missing."),
        (("refresh",), NOWHERE, "The setting YOUTUBE_API_KEY is missing."),
        (("youtube", "x"), {**NOWHERE, **KEY, "SUPABASE_SECRET_KEY": ""}, "The setting SUPABASE_SECRET_KEY is missing"),
        (("refresh",), {**NOWHERE, **KEY, "SUPABASE_SECRET_KEY": ""}, "The setting SUPABASE_SECRET_KEY is missing"),
        (("status",), {**NOWHERE, "SUPABASE_SECRET_KEY": ""}, "The setting SUPABASE_SECRET_KEY is missing."),
        (("youtube", "x", "--region", "kr"), {**NOWHERE, **KEY}, "There is no region kr."),
        (("status",), NOWHERE, "http://127.0.0.1:9 cannot be reached"),
        (
            ("refresh",),
            {**NOWHERE, **KEY, "YOUTUBE_API_URL": "http://youtube.test/v3"},
            "The setting YOUTUBE_API_URL is wrong: 'http://youtube.test/v3' would send the key in clear",
        ),
    ],
)
def test_an_expected_error_is_one_sentence_and_the_next_step(
    tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], sentence: str
) -> None:
    done = ondol("ingest", *arguments, cwd=tmp_path, **environ)
    assert done.returncode == 1
    said, step = done.stderr.splitlines()
    assert said.startswith(sentence)
    assert step.startswith("Next step: ")


def test_a_round_that_met_a_spent_quota_waits_for_the_reset() -> None:
    from datetime import UTC, datetime, timedelta

    from app.cli.ingest_refresh import seconds_to_reset
    from app.shorts.refresh import RefreshReport

    def spent(resets_in: float) -> RefreshReport:
        resets_at = datetime.now(UTC) + timedelta(seconds=resets_in)
        error = QuotaSpentError("quota_spent", bucket="youtube_units", used=7, daily_limit=7, resets_at=resets_at)
        return RefreshReport(quota=error)

    assert seconds_to_reset(RefreshReport()) == 0
    assert 590 < seconds_to_reset(spent(600)) <= 600
    assert seconds_to_reset(spent(20_000)) == 3_600


def test_the_status_is_shown_in_tables(capsys: pytest.CaptureFixture[str]) -> None:
    from app.cli.ingest_refresh import show_status
    from app.shorts.freshness import IngestStatus

    run = {"id": "0" * 32, "source": "youtube", "request": {}, "counts": {"pages": 2}, "started_at": AT, "saved_at": AT}
    cache = dict.fromkeys(("videos", "playable", "shorts", "expire_in_24h", "expired", "unknown"), 1_234)
    cache |= {"taken_out": 0, "deleted": 0, "purge_due": 0}
    described = {
        "quotas": [{"bucket": "youtube_search", "used": 3, "daily_limit": 100, "resets_at": AT}],
        "queue": {"due": 5, "leased": 50, "waiting": 2, "by_reason": {"expiring": 57}},
        "cache": cache,
        "runs": [{**run, "outcome": "done"}, run],
    }
    show_status(IngestStatus.model_validate(described))
    said = capsys.readouterr().out
    for words in ("youtube_search", "Queue: 5 due, 50 in hand, 2 waiting.", "1,234 videos", "done", "running"):
        assert words in said
    show_status(IngestStatus.model_validate({**described, "runs": []}))
    assert "No source was ever ingested." in capsys.readouterr().err


AT = "2026-07-10T12:00:00+00:00"


@pytest.mark.parametrize("word", ["a\udcff", "a\x1b[31m", "a\u202eb"])
def test_a_query_that_is_no_text_is_wrong_usage(tmp_path: Path, word: str) -> None:
    done = ondol("ingest", "youtube", word, "--dry-run", "--json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert word not in done.stderr


@pytest.mark.parametrize("word", ["👨\u200d👩\u200d👧", "김치\u3000찌개"])
def test_joined_and_wide_characters_are_text(tmp_path: Path, word: str) -> None:
    done = ondol("ingest", "youtube", word, "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["steps"][0]["query"] == word


def test_what_others_wrote_does_not_steer_the_terminal(tmp_path: Path) -> None:
    """S-264: an escape in a name or a row is shown as a sign, whatever part of the screen it comes to."""
    folder = tmp_path / "ev\x1b]0;il\x07\u202e"
    folder.mkdir()
    done = ondol("ingest", "dataset", str(folder), "--dry-run", cwd=tmp_path)
    assert done.returncode == 1
    assert "ev\ufffd]0;il" in done.stderr
    assert not set("\x1b\x07\u202e") & set(done.stdout + done.stderr)
