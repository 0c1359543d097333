-- Every figure somebody else published that was imported, as its source writes it: one row per figure. `first_rated`:
-- the oldest snapshot of any leaderboard of votes that has the model. $benchmarks: ids, or NULL for all.
select * exclude (position)
from (
    select
        model, model_group, display_name, vendor, released, benchmark, benchmark_version, score, scale, n_items,
        stderr, score_low, score_high, effort, shots, scaffold, host, quantisation, evaluated_on, observed, source,
        licence, provenance, run_id, published_score.rowid as position,
        min(case when starts_with(benchmark, $arena) then evaluated_on end) over (partition by model) as first_rated
    from published_score
)
where score is not null and ($benchmarks is null or list_contains($benchmarks, benchmark))
order by run_id, position
