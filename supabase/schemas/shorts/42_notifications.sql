-- Promises that a trend reaches the people who follow its keyword once, however often its webhook is delivered.

create table public.notifications (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.users (id) on delete cascade,
    kind text not null,
    dedupe_key text not null,
    trend_id uuid,
    keyword varchar(255) not null,
    region_code varchar(2) not null,
    payload jsonb not null,
    created_at timestamptz not null default now(),
    read_at timestamptz,
    constraint a_person_is_notified_once unique (user_id, kind, dedupe_key),
    constraint kind_is_known check (kind in ('trend')),
    constraint dedupe_key_is_short check (length(dedupe_key) between 1 and 500),
    constraint payload_is_a_small_object check (private.is_small(payload, 'object', 4096))
);
alter table public.notifications enable row level security;
create index notifications_of_a_person on public.notifications (user_id, created_at desc);
create index notifications_by_age on public.notifications (created_at);
create index unread_notifications_of_a_trend on public.notifications (trend_id)
where read_at is null;
comment on table public.notifications is
'What people are told: trends of keywords they follow, if their settings want it. Kept for 30 days.';
comment on column public.notifications.id is 'Our own id.';
comment on column public.notifications.user_id is 'Who is told.';
comment on column public.notifications.kind is 'trend: a keyword that the person follows bursts.';
comment on column public.notifications.dedupe_key is
'Two of one kind and key are one: the keyword, region and UTC day.';
comment on column public.notifications.trend_id is 'The id of the trend in trending_keywords.';
comment on column public.notifications.keyword is 'The keyword, normalised.';
comment on column public.notifications.region_code is 'Where it trends.';
comment on column public.notifications.payload is
'trend_score, growth_rate and detected_at as of told_at, the newest that was known before it was read.';
comment on column public.notifications.created_at is 'When the person was told.';
comment on column public.notifications.read_at is
'When the person read it; null until then. The person''s own to write.';

-- An index calls it as whoever writes the row: it reaches normalize_keyword as its owner.
create function private.folded_keywords(keywords text[])
returns text[]
immutable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select coalesce(array_agg(distinct private.normalize_keyword(followed.keyword)), '{}')
    from unnest(keywords) as followed (keyword)
$$;
comment on function private.folded_keywords(text[]) is 'The same keywords, each in its one spelling.';

create index user_profiles_by_followed_keyword on public.user_profiles
using gin (private.folded_keywords(preferred_keywords));

