-- Quality of the named runs: one row per run, task (or macro) and metric; values in [0, 1].
-- Tasks stand as in the suite, which is the order of scores.json and so of the rows; macro last.
select
    run.run_id, run.target_id as target, target.layer, run.suite, run.suite_version,
    score.task, score.metric, score.value, score.ci_low, score.ci_high, score.n, score.n_unscored,
    score.stderr, score.low_bound, score.high_bound, score.method, run.fingerprint, run.item_limit, run.started_at
from score
join run using (run_id)
left join target on target.target_id = run.target_id
where list_contains($run_ids, run.run_id)
order by
    run.suite, run.suite_version, target, run.run_id, score.task = 'macro',
    min(score.rowid) over (partition by score.run_id, score.task), score.metric
