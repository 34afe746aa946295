"""Each face publishes an OpenAPI description, and answers nothing that is outside it, whatever it is sent."""

from __future__ import annotations

import re

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from tests.sandbox_around.fuzz import FACES, search

from mailfleet.sandbox.app import Front
from mailfleet.sandbox.within import ROOT, Inside

EXAMPLES = 4
# Descriptions themselves, what answers that a path is unknown, and what another face describes.
_OTHER = re.compile(r"/openapi\.json$|^/control/forge/|\{rest:path\}$|/\{method\}$|^/$")


@pytest.mark.parametrize("face", FACES)
def test_a_face_answers_only_as_it_describes(face: str) -> None:
    found = search(face, EXAMPLES, 7)

    assert found.wrong == []
    assert found.cases > 0


@pytest.mark.anyio
async def test_every_route_is_described() -> None:
    inside = Inside()
    assert isinstance(inside.app, Front)
    assert isinstance(inside.app.inner, Starlette)
    routes = {route.path for route in inside.app.inner.routes if isinstance(route, Route)}
    wanted = {path.rstrip("/") for path in routes if not _OTHER.search(path) and path.split("/")[1] in FACES}
    described = set[str]()
    async with httpx2.AsyncClient(transport=inside.transport(), base_url=ROOT) as http:
        for face in FACES:
            described |= set((await http.get(f"/{face}/openapi.json")).json()["paths"])

    assert wanted - described == set()
