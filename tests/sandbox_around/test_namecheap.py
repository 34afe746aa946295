"""Namecheap's XML API by hand (the vendor's pages: Global parameters, and one for each method)."""

from collections.abc import Callable
from datetime import timedelta
from xml.etree.ElementTree import Element, fromstring

import httpx2
import pytest
from starlette.applications import Starlette

from mailfleet.sandbox.namecheap import face as namecheap
from mailfleet.sandbox.world import World

from .conftest import DOMAIN, Cloud, Registrar

pytestmark = pytest.mark.anyio

XML = "{http://api.namecheap.com/xml.response}"
PEOPLE = {
    f"{kind}{name}": value
    for kind in ("Registrant", "Tech", "Admin", "AuxBilling")
    for name, value in {
        "FirstName": "Ann", "LastName": "Example", "Address1": "1 Example Street", "City": "Sydney",
        "StateProvince": "NSW", "PostalCode": "2000", "Country": "AU", "Phone": "+61.255501234",
        "EmailAddress": "ann@agency-mfdemo.com",
    }.items()
}  # fmt: skip


def parsed(answer: httpx2.Response) -> Element:
    assert answer.status_code == 200
    return fromstring(answer.content)


def error(answer: httpx2.Response) -> int:
    root = parsed(answer)
    assert root.get("Status") == "ERROR"
    found = root.find(f"{XML}Errors/{XML}Error")
    assert found is not None
    assert found.text
    return int(found.get("Number", "0"))


def result(answer: httpx2.Response, tag: str) -> Element:
    root = parsed(answer)
    assert root.get("Status") == "OK", answer.text
    found = root.find(f"{XML}CommandResponse/{XML}{tag}")
    assert found is not None
    return found


async def test_availability_is_told_per_name(registrar: Registrar, world: World) -> None:
    namecheap.register(world, DOMAIN)
    names = f"free-mfdemo.com,taken-mfdemo.com,premium-mfdemo.com,{DOMAIN}"
    root = parsed(await registrar.call("domains.check", DomainList=names))
    found = {item.get("Domain"): item for item in root.iter(f"{XML}DomainCheckResult")}

    assert [item.get("Available") for item in found.values()] == ["true", "false", "true", "false"]
    assert found["premium-mfdemo.com"].get("IsPremiumName") == "true"
    assert found["premium-mfdemo.com"].get("PremiumRegistrationPrice") == "1450.00"


async def test_two_years_are_bought_unless_one_is_asked_for(registrar: Registrar) -> None:
    two = result(await registrar.call("domains.create", DomainName="two-mfdemo.com", **PEOPLE), "DomainCreateResult")
    one = await registrar.call("domains.create", DomainName="one-mfdemo.com", Years="1", **PEOPLE)
    balance = result(await registrar.call("users.getBalances"), "UserGetBalancesResult")

    assert two.get("ChargedAmount") == "22.3200"
    assert result(one, "DomainCreateResult").get("ChargedAmount") == "11.1600"
    assert balance.get("AvailableBalance") == "466.52"


async def test_a_bought_domain_is_known_to_the_parent_some_minutes_later(
    registrar: Registrar, cloud: Cloud, later: Callable[[timedelta], None]
) -> None:
    await registrar.call("domains.create", DomainName="new-mfdemo.com", Years="1", **PEOPLE)
    body = {"name": "new-mfdemo.com", "account": cloud.account}
    early = await cloud.call("POST", "/zones", json=body)
    later(timedelta(minutes=20))
    late = await cloud.call("POST", "/zones", json=body)

    assert early.json()["errors"][0]["code"] == 1049
    assert late.status_code == 200


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ({"DomainName": "taken-mfdemo.com"}, 3031510),
        ({"DomainName": "premium-mfdemo.com"}, 2515623),
        ({"DomainName": "premium-mfdemo.com", "IsPremiumDomain": "true"}, 2528166),
        ({"DomainName": "fine-mfdemo.com", "Years": "11"}, 2033409),
        ({"DomainName": "fine-mfdemo.com", "TechCity": ""}, 2010324),
        ({"DomainName": "fine-mfdemo.com", "AdminPhone": "0255501234"}, 2015182),
    ],
)
async def test_a_purchase_that_cannot_be_costs_nothing(
    registrar: Registrar, given: dict[str, str], number: int
) -> None:
    answer = await registrar.call("domains.create", **{**PEOPLE, "Years": "1", **given})
    balance = result(await registrar.call("users.getBalances"), "UserGetBalancesResult")

    assert error(answer) == number
    assert balance.get("AvailableBalance") == "500.00"


