-- Median time of one answer in the newest run of a target that has any: one row; milliseconds.
select median(e2e_ms) as e2e_ms
from latency
where target_id = $target_id and e2e_ms is not null and run_id = (
    select max(run_id) from latency where target_id = $target_id and e2e_ms is not null
)
