"""What became of each address of a batch, told from Smartlead's counters."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.platforms.port import AddedLeads
from mailfleet.platforms.smartlead_leads import sorted_out
from mailfleet.vendors.smartlead import models

A, B, C = "a@x.example", "b@x.example", "c@x.example"


def sort(emails: list[str], **answer: Any) -> AddedLeads:
    ids = answer.pop("ids", None)
    body = {**answer, **({"emailToLeadIdMap": ids} if ids is not None else {})}
    return sorted_out(msgspec.convert(body, models.AddedLeads, strict=False), emails)


def test_new_known_and_invalid_addresses_are_named() -> None:
    found = sort(
        [A, "B@x.example", "broken@@x"],
        total_leads=1,
        already_added_to_campaign=1,
        invalid_emails=["broken@@x"],
        ids={"newlyAddedLeads": {A: "1"}, "existingLeads": {B: "2"}},
    )
    assert (dict(found.added), dict(found.already_there), found.invalid) == (
        {A: "1"}, {"B@x.example": "2"}, ("broken@@x",),
    )  # fmt: skip


def test_a_lead_known_from_elsewhere_and_attached_now_is_added() -> None:
    found = sort([A, B], total_leads=2, ids={"newlyAddedLeads": {A: "1"}, "existingLeadsInOtherCampaigns": {B: "2"}})
    assert dict(found.added) == {A: "1", B: "2"}


def test_blocked_ones_are_found_by_the_count_that_explains_them() -> None:
    found = sort([A, B, C], total_leads=1, block_count=2, ids={"newlyAddedLeads": {A: "1"}})
    assert found.blocked == (B, C)


def test_what_the_counts_do_not_explain_is_read_back() -> None:
    assert sort([A, B, C], total_leads=1, block_count=1, ids={"newlyAddedLeads": {A: "1"}}).unexplained == (B, C)
    assert sort([A, B], total_leads=2).unexplained == (A, B)


def test_without_lead_credit_the_rest_waits() -> None:
    found = sort([A, B], is_lead_limit_exhausted=True, lead_import_stopped_count=2)
    assert found.not_taken == (A, B)


COUNT = st.integers(0, 5)


@given(
    emails=st.lists(st.sampled_from([A, B, C, "d@x.example", "e@x.example", "E@x.example"]), min_size=1, unique=True),
    data=st.data(),
)
def test_every_address_is_in_exactly_one_bucket(emails: list[str], data: st.DataObject) -> None:
    some = st.dictionaries(st.sampled_from(emails), st.integers(1, 99))
    found = sort(
        emails,
        total_leads=data.draw(COUNT),
        block_count=data.draw(COUNT),
        bounce_count=data.draw(COUNT),
        already_added_to_campaign=data.draw(COUNT),
        lead_import_stopped_count=data.draw(COUNT),
        is_lead_limit_exhausted=data.draw(st.booleans()),
        invalid_emails=data.draw(st.lists(st.sampled_from(emails))),
        unsubscribed_leads=data.draw(st.lists(st.sampled_from(emails))),
        ids={name: data.draw(some) for name in ("newlyAddedLeads", "existingLeads", "existingLeadsInOtherCampaigns")},
    )
    named = [*found.added, *found.already_there, *found.blocked, *found.invalid, *found.not_taken, *found.unexplained]
    assert sorted(email.lower() for email in named) == sorted({email.lower() for email in emails})
