-- What mailboxes miss is for the people of their client to see; what was read of a domain, day by day.
grant select on mailfleet.criteria_missing to authenticated;
create policy member_reads on mailfleet.criteria_missing for select to authenticated using (
    mailbox_id in (select id from mailfleet.mailboxes where client_id in (select mailfleet.my_clients())));

-- One row a domain and local day, from the history of its mailboxes; seed tests beside it. Unknown stays null (I10).
create view mailfleet.domain_readings with (security_invoker = true) as
select d.id as domain_id, d.name as domain, r.day, count(distinct r.mailbox_id)::int as mailboxes,
       min(r.heat) as heat_lowest, percentile_cont(0.5) within group (order by r.heat) as heat_median,
       (count(*) filter (where r.heat is null))::int as heat_unknown,
       sum(r.warmup_sent_day)::int as warmup_sent, sum(r.campaign_sent)::int as campaign_sent,
       sum(r.bounces)::int as bounces, sum(r.complaints)::int as complaints, sum(r.opens)::int as opens,
       sum(r.replies)::int as replies, max(p.seeds)::int as placement_seeds, max(p.inbox)::int as placement_inbox,
       max(r.taken_at) as taken_at
from mailfleet.domains d
join mailfleet.mailboxes m on m.domain_id = d.id
join mailfleet.mailbox_readings r on r.mailbox_id = m.id
left join lateral (
    select sum(t.seeds) as seeds, sum(t.inbox) as inbox from mailfleet.placement_tests t
    where t.domain = d.name and (t.at at time zone 'utc')::date = r.day) p on true
group by d.id, d.name, r.day;
grant select on mailfleet.domain_readings to authenticated, service_role;
