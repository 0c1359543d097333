-- Two runs side by side: one row per task and item of either, under the task's first metric that both have.
-- `a`, `b`: mean over the repeats with a score, in [0, 1], a refusal being 0 (NULL = none); `n_*` repeats asked (0 = the
-- item is not in that run); `unscored_*` of them; `cluster` numbers what items share, within the task.
with metric as (
    select task, coalesce(
        min(metric) filter (metric = 'acc'), min(metric) filter (not regexp_matches(metric, '_(strict|rescaled)$'))
    ) as metric
    from (
        select task, metric from sample where run_id in ($run_a, $run_b) group by all having count(distinct run_id) = 2
    )
    group by task
), answered as (
    select
        task, item_id, cluster, run_id = $run_a as is_a,
        case state when 'scored' then value when 'refused' then 0 end as value
    from sample
    semi join metric using (task, metric)
    where run_id in ($run_a, $run_b)
)
select
    task,
    hash(coalesce(any_value(cluster), item_id)) as cluster,
    avg(value) filter (is_a) as a,
    avg(value) filter (not is_a) as b,
    count(*) filter (is_a) as n_a,
    count(*) filter (not is_a) as n_b,
    count(*) filter (is_a and value is null) as unscored_a,
    count(*) filter (not is_a and value is null) as unscored_b
from answered
group by task, item_id
order by task, item_id
