-- One row per attempt that was really sent; US dollars, NULL when no price or no count is known (never 0).
-- What the provider says it billed wins. Cached and cache-written input are inside in_tokens; without a price of their
-- own they cost what input costs. Tiers are cliffs on the size of the prompt.
with newest as (
    select * from price
    qualify row_number() over (
        partition by run_id, coalesce(from_in_tokens, 0) order by valid_from desc nulls last, price_id
    ) = 1
),
tier as (
    select
        run_id, price_id,
        coalesce(from_in_tokens, 0) as from_tokens,
        lead(coalesce(from_in_tokens, 0)) over (partition by run_id order by coalesce(from_in_tokens, 0)) as until_tokens,
        usd_per_mtok_in as usd_in,
        coalesce(usd_per_mtok_cached, usd_per_mtok_in) as usd_cached,
        coalesce(usd_per_mtok_cache_write, usd_per_mtok_in) as usd_write,
        usd_per_mtok_out as usd_out
    from newest
),
counted as (
    select
        request_id, run_id, target_id, provider_usd,
        in_tokens::decimal(12, 0) as all_in,
        coalesce(in_cached_tokens, 0)::decimal(12, 0) as cached,
        coalesce(in_cache_write_tokens, 0)::decimal(12, 0) as written,
        out_tokens::decimal(12, 0) as all_out
    from request
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
    case when try_cast(provider_usd as decimal(18, 12)) is null then tier.price_id else 'provider' end as price_id
from counted
left join tier
    on tier.run_id = counted.run_id and counted.all_in >= from_tokens and (until_tokens is null or counted.all_in < until_tokens)
