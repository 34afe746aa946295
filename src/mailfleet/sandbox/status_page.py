"""The vendor's public status page, and a page that shows the sandbox itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mailfleet.sandbox.cloudflare.state import settle
from mailfleet.sandbox.describe import ANY, TEXT, Operation, listing, obj, published
from mailfleet.sandbox.describe import document as described_as
from mailfleet.sandbox.dns.auth import domain_auth
from mailfleet.sandbox.namecheap.state import registrar
from mailfleet.sandbox.world import World

SUMMARY_PATH = "/status/api/v2/summary.json"
COMPONENTS = ("API", "Campaign sending", "Warm-up", "Webhooks", "Dashboard")
_WORDS = {
    "none": "All Systems Operational",
    "minor": "Partially Degraded Service",
    "major": "Partial System Outage",
    "critical": "Major Service Outage",
    "maintenance": "Service Under Maintenance",
}
_COMPONENT_STATE = {
    "none": "operational",
    "minor": "degraded_performance",
    "major": "partial_outage",
    "critical": "major_outage",
    "maintenance": "under_maintenance",
}
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1d2430;background:#fff}
h1{font-size:1.5rem;margin:0 0 .25rem} h2{font-size:1.1rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;width:100%} th,td{text-align:left;padding:.35rem .75rem .35rem 0;vertical-align:top}
th{font-weight:600;border-bottom:2px solid #c9d1dc} td{border-bottom:1px solid #e6eaf0}
td.n{text-align:right;font-variant-numeric:tabular-nums}
code{font-size:.9em} a{color:#0b5cad} p.s{color:#56616f;margin:0}
"""


@dataclass(frozen=True)
class _Status:
    indicator: str = "none"
    description: str = ""
    components: tuple[str, ...] = ()
    since: str = ""


def set_status(world: World, indicator: str, description: str = "", components: Sequence[str] = COMPONENTS) -> None:
    """What the status page says from now on: none, minor, major, critical or maintenance, and which parts.

    Raises ValueError for another indicator.
    """
    if indicator not in _WORDS:
        raise ValueError(f"{indicator!r} is none of {', '.join(_WORDS)}.")
    touched = () if indicator == "none" else tuple(components)
    world.state["status_page"] = _Status(indicator, description, touched, world.now.isoformat())


def summary(world: World) -> dict[str, object]:
    """The document of `/api/v2/summary.json`."""
    held = _held(world)
    indicator = held.indicator
    stamp = world.now.isoformat()
    components = [
        {
            "id": f"component{number}",
            "name": name,
            "status": _state_of(held, name),
            "position": number,
            "updated_at": stamp,
        }
        for number, name in enumerate(COMPONENTS, 1)
    ]
    return {
        "page": {"id": "sandbox", "name": "Smartlead (sandbox)", "url": "/status", "updated_at": stamp},
        "status": {"indicator": indicator, "description": _WORDS[indicator]},
        "components": components,
        "incidents": _incidents(held) if indicator not in ("none", "maintenance") else [],
        "scheduled_maintenances": _incidents(held) if indicator == "maintenance" else [],
    }


def routes(world: World, links: Mapping[str, str] | None = None) -> list[BaseRoute]:
    """The status page as JSON and HTML, and the overview at `/` with these links (text to address)."""
    shown = dict(links or {})

    async def document(request: Request) -> Response:
        return JSONResponse(summary(world))

    async def page(request: Request) -> Response:
        return HTMLResponse(_status_html(world))

    async def overview(request: Request) -> Response:
        return HTMLResponse(overview_html(world, shown))

    described = published("/status/openapi.json", _description())
    return [described, Route(SUMMARY_PATH, document), Route("/status", page), Route("/", overview)]


def _description() -> dict[str, object]:
    page = obj({"id": TEXT, "name": TEXT, "url": TEXT, "updated_at": TEXT})
    state = obj({"indicator": {"enum": list(_WORDS)}, "description": TEXT})
    parts = {"components": listing(obj({"name": TEXT, "status": {"enum": list(_COMPONENT_STATE.values())}}))}
    whole = obj({"page": page, "status": state, "incidents": listing(ANY), **parts})
    operations = [
        Operation(method="GET", path=SUMMARY_PATH, summary="Status", answers={200: ("application/json", whole)}),
        Operation(method="GET", path="/status", summary="The same for people", answers={200: ("text/html", TEXT)}),
    ]
    return described_as("Status page (sandbox)", operations)


