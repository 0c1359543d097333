-- One row per attempt that was really sent (a replay from the journal was not); milliseconds, decode_tps in tokens/s.
-- METRICS section 1. NULL = can't be said:
--   e2e      unless the server said all it was going to say
--   tpot     with fewer than two tokens, all in one chunk, counts that are a guess, or reasoning counted as larger than
--            all output. Reasoning that was not streamed came before the first token: it is taken off
select
    request_id, run_id, target_id, kind,
    (first_token_ns - sent_ns) / 1e6 as ttft_ms,
    (first_token_ns - sched_ns) / 1e6 as ttft_sched_ms,
    (first_answer_ns - sent_ns) / 1e6 as ttfat_ms,
    (last_token_ns - first_token_ns) / 1e6 / (streamed_tokens - 1) as tpot_ms,
    case when status in ('ok', 'refused', 'truncated', 'filtered') then (end_ns - sent_ns) / 1e6 end as e2e_ms,
    (sent_ns - sched_ns) / 1e6 as client_lag_ms,
    1e9 * (streamed_tokens - 1) / (last_token_ns - first_token_ns) as decode_tps
from (
    select
        *,
        case
            when chunks < 2 or last_token_ns <= first_token_ns or tokens_source = 'estimate' then null
            when streamed >= 2 then streamed
        end as streamed_tokens
    from (
        select
            *,
            case
                when coalesce(reasoning_tokens, 0) = 0 then out_tokens
                when reasoning_tokens > out_tokens then null
                when first_answer_ns is null or first_token_ns < first_answer_ns then out_tokens
                else out_tokens - reasoning_tokens
            end as streamed
        from request
        where not replayed
    )
)
