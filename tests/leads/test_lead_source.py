"""An agency's own table of leads: read and written back in three columns, its lists honoured, nothing else touched."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from mailfleet.errors import ConfigError
from mailfleet.services import lead_source, push

pytestmark = pytest.mark.anyio
US, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
SCHEMA = f"""
    create type public.lead_state as enum ('draft', 'ready_to_send', 'contacting', 'won', 'lost', 'broken');
    create table public.leads (
        id uuid primary key default gen_random_uuid(), client uuid not null, contact_email text, given text,
        family text, organisation text, land text, origin text, status public.lead_state not null default 'draft',
        smartlead_id text, email_status text, deleted_at timestamptz, secret_note text default 'theirs');
    create table public.client_blocks (id serial, client uuid, email text, removed_at timestamptz);
    create table public.blocked_domains (domain text primary key);
    create table public.unrelated as select 1 as x;
    insert into public.leads (client, contact_email, given, family, organisation, land, origin, status)
    select '{US}', 'p' || n || '@firm' || n || '-mfdemo.com', 'Bo', 'Ek' || n, 'Firm ' || n, 'DE', 'fair',
           'ready_to_send'
    from generate_series(0, 7) as n;
    insert into public.leads (client, contact_email, given, land, origin, status, deleted_at) values
        ('{US}', 'gone@gone-mfdemo.com', 'X', 'DE', 'fair', 'ready_to_send', now()),
        ('{US}', 'draft@draft-mfdemo.com', 'X', 'DE', 'fair', 'draft', null),
        ('{US}', 'not an address', 'X', 'DE', 'fair', 'ready_to_send', null),
        ('{OTHER}', 'theirs@theirs-mfdemo.com', 'X', 'DE', 'fair', 'ready_to_send', null);
    insert into public.client_blocks (client, email, removed_at) values
        ('{US}', 'P1@Firm1-mfdemo.com', null), ('{OTHER}', 'p2@firm2-mfdemo.com', null),
        (null, 'p3@firm3-mfdemo.com', null), ('{US}', 'p4@firm4-mfdemo.com', now());
    insert into public.blocked_domains values ('firm5-mfdemo.com');
"""
CONFIG = f"""
    [[sources]]
    client = "agency-os"
    client_column = "client"
    client_value = "{US}"
    deleted = "deleted_at"
    columns = {{ email = "contact_email", first_name = "given", last_name = "family", company = "organisation",
                 country = "land", source = "origin" }}
    statuses = {{ in_sequence = "contacting", completed = "lost", rejected = "lost", lead_hot = "won",
                  invalid = "broken", excluded = "lost" }}
    [[sources.suppressions]]
    table = "client_blocks"
    client_column = "client"
    deleted = "removed_at"
    [[sources.suppressions]]
    table = "blocked_domains"
    column = "domain"
    scope = "domain"
