"""A campaign from a template to its first reply in the sandbox, as `docs/campaigns.md` has it, and what goes wrong."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.campaigns.inside import IDENTITY, Ground, ground
from tests.campaigns.test_inside import filled, read
from tests.leads.files import people, row

from mailfleet.cli import parser
from mailfleet.errors import NotAllowed, Unknown
from mailfleet.flows.campaign import smartlead_campaign_flow
from mailfleet.flows.shell import plain, using
from mailfleet.rules import schedule
from mailfleet.services import (
    campaign_capacity,
    campaign_explain,
    campaign_hooks,
    campaign_plan,
    campaign_preview,
    campaign_rest,
    campaign_stats,
    campaigns,
    clients,
)
from mailfleet.store import replies

pytestmark = pytest.mark.anyio
START = datetime(2026, 3, 2, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[2] / "docs" / "campaigns.md"


@pytest.fixture
async def on(database: Any) -> AsyncIterator[Ground]:
    async with ground(database) as made:
        await made.mailbox("ann@mfdemo-out.com")
        yield made


def config(**changed: Any) -> dict[str, Any]:
    return {
        "name": "Trades",
        "client_id": "agency-os",
        "identity": IDENTITY,
        "from_mailboxes": ["ann@mfdemo-out.com"],
        "schedule": {"timezone": "Australia/Sydney", "days": ["mon", "tue", "wed"], "start_hour": 9, "end_hour": 17},
        "limits": {"daily_per_mailbox": 7},
        "sequence": [
            {"step": 1, "subject": "For {{company}}", "body": "Hi {{first_name}}. {{signature}}", "delay_days": 0},
            {"step": 2, "subject": "", "body": "Still there?", "delay_days": 2},
        ],
        **changed,
    }


async def test_from_a_template_to_the_first_reply(on: Ground, tmp_path: Path) -> None:
    given = {**filled("question"), "name": "Berlin trades"}
    shown = await campaign_plan.plan(on.fleet, given)
    made = await on.apply(given, checksum=shown.checksum)
    jo, kim = "replies-positive.jo@nord-mfdemo.com", "silent.kim@sued-mfdemo.com"
    await on.leads(tmp_path, [row(jo, "Jo", company="Nord"), row(kim, "Kim", company="Sued")], campaign=str(made.id))
    mails = await campaign_preview.preview(on.fleet, given, [jo])
    assert [(mail.step, mail.day, mail.missing) for mail in mails] == [(1, 0, ()), (2, 6, ())]
    assert "Hello Jo" in mails[0].body and mails[0].body.count("Agency") == 1 and "{{" not in mails[0].body
    assert all(check.ok for check in await campaigns.preflight(on.fleet, made.id))
    ref = await on.starts(made)
    (reason,) = await campaign_explain.explain(on.fleet, made.id)
    assert "hours are closed" in reason.what and reason.next == "they open at 2026-03-03 08:00 UTC"
    await on.to(START + timedelta(days=6))
    async with on.fleet.db.connection() as db:
        told = await replies.listed(db, category="positive")
    assert len(told) == 1
    figures = await campaign_stats.stats(on.fleet, made.id)
    assert figures["rates"]["replied"] == {"count": 1, "n": 2, "rate": 0.5}
    assert [(each["of"], each["sent"], each["replied"]["count"]) for each in figures["by_step"]] == [("1", 2, 1)]
    assert [(each["of"], each["replied"]["n"]) for each in figures["by_mailbox"]] == [("ann@mfdemo-out.com", 2)]
    await on.to(START + timedelta(days=14))
    assert Counter((e["lead_email"], e["step"]) for e in on.sends(ref)) == {(jo, 1): 1, (kim, 1): 1, (kim, 2): 1}


def test_every_command_of_the_page_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_CONTROL", "http://127.0.0.1:9/control")
    lines = [
        line
        for block in re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text("utf-8"), re.S)
        for line in block.splitlines()
        if line.startswith("mailfleet ")
    ]
    assert len(lines) >= 14
    app = parser()
    for line in lines:
        command, _, unused = app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)[:3]
        assert command != app.help_print and not unused


async def test_the_batches_fill_the_platform_to_a_days_capacity_and_no_further(on: Ground, tmp_path: Path) -> None:
    made = await on.apply(config(sequence=config()["sequence"][:1]))
    await on.leads(tmp_path, people(40), campaign=str(made.id))
    ref = await on.starts(made)

    async def unbegun() -> int:
        told = await on.vendor("GET", f"/campaigns/{ref}/analytics")
        return told["campaign_lead_stats"]["notStarted"]

    assert await unbegun() == 7
    for day, begun in ((0, 0), (1, 7), (2, 14)):
        await on.to(START + timedelta(days=day, hours=8))
        with using(on.fleet):
            first = await plain(smartlead_campaign_flow, action="add_leads")
            again = await plain(smartlead_campaign_flow, action="add_leads")
        new = [e for e in on.sends(ref) if e["kind"] == "campaign" and e["step"] == 1]
        assert len(new) == begun + 7 and again["leads_added"] == 0
        assert await unbegun() == first["leads_added"] == 7
        found = await campaign_capacity.of(on.fleet, await campaigns.find(on.fleet, "Trades"))
        assert (found.a_day, found.new_a_day) == (7, 7)


@pytest.mark.parametrize(
    ("starts", "hours"), [(date(2026, 3, 27), (18, 18, 12, 18)), (date(2026, 10, 23), (18, 18, 24, 18))]
)
async def test_when_the_clocks_change_what_we_compute_is_what_leaves(
    database: Any, tmp_path: Path, starts: date, hours: tuple[int, ...]
) -> None:
    begin = datetime.combine(starts, datetime.min.time(), UTC) - timedelta(hours=6)
    async with ground(database, 1, begin) as on:
        await on.mailbox("ann@mfdemo-out.com", timezone="Europe/Berlin")
        timing = {"timezone": "Europe/Berlin", "days": list(schedule.DAYS), "start_hour": 1, "end_hour": 4}
        made = await on.apply(config(schedule=timing, limits={"daily_per_mailbox": 40}))
        rows = [row(f"silent{n}@firm{n}-mfdemo.com", company=f"Firm {n}") for n in range(99)]
        await on.leads(tmp_path, rows, campaign=str(made.id))
        ref = await on.starts(made)
        for n in range(1, 5):
            await on.to(begin + timedelta(days=n))
            with using(on.fleet):
                await plain(smartlead_campaign_flow, action="add_leads")
        window = schedule.Window(timezone="Europe/Berlin", days=(1, 2, 3, 4, 5, 6, 7), start_hour=1, end_hour=4)
        sends = [datetime.fromisoformat(each["at"]) for each in on.sends(ref) if each["kind"] == "campaign"]
        assert all(schedule.is_open(window, at) for at in sends)
        counted = Counter(schedule.local_day("Europe/Berlin", at) for at in sends)
        for n, most in enumerate(hours):
            day = starts + timedelta(days=n)
            assert schedule.slots(window, day, 10) == most
            # The vendor's gap is up to a quarter longer than what is asked for.
            assert most / 1.25 - 1 <= counted[day] <= most


async def test_a_start_registers_the_hook_and_reads_it_back_or_does_not_start(
    on: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await on.apply(config())
    await on.leads(tmp_path, people(2), campaign=str(made.id))
    platform = on.fleet.platform()
    with monkeypatch.context() as switched_off:
        switched_off.setattr(platform, "webhooks", _none)
        with pytest.raises(NotAllowed, match="its webhook is not as it has to be"):
            await campaigns.start(on.fleet, made.id)
    ref = await on.ref(made)
    assert (await on.vendor("GET", f"/campaigns/{ref}"))["status"] == "DRAFTED"
    await on.starts(made)
    (hook,) = await on.vendor("GET", f"/campaigns/{ref}/webhooks")
    assert {"EMAIL_SENT", "EMAIL_REPLY", "EMAIL_BOUNCE", "LEAD_UNSUBSCRIBED"} <= set(hook["event_types"])
    assert hook["categories"]
    await on.vendor("DELETE", f"/campaigns/{ref}/webhooks", {"id": hook["id"]})
    assert (await campaign_hooks.check(on.fleet, made.id)).problems == ("the campaign has no webhook of ours",)
    assert not (await campaign_hooks.repair(on.fleet, made.id)).problems


async def _none(ref: str) -> list[Any]:
    return []


async def test_what_is_changed_at_the_vendors_screen_is_told_and_kept_until_somebody_decides(
    on: Ground, tmp_path: Path
) -> None:
    made = await on.apply(config())
    await on.leads(tmp_path, people(2), campaign=str(made.id))
    ref = await on.ref(made)
    await on.vendor("POST", f"/campaigns/{ref}/sequences", {"sequences": []})
    with pytest.raises(NotAllowed) as refused:
        await campaigns.start(on.fleet, made.id)
    assert any("steps[1].body was changed there" in reason for reason in refused.value.reasons)
    changed = config(limits={"daily_per_mailbox": 5})
    with pytest.raises(NotAllowed, match="was changed at the platform"):
        await on.apply(changed)
    assert await on.vendor("GET", f"/campaigns/{ref}/sequences") == []
    await on.apply(changed, overwrite=True)
    await on.starts(made)
    assert len(await on.vendor("GET", f"/campaigns/{ref}/sequences")) == 2


async def test_a_mailbox_taken_from_a_running_campaign_is_told_and_the_floor_holds(on: Ground, tmp_path: Path) -> None:
    await on.mailbox("eve@mfdemo-out.com")
    both = ["ann@mfdemo-out.com", "eve@mfdemo-out.com"]
    made = await on.apply(config(from_mailboxes=both, limits={"daily_per_mailbox": 7, "minimum_mailboxes": 2}))
    await on.leads(tmp_path, people(3), campaign=str(made.id))
    ref = await on.starts(made)
    eve = next(each["id"] for each in await on.vendor("GET", "/email-accounts/") if each["from_email"] == both[1])
    await on.vendor("DELETE", f"/campaigns/{ref}/email-accounts", {"email_account_ids": [eve]})
    told = [each.what for each in await campaign_explain.explain(on.fleet, made.id)]
    assert "mailboxes was changed at smartlead" in told
    async with on.fleet.db.connection() as db:
        await db.execute("update mailfleet.mailboxes set connected = false where address = %s", [both[1]])
    rested = await campaign_rest.keep(on.fleet)
    assert rested["rested"] == ["Trades"] and (await on.vendor("GET", f"/campaigns/{ref}"))["status"] == "PAUSED"
    async with on.fleet.db.connection() as db:
        await db.execute("update mailfleet.mailboxes set connected = true where address = %s", [both[1]])
    assert (await campaign_rest.keep(on.fleet))["went_on"] == ["Trades"]
    assert (await on.vendor("GET", f"/campaigns/{ref}"))["status"] == "ACTIVE"


async def test_a_holiday_is_kept_from_before_its_midnight(on: Ground, tmp_path: Path) -> None:
    timing = {"timezone": "Australia/Sydney", "days": list(schedule.DAYS), "start_hour": 0, "end_hour": 24}
    made = await on.apply(config(schedule={**timing, "holidays": ["AU-NSW"]}))
    await on.leads(tmp_path, people(3), campaign=str(made.id))
    await on.starts(made)
    for at, state in (("2026-04-02T12:30", "running"), ("2026-04-02T12:45", "paused"), ("2026-04-03T12:59", "paused")):
        on.clock.set(datetime.fromisoformat(at + "+00:00"))  # Good Friday begins at 13:00 UTC
        await campaign_rest.keep(on.fleet)
        assert (await campaigns.find(on.fleet, "Trades")).state == state
    assert "Good Friday" in (await campaigns.find(on.fleet, "Trades")).pause_reason


async def test_one_name_is_one_campaign_within_a_client(on: Ground) -> None:
    await clients.put_client(on.fleet, "other", name="Other", timezone="UTC")
    made = await on.apply(config())
    assert (await on.apply(config(plain_text=True))).id == made.id
    async with on.fleet.db.transaction() as db:
        await db.execute(
            """insert into mailfleet.campaigns (client_id, name, state, state_since, config, config_hash, created_at)
               select id, 'Trades', 'draft', now(), '{}', '', now() from mailfleet.clients where slug = 'other'"""
        )
    with pytest.raises(Unknown, match="are 2 campaigns called 'Trades'"):
        await campaigns.find(on.fleet, "Trades")
    assert (await campaigns.find(on.fleet, "agency-os/Trades")).id == made.id
    with pytest.raises(NotAllowed, match="has a campaign called"):
        await campaigns.duplicate(on.fleet, made.id, "Trades")


async def test_what_a_lead_brings_stays_text_in_the_mail_that_leaves(on: Ground, tmp_path: Path) -> None:
    made = await on.apply(config())
    await on.leads(
        tmp_path, [row("silent.b@nord-mfdemo.com", "{{email}}", company="<b>Nord</b> {{x}}")], campaign=str(made.id)
    )
    ref = await on.starts(made)
    await on.to(START + timedelta(hours=8))
    (sent,) = (await on.vendor("GET", f"/campaigns/{ref}/statistics"))["data"]
    assert sent["email_subject"] == "For bNord/b {x}"
    assert "Hi {email}. Ann Lee, Agency" in sent["email_message"]
    assert sent["email_message"].count("reply with") == 1


async def test_the_examples_variants_are_counted_each(on: Ground, tmp_path: Path) -> None:
    given = {**read("campaigns/variants.toml"), "from_mailboxes": ["ann@mfdemo-out.com"]}
    made = await on.apply(given)
    await on.leads(
        tmp_path, [row(f"silent{n}@firm{n}-mfdemo.com", company=f"Firm {n}") for n in range(20)], campaign=str(made.id)
    )
    await on.starts(made)
    await on.to(START + timedelta(days=1))
    rows = {each["of"]: each["sent"] for each in (await campaign_stats.stats(on.fleet, made.id))["by_variant"]}
    assert set(rows) == {"1:A", "1:B"} and sum(rows.values()) == 20
