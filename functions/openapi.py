"""The OpenAPI 3.1 document of the handlers, made of their own models and limits; and of what Ondol sends, as webhooks.

Pure: `document()` is docs/openapi.json, `document(paths)` is what one server has open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from app.shorts.told_trends import ToldTrend
from app.version import VERSION

from . import ai_analysis, bright_data, trends, youtube_videos
from .answers import AnalysisStored, Delivered, Healthy, Ignored, Problem, Recorded, Stored, Tested
from .requests import RETRY_AFTER
from .sent_events import EVENTS, SentEvent
from .told import AnalyzedEvent, TrendsEvent, VideosBody
from .trend_events import MAX_BODY, MAX_SIGNATURES, TOLERANCE, ChangedTrend, Envelope, Trend

Schema = dict[str, Any]

PLACE = "#/components/schemas/"

Told = tuple[tuple[str, ...], str]

HEADERS: dict[int, Schema] = {
    405: {"allow": {"description": "The methods that there are.", "schema": {"type": "string"}}},
    503: {"retry-after": {"description": "Seconds to wait.", "schema": {"const": str(RETRY_AFTER)}}},
}

# Every answer that is no 200: its status, its codes, and when it comes.
PROBLEMS: dict[int, Told] = {
    400: (("malformed", "refused"), "Genuine, but not JSON or not as agreed; or the database takes nothing of it."),
    401: (("not_genuine",), f"Unsigned, wrongly signed, or more than {TOLERANCE} s off; nothing of it was parsed."),
    404: (
        ("not_found", "unknown_video"),
        "This server has not opened the handler; or the video of an analysis is not known: send it first.",
    ),
    405: (("method_not_allowed",), "Another method; `allow` names those that there are."),
    408: (("too_slow",), "The body did not arrive in time."),
    413: (("too_large",), "Longer than the limit; refused while it arrives."),
    500: (("internal",), "A mistake of the handler. Send the same again later."),
    503: (("unavailable",), "The database cannot be asked. Send the same again; nothing is lost and nothing doubled."),
}


@dataclass(frozen=True)
class Handler:
    """One POST: who may send what, and what it answers."""

    path: str
    name: str
    summary: str
    description: str
    body: Schema
    answers: Sequence[type[BaseModel]]
    problems: Mapping[int, Told]
    limit: int
    security: str = "signature"
    parameters: Sequence[Schema] = ()


def document(paths: Collection[str] | None = None) -> Schema:
    """The document, of every path or of `paths` only; JSON, with the keys in a fixed order."""
    schemas = model_schemas()
    wanted = {path: item for path, item in all_paths().items() if paths is None or path in paths}
    webhooks = {title(event): sent(event) for event in EVENTS}
    made: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "Ondol webhooks",
            "version": VERSION,
            "summary": "What the webhook handlers take, and what Ondol sends to your own.",
            "description": "Every request is believed for its signature, by Standard Webhooks. Each may be sent again: "
            "a repeat has no second effect. docs/webhooks.md explains both sides.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this document is served."}],
        "tags": [
            {"name": "receive", "description": "The receiver of Ondol's own events."},
            {"name": "take in", "description": "Data from others; each is there when its secret is set."},
            {"name": "look after", "description": "Is it alive, and what does it answer."},
        ],
        "paths": wanted,
        "webhooks": webhooks,
        "components": {
            "schemas": schemas,
            "parameters": {parameter["name"]: parameter for parameter in SIGNATURE},
            "responses": {str(status): refused(status, told) for status, told in PROBLEMS.items()},
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "webhook-signature",
                    "description": "Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`, "
                    "with the bytes that stand in base64 after `whsec_` of the secret.",
                },
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "authorization",
                    "description": "What the delivery was ordered with, with or without `Bearer ` before it.",
                },
            },
        },
    }
    components = made["components"]
    components["schemas"] = {
        name: schemas[name] for name in sorted(reached(made["paths"], webhooks, ref(Problem), schemas=schemas))
    }
    return made


class Untitled(GenerateJsonSchema):
    """Without a title for each field, which says its name once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def model_schemas() -> dict[str, Schema]:
    """The JSON schema of every model, by its name, as Pydantic makes it."""
    models: list[Any] = [*EVENTS, Envelope, Trend, ChangedTrend, VideosBody, TrendsEvent, AnalyzedEvent, ToldTrend]
    answers: list[Any] = [Healthy, Recorded, Tested, Ignored, Stored, AnalysisStored, Delivered, Problem]
    inputs: list[tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = [
        (model.__name__, "validation", TypeAdapter(model)) for model in [*models, *answers]
    ]
    _, made = TypeAdapter.json_schemas(inputs, ref_template=PLACE + "{model}", schema_generator=Untitled)
    schemas: dict[str, Schema] = made["$defs"]
    # Each trend is checked on its own, so that one bad one refuses no other; this is what a good one is.
    schemas["TrendsData"]["properties"]["trends"]["items"] = ref(ToldTrend)
    schemas["VideosBody"]["properties"]["items"]["items"] = {
        "description": "A video resource of the YouTube Data API with snippet, contentDetails, status and statistics."
    }
    return schemas


def reached(*starts: Any, schemas: Mapping[str, Schema]) -> set[str]:
    """The names of schemas that anything here refers to, at whatever depth."""
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        match waiting.pop():
            case dict() as value:
                name = str(value.get("$ref", "")).removeprefix(PLACE)
                if name in schemas and name not in found:
                    found.add(name)
                    waiting.append(schemas[name])
                waiting.extend(value.values())
            case list() as values:
                waiting.extend(values)
    return found


def ref(model: type) -> Schema:
    return {"$ref": f"{PLACE}{model.__name__}"}


def title(event: type[SentEvent]) -> str:
    """The type of the event as it stands in its body."""
    name: str = event.model_json_schema()["properties"]["type"]["const"]
    return name


SIGNATURE: list[Schema] = [
    {
        "name": "webhook-id",
        "in": "header",
        "required": True,
        "description": "The same for every attempt of one message; ASCII without a full stop.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    },
    {
        "name": "webhook-timestamp",
        "in": "header",
        "required": True,
        "description": f"Unix seconds of this attempt, at most {TOLERANCE} s from the receiver's clock.",
        "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,11}$"},
    },
    {
        "name": "webhook-signature",
        "in": "header",
        "required": True,
        "description": f"`v1,<base64>`, at most {MAX_SIGNATURES} of them, separated by spaces.",
        "schema": {"type": "string", "minLength": 1},
    },
]
SIGNATURE_REFS: list[Schema] = [{"$ref": f"#/components/parameters/{one['name']}"} for one in SIGNATURE]

REGION: Schema = {
    "name": "region",
    "in": "query",
    "description": "The country that was searched, for rows that do not say it.",
    "schema": {"type": "string", "pattern": "^[A-Z]{2}$"},
}
ENCODING: Schema = {
    "name": "content-encoding",
    "in": "header",
    "description": f"The body may be gzip: {bright_data.MAX_UNPACKED:,} bytes unpacked, at most.",
    "schema": {"enum": ["identity", "gzip"], "default": "identity"},
}


def problems(*statuses: int, **changed: Told) -> dict[int, Told]:
    """These of PROBLEMS, some said more precisely: status_404=(codes, when)."""
    precise = {int(name.removeprefix("status_")): told for name, told in changed.items()}
    return {status: precise.get(status, PROBLEMS[status]) for status in sorted({*statuses, *precise})}


RECEIVED = (400, 401, 405, 408, 413, 500, 503)
TAKEN_IN = (*RECEIVED, 404)


def handlers() -> list[Handler]:
    others = "An event of another type is answered `ignored`, because a retry would change nothing."
    return [
        Handler(
            "/webhooks/notify-trend",
            "notifyTrend",
            "Take a trend that was detected",
            f"Records `trend.detected` once by its webhook-id, and notifies who follows the keyword. {others}",
            event_body("trend.detected", Trend),
            (Recorded, Tested, Ignored),
            problems(*RECEIVED),
            MAX_BODY,
        ),
        Handler(
            "/webhooks/trend-update",
            "trendUpdate",
            "Take a trend that has changed",
            f"Records `trend.updated` once by its webhook-id. {others}",
            event_body("trend.updated", ChangedTrend),
            (Recorded, Tested, Ignored),
            problems(*RECEIVED),
            MAX_BODY,
        ),
        Handler(
            "/webhooks/youtube-videos",
            "youtubeVideos",
            "Take what videos.list answered",
            "Each item becomes a video with keywords, as of when the request was signed.",
            ref(VideosBody),
            (Stored,),
            problems(*TAKEN_IN),
            youtube_videos.MAX_BODY,
        ),
        Handler(
            "/webhooks/trends",
            "trends",
            "Take trends that somebody observed",
            f"Each becomes an open trend of its source; a bad one is rejected by its index. {others}",
            ref(TrendsEvent),
            (Stored, Ignored),
            problems(*TAKEN_IN),
            trends.MAX_BODY,
        ),
        Handler(
            "/webhooks/ai-analysis",
            "aiAnalysis",
            "Take what an AI says of a video",
            f"The analysis is kept whole, with its version and confidence. {others}",
            ref(AnalyzedEvent),
            (AnalysisStored, Ignored),
            problems(*TAKEN_IN),
            ai_analysis.MAX_BODY,
        ),
        Handler(
            "/webhooks/bright-data",
            "brightData",
            "Take a snapshot that Bright Data delivers",
            "Rows become ids to check, metadata and signals; nothing of it lets a video play.",
            {
                "type": "array",
                "description": "Or one JSON object a line.",
                "maxItems": bright_data.MAX_ROWS,
                "items": {"type": "object"},
            },
            (Delivered,),
            problems(
                *TAKEN_IN,
                status_401=(("not_genuine",), "The Authorization header is not the delivery's; nothing was read."),
            ),
            bright_data.MAX_PACKED,
            security="token",
            parameters=(REGION, ENCODING),
        ),
    ]


def event_body(name: str, data: type[BaseModel]) -> Schema:
    """An event that is acted on, or any other."""
    is_wanted = {"properties": {"type": {"const": name}}}
    return {"allOf": [ref(Envelope), {"if": is_wanted, "then": {"properties": {"data": ref(data)}}}]}


def all_paths() -> dict[str, Schema]:
    made = {handler.path: {"post": operation(handler)} for handler in handlers()}
    made["/health"] = {
        "get": {
            "tags": ["look after"],
            "operationId": "health",
            "summary": "Say that the process answers",
            "responses": {"200": said([Healthy], "It answers."), **said_problems(problems(405, 500))},
        }
    }
    made["/openapi.json"] = {
        "get": {
            "tags": ["look after"],
            "operationId": "openapi",
            "summary": "Give this document, of the handlers that are open",
            "responses": {
                "200": {
                    "description": "OpenAPI 3.1.",
                    "content": {"application/json": {"schema": {"type": "object", "required": ["openapi", "paths"]}}},
                },
                **said_problems(problems(405, 500)),
            },
        }
    }
    return made


def operation(handler: Handler) -> Schema:
    is_signed = handler.security == "signature"
    is_receiver = Recorded in handler.answers
    return {
        "tags": ["receive" if is_receiver else "take in"],
        "operationId": handler.name,
        "summary": handler.summary,
        "description": f"{handler.description} The body has at most {handler.limit:,} bytes.",
        "security": [{handler.security: []}],
        "parameters": [*(SIGNATURE_REFS if is_signed else []), *handler.parameters],
        "requestBody": {"required": True, "content": {"application/json": {"schema": handler.body}}},
        "responses": {
            "200": said(handler.answers, "Done; a sender need not try again."),
            **said_problems(handler.problems),
        },
    }


def said(models: Sequence[type[BaseModel]], description: str) -> Schema:
    refs = [ref(model) for model in models]
    return {
        "description": description,
        "content": {"application/json": {"schema": refs[0] if len(refs) == 1 else {"oneOf": refs}}},
    }


def said_problems(told: Mapping[int, Told]) -> dict[str, Schema]:
    """One answer for each status; those of PROBLEMS stand once, in the components."""
    return {
        str(status): {"$ref": f"#/components/responses/{status}"} if one == PROBLEMS[status] else refused(status, one)
        for status, one in told.items()
    }


def refused(status: int, told: Told) -> Schema:
    """The shape of a problem, with the codes that it may have."""
    codes, description = told
    schema = {"allOf": [ref(Problem), {"properties": {"code": {"enum": list(codes)}}}]}
    made: Schema = {"description": description, "content": {"application/json": {"schema": schema}}}
    if status in HEADERS:
        made["headers"] = HEADERS[status]
    return made


def sent(event: type[SentEvent]) -> Schema:
    """What a subscriber's server gets, and what it should answer."""
    return {
        "post": {
            "operationId": f"on{event.__name__}",
            "summary": (event.__doc__ or "").strip(),
            "description": "Delivered at least once, signed; try again and again for about three days.",
            "security": [{"signature": []}],
            "parameters": SIGNATURE_REFS,
            "requestBody": {"required": True, "content": {"application/json": {"schema": ref(event)}}},
            "responses": {
                "2XX": {"description": "Taken, within 15 seconds. The body is not read."},
                "410": {"description": "Never again: the endpoint is disabled at once."},
                "429": {"description": "Later: with retry-after, the next attempt waits at least as long."},
                "503": {"description": "Later: with retry-after, the next attempt waits at least as long."},
                "default": {"description": "A failure, a redirect too: tried again by the schedule."},
            },
        }
    }
