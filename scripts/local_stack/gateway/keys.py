"""Who calls: both generations of API keys, and user tokens checked as PostgREST checks them."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from ..settings import Keys
from .answers import Refused

ROLES = frozenset({"anon", "authenticated", "service_role"})
AUDIENCE = "authenticated"
BROWSER = re.compile(r"\bMozilla/")
UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError)  # what hostile bytes can do to a JSON parser


class TokenRefused(Exception):  # noqa: N818
    """A token that must not be trusted; `code` is PostgREST's."""

    def __init__(self, code: str, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def refusal(self) -> Refused:
        return Refused(
            401,
            {"code": self.code, "details": self.details, "hint": None, "message": self.message},
            headers={"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{self.message}"'},
        )


@dataclass(frozen=True)
class Caller:
    """A request's identity: `token` is the JWT that says it to the parts; `claims` only of a user's own token."""

    role: str
    token: str
    claims: Mapping[str, Any] | None = None


class KeyRing:
    """The stack's API keys and its token secret."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._roles = {
            keys.publishable.encode(): "anon",
            keys.anon.encode(): "anon",
            keys.secret.encode(): "service_role",
            keys.service_role.encode(): "service_role",
        }

    def key_role(self, key: str | None) -> str | None:
        """The role of an API key of either generation; none for any other text."""
        offered = (key or "").encode("utf-8", "surrogateescape")
        found = None
        for known, role in self._roles.items():
            if hmac.compare_digest(known, offered):
                found = role
        return found

    def key_token(self, role: str) -> str:
        return self.keys.service_role if role == "service_role" else self.keys.anon

    def require_key(self, key: str | None, *, user_agent: str) -> str:
        """The role of the request's API key, or the hosted gateway's refusal."""
        if not key:
            raise Refused(
                401,
                {
                    "message": "No API key found in request",
                    "hint": "No `apikey` request header or url param was found.",
                },
            )
        role = self.key_role(key)
        if role is None:
            raise Refused(
                401,
                {
                    "message": "Invalid API key",
                    "hint": "Double check your Supabase publishable, secret, `anon` or `service_role` API key.",
                },
            )
        if key.startswith("sb_secret_") and BROWSER.search(user_agent):
            raise Refused(
                401,
                {
                    "message": "Forbidden use of secret API key in browser",
                    "hint": "Secret API keys belong on a server; a browser gets the publishable key.",
                },
            )
        return role

    def caller(self, key: str | None, authorization: str | None, *, user_agent: str) -> Caller:
        """The identity of a request that needs an API key; a user's token outranks the key."""
        role = self.require_key(key, user_agent=user_agent)
        offered = bearer(authorization)
        if offered is None or offered == key or offered.startswith("sb_"):
            return Caller(role=role, token=self.key_token(role))
        try:
            claims = self.claims(offered)
        except TokenRefused as refused:
            raise refused.refusal() from None
        return Caller(role=str(claims["role"]), token=offered, claims=claims)

    def claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a token of this stack; raises TokenRefused for every other text."""
        if not token:
            raise TokenRefused("PGRST301", "Empty JWT is sent in Authorization header")
        parts = token.count(".") + 1
        if parts != 3:
            raise TokenRefused("PGRST301", f"Expected 3 parts in JWT; got {parts}")
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self.keys.jwt_secret, algorithms=["HS256"], options={"verify_aud": False}
            )
        except jwt.InvalidAlgorithmError:
            raise TokenRefused("PGRST301", "Wrong or unsupported encoding algorithm") from None
        except jwt.ExpiredSignatureError:
            raise TokenRefused("PGRST303", "JWT expired") from None
        except jwt.ImmatureSignatureError as early:
            late = "issued at future" if "iat" in str(early) else "not yet valid"
            raise TokenRefused("PGRST303", f"JWT {late}") from None
        except (jwt.PyJWTError, *UNREADABLE):
            raise TokenRefused(
                "PGRST301",
                "No suitable key or wrong key type",
                "None of the keys was able to decode the JWT",
            ) from None
        audience = claims.get("aud")
        if audience is not None and AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
            raise TokenRefused("PGRST303", "JWT not in audience")
        claims.setdefault("role", "anon")
        if not isinstance(claims["role"], str) or claims["role"] not in ROLES:
            raise TokenRefused("PGRST303", "JWT role is not one that a request may take")
        return claims


def bearer(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer` header; none when the header is missing or of another scheme."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
