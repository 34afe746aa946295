"""What to read at Smartlead for each of its writes: mailboxes, campaigns, webhooks and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from mailfleet.errors import NotFound
from mailfleet.platforms.settling import Finding, OpenWrite, Reader, found, standing, unclear, unreadable
from mailfleet.platforms.smartlead_lead_settling import LEADS
from mailfleet.vendors.smartlead.client import SmartleadClient
from mailfleet.vendors.smartlead.models import Campaign, EmailAccount
from mailfleet.vendors.smartlead.webhooks import address_mark

CLOCKS_APART = timedelta(minutes=10)
"""How much earlier than our intent the vendor may date what came of it."""
PAGE = 100


async def settle(client: SmartleadClient, write: OpenWrite) -> Finding:
    """An object that is gone cannot have been changed: what was to be done to it counts as absent."""
    reader = READERS.get(write.operation)
    if reader is None:
        return unreadable(f"nobody knows how to read {write.operation}")
    try:
        return await reader(client, write)
    except NotFound as error:
        return found(False, gone=error.what)


async def _created_mailbox(client: SmartleadClient, write: OpenWrite) -> Finding:
    account = await client.mailboxes.find(str(write.match["from_email"]))
    if not write.match.get("new", True):
        return unreadable("which fields an account was saved anew with cannot be told")
    return found(account is not None, ref=account and account.id)


async def _updated_mailbox(client: SmartleadClient, write: OpenWrite) -> Finding:
    return standing(write.match, _mailbox_fields(await client.mailboxes.get(write.match["id"])))


def _mailbox_fields(account: EmailAccount) -> dict[str, Any]:
    """By id the vendor does not tell the wait between two mails (smartlead:email-accounts/get)."""
    wait = {} if account.min_wait is None else {"time_to_wait_in_mins": account.min_wait}
    return wait | {
        "max_email_per_day": account.message_per_day,
        "from_name": account.from_name,
        "custom_tracking_url": account.custom_tracking_domain,
        "signature": account.signature,
        "client_id": account.client_id,
    }


async def _warmup(client: SmartleadClient, write: OpenWrite) -> Finding:
    details = (await client.mailboxes.get(write.match["id"])).warmup_details
    active = bool(details and (details.status or "").upper() == "ACTIVE")
    read: dict[str, Any] = {"warmup_enabled": active}
    if active and details:
        read["total_warmup_per_day"] = details.max_email_per_day
    return standing(write.match, read)


async def _suspended(client: SmartleadClient, write: OpenWrite) -> Finding:
    account = await client.mailboxes.get(write.match["id"])
    return standing(write.match, {"is_suspended": bool(account.is_suspended)})


async def _tagged(client: SmartleadClient, write: OpenWrite) -> Finding:
    return await _tags(client, write, wanted=True)


async def _untagged(client: SmartleadClient, write: OpenWrite) -> Finding:
    return await _tags(client, write, wanted=False)


async def _tags(client: SmartleadClient, write: OpenWrite, *, wanted: bool) -> Finding:
    tags = set(write.match["tag_ids"])
    right: list[int] = []
    for account in write.match["email_account_ids"]:
        has = {tag.id for tag in (await client.mailboxes.get(account, tags=True)).tags or []}
        right += [account] if (tags <= has if wanted else not tags & has) else []
    return _all_or_none(len(right), len(write.match["email_account_ids"]), mailboxes=right)


async def _created_campaign(client: SmartleadClient, write: OpenWrite) -> Finding:
    made = [each for each in await client.campaigns.list() if each.name == write.match["name"] and _since(each, write)]
    return found(bool(made), refs=[each.id for each in made])


async def _duplicated(client: SmartleadClient, write: OpenWrite) -> Finding:
    """How a copy is named or linked is documented nowhere: a campaign that came meanwhile and cannot be told from one
    is a person's to look at."""
    every = {each.id: each for each in await client.campaigns.list()}
    source = every.pop(int(write.match["id"]), None)
    if source is None:
        return unclear("the campaign that was copied is gone, and with it the name its copies are told by")
    near = [each for each in every.values() if _since(each, write)]
    name = source.name or "?"
    copies = [each.id for each in near if each.parent_campaign_id == source.id or name in (each.name or "")]
    others = [each.id for each in near if each.created_at is None or each.created_at > write.at]
    if others and not copies:
        return unclear(f"{len(others)} campaigns came meanwhile; none bears the name of the copied one", refs=others)
    return found(bool(copies), refs=copies)


