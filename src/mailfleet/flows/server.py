"""The Prefect server of this machine: a child process with its own database and its own home.

Truth is never in it. Its settings were measured: the batch sizes cut the server's work by four, the file leases
survive a restart, analytics and the UI that calls home are off.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mailfleet.process import Child, free_port
from mailfleet.store.embedded import LocalPostgres

DATABASE = "prefect"
_READY_WITHIN = 180.0

FIXED = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # The second UI asks an analytics host for its configuration even with analytics off.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_UI_API_URL": "/api",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "2592000",
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P3D",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": "60",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
}


def client_environment(api_url: str, home: Path) -> dict[str, str]:
    """What a process needs to record its flow runs there."""
    return {
        **({"PREFECT_API_SSL_CERT_FILE": str(one_certificate(home))} if api_url.startswith("http://127.") else {}),
        "PREFECT_API_URL": api_url,
        "PREFECT_HOME": str(home / "prefect"),
        # A missing server then fails loudly instead of starting a hidden one.
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }


def one_certificate(home: Path) -> Path:
    """A certificate file with a single certificate of nobody's.

    Prefect's client loads the whole file for each of its many connections, also over plain HTTP: 30 ms with the usual
    bundle of authorities, nothing with this one. It trusts less, never more.
    """
    path = home / "prefect" / "nobody.pem"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(_certificate())
        new.replace(path)
    return path


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    return built.not_valid_after(datetime(2099, 1, 1, tzinfo=UTC)).sign(key, SHA256()).public_bytes(Encoding.PEM)


def server_environment(home: Path, database_url: str, port: int) -> dict[str, str]:
    return {
        **FIXED,
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
    }


def database_url(home: Path, postgres: LocalPostgres | None) -> str:
    """Prefect's own database: beside ours in the embedded server, else a SQLite file.

    It needs `pg_trgm` and its own migrations, which are known to work on the embedded server alone.
    """
    if postgres is None:
        return f"sqlite+aiosqlite:///{home / 'prefect' / 'prefect.db'}"
    postgres.ensure_database(DATABASE, extensions=("pg_trgm",))
    return postgres.asyncpg_url(DATABASE)


async def started(home: Path, *, postgres: LocalPostgres | None, port: int) -> Child:
    """A server that answers. Raises ProcessFailed with the end of its log when it does not within three minutes."""
    (home / "prefect").mkdir(parents=True, exist_ok=True)
    environment = server_environment(home, database_url(home, postgres), port)
    child = await Child.start(
        [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        environment={**clean_environment(), **environment},
        log=home / "prefect" / "server.log",
        name="the Prefect server",
    )
    try:
        await child.answers(f"http://127.0.0.1:{port}/api/health", within=_READY_WITHIN)
    except BaseException:
        await child.stop()
        raise
    return child


@contextlib.asynccontextmanager
async def prefect_server(home: Path, *, postgres: LocalPostgres | None = None, port: int = 0) -> AsyncGenerator[str]:
    """A server for as long as the block lasts; its API URL. It dies with this process. Raises also ConfigError when
    the port is taken.
    """
    chosen = free_port(port)
    child = await started(home, postgres=postgres, port=chosen)
    try:
        yield f"http://127.0.0.1:{chosen}/api"
    finally:
        await child.stop()


def clean_environment() -> dict[str, str]:
    """This process' environment without what would point a server at another one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
