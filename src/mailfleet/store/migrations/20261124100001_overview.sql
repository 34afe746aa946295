-- Commands that were given up are counted on the status page; without this the count would read the whole history.
create index outbox_dead on mailfleet.outbox (id) where state = 'dead';
