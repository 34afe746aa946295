"""A reduced description of our own, transcribed from what is published: the faces answer nothing that is outside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
from tests.sandbox_fixture import Sandbox

TEXT, COUNT, SHARE, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}


def obj(**parts: Any) -> dict[str, Any]:
    """Every one of these has to be there."""
    return {"type": "object", "properties": parts, "required": sorted(parts)}


def rows(of: Mapping[str, Any], least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": least}


def listed(of: Mapping[str, Any]) -> dict[str, Any]:
    return obj(data=rows(of), limit=COUNT, offset=COUNT, total=COUNT)


VARIANT = obj(id=TEXT, order=COUNT, label=TEXT, distributionWeight=SHARE, emailSubject=TEXT, emailContent=TEXT)
STEP = obj(id=TEXT, order=COUNT, name=TEXT, waitDays=COUNT, distributionStrategy={"enum": ["equal", "custom"]},
           variants=rows(VARIANT))  # fmt: skip
SEQUENCE = obj(
    id=TEXT, workspaceId=TEXT, name=TEXT, productId=TEXT, leadCount=COUNT, contactedCount=COUNT, openedCount=COUNT,
    openedPercent=SHARE, repliedCount=COUNT, repliedPositiveCount=COUNT, bouncedCount=COUNT, completedCount=COUNT,
    openTrackingEnabled=FLAG, status={"enum": ["active", "draft", "paused", "deleted", "completed", "video_pending"]},
)  # fmt: skip
CONTACT = obj(id=TEXT, firstName=TEXT, lastName=TEXT, email=TEXT, company=TEXT, linkedinUrl=TEXT, tags=rows(TEXT),
              customVars={"type": "object"})  # fmt: skip
STATE = {"enum": ["active", "frozen", "access_lost", "deleted", "inactive", "pending", "suspended"]}
BOX = obj(id=TEXT, address=TEXT, firstName=TEXT, lastName=TEXT, dailyEmailLimit=COUNT, disconnectReason=TEXT,
          status=STATE)  # fmt: skip
DAY = obj(sent=COUNT, replied=COUNT, totalOpened=COUNT, uniqueOpened=COUNT, totalClicked=COUNT, uniqueClicked=COUNT)
DNS = obj(status={"enum": ["valid", "invalid", "missing", "unknown"]}, value=TEXT, error=TEXT)
WARM = obj(
    id=TEXT, address=TEXT, workspaceID=TEXT, provider={"enum": ["gmail", "outlook", "smtp"]}, warm=FLAG,
    warmupEnabled=FLAG, warmupDaysCompleted=COUNT, warmupDaysLeft=COUNT, minEmailsPerDay=COUNT, maxEmailsPerDay=COUNT,
    emailRampUp=COUNT, replyRatePercent=COUNT, healthReport=obj(heatScore=COUNT, warmupDays=COUNT, spf=DNS, dmarc=DNS),
)  # fmt: skip
RECORD = obj(name=TEXT, type=TEXT, value=TEXT, editable=FLAG)
CREDENTIALS = obj(smtpHost=TEXT, smtpPort=COUNT, smtpUsername=TEXT, smtpPassword=TEXT, imapHost=TEXT, imapPort=COUNT,
                  imapUsername=TEXT, imapPassword=TEXT)  # fmt: skip
PAGING = obj(page=COUNT, limit=COUNT, total=COUNT, totalPages=COUNT, hasNext=FLAG)
HOURS = obj(enabled=FLAG, **{"from": {"type": "integer", "minimum": 0, "maximum": 23}, "to": COUNT})
WEEK = obj(**dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), HOURS))
PROFILE = obj(id=COUNT, name=TEXT, status=TEXT, mailboxes=rows(obj(id=TEXT, address=TEXT)))
FORM = obj(id=COUNT, isEnabled=FLAG, exposureInPercentage=SHARE, metadata=obj(subject=TEXT, message=TEXT))
NODE = obj(id=COUNT, sequenceId=COUNT, type={"enum": ["root", "action", "condition", "terminal"]}, waitInMinutes=COUNT,
           variants=rows(FORM, 0))  # fmt: skip
BRANCH = obj(id=COUNT, name=TEXT, fromNodeId=COUNT, toNodeId={"type": ["integer", "null"]})
MANY = obj(
    id=COUNT, name=TEXT, status=TEXT, schedule=WEEK, settings={"type": "object"}, senderProfiles=rows(PROFILE, 0),
    analytics=obj(emails=obj(sent=COUNT, contacted=COUNT, opened=COUNT, clicked=COUNT, replied=COUNT, bounced=COUNT,
                             optOuted=COUNT), contacts=obj(total=COUNT, inProgress=COUNT)),
)  # fmt: skip
SETTINGS = obj(openTrackingEnabled=FLAG, clickTrackingEnabled=FLAG, plainTextEmailsEnabled=FLAG)
MULTI, GRAPH = "/multichannel/workspaces/{ws}", "/multichannel/workspaces/{ws}/sequences/{graph}"
DOMAIN = obj(
    id=TEXT, workspaceId=TEXT, sld=TEXT, tld=TEXT, autoRenewStatus={"enum": ["disabled", "enabled", "failed"]},
    status={"enum": ["draft", "active", "pending", "failed", "expired", "warning", "scheduled_for_deletion",
                     "not_paid"]},
)  # fmt: skip
MAILED = obj(
    id=TEXT, workspaceId=TEXT, domain=TEXT, email=TEXT, firstName=TEXT, lastName=TEXT,
    status={"enum": ["draft", "active", "pending", "processing", "failed", "scheduled_for_deletion"]},
)  # fmt: skip
WITH_LOGIN = {"allOf": [MAILED, obj(credentials=CREDENTIALS)]}
WITHOUT_LOGIN = {"allOf": [MAILED, {"not": {"required": ["credentials"]}}]}
WS, ONE = "/workspaces/{ws}", "/workspaces/{ws}/sequences/{sequence}"
DESCRIBED: list[tuple[str, str, dict[str, str], Mapping[str, Any]]] = [
    ("salesforge", "/me", {}, obj(accountId=TEXT, apiKeyName=TEXT)),
    ("salesforge", "/workspaces", {}, listed(obj(id=TEXT, accountId=TEXT, name=TEXT, slug=TEXT))),
    ("salesforge", WS + "/sequences", {"type": "legacy"}, listed(SEQUENCE)),
    ("salesforge", ONE, {}, {"allOf": [SEQUENCE, obj(steps=rows(STEP), mailboxes=rows(obj(id=TEXT, address=TEXT)))]}),
    ("salesforge", ONE + "/contacts/count", {}, obj(count=COUNT)),
    ("salesforge", ONE + "/analytics", {"from_date": "2026-01-01", "to_date": "2026-03-01"},
     obj(days={"type": "object", "additionalProperties": DAY, "minProperties": 5}, stats=obj(contacted=COUNT))),
    ("salesforge", WS + "/sequence-metrics", {}, obj(contacted=COUNT, bounced=COUNT, bouncedPercent=SHARE)),
    ("salesforge", WS + "/contacts", {}, listed(CONTACT)),
    ("salesforge", WS + "/sending-data", {}, listed(obj(sequenceId=TEXT, contactId=TEXT, email=TEXT, sent=TEXT,
                                                        scheduled=TEXT, opened=TEXT, clicked=TEXT))),
    ("salesforge", WS + "/mailboxes", {}, listed(BOX)),
    ("salesforge", WS + "/threads", {}, listed(obj(id=TEXT, mailboxId=TEXT, contactEmail=TEXT, date=TEXT,
                                                   replyType={"enum": ["ooo", "bounced", "lead_replied"]}))),
    ("warmforge", "/mailboxes", {"page": "1", "page_size": "10"},
     obj(mailboxes=rows(WARM), page=COUNT, pageSize=COUNT, totalPages=COUNT)),
    ("warmforge", "/mailboxes/{address}/warmup/stats", {"from": "2026-01-01", "to": "2026-03-01"},
     obj(stats=rows(obj(date=TEXT, sentCount=COUNT, replyCount=COUNT, spamCount=COUNT)))),
    ("infraforge", "/domains", {}, rows(obj(id=TEXT, sld=TEXT, tld=TEXT, status=TEXT, autoRenewStatus=TEXT))),
    ("infraforge", "/domains/{domain}/dns", {}, rows(RECORD, 4)),
    ("infraforge", "/mailboxes", {"with_credentials": "true"}, rows(obj(id=TEXT, email=TEXT, credentials=CREDENTIALS))),
    ("multichannel", MULTI + "/sequences", {"page": "1", "limit": "100"}, obj(sequences=rows(MANY), pagination=PAGING)),
    ("multichannel", GRAPH, {}, obj(sequence=MANY, nodes=rows(NODE, 2), branches=rows(BRANCH),
                                    activeEnrollmentCount=COUNT, completedLeadCount=COUNT, totalLeadCount=COUNT)),
    ("multichannel", GRAPH + "/schedule", {}, obj(timezone=TEXT, schedule=WEEK)),
    ("multichannel", GRAPH + "/settings", {}, SETTINGS),
    ("multichannel", GRAPH + "/analytics", {"from_date": "2026-01-01", "to_date": "2026-03-01"},
     obj(from_date=TEXT, to_date=TEXT, timezone=TEXT, days={"type": "object"}, stats={"type": "object"})),
    ("multichannel", GRAPH + "/nodes", {}, obj(nodes=rows(NODE, 2), pagination=PAGING)),
    ("multichannel", GRAPH + "/branches", {}, obj(branches=rows(BRANCH), pagination=PAGING)),
    ("multichannel", GRAPH + "/sender-profiles", {}, obj(profiles=rows(PROFILE, 0), pagination=PAGING)),
    ("multichannel", MULTI + "/sender-profiles", {}, obj(profiles=rows(PROFILE, 0), pagination=PAGING)),
    ("mailforge", "/workspaces", {}, rows(obj(id=TEXT, accountId=TEXT, name=TEXT, slug=TEXT))),
    ("mailforge", "/domains", {"status": "active"}, rows(DOMAIN)),
    ("mailforge", "/domains/{mail_domain}/dns", {}, rows(RECORD, 4)),
    ("mailforge", "/mailboxes", {}, rows(WITHOUT_LOGIN)),
    ("mailforge", "/mailboxes", {"with_credentials": "true"}, rows(WITH_LOGIN)),
    ("mailforge", "/mailboxes/{mail_box}", {"with_credentials": "true"}, WITH_LOGIN),
]  # fmt: skip


def base_of(running: Sandbox, face: str) -> str:
    info = running.info["salesforge" if face == "multichannel" else face]
    return info["multichannel_base_url"] if face == "multichannel" else info["base_url"]


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Sandbox, dict[str, str]]]:
    running = Sandbox("--seed", "1", "--profile", "calm")
    seed = {"sequences": 1, "leads": 120, "fresh": 5, "mailboxes": 1, "domains": 1, "days": 60, "multichannel": 1}
    made = running.control("POST", "/forge/seed", seed)
    entry = running.info["infraforge"]
    domains = running.http.get(entry["base_url"] + "/domains", headers={"Authorization": entry["api_key"]}).json()
    names = {"ws": made["workspace"], "sequence": made["sequences"][0]["id"], "address": made["mailboxes"][0]}
    ordered = {"product": "mailforge", "address": "ana.ruiz@mail-side.com"}
    box = running.control("POST", "/forge/mailboxes", ordered)["id"]
    mail = running.info["mailforge"]
    there = running.http.get(mail["base_url"] + "/domains", headers={"Authorization": mail["api_key"]}).json()
    multi = f"{base_of(running, 'multichannel')}/multichannel/workspaces/{made['workspace']}/sequences"
    listed = running.http.get(multi, headers={"Authorization": running.info["salesforge"]["api_key"]}).json()
    names |= {"mail_domain": there[0]["id"], "mail_box": box, "graph": str(listed["sequences"][0]["id"])}
    yield running, {**names, "domain": domains[0]["id"]}
    running.close()


@pytest.mark.parametrize(("face", "path", "query", "schema"), DESCRIBED, ids=lambda value: str(value)[:60])
def test_an_answer_fits_its_description(
    world: tuple[Sandbox, dict[str, str]], face: str, path: str, query: dict[str, str], schema: Mapping[str, Any]
) -> None:
    running, names = world
    entry = running.info["salesforge" if face == "multichannel" else face]
    url = base_of(running, face) + path.format(**names)
    answer = running.http.get(url, params=query, headers={"Authorization": entry["api_key"]})
    assert answer.status_code == 200
    jsonschema.Draft202012Validator(schema).validate(answer.json())
