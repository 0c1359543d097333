-- The requests of one step of a load run: one row per attempt that was really sent, in the order they were due.
-- Stamps in nanoseconds of the run's clock; latencies in milliseconds; decode_tps in tokens/s; chunk_gaps_ms are the
-- silences between the token-bearing events of one answer.
select
    request.status, request.doc_id, request.worker, request.prompt_cache,
    sched_ns, sent_ns, first_event_ns, first_token_ns, first_answer_ns, last_token_ns, end_ns,
    asked_in_tokens, asked_out_tokens, in_tokens, in_cached_tokens, out_tokens, chunks, read_lag_max_ns, merged_reads,
    ttft_ms, ttft_sched_ms, ttfat_ms, tpot_ms, e2e_ms, client_lag_ms, decode_tps,
    coalesce(
        list_transform(list_zip(chunk_offsets_ns[2:], chunk_offsets_ns[:-2]), lambda pair: (pair[1] - pair[2]) / 1e6),
        []
    ) as chunk_gaps_ms
from request
join latency using (run_id, request_id)
left join request_text using (run_id, request_id)
where run_id = $run_id and request.step = $step and request.kind = 'load'
order by coalesce(sched_ns, sent_ns), request.position
