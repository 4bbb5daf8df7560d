"""The peers of the delivery bench, each as its documentation has it; run by the bench's own virtual environment.

`python delivery_peers.py PEER STEP DATABASE_URL [ARGUMENT…]`, where STEP is
    install                         make the peer's tables
    enqueue PREFIX COUNT            put COUNT events into the queue
    pace PREFIX COUNT SECONDS       one event each SECONDS, each committed alone; prints {event: time of commit}
    work URL SECRET CONCURRENCY     sign and post what is in the queue until ended
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

CHUNK = 1000
WORKERS = 10  # of procrastinate, in its one process
Post = Callable[[str], Awaitable[None]]


def sign_and_post(session: aiohttp.ClientSession, url: str, secret: str) -> Post:
    """The same POST that the product sends: Standard Webhooks over id, timestamp and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))

    async def post(event: str) -> None:
        body = json.dumps(
            {"type": "trend.detected", "timestamp": "2026-01-01T00:00:00.000Z", "data": {"event": event}}
        ).encode()
        webhook_id, timestamp = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
        signature = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, "sha256")
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + base64.b64encode(signature).decode(),
        }
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            answer.raise_for_status()

    return post


class Procrastinate:
    """procrastinate, by the quick start of its documentation."""

    async def open(self, stack: AsyncExitStack, database_url: str) -> None:
        import procrastinate  # type: ignore[import-not-found]  # of the bench's own environment

        self.app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database_url, max_size=60))
        self.post: Post | None = None
        self.task = self.app.task(name="post")(self.run)
        await stack.enter_async_context(self.app.open_async())

    async def run(self, event: str) -> None:
        assert self.post is not None
        await self.post(event)

    async def install(self) -> None:
        await self.app.schema_manager.apply_schema_async()

    async def enqueue(self, events: list[str]) -> None:
        await self.task.batch_defer_async(*({"event": event} for event in events))

    async def work(self, post: Post, concurrency: int) -> None:
        self.post = post
        # A worker takes one job at a time out of the queue: several of them look for work side by side.
        await asyncio.gather(
            *(
                self.app.run_worker_async(
                    concurrency=concurrency // WORKERS, delete_jobs="successful", install_signal_handlers=False
                )
                for _ in range(WORKERS)
            )
        )


class Pgqueuer:
    """pgqueuer, by the quick start of its documentation."""

    async def open(self, stack: AsyncExitStack, database_url: str) -> None:
        import asyncpg  # type: ignore[import-not-found]
        from pgqueuer import PgQueuer  # type: ignore[import-not-found]
        from pgqueuer.db import AsyncpgPoolDriver  # type: ignore[import-not-found]
        from pgqueuer.queries import Queries  # type: ignore[import-not-found]

        pool = await stack.enter_async_context(asyncpg.create_pool(database_url, max_size=20))
        driver = AsyncpgPoolDriver(pool)
        self.queries, self.queuer = Queries(driver), PgQueuer(driver)

    async def install(self) -> None:
        await self.queries.install()

    async def enqueue(self, events: list[str]) -> None:
        await self.queries.enqueue(["post"] * len(events), [event.encode() for event in events], [0] * len(events))

    async def work(self, post: Post, concurrency: int) -> None:
        async def run(job: Any) -> None:
            await post(job.payload.decode())

        self.queuer.entrypoint("post")(run)
        # It wants room for two batches; a batch is as large as a claim of ours.
        await self.queuer.run(batch_size=4 * concurrency, max_concurrent_tasks=8 * concurrency)


async def main(peer: str, step: str, database_url: str, *arguments: str) -> None:
    async with AsyncExitStack() as stack:
        system = Procrastinate() if peer == "procrastinate" else Pgqueuer()
        await system.open(stack, database_url)
        match step:
            case "install":
                await system.install()
            case "enqueue":
                prefix, count = arguments[0], int(arguments[1])
                for first in range(0, count, CHUNK):
                    await system.enqueue([f"{prefix}{number}" for number in range(first, min(first + CHUNK, count))])
            case "pace":
                committed: dict[str, float] = {}
                for number in range(int(arguments[1])):
                    await asyncio.sleep(float(arguments[2]))
                    await system.enqueue([f"{arguments[0]}{number}"])
                    committed[f"{arguments[0]}{number}"] = time.time()
                print(json.dumps(committed))
            case "work":
                session = await stack.enter_async_context(aiohttp.ClientSession())
                await system.work(sign_and_post(session, arguments[0], arguments[1]), int(arguments[2]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
