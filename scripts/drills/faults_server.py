"""Receivers of webhooks that fail in every way that a receiver can: each path of one server is one fault."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import struct
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ANSWERS = {
    "accepted": "204 No Content",
    "500": "500 Internal Server Error",
    "502": "502 Bad Gateway",
    "503-in-20-s": "503 Service Unavailable\r\nRetry-After: 20",
    "429-in-an-hour": "429 Too Many Requests\r\nRetry-After: 3600",
    "429-at-once": "429 Too Many Requests\r\nRetry-After: 0",
    "429-nonsense": "429 Too Many Requests\r\nRetry-After: later",
    "410": "410 Gone",
    "301": "301 Moved Permanently\r\nLocation: /moved-here",
    "late": "200 OK",
}
LATE_SECONDS = 5


@dataclass
class Receivers:
    """Where the faults are played, and what was asked of each."""

    http: int = 0
    https: int = 0
    closed: socket.socket = field(default_factory=socket.socket)
    seen: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    is_well: bool = False  # nothing fails any more
    talks: set[asyncio.Task[None]] = field(default_factory=set)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, ended without a word when the receivers are closed."""
        talk = asyncio.create_task(self.talk(reader, writer))
        self.talks.add(talk)
        await asyncio.wait([talk])
        self.talks.discard(talk)
        writer.close()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read the request, then answer as its path says."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if (first := await reader.readexactly(1)) == b"\x16":  # TLS, where none is spoken
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                return
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fault = head.split(" ")[1].strip("/")
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            await reader.readexactly(int(headers.get("content-length", "0")))
            self.seen[fault].append(headers.get("webhook-id", ""))
            await self.play("accepted" if self.is_well else fault, reader, writer)
            await writer.drain()

    async def play(self, fault: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match fault:
            case "reset":
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "dropped":
                pass
            case "black-hole":
                await reader.read()  # until the sender gives up
            case "truncated-head":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
            case "truncated-body":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            case "endless-head":
                writer.write(b"HTTP/1.1 200 OK\r\n" + b"x-more: more\r\n" * 5000)
            case "no-http":
                writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
            case "503-at-a-date":
                at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
                writer.write(f"HTTP/1.1 503 No\r\nRetry-After: {format_datetime(at, usegmt=True)}\r\n\r\n".encode())
            case _:
                if fault == "late":
                    await asyncio.sleep(LATE_SECONDS)
                answer = ANSWERS.get(fault, "404 Not Found")
                writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())


@asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    """The receivers on loopback: one of http, one of https that nobody can trust, and a port where nobody listens."""
    played = Receivers()
    played.closed.bind(("127.0.0.1", 0))
    plain = await asyncio.start_server(played.answer, "127.0.0.1", 0)
    secure = await asyncio.start_server(played.answer, "127.0.0.1", 0, ssl=untrusted())
    played.http, played.https = (server.sockets[0].getsockname()[1] for server in (plain, secure))
    try:
        yield played
    finally:
        played.closed.close()
        plain.close()
        secure.close()
        for talk in played.talks:
            talk.cancel()
        await asyncio.gather(*played.talks, return_exceptions=True)
        await asyncio.sleep(0)  # their connections are closed now


def untrusted() -> ssl.SSLContext:
    """A certificate that is right in everything but that nobody has signed it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context.load_cert_chain(file)
    return context
