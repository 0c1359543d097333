-- Attempts that stand more than once: one row per request_id. A run folder was copied under a new name, most likely.
select request_id, count(*) as n, list(distinct run_id order by run_id) as run_ids
from request
group by request_id
having count(*) > 1
order by request_id
limit 20
