"""`ondol trends backtest`: what detection, forecast and ranking are worth on a data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..config import read_settings
from ..errors import SettingsError
from .console import FAILED, AsJson, Region, complain, err, out, print_json, progress_bars, run, say
from .trends_backtest_png import check_plots, draw

if TYPE_CHECKING:
    from ..shorts.backtest import BurstReport, ChartReport, ForecastReport

    Report = BurstReport | ForecastReport | ChartReport

Data = Annotated[Path, typer.Option("--data", metavar="PATH", help=say("help_option_backtest_data"))]
Png = Annotated[Path | None, typer.Option("--png", metavar="FOLDER", help=say("help_option_png"))]


def trends_backtest_command(
    data: Data,
    region: Region = "KR",
    most: Annotated[int, typer.Option("--most", min=1, max=1000, help=say("help_option_most"))] = 20,
    seed: Annotated[int, typer.Option("--seed", help=say("help_option_seed"))] = 1,
    png: Png = None,
    as_json: AsJson = False,
) -> None:
    async def work() -> Report:
        from ..client import Client
        from ..shorts.api import ShortsApi
        from ..shorts.backtest import run_backtest

        if png is not None:
            check_plots()
        settings = read_settings()
        async with Client(settings, key=settings.require_secret_key()) as client:
            with progress_bars() as show:
                return await run_backtest(
                    data, into=ShortsApi(client), region=region, most=most, seed=seed, on_progress=show
                )

    report = run(work)
    if as_json:
        print_json(plain(report))
    else:
        show_report(report)
    if png is not None:
        file = png / f"{data.resolve().name}-{report.kind}.png"
        try:
            draw(report, title=data.resolve().name, file=file)
        except SettingsError as error:
            complain(error)
            raise typer.Exit(FAILED) from error
        err.print(Text(say("backtest_drawn", file=file)), soft_wrap=True)


def plain(report: Report) -> dict[str, Any]:
    """The report for machines; rates stand beside the counts that they are made of."""
    values = asdict(report)
    values.pop("mase_of_each", None)
    for rings in (values.get("rings"), *values.get("false_rings", {}).values()):
        if rings is not None:
            rings["per_keyword_day"] = rings["alarms"] / rings["keyword_days"] if rings["keyword_days"] else 0.0
    return values


def show_report(report: Report) -> None:
    from ..shorts.backtest import BurstReport, ForecastReport

    if isinstance(report, BurstReport):
        out.print(burst_table(report))
    elif isinstance(report, ForecastReport):
        out.print(forecast_table(report))
    else:
        out.print(chart_table(report))
        rate = report.rings.per_keyword_day
        out.print(say("backtest_rings", alarms=report.rings.alarms, rate=rate), soft_wrap=True)


def burst_table(report: BurstReport) -> Table:
    score = "–" if report.score is None else f"{report.score:.1f}"
    table = table_of(
        say("backtest_bursts_title", score=score), "named_series", "nab", "hits", "windows", "false_alarms"
    )
    for row in report.series:
        numbers = (f"{row.score:.1f}", str(row.hits), str(row.windows), str(len(row.false_at)))
        table.add_row(Text(row.name), *numbers)
    return table


def forecast_table(report: ForecastReport) -> Table:
    title = say(
        "backtest_forecasts_title",
        series=report.series,
        smape=report.smape,
        coverage=report.coverage,
        flat=report.flat,
    )
    table = table_of(title, "method", "mase_mean", "mase_median")
    for name, (mean, median) in report.mase.items():
        table.add_row(say(f"kind_{name}"), f"{mean:.3f}", f"{median:.3f}")
    return table


def chart_table(report: ChartReport) -> Table:
    title = say(
        "backtest_charts_title",
        region=report.region,
        most=report.most,
        days=report.days,
        from_day=report.second_half_from,
    )
    columns = ("method", "precision", "precision_first_half", "recall", "lead", "warned", "false_rate")
    table = table_of(title, *columns)
    for name, ranked in report.judged_on.items():
        table.add_row(
            say(f"kind_{name}"),
            f"{ranked.precision:.3f}",
            f"{report.chosen_on[name].precision:.3f}",
            f"{ranked.recall:.3f}",
            f"{ranked.lead_hours:.1f}",
            f"{ranked.warned} / {ranked.surges}",
            f"{report.false_rings[name].per_keyword_day:.1e}",
        )
    return table


def table_of(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(say(f"column_{first}"), overflow="fold", min_width=11)
    for name in others:
        table.add_column(say(f"column_{name}"), justify="right")
    return table
