"""The other writes, made on the vendors' clients themselves: what no adapter of ours uses yet must be as safe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.reconcile.deeds import (
    DEEDS,
    SCHEDULE,
    Deed,
    Scene,
    a_campaign,
    a_campaign_and_a_mailbox,
    a_mailbox,
    a_named_zone,
    a_ready_campaign,
    nothing,
)

from mailfleet.platforms.port import CampaignSettings
from mailfleet.vendors.transport.secret import Hidden

HOOK = "http://127.0.0.1:9/sl"
TAG = "#ff0000"
T1, T2 = "2026-03-01T00:00:00.000Z", "2026-03-09T00:00:00.000Z"
Make = Callable[[Scene], Awaitable[object]]
Count = Callable[[Scene], Awaitable[int]]


async def landed(scene: Scene) -> int:
    """How often it took effect by the vendor's own log, where nothing else shows it."""
    deed: Deed = scene.have["deed"]
    calls = [each for each in scene.sandbox.log("http", scene.have["since"]) if each["method"] == deed.method]
    return sum(
        str(each["path"]).endswith(deed.path)
        and (str(each["status"]).startswith("2") or str(each.get("fault", "")).endswith("_after"))
        for each in calls
    )


async def posted(scene: Scene) -> int:
    return sum(scene.n in str(each) for each in scene.sandbox.log("slack"))


async def texted(scene: Scene) -> int:
    return sum(scene.n in str(each) for each in scene.sandbox.log("sms"))


def account(scene: Scene) -> int:
    return int(scene.have["mailbox"])


def row(scene: Scene) -> Any:
    return scene.raw(f"/email-accounts/{account(scene)}/", fetch_tags=True)


async def oauth(scene: Scene) -> object:
    token = {"scope": "mail", "expiry_date": 1, "access_token": "a", "refresh_token": "r"}
    fields = {"from_email": f"cy{scene.n}@brightwater-mailfleet-demo.com", "from_name": "Cy", "type": "GMAIL"}
    return await scene.client.mailboxes.save_oauth(Hidden({**fields, "token": token}))


async def by_token(scene: Scene) -> int:
    rows = scene.raw("/email-accounts/", offset=0, limit=100, username=f"cy{scene.n}@brightwater-mailfleet-demo.com")
    return sum(each["from_email"] == f"cy{scene.n}@brightwater-mailfleet-demo.com" for each in rows)


async def a_suspended_mailbox(scene: Scene) -> None:
    await a_mailbox(scene)
    await scene.client.mailboxes.suspend(account(scene))


async def in_use(scene: Scene) -> int:
    return int(not row(scene).get("is_suspended"))


async def a_tag(scene: Scene) -> None:
    await a_mailbox(scene)
    scene.have["tag"] = (await scene.client.mailboxes.create_tag(f"t{scene.n}", TAG)).id


async def a_tagged_mailbox(scene: Scene) -> None:
    await a_tag(scene)
    await scene.client.mailboxes.tag([account(scene)], [scene.have["tag"]])


def tagged(wanted: bool) -> Count:
    async def count(scene: Scene) -> int:
        return int((scene.have["tag"] in [each["id"] for each in row(scene).get("tags") or []]) == wanted)

    return count


async def copies(scene: Scene) -> int:
    return sum(f"Pilot {scene.n}" in each["name"] for each in scene.raw("/campaigns/")) - 1


async def gone(scene: Scene) -> int:
    return int(all(each["id"] != int(scene.have["campaign"]) for each in scene.raw("/campaigns/")))


async def a_staffed_campaign(scene: Scene) -> None:
    await a_campaign_and_a_mailbox(scene)
    await scene.client.campaigns.add_mailboxes(scene.have["campaign"], [account(scene)])


async def unstaffed(scene: Scene) -> int:
    return int(scene.raw(f"/campaigns/{scene.have['campaign']}/email-accounts") in ([], {}))


