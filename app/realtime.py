"""Subscriptions that keep themselves: what arrives on one Realtime channel, as an async iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

import websockets
from realtime import (
    AsyncRealtimeChannel,
    AsyncRealtimeClient,
    RealtimePostgresChangesListenEvent,
    RealtimeSubscribeStates,
)
from realtime.types import RealtimeChannelOptions

from .client import Client
from .errors import OndolError, RealtimeError

__all__ = ["BroadcastSource", "ChangesSource", "Moment", "Source", "follow", "join", "listen", "pause_seconds"]

FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0


@dataclass(frozen=True)
class BroadcastSource:
    """Messages of one event of a topic.

    Policies on realtime.messages say who may hear and send on a private topic; to a public one anybody may send.
    """

    topic: str
    event: str
    private: bool = True


@dataclass(frozen=True)
class ChangesSource:
    """Rows of `public.<table>` as they are inserted or updated, as far as row level security shows them."""

    table: str

    @property
    def topic(self) -> str:
        return f"changes-{self.table}"


class Moment(Enum):
    """What happens between two messages, and is a reason to look for what was not heard."""

    SUBSCRIBED = "subscribed"
    QUIET = "quiet"


Source = BroadcastSource | ChangesSource
_Message = dict[str, Any] | RealtimeError


async def follow(
    source: Source | Callable[[], Awaitable[Source]],
    *,
    client: Client,
    quiet_seconds: float | None = None,
    on_lost: Callable[[OndolError], None] | None = None,
    max_attempts: int | None = None,
    first_delay_seconds: float = FIRST_DELAY_SECONDS,
) -> AsyncGenerator[dict[str, Any] | Moment, None]:
    """Yield SUBSCRIBED for each subscription, each of its messages, and QUIET when none came for `quiet_seconds`.

    A lost or refused subscription is made again with growing pauses; a `source` that is a function is asked each time.
    Nothing that was sent in between is replayed. After `max_attempts` failures in a row the last error is raised.
    """
    failures = 0
    while True:
        try:
            chosen = await source() if callable(source) else source
            async with _subscription(chosen, client=client) as messages:
                failures = 0
                yield Moment.SUBSCRIBED
                while True:
                    try:
                        async with asyncio.timeout(quiet_seconds):
                            message = await messages.get()
                    except TimeoutError:
                        yield Moment.QUIET
                        continue
                    if isinstance(message, RealtimeError):
                        raise message
                    yield message
        except OndolError as error:
            failures += 1
            if not error.is_transient or (max_attempts is not None and failures >= max_attempts):
                raise
            if on_lost is not None:
                on_lost(error)
        await asyncio.sleep(pause_seconds(failures, first=first_delay_seconds))


async def listen(
    source: Source,
    *,
    client: Client,
    on_subscribed: Callable[[], None] | None = None,
    on_lost: Callable[[OndolError], None] | None = None,
    max_attempts: int | None = None,
    first_delay_seconds: float = FIRST_DELAY_SECONDS,
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield each payload (broadcast) or new row (changes) of `source`; closing the iterator leaves the channel.

    Subscriptions are made again as `follow` does; what was sent in between is not replayed, so `on_subscribed` is the
    moment to refetch.
    """
    heard = follow(
        source,
        client=client,
        on_lost=on_lost,
        max_attempts=max_attempts,
        first_delay_seconds=first_delay_seconds,
    )
    async with aclosing(heard):
        async for message in heard:
            if isinstance(message, dict):
                yield message
            elif on_subscribed is not None:
                on_subscribed()


def pause_seconds(failures: int, *, first: float = FIRST_DELAY_SECONDS) -> float:
    """How long to wait after so many failures in a row, from 1: `first`, then twice as long each time, up to 30 s."""
    return min(first * 2.0 ** min(failures - 1, 16), MAX_DELAY_SECONDS)


async def join(source: Source, *, client: Client) -> None:
    """Subscribe to `source` and leave again; raises why it is refused."""
    async with _subscription(source, client=client):
        pass


@asynccontextmanager
async def _subscription(source: Source, *, client: Client) -> AsyncIterator[asyncio.Queue[_Message]]:
    """One socket with one joined channel; the queue receives its payloads, and an error when it ends."""
    messages: asyncio.Queue[_Message] = asyncio.Queue()
    joined = asyncio.get_running_loop().create_future()

    def state_changed(state: RealtimeSubscribeStates, error: Exception | None) -> None:
        if state == RealtimeSubscribeStates.SUBSCRIBED:
            if not joined.done():
                joined.set_result(None)
            return
        lost = RealtimeError("subscription_refused", topic=source.topic, problem=f"{state.value} {error or ''}".strip())
        if joined.done():
            messages.put_nowait(lost)
        else:
            joined.set_exception(lost)

    # A fresh socket each time, without the library's own reconnects: one owner of the retries, no stale state.
    socket = AsyncRealtimeClient(str(client.supabase.realtime_url), token=client.key.reveal(), auto_reconnect=False)
    token = await client.access_token()
    if token is not None:
        await socket.set_auth(token)
    channel = _channel(socket, source=source, receive=messages.put_nowait)
    # A joined channel hears of changes only from the server's own word on, which comes a little later.
    streaming = asyncio.Event()
    if isinstance(source, ChangesSource):
        channel.on_system(lambda _: streaming.set())
    else:
        streaming.set()
    try:
        with client.errors(f"realtime {source.topic}"):
            try:
                async with asyncio.timeout(client.timeout_seconds):
                    await channel.subscribe(state_changed)
                    await joined
                    await streaming.wait()
            except websockets.exceptions.WebSocketException as error:
                raise RealtimeError("subscription_refused", topic=source.topic, problem=str(error)) from error
        yield messages
    finally:
        channel.rejoin_timer.reset()
        channel.join_push.destroy()
        if joined.done() and not joined.cancelled():
            joined.exception()  # seen, so that the loop does not report it a second time
        with suppress(websockets.exceptions.WebSocketException, OSError):
            await socket.close()


def _channel(
    socket: AsyncRealtimeClient, *, source: Source, receive: Callable[[dict[str, Any]], None]
) -> AsyncRealtimeChannel:
    if isinstance(source, BroadcastSource):
        options: RealtimeChannelOptions = {
            "config": {
                "broadcast": {"self": False, "ack": False},
                "presence": {"key": "", "enabled": False},
                "private": source.private,
            }
        }
        channel = socket.channel(source.topic, options)
        return channel.on_broadcast(source.event, lambda message: receive(message["payload"]))
    channel = socket.channel(source.topic)
    for event in (RealtimePostgresChangesListenEvent.Insert, RealtimePostgresChangesListenEvent.Update):
        channel.on_postgres_changes(
            event,
            lambda change: receive(change["data"].get("record") or {}),
            table=source.table,
            schema="public",
        )
    return channel
