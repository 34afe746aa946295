-- What the clients noticed about a vendor and adapted to: one row per fact, however often it is met again.
create table mailfleet.vendor_notes (
    vendor text not null,
    what text not null check (what in ('drift', 'deadline', 'batch', 'status_page')),
    subject text not null default '',              -- of a drift: the operation and the field
    first_at timestamptz not null,
    last_at timestamptz not null,
    times int not null default 1,
    detail jsonb not null default '{}',            -- redacted before it gets here
    primary key (vendor, what, subject)
);
alter table mailfleet.vendor_notes enable row level security;
grant select, insert, update, delete on mailfleet.vendor_notes to service_role;
create policy service_all on mailfleet.vendor_notes to service_role using (true) with check (true);
