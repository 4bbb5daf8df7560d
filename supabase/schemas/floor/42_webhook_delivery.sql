-- Promises that every delivery is tried until it arrives or is given up, that each attempt is told, and none is lost.

create table ops.webhook_deliveries (
    id uuid primary key default gen_random_uuid(),
    outbox_id uuid not null references ops.outbox (id) on delete cascade,
    endpoint_id uuid not null references public.webhook_endpoints (id) on delete cascade,
    event_type text not null,
    state text not null default 'scheduled',
    attempt integer not null default 0,
    replays integer not null default 0,
    next_attempt_at timestamptz default now(),
    last_status integer,
    last_error text,
    created_at timestamptz not null default clock_timestamp(),
    changed_at timestamptz not null default now(),
    webhook_id text generated always as ('msg_' || replace(id::text, '-', '')) stored,
    constraint an_endpoint_gets_an_event_once unique (outbox_id, endpoint_id),
    constraint state_is_known check (state in ('scheduled', 'delivered', 'dead')),
    constraint attempt_is_within_the_schedule check (attempt between 0 and 10),
    constraint only_the_scheduled_have_a_next_attempt check ((state = 'scheduled') = (next_attempt_at is not null))
)
-- Every claim and every report leaves an old version behind: they must go while a backlog is drained.
with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
alter table ops.webhook_deliveries enable row level security;
create index webhook_deliveries_by_endpoint on ops.webhook_deliveries (endpoint_id, created_at);
create index webhook_deliveries_that_are_due on ops.webhook_deliveries (event_type, next_attempt_at)
where state = 'scheduled';
create index webhook_deliveries_that_are_dead on ops.webhook_deliveries (changed_at)
where state = 'dead';
comment on table ops.webhook_deliveries is 'One event on its way to one endpoint.';
comment on column ops.webhook_deliveries.event_type is
'The event''s type again: a claim finds what is due of its types.';
comment on column ops.webhook_deliveries.webhook_id is
'What the receiver knows it by, the same in every attempt.';
comment on column ops.webhook_deliveries.next_attempt_at is
'When it is due. A claim moves it to the end of its lease, so a sender that dies only delays it.';
comment on column ops.webhook_deliveries.replays is 'How often its attempts began anew.';
comment on column ops.webhook_deliveries.created_at is
'By the clock and not by the transaction: a page of the log ends between two of them.';

create table ops.webhook_attempts (
    delivery_id uuid not null references ops.webhook_deliveries (id) on delete cascade,
    replay integer not null,
    attempt integer not null,
    status integer,
    error text,
    duration_ms integer,
    ended_at timestamptz not null default now(),
    constraint webhook_attempts_pkey primary key (delivery_id, replay, attempt)
);
alter table ops.webhook_attempts enable row level security;
comment on table ops.webhook_attempts is 'What became of each attempt that its sender could report.';
comment on column ops.webhook_attempts.replay is 'Which run of ten attempts it belongs to; 0 is the first.';
comment on column ops.webhook_attempts.status is 'The HTTP status; null when there was no answer.';
comment on column ops.webhook_attempts.ended_at is 'When it was reported.';

create function private.wake_after_scheduling()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.wake_delivery(
        variadic array(
            select distinct known.edge_function
            from ops.event_types as known
            where known.event_type in (select scheduled.event_type from scheduled)
        )
    );
    return null;
end
$$;
comment on function private.wake_after_scheduling() is
'One wake-up for each edge function that a statement has given something to deliver, however much it is.';

create trigger wake_delivery
after insert on ops.webhook_deliveries
referencing new table as scheduled
for each statement
execute function private.wake_after_scheduling();

create function private.sweep_outbox()
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.wake_delivery(
        variadic array(
            select distinct known.edge_function
            from ops.event_types as known
            where
                exists (
                    select
                    from ops.webhook_deliveries as delivery
                    where
                        delivery.event_type = known.event_type
                        and delivery.state = 'scheduled'
                        and delivery.next_attempt_at <= now()
                )
        )
    );
