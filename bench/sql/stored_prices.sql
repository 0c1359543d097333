-- Every price that a run was measured under, of all runs: one row per distinct price; US dollars per million tokens as
-- text (exact). `used_from` and `used_to` are the days of the first and the last run that used it.
select
    target.provider, coalesce(target.model, run.target_id) as model, run.target_id as target, price_id,
    usd_per_mtok_in::varchar as usd_per_mtok_in, usd_per_mtok_cached::varchar as usd_per_mtok_cached,
    usd_per_mtok_out::varchar as usd_per_mtok_out, service_tier, from_in_tokens,
    strftime(valid_from, '%Y-%m-%d') as valid_from, strftime(observed, '%Y-%m-%d') as observed, price.source,
    strftime(min(coalesce(used_from, run.started_at)), '%Y-%m-%d') as used_from,
    strftime(max(coalesce(run.finished_at, run.started_at)), '%Y-%m-%d') as used_to, count(distinct run.run_id) as runs
from price
join run using (run_id)
left join target on target.target_id = run.target_id
group by all
order by all
