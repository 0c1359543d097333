-- The list price each named run was measured under (standard, for short prompts): one row per run; US dollars per
-- million tokens.
select run_id, usd_per_mtok_in::double as usd_per_mtok_in, usd_per_mtok_out::double as usd_per_mtok_out
from price
where list_contains($run_ids, run_id)
qualify row_number() over (
    partition by run_id
    order by
        service_tier is not null, coalesce(from_in_tokens, 0), used_from desc nulls last,
        valid_from desc nulls last, price_id
) = 1
order by run_id
