"""Port of an archive: a platform's export read back in our words, whichever platform it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from mailfleet.platforms.archive import Record
from mailfleet.platforms.port import CampaignState, LeadState, NewLead, Step

Rows = Callable[[str], AsyncIterator[Record]]
"""Dataset → its rows in order; none for a dataset that the archive does not hold."""
Refusal = Literal["vendor", "unsubscribe", "hard_bounce"]


class KeptCampaign(msgspec.Struct, frozen=True, kw_only=True):
    ref: str
    name: str
    state: CampaignState
    steps: tuple[Step, ...]
    mailboxes: tuple[str, ...]
    """Their addresses."""


class KeptMail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that left, or all that is known of one lead's."""

    campaign_ref: str
    lead_ref: str
    email: str
    at: datetime


class KeptLead(msgspec.Struct, frozen=True, kw_only=True):
    """A lead in a campaign; one in two campaigns comes twice."""

    campaign_ref: str
    ref: str
    state: LeadState
    lead: NewLead


class Kept(Protocol):
    """What an archive tells of a platform."""

    async def campaigns(self) -> Sequence[KeptCampaign]: ...
    def refusals(self) -> AsyncIterator[tuple[str, Refusal]]:
        """Addresses and domains that the platform does not write to."""
        ...

    def bounces(self) -> AsyncIterator[tuple[str, str]]:
        """(address, what the receiver wrote) of mails that came back."""
        ...

    def mails(self) -> AsyncIterator[KeptMail]: ...
    def leads(self) -> AsyncIterator[KeptLead]: ...
