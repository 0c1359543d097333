-- Money of the named runs: one row per run and task, and one per run with task = macro; US dollars.
-- usd_total counts every attempt with a known cost, failures and retries too; NULL when an answered one is unknown.
select
    request.run_id, coalesce(request.task, 'macro') as task,
    case
        when count(*) filter (usd is null and status in ('ok', 'refused', 'truncated', 'filtered')) = 0
        then sum(usd)
    end::double as usd_total
from request
join cost using (run_id, request_id)
where list_contains($run_ids, request.run_id)
group by grouping sets ((request.run_id, request.task), (request.run_id))
having grouping(request.task) = 1 or request.task is not null
order by all