async def clients(scene: Scene) -> int:
    return sum(each["email"] == f"{scene.n}@client.example" for each in scene.raw("/client/"))


def lead(scene: Scene) -> tuple[str, str]:
    return scene.have["campaign"], scene.have["lead"]


def seen(scene: Scene, **query: Any) -> dict[str, Any] | None:
    rows = scene.raw(f"/campaigns/{scene.have['campaign']}/leads", offset=0, limit=100, **query)["data"]
    return next((each for each in rows if str(each["lead"]["id"]) == scene.have["lead"]), None)


async def renamed(scene: Scene) -> int:
    found = seen(scene)
    return int(bool(found and found["lead"]["first_name"] == "Changed"))


async def lead_gone(scene: Scene) -> int:
    return int(seen(scene) is None)


async def out_of_campaign(scene: Scene) -> int:
    return int(seen(scene, emailStatus="is_unsubscribed") is not None)


async def out_of_all(scene: Scene) -> int:
    return int(bool(scene.raw(f"/leads/{scene.have['lead']}")["data"][0]["is_unsubscribed"]))


async def a_category(scene: Scene) -> None:
    await a_ready_campaign(scene)
    scene.have["category"] = (await scene.client.leads.categories())[0].id


async def categorised(scene: Scene) -> int:
    found = seen(scene)
    return int(bool(found and found["lead_category_id"] == scene.have["category"]))


async def a_blocked_name(scene: Scene) -> None:
    name = f"off{scene.n}-mfdemo.com"
    await scene.client.leads.block([name])
    scene.have["entry"] = next(each["id"] for each in list_of_blocked(scene) if each["email_or_domain"] == name)


def list_of_blocked(scene: Scene) -> list[dict[str, Any]]:
    return scene.raw("/leads/get-domain-block-list", offset=0, limit=1000)


async def unblocked(scene: Scene) -> int:
    return int(all(each["id"] != scene.have["entry"] for each in list_of_blocked(scene)))


async def a_sent_mail(scene: Scene) -> None:
    """Somebody has been written to, so there is a thread to answer in."""
    await a_ready_campaign(scene)
    await scene.platform.set_campaign(scene.have["campaign"], schedule=SCHEDULE, settings=CampaignSettings())
    await scene.platform.start_campaign(scene.have["campaign"])
    for _ in range(4):
        scene.sandbox.advance(days=1)
        if history := [each for each in thread(scene) if each["type"] == "SENT"]:
            scene.have["stats"] = history[0]["stats_id"]
            return


def thread(scene: Scene) -> list[dict[str, Any]]:
    campaign, of = lead(scene)
    return scene.raw(f"/campaigns/{campaign}/leads/{of}/message-history").get("history", [])


async def answers(scene: Scene) -> int:
    return sum(f"thanks {scene.n}" in (each.get("email_body") or "") for each in thread(scene))


async def a_hook(scene: Scene) -> None:
    await a_campaign(scene)
    await scene.client.configure_webhook(scene.have["campaign"], HOOK)
    scene.have["hook"] = scene.raw(f"/campaigns/{scene.have['campaign']}/webhooks")[0]["id"]


async def unhooked(scene: Scene) -> int:
    return int(scene.raw(f"/campaigns/{scene.have['campaign']}/webhooks") in ([], {}))


async def an_account_hook(scene: Scene) -> None:
    scene.have["hook"] = await scene.client.webhooks.create(HOOK, name=scene.n)


async def moved(scene: Scene) -> int:
    return int(scene.raw(f"/webhook/{scene.have['hook']}")["webhook_url"] == f"{HOOK}/{scene.n}")


async def removed(scene: Scene) -> int:
    return int(scene.sandbox.smartlead("GET", f"/webhook/{scene.have['hook']}").status_code == 404)


async def something_to_test(scene: Scene) -> None:
    await a_ready_campaign(scene)
    step = scene.raw(f"/campaigns/{scene.have['campaign']}/sequences")[0]["id"]
    scene.have["of"] = {"campaign_id": int(scene.have["campaign"]), "sequence_mapping_id": step}


