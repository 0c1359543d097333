-- One row per attempt that was really sent; US dollars, NULL when no price or no count is known (never 0).
-- What the provider says it billed wins. Cached and cache-written input are inside in_tokens; without a price of their
-- own they cost what input costs. Steps are cliffs on the size of the prompt; a service tier without a price of its own
-- costs what the standard does; where prices changed between sessions of a run, an attempt has that of its time.
with newest as (
    select * from price
    qualify row_number() over (
        partition by run_id, service_tier, used_from, coalesce(from_in_tokens, 0)
        order by valid_from desc nulls last, price_id
    ) = 1
),
times as (
    select
        run_id, used_from,
        case when row_number() over by_time > 1 then used_from end as since,
        lead(used_from) over by_time as until
    from (select distinct run_id, used_from from price)
    window by_time as (partition by run_id order by used_from nulls first)
),
step as (
    select
        newest.run_id, service_tier, since, until, price_id,
        coalesce(from_in_tokens, 0) as from_tokens,
        lead(coalesce(from_in_tokens, 0)) over (
            partition by newest.run_id, service_tier, newest.used_from order by coalesce(from_in_tokens, 0)
        ) as until_tokens,
        usd_per_mtok_in as usd_in,
        coalesce(usd_per_mtok_cached, usd_per_mtok_in) as usd_cached,
        coalesce(usd_per_mtok_cache_write, usd_per_mtok_in) as usd_write,
        usd_per_mtok_out as usd_out
    from newest
    join times on times.run_id = newest.run_id and times.used_from is not distinct from newest.used_from
),
counted as (
    select
        request_id, request.run_id, target_id, provider_usd, started_at, priced.service_tier,
        in_tokens::decimal(12, 0) as all_in,
        coalesce(in_cached_tokens, 0)::decimal(12, 0) as cached,
        coalesce(in_cache_write_tokens, 0)::decimal(12, 0) as written,
        out_tokens::decimal(12, 0) as all_out
    from request
    left join (select distinct run_id, service_tier from price where service_tier is not null) as priced
        on priced.run_id = request.run_id and priced.service_tier = request.service_tier
    where not replayed
)
select
    counted.request_id, counted.run_id, counted.target_id,
    coalesce(
        try_cast(provider_usd as decimal(18, 12)),
        (
            (
                (all_in - cached - written)::decimal(12, 0) * usd_in + cached * usd_cached
                + written * usd_write + all_out * usd_out
            ) * 0.000001::decimal(6, 6)
        )::decimal(18, 12)
    ) as usd,
    case when try_cast(provider_usd as decimal(18, 12)) is null then step.price_id else 'provider' end as price_id
from counted
left join step
    on step.run_id = counted.run_id and step.service_tier is not distinct from counted.service_tier
    and counted.all_in >= from_tokens and (until_tokens is null or counted.all_in < until_tokens)
    and (since is null or counted.started_at >= since) and (until is null or counted.started_at < until)
