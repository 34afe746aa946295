"""Why a scope bounces: what is known is gathered, the cause is judged, one report says what was done and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import MailfleetError, Unknown
from mailfleet.rules import investigation
from mailfleet.rules.investigation import Finding
from mailfleet.services import alerts, dns_check
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns, evidence, incidents, outbox
from mailfleet.store import domains as domain_rows
from mailfleet.store import holds as hold_rows
from mailfleet.store import mailboxes as rows
from mailfleet.store.database import Connection
from mailfleet.store.evidence import Cell
from mailfleet.store.holds import Hold
from mailfleet.store.incidents import Incident

RUN = "investigation.run"
KIND = "bounces"
_SPAN = timedelta(days=14)
_BLOCKLIST = "dbl.spamhaus.org"
_UNKNOWN = "127.255.255."
"""Spamhaus' answers that mean "not for you", never "clean" and never "listed"."""
_ADVICE: Mapping[str, tuple[str, ...]] = {
    "list": ("Take the campaign's remaining leads out and verify their addresses.", "Ask where the list came from.",
             "Start the campaign again with the verified part alone."),
    "mailbox": ("Leave the mailbox or domain paused; its warm-up goes on.", "Repair the DNS records named below.",
                "Ask for removal where it is listed; release it once a fresh reading is good."),
    "message": ("Rewrite the step named above: links, attachments, wording.",
                "Send a placement test with the new text.",
                "Start the campaign again with the new text alone."),
    "unclear": ("Look at the refusals below; let a second mailbox send part of the campaign, then look again.",),
}  # fmt: skip


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is the whole report for a person."""

    incident: UUID | None
    scope: str
    scope_id: str
    finding: Finding
    text: str


async def order(fleet: Fleet, scope: str, scope_id: str, reason: str, *, key: str) -> bool:
    """Has it looked into by the worker; False when this fact was ordered before."""
    async with fleet.db.transaction() as db:
        return await outbox.put(
            db, RUN, {"scope": scope, "scope_id": scope_id, "reason": reason},
            now=fleet.clock.now(), dedupe_key=f"{RUN}:{key}",
        )  # fmt: skip


async def do_run(fleet: Fleet, payload: Mapping[str, Any]) -> None:
    await investigate(fleet, str(payload["scope"]), str(payload["scope_id"]), str(payload.get("reason", "")))


async def investigate(fleet: Fleet, scope: str, scope_id: str, reason: str = "asked for") -> Report:
    """Gathers, judges, writes the report and tells it. Changes nothing that sends. Raises Unknown."""
    async with fleet.db.connection() as db:
        client, name, domains = await _about(db, scope, scope_id)
        fleet = await fleet_of(fleet, client, db)
        now = fleet.clock.now()
        incident = await incidents.open_(
            db, kind=KIND, scope=scope, scope_id=scope_id, at=now, evidence={"reason": reason}
        )
        cells = await evidence.cells(db, client, since=now - _SPAN, now=now)
        done = [hold for hold in await hold_rows.standing(db) if hold.scope_id == scope_id or hold.scope == "campaign"]
        texts = {each.campaign: await campaigns.steps(db, UUID(each.campaign)) for each in cells}
    dns = {domain: await _dns(fleet, domain) for domain in domains}
    listed = {domain: await _listed(fleet, domain) for domain in domains}
    broken = [domain for domain, told in dns.items() if told["broken"]]
    finding = investigation.judge(
        [_cell(each) for each in cells],
        broken_dns=broken,
        listed=[domain for domain, told in listed.items() if told == "listed"],
    )
    lines = [
        f"# Why {scope} {name} bounces", "", f"Asked because: {reason}", "",
        *_verdict(finding), "", "## What was done already", "",
        *(_done(done) or ["- nothing"]),
        "", "## What to do", "", *(f"- {step}" for step in _ADVICE[finding.cause]), "",
        *_figures(cells), "## DNS and blocklists now", "",
        *(f"- {domain}: {dns[domain]['told']}; blocklist: {listed[domain]}" for domain in domains),
        "", "## The texts", "", *_texts(cells, texts, finding),
    ]  # fmt: skip
    text = "\n".join(lines) + "\n"
    await _close(fleet, incident, name, scope, scope_id, finding, text, {"dns": dns, "blocklists": listed})
    return Report(incident=incident, scope=scope, scope_id=scope_id, finding=finding, text=text)


def _done(held: Sequence[Hold]) -> list[str]:
    return [f"- {hold.kind} of {hold.scope} held by the {hold.actor_kind}: {hold.reason}" for hold in held]


async def latest(db: Connection, *, scope: str = "", scope_id: str = "") -> Sequence[Incident]:
    return await incidents.latest(db, KIND, scope=scope, scope_id=scope_id)


async def _close(
    fleet: Fleet,
    incident: UUID | None,
    name: str,
    scope: str,
    scope_id: str,
    finding: Finding,
    text: str,
    found: Mapping[str, object],
) -> None:
    async with fleet.db.transaction() as db:
        if incident:
            await incidents.close(
                db, incident, summary=text, at=fleet.clock.now(),
                evidence={**found, "finding": msgspec.to_builtins(finding)},
            )  # fmt: skip
        await alerts.raise_alert(
            fleet, db, fact_key=f"investigation:{incident or scope_id}", kind="investigation", severity="urgent",
            title=f"{scope} {name}: the cause is {finding.cause}"
            + (f" ({finding.certainty})" if finding.cause != "unclear" else ""),
            body=f"{finding.reason}. `mailfleet safeguards report {scope} {scope_id}` shows the whole report.",
        )  # fmt: skip


async def _about(db: Connection, scope: str, scope_id: str) -> tuple[UUID, str, list[str]]:
    """The client, the name and the sending domains of a scope."""
    boxes = await rows.every(db)
    if scope == "campaign":
        campaign = await campaigns.need(db, UUID(scope_id))
        senders = await campaigns.senders(db, campaign.id)
        return campaign.client_id, campaign.name, sorted({each.address.partition("@")[2] for each in senders})
    mine = [box for box in boxes if scope_id in (str(box.id), str(box.domain_id), str(box.client_id))]
    if not mine:
        raise Unknown(
            f"There is no {scope} {scope_id} with mailboxes.", hint="`mailfleet safeguards check` lists them."
        )
    name = mine[0].address if scope == "mailbox" else mine[0].address.partition("@")[2]
    return mine[0].client_id, name, sorted({box.address.partition("@")[2] for box in mine})


async def _dns(fleet: Fleet, name: str) -> dict[str, Any]:
    """What the world answers for the domain now, as planned or not; what cannot be asked is unknown, never right."""
    async with fleet.db.connection() as db:
        domain = await domain_rows.find(db, name)
    if domain is None or not domain.nameservers:
        return {"broken": [], "told": "not set up by us: unknown"}
    try:
        verdict = await dns_check.look(fleet, domain)
    except MailfleetError as error:
        return {"broken": [], "told": f"unknown ({error.coded})"}
    told = "as planned" if verdict.verified else "; ".join(verdict.broken or verdict.waiting_for)
    return {"broken": list(verdict.broken), "told": told, "stage": verdict.stage}


async def _listed(fleet: Fleet, name: str) -> str:
    """Only an answer counts: a refusal of public resolvers and a silence are unknown."""
    answers = await fleet.names.resolvers(f"{name}.{_BLOCKLIST}", "A")
    values = [value for answer in answers for value in answer.values]
    if any(value.startswith("127.0.1.") for value in values):
        return "listed"
    if any(value.startswith(_UNKNOWN) for value in values) or not answers:
        return "unknown"
    return "not listed" if any(answer.outcome == "nxdomain" for answer in answers) else "unknown"


def _cell(cell: Cell) -> investigation.Cell:
    return investigation.Cell(
        campaign=cell.campaign_name, mailbox=cell.mailbox, domain=cell.domain, provider=cell.provider, step=cell.step,
        sent=cell.sent, hard=cell.hard, refused=cell.refused, soft=cell.soft, rules=cell.rules,
    )  # fmt: skip


def _verdict(finding: Finding) -> list[str]:
    sure = "" if finding.cause == "unclear" else f" ({finding.certainty})"
    lines = [f"**Cause: {finding.cause}{sure}.** {finding.reason}.", ""]
    lines += ["| suspect | unit | sent | came back | expected | weight |", "|---|---|---|---|---|---|"]
    return lines + [
        f"| {each.cause} | {each.unit} | {each.sent} | {each.bounced} | {each.expected:.1f} | {each.weight:.1f} |"
        for each in finding.suspects
    ]


def _figures(cells: Sequence[Cell]) -> list[str]:
    """The same mails by each of the things they may have in common."""
    lines: list[str] = []
    for title, key in (
        ("campaign", lambda c: c.campaign_name), ("mailbox", lambda c: c.mailbox), ("domain", lambda c: c.domain),
        ("receiver", lambda c: c.provider), ("step", lambda c: f"{c.campaign_name} step {c.step}"),
    ):  # fmt: skip
        sums: dict[str, list[int]] = {}
        for cell in cells:
            place = sums.setdefault(key(cell), [0, 0, 0, 0])
            for n, count in enumerate((cell.sent, cell.hard, cell.refused, cell.soft)):
                place[n] += count
        lines += [f"## By {title}", "", "| | sent | no such address | refused | for now |", "|---|---|---|---|---|"]
        lines += [f"| {name} | {s} | {h} | {r} | {o} |" for name, (s, h, r, o) in sorted(sums.items())]
        lines.append("")
    said = Counter[str]()
    for cell in cells:
        said.update(cell.rules)
    lines += ["## What the refusals say", "", *(f"- {rule}: {n}" for rule, n in said.most_common(12)), ""]
    return lines


def _texts(cells: Sequence[Cell], texts: Mapping[str, Sequence[campaigns.StepRow]], finding: Finding) -> list[str]:
    """Length, links and subject of each campaign's steps, the suspected one marked."""
    names = {cell.campaign: cell.campaign_name for cell in cells}
    lines = ["| campaign | step | subject | characters | links | |", "|---|---|---|---|---|---|"]
    for campaign, steps in texts.items():
        for step in steps:
            marked = "suspected" if finding.unit in (names[campaign], f"{names[campaign]} step {step.position}") else ""
            links = step.body.lower().count("http")
            subject = step.subject.replace("|", "/") or "(same thread)"
            place = f"{step.position}{step.variant}"
            lines.append(f"| {names[campaign]} | {place} | {subject} | {len(step.body)} | {links} | {marked} |")
    return lines