def _since(campaign: Campaign, write: OpenWrite) -> bool:
    made: datetime | None = campaign.created_at
    return made is None or made >= write.at - CLOCKS_APART


async def _deleted_campaign(client: SmartleadClient, write: OpenWrite) -> Finding:
    there = any(each.id == int(write.match["id"]) for each in await client.campaigns.list())
    return found(not there)


async def _status(client: SmartleadClient, write: OpenWrite) -> Finding:
    """A campaign that was started and has come to its end was started."""
    status = (await client.campaigns.get(write.match["id"])).status.upper()
    wanted = write.match["status"]
    return found(status == wanted or (wanted == "ACTIVE" and status == "COMPLETED"), read=status)


async def _schedule(client: SmartleadClient, write: OpenWrite) -> Finding:
    campaign = await client.campaigns.get(write.match["id"])
    cron: Mapping[str, Any] = campaign.scheduler_cron_value or {}
    read = {
        "timezone": cron.get("tz"),
        "days_of_the_week": cron.get("days") or [],
        "start_hour": cron.get("startHour"),
        "end_hour": cron.get("endHour"),
        "min_time_btw_emails": campaign.min_time_btwn_emails,
        "max_new_leads_per_day": campaign.max_leads_per_day,
    }
    return standing(write.match, read)


async def _settings(client: SmartleadClient, write: OpenWrite) -> Finding:
    """What not to track is written `DONT_TRACK_…` and read without the `TRACK_` (smartlead:campaigns/settings)."""
    campaign = await client.campaigns.get(write.match["id"])
    tracked = [name.replace("DONT_TRACK_", "DONT_") for name in write.match.get("track_settings", [])]
    read = {
        "track_settings": [name.replace("DONT_TRACK_", "DONT_") for name in campaign.track_settings or []],
        "stop_lead_settings": campaign.stop_lead_settings,
        "send_as_plain_text": bool(campaign.send_as_plain_text),
        "follow_up_percentage": campaign.follow_up_percentage,
        "unsubscribe_text": campaign.unsubscribe_text,
    }
    return standing({**write.match, "track_settings": tracked}, read)


async def _sequences(client: SmartleadClient, write: OpenWrite) -> Finding:
    steps = [[each.seq_number, each.subject or ""] for each in await client.campaigns.sequences(write.match["id"])]
    return found(sorted(steps) == sorted(map(list, write.match["steps"])), steps=len(steps))


async def _staffed(client: SmartleadClient, write: OpenWrite) -> Finding:
    has = {account.id for account in await client.campaigns.mailboxes(write.match["id"])}
    right = sorted(has & set(write.match["email_account_ids"]))
    return _all_or_none(len(right), len(set(write.match["email_account_ids"])), mailboxes=right)


async def _unstaffed(client: SmartleadClient, write: OpenWrite) -> Finding:
    has = {account.id for account in await client.campaigns.mailboxes(write.match["id"])}
    gone = sorted(set(write.match["email_account_ids"]) - has)
    return _all_or_none(len(gone), len(set(write.match["email_account_ids"])), mailboxes=gone)


def _all_or_none(right: int, asked: int, **evidence: Any) -> Finding:
    if 0 < right < asked:
        return unclear(f"{right} of {asked} are as they were to be", **evidence)
    return found(right == asked, **evidence)


async def _hooked(client: SmartleadClient, write: OpenWrite) -> Finding:
    hooks = [each for each in await client.webhooks.of(write.match["id"]) if each.name == write.match["name"]]
    mark = write.match.get("address")
    right = [each.id for each in hooks if mark is None or address_mark(each.webhook_url or "") == mark]
    return found(bool(right), refs=right)


