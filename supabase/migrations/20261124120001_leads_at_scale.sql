-- Ten million leads: fewer and narrower indexes to keep while they come in, and an index a scope to find them in.
drop index mailfleet.leads_email;
drop index mailfleet.leads_person;
drop index mailfleet.leads_domain;
alter table mailfleet.leads drop constraint leads_client_id_email_norm_key;
-- A check a row of what holds for the whole file cost a third of an import: the importer reads its client and writes its import.
alter table mailfleet.leads drop constraint leads_client_id_fkey, drop constraint leads_import_id_fkey;
create unique index leads_email on mailfleet.leads (email_norm, client_id);
create index leads_domain on mailfleet.leads (domain, person_key);  -- a person's key ends with the domain
create index leads_client on mailfleet.leads (client_id, id);

-- One entry a hash, scope and client: found by the hash alone, whichever client asks.
create unique index suppressions_once on mailfleet.suppressions (key_hash, scope, client_id) nulls not distinct;
drop index mailfleet.suppressions_global;
drop index mailfleet.suppressions_client;
-- An index a scope carries all that a verdict over many needs; only what was erased is looked for by its keyed hash.
drop index mailfleet.suppressions_key;
create index suppressions_address on mailfleet.suppressions (key) include (client_id) where scope = 'address' and key is not null;
create index suppressions_domain on mailfleet.suppressions (key) include (client_id) where scope = 'domain' and key is not null;
create index suppressions_person on mailfleet.suppressions (key) include (client_id) where scope = 'person' and key is not null;
create index suppressions_erased on mailfleet.suppressions (key_hash) where key is null;

-- How a client's lists are read: the mapping a person gave for a header is kept and used when that header comes again.
create table mailfleet.column_maps (
    client_id uuid not null references mailfleet.clients,
    header_hash text not null,
    columns jsonb not null,                        -- our field → file column, as given
    updated_at timestamptz not null,
    primary key (client_id, header_hash)
);
alter table mailfleet.column_maps enable row level security;
grant select, insert, update, delete on mailfleet.column_maps to service_role;
create policy service_all on mailfleet.column_maps to service_role using (true) with check (true);
grant select on mailfleet.column_maps to authenticated;
create policy member_reads on mailfleet.column_maps for select to authenticated using (client_id in (select mailfleet.my_clients()));
