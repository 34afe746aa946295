"""The demonstration's judge. It knows the file that was given, the sandbox's logs and what mailfleet claims.

The figures are transcribed from the specification; nothing of the product's rules, services or store is used.
"""

from __future__ import annotations

import base64
import binascii
import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailfleet.demo.evidence import Check, Claims, Deed, Send, Witness

# The specification's figures (sections 4 and 5), and the campaign file's window.
HARD_LIMIT, CAMPAIGN_CAP = 80, 40
FIRST_HOUR, LAST_HOUR, LAST_WEEKDAY = 9, 17, 4
FLOWS = ("smartlead_domain_setup", "smartlead_mailbox_provisioning", "smartlead_campaign", "smartlead_lead_sync")
OOO_WITHOUT_DATE = timedelta(days=7)
_FINAL = ("replied", "bounced", "unsubscribed", "complained")


class Case:
    """All that is known, and how soon a reaction is due."""

    def __init__(
        self,
        leads_file: Path,
        suppressed_file: Path,
        claims: Claims,
        witness: Witness,
        *,
        until: datetime,
        reaction: timedelta,
        timezone: str = "Australia/Sydney",
    ) -> None:
        self.rows = list(csv.DictReader(leads_file.read_text(encoding="utf-8-sig").splitlines()))
        self.never = {_first(row) for row in csv.DictReader(suppressed_file.read_text("utf-8-sig").splitlines())}
        self.claims, self.witness = claims, witness
        self.until, self.reaction, self.zone = until, reaction, ZoneInfo(timezone)

    @property
    def campaign_mail(self) -> list[Send]:
        return [send for send in self.witness.sends if send.kind == "campaign"]

    def deeds(self, *kinds: str) -> list[Deed]:
        return [deed for deed in self.witness.deeds if deed.kind in kinds]


def judge(case: Case) -> list[Check]:
    """Every check, in the order of the specification of the demonstration."""
    return [check(case) for check in CHECKS]


def leads_accounted(case: Case) -> Check:
    """Each row is taken or refused, each taken lead pushed, excluded by a named rule or waiting, none invented."""
    rows = set(range(2, len(case.rows) + 2))
    taken = [lead.row for lead in case.claims.leads if lead.row is not None]
    refused = set(case.claims.refused)
    wrong = [f"row {row} twice" for row, times in Counter(taken).items() if times > 1]
    wrong += [f"row {row} both taken and refused" for row in sorted(refused & set(taken))]
    wrong += [f"row {row} vanished" for row in sorted(rows - refused - set(taken))]
    wrong += [f"row {row} invented" for row in sorted((refused | set(taken)) - rows)]
    pushed = {_norm(lead.email) for lead in case.claims.leads if lead.pushed}
    held = {_norm(email) for email in case.witness.in_campaign}
    wrong += [f"{email} pushed but not at the vendor" for email in sorted(pushed - held)]
    wrong += [f"{email} at the vendor but not pushed" for email in sorted(held - pushed)]
    idle = [lead for lead in case.claims.leads if not lead.pushed]
    unexplained = [lead.email for lead in idle if lead.status == "excluded" and not lead.excluded_by]
    wrong += [f"{email} excluded without a rule" for email in unexplained]
    told = f"{len(rows)} rows = {len(taken)} taken + {len(refused)} refused; {len(pushed)} pushed, {len(idle)} not"
    return _check("leads_accounted", wrong, told, of=len(pushed))


def no_suppressed_sent(case: Case) -> Check:
    """Nobody on a list is written to, from the moment it stands there plus the time a reaction may take."""
    wrong = [f"{send.lead_email} was on the list" for send in case.campaign_mail if _listed(case, _to(send))]
    for send in case.campaign_mail:
        since = case.claims.suppressed.get(_to(send))
        if since and since[0] != "import" and send.at > since[1] + case.reaction:
            wrong.append(f"{send.lead_email} at {send.at:%d %b %H:%M}, suppressed ({since[0]}) {since[1]:%d %b %H:%M}")
    must = {_norm(deed.email) for deed in case.witness.deeds if _forbids(deed) and deed.at < case.until - case.reaction}
    wrong += [f"{email} asked for it and is not suppressed" for email in sorted(must - set(case.claims.suppressed))]
    told = f"{len(case.never)} listed before, {len(must)} during; {len(case.campaign_mail)} mails looked at"
    return _check("no_suppressed_sent", wrong, told, of=len(case.campaign_mail))


