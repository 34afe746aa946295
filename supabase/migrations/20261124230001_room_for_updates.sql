-- Every mail moves its lead's delivery status and its days' sums: with room left on the page the new version stays there,
-- and none of the indexes is touched (heap-only tuples). Pages that are full already fill up as before.
alter table mailfleet.leads set (fillfactor = 85);
alter table mailfleet.rollups set (fillfactor = 70);
