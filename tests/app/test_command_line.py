"""What holds for every command of `ondol`, and what only a terminal, a pipe or a shell can show."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.table import Table

from app.cli import NAME, cli
from app.cli.console import screen
from app.messages import TEXTS
from app.version import VERSION

from .shorts.datasets import chart_row, video_row, write_dataset
from .test_cli import NOWHERE, environment, ondol

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
STAGES = ["Ingest", "Detect", "Notify", "Serve", "Look after"]
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


def leaves(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, one in inner.items():
        yield from leaves((*path, name), one)


ROOT: Any = typer.main.get_command(cli)
COMMANDS = list(leaves((), ROOT))


def name_of(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else ""


# Every command


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=name_of)
def test_each_command_has_a_line_an_example_and_json(
    path: tuple[str, ...], command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://x.example/")  # where an option may come from
    assert command.help.partition("\n")[0].endswith(".")
    assert "--json" in {option for parameter in command.params for option in parameter.opts}
    assert all(parameter.help for parameter in command.params)
    words = command.epilog.partition(": ")[2].split()
    assert tuple(words[: len(path) + 1]) == (NAME, *path)
    # Raises when an option or a value of the example is not known.
    command.make_context(path[-1], words[len(path) + 1 :], resilient_parsing=False)


@pytest.mark.parametrize("group", ["ingest", "trends", "webhooks", "eval"])
def test_the_line_of_a_group_names_its_commands(group: str) -> None:
    for said in TEXTS[f"help_{group}"]:
        listed = said.partition("\n")[0].partition(": ")[2].rstrip(".").split(", ")
        assert sorted(listed) == sorted(ROOT.commands[group].commands)


def test_the_page_is_what_the_commands_say() -> None:
    """In a process of its own: the language is that of the environment when the commands are imported."""
    made = subprocess.run(
        [sys.executable, "-c", "from scripts.generate_cli_reference import reference; print(reference(), end='')"],
        env=environment(ONDOL_LANG="en"),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert PAGE.read_text(encoding="utf-8") == made, "Run ./scripts/generate-cli-reference."
    for path, _ in COMMANDS:
        assert f"\n### {NAME} {' '.join(path)}\n" in made


def test_the_version(tmp_path: Path) -> None:
    done = ondol("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"ondol {VERSION}\n")


# Exit codes


def test_each_exit_code_of_the_page_is_given(tmp_path: Path) -> None:
    """130 needs a signal: test_ctrl_c_is_quiet."""
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    write_dataset(tmp_path, chart=[chart_row()], videos=[video_row(), video_row(title="")])
    cases: dict[int, tuple[str, ...]] = {
        0: ("ingest", "youtube", "x", "--dry-run"),
        1: ("trends", "now"),
        2: ("trends", "now", "--limit", "0"),
        3: ("ingest", "dataset", ".", "--dry-run"),
    }
    assert documented == {*cases, 130}
    for code, words in cases.items():
        done = ondol(*words, cwd=tmp_path, **NOWHERE)
        assert done.returncode == code, done.stderr


# A terminal and a pipe


def on_terminal(*arguments: str, cwd: Path, **environ: str) -> str:
    """What a person sees: stdout and stderr are a terminal of 100 columns."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=cwd,
        env=environment(TERM="xterm-256color", COLUMNS="100", **environ),
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            piece = os.read(leader, 65_536)
        except OSError:  # what Linux says once the last follower is closed
            break
        if not piece:
            break
        seen += piece
    os.close(leader)
    assert process.wait(timeout=60) == 0
    return seen.decode()


def headings(said: str) -> list[str]:
    return [stage for line in said.splitlines() for stage in STAGES if re.search(rf"(^|─ ){stage}(:| ─)", line)]


def test_help_is_a_table_of_contents_in_a_pipe(tmp_path: Path) -> None:
    said = ondol("--help", cwd=tmp_path).stdout
    assert headings(said) == STAGES
    assert not set("\x1b─│╭") & set(said)


def test_help_is_a_table_of_contents_on_a_terminal(tmp_path: Path) -> None:
    said = on_terminal("--help", cwd=tmp_path)
    assert COLOUR.search(said)
    assert headings(re.sub(r"\x1b\[[0-9;]*m", "", said)) == STAGES


@pytest.mark.parametrize(("environ", "has_colour"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_is_honoured(tmp_path: Path, environ: dict[str, str], has_colour: bool) -> None:
    for arguments in (("--help",), ("trends", "--help")):
        assert bool(COLOUR.search(on_terminal(*arguments, cwd=tmp_path, **environ))) == has_colour


def test_a_table_is_framed_on_a_terminal_and_plain_in_a_pipe(tmp_path: Path) -> None:
    write_dataset(tmp_path, chart=[chart_row()], videos=[video_row()])
    words = ("ingest", "dataset", ".", "--dry-run")
    assert "┃" in on_terminal(*words, cwd=tmp_path)
    said = ondol(*words, cwd=tmp_path).stdout
    assert not set("\x1b┃│━") & set(said)
    assert re.search(r"^ ?videos +1 ", said, re.MULTILINE)


def test_a_row_in_a_pipe_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table()
    table.add_column("title", overflow="fold")
    table.add_row("하나 둘 " * 100)
    screen().print(table)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["title", ("하나 둘 " * 100).strip()]


# Completion


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own, where `ondol` is a command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / NAME
    command.write_text(f"#!{sys.executable}\nfrom app.cli import main\n\nmain()\n")
    command.chmod(0o755)
    given = environment(HOME=str(tmp_path), PATH=f"{folder}:{os.environ['PATH']}")
    return {name: value for name, value in given.items() if not name.startswith(("BASH", "ZDOTDIR"))}


def run_bash(script: str, shell: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=shell, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bash_completes_once_it_is_installed(shell: dict[str, str]) -> None:
    """As a reader does it: install, open a new shell, type half a word and Tab."""
    assert "bash completion installed" in run_bash("ondol --install-completion; true", shell)
    tab = 'COMPREPLY=(); _ondol_completion ondol; printf "%s\\n" "${COMPREPLY[@]}"'
    for typed, completed in {
        "ondol tr": ["trends"],
        "ondol webhooks re": ["remove", "replay"],
        "ondol trends now --re": ["--region"],
        "ondol nothing": [],
    }.items():
        words = typed.split()
        script = f"source ~/.bashrc; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; {tab}"
        assert sorted(run_bash(script, shell).split()) == completed, typed
    assert "_ondol_completion" in run_bash("source ~/.bashrc; complete -p ondol", shell)


@pytest.mark.parametrize(
    ("protocol", "environ"),
    [
        ("complete_zsh", {"_TYPER_COMPLETE_ARGS": "ondol webhooks ro"}),
        ("complete_fish", {"_TYPER_COMPLETE_ARGS": "ondol webhooks ro", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_zsh_and_fish_are_answered(shell: dict[str, str], protocol: str, environ: dict[str, str]) -> None:
    """What the scripts of --show-completion ask, and both scripts name the command."""
    said = run_bash("ondol", shell | environ | {"_ONDOL_COMPLETE": protocol})
    assert "rotate" in said
    assert "remove" not in said
    script = run_bash("ondol", shell | {"_ONDOL_COMPLETE": protocol.replace("complete_", "source_")})
    assert "_ONDOL_COMPLETE" in script
