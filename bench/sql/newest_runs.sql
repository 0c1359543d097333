-- The runs a report shows when none is named: one row per target revision, suite version and item set.
-- The newest finished run; one that asked all items goes before one under a limit, whatever their age.
select run_id
from run
where status = 'finished' and kind = 'quality'
qualify row_number() over (
    partition by target_id, fingerprint, suite, suite_version, suite_hash, items
    order by item_limit is not null, run_id desc
) = 1
order by run_id
