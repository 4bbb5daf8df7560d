"""The rules of the repository that a reader relies on, as tests over its files."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS = {".ci", "app", "docs", "functions", "scripts", "supabase", "tests", "web"}
APACHE_2 = "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4"

# Whom a page or a file may name; where packages come from is the machine's own setting and never among them.
KNOWN_HOSTS = {
    *("example.com", "abc.supabase.co", "x.co", "localhost.co", "youtu.be"),
    *("apache.org", "github.com", "keepachangelog.com", "semver.org", "standardwebhooks.com"),
    *("googleapis.com", "developers.google.com", "console.cloud.google.com", "youtube.com", "i.ytimg.com"),
    *("api.brightdata.com", "docs.brightdata.com"),
    *("youtube-nocookie.com", "w3.org"),  # the player of the board, the namespace of its icon
    *("dotenvx.com", "paulmillr.com", "opencollective.com", "tidelift.com"),  # lock files: where authors take donations
}
RESERVED = (".test", ".example", ".invalid")
ADDRESS = re.compile(r"https?://(?:www\.)?((?:[a-z0-9-]+\.)+[a-z]{2,})\b")
# Put together here, so that this file does not break its own rules.
MACHINE_PATHS = re.compile(r"(?<![\w.~}/-])/(?:work|root|home|Users|mnt)/(?=\w)")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b")

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    found = tuple(sorted(REPOSITORY / name for name in listed.split("\0") if name))
    return tuple(file for file in found if file.is_file())


@cache
def read(file: Path) -> str:
    return file.read_bytes().decode("utf-8", errors="replace")


def name(file: Path) -> str:
    return str(file.relative_to(REPOSITORY))


PAGES = [file for file in files() if file.suffix == ".md"]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name(file)}:{number}: {line.strip()[:100]}"
        for file in files()
        for number, line in enumerate(read(file).splitlines(), start=1)
        if pattern.search(line)
    ]


def unknown_hosts(text: str) -> list[str]:
    return [host for host in ADDRESS.findall(text) if host not in KNOWN_HOSTS and not host.endswith(RESERVED)]


def test_no_file_names_a_host_that_nobody_decided_on() -> None:
    assert {name(file): found for file in files() if (found := unknown_hosts(read(file)))} == {}


def test_no_file_names_a_path_of_one_machine() -> None:
    assert lines_with(MACHINE_PATHS) == []


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(UNFINISHED) == []


def test_the_patterns_find_what_they_look_for() -> None:
    assert unknown_hosts("https://" + "packages.some-registry.org/x and https://example.com/y") == [
        "packages.some-registry.org"
    ]
    for path in ("cd /home" + "/me", '"/work' + '/main"', "(/root" + "/x"):
        assert MACHINE_PATHS.search(path), path
    assert not MACHINE_PATHS.search("../home/me and https://example.com/home/me and ~/work/x and $HOME/work/x")
    assert UNFINISHED.search("# TO" + "DO: later")


def test_the_licence_is_the_full_text_of_apache_2() -> None:
    assert hashlib.sha256((REPOSITORY / "LICENSE").read_bytes()).hexdigest() == APACHE_2
    assert 'license = "Apache-2.0"' in read(REPOSITORY / "pyproject.toml")
    assert '"license": "Apache-2.0"' in read(REPOSITORY / "package.json")


def test_top_level_folders_are_those_of_the_design() -> None:
    found = {file.relative_to(REPOSITORY).parts[0] for file in files() if file.parent != REPOSITORY}
    assert found <= FOLDERS


def test_every_script_has_its_line_in_the_readme_and_every_line_its_script() -> None:
    folder = REPOSITORY / "scripts"
    scripts = {file.relative_to(folder).parts[0] for file in files() if file.is_relative_to(folder)}
    scripts -= {"README.md", "__init__.py"}
    described = re.findall(r"^\| `([^`]+)` \| \S.*\|$", read(folder / "README.md"), re.MULTILINE)
    assert sorted(entry.rstrip("/") for entry in described) == sorted(scripts)


def test_commands_can_be_executed_and_stop_at_the_first_error() -> None:
    commands = [file for file in files() if read(file).startswith("#!")]
    assert {"scripts/dev", "scripts/test", "scripts/check", "scripts/setup", ".ci/run"} <= set(map(name, commands))
    for file in commands:
        assert os.access(file, os.X_OK), name(file)
        assert re.search(r"^set -eu", read(file), re.MULTILINE), name(file)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", read(page))):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / path).resolve() if path else page
        leads_inside = file.exists() and file.is_relative_to(REPOSITORY)
        if not leads_inside or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The names that headings of a page get, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", read(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def typed_commands(page: Path) -> Iterator[list[str]]:
    """The words of each line after `$ ` in a console block, without comments."""
    for language, block in FENCE.findall(read(page)):
        if language == "console":
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ "):
                    yield line[2:].partition(" #")[0].split()


def mentioned_commands(page: Path) -> Iterator[list[str]]:
    """The words of each `code` in the text that begins as a command of ours."""
    for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", read(page))):
        if code.startswith(("./scripts/", ".venv/bin/", "ondol ", "python -m ")):
            yield code.split()


def test_a_command_that_does_not_exist_is_found() -> None:
    check_words(ondol_command(), ["trends", "now", "--region", "KR"], line="")
    for words in (["trend", "now"], ["trends", "later"], ["trends", "now", "--country", "KR"]):
        with pytest.raises(AssertionError):
            check_words(ondol_command(), words, line="")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_on_a_page_exists(page: Path) -> None:
    for words in [*typed_commands(page), *mentioned_commands(page)]:
        while "=" in words[0]:  # settings before the command
            words.pop(0)
        command, *rest = words
        line = " ".join(words)
        if command.startswith("./scripts/"):
            assert os.access(REPOSITORY / command, os.X_OK), line
        if command == "./scripts/dev":
            # What follows psql is psql's own.
            check_words(stack_command(), rest[:1] if rest[:1] == ["psql"] else rest, line=line)
        if command in {"ondol", ".venv/bin/ondol"}:
            check_words(ondol_command(), rest, line=line)
        if command.endswith("python") and rest[:1] == ["-m"] and rest[1].startswith("scripts."):
            module = REPOSITORY / rest[1].replace(".", "/")
            assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), line


def stack_command() -> Any:
    from scripts.local_stack.commands import cli

    return typer.main.get_command(cli)


def ondol_command() -> Any:
    from app.cli import cli

    return typer.main.get_command(cli)


def check_words(command: Any, words: list[str], *, line: str) -> None:
    """Subcommands and options in `words` are known to `command`, a command or group of Typer's own click."""
    for word in words:
        if word.startswith("--"):
            options = {option for parameter in command.params for option in parameter.opts}
            assert word.partition("=")[0] in {*options, "--help"}, f"{word} in: {line}"
        elif hasattr(command, "commands") and re.fullmatch(r"[a-z][a-z-]*", word):
            assert word in command.commands, f"{word} in: {line}"
            command = command.commands[word]
