-- What a reply was taken for before a person decided, so that the decision can be undone.
alter table mailfleet.replies add column was jsonb not null default '{}';
