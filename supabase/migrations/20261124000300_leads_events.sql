-- Leads, who owns each, who may never be written to, and everything that happened.
create table mailfleet.imports (
    id uuid primary key default gen_random_uuid(),
    client_id uuid not null references mailfleet.clients,
    file_name text not null,
    sha256 text not null,
    columns jsonb not null default '{}',           -- file column → our field
    state text not null default 'running' check (state in ('running', 'done', 'failed')),
    rows_read bigint not null default 0,
    taken bigint not null default 0,
    refused bigint not null default 0,
    unknown_country bigint not null default 0,     -- judged by the strictest rule, taken or refused (L1)
    started_at timestamptz not null,
    finished_at timestamptz
);
create table mailfleet.import_refusals (
    import_id uuid not null references mailfleet.imports,
    row_no bigint not null,                        -- as a spreadsheet counts: the header is row 1
    field text not null default '',
    value text not null default '',
    rule text not null,
    detail text not null default '',
    culprit text not null default '',
    primary key (import_id, row_no)
);

create table mailfleet.leads (
    id bigint generated always as identity primary key,
    client_id uuid not null references mailfleet.clients,
    email text not null,                           -- as given
    email_norm text collate "C" not null,
    domain text collate "C" not null,              -- registrable domain, by the public suffix list
    free_mail boolean not null default false,      -- at a provider shared by strangers: exempt from the domain rule (S10)
    role_address boolean not null default false,   -- a function's address (info@), not a person's
    person_key text collate "C" not null default '', -- folded name and domain, for suppression by person
    first_name text not null default '',
    last_name text not null default '',
    company text not null default '',
    company_norm text collate "C" not null default '',
    country text not null default '',
    timezone text not null default '',
    fields jsonb not null default '{}',            -- further merge fields
    source text not null default '',
    source_at timestamptz,
    legal_basis jsonb not null default '{}',       -- basis, evidence, captured_at, role, relevance, no_marketing_statement (L2)
    import_id uuid references mailfleet.imports,
    import_row bigint,
    campaign_id uuid references mailfleet.campaigns,
    status text not null default 'ready_to_send' check (status in ('new', 'ready_to_send', 'invalid', 'excluded', 'in_sequence', 'lead_hot', 'rejected', 'paused_ooo', 'held', 'needs_review', 'completed')),
    email_status text not null default '' check (email_status in ('', 'sent', 'opened', 'clicked', 'replied', 'bounced', 'unsubscribed', 'spam_complaint')),
    smartlead_id text,
    step_reached int not null default 0,
    resume_at timestamptz,
    soft_bounces int not null default 0,
    invalid_reason text not null default '',
    last_event_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (client_id, email_norm)
);
create index leads_ready on mailfleet.leads (campaign_id, id) where status = 'ready_to_send';
create index leads_domain on mailfleet.leads (domain);
create index leads_email on mailfleet.leads (email_norm);
create index leads_person on mailfleet.leads (person_key);
create index leads_resume on mailfleet.leads (resume_at) where resume_at is not null;

-- The ledger (I1): one owner per lead, changed only by compare-and-set on epoch.
create table mailfleet.lead_ownership (
    lead_id bigint primary key references mailfleet.leads,
    platform text not null,
    campaign_id uuid not null references mailfleet.campaigns,
    epoch bigint not null default 1,
    state text not null check (state in ('claimed', 'ambiguous', 'active', 'paused', 'stopped', 'completed', 'released')),
    batch_id uuid,
    ref text collate "C",                          -- the platform's lead id
    map_ref text collate "C",                      -- the platform's id of the lead in the campaign
    claimed_at timestamptz not null,
    pushed_at timestamptz,
    stopped_at timestamptz,
    stop_reason text not null default '',
    updated_at timestamptz not null
);
create index on mailfleet.lead_ownership (campaign_id, state);
create index on mailfleet.lead_ownership (platform, ref);
create index on mailfleet.lead_ownership (batch_id) where batch_id is not null;