async def a_planned_test(scene: Scene) -> None:
    await something_to_test(scene)
    scene.have["test"] = (await place(scene, "schedule")).id


async def place(scene: Scene, how: str) -> Any:
    senders = [row(scene)["from_email"]]
    return await getattr(scene.client.delivery, how)(f"test {scene.n}", senders, [20], **scene.have["of"])


def tests(scene: Scene) -> list[dict[str, Any]]:
    told = scene.sandbox.info["smartlead"]
    query = {"api_key": told["api_key"], "limit": 1000, "offset": 0}
    answer = scene.sandbox.http.post(told["delivery_base_url"] + "/report", params=query, json={}).json()
    rows = answer if isinstance(answer, list) else answer.get("data") or []
    return [each for each in rows if each["test_name"] == f"test {scene.n}"]


async def placed(scene: Scene) -> int:
    return len(tests(scene))


async def stopped(scene: Scene) -> int:
    return sum(each["status"] == "STOPPED" for each in tests(scene))


async def no_test(scene: Scene) -> int:
    return int(not tests(scene))


def zones(scene: Scene) -> Any:
    return scene.fleet.dns_hosts["cloudflare"].client  # type: ignore[attr-defined]


def notice(channel: str, target: str) -> Make:
    def make(scene: Scene) -> Awaitable[object]:
        return scene.fleet.channels[channel].send(target, title=scene.n, body="", severity="info", context={})

    return make


