"""Each face publishes an OpenAPI description, and answers nothing that is outside it, whatever it is sent."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette

from mailfleet.sandbox import slack, twilio
from mailfleet.sandbox.cloudflare import face as cloudflare
from mailfleet.sandbox.namecheap import face as namecheap
from mailfleet.sandbox.world import World

from .conftest import DOMAIN

WORLD = World(11)
namecheap.register(WORLD, DOMAIN)
FACES = {
    "cloudflare": cloudflare.routes(WORLD, cloudflare.Limit(quota=10**9)),
    "namecheap": namecheap.routes(WORLD, namecheap.Limit(windows=((60.0, 10**9),))),
    "slack": slack.routes(WORLD),
    "twilio": twilio.routes(WORLD),
}
APP = Starlette(routes=[route for routes in FACES.values() for route in routes])
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SEARCH = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def described(face: str) -> Any:
    return schemathesis.openapi.from_asgi(f"/{face}/openapi.json", APP)


cloudflare_schema, namecheap_schema = described("cloudflare"), described("namecheap")
slack_schema, twilio_schema = described("slack"), described("twilio")


@cloudflare_schema.parametrize()
@SEARCH
def test_cloudflare_keeps_to_its_description(case: Case) -> None:
    zone = WORLD.zones.get(DOMAIN) or cloudflare.create_zone(WORLD, DOMAIN)
    if case.path_parameters and "zone_id" in case.path_parameters:
        case.path_parameters["zone_id"] = zone.id
    token = cloudflare.credentials(WORLD)["api_token"]
    case.call_and_validate(headers={"authorization": f"Bearer {token}"}, checks=CHECKS)


@namecheap_schema.parametrize()
@SEARCH
def test_namecheap_keeps_to_its_description(case: Case) -> None:
    case.call_and_validate(checks=CHECKS)


@slack_schema.parametrize()
@SEARCH
def test_slack_keeps_to_its_description(case: Case) -> None:
    bot = slack.credentials(WORLD)["bot_token"]
    case.call_and_validate(headers={"authorization": f"Bearer {bot}"}, checks=CHECKS)


@twilio_schema.parametrize()
@SEARCH
def test_twilio_keeps_to_its_description(case: Case) -> None:
    held = twilio.credentials(WORLD)
    if case.path_parameters:
        case.path_parameters["account"] = held["account_sid"]
    case.call_and_validate(auth=(held["account_sid"], held["auth_token"]), checks=CHECKS)


@pytest.mark.parametrize("face", FACES)
def test_every_route_of_a_face_is_described(face: str) -> None:
    paths = set(described(face).raw_schema["paths"])
    routes = {
        route.path for route in FACES[face] if not route.path.endswith(("openapi.json", "{rest:path}", "{method}"))
    }

    assert routes <= paths