def no_step_twice(case: Case) -> Check:
    counted = Counter((_to(send), send.step) for send in case.campaign_mail)
    wrong = [f"{email} step {step} {times} times" for (email, step), times in counted.items() if times > 1]
    people = len({email for email, _ in counted})
    return _check("no_step_twice", wrong, f"{len(counted)} steps of {people} leads", of=people)


def mailbox_limits(case: Case) -> Check:
    """Campaign and total mail a mailbox and local day, the schedule's window, no campaign mail before PRODUCTION."""
    totals: Counter[tuple[str, str]] = Counter()
    campaign: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    for send in case.witness.sends:
        local = send.at.astimezone(case.zone)
        day = (send.mailbox, f"{local:%Y-%m-%d}")
        totals[day] += 1
        if send.kind == "campaign":
            campaign[day] += 1
            wrong += _out_of_place(case, send, local)
    wrong += [f"{box} {day}: {n} mails" for (box, day), n in totals.items() if n > HARD_LIMIT]
    wrong += [f"{box} {day}: {n} campaign mails" for (box, day), n in campaign.items() if n > CAMPAIGN_CAP]
    most = f"at most {max(campaign.values(), default=0)} campaign and {max(totals.values(), default=0)} in all a day"
    return _check("mailbox_limits", wrong, f"{most}, over {len(totals)} mailbox days", of=len(campaign))


def dns_verified(case: Case) -> Check:
    """Each domain called verified really answers with one SPF, a usable DKIM key, DMARC and MX."""
    wrong: list[str] = []
    for domain, state in case.claims.domains.items():
        if state != "verified":
            wrong.append(f"{domain} is {state}")
        wrong += [f"{domain}: {fault}" for fault in dns_faults(domain, case.witness.dns.get(domain, {}))]
    asked = len(case.claims.domains)
    return _check("dns_verified", wrong, f"{asked} domains asked over the wire", of=asked)


def exits_effective(case: Case) -> Check:
    """Who replied for good, bounced, unsubscribed or complained gets nothing more, and is stopped on our side."""
    stopped = {_norm(lead.email): lead.stopped for lead in case.claims.leads if lead.pushed}
    wrong: list[str] = []
    ended = [deed for deed in case.deeds(*_FINAL) if _ends(deed)]
    for deed in ended:
        late = [
            send for send in case.campaign_mail if _to(send) == _norm(deed.email) and send.at > deed.at + case.reaction
        ]
        wrong += [f"{deed.email} got step {send.step} after it {deed.kind}" for send in late]
        if deed.at < case.until - case.reaction and not stopped.get(_norm(deed.email), False):
            wrong.append(f"{deed.email} {deed.kind} and is not stopped")
    return _check("exits_effective", wrong, f"{len(ended)} exits", of=len(ended))


def ooo_resumed(case: Case) -> Check:
    """An absent person is left alone until back, and then gets the next step where one is left, or waits for a place
    in the day's mails like any other: the vendor has the next step in its queue."""
    away = [deed for deed in case.deeds("replied") if deed.category == "out_of_office"]
    scheduled = {_norm(email) for email in case.witness.scheduled}
    wrong: list[str] = []
    resumed = waiting = 0
    for deed in away:
        back = deed.until or deed.at + OOO_WITHOUT_DATE
        later = [
            send for send in case.campaign_mail if _to(send) == _norm(deed.email) and send.at > deed.at + case.reaction
        ]
        wrong += [f"{deed.email} written to while away" for send in later if send.at < back - timedelta(hours=12)]
        resumed += bool(later)
        if not later and _due(case, deed, back):
            waiting += 1
            if _norm(deed.email) not in scheduled:
                wrong.append(f"{deed.email} was back on {back:%d %b} and never heard again")
    told = f"{len(away)} absences, {resumed} resumed" + (f", {waiting} next in turn" if waiting else "")
    return _check("ooo_resumed", wrong, told, of=len(away))


