"""Webhook bodies as our events: both generations of names, the specification's, and the account's notices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.platforms.smartlead_events import parse

STATS = "5b0d7f1e-2c6b-4d1a-9c1f-0c6f2c0a9e11"
ENVELOPE: dict[str, Any] = {
    "webhook_id": 100,
    "stats_id": STATS,
    "sl_email_lead_id": "4155000001",
    "sl_email_lead_map_id": 2890001,
    "sl_lead_email": "bo@target.example",
    "from_email": "ada@outreach-one.example",
    "to_email": "bo@target.example",
    "subject": "Hello",
    "campaign_id": 771200,
    "campaign_status": "ACTIVE",
    "sequence_number": 1,
    "sent_message": {"message_id": "<m1@outreach-one.example>", "html": "<div>sent</div>", "text": "sent"},
    "secret_key": "k",
}
TEN = "2026-03-03T10:00:00.000001+00:00"


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {**ENVELOPE, "event_type": kind, "event_timestamp": TEN, **fields}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("EMAIL_SENT", "sent"),
        ("EMAIL_OPEN", "opened"),
        ("EMAIL_LINK_CLICK", "clicked"),
        ("EMAIL_REPLY", "replied"),
        ("EMAIL_BOUNCE", "bounced"),
        ("LEAD_UNSUBSCRIBED", "unsubscribed"),
        ("LEAD_CATEGORY_UPDATED", "category_changed"),
        ("CAMPAIGN_STATUS_CHANGED", "campaign_status"),
        ("EMAIL_OPENED", "opened"),
        ("EMAIL_CLICKED", "clicked"),
        ("EMAIL_REPLIED", "replied"),
        ("EMAIL_BOUNCED", "bounced"),
        ("EMAIL_UNSUBSCRIBED", "unsubscribed"),
        ("LEAD_CATEGORY_UPDATE", "category_changed"),
        ("SPAM_COMPLAINT", "complained"),
    ],
)
def test_real_and_specified_names_mean_the_same(name: str, kind: str) -> None:
    found = parse(event(name))
    assert found is not None
    assert found.kind == kind
    assert (found.campaign_ref, found.lead_ref, found.lead_email) == ("771200", "4155000001", "bo@target.example")
    assert found.at == datetime(2026, 3, 3, 10, 0, 0, 1, tzinfo=UTC)
    assert (found.message_ref, found.step, found.mailbox_address) == (STATS, 1, "ada@outreach-one.example")


@pytest.mark.parametrize("name", ["FIRST_EMAIL_SENT", "MANUAL_STEP_REACHED", "UNTRACKED_REPLIES", "NEWER", ""])
def test_an_unknown_kind_is_none(name: str) -> None:
    assert parse(event(name)) is None


def test_a_reply_has_its_text_the_mail_it_answers_and_who_wrote_it() -> None:
    new = event(
        "EMAIL_REPLY",
        reply_message={"message_id": "<r1@target.example>", "html": "<div>Yes</div>", "text": "Yes", "time": TEN},
        leadCorrespondence={"targetLeadEmail": "bo@target.example", "replyReceivedFrom": "assistant@target.example"},
    )
    found = parse(new)
    assert found is not None
    assert found.lead_email == "bo@target.example"
    detail = found.detail
    assert (detail["text"], detail["html"], detail["subject"]) == ("Yes", "<div>Yes</div>", "Hello")
    assert (detail["sent_text"], detail["message_id"]) == ("sent", "<r1@target.example>")
    assert (detail["answered_by"], detail["alias"]) == ("assistant@target.example", True)


def test_a_reply_in_the_deprecated_names_alone_is_the_same_fact() -> None:
    new = event("EMAIL_REPLY", reply_message={"message_id": "<r1@t.example>", "html": "<p>Yes</p>", "text": "Yes"})
    old = {name: value for name, value in new.items() if name not in ("reply_message", "event_timestamp")}
    old |= {"time_replied": TEN, "message_id": "<r1@t.example>", "reply_body": "<p>Yes</p>", "preview_text": "Yes"}
    one, other = parse(new), parse(old)
    assert one is not None
    assert other is not None
    assert one == other


def test_a_bounce_carries_the_raw_text_and_whose_fault_it_was_said_to_be() -> None:
    found = parse(
        event(
            "EMAIL_BOUNCE",
            is_sender_originated_bounce=True,
            bounce_message={"message_id": "<b1@mx.example>", "html": "…", "text": "550 5.1.1 user unknown"},
        )
    )
    assert found is not None
    assert found.detail["text"] == "550 5.1.1 user unknown"
    assert found.detail["sender_originated"] is True
    old = parse(event("EMAIL_BOUNCE", bounce_reply_email_preview="550 5.1.1 user unknown", is_bounced=True))
    assert old is not None
    assert (old.detail["text"], old.detail["sender_originated"]) == ("550 5.1.1 user unknown", False)


def test_sent_open_and_click_of_one_message_are_three_facts() -> None:
    shared = {"message_id": "<m1@outreach-one.example>"}
    keys = {parse(event(k, **shared)).dedupe_key for k in ("EMAIL_SENT", "EMAIL_OPEN", "EMAIL_LINK_CLICK")}  # pyright: ignore
    assert len(keys) == 3


def test_two_opens_are_two_facts_and_one_open_delivered_twice_is_one() -> None:
    first, again = parse(event("EMAIL_OPEN")), parse(event("EMAIL_OPEN", webhook_id=999, app_url="x"))
    later = parse(event("EMAIL_OPEN", event_timestamp="2026-03-03T11:00:00.000001+00:00"))
    assert first is not None
    assert again is not None
    assert later is not None
    assert first.dedupe_key == again.dedupe_key != later.dedupe_key


def test_an_unsubscription_comes_with_hardly_any_envelope() -> None:
    found = parse(
        {
            "event_type": "LEAD_UNSUBSCRIBED",
            "event_timestamp": "2026-03-03T12:00:00.671Z",
            "lead_email": "bo@target.example",
            "campaign_id": 771200,
            "unsubscribed_client_id_map": {},
        }
    )
    assert found is not None
    assert (found.kind, found.lead_email, found.lead_ref) == ("unsubscribed", "bo@target.example", None)


def test_a_category_names_the_new_and_the_old_one() -> None:
    found = parse(
        {
            "event_type": "LEAD_CATEGORY_UPDATED",
            "event_timestamp": TEN,
            "lead_id": 4155000001,
            "campaign_id": 1,
            "lead_category": {"old_id": None, "old_name": None, "new_id": 1, "new_name": "Interested"},
            "lead_data": {"email": "bo@target.example"},
            "last_reply": {"stats_id": STATS},
        }
    )
    assert found is not None
    assert (found.detail["category"], found.detail["category_id"]) == ("Interested", 1)
    assert (found.lead_ref, found.lead_email, found.message_ref) == ("4155000001", "bo@target.example", STATS)


@pytest.mark.parametrize("links", ["https://t.example/a", ["https://t.example/a"], [{"url": "https://t.example/a"}]])
def test_links_come_in_any_form(links: Any) -> None:
    found = parse(event("EMAIL_LINK_CLICK", link_details=links))
    assert found is not None
    assert found.detail["links"] == ["https://t.example/a"]


def test_a_campaign_paused_by_the_vendor_says_so() -> None:
    found = parse(event("CAMPAIGN_STATUS_CHANGED", campaign_status="PAUSED"))
    assert found is not None
    assert found.detail["state"] == "paused"


def test_account_notices_are_read_in_both_published_forms() -> None:
    flat = parse({"eventType": "EMAIL_ACCOUNT_DISCONNECTED", "accountId": 310044, "email": "a@b.c", "error": "535"})
    nested = parse(
        {
            "id": "evt_1",
            "type": "email.account.disconnected",
            "created_at": "2026-03-03T10:00:00Z",
            "data": {"account_id": 310044, "email": "a@b.c", "reason": "535"},
        }
    )
    for found in (flat, nested):
        assert found is not None
        assert (found.kind, found.mailbox_ref, found.mailbox_address) == ("mailbox_disconnected", "310044", "a@b.c")
        assert found.detail["reason"] == "535"
    breach = parse({"eventType": "CAMPAIGN_BOUNCE_BREACH", "campaignId": 771200, "error": "too many"})
    assert breach is not None
    assert (breach.kind, breach.campaign_ref) == ("bounce_breach", "771200")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
NESTED = ("reply_message", "bounce_message", "lead_category", "link_details", "data", "last_reply", "lead_data")
NAMES = st.sampled_from(sorted({*ENVELOPE, *NESTED, "event_timestamp", "leadCorrespondence"}))
ODD = ("EMAIL_REPLY", "EMAIL_BOUNCE", "LEAD_CATEGORY_UPDATED", "EMAIL_LINK_CLICK", "email.account.disconnected")


@given(kind=st.sampled_from(ODD), fields=st.dictionaries(NAMES, JSON))
def test_no_body_however_odd_breaks_the_reading(kind: str, fields: dict[str, Any]) -> None:
    parse({**event(kind), **fields})
