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
WS, ONE = "/workspaces/{ws}", "/workspaces/{ws}/sequences/{sequence}"
DESCRIBED: list[tuple[str, str, dict[str, str], Mapping[str, Any]]] = [
    ("salesforge", "/me", {}, obj(accountId=TEXT, apiKeyName=TEXT)),
    ("salesforge", "/workspaces", {}, listed(obj(id=TEXT, accountId=TEXT, name=TEXT, slug=TEXT))),
    ("salesforge", WS + "/sequences", {}, listed(SEQUENCE)),
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
]  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Sandbox, dict[str, str]]]:
    running = Sandbox("--seed", "1", "--profile", "calm")
    seed = {"sequences": 1, "leads": 120, "fresh": 5, "mailboxes": 1, "domains": 1, "days": 60}
    made = running.control("POST", "/forge/seed", seed)
    entry = running.info["infraforge"]
    domains = running.http.get(entry["base_url"] + "/domains", headers={"Authorization": entry["api_key"]}).json()
    names = {"ws": made["workspace"], "sequence": made["sequences"][0]["id"], "address": made["mailboxes"][0]}
    yield running, {**names, "domain": domains[0]["id"]}
    running.close()


@pytest.mark.parametrize(("face", "path", "query", "schema"), DESCRIBED, ids=lambda value: str(value)[:60])
def test_an_answer_fits_its_description(
    world: tuple[Sandbox, dict[str, str]], face: str, path: str, query: dict[str, str], schema: Mapping[str, Any]
) -> None:
    running, names = world
    entry = running.info[face]
    url = entry["base_url"] + path.format(**names)
    answer = running.http.get(url, params=query, headers={"Authorization": entry["api_key"]})
    assert answer.status_code == 200
    jsonschema.Draft202012Validator(schema).validate(answer.json())
