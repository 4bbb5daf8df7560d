"""The group `ondol eval`: what the room is worth on data that it has never seen."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..errors import NotFoundError, ServerError, UnreachableError
from .console import AsJson, described, options, out, print_json, progress_bars, run, say

if TYPE_CHECKING:
    from ..shorts.feed_eval import FeedReport
    from ..shorts.feed_eval_data import FeedSplit

Data = Annotated[Path, typer.Option("--data", metavar="PATH", help=say("help_option_feed_eval_data"))]
People = Annotated[int | None, typer.Option("--people", min=1, help=say("help_option_feed_eval_people"))]
LearnFrom = Annotated[int | None, typer.Option("--learn-from", min=1, help=say("help_option_feed_eval_learn_from"))]
DatabaseUrl = Annotated[
    str,
    typer.Option(
        "--database-url", metavar="URL", envvar="DATABASE_URL", help=say("help_option_database_url"), show_default=False
    ),
]

evaluate = typer.Typer(help=say("help_eval"), **options)


@evaluate.command("feed", **described("help_eval_feed", "ondol eval feed --data FOLDER --people 2000"))
def eval_feed_command(
    data: Data,
    database_url: DatabaseUrl,
    people: People = None,
    learn_from: LearnFrom = None,
    on_validation: Annotated[bool, typer.Option("--validation", help=say("help_option_feed_eval_validation"))] = False,
    as_json: AsJson = False,
) -> None:
    async def work() -> FeedReport:
        from ..shorts.feed_eval_baselines import check_extras
        from ..shorts.feed_eval_data import read_feed_log, split_log

        check_extras()
        log = await asyncio.to_thread(read_feed_log, data)
        split = split_log(log, judge="val" if on_validation else "test", most=people, learn_from=learn_from)
        return await judged(database_url, split)

    report = run(work)
    if as_json:
        print_json(asdict(report))
    else:
        show(report)


async def judged(database_url: str, split: FeedSplit) -> FeedReport:
    from ..shorts.feed_eval import evaluate_feed

    psycopg = import_module("psycopg")
    try:
        async with await psycopg.AsyncConnection.connect(database_url, connect_timeout=10) as connection:
            try:
                with progress_bars() as show_progress:
                    return await evaluate_feed(connection, split, on_progress=show_progress)
            finally:
                # Nothing of it stays, however it ended.
                await connection.rollback()
    except psycopg.errors.UndefinedObject as error:
        raise NotFoundError(problem_of(error), doing="eval feed", code=error.sqlstate) from error
    except psycopg.errors.UndefinedFunction as error:
        raise NotFoundError(problem_of(error), doing="eval feed", code=error.sqlstate) from error
    except psycopg.OperationalError as error:
        if error.sqlstate is None:
            raise UnreachableError("feed_eval_unreachable", problem=problem_of(error)) from error
        raise ServerError(problem_of(error), doing="eval feed", code=error.sqlstate) from error
    except psycopg.Error as error:
        raise ServerError(problem_of(error), doing="eval feed", code=error.sqlstate) from error


def problem_of(error: Exception) -> str:
    """Its first line: the rest names the host and what else was tried."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def show(report: FeedReport) -> None:
    title = say(
        "feed_eval_title",
        people=report.people,
        videos=report.videos,
        learned_from=report.learned_from,
        seconds=report.prepared_seconds,
    )
    table = Table(title=title, title_justify="left")
    table.add_column(say("column_method"), overflow="fold", min_width=18)
    for name in ("ndcg", "recall_at_10", "coverage", "likeness", "seconds"):
        table.add_column(say(f"column_{name}"), justify="right")
    for row in report.rows:
        scores = row.scores
        table.add_row(
            Text(say(f"kind_feed_{row.method}")),
            f"{scores.ndcg:.4f}",
            f"{scores.recall:.4f}",
            f"{scores.coverage:.3f}",
            f"{scores.likeness:.4f}",
            f"{row.seconds:.1f}",
        )
    out.print(table)
