-- The foundation: who the clients are, who may read, secrets, decisions, intents. Runs unchanged on Supabase and on PostgreSQL 15 to 18.
create schema if not exists mailfleet;
grant usage on schema mailfleet to service_role, authenticated;

create table mailfleet.clients (
    id uuid primary key default gen_random_uuid(),
    slug text collate "C" not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text not null,
    timezone text not null default 'UTC',
    country text not null default 'AU' check (country ~ '^[A-Z]{2}$'),
    identity jsonb not null default '{}',          -- legal name, company number, postal address, reply contact (dns-mail L5)
    policy jsonb not null default '{}',            -- overrides of the policy file for this client
    created_at timestamptz not null default now()
);

create table mailfleet.client_members (
    client_id uuid not null references mailfleet.clients,
    user_id uuid not null,
    role text not null default 'viewer' check (role in ('viewer', 'operator', 'owner')),
    primary key (client_id, user_id)
);

-- Mailboxes are made for named people who exist in this list; nothing invents one.
create table mailfleet.personas (
    id uuid primary key default gen_random_uuid(),
    client_id uuid not null references mailfleet.clients,
    position int not null,
    local_part text collate "C" not null,
    first_name text not null,
    last_name text not null,
    signature text not null default '',
    unique (client_id, position),
    unique (client_id, local_part)
);

-- Envelope encryption: a data key per row, itself encrypted by the key-encryption key named in key_id.
create table mailfleet.secrets (
    id uuid primary key default gen_random_uuid(),
    purpose text not null,
    key_id text not null,
    wrapped_key bytea not null,
    ciphertext bytea not null,
    created_at timestamptz not null default now(),
    rotated_at timestamptz
);

-- Every change of a state machine's state, made by compare-and-set, with what decided it.
create table mailfleet.transitions (
    id bigint generated always as identity primary key,
    entity text not null,
    entity_id text not null,
    from_state text not null,
    to_state text not null,
    event text not null,
    reason text not null,
    evidence jsonb not null default '{}',
    rule text not null default '',
    rule_version text not null default '',
    actor text not null,
    at timestamptz not null
);
create index on mailfleet.transitions (entity, entity_id, id);

-- Append-only record of who did what and why.
create table mailfleet.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    actor text not null,
    action text not null,
    entity text not null,
    entity_id text not null,
    reason text not null default '',
    detail jsonb not null default '{}'
);
create index on mailfleet.audit (entity, entity_id, id);

create table mailfleet.approvals (
    id uuid primary key default gen_random_uuid(),
    action text not null,
    scope jsonb not null default '{}',
    ceiling_cents bigint,
    currency text,
    requested_by text not null,
    requested_at timestamptz not null,
    needed int not null default 1 check (needed between 1 and 5),
    approved_by text[] not null default '{}',
    approved_at timestamptz,
    expires_at timestamptz not null,
    withdrawn_at timestamptz,
    used_at timestamptz,
    reason text not null default ''
);

-- Written before a write leaves for a vendor; an unknown outcome is found again here and settled by reading.
create table mailfleet.journal (
    id uuid primary key default gen_random_uuid(),
    vendor text not null,
    operation text not null,
    key_id text not null default '',               -- fingerprint of the API key, never the key
    target text not null default '',
    request jsonb not null default '{}',           -- redacted
    match jsonb not null default '{}',             -- what reconciliation reads and compares
    state text not null default 'intended' check (state in ('intended', 'done', 'refused', 'ambiguous', 'reconciled_done', 'reconciled_absent', 'unreadable', 'abandoned')),
    outcome jsonb not null default '{}',
    error text not null default '',
    actor text not null default '',
    intended_at timestamptz not null,
    wall_at timestamptz not null default clock_timestamp(),  -- by the server: how long ago it really left
    finished_at timestamptz,
    reconciled_at timestamptz
);
create index on mailfleet.journal (state, wall_at) where state in ('intended', 'ambiguous');
create index on mailfleet.journal (vendor, operation, target, intended_at);
create index on mailfleet.journal ((match ->> 'notice')) where match ? 'notice';

-- Commands that follow from a committed decision. A worker process takes them with "for update skip locked".
create table mailfleet.outbox (
    id bigint generated always as identity primary key,
    topic text not null,
    dedupe_key text collate "C",
    payload jsonb not null default '{}',
    state text not null default 'pending' check (state in ('pending', 'done', 'dead')),
    attempts int not null default 0,
    run_at timestamptz not null,
    created_at timestamptz not null,
    done_at timestamptz,
    error text not null default ''
);
create unique index outbox_once on mailfleet.outbox (dedupe_key) where dedupe_key is not null;
create index outbox_due on mailfleet.outbox (run_at, id) where state = 'pending';

-- One budget per API key over all processes. Calls admitted are numbered, so whether a window is full is one look at
-- the call that is `limit` numbers back, however wide the window.
create table mailfleet.api_keys (
    key_id text collate "C" primary key,
    vendor text not null,
    windows jsonb not null,                        -- [[limit, seconds], …] by plan, or as learned from headers
    learned boolean not null default false,
    last bigint not null default 0,
    blocked_until timestamptz,
    updated_at timestamptz not null default now()
);
create table mailfleet.api_takes (
    key_id text collate "C" not null references mailfleet.api_keys,
    n bigint not null,
    at timestamptz not null,
    urgent boolean not null default false,
    primary key (key_id, n)
);

