-- Promises that every batch of a job leaves its counts, and that a run that did nothing leaves no row.

create table ops.job_runs (
    id bigint generated always as identity primary key,
    job_name text not null,
    counts jsonb not null,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    constraint counts_are_an_object check (jsonb_typeof(counts) = 'object'),
    constraint it_ended_after_it_began check (finished_at >= started_at)
);
alter table ops.job_runs enable row level security;
create index job_runs_by_name on ops.job_runs (job_name, started_at desc);
create index job_runs_by_time on ops.job_runs (started_at);
comment on table ops.job_runs is 'What each batch of a scheduled job did. Kept 90 days.';
comment on column ops.job_runs.job_name is 'The job in cron.job.';
comment on column ops.job_runs.counts is 'What was done, by kind: {"created": 2, "failed": 1}. Zeros are left out.';

create function ops.log_job_run(
    job_name text,
    counts jsonb
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    told jsonb;
begin
    select coalesce(jsonb_object_agg(count.key, count.value), '{}'::jsonb)
    into told
    from jsonb_each(counts) as count
    where count.value not in ('0', 'null', 'false', '""', '[]', '{}');
    if told <> '{}' then
        insert into ops.job_runs (job_name, counts, started_at, finished_at)
        values (log_job_run.job_name, told, now(), clock_timestamp());
    end if;
    return told;
exception
    when others then
        -- The work is done and must not be undone for the sake of its record.
        raise warning 'the counts of % were not logged: %', job_name, sqlerrm;
        return '{}'::jsonb;
end
$$;
comment on function ops.log_job_run(text, jsonb) is
'Keeps the counts of one run, unless all are zero; returns what it kept. Never raises.';

create function ops.purge_job_runs(
    at timestamptz default now(),
    batch_size integer default 5000
)
returns bigint
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with purged as (
        delete from ops.job_runs as run
        where
            run.id in (
                select old.id
                from ops.job_runs as old
                where old.started_at < purge_job_runs.at - interval '90 days'
                order by old.started_at
                limit purge_job_runs.batch_size
            )
        returning run.id
    )

    select count(*)
    from purged
$$;
comment on function ops.purge_job_runs(timestamptz, integer) is
'Deletes counts older than 90 days, the oldest first; returns how many.';

grant select on ops.job_runs to app_service;
