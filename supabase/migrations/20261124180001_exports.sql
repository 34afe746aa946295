-- Exports: an index of archives and of their parts. What an archive holds is in its files alone, encrypted.
create table mailfleet.exports (
    id uuid primary key,
    source text not null,
    prefix text not null unique,                   -- of its files at every place
    state text not null default 'running' check (state in ('running', 'done', 'pruned')),
    places jsonb not null,                         -- name → address
    recipients text[] not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    manifest_sha256 jsonb not null default '{}',   -- place → digest of the encrypted manifest there
    counts jsonb not null default '{}',            -- dataset → {rows, before, after}
    verified_at timestamptz,
    pruned_at timestamptz,
    error text not null default ''
);
create index on mailfleet.exports (source, started_at);

create table mailfleet.export_parts (
    export_id uuid not null references mailfleet.exports on delete cascade,
    dataset text not null,
    n int not null,
    rows int not null,
    digest text not null,                          -- of the rows, whatever their order
    tail jsonb not null default '[]',              -- digests of the last page's keys: a page that moved repeats them
    next_start text,                               -- null: this was the dataset's last part
    files jsonb not null,                          -- kind → {key, bytes, sha256}, encrypted as stored
    primary key (export_id, dataset, n)
);

-- What an archive held, read back: the canonical line as it was (text, since jsonb cannot hold every string).
create table mailfleet.restored (
    archive uuid not null,
    dataset text not null,
    n bigint not null,
    line text not null,
    secret_id uuid references mailfleet.secrets,   -- the secret columns of the row, encrypted
    primary key (archive, dataset, n)
);
create table mailfleet.restorations (
    archive uuid primary key,
    source text not null,
    manifest jsonb not null,
    restored_at timestamptz not null
);

-- What a platform does not keep itself: sampled daily from the day of connection.
create table mailfleet.platform_samples (
    platform text not null,
    kind text not null check (kind in ('mailbox', 'campaign', 'placement')),
    ref text not null,
    day date not null,
    sample jsonb not null,
    sampled_at timestamptz not null,
    primary key (platform, kind, ref, day)
);

do $$
declare
    name text;
begin
    foreach name in array array['exports', 'export_parts', 'restored', 'restorations', 'platform_samples'] loop
        execute format('alter table mailfleet.%I enable row level security', name);
        execute format('grant select, insert, update, delete on mailfleet.%I to service_role', name);
        execute format('create policy service_all on mailfleet.%I to service_role using (true) with check (true)', name);
    end loop;
end $$;
