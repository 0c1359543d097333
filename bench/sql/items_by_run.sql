-- Items of several runs: one row per task, item and run, under the task's first metric that all of them have.
-- `value`: mean over the repeats with a score, in [0, 1], a refusal being 0 (NULL = none); `n` repeats asked, `unscored`
-- of them; `cluster` numbers what items share, `item` the item.
with metric as (
    select task, coalesce(
        min(metric) filter (metric = 'acc'), min(metric) filter (not regexp_matches(metric, '_(strict|rescaled)$'))
    ) as metric
    from (
        select task, metric from sample where list_contains($run_ids, run_id) group by all
        having count(distinct run_id) = len($run_ids)
    )
    group by task
)
select
    task,
    hash(task, item_id) as item,
    hash(task, coalesce(any_value(cluster), item_id)) as cluster,
    run_id,
    avg(case state when 'scored' then value when 'refused' then 0 end) as value,
    count(*) as n,
    count(*) filter (state not in ('scored', 'refused') or (state = 'scored' and value is null)) as unscored
from sample
semi join metric using (task, metric)
where list_contains($run_ids, run_id)
group by task, item_id, run_id
