-- The tables of bench.duckdb. Stamps are nanoseconds of the run's own monotonic clock; wall times are UTC.
-- NULL = unknown, never 0. Everything here is rebuilt from the run folders: nothing is kept only here.

-- one row per run folder
create table run (
    run_id varchar, kind varchar, suite varchar, suite_version varchar, suite_hash varchar,
    target_id varchar, fingerprint varchar, question_hash varchar,
    seed bigint, repeats bigint, item_limit bigint, items varchar,
    status varchar, started_at timestamp, finished_at timestamp, git_sha varchar,
    machine varchar, versions varchar, target varchar,  -- JSON, as in run.json
    torn_lines bigint
);

-- one row per target: its newest revision (run.fingerprint tells revisions apart)
create table target (
    target_id varchar, layer varchar, engine varchar, provider varchar, model varchar, wire varchar, base_url varchar,
    revision varchar, quantisation varchar, fingerprint varchar,
    options varchar, engine_args varchar  -- JSON
);

-- one row per model name sent to a server; facts are NULL where the run's target carries none
create table model (
    model varchar, name varchar, vendor varchar, released date, access varchar,
    parameters_total bigint, parameters_active bigint, licence varchar
);

-- one row per suite version that was run
create table suite (suite varchar, suite_version varchar, suite_hash varchar);

-- one row per attempt; `position` is its place in the run's journal
create table request (
    request_id varchar, run_id varchar, target_id varchar, request_key varchar, attempt bigint, kind varchar,
    task varchar, doc_id bigint, repeat bigint, status varchar, http_status bigint, error varchar,
    sched_ns bigint, sent_ns bigint, headers_ns bigint, first_event_ns bigint, first_token_ns bigint,
    first_answer_ns bigint, last_token_ns bigint, end_ns bigint, started_at timestamp,
    connection_reused boolean, inflight bigint,
    in_tokens bigint, in_cached_tokens bigint, in_cache_write_tokens bigint, out_tokens bigint, reasoning_tokens bigint,
    tokens_source varchar, chunks bigint, finish_reason varchar, response_id varchar, response_model varchar,
    system_fingerprint varchar, routed_provider varchar, provider_usd varchar, replayed boolean,
    stamp_source varchar, read_lag_max_ns bigint, merged_reads bigint, retry_after_s double, retryable boolean,
    waited_s double, service_tier varchar, schema_valid boolean,
    server_queue_ms double, server_prefill_ms double, server_decode_ms double,
    step bigint, lane varchar, worker bigint, asked_in_tokens bigint, asked_out_tokens bigint, prompt_cache varchar,
    position bigint
);

-- the large half of `request`, one row per attempt
create table request_text (
    request_id varchar, run_id varchar, prompt varchar, answer varchar, reasoning varchar,
    chunk_offsets_ns bigint[], logprobs struct(token varchar, logprob double)[],
    tool_calls struct(id varchar, name varchar, arguments varchar)[]
);

-- one row per item, repeat and metric; value in [0, 1]
create table sample (
    run_id varchar, target_id varchar, task varchar, doc_id bigint, item_id varchar, repeat bigint, metric varchar,
    state varchar, value double, answer varchar, expected varchar, request_id varchar, cluster varchar, reason varchar
);

-- one row per task (or `macro`) and metric
create table score (
    run_id varchar, target_id varchar, task varchar, metric varchar, value double, stderr double,
    ci_low double, ci_high double, n bigint, n_unscored bigint, low_bound double, high_bound double, method varchar
);

-- one row per step of a load run: what was declared, the steady window, and what was credited inside it. Percentiles
-- are not stored: they are functions of the requests. `reasons`, `notes` and `slo` are JSON
create table load_step (
    run_id varchar, target_id varchar, step bigint, arrivals varchar, concurrency bigint,
    asked_rps double, delivered_rps double, shape varchar, cache varchar, lane varchar, workers bigint, seed bigint,
    fixed_lengths boolean, exact_prompts boolean, duration_s double,
    start_ns bigint, end_ns bigint, window_start_ns bigint, window_end_ns bigint,
    valid boolean, reasons varchar, notes varchar, over_saturated boolean,
    slo varchar, slo_target double, n_good bigint, n_bad bigint, n_left_out bigint,
    slo_attainment double, slo_low double, slo_high double, goodput_rps double, search_verdict varchar,
    system_out_tps double, system_in_tps double, wasted_tps double,
    inflight_mean double, inflight_max bigint, n_sent bigint, n_failed bigint,
    client_lag_p99_ms double, client_busy double, read_lag_p99_ms double, merged_share double,
    stamp_error_p99_ms double, self_ttft_error_p99_ms double, self_e2e_error_p99_ms double, self_events_per_s double,
    energy_j double, idle_power_w double, j_per_tok_out double, energy_note varchar
);

-- one row per reading of one GPU
create table telemetry (
    run_id varchar, target_id varchar, read_ns bigint, gpu_index bigint, power_w double, energy_j double,
    busy double, memory_used_gib double, temperature_c double, sm_clock_mhz double, memory_clock_mhz double
);

-- the prices a run was measured under; US dollars per million tokens. One holds from that many input tokens on, at that
-- service tier (NULL = standard), for requests sent from that instant on (NULL = all)
create table price (
    run_id varchar, target_id varchar, price_id varchar,
    usd_per_mtok_in decimal(16, 8), usd_per_mtok_cached decimal(16, 8), usd_per_mtok_cache_write decimal(16, 8),
    usd_per_mtok_out decimal(16, 8), valid_from date, source varchar, observed date, from_in_tokens bigint,
    service_tier varchar, used_from timestamp
);

-- one row per figure somebody else published. `model` is the name as the source writes it; `score`, its interval
-- (score_low, score_high: as published) and `stderr` are in the unit of `scale`: proportion (0 to 1) or points.
-- `evaluated_on` is when it was measured, `observed` when it was seen to be published
create table published_score (
    run_id varchar, model varchar, vendor varchar, released date, model_group varchar, display_name varchar,
    benchmark varchar, benchmark_version varchar, score double, score_low double, score_high double, stderr double,
    scale varchar, n_items bigint, effort varchar, shots bigint, scaffold varchar, host varchar, quantisation varchar,
    evaluated_on date, observed date, source varchar, licence varchar, provenance varchar
);

-- one row per grade of access a model had for a time
create table access (
    run_id varchar, model varchar, grade varchar, valid_from date, valid_to date, source varchar, licence varchar,
    note varchar
);

-- one row per list price somebody published; US dollars per million tokens. valid_from NULL = the list as it was on
-- `observed`; nobody knows since when
create table list_price (
    run_id varchar, provider varchar, model varchar,
    usd_per_mtok_in decimal(16, 8), usd_per_mtok_cached decimal(16, 8), usd_per_mtok_cache_write decimal(16, 8),
    usd_per_mtok_out decimal(16, 8), valid_from date, valid_to date, observed date, source varchar, licence varchar,
    note varchar
);

-- one row per thing that the limits of a target did to a run's traffic: `width` requests may be under way from then
-- on, nothing is sent for `held_s`; `lost_s` and `refusals` are what limits had cost this session by then, `after_s` is
-- since it began. A session begins with `why = 'start'`
create table traffic (
    run_id varchar, target_id varchar, changed_at timestamp, after_s double, width bigint, why varchar, held_s double,
    lost_s double, refusals bigint
);
