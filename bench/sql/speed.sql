-- Speed of the answered attempts of the named runs: one row per run and task, and one per run with task = macro.
-- Milliseconds and tokens/s; percentiles by linear interpolation; replays and failures left out.
select
    request.run_id, coalesce(request.task, 'macro') as task,
    median(decode_tps) as decode_tps_p50,
    quantile_cont(ttft_ms, 0.5) as ttft_ms_p50,
    quantile_cont(ttft_ms, 0.95) as ttft_ms_p95,
    quantile_cont(e2e_ms, 0.5) as e2e_ms_p50
from request
join latency using (run_id, request_id)
where list_contains($run_ids, request.run_id) and status in ('ok', 'refused', 'truncated', 'filtered')
group by grouping sets ((request.run_id, request.task), (request.run_id))
having grouping(request.task) = 1 or request.task is not null
order by all
