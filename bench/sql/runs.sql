-- Every run there is, newest first: one row per run.
select
    run.run_id, run.kind, run.suite, run.suite_version, run.target_id as target, target.layer, run.fingerprint,
    run.status, run.item_limit, run.repeats, run.seed, run.items, run.started_at, run.finished_at,
    count(distinct request.request_key) as n_questions, count(request.request_id) as n_attempts,
    count(request.request_id) filter (request.status not in ('ok', 'refused', 'truncated', 'filtered')) as n_failed
from run
left join target on target.target_id = run.target_id
left join request on request.run_id = run.run_id
group by all
order by run.run_id desc
