"""One seed, one story: in a rehearsal's own database identifiers follow from the seed, not from chance (I12)."""

from __future__ import annotations

import psycopg

NAMED = ("campaigns", "migrations", "mailboxes", "clients")
"""Tables whose identifiers decide something: a campaign's and the migration's draw where it is routed."""
_BY = {"campaigns": "name", "migrations": "name", "mailboxes": "address", "clients": "slug"}


def identifiers(dsn: str, seed: int) -> None:
    """Before a row gets its identifier: a hash of the seed and its name."""
    with psycopg.connect(dsn, autocommit=True) as db:
        for table in NAMED:
            db.execute(
                f"""create function mailfleet.determined_{table}() returns trigger language plpgsql as $$
                    begin new.id := md5('{int(seed)}:{table}:' || new.{_BY[table]})::uuid; return new; end $$"""  # type: ignore[arg-type]
            )
            db.execute(
                f"""create trigger determined before insert on mailfleet.{table}
                    for each row execute function mailfleet.determined_{table}()"""  # type: ignore[arg-type]
            )
