"""/auth/v1/admin/users: what the service role does with users, straight on the auth schema."""

from __future__ import annotations

import json
import re
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

import psycopg
from aiohttp import web
from psycopg.types.json import Jsonb

from .answers import Refused, auth_error, database_down, json_answer
from .database import AuthDatabase, Connection

LONGEST_PASSWORD = 72  # bcrypt ignores what follows
LARGEST_BODY = 1024 * 1024
PAGE_SIZE = 50
DURATION = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+")
DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

USER_JSON = """
jsonb_strip_nulls(
    jsonb_build_object(
        'id', users.id,
        'aud', users.aud,
        'role', users.role,
        'email', coalesce(users.email, ''),
        'email_confirmed_at', users.email_confirmed_at,
        'invited_at', users.invited_at,
        'phone', coalesce(users.phone, ''),
        'phone_confirmed_at', users.phone_confirmed_at,
        'confirmation_sent_at', users.confirmation_sent_at,
        'confirmed_at', users.confirmed_at,
        'recovery_sent_at', users.recovery_sent_at,
        'last_sign_in_at', users.last_sign_in_at,
        'banned_until', users.banned_until,
        'deleted_at', users.deleted_at,
        'created_at', users.created_at,
        'updated_at', users.updated_at,
        'is_anonymous', users.is_anonymous
    )
) || jsonb_build_object(
    'app_metadata', coalesce(users.raw_app_meta_data, '{}'),
    'user_metadata', coalesce(users.raw_user_meta_data, '{}'),
    'identities', (
        select coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'identity_id', identities.id,
                    'id', identities.provider_id,
                    'user_id', identities.user_id,
                    'identity_data', identities.identity_data,
                    'provider', identities.provider,
                    'last_sign_in_at', identities.last_sign_in_at,
                    'created_at', identities.created_at,
                    'updated_at', identities.updated_at,
                    'email', identities.email
                )
                order by identities.created_at, identities.provider
            ),
            '[]'
        )
        from auth.identities
        where identities.user_id = users.id
    )
)
"""
GET = f"select {USER_JSON} as user from auth.users where users.id = %(id)s"  # noqa: S608 - both parts are constants
LIST = f"""
select {USER_JSON} as user
from auth.users
where users.aud = 'authenticated'
order by users.created_at desc, users.id
limit %(limit)s
offset %(offset)s
"""  # noqa: S608
COUNT = "select count(*) as total from auth.users where users.aud = 'authenticated'"
CREATE = """
insert into auth.users (
    id, aud, role, email, phone, encrypted_password, email_confirmed_at, phone_confirmed_at,
    raw_app_meta_data, raw_user_meta_data, banned_until, created_at, updated_at
)
values (
    %(id)s, 'authenticated', %(role)s, %(email)s, %(phone)s, %(password)s,
    case when %(email_confirm)s then now() end,
    case when %(phone_confirm)s then now() end,
    %(app_metadata)s, %(user_metadata)s,
    now() + make_interval(secs => %(ban_seconds)s), now(), now()
)
"""
CREATE_IDENTITY = """
insert into auth.identities (
    id, provider, provider_id, user_id, identity_data, last_sign_in_at, created_at, updated_at
)
values (gen_random_uuid(), %(provider)s, %(id)s::text, %(id)s, %(data)s, now(), now(), now())
on conflict (provider, provider_id) do update
set
    identity_data = identities.identity_data || excluded.identity_data,
    updated_at = excluded.updated_at
"""
UPDATE = """
update auth.users
set
    role = coalesce(%(role)s, role),
    email = coalesce(%(email)s, email),
    phone = coalesce(%(phone)s, phone),
    encrypted_password = coalesce(%(password)s, encrypted_password),
    email_confirmed_at = coalesce(email_confirmed_at, case when %(email_confirm)s then now() end),
    phone_confirmed_at = coalesce(phone_confirmed_at, case when %(phone_confirm)s then now() end),
    raw_app_meta_data = (
        coalesce(raw_app_meta_data, '{}') || %(app_metadata)s::jsonb
    ) - %(app_metadata_removed)s::text[],
    raw_user_meta_data = (
        coalesce(raw_user_meta_data, '{}') || %(user_metadata)s::jsonb
    ) - %(user_metadata_removed)s::text[],
    banned_until = case when %(set_ban)s then now() + make_interval(secs => %(ban_seconds)s) else banned_until end,
    updated_at = now()
where id = %(id)s
"""
SOFT_DELETE = """
update auth.users
set
    email = encode(sha256(convert_to(id::text || coalesce(email, ''), 'UTF8')), 'base64'),
    phone = null,
    encrypted_password = '',
    raw_app_meta_data = '{}',
    raw_user_meta_data = '{}',
    deleted_at = coalesce(deleted_at, now()),
    updated_at = now()
where id = %(id)s
"""
END_SESSIONS = "delete from auth.sessions where user_id = %(id)s"
DELETE = "delete from auth.users where id = %(id)s"