"""


@pytest.fixture
async def sourced(running: Any, tmp_path: Path) -> Any:
    (tmp_path / "source.toml").write_text(
        CONFIG.replace(",\n                 ", ", ").replace(",\n                  ", ", ")
    )
    async with running.fleet.db.connection() as db:
        await db.execute(SCHEMA)
    running.fleet.lead_sources = lead_source.load(tmp_path / "source.toml")
    return running


async def rest(world: Any) -> str:
    """A digest of everything there that we may not change."""
    found = [
        await world.ask("select id, client, contact_email, given, family, organisation, land, origin, deleted_at,"
                        " secret_note from public.leads order by id"),
        await world.ask("select * from public.client_blocks order by id"),
        await world.ask("select * from public.blocked_domains"), await world.ask("select * from public.unrelated"),
    ]  # fmt: skip
    return hashlib.sha256(repr(found).encode()).hexdigest()


async def there(world: Any) -> dict[str, tuple[str, str | None, str | None]]:
    found = await world.ask("select contact_email, status::text, smartlead_id, email_status from public.leads")
    return {email: (status, ref, mail) for email, status, ref, mail in found}


async def test_what_is_ready_there_is_pushed_and_written_back_and_nothing_else_changes(sourced: Any) -> None:
    before = await rest(sourced)
    done = await push.push_ready(sourced.fleet, sourced.campaign)
    assert sorted(sourced.desk.calls) == [f"p{n}@firm{n}-mfdemo.com" for n in (0, 2, 4, 6, 7)]
    assert (done.added, done.by_rule) == (5, {"source": 3})
    assert await lead_source.write_back(sourced.fleet) == 9
    seen = await there(sourced)
    ref = await sourced.one("select smartlead_id from mailfleet.leads where email_norm = 'p0@firm0-mfdemo.com'")
    assert seen["p0@firm0-mfdemo.com"] == ("contacting", ref, None)
    assert seen["p1@firm1-mfdemo.com"][0] == seen["p5@firm5-mfdemo.com"][0] == "lost"
    assert seen["not an address"][0] == "broken"
    assert seen["draft@draft-mfdemo.com"][0] == "draft" and seen["theirs@theirs-mfdemo.com"][0] == "ready_to_send"
    assert await rest(sourced) == before
    assert await lead_source.write_back(sourced.fleet) == 0


async def test_what_happens_to_the_mail_is_told_there(sourced: Any) -> None:
    await push.push_ready(sourced.fleet, sourced.campaign)
    async with sourced.fleet.db.connection() as db:
        await db.execute(
            "update mailfleet.leads set email_status = 'replied', status = 'lead_hot' where email_norm like 'p0@%'"
        )
        await db.execute("update public.leads set status = 'won' where contact_email like 'p2@%'")
    await lead_source.write_back(sourced.fleet)
    seen = await there(sourced)
    assert seen["p0@firm0-mfdemo.com"][0::2] == ("won", "replied")
    assert seen["p2@firm2-mfdemo.com"][0] == "won"  # a person's word there stays


async def test_a_row_taken_back_before_the_claim_is_not_written_to(sourced: Any) -> None:
    await lead_source.take(sourced.fleet)
    async with sourced.fleet.db.connection() as db:
        await db.execute("update public.leads set deleted_at = now() where contact_email like 'p0@%'")
        await db.execute("update public.leads set status = 'draft' where contact_email like 'p2@%'")
        await db.execute("insert into public.client_blocks (email) values ('p4@FIRM4-mfdemo.com')")
    await push.push_ready(sourced.fleet, sourced.campaign)
    assert sorted(sourced.desk.calls) == ["p6@firm6-mfdemo.com", "p7@firm7-mfdemo.com"]


async def test_a_refused_row_comes_again_when_a_person_set_it_ready(sourced: Any) -> None:
    await lead_source.take(sourced.fleet)
    await lead_source.write_back(sourced.fleet)
    async with sourced.fleet.db.connection() as db:
        await db.execute(
            "update public.leads set contact_email = 'now@good-mfdemo.com', status = 'ready_to_send'"
            " where contact_email = 'not an address'"
        )
    assert await lead_source.take(sourced.fleet) == 1
    assert await sourced.one("select count(*) from mailfleet.leads where email_norm = 'now@good-mfdemo.com'") == 1
    assert await lead_source.take(sourced.fleet) == 0


async def test_a_table_or_column_that_is_not_there_is_told(sourced: Any) -> None:
    source = sourced.fleet.lead_sources[0]
    for changed, told in (({"table": "leeds"}, "no table public.leeds"), ({"fields": ("town",)}, "no column town")):
        sourced.fleet.lead_sources = (type(source)(**{**{f: getattr(source, f) for f in source.__struct_fields__},
                                                      **changed}),)  # fmt: skip
        with pytest.raises(ConfigError, match=told):
            await lead_source.take(sourced.fleet)


def test_a_file_that_says_something_unknown_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[[sources]]\ntabel = "leads"\n')
    with pytest.raises(ConfigError, match="tabel"):
        lead_source.load(tmp_path / "s.toml")
