"""`mailfleet doctor`: each thing that has to be right, with a verdict and what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from mailfleet.cli.output import Json, say, show

if TYPE_CHECKING:
    from mailfleet.services.context import Fleet
    from mailfleet.settings import Settings

Verdict = Literal["ok", "attention", "failed", "not set"]
Row = dict[str, Any]
_SKEW_SECONDS = 30
_WAITING_SECONDS = 300
_UNREAD_SECONDS = 3600
_SHOWN = timedelta(days=7)


def doctor(*, offline: bool = False, json: Json = False) -> int:
    """Checks settings, database, vendors, DNS, clock and workers. Exit code 1 when something failed, 4 when a key is
    refused, 3 when something needs attention.

    Parameters
    ----------
    offline
        Ask no vendor and no DNS server.
    """
    rows = asyncio.run(_examine(offline))
    show(rows, as_json=json, columns=("check", "verdict", "found", "fix"))
    return _exit_code(rows)


def _exit_code(rows: list[Row]) -> int:
    verdicts = {row["verdict"] for row in rows}
    if "failed" in verdicts:
        return 4 if any(row.get("code") in ("V301", "V302") for row in rows) else 1
    return 3 if "attention" in verdicts else 0


async def _examine(offline: bool) -> list[Row]:
    from mailfleet.cli.session import started

    rows: list[Row] = []
    settings: Settings | None = None

    async def read() -> Row:
        nonlocal settings
        settings = started()
        return _row("settings", "ok", f"profile {settings.mailfleet_profile}, data in {settings.home}")

    rows.append(await _tried("settings", read))
    if settings is None:
        return rows
    known = settings
    rows.append(await _tried("policy", lambda: _policy(known)))
    rows += await _with_database(known, offline)
    rows.append(await _tried("Prefect", lambda: _prefect(known)))
    return rows


async def _policy(settings: Settings) -> Row:
    from mailfleet.policy.load import load

    policy = load(settings.mailfleet_policy)
    return _row("policy", "ok", f"version {policy.version}, from {settings.mailfleet_policy or 'the specification'}")


async def _with_database(settings: Settings, offline: bool) -> list[Row]:
    from mailfleet.wiring import database, open_fleet

    rows: list[Row] = []
    try:
        with contextlib.ExitStack() as stack:
            dsn, local = await asyncio.to_thread(stack.enter_context, database(settings))
            rows.append(await _tried("database", lambda: _schema(dsn, "embedded" if local else "DATABASE_URL")))
            if rows[-1]["verdict"] == "ok":
                async with open_fleet(settings, waiting=say) as fleet:
                    rows += await _with_fleet(fleet, settings, offline)
            else:
                rows.append(_row("vendors", "attention", "not asked: their budget lives in the database", "see above"))
    except Exception as error:
        rows.append(_failed("database" if not rows else "parts", error))
    return rows


async def _with_fleet(fleet: Fleet, settings: Settings, offline: bool) -> list[Row]:
    checks: list[tuple[str, Callable[[], Awaitable[Row]]]] = [
        ("clock", lambda: _clock(fleet)),
        ("workers", lambda: _workers(fleet)),
        ("unknown outcomes", lambda: _unknown(fleet)),
        ("circuits", lambda: _circuits(fleet)),
    ]
    if not offline:
        checks += [
            ("Smartlead", lambda: _smartlead(fleet)),
            ("Cloudflare", lambda: _cloudflare(fleet, settings)),
            ("DNS", lambda: _dns(fleet)),
        ]
    checks.append(("notices", lambda: _notices(fleet)))
    return [await _tried(name, check) for name, check in checks]


async def _schema(dsn: str, which: str) -> Row:
    from mailfleet.store.migrate import status

    found = await asyncio.to_thread(status, dsn)
    told = f"PostgreSQL {found.server} ({which}), {len(found.applied)} migrations"
    if found.pending:
        return _row("database", "failed", f"{told}, {len(found.pending)} missing", "mailfleet db migrate")
    if found.unknown:
        return _row("database", "attention", f"{told}, {len(found.unknown)} of a newer release", "update mailfleet")
    return _row("database", "ok", told)


async def _clock(fleet: Fleet) -> Row:
    from mailfleet.clock import SystemClock
    from mailfleet.store.database import value

    if not isinstance(fleet.clock, SystemClock):
        return _row("clock", "attention", f"driven from outside, {fleet.clock.now():%Y-%m-%d %H:%M}", "MAILFLEET_CLOCK")
    async with fleet.db.connection() as db:
        theirs: datetime = await value(db, "select clock_timestamp()")
    skew = abs((datetime.now(UTC) - theirs).total_seconds())
    verdict: Verdict = "ok" if skew < _SKEW_SECONDS else "failed"
    return _row("clock", verdict, f"{skew:.1f} s from the database's", "set the machine's clock (NTP)")


async def _workers(fleet: Fleet) -> Row:
    from mailfleet.store.database import tuples

    async with fleet.db.connection() as db:
        found = await tuples(
            db,
            """select (select count(*) from mailfleet.webhook_inbox where state = 'new'),
                      (select count(*) from mailfleet.outbox where state = 'pending' and run_at <= %(now)s),
                      (select coalesce(extract(epoch from %(now)s - min(run_at)), 0)
                       from mailfleet.outbox where state = 'pending' and run_at <= %(now)s),
                      (select count(*) from mailfleet.outbox where state = 'dead')""",
            {"now": fleet.clock.now()},
        )
    new, due, oldest, dead = found[0]
    told = f"{new} webhooks to apply, {due} commands due, {dead} given up"
    if dead:
        return _row("workers", "attention", told, "mailfleet event list shows what failed")
    waiting = oldest > _WAITING_SECONDS
    return _row("workers", "attention" if waiting else "ok", told, "start `mailfleet worker`" if waiting else "")


async def _unknown(fleet: Fleet) -> Row:
    from mailfleet.store import alerts, journal

    async with fleet.db.connection() as db:
        open_, lost = await journal.waiting(db), await alerts.count_unknown(db, fleet.clock.now() - _SHOWN)
    told = f"{open_.entries} writes wait for their reading"
    if open_.oldest:
        told += f", the oldest for {open_.oldest.total_seconds() / 3600:.1f} h"
    if lost:
        told += f"; {lost} notices may not have arrived"
    old = open_.oldest is not None and open_.oldest.total_seconds() > _UNREAD_SECONDS
    return _row("unknown outcomes", "attention" if old or lost else "ok", told, "`mailfleet event unsettled`")


async def _circuits(fleet: Fleet) -> Row:
    """Vendors that are being given a rest, and how the others answered in the last 24 hours."""
    from mailfleet.services import vendor_status

    known = await vendor_status.read(fleet)
    resting = [each for each in known if each.circuit != "closed"]
    if resting:
        told = "; ".join(f"{each.vendor} {each.circuit} ({each.last_error})" for each in resting)
        return _row("circuits", "attention", told, "one call probes after 30 s; `mailfleet vendor status` shows more")
    shares = [f"{each.vendor} {each.share_24h:.1%}" for each in known if each.share_24h is not None]
    return _row("circuits", "ok", f"all closed; answered in 24 h: {', '.join(shares) or 'nothing was asked'}")


async def _smartlead(fleet: Fleet) -> Row:
    accounts = [platform for _, name, platform in fleet.accounts() if name == "smartlead"]
    if not accounts:
        return _row("Smartlead", "not set", "no key", "set SMARTLEAD_API_KEY")
    found = sum([len(await platform.campaigns()) for platform in accounts])
    where = f" in {len(accounts)} accounts" if len(accounts) > 1 else ""
    return _row("Smartlead", "ok", f"{found} campaigns{where}")


async def _cloudflare(fleet: Fleet, settings: Settings) -> Row:
    if not settings.cloudflare_api_token:
        return _row("Cloudflare", "not set", "no token", "set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID")
    await fleet.dns_hosts["cloudflare"].find_zone("example.com")
    return _row("Cloudflare", "ok", "the token is accepted")


async def _dns(fleet: Fleet) -> Row:
    answers = await fleet.names.resolvers("com", "NS")
    good = [answer for answer in answers if answer.outcome in ("match", "mismatch", "nodata")]
    verdict: Verdict = "ok" if len(good) == len(answers) else "attention" if good else "failed"
    return _row("DNS", verdict, f"{len(good)} of {len(answers)} resolvers answer", "allow UDP and TCP port 53 outward")


async def _notices(fleet: Fleet) -> Row:
    if not fleet.channels:
        return _row("notices", "attention", "nobody is told anything", "set SLACK_BOT_TOKEN or SLACK_WEBHOOK_URL")
    return _row("notices", "ok", ", ".join(sorted(fleet.channels)))


async def _prefect(settings: Settings) -> Row:
    import httpx2

    if not settings.prefect_api_url:
        return _row("Prefect", "not set", "flows run plainly, unrecorded", "`mailfleet up`, or set PREFECT_API_URL")
    try:
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            up = (await client.get(f"{settings.prefect_api_url}/health")).status_code == 200
    except httpx2.HTTPError:
        up = False
    verdict: Verdict = "ok" if up else "failed"
    return _row("Prefect", verdict, settings.prefect_api_url, "" if up else "start it, or correct PREFECT_API_URL")


async def _tried(name: str, check: Callable[[], Awaitable[Row]]) -> Row:
    try:
        return await check()
    except Exception as error:  # one check that breaks must not hide what the others find
        return _failed(name, error)


def _failed(name: str, error: Exception) -> Row:
    from mailfleet.errors import MailfleetError
    from mailfleet.log import redact
    from mailfleet.store.database import told

    known = error if isinstance(error, MailfleetError) else told(error)
    if known is None:
        known = MailfleetError(f"{type(error).__name__}: {error}", hint="This is a fault of mailfleet; report it.")
    found, fix = redact(known.what), redact(known.hint)
    return {"check": name, "verdict": "failed", "found": found, "fix": fix, "code": known.code}


def _row(check: str, verdict: Verdict, found: str, fix: str = "") -> Row:
    return {"check": check, "verdict": verdict, "found": found, "fix": "" if verdict == "ok" else fix}
