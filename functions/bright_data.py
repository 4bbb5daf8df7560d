"""POST /webhooks/bright-data: a snapshot that Bright Data delivers, gzip or not; rows become ids to check and signals.

Bright Data signs nothing: it sends the Authorization header that the delivery was ordered with. Whoever knows that
secret can send, so nothing of it lets a video play.
"""

from __future__ import annotations

import asyncio
import hmac
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from starlette.requests import Request

from app.shorts.ingest_bright_data import ScrapedRows, store_scraped_rows
from app.shorts.json_rows import BrokenRowsError, JsonRows
from app.shorts.regions import REGIONS

from .inbound import Read
from .requests import stream_body
from .room import Room
from .trend_events import Malformed, NotGenuine, TooLarge

MAX_PACKED = 8_000_000  # bytes as they arrive
MAX_UNPACKED = 32_000_000  # bytes of JSON
MAX_ROWS = 50_000
DELIVERY_TIMEOUT = 60.0  # seconds for the whole body
PIECE = 65_536  # bytes that are unpacked at a time
MAX_MEMBERS = 1_000  # gzip files in one body; an empty one has 20 bytes and costs as much as a full one

HINT = "Send the Authorization header that the delivery was ordered with."


class Delivery(NamedTuple):
    """The rows of a delivery, read and not yet stored."""

    rows: ScrapedRows


def delivery(*, tokens: Sequence[str], clock: Callable[[], float]) -> Read:
    """Read a delivery of who knows one of `tokens`; nothing is read of anybody else's."""

    async def read(request: Request) -> Delivery:
        check_token(request.headers.get("authorization", ""), tokens)
        region = request.query_params.get("region")
        if region is not None and region not in REGIONS:
            raise Malformed("region is no code of two capital letters.", hint="Send ?region=KR, or nothing.")
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity", "gzip"):
            raise Malformed("The content-encoding is not gzip.", hint="Send gzip, or the JSON as it is.")
        rows = ScrapedRows(region=region, read_at=datetime.fromtimestamp(clock(), tz=UTC))
        cut = JsonRows()
        packed = stream_body(request, limit=MAX_PACKED)
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT):
                async for data in unpacked(packed) if encoding == "gzip" else packed:
                    for row in cut.feed(data):
                        take(row, rows)
                    await asyncio.sleep(0)  # others are served meanwhile, and the time limit holds
                for row in cut.close():
                    take(row, rows)
        except BrokenRowsError as error:
            raise Malformed(str(error), hint="Send a JSON array, or one JSON object a line.") from error
        return Delivery(rows)

    return read


async def store_delivery(room: Room, delivered: Delivery) -> dict[str, Any]:
    """Queue the ids for YouTube's own word, keep what is new, count what was posted when."""
    report = await store_scraped_rows(delivered.rows, into=room)
    answer: dict[str, Any] = {**report.counts(), "rejected": report.refusals}
    del answer["refused"]
    if (more := report.refused_count - len(report.refusals)) > 0:
        answer["rejected_more"] = more
    return answer


def check_token(given: str, tokens: Sequence[str]) -> None:
    """Raise NotGenuine unless `given` is one of `tokens`, with or without Bearer before it; in constant time."""
    told = given.encode(errors="replace")
    # A list: every pair is compared, so that the time taken tells nothing about which one was close.
    matches = [
        hmac.compare_digest(told, expected.encode()) for token in tokens for expected in (token, f"Bearer {token}")
    ]
    if True not in matches:
        raise NotGenuine("The Authorization header is not the delivery's.", hint=HINT)


def take(row: object, rows: ScrapedRows) -> None:
    if rows.report.received >= MAX_ROWS:
        raise TooManyRows
    rows.take(row)


class TooManyRows(TooLarge):
    """More rows than one delivery may hold."""

    def __init__(self) -> None:
        super().__init__(MAX_UNPACKED)
        self.message = f"The delivery has more than {MAX_ROWS} rows."
        self.hint = "Let Bright Data deliver in batches: batch_size."


async def unpacked(packed: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What gzip holds, in pieces; raises TooLarge beyond MAX_UNPACKED, whatever it claims to hold."""
    length, members = 0, 1
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    has_begun = False
    try:
        async for data in packed:
            piece = b""
            while data or len(piece) == PIECE:  # a full piece: more may wait inside
                if member.eof:  # gzip files may follow each other
                    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
                    members += 1
                    if members > MAX_MEMBERS:
                        raise Malformed("The body is many gzip files.", hint="Send one.")
                piece = member.decompress(data, PIECE)
                data = member.unused_data if member.eof else member.unconsumed_tail
                has_begun = True
                length += len(piece)
                if length > MAX_UNPACKED:
                    raise TooLarge(MAX_UNPACKED)
                if piece:
                    yield piece
    except zlib.error as error:
        raise Malformed("The body is not gzip.", hint="Send gzip as content-encoding says.") from error
    if has_begun and not member.eof:
        raise Malformed("The gzip data ends too early.", hint="Send the whole body.")
