-- Promises one row per person, whose owner may edit the profile and never what grants power.

create type public.tier_enum as enum ('free', 'trial', 'premium', 'pro', 'enterprise');
comment on type public.tier_enum is 'What a person has paid for, in rising order.';

create table public.users (
    id uuid primary key references auth.users (id) on delete cascade,
    email varchar(255) unique,
    name varchar(100),
    avatar_url text,
    user_tier public.tier_enum not null default 'free',
    subscription_expires_at timestamptz,
    daily_api_usage integer not null default 0,
    monthly_api_usage integer not null default 0,
    settings jsonb not null
    default '{"notifications": true, "theme": "light", "language": "ko", "auto_play": true}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    auth_id uuid generated always as (id) stored unique,
    username extensions.citext unique,
    preferences jsonb not null default '{}',
    subscription_end timestamptz generated always as (subscription_expires_at) stored,
    constraint daily_api_usage_is_not_negative check (daily_api_usage >= 0),
    constraint monthly_api_usage_is_not_negative check (monthly_api_usage >= 0),
    constraint avatar_url_is_http check (avatar_url ~ '^https?://' and length(avatar_url) <= 2000),
    constraint settings_is_a_small_object check (
        jsonb_typeof(settings) = 'object'
        and length(settings::text) <= 16384
    ),
    constraint settings_have_their_types check (
        coalesce(jsonb_typeof(settings -> 'notifications'), 'boolean') = 'boolean'
        and coalesce(jsonb_typeof(settings -> 'theme'), 'string') = 'string'
        and coalesce(jsonb_typeof(settings -> 'language'), 'string') = 'string'
        and coalesce(jsonb_typeof(settings -> 'auto_play'), 'boolean') = 'boolean'
    ),
    constraint preferences_is_a_small_object check (
        jsonb_typeof(preferences) = 'object'
        and length(preferences::text) <= 16384
    ),
    constraint username_is_a_handle check (username::text ~ '^[[:alnum:]_.-]{2,40}$')
);
alter table public.users enable row level security;
comment on table public.users is 'One row per person, made at sign-up. Visible to its owner and to admins.';
comment on column public.users.id is 'The id in auth.users.';
comment on column public.users.email is 'A copy of the address in auth.users; null for anonymous and phone sign-ups.';
comment on column public.users.name is 'Display name.';
comment on column public.users.avatar_url is 'Address of the picture.';
comment on column public.users.user_tier is
'The tier in force when user_tiers last changed. Read only: user_tiers decides.';
comment on column public.users.subscription_expires_at is 'When the tier ends; null when it does not. Read only.';
comment on column public.users.daily_api_usage is 'Calls today. Read only.';
comment on column public.users.monthly_api_usage is 'Calls this month. Read only.';
comment on column public.users.settings is
'The app''s settings: notifications, theme, language, auto_play and what an app adds.';
comment on column public.users.created_at is 'When the person signed up.';
comment on column public.users.updated_at is 'When the row last changed.';
comment on column public.users.auth_id is 'The same as id.';
comment on column public.users.username is 'Unique handle; upper and lower case are the same.';
comment on column public.users.preferences is 'What the person likes to see.';
comment on column public.users.subscription_end is 'The same as subscription_expires_at.';

create trigger set_updated_at
before update on public.users
for each row
execute function private.touch_updated_at();

create table public.user_tiers (
    user_id uuid primary key references public.users (id) on delete cascade,
    tier public.tier_enum not null,
    expires_at timestamptz,
    source varchar(50) not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint source_is_known check (source in ('purchase', 'trial', 'operator'))
);
alter table public.user_tiers enable row level security;
comment on table public.user_tiers is 'What decides a person''s tier. No row means free. Written by the service only.';
comment on column public.user_tiers.user_id is 'Whose tier.';
comment on column public.user_tiers.tier is 'The tier until expires_at.';
comment on column public.user_tiers.expires_at is 'From when on it is free again; null for never.';
comment on column public.user_tiers.source is 'What it rests on: purchase, trial or operator.';
comment on column public.user_tiers.created_at is 'When the first tier was given.';
comment on column public.user_tiers.updated_at is 'When it last changed.';

create trigger set_updated_at
before update on public.user_tiers
for each row
execute function private.touch_updated_at();

create function private.copy_tier()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if tg_op = 'DELETE' then
        update public.users
        set
            user_tier = 'free',
            subscription_expires_at = null
        where id = old.user_id;
        return null;
    end if;
    update public.users
    set
        user_tier = case when new.expires_at <= now() then 'free' else new.tier end,
        subscription_expires_at = new.expires_at
    where id = new.user_id;
    return null;
end
$$;
comment on function private.copy_tier() is
'Keeps users.user_tier, which people read, equal to user_tiers, which decides.';

create trigger copy_tier
after insert or update or delete on public.user_tiers
for each row
execute function private.copy_tier();

create function private.has_tier(minimum public.tier_enum)
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
            held.user_id = private.user_id()
            and held.tier >= minimum
            and (held.expires_at is null or held.expires_at > now())
    )
$$;
comment on function private.has_tier(public.tier_enum) is
'Whether who asks has at least this tier right now, by the table and not by the token.';

create function private.shorts_on_sign_up(
    user_id uuid,
    email text,
    metadata jsonb
)
returns void
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    insert into public.users as stored (id, email, name, avatar_url)
    values (
        user_id,
        email,
        left(coalesce(metadata ->> 'name', metadata ->> 'full_name'), 100),
        case
            when metadata ->> 'avatar_url' ~ '^https?://' and length(metadata ->> 'avatar_url') <= 2000
                then metadata ->> 'avatar_url'
        end
    )
    on conflict (id) do update
        set email = excluded.email
$$;
comment on function private.shorts_on_sign_up(uuid, text, jsonb) is
'The room''s part of a sign-up and of a change of address. Takes a name and a picture, never a tier.';

create function private.shorts_claims(user_id uuid)
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select jsonb_build_object(
        'tier',
        coalesce(
            (
                select held.tier
                from public.user_tiers as held
                where
                    held.user_id = shorts_claims.user_id
                    and (held.expires_at is null or held.expires_at > now())
            ),
            'free'
        )
    )
$$;
comment on function private.shorts_claims(uuid) is
'The room''s part of the token: the tier in force when it is signed.';

-- Who people are is masked in the audit log; what they may do is told in clear. Counters of use ring no bell.
select ops.audit_table(
    'public.users',
    array[
        'id',
        'auth_id',
        'user_tier',
        'subscription_expires_at',
        'subscription_end',
        'daily_api_usage',
        'monthly_api_usage',
        'created_at',
        'updated_at'
    ]
);
select ops.audit_table(
    'public.user_tiers',
    array['user_id', 'tier', 'expires_at', 'source', 'created_at', 'updated_at']
);
select ops.watch_table(
    'public.users',
    array[
        'id',
        'email',
        'name',
        'username',
        'avatar_url',
        'settings',
        'preferences',
        'user_tier',
        'subscription_expires_at'
    ]
);
select ops.watch_table('public.user_tiers');
