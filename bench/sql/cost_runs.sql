-- Whom the named runs asked and the price each was last measured under (standard tier, short prompts): one row per run;
-- US dollars per million tokens as text (exact), NULL where none was known.
with newest as (
    select * from price
    where list_contains($run_ids, run_id)
    qualify row_number() over (
        partition by run_id
        order by
            service_tier is not null, coalesce(from_in_tokens, 0), used_from desc nulls last,
            valid_from desc nulls last, price_id
    ) = 1
)
select
    run.run_id, run.target_id as target, target.layer, target.provider, target.model,
    run.suite, run.suite_version, strftime(run.started_at, '%Y-%m-%d') as day,
    usd_per_mtok_in::varchar as usd_per_mtok_in, usd_per_mtok_cached::varchar as usd_per_mtok_cached,
    usd_per_mtok_out::varchar as usd_per_mtok_out, price_id, newest.source as price_source,
    strftime(valid_from, '%Y-%m-%d') as valid_from, strftime(observed, '%Y-%m-%d') as observed
from run
left join target on target.target_id = run.target_id
left join newest on newest.run_id = run.run_id
where list_contains($run_ids, run.run_id)
order by all
