"""What every command needs: where words go, how a command runs, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..config import environment
from ..errors import OndolError
from ..messages import choose_language, text

FAILED = 1
ROWS_REFUSED = 3
INTERRUPTED = 130

Result = TypeVar("Result")

LANGUAGE = choose_language(environment())


def say(key: str, **values: object) -> str:
    return text(key, language=LANGUAGE, **values)


out = Console()
err = Console(stderr=True)
options: dict[str, Any] = {"no_args_is_help": True, "pretty_exceptions_enable": False}

AsJson = Annotated[bool, typer.Option("--json", help=say("help_option_json"))]
Folder = Annotated[Path, typer.Argument(metavar="PATH", help=say("help_option_folder"))]
Region = Annotated[str, typer.Option("--region", help=say("help_option_region"))]


def run(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a command; an expected error becomes a sentence and the next step, Ctrl-C and a closed pipe say nothing."""
    try:
        return asyncio.run(work())
    except OndolError as error:
        complain(error)
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error
    except BrokenPipeError as error:
        # Python would complain again when it closes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from error


def complain(error: OndolError) -> None:
    err.print(Text(error.say(LANGUAGE), style="bold red"), soft_wrap=True)
    if step := error.next_step(LANGUAGE):
        err.print(Text(say("next_step", step=step)), soft_wrap=True)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """One bar per stage on stderr; nothing when stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(say(f"stage_{stage}"), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show


def moment(time: datetime) -> str:
    """In the reader's own time zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


def print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))
