-- Every list price that was imported from others: one row each; US dollars per million tokens as text (exact).
select distinct
    provider, model,
    usd_per_mtok_in::varchar as usd_per_mtok_in, usd_per_mtok_cached::varchar as usd_per_mtok_cached,
    usd_per_mtok_out::varchar as usd_per_mtok_out,
    strftime(valid_from, '%Y-%m-%d') as valid_from, strftime(valid_to, '%Y-%m-%d') as valid_to,
    strftime(observed, '%Y-%m-%d') as observed, source, licence, note
from list_price
where usd_per_mtok_in is not null and usd_per_mtok_out is not null
order by all
