-- Latency of the named runs: one row per attempt that was really sent; milliseconds, tokens/s.
select
    latency.run_id, latency.target_id as target, request.kind, request.task, request.doc_id, request.repeat,
    latency.request_id, request.status, request.started_at, ttft_ms, ttft_sched_ms, ttfat_ms, tpot_ms, e2e_ms,
    client_lag_ms, decode_tps, request.in_tokens, request.out_tokens, request.chunks, request.inflight
from latency
join request using (run_id, request_id)
where list_contains($run_ids, latency.run_id)
order by latency.run_id, request.position
