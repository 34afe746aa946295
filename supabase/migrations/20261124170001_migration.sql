-- A move from one sending platform to another: its plan, what it was judged by, what it decided, and the way back.
create table mailfleet.migrations (
    id uuid primary key default gen_random_uuid(),
    name text not null unique,
    from_platform text not null,
    to_platform text not null,
    seed bigint not null,
    timezone text not null,
    start_on date not null,
    state text not null default 'planned' check (state in ('planned', 'running', 'held', 'pausing', 'assessing', 'rolling_back', 'watching', 'rolled_back', 'done', 'aborted')),
    phase text not null default 'setup' check (phase in ('setup', 'pilot', 'ramp_10', 'ramp_25', 'ramp_75', 'full', 'decommission')),
    stopped boolean not null default false,        -- a person stopped the line: safety goes on, nothing advances
    clock_held_since timestamptz,                  -- the clock of the ramp stands since
    volume numeric not null default 0,             -- mails a day over both sides, as planned
    parameters int not null default 1,
    old_cancelled_on date,
    old_paid_until date,
    version bigint not null default 0,
    created_by text not null,
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    post_mortem_signed_at timestamptz
);
-- One at a time: two would route the same campaigns.
create unique index migrations_one on mailfleet.migrations ((true)) where state not in ('planned', 'rolled_back', 'done', 'aborted');

create table mailfleet.migration_parameters (
    migration_id uuid not null references mailfleet.migrations,
    version int not null,
    digest text not null,
    value jsonb not null,
    reason text not null default '',
    by text not null,
    at timestamptz not null,
    primary key (migration_id, version)
);

create table mailfleet.migration_phases (
    migration_id uuid not null references mailfleet.migrations,
    phase text not null,
    entered_at timestamptz not null,
    held interval not null default '0',
    checklist jsonb not null default '[]',
    by text not null,
    primary key (migration_id, phase)
);

-- The routing ledger: every decision with the figures it was made from.
create table mailfleet.migration_routes (
    id bigint generated always as identity primary key,
    migration_id uuid not null references mailfleet.migrations,
    campaign_id uuid not null references mailfleet.campaigns,
    phase text not null,
    to_new boolean not null,
    u double precision not null,
    p double precision not null,
    deficit double precision not null,
    weight double precision not null,
    volume double precision not null,
    stratum text not null default '',
    why text not null,
    at timestamptz not null
);
create index on mailfleet.migration_routes (migration_id, campaign_id, id);

create table mailfleet.migration_verdicts (
    id bigint generated always as identity primary key,
    migration_id uuid not null references mailfleet.migrations,
    at timestamptz not null,
    trigger text not null check (trigger in ('bounce', 'placement', 'reply', 'api', 'bug', 'warmup', 'cost')),
    state text not null check (state in ('OK', 'THIN', 'INCONCLUSIVE', 'REVIEW', 'HOLD', 'PAUSE', 'ROLLBACK')),
    verdict jsonb not null,
    inputs jsonb not null,
    parameters int not null
);
create index on mailfleet.migration_verdicts (migration_id, trigger, id);

-- What the controller did and why, a row a step; what people told it.
create table mailfleet.migration_log (
    id bigint generated always as identity primary key,
    migration_id uuid not null references mailfleet.migrations,
    at timestamptz not null,
    actor text not null,
    action text not null,
    reason text not null default '',
    detail jsonb not null default '{}'
);
create index on mailfleet.migration_log (migration_id, id);

create table mailfleet.migration_notes (
    id uuid primary key default gen_random_uuid(),
    migration_id uuid not null references mailfleet.migrations,
    kind text not null check (kind in ('issue', 'declared', 'review', 'lesson', 'confirmed')),
    subject text not null,
    reason text not null default '',
    by text not null,
    at timestamptz not null,
    closed_at timestamptz,
    closed_by text,
    closing text not null default ''
);
create index on mailfleet.migration_notes (migration_id, kind, at);

create table mailfleet.migration_days (
    migration_id uuid not null references mailfleet.migrations,
    day date not null,
    metrics jsonb not null,
    primary key (migration_id, day)
);

-- Seed tests, from whoever makes them: where a mail of this domain landed at this provider.
create table mailfleet.placement_tests (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    platform text not null,
    client_id uuid,
    domain text not null,
    domain_age text not null check (domain_age in ('young', 'middle', 'old', 'warmed_elsewhere')),
    provider text not null,
    seeds int not null check (seeds > 0),
    inbox int not null check (inbox >= 0 and inbox <= seeds),
    burst boolean not null default false,
    source text not null default '',
    unique (platform, domain, provider, at)
);
create index on mailfleet.placement_tests (platform, at);

create table mailfleet.sagas (
    id uuid primary key default gen_random_uuid(),
    migration_id uuid references mailfleet.migrations,
    kind text not null check (kind in ('rollback', 'drill')),
    from_platform text not null,
    to_platform text not null,
    trigger text not null,
    reason text not null,
    automatic boolean not null,
    campaigns jsonb not null,                      -- largest first: id, ref, client, what it was
    whole boolean not null default true,
    epoch bigint not null default 1,
    committed bigint,
    aborting boolean not null default false,
    decision text check (decision in ('proceed', 'resume')),
    decided_by text,
    opened_by text not null,
    opened_at timestamptz not null,
    ended_at timestamptz,
    outcome text check (outcome in ('done', 'stopped'))
);
create unique index sagas_one on mailfleet.sagas (from_platform, kind) where ended_at is null;

-- Written before a call leaves; one intent is open at a time, an attempt is made once.
create table mailfleet.saga_journal (
    saga_id uuid not null references mailfleet.sagas,
    no int not null,
    kind text not null,
    target text not null,
    attempt int not null,
    epoch bigint not null,
    outcome text not null check (outcome in ('intended', 'ok', 'rejected', 'unknown')),
    result jsonb not null default '{}',
    error text not null default '',
    actor text not null,
    at timestamptz not null,
    finished_at timestamptz,
    wall_at timestamptz not null default clock_timestamp(),
    primary key (saga_id, no),
    unique (saga_id, kind, target, attempt)
);
create unique index saga_journal_open on mailfleet.saga_journal (saga_id) where outcome = 'intended';

-- The snapshot: who waits for which step, taken once.
create table mailfleet.saga_leads (
    saga_id uuid not null references mailfleet.sagas,
    lead_id bigint not null references mailfleet.leads,
    campaign_id uuid not null references mailfleet.campaigns,
    next_step int not null,
    owner_epoch bigint not null,
    batch int not null,
    moved boolean,
    why text not null default '',
    primary key (saga_id, lead_id)
);

alter table mailfleet.holds drop constraint holds_scope_check;
alter table mailfleet.holds add constraint holds_scope_check check (scope in ('workspace', 'client', 'domain', 'mailbox', 'campaign', 'platform'));

do $$
declare
    t text;
begin
    foreach t in array array['migrations', 'migration_parameters', 'migration_phases', 'migration_routes', 'migration_verdicts', 'migration_log', 'migration_notes', 'migration_days', 'placement_tests', 'sagas', 'saga_journal', 'saga_leads']
    loop
        execute format('alter table mailfleet.%I enable row level security', t);
        execute format('grant select, insert, update, delete on mailfleet.%I to service_role', t);
        execute format('create policy service_all on mailfleet.%I to service_role using (true) with check (true)', t);
    end loop;
    grant select on mailfleet.placement_tests to authenticated;
    create policy member_reads on mailfleet.placement_tests for select to authenticated using (client_id in (select mailfleet.my_clients()));
end $$;
grant usage on all sequences in schema mailfleet to service_role;
