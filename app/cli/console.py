"""What every command needs: where words go, how a command runs, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

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


class Screen(Console):
    """Shows what others wrote, titles and answers of servers, without letting it steer the terminal."""

    def print(self, *objects: Any, **how: Any) -> None:
        """A table in a pipe has no frame, so that its lines can be cut by columns."""
        for table in objects:
            if isinstance(table, Table) and not self.is_terminal:
                table.box = None
        super().print(*objects, **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or not STEERS.search(segment.text):
                yield segment
            else:
                yield Segment(STEERS.sub("\ufffd", segment.text), segment.style)


# Control characters but the line feed, and those that turn the direction of text.
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

NO_TEXT = re.compile(r"[\ud800-\udfff]")  # stands for a byte that was no UTF-8

PIPE_WIDTH = 10_000  # in a pipe nothing is folded: a line is a line


def screen(*, stderr: bool = False) -> Screen:
    made = Screen(stderr=stderr)
    return made if made.is_terminal else Screen(stderr=stderr, width=PIPE_WIDTH)


STAGES = tuple(say(f"stage_{name}") for name in ("ingest", "detect", "notify", "serve", "look_after"))


class StagedGroup(TyperGroup):
    """Commands in the order of the stages: Typer draws a panel for each on a terminal, this writes them in a pipe."""

    def list_commands(self, ctx: Any) -> list[str]:
        def place(name: str) -> int:
            stage = self.stage_of(name)
            return STAGES.index(stage) if stage in STAGES else len(STAGES)

        return sorted(self.commands, key=place)

    def stage_of(self, name: str) -> str:
        return getattr(self.commands[name], "rich_help_panel", None) or say("help_commands")

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for stage, names in groupby(self.list_commands(ctx), key=self.stage_of):
            with formatter.section(stage):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(PIPE_WIDTH)) for name in names])


out = screen()
err = screen(stderr=True)
options: dict[str, Any] = {
    "cls": StagedGroup,
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": "rich" if out.is_terminal else None,
}


def described(key: str, example: str) -> dict[str, Any]:
    """What a command's own --help says: `key` names the sentence, `example` can be typed as it stands."""
    return {"help": say(key), "epilog": say("help_example", example=example)}


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


def check_words(words: Sequence[str]) -> None:
    """Refuse control characters and bytes that are no UTF-8: a shell passes them on, no source knows them."""
    for word in words:
        if STEERS.search(word) or NO_TEXT.search(word):
            raise typer.BadParameter(say("words_no_text", word=ascii(word)))


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