async def test_nameservers_are_set_and_read_back(registrar: Registrar, cloud: Cloud) -> None:
    zone = await cloud.zone()
    parts = {"SLD": "brightwater-mfdemo", "TLD": "com.au"}
    before = result(await registrar.call("domains.dns.getList", **parts), "DomainDNSGetListResult")
    updated = result(await registrar.delegate(zone), "DomainDNSSetCustomResult")
    after = result(await registrar.call("domains.dns.getList", **parts), "DomainDNSGetListResult")

    assert (before.get("IsUsingOurDNS"), after.get("IsUsingOurDNS")) == ("true", "false")
    assert updated.get("Updated") == "true"
    assert [item.text for item in after.iter(f"{XML}Nameserver")] == zone["name_servers"]


@pytest.mark.parametrize("servers", ["ns1.only-mfdemo.com", "not a host,ns2.x-mfdemo.com", "a.b.com," * 160])
async def test_nameservers_that_cannot_be_are_refused(registrar: Registrar, world: World, servers: str) -> None:
    namecheap.register(world, DOMAIN)
    answer = await registrar.call("domains.dns.setCustom", SLD="brightwater-mfdemo", TLD="com.au", Nameservers=servers)

    assert error(answer) == 4022288


async def test_a_domain_is_described(registrar: Registrar, world: World) -> None:
    namecheap.register(world, DOMAIN)
    info = result(await registrar.call("domains.getInfo", DomainName=DOMAIN), "DomainGetInfoResult")
    listed = parsed(await registrar.call("domains.getList")).findall(f"{XML}CommandResponse/*/{XML}Domain")

    assert (info.get("Status"), info.get("IsOwner")) == ("Ok", "true")
    assert info.findtext(f"{XML}DomainDetails/{XML}CreatedDate") == "03/02/2026"
    assert [item.get("Name") for item in listed] == [DOMAIN]


@pytest.mark.parametrize(("name", "number"), [("nobody-mfdemo.com", 2019166), ("taken-mfdemo.com", 2016166)])
async def test_a_domain_of_others_is_not_described(registrar: Registrar, name: str, number: int) -> None:
    assert error(await registrar.call("domains.getInfo", DomainName=name)) == number


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"ApiUser": ""}, 1010101),
        ({"ApiKey": ""}, 1010102),
        ({"ApiKey": "wrong"}, 1011102),
        ({"UserName": "other"}, 1016103),
        ({"ClientIp": ""}, 1010105),
        ({"ClientIp": "198.51.100.9"}, 1011150),
        ({"Command": ""}, 1010104),
        ({"Command": "namecheap.domains.sell"}, 1011102),
    ],
)
async def test_a_call_that_may_not_be_is_an_error_with_status_200(
    registrar: Registrar, changed: dict[str, str], number: int
) -> None:
    assert error(await registrar.call("domains.getList", **changed)) == number


async def test_get_works_like_post(http: httpx2.AsyncClient, world: World) -> None:
    held = namecheap.credentials(world)
    known = {"ApiUser": held["api_user"], "ApiKey": held["api_key"], "UserName": held["username"]}
    command = {"ClientIp": held["client_ip"], "Command": "namecheap.users.getBalances"}
    answer = await http.get("/namecheap/xml.response", params={**known, **command})

    assert result(answer, "UserGetBalancesResult").get("Currency") == "USD"


async def test_too_many_calls_are_answered_with_405_and_no_xml(world: World) -> None:
    now = [0.0]
    limit = namecheap.Limit(windows=((60.0, 2), (3600.0, 3)), clock=lambda: now[0])
    app = Starlette(routes=namecheap.routes(world, limit))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as client:
        first = [(await client.post("/namecheap/xml.response")).status_code for _ in range(3)]
        now[0] = 61
        then = [(await client.post("/namecheap/xml.response")).status_code for _ in range(2)]

    assert first == [200, 200, 405]
    assert then == [200, 405]
