"""Namecheap's XML: refusals inside 200, throttling as 405, any case of names, nothing harmful."""

from __future__ import annotations

from urllib.parse import parse_qs

import httpx2
import pytest
from tests.vendors.wires import Bench, Handler, caught, script, text

from mailfleet.errors import Forbidden, NotAllowed, NotFound, RateLimited, VendorError
from mailfleet.platforms.namecheap_registrar import Contact, NamecheapRegistrar
from mailfleet.vendors.namecheap import xml
from mailfleet.vendors.namecheap.client import NamecheapClient
from mailfleet.vendors.transport.operation import Patience
from mailfleet.vendors.transport.secret import Secret

pytestmark = pytest.mark.anyio
NS = 'xmlns="http://api.namecheap.com/xml.response"'
ADA = Contact(
    first_name="Ada", last_name="Byrne", address="1 A St", city="Sydney", state="NSW", postcode="2000", country="AU",
    phone="+61.255501234", email="ada@agency.example",
)  # fmt: skip


def answer(inner: str) -> httpx2.Response:
    return text(f'<?xml version="1.0"?><ApiResponse Status="OK" {NS}>{inner}</ApiResponse>', kind="text/xml")


def error(number: int) -> httpx2.Response:
    body = f'<ApiResponse Status="ERROR" {NS}><Errors><Error Number="{number}">no</Error></Errors></ApiResponse>'
    return text(body, kind="text/xml")


def registrar(handler: Handler) -> tuple[NamecheapRegistrar, Bench]:
    bench = Bench(handler, Patience(attempts=1))
    client = NamecheapClient(bench.means, api_user="u", key=Secret("key"), username="u", client_ip="192.0.2.1")
    return NamecheapRegistrar(client, ADA), bench


CHECKED = '<DomainCheckResult Domain="acme.com.au" Available="true" IsPremiumName="false" IcannFee="0.18" EapFee="0"/>'
PRICED = (
    '<UserGetPricingResult><Price Duration="1" DurationType="YEAR" YourPrice="10.10" Currency="USD"/>'
    "</UserGetPricingResult>"
)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(1011150), Forbidden),
        (error(2019166), NotFound),
        (text("", 405), RateLimited),
        (text("<html>maintenance</html>", 200), VendorError),
    ],
    ids=range(4),
)
async def test_each_refusal_is_one_kind_of_error(reply: httpx2.Response, kind: type[VendorError]) -> None:
    namecheap, _ = registrar(script(reply))
    assert type(await caught(namecheap.nameservers("acme.com.au"))) is kind


async def test_the_key_is_posted_and_stands_in_no_address() -> None:
    lower = (
        '<domaindnsgetlistresult isusingourdns="false"><nameserver>NS1.x.example</nameserver></domaindnsgetlistresult>'
    )
    namecheap, bench = registrar(script(answer(lower)))
    assert await namecheap.nameservers("acme.com.au") == ["ns1.x.example"]
    (request,) = bench.sent
    form = parse_qs(request.content.decode())
    assert request.method == "POST"
    assert not request.url.query
    assert (form["ApiKey"], form["SLD"], form["TLD"]) == (["key"], ["acme"], ["com.au"])


async def test_a_price_is_looked_at_again_and_one_year_is_bought() -> None:
    bought = '<DomainCreateResult Domain="acme.com.au" Registered="true" ChargedAmount="10.28" OrderID="77"/>'
    namecheap, bench = registrar(script(answer(CHECKED), answer(PRICED), answer(bought)))
    assert await namecheap.buy("acme.com.au", ceiling_cents=1028) == "77"
    form = parse_qs(bench.sent[2].content.decode())
    assert (form["Years"], form["RegistrantCountry"], form["AuxBillingPhone"]) == (["1"], ["AU"], ["+61.255501234"])


async def test_nothing_is_bought_over_the_ceiling_or_without_a_price() -> None:
    namecheap, bench = registrar(script(answer(CHECKED), answer(PRICED)))
    assert isinstance(await caught(namecheap.buy("acme.com.au", ceiling_cents=1027)), NotAllowed)
    unpriced, other = registrar(script(answer(CHECKED), error(1010104)))
    assert isinstance(await caught(unpriced.buy("acme.com.au", ceiling_cents=99999)), NotAllowed)
    assert len(bench.sent) == len(other.sent) == 2


async def test_delegation_is_written_only_when_it_differs() -> None:
    here = answer("<DomainDNSGetListResult><Nameserver>a.ns.example</Nameserver></DomainDNSGetListResult>")
    done = answer('<DomainDNSSetCustomResult Domain="acme.com.au" Updated="true"/>')
    namecheap, bench = registrar(script(here, here, done))
    await namecheap.set_nameservers("acme.com.au", ["A.ns.example."])
    await namecheap.set_nameservers("acme.com.au", ["b.ns.example"])
    assert len(bench.sent) == 3
    assert bench.states() == ["done"]


def test_entities_and_outside_references_are_not_read() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><ApiResponse Status="OK">&c;</ApiResponse>'
    assert xml.parse(bomb) is None
    assert xml.parse("not xml") is None
