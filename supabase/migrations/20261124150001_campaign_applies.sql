-- What was put at the platform for a campaign, field by field: the base against which a change there is noticed.
create table mailfleet.campaign_applies (
    id uuid primary key default gen_random_uuid(),
    campaign_id uuid not null references mailfleet.campaigns,
    checksum text not null,
    config_hash text not null,
    wanted jsonb not null,                         -- field → value, as in the plan that was shown
    state text not null default 'applying' check (state in ('applying', 'applied', 'left')),
    resume boolean not null default false,         -- it ran before the change: it runs again after it
    actor text not null,
    begun_at timestamptz not null,
    finished_at timestamptz
);
create unique index campaign_applies_one on mailfleet.campaign_applies (campaign_id) where state = 'applying';
create index campaign_applies_of on mailfleet.campaign_applies (campaign_id, begun_at);

alter table mailfleet.campaign_applies enable row level security;
grant select, insert, update, delete on mailfleet.campaign_applies to service_role;
create policy service_all on mailfleet.campaign_applies to service_role using (true) with check (true);
