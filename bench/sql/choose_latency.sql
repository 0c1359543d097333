-- How long the questions of the named runs took: one row per question, the attempt that counts; milliseconds, tokens/s.
-- `answered` is false where no attempt got an answer: to whoever waits, that is later than any limit.
with counted as (
    select run_id, request_id, task, status in ('ok', 'refused', 'truncated', 'filtered') as answered
    from request
    where list_contains($run_ids, run_id) and kind = 'quality' and not replayed
    qualify row_number() over (
        partition by run_id, request_key
        order by status in ('ok', 'refused', 'truncated', 'filtered') desc, attempt desc, position desc
    ) = 1
)
select counted.run_id, counted.task, answered, ttft_ms, e2e_ms, decode_tps
from counted
join latency using (run_id, request_id)
order by counted.run_id, counted.task, request_id