create function private.read_trend_event(
    event jsonb,
    event_type text
)
returns table (
    trend_id uuid,
    keyword text,
    region_code text,
    detected_at timestamptz,
    told_at timestamptz,
    figures jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    data constant jsonb := event -> 'data';
    -- A date and a time of day: infinity, now and yesterday are none.
    moment constant text := '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:';
begin
    if event ->> 'type' is distinct from read_trend_event.event_type
        or coalesce(length(private.normalize_keyword(data ->> 'keyword')) not between 1 and 255, true)
        or coalesce(data ->> 'region_code', 'KR') !~ '^[A-Z]{2}$'
        or event ->> 'timestamp' !~ moment
        or data ->> 'detected_at' !~ moment
        or not pg_input_is_valid(event ->> 'timestamp', 'timestamptz')
        or not pg_input_is_valid(data ->> 'detected_at', 'timestamptz')
        or not pg_input_is_valid(data ->> 'id', 'uuid')
    then
        raise exception using
            errcode = 'PT400',
            message = format('The event is no %s event of a trend.', read_trend_event.event_type),
            hint = 'Send the body of the webhook unchanged.';
    end if;
    trend_id := (data ->> 'id')::uuid;
    keyword := private.normalize_keyword(data ->> 'keyword');
    region_code := coalesce(data ->> 'region_code', 'KR');
    detected_at := coalesce((data ->> 'detected_at')::timestamptz, now());
    told_at := coalesce((event ->> 'timestamp')::timestamptz, now());
    figures := jsonb_build_object(
        'trend_score', case when jsonb_typeof(data -> 'trend_score') = 'number' then data -> 'trend_score' end,
        'growth_rate', case when jsonb_typeof(data -> 'growth_rate') = 'number' then data -> 'growth_rate' end,
        'detected_at', detected_at,
        'told_at', told_at
    );
    return next;
end
$$;
comment on function private.read_trend_event(jsonb, text) is
'What a webhook says of a trend, or PT400 when it is not of this type or cannot be true.';

create function private.take_webhook(
    webhook_id text,
    event jsonb
)
returns boolean
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if coalesce(length(take_webhook.webhook_id) not between 1 and 255, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The webhook has no id of 1 to 255 characters.',
            hint = 'Send the header webhook-id unchanged.';
    end if;
    insert into ops.webhook_receipts (webhook_id, event)
    values (take_webhook.webhook_id, take_webhook.event)
    on conflict on constraint webhook_receipts_pkey do nothing;
    return found;
end
$$;
comment on function private.take_webhook(text, jsonb) is
'Whether the webhook is taken for the first time. A second taker waits until the first has committed or failed.';

create function private.most_notified()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 50000
$$;
comment on function private.most_notified() is
'How many people one event notifies: more would outlast the webhook. Change it in a migration.';

create function private.notify_followers(
    event jsonb,
    most integer default private.most_notified()
)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    told record;
    matched integer;
    notified integer;
begin
    select *
    into told
    from private.read_trend_event(event, 'trend.detected');

    with followers as materialized (
        select profile.user_id
        from public.user_profiles as profile
        inner join public.users as person on profile.user_id = person.id
        where
            private.folded_keywords(profile.preferred_keywords) @> array[told.keyword]
            and person.settings @> '{"notifications": true}'
        -- People who are erased meanwhile are waited for in one order.
        order by profile.user_id
        limit most + 1
    ),

    written as (
        insert into public.notifications (user_id, kind, dedupe_key, trend_id, keyword, region_code, payload)
        select
            follower.user_id,
            'trend',
            private.trend_dedupe_key(told.keyword, told.region_code, told.detected_at),
            told.trend_id,
            told.keyword,
            told.region_code,
            told.figures
        from followers as follower
        order by follower.user_id
        limit most
        on conflict on constraint a_person_is_notified_once do nothing
        returning
            id,
            user_id,
            keyword,
            region_code,
            payload
    ),

    -- A failing broadcast is a warning: the row is there to be read.
    broadcast as materialized (
        select
            realtime.send(
                jsonb_build_object(
                    'id', notification.id,
                    'kind', 'trend',
                    'trend_id', told.trend_id,
                    'keyword', notification.keyword,
                    'region_code', notification.region_code,
                    'payload', notification.payload
                ),
                'notification',
                'user:' || notification.user_id,
                true
            ) as sent
        from written as notification
    )

    select
        (select count(*) from followers),
        count(broadcast.*)
    into
        matched,
        notified
    from broadcast;
    if matched > most then
        perform ops.raise_alert(
            'notification_limit',
            told.keyword,
            format('more than %s people follow the keyword; the others were not notified', most)
        );
    end if;
    return notified;
end
$$;
comment on function private.notify_followers(jsonb, integer) is
'Notifies everybody who follows the keyword of a trend.detected event and wants notifications. Returns how many.';

create function private.renew_notifications(event jsonb)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    told record;
    renewed integer;
begin
    select *
    into told
    from private.read_trend_event(event, 'trend.updated');
    with unread as materialized (
        select notification.id
        from public.notifications as notification
        where
            notification.trend_id = told.trend_id
            and notification.read_at is null
            and (notification.payload ->> 'told_at')::timestamptz <= told.told_at
        order by notification.id
        for no key update
    )

    update public.notifications as stored
    set payload = told.figures
    from unread
    where
        stored.id = unread.id
        and stored.payload <> told.figures;
    get diagnostics renewed = row_count;
    return renewed;
end
$$;
comment on function private.renew_notifications(jsonb) is
'Writes the figures of a trend.updated event into its unread notifications, never older over newer. Returns how many.';

create function public.receive_trend_event(
    webhook_id text,
    event jsonb
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    notified integer := 0;
    is_new boolean := private.take_webhook(webhook_id, event);
begin
    if is_new then
        notified := private.notify_followers(event);
    end if;
    return jsonb_build_object('duplicate', not is_new, 'notified', notified);
end
$$;
comment on function public.receive_trend_event(text, jsonb) is
'Takes a verified trend.detected: the receipt and the notifications are one transaction, so they happen once.';

create function public.receive_trend_update(
    webhook_id text,
    event jsonb
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    notified integer := 0;
    is_new boolean := private.take_webhook(webhook_id, event);
begin
    if is_new then
        notified := private.renew_notifications(event);
    end if;
    return jsonb_build_object('duplicate', not is_new, 'notified', notified);
end
$$;
comment on function public.receive_trend_update(text, jsonb) is
'Takes a verified trend.updated: the receipt and the newest figures of unread notifications are one transaction.';

create function private.forget_notifications(
    at timestamptz default now(),
    most integer default 10000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with over as materialized (
        select notification.id
        from public.notifications as notification
        where notification.created_at < forget_notifications.at - interval '30 days'
        order by notification.created_at
        limit forget_notifications.most
        for update skip locked
    ),

    forgotten as (
        delete from public.notifications as stored
        using over
        where stored.id = over.id
        returning stored.id
    )

    select jsonb_build_object('forgotten', count(*))
    from forgotten
$$;
comment on function private.forget_notifications(timestamptz, integer) is
'Deletes a batch of the notifications that are older than 30 days. Returns how many.';

do $$
begin
    if exists (
        select
        from pg_catalog.pg_publication
        where pubname = 'supabase_realtime'
    ) then
        alter publication supabase_realtime
        add table public.notifications;
    end if;
end
$$;
