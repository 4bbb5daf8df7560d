"""The Python, JavaScript and TypeScript of a page is one program of each language, and it is run as it stands."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from scripts.local_stack.settings import REPOSITORY

from . import elsewhere
from .blocks import blocks, pages_with
from .shown import not_like, shown_after
from .world import World

JAVASCRIPT = ("js", "javascript")
TYPESCRIPT = ("ts", "typescript")
LANGUAGES = ("python", *JAVASCRIPT, *TYPESCRIPT)
SECONDS = 60
TSC = REPOSITORY / "node_modules" / ".bin" / "tsc"
SCRATCH = REPOSITORY / ".local" / "docs"  # inside, so that node_modules is found
OPTIONS = "{ auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: ws } }"


def run_here(*languages: str) -> list[str]:
    return [
        page
        for page in pages_with(*languages)
        if not any((page, language) in elsewhere.PROGRAMS for language in languages)
    ]


def program(page: str, *languages: str) -> str:
    return "\n".join(block.text for block in blocks(*languages, page=page))


def printed_as_shown(page: str, printed: str, *languages: str) -> None:
    problems = [problem for block in shown_after(page, *languages) for problem in not_like(block, printed)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("page", run_here("python"))
async def test_the_python_of_the_page(page: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(world.folder)
    scope: dict[str, Any] = {
        **world.given,
        "publishable_key": world.stack.keys.publishable,
        "secret_key": world.stack.keys.secret,
        "client": world.person.client,
        "supabase": world.person.client.supabase,
    }
    code = compile(world.filled_in(program(page, "python")), page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = StringIO()
    with redirect_stdout(printed):
        running = eval(code, scope)  # noqa: S307 -- our own page
        if inspect.isawaitable(running):
            await asyncio.wait_for(running, SECONDS)
    printed_as_shown(page, printed.getvalue(), "python")


def names_for_javascript(text: str, world: World) -> str:
    """What the program takes for granted: the names that it does not declare or import itself."""
    given = {
        "ws": 'import ws from "ws";\nglobalThis.WebSocket ??= ws;',
        "createClient": 'import { createClient } from "@supabase/supabase-js";',
        **{name: f"const {name} = {json.dumps(value)};" for name, value in world.given.items()},
        "publishableKey": f"const publishableKey = {json.dumps(world.stack.keys.publishable)};",
        "secretKey": f"const secretKey = {json.dumps(world.stack.keys.secret)};",
        "options": f"const options = {OPTIONS};",
        "supabase": (
            f"const supabase = createClient({json.dumps(world.stack.api_url)}, "
            f"{json.dumps(world.stack.keys.publishable)}, {OPTIONS});\n"
            f"await supabase.auth.signInWithPassword({json.dumps(signing_in(world))});"
        ),
    }
    return "\n".join(line for name, line in given.items() if not is_declared(name, text))


def signing_in(world: World) -> dict[str, str]:
    return {"email": world.given["email"], "password": world.given["password"]}


def is_declared(name: str, text: str) -> bool:
    """At the top level: by const, let, function or import, alone or among others in braces."""
    alone = rf"^(?:export )?(?:const|let|var|(?:async )?function|import) (?:{name}\b|\{{[^}}]*\b{name}\b[^}}]*\}})"
    return re.search(alone, text, re.MULTILINE) is not None


@pytest.mark.parametrize("page", run_here(*JAVASCRIPT))
async def test_the_javascript_of_the_page(page: str, world: World) -> None:
    text = world.filled_in(program(page, *JAVASCRIPT))
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", "--input-type=module"],
        cwd=REPOSITORY,
        env={**os.environ, **world.settings},
        input=f"{names_for_javascript(text, world)}\n{text}\nprocess.exit(0);\n",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed_as_shown(page, done.stdout, *JAVASCRIPT)


def type_errors(text: str, folder: Path) -> str:
    """What tsc says of a program, with the names that it takes for granted declared."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("url", "publishableKey", "email", "password", "video_id", "typed", "query")
    given = [f"declare const {name}: string;" for name in names if not is_declared(name, text)]
    file = folder / "page.ts"
    file.write_text("\n".join((*given, text, "export {};\n")), encoding="utf-8")
    options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"]
    imports = ["--allowImportingTsExtensions", "--resolveJsonModule"]
    done = subprocess.run([TSC, *options, *imports, file], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""


def test_the_typescript_of_the_pages() -> None:
    errors = {page: type_errors(program(page, *TYPESCRIPT), SCRATCH) for page in run_here(*TYPESCRIPT)}
    assert {page: said for page, said in errors.items() if said} == {}


def test_a_wrong_type_is_found() -> None:
    right = 'import { createClient } from "@supabase/supabase-js";\nconst client = createClient(url, publishableKey);\n'
    assert type_errors(f"{right}await client.from('t').select();", SCRATCH) == ""
    assert "TS2345" in type_errors(f"{right.replace('url', '5')}", SCRATCH)


def test_a_name_that_the_page_declares_is_not_declared_again() -> None:
    imports = 'import { createClient } from "x";\nconst url = process.env.URL;\n'
    text = f"{imports}async function page() {{\n  const email = 1;\n}}\n"
    declared = [name for name in ("createClient", "url", "page", "email", "supabase") if is_declared(name, text)]
    assert declared == ["createClient", "url", "page"]
