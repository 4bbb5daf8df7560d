"""A backtest's report as a picture, by matplotlib, which only this needs: pip install 'ondol[plots]'."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from ..errors import SettingsError
from ..messages import text

if TYPE_CHECKING:
    from ..shorts.backtest import BurstReport, ChartReport, ForecastReport

INCHES = (8, 4.5)

# The letters that a syllable of Hangul is made of, by their number in Unicode, in the Revised Romanization.
FIRST = ("g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h")
MIDDLE = (
    *("a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae"),
    *("oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui", "i"),
)
LAST = (
    *("", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l"),
    *("p", "l", "m", "p", "p", "t", "t", "ng", "t", "t", "k", "t", "p", "t"),
)
FIRST_SYLLABLE, LAST_SYLLABLE = "가", "힣"


def check_plots() -> None:
    """Raise SettingsError when matplotlib is not installed: before the work, not after it."""
    if find_spec("matplotlib") is None:
        raise SettingsError("plots_missing", name="matplotlib")


def draw(report: BurstReport | ForecastReport | ChartReport, *, title: str, file: Path) -> None:
    """Write one PNG, in English: matplotlib's own font has no Hangul. Raises SettingsError."""
    from ..shorts.backtest import BurstReport, ForecastReport

    figure = import_module("matplotlib.figure").Figure(figsize=INCHES, layout="constrained")
    figure.suptitle(drawable(title))
    if isinstance(report, BurstReport):
        draw_bursts(report, figure.subplots())
    elif isinstance(report, ForecastReport):
        draw_forecasts(report, figure.subplots())
    else:
        draw_charts(report, *figure.subplots(1, 2))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)
    except OSError as error:
        raise SettingsError("picture_unwritable", file=file, problem=error) from error


def drawable(name: str) -> str:
    """The name in letters that every font has: Hangul romanized, `?` for others, and `$` not taken for a formula."""
    return "".join(map(letters, normalize("NFC", name))).replace("$", r"\$")


def letters(char: str) -> str:
    if FIRST_SYLLABLE <= char <= LAST_SYLLABLE:
        rest, last = divmod(ord(char) - ord(FIRST_SYLLABLE), len(LAST))
        first, middle = divmod(rest, len(MIDDLE))
        return FIRST[first] + MIDDLE[middle] + LAST[last]
    return char if char.isascii() and char.isprintable() else "?"


def draw_bursts(report: BurstReport, axes: Any) -> None:
    axes.bar([drawable(row.name) for row in report.series], [row.score for row in report.series])
    if report.score is not None:
        axes.axhline(report.score, linestyle="--", color="black")
    axes.set_ylabel(text("column_nab"))


def draw_forecasts(report: ForecastReport, axes: Any) -> None:
    axes.hist(report.mase_of_each, bins=40)
    for name, color in (("ours", "black"), ("seasonal_naive", "gray")):
        axes.axvline(report.mase[name][0], linestyle="--", color=color, label=text(f"kind_{name}"))
    axes.set_xlabel("MASE")
    axes.legend()


def draw_charts(report: ChartReport, left: Any, right: Any) -> None:
    names = [text(f"kind_{name}") for name in report.judged_on]
    left.bar(names, [ranked.precision for ranked in report.judged_on.values()])
    left.set_ylabel(text("column_precision"))
    right.bar(names, [ranked.lead_hours for ranked in report.judged_on.values()])
    right.set_ylabel(text("column_lead"))
