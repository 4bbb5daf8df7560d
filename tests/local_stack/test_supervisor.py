"""./scripts/dev itself: what it starts it heals and ends, and what it cannot do it says in one sentence."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.local_stack import processes, supervisor
from scripts.local_stack.parts import parts
from scripts.local_stack.settings import Ports, Stack

from .conftest import PORT_BASE, Checkout

PART_NAMES = ["postgres", "data-api", "realtime", "net-worker", "gateway", "handler", "board"]


def quiet(message: str) -> None:
    """The tests look at what happened, not at what was said."""


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    """A stack of this module's own: its tests kill parts."""
    stack = Stack.create("heal", port_base=16320)
    with supervisor.exclusive(stack):
        supervisor.reset(stack)
        try:
            supervisor.up(stack, quiet)
            yield stack
        finally:
            supervisor.reset(stack)


def test_names_every_part(own_stack: Stack) -> None:
    assert [part.name for part in parts(own_stack)] == PART_NAMES
    assert {part.state for part in supervisor.status(own_stack)} == {"healthy"}


@pytest.mark.parametrize("name", PART_NAMES)
def test_a_killed_part_is_named_and_healed(own_stack: Stack, name: str) -> None:
    pid = processes.process_id(name, own_stack)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    part = next(part for part in parts(own_stack) if part.name == name)
    while processes.process_id(name, own_stack) is not None:
        pass
    assert supervisor.part_status(part, own_stack).state == "stopped"

    supervisor.up(own_stack, quiet)

    assert {part.state for part in supervisor.status(own_stack)} == {"healthy"}
    answer = httpx.post(
        f"{own_stack.api_url}/rest/v1/rpc/trending_now",
        headers={"apikey": own_stack.keys.publishable},
        json={"region": "KR"},
        timeout=20,
    )
    assert (answer.status_code, answer.json()) == (200, [])


def test_a_part_that_hangs_is_replaced(own_stack: Stack) -> None:
    pid = processes.process_id("gateway", own_stack)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    part = next(part for part in parts(own_stack) if part.name == "gateway")
    assert supervisor.part_status(part, own_stack).state == "not answering"
    supervisor.up(own_stack, quiet)
    assert processes.process_id("gateway", own_stack) not in (None, pid)
    assert supervisor.part_status(part, own_stack).state == "healthy"


def test_up_goes_on_from_an_interrupted_first_start(own_stack: Stack) -> None:
    supervisor.reset(own_stack)
    own_stack.save()
    database = parts(own_stack)[0]
    supervisor.launch_if_needed(database, own_stack, quiet)
    processes.wait_until_healthy(database, own_stack)

    supervisor.up(own_stack, quiet)

    assert {part.state for part in supervisor.status(own_stack)} == {"healthy"}


def test_up_twice_starts_nothing_twice(own_stack: Stack) -> None:
    before = supervisor.status(own_stack)
    supervisor.up(own_stack, quiet)
    assert supervisor.status(own_stack) == before


def test_another_process_with_our_old_id_is_not_ours(own_stack: Stack) -> None:
    record = processes.record_file("stranger", own_stack)
    record.write_text(f'{{"pid": {os.getpid()}, "started": 1}}', encoding="utf-8")
    assert processes.process_id("stranger", own_stack) is None
    record.unlink()


def free(port: int) -> bool:
    return processes.port_holder(port) is None


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGINT], [signal.SIGINT, signal.SIGINT], [signal.SIGHUP]],
    ids=["Ctrl-C", "an impatient second Ctrl-C", "a closed terminal"],
)
def test_ending_leaves_no_process_and_no_port(checkout: Checkout, signals: list[signal.Signals]) -> None:
    process, _ = checkout.started("--port-base", PORT_BASE)
    assert process.stdout is not None
    stack = Stack.load(checkout.folder / ".local/dev/stack.json")
    assert {part.state for part in supervisor.status(stack)} == {"healthy"}
    running = [part.pid for part in supervisor.status(stack)]

    output = ""
    for number in signals:
        process.send_signal(number)
        while signals[1:] and "stopping" not in output:
            output += process.stdout.readline()
    output += process.communicate(timeout=60)[0]

    assert process.returncode == 130, output
    assert [pid for pid in running if pid is not None and processes.start_time(pid) is not None] == []
    ports = vars(Ports.from_base(int(PORT_BASE)))
    assert [name for name, port in ports.items() if not free(port)] == []


def test_up_heals_beside_a_running_dev(checkout: Checkout) -> None:
    process, _ = checkout.started("--port-base", PORT_BASE)
    stack = Stack.load(checkout.folder / ".local/dev/stack.json")
    pid = processes.process_id("handler", stack)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    code, output = checkout.run("status")
    assert (code, "not healthy: handler" in output) == (1, True), output

    code, output = checkout.run("up")

    assert code == 0, output
    assert {part.state for part in supervisor.status(stack)} == {"healthy"}
    assert Stack.load(stack.file).ports == stack.ports, "it is healed where it runs, not moved"
    code, output = checkout.run("--port-base", PORT_BASE)
    assert code == 1
    one_sentence(output, "Another ./scripts/dev is at work")
    process.send_signal(signal.SIGINT)
    assert "stopping" in process.communicate(timeout=60)[0]


