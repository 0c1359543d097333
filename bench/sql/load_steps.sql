-- The steps of the named load runs as they were written, with what their run says: one row per step.
select
    load_step.* exclude (target_id), run.target_id as target, target.layer, run.suite, run.fingerprint, run.status,
    strftime(run.started_at, '%Y-%m-%dT%H:%M:%SZ') as started_at
from load_step
join run using (run_id)
left join target on target.target_id = run.target_id
where list_contains($run_ids, run_id)
order by run_id, step
