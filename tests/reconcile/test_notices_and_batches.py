"""Notices of unknown outcome are not sent again; a lost push and its batch are settled together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.leads.conftest import CONFIG
from tests.leads.files import people, write
from tests.reconcile.vendors import START, opened
from tests.reconcile.writes import written
from tests.sandbox_fixture import Sandbox

from mailfleet.errors import NotAllowed, VendorError
from mailfleet.platforms.settling import OpenWrite, Settler
from mailfleet.services import alerts, campaigns, clients, imports, push, reconcile
from mailfleet.services.context import Fleet
from mailfleet.services.reconcile import Grace
from mailfleet.store import alerts as alert_rows
from mailfleet.store import journal, links
from mailfleet.store.database import Database, tuples
from mailfleet.store.journal import PostgresJournal

pytestmark = pytest.mark.anyio
NOW = Grace(ambiguous=timedelta(0), intended=timedelta(0), absent=timedelta(0))


@pytest.fixture
async def fleet(database: Database, sandbox: Sandbox) -> AsyncIterator[Fleet]:
    async with opened(database, sandbox.info) as made:
        yield made


async def ask(fleet: Fleet, sql: Any) -> list[tuple[Any, ...]]:
    async with fleet.db.connection() as db:
        return await tuples(db, sql)


async def emergency(fleet: Fleet) -> None:
    await alerts.tell(fleet, fact_key="f", kind="k", severity="emergency", title="Stop", body="now")


async def later(fleet: Fleet) -> None:
    fleet.clock.set(fleet.clock.now() + timedelta(hours=1))  # type: ignore[attr-defined]
    await alerts.deliver_due(fleet)


async def deliveries(fleet: Fleet) -> dict[str, str]:
    return dict(await ask(fleet, "select channel, state from mailfleet.deliveries"))


@pytest.mark.parametrize(("kind", "arrived"), [("reset_after", 1), ("reset", 0)])
async def test_a_notice_of_unknown_outcome_is_never_sent_twice_and_is_told(
    fleet: Fleet, sandbox: Sandbox, kind: str, arrived: int
) -> None:
    sandbox.fault(kind, vendor="twilio")
    sandbox.fault(kind, vendor="slack")
    await emergency(fleet)
    assert await alerts.deliver_due(fleet) == 0
    await later(fleet)
    assert await deliveries(fleet) == {"slack": "unknown", "sms": "unknown"}
    assert (len(sandbox.log("sms")), len(sandbox.log("slack"))) == (arrived, arrived)
    assert (await reconcile.settle_open(fleet, NOW)).unreadable == 2
    async with fleet.db.connection() as db:
        assert await journal.counts(db) == {"unreadable": 2}
        assert await alert_rows.count_unknown(db, START) == 2
    [(reason,), _] = await ask(fleet, "select outcome -> 'read' ->> 'reason' from mailfleet.journal order by vendor")
    assert reason.startswith("Slack shows")


@pytest.mark.parametrize(("state", "wanted"), [("done", "sent"), ("intended", "unknown"), ("refused", "sent")])
async def test_a_process_that_died_while_sending_leaves_no_second_notice(
    fleet: Fleet, sandbox: Sandbox, state: str, wanted: str
) -> None:
    """The delivery was taken and never written down; what the journal has of it decides."""
    await emergency(fleet)
    async with fleet.db.transaction() as db:
        taken = await alert_rows.take_due(db, now=START, until=START + timedelta(minutes=5), limit=9)
    keeper = PostgresJournal(fleet.db, fleet.clock)
    for each in taken:
        match = {"to": each.target, "notice": str(each.id)}
        entry = await keeper.intend(vendor="v", operation="send", key_id="k", target="/", request={}, match=match)
        if state != "intended":
            await keeper.finish(entry, state, outcome={})  # type: ignore[arg-type]
    await later(fleet)
    assert await deliveries(fleet) == {"slack": wanted, "sms": wanted}
    sent = 1 if state == "refused" else 0
    assert (len(sandbox.log("sms")), len(sandbox.log("slack"))) == (sent, sent)


async def test_an_outage_that_slack_admits_does_not_lose_the_notice(fleet: Fleet, sandbox: Sandbox) -> None:
    sandbox.fault("500", vendor="slack", text="fatal_error")
    await emergency(fleet)
    await alerts.deliver_due(fleet)
    await later(fleet)
    assert (await deliveries(fleet))["slack"] == "sent" and len(sandbox.log("slack")) == 1


async def waiting(fleet: Fleet) -> list[int]:
    return [
        id for (id,) in await ask(fleet, "select id from mailfleet.leads where status = 'ready_to_send' order by id")
    ]


@pytest.mark.parametrize("kind", ["reset", "reset_after"])
async def test_a_lost_push_settles_the_journal_and_the_batch_and_every_lead_goes_once(
    fleet: Fleet, sandbox: Sandbox, tmp_path: Path, kind: str
) -> None:
    await clients.put_client(fleet, "agency-os", name="Agency OS", timezone="Australia/Sydney")
    campaign = await campaigns.draft(fleet, CONFIG)
    await campaigns.configure_steps(fleet, campaign.id, CONFIG["sequence"])
    async with fleet.db.transaction() as db:
        await db.execute("update mailfleet.campaigns set state = 'running', started_at = %s", [START])
        campaign = await campaigns.campaigns.need(db, campaign.id)
        ref = await links.need(db, platform="smartlead", kind="campaign", ours=campaign.id)
    await imports.import_leads(fleet, write(tmp_path, people(30)))
    sandbox.fault(kind, vendor="smartlead", path=f"/campaigns/{ref}/leads", method="POST")
    assert (await push.push(fleet, campaign.id, await waiting(fleet))).unsettled == 30
    assert await ask(fleet, "select state from mailfleet.push_batches") == [("ambiguous",)]
    assert (await reconcile.settle_open(fleet, NOW)).settled == 1
    assert await ask(fleet, "select state from mailfleet.push_batches") == [("done",)]
    await push.push(fleet, campaign.id, await waiting(fleet))
    there = sandbox.smartlead("GET", f"/campaigns/{ref}/leads", offset=0, limit=100).json()["data"]
    assert len(there) == len({row["lead"]["email"] for row in there}) == 30
    assert await ask(fleet, "select count(*), count(ref) from mailfleet.lead_ownership where state = 'active'") == [
        (30, 30)
    ]


@pytest.fixture
async def quiet(database: Database, shared_sandbox: Sandbox) -> AsyncIterator[Fleet]:
    async with opened(database, shared_sandbox.info) as made:
        yield made


async def test_every_write_knows_how_its_outcome_is_found(quiet: Fleet) -> None:
    """No write is without a reader: without anything to compare a reading fails, but it is never unheard of."""
    parts: dict[str, Any] = {**quiet.platforms, **quiet.dns_hosts, **quiet.registrars}
    parts |= {"slack": quiet.channels["slack"], "twilio": quiet.channels["sms"]}
    assert len(written()) > 40
    for vendor, operation in written():
        if vendor not in parts:  # the Forge stack's are read in tests/platforms/test_forge.py
            continue
        part = parts[vendor]
        assert isinstance(part, Settler)
        try:
            found = await part.settle(OpenWrite(operation=operation.name, match={}, at=START))
        except (KeyError, VendorError):
            continue
        assert "nobody knows" not in str(found.evidence), operation.name


async def test_only_open_entries_can_be_abandoned(quiet: Fleet) -> None:
    with pytest.raises(NotAllowed, match="no write of unknown outcome"):
        await reconcile.abandon(quiet, UUID(int=1), "none")
