"""Salesforge core: sequences with steps, windows, mailboxes and enrolments. Much that is written is never read back."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import ZoneInfo

from starlette.routing import BaseRoute

from mailfleet.sandbox.forge import engine, enrolments, figures
from mailfleet.sandbox.forge.figures import percent
from mailfleet.sandbox.forge.http import CORE_FACE, Ask, found, integer, invalid, route, said, text, texts
from mailfleet.sandbox.forge.state import Graph, Sequence, Step, Variant, Workspace, new_id
from mailfleet.sandbox.world import World

LANGUAGES = (
    "russian", "ukrainian", "finnish", "american_english", "british_english", "french", "spanish", "polish",
    "romanian", "german", "lithuanian", "dutch", "latvian", "italian", "czech", "hungarian", "japanese",
    "brazilian_portugese", "swedish", "danish", "norwegian", "estonian",
)  # fmt: skip
_COUNTED = ("opened", "clicked", "replied", "repliedPositive", "bounced", "completed", "optOuted")


def routes(world: World) -> list[BaseRoute]:
    """Everything of sequences, and the products they need."""
    every, one_ = "/workspaces/{workspaceID}/sequences", "/workspaces/{workspaceID}/sequences/{sequenceID}"
    table = (
        ("GET", every, listed, 200),
        ("POST", every, create, 201),
        ("GET", one_, one, 200),
        ("PUT", one_, edit, 200),
        ("DELETE", one_, delete, 204),
        ("PUT", one_ + "/status", set_status, 204),
        ("PUT", one_ + "/steps", set_steps, 200),
        ("PUT", one_ + "/schedules", set_schedules, 200),
        ("PUT", one_ + "/mailboxes", set_mailboxes, 204),
        ("PUT", one_ + "/contacts", enrolments.enrol, 204),
        ("PUT", one_ + "/import-lead", enrolments.import_lead, 204),
        ("GET", one_ + "/contacts/count", enrolments.count, 200),
        ("POST", one_ + "/contacts/validation/start", enrolments.validation_start, 202),
        ("GET", one_ + "/contacts/validation/result", enrolments.validation_result, 200),
        ("POST", one_ + "/contacts/validation/validate", enrolments.validation_validate, 200),
        ("POST", one_ + "/contacts/validation/confirm", enrolments.validation_done, 204),
        ("POST", one_ + "/contacts/validation/skip", enrolments.validation_done, 204),
        ("GET", one_ + "/analytics", figures.analytics, 200),
        ("GET", "/workspaces/{workspaceID}/sequence-metrics", figures.metrics, 200),
        ("GET", "/workspaces/{workspaceID}/products", products, 200),
        ("POST", "/workspaces/{workspaceID}/products", create_product, 201),
        ("GET", "/workspaces/{workspaceID}/products/{productID}", product, 200),
    )
    return [route(world, CORE_FACE, method, path, answer, ok=ok) for method, path, answer, ok in table]


def _sequence(ask: Ask) -> Sequence:
    return found(ask.ws.sequences, ask.path["sequenceID"], "sequence")


def shown(ask: Ask, sequence: Sequence, *, whole: bool = False) -> dict[str, Any]:
    """A sequence as it is read: no window, no time zone, no language, few settings."""
    contacted = sequence.counts.get("contacted", 0)
    row: dict[str, Any] = {
        "id": sequence.id,
        "workspaceId": ask.ws.id,
        "productId": sequence.product_id,
        "name": sequence.name,
        "agentId": "",
        "status": sequence.status,
        "leadCount": sequence.lead_count,
        "contactedCount": contacted,
    }
    for name in _COUNTED:
        if ask.old and name == "optOuted":
            continue
        counted = sequence.counts.get(name, 0)
        # The denominators are the product's own: replies over contacted, completions over leads.
        row[f"{name}Count"] = counted
        row[f"{name}Percent"] = percent(counted, sequence.lead_count if name == "completed" else contacted)
    for name in ("openTrackingEnabled", "clickTrackingEnabled", "localizedOptOutEnabled"):
        row[name] = bool(sequence.settings.get(name))
    row |= {"sequentialCompanySendingEnabled": False, "companyOutreachLimitEnabled": False}
    row["companyOutreachLimitCount"] = 0
    if whole:
        row["mailboxes"] = [
            {"id": box.id, "address": box.address, "firstName": box.first_name, "lastName": box.last_name}
            for box in sequence.mailboxes.values()
        ]
        row["steps"] = _steps(sequence)
    return row


def _steps(sequence: Sequence) -> list[dict[str, Any]]:
    return [
        {
            "id": step.id,
            "order": order,
            "name": step.name,
            "waitDays": step.wait_days,
            "distributionStrategy": step.strategy,
            "variants": [_variant(variant, place) for place, variant in enumerate(step.variants)],
        }
        for order, step in enumerate(sequence.steps)
    ]


def _variant(variant: Variant, order: int) -> dict[str, Any]:
    return {
        "id": variant.id,
        "order": order,
        "label": variant.label,
        "status": variant.status,
        "distributionWeight": variant.weight,
        "emailSubject": variant.subject,
        "emailContent": variant.content,
        "isGenerated": False,
        "dynamicLanguageEnabled": False,
        "overdriveEnabled": False,
        "contactInformationSource": "all",
        "tonality": "direct",
    }


def shown_graph(ask: Ask, graph: Graph) -> dict[str, Any]:
    """A multichannel sequence in the core's list: its number as text, and another shape."""
    return {
        "id": str(graph.id),
        "workspaceId": ask.ws.id,
        "name": graph.name,
        "status": graph.status,
        "type": "multichannel",
        "leadCount": graph.leads,
    }