FURTHER = (
    Deed("mailbox by token", "create_oauth_account", "/email-accounts/save-oauth", nothing, oauth, by_token),
    Deed(
        "unsuspend", "unsuspend_email_account", "/unsuspend", a_suspended_mailbox,
        lambda scene: scene.client.mailboxes.unsuspend(account(scene)), in_use, method="DELETE",
    ),
    Deed(
        "reconnect", "reconnect_failed_email_accounts", "/reconnect-failed-email-accounts", nothing,
        lambda scene: scene.client.mailboxes.reconnect_failed(), landed, readable=False,
    ),
    Deed(
        "tag", "create_tag", "/tags", nothing,
        lambda scene: scene.client.mailboxes.create_tag(f"t{scene.n}", TAG), landed, readable=False,
    ),
    Deed(
        "tagging", "tag_email_accounts", "/tag-mapping", a_tag,
        lambda scene: scene.client.mailboxes.tag([account(scene)], [scene.have["tag"]]), tagged(True),
    ),
    Deed(
        "untagging", "untag_email_accounts", "/tag-mapping", a_tagged_mailbox,
        lambda scene: scene.client.mailboxes.untag([account(scene)], [scene.have["tag"]]), tagged(False),
        method="DELETE",
    ),
    Deed(
        "copy", "duplicate_campaign", "/duplicate", a_campaign,
        lambda scene: scene.client.campaigns.duplicate(scene.have["campaign"]), copies,
    ),
    Deed(
        "campaign deleted", "delete_campaign", "/campaigns", a_campaign,
        lambda scene: scene.client.campaigns.delete(scene.have["campaign"]), gone, method="DELETE",
    ),
    Deed(
        "staff removed", "remove_campaign_mailboxes", "/email-accounts", a_staffed_campaign,
        lambda scene: scene.client.campaigns.remove_mailboxes(scene.have["campaign"], [account(scene)]), unstaffed,
        method="DELETE",
    ),
    Deed(
        "client", "create_client", "/client/save", nothing,
        lambda scene: scene.client.clients.create(scene.n, f"{scene.n}@client.example", Hidden("p4ss word")), clients,
    ),
    Deed(
        "lead changed", "update_lead", "/leads", a_ready_campaign,
        lambda scene: scene.client.leads.update(*lead(scene), scene.leads()[0], first_name="Changed"), renamed,
    ),
    Deed(
        "lead deleted", "delete_lead", "/leads", a_ready_campaign,
        lambda scene: scene.client.leads.delete(*lead(scene)), lead_gone, method="DELETE",
    ),
    Deed(
        "lead unsubscribed", "unsubscribe_lead_from_campaign", "/unsubscribe", a_ready_campaign,
        lambda scene: scene.client.leads.unsubscribe_from(*lead(scene)), out_of_campaign,
    ),
    Deed(
        "unsubscribed from all", "unsubscribe_lead", "/unsubscribe", a_ready_campaign,
        lambda scene: scene.client.leads.unsubscribe(scene.have["lead"]), out_of_all,
    ),
    Deed(
        "category", "set_lead_category", "/category", a_category,
        lambda scene: scene.client.leads.set_category(*lead(scene), scene.have["category"]), categorised,
    ),
    Deed(
        "unblocked", "delete_from_block_list", "/leads/delete-domain-block-list", a_blocked_name,
        lambda scene: scene.client.leads.unblock(scene.have["entry"]), unblocked, method="DELETE",
    ),
    Deed(
        "answer", "reply_email_thread", "/reply-email-thread", a_sent_mail,
        lambda scene: scene.client.statistics.reply(*lead(scene), scene.have["stats"], f"thanks {scene.n}"), answers,
        later=300,
    ),
    Deed(
        "webhook deleted", "delete_webhook", "/webhooks", a_hook,
        lambda scene: scene.client.webhooks.delete(scene.have["campaign"], scene.have["hook"]), unhooked,
        method="DELETE",
    ),
    Deed(
        "events again", "retrigger_webhooks", "/webhooks/retrigger-failed-events", a_hook,
        lambda scene: scene.client.webhooks.retrigger(scene.have["campaign"], T1, T2), landed, readable=False,
    ),
    Deed("account webhook", "create_account_webhook", "/webhook/create", nothing, an_account_hook, landed,
         readable=False),
    Deed(
        "account webhook moved", "update_account_webhook", "/webhook/update", an_account_hook,
        lambda scene: scene.client.webhooks.update(scene.have["hook"], webhook_url=f"{HOOK}/{scene.n}"), moved,
        method="PUT",
    ),
    Deed(
        "account webhook deleted", "delete_account_webhook", "/webhook/delete", an_account_hook,
        lambda scene: scene.client.webhooks.remove(scene.have["hook"]), removed, method="DELETE",
    ),
    Deed("placement test", "start_placement_test", "/manual", something_to_test,
         lambda scene: place(scene, "start"), placed, face="smartdelivery"),
    Deed("planned test", "schedule_placement_test", "/schedule", something_to_test,
         lambda scene: place(scene, "schedule"), placed, face="smartdelivery"),
    Deed(
        "test stopped", "stop_placement_test", "/stop", a_planned_test,
        lambda scene: scene.client.delivery.stop(scene.have["test"]), stopped, method="PUT",
        face="smartdelivery",
    ),
    Deed(
        "test deleted", "delete_placement_tests", "/delete", a_planned_test,
        lambda scene: scene.client.delivery.delete([scene.have["test"]]), no_test,
        face="smartdelivery",
    ),
    Deed(
        "activation", "check_activation", "/activation_check", a_named_zone,
        lambda scene: zones(scene).check_activation(scene.have["zone"].ref), landed, vendor="cloudflare",
        method="PUT", readable=False,
    ),
    Deed("post", "post_message", "", nothing, notice("slack", "#mailfleet"), posted, vendor="slack", readable=False),
    Deed("post by hook", "incoming_webhook", "", nothing, notice("slack-hook", ""), posted, vendor="slack",
         readable=False),
    Deed("text", "send_sms", "", nothing, notice("sms", "+61400000001"), texted, vendor="twilio", readable=False),
)  # fmt: skip
EVERY = (*DEEDS, *FURTHER)