@dataclass(frozen=True)
class Attributes:
    """What a create or update sets; none leaves a field as it is."""

    role: str | None
    email: str | None
    phone: str | None
    password: str | None
    password_hash: str | None
    email_confirm: bool
    phone_confirm: bool
    app_metadata: dict[str, Any]
    user_metadata: dict[str, Any]
    set_ban: bool
    ban_seconds: float | None
    id: uuid.UUID | None

    @classmethod
    def parse(cls, body: dict[str, Any]) -> Attributes:
        email = text(body, "email")
        if email is not None:
            email = email.strip().lower()
            if len(email) > 255 or not EMAIL.fullmatch(email):
                raise invalid("Unable to validate email address: invalid format")
        password = text(body, "password")
        if password is not None and len(password.encode()) > LONGEST_PASSWORD:
            raise invalid(f"Password cannot be longer than {LONGEST_PASSWORD} characters")
        ban = text(body, "ban_duration")
        given_id = text(body, "id")
        return cls(
            role=text(body, "role"),
            email=email,
            phone=text(body, "phone"),
            password=password,
            password_hash=text(body, "password_hash"),
            email_confirm=bool(body.get("email_confirm")),
            phone_confirm=bool(body.get("phone_confirm")),
            app_metadata=mapping(body, "app_metadata"),
            user_metadata=mapping(body, "user_metadata"),
            set_ban=ban is not None,
            ban_seconds=None if ban in (None, "none") else duration_seconds(ban or ""),
            id=None if given_id is None else user_id(given_id, status=400),
        )


