-- Tokens of earlier answers to the named tasks, one row per answered question, the newest 500 of each task. Of each task
-- only the closest source there is: 0 = this revision of the target, 1 = this model elsewhere, 2 = other targets.
with found as (
    select
        answer.task, answer.in_tokens, answer.out_tokens, answer.run_id, answer.position,
        case when run.fingerprint = $fingerprint then 0 when target.model = $model then 1 else 2 end as source
    from answer
    join run using (run_id)
    left join target on target.target_id = run.target_id
    where answer.kind = 'quality' and list_contains($tasks, answer.task) and answer.run_id is distinct from $but
        and answer.status in ('ok', 'refused', 'truncated', 'filtered')
        and answer.in_tokens is not null and answer.out_tokens is not null
        and (target.layer is distinct from 'reference' or run.fingerprint = $fingerprint)
)
select task, source, in_tokens, out_tokens
from found
qualify source = min(source) over (partition by task)
    and row_number() over (partition by task, source order by run_id desc, position desc) <= 500
order by task, run_id, position
