"""The receiver as a process: `mailfleet receiver`, or `python -m mailfleet.receiver`."""

from __future__ import annotations

import socket
import sys

import msgspec
import uvicorn

from mailfleet import log
from mailfleet.clock import clock_from
from mailfleet.errors import ConfigError
from mailfleet.receiver.app import Receiver
from mailfleet.settings import Settings, get_settings
from mailfleet.store.database import Database
from mailfleet.store.migrate import require_current
from mailfleet.wiring import database, receiver_token


def main() -> None:
    settings = get_settings()
    log.setup(settings.mailfleet_log_level, settings.mailfleet_log_format)
    serve(settings)


def serve(settings: Settings, *, host: str | None = None, port: int | None = None) -> None:
    """Listens until stopped; what was accepted is stored first. The first line of output names the address.

    Raises SchemaOutOfDate, DatabaseUnavailable, and ConfigError for a port that is taken.
    """
    where = (host or settings.receiver_host, settings.receiver_port if port is None else port)
    with database(settings) as (dsn, _), bound(*where) as listening:
        require_current(dsn)
        app = receiver(settings, dsn)
        address, number = listening.getsockname()[:2]
        sys.stdout.write(msgspec.json.encode({"receiver": f"http://{address}:{number}"}).decode() + "\n")
        sys.stdout.flush()
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", server_header=False)
        uvicorn.Server(config).run(sockets=[listening])


def receiver(settings: Settings, dsn: str) -> Receiver:
    """The application, as the settings describe it."""
    return Receiver(
        Database(dsn, max_size=settings.mailfleet_database_pool),
        clock_from(settings.mailfleet_clock),
        token=receiver_token(settings),
        secrets={"smartlead": settings.secret("smartlead_webhook_secret") or ""},
    )


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises ConfigError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except (OSError, OverflowError) as error:
        made.close()
        raise ConfigError(
            f"The receiver cannot listen on {host}:{port}: {getattr(error, 'strerror', '') or error}.",
            hint="Set RECEIVER_PORT to a free port, or 0 for any, and RECEIVER_HOST to an address of this machine.",
        ) from error
    made.listen(1024)
    return made
