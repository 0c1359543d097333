-- Samples whose request is in no journal: one row per run and task.
select run_id, task, count(*) as n
from sample
anti join request using (run_id, request_id)
where request_id is not null
group by all
order by all
