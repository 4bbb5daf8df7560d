-- Promises one row per person, whose owner may edit the profile and never what grants power.

create type public.tier_enum as enum ('free', 'trial', 'premium', 'pro', 'enterprise');
comment on type public.tier_enum is 'What a person has paid for, in rising order.';

create table public.users (
    id uuid primary key references auth.users (id) on delete cascade,
    email varchar(255),
    email_encrypted bytea,
    email_blind_index bytea unique,
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
    constraint email_is_masked check (email like '%***%'),
    constraint daily_api_usage_is_not_negative check (daily_api_usage >= 0),
    constraint monthly_api_usage_is_not_negative check (monthly_api_usage >= 0),
    constraint avatar_url_is_http check (avatar_url ~ '^https?://' and length(avatar_url) <= 2000),
    constraint settings_is_a_small_object check (private.is_small(settings, 'object', 16384)),
    constraint settings_have_their_types check (
        coalesce(jsonb_typeof(settings -> 'notifications'), 'boolean') = 'boolean'
        and coalesce(jsonb_typeof(settings -> 'theme'), 'string') = 'string'
        and coalesce(jsonb_typeof(settings -> 'language'), 'string') = 'string'
        and coalesce(jsonb_typeof(settings -> 'auto_play'), 'boolean') = 'boolean'
    ),
    constraint preferences_is_a_small_object check (private.is_small(preferences, 'object', 16384)),
    constraint username_is_a_handle check (username::text ~ '^[[:alnum:]_.-]{2,40}$')
);
alter table public.users enable row level security;
create index users_by_encryption_key on public.users (substr(email_encrypted, 1, 5));
comment on table public.users is 'One row per person, made at sign-up. Visible to its owner and to admins.';
comment on column public.users.id is 'The id in auth.users.';
comment on column public.users.email is
'The masked address, k***@e***.com; null for anonymous and phone sign-ups. The whole one is in Auth.';
comment on column public.users.email_encrypted is
'The address as ciphertext bound to this row; admins and the service read it in users_secure.';
comment on column public.users.email_blind_index is
'What an address is found by; null where another account had the same address before.';
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

-- A rotation of keys changes the ciphertext alone, which is no change of the person's row.
create trigger set_updated_at
before update on public.users
for each row
when (
    new.email_encrypted is not distinct from old.email_encrypted
    or new.email_blind_index is distinct from old.email_blind_index
)
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

select private.register_encrypted_column('public.users', 'email_encrypted');

create function private.shorts_on_sign_up(
    user_id uuid,
    email text,
    metadata jsonb
)
returns void
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    found_by bytea := private.blind_index(shorts_on_sign_up.email, 'email');
begin
    -- Two accounts of single sign-on may share an address: it finds the one that had it first.
    if exists (
        select
        from public.users as other
        where
            other.email_blind_index = found_by
            and other.id <> shorts_on_sign_up.user_id
    ) then
        found_by := null;
    end if;
    insert into public.users as stored (id, email, email_encrypted, email_blind_index, name, avatar_url)
    values (
        shorts_on_sign_up.user_id,
        private.mask_email(shorts_on_sign_up.email),
        private.encrypt_pii(shorts_on_sign_up.email, 'public.users.email_encrypted:' || shorts_on_sign_up.user_id),
        found_by,
        left(coalesce(metadata ->> 'name', metadata ->> 'full_name'), 100),
        case
            when metadata ->> 'avatar_url' ~ '^https?://' and length(metadata ->> 'avatar_url') <= 2000
                then metadata ->> 'avatar_url'
        end
    )
    on conflict (id) do update
        set
            email = excluded.email,
            email_encrypted = excluded.email_encrypted,
            email_blind_index = excluded.email_blind_index;
    insert into public.user_profiles (user_id)
    values (shorts_on_sign_up.user_id)
    on conflict on constraint user_profiles_user_id_key do nothing;
    insert into public.user_search_patterns (user_id)
    values (shorts_on_sign_up.user_id)
    on conflict on constraint user_search_patterns_user_id_key do nothing;
end
$$;
comment on function private.shorts_on_sign_up(uuid, text, jsonb) is
'The room''s part of a sign-up and of a change of address. Takes a name and a picture, never a tier.';

create function private.shorts_on_erase(user_id uuid)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    emptied text;
    rows_deleted integer;
    counts jsonb := '{}'::jsonb;
begin
    -- What only the person and perhaps one other typed is theirs, on days too that are not counted again.
    with said as materialized (
        select left(private.normalize_keyword(session.search_query), 255) as keyword
        from public.search_sessions as session
        where session.user_id = shorts_on_erase.user_id
        union
        select left(private.normalize_keyword(archived.search_query), 255)
        from private.search_sessions_archive as archived
        where archived.user_id = shorts_on_erase.user_id
    ),

    effectiveness as (
        delete from public.keyword_effectiveness as stored
        using said
        where
            stored.keyword = said.keyword
            and stored.people < private.fewest_people()
    ),

    performance as (
        delete from public.keyword_performance_cache as stored
        using said
        where
            stored.keyword = said.keyword
            and stored.people < private.fewest_people()
    )

    delete from private.pending_counts as pending
    using said
    where pending.keyword = said.keyword;

    -- Each by itself, to tell how many; what refers to another comes first.
    foreach emptied in array array[
        'public.video_interactions',
        'public.search_sessions',
        'private.search_sessions_archive',
        'public.user_session_details',
        'public.user_feedback',
        'public.user_search_patterns',
        'private.feed_impressions',
        'private.feed_rankings',
        'private.user_tastes',
        'private.watch_windows',
        'private.ai_turn_days',
        'public.notifications',
        'public.user_profiles',
        'public.user_tiers'
    ] loop
        execute format('delete from %s where user_id = $1', emptied::regclass)
        using shorts_on_erase.user_id;
        get diagnostics rows_deleted = row_count;
        counts := counts || jsonb_build_object(split_part(emptied, '.', 2), rows_deleted);
    end loop;
    -- Realtime keeps for three days what it told the person, searches among it.
    delete from realtime.messages as message
    where message.topic in ('user:' || user_id, 'user:' || user_id || ':searches');
    get diagnostics rows_deleted = row_count;
    counts := counts || jsonb_build_object('messages', rows_deleted);
    delete from public.users as stored
    where stored.id = shorts_on_erase.user_id;
    get diagnostics rows_deleted = row_count;
    return counts || jsonb_build_object('users', rows_deleted);
end
$$;
comment on function private.shorts_on_erase(uuid) is 'The room''s part of an erasure: every row that is the person''s.';

create function private.shorts_email(user_id uuid)
returns text
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.decrypt_pii(stored.email_encrypted, 'public.users.email_encrypted:' || stored.id)
    from public.users as stored
    where stored.id = shorts_email.user_id
$$;
comment on function private.shorts_email(uuid) is
'A person''s address in clear, for admins and the service; refused to everybody else.';

create view public.users_secure
with (security_invoker = true) as
select -- noqa: ST06
    stored.id,
    stored.username,
    private.shorts_email(stored.id) as email,
    stored.user_tier,
    stored.created_at
from public.users as stored
where (select private.may_read_pii());
comment on view public.users_secure is
'People with their address in clear: for admins and the service, no rows for others.';
comment on column public.users_secure.id is 'The id in auth.users.';
comment on column public.users_secure.username is 'Unique handle.';
comment on column public.users_secure.email is 'The address, decrypted.';
comment on column public.users_secure.user_tier is 'The tier that people read.';
comment on column public.users_secure.created_at is 'When the person signed up.';

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
