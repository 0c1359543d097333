-- The load runs a report shows when none is named: one row per target revision, shape, cache, lane and kind of arrivals.
-- The newest; a finished one goes before an interrupted one. A search for an SLO's edge doesn't stand in for a ladder.
with described as (
    select
        run_id, any_value(shape) as shape, any_value(cache) as cache, any_value(lane) as lane,
        split_part(arg_min(arrivals, step), ':', 1) as kind_of_arrivals, count(search_verdict) > 0 as is_search
    from load_step
    group by run_id
)
select run_id
from run
join described using (run_id)
where run.kind = 'load' and run.status in ('finished', 'interrupted')
qualify row_number() over (
    partition by target_id, fingerprint, shape, cache, lane, kind_of_arrivals, is_search
    order by status != 'finished', run_id desc
) = 1
order by run_id
