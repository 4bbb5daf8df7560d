"""The runner of edge functions: started at the first call, started again when killed or changed, ended with its owner.

These tests prove the stand-in only. Their functions and ports are their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from scripts.local_stack.functions_runtime import FunctionFailed, FunctionNotFound, FunctionsRuntime
from scripts.local_stack.processes import start_time
from scripts.local_stack.settings import Stack

GREETING = """
import { greet } from "../_shared/greet.ts";
Deno.serve((request: Request) =>
  Response.json({
    pid: Deno.pid,
    greeting: greet(),
    path: new URL(request.url).pathname,
    environment: Deno.env.toObject(),
  })
);
"""


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """A folder with the function `hello` and what it imports."""
    folder = tmp_path / "supabase" / "functions"
    write(folder / "deno.json", "{}")
    write(folder / "_shared" / "greet.ts", "export const greet = () => 'annyeong';")
    write(folder / "hello" / "index.ts", GREETING)
    return folder


@pytest.fixture
def own_stack(stack: Stack, tmp_path: Path) -> Stack:
    """The stack's keys and cache, with a state folder and ports that the running gateway does not use."""
    ports = replace(stack.ports, functions=stack.ports.functions + 20)
    return replace(stack, state=tmp_path / "state", ports=ports)


@pytest.fixture
async def runtime(own_stack: Stack, functions: Path) -> AsyncIterator[FunctionsRuntime]:
    served = FunctionsRuntime(own_stack, functions=functions)
    yield served
    await served.close()


async def call(runtime: FunctionsRuntime, name: str = "hello") -> dict[str, object]:
    port = await runtime.port_for(name)
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{name}/x") as answer:
        described: dict[str, object] = await answer.json()
        return described


