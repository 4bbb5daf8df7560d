"""The subscriber drill: a small run passes, the planted fault fails, and every kind of mistake is counted."""

from __future__ import annotations

import asyncio

import pytest

from scripts.drills.subscriber_drill import Watcher, drill
from scripts.drills.subscriber_proxy import proxy_to
from scripts.local_stack.settings import Stack

# The realtime library reads a deprecated attribute of websockets when a connection is cut.
pytestmark = pytest.mark.filterwarnings("ignore:ConnectionClosed:DeprecationWarning")


async def test_watchers_that_are_cut_off_see_every_trend_once_and_in_order(stack: Stack) -> None:
    """S-178: in Python and in JavaScript."""
    results = await drill(stack, trends=300, cuts=6, seed=7)
    assert [(each.name, each.expected, each.cuts, each.is_good) for each in results] == [
        ("python", 300, 6, True),
        ("javascript", 300, 6, True),
    ], results


async def test_without_refetching_the_drill_fails(stack: Stack) -> None:
    results = await drill(stack, trends=100, cuts=3, refetches=False)
    assert [each.lost > 0 and not each.is_good for each in results] == [True, True], results


@pytest.mark.parametrize(
    ("seen", "lost", "repeated", "disordered"),
    [
        ([1, 2, 3], 0, 0, 0),
        ([1, 3], 1, 0, 0),
        ([1, 2, 2, 3], 0, 1, 1),
        ([2, 1, 3], 0, 0, 1),
        ([1, 2, 3, 4], 0, 0, 0),
    ],
    ids=["all", "lost", "repeated", "disordered", "one that was never committed"],
)
def test_every_mistake_is_counted(seen: list[int], lost: int, repeated: int, disordered: int) -> None:
    watcher = Watcher("python", "drill ")
    watcher.take(9, "of somebody else")
    for cursor in seen:
        watcher.take(cursor, f"drill {cursor}")
    result = watcher.result([(cursor, f"drill {cursor}") for cursor in (1, 2, 3)], cuts=0)
    assert (result.lost, result.repeated, result.disordered) == (lost, repeated, disordered)
    assert result.is_good == (seen == [1, 2, 3])


async def test_the_proxy_passes_on_and_cuts() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async with (
        await asyncio.start_server(echo, "127.0.0.1", 0) as server,
        proxy_to(server.sockets[0].getsockname()[1]) as proxy,
        asyncio.timeout(5),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"GET /rest/v1/")
        assert await reader.read(100) == b"GET /rest/v1/"
        assert not proxy.subscribed.is_set()
        writer.write(b"GET /realtime/v1/websocket HTTP/1.1")
        await proxy.subscribed.wait()
        await reader.read(100)
        proxy.cut()
        assert not proxy.subscribed.is_set()
        assert await reader.read(100) == b""
        assert proxy.cuts == 1
        writer.close()
