"""What Ondol sends to whoever registered an endpoint, as models. The database builds it; docs/webhooks.md says when."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Sent(BaseModel):
    """Fields may be added: a receiver ignores what it does not know."""

    model_config = ConfigDict(extra="allow", frozen=True)


class SentTrend(Sent):
    """A trend as both of its events tell it."""

    id: UUID
    keyword: str = Field(min_length=1, max_length=255)
    region_code: str = Field(pattern=r"^[A-Z]{2}$")
    data_source: Literal["youtube_api", "bright_data", "internal"]
    trend_score: float = Field(ge=0, le=1)
    growth_rate: float = Field(description="In per cent over the usual number of mentions.")
    model_version: str | None
    detected_at: AwareDatetime
    expires_at: AwareDatetime


class DetectedTrend(SentTrend):
    """The `data` of trend.detected."""

    search_volume: int = Field(ge=0, description="Mentions in the hour that was tested.")
    z_score: float | None
    q_value: float | None


class UpdatedTrend(SentTrend):
    """The `data` of trend.updated."""

    previous_score: float | None = Field(description="Null when `change` is inserted.")
    change: Literal["inserted", "updated"]


class OpenedAlert(Sent):
    """The `data` of alert.opened."""

    alert_id: int
    kind: str
    subject: str
    severity: Literal["info", "warning", "critical"]
    opened_at: AwareDatetime


class RequestedTest(Sent):
    """The `data` of webhook.test."""

    endpoint_id: UUID
    requested_at: AwareDatetime


class SentEvent(Sent):
    """What every event has in common."""

    type: str
    timestamp: AwareDatetime = Field(description="When it was recorded; `webhook-timestamp` is of the attempt.")


class TrendDetected(SentEvent):
    """A trend is new above 0.8, or rises through 0.8; once per keyword, region and UTC day."""

    type: Literal["trend.detected"]
    data: DetectedTrend


class TrendUpdated(SentEvent):
    """A trend is new, or its score, source or keyword has changed."""

    type: Literal["trend.updated"]
    data: UpdatedTrend


class AlertOpened(SentEvent):
    """Something needs the operator; sent to the operator's endpoints only."""

    type: Literal["alert.opened"]
    data: OpenedAlert


class WebhookTest(SentEvent):
    """Somebody tries this endpoint."""

    type: Literal["webhook.test"]
    data: RequestedTest


EVENTS: tuple[type[SentEvent], ...] = (TrendDetected, TrendUpdated, AlertOpened, WebhookTest)
