"""Salesforge multichannel, as far as somebody who leaves needs it: sequences as graphs, windows, settings, senders."""

from __future__ import annotations

from math import ceil
from typing import Any, cast

from starlette.routing import BaseRoute

from mailfleet.sandbox.forge.http import MULTI_FACE, Ask, found, route, said
from mailfleet.sandbox.forge.sequences import check_timezone
from mailfleet.sandbox.forge.state import Graph, Workspace
from mailfleet.sandbox.world import World

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# How the kinds of action are numbered differs between accounts of it; the e-mail's name is the same.
EMAIL_ACTION = 3
_FIRST_GRAPH = 6811
_MOST = 100


def add_graph(world: World, ws: Workspace, name: str, texts: list[tuple[int, str, str]]) -> Graph:
    """A sequence of mails: (days to wait, subject, message), each an action behind the one before."""
    number = _FIRST_GRAPH + len(ws.graphs)
    nodes: list[dict[str, Any]] = [_node(number * 100, number, "root")]
    branches: list[dict[str, Any]] = []
    for place, (days, subject, message) in enumerate(texts, 1):
        node = _node(number * 100 + place, number, "action")
        metadata = {"name": f"Email {place}", "subject": subject, "message": message}
        variant = {"id": node["id"] * 10, "isEnabled": True, "exposureInPercentage": 100, "metadata": metadata}
        node |= {"actionId": EMAIL_ACTION, "waitInMinutes": days * 1440, "waitType": "days", "variants": [variant]}
        branches.append(_branch(number * 1000 + place, nodes[-1]["id"], node["id"]))
        nodes.append(node)
    branches.append(_branch(number * 1000, nodes[-1]["id"], None))
    for node in nodes:
        node["branches"] = [branch for branch in branches if branch["fromNodeId"] == node["id"]]
    days_ = {day: {"enabled": day not in _WEEKDAYS[5:], "from": 9, "to": 17} for day in _WEEKDAYS}
    settings = {"openTrackingEnabled": True, "clickTrackingEnabled": False, "plainTextEmailsEnabled": False}
    graph = Graph(number, name, "active", "Europe/Berlin", world.now, days_, settings, nodes, branches)
    ws.graphs[number] = graph
    return graph


def _node(identity: int, sequence: int, kind: str) -> dict[str, Any]:
    return {
        "id": identity,
        "sequenceId": sequence,
        "type": kind,
        "actionId": None,
        "conditionId": None,
        "distributionStrategy": "equal",
        "waitInMinutes": 0,
        "waitType": "",
        "variants": [],
        "analytics": {"active": 0, "completed": 0, "failed": 0, "endValue": 0},
    }


def _branch(identity: int, start: int, end: int | None) -> dict[str, Any]:
    row = {"id": identity, "name": "next", "description": "", "fromNodeId": start, "toNodeId": end}
    return {**row, "analytics": {"count": 0, "percentage": 0}}


def routes(world: World) -> list[BaseRoute]:
    """What can be read, the window, and pause and resume."""
    at = "/workspaces/{workspaceID}"
    one = at + "/sequences/{sequenceID}"
    table = (
        ("GET", at + "/sequences", listed),
        ("GET", one, detail),
        ("GET", one + "/schedule", schedule),
        ("PUT", one + "/schedule", set_schedule),
        ("GET", one + "/settings", settings),
        ("PATCH", one + "/settings", set_settings),
        ("GET", one + "/analytics", analytics),
        ("GET", one + "/nodes", nodes),
        ("GET", one + "/branches", branches),
        ("GET", one + "/sender-profiles", senders),
        ("PATCH", one + "/status", set_status),
        ("GET", at + "/sender-profiles", profiles),
    )
    return [route(world, MULTI_FACE, method, path, answer) for method, path, answer in table]


def _graph(ask: Ask) -> Graph:
    given = ask.path["sequenceID"]
    return found(ask.ws.graphs, int(given) if given.isascii() and given.isdigit() else -1, "sequence")