-- 0: one call is admitted and counted in every window. Else the seconds to wait, and nothing is taken. A function, and not
-- a statement, because the look at the windows needs a snapshot taken after the key's row was locked.
create function mailfleet.api_take(key text, of_vendor text, plan jsonb, reserved numeric, is_urgent boolean, slack numeric)
returns double precision language plpgsql as $$
declare
    mine mailfleet.api_keys;
    instant timestamptz;
    wait interval;
    widest bigint;
begin
    perform set_config('synchronous_commit', 'off', true);  -- losing a fraction of a second of these rows harms nobody
    select * into mine from mailfleet.api_keys where key_id = key for update;
    if not found then
        insert into mailfleet.api_keys (key_id, vendor, windows) values (key, of_vendor, plan) on conflict do nothing;
        select * into mine from mailfleet.api_keys where key_id = key for update;
    end if;
    if not mine.learned and mine.windows <> plan then
        update mailfleet.api_keys set windows = plan, updated_at = clock_timestamp() where key_id = key;
        mine.windows := plan;
    end if;
    instant := clock_timestamp();
    if mine.blocked_until > instant then
        return extract(epoch from mine.blocked_until - instant);
    end if;
    select max(taken.at + make_interval(secs => (span + slack)::double precision) - instant), max(most)
    into wait, widest
    from (select (w ->> 0)::bigint as most, (w ->> 1)::numeric as span from jsonb_array_elements(mine.windows) w) windows
    left join mailfleet.api_takes taken on taken.key_id = key
        and taken.n = mine.last + 1 - most
            + case when is_urgent or reserved = 0 or most = 1 then 0 else greatest(1, floor(most * reserved)::bigint) end;
    if wait > interval '0' then
        return extract(epoch from wait);
    end if;
    insert into mailfleet.api_takes (key_id, n, at, urgent) values (key, mine.last + 1, instant, is_urgent);
    update mailfleet.api_keys set last = mine.last + 1 where key_id = key;
    if mine.last % 256 = 0 then
        delete from mailfleet.api_takes where key_id = key and n < mine.last - widest;
    end if;
    return 0;
end $$;
revoke all on function mailfleet.api_take(text, text, jsonb, numeric, boolean, numeric) from public;
grant execute on function mailfleet.api_take(text, text, jsonb, numeric, boolean, numeric) to service_role;

create table mailfleet.circuits (
    vendor text primary key,
    state text not null default 'closed' check (state in ('closed', 'open', 'half_open')),
    failures int not null default 0,
    opened_at timestamptz,
    probe_at timestamptz,
    last_error text not null default ''
);

create table mailfleet.vendor_calls (
    minute timestamptz not null,
    vendor text not null,
    operation text not null,
    status text not null,                          -- HTTP status, or the name of the failure
    calls int not null default 0,
    attempts int not null default 0,
    ms_sum bigint not null default 0,
    ms_max int not null default 0,
    primary key (minute, vendor, operation, status)
);

create table mailfleet.alerts (
    id uuid primary key default gen_random_uuid(),
    fact_key text collate "C" not null unique,     -- one alert per fact, however often it is noticed
    kind text not null,
    severity text not null check (severity in ('info', 'warning', 'urgent', 'critical', 'emergency')),
    client_id uuid references mailfleet.clients,
    title text not null,
    body text not null,
    context jsonb not null default '{}',
    created_at timestamptz not null,
    resolved_at timestamptz
);
create table mailfleet.deliveries (
    id uuid primary key default gen_random_uuid(),
    alert_id uuid not null references mailfleet.alerts,
    channel text not null check (channel in ('slack', 'sms', 'email')),
    target text not null,
    state text not null default 'pending' check (state in ('pending', 'sent', 'failed', 'dead', 'unknown')),
    attempts int not null default 0,
    next_at timestamptz not null,
    sent_at timestamptz,
    vendor_ref text not null default '',
    error text not null default '',
    unique (alert_id, channel, target)
);
create index on mailfleet.deliveries (next_at) where state in ('pending', 'failed');

create table mailfleet.incidents (
    id uuid primary key default gen_random_uuid(),
    kind text not null,
    scope text not null,
    scope_id text not null,
    opened_at timestamptz not null,
    closed_at timestamptz,
    summary text not null default '',
    evidence jsonb not null default '{}'
);
create unique index on mailfleet.incidents (kind, scope, scope_id) where closed_at is null;

-- What stops sending or new leads, who stopped it and who may release it. A person's or a vendor's hold is never released by the machine.
create table mailfleet.holds (
    id uuid primary key default gen_random_uuid(),
    scope text not null check (scope in ('workspace', 'client', 'domain', 'mailbox', 'campaign')),
    scope_id text not null,
    kind text not null check (kind in ('sending', 'new_leads')),
    reason text not null check (reason <> ''),
    actor text not null,
    actor_kind text not null check (actor_kind in ('machine', 'person', 'vendor')),
    evidence jsonb not null default '{}',
    since timestamptz not null,
    confirmed_at timestamptz,                      -- when the vendor's own read showed it
    released_at timestamptz,
    released_by text
);
create unique index holds_one on mailfleet.holds (scope, scope_id, kind, actor_kind) where released_at is null;
