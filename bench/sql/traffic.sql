-- What limits did to the named runs: one row per change of the window and per hold, in order; seconds.
select run_id, target_id as target, changed_at, after_s, width, why, held_s, lost_s, refusals
from traffic
where list_contains($run_ids, run_id)
order by run_id, changed_at, after_s
