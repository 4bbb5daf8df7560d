-- Promises that a person on trial gets 50 interactions a day in Korea, however they are sent.

create function private.trial_limit()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 50
$$;
comment on function private.trial_limit() is 'Interactions a day on trial.';

create function private.korean_day(at timestamptz default now())
returns date
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select (at at time zone 'Asia/Seoul')::date
$$;
comment on function private.korean_day(timestamptz) is 'The day in Korea: what a day''s limits and figures go by.';

create table private.daily_quotas (
    user_id uuid not null references public.users (id) on delete cascade,
    day date not null,
    used integer not null,
    primary key (user_id, day),
    constraint used_is_not_negative check (used >= 0)
);
alter table private.daily_quotas enable row level security;
comment on table private.daily_quotas is 'How much of the day''s trial limit a person has used. Two days are kept.';
comment on column private.daily_quotas.used is 'Interactions that were stored; deleting them gives none back.';

create function private.is_on_trial(person uuid)
returns boolean
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select exists (
        select
        from public.user_tiers as held
        where
            held.user_id = is_on_trial.person
            and held.tier = 'trial'
            and (held.expires_at is null or held.expires_at > now())
    )
$$;
comment on function private.is_on_trial(uuid) is 'Whether the person is on trial right now, by the table.';

create function private.trial_has_room()
returns boolean
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        not private.is_on_trial(private.user_id())
        or coalesce(
            (
                select quota.used
                from private.daily_quotas as quota
                where
                    quota.user_id = private.user_id()
                    and quota.day = private.korean_day()
            ),
            0
        ) < private.trial_limit()
$$;
comment on function private.trial_has_room() is
'Whether who asks may store an interaction today; true for everybody who is not on trial.';

create function private.count_trial_interactions()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    exceeded uuid;
begin
    -- Materialized: the question of the trial is asked once a person, and not once a row.
    with sent as materialized (
        select
            interaction.user_id,
            count(*)::integer as added
        from new_interactions as interaction
        group by interaction.user_id
    ),

    used as (
        select
            sent.user_id,
            sent.added
        from sent
        where private.is_on_trial(sent.user_id)
    ),

    -- Who inserts at the same time waits for this row, and then counts on from it.
    counted as (
        insert into private.daily_quotas as quota (user_id, day, used)
        select
            used.user_id,
            private.korean_day(),
            used.added
        from used
        order by used.user_id
        on conflict on constraint daily_quotas_pkey do update
            set used = quota.used + excluded.used
        returning
            quota.user_id,
            quota.used
    )

    select counted.user_id
    into exceeded
    from counted
    where counted.used > private.trial_limit()
    limit 1;
    if found then
        raise exception using
            errcode = 'PT429',
            message = format('On trial %s interactions a day are stored, and this is more.', private.trial_limit()),
            detail = 'Nothing of this call was stored.',
            hint = 'Send fewer, wait until midnight in Korea, or subscribe.';
    end if;
    return null;
end
$$;
comment on function private.count_trial_interactions() is
'Counts what people on trial store, a statement at a time, and refuses the statement that goes beyond the limit.';

create trigger count_trial_interactions
after insert on public.video_interactions
referencing new table as new_interactions
for each statement
execute function private.count_trial_interactions();
