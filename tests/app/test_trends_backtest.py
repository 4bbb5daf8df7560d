"""How `ondol trends backtest` shows and draws a report."""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.cli.trends_backtest import plain, show_report
from app.cli.trends_backtest_png import check_plots, draw
from app.errors import SettingsError
from app.shorts.backtest import BurstReport, BurstRow, ChartReport, ForecastReport, Rings
from app.shorts.backtest_surges import Ranked

from .test_cli import NOWHERE, ondol

BURSTS = BurstReport(80.6, [BurstRow("[red]A", 200, 2, 1, [datetime(2026, 7, 1, tzinfo=UTC)], 62.5)])
UNLABELLED = BurstReport(None, [])
FORECASTS = ForecastReport(
    2, 1, {"ours": (0.9, 0.7), "seasonal_naive": (1.2, 1.1), "persistence": (9, 8)}, 10.9, 0.801, [0.8, 1.0]
)
RANKED = {name: Ranked(0.25, 0.5, 12.0, 8, 4, 24.0) for name in ("ours", "persistence", "raw_counts")}
CHARTS = ChartReport(
    region="KR",
    days=6,
    first_day=date(2026, 7, 1),
    second_half_from=date(2026, 7, 4),
    keywords=10,
    most=20,
    seed=1,
    chosen_on=RANKED,
    judged_on=RANKED,
    rings=Rings(3, 60),
    false_rings={name: Rings(6, 60) for name in RANKED},
)


def test_each_report_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    for report, words in (
        (BURSTS, ("80.6", "[red]A", "62.5")),
        (UNLABELLED, ("–",)),
        (FORECASTS, ("80.1%", "seasonal naive", "0.900")),
        (CHARTS, ("raw counts", "0.250", "4 / 8", "1.0e-01", "5.0e-02")),
    ):
        show_report(report)
        shown = capsys.readouterr().out
        assert all(word in shown for word in words), shown


def test_rates_stand_beside_their_counts_for_machines() -> None:
    assert plain(CHARTS)["rings"] == {"alarms": 3, "keyword_days": 60, "per_keyword_day": 0.05}
    assert plain(CHARTS)["false_rings"]["ours"]["per_keyword_day"] == 0.1
    assert plain(FORECASTS)["mase"]["ours"] == (0.9, 0.7)
    assert "mase_of_each" not in plain(FORECASTS)


@pytest.mark.parametrize("report", [BURSTS, UNLABELLED, FORECASTS, CHARTS])
def test_each_report_is_drawn(tmp_path: Path, report: BurstReport | ForecastReport | ChartReport) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (pip install 'ondol[plots]') is not installed")
    draw(report, title="데이터", file=tmp_path / "new" / "picture.png")
    assert (tmp_path / "new" / "picture.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError) as refused:
        draw(report, title="", file=tmp_path / "file" / "picture.png")
    assert refused.value.key == "picture_unwritable"


@pytest.mark.skipif(find_spec("matplotlib") is not None, reason="matplotlib is installed")
def test_without_matplotlib_the_next_step_is_told_before_any_work() -> None:
    with pytest.raises(SettingsError) as refused:
        check_plots()
    assert refused.value.next_step("en") == "Install it: pip install 'ondol[plots]'; or leave --png out."


def test_the_command_is_used_with_data(tmp_path: Path) -> None:
    assert ondol("trends", "backtest", cwd=tmp_path).returncode == 2
    assert ondol("trends", "backtest", "--data", ".", "--most", "0", cwd=tmp_path).returncode == 2
    done = ondol("trends", "backtest", "--data", "nowhere", cwd=tmp_path, **NOWHERE)
    assert done.returncode == 1
    assert "There is no nowhere." in done.stderr
