-- Who is at a platform without our having put them there: read by listing, so that nobody is written to from two sides.
create table mailfleet.vendor_leads (
    email_norm text collate "C" not null,
    platform text not null,
    account text not null default '',
    campaign_ref text collate "C" not null,
    ref text collate "C" not null,
    seen_at timestamptz not null,
    primary key (email_norm, platform, account, campaign_ref)
);
create index on mailfleet.vendor_leads (platform, account, campaign_ref);

-- How far each campaign there was read: its counter then tells whether it has to be read again.
create table mailfleet.vendor_campaigns (
    platform text not null,
    account text not null default '',
    ref text collate "C" not null,
    leads int not null,
    read_at timestamptz not null,
    primary key (platform, account, ref)
);
do $$
declare
    t text;
begin
    foreach t in array array['vendor_leads', 'vendor_campaigns'] loop
        execute format('alter table mailfleet.%I enable row level security', t);
        execute format('grant select, insert, update, delete on mailfleet.%I to service_role', t);
        execute format('create policy service_all on mailfleet.%I to service_role using (true) with check (true)', t);
    end loop;
end $$;
