"""/auth/v1: the npm package's auth service, with the tokens, the hook and the admin API that it lacks."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
import psycopg
from aiohttp import web
from multidict import CIMultiDict

from ..settings import Stack
from .admin_users import AdminUsers, read_body
from .answers import Refused, auth_error, database_down
from .database import AuthDatabase, Connection, Row
from .hook import TokenHook
from .keys import KeyRing, TokenRefused, bearer
from .proxy import Proxy

# Visited by a browser that follows a link from a mail, or by a verifier of tokens: they carry no API key.
OPEN_PATHS = frozenset({"/verify", "/callback", "/authorize", "/.well-known/jwks.json"})
VERIFY = ("POST", "/verify")
REFRESH = "token_refresh"
LARGEST_ANSWER = 4 * 1024 * 1024

FIND_USER = """
select
    users.id::text as id,
    users.aud,
    users.role,
    coalesce(users.email, '') as email,
    coalesce(users.phone, '') as phone,
    coalesce(users.raw_app_meta_data, '{}') as app_metadata,
    coalesce(users.raw_user_meta_data, '{}') as user_metadata,
    users.is_anonymous,
    coalesce(users.banned_until > now(), false) as is_banned,
    coalesce(sessions.aal::text, 'aal1') as aal,
    (
        select coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'method', methods.authentication_method,
                    'timestamp', floor(extract(epoch from methods.updated_at))::bigint
                )
                order by methods.updated_at desc
            ),
            '[]'
        )
        from auth.mfa_amr_claims as methods
        where methods.session_id = sessions.id
    ) as amr,
    exists (
        select
        from pg_catalog.pg_proc as hook
        where hook.proname = %(function)s
            and hook.pronamespace = (select oid from pg_catalog.pg_namespace where nspname = %(schema)s)
    ) as has_hook
