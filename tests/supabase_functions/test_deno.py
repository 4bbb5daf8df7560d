"""The edge functions' own tests and checks, run by Deno itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from scripts.local_stack.settings import REPOSITORY, user_cache

FUNCTIONS = REPOSITORY / "supabase" / "functions"
DENO = Path(sysconfig.get_path("scripts")) / "deno"


def deno(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Deno in the functions' folder, with the cache of the local stack."""
    environment = {"DENO_DIR": str(user_cache() / "deno"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    return subprocess.run(
        [DENO, *arguments],
        cwd=FUNCTIONS,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("test", "--no-prompt", "--allow-env", "--allow-net=127.0.0.1", "tests"),
        ("check", "."),
        ("lint", "."),
        ("fmt", "--check", "."),
    ],
    ids=lambda arguments: arguments[0],
)
def test_deno(arguments: tuple[str, ...]) -> None:
    done = deno(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    if arguments[0] == "test":
        assert re.search(r"ok \| [1-9]\d* passed \| 0 failed", done.stdout), done.stdout


def test_every_package_is_pinned_exactly_and_locked() -> None:
    configuration = json.loads((FUNCTIONS / "deno.json").read_text(encoding="utf-8"))
    assert configuration["lock"]["frozen"] is True
    lock = json.loads((FUNCTIONS / "deno.lock").read_text(encoding="utf-8"))
    for specifier in configuration["imports"].values():
        assert re.fullmatch(r"npm:(@[\w-]+/)?[\w-]+@\d+\.\d+\.\d+", specifier)
        assert lock["specifiers"][specifier] == specifier.rpartition("@")[2]
    assert all(package["integrity"].startswith("sha512-") for package in lock["npm"].values())
    # A lock that names a registry would bind everybody to that registry.
    assert not re.search(r"https?:", (FUNCTIONS / "deno.lock").read_text(encoding="utf-8"))