create table mailfleet.push_batches (
    id uuid primary key default gen_random_uuid(),
    campaign_id uuid not null references mailfleet.campaigns,
    platform text not null,
    state text not null default 'claimed' check (state in ('claimed', 'ambiguous', 'done', 'refused')),
    leads int not null,
    result jsonb not null default '{}',
    created_at timestamptz not null,
    finished_at timestamptz
);

-- Last touch per address and per organisation, counted from the claim (S10).
create table mailfleet.contacts (
    kind text not null check (kind in ('address', 'domain', 'company')),
    key text collate "C" not null,
    last_at timestamptz not null,
    lead_id bigint,
    campaign_id uuid,
    primary key (kind, key)
);
create index contacts_lead on mailfleet.contacts (lead_id);

-- Why a lead was not sent: the rule and the record that excluded it.
create table mailfleet.lead_exclusions (
    lead_id bigint not null references mailfleet.leads,
    campaign_id uuid,
    rule text not null,
    culprit text not null default '',
    at timestamptz not null
);
create index on mailfleet.lead_exclusions (lead_id);

create table mailfleet.suppressions (
    id uuid primary key default gen_random_uuid(),
    scope text not null check (scope in ('address', 'domain', 'person')),
    key text collate "C",                          -- null after an erasure: the keyed hash stays
    key_hash bytea not null,
    client_id uuid references mailfleet.clients,   -- null: everywhere
    reason text not null check (reason in ('hard_bounce', 'unsubscribe', 'complaint', 'negative_reply', 'invalid', 'manual', 'import', 'vendor', 'erasure')),
    source text not null default '',
    evidence jsonb not null default '{}',
    created_at timestamptz not null,
    created_by text not null
);
create unique index suppressions_global on mailfleet.suppressions (scope, key_hash) where client_id is null;
create unique index suppressions_client on mailfleet.suppressions (scope, key_hash, client_id) where client_id is not null;
create index suppressions_key on mailfleet.suppressions (key);
create index suppressions_created on mailfleet.suppressions (created_at);

-- The keyed hash by which a suppression outlives an erasure (dns-mail L9).
create function mailfleet.suppression_hash(pepper bytea, scope text, value text) returns bytea
language sql immutable parallel safe as
$$ select sha256(pepper || convert_to(scope || ':' || value, 'UTF8')) $$;

-- Raw webhooks as received, before anything is understood. The id begins with the event's own milliseconds.
create table mailfleet.webhook_inbox (
    id uuid primary key,
    platform text not null,
    received_at timestamptz not null,
    headers jsonb not null default '{}',
    body jsonb not null,
    state text not null default 'new' check (state in ('new', 'applied', 'ignored', 'unknown', 'dead')),
    attempts int not null default 0,
    error text not null default '',
    applied_at timestamptz
);
create index webhook_inbox_new on mailfleet.webhook_inbox (id) where state = 'new';

-- One partition a month by the id itself: the primary key is one column, holds everywhere, and a replay is a no-op.
create table mailfleet.events (
    id uuid primary key,
    at timestamptz not null,
    received_at timestamptz not null,
    source text not null default 'webhook' check (source in ('webhook', 'poll', 'operator', 'report')),
    platform text not null,
    kind text not null check (kind in ('sent', 'opened', 'clicked', 'replied', 'bounced', 'unsubscribed', 'complained', 'category_changed', 'campaign_status', 'mailbox_disconnected', 'bounce_breach')),
    client_id uuid,
    campaign_id uuid,
    mailbox_id uuid,
    lead_id bigint,
    step int,
    message_ref text,
    detail jsonb not null default '{}'
) partition by range (id);
create table mailfleet.events_other partition of mailfleet.events default;
create index on mailfleet.events (lead_id, id);
create index on mailfleet.events (campaign_id, kind, id);
create index on mailfleet.events (mailbox_id, kind, id);

