-- What a platform was like before a migration: counts by campaign, sender's domain, provider and week, and what was fitted.
create table mailfleet.baselines (
    id uuid primary key,
    platform text not null,
    account text not null default '',
    taken_at timestamptz not null,
    first_day date,
    last_day date,
    campaigns int not null,
    sent bigint not null,
    reply_rho double precision,
    bounce_rho double precision,
    fitted jsonb not null,
    reply_curve jsonb not null
);
comment on table mailfleet.baselines is 'One reading of a platform''s history; the newest is the one that counts.';
create index baselines_newest on mailfleet.baselines (platform, account, taken_at desc);

create table mailfleet.baseline_counts (
    baseline_id uuid not null references mailfleet.baselines on delete cascade,
    campaign_ref text not null,
    campaign_name text not null,
    sender_domain text not null,
    provider text not null,
    week date not null,
    sent int not null,
    people int not null,
    opened int not null,
    clicked int not null,
    replied int not null,
    bounced int not null,
    primary key (baseline_id, campaign_ref, sender_domain, provider, week)
);
comment on column mailfleet.baseline_counts.sender_domain is 'Empty where the platform does not tell who sent what.';

alter table mailfleet.baselines enable row level security;
alter table mailfleet.baseline_counts enable row level security;
grant select, insert, update, delete on mailfleet.baselines, mailfleet.baseline_counts to service_role;
create policy service_all on mailfleet.baselines to service_role using (true) with check (true);
create policy service_all on mailfleet.baseline_counts to service_role using (true) with check (true);
