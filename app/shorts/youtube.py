"""The YouTube Data API v3, and the only file that knows it. What a resource says becomes the room's own input.

`YouTube` asks the service: every attempt takes its units from the quota ledger before it is sent, so that no crash and
no retry leads beyond the quota. docs/youtube.md says what a day costs.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, cast

import httpx
import tenacity

from ..config import YOUTUBE_API_URL, Secret, check_secret_goes_safely
from ..errors import QuotaSpentError, SourceError
from .api import RegionLists, VideoInput
from .channels import ChannelInput
from .freshness import QuotaBucket, QuotaState, TakenQuota
from .sources import is_packed_once

__all__ = [
    "ChannelsAnswer",
    "QuotaLedger",
    "SearchPage",
    "Unusable",
    "VideosAnswer",
    "VideosPage",
    "YouTube",
    "channel_input",
    "duration_seconds",
    "video_input",
]

SEARCH_BUCKET: QuotaBucket = "youtube_search"
UNITS_BUCKET: QuotaBucket = "youtube_units"
IDS_PER_CALL = 50
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_RETRY_AFTER = 86_400.0  # seconds; a day's quota is new by then
MAX_ITEMS = 100  # twice what is asked for; categories are fewer
MAX_TOKEN = 1_000  # characters; it becomes part of an address
MAX_BODY_BYTES = 16 * 1024 * 1024
RETRIED_STATUSES = {429, 500, 502, 503, 504}
QUOTA_REASONS = {"quotaExceeded", "dailyLimitExceeded"}
RATE_REASONS = {"rateLimitExceeded", "userRateLimitExceeded"}
VIDEO_PARTS = "snippet,contentDetails,status,statistics"
_DURATION = re.compile(
    r"P(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,7})M)?(?:(?P<seconds>\d{1,9})S)?)?",
    re.ASCII,
)
_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_ID = re.compile(r"[A-Za-z0-9_-]{1,20}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CHANNEL_ID = re.compile(r"[A-Za-z0-9_-]{1,50}")


class Unusable(NamedTuple):
    """A resource that cannot be used: `code` names the problem, `detail` shows it."""

    code: str
    detail: str


class QuotaLedger(Protocol):
    """Counts what is spent; ShortsApi with the secret key is one."""

    async def take_quota(self, bucket: QuotaBucket, /, *, units: int) -> TakenQuota: ...

    async def close_quota(self, bucket: QuotaBucket, /) -> TakenQuota: ...


@dataclass(frozen=True)
class SearchPage:
    """Video ids in the order of the answer, without repetition; `next_page_token` is None on the last page."""

    video_ids: list[str]
    unusable: list[Unusable]
    next_page_token: str | None


@dataclass(frozen=True)
class VideosAnswer:
    """What became of the ids that were asked for: usable, named as unusable, or missing: deleted or private."""

    found: list[VideoInput]
    unusable: list[Unusable]
    missing: list[str]


@dataclass(frozen=True)
class VideosPage:
    """One page of a chart; `next_page_token` is None on the last page."""

    found: list[VideoInput]
    unusable: list[Unusable]
    next_page_token: str | None


@dataclass(frozen=True)
class ChannelsAnswer:
    """What became of the channels that were asked for."""

    found: list[ChannelInput]
    unusable: list[Unusable]
    missing: list[str]


def duration_seconds(text: str) -> int | None:
    """Seconds of an ISO 8601 duration such as PT1M5S; 0 for P0D, a live stream; None when it is none."""
    match = _DURATION.fullmatch(text)
    if match is None or text in ("P", "PT"):
        return None
    return sum(int(match[name] or 0) * seconds for name, seconds in _SECONDS.items())


def video_input(resource: object, *, collected_at: str) -> VideoInput | Unusable:
    """A `youtube#video` resource of videos.list (snippet, contentDetails, status, statistics) for `ingest_videos`.

    Parts that were not asked for are left out, which keeps what is known. `keywords` is empty: `add_keywords` fills it.
    """
    if not isinstance(resource, Mapping):
        return Unusable("not_an_object", type(resource).__name__)
    video_id = resource.get("id")
    if not isinstance(video_id, str) or _ID.fullmatch(video_id) is None:
        return Unusable("bad_video_id", repr(video_id)[:60])
    snippet, content, status = _part(resource, "snippet"), _part(resource, "contentDetails"), _part(resource, "status")
    title = _text(snippet, "title")
    if title is None or not title.strip():
        return Unusable("missing_value", f"snippet.title of {video_id}")
    found: dict[str, Any] = {"video_id": video_id, "title": title, "collected_at": collected_at, "keywords": []}
    found["description"] = _text(snippet, "description")
    found["channel_id"] = _text(snippet, "channelId")
    found["channel_name"] = _text(snippet, "channelTitle")
    found["published_at"] = _text(snippet, "publishedAt")
    found["live_broadcast"] = _text(snippet, "liveBroadcastContent")
    found["category_id"] = _count(snippet, "categoryId")
    found["thumbnail_url"] = _thumbnail(snippet)
    found["tags"] = _texts(snippet.get("tags"))
    if (duration := _text(content, "duration")) is not None:
        found["duration_seconds"] = duration_seconds(duration)
        if found["duration_seconds"] is None:
            return Unusable("bad_duration", f"{duration[:40]!r} of {video_id}")
    if content:
        found["is_age_restricted"] = _part(content, "contentRating").get("ytRating") == "ytAgeRestricted"
        found["region_restrictions"] = _regions(content)
    found["privacy_status"] = _text(status, "privacyStatus")
    found["upload_status"] = _text(status, "uploadStatus")
    if isinstance(embeddable := status.get("embeddable"), bool):
        found["is_embeddable"] = embeddable
    statistics = _part(resource, "statistics")
    found["view_count"] = _count(statistics, "viewCount")
    found["like_count"] = _count(statistics, "likeCount")  # left out when the uploader hides it
    found["comment_count"] = _count(statistics, "commentCount")
    return cast(VideoInput, {name: value for name, value in found.items() if value is not None})


def channel_input(resource: object, *, collected_at: str) -> ChannelInput | Unusable:
    """A `youtube#channel` resource of channels.list (snippet, statistics) for `ingest_channels`."""
    if not isinstance(resource, Mapping):
        return Unusable("not_an_object", type(resource).__name__)
    channel_id = resource.get("id")
    if not isinstance(channel_id, str) or _CHANNEL_ID.fullmatch(channel_id) is None:
        return Unusable("bad_channel_id", repr(channel_id)[:60])
    snippet, statistics = _part(resource, "snippet"), _part(resource, "statistics")
    title = _text(snippet, "title")
    if title is None or not title.strip():
        return Unusable("missing_value", f"snippet.title of {channel_id}")
    found: dict[str, Any] = {"channel_id": channel_id, "title": title, "collected_at": collected_at}
    if statistics.get("hiddenSubscriberCount") is not True:
        found["subscriber_count"] = _count(statistics, "subscriberCount")
    found["video_count"] = _count(statistics, "videoCount")
    found["total_view_count"] = _count(statistics, "viewCount")
    found["content_language"] = _text(snippet, "defaultLanguage")
    found["thumbnail_url"] = _thumbnail(snippet)
    found["published_at"] = _text(snippet, "publishedAt")
    return cast(ChannelInput, {name: value for name, value in found.items() if value is not None})


class YouTube:
    """The YouTube Data API with `key`; an async context manager.

    `quota` is asked before every attempt, retries too. `http` is an httpx client to use instead of an own one and stays
    the caller's to close. One attempt ends after `timeout_seconds`. Methods raise QuotaSpentError when the day's quota
    is spent, by the ledger or by YouTube's own word, and SourceError when YouTube refuses (`source_refused`) or goes on
    failing after four attempts (`source_failed`, transient; `values` may hold `retry_after_seconds`).
    """

    def __init__(
        self,
        key: Secret,
        *,
        quota: QuotaLedger,
        url: str = YOUTUBE_API_URL,
        http: httpx.AsyncClient | None = None,
        timeout_seconds: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        check_secret_goes_safely("YOUTUBE_API_URL", url)
        self._key = key
        self._quota = quota
        self._url = url.rstrip("/")
        self._given_http = http
        self._http: httpx.AsyncClient | None = None
        self._timeout_seconds = timeout_seconds
        self._sleep = sleep
        self._now = now
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        # HTTP/1.1: the HTTP/2 library would write the header with the key into a debug log.
        self._http = self._given_http or await self._stack.enter_async_context(
            httpx.AsyncClient(timeout=self._timeout_seconds, follow_redirects=False)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http = None
        await self._stack.aclose()

    async def search(
        self,
        query: str,
        *,
        region: str,
        language: str | None = None,
        order: str = "relevance",
        published_after: datetime | None = None,
        page_token: str | None = None,
    ) -> SearchPage:
        """One page (50) of search.list: short (under 4 minutes), embeddable videos that play in `region`. 1 search."""
        asked: dict[str, str | None] = {
            "part": "snippet",
            "type": "video",
            "q": query,
            "regionCode": region,
            "relevanceLanguage": language,
            "order": order,
            "publishedAfter": None if published_after is None else _rfc3339(published_after),
            "videoDuration": "short",
            "videoEmbeddable": "true",
            "maxResults": str(IDS_PER_CALL),
            "pageToken": page_token,
        }
        answer = await self._list("search", asked, bucket=SEARCH_BUCKET, kind="youtube#searchListResponse")
        found: dict[str, None] = {}
        unusable = []
        for item in answer.items:
            place = item.get("id") if isinstance(item, Mapping) else None
            video_id = place.get("videoId") if isinstance(place, Mapping) else None
            if isinstance(video_id, str) and _ID.fullmatch(video_id):
                found[video_id] = None
            else:
                unusable.append(Unusable("bad_video_id", repr(place)[:60]))
        return SearchPage(list(found), unusable, answer.next_page_token)

    async def videos(self, video_ids: Sequence[str]) -> VideosAnswer:
        """Facts of at most 50 videos, by videos.list. 1 unit."""
        collected_at = self._now().isoformat()
        asked = {"part": VIDEO_PARTS, "id": _joined(video_ids), "maxResults": str(IDS_PER_CALL)}
        answer = await self._list("videos", asked, kind="youtube#videoListResponse")
        found, unusable, missing = _told_apart(
            answer.items, video_ids, lambda item: video_input(item, collected_at=collected_at)
        )
        return VideosAnswer(cast(list[VideoInput], found), unusable, missing)

    async def most_popular(
        self, region: str, *, page_token: str | None = None, category: int | None = None
    ) -> VideosPage:
        """One page (50) of the chart mostPopular; since July 2025 it holds music, films and games only. 1 unit."""
        collected_at = self._now().isoformat()
        asked = {
            "part": VIDEO_PARTS,
            "chart": "mostPopular",
            "regionCode": region,
            "videoCategoryId": None if category is None else str(category),
            "maxResults": str(IDS_PER_CALL),
            "pageToken": page_token,
        }
        answer = await self._list("videos", asked, kind="youtube#videoListResponse")
        found: dict[str, VideoInput] = {}
        unusable = []
        for item in answer.items:
            read = video_input(item, collected_at=collected_at)
            if isinstance(read, Unusable):
                unusable.append(read)
            else:
                found.setdefault(read["video_id"], read)
        return VideosPage(list(found.values()), unusable, answer.next_page_token)

    async def channels(self, channel_ids: Sequence[str]) -> ChannelsAnswer:
        """Facts of at most 50 channels, by channels.list. 1 unit."""
        collected_at = self._now().isoformat()
        asked = {"part": "snippet,statistics", "id": _joined(channel_ids), "maxResults": str(IDS_PER_CALL)}
        answer = await self._list("channels", asked, kind="youtube#channelListResponse")
        found, unusable, missing = _told_apart(
            answer.items, channel_ids, lambda item: channel_input(item, collected_at=collected_at)
        )
        return ChannelsAnswer(cast(list[ChannelInput], found), unusable, missing)

    async def categories(self, region: str, *, language: str = "en") -> dict[int, str]:
        """Names of the video categories by number, in `language`. 1 unit."""
        asked = {"part": "snippet", "regionCode": region, "hl": language}
        answer = await self._list("videoCategories", asked, kind="youtube#videoCategoryListResponse")
        names = {}
        for item in answer.items:
            if isinstance(item, Mapping):
                number, name = _count(item, "id"), _text(_part(item, "snippet"), "title")
                if number is not None and name is not None:
                    names[number] = name
        return names

    async def _list(
        self, path: str, asked: Mapping[str, str | None], *, kind: str, bucket: QuotaBucket = UNITS_BUCKET
    ) -> _List:
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_pause,
            retry=tenacity.retry_if_exception(_is_retried),
            sleep=self._sleep,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                return await self._attempt(path, asked, kind=kind, bucket=bucket)
        raise AssertionError  # tenacity returns or raises before

    async def _attempt(self, path: str, asked: Mapping[str, str | None], *, kind: str, bucket: QuotaBucket) -> _List:
        granted = await self._quota.take_quota(bucket, units=1)
        if not granted.granted:
            raise _spent(granted)
        doing = f"{path}.list"
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, headers, body = await self._get(path, asked)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise _failed(doing, f"no answer within {self._timeout_seconds:g} s") from error
        except (httpx.TransportError, httpx.DecodingError, OSError) as error:
            raise _failed(doing, self._without_key(str(error))[:300] or type(error).__name__) from error
        if body is None:
            raise _failed(doing, f"an answer of more than {MAX_BODY_BYTES} bytes, or packed twice")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):  # a wrong encoding is a ValueError too
            answer = None
        if status != 200:
            raise await self._refusal(doing, status, headers, answer, bucket=bucket)
        items = _items(answer, kind)
        if items is None:
            raise _failed(doing, f"an answer that is no {kind}")
        if len(items) > MAX_ITEMS:
            raise _failed(doing, f"an answer of {len(items)} items")
        token = _text(answer, "nextPageToken")
        if token is not None and len(token) > MAX_TOKEN:
            raise _failed(doing, f"a page token of {len(token)} characters")
        return _List(items, token)

    async def _get(self, path: str, asked: Mapping[str, str | None]) -> tuple[int, httpx.Headers, bytes | None]:
        """Status, headers and body; no body when it is larger than anything that YouTube sends."""
        if self._http is None:
            raise RuntimeError("use `async with YouTube(…) as youtube`")
        body = bytearray()
        async with self._http.stream(
            "GET",
            f"{self._url}/{path}",
            params={name: value for name, value in asked.items() if value is not None},
            headers={"X-goog-api-key": self._key.reveal(), "Accept": "application/json"},
            follow_redirects=False,  # the key goes nowhere else
        ) as response:
            if not is_packed_once(response.headers):
                return response.status_code, response.headers, None
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    return response.status_code, response.headers, None
        return response.status_code, response.headers, bytes(body)

    async def _refusal(
        self, doing: str, status: int, headers: httpx.Headers, answer: object, *, bucket: QuotaBucket
    ) -> SourceError:
        reason, message = (self._without_key(text) for text in _problem(answer))
        problem = " ".join(part for part in (str(status), reason, message) if part)
        if status < 500 and (reason in QUOTA_REASONS or (status == 429 and "per day" in message)):
            return _spent(await self._quota.close_quota(bucket))
        if status in RETRIED_STATUSES or reason in RATE_REASONS:
            return _failed(doing, problem, _retry_after(headers.get("Retry-After"), now=self._now()))
        return SourceError("source_refused", source="YouTube", doing=doing, problem=problem)

    def _without_key(self, text: str) -> str:
        """What a server sends back of what it was sent goes into no message and no log."""
        return text.replace(self._key.reveal(), "********")


class _List(NamedTuple):
    items: list[Any]
    next_page_token: str | None


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _joined(ids: Sequence[str]) -> str:
    """For the parameter id; a comma in an id would ask for another video."""
    if not 0 < len(set(ids)) <= IDS_PER_CALL or not all(_CHANNEL_ID.fullmatch(item) for item in ids):
        raise ValueError(f"1 to {IDS_PER_CALL} ids are asked for at a time")
    return ",".join(dict.fromkeys(ids))


def _items(answer: object, kind: str) -> list[Any] | None:
    """The list of an answer; None when it is not the answer that was asked for."""
    if not isinstance(answer, Mapping) or answer.get("kind") != kind:
        return None
    if "items" not in answer:
        # channels.list leaves an empty list out; otherwise nothing must look like fifty deleted videos
        return [] if _count(_part(answer, "pageInfo"), "totalResults") == 0 else None
    return answer["items"] if isinstance(answer["items"], list) else None


def _told_apart(
    items: Sequence[Any], ids: Sequence[str], read: Callable[[object], Mapping[str, Any] | Unusable]
) -> tuple[list[Mapping[str, Any]], list[Unusable], list[str]]:
    """Found, unusable and missing; what was not asked for and what comes twice is left out."""
    open_ids = dict.fromkeys(ids)
    found: list[Mapping[str, Any]] = []
    unusable: list[Unusable] = []
    all_named = True
    for item in items:
        name = item.get("id") if isinstance(item, Mapping) else None
        if not isinstance(name, str):
            all_named = False  # it may be any of the ids
            unusable.append(Unusable("bad_id", repr(name)[:60]))
        elif name in open_ids:
            del open_ids[name]
            answer = read(item)
            if isinstance(answer, Unusable):
                unusable.append(answer)
            else:
                found.append(answer)
    return found, unusable, list(open_ids) if all_named else []


def _problem(answer: object) -> tuple[str, str]:
    """Reason and message of an error body; empty when it is none."""
    error = _part(answer, "error") if isinstance(answer, Mapping) else {}
    for listed in ("errors", "details"):
        entries = error.get(listed)
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, Mapping) and (reason := _text(entry, "reason")):
                return reason[:100], (_text(error, "message") or "")[:300]
    return (_text(error, "status") or "")[:100], (_text(error, "message") or "")[:300]


def _retry_after(header: str | None, *, now: datetime) -> float | None:
    """Seconds, at most a day, that Retry-After asks for, a number or a date; None when it says nothing readable."""
    if not header:
        return None
    if header.isascii() and header.isdigit() and len(header) <= 9:
        return min(float(header), LONGEST_RETRY_AFTER)
    try:
        at = email.utils.parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # a zone of many digits is beyond what can be counted
        return None
    return min(max((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


def _failed(doing: str, problem: str, retry_after_seconds: float | None = None) -> SourceError:
    return SourceError(
        "source_failed",
        transient=True,
        source="YouTube",
        doing=doing,
        problem=problem,
        retry_after_seconds=retry_after_seconds,
    )


def _spent(quota: QuotaState) -> QuotaSpentError:
    return QuotaSpentError(
        "quota_spent",
        bucket=quota.bucket,
        used=quota.used,
        daily_limit=quota.daily_limit,
        resets_at=quota.resets_at,
    )


def _asked_pause(error: BaseException | None) -> float:
    """Seconds that the source asked us to wait."""
    asked = error.values.get("retry_after_seconds") if isinstance(error, SourceError) else None
    return asked if isinstance(asked, float) else 0.0


def _is_retried(error: BaseException) -> bool:
    """What may pass soon; when the source asks for more than a minute the caller has better things to do."""
    return isinstance(error, SourceError) and error.is_transient and _asked_pause(error) <= LONGEST_PAUSE_SECONDS


_backoff = tenacity.wait_exponential(multiplier=FIRST_PAUSE_SECONDS) + tenacity.wait_random(0, FIRST_PAUSE_SECONDS)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), _asked_pause(error))


def _part(resource: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = resource.get(name)
    return part if isinstance(part, Mapping) else {}


def _text(part: Mapping[str, Any], name: str) -> str | None:
    value = part.get(name)
    return _storable(value) if isinstance(value, str) and value else None


def _texts(value: object) -> list[str] | None:
    return [_storable(item) for item in value if isinstance(item, str)] if isinstance(value, list) else None


def _storable(value: str) -> str:
    """Without what JSON can spell and no database keeps: NUL and halves of a character; one would stop its batch."""
    return _UNSTORABLE.sub("\ufffd", value)


def _count(part: Mapping[str, Any], name: str) -> int | None:
    """YouTube writes counts as text."""
    value = part.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18 else None


def _thumbnail(snippet: Mapping[str, Any]) -> str | None:
    thumbnails = _part(snippet, "thumbnails")
    for size in ("maxres", "standard", "high", "medium", "default"):
        if address := _text(_part(thumbnails, size), "url"):
            return address
    return None


def _regions(content: Mapping[str, Any]) -> RegionLists:
    """An empty object says that no region is restricted; that is news too."""
    given = _part(content, "regionRestriction")
    lists = {name: codes for name in ("allowed", "blocked") if (codes := _texts(given.get(name))) is not None}
    return cast(RegionLists, lists)
