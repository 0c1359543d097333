-- The runs whose items can be compared, newest first: judged ones, one row each. `tasks` is sorted and comma-separated;
-- `target` is JSON, as in run.json.
select
    run.run_id, run.target_id, run.fingerprint, run.suite, run.suite_version, run.suite_hash, run.items,
    run.item_limit, run.seed, run.status, run.target, judged.tasks
from run
join (
    select run_id, string_agg(distinct task, ',' order by task) as tasks from score where task <> 'macro' group by run_id
) as judged using (run_id)
order by run.run_id desc
