-- Promises that no source is asked more often in a day than its owner allows, whatever crashes or runs beside.

create function private.pacific_day(at timestamptz default now())
returns date
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select (at at time zone 'America/Los_Angeles')::date
$$;
comment on function private.pacific_day(timestamptz) is
'The day in California: YouTube''s quotas begin anew at midnight there.';

create function private.pacific_midnight(day date)
returns timestamptz
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select pacific_midnight.day::timestamp at time zone 'America/Los_Angeles'
$$;
comment on function private.pacific_midnight(date) is 'When the day begins in California: 23 to 25 hours apart.';

create table private.quota_limits (
    bucket text primary key,
    daily_limit integer not null,
    constraint daily_limit_is_possible check (daily_limit between 0 and 1000000000)
);
alter table private.quota_limits enable row level security;
comment on table private.quota_limits is 'What a day allows of each quota. An operator changes it; it counts at once.';
comment on column private.quota_limits.bucket is
'youtube_search: calls of search.list; youtube_units: units of everything else.';

insert into private.quota_limits (bucket, daily_limit)
values
('youtube_search', 100),
('youtube_units', 10000);

create table private.quota_days (
    bucket text not null references private.quota_limits (bucket),
    day date not null,
    used integer not null,
    primary key (bucket, day),
    constraint used_is_not_negative check (used >= 0)
);
alter table private.quota_days enable row level security;
create index quota_days_by_day on private.quota_days (day);
comment on table private.quota_days is
'What was used of a quota on a day in California, counted before each call. Kept 90 days.';

create function private.quota_state(bucket text)
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        jsonb_build_object(
            'bucket', allowed.bucket,
            'used', coalesce(counted.used, 0),
            'daily_limit', allowed.daily_limit,
            'resets_at', private.pacific_midnight(private.pacific_day() + 1)
        )
    from private.quota_limits as allowed
    left join private.quota_days as counted
        on
            allowed.bucket = counted.bucket
            and counted.day = private.pacific_day()
    where allowed.bucket = quota_state.bucket
$$;
comment on function private.quota_state(text) is 'What is used of a quota today, and when it begins anew.';

create function private.quota_limit(bucket text)
returns integer
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    found_limit integer;
begin
    select allowed.daily_limit
    into found_limit
    from private.quota_limits as allowed
    where allowed.bucket = quota_limit.bucket;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such quota.',
            detail = format('It is %s.', coalesce(quote_literal(left(quota_limit.bucket, 100)), 'missing')),
            hint = 'Send a bucket of private.quota_limits, such as youtube_units.';
    end if;
    return found_limit;
end
$$;
comment on function private.quota_limit(text) is 'What a day allows of the quota; refuses an unknown one.';

create function public.take_quota(
    bucket text,
    units integer
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    allowed constant integer := private.quota_limit(take_quota.bucket);
begin
    if coalesce(take_quota.units, 0) < 1 then
        raise exception using
            errcode = 'PT400',
            message = 'The units are no whole number from 1.',
            detail = format('They are %s.', coalesce(take_quota.units::text, 'missing')),
            hint = 'Send what the next call costs.';
    end if;
    -- Who takes at the same time waits for this row, and is then asked about what is used by then.
    insert into private.quota_days as counted (bucket, day, used)
    select
        take_quota.bucket,
        private.pacific_day(),
        take_quota.units
    where take_quota.units <= allowed
    on conflict on constraint quota_days_pkey do update
        set used = counted.used + excluded.used
        where counted.used <= allowed - excluded.used;
    return jsonb_build_object('granted', found) || private.quota_state(take_quota.bucket);
end
$$;
comment on function public.take_quota(text, integer) is
'Counts units of the day''s quota if all of them are left, before the call that costs them; granted says whether.';

create function public.close_quota(bucket text)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    allowed constant integer := private.quota_limit(close_quota.bucket);
begin
    insert into private.quota_days as counted (bucket, day, used)
    values (close_quota.bucket, private.pacific_day(), allowed)
    on conflict on constraint quota_days_pkey do update
        set used = excluded.used
        where counted.used < excluded.used;
    return '{"granted": false}'::jsonb || private.quota_state(close_quota.bucket);
end
$$;
comment on function public.close_quota(text) is
'The source itself says that the day''s quota is spent: nothing more of it is granted today.';
