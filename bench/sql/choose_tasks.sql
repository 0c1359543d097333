-- The tasks that finished quality runs here have asked: one row per suite and task.
select distinct run.suite, score.task
from score
join run using (run_id)
where run.kind = 'quality' and score.task != 'macro'
order by all
