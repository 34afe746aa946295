"""Clients and their people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailfleet.errors import BadFile, Unknown
from mailfleet.services import clients, personas

pytestmark = pytest.mark.anyio


async def test_bringing_a_client_up_to_date_keeps_what_is_not_given(world: Any) -> None:
    await clients.put_client(world.fleet, "other", name="Other", identity={"legal_name": "Other Pty Ltd"})
    client = await clients.put_client(world.fleet, "other", name="Other 2", timezone="Europe/Berlin")
    assert (client.name, client.timezone, client.identity) == (
        "Other 2",
        "Europe/Berlin",
        {"legal_name": "Other Pty Ltd"},
    )


async def test_a_client_is_found_by_slug_or_id_or_by_being_the_only_one(world: Any) -> None:
    async with world.fleet.db.connection() as db:
        only = await clients.the_client(db, None)
        assert only == await clients.the_client(db, "agency-os") == await clients.the_client(db, str(only.id))
        with pytest.raises(Unknown, match="no client 'nobody'"):
            await clients.the_client(db, "nobody")
    await clients.put_client(world.fleet, "other", name="Other")
    async with world.fleet.db.connection() as db:
        with pytest.raises(Unknown, match="agency-os, other"):
            await clients.the_client(db, None)


async def test_a_time_zone_nobody_knows_is_refused(world: Any) -> None:
    with pytest.raises(BadFile, match="Mars/Olympus"):
        await clients.put_client(world.fleet, "other", name="Other", timezone="Mars/Olympus")


async def test_people_keep_their_order_and_are_added_once(world: Any) -> None:
    async with world.fleet.db.connection() as db:
        client = await clients.the_client(db, None)
        first, shortage = await personas.first(db, client, 2)
    assert ([person.local_part for person in first], shortage) == (["ann.lee", "bo.ek"], "")
    again = [personas.NewPersona(local_part="Ann.Lee", first_name="A", last_name="L")]
    assert await personas.put_personas(world.fleet, client, again) == 0


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[[persona]]\nlocal_part = "a b"\nfirst_name = "A"\nlast_name = "B"', "a b"),
        ('[[persona]]\nlocal_part = "ab"\nfirst_name = "A"', "last_name"),
        ('[[persona]]\nlocal_part = "ab"\nfirst_name = "A"\nlast_name = "B"\nage = 3', "age"),
        ("not toml at all", "cannot be used"),
    ],
)
def test_a_bad_list_of_people_names_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "people.toml"
    file.write_text(text)
    with pytest.raises(BadFile, match=named):
        personas.read_file(file)
