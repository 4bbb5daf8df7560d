-- Promises that what needs a person is said once, counted while it lasts, and closed when it is over.

create table ops.alerts (
    id bigint generated always as identity primary key,
    kind text not null,
    subject text not null,
    severity text not null default 'warning',
    message text not null,
    times_seen integer not null default 1,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    resolved_at timestamptz,
    constraint severity_is_known check (severity in ('info', 'warning', 'critical')),
    constraint kind_is_one_word check (kind ~ '^[a-z_]+$')
);
alter table ops.alerts enable row level security;
create unique index alerts_that_are_open on ops.alerts (kind, subject)
where resolved_at is null;
comment on table ops.alerts is 'What an operator should know. One open row per kind and subject.';
comment on column ops.alerts.kind is 'What is wrong, one word: failing_job, tables_to_archive, …';
comment on column ops.alerts.subject is 'With what: the name of a job, a table, a key.';
comment on column ops.alerts.times_seen is 'How often it was found while open.';
comment on column ops.alerts.resolved_at is 'When it was found to be over; null while it lasts.';

create function ops.raise_alert(
    kind text,
    subject text,
    message text,
    severity text default 'warning',
    at timestamptz default now()
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
#variable_conflict use_column
declare
    alert record;
begin
    insert into ops.alerts as stored (kind, subject, message, severity, first_seen_at, last_seen_at)
    values (
        raise_alert.kind,
        raise_alert.subject,
        raise_alert.message,
        raise_alert.severity,
        raise_alert.at,
        raise_alert.at
    )
    on conflict (kind, subject) where resolved_at is null do update
        set
            message = excluded.message,
            severity = excluded.severity,
            times_seen = stored.times_seen + 1,
            last_seen_at = greatest(stored.last_seen_at, excluded.last_seen_at)
    returning
        stored.id,
        stored.times_seen
    into alert;
    -- An event, too, for who wants to be told. Without the message: it may quote what a statement was given.
    if alert.times_seen = 1 then
        perform ops.enqueue(
            'alert.opened',
            jsonb_build_array(
                jsonb_build_object(
                    'dedupe_key', alert.id::text,
                    'data', jsonb_build_object(
                        'alert_id', alert.id,
                        'kind', raise_alert.kind,
                        'subject', raise_alert.subject,
                        'severity', raise_alert.severity,
                        'opened_at', raise_alert.at
                    )
                )
            )
        );
    end if;
end
$$;
comment on function ops.raise_alert(text, text, text, text, timestamptz) is
'Opens an alert and enqueues alert.opened, or counts the open one of the same kind and subject.';

create function ops.resolve_alert(
    kind text,
    subject text,
    at timestamptz default now()
)
returns boolean
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with resolved as (
        update ops.alerts as stored
        set resolved_at = resolve_alert.at
        where
            stored.kind = resolve_alert.kind
            and stored.subject = resolve_alert.subject
            and stored.resolved_at is null
        returning stored.id
    )

    select exists (select from resolved)
$$;
comment on function ops.resolve_alert(text, text, timestamptz) is
'Closes the open alert of the kind and subject; returns whether there was one.';

grant select on ops.alerts to app_service;
