"""How `ondol trends backtest` shows and draws a report."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from app.cli.trends_backtest import plain, show_report
from app.cli.trends_backtest_png import check_plots, draw, drawable
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


KOREAN = BurstReport(40, [BurstRow("댓글 $5$", 200, 2, 1, [datetime(2026, 7, 1, tzinfo=UTC)], 62.5)])


@pytest.mark.parametrize("report", [BURSTS, UNLABELLED, FORECASTS, CHARTS, KOREAN])
def test_each_report_is_drawn(tmp_path: Path, report: BurstReport | ForecastReport | ChartReport) -> None:
    """By matplotlib itself, whose warning of a letter that its font does not have would be an error here."""
    file = tmp_path / "new" / "picture.png"
    draw(report, title="데이터 $_{", file=file)
    picture = import_module("matplotlib.image").imread(file)
    assert picture.shape == (450, 800, 4)
    assert drawn(picture[:50]) > 100, "the title"
    assert drawn(picture[50:]) > 1000, "axes and what they show"
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError) as refused:
        draw(report, title="", file=tmp_path / "file" / "picture.png")
    assert refused.value.key == "picture_unwritable"


def drawn(pixels: Any) -> int:
    """How many of the pixels are not white."""
    return int((pixels[:, :, :3].min(axis=2) < 0.9).sum())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("m4-hourly", "m4-hourly"),
        ("데이터", "deiteo"),
        ("한국 쇼츠 7월", "hanguk syocheu 7wol"),
        (normalize("NFD", "없다 힣"), "eopda hit"),
        ("3$ 東\n🔥", r"3\$ ???"),
    ],
)
def test_a_name_is_drawn_in_letters_that_every_font_has(name: str, shown: str) -> None:
    assert drawable(name) == shown


def test_without_matplotlib_the_next_step_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    check_plots()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingsError) as refused:
        check_plots()
    assert refused.value.next_step("en") == "Install it: pip install 'ondol[plots]'; or leave --png out."
    assert refused.value.say("ko") != refused.value.say("en")


def test_the_command_is_used_with_data(tmp_path: Path) -> None:
    assert ondol("trends", "backtest", cwd=tmp_path).returncode == 2
    assert ondol("trends", "backtest", "--data", ".", "--most", "0", cwd=tmp_path).returncode == 2
    done = ondol("trends", "backtest", "--data", "nowhere", cwd=tmp_path, **NOWHERE)
    assert done.returncode == 1
    assert "There is no nowhere." in done.stderr
