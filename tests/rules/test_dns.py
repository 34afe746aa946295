from __future__ import annotations

import base64
from collections.abc import Sequence

import checkdmarc.dmarc
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.errors import NotAllowed
from mailfleet.rules.dns import dkim, dmarc, plan, spf

DOMAIN = "outreach-one.com"


def key(bits: int = 2048) -> str:
    raw = (
        rsa.generate_private_key(65537, bits).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(raw).decode()}"


KEY = key()
HOST = plan.HostFacts(spf_terms=("ip4:192.0.2.10",), mx=((10, "mail.host.com"),), dkim_selector="mf1", dkim_record=KEY)


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    name: str
    content: str
    priority: int | None = None
    ref: str | None = "r1"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    server: str = "ns1"
    outcome: str = "match"
    values: tuple[str, ...] = ()
    authoritative: bool = True


def names(records: dict[tuple[str, str], list[str] | None]) -> spf.Resolver:
    return lambda name, kind: records.get((name, kind), [])


def chain(length: int) -> dict[tuple[str, str], list[str] | None]:
    found: dict[tuple[str, str], list[str] | None] = {
        (f"s{n}.com", "TXT"): [f"v=spf1 include:s{n + 1}.com ~all"] for n in range(1, length)
    }
    return {**found, (f"s{length}.com", "TXT"): ["v=spf1 ip4:192.0.2.1 ~all"]}


def test_spf_new_record_ends_softly() -> None:
    assert spf.merge([], ["include:_spf.google.com"]) == "v=spf1 include:_spf.google.com ~all"


def test_spf_merge_keeps_order_and_inserts_before_all() -> None:
    merged = spf.merge(["hello", "v=spf1 a mx:other.com ip4:192.0.2.1 -all"], ["ip4:192.0.2.10"])
    assert merged == "v=spf1 a mx:other.com ip4:192.0.2.1 ip4:192.0.2.10 -all"


@pytest.mark.parametrize(
    "existing",
    [
        ["v=spf1 ~all", "v=spf1 -all"],
        ["v=spf1 +all"],
        ["v=spf1 redirect=_spf.other.com"],
        ["v=spf1 ip4:192.0.2.1ip4:192.0.2.2 ~all"],
        ["v=spf1 include: ~all"],
    ],
)
def test_spf_refuses_rather_than_guesses(existing: list[str]) -> None:
    with pytest.raises(NotAllowed):
        spf.merge(existing, ["ip4:192.0.2.10"])


TERMS = st.lists(
    st.sampled_from(["a", "mx", "ip4:192.0.2.1", "ip4:198.51.100.0/24", "include:_spf.google.com", "-ip4:203.0.113.9",
                     "include:spf.protection.outlook.com", "ip6:2001:db8::/32", "?exists:x.com"]),
    max_size=5,
)  # fmt: skip


@given(old=TERMS, new=TERMS, ending=st.sampled_from(["~all", "-all", "?all"]))
def test_spf_merge_is_idempotent_and_loses_nothing(old: list[str], new: list[str], ending: str) -> None:
    existing = " ".join(["v=spf1", *old, ending])
    once = spf.merge([existing], new)
    assert spf.merge([once], new) == once
    assert once.split()[: len(old) + 1] == existing.split()[: len(old) + 1]
    assert once.endswith(ending)
    assert spf.covers(once, new) == ()
    assert len(set(once.split())) <= len(set(existing.split()) | set(new))


@given(count=st.integers(1, 14))
def test_spf_counts_lookups_over_the_whole_tree(count: int) -> None:
    found = spf.cost("d.com", "v=spf1 include:s1.com ~all", names(chain(count)))
    assert found.lookups == min(count, found.lookups)
    assert found.ok is (count <= 10)
    assert bool(spf.check("d.com", "v=spf1 include:s1.com ~all", names(chain(count)))) is (count > 10)


def test_spf_include_without_a_record_is_refused() -> None:
    reasons = spf.check("d.com", "v=spf1 include:_spf.vendor.ai ~all", names({}))
    assert any("exactly one is needed" in reason for reason in reasons)


