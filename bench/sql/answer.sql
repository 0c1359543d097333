-- The attempt that counts: one row per run and question. The last attempt that was answered, else the last.
select *
from request
qualify row_number() over (
    partition by run_id, request_key
    order by status in ('ok', 'refused', 'truncated', 'filtered') desc, attempt desc, position desc
) = 1
