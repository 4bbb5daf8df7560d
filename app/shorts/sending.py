"""Sends batches, a few at a time, again after what may pass, and remembers how far it got."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from .api import Ingested, Rejection
from .calls import DOUBLED, persist
from .freshness import EndedRun, IngestRun, QueuedVideos, RunOutcome, RunSource
from .tables import Refusal

__all__ = ["IngestReport", "IngestRuns", "Progress", "Totals"]

BATCHES_IN_FLIGHT = 3
REFUSALS_KEPT = 1_000  # with line numbers; beyond it they are only counted
SAVE_EVERY = 20  # batches

Raw = TypeVar("Raw")
Item = TypeVar("Item")
Progress = Callable[[str, int, int | None], None]
"""Called with the stage, how much is done, and of how much (None while unknown)."""


class IngestRuns(Protocol):
    """Where a run keeps how far it got; ShortsApi is one."""

    async def begin_ingest_run(self, source: RunSource, /, *, request: Mapping[str, Any]) -> IngestRun: ...

    async def save_ingest_run(self, run: UUID, /, *, state: Mapping[str, Any]) -> QueuedVideos: ...

    async def end_ingest_run(self, run: UUID, /, *, outcome: RunOutcome, counts: Mapping[str, Any]) -> EndedRun: ...


@dataclass
class Totals:
    """What became of everything that was sent of one kind."""

    received: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0

    def add(self, answer: Ingested) -> None:
        self.received += answer.received
        self.inserted += answer.inserted
        self.updated += answer.updated
        self.unchanged += answer.unchanged
        self.rejected += len(answer.rejected)


@dataclass
class IngestReport:
    """What one run read, sent and refused.

    `chart_rows_untitled` name a video that has no usable row of its own, `videos_untitled` have no title and cannot be
    stored. `skipped` batches were stored by an earlier run that was interrupted, `ignored` files are of no known
    format.
    """

    formats: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    videos_read: int = 0
    videos_untitled: int = 0
    chart_rows_read: int = 0
    chart_rows_untitled: int = 0
    resumed: bool = False
    skipped: int = 0
    videos: Totals = field(default_factory=Totals)
    signals: Totals = field(default_factory=Totals)
    refused: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def refused_count(self) -> int:
        return self.refused.total()

    def refuse(self, refusal: Refusal) -> None:
        self.refused[refusal.code] += 1
        if len(self.refusals) < REFUSALS_KEPT:
            self.refusals.append(refusal)


class Batch(NamedTuple, Generic[Item]):
    """`items` to send and `refusals` to tell, made of `taken` rows."""

    taken: int
    items: list[Item]
    refusals: list[Refusal]


class Run:
    """One run, and how many rows of each of its streams the database has acknowledged."""

    def __init__(self, runs: IngestRuns | None, *, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.resumed = False
        self._runs = runs
        self._sleep = sleep
        self._id: UUID | None = None
        self._sent: dict[str, int] = {}
        self._unsaved = 0

    async def begin(self, request: Mapping[str, Any]) -> None:
        """Begin, or go on where an interrupted run of the same files ended."""
        if self._runs is not None:
            begun = await self._runs.begin_ingest_run("dataset", request=request)
            self._id, self.resumed = begun.id, begun.resumed
            self._sent = {str(stream): int(sent) for stream, sent in begun.state.get("sent", {}).items()}

    def sent(self, stream: str) -> int:
        return self._sent.get(stream, 0)

    async def acknowledge(self, stream: str, sent: int) -> None:
        """All rows of the stream before `sent` are stored."""
        self._sent[stream] = sent
        self._unsaved += 1
        if self._unsaved >= SAVE_EVERY:
            await self.save()

    async def save(self) -> None:
        self._unsaved = 0
        if self._runs is not None and self._id is not None:
            await self._runs.save_ingest_run(self._id, state={"sent": dict(self._sent)})

    async def end(self, outcome: RunOutcome, counts: Mapping[str, Any]) -> None:
        if self._runs is not None and self._id is not None:
            await self.save()
            await self._runs.end_ingest_run(self._id, outcome=outcome, counts=counts)

    async def send(
        self,
        stream: str,
        batches: Iterator[Batch[Item]],
        *,
        call: Callable[[list[Item]], Awaitable[Ingested]],
        place: Callable[[list[Item], Rejection], tuple[str, int]],
        totals: Totals,
        report: IngestReport,
        on_sent: Callable[[int], None],
    ) -> None:
        """Send every batch that was not sent before; what the database rejects goes to the report with its place.

        The batches are made in a thread: reading and finding keywords then waits for no answer, nor answers for it.
        """
        free = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        before, begun, done = self.sent(stream), 0, set[int]()
        ends: list[int] = []  # of the batches, in rows of the stream
        acknowledged = 0  # batches without a gap

        async def send(number: int, batch: Batch[Item]) -> None:
            nonlocal acknowledged
            try:
                answer = await self._persist(call, batch.items)
            finally:
                free.release()
            totals.add(answer)
            for rejection in answer.rejected:
                file, line = place(batch.items, rejection)
                report.refuse(Refusal(file, line, rejection.code, rejection.message))
            on_sent(batch.taken)
            done.add(number)
            last = acknowledged
            while acknowledged in done:
                done.remove(acknowledged)
                acknowledged += 1
            if acknowledged > last:
                await self.acknowledge(stream, ends[acknowledged - 1])

        try:
            async with asyncio.TaskGroup() as tasks:
                while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                    begun += batch.taken
                    for refusal in batch.refusals:
                        report.refuse(refusal)
                    number = len(ends)
                    ends.append(begun)
                    if begun <= before:
                        report.skipped += 1
                        acknowledged = number + 1
                        on_sent(batch.taken)
                        continue
                    await free.acquire()
                    tasks.create_task(send(number, batch))
        except ExceptionGroup as group:
            # One failed batch ends the run; the others were cancelled and would only repeat what it says.
            raise group.exceptions[0] from group

    async def _persist(self, call: Callable[[list[Item]], Awaitable[Ingested]], items: list[Item]) -> Ingested:
        """Call again after what may pass: every batch may be repeated, so a lost answer does no harm."""
        if not items:
            return Ingested(received=0, inserted=0, updated=0, unchanged=0, rejected=[])
        return await persist(lambda: call(items), self._sleep, wait=DOUBLED)


def batches(
    rows: Iterable[Raw | Refusal],
    *,
    most: int,
    make: Callable[[list[Raw]], list[Item]],
    size: Callable[[Raw], int] = lambda row: 1,
) -> Iterator[Batch[Item]]:
    """Rows in batches of about `most` by `size`, each made into items at once."""
    taken, kept, refusals, weight = 0, list[Raw](), list[Refusal](), 0
    for row in rows:
        taken += 1
        if isinstance(row, Refusal):
            refusals.append(row)
            weight += 1
        else:
            kept.append(row)
            weight += size(row)
        if weight >= most:
            yield Batch(taken, make(kept), refusals)
            taken, kept, refusals, weight = 0, [], [], 0
    if taken:
        yield Batch(taken, make(kept), refusals)