def alerts_once(case: Case) -> Check:
    """Each alert arrived exactly as often as it was to be delivered, and each hot reply raised one."""
    wrong = [f"{alert.fact_key} told {alert.slack} times" for alert in case.claims.alerts if alert.slack > 1]
    wrong += _uneven("Slack", [a.title for a in case.claims.alerts for _ in range(a.slack)], case.witness.slack)
    wrong += _uneven("SMS", [a.title for a in case.claims.alerts for _ in range(a.sms)], case.witness.sms)
    hot = {_norm(deed.email) for deed in case.deeds("replied") if deed.category == "positive" and _told(case, deed)}
    for email in sorted(hot):
        about = [notice for notice in case.witness.slack if email in notice.text.lower()]
        if len(about) != 1:
            wrong.append(f"the hot reply of {email} raised {len(about)} messages")
    told = f"{len(case.claims.alerts)} alerts, {len(case.witness.slack)} Slack messages, {len(case.witness.sms)} SMS"
    return _check("alerts_once", wrong, f"{told}, {len(hot)} hot replies", of=len(case.claims.alerts))


def events_once(case: Case) -> Check:
    """What mailfleet recorded is what happened: nothing missing, nothing counted twice."""
    seen = [event for event in case.claims.events if event.at < case.until - case.reaction]
    mails = [send for send in case.campaign_mail if send.at < case.until - case.reaction]
    wrong = _differ(
        "sent", ((_to(s), s.step) for s in mails), ((_norm(e.email), e.step) for e in seen if e.kind == "sent")
    )
    asked = {_norm(deed.email) for deed in case.deeds("replied") if deed.category in ("negative", "unsubscribe")}
    for kind in _FINAL[:3]:
        truth = [_norm(deed.email) for deed in case.deeds(kind) if deed.at < case.until - case.reaction]
        claimed = [_norm(event.email) for event in seen if event.kind == kind]
        # Who asks for it in a reply is unsubscribed at the vendor by us, which the vendor tells as well: once.
        by_us = asked & (set(claimed) - set(truth)) if kind == "unsubscribed" else set[str]()
        wrong += _differ(kind, [*truth, *by_us], claimed)
    counts = Counter(event.kind for event in seen if event.kind in ("sent", *_FINAL[:3]))
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
    return _check("events_once", wrong, told, of=len(mails))


def flows_recorded(case: Case) -> Check:
    """Every run mailfleet recorded is a completed run at Prefect, and each specified flow ran."""
    wrong = [f"{flow} never ran" for flow in FLOWS if flow not in {name for name, _ in case.claims.runs}]
    for flow, run_id in case.claims.runs:
        name, state = case.witness.flow_runs.get(run_id, ("", "unknown to Prefect"))
        if (name, state) != (flow, "COMPLETED"):
            wrong.append(f"a run of {flow} is {state}")
    counts = Counter(flow for flow, _ in case.claims.runs)
    told = ", ".join(f"{flow} ×{n}" for flow, n in sorted(counts.items()))
    return _check("flows_recorded", wrong, told, of=len(case.claims.runs))


CHECKS: tuple[Callable[[Case], Check], ...] = (
    leads_accounted,
    no_suppressed_sent,
    no_step_twice,
    mailbox_limits,
    dns_verified,
    exits_effective,
    ooo_resumed,
    alerts_once,
    events_once,
    flows_recorded,
)


