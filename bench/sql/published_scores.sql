-- Every figure somebody else published that was imported, as its source writes it: one row per figure.
select
    model, model_group, display_name, vendor, released, benchmark, benchmark_version, score, scale, n_items,
    stderr, score_low, score_high, effort, shots, scaffold, host, quantisation, evaluated_on, observed, source, licence,
    provenance, run_id
from published_score
order by run_id, published_score.rowid
