"""One joined topic of one client: its join, what it sends, and when it must end."""

from __future__ import annotations

import asyncio
import time
import traceback
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg

from .authorisation import ALL, NONE, Permissions
from .identity import Identity, TokenError
from .messages import ReplayError, replay
from .protocol import Broadcast, Frame, Message, dump, encode, encode_raw
from .subscription import Subscription, SubscriptionError

if TYPE_CHECKING:
    from .connection import Connection

MOST_WAITING = 1000  # messages of a client that its channel has not handled yet
MOST_BROADCAST_BYTES = 3_000_000
MOST_MESSAGES = 2500  # per second and channel
MOST_PRESENCE_CALLS, PRESENCE_WINDOW = 5, 30.0  # seconds; the hosted service's limit per client
TOKEN_CHECK = 3600.0  # seconds; a token is looked at again at least this often
LONGEST_WAIT = 20.0  # seconds that a join with `wait` is held
AWAY = (psycopg.OperationalError, OSError)


class JoinError(Exception):
    """Why a join is refused, as the client is told."""


class Ended(Exception):  # noqa: N818
    """The channel must close; the text goes to the client."""


class Limit:
    """At most `most` calls in any window of `seconds` that starts with a call."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds, self._ends, self._count = most, seconds, 0.0, 0

    def allows(self) -> bool:
        now = time.monotonic()
        if now >= self._ends:
            self._ends, self._count = now + self._seconds, 0
        self._count += 1
        return self._count <= self._most


class Channel:
    """Handles its messages one after the other, as the hosted service's channel process does."""

    def __init__(self, connection: Connection, join: Message) -> None:
        self._connection = connection
        self._service = connection.service
        self._join = join
        self.topic = join.topic
        self.name = join.topic.removeprefix("realtime:")
        self.vsn = connection.vsn
        self.inbox: asyncio.Queue[Message] = asyncio.Queue(MOST_WAITING)
        config = as_object(join.payload.get("config"))
        broadcast, presence = as_object(config.get("broadcast")), as_object(config.get("presence"))
        self.private = config.get("private") is True
        self._self = broadcast.get("self") is True
        self._ack = broadcast.get("ack") is True
        self._replay = broadcast.get("replay")
        self._tells_ready = broadcast.get("replication_ready") is True
        self._key = str(presence.get("key") or uuid.uuid4())
        self._presence_enabled = presence.get("enabled") is True
        asked = config.get("postgres_changes")
        self._wanted = [each for each in asked if isinstance(each, dict)] if isinstance(asked, list) else []
        self._wait = as_object(config.get("postgres_changes_options"))
        self._numbers = [self._service.changes.new_id() for _ in self._wanted]
        self._identity: Identity | None = None
        self._read: Permissions = ALL
        self._write: Permissions | None = None
        self.replayed: set[str] = set()
        self._joined = False
        self._subscribed = False
        self._subscribing: asyncio.Task[None] | None = None
        self._messages = Limit(MOST_MESSAGES, 1.0)
        self._presence_calls = Limit(MOST_PRESENCE_CALLS, PRESENCE_WINDOW)

    @property
    def identity(self) -> Identity:
        assert self._identity is not None
        return self._identity

    @property
    def reads_broadcast(self) -> bool:
        return self._read.broadcast

    @property
    def reads_presence(self) -> bool:
        return self._presence_enabled and self._read.presence

    @property
    def has_changes(self) -> bool:
        return self._subscribed

    async def run(self) -> None:
        """From the join to the end; never raises but for cancellation."""
        event = "phx_close"
        try:
            replayed = await self._authorise_join()
            self._reply(self._join, {"postgres_changes": self._echo()})
            self._joined = True
            self._service.hub.join(self)
            self._greet(replayed)
            while await self._handle(await self._next()):
                pass
        except JoinError as error:
            self._reply(self._join, {"reason": str(error)}, status="error")
            event = ""
        except Ended as error:
            self._send_system("system", "error", str(error))
        except Exception:
            traceback.print_exc()
            event = "phx_error"
        finally:
            self._leave()
            if event:
                self._send(event, {}, ref=self._join.join_ref or self._join.ref)

    def send_frame(self, frame: Frame) -> None:
        self._connection.send(frame)

    def send_changes(self, ids: list[int], data: str) -> None:
        payload = f'{{"ids":{dump(ids)},"data":{data}}}'
        self.send_frame(encode_raw(self.topic, "postgres_changes", payload, vsn=self.vsn, join_ref=self._join.join_ref))

    def tell_subscribed(self) -> None:
        self._send_system("postgres_changes", "ok", "Subscribed to PostgreSQL")

    async def _authorise_join(self) -> list[Broadcast]:
        """Everything a join needs before its reply; raises JoinError. Returns the messages to replay."""
        if not self.name or not self.topic.startswith("realtime:"):
            raise JoinError("TopicNameRequired: You must provide a topic name")
        token = self._join.payload.get("access_token")
        # An API key of the newer generation says no more than the connection's own.
        own = isinstance(token, str) and token and not token.startswith("sb_")
        try:
            self._identity = self._service.tokens.identify(str(token) if own else self._connection.token)
            await self._authorise(self._identity)
            messages: list[tuple[str, Broadcast]] = []
            if self._replay is not None:
                if not self.private:
                    raise JoinError("UnableToReplayMessages: Replay is not allowed for public channels")
                if not self._read.broadcast:
                    raise Ended(self._denied())
                messages = await replay(self._service.database, self.name, wanted=self._replay)
            if self._wait.get("wait") is True and self._wanted:
                await self._subscribe_within(self._wait.get("timeout"))
        except TokenError as error:
            raise JoinError(str(error)) from None
        except Ended as error:
            raise JoinError(f"Unauthorized: {error}") from None
        except ReplayError as error:
            raise JoinError(f"UnableToReplayMessages: {error}") from None
        except AWAY:
            raise JoinError(
                "UnableToConnectToProject: Realtime was unable to connect to the project database"
            ) from None
        self.replayed = {number for number, _ in messages}
        return [message for _, message in messages]

    async def _authorise(self, identity: Identity) -> None:
        """Look up what the identity may read; raises Ended when that is nothing."""
        if not await self._service.is_role(identity.role):
            raise Ended(f"The role {identity.role} of the token is not one that a request may take")
        if self.private:
            self._read = await self._service.authorisation.may_read(identity, self.name)
            if not self._presence_enabled:
                self._read = Permissions(broadcast=self._read.broadcast, presence=False)
            if not self._read:
                raise Ended(self._denied())

    def _denied(self) -> str:
        return f"You do not have permissions to read from this Channel topic: {self.name}"

    async def _subscribe_within(self, milliseconds: object) -> None:
        """A join with `wait` is answered when its changes flow, or refused."""
        seconds = milliseconds / 1000 if isinstance(milliseconds, int | float) else 15.0
        try:
            async with asyncio.timeout(max(0.0, min(seconds, LONGEST_WAIT))):
                await self._subscribe()
        except SubscriptionError as error:
            raise JoinError(f"RealtimeDisabledForConfiguration: {error}") from None
        except TimeoutError:
            raise JoinError("PostgresChangesSubscribeTimeout: Timed out waiting for the subscription") from None

    async def _subscribe(self) -> None:
        """Check and add every entry; waits while Postgres is away. Raises SubscriptionError."""
        while True:
            await self._service.streaming.wait()
            try:
                subscriptions: list[Subscription] = [
                    await self._service.changes.check(self, number, wanted)
                    for number, wanted in zip(self._numbers, self._wanted, strict=True)
                ]
                await self._service.stream_published()
            except AWAY:
                await asyncio.sleep(0.5)
                continue
            for subscription in subscriptions:
                self._service.changes.add(subscription)
            self._subscribed = True
            return

    async def _subscribe_later(self) -> None:
        try:
            await self._subscribe()
            self.tell_subscribed()
        except SubscriptionError as error:
            self._send_system("postgres_changes", "error", str(error))
        except Exception as error:
            traceback.print_exc()
            self._send_system("postgres_changes", "error", str(error))

    def _echo(self) -> list[dict[str, Any]]:
        """Each entry exactly as it was asked for, in its order: clients compare."""
        return [{**wanted, "id": number} for number, wanted in zip(self._numbers, self._wanted, strict=True)]

    def _greet(self, replayed: list[Broadcast]) -> None:
        for message in replayed:
            frame = message.frame(self.topic, vsn=self.vsn)
            if frame is not None:
                self.send_frame(frame)
        if self.reads_presence:
            self._send("presence_state", self._service.hub.presence_state(self))
        if self._tells_ready:
            self._send_system("system", "ok", "Replication connection established")
        if self._subscribed:
            self.tell_subscribed()
        elif self._wanted:
            self._subscribing = asyncio.create_task(self._subscribe_later())

    async def _next(self) -> Message:
        """The next message; raises Ended when the token expires first."""
        while True:
            left = self.identity.expires - time.time()
            if left <= 0:
                self._check_token(self.identity.token)
            with suppress(TimeoutError):
                return await asyncio.wait_for(self.inbox.get(), min(max(left, 0.01), TOKEN_CHECK))

    def _check_token(self, token: str) -> Identity:
        try:
            return self._service.tokens.identify(token)
        except TokenError as error:
            raise Ended(error.message) from None

    async def _handle(self, message: Message) -> bool:
        """Act on one message; false when the client leaves."""
        if not self._messages.allows():
            raise Ended("Too many messages per second")
        if message.event == "phx_leave":
            self._reply(message, {})
            return False
        try:
            if message.event == "broadcast":
                await self._broadcast(message)
            elif message.event == "presence":
                await self._presence(message)
            elif message.event == "access_token":
                await self._refresh(message.payload.get("access_token"))
            else:
                self._reply(message, {"reason": f"unknown event {message.event}"}, status="error")
        except AWAY as error:
            print(f"realtime: {message.event} on {self.topic} could not be handled: {error}", flush=True)
            self._reply(message, {"reason": "Realtime was unable to connect to the project database"}, status="error")
        return True

    async def _broadcast(self, message: Message) -> None:
        if self.private and not (await self._may_write()).broadcast:
            return  # the hosted service does not answer either
        payload = message.payload
        sent = message.pushed or Broadcast(
            event=str(payload.get("event", "")), payload=dump(payload.get("payload")), body=dump(payload)
        )
        if sent.size > MOST_BROADCAST_BYTES:
            if self._ack:
                self._reply(message, {"reason": "payload_size_exceeded"}, status="error")
            return
        self._service.hub.broadcast(self.name, sent, private=self.private, sender=None if self._self else self)
        if self._ack:
            self._reply(message, {})

    async def _presence(self, message: Message) -> None:
        if not self._presence_calls.allows():
            raise Ended("Client presence rate limit exceeded")
        event, payload = str(message.payload.get("event", "")).lower(), message.payload.get("payload", {})
        if event == "untrack":
            self._service.hub.untrack(self, self._key)
        elif event != "track":
            self._reply(message, {"reason": f"unknown presence event {event}"}, status="error")
            return
        elif not isinstance(payload, dict):
            self._reply(message, {"reason": "Presence track payload must be a map"}, status="error")
            return
        elif self.private and not (await self._may_write()).presence:
            self._reply(message, {}, status="error")
            return
        else:
            await self._enable_presence()
            self._service.hub.track(self, self._key, payload)
        self._reply(message, {})

    async def _enable_presence(self) -> None:
        """Tracking turns presence on for a client that did not ask for it when it joined."""
        if self._presence_enabled:
            return
        if self.private:
            self._read = await self._service.authorisation.may_read(self.identity, self.name)
        self._presence_enabled = True
        if self.reads_presence:
            self._send("presence_state", self._service.hub.presence_state(self))

    async def _may_write(self) -> Permissions:
        """Asked once per token, as on the hosted service."""
        if self._write is None:
            self._write = await self._service.authorisation.may_write(self.identity, self.name)
        return self._write

    async def _refresh(self, token: object) -> None:
        """Go on with a newer token; what the older one allowed and this one does not ends the channel."""
        if not isinstance(token, str) or token.startswith("sb_") or token == self.identity.token:
            return
        identity, before = self._check_token(token), self._read
        await self._authorise(identity)
        self._identity, self._write = identity, None
        lost = (before.broadcast and not self._read.broadcast) or (before.presence and not self._read.presence)
        if self.private and lost:
            raise Ended(f"You no longer have permission to read from this Channel topic: {self.name}")

    def _leave(self) -> None:
        self._read = NONE
        if self._subscribing is not None:
            self._subscribing.cancel()
        for number in self._numbers:
            self._service.changes.remove(number)
        if self._joined:
            self._service.hub.leave(self, key=self._key)
        self._connection.forget(self)

    def _reply(self, message: Message, response: dict[str, Any], *, status: str = "ok") -> None:
        payload = {"status": status, "response": response}
        self.send_frame(
            encode(self.topic, "phx_reply", payload, vsn=self.vsn, ref=message.ref, join_ref=self._join.join_ref)
        )

    def _send(self, event: str, payload: dict[str, Any], *, ref: str | None = None) -> None:
        self.send_frame(encode(self.topic, event, payload, vsn=self.vsn, ref=ref, join_ref=self._join.join_ref))

    def _send_system(self, extension: str, status: str, message: str) -> None:
        payload = {"extension": extension, "status": status, "message": message, "channel": self.name}
        self._send("system", payload)


def as_object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
