"""Signed JSON that others send: videos, trends and analyses. Headers and bytes in, what is to be stored out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import Request

from .inbound import IGNORED, Read
from .requests import read_body
from .trend_events import Malformed, check_signature, parse_object

Content = TypeVar("Content", bound=BaseModel)


class VideosBody(BaseModel):
    """What videos.list of the YouTube Data API answers; only `items` is read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    items: list[Any] = Field(max_length=1_000)
    signed_at: SkipJsonSchema[float]
    """Unix time of the signature; of the body itself nothing is taken for it."""


class TrendsData(BaseModel):
    """The `data` of trends.observed; each trend is checked by the database."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    trends: list[Any] = Field(max_length=1_000)


class TrendsEvent(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    type: Literal["trends.observed"]
    timestamp: AwareDatetime
    data: TrendsData


Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]


class Analysis(BaseModel):
    """What an AI says of a video, whole; more is kept as it is."""

    model_config = ConfigDict(extra="allow", frozen=True)

    categories: list[str]
    keywords: list[str]
    emotions: dict[str, Annotated[float, Field(strict=True)]]


class AnalyzedData(BaseModel):
    """The `data` of video.analyzed; confidence and scores are 0 to 1."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    video_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,20}$")
    analysis: Analysis
    analysis_version: str = Field(default="v1.0", min_length=1, max_length=20)
    confidence: Fraction | None = None
    scores: dict[str, Fraction] | None = None


class AnalyzedEvent(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    type: Literal["video.analyzed"]
    timestamp: AwareDatetime
    data: AnalyzedData


def signed(
    model: type[Content], *, secrets: Sequence[str], clock: Callable[[], float], limit: int, event: str | None = None
) -> Read:
    """Read a request whose signature over the raw bytes matches one of `secrets`; nothing is parsed before.

    event: the type of event that is acted on; others are genuine and ignored. None for a body that is no event.
    """

    async def read(request: Request) -> Any:
        body = await read_body(request, limit=limit)
        check_signature(request.headers, body, secrets=secrets, now=clock())
        content = parse_object(request.headers.get("content-type", ""), body)
        if model is VideosBody:
            # Signed with it, and never ahead of us: sent again by somebody else, old facts do not pass for news.
            content["signed_at"] = min(float(request.headers["webhook-timestamp"]), clock())
        if event and isinstance(content.get("type"), str) and content["type"] != event:
            return IGNORED
        try:
            return model.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise Malformed(f"{place}: {first['msg']}.", hint="See docs/webhooks.md for the fields.") from error

    return read