async def _unhooked(client: SmartleadClient, write: OpenWrite) -> Finding:
    return found(write.match["webhook"] not in [each.id for each in await client.webhooks.of(write.match["id"])])


async def _account_hook_moved(client: SmartleadClient, write: OpenWrite) -> Finding:
    """Which events it is for is not read back in any documented answer; its address is."""
    if "address" not in write.match:
        return unreadable("only its events were written, which no reading shows")
    hook = await client.webhooks.get(write.match["webhook"])
    return found(address_mark(str(hook.get("webhook_url") or "")) == write.match["address"])


async def _account_hook_gone(client: SmartleadClient, write: OpenWrite) -> Finding:
    try:
        await client.webhooks.get(write.match["webhook"])
    except NotFound:
        return found(True)
    return found(False)


async def _created_client(client: SmartleadClient, write: OpenWrite) -> Finding:
    made = [each.id for each in await client.clients.list() if each.email == write.match["email"]]
    return found(bool(made), refs=made)


async def _answered(client: SmartleadClient, write: OpenWrite) -> Finding:
    history = await client.statistics.history(write.match["id"], write.match["lead"])
    since = write.at - CLOCKS_APART
    body = str(write.match["body"])
    ours = [each for each in history if each.type.upper() == "SENT" and each.time >= since]
    return found(any(body in (each.email_body or "") for each in ours), sent_since=len(ours))


async def _placement_test(client: SmartleadClient, write: OpenWrite) -> Finding:
    listed = await client.delivery.list(PAGE)
    rows = listed if isinstance(listed, list) else (listed or {}).get("data") or []
    made = [row.get("id") for row in rows if row.get("test_name") == write.match["test_name"]]
    return found(bool(made), refs=made)


async def _test_stopped(client: SmartleadClient, write: OpenWrite) -> Finding:
    status = (await client.delivery.get(write.match["id"])).status
    return found((status or "").upper() in ("STOPPED", "COMPLETED"), read=status)


async def _tests_deleted(client: SmartleadClient, write: OpenWrite) -> Finding:
    left: list[int] = []
    for test in write.match["spamTestIds"]:
        try:
            left.append((await client.delivery.get(test)).id)
        except NotFound:
            continue
    asked = len(write.match["spamTestIds"])
    return _all_or_none(asked - len(left), asked, left=left)


def _never(reason: str) -> Reader:
    async def read(_client: SmartleadClient, _write: OpenWrite) -> Finding:
        return unreadable(reason)

    return read


READERS: Mapping[str, Reader] = {
    "create_email_account": _created_mailbox,
    "create_oauth_account": _created_mailbox,
    "update_email_account": _updated_mailbox,
    "configure_warmup": _warmup,
    "suspend_email_account": _suspended,
    "unsuspend_email_account": _suspended,
    "reconnect_failed_email_accounts": _never("the next reading of the accounts shows who is connected"),
    "create_tag": _never("a tag that no account has is in no list"),
    "tag_email_accounts": _tagged,
    "untag_email_accounts": _untagged,
    "create_campaign": _created_campaign,
    "duplicate_campaign": _duplicated,
    "delete_campaign": _deleted_campaign,
    "set_campaign_status": _status,
    "set_campaign_schedule": _schedule,
    "set_campaign_settings": _settings,
    "set_sequences": _sequences,
    "add_campaign_mailboxes": _staffed,
    "remove_campaign_mailboxes": _unstaffed,
    "configure_webhook": _hooked,
    "delete_webhook": _unhooked,
    "retrigger_webhooks": _never("a repeated delivery is recognised by its dedupe key"),
    "create_account_webhook": _never("an account's webhooks cannot be listed; events sent twice are recognised"),
    "update_account_webhook": _account_hook_moved,
    "delete_account_webhook": _account_hook_gone,
    "create_client": _created_client,
    "reply_email_thread": _answered,
    "start_placement_test": _placement_test,
    "schedule_placement_test": _placement_test,
    "stop_placement_test": _test_stopped,
    "delete_placement_tests": _tests_deleted,
    **LEADS,
}
