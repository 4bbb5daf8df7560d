"""Postgres 17 inside the Debian root: how its data is made and how the server is started."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import psycopg

from . import debian_root
from .errors import StackError
from .settings import DATABASE_PASSWORD, Stack

HERE = Path(__file__).parent
# Extensions that a hosted project lets `postgres` create, though Debian's files would not.
TRUSTED = ("pg_cron", "pg_stat_statements", "pgtap", "plpgsql_check", "postgis-3", "vector")
SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_connections": "120",
    "max_replication_slots": "10",
    "max_slot_wal_keep_size": "1GB",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "shared_preload_libraries": "pg_stat_statements,pg_cron",
    "output_plugin_libraries": "pgoutput,wal2json",
    "cron.database_name": "postgres",
    "cron.use_background_workers": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


def command(stack: Stack) -> list[str]:
    """The command whose process becomes the postmaster."""
    settings = {**SERVER_SETTINGS, "port": str(stack.ports.postgres)}
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return in_root(stack, [f"{debian_root.BINARIES}/postgres", "-D", debian_root.DATA, *flags])


def in_root(stack: Stack, arguments: list[str], *, tests: Path | None = None) -> list[str]:
    """Run `arguments` as the root's own `postgres` user, with mounts that nobody else sees.

    The mounts vanish with the process: nothing in the cached root is ever changed.
    """
    root = debian_root.path(stack.cache)
    extensions = root / debian_root.EXTENSIONS
    overlay = f"lowerdir={shlex.quote(str(extension_overlay(stack)))}:{shlex.quote(str(extensions))}"
    data = stack.state / "data"
    script = [
        f"mount -t overlay overlay -o ro,{overlay} {shlex.quote(str(extensions))}",
        f"mount --bind {shlex.quote(str(data))} {shlex.quote(str(root) + debian_root.DATA)}",
        f"mount -t tmpfs -o mode=1777 tmpfs {shlex.quote(str(root / 'dev/shm'))}",
        f"mount -t tmpfs -o mode=1777 tmpfs {shlex.quote(str(root / 'tmp'))}",
        f"mount -t proc proc {shlex.quote(str(root / 'proc'))}",
    ]
    if tests is not None:
        script.append(f"mount --bind {shlex.quote(str(tests))} {shlex.quote(str(root) + debian_root.TESTS)}")
    environment = ["env", "-i", f"PATH={debian_root.BINARIES}:/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/tmp"]
    inside = ["chroot", "--userspec=postgres:postgres", str(root), *environment, *arguments]
    script.append(f"exec {shlex.join(inside)}")
    return ["unshare", "--mount", "--propagation", "private", "sh", "-euc", "\n".join(script)]


def extension_overlay(stack: Stack) -> Path:
    return stack.state / "extension"


def write_extension_overlay(stack: Stack) -> None:
    """Lay our stand-in extensions and the trusted control files over Debian's own."""
    overlay = extension_overlay(stack)
    shutil.rmtree(overlay, ignore_errors=True)
    overlay.mkdir(parents=True)
    debian = debian_root.path(stack.cache) / debian_root.EXTENSIONS
    for name in TRUSTED:
        control = (debian / f"{name}.control").read_text(encoding="utf-8")
        (overlay / f"{name.removesuffix('-3')}.control").write_text(control + "\ntrusted = true\n", encoding="utf-8")
    for file in sorted((HERE / "extensions").glob("*")):
        if file.suffix in {".control", ".sql"}:
            shutil.copy(file, overlay)


def initialise(stack: Stack) -> None:
    """Make the data folder of an empty cluster owned by `supabase_admin`, as on a hosted project."""
    data, is_made = stack.state / "data", stack.state / "data.made"  # the mark tells a whole cluster from half of one
    if is_made.exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    passwd = (debian_root.path(stack.cache) / "etc/passwd").read_text(encoding="utf-8")
    uid, gid = next(line.split(":")[2:4] for line in passwd.splitlines() if line.startswith("postgres:"))
    os.chown(data, int(uid), int(gid))
    initdb = [
        f"{debian_root.BINARIES}/initdb",
        f"--pgdata={debian_root.DATA}",
        "--username=supabase_admin",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--locale-provider=icu",
        "--icu-locale=en-US",
        "--auth=scram-sha-256",
        "--pwfile=/tmp/password",
        "--no-sync",
        "--no-instructions",
    ]
    done = subprocess.run(
        in_root(stack, ["sh", "-c", f"cat > /tmp/password && exec {shlex.join(initdb)}"]),
        input=DATABASE_PASSWORD + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise StackError(
            f"initdb ended with {done.returncode}: {done.stderr.strip()}",
            next_step="Mend what it names, then run ./scripts/dev reset.",
        )
    is_made.touch()


def bootstrap(stack: Stack) -> None:
    """Give an empty cluster what a new hosted project has before its first migration."""
    with psycopg.connect(stack.database_url("supabase_admin"), autocommit=True) as connection:
        done = connection.execute("select 1 from pg_roles where rolname = 'authenticator'").fetchone()
        if done:
            return
        with connection.transaction():
            for file in sorted((HERE / "sql").glob("*.sql")):
                connection.execute(file.read_bytes())


def wait_until_ready(stack: Stack, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with psycopg.connect(stack.database_url("supabase_admin"), connect_timeout=2):
                return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise StackError(
                    f"Postgres did not answer within {seconds:.0f} s: {error}",
                    next_step=f"Read {stack.logs / 'postgres.log'}.",
                ) from error
            time.sleep(0.05)
