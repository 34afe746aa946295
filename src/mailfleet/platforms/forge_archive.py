"""An archive of the Forge stack in our words: what forge_export wrote, read by what forge_words knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from mailfleet.platforms import forge_words
from mailfleet.platforms.kept import Kept, KeptCampaign, KeptLead, KeptMail, Refusal, Rows
from mailfleet.platforms.port import NewLead, Step
from mailfleet.vendors.salesforge import models

_REFUSED: dict[str, Refusal] = {"unsubscribed": "unsubscribe", "dnc": "vendor", "bounced": "hard_bounce"}


class ForgeArchive(Kept):
    """`Kept` over the datasets of an export of Salesforge."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def campaigns(self) -> Sequence[KeptCampaign]:
        steps = await self._steps()
        return [
            KeptCampaign(
                ref=row["id"],
                name=row.get("name") or row["id"],
                state=forge_words.CAMPAIGN_STATES.get(str(row.get("status")), "unknown"),
                steps=tuple(steps.get(row["id"], ())),
                mailboxes=tuple(box["address"].lower() for box in row.get("mailboxes") or () if box.get("address")),
            )
            async for row in self._rows("salesforge/campaigns")
        ]

    async def _steps(self) -> dict[str, list[Step]]:
        """By sequence: a row is one wording of one step."""
        found: dict[str, dict[int, dict[str, Any]]] = {}
        async for row in self._rows("salesforge/sequences"):
            order = int(row.get("stepOrder") or 0)
            step = found.setdefault(row["sequenceId"], {}).setdefault(
                order, {"order": order, "waitDays": row.get("waitDays") or 0, "variants": []}
            )
            step["variants"].append(dict(row))
        return {ref: [_step(steps[order]) for order in sorted(steps)] for ref, steps in found.items()}

    async def refusals(self) -> AsyncIterator[tuple[str, Refusal]]:
        async for row in self._rows("salesforge/suppressions"):
            if row.get("type") != "linkedin":
                yield str(row["value"]).lower(), "vendor"
        async for row in self._rows("salesforge/leads"):
            for enrolment in row.get("sequences") or ():
                if (why := _REFUSED.get(str(enrolment.get("status")))) and row.get("email"):
                    yield row["email"].lower(), why

    async def bounces(self) -> AsyncIterator[tuple[str, str]]:
        async for row in self._rows("salesforge/replies"):
            if row.get("replyType") == "bounced" and row.get("contactEmail"):
                yield row["contactEmail"].lower(), str(row.get("content") or "")

    async def mails(self) -> AsyncIterator[KeptMail]:
        async for row in self._rows("salesforge/engagement"):
            if (at := forge_words.moment(row.get("sent"))) is not None:
                yield KeptMail(
                    campaign_ref=row["sequenceId"], lead_ref=row["contactId"], email=str(row.get("email") or ""), at=at
                )

    async def leads(self) -> AsyncIterator[KeptLead]:
        apart: dict[str, list[dict[str, Any]]] = {}
        async for row in self._rows("salesforge/memberships"):
            apart.setdefault(row["contactId"], []).append({"id": row["sequenceId"], "status": row.get("status")})
        async for row in self._rows("salesforge/leads"):
            contact = msgspec.convert({**row, "sequences": None}, models.Contact, strict=False)
            for enrolment in row.get("sequences") or apart.get(contact.id, ()):
                status = str(enrolment.get("status") or "")
                yield KeptLead(
                    campaign_ref=str(enrolment["id"]),
                    ref=contact.id,
                    state=forge_words.LEAD_STATES.get(status, "unknown"),
                    lead=_lead(contact),
                )


def _step(row: dict[str, Any]) -> Step:
    return forge_words.step(msgspec.convert(row, models.Step, strict=False))


def _lead(contact: models.Contact) -> NewLead:
    more = {"job_title": contact.position, "linkedin_url": contact.linkedin_url}
    fields = {**{name: value for name, value in more.items() if value}, **(contact.custom_vars or {})}
    return NewLead(
        email=contact.email, first_name=contact.first_name, last_name=contact.last_name, company=contact.company,
        fields={name: str(value) for name, value in fields.items()},
    )  # fmt: skip
