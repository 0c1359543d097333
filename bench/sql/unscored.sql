-- What became of the items of the named runs: one row per run, task and state, `scored` among them.
-- Counted under the task's first metric: every metric of a sample shares its state.
select run_id, target_id as target, task, state, count(*) as n
from sample
where list_contains($run_ids, run_id)
    and metric = (
        select min(other.metric) from sample as other where other.run_id = sample.run_id and other.task = sample.task
    )
group by all
order by all
