"""Each check is true of a clean story and turns false for the fault it is there to find."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailfleet.demo import checks
from mailfleet.demo.checks import Case
from mailfleet.demo.evidence import AlertClaim, Claims, Deed, EventClaim, LeadClaim, Notice, Send, Witness

MONDAY = datetime(2026, 3, 16, 0, 0, tzinfo=UTC)
BOX = "ann@brightwater-demo.com"
ANN, BOB, EVE, OOO = "ann@one.com", "bob@two.com", "eve@three.com", "olga@four.com"


def at(day: int, hour: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour)


def send(email: str, step: int, day: int, hour: int = 0) -> Send:
    return Send(
        at=at(day, hour), kind="campaign", mailbox=BOX, message_id=f"{email}{step}", lead_email=email, step=step
    )


def key(bits: int = 2048) -> str:
    public = rsa.generate_private_key(65537, bits).public_key()
    encoded = base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    return f"v=DKIM1; k=rsa; p={encoded}"


KEY = key()


def lead(row: int, email: str, *, stopped: bool = False) -> LeadClaim:
    return LeadClaim(
        row=row, email=email, status="in_sequence", email_status="sent", pushed=True, excluded_by=None, stopped=stopped
    )


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Case]:
    leads, never = tmp_path / "leads.csv", tmp_path / "never.csv"
    leads.write_text("email\n" + "\n".join([ANN, BOB, EVE, "bad", OOO]) + "\n")
    never.write_text("\ufeffValue,Type\nnever@five.com,address\nsix.com,domain\n")

    def built(**changes: object) -> Case:
        mails = (
            send(ANN, 1, 0),
            send(BOB, 1, 0, 1),
            send(EVE, 1, 0, 2),
            send(OOO, 1, 0, 3),
            send(ANN, 2, 3),
            send(OOO, 2, 9),
        )
        deeds = (
            Deed(at=at(1), kind="replied", email=BOB, category="positive"),
            Deed(at=at(1), kind="bounced", email=EVE, hard=True),
            Deed(at=at(1), kind="replied", email=OOO, category="out_of_office"),
        )
        claims = Claims(
            refused={5: "invalid_email"},
            leads=(lead(2, ANN), lead(3, BOB, stopped=True), lead(4, EVE, stopped=True), lead(6, OOO)),
            suppressed={EVE: ("hard_bounce", at(1))},
            mailboxes={BOX: "PRODUCTION"},
            production_since={BOX: at(-1)},
            domains={"brightwater-demo.com": "verified"},
            events=(
                *(EventClaim(kind="sent", email=mail.lead_email or "", step=mail.step, at=mail.at) for mail in mails),
                EventClaim(kind="replied", email=BOB, step=1, at=at(1)),
                EventClaim(kind="bounced", email=EVE, step=1, at=at(1)),
                EventClaim(kind="replied", email=OOO, step=1, at=at(1)),
            ),
            replies=((BOB, "positive"),),
            alerts=(AlertClaim(fact_key="hot:1", kind="hot", severity="info", title="Hot", email=BOB, slack=1, sms=0),),
            runs=tuple((flow, f"run-{flow}") for flow in checks.FLOWS),
        )
        witness = Witness(
            sends=mails,
            deeds=deeds,
            slack=(Notice(at=at(1), text=f"Hot reply of {BOB}"),),
            sms=(),
            in_campaign=frozenset({ANN, BOB, EVE, OOO}),
            scheduled=frozenset({BOB}),
            dns={
                "brightwater-demo.com": {
                    "brightwater-demo.com": ["v=spf1 ip4:192.0.2.10 ~all"],
                    "_dmarc.brightwater-demo.com": ["v=DMARC1; p=quarantine"],
                    "mf1._domainkey.brightwater-demo.com": [KEY],
                    "MX": ["10 mail.sandbox.example."],
                }
            },
            flow_runs={f"run-{flow}": (flow, "COMPLETED") for flow in checks.FLOWS},
        )
        for name, value in changes.items():
            part = claims if name in Claims.__struct_fields__ else witness
            changed = msgspec.structs.replace(part, **{name: value})
            claims, witness = (changed, witness) if part is claims else (claims, changed)
        return Case(leads, never, claims, witness, until=at(20), reaction=timedelta(hours=2))

    return built


def test_a_clean_story_passes_every_check(make: Callable[..., Case]) -> None:
    verdicts = checks.judge(make())
    assert [(verdict.name, verdict.detail) for verdict in verdicts if not verdict.ok] == []
    assert [verdict.name for verdict in verdicts] == [
        "leads_accounted", "no_suppressed_sent", "no_step_twice", "mailbox_limits", "dns_verified",
        "exits_effective", "ooo_resumed", "alerts_once", "events_once", "flows_recorded",
    ]  # fmt: skip


def plus(make: Callable[..., Case], *extra: Send) -> tuple[Send, ...]:
    return (*make().witness.sends, *extra)


def test_a_vanished_row_is_found(make: Callable[..., Case]) -> None:
    assert not checks.leads_accounted(make(refused={})).ok


def test_a_lead_the_vendor_does_not_hold_is_found(make: Callable[..., Case]) -> None:
    assert "pushed but not at the vendor" in checks.leads_accounted(make(in_campaign=frozenset({ANN, BOB, EVE}))).detail


@pytest.mark.parametrize("listed", ["Never@five.com", "anybody@six.com", "anybody@mail.six.com"])
def test_a_mail_to_somebody_listed_before_is_found(make: Callable[..., Case], listed: str) -> None:
    assert not checks.no_suppressed_sent(make(sends=plus(make, send(listed, 1, 1)))).ok


def test_a_mail_after_suppression_is_found(make: Callable[..., Case]) -> None:
    assert not checks.no_suppressed_sent(make(sends=plus(make, send(EVE, 2, 3)))).ok


def test_a_hard_bounce_that_is_not_suppressed_is_found(make: Callable[..., Case]) -> None:
    assert not checks.no_suppressed_sent(make(suppressed={})).ok


def test_a_repeated_step_is_found(make: Callable[..., Case]) -> None:
    assert not checks.no_step_twice(make(sends=plus(make, send(ANN, 2, 4)))).ok


def test_too_much_campaign_mail_is_found(make: Callable[..., Case]) -> None:
    many = [send(f"x{n}@y.com", 1, 1) for n in range(41)]
    assert "41 campaign mails" in checks.mailbox_limits(make(sends=plus(make, *many))).detail


def test_too_much_mail_in_all_is_found(make: Callable[..., Case]) -> None:
    warm = [Send(at=at(1), kind="warmup", mailbox=BOX, message_id=str(n)) for n in range(81)]
    assert "81 mails" in checks.mailbox_limits(make(sends=plus(make, *warm))).detail


@pytest.mark.parametrize("when", [at(5), at(1, 12)], ids=["weekend", "night"])
def test_a_mail_out_of_hours_is_found(make: Callable[..., Case], when: datetime) -> None:
    odd = msgspec.structs.replace(send(ANN, 3, 0), at=when)
    assert not checks.mailbox_limits(make(sends=plus(make, odd))).ok


def test_campaign_mail_of_a_warming_mailbox_is_found(make: Callable[..., Case]) -> None:
    assert not checks.mailbox_limits(make(production_since={})).ok


@pytest.mark.parametrize("fault", ["spf", "dmarc", "mx", "byte", "gone"])
def test_a_fault_in_dns_is_found(make: Callable[..., Case], fault: str) -> None:
    name = "brightwater-demo.com"
    records = dict(make().witness.dns[name])
    if fault == "spf":
        records[name] = [*records[name], "v=spf1 -all"]
    elif fault == "dmarc":
        del records[f"_dmarc.{name}"]
    elif fault == "mx":
        del records["MX"]
    elif fault == "byte":
        records[f"mf1._domainkey.{name}"] = [KEY[:60] + "!" + KEY[61:]]
    else:
        records = {}
    assert not checks.dns_verified(make(dns={name: records})).ok


def test_a_mail_after_a_reply_is_found(make: Callable[..., Case]) -> None:
    assert not checks.exits_effective(make(sends=plus(make, send(BOB, 2, 3)))).ok


def test_an_exit_that_stops_nothing_on_our_side_is_found(make: Callable[..., Case]) -> None:
    leads = (lead(2, ANN), lead(3, BOB), lead(4, EVE, stopped=True), lead(6, OOO))
    assert not checks.exits_effective(make(leads=leads)).ok


def test_an_absent_person_never_resumed_is_found(make: Callable[..., Case]) -> None:
    unheard = make().witness.sends[:-1]
    assert "never heard again" in checks.ooo_resumed(make(sends=unheard)).detail
    waits = checks.ooo_resumed(make(sends=unheard, scheduled=frozenset({OOO})))
    assert waits.ok
    assert "1 next in turn" in waits.detail


def test_an_absent_person_written_to_is_found(make: Callable[..., Case]) -> None:
    assert "while away" in checks.ooo_resumed(make(sends=plus(make, send(OOO, 2, 3)))).detail


def test_an_alert_told_twice_is_found(make: Callable[..., Case]) -> None:
    twice = make().witness.slack * 2
    assert not checks.alerts_once(make(slack=twice)).ok


def test_a_hot_reply_nobody_was_told_of_is_found(make: Callable[..., Case]) -> None:
    assert not checks.alerts_once(make(slack=(Notice(at=at(1), text="something else"),))).ok


def test_an_event_counted_twice_is_found(make: Callable[..., Case]) -> None:
    events = make().claims.events
    assert "too many" in checks.events_once(make(events=(*events, events[0]))).detail


def test_an_event_that_is_missing_is_found(make: Callable[..., Case]) -> None:
    assert "is missing" in checks.events_once(make(events=make().claims.events[1:])).detail


def test_a_run_that_prefect_does_not_know_is_found(make: Callable[..., Case]) -> None:
    assert not checks.flows_recorded(make(flow_runs={})).ok


def test_a_flow_that_never_ran_is_found(make: Callable[..., Case]) -> None:
    assert "never ran" in checks.flows_recorded(make(runs=make().claims.runs[1:])).detail


def test_an_opt_out_by_reply_may_be_told_by_the_vendor_once(make: Callable[..., Case]) -> None:
    story = make().claims.events
    told = EventClaim(kind="unsubscribed", email=BOB, step=None, at=at(1, 1))
    deeds = tuple(
        msgspec.structs.replace(deed, category="unsubscribe") if deed.email == BOB else deed
        for deed in make().witness.deeds
    )
    assert checks.events_once(make(deeds=deeds, events=(*story, told))).ok
    assert not checks.events_once(make(deeds=deeds, events=(*story, told, told))).ok
    assert not checks.events_once(make(events=(*story, told))).ok


def test_a_check_of_nothing_holds_nothing(make: Callable[..., Case]) -> None:
    empty = make(
        sends=(),
        deeds=(),
        slack=(),
        events=(),
        alerts=(),
        runs=(),
        in_campaign=frozenset(),
        scheduled=frozenset(),
        domains={},
        leads=(),
        refused={},
    )
    assert [verdict.name for verdict in checks.judge(empty) if verdict.ok] == []
