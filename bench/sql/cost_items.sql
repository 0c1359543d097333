-- What each item of the named quality runs took: one row per item and repeat that was asked. US dollars as text (exact);
-- NULL when an answered attempt's price is unknown. All attempts count, failed and repeated ones too; replays do not.
-- `value` is of the task's primary metric: `acc`, else the first that is no variant of another. A refusal is worth 0.
with metrics as (select distinct run_id, task, metric from sample),
main as (
    select * from metrics
    qualify row_number() over (
        partition by run_id, task
        order by metric != 'acc', suffix(metric, '_strict') or suffix(metric, '_rescaled'), metric
    ) = 1
),
trial as (
    select
        sample.run_id, sample.task, sample.doc_id, sample.repeat, item_id, coalesce(cluster, item_id) as cluster,
        case when state = 'refused' then 0 else value end as value
    from sample
    join main using (run_id, task, metric)
),
spent as (
    select
        request.run_id, request.task, request.doc_id, coalesce(request.repeat, 0) as repeat,
        case
            when count(*) filter (usd is null and status in ('ok', 'refused', 'truncated', 'filtered')) = 0 then sum(usd)
        end as usd,
        count(*) as attempts,
        coalesce(sum(in_tokens), 0)::bigint as in_tokens,
        coalesce(sum(in_cached_tokens), 0)::bigint as in_cached_tokens,
        coalesce(sum(out_tokens), 0)::bigint as out_tokens,
        count(*) filter (in_tokens is null and status in ('ok', 'refused', 'truncated', 'filtered')) as uncounted
    from request
    join cost using (run_id, request_id)
    where list_contains($run_ids, request.run_id) and request.doc_id is not null
    group by all
)
select
    spent.run_id, spent.task, coalesce(item_id, spent.doc_id::varchar) as item, coalesce(cluster, item, '') as cluster,
    value, usd::varchar as usd, attempts, in_tokens, in_cached_tokens, out_tokens, uncounted
from spent
left join trial
    on trial.run_id = spent.run_id and trial.task = spent.task and trial.doc_id = spent.doc_id
    and trial.repeat = spent.repeat
order by all