class AdminUsers:
    """Create, list, get, update and delete users; the caller was checked already."""

    def __init__(self, database: AuthDatabase, *, minimum_password_length: int) -> None:
        self._database = database
        self._minimum_password_length = minimum_password_length

    async def handle(self, request: web.Request, route: str) -> web.Response:
        """Answer `route`, the path below /auth/v1/admin."""
        try:
            return await self._dispatch(request, route)
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name == "users_pkey":
                raise auth_error(422, "user_already_exists", "A user with this id already exists") from None
            field = "phone" if "phone" in (error.diag.constraint_name or "") else "email"
            words = "phone number" if field == "phone" else "email address"
            message = f"A user with this {words} has already been registered"
            raise auth_error(422, f"{field}_exists", message) from None
        except psycopg.OperationalError:
            raise database_down() from None
        except psycopg.Error as error:
            # A trigger of the project refused, as it would on hosted.
            print(f"gateway: {request.method} /auth/v1/admin{route}: {error}", flush=True)
            work = {"POST": "creating new", "DELETE": "deleting"}.get(request.method, "updating")
            raise auth_error(500, "unexpected_failure", f"Database error {work} user") from None

    async def _dispatch(self, request: web.Request, route: str) -> web.Response:
        head, _, rest = route.strip("/").partition("/")
        if head != "users" or "/" in rest:
            raise auth_error(
                501, "not_implemented", f"The local stack does not serve /auth/v1/admin{route}; see docs/local-stack.md"
            )
        if not rest:
            if request.method == "POST":
                return json_answer(await self._create(await read_body(request)))
            if request.method == "GET":
                return await self._list(request)
            raise wrong_method()
        found = user_id(rest, status=404)
        if request.method == "GET":
            return json_answer(await self._database.run(lambda connection: fetch_user(connection, found)))
        if request.method == "PUT":
            return json_answer(await self._update(found, await read_body(request)))
        if request.method == "DELETE":
            soft = bool((await read_body(request)).get("should_soft_delete"))
            await self._database.run(lambda connection: delete_user(connection, found, soft=soft))
            return json_answer({})
        raise wrong_method()

    async def _list(self, request: web.Request) -> web.Response:
        page = positive(request, "page", default=1)
        size = positive(request, "per_page", default=PAGE_SIZE)

        async def read(connection: Connection) -> tuple[int, list[Any]]:
            total = await (await connection.execute(COUNT)).fetchone()
            window = {"limit": size, "offset": (page - 1) * size}
            rows = await (await connection.execute(LIST, window)).fetchall()
            return (total["total"] if total else 0), [row["user"] for row in rows]

        total, users = await self._database.run(read)
        last = max(1, -(-total // size))
        pages = [(page + 1, "next")] if page < last else []
        links = ", ".join(
            f'</admin/users?page={number}&per_page={size}>; rel="{relation}"'
            for number, relation in [*pages, (last, "last")]
        )
        return json_answer(
            {"users": users, "aud": "authenticated"}, headers={"X-Total-Count": str(total), "Link": links}
        )

    async def _create(self, body: dict[str, Any]) -> Any:
        asked = Attributes.parse(body)
        providers = [name for name in ("email", "phone") if getattr(asked, name)]
        if not providers:
            raise invalid("Cannot create a user without either an email or phone")
        created = asked.id or uuid.uuid4()
        provider = {"provider": providers[0], "providers": providers}

        async def write(connection: Connection) -> Any:
            values = await self._values(connection, asked, created, fallback_password=secrets.token_urlsafe(48))
            values["role"] = asked.role or "authenticated"
            values["app_metadata"] = Jsonb(without_nulls(provider | asked.app_metadata))
            values["user_metadata"] = Jsonb(without_nulls(asked.user_metadata))
            await connection.execute(CREATE, values)
            for name in providers:
                await write_identity(connection, created, provider=name, value=getattr(asked, name))
            return await fetch_user(connection, created)

        return await self._database.run(write)

    async def _update(self, found: uuid.UUID, body: dict[str, Any]) -> Any:
        asked = Attributes.parse(body)
        if asked.password is not None and len(asked.password) < self._minimum_password_length:
            message = f"Password should be at least {self._minimum_password_length} characters."
            weak = auth_error(422, "weak_password", message)
            weak.body["weak_password"] = {"reasons": ["length"]}
            raise weak

        async def write(connection: Connection) -> Any:
            values = await self._values(connection, asked, found, fallback_password=None)
            if (await connection.execute(UPDATE, values)).rowcount == 0:
                raise not_found()
            for name in ("email", "phone"):
                if getattr(asked, name):
                    await write_identity(connection, found, provider=name, value=getattr(asked, name))
            if values["password"] is not None:
                await connection.execute(END_SESSIONS, {"id": found})
            return await fetch_user(connection, found)

        return await self._database.run(write)

    async def _values(
        self, connection: Connection, asked: Attributes, target: uuid.UUID, *, fallback_password: str | None
    ) -> dict[str, Any]:
        password = asked.password or fallback_password
        hashed = asked.password_hash
        if hashed is None and password is not None:
            hashed = await self._database.hash_password(password)
        return {
            "id": target,
            "role": asked.role,
            "email": asked.email,
            "phone": asked.phone,
            "password": hashed,
            "email_confirm": asked.email_confirm,
            "phone_confirm": asked.phone_confirm,
            "app_metadata": Jsonb(asked.app_metadata),
            "app_metadata_removed": nulls(asked.app_metadata),
            "user_metadata": Jsonb(asked.user_metadata),
            "user_metadata_removed": nulls(asked.user_metadata),
            "set_ban": asked.set_ban,
            "ban_seconds": asked.ban_seconds,
        }


async def fetch_user(connection: Connection, found: uuid.UUID) -> Any:
    row = await (await connection.execute(GET, {"id": found})).fetchone()
    if row is None:
        raise not_found()
    return row["user"]


async def write_identity(connection: Connection, owner: uuid.UUID, *, provider: str, value: str) -> None:
    data = {"sub": str(owner), provider: value, "email_verified": False, "phone_verified": False}
    await connection.execute(CREATE_IDENTITY, {"id": owner, "provider": provider, "data": Jsonb(data)})


async def delete_user(connection: Connection, found: uuid.UUID, *, soft: bool) -> None:
    if soft:
        await connection.execute(END_SESSIONS, {"id": found})
        await connection.execute("delete from auth.identities where user_id = %(id)s", {"id": found})
    if (await connection.execute(SOFT_DELETE if soft else DELETE, {"id": found})).rowcount == 0:
        raise not_found()


async def read_body(request: web.Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise auth_error(413, "request_too_large", "The request body is larger than 1 MiB")
    try:
        parsed = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise auth_error(400, "bad_json", "Could not parse request body as JSON: an object is expected")
    return parsed


def text(body: dict[str, Any], name: str) -> str | None:
    """A text field; an empty one counts as not given, as on hosted."""
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or "\0" in value):
        raise auth_error(400, "bad_json", f"Could not parse request body as JSON: {name} must be a text")
    return value or None


def mapping(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise auth_error(400, "bad_json", f"Could not parse request body as JSON: {name} must be an object")
    return value or {}


def nulls(patch: dict[str, Any]) -> list[str]:
    """The keys that a metadata patch takes away: those it sets to null."""
    return [name for name, value in patch.items() if value is None]


def without_nulls(metadata: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if value is not None}


def duration_seconds(written: str) -> float:
    """Seconds of a duration such as 24h or 1h30m."""
    if not DURATION.fullmatch(written):
        raise invalid(f'invalid format for ban duration: time: invalid duration "{written}"')
    seconds = sum(float(number) * SECONDS[unit] for number, unit in DURATION_PART.findall(written))
    return -seconds if written.startswith("-") else seconds


def positive(request: web.Request, name: str, *, default: int) -> int:
    written = request.query.get(name, "")
    if not written:
        return default
    if not written.isdecimal() or not 0 < int(written[:10]) <= 1_000_000 or len(written) > 10:
        raise invalid(f"Bad Pagination Parameters: {name} must be a number from 1")
    return int(written)


def user_id(written: str, *, status: int) -> uuid.UUID:
    try:
        return uuid.UUID(written)
    except ValueError:
        raise auth_error(status, "validation_failed", "user_id must be an UUID") from None


def invalid(message: str) -> Refused:
    return auth_error(400, "validation_failed", message)


def not_found() -> Refused:
    return auth_error(404, "user_not_found", "User not found")


def wrong_method() -> Refused:
    return auth_error(405, "bad_method", "Method not allowed")