def listed(ask: Ask) -> Any:
    """Multichannel sequences first, under their numbers, unless `type` says otherwise."""
    ws = ask.ws
    kind = "" if ask.old else ask.query.get("type", "")
    rows: list[Sequence | Graph] = []
    if kind != "legacy" and not ask.old:
        rows += ws.graphs.values()
    if kind != "multichannel":
        rows += [sequence for sequence in ws.sequences.values() if sequence.status != "deleted"]
    if not ask.old and (states := ask.several("statuses")):
        rows = [row for row in rows if row.status in states]
    if not ask.old and (wanted := ask.several("sequence_ids")):
        rows = [row for row in rows if str(row.id) in wanted]
    return ask.paged(rows, lambda row: shown_graph(ask, row) if isinstance(row, Graph) else shown(ask, row))


def one(ask: Ask) -> Any:
    """The only place where steps and mailboxes are read."""
    return shown(ask, _sequence(ask), whole=True)


def create(ask: Ask) -> Any:
    """A draft with one empty step."""
    ws, given = ask.ws, ask.body()
    name, product_id = text(given, "name", longest=500), text(given, "productId")
    language, timezone = text(given, "language"), text(given, "timezone")
    if language not in LANGUAGES:
        raise invalid("language must be one of " + " ".join(LANGUAGES))
    check_timezone(timezone)
    found(ws.products, product_id, "product")
    made = Sequence(new_id(ask.world, "seq_"), name, product_id, ask.world.now, language, timezone)
    made.settings = {"openTrackingEnabled": True, "clickTrackingEnabled": False}
    empty = Variant(new_id(ask.world, "stpv_"), "A", "active", "", "", 100)
    made.steps = [Step(new_id(ask.world, "stp_"), "Initial email", 0, "equal", [empty])]
    ws.sequences[made.id] = made
    return shown(ask, made, whole=True)


