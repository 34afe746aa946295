-- Domains with their desired and observed records, mailboxes with their readings, campaigns, and which vendor object is which of ours.
create table mailfleet.domains (
    id uuid primary key default gen_random_uuid(),
    client_id uuid not null references mailfleet.clients,
    name text collate "C" not null unique check (name = lower(name)),
    only_outreach boolean not null default true,   -- a domain with other mail starts DMARC at p=none (D4)
    state text not null default 'new' check (state in ('new', 'zone_ready', 'awaiting_key', 'records_written', 'verifying', 'verified', 'failed')),
    state_since timestamptz not null,
    mailbox_host text not null default 'custom_smtp',
    dns_host text not null default 'cloudflare',
    zone_ref text,
    nameservers text[] not null default '{}',
    mailboxes_wanted int not null default 0,
    verify_until timestamptz,                      -- after this an alert is raised; the domain stays verifying (D5)
    verified_at timestamptz,
    last_good jsonb not null default '{}',         -- last evidence that passed; a transient miss does not overwrite it
    errors jsonb not null default '[]',
    created_at timestamptz not null
);

create table mailfleet.dkim_keys (
    id uuid primary key default gen_random_uuid(),
    domain_id uuid not null references mailfleet.domains,
    selector text not null,
    record text,                                   -- null while the host has not issued it: state awaiting_key
    secret_id uuid references mailfleet.secrets,   -- the private key, when we made it
    issued_by text not null,
    issued_at timestamptz,
    unique (domain_id, selector)
);

create table mailfleet.dns_records (
    id uuid primary key default gen_random_uuid(),
    domain_id uuid not null references mailfleet.domains,
    purpose text not null check (purpose in ('spf', 'dkim', 'dmarc', 'mx', 'tracking', 'report', 'foreign')),
    type text not null,
    name text collate "C" not null,                -- fully qualified, lower case, no trailing dot
    priority int,
    ttl int not null default 300,
    desired text,                                  -- null: not ours, only observed
    previous text,                                 -- what stood there before we merged, for a way back
    provider_ref text,
    observed jsonb not null default '[]',
    outcome text not null default 'unknown' check (outcome in ('unknown', 'match', 'mismatch', 'missing', 'error')),
    written_at timestamptz,
    checked_at timestamptz,
    evidence jsonb not null default '{}'
);
create unique index dns_records_one on mailfleet.dns_records (domain_id, purpose, type, name, coalesce(priority, -1)) where desired is not null;

create table mailfleet.mailboxes (
    id uuid primary key default gen_random_uuid(),
    client_id uuid not null references mailfleet.clients,
    domain_id uuid references mailfleet.domains,
    persona_id uuid references mailfleet.personas,
    address text collate "C" not null unique check (address = lower(address)),
    display_name text not null default '',
    timezone text not null default 'UTC',
    state text not null default 'NEW' check (state in ('NEW', 'WARMING', 'PRODUCTION', 'DEGRADED', 'RETIRED', 'ERROR')),
    state_since timestamptz not null,
    version bigint not null default 0,             -- compare-and-set
    warming_since timestamptz,
    warmup_days int not null default 0,            -- days with at least one warm-up mail since entering WARMING (S6)
    warm_elsewhere boolean not null default false,
    warmup_owner text not null default 'smartlead',
    error_retries int not null default 0,
    host text not null default 'custom_smtp',
    secret_id uuid references mailfleet.secrets,
    connected boolean,
    disabled_since timestamptz,
    heat numeric,
    heat_state text not null default 'UNKNOWN' check (heat_state in ('UNKNOWN', 'THIN', 'OK')),
    limit_factor numeric not null default 1 check (limit_factor between 0 and 1),
    monitor_minutes int not null default 15,
    estimated_ready_date date,
    created_at timestamptz not null
);
create index on mailfleet.mailboxes (client_id, state);

create table mailfleet.mailbox_readings (
    mailbox_id uuid not null references mailfleet.mailboxes,
    day date not null,                             -- the mailbox's own local day
    platform text not null,
    heat numeric,
    heat_state text not null check (heat_state in ('UNKNOWN', 'THIN', 'OK')),
    vendor_reputation numeric,
    warmup_sent int, warmup_inbox int, warmup_spam int,           -- over the vendor's trailing window (7 days)
    warmup_sent_day int,                                          -- on this day alone
    campaign_sent int not null default 0,
    bounces int not null default 0,
    complaints int not null default 0,
    opens int not null default 0,
    replies int not null default 0,
    raw jsonb not null default '{}',
    taken_at timestamptz not null,
    primary key (mailbox_id, day, platform)
);

-- What a mailbox may send on its local day, computed before and checked after (S2, I6).
create table mailfleet.mailbox_budgets (
    mailbox_id uuid not null references mailfleet.mailboxes,
    day date not null,
    hard_limit int not null,
    campaign_cap int not null,
    warmup_target int not null,
    applied jsonb not null default '{}',           -- what the vendor accepted and what was clamped (V4)
    rule_version text not null,
    computed_at timestamptz not null,
    primary key (mailbox_id, day)
);

create table mailfleet.campaigns (
    id uuid primary key default gen_random_uuid(),
    client_id uuid not null references mailfleet.clients,
    name text not null,
    state text not null default 'draft' check (state in ('draft', 'ready', 'running', 'paused', 'completed', 'archived')),
    state_since timestamptz not null,
    version bigint not null default 0,
    platform text not null default 'smartlead',
    config jsonb not null,
    config_hash text not null,
    sequence_id uuid not null default gen_random_uuid(),
    paused_by text check (paused_by in ('machine', 'person', 'vendor')),
    pause_reason text not null default '',
    started_at timestamptz,
    created_at timestamptz not null,
    unique (client_id, name)
);

create table mailfleet.steps (
    id uuid primary key default gen_random_uuid(),
    campaign_id uuid not null references mailfleet.campaigns,
    position int not null check (position between 1 and 50),
    variant text not null default '',
    subject text not null,
    body text not null,
    delay_days int not null check (delay_days >= 0),
    unique (campaign_id, position, variant)
);

create table mailfleet.campaign_mailboxes (
    campaign_id uuid not null references mailfleet.campaigns,
    mailbox_id uuid not null references mailfleet.mailboxes,
    daily_cap int not null default 0,
    added_at timestamptz not null,
    removed_at timestamptz,
    primary key (campaign_id, mailbox_id)
);

-- Ours ↔ theirs, for everything but leads (their references live in the ownership ledger).
create table mailfleet.platform_links (
    kind text not null check (kind in ('client', 'mailbox', 'campaign', 'sequence', 'step', 'webhook', 'category')),
    platform text not null,
    ours text collate "C" not null,
    ref text collate "C" not null,
    extra jsonb not null default '{}',
    created_at timestamptz not null,
    primary key (platform, kind, ours),
    unique (platform, kind, ref)
);