from auth.sessions as sessions
join auth.users as users on users.id = sessions.user_id
where sessions.id = %(session)s
"""
REMEMBER_METHOD = """
insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
values (gen_random_uuid(), %(session)s, now(), now(), %(method)s)
on conflict (session_id, authentication_method) do update set updated_at = excluded.updated_at
"""
# Hosted issues tokens in one transaction; here the refused session is taken back.
UNDO_REFRESH = """
with refused as (
    delete from auth.refresh_tokens
    where token = %(refresh_token)s
    returning parent
)
update auth.refresh_tokens
set revoked = false
from refused
where refresh_tokens.token = refused.parent
"""
UNDO_SIGN_IN = "delete from auth.sessions where id = %(session)s"


@dataclass(frozen=True)
class Issued:
    """An access token that is about to leave, and by which sign-in method."""

    session: str
    refresh_token: str | None
    method: str


class Auth:
    """Serves /auth/v1."""

    def __init__(
        self, stack: Stack, *, config: dict[str, Any], keys: KeyRing, database: AuthDatabase, proxy: Proxy
    ) -> None:
        settings: dict[str, Any] = config.get("auth", {})
        self._stack = stack
        self._keys = keys
        self._database = database
        self._proxy = proxy
        self._lifetime = int(settings.get("jwt_expiry", 3600))
        self._hook = TokenHook.configured(settings)
        self._admin = AdminUsers(database, minimum_password_length=int(settings.get("minimum_password_length", 6)))

    async def handle(
        self, request: web.Request, *, key: str | None, path: str, headers: CIMultiDict[str], cors: dict[str, str]
    ) -> web.StreamResponse:
        """Answer the request for `path` (with query, below /auth/v1)."""
        route, _, query = path.partition("?")
        authorization = headers.get("Authorization")
        if route not in OPEN_PATHS:
            role = self._keys.require_key(key, user_agent=request.headers.get("User-Agent", ""))
            offered = bearer(authorization)
            if offered is None or offered == key or offered.startswith("sb_"):
                authorization = f"Bearer {self._keys.key_token(role)}"
        if route == "/admin" or route.startswith("/admin/"):
            self._require_service_role(authorization)
            return await self._admin.handle(request, route.removeprefix("/admin"))
        headers["apikey"] = self._stack.keys.publishable
        if authorization is not None:
            headers["Authorization"] = authorization
        method = sign_in_method(route, query)
        target = f"/auth/v1{path}"
        port = self._stack.ports.data_api
        if method is None:
            return await self._proxy.stream(
                request, part="data-api", port=port, path=target, headers=headers, answer_headers=cors
            )
        headers["Accept-Encoding"] = "identity"
        sent = known_verification(await read_body(request)) if (request.method, route) == VERIFY else None
        if sent is not None:
            headers.popall("Content-Length", None)
        status, answer_headers, body = await self._proxy.fetch(
            request, part="data-api", port=port, path=target, headers=headers, limit=LARGEST_ANSWER, body=sent
        )
        answer_headers.popall("Content-Length", None)
        if status == 200:
            body = await self._with_full_token(body, method)
        elif "Location" in answer_headers:
            answer_headers["Location"] = await self._with_full_fragment(answer_headers["Location"], method)
        return web.Response(body=body, status=status, headers=answer_headers)

    def _require_service_role(self, authorization: str | None) -> None:
        try:
            claims = self._keys.claims(bearer(authorization) or "")
        except TokenRefused as refused:
            raise auth_error(
                403, "bad_jwt", f"invalid JWT: unable to parse or verify signature, {refused.message}"
            ) from None
        if claims["role"] != "service_role":
            raise auth_error(403, "not_admin", "User not allowed")

    async def _with_full_token(self, body: bytes, method: str) -> bytes:
        try:
            answer = json.loads(body)
        except ValueError:
            return body
        if not isinstance(answer, dict) or "access_token" not in answer:
            return body
        answer.update(await self._issue(str(answer["access_token"]), answer.get("refresh_token"), method))
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()

    async def _with_full_fragment(self, location: str, method: str) -> str:
        """The redirect of a mail link or an OAuth sign-in carries the session behind its #."""
        address, _, fragment = location.partition("#")
        pairs = dict(parse_qsl(fragment))
        if "access_token" not in pairs:
            return location
        issued = await self._issue(pairs["access_token"], pairs.get("refresh_token"), method)
        pairs.update({name: str(value) for name, value in issued.items()})
        return f"{address}#{urlencode(pairs)}"

    async def _issue(self, token: str, refresh_token: str | None, method: str) -> dict[str, Any]:
        """The fields of a session with the token that hosted would issue in place of `token`."""
        session = str(self._keys.claims(token)["session_id"])
        issued = Issued(session=session, refresh_token=refresh_token, method=method)
        try:
            try:
                claims = await self._claims(issued)
            except Refused:
                await self._database.run(lambda connection: take_back(connection, issued))
                raise
        except psycopg.OperationalError:
            raise database_down() from None
        return {
            "access_token": jwt.encode(claims, self._stack.keys.jwt_secret, algorithm="HS256"),
            "expires_in": self._lifetime,
            "expires_at": int(time.time()) + self._lifetime,
        }

    async def _claims(self, issued: Issued) -> dict[str, Any]:
        hook = self._hook
        parameters = {
            "session": issued.session,
            "method": issued.method,
            "schema": hook.schema if hook else "",
            "function": hook.function if hook else "",
        }
        user = await self._database.run(lambda connection: find_user(connection, parameters))
        if user is None:
            raise auth_error(403, "session_not_found", "Session from session_id claim in JWT does not exist")
        if user["is_banned"]:
            refresh = issued.method == REFRESH
            raise auth_error(400, "user_banned", "Invalid Refresh Token: User Banned" if refresh else "User is banned")
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": f"{self._stack.api_url}/auth/v1",
            "sub": user["id"],
            "aud": user["aud"] or "authenticated",
            "exp": now + self._lifetime,
            "iat": now,
            "email": user["email"],
            "phone": user["phone"],
            "app_metadata": user["app_metadata"],
            "user_metadata": user["user_metadata"],
            "role": user["role"] or "authenticated",
            "aal": user["aal"],
            "amr": user["amr"],
            "session_id": issued.session,
            "is_anonymous": user["is_anonymous"],
        }
        if hook is None or not user["has_hook"]:
            return claims
        return await hook.apply(self._database, claims=claims, method=issued.method)


def known_verification(asked: dict[str, Any]) -> bytes:
    """`email`, the type that the clients recommend for a mailed code, is unknown to the package behind."""
    return json.dumps(asked | {"type": "magiclink"} if asked.get("type") == "email" else asked).encode()


async def find_user(connection: Connection, parameters: dict[str, str]) -> Row | None:
    if parameters["method"] != REFRESH:
        await connection.execute(REMEMBER_METHOD, parameters)
    return await (await connection.execute(FIND_USER, parameters)).fetchone()


async def take_back(connection: Connection, issued: Issued) -> None:
    if issued.method == REFRESH:
        await connection.execute(UNDO_REFRESH, {"refresh_token": issued.refresh_token})
    else:
        await connection.execute(UNDO_SIGN_IN, {"session": issued.session})


def sign_in_method(route: str, query: str) -> str | None:
    """By what a request to this path signs in; none when it issues no token."""
    if route == "/token":
        grants = {"password": "password", "refresh_token": REFRESH}
        return grants.get(dict(parse_qsl(query)).get("grant_type", ""), "oauth")
    return {"/signup": "password", "/verify": "otp", "/callback": "oauth"}.get(route)
