from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.errors import Ambiguous, Drift, RateLimited, TimedOut, Unauthorized
from mailfleet.policy.model import Legal, default_policy
from mailfleet.rules import address, errors_matrix, escalation, legal

POLICY = default_policy()
NOW = datetime(2026, 3, 9, tzinfo=UTC)


def test_addresses_are_compared_without_case_and_space() -> None:
    one = address.normalise("  Ana.Lima@Shop.EXAMPLE-Firm.com.au ")
    assert one.norm == "ana.lima@shop.example-firm.com.au"
    assert one.registrable == "example-firm.com.au"
    assert (one.role, one.free) == (False, False)


def test_role_free_and_international_addresses() -> None:
    assert address.normalise("Info@firm.com").role
    assert address.normalise("jo@googlemail.com").free
    assert address.normalise("jö@bücher.de").registrable == "xn--bcher-kva.de"
    assert address.normalise("jo@xn--bcher-kva.de").norm == address.normalise("jo@bücher.de").norm


@pytest.mark.parametrize(
    ("basis", "opened"), [({}, False), ({"subscriber": "Plc"}, True), ({"subscriber": "sole trader"}, False)]
)
def test_a_subscriber_that_is_no_company_counts_as_a_person(basis: dict[str, object], opened: bool) -> None:
    law = Legal(individual_countries=("GB",))
    assert legal.gate(law, country="GB", source="fair", basis=basis).open == opened


@given(st.lists(st.sampled_from(["a", "www", "city", "kobe", "jp", "ck", "com", "au", "co", "uk", "github", "io"]),
                min_size=2, max_size=4))  # fmt: skip
def test_the_short_way_to_a_registrable_domain_is_the_lists(labels: list[str]) -> None:
    domain = ".".join(labels)
    found = address.site_of(domain)
    assert found is not None and found.registrable == address.registrable(domain)


@pytest.mark.parametrize(
    ("cell", "rule"),
    [("", "empty"), ("  ", "empty"), ("=cmd()", "formula"), ("+1@x.com", "formula"), ("@x.com", "formula"),
     ("a@b.com; c@d.com", "several"), ("nobody", "syntax"), ("a@@b.com", "syntax"), ("a@b", "syntax"),
     ("a b@c.com", "syntax"), ("a@b..com", "syntax")],
)  # fmt: skip
def test_bad_addresses_name_their_rule(cell: str, rule: str) -> None:
    with pytest.raises(address.BadAddress) as caught:
        address.normalise(cell)
    assert caught.value.rule == rule


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = address.normalise(text)
    except address.BadAddress as error:
        assert error.rule
    else:
        assert address.normalise(found.norm).norm == found.norm


@pytest.mark.parametrize(
    ("one", "other"),
    [("Café Müller GmbH & Co. KG", "cafe muller"), ("ACME Pty. Ltd.", "Acme"), ("The Plumbing Company", "plumbing")],
)
def test_companies_are_compared_without_legal_form(one: str, other: str) -> None:
    assert address.company_key(one) == address.company_key(other) != ""


def test_formulas_are_told_from_numbers() -> None:
    assert all(address.is_formula(cell) for cell in ("=1+1", "+cmd", "-x", "@sum(a1)", "\t=1"))
    assert not any(address.is_formula(cell) for cell in ("+61 2 5550 1234", "-4.5", "Ann", ""))


BASIS = {"basis": "inferred", "evidence": "https://firm.com/team", "captured_at": "2026-01-01", "role": "owner",
         "relevance": "buys this"}  # fmt: skip


@pytest.mark.parametrize(
    ("country", "source", "basis", "rule"),
    [
        ("AU", "web", BASIS, ""),
        ("AU", "web", {}, "legal_basis"),
        ("AU", "web", {**BASIS, "role": ""}, "legal_basis"),
        ("AU", "web", {**BASIS, "basis": "luck"}, "legal_basis"),
        ("", "web", {}, "legal_basis"),
        ("DE", "web", {}, ""),
        ("DE", "", {}, "no_source"),
        ("DE", "web", {"no_marketing_statement": True}, "no_marketing_statement"),
        ("au", "web", {**BASIS, "no_marketing_statement": "yes"}, "no_marketing_statement"),
    ],
)
def test_the_laws_gate(country: str, source: str, basis: dict[str, object], rule: str) -> None:
    gate = legal.gate(POLICY.legal, country=country, source=source, basis=basis)
    assert (gate.open, gate.rule) == (not rule, rule)


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({"is_smtp_success": False}, ("MAILBOX_DISABLED",)),
        ({"is_smtp_success": True, "is_imap_success": True}, ()),
        ({"ok": False, "is_lead_limit_exhausted": True, "lead_import_stopped_count": 4}, ("CAMPAIGN_LIMIT_REACHED",)),
        ({"already_added_to_campaign": 2, "invalid_emails": ["x"]}, ("LEAD_ALREADY_EXISTS", "INVALID_EMAIL")),
        ({"already_added_to_campaign": 0, "invalid_emails": [], "is_lead_limit_exhausted": False}, ()),
        ({"warmup_details": {"is_warmup_blocked": True}}, ("WARMUP_FAILED",)),
        ({"errorCode": "mailbox_disabled"}, ("MAILBOX_DISABLED",)),
    ],
)
def test_real_answers_mean_our_codes(body: dict[str, object], codes: tuple[str, ...]) -> None:
    assert errors_matrix.codes_in(body) == codes


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503])
def test_every_status_of_the_table_is_answered_by_its_row(status: int) -> None:
    row = POLICY.errors[str(status)]
    found = errors_matrix.respond(POLICY.errors, status=status)
    assert (found.action, found.retry, found.message) == (row.action, row.retry, row.message)


def test_what_is_not_in_the_table_is_answered_too() -> None:
    assert errors_matrix.respond(POLICY.errors).action == "retry_with_backoff"
    assert errors_matrix.respond(POLICY.errors, status=504).retry
    assert not errors_matrix.respond(POLICY.errors, status=418).retry
    assert errors_matrix.respond(POLICY.errors, status=200, code="MAILBOX_DISABLED").action == "pause_and_alert"


def test_errors_of_ours_find_their_row() -> None:
    def made(kind: type, **more: object) -> errors_matrix.Response:
        return errors_matrix.respond_to(POLICY.errors, kind("x", vendor="v", operation="o", **more))

    assert made(Unauthorized).action == "alert_critical"
    assert made(RateLimited, status=429).action == "wait_and_retry"
    assert made(TimedOut).retry
    assert not made(Ambiguous).retry
    assert not made(Drift, status=200).retry


def test_escalation() -> None:
    rule = POLICY.escalation
    assert [escalation.failures_alert(rule, n) for n in (5, 6)] == [False, True]
    long_ago = NOW - timedelta(hours=3)
    assert escalation.webhooks_silent(rule, None, long_ago, NOW)
    assert not escalation.webhooks_silent(rule, NOW - timedelta(minutes=59), long_ago, NOW)
    calm = timedelta(minutes=15)
    assert escalation.poll_every(POLICY.reply, silent=True, calm=calm) == timedelta(minutes=5)
    assert escalation.poll_every(POLICY.reply, silent=False, calm=calm) == calm
