"""Watchers of trends, cut off at random while trends are inserted, must end with every trend, once and in order.

One watches with `app.shorts.watch_trends`, one with supabase-js and the recipe of docs/realtime.md. Exits with 1 when
one of them misses, repeats or disorders a trend. `--without refetch` lets `trends_since` answer nothing after the first
time, which must make it exit with 1: a drill that cannot fail proves nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from app.client import Client
from app.config import Secret, Settings
from app.errors import NotFoundError
from app.shorts.api import ShortsApi
from app.shorts.watch import watch_trends
from scripts.local_stack import supervisor
from scripts.local_stack.settings import Stack

from .subscriber_proxy import Proxy, proxy_to

PORT_BASE = 17320
WATCH_JS = Path(__file__).with_name("subscriber_watch.mjs")
CONNECTIONS = 3
MOST_AT_ONCE = 10  # trends in one transaction
ENDS_WITHIN_SECONDS = 30.0
CUT_WITHIN_SECONDS = 0.4  # after the subscription began: some cuts come before it stands
QUIET_SECONDS = 2.0

Place = tuple[int, str]  # cursor, keyword


@dataclass(frozen=True)
class Result:
    """How one watcher ended: `lost` were committed and never came, `repeated` came twice, `disordered` too early."""

    name: str
    cuts: int
    expected: int
    yielded: int
    lost: int
    repeated: int
    disordered: int

    @property
    def is_good(self) -> bool:
        return self.expected == self.yielded and not (self.lost or self.repeated or self.disordered)


class Watcher:
    """What one watcher has yielded of this drill's trends, whose keywords begin with `mark`."""

    def __init__(self, name: str, mark: str) -> None:
        self.name = name
        self.mark = mark
        self.seen: list[Place] = []
        self.begun = asyncio.Event()
        self._more = asyncio.Event()

    def take(self, cursor: int, keyword: str) -> None:
        if keyword.startswith(self.mark):
            self.seen.append((cursor, keyword))
            self._more.set()

    async def until(self, count: int) -> None:
        while len(self.seen) < count:
            self._more.clear()
            await self._more.wait()

    def result(self, expected: Sequence[Place], *, cuts: int) -> Result:
        distinct = set(self.seen)
        return Result(
            name=self.name,
            cuts=cuts,
            expected=len(expected),
            yielded=len(self.seen),
            lost=len(set(expected) - distinct),
            repeated=len(self.seen) - len(distinct),
            disordered=sum(after[0] <= before[0] for before, after in zip(self.seen, self.seen[1:], strict=False)),
        )


class DeafClient(Client):
    """The planted fault: `trends_since` answers once, and then that there is nothing new."""

    asked = False

    async def call(self, function: str, arguments: Mapping[str, object]) -> Any:
        cursor = arguments.get("cursor")
        if self.asked and function == "trends_since":
            return {"trends": [], "cursor": cursor, "newest": cursor, "is_complete": True, "missed": False}
        answer = await super().call(function, arguments)
        self.asked = self.asked or function == "trends_since"
        return answer


async def ready(stack: Stack) -> None:
    """Wait until the API of a stack that has just begun knows the migrations' functions."""
    settings = Settings(url=stack.api_url, publishable_key=Secret(stack.keys.publishable))
    async with Client(settings) as client, asyncio.timeout(ENDS_WITHIN_SECONDS):
        while True:
            try:
                await ShortsApi(client).trends_since()
            except NotFoundError:
                await asyncio.sleep(0.2)
            else:
                return


async def watch_in_python(watcher: Watcher, stack: Stack, proxy: Proxy, *, refetches: bool) -> None:
    settings = Settings(
        url=f"http://127.0.0.1:{proxy.port}", publishable_key=Secret(stack.keys.publishable), timeout_seconds=5
    )
    async with (Client if refetches else DeafClient)(settings) as client:
        begun = await ShortsApi(client).trends_since()
        watcher.begun.set()
        trends = watch_trends(client, cursor=begun.cursor, quiet_seconds=QUIET_SECONDS, first_delay_seconds=0.05)
        async with aclosing(trends):
            async for trend in trends:
                assert trend.cursor is not None
                watcher.take(trend.cursor, trend.keyword)


