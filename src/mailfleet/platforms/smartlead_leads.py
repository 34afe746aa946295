"""What became of each address of a batch, from counters that name few of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mailfleet.platforms.port import AddedLeads
from mailfleet.vendors.smartlead import models


def sorted_out(answer: models.AddedLeads, emails: Sequence[str]) -> AddedLeads:
    """Every address in exactly one bucket. What the answer neither names nor counts unambiguously is `unexplained`.

    Named: new and existing ids, invalid addresses, unsubscribed leads. Only counted: blocked, bounced and left over
    when the lead credit is used up; those are told apart when one of the counts alone explains all that is left.
    """
    given = {email.strip().lower(): email for email in emails}
    added, there, unsure = _attached(answer, given)
    settled = {*added, *there, *unsure}
    invalid = _named(answer.invalid_emails, given) - settled
    stopped = _named(_addresses(answer.unsubscribed_leads), given) - settled - invalid
    left = [email for email in given if email not in settled | invalid | stopped]
    blocked, not_taken = sorted(stopped), list[str]()
    refused = answer.block_count + answer.bounce_count
    if answer.is_lead_limit_exhausted and not refused:
        not_taken, left = left, []
    elif left and not answer.lead_import_stopped_count and len(left) == refused:
        blocked, left = [*blocked, *left], []
    return AddedLeads(
        added=_as_given(added, given),
        already_there=_as_given(there, given),
        blocked=tuple(given[email] for email in blocked),
        invalid=tuple(given[email] for email in sorted(invalid)),
        not_taken=tuple(given[email] for email in not_taken),
        unexplained=tuple(given[email] for email in [*unsure, *left]),
    )


def _attached(
    answer: models.AddedLeads, given: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], Sequence[str]]:
    """Addresses with an id: attached now, in this campaign before, and those of which the counters leave it open.

    `total_leads` counts what was attached, whether the lead was new to the account or not
    (smartlead:campaigns/leads/add).
    """
    ids = answer.ids or models.LeadIdMap()
    new = _chosen(ids.added, given)
    known = {**_chosen(ids.elsewhere, given), **_chosen(ids.existing, given)}
    known = {email: ref for email, ref in known.items() if email not in new}
    more = answer.total_leads - len(new)
    if known and more == len(known) and not answer.already_added_to_campaign:
        return {**new, **known}, {}, ()
    if more <= 0 and not ids.elsewhere:
        return new, known, ()
    return new, {}, sorted(known)


def _chosen(ids: Mapping[str, int], given: Mapping[str, str]) -> dict[str, str]:
    return {key: str(ref) for email, ref in ids.items() if (key := email.strip().lower()) in given}


def _as_given(found: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    return {given[email]: ref for email, ref in found.items()}


def _named(emails: Iterable[str], given: Mapping[str, str]) -> set[str]:
    return {key for email in emails if (key := email.strip().lower()) in given}


def _addresses(rows: Iterable[Any]) -> Iterable[str]:
    """Unsubscribed leads come as addresses or as objects (smartlead:campaigns/leads/add)."""
    for row in rows:
        found = row.get("email") if isinstance(row, Mapping) else row
        if isinstance(found, str):
            yield found
