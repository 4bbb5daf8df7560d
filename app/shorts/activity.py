"""What a person does in the shorts room: searches, interactions, events of the player, feedback, watch history.

Everything here is for who is signed in (`Client.sign_in`) and reaches the own rows alone. What is refused raises:

    NotAllowedError       nobody is signed in (42501), the account is gone, or `ai_chat` without premium (PT403)
    NotFoundError         no such video, or a search that is not one's own (PT404): the answer is the same for both
    InvalidRequestError   an argument that cannot be true (PT400), or more rows than one call takes (PT413)
    TooManyRequestsError  nothing fits into the day's 50 interactions of a trial, or too many calls in a minute (PT429)

`code` and `hint` of the error say what it was and what to do; docs/errors.md has them all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

from ..errors import OndolError, RequestError, request_error
from .calls import Caller, Row, checked
from .rows import PublicCachedVideos

__all__ = [
    "ActivityApi",
    "EndedSearch",
    "Feedback",
    "HistoryCursor",
    "InteractionInput",
    "PlaybackReport",
    "Recorded",
    "RecordedEvents",
    "RejectedRow",
    "Search",
    "SearchContext",
    "StartedSearch",
    "StoredRow",
    "WatchEventInput",
    "WatchedVideo",
]

MAX_ROWS = 1000

SearchType = Literal["keyword", "ai_chat", "trending"]
SearchIntent = Literal["entertainment", "education", "mood_boost", "trend_following", "discovery"]
SearchOutcome = Literal["satisfied", "partial", "abandoned"]
FeedbackType = Literal["like", "dislike", "not_interested", "report"]
FeedbackReason = Literal["irrelevant", "seen_too_many", "offensive", "quality", "other"]


class SearchContext(TypedDict, total=False):
    """Where a search is made, as far as the app knows; at most 4,096 characters as JSON."""

    device_type: str
    browser: str
    location: str
    time_of_day: str
    weather: str


class InteractionInput(TypedDict):
    """One interaction for `record_interaction`.

    `id` is a uuid of the client's own: sent again within 24 hours it is known and not stored twice. `session_id` is the
    `id` of the search that led to the video. Durations are whole seconds up to 86,400, `watch_percentage` is 0 to 1,
    `user_rating` 1 to 5, `feedback_text` at most 2,000 characters. `interaction_timestamp` is ISO 8601, by the device's
    clock, at most a week ago; without it the server's now.
    """

    video_id: str
    interaction_type: Literal["view", "like", "share", "save", "skip"]
    id: NotRequired[str]
    session_id: NotRequired[str]
    interaction_value: NotRequired[int]
    watch_duration: NotRequired[int]
    total_duration: NotRequired[int]
    watch_percentage: NotRequired[float]
    watched_to_end: NotRequired[bool]
    clicked_thumbnail: NotRequired[bool]
    clicked_title: NotRequired[bool]
    opened_in_youtube: NotRequired[bool]
    user_rating: NotRequired[int]
    feedback_text: NotRequired[str]
    interaction_context: NotRequired[dict[str, Any]]
    interaction_timestamp: NotRequired[str]


class WatchEventInput(TypedDict):
    """One event of the player for `record_watch_event`; places are whole seconds, `seek_from` and `seek_to` of a seek.

    `interaction_id` is an interaction of one's own. `id` and `event_timestamp` are as in `InteractionInput`.
    """

    interaction_id: str
    event_type: Literal["play", "pause", "seek", "end", "skip", "replay"]
    id: NotRequired[str]
    event_timestamp: NotRequired[str]
    video_timestamp: NotRequired[int]
    seek_from: NotRequired[int]
    seek_to: NotRequired[int]


class StartedSearch(Row):
    """A search that is open; `session_id` is the visit to the app, `cache_hit` whether the answer is known already."""

    id: UUID
    session_started_at: datetime
    session_id: UUID
    cache_hit: bool


class EndedSearch(Row):
    """A search that is closed; `response_time_ms` is what was told, or the time that it was open."""

    id: UUID
    session_ended_at: datetime
    response_time_ms: int


class StoredRow(Row):
    """Row `index` of the batch is stored under `id`."""

    index: int
    id: UUID


class RejectedRow(Row):
    """Row `index` of the batch was not taken; `code` is one of docs/errors.md."""

    index: int
    code: str
    message: str
    hint: str | None = None


class Recorded(Row):
    """What became of a batch of interactions: received = stored + repeated + rejected."""

    received: int
    stored: int
    repeated: int
    interactions: list[StoredRow]
    rejected: list[RejectedRow]


class RecordedEvents(Row):
    """What became of a batch of events: received = stored + repeated + rejected."""

    received: int
    stored: int
    repeated: int
    events: list[StoredRow]
    rejected: list[RejectedRow]


class Feedback(Row):
    """What was said, and whether it had been said before."""

    id: UUID
    created_at: datetime
    repeated: bool


class PlaybackReport(Row):
    """Whether the same error of the same video had been reported by the same person before."""

    repeated: bool


class HistoryCursor(Row):
    """A place in the watch history: just after this view, towards the older ones."""

    created_at: datetime
    id: UUID


class WatchedVideo(Row):
    """One view; `watch_duration` is in seconds, `completion_rate` 0 to 1, `created_at` when it was stored."""

    id: UUID
    video_id: str
    watch_duration: int
    completion_rate: float
    interaction_timestamp: datetime
    created_at: datetime

    @property
    def cursor(self) -> HistoryCursor:
        return HistoryCursor(created_at=self.created_at, id=self.id)


@dataclass
class Search:
    """An open search of `searching`: what is set here is told when it closes."""

    started: StartedSearch
    outcome: SearchOutcome | None = None
    rating: int | None = None
    results_count: int | None = None
    results_shown: int | None = None
    results_clicked: int | None = None
    response_time_ms: int | None = None
    conversation: list[dict[str, Any]] | None = None
    ended: EndedSearch | None = None

    @property
    def id(self) -> UUID:
        """What interactions name as their `session_id`."""
        return self.started.id


class ActivityApi(Caller):
    """The part of `ShortsApi` that is for who is signed in."""

    async def start_search(
        self,
        query: str,
        *,
        search_type: SearchType = "keyword",
        user_context: SearchContext | None = None,
        search_intent: SearchIntent | None = None,
        session_id: UUID | str | None = None,
        session_token: str | None = None,
    ) -> StartedSearch:
        """Open a search for `query` (1 to 500 characters); `ai_chat` needs premium.

        `session_id` is the visit to the app, a new one without it. Of `session_token` only its SHA-256 is kept.
        """
        arguments = _given(
            query=query,
            search_type=search_type,
            user_context=user_context,
            search_intent=search_intent,
            session_id=session_id,
            session_token=session_token,
        )
        return await self._call("start_search", arguments, answer=StartedSearch)

    async def end_search(
        self,
        session: UUID | str,
        *,
        outcome: SearchOutcome | None = None,
        rating: int | None = None,
        results_count: int | None = None,
        results_shown: int | None = None,
        results_clicked: int | None = None,
        response_time_ms: int | None = None,
        conversation: Sequence[Mapping[str, Any]] | None = None,
    ) -> EndedSearch:
        """Close the own search with this `id`; may be repeated, and what is left out stays as it is.

        `rating` is 1 to 5. Without `response_time_ms` (above 0, at most a day) it is the time since it was opened.
        """
        arguments = _given(
            session=session,
            outcome=outcome,
            rating=rating,
            results_count=results_count,
            results_shown=results_shown,
            results_clicked=results_clicked,
            response_time_ms=response_time_ms,
            conversation=conversation,
        )
        return await self._call("end_search", arguments, answer=EndedSearch)

    @asynccontextmanager
    async def searching(
        self,
        query: str,
        *,
        search_type: SearchType = "keyword",
        user_context: SearchContext | None = None,
        search_intent: SearchIntent | None = None,
        session_id: UUID | str | None = None,
        session_token: str | None = None,
    ) -> AsyncIterator[Search]:
        """Open a search and close it at the end of the block with what the block has set on the `Search`.

        A block that raises closes it too, as `abandoned` unless an outcome was set; what it raised goes on.
        """
        search = Search(
            await self.start_search(
                query,
                search_type=search_type,
                user_context=user_context,
                search_intent=search_intent,
                session_id=session_id,
                session_token=session_token,
            )
        )
        try:
            yield search
        except BaseException:
            search.outcome = search.outcome or "abandoned"
            with suppress(OndolError):  # the block's own error says more
                await self._end(search)
            raise
        await self._end(search)

    async def _end(self, search: Search) -> None:
        search.ended = await self.end_search(
            search.id,
            outcome=search.outcome,
            rating=search.rating,
            results_count=search.results_count,
            results_shown=search.results_shown,
            results_clicked=search.results_clicked,
            response_time_ms=search.response_time_ms,
            conversation=search.conversation,
        )

    async def record_interaction(self, interactions: Sequence[InteractionInput]) -> Recorded:
        """Store 1 to 1,000 interactions; good rows are kept, bad ones named in `rejected`.

        When no row can be taken, the call is refused with the first row's message and hint. On trial, what goes beyond
        the day's 50 is among the rejected (ON016). A batch has at most 2 MB.
        """
        _require_batch("record_interaction", interactions)
        return await self._call("record_interaction", {"interactions": list(interactions)}, answer=Recorded)

    async def record_watch_event(self, events: Sequence[WatchEventInput]) -> RecordedEvents:
        """Store 1 to 1,000 events of own interactions; good rows are kept, bad ones named in `rejected`."""
        _require_batch("record_watch_event", events)
        return await self._call("record_watch_event", {"events": list(events)}, answer=RecordedEvents)

    async def submit_feedback(
        self,
        video_id: str,
        *,
        feedback_type: FeedbackType,
        reason: FeedbackReason | None = None,
        comment: str | None = None,
        session_id: UUID | str | None = None,
        source_keyword: str | None = None,
        position_in_list: int | None = None,
    ) -> Feedback:
        """Say something of a video, each type once: said again, the last reason and comment (2,000 characters) stand.

        `session_id` is the visit to the app, `StartedSearch.session_id`. To take it back, delete the row of
        `user_feedback`: docs/recipes.md.
        """
        arguments = _given(
            video_id=video_id,
            feedback_type=feedback_type,
            reason=reason,
            comment=comment,
            session_id=session_id,
            source_keyword=source_keyword,
            position_in_list=position_in_list,
        )
        return await self._call("submit_feedback", arguments, answer=Feedback)

    async def report_playback_error(
        self, video_id: str, *, error_code: int, region: str | None = None
    ) -> PlaybackReport:
        """Tell what YouTube's player said, 2, 5, 100, 101, 150 or 153, in `region` (ISO 3166, such as KR).

        Once a day and video; a video that three people could not play is taken out.
        """
        arguments = _given(video_id=video_id, error_code=error_code, region=region)
        return await self._call("report_playback_error", arguments, answer=PlaybackReport)

    async def touch_cached_video(self, video_id: str) -> PublicCachedVideos | None:
        """The video from the cache, its use counted; None when it is not there or expired."""
        found = await self._call("touch_cached_video", {"video_id": video_id}, answer=list[PublicCachedVideos])
        return found[0] if found else None

    async def watch_history(self, before: HistoryCursor | None = None, *, limit: int = 50) -> list[WatchedVideo]:
        """The own views, newest first, 1 to 1,000 at once; `before` is the `cursor` of the last one of the page before.

        What is watched meanwhile shifts no page: none is seen twice and none is left out.
        """
        if not 1 <= limit <= MAX_ROWS:
            raise _refusal(
                "watch_history",
                code="PT400",
                message=f"A page has 1 to {MAX_ROWS} views, and {limit} were asked for.",
                hint="Ask for another page with the cursor of the last view.",
            )
        query = (
            self.client.supabase.table("video_interactions")
            .select(",".join(WatchedVideo.model_fields))
            .eq("interaction_type", "view")
        )
        if before is not None:
            at = before.created_at.isoformat()
            # The first condition bounds the index and the months; the second tells equal times apart.
            query = query.lte("created_at", at).or_(f'created_at.lt."{at}",id.lt.{before.id}')
        newest = query.order("created_at", desc=True).order("id", desc=True).limit(limit)
        return checked(await self.client.run("watch_history", newest.execute()), list[WatchedVideo], "watch_history")


def _given(**arguments: object) -> dict[str, object]:
    """What was given, as JSON takes it: the database's defaults decide the rest."""
    return {
        name: str(value) if isinstance(value, UUID) else value for name, value in arguments.items() if value is not None
    }


def _require_batch(function: str, rows: Sequence[Any]) -> None:
    if len(rows) > MAX_ROWS:
        raise _refusal(
            function,
            code="PT413",
            message=f"The batch has more than {MAX_ROWS} rows: {len(rows)}.",
            hint=f"Send it in parts of at most {MAX_ROWS} rows.",
        )


def _refusal(doing: str, *, code: str, message: str, hint: str) -> RequestError:
    """What the backend would say, without asking it."""
    return request_error(message, doing=doing, code=code, hint=hint, status=int(code.removeprefix("PT")))
