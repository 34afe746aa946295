-- Row-level security from the first day: the second wall behind the server's own filters, the only one for a browser.
create function mailfleet.my_clients() returns setof uuid language sql stable security definer set search_path = '' as
$$ select client_id from mailfleet.client_members where user_id = (select auth.uid()) $$;
revoke all on function mailfleet.my_clients() from public;
grant execute on function mailfleet.my_clients() to authenticated, service_role;

do $$
declare
    t record;
begin
    for t in select c.relname, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'mailfleet' and c.relkind in ('r', 'p')
    loop
        execute format('alter table mailfleet.%I enable row level security', t.relname);
        execute format('grant select, insert, update, delete on mailfleet.%I to service_role', t.relname);
        if not exists (select from pg_policy where polrelid = t.oid) and t.relname !~ '^events_' then
            execute format('create policy service_all on mailfleet.%I to service_role using (true) with check (true)', t.relname);
        end if;
    end loop;

    -- Members of a client read that client's rows; the select around the call makes it run once a statement, not once a row.
    for t in select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
             join pg_attribute a on a.attrelid = c.oid and a.attname = 'client_id' and not a.attisdropped
             where n.nspname = 'mailfleet' and c.relkind in ('r', 'p') and c.relname !~ '^events_'
    loop
        execute format('grant select on mailfleet.%I to authenticated', t.relname);
        execute format('create policy member_reads on mailfleet.%I for select to authenticated using (client_id in (select mailfleet.my_clients()))', t.relname);
    end loop;
    grant select on mailfleet.clients to authenticated;
    create policy member_reads on mailfleet.clients for select to authenticated using (id in (select mailfleet.my_clients()));
end $$;
grant usage on all sequences in schema mailfleet to service_role;
