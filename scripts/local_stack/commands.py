"""The commands behind ./scripts/dev."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import board, postgres, processes, supervisor
from .errors import StackError
from .settings import Stack, write_private

PORT_BASE_HELP = "Use ports from here on instead of those of supabase/config.toml, e.g. 58320."
PortBase = Annotated[int | None, typer.Option("--port-base", min=1024, max=65000, help=PORT_BASE_HELP)]
cli = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="The local stack: Supabase without Docker on this machine, and the main job from ingest to serve on it.",
)
console = Console(stderr=True)
INTERRUPTED = 130
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@cli.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Run the main job on a fresh stack, then end it.")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="A data set's folder; a sample is made without.")] = None,
    port_base: PortBase = None,
) -> None:
    """Start the stack, run the main job from ingest to serve, and stay until Ctrl-C."""
    if context.invoked_subcommand is not None:
        context.obj = port_base
        return
    from . import main_job  # slow to import: it brings the whole client

    stack = Stack.create("once" if once else "dev", port_base=port_base)
    data = data.resolve() if data is not None else None
    main_job.require_dataset(data)
    began = time.monotonic()
    try:
        with supervisor.exclusive(stack, "foreground"), ExitStack() as starting:
            # Refused here, it must not end what another command is starting.
            starting.enter_context(supervisor.exclusive(stack))
            try:
                if once:
                    supervisor.reset(stack)
                else:
                    board.build(stack.repository, say)
                supervisor.up(stack, say)
                starting.close()  # from here on ./scripts/dev up may heal a part beside it
                if not once:
                    write_environment(stack)
                arrived = asyncio.run(main_job.run(stack, data, console=console, stay=not once))
            finally:
                end(stack)
    except KeyboardInterrupt:
        say("interrupted; everything that was started is ended")
        raise typer.Exit(INTERRUPTED) from None
    say(f"done after {time.monotonic() - began:.1f} s")
    raise typer.Exit(0 if arrived else 1)


@cli.command()
def up(context: typer.Context, port_base: PortBase = None) -> None:
    """Start what is not running, heal what is broken, apply new migrations; leave it running."""
    stack = running_or_new(port_base or context.obj)
    try:
        with supervisor.exclusive(stack):
            board.build(stack.repository, say)
            supervisor.up(stack, say)
    except KeyboardInterrupt:
        say("interrupted; ./scripts/dev up goes on from here, ./scripts/dev down ends what was started")
        raise typer.Exit(INTERRUPTED) from None
    write_environment(stack)
    say(f"the stack is up at {stack.api_url}, the board at {stack.board_url}; end both with ./scripts/dev down")


@cli.command()
def down() -> None:
    """End every part of the stack; the data stays."""
    stack = existing()
    with supervisor.exclusive(stack):
        supervisor.down(stack)
    say("the stack is down; its data stays until ./scripts/dev reset")


@cli.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False) -> None:
    """Say how each part is; the exit code is 1 when one is not healthy."""
    stack = existing()
    found = supervisor.status(stack)
    broken = [part.name for part in found if part.state != "healthy"]
    if as_json:
        print(
            json.dumps(
                {"api_url": stack.api_url, "board_url": stack.board_url, "parts": [vars(part) for part in found]}
            )
        )
    else:
        table = Table("part", "state", "process", "port", box=None)
        for part in found:
            style = "green" if part.state == "healthy" else "red"
            table.add_row(part.name, f"[{style}]{part.state}[/]", str(part.pid or "-"), str(part.port or "-"))
        Console().print(table)
    if broken:
        say(f"not healthy: {', '.join(broken)}. Heal it with ./scripts/dev up; the reason is in {stack.logs}.")
        raise typer.Exit(1)


@cli.command()
def reset() -> None:
    """End the stack and forget its data; the next start is a first start."""
    stack = existing()
    with supervisor.exclusive(stack):
        supervisor.reset(stack)
    say("the stack is down and its data is gone; ./scripts/dev up makes it anew")


@cli.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def psql(context: typer.Context) -> None:
    """Open psql as the role `postgres`; further arguments go to psql."""
    stack = existing()
    if processes.process_id("postgres", stack) is None:
        raise StackError("Postgres is not running.", next_step="Start it with ./scripts/dev up.")
    command = postgres.in_root(stack, ["psql", stack.database_url(), *context.args])
    os.execvp(command[0], command)  # noqa: S606


@cli.command()
def logs(
    part: Annotated[str, typer.Argument(help="A part's name, as status prints it.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
) -> None:
    """Print the end of the parts' logs, or of one part's."""
    stack = existing()
    files = sorted(stack.logs.glob(f"{part}.log" if part else "*.log"))
    if not files:
        names = ", ".join(sorted(file.stem for file in stack.logs.glob("*.log"))) or "none yet"
        raise StackError(f"There is no log called {part or 'anything'}.", next_step=f"Logs there are: {names}.")
    subprocess.run(["tail", "-n", "40", *(["-f"] if follow else []), *map(str, files)], check=False)


def end(stack: Stack) -> None:
    """End the stack whatever comes: a second Ctrl-C or a closed terminal would leave parts behind."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    try:
        say("stopping")
    finally:
        supervisor.down(stack)


def running_or_new(port_base: int | None) -> Stack:
    """Without --port-base a stack that runs is healed where it is, not moved to the configured ports."""
    stack = Stack.create("dev", port_base=port_base)
    if port_base is None and stack.file.exists():
        described = Stack.load(stack.file)
        if any(part.pid is not None for part in supervisor.status(described)):
            return described
    return stack


def existing() -> Stack:
    return Stack.load(Stack.create("dev").file)


def write_environment(stack: Stack) -> None:
    """Give a checkout without .env one that reaches this stack; an existing one is the reader's own."""
    file = stack.repository / ".env"
    lines = (
        "# Written by ./scripts/dev for the local stack; .env.example says what each line means.\n"
        f"SUPABASE_URL={stack.api_url}\n"
        f"SUPABASE_PUBLISHABLE_KEY={stack.keys.publishable}\n"
        f"SUPABASE_SECRET_KEY={stack.keys.secret}\n"
    )
    if not file.exists():
        write_private(file, lines)
        say("wrote .env, so that `.venv/bin/ondol` reaches this stack")
        return
    written = file.read_text(encoding="utf-8")
    if stack.keys.publishable not in written:
        say(f".env names other keys than this stack's, which are in {stack.file}; it was left as it is")
    elif f"SUPABASE_URL={stack.api_url}\n" not in written:
        say(f".env names another SUPABASE_URL than this stack's, which is {stack.api_url}; it was left as it is")


def say(message: str) -> None:
    console.print(f"[dim]dev:[/] {message}", highlight=False, soft_wrap=True)


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    for number in ENDING:
        if number != signal.SIGINT and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interrupt)
    try:
        cli()
    except StackError as error:
        say(f"[red]{escape(error.message)}[/] {escape(error.next_step)}")
        sys.exit(1)