def _page(ask: Ask, name: str, rows: list[dict[str, Any]]) -> Any:
    page, limit = ask.number("page", 1), ask.number("limit", 20)
    if page < 1 or not 1 <= limit <= _MOST:
        raise said("limit must be between 1 and 100" if page >= 1 else "page must be at least 1")
    pages = ceil(len(rows) / limit)
    shape = {"page": page, "limit": limit, "total": len(rows), "totalPages": pages, "hasNext": page < pages}
    return {name: rows[(page - 1) * limit : page * limit], "pagination": shape}


def _shown(ask: Ask, graph: Graph) -> dict[str, Any]:
    emails = dict.fromkeys(("sent", "contacted", "opened", "clicked", "replied", "bounced", "optOuted"), 0)
    return {
        "id": graph.id,
        "name": graph.name,
        "description": "",
        "status": graph.status,
        "timezone": graph.timezone,
        "schedule": graph.schedule,
        "settings": graph.settings,
        "senderProfiles": [ask.ws.profiles[number] for number in graph.profiles],
        "analytics": {"emails": emails, "contacts": {"total": graph.leads, "inProgress": graph.leads}, "replyRate": 0},
    }


def listed(ask: Ask) -> Any:
    """The sequences, each with its window, settings and senders."""
    status = ask.query.get("status", "")
    rows = [_shown(ask, graph) for graph in ask.ws.graphs.values() if status in ("", graph.status)]
    return _page(ask, "sequences", rows)


def detail(ask: Ask) -> Any:
    """The whole graph."""
    graph = _graph(ask)
    counts = {"activeEnrollmentCount": graph.leads, "completedLeadCount": 0, "totalLeadCount": graph.leads}
    return {"sequence": _shown(ask, graph), "nodes": graph.nodes, "branches": graph.branches, **counts}


def schedule(ask: Ask) -> Any:
    """The window: here it can be read."""
    graph = _graph(ask)
    return {"timezone": graph.timezone, "schedule": graph.schedule}


def set_schedule(ask: Ask) -> Any:
    """Replaces the window; every day, also one that is off, needs `to` after `from`."""
    graph, given = _graph(ask), ask.body()
    zone, days = str(given.get("timezone") or ""), given.get("schedule")
    check_timezone(zone)
    if not isinstance(days, dict):
        raise said("schedule is a required field")
    rows = cast("dict[str, dict[str, Any]]", days)
    for day in rows.values():
        start, end = day.get("from"), day.get("to")
        if not isinstance(start, int) or not isinstance(end, int) or end <= start:
            raise said("to must be greater than from", 422)
    graph.timezone, graph.schedule = zone, rows
    return schedule(ask)


def settings(ask: Ask) -> Any:
    """The settings."""
    return _graph(ask).settings


def set_settings(ask: Ask) -> Any:
    """Changes what is given."""
    graph = _graph(ask)
    graph.settings |= ask.body()
    return graph.settings


def analytics(ask: Ask) -> Any:
    """Counts by day; nothing is sent from here."""
    first, last = ask.query.get("from_date"), ask.query.get("to_date")
    if not first or not last:
        raise said("from_date and to_date are required")
    place = ask.query.get("timezone", "UTC")
    return {"from_date": first, "to_date": last, "timezone": place, "days": {}, "stats": {}}


def nodes(ask: Ask) -> Any:
    """The nodes."""
    return _page(ask, "nodes", _graph(ask).nodes)


def branches(ask: Ask) -> Any:
    """The branches; the last one leads nowhere yet."""
    return _page(ask, "branches", _graph(ask).branches)


def senders(ask: Ask) -> Any:
    """Who sends a sequence."""
    return _page(ask, "profiles", [ask.ws.profiles[number] for number in _graph(ask).profiles])


def profiles(ask: Ask) -> Any:
    """Every sender: the mailboxes belong to it, not to a sequence."""
    return _page(ask, "profiles", list(ask.ws.profiles.values()))


def set_status(ask: Ask) -> Any:
    """Pause and resume."""
    graph, status = _graph(ask), ask.body().get("status")
    if status not in ("active", "paused"):
        raise said("status must be one of [active paused]")
    graph.status = status
    return _shown(ask, graph)
