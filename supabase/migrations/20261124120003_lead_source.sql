-- Leads taken from a table that is not ours, and what was last written back to each of its rows.
create table mailfleet.source_leads (
    source text not null,                          -- schema.table
    key text collate "C" not null,                 -- the row's key there, as text
    lead_id bigint references mailfleet.leads on delete set null,
    reason text not null default '',               -- why it was not taken
    status text not null default '',               -- as last written there; empty: nothing yet
    email_status text not null default '',
    smartlead_id text not null default '',
    taken_at timestamptz not null,
    written_at timestamptz,
    primary key (source, key)
);
create index on mailfleet.source_leads (lead_id);
alter table mailfleet.source_leads enable row level security;
grant select, insert, update, delete on mailfleet.source_leads to service_role;
create policy service_all on mailfleet.source_leads to service_role using (true) with check (true);