async def watch_in_javascript(watcher: Watcher, stack: Stack, proxy: Proxy, *, refetches: bool) -> None:
    settings = {
        "SUPABASE_URL": f"http://127.0.0.1:{proxy.port}",
        "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
        "WITHOUT_REFETCH": "" if refetches else "1",
    }
    process = await asyncio.create_subprocess_exec(
        "node", str(WATCH_JS), env={**os.environ, **settings}, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            said = json.loads(line)
            if "begun" in said:
                watcher.begun.set()
            elif "keyword" in said:
                watcher.take(said["cursor"], said["keyword"])
        raise RuntimeError(f"node ended with {await process.wait()}")
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def cut_off(proxy: Proxy, *, cuts: int, chance: random.Random) -> None:
    while proxy.cuts < cuts:
        await proxy.subscribed.wait()
        await asyncio.sleep(chance.uniform(0, CUT_WITHIN_SECONDS))
        proxy.cut()


class Inserts:
    """Inserts `count` trends, in step with the cuts: some before each and some while it is being mended."""

    def __init__(self, mark: str, count: int, *, allowed: Callable[[], int], chance: random.Random) -> None:
        self._mark, self._count, self._allowed, self._chance = mark, count, allowed, chance
        self._next = 0

    async def run(self, stack: Stack) -> None:
        await asyncio.gather(*(self._insert(stack) for _ in range(CONNECTIONS)))

    async def _insert(self, stack: Stack) -> None:
        """One connection: transactions of several statements, some of which stay open for a while."""
        async with await psycopg.AsyncConnection.connect(stack.database_url()) as database:
            while self._next < self._count:
                most = min(self._chance.randint(1, MOST_AT_ONCE), min(self._allowed(), self._count) - self._next)
                numbers = range(self._next, self._next + max(most, 0))
                self._next = max(numbers.stop, self._next)
                for number in numbers:
                    await database.execute(
                        "insert into public.trending_keywords (keyword, trend_score, growth_rate) values (%s, 0.5, 1)",
                        (f"{self._mark}{number}",),
                    )
                await asyncio.sleep(self._chance.uniform(0, 0.03))
                await database.commit()
                await asyncio.sleep(self._chance.uniform(0, 0.06))


async def committed(mark: str, stack: Stack) -> list[Place]:
    """The news of this drill as the database numbered them."""
    query = "select cursor, keyword from private.trend_news where starts_with(keyword, %s) order by cursor"
    async with await psycopg.AsyncConnection.connect(stack.database_url()) as database:
        return list(await (await database.execute(query, (mark,))).fetchall())


@asynccontextmanager
async def running(work: Sequence[Any]) -> AsyncIterator[None]:
    """Run the watchers beside; one that ends before the drill does ends it."""
    tasks = [asyncio.create_task(each) for each in work]
    own = asyncio.current_task()
    assert own is not None
    for task in tasks:
        task.add_done_callback(lambda done: own.cancel() if not done.cancelled() else None)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def drill(stack: Stack, *, trends: int, cuts: int, refetches: bool = True, seed: int = 1) -> list[Result]:
    """Run both watchers through `trends` inserts and `cuts` cuts each, on a stack that runs; its trends are deleted."""
    await ready(stack)
    mark = f"drill {uuid4().hex[:8]} "
    python, javascript = Watcher("python", mark), Watcher("javascript", mark)
    chance = random.Random(seed)  # noqa: S311 -- chance, not a secret
    port = int(stack.api_url.rsplit(":", 1)[1])
    async with proxy_to(port) as first, proxy_to(port) as second:
        watchers = [
            watch_in_python(python, stack, first, refetches=refetches),
            watch_in_javascript(javascript, stack, second, refetches=refetches),
        ]
        inserts = Inserts(
            mark,
            trends,
            allowed=lambda: trends * (min(first.cuts, second.cuts) + 1) // (cuts + 1),
            chance=chance,
        )
        async with running(watchers):
            await asyncio.gather(python.begun.wait(), javascript.begun.wait())
            await asyncio.gather(
                inserts.run(stack), *(cut_off(proxy, cuts=cuts, chance=chance) for proxy in (first, second))
            )
            expected = await committed(mark, stack)
            with suppress(TimeoutError):
                async with asyncio.timeout(ENDS_WITHIN_SECONDS if refetches else QUIET_SECONDS):
                    await asyncio.gather(*(watcher.until(len(expected)) for watcher in (python, javascript)))
            await asyncio.sleep(0.5)  # what comes twice comes now
        async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as database:
            await database.execute("delete from public.trending_keywords where starts_with(keyword, %s)", (mark,))
        results = [python.result(expected, cuts=first.cuts), javascript.result(expected, cuts=second.cuts)]
    if len(expected) != trends:  # the database lost news: no watcher could be right
        return [replace(result, expected=trends, lost=result.lost + trends - len(expected)) for result in results]
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trends", type=int, default=5000)
    parser.add_argument("--cuts", type=int, default=50, help="of each watcher")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn by lot")
    parser.add_argument("--port-base", type=int, default=PORT_BASE, help="first port of the stack")
    parser.add_argument("--without", choices=["refetch"], help="plant this fault: the drill must fail")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    stack = Stack.create("subscriber", port_base=options.port_base)
    with supervisor.exclusive(stack):
        supervisor.reset(stack)
        supervisor.up(stack, lambda message: print(message, file=sys.stderr))
    began = time.monotonic()
    try:
        results = asyncio.run(
            drill(
                stack,
                trends=options.trends,
                cuts=options.cuts,
                refetches=options.without is None,
                seed=options.seed,
            )
        )
    finally:
        with supervisor.exclusive(stack):
            supervisor.down(stack)
    seconds = round(time.monotonic() - began, 1)
    if options.json:
        print(json.dumps({"seconds": seconds, "watchers": [asdict(result) for result in results]}))
    else:
        for result in results:
            print(
                f"{result.name}: {result.yielded:,} of {result.expected:,} trends after {result.cuts} cuts;"
                f" lost {result.lost}, repeated {result.repeated}, disordered {result.disordered}"
            )
        print(f"{seconds} s")
    return 0 if all(result.is_good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
