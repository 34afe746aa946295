-- Who stands in for a mailbox that left a campaign.
alter table mailfleet.campaign_mailboxes add column replaced_by uuid references mailfleet.mailboxes;
