"""What every part of one local stack must agree on: folders, ports, addresses and keys.

The supervisor writes it once to `.local/<name>/stack.json`; every part reads it from there.
"""

from __future__ import annotations

import json
import os
import secrets
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

import jwt

from .errors import StackError

REPOSITORY = Path(__file__).resolve().parents[2]
DATABASE_PASSWORD = "postgres"  # noqa: S105  the same as `supabase start`: the server listens on loopback only
FUNCTION_PORTS = 20
TEN_YEARS = 10 * 365 * 24 * 3600


@dataclass(frozen=True)
class Ports:
    """TCP ports on 127.0.0.1; `functions` is the first of FUNCTION_PORTS."""

    gateway: int
    postgres: int
    data_api: int
    realtime: int
    handler: int
    functions: int

    @classmethod
    def from_base(cls, base: int) -> Ports:
        return cls(
            gateway=base + 1,
            postgres=base + 2,
            data_api=base + 11,
            realtime=base + 12,
            handler=base + 13,
            functions=base + 30,
        )

    @property
    def board(self) -> int:
        """Where `supabase start` has Studio. Derived, so that a stack.json of an earlier version can be read."""
        return self.gateway + 2


@dataclass(frozen=True)
class Keys:
    """Both generations of API keys, as a hosted project has them."""

    jwt_secret: str
    publishable: str
    secret: str
    anon: str
    service_role: str


@dataclass(frozen=True)
class Stack:
    """One running copy of the local stack."""

    name: str
    repository: Path
    state: Path
    cache: Path
    ports: Ports
    keys: Keys

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def board_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.board}"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def file(self) -> Path:
        return self.state / "stack.json"

    def database_url(self, role: str = "postgres", database: str = "postgres") -> str:
        return f"postgresql://{role}:{DATABASE_PASSWORD}@127.0.0.1:{self.ports.postgres}/{database}"

    def save(self) -> None:
        """Write stack.json for the parts, readable by its owner only: it holds keys."""
        self.state.mkdir(parents=True, exist_ok=True)
        described = {
            "name": self.name,
            "repository": str(self.repository),
            "state": str(self.state),
            "cache": str(self.cache),
            "ports": asdict(self.ports),
            "keys": asdict(self.keys),
            "api_url": self.api_url,
            "board_url": self.board_url,
            "database_url": self.database_url(),
            "admin_database_url": self.database_url("supabase_admin"),
        }
        write_private(self.file, json.dumps(described, indent=2) + "\n")

    @classmethod
    def load(cls, file: Path) -> Stack:
        try:
            described = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StackError(
                f"There is no local stack described in {file}.", next_step="Start one with ./scripts/dev up."
            ) from None
        return cls(
            name=described["name"],
            repository=Path(described["repository"]),
            state=Path(described["state"]),
            cache=Path(described["cache"]),
            ports=Ports(**described["ports"]),
            keys=Keys(**described["keys"]),
        )

    @classmethod
    def create(cls, name: str, *, port_base: int | None = None, repository: Path = REPOSITORY) -> Stack:
        """Describe the stack `name` of this checkout; keys are made once per checkout."""
        local = repository / ".local"
        base = port_base if port_base is not None else configured_port_base(repository)
        return cls(
            name=name,
            repository=repository,
            state=local / name,
            cache=user_cache(),
            ports=Ports.from_base(base),
            keys=checkout_keys(local / "keys.json"),
        )


def user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ondol"


def configured_port_base(repository: Path) -> int:
    """The port before `[api] port` of supabase/config.toml, so that both name the same gateway."""
    with (repository / "supabase" / "config.toml").open("rb") as file:
        return int(tomllib.load(file)["api"]["port"]) - 1


def checkout_keys(file: Path) -> Keys:
    """The checkout's own development keys, made at first use and kept over a reset."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        jwt_secret = secrets.token_urlsafe(40)
        keys = Keys(
            jwt_secret=jwt_secret,
            publishable="sb_publishable_" + secrets.token_urlsafe(24),
            secret="sb_secret_" + secrets.token_urlsafe(24),
            anon=legacy_key("anon", jwt_secret),
            service_role=legacy_key("service_role", jwt_secret),
        )
        write_private(file, json.dumps(asdict(keys), indent=2) + "\n")
    return Keys(**json.loads(file.read_text(encoding="utf-8")))


def legacy_key(role: str, jwt_secret: str, *, issued_at: int = 1_767_225_600) -> str:
    """An API key of the older generation: a long-lived JWT that names a database role."""
    claims = {"iss": "ondol-local", "role": role, "iat": issued_at, "exp": issued_at + TEN_YEARS}
    return jwt.encode(claims, jwt_secret, algorithm="HS256")


def write_private(file: Path, text: str) -> None:
    """Write `text` to `file` at once and for its owner only."""
    temporary = file.with_suffix(file.suffix + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    temporary.replace(file)