def test_a_half_made_cluster_is_made_anew(own_stack: Stack) -> None:
    supervisor.down(own_stack)
    (own_stack.state / "data.made").unlink()
    (own_stack.state / "data" / "global" / "pg_control").unlink()
    supervisor.up(own_stack, quiet)
    assert {part.state for part in supervisor.status(own_stack)} == {"healthy"}


def one_sentence(output: str, *parts_of_it: str) -> None:
    lines = [line for line in output.splitlines() if line.strip()]
    said = " ".join(line for line in lines if not line.startswith("dev: stopping"))
    assert "Traceback" not in output
    assert len(lines) <= 4, output
    for part in parts_of_it:
        assert part in said, output


def test_two_at_once(checkout: Checkout) -> None:
    stack = Stack.create("dev", port_base=int(PORT_BASE), repository=checkout.folder)
    with supervisor.exclusive(stack):
        code, output = checkout.run("up", "--port-base", PORT_BASE)
    assert code == 1
    one_sentence(output, f"Another ./scripts/dev is at work on this stack (process {os.getpid()})", "Ctrl-C")


def test_a_refused_dev_leaves_what_another_command_started(checkout: Checkout) -> None:
    stack = Stack.create("dev", port_base=int(PORT_BASE), repository=checkout.folder)
    assert checkout.run("up", "--port-base", PORT_BASE)[0] == 0
    with supervisor.exclusive(stack):
        code, output = checkout.run("--port-base", PORT_BASE)
    assert code == 1
    one_sentence(output, "Another ./scripts/dev is at work")
    assert {part.state for part in supervisor.status(stack)} == {"healthy"}
    assert checkout.run("down")[0] == 0
    assert checkout.run("reset")[0] == 0
    assert not stack.state.exists()


def test_a_taken_port(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", int(PORT_BASE) + 1)):
        code, output = checkout.run("up", "--port-base", PORT_BASE)
    assert code == 1
    one_sentence(output, f"Port {int(PORT_BASE) + 1} on 127.0.0.1 is taken by process {os.getpid()}", "--port-base")
    assert free(int(PORT_BASE) + 2), "nothing may be left half up"


def test_no_root(checkout: Checkout) -> None:
    code, output = checkout.run("up", "--port-base", PORT_BASE, prefix=("unshare", "--user", "--map-user=1000"))
    assert code == 1
    one_sentence(output, "only root can", "sudo", "supabase start")


def path_without(folder: Path, *missing: str) -> str:
    """A PATH that has every program of today's PATH except some."""
    folder.mkdir()
    for place in reversed(os.environ["PATH"].split(":")):
        for program in Path(place).glob("*") if place else []:
            link = folder / program.name
            link.unlink(missing_ok=True)
            if program.name not in missing:
                link.symlink_to(program)
    return str(folder)


def test_no_node(checkout: Checkout, tmp_path: Path) -> None:
    code, output = checkout.run("up", PATH=path_without(tmp_path / "bin", "node", "npm"))
    assert code == 1
    one_sentence(output, "Node.js 20.19 or newer and npm are missing", "Install them")


def test_no_debian(checkout: Checkout, tmp_path: Path) -> None:
    path = path_without(tmp_path / "bin", "apt-get", "debootstrap")
    code, output = checkout.run("up", PATH=path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert code == 1
    one_sentence(output, "Postgres", "Debian", "supabase start")


def test_a_full_disk(checkout: Checkout) -> None:
    (checkout.folder / ".local").mkdir()
    small = "mount -t tmpfs -o size=50m tmpfs .local && exec ./scripts/dev up --port-base " + PORT_BASE
    process = subprocess.run(
        ["unshare", "--mount", "sh", "-c", small], cwd=checkout.folder, capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    one_sentence(process.stdout + process.stderr, "MB free and a stack needs 500 MB", "Free some space")


def test_a_missing_dataset(checkout: Checkout, tmp_path: Path) -> None:
    code, output = checkout.run("--once", "--data", str(tmp_path / "nowhere"), "--port-base", PORT_BASE)
    assert code == 1
    one_sentence(output, "nowhere")


def test_a_missing_dataset_column(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "chart.csv").write_text("collected_at,country,source,rank,video_id\n", encoding="utf-8")
    (tmp_path / "videos.csv").write_text("video_id,title\n", encoding="utf-8")
    code, output = checkout.run("--once", "--data", str(tmp_path), "--port-base", PORT_BASE)
    assert code == 1
    one_sentence(output, "chart.csv", "views")
    assert not (checkout.folder / ".local/once").exists(), "it is refused before anything starts"


def test_a_new_debian_root_needs_room(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    small = f"mount -t tmpfs -o size=50m tmpfs {tmp_path}/cache && exec ./scripts/dev up"
    process = subprocess.run(
        ["unshare", "--mount", "sh", "-c", small],
        cwd=checkout.folder,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    one_sentence(process.stdout + process.stderr, "the Debian root needs 2.5 GB", "XDG_CACHE_HOME")