end
$$;
comment on function private.sweep_outbox() is
'Wakes again each edge function that has something due that no wake-up reached.';

create function private.retry_delay(attempt integer)
returns interval
immutable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select (
        array[
            '5 s', '5 min', '30 min', '2 h', '5 h', '10 h', '14 h', '20 h', '24 h'
        ]::interval[]
    )[attempt]
$$;
comment on function private.retry_delay(integer) is
'How long to wait after the given failed attempt (Standard Webhooks); null after the tenth, which is the last.';

create function private.tell_of_dead_letters(
    endpoint_id uuid,
    last_status integer
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform ops.raise_alert(
        'dead_letters',
        private.endpoint_label(endpoint),
        format('Deliveries are dead after 10 attempts; the last status was %s.', coalesce(last_status, 0))
    )
    from public.webhook_endpoints as endpoint
    where endpoint.id = tell_of_dead_letters.endpoint_id;
exception
    when others then
        raise warning 'no alert was raised for the dead deliveries of %: %', endpoint_id, sqlerrm;
end
$$;
comment on function private.tell_of_dead_letters(uuid, integer) is
'One alert for an endpoint, whoever gave its deliveries up. Never raises: the report of an attempt must be kept.';

create function private.disable_webhook_endpoint(
    endpoint_id uuid,
    reason text
)
returns boolean
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    endpoint public.webhook_endpoints;
begin
    update public.webhook_endpoints as stored
    set
        disabled_at = now(),
        disabled_reason = disable_webhook_endpoint.reason
    where
        stored.id = disable_webhook_endpoint.endpoint_id
        and stored.disabled_at is null
    returning stored.* into endpoint;
    if endpoint.id is null then
        return false;
    end if;

    -- A bounded part now, and never what a sender is reporting: a claim gives up the rest.
    with chosen as (
        select delivery.id
        from ops.webhook_deliveries as delivery
        where
            delivery.endpoint_id = endpoint.id
            and delivery.state = 'scheduled'
        limit 5000
        for update skip locked
    )

    update ops.webhook_deliveries as delivery
    set
        state = 'dead',
        next_attempt_at = null,
        last_error = 'the endpoint is disabled: ' || endpoint.disabled_reason,
        changed_at = now()
    from chosen
    where delivery.id = chosen.id;

    if endpoint.disabled_reason = 'switched_off' then
        return true;
    end if;
    begin
        perform ops.raise_alert(
            'webhook_endpoint_disabled',
            private.endpoint_label(endpoint),
            case endpoint.disabled_reason
                when 'gone' then 'It answered 410: nothing is sent to it any more.'
                else 'Nothing has arrived for five days: nothing is sent to it any more.'
            end
        );
        if endpoint.user_id is not null then
            perform realtime.send(
                jsonb_build_object(
                    'endpoint_id', endpoint.id,
                    'reason', endpoint.disabled_reason,
                    'disabled_at', endpoint.disabled_at
                ),
                'webhook_disabled',
                'user:' || endpoint.user_id,
                true
            );
        end if;
    exception
        when others then
            raise warning 'nobody was told that the endpoint % is disabled: %', endpoint.id, sqlerrm;
    end;
    return true;
end
$$;
comment on function private.disable_webhook_endpoint(uuid, text) is
'Stops an endpoint, gives up what was on its way and tells the operator and its owner; whether it was in use.';

create function private.claim_webhook_deliveries(
    event_types text[],
    most integer,
    lease_seconds integer
)
returns table (
    delivery_id uuid,
    webhook_id text,
    attempt integer,
    url text,
    secrets text[],
    body text,
    allow_private boolean
)
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
#variable_conflict use_column
declare
    at_most constant integer := least(greatest(coalesce(claim_webhook_deliveries.most, 20), 0), 500);
    lease constant interval := make_interval(secs => least(greatest(coalesce(lease_seconds, 60), 1), 3600));
    types constant text[] := (
        select array_agg(known.event_type)
        from ops.event_types as known
        where
            claim_webhook_deliveries.event_types is null
            or known.event_type = any(claim_webhook_deliveries.event_types)
    );
    taken integer;
    claimed uuid[];
begin
    -- Again only when everything found was given up: else a sender would think that nothing is due.
    for round in 1..20 loop
        with due as materialized (
            select
                delivery.id,
                delivery.attempt,
                delivery.endpoint_id
            from unnest(types) as wanted (event_type)
            cross join lateral (
                select
                    candidate.id,
                    candidate.attempt,
                    candidate.endpoint_id,
                    candidate.next_attempt_at
                from ops.webhook_deliveries as candidate
                where
                    candidate.event_type = wanted.event_type
                    and candidate.state = 'scheduled'
                    and candidate.next_attempt_at <= now()
                order by candidate.next_attempt_at
                limit at_most
                for update skip locked
            ) as delivery
            order by delivery.next_attempt_at
            limit at_most
        ),

        judged as (
            select
                due.id,
                case
                    -- A sender that died ten times over one delivery will not do better the next time.
                    when due.attempt >= 10 then 'every sender vanished before it could report'
                    when endpoint.disabled_at is not null
                        then 'the endpoint is disabled: ' || endpoint.disabled_reason
                    when endpoint.entitled_until <= now() then 'not entitled'
                end as verdict,
                exists (
                    select
                    from vault.secrets as stored
                    where stored.name = 'webhook_endpoint_' || endpoint.id
                ) as has_secret
            from due
            inner join public.webhook_endpoints as endpoint on due.endpoint_id = endpoint.id
        ),

        moved as (
            update ops.webhook_deliveries as delivery
            set
                state = case when judged.verdict is null then 'scheduled' else 'dead' end,
                attempt = delivery.attempt + case when judged.verdict is null then 1 else 0 end,
                next_attempt_at = case when judged.verdict is null then now() + lease end,
                last_error = case
                    when delivery.attempt >= 10 then coalesce(delivery.last_error, judged.verdict)
                    when judged.verdict is not null then judged.verdict
                    when not judged.has_secret then 'the endpoint has no secret in Vault'
                end,
                changed_at = now()
            from judged
            where delivery.id = judged.id
            returning
                delivery.id,
                delivery.endpoint_id,
                delivery.attempt,
                delivery.last_status,
                judged.verdict,
                judged.has_secret
        ),

        told as (
            select private.tell_of_dead_letters(spent.endpoint_id, max(spent.last_status))
            from moved as spent
            where
                spent.verdict is not null
                and spent.attempt >= 10
            group by spent.endpoint_id
        )

        select
            count(*),
            array_agg(moved.id) filter (where moved.verdict is null and moved.has_secret)
        into
            taken,
            claimed
        from moved
        where (select count(*) from told) >= 0;
        exit when taken = 0 or claimed is not null;
    end loop;

    return query
    with signing as materialized (
        -- Once for an endpoint: decrypting costs more than all the rest of a claim.
        select
            endpoint.id,
            endpoint.url,
            endpoint.allow_private,
            array_remove(
                array[
                    private.vault_secret('webhook_endpoint_' || endpoint.id),
                    case
                        when endpoint.previous_secret_until > now()
                            then private.vault_secret('webhook_endpoint_' || endpoint.id || '_previous')
                    end
                ],
                null
            ) as secrets
        from public.webhook_endpoints as endpoint
        where
            endpoint.id in (
                select delivery.endpoint_id
                from ops.webhook_deliveries as delivery
                where delivery.id = any(claimed)
            )
    )

    select
        delivery.id,
        delivery.webhook_id,
        delivery.attempt,
        signing.url,
        signing.secrets,
        jsonb_build_object(
            'type', event.event_type,
            'timestamp', to_char(event.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'data', event.data
        )::text,
        signing.allow_private
    from ops.webhook_deliveries as delivery
    inner join ops.outbox as event on delivery.outbox_id = event.id
    inner join signing on delivery.endpoint_id = signing.id
    where delivery.id = any(claimed);
end
$$;
comment on function private.claim_webhook_deliveries(text[], integer, integer) is
'What public.claim_webhook_deliveries does. Granted to nobody.';

create function public.claim_webhook_deliveries(
    event_types text[] default null,
    "limit" integer default 20,
    lease_seconds integer default 60
)
returns table (
    delivery_id uuid,
    webhook_id text,
    attempt integer,
    url text,
    secrets text[],
    body text,
    allow_private boolean
)
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select * from private.claim_webhook_deliveries(event_types, "limit", lease_seconds)
$$;
comment on function public.claim_webhook_deliveries(text[], integer, integer) is
'Leases what is due of the types (null: all) to one sender, at most 500 at a time: where to post, what to sign, and '
'with which secrets, the newest first. What may not be sent any more is given up on the way.';

create function public.record_webhook_deliveries(reports jsonb)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
    endpoints jsonb;
    finding record;
begin
    if jsonb_typeof(reports) is distinct from 'array' then
        raise exception using
            errcode = 'PT400',
            message = 'The reports are no JSON array.',
            hint = 'Send an array of {delivery_id, attempt, status, error, retry_after_seconds, duration_ms}.';
    end if;
    if jsonb_array_length(reports) > 1000 then
        raise exception using
            errcode = 'PT413',
            message = 'These are more than 1000 reports.',
            hint = 'Send them in parts.';
    end if;

    with told as materialized (
        select
            judged.*,
            -- As a column of its own: of "problem is null" the planner expects one row, and compares all with all.
            judged.problem is null as is_sound
        from (
            select
                item.number - 1 as index,
                item.value,
                case
                    when jsonb_typeof(item.value) <> 'object' then 'It is no object.'
                    when coalesce(not pg_input_is_valid(item.value ->> 'delivery_id', 'uuid'), true)
                        then 'delivery_id is no uuid.'
                    when
                        jsonb_typeof(item.value -> 'attempt') is distinct from 'number'
                        or item.value ->> 'attempt' !~ '^([1-9]|10)$'
                        then 'attempt is not 1 to 10.'
                    when
                        jsonb_typeof(item.value -> 'status') not in ('number', 'null')
                        or item.value ->> 'status' !~ '^[1-9][0-9]{2}$'
                        then 'status is not 100 to 999.'
                    when jsonb_typeof(item.value -> 'error') not in ('string', 'null') then 'error is no text.'
                    when
                        jsonb_typeof(item.value -> 'retry_after_seconds') not in ('number', 'null')
                        or (item.value ->> 'retry_after_seconds')::numeric not between 0 and 1e12
                        then 'retry_after_seconds is not 0 or more.'
                    when
                        jsonb_typeof(item.value -> 'duration_ms') not in ('number', 'null')
                        or item.value ->> 'duration_ms' !~ '^[0-9]{1,9}$'
                        then 'duration_ms is no whole number of milliseconds.'
                end as problem
            from jsonb_array_elements(reports) with ordinality as item (value, number)
        ) as judged
    ),

    report as materialized (
        select distinct on (said.delivery_id, said.attempt)
            said.*,
            coalesce(said.status between 200 and 299, false) as is_accepted
        from (
            select
                (told.value ->> 'delivery_id')::uuid as delivery_id,
                (told.value ->> 'attempt')::integer as attempt,
                (told.value ->> 'status')::integer as status,
                left(told.value ->> 'error', 2000) as error,
                (told.value ->> 'retry_after_seconds')::double precision as retry_after_seconds,
                (told.value ->> 'duration_ms')::integer as duration_ms,
                told.index
            from told
            where told.is_sound
        ) as said
        order by
            said.delivery_id,
            said.attempt,
            said.index
    ),

    stored as materialized (
        select
            delivery.id,
            delivery.endpoint_id,
            delivery.state,
            delivery.attempt,
            delivery.replays
        from ops.webhook_deliveries as delivery
        where delivery.id in (select report.delivery_id from report)
        order by delivery.id
        for update
    ),

    logged as (
        insert into ops.webhook_attempts (delivery_id, replay, attempt, status, error, duration_ms)
        select
            stored.id,
            stored.replays,
            report.attempt,
            report.status,
            report.error,
            report.duration_ms
        from report
        inner join stored on report.delivery_id = stored.id
        where
            report.is_accepted
            -- An attempt of before a replay has no place among those that are still to come.
            or report.attempt <= stored.attempt
        on conflict on constraint webhook_attempts_pkey do nothing
        returning
            webhook_attempts.delivery_id,
            webhook_attempts.attempt
    ),

    counted as (
        select
            report.*,
            stored.endpoint_id,
            stored.state,
            stored.attempt as newest_attempt
        from logged
        inner join report on logged.delivery_id = report.delivery_id and logged.attempt = report.attempt
        inner join stored on logged.delivery_id = stored.id
    ),

    -- A late report of an earlier attempt may tell of success, but not undo what came after it.
    decisive as (
        select distinct on (counted.delivery_id)
            counted.*,
            case when not counted.is_accepted then private.retry_delay(counted.attempt) end as wait
        from counted
        where
            (counted.is_accepted and counted.state <> 'delivered')
            or (counted.state = 'scheduled' and counted.attempt = counted.newest_attempt)
        order by
            counted.delivery_id,
            counted.is_accepted desc
    ),

    changed as (
        update ops.webhook_deliveries as delivery
        set
            state = case
                when decisive.is_accepted then 'delivered'
                when decisive.wait is null or decisive.status = 410 then 'dead'
                else 'scheduled'
            end,
            next_attempt_at = case
                when not decisive.is_accepted and decisive.status is distinct from 410 and decisive.wait is not null
                    then now() + greatest(
                        decisive.wait * (0.9 + 0.2 * random()),
                        make_interval(secs => least(coalesce(decisive.retry_after_seconds, 0), 86400))
                    )
            end,
            last_status = decisive.status,
            last_error = decisive.error,
            changed_at = now()
        from decisive
        where delivery.id = decisive.delivery_id
        returning
            delivery.id,
            delivery.endpoint_id,
            delivery.state,
            delivery.last_status
    ),

    judged as (
        select
            counted.endpoint_id,
            bool_or(counted.is_accepted) as has_success,
            bool_or(coalesce(counted.status, 0) = 410) as is_gone,
            bool_or(not counted.is_accepted) as has_failure
        from counted
        group by counted.endpoint_id
    ),

    -- Few batches have anything to change here, so that senders do not wait for each other.
    held as (
        select endpoint.id
        from public.webhook_endpoints as endpoint
        inner join judged on endpoint.id = judged.endpoint_id
        where
            (judged.has_success and endpoint.failing_since is not null)
            or (judged.has_success and coalesce(endpoint.last_success_at < now() - interval '1 minute', true))
            or (not judged.has_success and endpoint.failing_since is null)
        order by endpoint.id
        for no key update of endpoint
    ),

    marked as (
        update public.webhook_endpoints as endpoint
        set
            last_success_at = case when judged.has_success then now() else endpoint.last_success_at end,
            failing_since = case when not judged.has_success then coalesce(endpoint.failing_since, now()) end
        from held
        inner join judged on held.id = judged.endpoint_id
        where endpoint.id = held.id
    )

    select
        jsonb_build_object(
            'recorded', (select count(*) from logged),
            'delivered', (select count(*) from changed where changed.state = 'delivered'),
            'scheduled', (select count(*) from changed where changed.state = 'scheduled'),
            'dead', (select count(*) from changed where changed.state = 'dead'),
            'unknown', (
                select count(*)
                from report
                where report.delivery_id not in (select stored.id from stored)
            ),
            'rejected', coalesce(
                (
                    select jsonb_agg(
                        jsonb_build_object('index', told.index, 'message', told.problem) order by told.index
                    )
                    from told
                    where not told.is_sound
                ),
                '[]'
            )
        ),
        (
            select jsonb_agg(
                jsonb_build_object(
                    'id', judged.endpoint_id,
                    'is_gone', judged.is_gone,
                    'is_failing', not judged.has_success,
                    'has_dead', given_up.endpoint_id is not null,
                    'last_status', given_up.last_status
                )
                order by judged.endpoint_id
            )
            from judged
            left join (
                select
                    changed.endpoint_id,
                    max(changed.last_status) as last_status
                from changed
                where
                    changed.state = 'dead'
                    and changed.last_status is distinct from 410
                group by changed.endpoint_id
            ) as given_up on judged.endpoint_id = given_up.endpoint_id
            where judged.has_failure
        )
    into
        answer,
        endpoints;

    for finding in
        select *
        from jsonb_to_recordset(endpoints)
        as judged (id uuid, is_gone boolean, is_failing boolean, has_dead boolean, last_status integer)
    loop
        if finding.has_dead then
            perform private.tell_of_dead_letters(finding.id, finding.last_status);
        end if;
        if finding.is_gone then
            perform private.disable_webhook_endpoint(finding.id, 'gone');
        elsif finding.is_failing then
            perform private.disable_webhook_endpoint(endpoint.id, 'failing')
            from public.webhook_endpoints as endpoint
            where
                endpoint.id = finding.id
                and endpoint.disabled_at is null
                and endpoint.failing_since <= now() - interval '5 days';
        end if;
    end loop;
    return answer;
end
$$;
comment on function public.record_webhook_deliveries(jsonb) is
'What became of up to 1000 attempts: 2xx delivers, 410 disables the endpoint, anything else waits by the schedule with '
'jitter, at least as long as Retry-After asks for; the tenth failure is final. A repeated report changes nothing.';

create view ops.dead_letters
with (security_invoker = true)
as
select
    delivery.id as delivery_id,
    delivery.outbox_id,
    event.event_type,
    event.dedupe_key,
    delivery.endpoint_id,
    endpoint.url,
    delivery.last_status,
    delivery.last_error,
    event.created_at,
    delivery.changed_at as died_at,
    delivery.webhook_id
from ops.webhook_deliveries as delivery
inner join ops.outbox as event on delivery.outbox_id = event.id
inner join public.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
where delivery.state = 'dead';
comment on view ops.dead_letters is
'Deliveries that were given up, and why. public.replay_webhook_deliveries sends them again.';

create function public.replay_webhook_deliveries(
    delivery_ids uuid[] default null,
    endpoint_id uuid default null,
    since timestamptz default null,
    batch_size integer default 1000,
    until timestamptz default null
)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    replayed jsonb;
begin
    -- The id stays: a receiver that did the work before its answer was lost recognises it.
    with chosen as (
        select delivery.id
        from ops.webhook_deliveries as delivery
        inner join public.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
        where
            delivery.state = 'dead'
            and endpoint.disabled_at is null
            and (endpoint.entitled_until is null or endpoint.entitled_until > now())
            and (delivery_ids is null or delivery.id = any(delivery_ids))
            and (
                replay_webhook_deliveries.endpoint_id is null
                or delivery.endpoint_id = replay_webhook_deliveries.endpoint_id
            )
            and (since is null or delivery.changed_at >= since)
            and (until is null or delivery.changed_at < until)
        order by
            delivery.changed_at,
            delivery.id
        limit least(greatest(replay_webhook_deliveries.batch_size, 0), 5000)
        for update of delivery skip locked
    ),

    revived as (
        update ops.webhook_deliveries as delivery
        set
            state = 'scheduled',
            attempt = 0,
            replays = delivery.replays + 1,
            next_attempt_at = now(),
            changed_at = now()
        from chosen
        where delivery.id = chosen.id
        returning
            delivery.endpoint_id,
            delivery.event_type
    )

    select
        jsonb_build_object(
            'count', count(*),
            'endpoints', jsonb_agg(distinct revived.endpoint_id),
            'event_types', jsonb_agg(distinct revived.event_type)
        )
    into replayed
    from revived;

    perform ops.resolve_alert('dead_letters', private.endpoint_label(endpoint))
    from public.webhook_endpoints as endpoint
    where
        replayed -> 'endpoints' ? endpoint.id::text
        and not exists (
            select
            from ops.webhook_deliveries as delivery
            where
                delivery.endpoint_id = endpoint.id
                and delivery.state = 'dead'
        );
    perform private.wake_delivery(
        variadic array(
            select distinct known.edge_function
            from ops.event_types as known
            where replayed -> 'event_types' ? known.event_type
        )
    );
    return (replayed ->> 'count')::integer;
end
$$;
comment on function public.replay_webhook_deliveries(uuid[], uuid, timestamptz, integer, timestamptz) is
'Sends dead deliveries again from the first attempt, oldest first, at most 5000 at a time; no argument means all. '
'since and until are when they died. Returns how many. An endpoint that is disabled or not entitled keeps its dead.';

create function private.test_webhook_endpoint(endpoint_id uuid)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    endpoint constant public.webhook_endpoints := private.locked_webhook_endpoint(test_webhook_endpoint.endpoint_id);
    event_id constant uuid := gen_random_uuid();
    answer jsonb;
begin
    if endpoint.disabled_at is not null or endpoint.entitled_until <= now() then
        raise exception using
            errcode = 'PT409',
            message = 'Nothing is sent to this endpoint.',
            detail = coalesce('It is disabled: ' || endpoint.disabled_reason || '.', 'Its owner is not entitled.'),
            hint = 'Switch it on first.';
    end if;
    if (
        select count(*)
        from ops.webhook_deliveries as delivery
        where
            delivery.endpoint_id = endpoint.id
            and delivery.event_type = 'webhook.test'
            and delivery.created_at > now() - interval '1 minute'
    ) >= 10 then
        raise exception using
            errcode = 'PT429',
            message = 'This endpoint was tried ten times in a minute.',
            hint = 'Wait a minute.';
    end if;
    insert into ops.outbox (id, event_type, dedupe_key, data)
    values (
        event_id,
        'webhook.test',
        endpoint.id || ':' || event_id,
        jsonb_build_object('endpoint_id', endpoint.id, 'requested_at', now())
    );
    insert into ops.webhook_deliveries (outbox_id, endpoint_id, event_type)
    values (event_id, endpoint.id, 'webhook.test')
    returning jsonb_build_object('delivery_id', webhook_deliveries.id, 'webhook_id', webhook_deliveries.webhook_id)
    into answer;
    return answer;
end
$$;
comment on function private.test_webhook_endpoint(uuid) is
'Sends webhook.test to one endpoint, ten times a minute at most.';

create function private.webhook_log(
    endpoint_id uuid,
    most integer default 50,
    before timestamptz default null
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if coalesce(most not between 1 and 200, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The limit is not 1 to 200.';
    end if;
    if not exists (
        select
        from public.webhook_endpoints as endpoint
        where endpoint.id = webhook_log.endpoint_id
    ) then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such webhook endpoint.',
            hint = 'Send the id that the registration returned.';
    end if;
    return (
        with page as (
            select *
            from ops.webhook_deliveries as delivery
            where
                delivery.endpoint_id = webhook_log.endpoint_id
                and (webhook_log.before is null or delivery.created_at < webhook_log.before)
            order by delivery.created_at desc
            -- A page that ended between two of one moment would lose the second.
            fetch first (webhook_log.most) rows with ties
        )

        select
            jsonb_build_object(
                'deliveries',
                coalesce(
                    jsonb_agg(
                        jsonb_build_object(
                            'delivery_id', page.id,
                            'webhook_id', page.webhook_id,
                            'event_type', page.event_type,
                            'created_at', page.created_at,
                            'state', page.state,
                            'attempt', page.attempt,
                            'next_attempt_at', page.next_attempt_at,
                            'last_status', page.last_status,
                            'last_error', page.last_error,
                            'attempts', coalesce(tried.attempts, '[]')
                        )
                        order by page.created_at desc, page.id
                    ),
                    '[]'
                ),
                'next_before',
                case when count(*) >= webhook_log.most then min(page.created_at) end
            )
        from page
        left join lateral (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'attempt', attempt.attempt,
                        'status', attempt.status,
                        'error', attempt.error,
                        'duration_ms', attempt.duration_ms,
                        'ended_at', attempt.ended_at
                    )
                    order by attempt.replay, attempt.attempt
                ) as attempts
            from ops.webhook_attempts as attempt
            where attempt.delivery_id = page.id
        ) as tried on true
    );
end
$$;
comment on function private.webhook_log(uuid, integer, timestamptz) is
'The deliveries of an endpoint with all their attempts, the newest first; next_before continues, null at the end.';

create function public.test_webhook_endpoint(endpoint_id uuid)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.test_webhook_endpoint(endpoint_id)
$$;
comment on function public.test_webhook_endpoint(uuid) is 'Sends a webhook.test event to one endpoint.';

create function public.webhook_log(
    endpoint_id uuid,
    "limit" integer default 50,
    before timestamptz default null
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.webhook_log(endpoint_id, "limit", before)
$$;
comment on function public.webhook_log(uuid, integer, timestamptz) is
'What was sent to an endpoint and what it answered, the newest first.';

create function ops.purge_outbox(
    at timestamptz default now(),
    batch_size integer default 5000
)
returns bigint
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    cutoff timestamptz := at - interval '30 days';
    at_most integer := least(greatest(purge_outbox.batch_size, 0), 50000);
    purged_events bigint;
    purged_receipts bigint;
begin
    perform private.forget_previous_secrets();

    -- Whole events with their deliveries: one that is still on its way, or dead and waiting for the operator, keeps all.
    with old as (
        select event.id
        from ops.outbox as event
        where
            event.created_at < cutoff
            and not exists (
                select
                from ops.webhook_deliveries as delivery
                inner join public.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
                where
                    delivery.outbox_id = event.id
                    and (
                        delivery.state = 'scheduled'
                        or (delivery.state = 'dead' and endpoint.user_id is null)
                        or delivery.changed_at >= cutoff
                    )
            )
        order by event.created_at
        limit at_most
        for update of event skip locked
    )

    delete from ops.outbox as event
    using old
    where event.id = old.id;
    get diagnostics purged_events = row_count;

    -- What may be sent again must be recognised again.
    with old as (
        select receipt.webhook_id
        from ops.webhook_receipts as receipt
        where
            receipt.received_at < cutoff
            and not exists (
                select
                from ops.webhook_deliveries as delivery
                where
                    delivery.state <> 'delivered'
                    and delivery.webhook_id = receipt.webhook_id
            )
        order by receipt.received_at
        limit at_most
        for update of receipt skip locked
    )

    delete from ops.webhook_receipts as receipt
    using old
    where receipt.webhook_id = old.webhook_id;
    get diagnostics purged_receipts = row_count;
    return purged_events + purged_receipts;
end
$$;
comment on function ops.purge_outbox(timestamptz, integer) is
'Removes events whose every delivery ended 30 days ago, and receipts as old, so many at a time; returns how many. '
'The operator''s dead letters stay; secrets whose overlap is over go.';

grant execute on function public.claim_webhook_deliveries(text[], integer, integer) to app_service;
grant execute on function public.record_webhook_deliveries(jsonb) to app_service;
grant execute on function public.replay_webhook_deliveries(uuid[], uuid, timestamptz, integer, timestamptz)
to app_service;
grant execute on function public.test_webhook_endpoint(uuid) to app_service;
grant execute on function public.webhook_log(uuid, integer, timestamptz) to app_service;
grant select on ops.webhook_deliveries, ops.webhook_attempts, ops.dead_letters to app_service;
