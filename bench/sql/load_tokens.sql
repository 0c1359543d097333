-- Output tokens of one load step by the time they came: one row per bin, empty ones too; milliseconds, tokens/s.
-- An answer's chunks carry equal shares of its tokens; where the server gave no count, or thought unseen, as many as the
-- step's others do. Tokens of requests that failed are wasted; those of requests the step's end cut off are not.
with told as (
    select
        sent_ns, chunk_offsets_ns, start_ns,
        greatest(1, ceil((load_step.end_ns - start_ns) / 1e6 / $bin_ms))::bigint as n_bins,
        status not in ('ok', 'refused', 'truncated', 'filtered', 'cancelled') as is_wasted,
        case
            when status in ('ok', 'refused', 'truncated', 'filtered')
                and (coalesce(reasoning_tokens, 0) = 0 or first_token_ns is distinct from first_answer_ns)
            then out_tokens
        end as tokens
    from request
    join load_step using (run_id, step)
    join request_text using (run_id, request_id)
    where run_id = $run_id and step = $step and request.kind = 'load' and not replayed
),
usual as (
    select sum(tokens) / sum(len(chunk_offsets_ns)) as per_chunk
    from told
    where tokens is not null and len(chunk_offsets_ns) > 0
),
arrived as (
    select
        floor((sent_ns + unnest(chunk_offsets_ns) - start_ns) / 1e6 / $bin_ms)::bigint as bin,
        coalesce(tokens / len(chunk_offsets_ns), per_chunk, 1) as tokens,
        is_wasted
    from told, usual
    where len(chunk_offsets_ns) > 0
)
select
    bin * $bin_ms as start_ms,
    coalesce(sum(tokens), 0) as tokens,
    coalesce(sum(tokens), 0) * 1000 / $bin_ms as tokens_per_s,
    coalesce(sum(tokens) filter (is_wasted), 0) * 1000 / $bin_ms as wasted_per_s
from (select unnest(range((select max(n_bins) from told))) as bin)
left join arrived using (bin)
group by bin
order by bin
