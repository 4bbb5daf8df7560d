"""Who a client is: an API key of either generation or a user's token, checked with the stack's secret."""

from __future__ import annotations

import time
from dataclasses import dataclass

import jwt

from ..settings import Keys
from .protocol import dump

UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


class TokenError(Exception):
    """A token that must not be trusted; `code` is the hosted service's, `message` goes to the client."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Identity:
    """A checked token: `claims` is JSON text as policies read it, `expires` a Unix time in seconds."""

    token: str
    role: str
    claims: str
    expires: float

    @property
    def group(self) -> tuple[str, str]:
        """Subscribers of one group see the same rows."""
        return self.role, self.claims


class Tokens:
    """Turns what clients present into identities."""

    def __init__(self, keys: Keys) -> None:
        self._secret = keys.jwt_secret
        self._of_key = {keys.publishable: keys.anon, keys.secret: keys.service_role}

    def identify(self, token: str) -> Identity:
        """The identity behind a key or a token; raises TokenError."""
        token = self._of_key.get(token, token)
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=["HS256"], options={"verify_aud": False, "verify_iat": False}
            )
        except jwt.ExpiredSignatureError:
            raise expired(token) from None
        except jwt.InvalidSignatureError:
            raise TokenError("JwtSignatureError", "Failed to validate JWT signature") from None
        except UNREADABLE:
            raise TokenError("MalformedJWT", "The token provided is not a valid JWT") from None
        role, expires = claims.get("role"), claims.get("exp")
        if not isinstance(role, str) or not isinstance(expires, int):
            raise TokenError("InvalidJWTToken", "Fields `role` and `exp` are required in JWT")
        return Identity(token=token, role=role, claims=dump(claims), expires=expires)


def expired(token: str) -> TokenError:
    claims = jwt.decode(token, options={"verify_signature": False})
    ago = max(int(time.time() - claims["exp"]), 0)
    return TokenError("InvalidJWTToken", f"Token has expired {ago} seconds ago")
