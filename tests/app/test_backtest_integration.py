"""`ondol trends backtest` on each kind of data set, as a reader runs it, with the detectors of the real database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.local_stack.settings import Stack

ROOT = Path(__file__).parents[2]


def backtest(stack: Stack, folder: Path, *options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    if not folder.is_dir():
        pytest.skip(f"the data set {folder.name} (../shared/data) is not beside this checkout")
    keys = {"SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable, "SUPABASE_SECRET_KEY": stack.keys.secret}
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SUPABASE_", "ONDOL_", "LC_"))}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "trends", "backtest", "--data", str(folder), *options],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**environ, **keys, "SUPABASE_URL": stack.api_url, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"},
        check=False,
        timeout=240,
    )


def figures(stack: Stack, folder: Path, *options: str, cwd: Path) -> dict[str, Any]:
    done = backtest(stack, folder, *options, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_labelled_tweets(shared_data: Path, stack: Stack, tmp_path: Path) -> None:
    report = figures(stack, shared_data / "nab-realtweets", cwd=tmp_path)
    assert report["kind"] == "bursts"
    assert report["score"] >= 74.5
    assert [row["name"] for row in report["series"]] == ["AAPL", "CRM", "FB", "IBM", "UPS"]


def test_hourly_series(shared_data: Path, stack: Stack, tmp_path: Path) -> None:
    report = figures(stack, shared_data / "m4-hourly", cwd=tmp_path)
    assert report["series"] + report["flat"] == 207
    mase = {name: values[0] for name, values in report["mase"].items()}
    assert mase["ours"] <= 1.0 < mase["seasonal_naive"] < mase["persistence"]
    assert 0.75 <= report["coverage"] <= 0.85


@pytest.mark.parametrize("name", ["youtube-8countries-2026-07", "youtube-kr-us-jp-2025-11"])
def test_tomorrows_surges_are_named_before_others_name_them(
    shared_data: Path, stack: Stack, tmp_path: Path, name: str
) -> None:
    """On the days that chose nothing, ours names more of them, and earlier, than today's surges and counts."""
    report = figures(stack, shared_data / name, "--region", "KR", cwd=tmp_path)
    judged = report["judged_on"]
    for other in ("persistence", "raw_counts"):
        assert judged["ours"]["precision"] > judged[other]["precision"]
        assert judged["ours"]["lead_hours"] > judged[other]["lead_hours"]
        assert report["false_rings"]["ours"]["per_keyword_day"] < report["false_rings"][other]["per_keyword_day"] / 10


def test_a_reader_gets_a_table_and_a_picture(shared_data: Path, stack: Stack, tmp_path: Path) -> None:
    done = backtest(stack, shared_data / "nab-realtweets", "--png", "pictures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "NAB score" in done.stdout
    assert (tmp_path / "pictures" / "nab-realtweets-bursts.png").read_bytes().startswith(b"\x89PNG")