async def death_of(pid: int, *, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while start_time(pid) is not None:
        assert time.monotonic() < deadline, f"process {pid} lives on"
        await asyncio.sleep(0.01)


async def test_one_process_serves_call_after_call(runtime: FunctionsRuntime, own_stack: Stack) -> None:
    first, second = await asyncio.gather(call(runtime), call(runtime))
    assert first["pid"] == second["pid"] == (await call(runtime))["pid"]
    assert (first["greeting"], first["path"]) == ("annyeong", "/hello/x")
    port = await runtime.port_for("hello")
    assert own_stack.ports.functions <= port < own_stack.ports.functions + 20


async def test_a_function_finds_what_it_finds_on_a_hosted_project(
    runtime: FunctionsRuntime, own_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVELOPERS_OWN_TOKEN", "not for functions")
    write(own_stack.state / "functions.env", "WAKE_SECRET=wake-up\nSUPABASE_URL=http://elsewhere\n")
    environment = (await call(runtime))["environment"]
    assert isinstance(environment, dict)
    keys = own_stack.keys
    expected = {
        "WAKE_SECRET": "wake-up",
        "SUPABASE_URL": own_stack.api_url,
        "SUPABASE_DB_URL": own_stack.database_url(),
        "SUPABASE_ANON_KEY": keys.anon,
        "SUPABASE_SERVICE_ROLE_KEY": keys.service_role,
        "SUPABASE_PUBLISHABLE_KEY": keys.publishable,
        "SUPABASE_SECRET_KEY": keys.secret,
    }
    assert environment.items() >= expected.items()
    assert json.loads(environment["SUPABASE_SECRET_KEYS"]) == {"default": keys.secret}
    assert "DEVELOPERS_OWN_TOKEN" not in environment


async def test_a_developer_s_settings_are_read_from_the_file_that_the_supabase_cli_reads(
    runtime: FunctionsRuntime, own_stack: Stack, functions: Path
) -> None:
    write(own_stack.state / "functions.env", "WAKE_SECRET=the-stack-s\n")
    first = await call(runtime)
    write(functions / ".env", "AI_CHAT_MODEL=a-model\nWAKE_SECRET=another\nSUPABASE_URL=http://elsewhere\n")
    second = await call(runtime)
    assert second["pid"] != first["pid"]
    environment = second["environment"]
    assert isinstance(environment, dict)
    expected = {"AI_CHAT_MODEL": "a-model", "WAKE_SECRET": "the-stack-s", "SUPABASE_URL": own_stack.api_url}
    assert environment.items() >= expected.items()


async def test_a_killed_function_is_started_again(runtime: FunctionsRuntime) -> None:
    first = (await call(runtime))["pid"]
    assert isinstance(first, int)
    os.kill(first, signal.SIGKILL)
    await death_of(first)
    assert (await call(runtime))["pid"] != first


@pytest.mark.parametrize("changed", ["hello/index.ts", "_shared/greet.ts", "deno.json"])
async def test_a_changed_source_is_served_at_the_next_call(
    runtime: FunctionsRuntime, functions: Path, changed: str
) -> None:
    first = await call(runtime)
    file = functions / changed
    write(file, file.read_text(encoding="utf-8").replace("annyeong", "anyong") + "\n")
    second = await call(runtime)
    assert second["pid"] != first["pid"]
    assert second["greeting"] == ("anyong" if changed.startswith("_shared") else "annyeong")


@pytest.mark.parametrize("name", ["unknown", "_shared", "tests", "../functions/hello", "", "hello/index.ts"])
async def test_unknown_functions_are_not_found(runtime: FunctionsRuntime, name: str) -> None:
    with pytest.raises(FunctionNotFound):
        await runtime.port_for(name)


async def test_a_function_that_cannot_start_says_why_and_heals(runtime: FunctionsRuntime, functions: Path) -> None:
    write(functions / "hello" / "index.ts", 'throw new Error("no such setting");')
    with pytest.raises(FunctionFailed, match=r"hello ended while it started: .*no such setting"):
        await runtime.port_for("hello")
    write(functions / "hello" / "index.ts", GREETING)
    assert (await call(runtime))["greeting"] == "annyeong"


async def test_config_toml_decides_on_tokens_and_switches_off(runtime: FunctionsRuntime, functions: Path) -> None:
    assert runtime.verify_jwt("hello") is True
    config = functions.parent / "config.toml"
    write(config, "[functions.hello]\nverify_jwt = false\n")
    assert runtime.verify_jwt("hello") is False
    assert runtime.verify_jwt("other") is True
    write(config, "[functions.hello]\nenabled = false\n\n")
    with pytest.raises(FunctionNotFound):
        await runtime.port_for("hello")


async def test_close_ends_every_process(runtime: FunctionsRuntime) -> None:
    pid = (await call(runtime))["pid"]
    assert isinstance(pid, int)
    started = time.monotonic()
    await runtime.close()
    assert start_time(pid) is None
    assert time.monotonic() - started < 2


async def test_a_function_dies_with_a_killed_owner(own_stack: Stack, functions: Path) -> None:
    own_stack.save()
    owner = """
import asyncio, sys
from pathlib import Path
from scripts.local_stack.functions_runtime import FunctionsRuntime
from scripts.local_stack.settings import Stack

async def main():
    runtime = FunctionsRuntime(Stack.load(Path(sys.argv[1])), functions=Path(sys.argv[2]))
    await runtime.port_for("hello")
    print(runtime._served["hello"].process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", owner, str(own_stack.file), str(functions)),
        cwd=own_stack.repository,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        pid = int(await process.stdout.readline())
        assert start_time(pid) is not None
    finally:
        process.kill()
        await process.wait()
    await death_of(pid)


async def test_the_projects_own_function_starts_and_refuses_strangers(own_stack: Stack) -> None:
    write(own_stack.state / "functions.env", "WAKE_SECRET=of-the-test\n")
    runtime = FunctionsRuntime(own_stack)
    try:
        assert runtime.verify_jwt("notify-trend") is False
        port = await runtime.port_for("notify-trend")
        async with aiohttp.ClientSession() as session, session.post(f"http://127.0.0.1:{port}/notify-trend") as answer:
            assert answer.status == 401
            assert (await answer.json())["code"] == "invalid_wake"
    finally:
        await runtime.close()