def check_timezone(name: str) -> None:
    """Raises Refusal for a zone that does not exist."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError):
        raise invalid("timezone must be a valid timezone") from None


def edit(ask: Ask) -> Any:
    """Name and tracking stick; language, zone, steps and mailboxes are ignored; the product must not change."""
    sequence, given = _sequence(ask), ask.body()
    if given.get("productId") not in (None, sequence.product_id):
        raise said("internal server error", 500)
    if given.get("name"):
        sequence.name = text(given, "name", longest=500)
    for name in ("openTrackingEnabled", "clickTrackingEnabled"):
        if isinstance(given.get(name), bool):
            sequence.settings[name] = given[name]
    # Taken, and shown nowhere.
    for name, value in given.items():
        if name.endswith("Enabled") or name in ("optOutText", "unsubscribeLinkText", "finishOnOpen", "finishOnClick"):
            sequence.settings[name] = value
    return shown(ask, sequence, whole=True)


def delete(ask: Ask) -> None:
    """Removes a sequence."""
    sequence = _sequence(ask)
    engine.set_status(ask.world, ask.ws, sequence, "deleted")
    del ask.ws.sequences[sequence.id]
    for entry in sequence.enrolments.values():
        entry.contact.enrolments.pop(sequence.id, None)
    ask.ws.version += 1


def set_status(ask: Ask) -> None:
    """`active` or `paused`; there is no way back to a draft."""
    sequence, status = _sequence(ask), ask.body().get("status")
    if status not in ("active", "paused"):
        raise invalid("status must be one of [active paused]")
    if status == "active" and not sequence.mailboxes:
        raise invalid("sequence without mailboxes")
    if sequence.status != status:
        engine.set_status(ask.world, ask.ws, sequence, status)


def set_steps(ask: Ask) -> Any:
    """Replaces them all. A step or variant with a known id keeps it."""
    sequence = _sequence(ask)
    rows: Any = ask.body().get("steps")
    if not isinstance(rows, list) or not rows:
        raise invalid("steps must contain at least 1 item")
    made = [_step(ask, sequence, row) for row in cast("list[Any]", rows)]
    made.sort(key=lambda pair: pair[0])
    sequence.steps = [step for _, step in made]
    return {"steps": _steps(sequence)}


def _step(ask: Ask, sequence: Sequence, row: Any) -> tuple[int, Step]:
    if not isinstance(row, dict):
        raise said("invalid request body")
    given = cast("dict[str, Any]", row)
    if "id" not in given or given.get("distributionStrategy") not in ("equal", "custom"):
        raise invalid("id is a required field" if "id" not in given else "distributionStrategy is a required field")
    known = {step.id for step in sequence.steps}
    variants: Any = given.get("variants")
    if not isinstance(variants, list) or not variants:
        raise invalid("variants must contain at least 1 item")
    wordings = [_wording(ask, sequence, each) for each in cast("list[Any]", variants)]
    identity = given["id"] if given["id"] in known else new_id(ask.world, "stp_")
    order, wait = integer(given, "order", 0, 100, 0), integer(given, "waitDays", 0, 365, 0)
    return order, Step(identity, str(given.get("name") or ""), wait, given["distributionStrategy"], wordings)


def _wording(ask: Ask, sequence: Sequence, row: Any) -> Variant:
    if not isinstance(row, dict):
        raise said("invalid request body")
    given = cast("dict[str, Any]", row)
    label = text(given, "label", longest=100)
    if given.get("status") not in ("active", "paused", "deleted"):
        raise invalid("status is a required field")
    weight = given.get("distributionWeight", 0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise invalid("distributionWeight must be a number")
    known = {variant.id for step in sequence.steps for variant in step.variants}
    identity = given["id"] if given.get("id") in known else new_id(ask.world, "stpv_")
    subject, content = str(given.get("emailSubject") or ""), str(given.get("emailContent") or "")
    return Variant(identity, label, given["status"], subject, content, float(weight))


def set_schedules(ask: Ask) -> Any:
    """Replaces the window. There is no way to read it."""
    sequence = _sequence(ask)
    rows: Any = ask.body().get("schedules")
    if not isinstance(rows, list):
        raise invalid("schedules is a required field")
    windows: list[dict[str, Any]] = []
    for row in cast("list[Any]", rows):
        if not isinstance(row, dict):
            raise said("invalid request body")
        given = cast("dict[str, Any]", row)
        start, end = integer(given, "fromHour", 0, 23), integer(given, "toHour", 1, 24)
        if end <= start:
            raise invalid("toHour must be greater than fromHour")
        windows.append(
            {
                "id": new_id(ask.world, "sch_"),
                "weekday": integer(given, "weekday", 0, 6),
                "fromHour": start,
                "toHour": end,
            }
        )
    sequence.schedules = windows
    engine.engine(sequence).wake = None
    engine.wake(ask.world, ask.ws, sequence, ask.world.now)
    return {"schedules": windows}


def set_mailboxes(ask: Ask) -> None:
    """Replaces them; an empty list clears; an id nobody knows is an internal error."""
    ws, sequence = ask.ws, _sequence(ask)
    wanted = texts(ask.body(), "mailboxIds", least=0)
    if any(identity not in ws.boxes for identity in wanted):
        raise said("internal server error", 500)
    sequence.mailboxes = {identity: ws.boxes[identity] for identity in wanted}
    engine.engine(sequence).wake = None
    engine.wake(ask.world, ws, sequence, ask.world.now)


def products(ask: Ask) -> Any:
    """The products."""
    return ask.paged(list(ask.ws.products.values()), lambda row: row)


def product(ask: Ask) -> Any:
    """One product."""
    return found(ask.ws.products, ask.path["productID"], "product")


def create_product(ask: Ask) -> Any:
    """A product: every sequence needs one."""
    given = ask.body()
    named: Any = given.get("product")
    if not isinstance(named, dict):
        raise invalid("product is a required field")
    row = cast("dict[str, Any]", named)
    return make_product(ask.world, ask.ws, str(row.get("internalName") or row.get("name") or "Product"), row)


def make_product(world: World, ws: Workspace, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Keeps a product."""
    parts = ("language", "name", "industry", "idealCustomerProfile", "pain", "solution", "proofPoints")
    translation = {part: str(given.get(part) or "") for part in (*parts, "costOfInaction")}
    translation["language"] = translation["language"] or "american_english"
    made: dict[str, Any] = {"id": new_id(world, "prod_"), "internalName": name, "translations": [translation]}
    ws.products[made["id"]] = made
    return made
