"""The Debian root that Postgres 17 runs in: Debian's own packages, built once and cached."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StackError

SUITE = "trixie"
PACKAGES = (
    "postgresql-17",
    "postgresql-17-cron",
    "postgresql-17-pgtap",
    "postgresql-17-pgvector",
    "postgresql-17-plpgsql-check",
    "postgresql-17-postgis-3",
    "postgresql-17-wal2json",
    "libtap-parser-sourcehandler-pgtap-perl",
)
BINARIES = "/usr/lib/postgresql/17/bin"
EXTENSIONS = "usr/share/postgresql/17/extension"
DATA = "/var/lib/postgresql/data"
TESTS = "/srv/tests"
BYTES_NEEDED = 2_500_000_000


def path(cache: Path) -> Path:
    """Where the root for today's recipe lives; another recipe gets another folder."""
    recipe = hashlib.sha256(" ".join((SUITE, *PACKAGES, DATA, TESTS)).encode()).hexdigest()[:8]
    return cache / f"debian-{SUITE}-{recipe}"


def is_built(cache: Path) -> bool:
    return (path(cache) / ".complete").exists()


def build(cache: Path, log: Path) -> Path:
    """Build the root if it is not there yet; two builders wait for each other."""
    root = path(cache)
    if is_built(cache):
        return root
    cache.mkdir(parents=True, exist_ok=True)
    with only_one(cache / "debian.lock"):
        if not is_built(cache):
            check_requirements(cache)
            debootstrap(root, log)
    return root


def check_requirements(cache: Path) -> None:
    """Refuse early, with the reason, what debootstrap would refuse late."""
    if os.geteuid() != 0:
        raise StackError(
            "The local Postgres lives in a Debian root of its own, and only root can build that.",
            next_step="Run the same command with sudo, or use `supabase start` where Docker is.",
        )
    if shutil.which("apt-get") is None:
        raise StackError(
            "The local stack installs Postgres from Debian's packages, and this is no Debian.",
            next_step="Use a Debian or Ubuntu machine, or `supabase start` where Docker is.",
        )
    free = shutil.disk_usage(cache).free
    if free < BYTES_NEEDED:
        raise StackError(
            f"{cache} has {free / 1e9:.1f} GB free and the Debian root needs {BYTES_NEEDED / 1e9:.1f} GB.",
            next_step="Free some space, or set XDG_CACHE_HOME to a folder on a larger disk.",
        )


def debootstrap(root: Path, log: Path) -> None:
    building = root.with_name(root.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(building)]
    mirror = os.environ.get("ONDOL_DEBIAN_MIRROR")
    if mirror:
        command.append(mirror)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        try:
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        except FileNotFoundError:
            raise StackError(
                "debootstrap is not installed.", next_step="Install it: apt-get install debootstrap."
            ) from None
        except subprocess.CalledProcessError as error:
            raise StackError(
                f"debootstrap ended with {error.returncode}.",
                next_step=f"Read the end of {log}, then run the command again: it starts afresh.",
            ) from error
    shutil.rmtree(building / "var/cache/apt/archives", ignore_errors=True)
    for mount_point in (DATA, TESTS):
        (building / mount_point.lstrip("/")).mkdir(parents=True, exist_ok=True)
    (building / ".complete").touch()
    building.rename(root)


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """`--check` tells by its exit code whether the root is there; without it the root is built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ondol"
    if arguments == ["--check"]:
        return 0 if is_built(cache) else 1
    try:
        build(cache, Path(".local/setup/debootstrap.log"))
    except StackError as error:
        print(f"setup: {error.message}\n       {error.next_step}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
