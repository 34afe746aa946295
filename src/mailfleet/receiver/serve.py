"""The receiver as a process: `mailfleet receiver`, or `python -m mailfleet.receiver`."""

from __future__ import annotations

import sys

import msgspec
import uvicorn

from mailfleet import log
from mailfleet.clock import clock_from
from mailfleet.process import listening
from mailfleet.receiver.app import Receiver
from mailfleet.receiver.keys import HookKeys
from mailfleet.services.hook_secrets import HookSecrets
from mailfleet.settings import Settings, get_settings
from mailfleet.store.database import Database
from mailfleet.store.migrate import require_current
from mailfleet.store.secrets import Vault
from mailfleet.wiring import database, kek_of, receiver_token


def main() -> None:
    settings = get_settings()
    log.setup(settings.mailfleet_log_level, settings.mailfleet_log_format)
    serve(settings)


def serve(settings: Settings, *, host: str | None = None, port: int | None = None) -> None:
    """Listens until stopped; what was accepted is stored first. The first line of output names the address.

    Raises SchemaOutOfDate, DatabaseUnavailable, and ConfigError for a port that is taken.
    """
    where = (host or settings.receiver_host, settings.receiver_port if port is None else port)
    with database(settings) as (dsn, _), listening(*where, setting="RECEIVER") as socket:
        require_current(dsn)
        app = receiver(settings, dsn)
        address, number = socket.getsockname()[:2]
        sys.stdout.write(msgspec.json.encode({"receiver": f"http://{address}:{number}"}).decode() + "\n")
        sys.stdout.flush()
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", server_header=False)
        uvicorn.Server(config).run(sockets=[socket])


def receiver(settings: Settings, dsn: str) -> Receiver:
    """The application, as the settings describe it."""
    db = Database(dsn, max_size=settings.mailfleet_database_pool)
    hooks = HookSecrets(db, Vault(kek_of(settings)), "forge")
    return Receiver(
        db,
        clock_from(settings.mailfleet_clock),
        token=receiver_token(settings),
        secrets={"smartlead": settings.secret("smartlead_webhook_secret") or ""},
        signed={"forge": HookKeys(hooks.all)} if settings.salesforge_api_key else {},
    )