def test_spf_voids_loops_macros_and_silence_are_told_apart() -> None:
    assert spf.check("d.com", "v=spf1 a:x.com a:y.com ~all", names({})) == ()
    assert "without an answer" in spf.check("d.com", "v=spf1 a:x.com a:y.com a:z.com ~all", names({}))[0]
    loop = names({("b.com", "TXT"): ["v=spf1 include:d.com ~all"], ("d.com", "TXT"): ["v=spf1 include:b.com ~all"]})
    assert any("includes itself" in reason for reason in spf.check("d.com", "v=spf1 include:b.com ~all", loop))
    assert any("macro" in r for r in spf.check("d.com", "v=spf1 exists:%{i}.x.com ~all", names({})))
    silent = names({("b.com", "TXT"): None})
    assert spf.check("d.com", "v=spf1 include:b.com ~all", silent) == ("b.com could not be looked up",)


def test_spf_removes_only_our_own_terms() -> None:
    assert spf.remove("v=spf1 a ip4:192.0.2.10 ~all", ["ip4:192.0.2.10"]) == "v=spf1 a ~all"


def test_dkim_record_is_measured() -> None:
    assert dkim.parse(KEY).bits == 2048
    assert len(dkim.strings(KEY)) == 2
    assert "".join(dkim.strings(KEY)) == KEY
    assert dkim.judge(KEY, KEY) == dkim.Judgement(ok=True)


def test_a_corrupted_key_byte_is_seen() -> None:
    spoiled = KEY[:-20] + ("A" if KEY[-20] != "A" else "B") + KEY[-19:]
    assert not dkim.judge(spoiled, KEY).ok
    assert dkim.judge(KEY.replace("; ", ";").replace("p=", "p= "), KEY).ok


def test_dkim_weak_revoked_testing_and_broken() -> None:
    assert dkim.judge(key(1024)).warnings
    assert not dkim.judge("v=DKIM1; p=").ok
    assert not dkim.judge(KEY + "; t=y").ok
    assert not dkim.judge("v=DKIM1; p=abc").ok
    assert not dkim.judge("p=abc; p=def").ok
    raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert dkim.judge(f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}").ok


def test_dmarc_is_quarantine_for_outreach_and_none_with_other_mail() -> None:
    assert dmarc.desired(only_outreach=True, dkim_ready=True, rua="d@x.com") == (
        "v=DMARC1; p=quarantine; rua=mailto:d@x.com"
    )
    assert dmarc.desired(only_outreach=False, dkim_ready=True) == "v=DMARC1; p=none"
    assert dmarc.desired(only_outreach=True, dkim_ready=False) == "v=DMARC1; p=none"


def test_dmarc_keeps_what_is_stricter_and_drops_what_is_historic() -> None:
    made = dmarc.desired(
        only_outreach=False, dkim_ready=True, rua="b@x.com",
        existing="v=DMARC1; p=reject; pct=50; ri=3600; adkim=s; rua=mailto:a@x.com",
    )  # fmt: skip
    assert made == "v=DMARC1; p=reject; adkim=s; rua=mailto:a@x.com,mailto:b@x.com"


def test_dmarc_reading() -> None:
    found = dmarc.parse("v=DMARC1; p=reject; t=y; pct=10; fo=1")
    assert (found.p, found.effective) == ("reject", "quarantine")
    assert len(found.warnings) == 3
    for broken in ("v=DMARC2; p=none", "p=none; v=DMARC1", "v=DMARC1; p=block", "v=DMARC1; p=none; aspf=x"):
        with pytest.raises(ValueError):
            dmarc.parse(broken)


@given(
    outreach=st.booleans(), ready=st.booleans(),
    existing=st.sampled_from([None, "v=DMARC1; p=none", "v=DMARC1;p=reject;sp=none", "v=DMARC1; p=quarantine; pct=20"]),
)  # fmt: skip
def test_dmarc_written_is_valid_for_another_reader(outreach: bool, ready: bool, existing: str | None) -> None:
    made = dmarc.desired(only_outreach=outreach, dkim_ready=ready, existing=existing)
    seen = checkdmarc.dmarc.parse_dmarc_record(made, DOMAIN)
    assert seen["tags"]["p"]["value"] == dmarc.parse(made).p
    assert not {"pct", "rf", "ri"} & dmarc.parse(made).tags.keys()


def test_reports_to_another_organisation_need_its_consent() -> None:
    record = "v=DMARC1; p=none; rua=mailto:a@reports.com,mailto:b@sub.outreach-one.com"
    assert dmarc.report_authorisations(DOMAIN, record) == ("outreach-one.com._report._dmarc.reports.com",)


