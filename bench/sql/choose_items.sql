-- What each item of the named runs scored and cost: one row per run, task, metric and item. `value` in [0, 1] is the mean
-- over the repeats that have a score, a refusal being 0; NULL = none has. `usd` is US dollars per repeat, failures and
-- retries included; NULL = unknown, as it is where an attempt that was answered has no known cost.
with scored as (
    select
        run_id, task, metric, item_id, min(doc_id) as doc_id, min(coalesce(cluster, item_id)) as cluster,
        avg(case state when 'refused' then 0.0 when 'scored' then value end) as value,
        count(*) as n_repeats, count(*) filter (state not in ('scored', 'refused')) as n_unscored
    from sample
    where list_contains($run_ids, run_id)
    group by all
),
spent as (
    select
        request.run_id, request.task, request.doc_id,
        case
            when count(*) filter (usd is null and status in ('ok', 'refused', 'truncated', 'filtered')) = 0
            then sum(usd)
        end::double as usd
    from request
    join cost using (run_id, request_id)
    where list_contains($run_ids, request.run_id) and request.kind = 'quality'
    group by all
)
select scored.* exclude (doc_id), usd / n_repeats as usd
from scored
left join spent using (run_id, task, doc_id)
order by run_id, task, metric, item_id