def overview_html(world: World, links: Mapping[str, str]) -> str:
    """Everything a person wants to see first: the time, how much there is, where to look."""
    counts = _table(("What", "How many"), [(name, str(number)) for name, number in _counts(world).items()], number=True)
    domains = _table(("Domain", "At the registrar", "Zone", "SPF", "DKIM", "DMARC"), _domains(world))
    listed = "".join(f'<li><a href="{escape(at)}">{escape(text)}</a></li>' for text, at in _links(links).items())
    body = (
        f"<h1>mailfleet sandbox</h1><p class=s>Seed {escape(str(world.seed))}. Everything here is invented and on "
        f"loopback; no mail leaves this machine.</p>"
        f"<h2>Sandbox time</h2><p><strong>{world.now:%A, %d %B %Y, %H:%M:%S} UTC</strong></p>"
        f"<h2>What there is</h2>{counts}<h2>Domains</h2>{domains}<h2>Where to look</h2><ul>{listed}</ul>"
    )
    return _page("mailfleet sandbox", body)


def _links(links: Mapping[str, str]) -> dict[str, str]:
    logs = ("sends", "people", "http", "webhooks", "slack", "sms", "dns")
    return {
        **links,
        "Vendor status page": "/status",
        "State (JSON)": "/control/state",
        **{f"Log: {name} (JSON)": f"/control/log/{name}" for name in logs},
    }


def _counts(world: World) -> dict[str, int]:
    state = world.state
    named = {"Smartlead mailboxes": "mailboxes", "Campaigns": "campaigns", "Recipients": "people"}
    sized = {text: len(state[key]) for text, key in named.items() if key in state and hasattr(state[key], "__len__")}
    return {
        **sized,
        "Accounts at the mail host": len(world.mail_accounts),
        "Domains at the registrar": len(registrar(world).domains),
        "Cloudflare zones": len(world.zones),
        "DNS records": sum(len(zone.records) for zone in world.zones.values()),
        "Slack messages": state.get("slack_posts", 0),
        "SMS": len(state.get("sms", {})),
    }


def _domains(world: World) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, domain in sorted(registrar(world).domains.items()):
        zone = world.zones.get(name)
        auth = domain_auth(world, name)
        marks = [("pass" if passed else "no") for passed in (auth.spf, auth.dkim, auth.dmarc)]
        at_registrar = "own DNS" if domain.own_dns else ", ".join(domain.nameservers)
        rows.append((name, at_registrar, settle(world, zone).status if zone else "none", *marks))
    return rows


def _held(world: World) -> _Status:
    return world.state.get("status_page") or _Status(since=world.now.isoformat())


def _state_of(held: _Status, component: str) -> str:
    return _COMPONENT_STATE[held.indicator if component in held.components else "none"]


def _incidents(held: _Status) -> list[dict[str, object]]:
    return [
        {
            "id": "incident1",
            "name": held.description or _WORDS[held.indicator],
            "status": "investigating",
            "impact": held.indicator,
            "created_at": held.since,
            "incident_updates": [],
        }
    ]


def _status_html(world: World) -> str:
    held = _held(world)
    indicator = held.indicator
    words = [(name, _state_of(held, name).replace("_", " ")) for name in COMPONENTS]
    detail = f"<p>{escape(held.description)}</p>" if held.description else ""
    return _page("Service status", f"<h1>{_WORDS[indicator]}</h1>{detail}{_table(('Part', 'State'), words)}")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, number: bool = False) -> str:
    if not rows:
        return "<p class=s>None yet.</p>"
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    last = ' class="n"' if number else ""
    lines = "".join(
        "<tr>"
        + "".join(f"<td{last if at == len(row) - 1 else ''}>{escape(cell)}</td>" for at, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body>{body}</body></html>"
    )