def test_a_plan_for_an_empty_zone_creates_everything() -> None:
    made = plan.plan(DOMAIN, HOST, [], tracking=("track", "open.vendor.com"), rua="d@outreach-one.com")
    assert [(c.record.purpose, c.before) for c in made.changes] == [
        ("spf", None), ("mx", None), ("dkim", None), ("dmarc", None), ("tracking", None),
    ]  # fmt: skip
    assert not made.awaiting_key


def test_a_plan_applied_changes_nothing_more_and_keeps_foreign_records() -> None:
    first = plan.plan(DOMAIN, HOST, [])
    zone = [Zone(type=r.type, name=r.name, content=r.content, priority=r.priority) for r in first.desired]
    zone.append(Zone(type="TXT", name=DOMAIN, content="google-site-verification=abc"))
    again = plan.plan(DOMAIN, HOST, zone)
    assert again.changes == ()
    assert again.foreign == ("TXT outreach-one.com google-site-verification=abc",)


def test_a_plan_changes_in_place() -> None:
    zone = [Zone(type="TXT", name=DOMAIN, content="v=spf1 a -all", ref="r9")]
    change = next(c for c in plan.plan(DOMAIN, HOST, zone).changes if c.record.purpose == "spf")
    assert (change.ref, change.before, change.record.content) == ("r9", "v=spf1 a -all", "v=spf1 a ip4:192.0.2.10 -all")


@pytest.mark.parametrize(
    "zone",
    [
        [Zone(type="MX", name=DOMAIN, content=".", priority=0)],
        [Zone(type="CNAME", name="mf1._domainkey.outreach-one.com", content="x.com")],
        [Zone(type="TXT", name="_dmarc.outreach-one.com", content=f"v=DMARC1; p={p}") for p in ("none", "reject")],
    ],
)
def test_a_plan_refuses_what_would_break_something(zone: Sequence[Zone]) -> None:
    with pytest.raises(NotAllowed):
        plan.plan(DOMAIN, HOST, zone)


def test_a_key_not_issued_yet_leaves_the_plan_waiting() -> None:
    waiting = plan.plan(DOMAIN, msgspec.structs.replace(HOST, dkim_record=None), [])
    assert waiting.awaiting_key
    assert "dkim" not in {r.purpose for r in waiting.desired}
    assert not plan.verdict([(r, plan.Seen(outcome="match", reason="")) for r in waiting.desired]).verified


def record(purpose: str) -> plan.Record:
    return next(r for r in plan.plan(DOMAIN, HOST, []).desired if r.purpose == purpose)


def test_every_authoritative_server_has_to_agree_then_a_majority() -> None:
    wanted = record("spf")
    right, wrong = Said(values=(wanted.content, "other=1")), Said(server="ns2", values=("v=spf1 -all",))
    assert plan.judge(wanted, [right]).outcome == "match"
    assert plan.judge(wanted, [right, wrong]).outcome == "mismatch"
    assert plan.judge(wanted, [right, Said(outcome="nxdomain")]).outcome == "missing"
    assert plan.judge(wanted, [Said(outcome="timeout")]).outcome == "error"
    assert plan.judge(wanted, []).outcome == "unknown"
    late = Said(server="r2", outcome="nodata")
    assert plan.judge(wanted, [right], [right, right, late]).outcome == "match"
    assert plan.judge(wanted, [right], [right, late]).outcome == "missing"


def test_two_records_where_one_is_allowed_do_not_match() -> None:
    wanted = record("spf")
    assert plan.judge(wanted, [Said(values=(wanted.content, "v=spf1 -all"))]).outcome == "mismatch"


def test_a_published_key_of_another_byte_keeps_the_domain_unverified() -> None:
    wanted = record("dkim")
    spoiled = wanted.content[:-20] + ("A" if wanted.content[-20] != "A" else "B") + wanted.content[-19:]
    assert plan.judge(wanted, [Said(values=(spoiled,))]).outcome == "mismatch"


def test_mx_is_compared_with_its_priority() -> None:
    wanted = record("mx")
    assert plan.judge(wanted, [Said(values=("10 mail.host.com.",))]).outcome == "match"
    assert plan.judge(wanted, [Said(values=("20 mail.host.com.",))]).outcome == "mismatch"


def test_delegation_has_to_be_exactly_what_was_assigned() -> None:
    assigned = ("a.ns.dnshost.com", "b.ns.dnshost.com")
    assert plan.delegated(Said(values=("B.ns.dnshost.com.", "a.ns.dnshost.com.")), assigned)
    assert not plan.delegated(Said(values=("a.ns.dnshost.com",)), assigned)
    assert not plan.delegated(Said(values=()), ())
