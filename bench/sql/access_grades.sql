-- Every grade of access that was imported: one row per model, grade and time, as its source writes the model's name.
select model, grade, valid_from, valid_to, source, licence, note, run_id
from access
order by run_id, access.rowid
