"""Walks docs/quickstart.md as a newcomer does, in a fresh clone of HEAD and on ports of its own; times each command.

Exits with 1 when a command fails, does not print what the page shows, or all of them take more than --limit seconds.
`--cold` hides this machine's caches, so that everything is downloaded but what apt-get has installed on it already.
`--limit 1` must make it exit with 1: a drill that cannot fail proves nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts.local_stack import debian_root
from scripts.local_stack.settings import REPOSITORY, user_cache

from .newcomer_page import Step, read_steps

PAGE = REPOSITORY / "docs" / "quickstart.md"
PORT_BASE = 18320
LIMIT_SECONDS = 300.0
PATIENCE_SECONDS = 600.0  # of one command: what takes longer hangs
HEARD_WITHIN_SECONDS = 10.0
END_SECONDS = 120
START = "./scripts/dev"
# The clone has a stack, keys and packages of its own; a newcomer has none of these set.
NOT_INHERITED = ("SUPABASE_", "ONDOL_", "PYTHONPATH", "PYTHONSAFEPATH", "VIRTUAL_ENV", "DATABASE_URL")


class WalkError(Exception):
    """A command of the page did not do what the page says."""


@dataclass(frozen=True)
class Timed:
    """How long a command took, or took until it had printed what the page shows."""

    command: str
    seconds: float


class Running:
    """A command that was typed, and what it has printed."""

    def __init__(self, step: Step, *, folder: Path, environment: Mapping[str, str], port_base: int) -> None:
        # The one thing that is not as on the page: this clone keeps away from the ports of other checkouts.
        command = f"{START} --port-base {port_base}" if step.command == START else step.command
        self.step = step
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  it is read for as long as the command runs
        self._process = subprocess.Popen(
            # A shell that runs this in its background has it ignore Ctrl-C, and so whatever it starts.
            ["env", "--default-signal=INT,HUP", "bash", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def printed(self) -> str:
        return os.pread(self._output.fileno(), 10_000_000, 0).decode(errors="replace")

    def until(self, text: str, *, seconds: float) -> None:
        """Wait until it has printed `text`; without one, until it has ended."""
        deadline = time.monotonic() + seconds
        while not (text and text in self.printed):
            code = self._process.poll()
            if code is not None:
                if text or code != 0:
                    raise WalkError(f"`{self.step.command}` ended with {code}:\n{self.printed[-3000:]}")
                return
            if time.monotonic() > deadline:
                raise WalkError(f"`{self.step.command}` did not get there in {seconds:g} s:\n{self.printed[-3000:]}")
            time.sleep(0.05)

    def end(self) -> None:
        """Ctrl-C, for the command and not for what it started: that is its own to end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._output.close()


def walk(steps: Sequence[Step], *, folder: Path, environment: Mapping[str, str], port_base: int) -> list[Timed]:
    """Do what the page says, beginning in `folder`; raises WalkError at the first command that fails."""
    timed: list[Timed] = []
    staying: list[Running] = []
    try:
        for step in steps:
            began = time.monotonic()
            if step.command.startswith("cd "):
                folder = folder / step.command.removeprefix("cd ")
                continue
            for name, text in step.files.items():
                (folder / name).write_text(text, encoding="utf-8")
            running = Running(step, folder=folder, environment=environment, port_base=port_base)
            staying.append(running)
            if step.stays:
                running.until("Ctrl-C", seconds=PATIENCE_SECONDS)
            else:
                running.until("", seconds=PATIENCE_SECONDS)
            if missing := step.missing(running.printed):
                raise WalkError(f"`{step.command}` did not print {', '.join(missing)}:\n{running.printed[-3000:]}")
            if step.heard:
                listening = [other for other in staying if other.step.stays]
                listening[-1].until(step.heard, seconds=HEARD_WITHIN_SECONDS)
            timed.append(Timed(step.command, round(time.monotonic() - began, 1)))
            print(f"newcomer: {timed[-1].seconds:6.1f} s  {step.command[:60]}", file=sys.stderr, flush=True)
    finally:
        for running in reversed(staying):
            running.end()
    return timed


def environment_for(caches: Path | None) -> dict[str, str]:
    """A newcomer's environment; with `caches`, an empty folder, that of somebody who has downloaded nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    if caches is not None:
        environment |= {"XDG_CACHE_HOME": str(caches / "cache"), "npm_config_cache": str(caches / "npm")}
    return environment


def cached() -> dict[str, bool]:
    """What a clone on this machine does not have to download."""
    return {
        "Debian root": debian_root.is_built(user_cache()),
        "Deno packages": (user_cache() / "deno" / ".stamp").exists(),
        "Python packages": (user_cache().parent / "pip").is_dir(),
        "npm packages": (Path.home() / ".npm" / "_cacache").is_dir(),
    }


def report(timed: Sequence[Timed], found: Mapping[str, bool], *, limit: float, as_json: bool) -> int:
    """Print what it took; the exit code."""
    total = round(sum(step.seconds for step in timed), 1)
    if as_json:
        figures = {"seconds": total, "limit_seconds": limit, "cached": found, "steps": [asdict(step) for step in timed]}
        print(json.dumps(figures, ensure_ascii=False))
        return 0 if total <= limit else 1
    table = Table("command", "seconds", box=None)
    for step in timed:
        command = step.command if len(step.command) <= 60 else step.command[:59] + "…"
        table.add_row(command, f"{step.seconds:.1f}")
    table.add_row("all", f"{total:.1f}", style="bold")
    Console(width=100).print(table)
    print("cached before:", ", ".join(f"{name} {'yes' if is_cached else 'no'}" for name, is_cached in found.items()))
    if total > limit:
        print(f"That is more than {limit:g} s.")
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", action="store_true", help="download everything, as on an empty machine")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds for all of it")
    parser.add_argument("--port-base", type=int, default=PORT_BASE, help="first port of the clone's stack")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    found = dict.fromkeys(cached(), False) if options.cold else cached()
    steps = read_steps(PAGE)
    for step in steps:
        step.command = step.command.replace("REPOSITORY", shlex.quote(str(REPOSITORY)))
    with tempfile.TemporaryDirectory(prefix="ondol-newcomer-") as temporary:
        folder, caches = Path(temporary) / "newcomer", Path(temporary) / "caches"
        folder.mkdir()
        try:
            timed = walk(
                steps,
                folder=folder,
                environment=environment_for(caches if options.cold else None),
                port_base=options.port_base,
            )
        except WalkError as error:
            print(f"newcomer: {error}", file=sys.stderr)
            return 1
    return report(timed, found, limit=options.limit, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