def dns_faults(domain: str, asked: Mapping[str, Sequence[str]]) -> list[str]:
    """What is wrong with a domain's mail records as they were answered."""
    spf = [text for text in asked.get(domain, ()) if text.lower().startswith("v=spf1")]
    dmarc = [text for text in asked.get(f"_dmarc.{domain}", ()) if text.startswith("v=DMARC1")]
    keys = [text for name, texts in asked.items() if "._domainkey." in name for text in texts]
    faults = [] if len(spf) == 1 else [f"{len(spf)} SPF records"]
    faults += [] if len(dmarc) == 1 and "p=" in dmarc[0] else [f"{len(dmarc)} DMARC records"]
    faults += [] if asked.get("MX") else ["no MX"]
    faults += [] if keys else ["no DKIM key"]
    return faults + [fault for key in keys if (fault := _key_fault(key))]


def _key_fault(text: str) -> str:
    """RFC 6376 3.6.1: `p=` is a SubjectPublicKeyInfo in base64."""
    found = re.search(r"(?:^|;)\s*p=([^;]*)", text)
    try:
        key = load_der_public_key(base64.b64decode(re.sub(r"\s", "", found[1]), validate=True)) if found else None
    except (binascii.Error, ValueError):
        return "the DKIM key cannot be read"
    return "" if isinstance(key, RSAPublicKey) and key.key_size >= 2048 else "the DKIM key is weak or absent"


def _out_of_place(case: Case, send: Send, local: datetime) -> list[str]:
    wrong: list[str] = []
    if local.weekday() > LAST_WEEKDAY or not FIRST_HOUR <= local.hour < LAST_HOUR:
        wrong.append(f"{send.mailbox} sent at {local:%a %H:%M}")
    since = case.claims.production_since.get(send.mailbox)
    if since is None or send.at < since:
        wrong.append(f"{send.mailbox} sent campaign mail before PRODUCTION")
    return wrong


def _due(case: Case, deed: Deed, back: datetime) -> bool:
    """A next step was left and there was time for it: three sending days after the return."""
    if any(_norm(other.email) == _norm(deed.email) and _ends(other) for other in case.deeds(*_FINAL)):
        return False
    steps = {send.step for send in case.campaign_mail if _to(send) == _norm(deed.email) and send.at <= deed.at}
    last = max((step or 0 for step in steps), default=0)
    return last < 3 and back + timedelta(days=5) < case.until


def _forbids(deed: Deed) -> bool:
    if deed.kind == "bounced":
        return deed.hard is True
    if deed.kind == "replied":
        return deed.category in ("negative", "unsubscribe")
    return deed.kind in ("unsubscribed", "complained")


def _ends(deed: Deed) -> bool:
    if deed.kind == "bounced":
        return deed.hard is True
    return deed.kind != "replied" or deed.category != "out_of_office"


def _told(case: Case, deed: Deed) -> bool:
    return deed.at < case.until - case.reaction


def _uneven(what: str, titles: Sequence[str], notices: Iterable[object]) -> list[str]:
    arrived = len(list(notices))
    return [] if arrived == len(titles) else [f"{len(titles)} {what} deliveries, {arrived} arrived"]


def _differ(what: str, truth: Iterable[object], claimed: Iterable[object]) -> list[str]:
    happened, recorded = Counter(truth), Counter(claimed)
    missing = list((happened - recorded).elements())
    extra = list((recorded - happened).elements())
    return [f"{what} of {each} is missing" for each in missing] + [f"{what} of {each} is too many" for each in extra]


def _check(name: str, wrong: Sequence[str], told: str, *, of: int) -> Check:
    """`of` is how many things were looked at: a check of nothing holds nothing."""
    wrong = wrong or ([] if of else [f"nothing to look at: {told}"])
    more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
    return Check(name=name, ok=not wrong, detail="; ".join(sorted(wrong)[:3]) + more if wrong else told)


def _first(row: dict[str, str]) -> str:
    return _norm(next(iter(row.values())) or "")


def _listed(case: Case, email: str) -> bool:
    """By address, or by a domain that is the address' own or above it."""
    labels = email.partition("@")[2].split(".")
    domains = {".".join(labels[at:]) for at in range(len(labels))}
    return email in case.never or not domains.isdisjoint(case.never)


def _to(send: Send) -> str:
    return _norm(send.lead_email or "")


def _norm(email: str) -> str:
    return email.strip().lower()
