"""What stands for Slack, Teams, PagerDuty, a webhook and a mail server: real ones on loopback."""

import datetime
import email
import email.policy
import ipaddress
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from knowngood.cli.programs import free_port


@dataclass
class Receiver:
    """An HTTP server that keeps what it is sent and answers with `status`."""

    url: str
    port: int
    status: int = 200
    received: list["Posted"] = field(default_factory=list)


@dataclass(frozen=True)
class Posted:
    """One POST."""

    path: str
    headers: dict[str, str]
    json: Any


@contextmanager
def http_receiver(*, tls: bool = False) -> Iterator[Receiver]:
    """Serve on a free port of loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.received.append(Posted(self.path, dict(self.headers), json.loads(body)))
            self.send_response(receiver.status)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = _tls().wrap_socket(server.socket, server_side=True)
        port = server.server_address[1]
        receiver = Receiver(f"{'https' if tls else 'http'}://127.0.0.1:{port}", port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield receiver
        server.shutdown()


@dataclass
class MailServer:
    """An SMTP server that keeps what it is sent, from whoever knows the password."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    refusal: str = ""


@contextmanager
def mail_server(password: str) -> Iterator[MailServer]:
    """Serve SMTP on a free port of loopback until the block ends."""

    port = free_port()
    mails = MailServer(port)

    class Handler:
        async def handle_DATA(  # noqa: N802 - aiosmtpd looks for this name
            self, server: SMTP, session: Session, envelope: Envelope
        ) -> str:
            if mails.refusal:
                return mails.refusal
            content = envelope.content or b""
            raw = content if isinstance(content, bytes) else content.encode()
            mails.mails.append(email.message_from_bytes(raw, policy=email.policy.default))
            return "250 taken"

    def authenticate(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        known = isinstance(given, LoginPassword) and given.password == password.encode()
        return AuthResult(success=known)

    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=port,
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    try:
        yield mails
    finally:
        controller.stop()


def _tls() -> ssl.SSLContext:
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
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        pem = Path(directory, "server.pem")
        pem.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context.load_cert_chain(pem)
    return context