create function mailfleet.uuid_floor(t timestamptz) returns uuid language sql immutable as
$$ select (lpad(to_hex((extract(epoch from t) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

-- Months are made ahead (a month cannot be added while the default partition holds rows of it) and dropped when past retention.
create function mailfleet.events_keep(today timestamptz, ahead int, keep int) returns void language plpgsql as $$
declare
    month timestamptz := date_trunc('month', today at time zone 'utc') at time zone 'utc';
    start timestamptz;
    old text;
begin
    perform set_config('lock_timeout', '2s', true);
    for i in -1..ahead loop
        start := (month at time zone 'utc' + make_interval(months => i)) at time zone 'utc';
        execute format('create table if not exists mailfleet.%I partition of mailfleet.events for values from (%L) to (%L)',
            'events_' || to_char(start at time zone 'utc', 'YYYYMM'),
            mailfleet.uuid_floor(start), mailfleet.uuid_floor((start at time zone 'utc' + interval '1 month') at time zone 'utc'));
        execute format('alter table mailfleet.%I enable row level security', 'events_' || to_char(start at time zone 'utc', 'YYYYMM'));
    end loop;
    for old in select c.relname from pg_inherits join pg_class c on c.oid = inhrelid
        where inhparent = 'mailfleet.events'::regclass and c.relname ~ '^events_\d{6}$'
          and c.relname < 'events_' || to_char((month at time zone 'utc') - make_interval(months => keep), 'YYYYMM')
    loop
        execute format('drop table mailfleet.%I', old);
    end loop;
end $$;
select mailfleet.events_keep(now(), 12, 18);

create table mailfleet.rollups (
    scope text not null check (scope in ('workspace', 'client', 'campaign', 'mailbox', 'domain', 'provider')),
    scope_id text not null,
    day date not null,
    sent int not null default 0,
    opened int not null default 0,
    clicked int not null default 0,
    replied int not null default 0,
    bounced_hard int not null default 0,
    bounced_soft int not null default 0,
    blocked int not null default 0,
    complained int not null default 0,
    unsubscribed int not null default 0,
    primary key (scope, scope_id, day)
);

create table mailfleet.replies (
    id uuid primary key,                           -- the event's id
    at timestamptz not null,
    client_id uuid,
    campaign_id uuid,
    mailbox_id uuid,
    lead_id bigint references mailfleet.leads,
    subject text not null default '',
    text text not null,                            -- whole body, for the person
    stripped text not null,                        -- what the person wrote
    category text not null check (category in ('positive', 'negative', 'out_of_office', 'unknown')),
    subcategory text check (subcategory in ('unsubscribe', 'wrong_person', 'info_request')),
    rule text not null,
    confidence numeric not null,
    return_date date,
    state text not null default 'decided' check (state in ('decided', 'review', 'undone')),
    decided_by text not null default 'machine'
);
create index on mailfleet.replies (lead_id);

create table mailfleet.tasks (
    id uuid primary key default gen_random_uuid(),
    kind text not null check (kind in ('follow_up_call', 'review_reply', 'investigate', 'other')),
    client_id uuid,
    lead_id bigint,
    reply_id uuid,
    owner text not null default '',
    due_at timestamptz not null,
    done_at timestamptz,
    done_by text,
    note text not null default '',
    created_at timestamptz not null,
    unique (kind, reply_id)
);

-- What happened between two runs of the lead sync, counted once: a run takes the rows and reports their sums.
create table mailfleet.sync_tallies (
    id bigint generated always as identity primary key,
    campaign_id uuid,
    kind text not null,
    n int not null,
    at timestamptz not null
);

-- How far each second source has been read.
create table mailfleet.watermarks (
    source text primary key,
    at timestamptz not null,
    detail jsonb not null default '{}'
);

-- One row a flow run, ours: keys and values as returned, so the answer survives the orchestrator.
create table mailfleet.flow_results (
    id uuid primary key default gen_random_uuid(),
    flow text not null,
    flow_run_id text not null default '',
    started_at timestamptz not null,
    finished_at timestamptz,
    parameters jsonb not null default '{}',
    result jsonb not null default '{}',
    error text not null default ''
);
create index on mailfleet.flow_results (flow, started_at);
