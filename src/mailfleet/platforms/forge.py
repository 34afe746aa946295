"""The Forge stack as a sending platform: sequences, leads and what happened; the mailboxes are in `forge_mailboxes`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

import structlog

from mailfleet.errors import Conflict, Forbidden, Invalid, NotAllowed, NotFound
from mailfleet.platforms import forge_events, forge_people, forge_settling, forge_words
from mailfleet.platforms.forge_mailboxes import ForgeMailboxes
from mailfleet.platforms.port import (
    AddedLeads,
    CampaignSeen,
    CampaignSettings,
    CampaignSetup,
    CampaignStats,
    EventKind,
    HistoryEntry,
    LeadSeen,
    LeadState,
    NewLead,
    PlatformEvent,
    Position,
    Pulse,
    Schedule,
    SentMessage,
    Step,
    WebhookSeen,
    remaining,
)
from mailfleet.platforms.settling import Finding, OpenWrite
from mailfleet.vendors.salesforge.client import SalesforgeClient
from mailfleet.vendors.salesforge.models import Contact, Thread
from mailfleet.vendors.warmforge.client import WarmforgeClient

NAME = "mailfleet"
LIST_MOST = 1000
LANGUAGE = "american_english"
_EARLIEST = date(2020, 1, 1)
_DAEMONS = ("mailer-daemon", "postmaster")
log = structlog.get_logger(__name__)


class Hooks(Protocol):
    """Keeps the signing secrets of webhooks: each is shown once, when the hook is made."""

    async def keep(self, hook: str, secret: str) -> None: ...
    async def has(self, hook: str) -> bool: ...


class ForgePlatform(ForgeMailboxes):
    """`SendingPlatform` on one workspace of Salesforge."""

    name = "forge"

    def __init__(
        self,
        core: SalesforgeClient,
        warm: WarmforgeClient | None = None,
        *,
        workspace: str = "",
        warm_workspace: str = "",
        product: str = "",
        language: str = LANGUAGE,
        hooks: Hooks | None = None,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        super().__init__(core, warm, workspace=workspace, warm_workspace=warm_workspace, today=today)
        self._product, self._language, self._hooks = product, language, hooks

    def __repr__(self) -> str:
        return f"ForgePlatform({self.core!r})"

    async def settle(self, write: OpenWrite) -> Finding:
        return await forge_settling.settle(self.core, self.warm, write)

    # campaigns

    async def campaigns(self) -> Sequence[CampaignSeen]:
        ws = await self.workspace()
        return [forge_words.campaign(row) async for row in self.core.sequences.list(ws)]

    async def campaign(self, ref: str) -> CampaignSeen:
        return forge_words.campaign(await self.core.sequences.get(await self.workspace(), ref))

    async def create_campaign(self, name: str, *, timezone: str = "UTC") -> str:
        """A draft. Its time zone is fixed here: later changes of it were ignored (salesforge:sequences/update)."""
        ws = await self.workspace()
        made = await self.core.sequences.create(
            ws, name, product=await self._any_product(ws), language=self._language, timezone=timezone
        )
        return made.id

    async def _any_product(self, ws: str) -> str:
        if not self._product:
            async for product in self.core.sequences.products(ws):
                self._product = product.id
                break
        if not self._product:
            raise NotAllowed("Salesforge has no product, which every sequence needs.", hint="Make one in its app.")
        return self._product

    async def set_campaign(self, ref: str, *, schedule: Schedule, settings: CampaignSettings | None) -> None:
        """The hours hold in the time zone the sequence was made with; new leads a day and gaps are the vendor's."""
        ws = await self.workspace()
        await self.core.sequences.set_schedules(ws, ref, forge_words.windows(schedule))
        if settings:
            await self.core.sequences.edit(ws, ref, **forge_words.settings_fields(settings))

    async def set_steps(self, ref: str, steps: Sequence[Step]) -> None:
        """Replaces them all, and looks at what there is then: adding steps has failed in silence before."""
        ws = await self.workspace()
        known = (await self.core.sequences.get(ws, ref)).steps or []
        ordered = sorted(steps, key=lambda step: step.position)
        rows = [
            forge_words.step_fields(step, order, known[order] if order < len(known) else None)
            for order, step in enumerate(ordered)
        ]
        there = await self.core.sequences.set_steps(ws, ref, rows)
        if len(there) != len(rows):
            raise Conflict(
                f"Salesforge took {len(there)} of {len(rows)} steps.",
                vendor="salesforge",
                operation="set_sequence_steps",
                hint="Look at the sequence there; it is not started.",
            )

    async def steps(self, ref: str) -> Sequence[Step]:
        rows = (await self.core.sequences.get(await self.workspace(), ref)).steps or []
        return sorted((forge_words.step(row) for row in rows), key=lambda step: step.position)

    async def campaign_setup(self, ref: str) -> CampaignSetup:
        """Schedule and most settings are not shown there (V15)."""
        return forge_words.setup(await self.core.sequences.get(await self.workspace(), ref))

    async def set_campaign_mailboxes(self, ref: str, mailbox_refs: Sequence[str]) -> None:
        await self.core.sequences.set_mailboxes(await self.workspace(), ref, list(mailbox_refs))

    async def campaign_mailboxes(self, ref: str) -> Sequence[str]:
        return [row.id for row in (await self.core.sequences.get(await self.workspace(), ref)).mailboxes or []]

    async def start_campaign(self, ref: str) -> None:
        await self.core.sequences.set_status(await self.workspace(), ref, "active")

    async def pause_campaign(self, ref: str, *, urgent: bool = True) -> None:
        await self.core.sequences.set_status(await self.workspace(), ref, "paused", urgent=urgent)

    async def pulse(self, ref: str) -> Pulse:
        ws = await self.workspace()
        state = forge_words.campaign(await self.core.sequences.get(ws, ref)).state
        return Pulse(state=state, sent=await self._sent(ws, ref))

    async def _sent(self, ws: str, ref: str) -> int:
        found = await self.core.sequences.analytics(ws, ref, _EARLIEST, self._today() + timedelta(days=1))
        return sum(day.sent for day in found.days.values())

    async def stage(
        self,
        name: str,
        *,
        remaining_steps: Sequence[Step],
        schedule: Schedule,
        settings: CampaignSettings,
        mailbox_refs: Sequence[str],
    ) -> str:
        """A draft: it sends nothing, and there is no way back to one once it was active."""
        ref = await self.create_campaign(name, timezone=schedule.timezone)
        await self.set_campaign(ref, schedule=schedule, settings=settings)
        await self.set_steps(ref, remaining(remaining_steps))
        await self.set_campaign_mailboxes(ref, mailbox_refs)
        return ref

    async def discard(self, ref: str) -> None:
        await self.core.sequences.delete(await self.workspace(), ref)

    # leads

    async def add_leads(self, campaign_ref: str, leads: Sequence[NewLead]) -> AddedLeads:
        """Contacts are made or changed, then enrolled once: enrolling twice would be counted twice."""
        ws = await self.workspace()
        before = await self.core.people.total(ws)
        made, invalid = await self._contacts(ws, leads)
        fresh = before is not None and await self.core.people.total(ws) == before + len(made)
        there = {} if fresh else await self._inside(ws, campaign_ref, made)
        new = {email: contact.id for email, contact in made.items() if email not in there}
        refused: tuple[str, ...] = ()
        if new:
            try:
                await self.core.sequences.enrol(ws, campaign_ref, list(new.values()))
            except Forbidden as error:
                log.warning("forge.not_enrolled", sequence=campaign_ref, leads=len(new), said=error.what)
                refused, new = tuple(new), {}
        return AddedLeads(added=new, already_there=there, invalid=tuple(invalid), not_taken=refused)

    async def _contacts(self, ws: str, leads: Sequence[NewLead]) -> tuple[dict[str, Contact], list[str]]:
        """By address. A batch is all or nothing: refused, each is tried by itself."""
        rows = {lead.email.lower(): forge_words.contact_fields(lead, NAME) for lead in leads}
        try:
            made = await self.core.people.create_many(ws, list(rows.values()))
            return {contact.email.lower(): contact for contact in made}, []
        except Invalid:
            found: dict[str, Contact] = {}
            invalid: list[str] = []
            for email, row in rows.items():
                try:
                    found[email] = await self.core.people.create(ws, row)
                except Invalid:
                    invalid.append(email)
            return found, invalid

    async def _inside(self, ws: str, ref: str, made: Mapping[str, Contact]) -> dict[str, str]:
        if (await self.core.sequences.get(ws, ref)).lead_count == 0:
            return {}
        inside: dict[str, str] = {}
        for email, contact in made.items():
            whole = contact if contact.sequences else await self.core.people.contact(ws, contact.id)
            if forge_people.status_in(whole, ref) is not None:
                inside[email] = contact.id
        return inside

    async def leads(self, campaign_ref: str, *, state: LeadState | None = None) -> AsyncIterator[LeadSeen]:
        async for contact, status in forge_people.members(self.core, await self.workspace(), campaign_ref):
            seen = forge_words.lead(contact, campaign_ref, status)
            if state in (None, seen.state):
                yield seen

    async def positions(self, campaign_ref: str) -> AsyncIterator[Position]:
        """Steps are counted by mails, where each mail has a row; else only when the last one left is known."""
        ws = await self.workspace()
        sent = await self._sent(ws, campaign_ref)
        mailed = await forge_people.mailed(self.core, ws, campaign_ref, sent)
        async for contact, status in forge_people.members(self.core, ws, campaign_ref):
            seen, found = forge_words.lead(contact, campaign_ref, status), mailed.get(contact.id)
            last = 0 if found is None else len(found.times) if found.whole else None
            at = found.times[-1] if found else None
            yield Position(ref=seen.ref, email=seen.email, state=seen.state, last_step=last, last_sent_at=at)

    async def find_lead(self, email: str) -> tuple[str, Sequence[str]] | None:
        """The contact's id and its sequences. There is no filter by address: everybody is read until it is met, a
        call for a hundred (5,000 for half a million). The write that makes a contact would tell its id in one, and
        would change it."""
        ws = await self.workspace()
        async for contact in self.core.people.contacts(ws):
            if contact.email.lower() == email.lower():
                whole = contact if contact.sequences is not None else await self.core.people.contact(ws, contact.id)
                return whole.id, [found.id for found in whole.sequences or []]
        return None

    async def lead_state(self, campaign_ref: str, lead_ref: str) -> LeadState:
        """From the contact itself: a sequence has no list, and everybody would be read for one (V15)."""
        ws = await self.workspace()
        whole = await self.core.people.contact(ws, lead_ref)
        return forge_words.lead(whole, campaign_ref, forge_people.status_in(whole, campaign_ref)).state

    async def pause_lead(self, campaign_ref: str, lead_ref: str) -> None:
        await self.stop_lead(campaign_ref, lead_ref)

    async def resume_lead(self, campaign_ref: str, lead_ref: str, *, delay_days: int = 0) -> None:
        if delay_days:
            raise NotAllowed("Salesforge cannot resume a lead later.", hint="Resume it when its day has come.")
        await self.unblock([await self._address(lead_ref)])

    async def stop_lead(self, campaign_ref: str, lead_ref: str) -> None:
        """A contact cannot be taken out of a V1 sequence: its address is put on the do-not-contact list."""
        await self.block([await self._address(lead_ref)])

    async def unsubscribe_lead(self, lead_ref: str) -> None:
        await self.block([await self._address(lead_ref)])

    async def _address(self, lead_ref: str) -> str:
        return (await self.core.people.contact(await self.workspace(), lead_ref)).email

    async def block(self, addresses: Sequence[str]) -> None:
        for batch in _batches(addresses):
            await self.core.people.add_dnc(await self.workspace(), batch)

    async def unblock(self, addresses: Sequence[str]) -> None:
        """Raises NotAllowed in the interface of early 2026, which can only add."""
        for batch in _batches(addresses):
            try:
                await self.core.people.remove_dnc(await self.workspace(), batch)
            except NotFound:
                raise NotAllowed(
                    "This Salesforge account's interface cannot take entries off the do-not-contact list.",
                    hint="Take them off in its app.",
                ) from None

    async def blocked(self) -> AsyncIterator[str]:
        async for row in self.core.people.dnc(await self.workspace()):
            if row.type != "linkedin":
                yield row.value.lower()

    # what happened

    async def stats(self, campaign_ref: str) -> CampaignStats:
        ws = await self.workspace()
        row = await self.core.sequences.get(ws, campaign_ref)
        return CampaignStats(
            sent=await self._sent(ws, campaign_ref),
            unique_sent=row.contacted_count,
            opened=row.opened_count,
            clicked=row.clicked_count,
            replied=row.replied_count,
            bounced=row.bounced_count,
            unsubscribed=row.opt_outed_count,
            leads={"total": row.lead_count, "completed": row.completed_count},
        )

    async def lead_states(self, campaign_ref: str) -> Mapping[str, int]:
        """By the vendor's own words, a call each: nothing gives all of them at once."""
        ws = await self.workspace()
        return {state: await self.core.sequences.count(ws, campaign_ref, state) for state in forge_words.COUNTED}

    async def sent_messages(self, campaign_ref: str, *, since: datetime | None = None) -> AsyncIterator[SentMessage]:
        ws = await self.workspace()
        sent = await self._sent(ws, campaign_ref)
        async for message in forge_people.messages(self.core, ws, campaign_ref, sent=sent, since=since):
            yield message

    async def history(self, campaign_ref: str, lead_ref: str) -> Sequence[HistoryEntry]:
        """What was said. Mails to somebody who never answered are listed nowhere: then there is nothing."""
        ws = await self.workspace()
        email = await self._address(lead_ref)
        async for row in self.core.threads.list(ws, campaign_ref):
            if row.contact_email.lower() == email.lower():
                return _entries(await self.core.threads.get(ws, row.id, row.mailbox_id))
        return []

    async def complaints(self, campaign_ref: str) -> Sequence[LeadSeen]:
        """Nothing that is published tells of complaints."""
        return []

    async def ensure_webhook(self, campaign_ref: str, url: str, *, renew: bool = False) -> str:
        """One hook a type for the whole workspace. One whose secret we do not have is made anew: it was shown once."""
        if self._hooks is None:
            raise NotAllowed("There is no place for the webhooks' secrets.", hint="They are kept in the database.")
        ws = await self.workspace()
        known = [row async for row in self.core.webhooks.list(ws) if row.name == NAME]
        refs: list[str] = []
        for kind in forge_events.HOOKS:
            old = next((row for row in known if row.type == kind), None)
            if old and old.url == url and await self._hooks.has(old.id):
                refs.append(old.id)
                continue
            if old:
                await self.core.webhooks.delete(ws, old.id)
            made = await self.core.webhooks.create(ws, NAME, kind, url)
            await self._hooks.keep(made.id, made.signing_secret or "")
            refs.append(made.id)
        return ",".join(refs)

    async def webhooks(self, campaign_ref: str) -> Sequence[WebhookSeen]:
        """Ours as one: there is a hook for each type, and each for the whole workspace."""
        rows = [row async for row in self.core.webhooks.list(await self.workspace()) if row.name == NAME]
        kinds: frozenset[EventKind] = frozenset(
            forge_events.KINDS[row.type] for row in rows if row.type in forge_events.HOOKS
        )
        url = max((row.url for row in rows), key=lambda at: sum(row.url != at for row in rows), default="")
        ref = ",".join(row.id for row in rows)
        return [WebhookSeen(ref=ref, ours=True, url=url, events=kinds)] if rows else []

    def parse_event(self, body: Mapping[str, Any]) -> PlatformEvent | None:
        return forge_events.parse(body)


def _entries(thread: Thread) -> list[HistoryEntry]:
    found: list[HistoryEntry] = []
    for mail in thread.emails:
        if (at := forge_words.moment(mail.date)) is None:
            continue
        if mail.from_address.lower().startswith(_DAEMONS):
            continue
        # Somebody else may answer for the contact: what did not go to it came from its side.
        answered = thread.contact.email.lower() != mail.to_address.lower()
        found.append(
            HistoryEntry(
                kind="reply" if answered else "sent",
                at=at,
                message_id=mail.email_id,
                message_ref=mail.id,
                subject=mail.subject,
                body=mail.content,
            )
        )
    return found


def _batches(addresses: Sequence[str]) -> list[Sequence[str]]:
    return [addresses[start : start + LIST_MOST] for start in range(0, len(addresses), LIST_MOST)]
