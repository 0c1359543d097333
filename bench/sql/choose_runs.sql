-- Whom and what the named quality runs asked, with what their run says of the model: one row per run.
select
    run.run_id, run.target_id as target, run.suite, run.suite_version, run.item_limit, run.started_at,
    target.layer, target.provider, target.engine, target.model, model.released, model.access
from run
left join target on target.target_id = run.target_id
left join model on model.model = target.model
where list_contains($run_ids, run.run_id)
order by run.run_id
