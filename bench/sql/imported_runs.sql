-- What each imported run of published figures holds; one row per run. $run_ids: which, or NULL for all.
select
    run.run_id, run.kind, run.target_id,
    (select count(*) from published_score where published_score.run_id = run.run_id) as n_scores,
    (select count(*) from access where access.run_id = run.run_id) as n_access,
    (select count(*) from list_price where list_price.run_id = run.run_id) as n_prices,
    (select count(*) from sample where sample.run_id = run.run_id) as n_items
from run
where run.kind in ('published', 'prices') and ($run_ids is null or list_contains($run_ids, run.run_id))
order by run.run_id
