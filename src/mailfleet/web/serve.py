"""The console as a process: `mailfleet console`."""

from __future__ import annotations

import sys

import msgspec
import uvicorn

from mailfleet.clock import clock_from
from mailfleet.process import listening
from mailfleet.settings import Settings
from mailfleet.store.database import Database
from mailfleet.store.migrate import require_current
from mailfleet.web.app import LOCAL, console
from mailfleet.wiring import database

_CONNECTIONS = 4


def serve(settings: Settings, *, host: str | None = None, port: int | None = None) -> None:
    """Listens until stopped. The first line of output names the address.

    Raises SchemaOutOfDate, DatabaseUnavailable, and ConfigError for a port that is taken.
    """
    where = (host or settings.console_host, settings.console_port if port is None else port)
    with database(settings) as (dsn, _), listening(*where, setting="CONSOLE") as socket:
        require_current(dsn)
        address, number = socket.getsockname()[:2]
        sys.stdout.write(msgspec.json.encode({"console": f"http://{address}:{number}"}).decode() + "\n")
        sys.stdout.flush()
        app = console(
            Database(dsn, max_size=_CONNECTIONS),
            clock_from(settings.mailfleet_clock),
            hosts=(*LOCAL, where[0], *settings.console_hosts.split()),
        )
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", server_header=False)
        uvicorn.Server(config).run(sockets=[socket])
