"""What campaigns of crashes and benchmarks of events stand on: a real server, leads under way, and webhooks of them."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import signal
import time
from collections.abc import Generator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import structlog

from mailfleet.clock import SystemClock
from mailfleet.errors import MailfleetError
from mailfleet.platforms import smartlead_events
from mailfleet.platforms.port import Capabilities, PlatformEvent
from mailfleet.policy.model import default_policy
from mailfleet.services.context import Fleet
from mailfleet.store import migrate
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres
from mailfleet.store.secrets import Kek, Vault

BEGAN = datetime(2026, 11, 2, 8, tzinfo=UTC)
CAMPAIGNS, MAILBOXES = 4, 8
SHARES = {"opened": 20, "clicked": 5, "replied": 3, "bounced": 2}
"""Per 70 mails sent (the mix of the design's speed table)."""
REPLIES = (
    "Sounds interesting, can we talk on Tuesday?",
    "Not interested, thanks.",
    "Please remove me from your list.",
    "I am not the right person, try Jane in procurement.",
    "How much does it cost?",
    "ok",
)
BOUNCES = (
    "550 5.1.1 <x@y.example>: Recipient address rejected: User unknown",
    "452 4.2.2 The email account that you tried to reach is over quota",
    "550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
)


class Speaker:
    """The platform's words without its API."""

    name = "smartlead"
    capabilities = Capabilities(max_leads_per_call=400, warmup_per_day=(1, 50), warmup_rampup=(5, 20))

    def parse_event(self, body: Mapping[str, Any]) -> PlatformEvent | None:
        return smartlead_events.parse(body)


def fleet(dsn: str, *, connections: int = 4) -> Fleet:
    """The parts that applying needs; its database is not opened yet."""
    return Fleet(
        db=Database(dsn, max_size=connections),
        clock=SystemClock(),
        policy=default_policy(),
        vault=Vault(Kek(bytes(32))),
        platforms={"smartlead": Speaker()},  # type: ignore[dict-item]
        dns_hosts={},
        mailbox_hosts={},
        channels={},
        names=None,  # type: ignore[arg-type]
        suppression_key=b"pepper",
        rng=random.Random(1),  # noqa: S311
    )


@contextlib.contextmanager
def server(home: Path, **settings: str) -> Generator[tuple[LocalPostgres, str]]:
    """A server of its own, migrated, durable (`fsync` and `synchronous_commit` stay on)."""
    local = LocalPostgres(home, settings)
    try:
        with local.running():
            migrate.migrate(local.dsn())
            yield local, local.dsn()
    finally:
        # The folder of the account the server runs under, where this one is root.
        if (home / "place").exists():
            shutil.rmtree((home / "place").read_text().strip(), ignore_errors=True)


def populate(dsn: str, leads: int) -> None:
    """`leads` leads in four campaigns from eight mailboxes, owned by the platform and under way."""
    with psycopg.connect(dsn) as db:
        client = _one(db, "insert into mailfleet.clients (slug, name) values ('c', 'C') returning id")
        domain = _one(
            db,
            """insert into mailfleet.domains (client_id, name, state_since, created_at)
               values (%s, 'out.example', %s, %s) returning id""",
            client, BEGAN, BEGAN,
        )  # fmt: skip
        for n in range(MAILBOXES):
            _one(
                db,
                """insert into mailfleet.mailboxes (client_id, domain_id, address, state, state_since, created_at)
                   values (%s, %s, %s, 'PRODUCTION', %s, %s) returning id""",
                client, domain, f"box{n}@out.example", BEGAN, BEGAN,
            )  # fmt: skip
        for n in range(CAMPAIGNS):
            campaign = _one(
                db,
                """insert into mailfleet.campaigns
                       (client_id, name, state, state_since, config, config_hash, created_at)
                   values (%s, %s, 'running', %s, '{}', '', %s) returning id""",
                client, f"campaign {n}", BEGAN, BEGAN,
            )  # fmt: skip
            db.execute(
                """insert into mailfleet.platform_links (kind, platform, ours, ref, created_at)
                   values ('campaign', 'smartlead', %s, %s, %s)""",
                [str(campaign), str(7000 + n), BEGAN],
            )
            db.execute(
                """insert into mailfleet.leads (client_id, email, email_norm, domain, campaign_id, status, created_at,
                                               updated_at)
                   select %(client)s, e, e, d, %(campaign)s, 'in_sequence', %(at)s, %(at)s
                   from generate_series(%(n)s, %(leads)s - 1, %(step)s) as g(i),
                        lateral (select 'd' || (i / 3) || '.example' as d) x,
                        lateral (select 'p' || i || '@' || d as e) y""",
                {"client": client, "campaign": campaign, "at": BEGAN, "n": n, "leads": leads, "step": CAMPAIGNS},
            )
        db.execute(
            """insert into mailfleet.lead_ownership (lead_id, platform, campaign_id, state, ref, map_ref, claimed_at,
                                                     pushed_at, updated_at)
               select id, 'smartlead', campaign_id, 'active', 'L' || email_norm, 'M' || email_norm, %(at)s, %(at)s,
                      %(at)s
               from mailfleet.leads""",
            {"at": BEGAN},
        )
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("select mailfleet.events_keep(%s, 2, 18)", [BEGAN])
        db.execute("vacuum analyze")


def address(n: int) -> str:
    return f"p{n}@d{n // 3}.example"


def webhooks(rng: random.Random, leads: int, *, step: int = 1, every: int = 1) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind, body) as the platform sends them: every lead's mail, and what follows in the mix's shares."""
    for n in range(0, leads * every, every):
        at = BEGAN + timedelta(days=3 * (step - 1), seconds=n % 200_000, milliseconds=n % 997)
        yield "sent", _body("EMAIL_SENT", n, step, at)
        for kind, share in SHARES.items():
            if rng.randrange(70) < share:
                yield kind, _later(kind, n, step, at + timedelta(seconds=rng.randrange(30, 90_000)), rng)


def _later(kind: str, n: int, step: int, at: datetime, rng: random.Random) -> dict[str, Any]:
    if kind == "opened":
        return _body("EMAIL_OPEN", n, step, at)
    if kind == "clicked":
        return _body("EMAIL_LINK_CLICK", n, step, at)
    mail = {"message_id": f"<{kind}-{n}-{step}@x.example>"}
    if kind == "replied":
        return _body(
            "EMAIL_REPLY", n, step, at, reply_message={**mail, "text": rng.choice(REPLIES)}, subject="Re: hello"
        )
    return _body("EMAIL_BOUNCE", n, step, at, bounce_message={**mail, "text": rng.choice(BOUNCES)})


def _body(name: str, n: int, step: int, at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "event_type": name, "event_timestamp": at.isoformat(), "campaign_id": 7000 + n % CAMPAIGNS,
        "sl_lead_email": address(n), "from_email": f"box{n % MAILBOXES}@out.example", "sequence_number": step,
        "stats_id": f"m{n}-{step}", "subject": "hello", **more,
    }  # fmt: skip


def kill_server(home: Path) -> None:
    """SIGKILL to the postmaster and, so that nothing of it goes on, to every process of its group."""
    pid = int((_data(home) / "postmaster.pid").read_text().split()[0])
    children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    for each in (pid, *children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def until_up(local: LocalPostgres) -> None:
    """Returns when the server answers again: its keeper starts it, or, if that has given up, this user a new one."""
    while True:
        try:
            with local.running():
                return
        except (psycopg.OperationalError, MailfleetError):
            time.sleep(0.1)


def quiet() -> None:
    """In a process that is going to lose its database: it says so thousands of times."""
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _data(home: Path) -> Path:
    place = home / "place"
    return (Path(place.read_text().strip()) if place.exists() else home) / "data"


def _one(db: psycopg.Connection[Any], sql: Any, *args: object) -> Any:
    found = db.execute(sql, args).fetchone()
    assert found
    return found[0]


def webhook(n: int) -> dict[str, Any]:
    """One of any number of bodies, no two alike."""
    return _body("EMAIL_SENT", n, 1, BEGAN + timedelta(seconds=n % 200_000))
