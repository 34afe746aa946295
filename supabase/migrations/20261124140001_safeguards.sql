-- The ladder of bounces, criteria that are still missing, mailboxes that rest or are gone from the platform.
create table mailfleet.bounce_levels (
    scope text not null check (scope in ('mailbox', 'domain', 'campaign')),
    scope_id text not null,
    client_id uuid not null references mailfleet.clients,
    band text not null check (band in ('normal', 'elevated', 'warning', 'critical', 'emergency')),
    proven text not null check (proven in ('normal', 'elevated', 'warning', 'critical', 'emergency')),
    factor numeric not null default 1 check (factor between 0 and 1),
    since timestamptz not null,                    -- of the last change of band or proven
    version bigint not null default 0,             -- compare-and-set: two monitors make one step
    sent int not null default 0,
    bounced int not null default 0,
    monitor_minutes int not null default 15,
    looked_at timestamptz not null,
    primary key (scope, scope_id)
);

-- Graduation criteria a mailbox misses, each without a break since then.
create table mailfleet.criteria_missing (
    mailbox_id uuid not null references mailfleet.mailboxes,
    name text not null,
    since timestamptz not null,
    value numeric,
    needed text not null default '',
    primary key (mailbox_id, name)
);

alter table mailfleet.mailboxes
    add column resting_since timestamptz,          -- in the reserve: no campaign mail, warm-up goes on
    add column working_since timestamptz,          -- end of its last rest
    add column missing_since timestamptz;          -- the platform does not list it any more
alter table mailfleet.campaigns
    add column limit_factor numeric not null default 1 check (limit_factor between 0 and 1);

alter table mailfleet.bounce_levels enable row level security;
alter table mailfleet.criteria_missing enable row level security;
grant select, insert, update, delete on mailfleet.bounce_levels, mailfleet.criteria_missing to service_role;
create policy service_all on mailfleet.bounce_levels to service_role using (true) with check (true);
create policy service_all on mailfleet.criteria_missing to service_role using (true) with check (true);
grant select on mailfleet.bounce_levels to authenticated;
create policy member_reads on mailfleet.bounce_levels for select to authenticated using (client_id in (select mailfleet.my_clients()));
