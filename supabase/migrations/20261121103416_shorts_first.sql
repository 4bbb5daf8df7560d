set local lock_timeout = '5s';
set local statement_timeout = '10min';

-- supabase/schemas/shorts/01_users.sql

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

-- supabase/schemas/shorts/02_tables.sql

-- Promises one place for what is known of videos, channels, keywords and trends, refusing what cannot be true.

create function private.shorts_limit_seconds()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 180
$$;
comment on function private.shorts_limit_seconds() is
'YouTube''s longest Short since 2024-10-15. A function, since generated columns cannot read a settings table.';

create function private.plays_everywhere(
    is_embeddable boolean,
    privacy_status text,
    upload_status text,
    is_age_restricted boolean,
    player_error_code integer,
    live_broadcast text
)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(is_embeddable, false)
        and coalesce(privacy_status, 'private') in ('public', 'unlisted')
        and coalesce(upload_status, 'processed') in ('processed', 'uploaded')
        and not coalesce(is_age_restricted, false)
        and player_error_code is null
        and coalesce(live_broadcast, 'none') <> 'upcoming'
$$;
comment on function private.plays_everywhere(boolean, text, text, boolean, integer, text) is
'Whether an embedded player can show the video, regions aside. What is unknown counts against it.';

create table public.cached_channels (
    id uuid primary key default gen_random_uuid(),
    channel_id varchar(50) not null unique,
    channel_title varchar(200) not null,
    subscriber_count bigint,
    video_count integer,
    total_view_count bigint,
    primary_category varchar(50),
    content_language varchar(10),
    upload_frequency numeric(4, 2),
    avg_video_quality numeric(3, 2),
    verified boolean not null default false,
    trust_score numeric(3, 2) not null default 0.5,
    last_updated timestamptz not null default now(),
    thumbnail_url text,
    published_at timestamptz,
    collected_at timestamptz,
    updated_at timestamptz not null default now(),
    constraint channel_counts_are_not_negative check (
        subscriber_count >= 0 and video_count >= 0 and total_view_count >= 0 and upload_frequency >= 0
    ),
    constraint channel_scores_are_fractions check (
        trust_score between 0 and 1 and avg_video_quality between 0 and 1
    )
);
alter table public.cached_channels enable row level security;
comment on table public.cached_channels is 'What is known of a YouTube channel. Written by the service only.';
comment on column public.cached_channels.id is 'Our own id; everything refers to channel_id.';
comment on column public.cached_channels.channel_id is 'YouTube''s id.';
comment on column public.cached_channels.channel_title is 'Name of the channel.';
comment on column public.cached_channels.subscriber_count is 'Subscribers, rounded by YouTube; null when hidden.';
comment on column public.cached_channels.video_count is 'Public videos.';
comment on column public.cached_channels.total_view_count is 'Views of all its videos.';
comment on column public.cached_channels.primary_category is
'The most frequent category of its videos: the name, or YouTube''s number while that has none.';
comment on column public.cached_channels.content_language is 'Main language, such as ko.';
comment on column public.cached_channels.upload_frequency is
'Videos a week, at most 99.99: over its life, or over 90 days of what was seen, whichever is more.';
comment on column public.cached_channels.avg_video_quality is 'Mean quality score of its videos, 0 to 1.';
comment on column public.cached_channels.verified is 'Whether YouTube has verified it.';
comment on column public.cached_channels.trust_score is 'How far we trust it, 0 to 1; 0.5 while nothing is known.';
comment on column public.cached_channels.last_updated is 'When a source last named it, be it with a video.';
comment on column public.cached_channels.thumbnail_url is 'Address of its picture.';
comment on column public.cached_channels.published_at is 'When it was opened on YouTube.';
comment on column public.cached_channels.collected_at is
'When the source said what the channel is; null while only videos named it. Older news never overwrites newer.';
comment on column public.cached_channels.updated_at is 'When what a source says of it last changed.';

-- To have been scored is no change of the channel.
create trigger set_updated_at
before update on public.cached_channels
for each row
when (
    (
        new.channel_title,
        new.subscriber_count,
        new.video_count,
        new.total_view_count,
        new.content_language,
        new.verified,
        new.thumbnail_url,
        new.published_at
    ) is distinct from (
        old.channel_title,
        old.subscriber_count,
        old.video_count,
        old.total_view_count,
        old.content_language,
        old.verified,
        old.thumbnail_url,
        old.published_at
    )
)
execute function private.touch_updated_at();

create table public.cached_videos (
    id uuid primary key default gen_random_uuid(),
    video_id varchar(20) not null unique,
    title text not null,
    description text,
    channel_id varchar(50) references public.cached_channels (channel_id),
    channel_name varchar(255),
    duration integer,
    view_count bigint,
    like_count integer,
    comment_count integer,
    is_embeddable boolean default false,
    region_restrictions jsonb not null default '{}',
    privacy_status varchar(20) default 'private',
    thumbnail_url text,
    channel_thumbnail_url text,
    category_id integer,
    category_name varchar(100),
    tags text[],
    cache_hit_count integer not null default 0,
    last_accessed_at timestamptz default now(),
    cached_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '7 days',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    ai_analysis jsonb,
    published_at timestamptz,
    quality_score double precision,
    upload_status varchar(20),
    is_age_restricted boolean,
    player_error_code integer,
    collected_at timestamptz not null default now(),
    live_broadcast varchar(10),
    player_error_at timestamptz,
    times_taken_out integer not null default 0,
    purged_at timestamptz,
    is_playable boolean not null generated always as (
        private.plays_everywhere(
            is_embeddable, privacy_status, upload_status, is_age_restricted, player_error_code, live_broadcast
        )
    ) stored,
    is_shorts boolean not null generated always as (
        coalesce(duration between 1 and private.shorts_limit_seconds(), false)
    ) stored,
    constraint video_id_is_an_id check (video_id ~ '^[A-Za-z0-9_-]+$'),
    constraint title_is_text check (length(title) between 1 and 500),
    constraint video_counts_are_not_negative check (
        duration >= 0 and view_count >= 0 and like_count >= 0 and comment_count >= 0 and cache_hit_count >= 0
    ),
    constraint privacy_status_is_known check (privacy_status in ('public', 'unlisted', 'private')),
    constraint live_broadcast_is_known check (live_broadcast in ('none', 'live', 'upcoming')),
    constraint times_taken_out_is_not_negative check (times_taken_out >= 0),
    constraint region_restrictions_is_an_object check (jsonb_typeof(region_restrictions) = 'object'),
    constraint ai_analysis_is_whole check (ai_analysis ?& array['categories', 'keywords', 'emotions']),
    constraint quality_score_is_a_fraction check (quality_score between 0 and 1)
);
alter table public.cached_videos enable row level security;
create index cached_videos_by_channel on public.cached_videos (channel_id);
comment on table public.cached_videos is
'YouTube metadata of videos, kept 7 days after it was collected. Written by the service only.';
comment on column public.cached_videos.id is 'Our own id; everything refers to video_id.';
comment on column public.cached_videos.video_id is 'YouTube''s id.';
comment on column public.cached_videos.title is 'Title.';
comment on column public.cached_videos.description is 'Description.';
comment on column public.cached_videos.channel_id is 'YouTube''s id of the channel; null when the source did not say.';
comment on column public.cached_videos.channel_name is 'Name of the channel when the video was collected.';
comment on column public.cached_videos.duration is 'Seconds; 0 for a live stream.';
comment on column public.cached_videos.view_count is 'Views so far.';
comment on column public.cached_videos.like_count is 'Likes so far.';
comment on column public.cached_videos.comment_count is 'Comments so far.';
comment on column public.cached_videos.is_embeddable is 'Whether other sites may play it; null while unknown.';
comment on column public.cached_videos.region_restrictions is '{"allowed": [...], "blocked": [...]} of region codes.';
comment on column public.cached_videos.privacy_status is 'public, unlisted or private; null while unknown.';
comment on column public.cached_videos.thumbnail_url is 'Address of the picture.';
comment on column public.cached_videos.channel_thumbnail_url is 'Address of the channel''s picture.';
comment on column public.cached_videos.category_id is 'YouTube''s number of the category.';
comment on column public.cached_videos.category_name is 'Name of the category.';
comment on column public.cached_videos.tags is 'The uploader''s tags.';
comment on column public.cached_videos.cache_hit_count is 'How often the cache has served it.';
comment on column public.cached_videos.last_accessed_at is 'When the cache last served it.';
comment on column public.cached_videos.cached_at is 'When this content was stored.';
comment on column public.cached_videos.expires_at is 'When it must have been collected again.';
comment on column public.cached_videos.created_at is 'When the video was first seen.';
comment on column public.cached_videos.updated_at is 'When the row last changed.';
comment on column public.cached_videos.ai_analysis is
'{"categories": [...], "keywords": [...], "emotions": {...}}, replaced whole. Denormalised: three tables would lose '
'the structure of the AI''s answer and need a join each.';
comment on column public.cached_videos.published_at is 'When it was published on YouTube.';
comment on column public.cached_videos.quality_score is 'Overall quality, 0 to 1.';
comment on column public.cached_videos.upload_status is 'YouTube''s upload status, such as processed.';
comment on column public.cached_videos.is_age_restricted is 'Whether YouTube asks for the viewer''s age.';
comment on column public.cached_videos.player_error_code is 'The error that players reported: 100, 101, 150 or 153.';
comment on column public.cached_videos.collected_at is
'When the source said all this. Older news never overwrites newer.';
comment on column public.cached_videos.live_broadcast is 'none, live or upcoming; null while unknown.';
comment on column public.cached_videos.player_error_at is 'When players'' reports took it out; null while it is in.';
comment on column public.cached_videos.times_taken_out is
'How often players'' reports took it out: each time it waits longer before it is believed again.';
comment on column public.cached_videos.purged_at is
'When the terms of its source had everything but the id deleted; null while the rest is there.';
comment on column public.cached_videos.is_playable is
'Whether an embedded player can show it: computed from the flags, the upload and age states and the player''s errors.';
comment on column public.cached_videos.is_shorts is 'Whether it is short enough for a Short.';

-- To have been served is no change of the video.
create trigger set_updated_at
before update on public.cached_videos
for each row
when (
    new.cache_hit_count = old.cache_hit_count
    and new.last_accessed_at is not distinct from old.last_accessed_at
)
execute function private.touch_updated_at();

create table public.keyword_video_mappings (
    id uuid primary key default gen_random_uuid(),
    keyword varchar(255) not null,
    video_id varchar(20) not null references public.cached_videos (video_id) on delete cascade,
    relevance_score double precision not null default 0.0,
    search_rank integer,
    mapping_source varchar(50) not null default 'youtube_api',
    confidence_level double precision not null default 0.0,
    click_through_rate double precision not null default 0.0,
    user_satisfaction_score double precision not null default 0.0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    rank_position integer generated always as (search_rank) stored,
    source varchar(50) generated always as (mapping_source) stored,
    click_count integer not null default 0,
    constraint a_keyword_maps_to_a_video_once unique (keyword, video_id),
    constraint mapping_source_is_known check (mapping_source in ('youtube_api', 'ai_analysis', 'user_feedback')),
    constraint mapping_scores_are_fractions check (
        relevance_score between 0 and 1
        and confidence_level between 0 and 1
        and click_through_rate between 0 and 1
        and user_satisfaction_score between 0 and 1
    ),
    constraint mapping_counts_are_not_negative check (search_rank > 0 and click_count >= 0)
);
alter table public.keyword_video_mappings enable row level security;
create index keyword_video_mappings_by_video on public.keyword_video_mappings (video_id);
comment on table public.keyword_video_mappings is
'Which videos a keyword leads to, and how well. Written by the service only.';
comment on column public.keyword_video_mappings.id is 'Our own id.';
comment on column public.keyword_video_mappings.keyword is 'Normalised: NFKC, lower case, single spaces.';
comment on column public.keyword_video_mappings.video_id is 'YouTube''s id of the video.';
comment on column public.keyword_video_mappings.relevance_score is 'How well the video answers the keyword, 0 to 1.';
comment on column public.keyword_video_mappings.search_rank is 'Its place in the source''s answer, from 1.';
comment on column public.keyword_video_mappings.mapping_source is
'Who says so: youtube_api, ai_analysis or user_feedback.';
comment on column public.keyword_video_mappings.confidence_level is 'How sure the source is, 0 to 1.';
comment on column public.keyword_video_mappings.click_through_rate is 'Clicks per time shown, 0 to 1.';
comment on column public.keyword_video_mappings.user_satisfaction_score is 'What people made of it, 0 to 1.';
comment on column public.keyword_video_mappings.created_at is 'When the mapping was first seen.';
comment on column public.keyword_video_mappings.updated_at is 'When it last changed.';
comment on column public.keyword_video_mappings.rank_position is 'The same as search_rank.';
comment on column public.keyword_video_mappings.source is 'The same as mapping_source.';
comment on column public.keyword_video_mappings.click_count is
'Clicks so far. Denormalised: to count video_interactions at each read would be too slow; added in batches.';

-- To have been clicked is no change of the mapping.
create trigger set_updated_at
before update on public.keyword_video_mappings
for each row
when (new.click_count = old.click_count)
execute function private.touch_updated_at();

create table private.keyword_signals (
    region_code varchar(2) not null,
    data_source varchar(50) not null,
    bucket timestamptz not null,
    keyword varchar(255) not null,
    mentions integer not null,
    views bigint,
    primary key (region_code, data_source, bucket, keyword),
    constraint bucket_is_a_full_hour check (bucket = date_trunc('hour', bucket, 'UTC')),
    constraint signal_counts_are_not_negative check (mentions >= 0 and views >= 0),
    constraint data_source_is_known check (data_source in ('youtube_api', 'bright_data', 'internal'))
) partition by range (bucket);
alter table private.keyword_signals enable row level security;
comment on table private.keyword_signals is
'How often a keyword was seen in an hour, by region and source. '
'An hour with any row was observed: absent keywords count 0.';
comment on column private.keyword_signals.views is 'Views of the videos that mention it, where the source knows.';

create table private.keyword_signals_default partition of private.keyword_signals default;
alter table private.keyword_signals_default enable row level security;
comment on table private.keyword_signals_default is 'Hours that no other partition takes.';

-- Detection looks back 7 days, forecasts compare with the same month of the year before.
insert into ops.partition_policies (parent_schema, parent_table, control_column, retention)
values ('private', 'keyword_signals', 'bucket', '13 months');
select ops.create_monthly_partitions();

create table public.trending_keywords (
    id uuid primary key default gen_random_uuid(),
    keyword varchar(255) not null,
    trend_score double precision not null default 0.0,
    search_volume integer not null default 0,
    growth_rate double precision not null default 0.0,
    velocity double precision not null default 0.0,
    category varchar(100),
    subcategory varchar(100),
    related_keywords text[],
    data_source varchar(50) not null default 'internal',
    source_confidence double precision not null default 0.0,
    predicted_peak_time timestamptz,
    predicted_duration interval,
    regional_popularity jsonb not null default '{"KR": 0.0, "US": 0.0, "JP": 0.0, "global": 0.0}',
    hourly_trend_data jsonb not null default '[]',
    daily_trend_data jsonb not null default '[]',
    detected_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '4 hours',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    source varchar(50) generated always as (data_source) stored,
    valid_from timestamptz generated always as (detected_at) stored,
    valid_until timestamptz generated always as (expires_at) stored,
    time_slot text generated always as (
        case
            when extract(hour from detected_at at time zone 'Asia/Seoul') < 6 then 'night'
            when extract(hour from detected_at at time zone 'Asia/Seoul') < 12 then 'morning'
            when extract(hour from detected_at at time zone 'Asia/Seoul') < 18 then 'afternoon'
            else 'evening'
        end
    ) stored,
    day_of_week smallint generated always as (
        extract(isodow from detected_at at time zone 'Asia/Seoul')::smallint
    ) stored,
    region_code varchar(2) not null default 'KR',
    z_score double precision,
    p_value double precision,
    q_value double precision,
    detection_window interval,
    model_version varchar(20),
    closed_at timestamptz,
    constraint region_code_has_two_letters check (region_code ~ '^[A-Z]{2}$'),
    constraint data_source_is_known check (data_source in ('youtube_api', 'bright_data', 'internal')),
    constraint trend_scores_are_fractions check (trend_score between 0 and 1 and source_confidence between 0 and 1),
    constraint probabilities_are_fractions check (p_value between 0 and 1 and q_value between 0 and 1),
    constraint search_volume_is_not_negative check (search_volume >= 0),
    constraint a_trend_expires_after_it_was_detected check (expires_at > detected_at),
    constraint series_are_arrays check (
        jsonb_typeof(hourly_trend_data) = 'array' and jsonb_typeof(daily_trend_data) = 'array'
    ),
    constraint series_end_after_a_day_and_a_week check (
        case when jsonb_typeof(hourly_trend_data) = 'array' then jsonb_array_length(hourly_trend_data) <= 24 end
        and case when jsonb_typeof(daily_trend_data) = 'array' then jsonb_array_length(daily_trend_data) <= 7 end
    ),
    constraint a_trend_is_expected_to_last check (predicted_duration > interval '0'),
    constraint regional_popularity_is_an_object check (jsonb_typeof(regional_popularity) = 'object')
);
alter table public.trending_keywords enable row level security;
create unique index one_open_trend_per_keyword_region_and_source
on public.trending_keywords (keyword, region_code, data_source)
where closed_at is null;
create index trending_keywords_by_key_and_time
on public.trending_keywords (keyword, region_code, data_source, detected_at);
create index trending_keywords_that_are_open
on public.trending_keywords (region_code, expires_at)
where closed_at is null;
comment on table public.trending_keywords is
'Keywords that burst: one open row per keyword, region and source, and the closed ones before it. '
'Full rows are for premium and up.';
comment on column public.trending_keywords.id is 'Our own id.';
comment on column public.trending_keywords.keyword is 'Normalised: NFKC, lower case, single spaces.';
comment on column public.trending_keywords.trend_score is 'Strength of the burst, 0 to 1: 1 - exp(-z_score / 3).';
comment on column public.trending_keywords.search_volume is 'Mentions in the hour that was tested.';
comment on column public.trending_keywords.growth_rate is
'Per cent over the usual number of mentions, counted as at least one.';
comment on column public.trending_keywords.velocity is 'Change of the score per hour.';
comment on column public.trending_keywords.category is 'What the keyword is about.';
comment on column public.trending_keywords.subcategory is 'The same, finer.';
comment on column public.trending_keywords.related_keywords is 'Keywords that come with it.';
comment on column public.trending_keywords.data_source is 'youtube_api, bright_data or internal.';
comment on column public.trending_keywords.source_confidence is 'How far the source is trusted, 0 to 1.';
comment on column public.trending_keywords.predicted_peak_time is 'When it should be strongest.';
comment on column public.trending_keywords.predicted_duration is 'How long it should last.';
comment on column public.trending_keywords.regional_popularity is 'Popularity by region, 0 to 1.';
comment on column public.trending_keywords.hourly_trend_data is
'Mentions in each of the 24 hours that end with the tested one; null for an hour that nobody observed.';
comment on column public.trending_keywords.daily_trend_data is
'Mentions in each of the 7 days in Korea that end with the tested hour''s; null for a day that nobody observed.';
comment on column public.trending_keywords.detected_at is 'The time the detection ran for.';
comment on column public.trending_keywords.expires_at is 'From when on it is no trend any more, unless detected again.';
comment on column public.trending_keywords.created_at is 'When the row was written.';
comment on column public.trending_keywords.updated_at is 'When it last changed.';
comment on column public.trending_keywords.source is 'The same as data_source.';
comment on column public.trending_keywords.valid_from is 'The same as detected_at.';
comment on column public.trending_keywords.valid_until is 'The same as expires_at.';
comment on column public.trending_keywords.time_slot is
'night, morning, afternoon or evening in Korea when it was detected.';
comment on column public.trending_keywords.day_of_week is 'Day in Korea when it was detected, 1 for Monday to 7.';
comment on column public.trending_keywords.region_code is 'ISO 3166 code of the region it bursts in.';
comment on column public.trending_keywords.z_score is 'Standard deviations above the usual number of mentions.';
comment on column public.trending_keywords.p_value is 'Chance of such a burst in one quiet keyword.';
comment on column public.trending_keywords.q_value is
'Share of false alarms among trends as strong, over all keywords of the run.';
comment on column public.trending_keywords.detection_window is 'How much history it was compared with.';
comment on column public.trending_keywords.model_version is 'Which detector said so.';
comment on column public.trending_keywords.closed_at is 'When it ended; null while it is the open one.';

create trigger set_updated_at
before update on public.trending_keywords
for each row
execute function private.touch_updated_at();

-- supabase/schemas/shorts/03_profiles.sql

-- Promises one profile and one set of habits per person, made at sign-up: what the feed goes by.

create extension if not exists vector with schema extensions;

create function private.is_distribution(
    weights jsonb,
    keys text[]
)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        private.is_small(weights, 'object', 1000)
        and coalesce(
            (
                select
                    count(*) = cardinality(keys)
                    and bool_and(weight.key = any(keys) and jsonb_typeof(weight.value) = 'number')
                    and min(weight.share) >= 0
                    and abs(sum(weight.share) - 1) <= 0.001
                from (
                    select
                        item.key,
                        item.value,
                        case when jsonb_typeof(item.value) = 'number' then (item.value #>> '{}')::numeric end as share
                    from jsonb_each(case when private.is_small(weights, 'object', 1000) then weights else '{}' end) as item
                ) as weight
            ),
            false
        )
$$;
comment on function private.is_distribution(jsonb, text[]) is
'Whether it is an object of exactly these keys whose numbers are not negative and sum to 1, give or take 0.001.';

create function private.are_short_texts(
    texts text[],
    most integer
)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        cardinality(texts) <= most
        and not exists (
            select
            from unnest(texts) as item (value)
            where coalesce(length(item.value) not between 1 and 255, true)
        )
$$;
comment on function private.are_short_texts(text[], integer) is
'Whether there are at most so many texts, each of 1 to 255 characters.';

create function private.is_taste(numbers double precision[])
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(array_ndims(numbers) = 1, false)
        and cardinality(numbers) = 100
        and array_position(numbers, null) is null
        -- NaN is above every number here, and pgvector keeps single precision.
        and 1e30 >= all(numbers)
        and -1e30 <= all(numbers)
$$;
comment on function private.is_taste(double precision[]) is 'Whether it is 100 finite numbers in one row.';

create table public.user_profiles (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null unique default auth.uid() references public.users (id) on delete cascade,
    preference_vector double precision[100],
    preferred_categories text[] not null default array['general'],
    preferred_keywords text[] not null default array[]::text[],
    disliked_categories text[] not null default array[]::text[],
    mood_patterns jsonb not null default '{
        "morning": ["energetic", "news", "workout"],
        "afternoon": ["focus", "educational", "productivity"],
        "evening": ["relaxing", "entertainment", "healing"],
        "night": ["calm", "asmr", "sleep"]
    }',
    personalization_weights jsonb not null default '{
        "category_match": 0.30,
        "keyword_relevance": 0.25,
        "temporal_context": 0.15,
        "popularity_score": 0.15,
        "freshness_factor": 0.10,
        "diversity_bonus": 0.05
    }',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    personality_vector jsonb not null default '{}',
    time_preferences jsonb not null default '{}',
    context_preferences jsonb not null default '{}',
    profile_confidence numeric(3, 2) not null default 0,
    embedding extensions.vector(100) generated always as (
        case when private.is_taste(preference_vector) then preference_vector::extensions.vector(100) end
    ) stored,
    constraint preference_vector_has_100_numbers check (
        preference_vector is null or private.is_taste(preference_vector)
    ),
    constraint preferred_categories_are_short_texts check (private.are_short_texts(preferred_categories, 100)),
    constraint preferred_keywords_are_short_texts check (private.are_short_texts(preferred_keywords, 200)),
    constraint disliked_categories_are_short_texts check (private.are_short_texts(disliked_categories, 100)),
    constraint mood_patterns_is_a_small_object check (private.is_small(mood_patterns, 'object', 4096)),
    constraint personalization_weights_sum_to_one check (
        private.is_distribution(
            personalization_weights,
            array[
                'category_match',
                'keyword_relevance',
                'temporal_context',
                'popularity_score',
                'freshness_factor',
                'diversity_bonus'
            ]
        )
    ),
    constraint personality_vector_is_a_small_object check (private.is_small(personality_vector, 'object', 16384)),
    constraint time_preferences_is_a_small_object check (private.is_small(time_preferences, 'object', 16384)),
    constraint context_preferences_is_a_small_object check (private.is_small(context_preferences, 'object', 16384)),
    constraint profile_confidence_is_a_fraction check (profile_confidence between 0 and 1)
);
alter table public.user_profiles enable row level security;
comment on table public.user_profiles is
'One profile per person, made at sign-up. The owner writes likes and dislikes; the service writes what was learned.';
comment on column public.user_profiles.id is 'Our own id.';
comment on column public.user_profiles.user_id is 'Whose profile; the person who asks, unless the service writes.';
comment on column public.user_profiles.preference_vector is
'What the person likes, as 100 numbers that were learned; null until there is anything to learn from.';
comment on column public.user_profiles.preferred_categories is
'Categories that the person chose; general for no choice.';
comment on column public.user_profiles.preferred_keywords is 'Keywords that the person chose.';
comment on column public.user_profiles.disliked_categories is 'Categories that are never shown.';
comment on column public.user_profiles.mood_patterns is
'Moods by the time of day in Korea: {"morning": [...], "afternoon": [...], "evening": [...], "night": [...]}.';
comment on column public.user_profiles.personalization_weights is 'The six weights of the feed; they sum to 1.';
comment on column public.user_profiles.created_at is 'When the profile was made.';
comment on column public.user_profiles.updated_at is 'When the row last changed.';
comment on column public.user_profiles.personality_vector is
'What a model says of the person, as it says it. Denormalised: a table of dimensions would lose its structure; read '
'through idx_user_profiles_personality_gin.';
comment on column public.user_profiles.time_preferences is
'{"morning": [...], ...}. Denormalised: one document instead of a table, since it is read and written whole.';
comment on column public.user_profiles.context_preferences is
'{"mood": {...}, "activity": {...}}. Denormalised: one document instead of a table, since it is read whole.';
comment on column public.user_profiles.profile_confidence is 'How much the learned part rests on, 0 to 1.';
comment on column public.user_profiles.embedding is 'The same as preference_vector, as a vector that can be searched.';

create trigger set_updated_at
before update on public.user_profiles
for each row
execute function private.touch_updated_at();

create table public.user_search_patterns (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null unique references public.users (id) on delete cascade,
    total_searches integer not null default 0,
    ai_searches_used integer not null default 0,
    avg_results_clicked integer not null default 0,
    hourly_activity_pattern integer[24] not null default array_fill(0, array[24]),
    search_intent_distribution jsonb not null default '{
        "entertainment": 0.4,
        "education": 0.2,
        "mood_boost": 0.2,
        "trend_following": 0.1,
        "discovery": 0.1
    }',
    interaction_patterns jsonb not null default '{
        "click_through_rate": 0.0,
        "video_completion_rate": 0.0,
        "like_rate": 0.0,
        "return_rate": 0.0
    }',
    last_analyzed_at timestamptz default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint search_counts_are_not_negative check (
        total_searches >= 0 and ai_searches_used >= 0 and avg_results_clicked >= 0
    ),
    constraint hourly_activity_pattern_has_24_hours check (
        array_ndims(hourly_activity_pattern) = 1
        and cardinality(hourly_activity_pattern) = 24
        and array_position(hourly_activity_pattern, null) is null
        and 0 <= all(hourly_activity_pattern)
    ),
    constraint search_intents_sum_to_one check (
        private.is_distribution(
            search_intent_distribution,
            array['entertainment', 'education', 'mood_boost', 'trend_following', 'discovery']
        )
    ),
    constraint interaction_patterns_is_a_small_object check (private.is_small(interaction_patterns, 'object', 4096))
);
alter table public.user_search_patterns enable row level security;
comment on table public.user_search_patterns is
'How a person searches: one row per person, made at sign-up, computed from sessions and interactions.';
comment on column public.user_search_patterns.id is 'Our own id.';
comment on column public.user_search_patterns.user_id is 'Whose habits.';
comment on column public.user_search_patterns.total_searches is 'Searches that are remembered.';
comment on column public.user_search_patterns.ai_searches_used is 'How many of them were conversations with the AI.';
comment on column public.user_search_patterns.avg_results_clicked is 'Results clicked per search, rounded.';
comment on column public.user_search_patterns.hourly_activity_pattern is
'Searches by hour of the day in Korea: 24 counts, the first from midnight.';
comment on column public.user_search_patterns.search_intent_distribution is
'Shares of the five intents; they sum to 1. The default holds until the person''s own are known.';
comment on column public.user_search_patterns.interaction_patterns is
'click_through_rate, video_completion_rate, like_rate and return_rate, each 0 to 1.';
comment on column public.user_search_patterns.last_analyzed_at is 'When it was last computed.';
comment on column public.user_search_patterns.created_at is 'When the row was made.';
comment on column public.user_search_patterns.updated_at is 'When the row last changed.';

create trigger set_updated_at
before update on public.user_search_patterns
for each row
execute function private.touch_updated_at();

-- What a person likes is masked in the audit log; what the feed was told to weigh is not.
select ops.audit_table(
    'public.user_profiles',
    array['id', 'user_id', 'personalization_weights', 'profile_confidence', 'created_at', 'updated_at']
);
select ops.watch_table('public.user_profiles');

-- supabase/schemas/shorts/04_activity.sql

-- Promises that what a person did is theirs alone, cannot be dated back, and is found again by person and time.

create table public.search_sessions (
    id uuid not null default gen_random_uuid(),
    user_id uuid default auth.uid() references public.users (id) on delete cascade,
    session_token varchar(100),
    search_query text not null,
    search_type varchar(50) not null default 'keyword',
    search_intent varchar(50),
    user_context jsonb not null default '{
        "device_type": "unknown",
        "browser": "unknown",
        "location": "unknown",
        "time_of_day": "unknown",
        "weather": "unknown"
    }',
    results_count integer not null default 0,
    results_shown integer not null default 0,
    results_clicked integer not null default 0,
    response_time_ms integer default 0,
    cache_hit boolean not null default false,
    api_cost_units integer not null default 0,
    user_satisfaction_rating integer,
    session_outcome varchar(50),
    ip_address inet,
    user_agent text,
    session_started_at timestamptz not null default now(),
    session_ended_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    session_id uuid not null default gen_random_uuid(),
    conversation_context jsonb not null default '[]',
    primary key (id, session_started_at),
    constraint search_query_is_text check (length(search_query) between 1 and 500),
    constraint search_type_is_known check (search_type in ('keyword', 'ai_chat', 'trending')),
    constraint search_intent_is_known check (
        search_intent in ('entertainment', 'education', 'mood_boost', 'trend_following', 'discovery')
    ),
    constraint session_outcome_is_known check (session_outcome in ('satisfied', 'partial', 'abandoned')),
    constraint user_satisfaction_rating_is_1_to_5 check (user_satisfaction_rating between 1 and 5),
    constraint result_counts_are_possible check (
        results_count between 0 and 1000000
        and results_shown between 0 and 100000
        and results_clicked between 0 and 100000
    ),
    constraint response_time_is_possible check (response_time_ms between 0 and 86400000),
    constraint api_cost_is_not_negative check (api_cost_units >= 0),
    constraint user_context_is_a_small_object check (private.is_small(user_context, 'object', 4096)),
    constraint conversation_context_is_a_small_array check (private.is_small(conversation_context, 'array', 65536)),
    constraint only_a_conversation_has_turns check (search_type = 'ai_chat' or conversation_context = '[]'),
    constraint a_session_ends_after_it_started check (session_ended_at >= session_started_at)
) partition by range (session_started_at);
alter table public.search_sessions enable row level security;
create index search_sessions_by_session_id on public.search_sessions (session_id);
comment on table public.search_sessions is
'Each search of a person: what was asked, what was shown, how it ended. A month each; 90 days, then archived.';
comment on column public.search_sessions.id is 'Our own id, unique with session_started_at.';
comment on column public.search_sessions.user_id is
'Who searched; null for nobody that is known. Goes with the person.';
comment on column public.search_sessions.session_token is 'SHA-256 of the app''s own session token, in hex. Hidden.';
comment on column public.search_sessions.search_query is 'What was asked, as it was typed.';
comment on column public.search_sessions.search_type is 'keyword, ai_chat (premium and up) or trending.';
comment on column public.search_sessions.search_intent is
'entertainment, education, mood_boost, trend_following or discovery; null when nobody said.';
comment on column public.search_sessions.user_context is
'device_type, browser, location, time_of_day and weather, as the app knows them.';
comment on column public.search_sessions.results_count is 'Results that were found.';
comment on column public.search_sessions.results_shown is 'Results that were shown.';
comment on column public.search_sessions.results_clicked is 'Results that were clicked.';
comment on column public.search_sessions.response_time_ms is
'Milliseconds until the results came; null while they have not.';
comment on column public.search_sessions.cache_hit is
'Whether the same person''s same question had been answered a little before.';
comment on column public.search_sessions.api_cost_units is 'YouTube quota units that it cost.';
comment on column public.search_sessions.user_satisfaction_rating is 'The person''s rating, 1 to 5.';
comment on column public.search_sessions.session_outcome is 'satisfied, partial or abandoned; null while it is open.';
comment on column public.search_sessions.ip_address is 'The network it came from, not the whole address. Hidden.';
comment on column public.search_sessions.user_agent is 'The app it came from. Hidden.';
comment on column public.search_sessions.session_started_at is 'When it began, by the server''s clock.';
comment on column public.search_sessions.session_ended_at is 'When it ended; null while it is open.';
comment on column public.search_sessions.created_at is 'When the row was written.';
comment on column public.search_sessions.updated_at is 'When the row last changed.';
comment on column public.search_sessions.session_id is 'The visit to the app that it belongs to.';
comment on column public.search_sessions.conversation_context is
'The turns of a conversation with the AI, oldest first.';

create table private.search_sessions_default partition of public.search_sessions default;
alter table private.search_sessions_default enable row level security;
comment on table private.search_sessions_default is 'Searches that no other partition takes.';

create trigger set_updated_at
before update on public.search_sessions
for each row
execute function private.touch_updated_at();

create function private.stamp_search_session()
returns trigger
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    new.ip_address := coalesce(new.ip_address, private.request_network());
    new.user_agent := coalesce(new.user_agent, left(private.request_headers() ->> 'user-agent', 500));
    return new;
end
$$;
comment on function private.stamp_search_session() is 'Notes where a search came from; a client cannot say so itself.';

create trigger stamp_search_session
before insert on public.search_sessions
for each row
execute function private.stamp_search_session();

create table public.video_interactions (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users (id) on delete cascade,
    video_id varchar(20) not null references public.cached_videos (video_id),
    session_id uuid,
    interaction_type varchar(50) not null,
    interaction_value integer not null default 1,
    watch_duration integer not null default 0,
    watch_percentage double precision not null default 0.0,
    watched_to_end boolean not null default false,
    clicked_thumbnail boolean not null default false,
    clicked_title boolean not null default false,
    opened_in_youtube boolean not null default false,
    user_rating integer,
    feedback_text text,
    interaction_context jsonb not null default '{
        "source": "search_results",
        "position": 0,
        "recommendation_score": 0.0
    }',
    interaction_timestamp timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    total_duration integer,
    completion_rate numeric(3, 2) not null generated always as (
        case when total_duration > 0 then least(watch_duration::numeric / total_duration, 1.0) else 0 end
    ) stored,
    session_started_at timestamptz,
    primary key (id, created_at),
    constraint video_interactions_session_fkey foreign key (session_id, session_started_at)
    references public.search_sessions (id, session_started_at) on delete set null,
    constraint a_session_is_named_whole check ((session_id is null) = (session_started_at is null)),
    constraint interaction_type_is_known check (interaction_type in ('view', 'like', 'share', 'save', 'skip')),
    constraint interaction_value_is_possible check (interaction_value between 0 and 100),
    constraint watch_times_are_possible check (
        watch_duration between 0 and 86400 and total_duration between 0 and 86400
    ),
    constraint watch_percentage_is_a_fraction check (watch_percentage between 0 and 1),
    constraint user_rating_is_1_to_5 check (user_rating between 1 and 5),
    constraint feedback_text_is_not_too_long check (length(feedback_text) <= 2000),
    constraint interaction_context_is_a_small_object check (private.is_small(interaction_context, 'object', 4096)),
    -- A device may have been without a network for a week; beyond that, and from the future, it is no memory.
    constraint an_interaction_is_recent check (
        interaction_timestamp between created_at - interval '168 hours' and created_at + interval '10 minutes'
    )
) partition by range (created_at);
alter table public.video_interactions enable row level security;
create index video_interactions_user_idx on public.video_interactions (user_id, created_at desc);
create index video_interactions_by_video on public.video_interactions (video_id);
create index video_interactions_by_session on public.video_interactions (session_id, session_started_at);
comment on table public.video_interactions is
'Every view, like, share, save and skip of a person. A month each, 12 months. Nobody changes what was done.';
comment on column public.video_interactions.id is 'Our own id, or the client''s, so that a repeated call is known.';
comment on column public.video_interactions.user_id is 'Who did it; the person who asks, unless the service writes.';
comment on column public.video_interactions.video_id is 'YouTube''s id of the video.';
comment on column public.video_interactions.session_id is 'The search that led to it, with session_started_at.';
comment on column public.video_interactions.interaction_type is 'view, like, share, save or skip.';
comment on column public.video_interactions.interaction_value is 'How strong it is; 1 is usual.';
comment on column public.video_interactions.watch_duration is 'Seconds watched.';
comment on column public.video_interactions.watch_percentage is
'The share that was watched, 0 to 1, as the player says.';
comment on column public.video_interactions.watched_to_end is 'Whether it was watched to its end.';
comment on column public.video_interactions.clicked_thumbnail is 'Whether the picture was clicked.';
comment on column public.video_interactions.clicked_title is 'Whether the title was clicked.';
comment on column public.video_interactions.opened_in_youtube is 'Whether it was opened in YouTube.';
comment on column public.video_interactions.user_rating is 'The person''s rating, 1 to 5.';
comment on column public.video_interactions.feedback_text is 'What the person wrote, at most 2,000 characters.';
comment on column public.video_interactions.interaction_context is
'source, position and recommendation_score of where the video was shown.';
comment on column public.video_interactions.interaction_timestamp is 'When it happened, by the device''s clock.';
comment on column public.video_interactions.created_at is
'When it was stored, by the server''s clock; what limits count by.';
comment on column public.video_interactions.updated_at is 'When the row last changed.';
comment on column public.video_interactions.total_duration is 'Seconds that the video lasts.';
comment on column public.video_interactions.completion_rate is
'watch_duration / total_duration, at most 1. Denormalised: it could be computed, and is stored to be indexed.';
comment on column public.video_interactions.session_started_at is 'When that search began: half of its key.';

create table private.video_interactions_default partition of public.video_interactions default;
alter table private.video_interactions_default enable row level security;
comment on table private.video_interactions_default is 'Interactions that no other partition takes.';

create trigger set_updated_at
before update on public.video_interactions
for each row
execute function private.touch_updated_at();

create table public.watch_events (
    id uuid not null default gen_random_uuid(),
    interaction_id uuid not null,
    event_type text not null,
    event_timestamp timestamptz not null default now(),
    video_timestamp integer,
    seek_from integer,
    seek_to integer,
    event_date date not null generated always as ((event_timestamp at time zone 'UTC')::date) stored,
    interaction_created_at timestamptz not null,
    primary key (id, event_timestamp),
    constraint watch_events_interaction_fkey foreign key (interaction_id, interaction_created_at)
    references public.video_interactions (id, created_at) on delete cascade,
    constraint event_type_is_known check (event_type in ('play', 'pause', 'seek', 'end', 'skip', 'replay')),
    constraint only_a_seek_has_places check (event_type = 'seek' or (seek_from is null and seek_to is null)),
    constraint places_in_a_video_are_possible check (
        video_timestamp between 0 and 86400
        and seek_from between 0 and 86400
        and seek_to between 0 and 86400
    ),
    constraint an_event_is_near_its_interaction check (
        event_timestamp between interaction_created_at - interval '168 hours'
        and interaction_created_at + interval '24 hours'
    ),
    constraint an_event_has_happened check (event_timestamp <= now() + interval '10 minutes')
) partition by range (event_timestamp);
alter table public.watch_events enable row level security;
create index watch_events_by_interaction on public.watch_events (interaction_id, interaction_created_at);
comment on table public.watch_events is
'What happened in the player during one interaction. A month each, 12 months. Visible to whose interaction it is.';
comment on column public.watch_events.id is 'Our own id, or the client''s, so that a repeated call is known.';
comment on column public.watch_events.interaction_id is 'The interaction, with interaction_created_at.';
comment on column public.watch_events.event_type is 'play, pause, seek, end, skip or replay.';
comment on column public.watch_events.event_timestamp is 'When it happened, by the device''s clock.';
comment on column public.watch_events.video_timestamp is 'Where in the video, in seconds.';
comment on column public.watch_events.seek_from is 'Where a seek began, in seconds.';
comment on column public.watch_events.seek_to is 'Where a seek ended, in seconds.';
comment on column public.watch_events.event_date is 'The UTC day of event_timestamp.';
comment on column public.watch_events.interaction_created_at is 'When the interaction was stored: half of its key.';

create table private.watch_events_default partition of public.watch_events default;
alter table private.watch_events_default enable row level security;
comment on table private.watch_events_default is 'Events that no other partition takes.';

insert into ops.partition_policies (parent_schema, parent_table, control_column, retention)
values
('public', 'search_sessions', 'session_started_at', '12 months'),
('public', 'video_interactions', 'created_at', '12 months'),
('public', 'watch_events', 'event_timestamp', '12 months');
select ops.create_monthly_partitions();

-- The source designs partition by a second table of this name; here it is the table itself, without what is hidden.
create view public.search_sessions_partitioned
with (security_invoker = true) as
select
    session.id,
    session.user_id,
    session.search_query,
    session.search_type,
    session.search_intent,
    session.user_context,
    session.results_count,
    session.results_shown,
    session.results_clicked,
    session.response_time_ms,
    session.cache_hit,
    session.api_cost_units,
    session.user_satisfaction_rating,
    session.session_outcome,
    session.session_started_at,
    session.session_ended_at,
    session.created_at,
    session.updated_at,
    session.session_id,
    session.conversation_context
from public.search_sessions as session;
comment on view public.search_sessions_partitioned is
'search_sessions without the hidden columns, so that select(''*'') works. Same rows, same policies.';
comment on column public.search_sessions_partitioned.id is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.user_id is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.search_query is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.search_type is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.search_intent is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.user_context is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.results_count is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.results_shown is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.results_clicked is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.response_time_ms is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.cache_hit is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.api_cost_units is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.user_satisfaction_rating is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.session_outcome is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.session_started_at is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.session_ended_at is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.created_at is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.updated_at is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.session_id is 'As in search_sessions.';
comment on column public.search_sessions_partitioned.conversation_context is 'As in search_sessions.';

create view public.video_interactions_partitioned
with (security_invoker = true) as
select
    interaction.id,
    interaction.user_id,
    interaction.video_id,
    interaction.session_id,
    interaction.interaction_type,
    interaction.interaction_value,
    interaction.watch_duration,
    interaction.watch_percentage,
    interaction.watched_to_end,
    interaction.clicked_thumbnail,
    interaction.clicked_title,
    interaction.opened_in_youtube,
    interaction.user_rating,
    interaction.feedback_text,
    interaction.interaction_context,
    interaction.interaction_timestamp,
    interaction.created_at,
    interaction.updated_at,
    interaction.total_duration,
    interaction.completion_rate,
    interaction.session_started_at
from public.video_interactions as interaction;
comment on view public.video_interactions_partitioned is 'video_interactions under the other design''s name.';
comment on column public.video_interactions_partitioned.id is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.user_id is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.video_id is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.session_id is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.interaction_type is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.interaction_value is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.watch_duration is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.watch_percentage is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.watched_to_end is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.clicked_thumbnail is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.clicked_title is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.opened_in_youtube is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.user_rating is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.feedback_text is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.interaction_context is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.interaction_timestamp is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.created_at is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.updated_at is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.total_duration is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.completion_rate is 'As in video_interactions.';
comment on column public.video_interactions_partitioned.session_started_at is 'As in video_interactions.';

create table private.search_sessions_archive (
    id uuid not null,
    user_id uuid references public.users (id) on delete cascade,
    search_query text not null,
    search_type varchar(50) not null,
    search_intent varchar(50),
    user_context jsonb not null,
    results_count integer not null,
    results_shown integer not null,
    results_clicked integer not null,
    response_time_ms integer,
    cache_hit boolean not null,
    api_cost_units integer not null,
    user_satisfaction_rating integer,
    session_outcome varchar(50),
    session_started_at timestamptz not null,
    session_ended_at timestamptz,
    created_at timestamptz not null,
    session_id uuid not null,
    conversation_context jsonb not null,
    archived_at timestamptz not null default now(),
    primary key (id, session_started_at)
);
alter table private.search_sessions_archive enable row level security;
create index search_sessions_archive_by_user on private.search_sessions_archive (user_id);
create index search_sessions_archive_by_time on private.search_sessions_archive (session_started_at);
comment on table private.search_sessions_archive is
'Searches older than 90 days, without token, network and app. They go with the person, or after 12 months.';
comment on column private.search_sessions_archive.archived_at is 'When it left search_sessions.';

create table public.user_session_details (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users (id) on delete cascade,
    session_id uuid not null,
    device_type text,
    device_os text,
    app_version text,
    connection_type text,
    session_start timestamptz not null default now(),
    session_end timestamptz,
    total_videos_watched integer not null default 0,
    total_watch_time integer not null default 0,
    avg_load_time_ms integer,
    error_count integer not null default 0,
    constraint a_person_has_a_session_once unique (user_id, session_id),
    constraint device_type_is_known check (device_type in ('mobile', 'tablet', 'desktop')),
    constraint connection_type_is_known check (connection_type in ('wifi', '4g', '5g')),
    constraint device_texts_are_short check (length(device_os) <= 100 and length(app_version) <= 100),
    constraint session_figures_are_possible check (
        total_videos_watched between 0 and 1000000
        and total_watch_time between 0 and 31536000
        and avg_load_time_ms between 0 and 86400000
        and error_count between 0 and 1000000
    ),
    constraint a_visit_ends_after_it_started check (session_end >= session_start)
);
alter table public.user_session_details enable row level security;
comment on table public.user_session_details is
'Each visit to the app: device, network, how much was watched, how well it went.';
comment on column public.user_session_details.id is 'Our own id.';
comment on column public.user_session_details.user_id is 'Whose visit; the person who asks, unless the service writes.';
comment on column public.user_session_details.session_id is 'The app''s id of the visit; search_sessions refer to it.';
comment on column public.user_session_details.device_type is 'mobile, tablet or desktop.';
comment on column public.user_session_details.device_os is 'Operating system.';
comment on column public.user_session_details.app_version is 'Version of the app.';
comment on column public.user_session_details.connection_type is 'wifi, 4g or 5g; null when it is none of them.';
comment on column public.user_session_details.session_start is 'When it began, by the server''s clock.';
comment on column public.user_session_details.session_end is 'When it ended; null while it lasts.';
comment on column public.user_session_details.total_videos_watched is 'Videos watched, as the app counts.';
comment on column public.user_session_details.total_watch_time is 'Seconds watched, as the app counts.';
comment on column public.user_session_details.avg_load_time_ms is 'Mean milliseconds until a video played.';
comment on column public.user_session_details.error_count is 'Errors that the app saw.';

create table public.user_feedback (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users (id) on delete cascade,
    video_id varchar(20) not null references public.cached_videos (video_id),
    session_id uuid,
    feedback_type text not null,
    reason text,
    comment text,
    source_keyword varchar(255),
    position_in_list integer,
    created_at timestamptz not null default now(),
    constraint feedback_is_given_once unique (user_id, video_id, feedback_type),
    constraint feedback_type_is_known check (feedback_type in ('like', 'dislike', 'not_interested', 'report')),
    constraint reason_is_known check (reason in ('irrelevant', 'seen_too_many', 'offensive', 'quality', 'other')),
    constraint comment_is_not_too_long check (length(comment) <= 2000),
    constraint position_is_possible check (position_in_list between 0 and 100000)
);
alter table public.user_feedback enable row level security;
create index user_feedback_by_video on public.user_feedback (video_id);
comment on table public.user_feedback is
'What a person says of a video: like, dislike, not interested, report. Each once.';
comment on column public.user_feedback.id is 'Our own id.';
comment on column public.user_feedback.user_id is 'Who said it; the person who asks, unless the service writes.';
comment on column public.user_feedback.video_id is 'YouTube''s id of the video.';
comment on column public.user_feedback.session_id is 'The visit to the app that it belongs to.';
comment on column public.user_feedback.feedback_type is 'like, dislike, not_interested or report.';
comment on column public.user_feedback.reason is 'irrelevant, seen_too_many, offensive, quality or other.';
comment on column public.user_feedback.comment is 'In the person''s own words, at most 2,000 characters.';
comment on column public.user_feedback.source_keyword is 'The keyword that had led to the video.';
comment on column public.user_feedback.position_in_list is 'Its place in the list, from 0.';
comment on column public.user_feedback.created_at is 'When it was last said.';

select ops.audit_table('public.user_feedback', array['id', 'user_id', 'video_id', 'feedback_type', 'created_at']);
select ops.watch_table('public.search_sessions');

-- The functions take batches of 1,000; who inserts directly shall not send everything in one request.
create function private.refuse_flood()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    sent bigint;
begin
    if current_setting('role') <> 'authenticated' then
        return null;
    end if;
    select count(*)
    into sent
    from new_rows;
    if sent > 1000 then
        raise exception using
            errcode = 'PT413',
            message = 'More than 1000 rows were sent at once.',
            detail = format('There were %s, and none was stored.', sent),
            hint = 'Send them in parts of at most 1000 rows.';
    end if;
    return null;
end
$$;
comment on function private.refuse_flood() is 'Refuses more rows in a statement than a batch has, from people.';

create trigger refuse_flood
after insert on public.search_sessions
referencing new table as new_rows
for each statement
execute function private.refuse_flood();
create trigger refuse_flood
after insert on public.video_interactions
referencing new table as new_rows
for each statement
execute function private.refuse_flood();
create trigger refuse_flood
after insert on public.watch_events
referencing new table as new_rows
for each statement
execute function private.refuse_flood();
create trigger refuse_flood
after insert on public.user_session_details
referencing new table as new_rows
for each statement
execute function private.refuse_flood();
create trigger refuse_flood
after insert on public.user_feedback
referencing new table as new_rows
for each statement
execute function private.refuse_flood();

-- supabase/schemas/shorts/05_quality.sql

-- Promises one row of quality per video and version of the analysis, and one place that says what counts how much.

create function private.overall_quality(
    content_quality double precision,
    engagement_rate double precision,
    retention_rate double precision,
    trend_alignment numeric,
    freshness_score numeric
)
returns numeric
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- In plpgsql, which computes it ten times as fast as a function in SQL that cannot be inlined.
    return
        round(
            coalesce(content_quality, 0)::numeric * 0.30
            + coalesce(engagement_rate, 0)::numeric * 0.25
            + coalesce(retention_rate, 0)::numeric * 0.20
            + coalesce(trend_alignment, 0) * 0.15
            + coalesce(freshness_score, 0) * 0.10,
            4
        );
end
$$;
comment on function private.overall_quality(double precision, double precision, double precision, numeric, numeric) is
'The overall score, 0 to 1: content .30, engagement .25, retention .20, trend .15, freshness .10. Unknown counts as 0.';

create table public.video_quality_scores (
    id uuid primary key default gen_random_uuid(),
    video_id varchar(20) not null references public.cached_videos (video_id) on delete cascade,
    content_quality_score double precision not null default 0.0,
    thumbnail_attractiveness double precision not null default 0.0,
    title_effectiveness double precision not null default 0.0,
    engagement_rate double precision not null default 0.0,
    retention_rate double precision not null default 0.0,
    viral_potential double precision not null default 0.0,
    channel_trust_score double precision not null default 0.0,
    creator_consistency double precision not null default 0.0,
    overall_quality_score double precision not null default 0.0,
    analyzed_at timestamptz not null default now(),
    analysis_version varchar(20) not null default 'v1.0',
    confidence_level double precision not null default 0.0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    content_quality double precision generated always as (content_quality_score) stored,
    audio_quality numeric(3, 2),
    video_quality numeric(3, 2),
    relevance_score numeric(3, 2),
    trend_alignment numeric(3, 2),
    freshness_score numeric(3, 2),
    overall_score numeric(5, 4) not null generated always as (
        private.overall_quality(
            content_quality_score, engagement_rate, retention_rate, trend_alignment, freshness_score
        )
    ) stored,
    calculated_at timestamptz not null default now(),
    engagement_score double precision,
    like_score double precision,
    retention_score double precision,
    answered_at timestamptz,
    constraint a_video_is_scored_once_a_version unique (video_id, analysis_version),
    constraint analysis_version_is_text check (length(analysis_version) > 0),
    constraint quality_scores_are_fractions check (
        content_quality_score between 0 and 1
        and thumbnail_attractiveness between 0 and 1
        and title_effectiveness between 0 and 1
        and engagement_rate between 0 and 1
        and retention_rate between 0 and 1
        and viral_potential between 0 and 1
        and channel_trust_score between 0 and 1
        and creator_consistency between 0 and 1
        and overall_quality_score between 0 and 1
        and confidence_level between 0 and 1
    ),
    constraint quality_parts_are_fractions check (
        audio_quality between 0 and 1
        and video_quality between 0 and 1
        and relevance_score between 0 and 1
        and trend_alignment between 0 and 1
        and freshness_score between 0 and 1
    ),
    constraint statistical_scores_are_fractions check (
        engagement_score between 0 and 1
        and like_score between 0 and 1
        and retention_score between 0 and 1
    )
);
alter table public.video_quality_scores enable row level security;
comment on table public.video_quality_scores is
'How good a video is, by component: one row per video and version of the analysis. Written by the service only.';
comment on column public.video_quality_scores.id is 'Our own id.';
comment on column public.video_quality_scores.video_id is 'YouTube''s id of the video.';
comment on column public.video_quality_scores.content_quality_score is 'The content itself, 0 to 1, by an AI.';
comment on column public.video_quality_scores.thumbnail_attractiveness is 'The picture, 0 to 1, by an AI.';
comment on column public.video_quality_scores.title_effectiveness is 'The title, 0 to 1, by an AI.';
comment on column public.video_quality_scores.engagement_rate is '(likes + comments) / views, 0 to 1.';
comment on column public.video_quality_scores.retention_rate is 'Mean share of the video that is watched, 0 to 1.';
comment on column public.video_quality_scores.viral_potential is 'How far it may spread, 0 to 1, by an AI.';
comment on column public.video_quality_scores.channel_trust_score is
'Trust in its channel, 0 to 1, as cached_channels has it; 0 while the channel is unknown.';
comment on column public.video_quality_scores.creator_consistency is
'How even the channel''s videos are, 0 to 1; 0 while unknown.';
comment on column public.video_quality_scores.overall_quality_score is
'What cached_videos.quality_score says: the AI''s own figure, or overall_score where it gives none (0).';
comment on column public.video_quality_scores.analyzed_at is
'When it was analysed: cached_videos.quality_score follows the newest.';
comment on column public.video_quality_scores.analysis_version is 'By which version.';
comment on column public.video_quality_scores.confidence_level is 'How sure the analysis is, 0 to 1.';
comment on column public.video_quality_scores.created_at is 'When the row was written.';
comment on column public.video_quality_scores.updated_at is 'When it last changed.';
comment on column public.video_quality_scores.content_quality is 'The same as content_quality_score.';
comment on column public.video_quality_scores.audio_quality is 'Sound, 0 to 1; null while nobody knows.';
comment on column public.video_quality_scores.video_quality is 'Picture, 0 to 1; null while nobody knows.';
comment on column public.video_quality_scores.relevance_score is 'How well it keeps what its title says, 0 to 1.';
comment on column public.video_quality_scores.trend_alignment is
'How far it is about what trends, 0 to 1: the best of relevance by strength; null while it has no keywords.';
comment on column public.video_quality_scores.freshness_score is 'How new it is, 0 to 1; null while unknown.';
comment on column public.video_quality_scores.overall_score is
'Content .30, engagement .25, retention .20, trend .15, freshness .10; what is unknown counts as 0.';
comment on column public.video_quality_scores.calculated_at is 'When the figures were last computed.';
comment on column public.video_quality_scores.engagement_score is
'engagement_rate shrunk towards what is usual of the channel, 0 to 1; null while unknown. For ranking.';
comment on column public.video_quality_scores.like_score is
'Likes per view that are certain (lower end of Wilson''s interval), 0 to 1; null while unknown. For ranking.';
comment on column public.video_quality_scores.retention_score is
'retention_rate shrunk towards one half by how few watched, 0 to 1; null while nobody did. For ranking.';
comment on column public.video_quality_scores.answered_at is
'When an AI''s answer of this version was last taken; null while there was none.';

create trigger set_updated_at
before update on public.video_quality_scores
for each row
execute function private.touch_updated_at();

-- supabase/schemas/shorts/06_analytics.sql

-- Promises daily figures per keyword that are read instead of counted, and a place for what models foretell.

create function private.fewest_people()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 3
$$;
comment on function private.fewest_people() is
'How many people must have used a keyword in a day before others see its figures: what one person typed is theirs.';

create table public.keyword_performance_cache (
    keyword varchar(255) not null,
    date date not null,
    total_views integer not null default 0,
    avg_completion_rate numeric(3, 2),
    total_likes integer not null default 0,
    people integer,
    primary key (keyword, date),
    constraint performance_figures_are_possible check (
        total_views >= 0 and total_likes >= 0 and people >= 0 and avg_completion_rate between 0 and 1
    )
);
alter table public.keyword_performance_cache enable row level security;
comment on table public.keyword_performance_cache is
'Views and likes that a keyword led to, by day in Korea. Denormalised: counted from video_interactions once instead of '
'at each read.';
comment on column public.keyword_performance_cache.keyword is 'Normalised: NFKC, lower case, single spaces.';
comment on column public.keyword_performance_cache.date is 'Day in Korea.';
comment on column public.keyword_performance_cache.total_views is 'Views of the day.';
comment on column public.keyword_performance_cache.avg_completion_rate is
'Mean completion of these views, 0 to 1; null without any.';
comment on column public.keyword_performance_cache.total_likes is 'Likes of the day.';
comment on column public.keyword_performance_cache.people is
'At least so many people; below three nobody but the service sees the row. Null when it was not counted from people.';

create table public.keyword_effectiveness (
    id uuid not null unique default gen_random_uuid(),
    keyword varchar(255) not null,
    date date not null,
    search_count integer not null default 0,
    click_count integer not null default 0,
    ctr numeric not null generated always as (
        case when search_count > 0 then round(click_count::numeric / search_count * 100, 2) else 0 end
    ) stored,
    total_watch_time integer not null default 0,
    avg_completion_rate numeric(5, 2),
    like_rate numeric(5, 2),
    skip_rate numeric(5, 2),
    people integer,
    primary key (keyword, date),
    constraint effectiveness_counts_are_not_negative check (
        search_count >= 0 and click_count >= 0 and total_watch_time >= 0 and people >= 0
    ),
    constraint effectiveness_rates_are_fractions check (
        avg_completion_rate between 0 and 1
        and like_rate between 0 and 1
        and skip_rate between 0 and 1
    )
);
alter table public.keyword_effectiveness enable row level security;
comment on table public.keyword_effectiveness is
'How well a keyword serves who searches it, by day in Korea. For premium and up.';
comment on column public.keyword_effectiveness.id is 'Our own id.';
comment on column public.keyword_effectiveness.keyword is 'Normalised: NFKC, lower case, single spaces.';
comment on column public.keyword_effectiveness.date is 'Day in Korea.';
comment on column public.keyword_effectiveness.search_count is 'Searches of the day.';
comment on column public.keyword_effectiveness.click_count is 'Results clicked in them.';
comment on column public.keyword_effectiveness.ctr is
'Clicks per 100 searches; above 100 when people click more than one.';
comment on column public.keyword_effectiveness.total_watch_time is 'Seconds watched from these searches.';
comment on column public.keyword_effectiveness.avg_completion_rate is 'Mean completion of their views, 0 to 1.';
comment on column public.keyword_effectiveness.like_rate is 'Likes per view, 0 to 1.';
comment on column public.keyword_effectiveness.skip_rate is 'Skips per view or skip, 0 to 1.';
comment on column public.keyword_effectiveness.people is
'At least so many people; below three nobody but the service sees the row. Null when it was not counted from people.';

create table public.trend_predictions (
    id uuid primary key default gen_random_uuid(),
    keyword varchar(255) not null,
    prediction_date date not null,
    predicted_for_date date not null,
    predicted_score numeric(5, 4),
    confidence_interval numrange,
    confidence_level numeric(3, 2),
    model_version varchar(20),
    features_used jsonb,
    actual_score numeric(5, 4),
    prediction_error numeric(5, 4) generated always as (abs(predicted_score - actual_score)) stored,
    created_at timestamptz not null default now(),
    region_code varchar(2) not null default 'KR',
    constraint predictions_are_fractions check (
        predicted_score between 0 and 1
        and actual_score between 0 and 1
        and confidence_level between 0 and 1
    ),
    constraint a_prediction_is_about_what_comes check (predicted_for_date >= prediction_date),
    constraint a_prediction_lies_in_its_interval check (confidence_interval @> predicted_score),
    constraint region_code_has_two_letters check (region_code ~ '^[A-Z]{2}$'),
    -- Said again on the same day it replaces what was said before.
    constraint one_prediction_a_day_and_model unique nulls not distinct (
        predicted_for_date, region_code, keyword, prediction_date, model_version
    )
);
alter table public.trend_predictions enable row level security;
comment on table public.trend_predictions is
'What a model foretold of a keyword, and what came. For premium and up.';
comment on column public.trend_predictions.id is 'Our own id.';
comment on column public.trend_predictions.keyword is 'Normalised: NFKC, lower case, single spaces.';
comment on column public.trend_predictions.prediction_date is 'The day it was said.';
comment on column public.trend_predictions.predicted_for_date is 'The day it is about.';
comment on column public.trend_predictions.predicted_score is 'The trend score that is expected, 0 to 1.';
comment on column public.trend_predictions.confidence_interval is 'Between what it should lie, [lower,upper].';
comment on column public.trend_predictions.confidence_level is 'How often it should lie there, such as 0.90.';
comment on column public.trend_predictions.model_version is 'Which model said so.';
comment on column public.trend_predictions.features_used is 'What it went by.';
comment on column public.trend_predictions.actual_score is 'The score that came; null while it has not.';
comment on column public.trend_predictions.prediction_error is 'How far off it was.';
comment on column public.trend_predictions.created_at is 'When the row was written.';
comment on column public.trend_predictions.region_code is 'ISO 3166 code of the region it is about.';

-- supabase/schemas/shorts/07_indexes.sql

-- Promises the indexes of the design by their names, each with the question that it answers.

-- There is no Korean dictionary in Postgres: words are kept as they are, and search finds parts of them by bigrams.
create text search configuration public.korean (copy = pg_catalog.simple);
comment on text search configuration public.korean is 'Words of a text as they stand, for Korean and everything else.';

-- Shorts that play, by length: the shorter limit of 60 s is a part of it.
create index idx_cached_videos_playable_duration on public.cached_videos (is_playable, duration)
where is_playable and duration <= private.shorts_limit_seconds();

-- The most viewed videos of a category that play.
create index idx_videos_category_quality on public.cached_videos (category_name, view_count desc)
where is_playable;

-- A channel's newest good Shorts.
create index idx_channel_recent_videos on public.cached_videos (channel_id, published_at desc)
include (video_id, title, view_count)
where is_shorts and quality_score > 0.6;

-- Videos whose first category is this.
create index idx_ai_primary_category on public.cached_videos using gin ((ai_analysis -> 'categories' -> 0));

-- Videos about music, by anything else that the analysis says.
create index idx_trending_music on public.cached_videos using gin (ai_analysis)
where ai_analysis @> '{"categories": ["music"]}';

-- Videos whose analysis contains this.
create index idx_ai_analysis_path on public.cached_videos using gin (ai_analysis jsonb_path_ops);

-- Videos with these words, or these words and this analysis.
create index idx_video_metadata on public.cached_videos using gin (
    to_tsvector('public.korean', title || ' ' || coalesce(description, '')), ai_analysis
);

-- The videos that answer a keyword best; the second also without looking at the table.
create index idx_keyword_mappings_relevance on public.keyword_video_mappings (keyword, relevance_score desc)
where relevance_score > 0.7;
create index idx_keyword_quality_videos on public.keyword_video_mappings (keyword, relevance_score desc)
include (video_id, rank_position)
where relevance_score > 0.7;

-- The strongest trends, newest first among equals.
create index idx_trending_keywords_score_time on public.trending_keywords (trend_score desc, detected_at desc);

-- Trends that are popular in a region.
create index idx_trend_regional_gin on public.trending_keywords using gin (regional_popularity);

-- The strongest trends of a part of the day and a day of the week. What has expired is left out by the query.
create index idx_trend_time_score on public.trending_keywords (time_slot, day_of_week, trend_score desc)
include (keyword, category, valid_until);

-- A person's searches, newest first.
create index idx_search_sessions_user_time on public.search_sessions (user_id, session_started_at desc);

-- Searches from a kind of device, a place, a weather.
create index idx_user_context_gin on public.search_sessions using gin (user_context);

-- What a person watched last: by when it happened, and by when it was stored without looking at the table.
create index idx_video_interactions_user_recent on public.video_interactions (user_id, interaction_timestamp desc)
where interaction_type = 'view';
create index idx_user_recent_watch on public.video_interactions (user_id, created_at desc)
include (video_id, watch_duration, completion_rate)
where interaction_type = 'view';

-- People with a setting.
create index idx_user_settings_gin on public.users using gin (settings);

-- People who like this in the morning, people of this kind, people with a taste like this one.
create index idx_user_morning_prefs on public.user_profiles using gin ((time_preferences -> 'morning'));
create index idx_user_profiles_personality_gin on public.user_profiles using gin (personality_vector jsonb_path_ops);
create index idx_user_profiles_embedding_hnsw on public.user_profiles
using hnsw (embedding extensions.vector_cosine_ops);

-- A person's visits, newest first.
create index idx_session_user_time on public.user_session_details (user_id, session_start desc);

-- The best videos; a video's scores.
create index idx_quality_overall on public.video_quality_scores (overall_score desc);
create index idx_quality_video on public.video_quality_scores (video_id);

-- The most trusted channels; channels of a category.
create index idx_channel_trust on public.cached_channels (trust_score desc);
create index idx_channel_category on public.cached_channels (primary_category);

-- The latest days of all keywords.
create index idx_effectiveness_date on public.keyword_effectiveness (date desc);

-- What was foretold of a keyword.
create index idx_prediction_keyword_date on public.trend_predictions (keyword, predicted_for_date desc);

-- supabase/schemas/shorts/08_trial_limit.sql

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

-- supabase/schemas/shorts/10_ingest.sql

-- Promises that any batch can be read: each row comes out typed, with its first problem or none, and nothing raises.

create function private.normalize_keyword(keyword text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- NFKC makes up to 18 characters of one: what is far too long for a keyword shall cost nothing.
    select btrim(regexp_replace(lower(normalize(left(keyword, 2000), nfkc)), '[[:space:]]+', ' ', 'g'))
$$;
comment on function private.normalize_keyword(text) is
'One spelling per keyword: NFKC, lower case, single spaces. Of its first 2,000 characters.';

create function private.region_codes()
returns text[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select string_to_array(
        'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ '
        'CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO '
        'FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE '
        'JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO '
        'MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW '
        'PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM '
        'TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW',
        ' '
    )
$$;
comment on function private.region_codes() is 'The two-letter codes of ISO 3166-1.';

create function private.check_batch(batch jsonb)
returns void
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if jsonb_typeof(batch) is distinct from 'array' then
        raise exception using
            errcode = 'PT400',
            message = 'The batch is no JSON array.',
            detail = format('It is %s.', coalesce(jsonb_typeof(batch), 'missing')),
            hint = 'Send an array of objects, even for one row.';
    end if;
    if jsonb_array_length(batch) > 5000 then
        raise exception using
            errcode = 'PT413',
            message = 'The batch has more than 5000 rows.',
            detail = format('It has %s.', jsonb_array_length(batch)),
            hint = 'Send it in parts of at most 5000 rows.';
    end if;
end
$$;
comment on function private.check_batch(jsonb) is
'Refuses what is no array, and more work than one statement should hold.';

create function private.check_counts(signals jsonb)
returns void
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    counts bigint;
begin
    perform private.check_batch(signals);
    counts := (
        select
            coalesce(
                sum(
                    case
                        when jsonb_typeof(item.value -> 'keywords') = 'array'
                            then jsonb_array_length(item.value -> 'keywords')
                        else 1
                    end
                ),
                0
            )
        from jsonb_array_elements(signals) as item (value)
    );
    if counts > 50000 then
        raise exception using
            errcode = 'PT413',
            message = 'The batch has more than 50000 counts.',
            detail = format('It has %s.', counts),
            hint = 'Send it in parts of at most 50000 counts.';
    end if;
end
$$;
comment on function private.check_counts(jsonb) is 'As check_batch, where an element may hold many counts.';

create function private.read_videos(videos jsonb)
returns table (
    index integer,
    code text,
    message text,
    video_id text,
    title text,
    description text,
    channel_id text,
    channel_name text,
    published_at timestamptz,
    duration integer,
    category_id integer,
    view_count bigint,
    like_count integer,
    comment_count integer,
    is_embeddable boolean,
    privacy_status text,
    upload_status text,
    live_broadcast text,
    is_age_restricted boolean,
    region_restrictions jsonb,
    thumbnail_url text,
    tags text[],
    collected_at timestamptz,
    keywords jsonb,
    words text[]
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as video
        from jsonb_array_elements(videos) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.video,
            given.video ->> 'video_id' as video_id,
            btrim(given.video ->> 'title') as title,
            given.video ->> 'description' as description,
            given.video ->> 'channel_id' as channel_id,
            given.video ->> 'channel_name' as channel_name,
            given.video ->> 'thumbnail_url' as thumbnail_url,
            given.video ->> 'region' as region,
            given.video -> 'region_restrictions' as region_restrictions,
            case
                when jsonb_typeof(given.video -> 'tags') = 'array'
                    then array(select jsonb_array_elements_text(given.video -> 'tags'))
            end as tags,
            case
                when coalesce(jsonb_typeof(given.video -> 'keywords'), 'array') = 'array'
                    then coalesce(given.video -> 'keywords', '[]')
            end as keywords,
            case
                when
                    given.video ->> 'published_at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.video ->> 'published_at', 'timestamptz')
                    then (given.video ->> 'published_at')::timestamptz
            end as published_at,
            case
                when
                    given.video ->> 'collected_at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.video ->> 'collected_at', 'timestamptz')
                    then (given.video ->> 'collected_at')::timestamptz
            end as collected_at,
            case
                when pg_input_is_valid(given.video ->> 'duration_seconds', 'integer')
                    then (given.video ->> 'duration_seconds')::integer
            end as duration,
            case
                when pg_input_is_valid(given.video ->> 'category_id', 'integer')
                    then (given.video ->> 'category_id')::integer
            end as category_id,
            case
                when pg_input_is_valid(given.video ->> 'view_count', 'bigint')
                    then (given.video ->> 'view_count')::bigint
            end as view_count,
            case
                when pg_input_is_valid(given.video ->> 'like_count', 'integer')
                    then (given.video ->> 'like_count')::integer
            end as like_count,
            case
                when pg_input_is_valid(given.video ->> 'comment_count', 'integer')
                    then (given.video ->> 'comment_count')::integer
            end as comment_count,
            case
                when jsonb_typeof(given.video -> 'is_playable') = 'boolean'
                    then (given.video -> 'is_playable')::boolean
            end as is_playable,
            case
                when jsonb_typeof(given.video -> 'is_embeddable') = 'boolean'
                    then (given.video -> 'is_embeddable')::boolean
            end as is_embeddable,
            case
                when jsonb_typeof(given.video -> 'is_age_restricted') = 'boolean'
                    then (given.video -> 'is_age_restricted')::boolean
            end as is_age_restricted,
            given.video ->> 'privacy_status' as privacy_status,
            given.video ->> 'upload_status' as upload_status,
            given.video ->> 'live_broadcast' as live_broadcast
        from given
    ),

    spelled as materialized (
        select
            typed.*,
            array(
                select
                    case
                        -- Most are in their one spelling already, and a look is cheaper than a call.
                        when item.value ->> 'keyword' ~ '^[a-z0-9가-힣]+$' then item.value ->> 'keyword'
                        else private.normalize_keyword(item.value ->> 'keyword')
                    end
                from jsonb_array_elements(typed.keywords) as item (value)
            ) as words
        from typed
    ),

    judged as materialized (
        select
            spelled.*,
            -- One case for all rules: the first that is broken ends it, and a good row costs a few comparisons.
            case
                when spelled.video is null
                    then 'ON001 the row is not an object'
                when
                    'string' <> any(array[
                        jsonb_typeof(spelled.video -> 'video_id'),
                        jsonb_typeof(spelled.video -> 'title'),
                        jsonb_typeof(spelled.video -> 'description'),
                        jsonb_typeof(spelled.video -> 'channel_id'),
                        jsonb_typeof(spelled.video -> 'channel_name'),
                        jsonb_typeof(spelled.video -> 'thumbnail_url'),
                        jsonb_typeof(spelled.video -> 'region')
                    ])
                    then 'ON003 one of video_id, title, description, channel_id, channel_name, thumbnail_url, region is '
                    'not text'
                when coalesce(spelled.video_id !~ '^[A-Za-z0-9_-]{1,20}$', true)
                    then 'ON002 video_id is not an id of at most 20 letters, digits, _ and -'
                when coalesce(spelled.title = '', true)
                    then 'ON003 title is missing or empty'
                when length(spelled.title) > 500
                    then 'ON004 title is longer than 500 characters'
                when length(spelled.description) > 10000
                    then 'ON004 description is longer than 10000 characters'
                when length(spelled.channel_name) > 200
                    then 'ON004 channel_name is longer than 200 characters'
                when length(spelled.thumbnail_url) > 2000
                    then 'ON004 thumbnail_url is longer than 2000 characters'
                when spelled.channel_id !~ '^[A-Za-z0-9_-]{1,50}$'
                    then 'ON002 channel_id is not an id of at most 50 letters, digits, _ and -'
                when spelled.collected_at is null
                    then 'ON005 collected_at is missing or is not an ISO 8601 time'
                when spelled.video ? 'published_at' and spelled.published_at is null
                    then 'ON005 published_at is not an ISO 8601 time'
                when spelled.collected_at not between '2005-01-01 00:00+00' and now() + interval '1 hour'
                    then 'ON006 collected_at is before YouTube or in the future'
                when spelled.published_at not between '2005-01-01 00:00+00' and now() + interval '1 hour'
                    then 'ON006 published_at is before YouTube or in the future'
                when spelled.video ? 'duration_seconds' and coalesce(spelled.duration not between 0 and 604800, true)
                    then 'ON007 duration_seconds is not a whole number from 0 to 604800'
                when spelled.video ? 'category_id' and coalesce(spelled.category_id not between 0 and 999, true)
                    then 'ON007 category_id is not a whole number from 0 to 999'
                when spelled.video ? 'view_count' and coalesce(spelled.view_count not between 0 and 1000000000000, true)
                    then 'ON007 view_count is not a whole number from 0 to 1000000000000'
                when spelled.video ? 'like_count' and coalesce(spelled.like_count < 0, true)
                    then 'ON007 like_count is not a whole number from 0 to 2147483647'
                when spelled.video ? 'comment_count' and coalesce(spelled.comment_count < 0, true)
                    then 'ON007 comment_count is not a whole number from 0 to 2147483647'
                when spelled.region <> all(private.region_codes())
                    then 'ON008 region is not an ISO 3166 code of two capital letters'
                when
                    (spelled.video ? 'is_playable' and spelled.is_playable is null)
                    or (spelled.video ? 'is_embeddable' and spelled.is_embeddable is null)
                    or (spelled.video ? 'is_age_restricted' and spelled.is_age_restricted is null)
                    or spelled.privacy_status not in ('public', 'unlisted', 'private')
                    or length(spelled.upload_status) > 20
                    or spelled.live_broadcast not in ('none', 'live', 'upcoming')
                    or not private.is_small(spelled.region_restrictions, 'object', 10000)
                    then 'ON009 one of is_playable, is_embeddable, is_age_restricted, privacy_status, upload_status, '
                    'live_broadcast, region_restrictions is not what YouTube sends'
                when
                    spelled.video ? 'tags'
                    and (
                        spelled.tags is null
                        or cardinality(spelled.tags) > 500
                        or length(array_to_string(spelled.tags, '')) > 10000
                        or jsonb_path_exists(spelled.video, '$.tags[*] ? (@.type() != "string")')
                    )
                    then 'ON010 tags is not an array of at most 500 texts of together 10000 characters'
                when
                    spelled.keywords is null
                    or jsonb_array_length(spelled.keywords) > 50
                    or jsonb_path_exists(
                        spelled.keywords,
                        '$[*] ? (
                            @.type() != "object"
                            || !(@.keyword.type() == "string")
                            || exists (@.relevance ? (@.type() != "number" || @ < 0 || @ > 1))
                            || exists (@.rank ? (@.type() != "number" || @ < 1 || @ > 1000 || @.floor() != @))
                            || exists (@.source ? (
                                @ != "youtube_api" && @ != "ai_analysis" && @ != "user_feedback" || @.type() != "string"
                            ))
                        )'
                    )
                    or exists (
                        select
                        from unnest(spelled.words) as spelling (word)
                        where length(spelling.word) not between 1 and 255
                    )
                    then 'ON010 keywords is not an array of at most 50 {keyword, relevance from 0 to 1, '
                    'rank from 1 to 1000, source of youtube_api, ai_analysis, user_feedback}'
            end as problem
        from spelled
    )

    select
        judged.index,
        left(judged.problem, 5) as code,
        substr(judged.problem, 7) as message,
        judged.video_id,
        judged.title,
        judged.description,
        judged.channel_id,
        nullif(judged.channel_name, '') as channel_name,
        judged.published_at,
        judged.duration,
        judged.category_id,
        judged.view_count,
        judged.like_count,
        judged.comment_count,
        -- A source that only says "it plays" vouches for both flags.
        coalesce(judged.is_embeddable, judged.is_playable) as is_embeddable,
        coalesce(judged.privacy_status, case when judged.is_playable then 'public' end) as privacy_status,
        judged.upload_status,
        judged.live_broadcast,
        judged.is_age_restricted,
        judged.region_restrictions,
        judged.thumbnail_url,
        judged.tags,
        judged.collected_at,
        judged.keywords,
        judged.words
    from judged
$$;
comment on function private.read_videos(jsonb) is
'The batch as typed rows, each with its first problem or none. Never raises, whatever an element holds.';

create function private.read_keyword_signals(signals jsonb)
returns table (
    index integer,
    item integer,
    code text,
    message text,
    keyword text,
    region_code text,
    bucket timestamptz,
    data_source text,
    mentions integer,
    views bigint
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as signal
        from jsonb_array_elements(signals) with ordinality as item (value, ordinality)
    ),

    -- What the counts of one element share is read and judged once.
    typed as materialized (
        select
            given.index,
            given.signal,
            coalesce(given.signal ? 'keywords', false) as is_many,
            given.signal ->> 'region' as region_code,
            given.signal ->> 'source' as data_source,
            case
                when
                    given.signal ->> 'bucket' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.signal ->> 'bucket', 'timestamptz')
                    then date_trunc('hour', (given.signal ->> 'bucket')::timestamptz, 'UTC')
            end as bucket
        from given
    ),

    judged as materialized (
        select
            typed.*,
            case
                when typed.signal is null
                    then 'ON001 the row is not an object'
                when
                    'string' <> any(array[
                        jsonb_typeof(typed.signal -> 'keyword'),
                        jsonb_typeof(typed.signal -> 'region'),
                        jsonb_typeof(typed.signal -> 'bucket'),
                        jsonb_typeof(typed.signal -> 'source')
                    ])
                    then 'ON003 one of keyword, region, bucket, source is not text'
                when
                    typed.is_many
                    and (
                        jsonb_typeof(typed.signal -> 'keywords') <> 'array'
                        or coalesce(jsonb_typeof(typed.signal -> 'mentions') <> 'array', true)
                        or jsonb_typeof(typed.signal -> 'views') <> 'array'
                        or jsonb_path_exists(typed.signal, '$.keywords[*] ? (@.type() != "string")')
                    )
                    then 'ON010 keywords, mentions and views are not arrays of one length, keywords of texts'
                when
                    typed.is_many
                    and jsonb_array_length(typed.signal -> 'keywords') <> any(array[
                        jsonb_array_length(typed.signal -> 'mentions'),
                        coalesce(
                            jsonb_array_length(typed.signal -> 'views'), jsonb_array_length(typed.signal -> 'keywords')
                        )
                    ])
                    then 'ON010 keywords, mentions and views are not arrays of one length, keywords of texts'
                when typed.bucket is null
                    then 'ON005 bucket is missing or is not an ISO 8601 time'
                when typed.bucket not between '2005-01-01 00:00+00' and now() + interval '1 hour'
                    then 'ON006 bucket is before YouTube or in the future'
                when coalesce(typed.region_code <> all(private.region_codes()), true)
                    then 'ON008 region is not an ISO 3166 code of two capital letters'
                when coalesce(typed.data_source not in ('youtube_api', 'bright_data', 'internal'), true)
                    then 'ON009 source is none of youtube_api, bright_data, internal'
            end as problem
        from typed
    ),

    counted as materialized (
        select
            judged.index,
            case when judged.is_many then (given_count.place - 1)::integer end as item,
            judged.region_code,
            judged.bucket,
            judged.data_source,
            case
                -- Most are in their one spelling already, and a look is cheaper than a call.
                when given_count.keyword ~ '^[a-z0-9가-힣]+$' then given_count.keyword
                else private.normalize_keyword(given_count.keyword)
            end as keyword,
            case
                when pg_input_is_valid(given_count.mentions, 'integer') then given_count.mentions::integer
            end as mentions,
            case
                when pg_input_is_valid(given_count.views, 'bigint') then given_count.views::bigint
            end as views,
            given_count.views is not null as has_views
        from judged
        cross join lateral rows from (
            jsonb_array_elements_text(
                case
                    when judged.is_many then judged.signal -> 'keywords'
                    else jsonb_build_array(judged.signal -> 'keyword')
                end
            ),
            jsonb_array_elements_text(
                case
                    when judged.is_many then judged.signal -> 'mentions'
                    else jsonb_build_array(judged.signal -> 'mentions')
                end
            ),
            jsonb_array_elements_text(
                case
                    when judged.is_many then judged.signal -> 'views'
                    else jsonb_build_array(judged.signal -> 'views')
                end
            )
        ) with ordinality as given_count (keyword, mentions, views, place)
        where judged.problem is null
    ),

    weighed as (
        select
            counted.*,
            case
                when coalesce(counted.keyword = '', true)
                    then 'ON003 keyword is missing or empty'
                when length(counted.keyword) > 255
                    then 'ON004 keyword is longer than 255 characters'
                when coalesce(counted.mentions not between 0 and 1000000000, true)
                    then 'ON007 mentions is not a whole number from 0 to 1000000000'
                when counted.has_views and coalesce(counted.views not between 0 and 1000000000000, true)
                    then 'ON007 views is not a whole number from 0 to 1000000000000'
            end as problem
        from counted
    )

    select
        weighed.index,
        weighed.item,
        left(weighed.problem, 5) as code,
        substr(weighed.problem, 7) as message,
        weighed.keyword,
        weighed.region_code,
        weighed.bucket,
        weighed.data_source,
        weighed.mentions,
        weighed.views
    from weighed
    union all
    select
        judged.index,
        null as item,
        left(judged.problem, 5) as code,
        substr(judged.problem, 7) as message,
        null as keyword,
        null as region_code,
        null as bucket,
        null as data_source,
        null as mentions,
        null as views
    from judged
    where judged.problem is not null
$$;
comment on function private.read_keyword_signals(jsonb) is
'The counts of the batch as typed rows, each with its first problem or none. An element is one count, or many of one '
'hour in arrays. Never raises, whatever an element holds.';

-- supabase/schemas/shorts/11_quotas.sql

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

-- supabase/schemas/shorts/12_refresh_queue.sql

-- Promises that what must be looked up at YouTube is looked up once, the most urgent first, and is never lost.
-- No pgmq: Debian has no package of it, and a table keyed by video_id dedupes by its key and knows priorities.

create function private.refresh_priority(reason text)
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select array_position(array['player_error', 'requested', 'discovered', 'expiring', 'unknown'], reason)
$$;
comment on function private.refresh_priority(text) is
'How urgent the reason is, 1 first: what people see fail, what they ask for, what is new, what was known, the rest.';

create table private.refresh_queue (
    video_id varchar(20) primary key,
    reason text not null,
    priority integer not null generated always as (private.refresh_priority(reason)) stored,
    demand integer not null default 0,
    region varchar(2),
    attempts integer not null default 0,
    last_problem text,
    due_at timestamptz not null default now(),
    queued_at timestamptz not null default now(),
    lease uuid,
    leased_until timestamptz,
    constraint video_id_is_an_id check (video_id ~ '^[A-Za-z0-9_-]+$'),
    constraint reason_is_known check (
        reason in ('player_error', 'requested', 'discovered', 'expiring', 'unknown')
    ),
    constraint queue_counts_are_not_negative check (demand >= 0 and attempts >= 0),
    constraint a_lease_ends check ((lease is null) = (leased_until is null))
);
alter table private.refresh_queue enable row level security;
create index refresh_queue_by_urgency on private.refresh_queue (priority, demand desc, due_at, video_id);
create index refresh_queue_by_lease on private.refresh_queue (lease)
where lease is not null;
comment on table private.refresh_queue is
'Videos to look up at YouTube, each once. Unknown ids are queued too, so nothing refers to cached_videos.';
comment on column private.refresh_queue.demand is
'How often the cache had served it when it was queued: more goes first.';
comment on column private.refresh_queue.attempts is 'How often it was tried in vain: each time it waits longer.';
comment on column private.refresh_queue.due_at is 'Not to be tried before.';
comment on column private.refresh_queue.lease is 'Who has it in hand; up for grabs again once leased_until is over.';

create table private.refresh_keywords (
    video_id varchar(20) not null references private.refresh_queue (video_id) on delete cascade,
    keyword varchar(255) not null,
    search_rank integer,
    primary key (video_id, keyword),
    constraint search_rank_is_positive check (search_rank > 0)
);
alter table private.refresh_keywords enable row level security;
comment on table private.refresh_keywords is
'What was searched for when a queued video was found: becomes a mapping once the video is known.';

-- What the queue is filled from, and what ingest_status counts without reading the videos.
create index cached_videos_to_refresh on public.cached_videos (expires_at)
include (collected_at, is_playable, is_shorts)
where purged_at is null and upload_status is distinct from 'deleted';
create index cached_videos_unknown on public.cached_videos (collected_at)
where purged_at is null and (is_embeddable is null or privacy_status is null);
create index cached_videos_taken_out on public.cached_videos (player_error_at)
where player_error_code is not null;
create index cached_videos_deleted on public.cached_videos (collected_at)
where purged_at is null and upload_status = 'deleted';

create function private.second_chance_wait(times_taken_out integer)
returns interval
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        least(
            interval '1 hour' * power(4, least(greatest(coalesce(times_taken_out, 1), 1), 10) - 1),
            interval '7 days'
        )
$$;
comment on function private.second_chance_wait(integer) is
'How long a video stays out that players could not play: an hour, 4, 16, 64, then 7 days.';

create function private.player_error_after(
    player_error_code integer,
    player_error_at timestamptz,
    times_taken_out integer,
    collected_at timestamptz,
    plays boolean
)
returns integer
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case
            when
                coalesce(plays, false)
                and collected_at > coalesce(player_error_at, '-infinity')
                and now() >= coalesce(player_error_at, '-infinity') + private.second_chance_wait(times_taken_out)
                then null
            else player_error_code
        end
$$;
comment on function private.player_error_after(integer, timestamptz, integer, timestamptz, boolean) is
'The players'' error that is left after news of a source: none when the news is younger than the error, says that the '
'video plays, and the wait is over.';

create function private.search_relevance(search_rank integer)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select coalesce(1 / (1 + ln(search_rank::double precision)), 1)
$$;
comment on function private.search_relevance(integer) is
'How well the video at this place of a search answers it: 1 for the first or an unknown place, 0.3 for the tenth.';

create function private.read_queued_videos(videos jsonb)
returns table (
    index integer,
    code text,
    message text,
    video_id text,
    reason text,
    keyword text,
    search_rank integer,
    region text
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as video
        from jsonb_array_elements(videos) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.video,
            given.video ->> 'video_id' as video_id,
            given.video ->> 'reason' as reason,
            given.video ->> 'region' as region,
            private.normalize_keyword(given.video ->> 'keyword') as keyword,
            case
                when pg_input_is_valid(given.video ->> 'rank', 'integer')
                    then (given.video ->> 'rank')::integer
            end as search_rank
        from given
    )

    select
        typed.index,
        problem.code,
        problem.message,
        typed.video_id,
        typed.reason,
        typed.keyword,
        typed.search_rank,
        typed.region
    from typed
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.video is null, 'ON001', 'the row is not an object'),
            (
                'string' <> any(array[
                    jsonb_typeof(typed.video -> 'video_id'),
                    jsonb_typeof(typed.video -> 'reason'),
                    jsonb_typeof(typed.video -> 'keyword'),
                    jsonb_typeof(typed.video -> 'region')
                ]),
                'ON003',
                'one of video_id, reason, keyword, region is not text'
            ),
            (
                coalesce(typed.video_id !~ '^[A-Za-z0-9_-]{1,20}$', true),
                'ON002',
                'video_id is not an id of at most 20 letters, digits, _ and -'
            ),
            (typed.keyword = '', 'ON003', 'keyword is empty'),
            (length(typed.keyword) > 255, 'ON004', 'keyword is longer than 255 characters'),
            (
                typed.video ? 'rank' and coalesce(typed.search_rank not between 1 and 1000, true),
                'ON007',
                'rank is not a whole number from 1 to 1000'
            ),
            (
                typed.region <> all(private.region_codes()),
                'ON008',
                'region is not an ISO 3166 code of two capital letters'
            ),
            (
                coalesce(typed.reason not in ('discovered', 'requested'), true),
                'ON009',
                'reason is none of discovered, requested'
            )
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on true
$$;
comment on function private.read_queued_videos(jsonb) is
'The batch as typed rows, each with its first problem or none. Never raises, whatever an element holds.';

create function private.map_searches(searches jsonb)
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    mapped integer;
begin
    insert into public.keyword_video_mappings as stored (
        keyword,
        video_id,
        relevance_score,
        search_rank,
        mapping_source
    )
    select
        search.keyword,
        search.video_id,
        private.search_relevance(search.search_rank),
        search.search_rank,
        'youtube_api'
    from jsonb_to_recordset(searches) as search (keyword text, video_id text, search_rank integer)
    where
        exists (
            select
            from public.cached_videos as video
            where video.video_id = search.video_id
        )
    order by
        search.keyword,
        search.video_id
    on conflict on constraint a_keyword_maps_to_a_video_once do update
        set
            relevance_score = excluded.relevance_score,
            search_rank = excluded.search_rank,
            mapping_source = excluded.mapping_source
        where
            (stored.relevance_score, stored.search_rank, stored.mapping_source)
            is distinct from (excluded.relevance_score, excluded.search_rank, excluded.mapping_source);
    get diagnostics mapped = row_count;
    return mapped;
end
$$;
comment on function private.map_searches(jsonb) is
'Notes which videos a source''s search has answered with: [{keyword, video_id, search_rank}], each pair once.';

create function public.queue_videos(videos jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    rows jsonb;
    good integer;
    queued integer;
    fresh integer;
    refused jsonb;
    searches jsonb;
begin
    perform private.check_batch(videos);

    -- What a source told within the hour, and told whole, need not be asked again.
    select
        coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'index', read.index,
                    'video_id', read.video_id,
                    'reason', read.reason,
                    'keyword', read.keyword,
                    'search_rank', read.search_rank,
                    'region', read.region,
                    'demand', coalesce(video.cache_hit_count, 0),
                    'is_fresh', coalesce(
                        video.collected_at > now() - interval '1 hour'
                        and video.is_embeddable is not null
                        and video.privacy_status is not null,
                        false
                    )
                )
            ) filter (where read.code is null),
            '[]'
        ),
        count(*) filter (where read.code is null),
        coalesce(
            jsonb_agg(
                jsonb_build_object('index', read.index, 'code', read.code, 'message', read.message)
                order by read.index
            ) filter (where read.code is not null),
            '[]'
        )
    into rows, good, refused
    from private.read_queued_videos(videos) as read
    left join public.cached_videos as video on read.video_id = video.video_id;

    -- Sorted, so that two batches never deadlock. A row that is there already is held all the same: who finishes it
    -- waits, and then sees the keywords that follow here.
    with added as (
        insert into private.refresh_queue as stored (video_id, reason, region, demand)
        select distinct on (one.video_id)
            one.video_id,
            one.reason,
            one.region,
            one.demand
        from jsonb_to_recordset(rows) as one (
            index integer, video_id text, reason text, region text, demand integer, is_fresh boolean
        )
        where not one.is_fresh
        order by
            one.video_id asc,
            private.refresh_priority(one.reason) asc,
            one.region is null asc,
            one.index desc
        on conflict on constraint refresh_queue_pkey do update
            set
                reason = case
                    when stored.priority <= private.refresh_priority(excluded.reason) then stored.reason
                    else excluded.reason
                end,
                region = coalesce(excluded.region, stored.region)
            where
                stored.priority > private.refresh_priority(excluded.reason)
                or stored.region is distinct from coalesce(excluded.region, stored.region)
        returning stored.xmax = 0 as is_new
    )

    select count(*) filter (where added.is_new)
    into queued
    from added;

    insert into private.refresh_keywords as stored (video_id, keyword, search_rank)
    select distinct on (one.video_id, one.keyword)
        one.video_id,
        one.keyword,
        one.search_rank
    from jsonb_to_recordset(rows) as one (
        index integer, video_id text, keyword text, search_rank integer, is_fresh boolean
    )
    where
        not one.is_fresh
        and one.keyword is not null
    order by
        one.video_id asc,
        one.keyword asc,
        one.search_rank asc nulls last,
        one.index desc
    on conflict on constraint refresh_keywords_pkey do update
        set search_rank = excluded.search_rank
        where excluded.search_rank <> coalesce(stored.search_rank, 0);

    select
        count(*),
        jsonb_agg(
            jsonb_build_object('keyword', one.keyword, 'video_id', one.video_id, 'search_rank', one.search_rank)
        ) filter (where one.keyword is not null and one.is_best)
    into fresh, searches
    from (
        select
            given.video_id,
            given.keyword,
            given.search_rank,
            row_number() over (
                partition by
                    given.video_id,
                    given.keyword
                order by
                    given.search_rank asc nulls last,
                    given.index desc
            ) = 1 as is_best
        from jsonb_to_recordset(rows) as given (
            index integer, video_id text, keyword text, search_rank integer, is_fresh boolean
        )
        where given.is_fresh
    ) as one;
    if searches is not null then
        -- The queue, videos, mappings: the order in which everybody takes them.
        perform video.video_id
        from public.cached_videos as video
        where
            video.video_id in (
                select search.video_id
                from jsonb_to_recordset(searches) as search (video_id text)
            )
        order by video.video_id
        for no key update;
        perform private.map_searches(searches);
    end if;

    return
        jsonb_build_object(
            'received', good + jsonb_array_length(refused),
            'queued', queued,
            'merged', good - queued - fresh,
            'fresh', fresh,
            'rejected', refused
        );
end
$$;
comment on function public.queue_videos(jsonb) is
'Queues at most 5000 videos to be looked up. One that is queued already gets the new keyword; one that was collected '
'within the hour is fresh and gets it at once; bad rows come back as {index, code, message}, see docs/errors.md.';

create function public.claim_refreshes(
    most integer default 50,
    lease_seconds integer default 300
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    new_lease constant uuid := gen_random_uuid();
    claimed jsonb;
begin
    if
        coalesce(claim_refreshes.most not between 1 and 500, true)
        or coalesce(claim_refreshes.lease_seconds not between 1 and 3600, true)
    then
        raise exception using
            errcode = 'PT400',
            message = 'So many videos or so long a lease cannot be claimed.',
            detail = format(
                'most is %s, lease_seconds is %s.',
                coalesce(claim_refreshes.most::text, 'missing'),
                coalesce(claim_refreshes.lease_seconds::text, 'missing')
            ),
            hint = 'Send most from 1 to 500 and lease_seconds from 1 to 3600.';
    end if;

    with taken as materialized (
        select queued.video_id
        from private.refresh_queue as queued
        where
            queued.due_at <= now()
            and (queued.leased_until is null or queued.leased_until <= now())
        order by
            queued.priority asc,
            queued.demand desc,
            queued.due_at asc,
            queued.video_id asc
        limit claim_refreshes.most
        for no key update skip locked
    ),

    leased as (
        update private.refresh_queue as queued
        set
            lease = new_lease,
            leased_until = now() + make_interval(secs => claim_refreshes.lease_seconds),
            -- A lease that ran out was an attempt in vain as well.
            attempts = queued.attempts + (queued.lease is not null)::integer
        from taken
        where queued.video_id = taken.video_id
        returning
            queued.video_id,
            queued.reason,
            queued.priority,
            queued.demand,
            queued.due_at,
            queued.attempts,
            queued.region
    )

    select
        jsonb_agg(
            jsonb_build_object(
                'video_id', leased.video_id,
                'reason', leased.reason,
                'attempts', leased.attempts,
                'region', leased.region,
                'keywords', (
                    select
                        coalesce(
                            jsonb_agg(
                                jsonb_build_object('keyword', search.keyword, 'rank', search.search_rank)
                                order by search.keyword
                            ),
                            '[]'
                        )
                    from private.refresh_keywords as search
                    where search.video_id = leased.video_id
                )
            )
            order by
                leased.priority asc,
                leased.demand desc,
                leased.due_at asc,
                leased.video_id asc
        )
    into claimed
    from leased;
    return
        jsonb_build_object(
            'lease', case when claimed is not null then new_lease end,
            'videos', coalesce(claimed, '[]')
        );
end
$$;
comment on function public.claim_refreshes(integer, integer) is
'The most urgent videos that are due, in the caller''s hand for so many seconds; without an answer by then they can be '
'claimed again. YouTube answers for 50 ids at once.';

create function private.retry_wait(
    attempts integer,
    retry_after_seconds integer
)
returns interval
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select make_interval(secs => least(retry_after_seconds * power(2, least(attempts, 20)), 6 * 60 * 60))
$$;
comment on function private.retry_wait(integer, integer) is
'How long a video waits after so many earlier attempts: twice as long each time, at most 6 hours.';

create function private.give_back_refreshes(
    lease uuid,
    problem text,
    retry_after_seconds integer
)
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    given_back integer;
begin
    -- Sorted, as queue_videos takes them.
    with held as materialized (
        select queued.video_id
        from private.refresh_queue as queued
        where queued.lease = give_back_refreshes.lease
        order by queued.video_id
        for update
    )

    update private.refresh_queue as queued
    set
        lease = null,
        leased_until = null,
        attempts = queued.attempts + 1,
        due_at = now() + private.retry_wait(queued.attempts, give_back_refreshes.retry_after_seconds),
        last_problem = left(give_back_refreshes.problem, 500)
    from held
    where queued.video_id = held.video_id;
    get diagnostics given_back = row_count;
    return given_back;
end
$$;
comment on function private.give_back_refreshes(uuid, text, integer) is
'Puts what a lease still holds back into the queue, for later; returns how many.';

create function private.check_lease(lease uuid)
returns void
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if check_lease.lease is null then
        raise exception using
            errcode = 'PT400',
            message = 'The lease is missing.',
            hint = 'Send the lease that claim_refreshes returned.';
    end if;
end
$$;
comment on function private.check_lease(uuid) is 'Refuses a missing lease, which would hold nothing.';

create function public.release_refreshes(
    lease uuid,
    problem text,
    retry_after_seconds integer default 60
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.check_lease(release_refreshes.lease);
    if coalesce(release_refreshes.retry_after_seconds < 0, true) then
        raise exception using
            errcode = 'PT400',
            message = 'retry_after_seconds is no whole number from 0.',
            detail = format('It is %s.', coalesce(release_refreshes.retry_after_seconds::text, 'missing')),
            hint = 'Send the seconds after which to try again, or nothing for 60.';
    end if;
    return
        jsonb_build_object(
            'released',
            private.give_back_refreshes(
                release_refreshes.lease, release_refreshes.problem, release_refreshes.retry_after_seconds
            )
        );
end
$$;
comment on function public.release_refreshes(uuid, text, integer) is
'Gives back what a lease holds and could not be looked up: due again later, twice as late at each attempt, at most '
'after 6 hours. Nothing is dropped.';

create function private.store_missing_videos(video_ids text[])
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    changed integer;
begin
    -- Older news never overwrites newer, and that a video is gone is news like any other.
    update public.cached_videos as video
    set
        privacy_status = 'private',
        upload_status = 'deleted',
        live_broadcast = null,
        collected_at = now(),
        expires_at = now() + interval '7 days',
        cached_at = now()
    where
        video.video_id = any(store_missing_videos.video_ids)
        and video.collected_at <= now();
    get diagnostics changed = row_count;
    return changed;
end
$$;
comment on function private.store_missing_videos(text[]) is
'Videos that their source does not know any more play no more; returns how many the cache knew.';

create function private.give_second_chances(video_ids text[])
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    changed integer;
begin
    update public.cached_videos as video
    set
        player_error_code = null,
        player_error_at = null
    where
        video.video_id = any(give_second_chances.video_ids)
        and video.player_error_code is not null
        and private.player_error_after(
            video.player_error_code,
            video.player_error_at,
            video.times_taken_out,
            video.collected_at,
            private.plays_everywhere(
                video.is_embeddable,
                video.privacy_status,
                video.upload_status,
                video.is_age_restricted,
                null,
                video.live_broadcast
            )
        ) is null;
    get diagnostics changed = row_count;
    return changed;
end
$$;
comment on function private.give_second_chances(text[]) is
'Puts videos in again that players could not play, as far as newer news and the wait allow; returns how many.';

create function public.finish_refreshes(
    lease uuid,
    videos jsonb,
    missing jsonb
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    held text[];
    found_ids text[];
    gone_ids text[];
    stored jsonb;
    searches jsonb;
begin
    perform private.check_lease(finish_refreshes.lease);
    perform private.check_batch(finish_refreshes.videos);
    if
        jsonb_typeof(finish_refreshes.missing) is distinct from 'array'
        or jsonb_path_exists(finish_refreshes.missing, 'strict $[*] ? (@.type() != "string")')
    then
        raise exception using
            errcode = 'PT400',
            message = 'missing is no JSON array of ids.',
            hint = 'Send the ids that the source did not answer for, or an empty array.';
    end if;
    perform private.check_batch(finish_refreshes.missing);

    -- What another has claimed since is the other's: only what this lease holds leaves the queue.
    select coalesce(array_agg(mine.video_id), '{}')
    into held
    from (
        select queued.video_id::text
        from private.refresh_queue as queued
        where queued.lease = finish_refreshes.lease
        order by queued.video_id
        for update
    ) as mine;
    select coalesce(array_agg(distinct item.value ->> 'video_id'), '{}')
    into found_ids
    from jsonb_array_elements(finish_refreshes.videos) as item (value)
    where jsonb_typeof(item.value) = 'object';
    select coalesce(array_agg(item.value), '{}')
    into gone_ids
    from jsonb_array_elements_text(finish_refreshes.missing) as item (value)
    where
        item.value = any(held)
        and item.value <> all(found_ids);

    -- Videos, then mappings, each sorted and before anything is written: the order in which everybody takes them.
    perform video.video_id
    from public.cached_videos as video
    where video.video_id = any(found_ids || gone_ids)
    order by video.video_id
    for no key update;
    perform mapping.id
    from public.keyword_video_mappings as mapping
    where mapping.video_id = any(found_ids)
    order by
        mapping.keyword,
        mapping.video_id
    for no key update;

    stored := public.ingest_videos(finish_refreshes.videos);
    perform private.give_second_chances(found_ids);
    perform private.store_missing_videos(gone_ids);

    select
        jsonb_agg(
            jsonb_build_object(
                'keyword', search.keyword, 'video_id', search.video_id, 'search_rank', search.search_rank
            )
        )
    into searches
    from private.refresh_keywords as search
    where
        search.video_id = any(held)
        and search.video_id = any(found_ids);
    if searches is not null then
        perform private.map_searches(searches);
    end if;

    delete from private.refresh_queue as queued
    where
        queued.video_id = any(held)
        and queued.video_id = any(found_ids || gone_ids);
    return
        jsonb_build_object(
            'stored', stored,
            'gone', cardinality(gone_ids),
            'left', private.give_back_refreshes(finish_refreshes.lease, 'The source said nothing of it.', 60)
        );
end
$$;
comment on function public.finish_refreshes(uuid, jsonb, jsonb) is
'What a source answered for a lease, stored in one transaction: videos with the keywords they were queued with, '
'missing ids as deleted; what it said nothing of is given back. Repeating it changes nothing.';

create function private.queue_due_videos(batch_size integer default 5000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    counts jsonb;
begin
    with failing as materialized (
        -- A video that is out is asked about at once, and once more when its wait is over.
        select
            video.video_id,
            video.cache_hit_count
        from public.cached_videos as video
        where
            video.player_error_code is not null
            and video.purged_at is null
            and video.upload_status is distinct from 'deleted'
            and (
                video.collected_at <= video.player_error_at
                or (
                    now() >= video.player_error_at + private.second_chance_wait(video.times_taken_out)
                    and video.collected_at < video.player_error_at + private.second_chance_wait(video.times_taken_out)
                )
            )
        union
        select
            video.video_id,
            video.cache_hit_count
        from private.playback_errors as report
        inner join public.cached_videos as video on report.video_id = video.video_id
        inner join auth.users as person on report.user_id = person.id
        where
            -- Accounts that cost nothing to make shall not spend the quota of everybody.
            not person.is_anonymous
            and report.reported_at > now() - interval '24 hours'
            and report.reported_at > video.collected_at
            and report.used_at is null
            and private.blames_the_video(report.error_code)
            and video.player_error_code is null
            and video.purged_at is null
            and video.upload_status is distinct from 'deleted'
            -- Nor shall who reports more than that in a day.
            and (
                select count(*)
                from private.playback_errors as other
                where
                    other.user_id = report.user_id
                    and other.reported_at > now() - interval '24 hours'
            ) <= private.most_reports()
    ),

    due as materialized (
        select
            failing.video_id,
            failing.cache_hit_count,
            'player_error' as reason
        from failing
        union all
        select
            video.video_id,
            video.cache_hit_count,
            'expiring' as reason
        from public.cached_videos as video
        where
            video.expires_at <= now() + interval '24 hours'
            and video.purged_at is null
            and video.upload_status is distinct from 'deleted'
            and video.is_embeddable is not null
            and video.privacy_status is not null
        union all
        select
            video.video_id,
            video.cache_hit_count,
            'unknown' as reason
        from public.cached_videos as video
        where
            video.purged_at is null
            and (video.is_embeddable is null or video.privacy_status is null)
            and video.upload_status is distinct from 'deleted'
    ),

    chosen as materialized (
        select distinct on (due.video_id)
            due.video_id,
            due.cache_hit_count,
            due.reason,
            private.refresh_priority(due.reason) as priority
        from due
        order by
            due.video_id asc,
            private.refresh_priority(due.reason) asc
    ),

    -- What is queued already as urgently takes no place of the batch.
    batch as materialized (
        select
            chosen.video_id,
            chosen.cache_hit_count,
            chosen.reason
        from chosen
        where
            not exists (
                select
                from private.refresh_queue as queued
                where
                    queued.video_id = chosen.video_id
                    and queued.priority <= chosen.priority
            )
        order by
            chosen.priority asc,
            chosen.cache_hit_count desc,
            chosen.video_id asc
        limit queue_due_videos.batch_size
    ),

    added as (
        insert into private.refresh_queue as stored (video_id, reason, demand)
        select
            batch.video_id,
            batch.reason,
            batch.cache_hit_count
        from batch
        order by batch.video_id
        on conflict on constraint refresh_queue_pkey do update
            set
                reason = excluded.reason,
                demand = excluded.demand
            where stored.priority > private.refresh_priority(excluded.reason)
        returning stored.reason
    )

    select
        jsonb_build_object(
            'player_error', count(*) filter (where added.reason = 'player_error'),
            'expiring', count(*) filter (where added.reason = 'expiring'),
            'unknown', count(*) filter (where added.reason = 'unknown')
        )
    into counts
    from added;
    return counts;
end
$$;
comment on function private.queue_due_videos(integer) is
'Queues the videos that are due: those that players fail at first, then those that expire within a day by how often '
'the cache serves them, then those whose flags nobody knows. Returns how many of each.';

-- supabase/schemas/shorts/13_ingest_runs.sql

-- Promises that an ingest that was interrupted goes on where it was, and that what it paid for is kept.

create table private.ingest_runs (
    id uuid primary key default gen_random_uuid(),
    source text not null,
    request jsonb not null,
    state jsonb not null default '{}',
    outcome text,
    counts jsonb not null default '{}',
    started_at timestamptz not null default now(),
    saved_at timestamptz not null default now(),
    ended_at timestamptz,
    constraint source_is_known check (source in ('youtube', 'bright_data', 'dataset', 'refresh')),
    constraint outcome_is_known check (outcome in ('done', 'failed', 'interrupted')),
    constraint an_outcome_has_a_time check ((outcome is null) = (ended_at is null)),
    constraint documents_are_objects check (
        jsonb_typeof(request) = 'object' and jsonb_typeof(state) = 'object' and jsonb_typeof(counts) = 'object'
    )
);
alter table private.ingest_runs enable row level security;
create index ingest_runs_by_time on private.ingest_runs (started_at desc);
create index ingest_runs_by_last_sign on private.ingest_runs (saved_at);
comment on table private.ingest_runs is
'What was asked of which source, how far it got, what came of it. Kept 90 days.';
comment on column private.ingest_runs.state is 'How far it got: what the program needs to go on.';
comment on column private.ingest_runs.outcome is
'done, failed or interrupted; null while it runs, or when nobody was left to say.';
comment on column private.ingest_runs.saved_at is 'The last sign of life.';

create function private.check_object(
    name text,
    value jsonb
)
returns void
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if jsonb_typeof(check_object.value) is distinct from 'object' then
        raise exception using
            errcode = 'PT400',
            message = format('%s is no JSON object.', check_object.name),
            detail = format('It is %s.', coalesce(jsonb_typeof(check_object.value), 'missing')),
            hint = 'Send an object, {} for nothing.';
    end if;
    -- Not by its length alone: a few bytes such as 1e131071 become a hundred thousand characters.
    if private.is_small(check_object.value, 'object', 1000000) is not true then
        raise exception using
            errcode = 'PT413',
            message = format('%s is longer than 1000000 characters.', check_object.name),
            detail = format('It has %s bytes, or a number that is written in many digits.', pg_column_size(check_object.value)),
            hint = 'Keep what is needed to go on, and not what was read.';
    end if;
end
$$;
comment on function private.check_object(text, jsonb) is 'Refuses what is no object, or a very long one.';

create function private.no_such_run(id uuid)
returns void
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    raise exception using
        errcode = 'PT404',
        message = 'There is no such run.',
        detail = format('It is %s.', coalesce(no_such_run.id::text, 'missing')),
        hint = 'Send the id that begin_ingest_run returned.';
end
$$;
comment on function private.no_such_run(uuid) is 'Says that a run is not known.';

create function public.begin_ingest_run(
    source text,
    request jsonb
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    if coalesce(begin_ingest_run.source not in ('youtube', 'bright_data', 'dataset', 'refresh'), true) then
        raise exception using
            errcode = 'PT400',
            message = 'The source of a run is none of the known ones.',
            detail = format('It is %s.', coalesce(quote_literal(left(begin_ingest_run.source, 100)), 'missing')),
            hint = 'Send youtube, bright_data, dataset or refresh.';
    end if;
    perform private.check_object('request', begin_ingest_run.request);

    -- Two that begin the same at once find one run.
    perform pg_advisory_xact_lock(
        hashtextextended('shorts-ingest-run ' || begin_ingest_run.source || begin_ingest_run.request::text, 0)
    );
    update private.ingest_runs as run
    set
        outcome = null,
        ended_at = null,
        saved_at = now()
    where
        run.id = (
            select unfinished.id
            from private.ingest_runs as unfinished
            where
                unfinished.source = begin_ingest_run.source
                and unfinished.request = begin_ingest_run.request
                and unfinished.outcome is distinct from 'done'
                and unfinished.started_at > now() - interval '24 hours'
            order by
                unfinished.started_at desc,
                unfinished.id asc
            limit 1
        )
    returning
        jsonb_build_object('id', run.id, 'state', run.state, 'resumed', true, 'started_at', run.started_at)
    into answer;
    if not found then
        insert into private.ingest_runs as run (source, request)
        values (begin_ingest_run.source, begin_ingest_run.request)
        returning
            jsonb_build_object('id', run.id, 'state', run.state, 'resumed', false, 'started_at', run.started_at)
        into answer;
    end if;
    return answer;
end
$$;
comment on function public.begin_ingest_run(text, jsonb) is
'The run of the last 24 hours that asked the same of the same source and was not done, with its state; or a new one.';

create function public.save_ingest_run(
    id uuid,
    state jsonb,
    videos jsonb default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.check_object('state', save_ingest_run.state);
    -- A run that has ended is saved all the same: what was paid for must not be lost.
    update private.ingest_runs as run
    set
        state = save_ingest_run.state,
        saved_at = now()
    where run.id = save_ingest_run.id;
    if not found then
        perform private.no_such_run(save_ingest_run.id);
    end if;
    return public.queue_videos(coalesce(save_ingest_run.videos, '[]'));
end
$$;
comment on function public.save_ingest_run(uuid, jsonb, jsonb) is
'Stores how far a run got and queues the videos it found, both or neither; answers as queue_videos does.';

create function public.end_ingest_run(
    id uuid,
    outcome text,
    counts jsonb
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    if coalesce(end_ingest_run.outcome not in ('done', 'failed', 'interrupted'), true) then
        raise exception using
            errcode = 'PT400',
            message = 'The outcome of a run is none of the known ones.',
            detail = format('It is %s.', coalesce(quote_literal(end_ingest_run.outcome), 'missing')),
            hint = 'Send done, failed or interrupted.';
    end if;
    perform private.check_object('counts', end_ingest_run.counts);
    update private.ingest_runs as run
    set
        outcome = end_ingest_run.outcome,
        counts = end_ingest_run.counts,
        saved_at = now(),
        ended_at = now()
    where run.id = end_ingest_run.id
    returning jsonb_build_object('id', run.id, 'outcome', run.outcome, 'ended_at', run.ended_at)
    into answer;
    if not found then
        perform private.no_such_run(end_ingest_run.id);
    end if;
    return answer;
end
$$;
comment on function public.end_ingest_run(uuid, text, jsonb) is
'Notes what came of a run. One that failed or was interrupted can be begun again for 24 hours after its start.';

create function private.forget_ingest_history(batch_size integer default 5000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    runs integer;
    days integer;
begin
    delete from private.ingest_runs as run
    where
        run.id in (
            select old.id
            from private.ingest_runs as old
            where old.saved_at < now() - interval '90 days'
            order by old.saved_at
            limit batch_size
            for update skip locked
        );
    get diagnostics runs = row_count;
    delete from private.quota_days as counted
    where
        (counted.bucket, counted.day) in (
            select
                old.bucket,
                old.day
            from private.quota_days as old
            where old.day < private.pacific_day() - 90
            order by old.day
            limit batch_size
            for update skip locked
        );
    get diagnostics days = row_count;
    return jsonb_build_object('runs_forgotten', runs, 'quota_days_forgotten', days);
end
$$;
comment on function private.forget_ingest_history(integer) is
'Deletes runs without a sign of life for 90 days, and days of quotas as old.';

create function public.ingest_status()
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    select
        jsonb_build_object(
            'quotas', (
                select coalesce(jsonb_agg(private.quota_state(allowed.bucket) order by allowed.bucket), '[]')
                from private.quota_limits as allowed
            ),
            'queue', (
                select
                    jsonb_build_object(
                        'due', coalesce(sum(queued.due), 0),
                        'leased', coalesce(sum(queued.leased), 0),
                        'waiting', coalesce(sum(queued.waiting), 0),
                        'by_reason', coalesce(jsonb_object_agg(queued.reason, queued.amount), '{}'),
                        'oldest_due_at', min(queued.oldest_due_at)
                    )
                from (
                    select
                        entry.reason,
                        count(*) as amount,
                        count(*) filter (where entry.is_free and entry.due_at <= now()) as due,
                        count(*) filter (where not entry.is_free) as leased,
                        count(*) filter (where entry.is_free and entry.due_at > now()) as waiting,
                        min(entry.due_at) filter (where entry.is_free and entry.due_at <= now()) as oldest_due_at
                    from (
                        select
                            queue.reason,
                            queue.due_at,
                            coalesce(queue.leased_until <= now(), true) as is_free
                        from private.refresh_queue as queue
                    ) as entry
                    group by entry.reason
                ) as queued
            ),
            'cache', (
                select
                    jsonb_build_object(
                        'videos', (select count(*) from public.cached_videos),
                        'playable', kept.playable,
                        'shorts', kept.shorts,
                        'expire_in_24h', kept.expire_in_24h,
                        'expired', kept.expired,
                        'unknown', (
                            select count(*)
                            from public.cached_videos as video
                            where
                                video.purged_at is null
                                and (video.is_embeddable is null or video.privacy_status is null)
                        ),
                        'taken_out', (
                            select count(*)
                            from public.cached_videos as video
                            where video.player_error_code is not null
                        ),
                        'deleted', deleted.amount,
                        'purge_due', kept.purge_due + deleted.purge_due
                    )
                from (
                    select
                        count(*) filter (where video.is_playable) as playable,
                        count(*) filter (where video.is_playable and video.is_shorts) as shorts,
                        count(*) filter (
                            where video.expires_at > now() and video.expires_at <= now() + interval '24 hours'
                        ) as expire_in_24h,
                        count(*) filter (where video.expires_at <= now()) as expired,
                        count(*) filter (where video.collected_at < now() - interval '30 days') as purge_due
                    from public.cached_videos as video
                    where
                        video.purged_at is null
                        and video.upload_status is distinct from 'deleted'
                ) as kept
                cross join (
                    select
                        count(*) as amount,
                        count(*) filter (where video.collected_at < now() - interval '30 days') as purge_due
                    from public.cached_videos as video
                    where
                        video.purged_at is null
                        and video.upload_status = 'deleted'
                ) as deleted
            ),
            'runs', (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_build_object(
                                'id', run.id,
                                'source', run.source,
                                'request', run.request,
                                'outcome', run.outcome,
                                'counts', run.counts,
                                'started_at', run.started_at,
                                'saved_at', run.saved_at,
                                'ended_at', run.ended_at
                            )
                            order by
                                run.started_at desc,
                                run.id asc
                        ),
                        '[]'
                    )
                from (
                    select last_run.*
                    from private.ingest_runs as last_run
                    order by
                        last_run.started_at desc,
                        last_run.id asc
                    limit 10
                ) as run
            )
        )
$$;
comment on function public.ingest_status() is
'How ingest is doing: quotas of today, the queue, how true the cache is, the last ten runs.';

-- supabase/schemas/shorts/15_stop_words.sql

-- Promises that the database leaves out the same words as the app: scripts/stop_words.py writes this file.

create table private.stop_words (
    word text primary key,
    constraint a_stop_word_is_one_word check (word ~ '^[^[:space:]]+$')
);
alter table private.stop_words enable row level security;
comment on table private.stop_words is
'Words that say nothing about what a video is about, as app/shorts/stopwords.txt has them.';
comment on column private.stop_words.word is 'Normalised: NFKC, without case.';

insert into private.stop_words (word)
select listed.word
from unnest(
    string_to_array(
        '4k about ada adalah after again agora akan aku al all also am amp an and anh any ao aos apa are aren as '
        'asmr at atau ate até audio aur back bagaimana banget be because been before being belum best between bhi '
        'bisa both bukan but by bà bạn can cho chị clip clips com como con could các có cũng của da dalam dan dari '
        'das day days de del dengan di dia did didn dimana do does doesn doing don done dos down during e each ek '
        'el ela elas ele eles ella em ep episode eps era es essa esse esta este está eu even ever every explore '
        'feat feed few first foi for foryou foryoupage from ft fue full fullhd fyp gaya gayi gen get getting go '
        'going gone got gì had hai hain hari has have having hd he her here hi him his ho hoje how họ if im in ini '
        'into is isn isso it its itu ive ja jadi juga just já ka kaise kalau kami kamu kapan karena ke kenapa khi '
        'không ki kita ko kya kyu kyun la lagi las last le les let like live ll lo los lyric lyrics là lại made '
        'mais make making mas may me mein mereka meu mi might mine minha mis more most muito music must mv my mà '
        'más một na nahi nahin nao nas ne never new nhiều như nhưng những no nor nos not now nya nào này não nó '
        'nếu of off official oleh on once one only or os other ou our out over own pada par para part part1 part2 '
        'pero phim por porque pov pra pro prod quando que quem quot ra re really reel reels rất saja sama same sao '
        'satu saya se see sem ser seu shall she short shorts shortsfeed shortsvideo shortsviral shortsyoutube '
        'shortvideo short쇼츠 shot should siapa sim sin so sobre some son still su sua subscribe such sudah sus são '
        'sẽ teaser tem tha than that the their them then there these they thi this those through thì tidak tiktok '
        'time to toda todas today todo todos toh tomorrow too top trailer trend trending trendingshorts trong tu '
        'two tôi tập từ uhd um uma umas un una unas under unos uns until untuk up us vai ve ver version very via '
        'video videos viral viralshorts viralvideo vlog voce você vocês vol vs và vào vì về với wait was wasn '
        'watch we were what when where which while who whom whose why will with without wo woh won would y ya yang '
        'ye yeh yet yo you your yours youtube youtubeshort youtubeshorts yt ytshort ytshorts él ông đang đâu đã '
        'được đến अब एक और कब कर करने का कि किया की के कैसे को क्या क्यों गई गया जो तो था थी थे नहीं ने पर बहुत भी '
        'में यह या ये लिए वह वो से ही हुआ है हैं हो กับ ของ จะ ที่ นี้ มี ว่า เป็น และ แล้ว ใน ให้ ได้ ไม่ あの ある '
        'あれ いる から くん けど ここ こと この これ された される さん した したら して している すぎた すぎる する そこ その それ たち ため だけ だった ちゃん った って でした です でも '
        'という ない など なる について ました ます ません まで まとめ もの よう ショート 予告 公式 切り抜き 動画 最新 本編 歌ってみた踊ってみた 特報 生配信 配信 가능 가장 가지 갑자기 강력 '
        '같다 같은 같이 거기 거의 것은 것을 것이 결과 결국 결정 계속 공개 공식 관한 구독 그거 그것 그게 그냥 그녀 그들 그래도 그래서 그러나 그런 그런데 그렇게 그리고 근데 금요일 까지 끝 '
        '나는 나를 난리 남성 남자 내가 내용 내일 너는 너를 너무 네가 누가 누구 누군가 뉴스 느낌 니가 다들 다시 다시보기 다음 단숨 당신 대망 대신 대한 대해 도전 동안 동영상 됐다 되는 되다 '
        '되면 되어 된다 됩니다 드디어 등장 따라 때문 때문에 또한 라고 라는 라방 라이브 레전드 마지막 만큼 많이 먼저 모두 모든 모습 모음 모음집 목요일 못한 무료 무슨 무언가 문제 미친 바로 '
        '발견 방법 방송 벌써 보는 보다 보면 본방 본인 봤다 부터 분석 사람 사람들 사실 사용 상대 상황 생각 생방송 서로 선공개 선택 세상 소름 쇼츠 숏 숏츠 숏폼 수요일 수준 순간 시간 시작 '
        '시절 실시간 실화 아니 아니다 아니라 아닌 아주 아직 않고 않는 않은 알고리즘 어디 어떤 어떻게 어제 언제 없는 없다 없어 없을 없음 에게 에서 여기 여러분 여성 여자 역대 역대급 역시 '
        '연속 열심 영상 예고 예고편 오늘 오랜만 완료 완벽 완전 왜 요즘 우리 월요일 위한 위해 유튜버 유튜브 으로 이거 이것 이게 이라고 이라는 이랑 이런 이렇게 이미 이번 이상 이야기 이유 '
        '인생 일요일 입니다 있나 있는 있다 있어 있을 있음 장면 재방송 저거 저것 저게 저기 저는 저런 저렇게 저희 전체 정도 정리 정말 제가 제일 조금 존재 좋아요 준비 중 중요 지금 직캠 진짜 '
        '차이 처럼 처음 총정리 최고 최근 최대 최악 최종 최초 최초공개 최후 추가 충격 충격적 친구 클립 토요일 통해 특별 티저 풀버전 필요 하고 하나 하는 하는데 하다 하루 하며 하면 하이라이트 '
        '하지만 한다 한다면 한마디 한테 함께 합니다 해도 해서 해야 했는데 했다 했던 했습니다 행동 현재 혼자 화요일 확인 회차',
        ' '
    )
) as listed (word);

create function private.says_nothing(keyword text)
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        length(keyword) < 2
        or not exists (
            select
            from string_to_table(keyword, ' ') as part (word)
            where
                not exists (
                    select
                    from private.stop_words as stop
                    where stop.word = part.word
                )
        )
$$;
comment on function private.says_nothing(text) is 'Whether a normalised keyword is one letter, or stop words only.';

-- supabase/schemas/shorts/16_internal_signals.sql

-- Promises that what people search for and watch becomes hourly counts, exactly once, and that nobody waits for it.

create table private.uncounted_hours (
    id bigint generated always as identity primary key,
    hour timestamptz not null,
    constraint hour_is_a_full_hour check (hour = date_trunc('hour', hour, 'UTC'))
);
alter table private.uncounted_hours enable row level security;
comment on table private.uncounted_hours is
'Hours in which something was written since they were last counted. Appended only, by the writers'' own transactions; '
'private.count_internal_signals empties it.';
comment on column private.uncounted_hours.hour is 'As often as it was written to. Says nothing of who or what.';

create table private.rare_signals_forgotten (
    is_the_row boolean primary key default true,
    done_until timestamptz not null,
    constraint there_is_one_row check (is_the_row)
);
alter table private.rare_signals_forgotten enable row level security;
comment on table private.rare_signals_forgotten is 'Up to when rare keywords of people were deleted: one row.';
comment on column private.rare_signals_forgotten.done_until is 'The first hour that still has them.';
insert into private.rare_signals_forgotten (done_until)
values (date_trunc('hour', now(), 'UTC') - interval '9 days');

-- The hours to count; in time order, so that the blocks of an hour lie together, and a summary of blocks finds them.
create index search_sessions_by_time on public.search_sessions
using brin (session_started_at) with (pages_per_range = 16, autosummarize = on);
create index video_interactions_by_time on public.video_interactions
using brin (created_at) with (pages_per_range = 16, autosummarize = on);

create function private.most_counted_of_a_person()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 200
$$;
comment on function private.most_counted_of_a_person() is
'Questions, and videos, of one person in one hour that are counted, the first ones: a robot shall not drown the rest.';

create function private.looks_personal(keyword text)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        -- An e-mail address.
        keyword ~ '[^[:space:]@]+ ?@ ?[^[:space:]@]+[.][^[:space:]@]+'
        -- Nine digits or more, whatever stands between them, spelled in Korean too: phones, accounts, cards.
        or keyword ~ '([[:digit:]영공일이삼사오육륙칠팔구〇零一二三四五六七八九][^[:alnum:]]*){9,}'
        -- An address in words: kim at example dot com.
        or keyword ~ (
            '[[:alnum:]] ?[({[]? ?(@|[^[:alnum:]]at[^[:alnum:]]|골뱅이) ?[])}]? ?[[:alnum:]-]+ ?'
            '[({[]? ?([.]|dot|닷|점) ?[])}]? ?(com|net|org|edu|io|me|(co[.]|ac[.]|go[.])?kr)($|[^[:alnum:]])'
        )
        -- A local number, and the front of a resident registration number.
        or keyword ~ '(^|[^0-9])[0-9]{3,4}[^[:alnum:][:space:]][0-9]{4}($|[^0-9])'
        or keyword ~ '(^|[^0-9])[0-9]{6} ?[^[:alnum:][:space:]] ?[1-8]'
$$;
comment on function private.looks_personal(text) is
'Whether a normalised query looks like an e-mail address, a phone number or a resident registration number.';

create function private.note_uncounted_searches()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.uncounted_hours (hour)
    select distinct date_trunc('hour', session.session_started_at, 'UTC')
    from changed_rows as session
    where session.session_started_at > now() - interval '49 hours';
    return null;
end
$$;
comment on function private.note_uncounted_searches() is 'Notes which hours have new searches.';

create trigger note_uncounted
after insert on public.search_sessions
referencing new table as changed_rows
for each statement
execute function private.note_uncounted_searches();

create function private.note_uncounted_interactions()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.uncounted_hours (hour)
    select distinct date_trunc('hour', interaction.created_at, 'UTC')
    from changed_rows as interaction
    where
        interaction.created_at > now() - interval '49 hours'
        and interaction.interaction_type <> 'skip';
    return null;
end
$$;
comment on function private.note_uncounted_interactions() is 'Notes which hours have interactions that count.';

create trigger note_uncounted
after insert on public.video_interactions
referencing new table as changed_rows
for each statement
execute function private.note_uncounted_interactions();
create trigger note_uncounted_deletion
after delete on public.video_interactions
referencing old table as changed_rows
for each statement
execute function private.note_uncounted_interactions();

create function private.forget_searches_signals()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.uncounted_hours (hour)
    select distinct date_trunc('hour', session.session_started_at, 'UTC')
    from changed_rows as session
    where session.session_started_at > now() - interval '49 hours';

    -- What one or two people typed goes with either of them, in hours too that are not counted again.
    with gone as materialized (
        select distinct
            date_trunc('hour', session.session_started_at, 'UTC') as bucket,
            private.normalize_keyword(session.search_query) as keyword
        from changed_rows as session
        where session.session_started_at > now() - interval '10 days'
    ),

    -- In one order, so that two erasures never wait for each other.
    held as materialized (
        select
            signal.region_code,
            signal.data_source,
            signal.bucket,
            signal.keyword
        from private.keyword_signals as signal
        inner join gone
            on
                signal.bucket = gone.bucket
                and signal.keyword = gone.keyword
        where
            signal.region_code = any(private.region_codes())
            and signal.data_source = 'internal'
            and signal.bucket > now() - interval '10 days'
            and signal.mentions < private.fewest_people()
        order by
            signal.region_code,
            signal.data_source,
            signal.bucket,
            signal.keyword
        for update of signal
    )

    delete from private.keyword_signals as signal
    using held
    where
        signal.region_code = held.region_code
        and signal.data_source = held.data_source
        and signal.bucket = held.bucket
        and signal.keyword = held.keyword;
    return null;
end
$$;
comment on function private.forget_searches_signals() is
'Notes the hours of deleted searches, and deletes at once the counts that only one or two people had made.';

create trigger forget_signals
after delete on public.search_sessions
referencing old table as changed_rows
for each statement
execute function private.forget_searches_signals();

create function private.internal_signals_of(hour timestamptz)
returns table (
    region_code text,
    keyword text,
    mentions integer,
    views bigint
)
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    -- Who has no account that took an address or a number to make could be counted as often as they like.
    with searches as materialized (
        select
            session.user_id,
            session.id,
            session.session_started_at as at,
            private.normalize_keyword(session.search_query) as keyword,
            upper(btrim(session.user_context ->> 'location')) as location
        from public.search_sessions as session
        inner join auth.users as person on session.user_id = person.id
        where
            session.session_started_at >= internal_signals_of.hour
            and session.session_started_at < internal_signals_of.hour + interval '1 hour'
            and session.search_type = 'keyword'
            and not person.is_anonymous
    ),

    -- A person is in one region an hour: the first that a search named.
    regions as materialized (
        select distinct on (searches.user_id)
            searches.user_id,
            searches.location as region_code
        from searches
        where searches.location = any(private.region_codes())
        order by
            searches.user_id asc,
            searches.at asc,
            searches.id asc
    ),

    typed as materialized (
        select
            ranked.user_id,
            ranked.keyword
        from (
            select
                searches.user_id,
                searches.keyword,
                row_number() over (
                    partition by searches.user_id
                    order by min(searches.at) asc, searches.keyword asc
                ) as place
            from searches
            group by
                searches.user_id,
                searches.keyword
        ) as ranked
        where ranked.place <= private.most_counted_of_a_person()
    ),

    watched as materialized (
        select
            ranked.user_id,
            ranked.video_id,
            ranked.is_viewed
        from (
            select
                interaction.user_id,
                interaction.video_id,
                bool_or(interaction.interaction_type = 'view') as is_viewed,
                row_number() over (
                    partition by interaction.user_id
                    order by min(interaction.created_at) asc, interaction.video_id asc
                ) as place
            from public.video_interactions as interaction
            inner join auth.users as person on interaction.user_id = person.id
            where
                interaction.created_at >= internal_signals_of.hour
                and interaction.created_at < internal_signals_of.hour + interval '1 hour'
                and interaction.interaction_type in ('view', 'like', 'share', 'save')
                and not person.is_anonymous
            group by
                interaction.user_id,
                interaction.video_id
        ) as ranked
        where ranked.place <= private.most_counted_of_a_person()
    ),

    about as materialized (
        select
            video.video_id,
            mapped.keyword
        from (
            select distinct watched.video_id
            from watched
        ) as video
        cross join lateral (
            select mapping.keyword
            from public.keyword_video_mappings as mapping
            where mapping.video_id = video.video_id
            order by
                mapping.relevance_score desc,
                mapping.keyword asc
            limit 5
        ) as mapped
    ),

    meant as materialized (
        select
            typed.user_id,
            typed.keyword,
            0 as views
        from typed
        union all
        select
            watched.user_id,
            about.keyword,
            case when watched.is_viewed then 1 else 0 end as views
        from watched
        inner join about on watched.video_id = about.video_id
    ),

    -- Materialized: each keyword is judged once, and not each time that somebody meant it.
    each_once as materialized (
        select distinct meant.keyword
        from meant
    ),

    said as materialized (
        select each_once.keyword
        from each_once
        where
            length(each_once.keyword) <= 255
            and not private.says_nothing(each_once.keyword)
            and not private.looks_personal(each_once.keyword)
    )

    select
        coalesce(regions.region_code, 'KR') as region_code,
        meant.keyword,
        count(distinct meant.user_id)::integer as mentions,
        sum(meant.views) as views
    from meant
    inner join said on meant.keyword = said.keyword
    left join regions on meant.user_id = regions.user_id
    group by
        coalesce(regions.region_code, 'KR'),
        meant.keyword
$$;
comment on function private.internal_signals_of(timestamptz) is
'What people searched for and watched in an hour: how many people per region and keyword, and their views of videos.';

create function private.set_internal_signals(hour timestamptz)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with known as materialized (
        select
            signal.region_code,
            signal.keyword,
            signal.mentions,
            signal.views
        from private.keyword_signals as signal
        where
            signal.region_code = any(private.region_codes())
            and signal.data_source = 'internal'
            and signal.bucket = set_internal_signals.hour
    ),

    changed as materialized (
        select
            coalesce(counted.region_code, known.region_code) as region_code,
            coalesce(counted.keyword, known.keyword) as keyword,
            coalesce(counted.mentions, 0) as mentions,
            counted.views
        from private.internal_signals_of(set_internal_signals.hour) as counted
        full join known
            on
                counted.region_code = known.region_code
                and counted.keyword = known.keyword
        where (counted.mentions, counted.views) is distinct from (known.mentions, known.views)
    ),

    -- What is gone is set to 0 in the same sorted pass as the rest, and deleted when it is held already.
    written as (
        insert into private.keyword_signals as stored (
            region_code,
            data_source,
            bucket,
            keyword,
            mentions,
            views
        )
        select
            changed.region_code,
            'internal',
            set_internal_signals.hour,
            changed.keyword,
            changed.mentions,
            changed.views
        from changed
        order by
            changed.region_code,
            changed.keyword
        on conflict (region_code, data_source, bucket, keyword) do update
            set
                mentions = excluded.mentions,
                views = excluded.views
        returning stored.mentions
    )

    select
        jsonb_build_object(
            'written', count(*) filter (where written.mentions > 0),
            'removed', count(*) filter (where written.mentions = 0)
        )
    from written
$$;
comment on function private.set_internal_signals(timestamptz) is
'Counts an hour whole and sets its internal signals to that; those that are gone are left at 0 for the caller.';

create function private.forget_rare_signals(at timestamptz)
returns bigint
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    begins timestamptz;
    ends timestamptz;
    forgotten bigint;
begin
    select state.done_until
    into begins
    from private.rare_signals_forgotten as state
    for update;
    ends := least(
        date_trunc('hour', forget_rare_signals.at, 'UTC') - interval '8 days',
        begins + interval '48 hours'
    );
    if coalesce(ends <= begins, true) then
        return 0;
    end if;
    delete from private.keyword_signals as signal
    where
        signal.region_code = any(private.region_codes())
        and signal.data_source = 'internal'
        and signal.bucket >= begins
        and signal.bucket < ends
        and signal.mentions < private.fewest_people();
    get diagnostics forgotten = row_count;
    update private.rare_signals_forgotten
    set done_until = ends
    where is_the_row;
    return forgotten;
end
$$;
comment on function private.forget_rare_signals(timestamptz) is
'Deletes what fewer than three people made of an hour, 8 days later, when detection needs it no more; how many rows.';

create function private.count_internal_signals(
    at timestamptz default now(),
    batch_size integer default 1000000
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    hours timestamptz[];
    counted_hour timestamptz;
    marks bigint;
    late bigint;
    answer jsonb;
    written bigint := 0;
    removed bigint := 0;
begin
    -- Whoever counts already will be followed by another run: to wait would only pile up.
    if not pg_try_advisory_xact_lock(hashtextextended('shorts-count-internal-signals', 0)) then
        return jsonb_build_object('busy', 1);
    end if;

    -- What a mark stands for was committed with it, and the counting below sees all that was committed before it.
    with taken as (
        delete from private.uncounted_hours as mark
        where
            mark.id in (
                select oldest.id
                from private.uncounted_hours as oldest
                order by oldest.id
                limit count_internal_signals.batch_size
            )
        returning mark.hour
    ),

    summed as (
        select
            taken.hour,
            count(*) as marks,
            taken.hour between count_internal_signals.at - interval '48 hours' and count_internal_signals.at as is_due
        from taken
        group by taken.hour
    )

    select
        array_agg(summed.hour order by summed.hour) filter (where summed.is_due),
        sum(summed.marks),
        sum(summed.marks) filter (where not summed.is_due)
    into
        hours,
        marks,
        late
    from summed;

    foreach counted_hour in array coalesce(hours, '{}') loop
        answer := private.set_internal_signals(counted_hour);
        written := written + (answer -> 'written')::bigint;
        removed := removed + (answer -> 'removed')::bigint;
        if answer -> 'removed' <> '0' then
            delete from private.keyword_signals as signal
            where
                signal.region_code = any(private.region_codes())
                and signal.data_source = 'internal'
                and signal.bucket = counted_hour
                and signal.mentions = 0;
        end if;
    end loop;
    return jsonb_build_object(
        'hours', coalesce(cardinality(hours), 0),
        'written', written,
        'removed', removed,
        'marks', coalesce(marks, 0),
        'too_late', coalesce(late, 0),
        'rare_forgotten', private.forget_rare_signals(count_internal_signals.at)
    );
end
$$;
comment on function private.count_internal_signals(timestamptz, integer) is
'Counts again, whole, every hour of the last 48 in which something was written since; run twice it changes nothing.';

-- supabase/schemas/shorts/20_store.sql

-- Promises that a batch may be repeated and come in any order: good rows are kept, bad ones named, nothing doubled.

create function public.ingest_videos(videos jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform private.check_batch(videos);

    with read as materialized (
        select *
        from private.read_videos(videos)
    ),

    -- The newest news of each video that is not older than what is stored; sorted, so that two batches never deadlock.
    newest as materialized (
        select distinct on (read.video_id) read.*
        from read
        where
            read.code is null
            and not exists (
                select
                from public.cached_videos as stored
                where
                    stored.video_id = read.video_id
                    and stored.collected_at > read.collected_at
            )
        order by
            read.video_id asc,
            read.collected_at desc,
            read.index desc
    ),

    -- An empty object is news, "plays everywhere", but looks in an insert like the default of a row that says nothing.
    freed as materialized (
        select jsonb_object_agg(newest.video_id, true) as videos
        from newest
        where newest.region_restrictions = '{}'
    ),

    channels as (
        insert into public.cached_channels as stored (channel_id, channel_title, last_updated)
        select distinct on (newest.channel_id)
            newest.channel_id,
            coalesce(newest.channel_name, newest.channel_id),
            newest.collected_at
        from newest
        where newest.channel_id is not null
        order by
            newest.channel_id asc,
            newest.channel_name is null asc,
            newest.collected_at desc
        on conflict (channel_id) do update
            set
                channel_title = excluded.channel_title,
                last_updated = excluded.last_updated
            where
                stored.last_updated <= excluded.last_updated
                and stored.channel_title <> excluded.channel_title
                and excluded.channel_title <> excluded.channel_id
    ),

    stored_videos as (
        insert into public.cached_videos as stored (
            video_id,
            title,
            description,
            channel_id,
            channel_name,
            published_at,
            duration,
            category_id,
            view_count,
            like_count,
            comment_count,
            is_embeddable,
            privacy_status,
            upload_status,
            live_broadcast,
            is_age_restricted,
            region_restrictions,
            thumbnail_url,
            tags,
            collected_at,
            expires_at
        )
        select
            newest.video_id,
            newest.title,
            newest.description,
            newest.channel_id,
            newest.channel_name,
            newest.published_at,
            newest.duration,
            newest.category_id,
            newest.view_count,
            newest.like_count,
            newest.comment_count,
            newest.is_embeddable,
            newest.privacy_status,
            newest.upload_status,
            newest.live_broadcast,
            newest.is_age_restricted,
            coalesce(newest.region_restrictions, '{}'),
            newest.thumbnail_url,
            newest.tags,
            newest.collected_at,
            newest.collected_at + interval '7 days'
        from newest
        on conflict (video_id) do update
            set
                -- What the source left out keeps what is known.
                title = excluded.title,
                description = coalesce(excluded.description, stored.description),
                channel_id = coalesce(excluded.channel_id, stored.channel_id),
                channel_name = coalesce(excluded.channel_name, stored.channel_name),
                published_at = coalesce(excluded.published_at, stored.published_at),
                duration = coalesce(excluded.duration, stored.duration),
                category_id = coalesce(excluded.category_id, stored.category_id),
                view_count = coalesce(excluded.view_count, stored.view_count),
                like_count = coalesce(excluded.like_count, stored.like_count),
                comment_count = coalesce(excluded.comment_count, stored.comment_count),
                is_embeddable = coalesce(excluded.is_embeddable, stored.is_embeddable),
                privacy_status = coalesce(excluded.privacy_status, stored.privacy_status),
                upload_status = coalesce(excluded.upload_status, stored.upload_status),
                live_broadcast = coalesce(excluded.live_broadcast, stored.live_broadcast),
                is_age_restricted = coalesce(excluded.is_age_restricted, stored.is_age_restricted),
                region_restrictions = case
                    when
                        excluded.region_restrictions = '{}'
                        and (select freed.videos ? excluded.video_id from freed) is not true
                        then stored.region_restrictions
                    else excluded.region_restrictions
                end,
                thumbnail_url = coalesce(excluded.thumbnail_url, stored.thumbnail_url),
                tags = coalesce(excluded.tags, stored.tags),
                collected_at = excluded.collected_at,
                expires_at = excluded.expires_at,
                cached_at = now(),
                purged_at = null
            where
                stored.collected_at < excluded.collected_at
                or (
                    stored.collected_at = excluded.collected_at
                    and (
                        stored.title,
                        stored.description,
                        stored.channel_id,
                        stored.channel_name,
                        stored.published_at,
                        stored.duration,
                        stored.category_id,
                        stored.view_count,
                        stored.like_count,
                        stored.comment_count,
                        stored.is_embeddable,
                        stored.privacy_status,
                        stored.upload_status,
                        stored.live_broadcast,
                        stored.is_age_restricted,
                        stored.region_restrictions,
                        stored.thumbnail_url,
                        stored.tags,
                        stored.purged_at
                    ) is distinct from (
                        excluded.title,
                        coalesce(excluded.description, stored.description),
                        coalesce(excluded.channel_id, stored.channel_id),
                        coalesce(excluded.channel_name, stored.channel_name),
                        coalesce(excluded.published_at, stored.published_at),
                        coalesce(excluded.duration, stored.duration),
                        coalesce(excluded.category_id, stored.category_id),
                        coalesce(excluded.view_count, stored.view_count),
                        coalesce(excluded.like_count, stored.like_count),
                        coalesce(excluded.comment_count, stored.comment_count),
                        coalesce(excluded.is_embeddable, stored.is_embeddable),
                        coalesce(excluded.privacy_status, stored.privacy_status),
                        coalesce(excluded.upload_status, stored.upload_status),
                        coalesce(excluded.live_broadcast, stored.live_broadcast),
                        coalesce(excluded.is_age_restricted, stored.is_age_restricted),
                        case
                            when
                                excluded.region_restrictions = '{}'
                                and (select freed.videos ? excluded.video_id from freed) is not true
                                then stored.region_restrictions
                            else excluded.region_restrictions
                        end,
                        coalesce(excluded.thumbnail_url, stored.thumbnail_url),
                        coalesce(excluded.tags, stored.tags),
                        null
                    )
                )
        returning
            stored.video_id,
            stored.xmax = 0 as is_new
    ),

    mapped as (
        insert into public.keyword_video_mappings as stored (
            keyword,
            video_id,
            relevance_score,
            mapping_source,
            search_rank
        )
        select distinct on (item.word, newest.video_id)
            item.word,
            newest.video_id,
            coalesce(round((item.keyword -> 'relevance')::numeric, 15)::double precision, 0.0) as relevance_score,
            coalesce(item.keyword ->> 'source', 'youtube_api') as mapping_source,
            (item.keyword -> 'rank')::integer as search_rank
        from newest
        cross join lateral rows from (
            unnest(newest.words),
            jsonb_array_elements(newest.keywords)
        ) as item (word, keyword)
        order by
            item.word asc,
            newest.video_id asc,
            relevance_score desc,
            mapping_source asc,
            search_rank asc
        on conflict on constraint a_keyword_maps_to_a_video_once do update
            set
                relevance_score = excluded.relevance_score,
                mapping_source = excluded.mapping_source,
                -- A mention outside a search says nothing of the place in it.
                search_rank = coalesce(excluded.search_rank, stored.search_rank)
            where
                stored.relevance_score <> excluded.relevance_score
                or stored.mapping_source <> excluded.mapping_source
                or stored.search_rank is distinct from coalesce(excluded.search_rank, stored.search_rank)
        returning stored.video_id
    ),

    tally as (
        select
            (select count(*) from read) as received,
            (select count(*) from read where read.code is not null) as rejected,
            (select count(*) from stored_videos where stored_videos.is_new) as inserted,
            (
                select count(*)
                from (
                    select stored_videos.video_id
                    from stored_videos
                    union
                    select mapped.video_id
                    from mapped
                ) as changed
            ) as changed
    )

    select
        jsonb_build_object(
            'received', tally.received,
            'inserted', tally.inserted,
            'updated', tally.changed - tally.inserted,
            'unchanged', tally.received - tally.rejected - tally.changed,
            'rejected', (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_build_object('index', read.index, 'code', read.code, 'message', read.message)
                            order by read.index
                        ),
                        '[]'
                    )
                from read
                where read.code is not null
            )
        )
    into answer
    from tally;
    return answer;
end
$$;
comment on function public.ingest_videos(jsonb) is
'Stores at most 5000 videos with their channels and keywords. Repeating a batch changes nothing; older news never '
'overwrites newer; bad rows come back as {index, code, message}, see docs/errors.md.';

create function public.ingest_keyword_signals(signals jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    answer jsonb;
    known bigint;
    updated bigint := 0;
begin
    perform private.check_counts(signals);

    with read as materialized (
        select *
        from private.read_keyword_signals(signals)
    ),

    -- The last of each key; sorted, so that two batches never deadlock.
    newest as materialized (
        select distinct on (read.bucket, read.region_code, read.data_source, read.keyword collate "C")
            read.region_code,
            read.data_source,
            read.bucket,
            read.keyword,
            read.mentions,
            read.views
        from read
        where read.code is null
        order by
            read.bucket asc,
            read.region_code asc,
            read.data_source asc,
            read.keyword collate "C" asc,
            read.index desc,
            read.item desc
    ),

    stored_signals as (
        insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions, views)
        select
            newest.region_code,
            newest.data_source,
            newest.bucket,
            newest.keyword,
            newest.mentions,
            newest.views
        from newest
        on conflict (region_code, data_source, bucket, keyword) do nothing
        returning 1
    ),

    tally as (
        select
            (select count(*) from read) as received,
            (select count(*) from newest) as distinct_keys,
            (select count(*) from stored_signals) as inserted,
            (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_strip_nulls(
                                jsonb_build_object(
                                    'index', read.index,
                                    'item', read.item,
                                    'code', read.code,
                                    'message', read.message
                                )
                            )
                            order by read.index, read.item
                        ),
                        '[]'
                    )
                from read
                where read.code is not null
            ) as rejected
    )

    select
        jsonb_build_object('received', tally.received, 'inserted', tally.inserted, 'rejected', tally.rejected),
        tally.distinct_keys - tally.inserted
    into answer, known
    from tally;

    -- Most batches are all new: only for those that are not is it worth to read the stored rows.
    if known > 0 then
        insert into private.keyword_signals as stored (region_code, data_source, bucket, keyword, mentions, views)
        select
            newest.region_code,
            newest.data_source,
            newest.bucket,
            newest.keyword,
            newest.mentions,
            newest.views
        from (
            select distinct on (read.bucket, read.region_code, read.data_source, read.keyword collate "C") read.*
            from private.read_keyword_signals(signals) as read
            where read.code is null
            order by
                read.bucket asc,
                read.region_code asc,
                read.data_source asc,
                read.keyword collate "C" asc,
                read.index desc,
                read.item desc
        ) as newest
        inner join private.keyword_signals as present
            on
                newest.region_code = present.region_code
                and newest.data_source = present.data_source
                and newest.bucket = present.bucket
                and newest.keyword = present.keyword
        where
            present.mentions <> newest.mentions
            or present.views is distinct from coalesce(newest.views, present.views)
        order by
            newest.bucket asc,
            newest.region_code asc,
            newest.data_source asc,
            newest.keyword collate "C" asc
        on conflict (region_code, data_source, bucket, keyword) do update
            set
                mentions = excluded.mentions,
                views = coalesce(excluded.views, stored.views);
        get diagnostics updated = row_count;
    end if;

    return answer || jsonb_build_object(
        'updated', updated,
        'unchanged',
        (answer ->> 'received')::bigint - jsonb_array_length(answer -> 'rejected')
        - (answer ->> 'inserted')::bigint - updated
    );
end
$$;
comment on function public.ingest_keyword_signals(jsonb) is
'Sets hourly counts of keywords: at most 5000 elements, each one count or many of one hour in arrays, at most 50000 '
'counts. Repeating a batch changes nothing; bad rows come back as {index, item, code, message}, see docs/errors.md.';

-- supabase/schemas/shorts/21_quality_formulas.sql

-- Promises every component of a score in one place, each with its source. Pure: figures in, a figure out. In plpgsql,
-- which computes an expression ten times as fast as a function in SQL that cannot be inlined.
-- The weights of the whole are in 05_quality.sql, since a generated column needs them; docs/quality.md has a table.

create function private.wilson_lower_bound(
    successes double precision,
    trials double precision,
    z double precision default 1.96
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    share constant double precision := case when successes < trials then successes / trials else 1 end;
begin
    -- E. B. Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22, 209-212.
    return
        case
            when trials > 0 and successes > 0
                then greatest(
                    (
                        share + z * z / (2 * trials)
                        - z * sqrt((share * (1 - share) + z * z / (4 * trials)) / trials)
                    )
                    / (1 + z * z / trials),
                    0
                )
            else 0
        end;
end
$$;
comment on function private.wilson_lower_bound(double precision, double precision, double precision) is
'The lower end of Wilson''s interval for a share, 0 to 1: 8 of 10 at z = 1.96 is 0.4902. 0 of 0 is 0.';

create function private.wilson_towards_half(
    successes double precision,
    trials double precision
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- The same interval: its lower end above one half, its upper end below it, one half where it holds both.
    return
        greatest(
            private.wilson_lower_bound(successes, trials),
            least(1 - private.wilson_lower_bound(trials - successes, trials), 0.5)
        );
end
$$;
comment on function private.wilson_towards_half(double precision, double precision) is
'A share as far from one half as Wilson''s interval proves, 0 to 1. One success more never lowers it, one failure more '
'never raises it; nothing known is 0.5.';

create function private.shrunk_rate(
    successes double precision,
    trials double precision,
    prior_rate double precision,
    prior_trials double precision
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Mean of a beta-binomial posterior. C. N. Morris 1983, "Parametric empirical Bayes inference", JASA 78, 47-55.
    return
        (case when successes > trials then trials else successes end + prior_trials * prior_rate)
        / nullif(trials + prior_trials, 0);
end
$$;
comment on function private.shrunk_rate(double precision, double precision, double precision, double precision) is
'A rate, 0 to 1, that begins at the prior''s and moves to the data''s as trials outgrow prior_trials.';

create function private.engagement_rate(
    likes bigint,
    comments bigint,
    views bigint
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- The design's own formula, exact.
    return
        least(
            coalesce(
                (coalesce(likes, 0)::double precision + coalesce(comments, 0))
                / nullif(views, 0),
                0
            ),
            1
        );
end
$$;
comment on function private.engagement_rate(bigint, bigint, bigint) is
'(likes + comments) / views, 0 to 1; what is unknown counts 0, and without views nothing is engaged.';

create function private.channel_engagement(
    total_of_rates double precision,
    videos bigint
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Fitted by moments to 21,523 videos of charts (July 2026): mean rate 0.030; videos of a channel differ half as
    -- much as channels do (standard deviations 0.016 and 0.032), so that the mean of all weighs no more than a video.
    return (coalesce(total_of_rates, 0) + 0.03) / (coalesce(videos, 0) + 1);
end
$$;
comment on function private.channel_engagement(double precision, bigint) is
'What engagement a channel''s videos usually have, 0 to 1: their mean, with one video of 0.03 added.';

create function private.engagement_score(
    likes bigint,
    comments bigint,
    views bigint,
    usual_of_channel double precision
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Fitted to the same videos: within a channel rates differ as if each were of 107 views.
    return
        case
            when likes is not null and views is not null
                then private.shrunk_rate(likes::double precision + coalesce(comments, 0), views, usual_of_channel, 100)
        end;
end
$$;
comment on function private.engagement_score(bigint, bigint, bigint, double precision) is
'Engagement shrunk towards what is usual of the channel, which weighs 100 views; null without likes or views.';

create function private.like_score(
    likes bigint,
    views bigint
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Wilson, above; after E. Miller 2009, "How not to sort by average rating".
    return case when likes is not null and views > 0 then private.wilson_lower_bound(likes, views) end;
end
$$;
comment on function private.like_score(bigint, bigint) is
'Likes per view that are certain to 97.5%, 0 to 1; null where likes or views are unknown, or there are no views.';

create function private.retention_score(
    mean_completion double precision,
    people bigint
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Our own choice: five people outweigh "half of it is watched".
    return case when people > 0 then private.shrunk_rate(mean_completion * people, people, 0.5, 5) end;
end
$$;
comment on function private.retention_score(double precision, bigint) is
'The mean share that people watch, shrunk towards one half, which weighs five people; null where nobody watched.';

create function private.freshness(age interval)
returns numeric
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Our own choice: e-folding in 14 days, so that half is left after 9.7 days, and nothing from 75 days on.
    return
        case
            when age is not null
                then round(exp(-least(greatest(extract(epoch from age), 0) / (14 * 86400), 100))::numeric, 2)
        end;
end
$$;
comment on function private.freshness(interval) is 'exp(-age / 14 days), 0 to 1; null where the age is unknown.';

create function private.evenness(
    spread double precision,
    mean double precision,
    videos bigint
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- One less the coefficient of variation (K. Pearson 1896); of logarithms, since views span powers of ten.
    return case when videos >= 3 then least(greatest(1 - coalesce(spread / nullif(mean, 0), 0), 0), 1) end;
end
$$;
comment on function private.evenness(double precision, double precision, bigint) is
'How even a channel''s videos are, 0 to 1: 1 - standard deviation / mean of ln(1 + views); null below three videos.';

create function private.channel_trust(
    age interval,
    subscribers bigint,
    kept bigint,
    videos bigint,
    evenness double precision,
    compared bigint
)
returns numeric
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Our own choice of weights. Each part is 0.5 while nothing is known of it, so that it changes nothing.
    return
        round(
            (
                0.40 * private.wilson_towards_half(kept, videos)
                + 0.20 * case
                    when age is not null
                        then 1 - exp(-least(greatest(extract(epoch from age), 0) / (3 * 31557600), 100))
                    else 0.5
                end
                + 0.20 * case when subscribers is not null then least(log(1 + subscribers) / 6, 1) else 0.5 end
                + 0.20 * coalesce(private.shrunk_rate(evenness * compared, compared, 0.5, 10), 0.5)
            )::numeric,
            2
        );
end
$$;
comment on function private.channel_trust(interval, bigint, bigint, bigint, double precision, bigint) is
'Trust in a channel, 0 to 1: .40 videos that stayed playable, .20 age (3 years), .20 size (a million subscribers), .20 '
'evenness of the compared videos, shrunk by ten. 0.5 where nothing is known.';

-- supabase/schemas/shorts/22_counters.sql

-- Promises that to count is to append: rows that everybody reads are written once a minute, and nothing counts twice.

create table private.pending_counts (
    id bigint generated always as identity primary key,
    counter text not null,
    video_id varchar(20) not null,
    keyword text,
    amount integer not null,
    counted_at timestamptz not null default now(),
    constraint counter_is_known check (counter in ('click', 'cache_hit')),
    constraint a_click_has_a_keyword check ((counter = 'click') = (keyword is not null)),
    constraint amount_is_positive check (amount > 0)
);
alter table private.pending_counts enable row level security;
comment on table private.pending_counts is
'What was counted and not yet added to the rows that show it. Appended only; private.fold_counters empties it.';
comment on column private.pending_counts.counter is
'click goes to keyword_video_mappings.click_count, cache_hit to cached_videos.cache_hit_count.';
comment on column private.pending_counts.video_id is
'YouTube''s id. No foreign key: a count is no reason to wait for anybody, and may come to nothing.';
comment on column private.pending_counts.keyword is 'Normalised; what had been searched for when a video was clicked.';

create function private.bump_click_count()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.pending_counts (counter, video_id, keyword, amount)
    select
        'click',
        clicked.video_id,
        clicked.keyword,
        count(distinct clicked.user_id)
    from (
        select
            interaction.video_id,
            interaction.user_id,
            private.normalize_keyword(session.search_query) as keyword
        from new_interactions as interaction
        inner join public.search_sessions as session
            on
                interaction.session_id = session.id
                and interaction.session_started_at = session.session_started_at
        where
            (interaction.clicked_thumbnail or interaction.clicked_title)
            and session.search_type <> 'ai_chat'
    ) as clicked
    -- What leads nowhere would come to nothing, and could keep honest clicks waiting.
    where
        exists (
            select
            from public.keyword_video_mappings as mapping
            where
                mapping.keyword = clicked.keyword
                and mapping.video_id = clicked.video_id
        )
    group by
        clicked.video_id,
        clicked.keyword;
    return null;
end
$$;
comment on function private.bump_click_count() is
'Notes who clicked in a statement, each person once for a video and what had been searched for.';

create trigger click_count_trg
after insert on public.video_interactions
referencing new table as new_interactions
for each statement
execute function private.bump_click_count();

create function private.note_cache_hit(video_id text)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if private.user_id() is null then
        return;
    end if;
    insert into private.pending_counts (counter, video_id, amount)
    select
        'cache_hit',
        video.video_id,
        1
    from public.cached_videos as video
    where
        video.video_id = note_cache_hit.video_id
        and video.is_playable
        and video.expires_at > now();
end
$$;
comment on function private.note_cache_hit(text) is 'Notes that the cache has served a video to who is signed in.';

create function public.touch_cached_video(video_id text)
returns setof public.cached_videos
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return query
    select video.*
    from public.cached_videos as video
    where
        video.video_id = touch_cached_video.video_id
        and video.expires_at > now();
    if found then
        perform private.note_cache_hit(touch_cached_video.video_id);
    end if;
end
$$;
comment on function public.touch_cached_video(text) is
'The video as the cache has it, and counts that it was served; no row when it is unknown, hidden or has expired.';

create table private.playback_errors (
    video_id varchar(20) not null references public.cached_videos (video_id) on delete cascade,
    user_id uuid not null references public.users (id) on delete cascade,
    reported_on date not null,
    error_code integer not null,
    region varchar(2),
    reported_at timestamptz not null default now(),
    used_at timestamptz,
    primary key (video_id, user_id, reported_on),
    constraint error_code_is_the_players check (error_code in (2, 5, 100, 101, 150, 153))
);
alter table private.playback_errors enable row level security;
create index playback_errors_by_user on private.playback_errors (user_id);
create index playback_errors_by_time on private.playback_errors (reported_at);
comment on table private.playback_errors is
'Errors of the embedded player that people reported: one per person, video and day in Korea. Kept 30 days.';
comment on column private.playback_errors.error_code is 'What YouTube''s player said: 2, 5, 100, 101, 150 or 153.';
comment on column private.playback_errors.region is 'Where it was, an ISO 3166 code.';
comment on column private.playback_errors.used_at is
'When it helped to take the video out. It does not do so again, should somebody put the video back.';

create function private.reporters_needed()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 3
$$;
comment on function private.reporters_needed() is
'How many people must report within 24 hours that a video does not play: nobody takes a video out alone.';

create function private.blames_the_video(error_code integer)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select error_code in (100, 101, 150, 153)
$$;
comment on function private.blames_the_video(integer) is
'Whether the error lies with the video. 2 and 5 lie with the app or the browser.';

create function private.most_reports()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 20
$$;
comment on function private.most_reports() is
'Reports of playback errors in 24 hours up to which a person is believed: a few people shall not empty the catalogue.';

create function private.take_out_unplayable(batch_size integer)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    taken_out integer;
begin
    with blamed as materialized (
        select
            report.video_id,
            mode() within group (order by report.error_code) as error_code
        from private.playback_errors as report
        inner join auth.users as person on report.user_id = person.id
        where
            private.blames_the_video(report.error_code)
            -- Accounts that cost nothing to make would be as many people as anybody wants to be.
            and not person.is_anonymous
            and report.used_at is null
            and report.reported_at > now() - interval '24 hours'
            -- Who reports more than that in a day says more of the own player than of the videos.
            and (
                select count(*)
                from private.playback_errors as other
                where
                    other.user_id = report.user_id
                    and other.reported_at > now() - interval '24 hours'
            ) <= private.most_reports()
        group by report.video_id
        having count(distinct report.user_id) >= private.reporters_needed()
        limit batch_size
    ),

    -- What is being written just now is left to the next run: to wait here, with rows held, could end in a circle.
    held as materialized (
        select
            video.video_id,
            blamed.error_code
        from public.cached_videos as video
        inner join blamed on video.video_id = blamed.video_id
        where video.player_error_code is null
        order by video.video_id
        for no key update of video skip locked
    ),

    used as (
        update private.playback_errors as report
        set used_at = now()
        from held
        where
            report.video_id = held.video_id
            and report.used_at is null
    ),

    marked as (
        update public.cached_videos as video
        set
            player_error_code = held.error_code,
            player_error_at = now(),
            times_taken_out = video.times_taken_out + 1
        from held
        where video.video_id = held.video_id
        returning video.video_id
    )

    select count(*)
    into taken_out
    from marked;
    return taken_out;
end
$$;
comment on function private.take_out_unplayable(integer) is
'Marks videos that enough people could not play, which makes them unplayable; returns how many.';

create function private.forget_short_lived(batch_size integer)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answers integer;
    quotas integer;
    reports integer;
begin
    delete from private.answered_queries as answered
    where
        answered.digest in (
            select old.digest
            from private.answered_queries as old
            where old.expires_at <= now()
            limit batch_size
            for update skip locked
        );
    get diagnostics answers = row_count;
    delete from private.daily_quotas as quota
    where
        (quota.user_id, quota.day) in (
            select
                old.user_id,
                old.day
            from private.daily_quotas as old
            where old.day < private.korean_day() - 1
            limit batch_size
            for update skip locked
        );
    get diagnostics quotas = row_count;
    delete from private.playback_errors as report
    where
        (report.video_id, report.user_id, report.reported_on) in (
            select
                old.video_id,
                old.user_id,
                old.reported_on
            from private.playback_errors as old
            where old.reported_at < now() - interval '30 days'
            order by old.reported_at
            limit batch_size
            for update skip locked
        );
    get diagnostics reports = row_count;
    return jsonb_build_object('answers_forgotten', answers, 'quotas_forgotten', quotas, 'reports_forgotten', reports);
end
$$;
comment on function private.forget_short_lived(integer) is
'Deletes what is kept for minutes and days: answered queries, days of the trial limit, reports of playback errors.';

create function private.fold_counters(batch_size integer default 10000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    taken jsonb;
    clicks bigint;
    hits bigint;
begin
    -- One fold at a time: two that lock the same videos, which interactions refer to meanwhile, can end in a circle.
    perform pg_advisory_xact_lock(hashtextextended('shorts-fold-counters', 0));
    with taking as (
        delete from private.pending_counts as pending
        where
            pending.id in (
                select oldest.id
                from private.pending_counts as oldest
                order by oldest.id
                limit fold_counters.batch_size
            )
        returning
            pending.counter,
            pending.video_id,
            pending.keyword,
            pending.amount,
            pending.counted_at
    )

    select
        jsonb_agg(
            jsonb_build_object(
                'counter', added.counter,
                'video_id', added.video_id,
                'keyword', added.keyword,
                'amount', added.amount,
                'counted_at', added.counted_at
            )
        ),
        coalesce(sum(added.amount) filter (where added.counter = 'click'), 0),
        coalesce(sum(added.amount) filter (where added.counter = 'cache_hit'), 0)
    into taken, clicks, hits
    from (
        select
            taking.counter,
            taking.video_id,
            taking.keyword,
            sum(taking.amount) as amount,
            max(taking.counted_at) as counted_at
        from taking
        group by
            taking.counter,
            taking.video_id,
            taking.keyword
    ) as added;

    -- Videos first, then mappings, each sorted: the order in which ingest_videos takes them.
    with added as materialized (
        select
            one.video_id,
            one.amount,
            one.counted_at
        from jsonb_to_recordset(taken) as one (counter text, video_id text, amount bigint, counted_at timestamptz)
        where one.counter = 'cache_hit'
    ),

    held as materialized (
        select
            video.video_id,
            added.amount,
            added.counted_at
        from public.cached_videos as video
        inner join added on video.video_id = added.video_id
        order by video.video_id
        for no key update of video
    )

    update public.cached_videos as video
    set
        cache_hit_count = least(video.cache_hit_count + held.amount, 2147483647),
        last_accessed_at = greatest(video.last_accessed_at, held.counted_at)
    from held
    where video.video_id = held.video_id;

    with added as materialized (
        select
            one.video_id,
            one.keyword,
            one.amount
        from jsonb_to_recordset(taken) as one (counter text, video_id text, keyword text, amount bigint)
        where one.counter = 'click'
    ),

    held as materialized (
        select
            mapping.id,
            added.amount
        from public.keyword_video_mappings as mapping
        inner join added
            on
                mapping.keyword = added.keyword
                and mapping.video_id = added.video_id
        order by
            mapping.keyword,
            mapping.video_id
        for no key update of mapping
    )

    update public.keyword_video_mappings as mapping
    set click_count = least(mapping.click_count + held.amount, 2147483647)
    from held
    where mapping.id = held.id;

    return
        jsonb_build_object(
            'clicks', clicks,
            'cache_hits', hits,
            'taken_out', private.take_out_unplayable(fold_counters.batch_size)
        )
        || private.forget_short_lived(fold_counters.batch_size);
end
$$;
comment on function private.fold_counters(integer) is
'Adds what was counted to the rows that show it, once; takes out what does not play; forgets what is short-lived.';

-- supabase/schemas/shorts/23_record.sql

-- Promises that whoever records is somebody with an account, and is told of each refusal what to do.

create function private.require_person()
returns uuid
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid;
begin
    -- Held, so that an erasure waits for this call or this call for it, and never both.
    select stored.id
    into person
    from public.users as stored
    where stored.id = private.user_id()
    for key share;
    if person is null then
        raise exception using
            errcode = 'PT403',
            message = 'Only a person can call this.',
            detail = 'The token names nobody who has an account.',
            hint = 'Sign in, and send the token of that session.';
    end if;
    return person;
end
$$;
comment on function private.require_person() is
'Who asks, when it is somebody with an account; refuses everybody else.';

create function private.check_own_batch(batch jsonb)
returns void
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if jsonb_typeof(batch) is distinct from 'array' or jsonb_array_length(batch) = 0 then
        raise exception using
            errcode = 'PT400',
            message = 'The batch is no JSON array with rows in it.',
            detail = format(
                'It is %s.',
                case when jsonb_typeof(batch) = 'array' then 'empty' else coalesce(jsonb_typeof(batch), 'missing') end
            ),
            hint = 'Send an array of 1 to 1000 objects, even for one row.';
    end if;
    if pg_column_size(batch) <= 2000000 and not private.has_plain_numbers(batch) then
        raise exception using
            errcode = 'PT400',
            message = 'A number of the batch has more than 500 digits.',
            detail = 'Nothing was stored.',
            hint = 'Send numbers as JavaScript writes them.';
    end if;
    if jsonb_array_length(batch) > 1000 or pg_column_size(batch) > 2000000 then
        raise exception using
            errcode = 'PT413',
            message = 'The batch has more than 1000 rows or 2 MB.',
            detail = format('It has %s rows and %s bytes.', jsonb_array_length(batch), pg_column_size(batch)),
            hint = 'Send it in parts of at most 1000 rows and 2 MB.';
    end if;
end
$$;
comment on function private.check_own_batch(jsonb) is
'Refuses what is no array with rows, and more than one person has to say at once.';

create function private.row_hint(code text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case row_hint.code
            when 'ON001' then 'Send an object for each row.'
            when 'ON002' then 'Send YouTube''s id of the video.'
            when 'ON003' then 'Send a JSON string, or leave the key out.'
            when 'ON004' then 'Shorten it to 2000 characters.'
            when 'ON005' then 'Send a time such as 2026-07-07T15:24:48Z, or leave the key out.'
            when 'ON006' then 'Send when it happened, and send it within the week.'
            when 'ON007' then 'Send a JSON number within the range, or leave the key out.'
            when 'ON009' then 'Send one of the words in the message; flags are true or false.'
            when 'ON011' then 'Send a UUID, or leave the key out.'
            when 'ON012' then 'Send only videos that the API has returned.'
            when 'ON013' then 'Send the id that was returned when it was stored.'
            when 'ON014' then 'Send a small object, or leave the key out.'
            when 'ON015' then 'Make a new random UUID.'
            when 'ON016' then 'Send the row again after midnight in Korea, or subscribe.'
            when 'ON017' then 'Send seek_from and seek_to with event_type seek only.'
        end
$$;
comment on function private.row_hint(text) is 'What to do about a refused row of a person''s batch.';

create function private.refuse_empty_handed(rejected jsonb)
returns void
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if jsonb_path_exists(rejected, '$[*] ? (@.code == "ON016")') then
        raise exception using
            errcode = 'PT429',
            message = format('On trial %s interactions a day are stored, and this is more.', private.trial_limit()),
            detail = rejected::text,
            hint = 'Wait until midnight in Korea, or subscribe.';
    end if;
    raise exception using
        errcode = 'PT400',
        message = rejected #>> '{0,message}',
        detail = rejected::text,
        hint = rejected #>> '{0,hint}';
end
$$;
comment on function private.refuse_empty_handed(jsonb) is 'Refuses a batch of which no row could be taken.';

-- supabase/schemas/shorts/23_record_search.sql

-- Promises that a search is opened and closed by whose it is, and that no call writes half of what it was given.

create table private.answered_queries (
    digest bytea primary key,
    answered_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '10 minutes'
);
alter table private.answered_queries enable row level security;
create index answered_queries_by_expiry on private.answered_queries (expires_at);
comment on table private.answered_queries is
'Questions of a person that found something in the last 10 minutes: asked again, the cache answers.';
comment on column private.answered_queries.digest is
'SHA-256 of person, kind and normalised question: not for reading.';
comment on column private.answered_queries.expires_at is 'From when on the question is new again.';

create function private.query_digest(
    person uuid,
    query text,
    search_type text
)
returns bytea
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- The person is a part of it: else everybody could ask whether somebody had asked this.
    select
        case
            when search_type <> 'ai_chat'
                then sha256(convert_to(person || ':' || search_type || ':' || private.normalize_keyword(query), 'UTF8'))
        end
$$;
comment on function private.query_digest(uuid, text, text) is
'What a person''s question is known again by; null for a conversation, whose answers are never the same.';

create function private.may_talk_to_the_ai()
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.has_tier('premium') or private.is_admin()
$$;
comment on function private.may_talk_to_the_ai() is 'Whether who asks may search by conversation.';

create function private.open_search(
    query text,
    search_type text,
    user_context jsonb,
    search_intent text,
    session_id uuid,
    session_token text
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid := private.require_person();
    kind text := coalesce(open_search.search_type, 'keyword');
    problem record;
    opened public.search_sessions;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            coalesce(length(query) > 500 or private.normalize_keyword(query) = '', true),
            'query is missing, empty, or longer than 500 characters',
            'Send what the person typed.'
        ),
        (
            kind not in ('keyword', 'ai_chat', 'trending'),
            'search_type is none of the known ones',
            'Send keyword, ai_chat or trending.'
        ),
        (
            open_search.search_intent
            not in ('entertainment', 'education', 'mood_boost', 'trend_following', 'discovery'),
            'search_intent is none of the known ones',
            'Send entertainment, education, mood_boost, trend_following, discovery or nothing.'
        ),
        (
            not private.is_small(open_search.user_context, 'object', 4096),
            'user_context is not an object of at most 4096 characters',
            'Send device_type, browser, location, time_of_day and weather, as far as they are known.'
        ),
        (
            length(open_search.session_token) not between 1 and 4096,
            'session_token is empty or longer than 4096 characters',
            'Send the app''s own token, or none.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'No search was stored.',
            hint = problem.hint;
    end if;
    if kind = 'ai_chat' and not private.may_talk_to_the_ai() then
        raise exception using
            errcode = 'PT403',
            message = 'A conversation with the AI needs premium.',
            detail = 'No search was stored.',
            hint = 'Subscribe, or search by keyword.';
    end if;

    insert into public.search_sessions (
        user_id,
        search_query,
        search_type,
        search_intent,
        user_context,
        session_id,
        session_token,
        response_time_ms,
        cache_hit
    )
    values (
        person,
        query,
        kind,
        open_search.search_intent,
        coalesce(
            open_search.user_context,
            '{
                "device_type": "unknown",
                "browser": "unknown",
                "location": "unknown",
                "time_of_day": "unknown",
                "weather": "unknown"
            }'
        ),
        coalesce(open_search.session_id, gen_random_uuid()),
        encode(sha256(convert_to(open_search.session_token, 'UTF8')), 'hex'),
        null,
        exists (
            select
            from private.answered_queries as answered
            where
                answered.digest = private.query_digest(person, query, kind)
                and answered.expires_at > now()
        )
    )
    returning *
    into opened;
    return jsonb_build_object(
        'id', opened.id,
        'session_started_at', opened.session_started_at,
        'session_id', opened.session_id,
        'cache_hit', opened.cache_hit
    );
end
$$;
comment on function private.open_search(text, text, jsonb, text, uuid, text) is
'Stores a search of who asks. The token is kept as a digest only.';

create function public.start_search(
    query text,
    search_type text default 'keyword',
    user_context jsonb default null,
    search_intent text default null,
    session_id uuid default null,
    session_token text default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.open_search(query, search_type, user_context, search_intent, session_id, session_token)
$$;
comment on function public.start_search(text, text, jsonb, text, uuid, text) is
'Opens a search: {"id", "session_started_at", "session_id", "cache_hit"}. ai_chat is for premium and up.';

create function private.close_search(
    session uuid,
    outcome text,
    rating integer,
    results_count integer,
    results_shown integer,
    results_clicked integer,
    response_time_ms integer,
    conversation jsonb
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    longest constant integer := 86400000;
    person uuid := private.require_person();
    problem record;
    closed public.search_sessions;
    answered bytea;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            close_search.session is null,
            'session is missing',
            'Send the id that start_search returned.'
        ),
        (
            close_search.outcome not in ('satisfied', 'partial', 'abandoned'),
            'outcome is none of the known ones',
            'Send satisfied, partial, abandoned or nothing.'
        ),
        (
            close_search.rating not between 1 and 5,
            'rating is not from 1 to 5',
            'Send a whole number from 1 to 5, or nothing.'
        ),
        (
            close_search.results_count not between 0 and 1000000
            or close_search.results_shown not between 0 and 100000
            or close_search.results_clicked not between 0 and 100000,
            'a number of results is negative or beyond what is possible',
            'Send results_count up to 1000000, results_shown and results_clicked up to 100000.'
        ),
        (
            close_search.response_time_ms not between 1 and longest,
            'response_time_ms is not from 1 to 86400000',
            'Send the milliseconds until the results came, or nothing: they are counted then.'
        ),
        (
            not private.is_small(close_search.conversation, 'array', 65536),
            'conversation is not an array of at most 65536 characters',
            'Send the turns, oldest first; leave out the oldest when there are too many.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'Nothing was changed.',
            hint = problem.hint;
    end if;

    select stored.*
    into closed
    from public.search_sessions as stored
    where
        stored.id = close_search.session
        and stored.user_id = person
    for no key update;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such search of yours.',
            detail = 'Searches older than 90 days are archived.',
            hint = 'Send the id that start_search returned.';
    end if;
    if closed.search_type <> 'ai_chat' and close_search.conversation <> '[]' then
        raise exception using
            errcode = 'PT400',
            message = 'Only a search of the type ai_chat has a conversation.',
            detail = 'Nothing was changed.',
            hint = 'Leave conversation out.';
    end if;
    if closed.search_type = 'ai_chat' and not private.may_talk_to_the_ai() then
        raise exception using
            errcode = 'PT403',
            message = 'A conversation with the AI needs premium.',
            detail = 'Nothing was changed.',
            hint = 'Subscribe, or search by keyword.';
    end if;

    update public.search_sessions as stored
    set
        session_outcome = coalesce(close_search.outcome, stored.session_outcome),
        user_satisfaction_rating = coalesce(close_search.rating, stored.user_satisfaction_rating),
        results_count = coalesce(close_search.results_count, stored.results_count),
        results_shown = coalesce(close_search.results_shown, stored.results_shown),
        results_clicked = coalesce(close_search.results_clicked, stored.results_clicked),
        conversation_context = coalesce(close_search.conversation, stored.conversation_context),
        response_time_ms = coalesce(
            close_search.response_time_ms,
            nullif(stored.response_time_ms, 0),
            least(
                greatest(extract(epoch from clock_timestamp() - stored.session_started_at) * 1000, 1),
                longest
            )::integer
        ),
        session_ended_at = coalesce(stored.session_ended_at, now())
    where
        stored.id = closed.id
        and stored.session_started_at = closed.session_started_at
    returning stored.*
    into closed;

    if close_search.results_count > 0 then
        answered := private.query_digest(person, closed.search_query, closed.search_type);
    end if;
    if answered is not null then
        insert into private.answered_queries as known (digest)
        values (answered)
        on conflict (digest) do update
            set
                answered_at = excluded.answered_at,
                expires_at = excluded.expires_at
            where known.expires_at <= now();
    end if;
    return jsonb_build_object(
        'id', closed.id,
        'session_ended_at', closed.session_ended_at,
        'response_time_ms', closed.response_time_ms
    );
end
$$;
comment on function private.close_search(uuid, text, integer, integer, integer, integer, integer, jsonb) is
'Adds to a search of who asks how it ended. What is not said stays as it is.';

create function public.end_search(
    session uuid,
    outcome text default null,
    rating integer default null,
    results_count integer default null,
    results_shown integer default null,
    results_clicked integer default null,
    response_time_ms integer default null,
    conversation jsonb default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.close_search(
        session, outcome, rating, results_count, results_shown, results_clicked, response_time_ms, conversation
    )
$$;
comment on function public.end_search(uuid, text, integer, integer, integer, integer, integer, jsonb) is
'Closes a search of one''s own: {"id", "session_ended_at", "response_time_ms"}. Repeat it to add what came later.';

-- supabase/schemas/shorts/24_channels.sql

-- Promises that channels come in like videos do, in any order and again, and that their statistics follow their videos.

create function private.read_channels(channels jsonb)
returns table (
    index integer,
    code text,
    message text,
    channel_id text,
    title text,
    content_language text,
    thumbnail_url text,
    subscriber_count bigint,
    video_count integer,
    total_view_count bigint,
    published_at timestamptz,
    collected_at timestamptz
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as channel
        from jsonb_array_elements(channels) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.channel,
            given.channel ->> 'channel_id' as channel_id,
            btrim(given.channel ->> 'title') as title,
            given.channel ->> 'content_language' as content_language,
            given.channel ->> 'thumbnail_url' as thumbnail_url,
            case
                when pg_input_is_valid(given.channel ->> 'subscriber_count', 'bigint')
                    then (given.channel ->> 'subscriber_count')::bigint
            end as subscriber_count,
            case
                when pg_input_is_valid(given.channel ->> 'video_count', 'integer')
                    then (given.channel ->> 'video_count')::integer
            end as video_count,
            case
                when pg_input_is_valid(given.channel ->> 'total_view_count', 'bigint')
                    then (given.channel ->> 'total_view_count')::bigint
            end as total_view_count,
            case
                when
                    given.channel ->> 'published_at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.channel ->> 'published_at', 'timestamptz')
                    then (given.channel ->> 'published_at')::timestamptz
            end as published_at,
            case
                when
                    given.channel ->> 'collected_at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.channel ->> 'collected_at', 'timestamptz')
                    then (given.channel ->> 'collected_at')::timestamptz
            end as collected_at
        from given
    )

    select
        typed.index,
        problem.code,
        problem.message,
        typed.channel_id,
        typed.title,
        typed.content_language,
        typed.thumbnail_url,
        typed.subscriber_count,
        typed.video_count,
        typed.total_view_count,
        typed.published_at,
        typed.collected_at
    from typed
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.channel is null, 'ON001', 'the row is not an object'),
            (
                'string' <> any(array[
                    jsonb_typeof(typed.channel -> 'channel_id'),
                    jsonb_typeof(typed.channel -> 'title'),
                    jsonb_typeof(typed.channel -> 'content_language'),
                    jsonb_typeof(typed.channel -> 'thumbnail_url')
                ]),
                'ON003',
                'one of channel_id, title, content_language, thumbnail_url is not text'
            ),
            (
                coalesce(typed.channel_id !~ '^[A-Za-z0-9_-]{1,50}$', true),
                'ON002',
                'channel_id is not an id of at most 50 letters, digits, _ and -'
            ),
            (coalesce(typed.title = '', true), 'ON003', 'title is missing or empty'),
            (length(typed.title) > 200, 'ON004', 'title is longer than 200 characters'),
            (length(typed.thumbnail_url) > 2000, 'ON004', 'thumbnail_url is longer than 2000 characters'),
            (typed.collected_at is null, 'ON005', 'collected_at is missing or is not an ISO 8601 time'),
            (
                typed.channel ? 'published_at' and typed.published_at is null,
                'ON005',
                'published_at is not an ISO 8601 time'
            ),
            (
                typed.collected_at not between '2005-01-01 00:00+00' and now() + interval '1 hour',
                'ON006',
                'collected_at is before YouTube or in the future'
            ),
            (
                typed.published_at not between '2005-01-01 00:00+00' and now() + interval '1 hour',
                'ON006',
                'published_at is before YouTube or in the future'
            ),
            (
                typed.channel ? 'subscriber_count'
                and coalesce(typed.subscriber_count not between 0 and 100000000000, true),
                'ON007',
                'subscriber_count is not a whole number from 0 to 100000000000'
            ),
            (
                typed.channel ? 'video_count' and coalesce(typed.video_count < 0, true),
                'ON007',
                'video_count is not a whole number from 0 to 2147483647'
            ),
            (
                typed.channel ? 'total_view_count'
                and coalesce(typed.total_view_count not between 0 and 1000000000000000, true),
                'ON007',
                'total_view_count is not a whole number from 0 to 1000000000000000'
            ),
            (
                length(typed.content_language) > 10
                or typed.content_language !~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$',
                'ON009',
                'content_language is not a language such as ko or zh-Hant'
            )
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on true
$$;
comment on function private.read_channels(jsonb) is
'The batch as typed rows, each with its first problem or none. Never raises, whatever an element holds.';

create function public.ingest_channels(channels jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform private.check_batch(channels);

    with read as materialized (
        select *
        from private.read_channels(channels)
    ),

    -- The newest news of each channel; sorted, so that two batches never deadlock.
    newest as materialized (
        select distinct on (read.channel_id) read.*
        from read
        where read.code is null
        order by
            read.channel_id asc,
            read.collected_at desc,
            read.index desc
    ),

    stored_channels as (
        insert into public.cached_channels as stored (
            channel_id,
            channel_title,
            content_language,
            thumbnail_url,
            subscriber_count,
            video_count,
            total_view_count,
            published_at,
            collected_at,
            last_updated
        )
        select
            newest.channel_id,
            newest.title,
            newest.content_language,
            newest.thumbnail_url,
            newest.subscriber_count,
            newest.video_count,
            newest.total_view_count,
            newest.published_at,
            newest.collected_at,
            newest.collected_at
        from newest
        on conflict (channel_id) do update
            set
                -- A video that was collected later knows the newer name.
                channel_title = case
                    when stored.last_updated <= excluded.last_updated or stored.channel_title = stored.channel_id
                        then excluded.channel_title
                    else stored.channel_title
                end,
                -- What the source left out keeps what is known.
                content_language = coalesce(excluded.content_language, stored.content_language),
                thumbnail_url = coalesce(excluded.thumbnail_url, stored.thumbnail_url),
                subscriber_count = coalesce(excluded.subscriber_count, stored.subscriber_count),
                video_count = coalesce(excluded.video_count, stored.video_count),
                total_view_count = coalesce(excluded.total_view_count, stored.total_view_count),
                published_at = coalesce(excluded.published_at, stored.published_at),
                collected_at = excluded.collected_at,
                last_updated = greatest(stored.last_updated, excluded.last_updated)
            where
                stored.collected_at is null
                or stored.collected_at < excluded.collected_at
                or (
                    stored.collected_at = excluded.collected_at
                    and (
                        stored.content_language,
                        stored.thumbnail_url,
                        stored.subscriber_count,
                        stored.video_count,
                        stored.total_view_count,
                        stored.published_at,
                        stored.channel_title
                    ) is distinct from (
                        coalesce(excluded.content_language, stored.content_language),
                        coalesce(excluded.thumbnail_url, stored.thumbnail_url),
                        coalesce(excluded.subscriber_count, stored.subscriber_count),
                        coalesce(excluded.video_count, stored.video_count),
                        coalesce(excluded.total_view_count, stored.total_view_count),
                        coalesce(excluded.published_at, stored.published_at),
                        case
                            when
                                stored.last_updated <= excluded.last_updated
                                or stored.channel_title = stored.channel_id
                                then excluded.channel_title
                            else stored.channel_title
                        end
                    )
                )
        returning stored.xmax = 0 as is_new
    ),

    tally as (
        select
            (select count(*) from read) as received,
            (select count(*) from read where read.code is not null) as rejected,
            (select count(*) from stored_channels where stored_channels.is_new) as inserted,
            (select count(*) from stored_channels where not stored_channels.is_new) as updated
    )

    select
        jsonb_build_object(
            'received', tally.received,
            'inserted', tally.inserted,
            'updated', tally.updated,
            'unchanged', tally.received - tally.rejected - tally.inserted - tally.updated,
            'rejected', (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_build_object('index', read.index, 'code', read.code, 'message', read.message)
                            order by read.index
                        ),
                        '[]'
                    )
                from read
                where read.code is not null
            )
        )
    into answer
    from tally;
    return answer;
end
$$;
comment on function public.ingest_channels(jsonb) is
'Stores at most 5000 channels. Repeating a batch changes nothing; older news never overwrites newer; bad rows come '
'back as {index, code, message}, see docs/errors.md. For the service.';

create table private.channel_statistics (
    channel_id varchar(50) primary key references public.cached_channels (channel_id) on delete cascade,
    usual_engagement numeric(6, 4) not null,
    evenness numeric(3, 2),
    scored_at timestamptz not null,
    changed_at timestamptz not null,
    constraint channel_statistics_are_fractions check (usual_engagement between 0 and 1 and evenness between 0 and 1)
);
alter table private.channel_statistics enable row level security;
comment on table private.channel_statistics is
'What the scores of a channel''s videos need of it. Rounded, so that one video more does not score all anew.';
comment on column private.channel_statistics.usual_engagement is 'What engagement its videos usually have, 0 to 1.';
comment on column private.channel_statistics.evenness is 'How even they are, 0 to 1; null below three videos.';
comment on column private.channel_statistics.scored_at is 'When it was last looked at.';
comment on column private.channel_statistics.changed_at is
'When a figure that its videos'' scores are made of last changed: these, or its trust_score.';

create function private.score_channels(batch_size integer default 5000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    scored bigint;
    changed bigint;
begin
    -- One run at a time: a second one would do the same.
    perform pg_advisory_xact_lock(hashtextextended('shorts-score-channels', 0));

    with touched as materialized (
        select
            video.channel_id,
            max(video.updated_at) as touched_at
        from public.cached_videos as video
        where video.channel_id is not null
        group by video.channel_id
    ),

    -- A minute back: what began before the last run and ended after it was not seen by it. Weekly, since channels
    -- age. What is being written just now is left to the next run.
    due as materialized (
        select
            channel.channel_id,
            channel.subscriber_count,
            channel.video_count,
            channel.published_at
        from public.cached_channels as channel
        where
            channel.channel_id in (
                select candidate.channel_id
                from public.cached_channels as candidate
                left join private.channel_statistics as known on candidate.channel_id = known.channel_id
                left join touched on candidate.channel_id = touched.channel_id
                where
                    known.channel_id is null
                    or greatest(candidate.updated_at, touched.touched_at) > known.scored_at - interval '1 minute'
                    or known.scored_at < now() - interval '7 days'
                order by
                    known.scored_at asc nulls first,
                    candidate.channel_id asc
                limit score_channels.batch_size
            )
        order by channel.channel_id
        for no key update skip locked
    ),

    seen as materialized (
        select
            video.channel_id,
            count(*) filter (
                where video.is_embeddable is not null and video.privacy_status is not null
            ) as videos,
            count(*) filter (where video.is_playable and video.times_taken_out = 0) as kept,
            count(*) filter (where video.view_count > 0 and video.like_count is not null) as rated,
            sum(private.engagement_rate(video.like_count, video.comment_count, video.view_count)) filter (
                where video.view_count > 0 and video.like_count is not null
            ) as total_of_rates,
            private.evenness(
                stddev_samp(ln(1 + video.view_count::double precision)),
                avg(ln(1 + video.view_count::double precision)),
                count(video.view_count)
            ) as evenness,
            count(video.view_count) as compared,
            avg(video.quality_score) as quality,
            count(*) filter (where video.published_at > now() - interval '90 days') / (90.0 / 7) as a_week,
            count(video.published_at) as dated,
            mode() within group (
                order by left(coalesce(video.category_name, video.category_id::text), 50)
            ) as category
        from public.cached_videos as video
        where
            video.channel_id in (
                select due.channel_id
                from due
            )
            and video.purged_at is null
        group by video.channel_id
    ),

    figures as materialized (
        select
            due.channel_id,
            round(private.channel_engagement(seen.total_of_rates, seen.rated)::numeric, 4) as usual_engagement,
            round(seen.evenness::numeric, 2) as evenness,
            private.channel_trust(
                now() - due.published_at,
                due.subscriber_count,
                coalesce(seen.kept, 0),
                coalesce(seen.videos, 0),
                seen.evenness,
                seen.compared
            ) as trust_score,
            round(seen.quality::numeric, 2) as avg_video_quality,
            seen.category as primary_category,
            -- What was seen in 90 days is the least that it can be; its own figures know all videos of its life.
            round(
                greatest(
                    case when seen.dated > 0 then least(seen.a_week, 99.99) end,
                    case
                        when due.published_at < now() - interval '7 days' and due.video_count is not null
                            then
                                least(
                                    due.video_count / (extract(epoch from now() - due.published_at) / 604800),
                                    99.99
                                )
                    end
                ),
                2
            ) as upload_frequency
        from due
        left join seen on due.channel_id = seen.channel_id
    ),

    compared as materialized (
        select
            figures.*,
            known.channel_id is null
            or (known.usual_engagement, known.evenness, channel.trust_score)
            is distinct from (figures.usual_engagement, figures.evenness, figures.trust_score) as is_changed
        from figures
        inner join public.cached_channels as channel on figures.channel_id = channel.channel_id
        left join private.channel_statistics as known on figures.channel_id = known.channel_id
    ),

    noted as (
        insert into private.channel_statistics as stored (
            channel_id, usual_engagement, evenness, scored_at, changed_at
        )
        select
            compared.channel_id,
            compared.usual_engagement,
            compared.evenness,
            now(),
            now()
        from compared
        order by compared.channel_id
        on conflict (channel_id) do update
            set
                usual_engagement = excluded.usual_engagement,
                evenness = excluded.evenness,
                scored_at = excluded.scored_at,
                changed_at = case
                    when stored.channel_id in (select compared.channel_id from compared where compared.is_changed)
                        then excluded.changed_at
                    else stored.changed_at
                end
    ),

    written as (
        update public.cached_channels as channel
        set
            trust_score = compared.trust_score,
            avg_video_quality = compared.avg_video_quality,
            primary_category = compared.primary_category,
            upload_frequency = compared.upload_frequency
        from compared
        where
            channel.channel_id = compared.channel_id
            and (
                channel.trust_score,
                channel.avg_video_quality,
                channel.primary_category,
                channel.upload_frequency
            ) is distinct from (
                compared.trust_score,
                compared.avg_video_quality,
                compared.primary_category,
                compared.upload_frequency
            )
        returning channel.channel_id
    )

    select
        (select count(*) from compared),
        (select count(*) from written)
    into scored, changed;
    return jsonb_build_object('scored', scored, 'changed', changed);
end
$$;
comment on function private.score_channels(integer) is
'Computes the statistics and the trust of channels that changed, or whose videos did: at most batch_size of them.';

-- supabase/schemas/shorts/24_record_interactions.sql

-- Promises that a device may send what was done in batches, again and late: good rows are kept once, bad ones named.

create function private.read_interactions(
    interactions jsonb,
    person uuid
)
returns table (
    index integer,
    code text,
    message text,
    is_known boolean,
    id uuid,
    video_id text,
    session_id uuid,
    session_started_at timestamptz,
    interaction_type text,
    interaction_value integer,
    watch_duration integer,
    total_duration integer,
    watch_percentage double precision,
    watched_to_end boolean,
    clicked_thumbnail boolean,
    clicked_title boolean,
    opened_in_youtube boolean,
    user_rating integer,
    feedback_text text,
    interaction_context jsonb,
    interaction_timestamp timestamptz
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            item.value -> 'interaction_context' as interaction_context,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as sent
        from jsonb_array_elements(interactions) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.sent,
            given.sent ->> 'video_id' as video_id,
            given.sent ->> 'interaction_type' as interaction_type,
            given.sent ->> 'feedback_text' as feedback_text,
            nullif(given.interaction_context, 'null') as interaction_context,
            case
                when pg_input_is_valid(given.sent ->> 'id', 'uuid')
                    then (given.sent ->> 'id')::uuid
            end as id,
            case
                when pg_input_is_valid(given.sent ->> 'session_id', 'uuid')
                    then (given.sent ->> 'session_id')::uuid
            end as session_id,
            case
                when
                    jsonb_typeof(given.sent -> 'interaction_value') = 'number'
                    and pg_input_is_valid(given.sent ->> 'interaction_value', 'integer')
                    then (given.sent ->> 'interaction_value')::integer
            end as interaction_value,
            case
                when
                    jsonb_typeof(given.sent -> 'watch_duration') = 'number'
                    and pg_input_is_valid(given.sent ->> 'watch_duration', 'integer')
                    then (given.sent ->> 'watch_duration')::integer
            end as watch_duration,
            case
                when
                    jsonb_typeof(given.sent -> 'total_duration') = 'number'
                    and pg_input_is_valid(given.sent ->> 'total_duration', 'integer')
                    then (given.sent ->> 'total_duration')::integer
            end as total_duration,
            case
                when
                    jsonb_typeof(given.sent -> 'watch_percentage') = 'number'
                    and pg_input_is_valid(given.sent ->> 'watch_percentage', 'double precision')
                    then (given.sent ->> 'watch_percentage')::double precision
            end as watch_percentage,
            case
                when jsonb_typeof(given.sent -> 'watched_to_end') = 'boolean'
                    then (given.sent -> 'watched_to_end')::boolean
            end as watched_to_end,
            case
                when jsonb_typeof(given.sent -> 'clicked_thumbnail') = 'boolean'
                    then (given.sent -> 'clicked_thumbnail')::boolean
            end as clicked_thumbnail,
            case
                when jsonb_typeof(given.sent -> 'clicked_title') = 'boolean'
                    then (given.sent -> 'clicked_title')::boolean
            end as clicked_title,
            case
                when jsonb_typeof(given.sent -> 'opened_in_youtube') = 'boolean'
                    then (given.sent -> 'opened_in_youtube')::boolean
            end as opened_in_youtube,
            case
                when
                    jsonb_typeof(given.sent -> 'user_rating') = 'number'
                    and pg_input_is_valid(given.sent ->> 'user_rating', 'integer')
                    then (given.sent ->> 'user_rating')::integer
            end as user_rating,
            case
                when
                    given.sent ->> 'interaction_timestamp' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.sent ->> 'interaction_timestamp', 'timestamptz')
                    then (given.sent ->> 'interaction_timestamp')::timestamptz
            end as interaction_timestamp
        from given
    ),

    known as materialized (
        select
            stored.id,
            bool_or(stored.user_id = read_interactions.person) as is_own
        from public.video_interactions as stored
        where
            stored.created_at > now() - interval '24 hours'
            and stored.id = any(array(select typed.id from typed))
        group by stored.id
    ),

    sessions as materialized (
        select
            session.id,
            max(session.session_started_at) as session_started_at
        from public.search_sessions as session
        where
            session.user_id = read_interactions.person
            and session.id = any(array(select typed.session_id from typed))
        group by session.id
    ),

    videos as materialized (
        select video.video_id
        from public.cached_videos as video
        where video.video_id = any(array(select typed.video_id from typed))
    )

    select
        typed.index,
        problem.code,
        problem.message,
        coalesce(known.is_own, false) as is_known,
        typed.id,
        typed.video_id,
        typed.session_id,
        sessions.session_started_at,
        typed.interaction_type,
        typed.interaction_value,
        typed.watch_duration,
        typed.total_duration,
        typed.watch_percentage,
        typed.watched_to_end,
        typed.clicked_thumbnail,
        typed.clicked_title,
        typed.opened_in_youtube,
        typed.user_rating,
        typed.feedback_text,
        typed.interaction_context,
        typed.interaction_timestamp
    from typed
    left join known on typed.id = known.id
    left join sessions on typed.session_id = sessions.id
    left join videos on typed.video_id = videos.video_id
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.sent is null, 'ON001', 'the row is not an object'),
            (
                coalesce(jsonb_typeof(typed.sent -> 'video_id') <> 'string', true)
                or typed.video_id !~ '^[A-Za-z0-9_-]{1,20}$',
                'ON002',
                'video_id is not an id of at most 20 letters, digits, _ and -'
            ),
            (
                coalesce(jsonb_typeof(typed.sent -> 'interaction_type') <> 'string', true)
                or typed.interaction_type not in ('view', 'like', 'share', 'save', 'skip'),
                'ON009',
                'interaction_type is none of view, like, share, save, skip'
            ),
            (typed.sent ? 'id' and typed.id is null, 'ON011', 'id is not a UUID'),
            (typed.sent ? 'session_id' and typed.session_id is null, 'ON011', 'session_id is not a UUID'),
            (
                (typed.sent ? 'watched_to_end' and typed.watched_to_end is null)
                or (typed.sent ? 'clicked_thumbnail' and typed.clicked_thumbnail is null)
                or (typed.sent ? 'clicked_title' and typed.clicked_title is null)
                or (typed.sent ? 'opened_in_youtube' and typed.opened_in_youtube is null),
                'ON009',
                'one of watched_to_end, clicked_thumbnail, clicked_title, opened_in_youtube is not true or false'
            ),
            (
                typed.sent ? 'interaction_value' and coalesce(typed.interaction_value not between 0 and 100, true),
                'ON007',
                'interaction_value is not a whole number from 0 to 100'
            ),
            (
                typed.sent ? 'watch_duration' and coalesce(typed.watch_duration not between 0 and 86400, true),
                'ON007',
                'watch_duration is not a whole number from 0 to 86400'
            ),
            (
                typed.sent ? 'total_duration' and coalesce(typed.total_duration not between 0 and 86400, true),
                'ON007',
                'total_duration is not a whole number from 0 to 86400'
            ),
            (
                typed.sent ? 'watch_percentage' and coalesce(typed.watch_percentage not between 0 and 1, true),
                'ON007',
                'watch_percentage is not a number from 0 to 1'
            ),
            (
                typed.sent ? 'user_rating' and coalesce(typed.user_rating not between 1 and 5, true),
                'ON007',
                'user_rating is not a whole number from 1 to 5'
            ),
            (jsonb_typeof(typed.sent -> 'feedback_text') <> 'string', 'ON003', 'feedback_text is not text'),
            (length(typed.feedback_text) > 2000, 'ON004', 'feedback_text is longer than 2000 characters'),
            (
                not private.is_small(typed.interaction_context, 'object', 4096),
                'ON014',
                'interaction_context is not an object of at most 4096 characters'
            ),
            (
                typed.sent ? 'interaction_timestamp' and typed.interaction_timestamp is null,
                'ON005',
                'interaction_timestamp is not an ISO 8601 time'
            ),
            (
                typed.interaction_timestamp
                not between now() - interval '168 hours' and now() + interval '10 minutes',
                'ON006',
                'interaction_timestamp is more than 168 hours ago or in the future'
            ),
            (videos.video_id is null, 'ON012', 'there is no such video'),
            (
                typed.session_id is not null and sessions.id is null,
                'ON013',
                'session_id names no search of yours'
            ),
            (not known.is_own, 'ON015', 'the id is taken')
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on known.is_own is not true
$$;
comment on function private.read_interactions(jsonb, uuid) is
'The batch as typed rows, each with its first problem or none, and whether it was stored in the last 24 hours.';

create function private.store_interactions(interactions jsonb)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid := private.require_person();
    room integer;
    answer jsonb;
begin
    perform private.check_own_batch(interactions);
    -- Of two retries of one batch the second sees what the first has stored.
    perform pg_advisory_xact_lock(hashtextextended('shorts-record:' || person, 0));
    if private.is_on_trial(person) then
        insert into private.daily_quotas as quota (user_id, day, used)
        values (person, private.korean_day(), 0)
        on conflict on constraint daily_quotas_pkey do update
            set used = quota.used
        returning private.trial_limit() - quota.used
        into room;
    end if;

    with read as materialized (
        select *
        from private.read_interactions(interactions, person)
    ),

    fresh as materialized (
        select
            read.*,
            coalesce(read.id, gen_random_uuid()) as new_id
        from read
        where
            read.code is null
            and not read.is_known
    ),

    -- An id that comes twice in a batch is a repeat of the first; in the order sent, as far as there is room.
    firsts as materialized (
        select
            earliest.new_id,
            earliest.index,
            coalesce(row_number() over (order by earliest.index) <= room, true) as fits
        from (
            select
                fresh.new_id,
                min(fresh.index) as index
            from fresh
            group by fresh.new_id
        ) as earliest
    ),

    stored as (
        insert into public.video_interactions (
            id,
            user_id,
            video_id,
            session_id,
            session_started_at,
            interaction_type,
            interaction_value,
            watch_duration,
            total_duration,
            watch_percentage,
            watched_to_end,
            clicked_thumbnail,
            clicked_title,
            opened_in_youtube,
            user_rating,
            feedback_text,
            interaction_context,
            interaction_timestamp
        )
        select
            fresh.new_id,
            person,
            fresh.video_id,
            fresh.session_id,
            fresh.session_started_at,
            fresh.interaction_type,
            coalesce(fresh.interaction_value, 1),
            coalesce(fresh.watch_duration, 0),
            fresh.total_duration,
            coalesce(fresh.watch_percentage, 0.0),
            coalesce(fresh.watched_to_end, false),
            coalesce(fresh.clicked_thumbnail, false),
            coalesce(fresh.clicked_title, false),
            coalesce(fresh.opened_in_youtube, false),
            fresh.user_rating,
            fresh.feedback_text,
            coalesce(
                fresh.interaction_context,
                '{"source": "search_results", "position": 0, "recommendation_score": 0.0}'
            ),
            coalesce(fresh.interaction_timestamp, now())
        from fresh
        inner join firsts on fresh.index = firsts.index
        where firsts.fits
        order by
            fresh.video_id,
            fresh.new_id
    ),

    taken as materialized (
        select
            read.index,
            read.id,
            false as is_new
        from read
        where read.is_known
        union all
        select
            fresh.index,
            fresh.new_id,
            fresh.index = firsts.index
        from fresh
        inner join firsts on fresh.new_id = firsts.new_id
        where firsts.fits
    ),

    refused as materialized (
        select
            read.index,
            read.code,
            read.message
        from read
        where read.code is not null
        union all
        select
            fresh.index,
            'ON016',
            format('on trial %s interactions a day are stored', private.trial_limit())
        from fresh
        inner join firsts on fresh.new_id = firsts.new_id
        where not firsts.fits
    )

    select
        jsonb_build_object(
            'received', jsonb_array_length(interactions),
            'stored', (select count(*) from taken where taken.is_new),
            'repeated', (select count(*) from taken where not taken.is_new),
            'interactions', (
                select
                    coalesce(
                        jsonb_agg(jsonb_build_object('index', taken.index, 'id', taken.id) order by taken.index),
                        '[]'
                    )
                from taken
            ),
            'rejected', (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_build_object(
                                'index', refused.index,
                                'code', refused.code,
                                'message', refused.message,
                                'hint', private.row_hint(refused.code)
                            )
                            order by refused.index
                        ),
                        '[]'
                    )
                from refused
            )
        )
    into answer;
    if answer -> 'interactions' = '[]' then
        perform private.refuse_empty_handed(answer -> 'rejected');
    end if;
    return answer;
end
$$;
comment on function private.store_interactions(jsonb) is
'Stores what who asks did, an id once in 24 hours, and on trial no more than the day has room for.';

create function public.record_interaction(interactions jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.store_interactions(interactions)
$$;
comment on function public.record_interaction(jsonb) is
'Stores 1 to 1000 interactions of one''s own; bad rows come back as {index, code, message, hint}, see docs/errors.md.';

-- supabase/schemas/shorts/25_record_events.sql

-- Promises that what happened in the player may be sent in batches, again and late, for interactions of one's own.

create function private.read_watch_events(
    events jsonb,
    person uuid
)
returns table (
    index integer,
    code text,
    message text,
    is_known boolean,
    id uuid,
    interaction_id uuid,
    interaction_created_at timestamptz,
    event_type text,
    event_timestamp timestamptz,
    video_timestamp integer,
    seek_from integer,
    seek_to integer
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as sent
        from jsonb_array_elements(events) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.sent,
            given.sent ->> 'event_type' as event_type,
            case
                when pg_input_is_valid(given.sent ->> 'id', 'uuid')
                    then (given.sent ->> 'id')::uuid
            end as id,
            case
                when pg_input_is_valid(given.sent ->> 'interaction_id', 'uuid')
                    then (given.sent ->> 'interaction_id')::uuid
            end as interaction_id,
            case
                when not given.sent ? 'event_timestamp' then now()
                when
                    given.sent ->> 'event_timestamp' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.sent ->> 'event_timestamp', 'timestamptz')
                    then (given.sent ->> 'event_timestamp')::timestamptz
            end as event_timestamp,
            case
                when
                    jsonb_typeof(given.sent -> 'video_timestamp') = 'number'
                    and pg_input_is_valid(given.sent ->> 'video_timestamp', 'integer')
                    then (given.sent ->> 'video_timestamp')::integer
            end as video_timestamp,
            case
                when
                    jsonb_typeof(given.sent -> 'seek_from') = 'number'
                    and pg_input_is_valid(given.sent ->> 'seek_from', 'integer')
                    then (given.sent ->> 'seek_from')::integer
            end as seek_from,
            case
                when
                    jsonb_typeof(given.sent -> 'seek_to') = 'number'
                    and pg_input_is_valid(given.sent ->> 'seek_to', 'integer')
                    then (given.sent ->> 'seek_to')::integer
            end as seek_to
        from given
    ),

    known as materialized (
        select
            stored.id,
            bool_or(interaction.user_id = read_watch_events.person) as is_own
        from public.watch_events as stored
        inner join public.video_interactions as interaction
            on
                stored.interaction_id = interaction.id
                and stored.interaction_created_at = interaction.created_at
        where stored.id = any(array(select typed.id from typed))
        group by stored.id
    ),

    interactions as materialized (
        select
            interaction.id,
            max(interaction.created_at) as created_at
        from public.video_interactions as interaction
        where
            interaction.user_id = read_watch_events.person
            and interaction.id = any(array(select typed.interaction_id from typed))
        group by interaction.id
    )

    select
        typed.index,
        problem.code,
        problem.message,
        coalesce(known.is_own, false) as is_known,
        typed.id,
        typed.interaction_id,
        interactions.created_at as interaction_created_at,
        typed.event_type,
        typed.event_timestamp,
        typed.video_timestamp,
        typed.seek_from,
        typed.seek_to
    from typed
    left join known on typed.id = known.id
    left join interactions on typed.interaction_id = interactions.id
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.sent is null, 'ON001', 'the row is not an object'),
            (typed.interaction_id is null, 'ON011', 'interaction_id is missing or not a UUID'),
            (typed.sent ? 'id' and typed.id is null, 'ON011', 'id is not a UUID'),
            (
                coalesce(jsonb_typeof(typed.sent -> 'event_type') <> 'string', true)
                or typed.event_type not in ('play', 'pause', 'seek', 'end', 'skip', 'replay'),
                'ON009',
                'event_type is none of play, pause, seek, end, skip, replay'
            ),
            (
                typed.sent ? 'video_timestamp' and coalesce(typed.video_timestamp not between 0 and 86400, true),
                'ON007',
                'video_timestamp is not a whole number from 0 to 86400'
            ),
            (
                typed.sent ? 'seek_from' and coalesce(typed.seek_from not between 0 and 86400, true),
                'ON007',
                'seek_from is not a whole number from 0 to 86400'
            ),
            (
                typed.sent ? 'seek_to' and coalesce(typed.seek_to not between 0 and 86400, true),
                'ON007',
                'seek_to is not a whole number from 0 to 86400'
            ),
            (
                typed.event_type <> 'seek' and (typed.sent ? 'seek_from' or typed.sent ? 'seek_to'),
                'ON017',
                'only a seek has seek_from and seek_to'
            ),
            (typed.event_timestamp is null, 'ON005', 'event_timestamp is not an ISO 8601 time'),
            (interactions.id is null, 'ON013', 'interaction_id names no interaction of yours'),
            (
                typed.event_timestamp > now() + interval '10 minutes'
                or typed.event_timestamp
                not between interactions.created_at - interval '168 hours' and interactions.created_at + interval '24 hours',
                'ON006',
                'event_timestamp is in the future, or not within 168 hours before and 24 hours after its interaction'
            ),
            (not known.is_own, 'ON015', 'the id is taken')
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on known.is_own is not true
$$;
comment on function private.read_watch_events(jsonb, uuid) is
'The batch as typed rows, each with its first problem or none, and whether it is stored already.';

create function private.store_watch_events(events jsonb)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid := private.require_person();
    answer jsonb;
begin
    perform private.check_own_batch(events);
    -- Of two retries of one batch the second sees what the first has stored.
    perform pg_advisory_xact_lock(hashtextextended('shorts-record:' || person, 0));

    with read as materialized (
        select *
        from private.read_watch_events(events, person)
    ),

    fresh as materialized (
        select
            read.*,
            coalesce(read.id, gen_random_uuid()) as new_id
        from read
        where
            read.code is null
            and not read.is_known
    ),

    -- An id that comes twice in a batch is a repeat of the first.
    firsts as materialized (
        select
            fresh.new_id,
            min(fresh.index) as index
        from fresh
        group by fresh.new_id
    ),

    stored as (
        insert into public.watch_events (
            id,
            interaction_id,
            interaction_created_at,
            event_type,
            event_timestamp,
            video_timestamp,
            seek_from,
            seek_to
        )
        select
            fresh.new_id,
            fresh.interaction_id,
            fresh.interaction_created_at,
            fresh.event_type,
            fresh.event_timestamp,
            fresh.video_timestamp,
            fresh.seek_from,
            fresh.seek_to
        from fresh
        inner join firsts on fresh.index = firsts.index
        order by
            fresh.interaction_id,
            fresh.new_id
    ),

    taken as materialized (
        select
            read.index,
            read.id,
            false as is_new
        from read
        where read.is_known
        union all
        select
            fresh.index,
            fresh.new_id,
            fresh.index = firsts.index
        from fresh
        inner join firsts on fresh.new_id = firsts.new_id
    )

    select
        jsonb_build_object(
            'received', jsonb_array_length(events),
            'stored', (select count(*) from taken where taken.is_new),
            'repeated', (select count(*) from taken where not taken.is_new),
            'events', (
                select
                    coalesce(
                        jsonb_agg(jsonb_build_object('index', taken.index, 'id', taken.id) order by taken.index),
                        '[]'
                    )
                from taken
            ),
            'rejected', (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_build_object(
                                'index', read.index,
                                'code', read.code,
                                'message', read.message,
                                'hint', private.row_hint(read.code)
                            )
                            order by read.index
                        ),
                        '[]'
                    )
                from read
                where read.code is not null
            )
        )
    into answer;
    if answer -> 'events' = '[]' then
        perform private.refuse_empty_handed(answer -> 'rejected');
    end if;
    return answer;
end
$$;
comment on function private.store_watch_events(jsonb) is
'Stores what happened in the player during interactions of who asks, an id once.';

create function public.record_watch_event(events jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.store_watch_events(events)
$$;
comment on function public.record_watch_event(jsonb) is
'Stores 1 to 1000 events of one''s own interactions; bad rows come back as {index, code, message, hint}.';

-- supabase/schemas/shorts/25_record_feedback.sql

-- Promises that what a person says of a video is kept once however often it is said, and of known videos only.

create function private.require_video(video_id text)
returns void
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if not exists (
        select
        from public.cached_videos as video
        where video.video_id = require_video.video_id
    ) then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such video.',
            detail = 'Nothing was stored.',
            hint = 'Send only videos that the API has returned.';
    end if;
end
$$;
comment on function private.require_video(text) is
'Refuses a video that is not in the cache. One that plays no more may still be spoken of.';

create function private.store_feedback(
    video_id text,
    feedback_type text,
    reason text,
    comment text,
    session_id uuid,
    source_keyword text,
    position_in_list integer
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid := private.require_person();
    problem record;
    said_id uuid;
    said_at timestamptz;
    is_new boolean;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            coalesce(store_feedback.video_id !~ '^[A-Za-z0-9_-]{1,20}$', true),
            'video_id is not an id of at most 20 letters, digits, _ and -',
            'Send YouTube''s id of the video.'
        ),
        (
            coalesce(store_feedback.feedback_type not in ('like', 'dislike', 'not_interested', 'report'), true),
            'feedback_type is none of the known ones',
            'Send like, dislike, not_interested or report.'
        ),
        (
            store_feedback.reason not in ('irrelevant', 'seen_too_many', 'offensive', 'quality', 'other'),
            'reason is none of the known ones',
            'Send irrelevant, seen_too_many, offensive, quality, other or nothing.'
        ),
        (
            length(store_feedback.comment) > 2000,
            'comment is longer than 2000 characters',
            'Shorten it.'
        ),
        (
            length(store_feedback.source_keyword) > 255,
            'source_keyword is longer than 255 characters',
            'Send the keyword that led to the video, or nothing.'
        ),
        (
            store_feedback.position_in_list not between 0 and 100000,
            'position_in_list is not from 0 to 100000',
            'Send its place in the list, from 0, or nothing.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'Nothing was stored.',
            hint = problem.hint;
    end if;
    perform private.require_video(store_feedback.video_id);
    if store_feedback.session_id is not null
        and not exists (
            select
            from public.search_sessions as session
            where
                session.session_id = store_feedback.session_id
                and session.user_id = person
        )
        and not exists (
            select
            from public.user_session_details as visit
            where
                visit.session_id = store_feedback.session_id
                and visit.user_id = person
        ) then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such session of yours.',
            detail = 'Nothing was stored.',
            hint = 'Send the session_id that start_search returned, or nothing.';
    end if;

    insert into public.user_feedback as said (
        user_id,
        video_id,
        session_id,
        feedback_type,
        reason,
        comment,
        source_keyword,
        position_in_list
    )
    values (
        person,
        store_feedback.video_id,
        store_feedback.session_id,
        store_feedback.feedback_type,
        store_feedback.reason,
        store_feedback.comment,
        store_feedback.source_keyword,
        store_feedback.position_in_list
    )
    on conflict on constraint feedback_is_given_once do update
        set
            session_id = excluded.session_id,
            reason = excluded.reason,
            comment = excluded.comment,
            source_keyword = excluded.source_keyword,
            position_in_list = excluded.position_in_list,
            created_at = excluded.created_at
    returning
        said.id,
        said.created_at,
        said.xmax = 0
    into
        said_id,
        said_at,
        is_new;
    return jsonb_build_object('id', said_id, 'created_at', said_at, 'repeated', not is_new);
end
$$;
comment on function private.store_feedback(text, text, text, text, uuid, text, integer) is
'Stores what who asks says of a video; said again, the last words stand.';

create function public.submit_feedback(
    video_id text,
    feedback_type text,
    reason text default null,
    comment text default null,
    session_id uuid default null,
    source_keyword text default null,
    position_in_list integer default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.store_feedback(
        video_id, feedback_type, reason, comment, session_id, source_keyword, position_in_list
    )
$$;
comment on function public.submit_feedback(text, text, text, text, uuid, text, integer) is
'Like, dislike, not_interested or report, each once per video: {"id", "created_at", "repeated"}.';

create function private.store_playback_error(
    video_id text,
    error_code integer,
    region text
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid := private.require_person();
    problem record;
    is_new boolean;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            coalesce(store_playback_error.video_id !~ '^[A-Za-z0-9_-]{1,20}$', true),
            'video_id is not an id of at most 20 letters, digits, _ and -',
            'Send YouTube''s id of the video.'
        ),
        (
            coalesce(store_playback_error.error_code not in (2, 5, 100, 101, 150, 153), true),
            'error_code is none of the player''s',
            'Send what the player''s onError said: 2, 5, 100, 101, 150 or 153.'
        ),
        (
            store_playback_error.region <> all(private.region_codes()),
            'region is not an ISO 3166 code of two capital letters',
            'Send a code such as KR, or nothing.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'Nothing was stored.',
            hint = problem.hint;
    end if;
    perform private.require_video(store_playback_error.video_id);

    -- Once a day and video; an error of the video is worth more than one of the app that came before it.
    insert into private.playback_errors as reported (video_id, user_id, reported_on, error_code, region)
    values (
        store_playback_error.video_id,
        person,
        private.korean_day(),
        store_playback_error.error_code,
        store_playback_error.region
    )
    on conflict on constraint playback_errors_pkey do update
        set
            error_code = excluded.error_code,
            region = excluded.region,
            reported_at = excluded.reported_at
        where
            not private.blames_the_video(reported.error_code)
            and private.blames_the_video(excluded.error_code)
    returning reported.xmax = 0
    into is_new;
    return jsonb_build_object('repeated', not coalesce(is_new, false));
end
$$;
comment on function private.store_playback_error(text, integer, text) is
'Notes what the player said to who asks, once a day and video.';

create function public.report_playback_error(
    video_id text,
    error_code integer,
    region text default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.store_playback_error(video_id, error_code, region)
$$;
comment on function public.report_playback_error(text, integer, text) is
'Tells that a video did not play: {"repeated"}. What three people report within 24 hours is taken out.';

-- supabase/schemas/shorts/26_quality.sql

-- Promises that a video's score follows what is known of it, and that an AI's answer is stored whole or not at all.

create function private.set_overall_quality()
returns trigger
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- A figure that was computed here is computed again; one that the AI gave is kept.
    if
        coalesce(new.overall_quality_score, 0) = 0
        or (
            tg_op = 'UPDATE'
            and new.overall_quality_score = old.overall_quality_score
            and old.overall_quality_score = old.overall_score::double precision
        )
    then
        new.overall_quality_score := private.overall_quality(
            new.content_quality_score,
            new.engagement_rate,
            new.retention_rate,
            new.trend_alignment,
            new.freshness_score
        );
    end if;
    return new;
end
$$;
comment on function private.set_overall_quality() is
'Computes overall_quality_score where the AI gives none, and again when what it was computed from changes.';

create trigger set_overall_quality
before insert or update on public.video_quality_scores
for each row
execute function private.set_overall_quality();

create function private.sync_quality_score()
returns trigger
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    changed varchar(20)[];
begin
    -- An array, since a join would be planned for one row where the tables were empty when last looked at.
    changed := array(select distinct score.video_id from new_scores as score);

    -- In one order, so that two batches never deadlock; and first, so that what follows sees what it waited for.
    perform
    from public.cached_videos as video
    where video.video_id = any(changed)
    order by video.video_id
    for no key update;

    update public.cached_videos as stored
    set quality_score = newest.overall_quality_score
    from (
        select distinct on (score.video_id)
            score.video_id,
            score.overall_quality_score
        from public.video_quality_scores as score
        where score.video_id = any(changed)
        order by
            score.video_id asc,
            score.analyzed_at desc,
            score.analysis_version desc
    ) as newest
    where
        stored.video_id = newest.video_id
        and stored.quality_score is distinct from newest.overall_quality_score;
    return null;
end
$$;
comment on function private.sync_quality_score() is
'Keeps cached_videos.quality_score equal to overall_quality_score of the newest analysis, a statement at a time.';

-- Two, since a trigger that sees all rows of a statement has one event.
create trigger quality_score_sync_trg
after insert on public.video_quality_scores
referencing new table as new_scores
for each statement
execute function private.sync_quality_score();
create trigger quality_score_sync_update_trg
after update on public.video_quality_scores
referencing new table as new_scores
for each statement
execute function private.sync_quality_score();

create function private.quality_figures(video_ids text[])
returns table (
    video_id text,
    engagement_rate double precision,
    engagement_score double precision,
    like_score double precision,
    retention_rate double precision,
    retention_score double precision,
    channel_trust_score double precision,
    creator_consistency double precision,
    trend_alignment numeric,
    freshness_score numeric
)
stable
security invoker
set search_path = pg_catalog, pg_temp
-- One video and five thousand want different plans.
set plan_cache_mode = force_custom_plan
set jit = off
language plpgsql
as $$
begin
    return query
    with watched as (
        select
            person.video_id,
            avg(person.completion) as completion,
            count(*) as people
        from (
            -- Each person once: whoever sends a thousand views says no more than anybody else.
            select
                interaction.video_id,
                avg(interaction.completion_rate) as completion
            from public.video_interactions as interaction
            where
                interaction.video_id = any(quality_figures.video_ids)
                and interaction.interaction_type = 'view'
            group by
                interaction.video_id,
                interaction.user_id
        ) as person
        group by person.video_id
    ),

    open_trends as (
        select
            trend.keyword,
            max(trend.trend_score) as strength
        from public.trending_keywords as trend
        where
            trend.closed_at is null
            and trend.expires_at > now()
        group by trend.keyword
    ),

    aligned as (
        select
            mapping.video_id,
            round(max(mapping.relevance_score * coalesce(open_trends.strength, 0))::numeric, 2) as alignment
        from public.keyword_video_mappings as mapping
        left join open_trends on mapping.keyword = open_trends.keyword
        where mapping.video_id = any(quality_figures.video_ids)
        group by mapping.video_id
    )

    select
        video.video_id::text,
        private.engagement_rate(video.like_count, video.comment_count, video.view_count),
        private.engagement_score(
            video.like_count,
            video.comment_count,
            video.view_count,
            coalesce(channel_statistics.usual_engagement, private.channel_engagement(0, 0))::double precision
        ),
        private.like_score(video.like_count, video.view_count),
        coalesce(watched.completion, 0)::double precision,
        private.retention_score(watched.completion::double precision, watched.people),
        coalesce(channel.trust_score, 0)::double precision,
        coalesce(channel_statistics.evenness, 0)::double precision,
        aligned.alignment,
        private.freshness(now() - video.published_at)
    from public.cached_videos as video
    left join public.cached_channels as channel on video.channel_id = channel.channel_id
    left join private.channel_statistics as channel_statistics on video.channel_id = channel_statistics.channel_id
    left join watched on video.video_id = watched.video_id
    left join aligned on video.video_id = aligned.video_id
    where video.video_id = any(quality_figures.video_ids);
end
$$;
comment on function private.quality_figures(text[]) is
'What is computed of videos, nothing of an AI''s: the formulas of 21_quality_formulas.sql over what is stored now.';

create function public.calculate_quality_score(
    video_id text,
    analysis_version text default 'v1.0'
)
returns numeric
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer numeric;
begin
    if coalesce(length(calculate_quality_score.analysis_version) not between 1 and 20, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The version of the analysis is not 1 to 20 characters.',
            hint = 'Send one such as v1.0, or nothing.';
    end if;
    -- The video before its scores: the order in which all that scores takes them.
    perform
    from public.cached_videos as video
    where video.video_id = calculate_quality_score.video_id
    for no key update;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'The video is not known.',
            hint = 'Ingest it first.';
    end if;
    insert into public.video_quality_scores as stored (
        video_id,
        analysis_version,
        engagement_rate,
        engagement_score,
        like_score,
        retention_rate,
        retention_score,
        channel_trust_score,
        creator_consistency,
        trend_alignment,
        freshness_score
    )
    select
        figure.video_id,
        calculate_quality_score.analysis_version,
        figure.engagement_rate,
        figure.engagement_score,
        figure.like_score,
        figure.retention_rate,
        figure.retention_score,
        figure.channel_trust_score,
        figure.creator_consistency,
        figure.trend_alignment,
        figure.freshness_score
    from private.quality_figures(array[calculate_quality_score.video_id]) as figure
    on conflict on constraint a_video_is_scored_once_a_version do update
        set
            engagement_rate = excluded.engagement_rate,
            engagement_score = excluded.engagement_score,
            like_score = excluded.like_score,
            retention_rate = excluded.retention_rate,
            retention_score = excluded.retention_score,
            channel_trust_score = excluded.channel_trust_score,
            creator_consistency = excluded.creator_consistency,
            trend_alignment = excluded.trend_alignment,
            freshness_score = excluded.freshness_score,
            calculated_at = now()
    returning stored.overall_score into answer;
    return answer;
end
$$;
comment on function public.calculate_quality_score(text, text) is
'Computes what is computed of a video, such as (likes + comments) / views and the mean share that people watch; stores '
'it with what the AI said and returns the overall score, 0 to 1. For the service.';

create function private.score_videos(batch_size integer default 5000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    due text[];
    versions text[];
    held text[];
    scored bigint;
begin
    -- One run at a time: a second one would do the same.
    perform pg_advisory_xact_lock(hashtextextended('shorts-score-videos', 0));

    with newest as materialized (
        select distinct on (score.video_id)
            score.video_id,
            score.analysis_version,
            score.calculated_at,
            score.freshness_score,
            score.trend_alignment
        from public.video_quality_scores as score
        order by
            score.video_id asc,
            score.analyzed_at desc,
            score.analysis_version desc
    ),

    -- A day is enough: the job runs every ten minutes, and what it computed is refreshed daily while it is new.
    watched as materialized (
        select
            interaction.video_id,
            max(interaction.created_at) as watched_at
        from public.video_interactions as interaction
        where
            interaction.interaction_type = 'view'
            and interaction.created_at > now() - interval '1 day'
        group by interaction.video_id
    ),

    trended as materialized (
        select
            mapping.video_id,
            max(trend.updated_at) as trended_at
        from public.trending_keywords as trend
        inner join public.keyword_video_mappings as mapping on trend.keyword = mapping.keyword
        where
            trend.closed_at is null
            and trend.expires_at > now()
        group by mapping.video_id
    ),

    picked as (
        select
            video.video_id,
            coalesce(newest.analysis_version, 'v1.0') as analysis_version
        from public.cached_videos as video
        left join newest on video.video_id = newest.video_id
        left join watched on video.video_id = watched.video_id
        left join trended on video.video_id = trended.video_id
        left join private.channel_statistics as channel_statistics
            on video.channel_id = channel_statistics.channel_id
        where
            video.purged_at is null
            and (
                newest.video_id is null
                -- A minute back: what began before the last run and ended after it was not seen by it. Its own change
                -- of the video has its very time.
                or (
                    video.updated_at > newest.calculated_at - interval '1 minute'
                    and video.updated_at <> newest.calculated_at
                )
                or watched.watched_at > newest.calculated_at - interval '1 minute'
                or channel_statistics.changed_at > newest.calculated_at
                -- Trends come, grow and go within hours, and what is new grows old.
                or (
                    greatest(trended.trended_at, now() - interval '1 hour') > newest.calculated_at
                    and (trended.trended_at > newest.calculated_at or newest.trend_alignment > 0)
                )
                or (newest.freshness_score > 0 and newest.calculated_at < now() - interval '1 day')
            )
        -- Those who waited longest, so that nobody waits for ever.
        order by
            newest.calculated_at asc nulls first,
            video.video_id asc
        limit score_videos.batch_size
    )

    select
        array_agg(picked.video_id),
        array_agg(picked.analysis_version)
    into due, versions
    from picked;

    -- Sorted, and before their scores: the order in which all that scores takes them. What is being written just now is
    -- left to the next run.
    select array_agg(locked.video_id)
    into held
    from (
        select video.video_id
        from public.cached_videos as video
        where video.video_id = any(due)
        order by video.video_id
        for no key update skip locked
    ) as locked;

    insert into public.video_quality_scores as stored (
        video_id,
        analysis_version,
        engagement_rate,
        engagement_score,
        like_score,
        retention_rate,
        retention_score,
        channel_trust_score,
        creator_consistency,
        trend_alignment,
        freshness_score
    )
    select
        figure.video_id,
        chosen.analysis_version,
        figure.engagement_rate,
        figure.engagement_score,
        figure.like_score,
        figure.retention_rate,
        figure.retention_score,
        figure.channel_trust_score,
        figure.creator_consistency,
        figure.trend_alignment,
        figure.freshness_score
    from private.quality_figures(held) as figure
    inner join unnest(due, versions) as chosen (video_id, analysis_version) on figure.video_id = chosen.video_id
    order by figure.video_id
    on conflict on constraint a_video_is_scored_once_a_version do update
        set
            engagement_rate = excluded.engagement_rate,
            engagement_score = excluded.engagement_score,
            like_score = excluded.like_score,
            retention_rate = excluded.retention_rate,
            retention_score = excluded.retention_score,
            channel_trust_score = excluded.channel_trust_score,
            creator_consistency = excluded.creator_consistency,
            trend_alignment = excluded.trend_alignment,
            freshness_score = excluded.freshness_score,
            calculated_at = now();
    get diagnostics scored = row_count;
    return jsonb_build_object('scored', scored);
end
$$;
comment on function private.score_videos(integer) is
'Computes anew the scores of videos that changed, were watched, trend or trended, or have grown older by a day, in '
'the row of their newest analysis: at most batch_size of them.';

create function private.version_order(analysis_version text)
returns numeric[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        array(
            select part.digits[1]::numeric
            from regexp_matches(analysis_version, '[0-9]+', 'g') with ordinality as part (digits, place)
            order by part.place
        )
$$;
comment on function private.version_order(text) is 'What versions are compared by, their numbers: v10.0 is after v9.1.';

create function private.check_ai_analysis(
    analysis jsonb,
    analysis_version text,
    confidence double precision,
    scores jsonb
)
returns void
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    known constant text[] := array[
        'content_quality_score',
        'thumbnail_attractiveness',
        'title_effectiveness',
        'viral_potential',
        'audio_quality',
        'video_quality',
        'relevance_score',
        'overall_quality_score'
    ];
    wrong text;
begin
    if coalesce(length(check_ai_analysis.analysis_version) not between 1 and 20, true) then
        raise exception using
            errcode = 'PT400',
            message = 'The version of the analysis is not 1 to 20 characters.',
            hint = 'Send one such as v1.0, or nothing.';
    end if;
    if
        private.is_small(analysis, 'object', 65536) is not true
        or coalesce(jsonb_typeof(analysis -> 'categories') <> 'array', true)
        or coalesce(jsonb_typeof(analysis -> 'keywords') <> 'array', true)
        or coalesce(jsonb_typeof(analysis -> 'emotions') <> 'object', true)
        or jsonb_path_exists(analysis, '$.categories[*] ? (@.type() != "string")')
        or jsonb_path_exists(analysis, '$.keywords[*] ? (@.type() != "string")')
        or jsonb_path_exists(analysis, '$.emotions.* ? (@.type() != "number")')
    then
        raise exception using
            errcode = 'PT400',
            message = 'The analysis is no document of categories, keywords and emotions.',
            detail = format('It is %s.', coalesce(jsonb_typeof(analysis), 'missing')),
            hint = 'Send {"categories": [texts], "keywords": [texts], "emotions": {name: number}}, all three and at most '
            '65,536 characters.';
    end if;
    if confidence not between 0 and 1 then
        raise exception using
            errcode = 'PT400',
            message = 'The confidence is not from 0 to 1.',
            detail = format('It is %s.', confidence),
            hint = 'Send a number from 0 to 1, or nothing.';
    end if;
    if jsonb_typeof(scores) = 'object' then
        select left(given.key, 100)
        into wrong
        from jsonb_each(scores) as given
        where
            given.key <> all(known)
            or not jsonb_path_exists(given.value, 'strict $ ? (@.type() == "number" && @ >= 0 && @ <= 1)')
        order by given.key
        limit 1;
    elsif scores is not null then
        wrong := 'no object';
    end if;
    if wrong is not null then
        raise exception using
            errcode = 'PT400',
            message = 'The scores are not an AI''s, each from 0 to 1.',
            detail = format('The first that is not: %s.', wrong),
            hint = format('Send an object with any of %s, or nothing.', array_to_string(known, ', '));
    end if;
end
$$;
comment on function private.check_ai_analysis(jsonb, text, double precision, jsonb) is
'Refuses what is no whole answer of an AI. What is computed here, such as engagement_rate, is not the AI''s to say.';

create function public.set_ai_analysis(
    video_id text,
    analysis jsonb,
    analysis_version text default 'v1.0',
    confidence double precision default null,
    scores jsonb default null
)
returns boolean
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    known public.video_quality_scores;
    newest public.video_quality_scores;
    is_old boolean;
begin
    perform private.check_ai_analysis(
        set_ai_analysis.analysis,
        set_ai_analysis.analysis_version,
        set_ai_analysis.confidence,
        set_ai_analysis.scores
    );
    -- One answer of a video after the other, since which is older depends on what is stored. The video before its
    -- scores: the order in which all that scores takes them.
    perform
    from public.cached_videos as video
    where video.video_id = set_ai_analysis.video_id
    for no key update;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'The video is not known.',
            hint = 'Ingest it first.';
    end if;
    select score.*
    into newest
    from public.video_quality_scores as score
    where
        score.video_id = set_ai_analysis.video_id
        and score.answered_at is not null
    order by
        score.analyzed_at desc,
        score.analysis_version desc
    limit 1;
    select score.*
    into known
    from public.video_quality_scores as score
    where
        score.video_id = set_ai_analysis.video_id
        and score.analysis_version = set_ai_analysis.analysis_version;
    is_old := coalesce(
        private.version_order(set_ai_analysis.analysis_version) < private.version_order(newest.analysis_version),
        false
    );

    if
        known.answered_at is null
        or known.confidence_level <> coalesce(set_ai_analysis.confidence, known.confidence_level)
        or exists (
            select
            from jsonb_each_text(set_ai_analysis.scores) as given
            where
                case
                    when given.key in ('audio_quality', 'video_quality', 'relevance_score')
                        then (to_jsonb(known) ->> given.key)::numeric is distinct from round(given.value::numeric, 2)
                    else (to_jsonb(known) ->> given.key)::double precision <> given.value::double precision
                end
        )
        or (
            not is_old
            and exists (
                select
                from public.cached_videos as video
                where
                    video.video_id = set_ai_analysis.video_id
                    and video.ai_analysis is distinct from set_ai_analysis.analysis
            )
        )
    then
        insert into public.video_quality_scores as stored (
            video_id,
            analysis_version,
            confidence_level,
            content_quality_score,
            thumbnail_attractiveness,
            title_effectiveness,
            viral_potential,
            overall_quality_score,
            audio_quality,
            video_quality,
            relevance_score,
            engagement_rate,
            engagement_score,
            like_score,
            retention_rate,
            retention_score,
            channel_trust_score,
            creator_consistency,
            trend_alignment,
            freshness_score,
            analyzed_at,
            answered_at
        )
        select
            figure.video_id,
            set_ai_analysis.analysis_version,
            coalesce(set_ai_analysis.confidence, 0),
            coalesce((set_ai_analysis.scores ->> 'content_quality_score')::double precision, 0),
            coalesce((set_ai_analysis.scores ->> 'thumbnail_attractiveness')::double precision, 0),
            coalesce((set_ai_analysis.scores ->> 'title_effectiveness')::double precision, 0),
            coalesce((set_ai_analysis.scores ->> 'viral_potential')::double precision, 0),
            coalesce((set_ai_analysis.scores ->> 'overall_quality_score')::double precision, 0),
            (set_ai_analysis.scores ->> 'audio_quality')::numeric,
            (set_ai_analysis.scores ->> 'video_quality')::numeric,
            (set_ai_analysis.scores ->> 'relevance_score')::numeric,
            figure.engagement_rate,
            figure.engagement_score,
            figure.like_score,
            figure.retention_rate,
            figure.retention_score,
            figure.channel_trust_score,
            figure.creator_consistency,
            figure.trend_alignment,
            figure.freshness_score,
            -- What comes late is older than what is there.
            case when is_old then newest.analyzed_at - interval '1 microsecond' else now() end,
            now()
        from private.quality_figures(array[set_ai_analysis.video_id]) as figure
        on conflict on constraint a_video_is_scored_once_a_version do update
            set
                confidence_level = coalesce(set_ai_analysis.confidence, stored.confidence_level),
                content_quality_score = coalesce(
                    (set_ai_analysis.scores ->> 'content_quality_score')::double precision,
                    stored.content_quality_score
                ),
                thumbnail_attractiveness = coalesce(
                    (set_ai_analysis.scores ->> 'thumbnail_attractiveness')::double precision,
                    stored.thumbnail_attractiveness
                ),
                title_effectiveness = coalesce(
                    (set_ai_analysis.scores ->> 'title_effectiveness')::double precision,
                    stored.title_effectiveness
                ),
                viral_potential = coalesce(
                    (set_ai_analysis.scores ->> 'viral_potential')::double precision,
                    stored.viral_potential
                ),
                overall_quality_score = coalesce(
                    (set_ai_analysis.scores ->> 'overall_quality_score')::double precision,
                    stored.overall_quality_score
                ),
                audio_quality = coalesce(excluded.audio_quality, stored.audio_quality),
                video_quality = coalesce(excluded.video_quality, stored.video_quality),
                relevance_score = coalesce(excluded.relevance_score, stored.relevance_score),
                engagement_rate = excluded.engagement_rate,
                engagement_score = excluded.engagement_score,
                like_score = excluded.like_score,
                retention_rate = excluded.retention_rate,
                retention_score = excluded.retention_score,
                channel_trust_score = excluded.channel_trust_score,
                creator_consistency = excluded.creator_consistency,
                trend_alignment = excluded.trend_alignment,
                freshness_score = excluded.freshness_score,
                analyzed_at = case when is_old then stored.analyzed_at else excluded.analyzed_at end,
                answered_at = excluded.answered_at,
                calculated_at = now();
    end if;
    if not is_old then
        update public.cached_videos as video
        set ai_analysis = set_ai_analysis.analysis
        where
            video.video_id = set_ai_analysis.video_id
            and video.ai_analysis is distinct from set_ai_analysis.analysis;
    end if;
    return not is_old;
end
$$;
comment on function public.set_ai_analysis(text, jsonb, text, double precision, jsonb) is
'Stores what an AI says of a video: the document whole, its scores in the one row of that version; the same again '
'changes nothing, what is not given stays. False when a higher version''s document is kept. For the service.';

create function private.plays_in(
    region_restrictions jsonb,
    region text
)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        not coalesce(region_restrictions -> 'blocked' ? region, false)
        and case
            -- YouTube sends one list or the other; an empty one of the allowed, alone, allows nobody.
            when region_restrictions -> 'allowed' <> '[]' or not region_restrictions ? 'blocked'
                then coalesce(region_restrictions -> 'allowed' ? region, true)
            else true
        end
$$;
comment on function private.plays_in(jsonb, text) is
'Whether restrictions, {"allowed": [...], "blocked": [...]}, let a video play in a region. No restrictions allow it.';

create function public.is_playable_in(
    video_id text,
    region text
)
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if coalesce(region !~ '^[A-Z]{2}$', true) then
        raise exception using
            errcode = 'PT400',
            message = 'The region is unknown.',
            detail = format('region is %s.', left(coalesce(region, 'missing'), 100)),
            hint = 'Send an ISO 3166 code of two capital letters.';
    end if;
    return exists (
        select
        from public.cached_videos as video
        where
            video.video_id = is_playable_in.video_id
            and video.is_playable
            and private.plays_in(video.region_restrictions, is_playable_in.region)
    );
end
$$;
comment on function public.is_playable_in(text, text) is
'Whether an embedded player shows the video in a region, such as KR; false for a video that the caller cannot see. '
'For everybody.';

-- supabase/schemas/shorts/27_rollups.sql

-- Promises that the figures of a keyword's day are those of its interactions, however often they are counted.

create function private.rollup_keyword_metrics(day date)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    begins timestamptz := day::timestamp at time zone 'Asia/Seoul';
    ends timestamptz := begins + interval '24 hours';
    answer jsonb;
begin
    -- After 90 days the searches are archived, and no interaction knows its keyword any more.
    if coalesce(begins < now() - interval '90 days', true) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The day is too long ago to be counted again.',
            detail = format('The day is %s.', coalesce(day::text, 'missing')),
            hint = 'Pass a day of the last 90; older figures stay as they are.';
    end if;

    -- What is said to the AI is a conversation and no keyword. Words as typed are counted first, which is cheap.
    with searched_words as (
        select
            session.search_query as words,
            count(*) as searches,
            sum(session.results_clicked) as clicks,
            count(distinct session.user_id) as people
        from public.search_sessions as session
        where
            session.session_started_at >= begins
            and session.session_started_at < ends
            and session.search_type <> 'ai_chat'
        group by session.search_query
    ),

    searched as (
        select
            left(private.normalize_keyword(searched_words.words), 255) as keyword,
            sum(searched_words.searches) as searches,
            sum(searched_words.clicks) as clicks,
            max(searched_words.people) as people
        from searched_words
        group by left(private.normalize_keyword(searched_words.words), 255)
    ),

    watched_words as (
        select
            session.search_query as words,
            count(*) filter (where interaction.interaction_type = 'view') as views,
            count(*) filter (where interaction.interaction_type = 'like') as likes,
            count(*) filter (where interaction.interaction_type = 'skip') as skips,
            sum(interaction.watch_duration) as seconds,
            sum(interaction.completion_rate) filter (where interaction.interaction_type = 'view') as completions,
            count(distinct interaction.user_id) as people
        from public.video_interactions as interaction
        inner join public.search_sessions as session
            on
                interaction.session_id = session.id
                and interaction.session_started_at = session.session_started_at
                -- Said again for the planner, which skips whole months by it.
                and session.session_started_at >= begins - interval '91 days'
                and session.session_started_at < ends + interval '1 day'
        where
            interaction.created_at >= begins
            and interaction.created_at < ends
            and session.search_type <> 'ai_chat'
        group by session.search_query
    ),

    watched as (
        select
            left(private.normalize_keyword(watched_words.words), 255) as keyword,
            sum(watched_words.views) as views,
            sum(watched_words.likes) as likes,
            sum(watched_words.skips) as skips,
            sum(watched_words.seconds) as seconds,
            round(sum(watched_words.completions) / nullif(sum(watched_words.views), 0), 2) as completion,
            max(watched_words.people) as people
        from watched_words
        group by left(private.normalize_keyword(watched_words.words), 255)
    ),

    counted as materialized (
        select
            coalesce(searched.keyword, watched.keyword) as keyword,
            -- Of the spelling that most people used, so rather too few than too many.
            greatest(searched.people, watched.people, 0)::integer as people,
            least(coalesce(searched.searches, 0), 2147483647)::integer as searches,
            least(coalesce(searched.clicks, 0), 2147483647)::integer as clicks,
            least(coalesce(watched.views, 0), 2147483647)::integer as views,
            least(coalesce(watched.likes, 0), 2147483647)::integer as likes,
            least(coalesce(watched.seconds, 0), 2147483647)::integer as seconds,
            watched.completion,
            round(least(watched.likes, watched.views) / nullif(watched.views, 0), 2) as like_rate,
            round(watched.skips / nullif(watched.views + watched.skips, 0), 2) as skip_rate
        from searched
        full outer join watched on searched.keyword = watched.keyword
        where coalesce(searched.keyword, watched.keyword) <> ''
    ),

    performance as (
        insert into public.keyword_performance_cache as stored (
            keyword,
            date,
            total_views,
            avg_completion_rate,
            total_likes,
            people
        )
        select
            counted.keyword,
            day,
            counted.views,
            counted.completion,
            counted.likes,
            counted.people
        from counted
        where counted.views > 0
        order by counted.keyword
        on conflict on constraint keyword_performance_cache_pkey do update
            set
                total_views = excluded.total_views,
                avg_completion_rate = excluded.avg_completion_rate,
                total_likes = excluded.total_likes,
                people = excluded.people
            where
                (stored.total_views, stored.avg_completion_rate, stored.total_likes, stored.people)
                is distinct from (
                    excluded.total_views, excluded.avg_completion_rate, excluded.total_likes, excluded.people
                )
        returning stored.keyword
    ),

    effectiveness as (
        insert into public.keyword_effectiveness as stored (
            keyword,
            date,
            search_count,
            click_count,
            total_watch_time,
            avg_completion_rate,
            like_rate,
            skip_rate,
            people
        )
        select
            counted.keyword,
            day,
            counted.searches,
            counted.clicks,
            counted.seconds,
            counted.completion,
            counted.like_rate,
            counted.skip_rate,
            counted.people
        from counted
        order by counted.keyword
        on conflict on constraint keyword_effectiveness_pkey do update
            set
                search_count = excluded.search_count,
                click_count = excluded.click_count,
                total_watch_time = excluded.total_watch_time,
                avg_completion_rate = excluded.avg_completion_rate,
                like_rate = excluded.like_rate,
                skip_rate = excluded.skip_rate,
                people = excluded.people
            where
                (
                    stored.search_count,
                    stored.click_count,
                    stored.total_watch_time,
                    stored.avg_completion_rate,
                    stored.like_rate,
                    stored.skip_rate,
                    stored.people
                ) is distinct from (
                    excluded.search_count,
                    excluded.click_count,
                    excluded.total_watch_time,
                    excluded.avg_completion_rate,
                    excluded.like_rate,
                    excluded.skip_rate,
                    excluded.people
                )
        returning stored.keyword
    ),

    -- What is not there any more: a person was erased, and what they did with them.
    vanished_performance as (
        delete from public.keyword_performance_cache as stored
        where
            stored.date = day
            and not exists (
                select
                from counted
                where
                    counted.keyword = stored.keyword
                    and counted.views > 0
            )
        returning stored.keyword
    ),

    vanished_effectiveness as (
        delete from public.keyword_effectiveness as stored
        where
            stored.date = day
            and not exists (
                select
                from counted
                where counted.keyword = stored.keyword
            )
        returning stored.keyword
    )

    select
        jsonb_build_object(
            'written',
            (select count(*) from performance) + (select count(*) from effectiveness),
            'removed',
            (select count(*) from vanished_performance) + (select count(*) from vanished_effectiveness)
        )
    into answer;
    return answer;
end
$$;
comment on function private.rollup_keyword_metrics(date) is
'Counts one day in Korea, by when things were stored, into keyword_performance_cache (keywords that were viewed) and '
'keyword_effectiveness (those that were searched or led to anything). Again changes nothing but what has changed.';

-- supabase/schemas/shorts/28_search_patterns.sql

-- Promises that a person's habits follow what they do, a bounded number of people at a time.

create function private.analyze_search_patterns(batch_size integer default 5000)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    analyzed bigint;
begin
    -- Eight days back: a job that stood still for a week misses nobody, and a month that is past is not read.
    with active as (
        select
            activity.user_id,
            max(activity.at) as at
        from (
            select
                session.user_id,
                session.updated_at as at
            from public.search_sessions as session
            where session.session_started_at > now() - interval '8 days'
            union all
            select
                interaction.user_id,
                interaction.created_at as at
            from public.video_interactions as interaction
            where interaction.created_at > now() - interval '8 days'
        ) as activity
        where activity.user_id is not null
        group by activity.user_id
    ),

    due as materialized (
        select
            pattern.user_id,
            pattern.search_intent_distribution
        from active
        inner join public.user_search_patterns as pattern on active.user_id = pattern.user_id
        where
            -- A minute, for what had begun before the last run and was committed after it.
            pattern.last_analyzed_at is null
            or active.at > pattern.last_analyzed_at - interval '1 minute'
        order by
            pattern.last_analyzed_at asc nulls first,
            pattern.user_id asc
        limit analyze_search_patterns.batch_size
        for update of pattern skip locked
    ),

    recent as materialized (
        select
            session.user_id,
            session.search_type,
            session.search_intent,
            session.results_shown,
            session.results_clicked,
            session.session_started_at at time zone 'Asia/Seoul' as korean_time
        from due
        inner join public.search_sessions as session on due.user_id = session.user_id
        where session.session_started_at > now() - interval '90 days'
    ),

    totals as (
        select
            kept.user_id,
            count(*) as searches,
            count(*) filter (where kept.search_type = 'ai_chat') as ai_searches
        from (
            select
                session.user_id,
                session.search_type
            from due
            inner join public.search_sessions as session on due.user_id = session.user_id
            union all
            select
                archived.user_id,
                archived.search_type
            from due
            inner join private.search_sessions_archive as archived on due.user_id = archived.user_id
        ) as kept
        group by kept.user_id
    ),

    searches as (
        select
            recent.user_id,
            round(avg(recent.results_clicked))::integer as avg_clicked,
            round(
                least(sum(recent.results_clicked), sum(recent.results_shown))::numeric
                / nullif(sum(recent.results_shown), 0),
                4
            ) as click_through_rate
        from recent
        group by recent.user_id
    ),

    hours as (
        select
            due.user_id,
            array_agg(coalesce(counted.searches, 0)::integer order by hour.number) as pattern
        from due
        cross join generate_series(0, 23) as hour (number)
        left join (
            select
                recent.user_id,
                extract(hour from recent.korean_time)::integer as number,
                count(*) as searches
            from recent
            group by
                recent.user_id,
                extract(hour from recent.korean_time)
        ) as counted
            on
                due.user_id = counted.user_id
                and hour.number = counted.number
        group by due.user_id
    ),

    -- Each share is the difference of two rounded running shares: they sum to exactly 1.
    intents as (
        select
            shared.user_id,
            jsonb_object_agg(shared.name, round(shared.until, 4) - round(shared.since, 4)) as distribution
        from (
            select
                counted.user_id,
                counted.name,
                sum(counted.searches) over upwards / sum(counted.searches) over everything as until,
                (sum(counted.searches) over upwards - counted.searches)
                / sum(counted.searches) over everything as since
            from (
                select
                    due.user_id,
                    intent.name,
                    intent.place,
                    count(recent.user_id) as searches
                from due
                cross join unnest(
                    array['entertainment', 'education', 'mood_boost', 'trend_following', 'discovery']
                ) with ordinality as intent (name, place)
                left join recent
                    on
                        due.user_id = recent.user_id
                        and intent.name = recent.search_intent
                where
                    exists (
                        select
                        from recent as known
                        where
                            known.user_id = due.user_id
                            and known.search_intent is not null
                    )
                group by
                    due.user_id,
                    intent.name,
                    intent.place
            ) as counted
            window
                everything as (partition by counted.user_id),
                upwards as (partition by counted.user_id order by counted.place)
        ) as shared
        group by shared.user_id
    ),

    watched as (
        select
            interaction.user_id,
            round(
                avg(interaction.completion_rate) filter (where interaction.interaction_type = 'view'), 4
            ) as completion_rate,
            round(
                least(
                    count(*) filter (where interaction.interaction_type = 'like'),
                    count(*) filter (where interaction.interaction_type = 'view')
                )::numeric
                / nullif(count(*) filter (where interaction.interaction_type = 'view'), 0),
                4
            ) as like_rate
        from due
        inner join public.video_interactions as interaction on due.user_id = interaction.user_id
        where interaction.created_at > now() - interval '90 days'
        group by interaction.user_id
    ),

    -- A day that nobody came back after is judged once seven days have passed.
    returning_days as (
        select
            spaced.user_id,
            round(
                count(*) filter (where spaced.next_day <= spaced.day + 7)::numeric
                / nullif(
                    count(*) filter (
                        where spaced.next_day is not null or spaced.day < private.korean_day() - 7
                    ),
                    0
                ),
                4
            ) as return_rate
        from (
            select
                active_day.user_id,
                active_day.day,
                lead(active_day.day) over (partition by active_day.user_id order by active_day.day) as next_day
            from (
                select distinct
                    recent.user_id,
                    recent.korean_time::date as day
                from recent
            ) as active_day
        ) as spaced
        group by spaced.user_id
    ),

    written as (
        update public.user_search_patterns as stored
        set
            total_searches = coalesce(totals.searches, 0),
            ai_searches_used = coalesce(totals.ai_searches, 0),
            avg_results_clicked = coalesce(searches.avg_clicked, 0),
            hourly_activity_pattern = hours.pattern,
            search_intent_distribution = coalesce(intents.distribution, due.search_intent_distribution),
            interaction_patterns = jsonb_build_object(
                'click_through_rate', coalesce(searches.click_through_rate, 0),
                'video_completion_rate', coalesce(watched.completion_rate, 0),
                'like_rate', coalesce(watched.like_rate, 0),
                'return_rate', coalesce(returning_days.return_rate, 0)
            ),
            last_analyzed_at = now()
        from due
        inner join hours on due.user_id = hours.user_id
        left join totals on due.user_id = totals.user_id
        left join searches on due.user_id = searches.user_id
        left join intents on due.user_id = intents.user_id
        left join watched on due.user_id = watched.user_id
        left join returning_days on due.user_id = returning_days.user_id
        where stored.user_id = due.user_id
        returning stored.user_id
    )

    select count(*)
    into analyzed
    from written;
    return jsonb_build_object('people', analyzed);
end
$$;
comment on function private.analyze_search_patterns(integer) is
'Computes the habits of people who searched or watched since they were last looked at, who waited longest first. '
'Totals are over all kept searches, the archived ones too; everything else is over 90 days. click_through_rate: '
'clicked of shown. like_rate: likes per view. return_rate: days of searching that another one follows within 7 days. '
'Intents keep what they were until the person names one.';

-- supabase/schemas/shorts/29_archive.sql

-- Promises that old searches leave the hot table without being lost, and that no old row keeps a month from going.

create function private.archive_search_sessions(
    at timestamptz default now(),
    batch_size integer default 10000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with moved as (
        delete from public.search_sessions as stored
        where
            stored.session_started_at < archive_search_sessions.at - interval '90 days'
            and (stored.id, stored.session_started_at) in (
                select
                    old.id,
                    old.session_started_at
                from public.search_sessions as old
                where old.session_started_at < archive_search_sessions.at - interval '90 days'
                limit archive_search_sessions.batch_size
                for update skip locked
            )
        returning stored.*
    ),

    archived as (
        insert into private.search_sessions_archive (
            id,
            user_id,
            search_query,
            search_type,
            search_intent,
            user_context,
            results_count,
            results_shown,
            results_clicked,
            response_time_ms,
            cache_hit,
            api_cost_units,
            user_satisfaction_rating,
            session_outcome,
            session_started_at,
            session_ended_at,
            created_at,
            session_id,
            conversation_context
        )
        select
            moved.id,
            moved.user_id,
            moved.search_query,
            moved.search_type,
            moved.search_intent,
            moved.user_context,
            moved.results_count,
            moved.results_shown,
            moved.results_clicked,
            moved.response_time_ms,
            moved.cache_hit,
            moved.api_cost_units,
            moved.user_satisfaction_rating,
            moved.session_outcome,
            moved.session_started_at,
            moved.session_ended_at,
            moved.created_at,
            moved.session_id,
            moved.conversation_context
        from moved
        where moved.session_started_at >= archive_search_sessions.at - interval '12 months'
        returning id
    ),

    purged as (
        delete from private.search_sessions_archive as stored
        where
            (stored.id, stored.session_started_at) in (
                select
                    old.id,
                    old.session_started_at
                from private.search_sessions_archive as old
                where old.session_started_at < archive_search_sessions.at - interval '12 months'
                order by old.session_started_at
                limit archive_search_sessions.batch_size
            )
        returning stored.id
    )

    select
        jsonb_build_object(
            'archived', (select count(*) from archived),
            'purged', (select count(*) from purged) + (select count(*) from moved) - (select count(*) from archived)
        )
$$;
comment on function private.archive_search_sessions(timestamptz, integer) is
'Moves searches older than 90 days to private.search_sessions_archive, and forgets what is there for more than 12 '
'months. What was watched stays, without its search. One statement: no search is in both places.';

create function private.prune_watch_events(
    at timestamptz default now(),
    batch_size integer default 100000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '2s'
language plpgsql
as $$
declare
    expires_before timestamptz;
    expired regclass;
    emptied integer := 0;
    pruned bigint := 0;
begin
    -- The newest bound of the months of interactions that are about to be dropped; on most days there is none.
    select max(month.upper_bound)
    into expires_before
    from ops.partition_policies as policy
    cross join private.partitions_of('public.video_interactions') as month
    where
        policy.parent_schema = 'public'
        and policy.parent_table = 'video_interactions'
        and month.upper_bound <= prune_watch_events.at - policy.retention;
    if expires_before is null then
        return jsonb_build_object('emptied', 0, 'pruned', 0);
    end if;

    -- Months of events that go the same night, but after those of interactions, whose rows they refer to.
    for expired in
        select month.child
        from ops.partition_policies as policy
        cross join private.partitions_of('public.watch_events') as month
        where
            policy.parent_schema = 'public'
            and policy.parent_table = 'watch_events'
            and month.upper_bound <= prune_watch_events.at - policy.retention
    loop
        execute format('truncate %s', expired);
        emptied := emptied + 1;
    end loop;

    -- Of an interaction's last minutes some happened in the next month: at most a day, as its constraint says.
    delete from public.watch_events as stored
    where
        stored.event_timestamp < expires_before + interval '24 hours'
        and (stored.id, stored.event_timestamp) in (
            select
                event.id,
                event.event_timestamp
            from public.watch_events as event
            where
                event.interaction_created_at < expires_before
                and event.event_timestamp <= expires_before + interval '24 hours'
            limit prune_watch_events.batch_size
        );
    get diagnostics pruned = row_count;
    return jsonb_build_object('emptied', emptied, 'pruned', pruned);
end
$$;
comment on function private.prune_watch_events(timestamptz, integer) is
'Removes the events of interactions whose month is about to be dropped: a foreign key would else keep that month. '
'Returns how many months of events were emptied, and how many younger events were deleted.';

-- supabase/schemas/shorts/29_purge.sql

-- Promises that what YouTube's API said is gone after 30 days unless it was said again: ids stay, and what people did.

-- What is left to purge, and nothing else: an empty night reads one page of each.
create index cached_videos_to_purge on public.cached_videos (collected_at)
where purged_at is null;
create index cached_channels_to_purge on public.cached_channels (last_updated);
create index keyword_signals_to_purge on private.keyword_signals (bucket)
where views is not null and data_source <> 'internal';

create function private.longest_api_data()
returns interval
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select interval '720 hours'
$$;
comment on function private.longest_api_data() is
'How long data of YouTube''s API may be kept without asking again: 30 days, by its developer policies, III.E.4.';

create function private.purge_videos(
    before timestamptz,
    batch_size integer
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    held text[];
    busy text[];
    referred text[];
    emptied integer;
    deleted integer;
begin
    -- Waits for nobody: what is being written or referred to just now is left to the next run. Who waits for nobody
    -- is part of no circle, in whatever order ingest, folds, analyses and erasures lock the same rows.
    select array_agg(locked.video_id)
    into held
    from (
        select video.video_id
        from public.cached_videos as video
        where
            video.purged_at is null
            and video.collected_at < purge_videos.before
        order by video.collected_at
        limit purge_videos.batch_size
        for update skip locked
    ) as locked;
    if held is null then
        return jsonb_build_object('videos_deleted', 0, 'videos_emptied', 0);
    end if;

    -- Nobody can add to the held ones. What others hold of their mappings and scores keeps a video for the next run.
    with mappings as materialized (
        select mapping.id
        from public.keyword_video_mappings as mapping
        where mapping.video_id = any(held)
        order by
            mapping.keyword,
            mapping.video_id
        for update skip locked
    ),

    scores as materialized (
        select score.id
        from public.video_quality_scores as score
        where score.video_id = any(held)
        order by score.id
        for update skip locked
    )

    select array_agg(waiting.video_id)
    into busy
    from (
        select mapping.video_id
        from public.keyword_video_mappings as mapping
        where
            mapping.video_id = any(held)
            and mapping.id not in (
                select mappings.id
                from mappings
            )
        union
        select score.video_id
        from public.video_quality_scores as score
        where
            score.video_id = any(held)
            and score.id not in (
                select scores.id
                from scores
            )
    ) as waiting;
    if busy is not null then
        held := array(
            select ready.video_id
            from unnest(held) as ready (video_id)
            where ready.video_id <> all(busy)
        );
    end if;

    -- Asked after they are held: from now on nobody can refer to them.
    select array_agg(used.video_id)
    into referred
    from unnest(held) as used (video_id)
    where
        exists (
            select
            from public.video_interactions as interaction
            where interaction.video_id = used.video_id
        )
        or exists (
            select
            from public.user_feedback as feedback
            where feedback.video_id = used.video_id
        )
        or exists (
            select
            from private.playback_errors as report
            where report.video_id = used.video_id
        );

    delete from public.keyword_video_mappings as mapping
    where mapping.video_id = any(referred);
    delete from public.video_quality_scores as score
    where score.video_id = any(referred);
    update public.cached_videos as video
    set
        title = video.video_id,
        description = null,
        channel_id = null,
        channel_name = null,
        duration = null,
        view_count = null,
        like_count = null,
        comment_count = null,
        is_embeddable = false,
        region_restrictions = '{}',
        privacy_status = 'private',
        thumbnail_url = null,
        channel_thumbnail_url = null,
        category_id = null,
        category_name = null,
        tags = null,
        ai_analysis = null,
        published_at = null,
        quality_score = null,
        upload_status = null,
        is_age_restricted = null,
        live_broadcast = null,
        purged_at = now()
    where video.video_id = any(referred);
    get diagnostics emptied = row_count;

    delete from public.cached_videos as video
    where
        video.video_id = any(held)
        and video.video_id <> all(coalesce(referred, '{}'));
    get diagnostics deleted = row_count;
    return jsonb_build_object('videos_deleted', deleted, 'videos_emptied', emptied);
end
$$;
comment on function private.purge_videos(timestamptz, integer) is
'Deletes videos that no source spoke of since then; of those that people refer to only the id stays.';

create function private.purge_channels(
    before timestamptz,
    batch_size integer
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    unused text[];
    deleted integer;
    emptied integer;
begin
    select array_agg(locked.channel_id)
    into unused
    from (
        select channel.channel_id
        from public.cached_channels as channel
        where
            channel.last_updated < purge_channels.before
            and not exists (
                select
                from public.cached_videos as video
                where video.channel_id = channel.channel_id
            )
        order by channel.last_updated
        limit purge_channels.batch_size
        for update of channel skip locked
    ) as locked;
    -- Asked again now that it is held: a video may have come in between.
    delete from public.cached_channels as channel
    where
        channel.channel_id = any(unused)
        and not exists (
            select
            from public.cached_videos as video
            where video.channel_id = channel.channel_id
        );
    get diagnostics deleted = row_count;

    with outdated as materialized (
        select channel.channel_id
        from public.cached_channels as channel
        where
            channel.last_updated < purge_channels.before
            and (
                channel.subscriber_count is not null
                or channel.video_count is not null
                or channel.total_view_count is not null
                or channel.upload_frequency is not null
            )
        order by channel.last_updated
        limit purge_channels.batch_size
        for no key update skip locked
    )

    update public.cached_channels as channel
    set
        subscriber_count = null,
        video_count = null,
        total_view_count = null,
        upload_frequency = null
    from outdated
    where channel.channel_id = outdated.channel_id;
    get diagnostics emptied = row_count;
    return jsonb_build_object('channels_deleted', deleted, 'channels_emptied', emptied);
end
$$;
comment on function private.purge_channels(timestamptz, integer) is
'Deletes channels that no source spoke of since then and that have no video; of the others the statistics.';

create function private.purge_signals(
    before timestamptz,
    batch_size integer
)
returns bigint
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with held as materialized (
        select
            signal.region_code,
            signal.data_source,
            signal.bucket,
            signal.keyword
        from private.keyword_signals as signal
        where
            signal.bucket < purge_signals.before
            and signal.views is not null
            and signal.data_source <> 'internal'
        limit purge_signals.batch_size
        for no key update skip locked
    ),

    emptied as (
        update private.keyword_signals as signal
        set views = null
        from held
        where
            signal.region_code = held.region_code
            and signal.data_source = held.data_source
            and signal.bucket = held.bucket
            and signal.keyword = held.keyword
        returning 1
    )

    select count(*)
    from emptied
$$;
comment on function private.purge_signals(timestamptz, integer) is
'Empties the views of older signals, which are figures of an API; how often a keyword was seen is our own count.';

create function private.purge_api_data(
    batch_size integer default 2000,
    at timestamptz default now()
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    before constant timestamptz := purge_api_data.at - private.longest_api_data();
    counts jsonb;
begin
    counts := private.purge_videos(before, purge_api_data.batch_size);
    -- Afterwards, since a channel goes with its last video.
    return
        counts
        || private.purge_channels(before, purge_api_data.batch_size)
        || jsonb_build_object('signals_emptied', private.purge_signals(before, purge_api_data.batch_size * 10));
end
$$;
comment on function private.purge_api_data(integer, timestamptz) is
'Deletes a batch of what YouTube''s API said 30 days before the given time and not since. Returns what it did.';

create function private.api_data_health(at timestamptz)
returns private.health_result
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with before as materialized (
        select api_data_health.at - private.longest_api_data() as moment
    ),

    -- What came in old, from a file, is due the next night.
    overdue as (
        select
            (
                select count(*)
                from public.cached_videos as video
                where
                    video.purged_at is null
                    and video.collected_at < before.moment
                    and video.cached_at < api_data_health.at - interval '25 hours'
            ) as videos,
            (
                select count(*)
                from public.cached_channels as channel
                where
                    channel.last_updated < before.moment - interval '25 hours'
                    and channel.subscriber_count is not null
            ) as channels,
            (
                select count(*)
                from private.keyword_signals as signal
                where
                    signal.bucket < before.moment - interval '25 hours'
                    and signal.views is not null
                    and signal.data_source <> 'internal'
            ) as signals
        from before
    )

    select
        overdue.videos + overdue.channels + overdue.signals = 0 as is_healthy,
        case
            when overdue.videos + overdue.channels + overdue.signals = 0
                then 'Nothing of YouTube''s API is older than 30 days.'
            else format(
                'Older than 30 days and still there: %s videos, %s channels, views of %s signals.',
                overdue.videos, overdue.channels, overdue.signals
            )
        end as detail,
        'Does shorts-purge-api-data run at night? select private.purge_api_data(); by hand takes a batch.' as hint,
        to_jsonb(overdue.*) as measured
    from overdue
$$;
comment on function private.api_data_health(timestamptz) is
'Nothing of YouTube''s API is kept longer than its terms allow.';

-- supabase/schemas/shorts/30_states.sql

-- Promises that what is usual for a keyword is known without reading its past: a state each, carried from hour to hour,
-- the same in whatever order and however often its signals came.

create type private.burst_state as (
    profile real [],
    level double precision,
    variance double precision,
    bins integer
);
comment on type private.burst_state is
'What is usual for a series: a value for each hour of the day in Korea (null: never observed), the level and variance '
'of what is left of a count without it, and how many bins were observed.';

create function private.empty_state()
returns private.burst_state
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select row(array_fill(null::real, array[24]), 0, 0, 0)::private.burst_state
$$;
comment on function private.empty_state() is 'The state of a series that nobody has looked at yet.';

create function private.seasonal_base(state private.burst_state, slot integer)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if state.profile[slot + 1] is not null then
        return state.profile[slot + 1];
    end if;
    -- An hour of the day that was never observed is taken for an average one.
    return coalesce((select avg(seen.value::double precision) from unnest(state.profile) as seen (value)), 0);
end
$$;
comment on function private.seasonal_base(private.burst_state, integer) is
'What the hour of the day (0 to 23 in Korea) makes one expect.';

create function private.usual_mentions(state private.burst_state, slot integer)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return greatest(private.seasonal_base(state, slot) + state.level, 0);
end
$$;
comment on function private.usual_mentions(private.burst_state, integer) is
'How many mentions the state expects in an hour of the day (0 to 23 in Korea).';

create function private.usual_variance(state private.burst_state, usual double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Never less than a count's own chance variation. And a silent past is not a certain one: what was absent from ten
    -- observed hours may well come at 0.3 an hour (the rule of three).
    select greatest(state.variance, usual, 0.3)
$$;
comment on function private.usual_variance(private.burst_state, double precision) is
'How far a count may lie from the usual one by chance, squared.';

create function private.burst_z(state private.burst_state, slot integer, count double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    usual double precision;
begin
    if state.bins = 0 then
        return 0;
    end if;
    usual := private.usual_mentions(state, slot);
    return (count - usual) / sqrt(greatest(state.variance, usual, 0.3));
end
$$;
comment on function private.burst_z(private.burst_state, integer, double precision) is
'Standard deviations of a count above what the state before it expects; 0 while nothing is known.';

create function private.next_state(
    state private.burst_state,
    slot integer,
    count double precision,
    bins_per_slot integer,
    span_bins integer
)
returns private.burst_state
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    base double precision;
    residual double precision;
    weight double precision;
    clipped double precision;
begin
    base := case when state.bins = 0 then count else private.seasonal_base(state, slot) end;
    residual := count - base - state.level;
    -- What has faded away is nothing: Postgres refuses numbers that get too small to hold.
    residual := case when abs(residual) < 1e-12 then 0 else residual end;
    -- One burst must not become the rhythm of the day: what lies far above enters the profile as three deviations.
    clipped := least(count, base + 3 * sqrt(greatest(state.variance, base + state.level, 0.3)));
    -- A source that looks four times a day fills a span of days with fewer bins; at first every bin counts the same.
    weight := greatest(
        2 / (span_bins * greatest(coalesce(cardinality(array_remove(state.profile, null)), 0), 1) / 24.0::float8 + 1),
        1 / (state.bins + 1.0::float8)
    );
    state.level := state.level + weight * residual;
    state.variance := (1 - weight) * (state.variance + weight * residual * residual);
    state.variance := case when state.variance < 1e-12 then 0 else state.variance end;
    base := coalesce(state.profile[slot + 1], clipped);
    base := base + 0.25::float8 / bins_per_slot * (clipped - base);
    state.profile[slot + 1] := case when abs(base) < 1e-12 then 0 else base end;
    state.bins := state.bins + 1;
    return state;
end
$$;
comment on function private.next_state(private.burst_state, integer, double precision, integer, integer) is
'The state after one more bin: the hour of the day (0 to 23 in Korea) and what was counted in it.';

create function private.state_after_silence(
    state private.burst_state,
    silent_bins integer,
    bins_per_slot integer,
    span_bins integer
)
returns private.burst_state
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    seen integer := greatest(coalesce(cardinality(array_remove(state.profile, null)), 0), 1);
    weight double precision := 2 / (span_bins * seen / 24.0::float8 + 1);
    -- So many of the bins still count the same.
    warm integer := greatest(0, least(silent_bins, floor(1 / weight)::integer - state.bins));
    faded double precision;
    kept double precision;
    silence double precision := 0;
    -- A variable is changed in its place; a field of the state would be copied for each hour.
    profile real [] := state.profile;
    value double precision;
begin
    if silent_bins <= 0 then
        return state;
    end if;
    faded := power(1 - 0.25::float8 / bins_per_slot, silent_bins / seen::float8);
    for place in 1..24 loop
        value := profile[place];
        if value <> 0 then
            silence := silence - value;
            profile[place] := case when abs(value) * faded < 1e-12 then 0 else value * faded end;
        end if;
    end loop;
    silence := silence / seen;
    kept := state.bins / greatest(state.bins + warm, 1)::float8 * power(1 - weight, silent_bins - warm);
    state.profile := profile;
    state.variance := kept * (state.variance + (1 - kept) * (state.level - silence) ^ 2);
    state.level := state.level * kept + silence * (1 - kept);
    state.bins := state.bins + silent_bins;
    return state;
end
$$;
comment on function private.state_after_silence(private.burst_state, integer, integer, integer) is
'The state after so many bins that were observed without a mention, at once: as if each hour of the day were an '
'average one. Exact in its weights; see docs/detect.md for how far it is from counting the bins one by one.';

create function private.silent_state(slots integer[], bins integer)
returns private.burst_state
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        row(
            array(
                select case when hour.slot = any(silent_state.slots) then 0 end::real
                from generate_series(0, 23) as hour (slot)
                order by hour.slot
            ),
            0,
            0,
            silent_state.bins
        )::private.burst_state
$$;
comment on function private.silent_state(integer[], integer) is
'The state of what was absent from so many bins, observed in these hours of the day (0 to 23 in Korea).';

create function private.replay_states(
    state private.burst_state,
    last_ordinal integer,
    ordinals integer[],
    slots integer[],
    counts double precision[],
    bins_per_slot integer,
    span_bins integer
)
returns private.burst_state
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    for place in 1..cardinality(counts) loop
        if ordinals[place] > last_ordinal + 1 then
            state := private.state_after_silence(
                state, ordinals[place] - last_ordinal - 1, bins_per_slot, span_bins
            );
        end if;
        state := private.next_state(state, slots[place], counts[place], bins_per_slot, span_bins);
        last_ordinal := ordinals[place];
    end loop;
    return state;
end
$$;
comment on function private.replay_states(
    private.burst_state, integer, integer[], integer[], double precision[], integer, integer
) is
'The state after several bins in the order of time, which are numbered; the state is that after bin last_ordinal. '
'What lies between was observed and silent.';

-- Only these can become trends: an hour with many keywords that are seen once is not read for them.
create index keyword_signals_that_can_ring
on private.keyword_signals (region_code, data_source, bucket, mentions)
where mentions >= 3;

create table private.signal_marks (
    id bigint generated always as identity primary key,
    region_code varchar(2) not null,
    data_source varchar(50) not null,
    bucket timestamptz not null,
    keywords text[] not null
);
alter table private.signal_marks enable row level security;
create index signal_marks_by_time on private.signal_marks (bucket);
comment on table private.signal_marks is
'Which hours and keywords changed since the states were last carried on: written with the signals themselves, taken '
'away by private.fold_keyword_states().';

create table private.observed_bins (
    region_code varchar(2) not null,
    data_source varchar(50) not null,
    bin_seconds integer not null,
    bucket timestamptz not null,
    keywords integer not null,
    mentions bigint not null,
    is_cut boolean not null default false,
    primary key (region_code, data_source, bin_seconds, bucket)
);
alter table private.observed_bins enable row level security;
comment on table private.observed_bins is
'The hours in which a region''s source saw anything. Derived from keyword_signals, which would have to be read whole '
'to know it.';
create index observed_bins_by_time on private.observed_bins (bucket);
comment on column private.observed_bins.keywords is 'How many keywords were seen at least once.';
comment on column private.observed_bins.is_cut is
'Whether keywords of the hour got no state, because it held too many: to have none proves nothing then.';

create table private.keyword_states (
    region_code varchar(2) not null,
    data_source varchar(50) not null,
    bin_seconds integer not null,
    keyword varchar(255) not null,
    last_bucket timestamptz not null,
    state private.burst_state not null,
    primary key (region_code, data_source, bin_seconds, keyword)
)
-- Carried on every hour: room on the page keeps that off the indexes.
with (fillfactor = 70);
alter table private.keyword_states enable row level security;
-- Detection looks for thousands of states at once: hashes are compared several times quicker than letters.
create index keyword_states_by_hash
on private.keyword_states using hash ((region_code || ' ' || data_source || ' ' || keyword));
comment on table private.keyword_states is
'What is usual for a keyword in a region and source, without the newest hour: that one may still be corrected. '
'Derived from keyword_signals.';
comment on column private.keyword_states.last_bucket is
'The last hour in it. Hours after that were silent, and are counted when they matter.';

create table private.state_positions (
    region_code varchar(2) not null,
    data_source varchar(50) not null,
    bin_seconds integer not null,
    newest_bucket timestamptz not null,
    tested_bucket timestamptz,
    primary key (region_code, data_source, bin_seconds)
);
alter table private.state_positions enable row level security;
comment on table private.state_positions is 'The newest observed hour, up to which the states are carried on.';
comment on column private.state_positions.tested_bucket is
'The hour that detection has tested since a signal last came; null when there is something new.';

create function private.mark_signals()
returns trigger
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.signal_marks (region_code, data_source, bucket, keywords)
    select
        changed.region_code,
        changed.data_source,
        changed.bucket,
        array_agg(changed.keyword::text)
    from changed
    group by
        changed.region_code,
        changed.data_source,
        changed.bucket;
    return null;
end
$$;
comment on function private.mark_signals() is
'Notes what a statement changed in keyword_signals, so that nobody has to look for it.';

create trigger mark_inserted
after insert on private.keyword_signals
referencing new table as changed
for each statement
execute function private.mark_signals();
create trigger mark_updated
after update on private.keyword_signals
referencing new table as changed
for each statement
execute function private.mark_signals();
create trigger mark_deleted
after delete on private.keyword_signals
referencing old table as changed
for each statement
execute function private.mark_signals();

create function private.replay_keywords(
    region_code text,
    data_source text,
    keywords text[],
    before timestamptz
)
returns table (
    keyword text,
    last_bucket timestamptz,
    state private.burst_state
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with bins as materialized (
        select
            observed.bucket,
            extract(hour from observed.bucket at time zone 'Asia/Seoul')::integer as slot,
            row_number() over (order by observed.bucket)::integer as ordinal
        from private.observed_bins as observed
        where
            observed.region_code = replay_keywords.region_code
            and observed.data_source = replay_keywords.data_source
            and observed.bin_seconds = 3600
            and observed.bucket < replay_keywords.before
            and observed.bucket >= replay_keywords.before - interval '28 days'
    ),

    event as (
        select
            wanted.keyword,
            bins.bucket,
            bins.slot,
            bins.ordinal,
            signal.mentions
        from unnest(replay_keywords.keywords) as wanted (keyword)
        cross join bins
        -- "offset" makes it one look-up an hour; a join would read all other keywords of the month too.
        cross join lateral (
            select stored.mentions
            from private.keyword_signals as stored
            where
                stored.region_code = replay_keywords.region_code
                and stored.data_source = replay_keywords.data_source
                and stored.bucket = bins.bucket
                and stored.keyword = wanted.keyword
                and stored.mentions > 0
                and stored.bucket < replay_keywords.before
                and stored.bucket >= replay_keywords.before - interval '28 days'
            offset 0
        ) as signal
    ),

    series as (
        select
            event.keyword,
            max(event.bucket) as last_bucket,
            min(event.ordinal) as first_ordinal,
            array_agg(event.ordinal order by event.ordinal) as ordinals,
            array_agg(event.slot order by event.ordinal) as slots,
            array_agg(event.mentions::float8 order by event.ordinal) as counts
        from event
        group by event.keyword
    ),

    -- Who is seen for the first time was silent in every hour before.
    silence as materialized (
        select
            start.first_ordinal,
            private.silent_state(
                array(
                    select distinct bins.slot
                    from bins
                    where bins.ordinal < start.first_ordinal
                ),
                start.first_ordinal - 1
            ) as state
        from (
            select distinct series.first_ordinal
            from series
        ) as start
    )

    select
        series.keyword,
        series.last_bucket,
        private.replay_states(
            silence.state,
            series.first_ordinal - 1,
            series.ordinals,
            series.slots,
            series.counts,
            1,
            336
        ) as state
    from series
    inner join silence on series.first_ordinal = silence.first_ordinal
$$;
comment on function private.replay_keywords(text, text, text[], timestamptz) is
'The states of these keywords before an hour, computed anew from the signals of the 28 days before it.';

create function private.fold_keyword_states(at timestamptz default now(), region text default null)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
-- Tens of thousands of states are sorted in memory, not on disk.
set work_mem = '32MB'
-- A flood comes before its statistics: what was guessed to be few rows must not be compared one by one.
set enable_nestloop = off
language plpgsql
as $$
declare
    -- For each region and source. Of what is late the rest waits for the next run; of what is new it gets no state.
    most_replayed constant integer := 1000;
    most_late constant integer := 50000;
    -- An hour that is carried on.
    most_new constant integer := 50000;
    pair record;
    changed timestamptz[];
    late text[];
    shifted timestamptz;
    newest timestamptz;
    one_count integer;
    one_cut integer;
    folded_count integer := 0;
    replayed_count integer := 0;
    left_count integer := 0;
    cut_count integer := 0;
begin
    if not exists (
        select
        from private.signal_marks as mark
        where
            mark.bucket <= fold_keyword_states.at
            and (fold_keyword_states.region is null or mark.region_code = fold_keyword_states.region)
    ) then
        return jsonb_build_object('folded', 0, 'replayed', 0, 'left', 0, 'cut', 0);
    end if;
    perform pg_advisory_xact_lock(hashtextextended('shorts-fold-keyword-states', 0));

    for pair in
        select
            mark.region_code,
            mark.data_source,
            min(position.newest_bucket) as newest
        from private.signal_marks as mark
        left join private.state_positions as position
            on
                mark.region_code = position.region_code
                and mark.data_source = position.data_source
                and position.bin_seconds = 3600
        where
            mark.bucket <= fold_keyword_states.at
            and (fold_keyword_states.region is null or mark.region_code = fold_keyword_states.region)
        group by
            mark.region_code,
            mark.data_source
        order by
            mark.region_code,
            mark.data_source
    loop
        -- What is taken here was committed with its signals; what comes from now on has a mark of its own.
        with taken as (
            delete from private.signal_marks as mark
            where
                mark.region_code = pair.region_code
                and mark.data_source = pair.data_source
                and mark.bucket <= fold_keyword_states.at
            returning
                mark.bucket,
                mark.keywords
        )

        select
            array_agg(distinct taken.bucket),
            array_agg(distinct told.keyword) filter (where told.keyword is not null)
        into
            changed,
            late
        from taken
        left join lateral unnest(case when taken.bucket < pair.newest then taken.keywords end) as told (keyword) on true;
        continue when changed is null;

        -- Hours that appear in the past, or go from it, are silent ones of every keyword that was carried over them.
        with counted as materialized (
            select
                hour.bucket,
                seen.keywords,
                seen.mentions,
                seen.is_observed,
                known.bucket is not null as is_known
            from unnest(changed) as hour (bucket)
            cross join lateral (
                select
                    count(*) filter (where signal.mentions > 0)::integer as keywords,
                    coalesce(sum(signal.mentions), 0)::bigint as mentions,
                    count(*) > 0 as is_observed
                from private.keyword_signals as signal
                where
                    signal.region_code = pair.region_code
                    and signal.data_source = pair.data_source
                    and signal.bucket = hour.bucket
            ) as seen
            left join private.observed_bins as known
                on
                    known.region_code = pair.region_code
                    and known.data_source = pair.data_source
                    and known.bin_seconds = 3600
                    and hour.bucket = known.bucket
        ),

        stored as (
            insert into private.observed_bins (region_code, data_source, bin_seconds, bucket, keywords, mentions)
            select
                pair.region_code,
                pair.data_source,
                3600,
                counted.bucket,
                counted.keywords,
                counted.mentions
            from counted
            where counted.is_observed
            on conflict on constraint observed_bins_pkey do update
                set
                    keywords = excluded.keywords,
                    mentions = excluded.mentions
        ),

        gone as (
            delete from private.observed_bins as observed
            using counted
            where
                observed.region_code = pair.region_code
                and observed.data_source = pair.data_source
                and observed.bin_seconds = 3600
                and observed.bucket = counted.bucket
                and not counted.is_observed
        )

        select min(counted.bucket)
        into shifted
        from counted
        where
            counted.is_observed <> counted.is_known
            and counted.bucket < pair.newest;

        select max(observed.bucket)
        into newest
        from private.observed_bins as observed
        where
            observed.region_code = pair.region_code
            and observed.data_source = pair.data_source
            and observed.bin_seconds = 3600;

        if newest is null then
            delete from private.keyword_states as stored
            where
                stored.region_code = pair.region_code
                and stored.data_source = pair.data_source
                and stored.bin_seconds = 3600;
            delete from private.state_positions as position
            where
                position.region_code = pair.region_code
                and position.data_source = pair.data_source
                and position.bin_seconds = 3600;
            continue;
        end if;

        select array_agg(distinct stale.keyword)
        into late
        from (
            select told.keyword
            from unnest(late) as told (keyword)
            union all
            select stored.keyword
            from private.keyword_states as stored
            where
                (shifted is not null or newest < pair.newest)
                and stored.region_code = pair.region_code
                and stored.data_source = pair.data_source
                and stored.bin_seconds = 3600
                and (stored.last_bucket > shifted or stored.last_bucket >= newest)
        ) as stale;

        -- A flood of late keywords: those that have a state come first, and of the others only so many.
        if cardinality(late) > most_late then
            one_cut := cardinality(late);
            select array_agg(kept.keyword)
            into late
            from (
                select told.keyword
                from unnest(late) as told (keyword)
                left join private.keyword_states as stored
                    on
                        stored.region_code = pair.region_code
                        and stored.data_source = pair.data_source
                        and stored.bin_seconds = 3600
                        and told.keyword = stored.keyword
                order by stored.keyword is null
                limit greatest(
                    most_late,
                    (
                        select count(*)
                        from private.keyword_states as stored
                        where
                            stored.region_code = pair.region_code
                            and stored.data_source = pair.data_source
                            and stored.bin_seconds = 3600
                    )
                )
            ) as kept;
            cut_count := cut_count + one_cut - cardinality(late);
        end if;

        -- Until it is their turn they may have no state, or an old one.
        if cardinality(late) > most_replayed then
            update private.observed_bins as observed
            set is_cut = true
            where
                observed.region_code = pair.region_code
                and observed.data_source = pair.data_source
                and observed.bin_seconds = 3600
                and observed.bucket < newest
                and observed.bucket = any(changed);
        end if;

        -- Bounded work: the rest is marked again, as changed in an hour that is past.
        if cardinality(late) > most_replayed then
            insert into private.signal_marks (region_code, data_source, bucket, keywords)
            values (
                pair.region_code,
                pair.data_source,
                least(changed[1], newest - interval '1 hour'),
                late[most_replayed + 1:]
            );
            left_count := left_count + cardinality(late) - most_replayed;
            late := late[:most_replayed];
        end if;

        if late is not null then
            with replayed as materialized (
                select *
                from private.replay_keywords(pair.region_code, pair.data_source, late, newest)
            ),

            forgotten as (
                delete from private.keyword_states as stored
                where
                    stored.region_code = pair.region_code
                    and stored.data_source = pair.data_source
                    and stored.bin_seconds = 3600
                    and stored.keyword = any(late)
                    and stored.keyword not in (select replayed.keyword from replayed)
            )

            insert into private.keyword_states (
                region_code,
                data_source,
                bin_seconds,
                keyword,
                last_bucket,
                state
            )
            select
                pair.region_code,
                pair.data_source,
                3600,
                replayed.keyword,
                replayed.last_bucket,
                replayed.state
            from replayed
            on conflict on constraint keyword_states_pkey do update
                set
                    last_bucket = excluded.last_bucket,
                    state = excluded.state;
            replayed_count := replayed_count + cardinality(late);
        end if;

        -- The newest hour is left out: it may still be corrected.
        with bins as materialized (
            select
                observed.bucket,
                observed.is_cut,
                extract(hour from observed.bucket at time zone 'Asia/Seoul')::integer as slot,
                row_number() over (order by observed.bucket)::integer as ordinal
            from private.observed_bins as observed
            where
                observed.region_code = pair.region_code
                and observed.data_source = pair.data_source
                and observed.bin_seconds = 3600
                and observed.bucket < newest
                and observed.bucket >= newest - interval '28 days'
        ),

        event as (
            select
                signal.keyword,
                bins.bucket,
                bins.slot,
                bins.ordinal,
                signal.mentions
            from bins
            cross join lateral (
                select
                    seen.keyword,
                    seen.mentions
                from private.keyword_signals as seen
                where
                    seen.region_code = pair.region_code
                    and seen.data_source = pair.data_source
                    and seen.bucket = bins.bucket
                    and seen.mentions > 0
                offset 0
            ) as signal
            where
                (pair.newest is null or bins.bucket >= pair.newest)
                and not exists (
                    select
                    from unnest(late) as done (keyword)
                    where signal.keyword = done.keyword
                )
        ),

        series as (
            select -- noqa: ST06
                -- Sorted by bytes, which is several times quicker than by letters.
                (event.keyword collate "C") collate "default" as keyword,
                max(event.bucket) as last_bucket,
                min(event.ordinal) as first_ordinal,
                max(event.mentions) as most_mentions,
                array_agg(event.ordinal order by event.ordinal) as ordinals,
                array_agg(event.slot order by event.ordinal) as slots,
                array_agg(event.mentions::float8 order by event.ordinal) as counts
            from event
            group by event.keyword collate "C"
        ),

        placed as materialized (
            select
                series.*,
                stored.keyword is not null as is_known,
                case when last_bin.ordinal is not null then stored.state end as state,
                last_bin.ordinal as last_ordinal
            from series
            left join private.keyword_states as stored
                on
                    stored.region_code = pair.region_code
                    and stored.data_source = pair.data_source
                    and stored.bin_seconds = 3600
                    and series.keyword = stored.keyword
            left join bins as last_bin on stored.last_bucket = last_bin.bucket
        ),

        -- Who is seen for the first time was silent in every hour before.
        silence as materialized (
            select
                start.first_ordinal,
                private.silent_state(
                    array(
                        select distinct bins.slot
                        from bins
                        where bins.ordinal < start.first_ordinal
                    ),
                    start.first_ordinal - 1
                ) as state
            from (
                select distinct placed.first_ordinal
                from placed
                where placed.last_ordinal is null
            ) as start
        ),

        carried as (
            update private.keyword_states as stored
            set
                last_bucket = placed.last_bucket,
                state = private.replay_states(
                    coalesce(placed.state, silence.state),
                    coalesce(placed.last_ordinal, placed.first_ordinal - 1),
                    placed.ordinals,
                    placed.slots,
                    placed.counts,
                    1,
                    336
                )
            from placed
            left join silence
                on
                    placed.last_ordinal is null
                    and placed.first_ordinal = silence.first_ordinal
            where
                placed.is_known
                and stored.region_code = pair.region_code
                and stored.data_source = pair.data_source
                and stored.bin_seconds = 3600
                and stored.keyword = placed.keyword
            returning 1
        ),

        -- Of a flood of new keywords those that are mentioned most get a state. Each is looked for in the hours that were
        -- cut, so the more of these there are, the fewer are taken.
        fresh as materialized (
            select placed.*
            from placed
            where not placed.is_known
            order by placed.most_mentions desc
            limit (
                select
                    greatest(
                        1000,
                        most_new * count(*) filter (where pair.newest is null or bins.bucket >= pair.newest)
                        / (1 + count(*) filter (where bins.is_cut))
                    )
                from bins
            )
        ),

        -- To have no state proves no silence where an hour was cut: these are computed from their signals, in later runs.
        doubtful as materialized (
            select fresh.keyword
            from fresh
            where
                exists (
                    select
                    from bins
                    cross join lateral (
                        select
                        from private.keyword_signals as seen
                        where
                            seen.region_code = pair.region_code
                            and seen.data_source = pair.data_source
                            and seen.bucket = bins.bucket
                            and seen.keyword = fresh.keyword
                            and seen.mentions > 0
                        offset 0
                    ) as signal
                    where
                        bins.is_cut
                        and bins.ordinal < fresh.first_ordinal
                )
        ),

        marked as (
            insert into private.signal_marks (region_code, data_source, bucket, keywords)
            select
                pair.region_code,
                pair.data_source,
                newest - interval '1 hour',
                array_agg(doubtful.keyword::text)
            from doubtful
            having count(*) > 0
        ),

        founded as (
            insert into private.keyword_states (
                region_code,
                data_source,
                bin_seconds,
                keyword,
                last_bucket,
                state
            )
            select
                pair.region_code,
                pair.data_source,
                3600,
                fresh.keyword,
                fresh.last_bucket,
                private.replay_states(
                    silence.state,
                    fresh.first_ordinal - 1,
                    fresh.ordinals,
                    fresh.slots,
                    fresh.counts,
                    1,
                    336
                )
            from fresh
            inner join silence on fresh.first_ordinal = silence.first_ordinal
            where fresh.keyword not in (select doubtful.keyword from doubtful)
            on conflict on constraint keyword_states_pkey do nothing
            returning 1
        )

        select
            (select count(*) from carried) + (select count(*) from founded),
            (select count(*) from placed where not placed.is_known) - (select count(*) from fresh)
        into
            one_count,
            one_cut;
        folded_count := folded_count + one_count;
        cut_count := cut_count + one_cut;

        if one_cut > 0 then
            update private.observed_bins as observed
            set is_cut = true
            where
                observed.region_code = pair.region_code
                and observed.data_source = pair.data_source
                and observed.bin_seconds = 3600
                and observed.bucket < newest
                and (pair.newest is null or observed.bucket >= pair.newest);
        end if;

        insert into private.state_positions (region_code, data_source, bin_seconds, newest_bucket)
        values (pair.region_code, pair.data_source, 3600, newest)
        on conflict on constraint state_positions_pkey do update
            set
                newest_bucket = excluded.newest_bucket,
                tested_bucket = null;
    end loop;
    return jsonb_build_object(
        'folded', folded_count, 'replayed', replayed_count, 'left', left_count, 'cut', cut_count
    );
end
$$;
comment on function private.fold_keyword_states(timestamptz, text) is
'Carries the states on to the newest hour up to the given time, and computes anew those whose past was corrected: at '
'most 1,000 keywords a run in each region and source, the rest in the next. Of a flood of new ones at most 50,000 an '
'hour, those that are mentioned most, get a state. Returns how many were carried on, computed anew, left for the next '
'run and cut.';

create function private.forget_keyword_states(most integer default 50000)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with forgotten as (
        delete from private.keyword_states as stored
        where
            (stored.region_code, stored.data_source, stored.bin_seconds, stored.keyword) in (
                select
                    old.region_code,
                    old.data_source,
                    old.bin_seconds,
                    old.keyword
                from private.keyword_states as old
                inner join private.state_positions as position
                    on
                        old.region_code = position.region_code
                        and old.data_source = position.data_source
                        and old.bin_seconds = position.bin_seconds
                        and old.last_bucket < position.newest_bucket - interval '28 days'
                limit most
            )
        returning 1
    )

    select jsonb_build_object('forgotten', count(*))
    from forgotten
$$;
comment on function private.forget_keyword_states(integer) is
'Deletes states of keywords that were silent for 28 days, at most so many; a silent past needs no row.';

-- supabase/schemas/shorts/31_detectors.sql

-- Promises that a trend is more than chance explains: detectors of one row shape, their false alarms controlled over
-- each run, and no trend made by a single channel.

create table private.detector_settings (
    detector text not null,
    bin_seconds integer not null,
    version text not null,
    least_z double precision not null,
    most_q double precision not null,
    least_mentions integer not null,
    least_usual double precision not null,
    primary key (detector, bin_seconds),
    constraint bin_seconds_is_positive check (bin_seconds > 0),
    constraint most_q_is_a_fraction check (most_q between 0 and 1),
    constraint least_usual_is_positive check (least_usual > 0)
);
alter table private.detector_settings enable row level security;
comment on table private.detector_settings is
'What each detector asks of a trend, by the width of a bin; how it was calibrated is in docs/detect.md.';
comment on column private.detector_settings.version is 'The model_version of its trends: a new one for new settings.';
comment on column private.detector_settings.least_z is 'Standard deviations above the usual count.';
comment on column private.detector_settings.most_q is 'The share of false alarms that a run may promise.';
comment on column private.detector_settings.least_mentions is 'Mentions in the bin itself.';
comment on column private.detector_settings.least_usual is
'What is taken for usual at least: what was never seen is not known to be absent.';
insert into private.detector_settings (detector, bin_seconds, version, least_z, most_q, least_mentions, least_usual)
values
('burst', 3600, 'burst-1', 6, 0.05, 3, 0.4),
('burst', 300, 'burst-1', 9, 0.05, 3, 0.4),
('new', 3600, 'burst-1', 6, 0.05, 3, 0.4),
('spread', 3600, 'burst-1', 3, 0.05, 2, 0.4);

create function private.ln_gamma(x double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    shifted double precision := x;
    product double precision := 1;
begin
    -- Stirling's series is good to 1e-13 from 10 on.
    while shifted < 10 loop
        product := product * shifted;
        shifted := shifted + 1;
    end loop;
    return (shifted - 0.5) * ln(shifted) - shifted + 0.918938533204672742
        + (1 - (1 - (1 - 0.75 / shifted ^ 2) / (3.5 * shifted ^ 2)) / (30 * shifted ^ 2)) / (12 * shifted)
        - ln(product);
end
$$;
comment on function private.ln_gamma(double precision) is 'The logarithm of the gamma function, for x above 0.';

create function private.beta_fraction(a double precision, b double precision, x double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    tiny constant double precision := 1e-300;
    c double precision := 1;
    d double precision := 1 - (a + b) * x / (a + 1);
    result double precision;
    factor double precision;
begin
    d := 1 / case when abs(d) < tiny then tiny else d end;
    result := d;
    for m in 1..2000 loop
        factor := m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d := 1 + factor * d;
        d := 1 / case when abs(d) < tiny then tiny else d end;
        c := 1 + factor / c;
        c := case when abs(c) < tiny then tiny else c end;
        result := result * d * c;
        factor := -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d := 1 + factor * d;
        d := 1 / case when abs(d) < tiny then tiny else d end;
        c := 1 + factor / c;
        c := case when abs(c) < tiny then tiny else c end;
        result := result * d * c;
        exit when abs(d * c - 1) < 1e-10;
    end loop;
    return result;
end
$$;
comment on function private.beta_fraction(double precision, double precision, double precision) is
'The continued fraction of the incomplete beta function (Lentz), for x below (a + 1) / (a + b + 2).';

create function private.count_tail(count double precision, mean double precision, variance double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    -- Nearly no more than its own chance variation: the negative binomial is a Poisson distribution then.
    excess double precision := greatest(variance / mean - 1, 1e-5);
    size double precision := mean / excess;
    x double precision := excess / (1 + excess);
    chance double precision;
begin
    chance := private.ln_gamma(count + size) - private.ln_gamma(size) - private.ln_gamma(count + 1)
        - size * ln(1 + excess) + count * ln(x);
    -- Postgres refuses what a number cannot hold instead of taking it for 0.
    if chance < -700 then
        return case when count > mean then 0 else 1 end;
    end if;
    chance := exp(chance);
    if count = 0 then
        return 1 - chance / 2;
    end if;
    if x < (count + 1) / (count + size + 2) then
        return greatest(chance * (private.beta_fraction(count, size, x) - 0.5), 0);
    end if;
    return 1 - chance * (count / size * private.beta_fraction(size, count, 1 - x) + 0.5);
end
$$;
comment on function private.count_tail(double precision, double precision, double precision) is
'The chance of a count as high as this one or higher (half of the chance of exactly this one: mid-p), when counts are '
'negative binomial with this mean and variance.';

create function private.burst_p(
    count double precision,
    usual double precision,
    variance double precision,
    least_usual double precision
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        private.count_tail(
            burst_p.count,
            greatest(burst_p.usual, burst_p.least_usual),
            greatest(burst_p.variance, burst_p.usual, burst_p.least_usual)
        )
$$;
comment on function private.burst_p(double precision, double precision, double precision, double precision) is
'The chance of a count as high where the usual one is this, or the least that is taken for usual.';

create function private.tested_bins(at timestamptz, region text)
returns table (
    region_code text,
    data_source text,
    bucket timestamptz,
    keywords integer,
    earlier_bins integer,
    slots integer[],
    is_newest boolean
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select -- noqa: ST06
        tested.region_code,
        tested.data_source,
        tested.bucket,
        tested.keywords,
        history.earlier_bins,
        history.slots,
        tested.bucket = position.newest_bucket as is_newest
    from (
        select distinct on (observed.region_code, observed.data_source)
            observed.*
        from private.observed_bins as observed
        where
            observed.bin_seconds = 3600
            and observed.bucket <= tested_bins.at
            and observed.bucket > tested_bins.at - interval '2 hours'
            and (tested_bins.region is null or observed.region_code = tested_bins.region)
        order by
            observed.region_code asc,
            observed.data_source asc,
            observed.bucket desc
    ) as tested
    inner join private.state_positions as position
        on
            tested.region_code = position.region_code
            and tested.data_source = position.data_source
            and tested.bin_seconds = position.bin_seconds
    cross join lateral (
        select
            count(*)::integer as earlier_bins,
            array_agg(distinct extract(hour from earlier.bucket at time zone 'Asia/Seoul')::integer) as slots
        from private.observed_bins as earlier
        where
            tested.region_code = earlier.region_code
            and tested.data_source = earlier.data_source
            and tested.bin_seconds = earlier.bin_seconds
            and earlier.bucket < tested.bucket
            and earlier.bucket >= tested.bucket - interval '28 days'
    ) as history
    -- Less is no history.
    where history.earlier_bins >= 8
$$;
comment on function private.tested_bins(timestamptz, text) is
'The newest hour of each region and source that has a history, if it is no older than two hours.';

create function private.has_untested_bins(at timestamptz, region text)
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        exists (
            select
            from private.tested_bins(has_untested_bins.at, has_untested_bins.region) as tested
            inner join private.state_positions as position
                on
                    tested.region_code = position.region_code
                    and tested.data_source = position.data_source
                    and position.bin_seconds = 3600
            where position.tested_bucket is distinct from tested.bucket
        )
$$;
comment on function private.has_untested_bins(timestamptz, text) is
'Whether a signal came since the newest hours were tested, or the time asked for is past.';

create function private.score_keywords(
    at timestamptz,
    region text,
    is_known boolean,
    keywords text[]
)
returns table (
    keyword text,
    region_code text,
    data_source text,
    bucket timestamptz,
    mentions integer,
    usual_mentions double precision,
    variance double precision,
    z_score double precision,
    earlier_bins integer,
    is_new boolean
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
-- Rows are many and hours few, which the planner cannot know: it would sort all of them.
set enable_mergejoin = off
language sql
as $$
    with bin as materialized (
        select
            tested.*,
            -- By a number rows are joined and sorted several times quicker than by letters.
            row_number() over ()::integer as number,
            extract(hour from tested.bucket at time zone 'Asia/Seoul')::integer as slot,
            -- What has no past was silent in all of it.
            private.silent_state(tested.slots, tested.earlier_bins) as silent_state,
            array(
                select cut.bucket
                from private.observed_bins as cut
                where
                    tested.region_code = cut.region_code
                    and tested.data_source = cut.data_source
                    and cut.bin_seconds = 3600
                    and cut.bucket < tested.bucket
                    and cut.bucket >= tested.bucket - interval '28 days'
                    and cut.is_cut
            ) as cut_buckets
        from private.tested_bins(score_keywords.at, score_keywords.region) as tested
    ),

    candidate as materialized (
        select
            signal.keyword::text as keyword,
            bin.number,
            signal.mentions
        from bin
        cross join lateral (
            select
                stored.keyword,
                stored.mentions
            from private.keyword_signals as stored
            where
                stored.region_code = bin.region_code
                and stored.data_source = bin.data_source
                and stored.bucket = bin.bucket
                and stored.bucket > score_keywords.at - interval '2 hours'
                and stored.bucket <= score_keywords.at
                and stored.mentions >= 3
            -- Of a flood those that are mentioned most; the others only lower the chances of all.
            order by stored.mentions desc
            limit 50000
        ) as signal
        where score_keywords.keywords is null
        union all
        select
            wanted.keyword,
            bin.number,
            signal.mentions
        from unnest(score_keywords.keywords) as wanted (keyword)
        cross join bin
        -- "offset" makes it one look-up each; a join would read all other keywords of the hour too.
        cross join lateral (
            select stored.mentions
            from private.keyword_signals as stored
            where
                stored.region_code = bin.region_code
                and stored.data_source = bin.data_source
                and stored.bucket = bin.bucket
                and stored.keyword = wanted.keyword
                and stored.bucket > score_keywords.at - interval '2 hours'
                and stored.bucket <= score_keywords.at
                and stored.mentions > 0
            offset 0
        ) as signal
    ),

    -- Of an hour that is past the states are gone: they are computed for these few keywords.
    replayed as materialized (
        select
            bin.number,
            replay.keyword,
            replay.last_bucket,
            replay.state
        from bin
        cross join lateral private.replay_keywords(
            bin.region_code,
            bin.data_source,
            (
                select array_agg(candidate.keyword)
                from candidate
                where candidate.number = bin.number
            ),
            bin.bucket
        ) as replay
        where not bin.is_newest
    ),

    known as materialized (
        select
            candidate.keyword,
            candidate.number,
            candidate.mentions,
            bin.cut_buckets,
            -- A state from before all that is looked back on is forgotten.
            case
                when coalesce(stored.last_bucket, replayed.last_bucket) >= bin.bucket - interval '28 days'
                    then coalesce(stored.last_bucket, replayed.last_bucket)
            end as last_bucket,
            coalesce(stored.state, replayed.state) as state
        from candidate
        inner join bin on candidate.number = bin.number
        left join lateral (
            select
                kept.last_bucket,
                kept.state
            from private.keyword_states as kept
            where
                kept.region_code || ' ' || kept.data_source || ' ' || kept.keyword
                = bin.region_code || ' ' || bin.data_source || ' ' || candidate.keyword
                and kept.region_code = bin.region_code
                and kept.data_source = bin.data_source
                and kept.bin_seconds = 3600
                and kept.keyword = candidate.keyword
            offset 0
        ) as stored on bin.is_newest
        left join replayed
            on
                candidate.number = replayed.number
                and candidate.keyword = replayed.keyword
    ),

    -- How many hours were observed since each of the hours that states end with.
    silence as materialized (
        select
            ended.number,
            ended.last_bucket,
            (
                select count(*)::integer
                from private.observed_bins as observed
                where
                    observed.region_code = bin.region_code
                    and observed.data_source = bin.data_source
                    and observed.bin_seconds = 3600
                    and observed.bucket > ended.last_bucket
                    and observed.bucket < bin.bucket
            ) as bins
        from (
            select distinct
                known.number,
                known.last_bucket
            from known
            where known.last_bucket is not null
        ) as ended
        inner join bin on ended.number = bin.number
    ),

    -- Where an hour was cut, who has no state may have been there; the more such hours, the fewer are looked for.
    doubtful as materialized (
        select
            unsure.number,
            unsure.keyword
        from (
            select
                known.number,
                known.keyword,
                known.cut_buckets,
                row_number() over (
                    partition by known.number
                    order by known.mentions desc
                ) as place
            from known
            where
                known.last_bucket is null
                and cardinality(known.cut_buckets) > 0
        ) as unsure
        inner join bin on unsure.number = bin.number
        where
            unsure.place > greatest(1000, 50000 / (1 + cardinality(unsure.cut_buckets)))
            or exists (
                select
                from unnest(unsure.cut_buckets) as cut (bucket)
                cross join lateral (
                    select
                    from private.keyword_signals as seen
                    where
                        seen.region_code = bin.region_code
                        and seen.data_source = bin.data_source
                        and seen.bucket = cut.bucket
                        and seen.keyword = unsure.keyword
                        and seen.mentions > 0
                    offset 0
                ) as signal
            )
    ),

    stated as materialized (
        select
            known.keyword,
            known.number,
            known.mentions,
            known.last_bucket is null as is_new,
            case
                when known.last_bucket is null then bin.silent_state
                when silence.bins = 0 then known.state
                else private.state_after_silence(known.state, silence.bins, 1, 336)
            end as state_before
        from known
        inner join bin on known.number = bin.number
        left join silence
            on
                known.number = silence.number
                and known.last_bucket = silence.last_bucket
        where
            ((known.last_bucket is not null) = score_keywords.is_known or score_keywords.is_known is null)
            and (known.number, known.keyword) not in (
                select
                    doubtful.number,
                    doubtful.keyword
                from doubtful
            )
    ),

    -- The same as private.usual_mentions() and private.usual_variance(): thousands of calls would cost more than all else.
    expected as materialized (
        select
            stated.keyword,
            stated.number,
            stated.mentions,
            stated.is_new,
            (stated.state_before).bins = 0 as is_unknown,
            (stated.state_before).variance as own_variance,
            case
                when (stated.state_before).profile[bin.slot + 1] is not null
                    then
                        greatest(
                            (stated.state_before).profile[bin.slot + 1]::float8 + (stated.state_before).level,
                            0
                        )
                else private.usual_mentions(stated.state_before, bin.slot)
            end as usual_mentions
        from stated
        inner join bin on stated.number = bin.number
    )

    select
        expected.keyword,
        bin.region_code,
        bin.data_source,
        bin.bucket,
        expected.mentions,
        expected.usual_mentions,
        greatest(expected.own_variance, expected.usual_mentions, 0.3) as variance,
        case
            when expected.is_unknown then 0
            else
                (expected.mentions - expected.usual_mentions)
                / sqrt(greatest(expected.own_variance, expected.usual_mentions, 0.3))
        end as z_score,
        bin.earlier_bins,
        expected.is_new
    from expected
    inner join bin on expected.number = bin.number
$$;
comment on function private.score_keywords(timestamptz, text, boolean, text[]) is
'What was counted in the newest hour beside what its past makes usual: of these keywords, or of all that can become '
'trends; with a past (true), without (false) or either (null).';

create function private.detect_alone(at timestamptz, region text)
returns table (
    keyword text,
    region_code text,
    data_source text,
    detector text,
    bucket timestamptz,
    mentions integer,
    usual_mentions double precision,
    z_score double precision,
    p_value double precision,
    evidence jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with scored as materialized (
        select *
        from private.score_keywords(detect_alone.at, detect_alone.region, null, null) as score
        -- The others have larger p-values, and no chance.
        where score.z_score >= 2
    )

    select
        scored.keyword,
        scored.region_code,
        scored.data_source,
        setting.detector,
        scored.bucket,
        scored.mentions,
        scored.usual_mentions,
        scored.z_score,
        private.burst_p(scored.mentions, scored.usual_mentions, scored.variance, setting.least_usual) as p_value,
        case
            when scored.is_new then jsonb_build_object('earlier_bins', scored.earlier_bins)
            else jsonb_build_object('variance', scored.variance, 'earlier_bins', scored.earlier_bins)
        end as evidence
    from scored
    inner join private.detector_settings as setting
        on
            setting.detector = case when scored.is_new then 'new' else 'burst' end
            and setting.bin_seconds = 3600
$$;
comment on function private.detect_alone(timestamptz, text) is
'What the detectors say that look at each region by itself: bursts of keywords with a past, and new ones.';

create function private.detect_bursts(at timestamptz, region text)
returns table (
    keyword text,
    region_code text,
    data_source text,
    detector text,
    bucket timestamptz,
    mentions integer,
    usual_mentions double precision,
    z_score double precision,
    p_value double precision,
    evidence jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select alone.*
    from private.detect_alone(detect_bursts.at, detect_bursts.region) as alone
    where alone.detector = 'burst'
$$;
comment on function private.detect_bursts(timestamptz, text) is
'Keywords with a past that are mentioned more often in the newest hour than it makes usual at that hour of the day.';

create function private.detect_new_keywords(at timestamptz, region text)
returns table (
    keyword text,
    region_code text,
    data_source text,
    detector text,
    bucket timestamptz,
    mentions integer,
    usual_mentions double precision,
    z_score double precision,
    p_value double precision,
    evidence jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select alone.*
    from private.detect_alone(detect_new_keywords.at, detect_new_keywords.region) as alone
    where alone.detector = 'new'
$$;
comment on function private.detect_new_keywords(timestamptz, text) is
'Keywords that rise from nothing: never seen in the 28 days before the newest hour.';

create function private.fisher_tail(sum_of_logs double precision, tests integer)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    -- Below e^-700 a number holds nothing more.
    half double precision := least(-sum_of_logs, 700);
    term double precision := exp(-half);
    total double precision := term;
begin
    for place in 1..tests - 1 loop
        term := term * half / place;
        total := total + term;
    end loop;
    return least(total, 1);
end
$$;
comment on function private.fisher_tail(double precision, integer) is
'Fisher''s chance of p-values whose logarithms have this sum: the tail of chi squared with twice as many degrees of '
'freedom as tests.';

create function private.detect_spread(at timestamptz, region text)
returns table (
    keyword text,
    region_code text,
    data_source text,
    detector text,
    bucket timestamptz,
    mentions integer,
    usual_mentions double precision,
    z_score double precision,
    p_value double precision,
    evidence jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with bin as materialized (
        select *
        from private.tested_bins(detect_spread.at, null)
    ),

    -- Only what many regions mention at all is looked at closer.
    wanted as (
        select array_agg(distinct often.keyword) as keywords
        from (
            select signal.keyword::text as keyword
            from bin
            cross join lateral (
                select stored.keyword
                from private.keyword_signals as stored
                where
                    stored.region_code = bin.region_code
                    and stored.data_source = bin.data_source
                    and stored.bucket = bin.bucket
                    and stored.bucket > detect_spread.at - interval '2 hours'
                    and stored.bucket <= detect_spread.at
                    and stored.mentions >= 3
                offset 0
            ) as signal
            -- In fewer regions than three nothing spreads.
            where
                (
                    select count(*)
                    from bin as watched
                    where watched.data_source = bin.data_source
                ) >= 3
            group by
                bin.data_source,
                signal.keyword
            having count(*) >= 2
        ) as often
    ),

    scored as materialized (
        select
            score.*,
            private.burst_p(score.mentions, score.usual_mentions, score.variance, setting.least_usual) as own_p
        from wanted
        inner join private.detector_settings as setting
            on
                setting.detector = 'spread'
                and setting.bin_seconds = 3600
        cross join lateral private.score_keywords(detect_spread.at, null, null, wanted.keywords) as score
        where wanted.keywords is not null
    ),

    together as (
        select
            scored.keyword,
            scored.data_source,
            count(*) filter (where scored.z_score >= 3) as rising,
            jsonb_object_agg(scored.region_code, round(scored.z_score::numeric, 2)) as z_scores,
            -- Where it was not seen nothing speaks for it: such a region counts as a p-value of 1.
            private.fisher_tail(sum(ln(greatest(scored.own_p, 1e-300))), watched.regions) as p_value
        from scored
        inner join (
            select
                bin.data_source,
                count(*)::integer as regions
            from bin
            group by bin.data_source
        ) as watched on scored.data_source = watched.data_source
        group by
            scored.keyword,
            scored.data_source,
            watched.regions
    )

    select
        scored.keyword,
        scored.region_code,
        scored.data_source,
        'spread' as detector,
        scored.bucket,
        scored.mentions,
        scored.usual_mentions,
        scored.z_score,
        together.p_value,
        jsonb_build_object('regions', together.rising, 'z_scores', together.z_scores) as evidence
    from scored
    inner join together
        on
            scored.keyword = together.keyword
            and scored.data_source = together.data_source
    where
        together.rising >= 3
        and scored.z_score >= 2
        and (detect_spread.region is null or scored.region_code = detect_spread.region)
$$;
comment on function private.detect_spread(timestamptz, text) is
'Keywords that rise in three regions or more at once; the p-value is that of all regions together.';

create function private.made_by_one_channel(keyword text, mentions integer, bucket timestamptz)
returns boolean
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- A name is no channel: without YouTube's id nothing is known of who made a video.
    select
        count(distinct video.channel_id) = 1
        and 2 * count(*) > made_by_one_channel.mentions
    from public.keyword_video_mappings as mapping
    inner join public.cached_videos as video on mapping.video_id = video.video_id
    where
        mapping.keyword = made_by_one_channel.keyword
        and video.channel_id is not null
        and coalesce(video.published_at, '-infinity') < made_by_one_channel.bucket + interval '1 hour'
        -- Whatever was in the charts of that hour was collected then or later.
        and video.collected_at >= made_by_one_channel.bucket
$$;
comment on function private.made_by_one_channel(text, integer, timestamptz) is
'Whether more than half of what was counted is known to be videos of one channel, and no other channel is known.';

create function private.detected(at timestamptz, region text)
returns table (
    keyword text,
    region_code text,
    data_source text,
    detector text,
    bucket timestamptz,
    mentions integer,
    usual_mentions double precision,
    z_score double precision,
    p_value double precision,
    evidence jsonb,
    q_value double precision,
    model_version text,
    is_trend boolean
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with row_of as (
        -- Bursts and new keywords.
        select
            alone.*,
            alone.region_code as family
        from private.detect_alone(detected.at, detected.region) as alone
        union all
        -- One test a keyword in all regions together.
        select
            spread.*,
            'all' as family
        from private.detect_spread(detected.at, null) as spread
    ),

    tests as (
        select
            bin.data_source,
            coalesce(bin.region_code, 'all') as family,
            sum(bin.keywords) as tests
        from private.tested_bins(detected.at, null) as bin
        group by grouping sets ((bin.data_source, bin.region_code), (bin.data_source))
    ),

    ranked as (
        select
            row_of.*,
            tests.tests,
            dense_rank() over (
                partition by row_of.data_source, row_of.family
                order by row_of.p_value asc, row_of.keyword asc
            ) as place
        from row_of
        inner join tests
            on
                row_of.data_source = tests.data_source
                and row_of.family = tests.family
    ),

    controlled as (
        select
            ranked.*,
            -- Benjamini and Hochberg: the share of false alarms if everything down to this place were called a trend.
            least(
                min(ranked.p_value * ranked.tests / ranked.place) over (
                    partition by ranked.data_source, ranked.family
                    order by ranked.place desc
                ),
                1.0
            ) as q_value
        from ranked
    ),

    passed as (
        select
            controlled.*,
            setting.version as model_version,
            controlled.q_value <= setting.most_q
            and controlled.z_score >= setting.least_z
            and controlled.mentions >= setting.least_mentions as has_passed
        from controlled
        inner join private.detector_settings as setting
            on
                controlled.detector = setting.detector
                and setting.bin_seconds = 3600
    ),

    surest as (
        select
            passed.*,
            row_number() over (
                partition by passed.region_code, passed.data_source, passed.has_passed
                order by passed.q_value asc, passed.p_value asc, passed.z_score desc, passed.keyword asc
            ) as order_of_surety
        from passed
    )

    select
        surest.keyword,
        surest.region_code,
        surest.data_source,
        surest.detector,
        surest.bucket,
        surest.mentions,
        surest.usual_mentions,
        surest.z_score,
        surest.p_value,
        surest.evidence,
        surest.q_value,
        surest.model_version,
        case
            -- A flood of junk is no flood of news: who is told of 200 trends at once is told of enough.
            when surest.has_passed and surest.order_of_surety <= 200
                -- People are counted once each already; a keyword of many regions is more than its one trailer.
                then
                    surest.data_source = 'internal'
                    or surest.detector = 'spread'
                    or not private.made_by_one_channel(surest.keyword, surest.mentions, surest.bucket)
            else false
        end as is_trend
    from surest
    where detected.region is null or surest.region_code = detected.region
$$;
comment on function private.detected(timestamptz, text) is
'What all detectors say of the newest hour, the false alarms of each controlled over all keywords of the hour.';

create function public.backtest_bursts(
    counts double precision[],
    bin_seconds integer,
    first_at timestamptz
)
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    bins_per_slot integer;
    setting record;
    state private.burst_state := private.empty_state();
    slot integer;
    z double precision;
    z_scores double precision[] := array[]::double precision[];
    alarms integer[] := array[]::integer[];
    record_z double precision;
    record_place integer;
begin
    if
        coalesce(bin_seconds not between 60 and 86400, true)
        or coalesce(not isfinite(first_at), true)
        or coalesce(cardinality(counts) > 100000 or array_ndims(counts) > 1, counts is null)
        or exists (
            select
            from unnest(counts) as bin (count)
            where not bin.count between 0 and 1e12
        )
    then
        raise exception using
            errcode = 'PT400',
            message = 'The series cannot be tested.',
            hint = 'Send at most 100000 counts from 0 to 1e12, bins of 60 to 86400 seconds, and when the first begins.';
    end if;
    bins_per_slot := greatest(3600 / bin_seconds, 1);
    select
        stored.least_z,
        stored.least_mentions
    into setting
    from private.detector_settings as stored
    where stored.detector = 'burst'
    order by abs(ln(stored.bin_seconds::float8 / backtest_bursts.bin_seconds))
    limit 1;

    for place in 1..cardinality(counts) loop
        if counts[place] is null then
            z := null;
        else
            slot := extract(
                hour from (first_at + make_interval(secs => (place - 1) * bin_seconds::float8)) at time zone 'Asia/Seoul'
            );
            z := private.burst_z(state, slot, counts[place]);
            state := private.next_state(state, slot, counts[place], bins_per_slot, 336 * bins_per_slot);
        end if;
        z_scores[place] := z;
        -- For a day only twice the record is news.
        if
            z >= setting.least_z
            and counts[place] >= setting.least_mentions
            and (
                record_place is null
                or (place - record_place) * bin_seconds >= 86400
                or z > 2 * record_z
            )
        then
            alarms := alarms || (place - 1);
            record_z := z;
            record_place := place;
        end if;
    end loop;
    return jsonb_build_object('z', to_jsonb(z_scores), 'alarms', to_jsonb(alarms));
end
$$;
comment on function public.backtest_bursts(double precision[], integer, timestamptz) is
'How the detector of bursts would have judged a series, bin by bin and without looking ahead: z of each, null where '
'nobody looked, and the places of the alarms, from 0. Reads no keyword.';

-- supabase/schemas/shorts/32_told_trends.sql

-- Promises that trends which others tell are kept like our own: one open row a key, newest news first, bad ones named.

create function private.read_told_trends(trends jsonb)
returns table (
    index integer,
    code text,
    message text,
    keyword text,
    region_code text,
    data_source text,
    trend_score double precision,
    search_volume integer,
    growth_rate double precision,
    source_confidence double precision,
    category text,
    related_keywords text[],
    observed_at timestamptz
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as trend
        from jsonb_array_elements(trends) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.trend,
            private.normalize_keyword(given.trend ->> 'keyword') as keyword,
            given.trend ->> 'region_code' as region_code,
            given.trend ->> 'data_source' as data_source,
            given.trend ->> 'category' as category,
            case
                when pg_input_is_valid(given.trend ->> 'trend_score', 'double precision')
                    then (given.trend ->> 'trend_score')::double precision
            end as trend_score,
            case
                when pg_input_is_valid(given.trend ->> 'search_volume', 'integer')
                    then (given.trend ->> 'search_volume')::integer
            end as search_volume,
            case
                when pg_input_is_valid(given.trend ->> 'growth_rate', 'double precision')
                    then (given.trend ->> 'growth_rate')::double precision
            end as growth_rate,
            case
                when pg_input_is_valid(given.trend ->> 'source_confidence', 'double precision')
                    then (given.trend ->> 'source_confidence')::double precision
            end as source_confidence,
            case
                when
                    jsonb_typeof(given.trend -> 'related_keywords') = 'array'
                    and not jsonb_path_exists(given.trend -> 'related_keywords', '$[*] ? (@.type() != "string")')
                    then array(
                        select private.normalize_keyword(related.word)
                        from jsonb_array_elements_text(given.trend -> 'related_keywords')
                            with ordinality as related (word, place)
                        order by related.place
                    )
            end as related_keywords,
            case
                when
                    given.trend ->> 'observed_at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.trend ->> 'observed_at', 'timestamptz')
                    then (given.trend ->> 'observed_at')::timestamptz
            end as observed_at
        from given
    )

    select
        typed.index,
        problem.code,
        problem.message,
        typed.keyword,
        typed.region_code,
        typed.data_source,
        typed.trend_score,
        typed.search_volume,
        typed.growth_rate,
        typed.source_confidence,
        typed.category,
        typed.related_keywords,
        typed.observed_at
    from typed
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.trend is null, 'ON001', 'the row is not an object'),
            (jsonb_typeof(typed.trend -> 'keyword') <> 'string', 'ON003', 'keyword is not text'),
            (coalesce(typed.keyword = '', true), 'ON003', 'keyword is missing or empty'),
            (length(typed.keyword) > 255, 'ON004', 'keyword is longer than 255 characters'),
            (
                typed.trend ? 'category' and jsonb_typeof(typed.trend -> 'category') <> 'string',
                'ON003',
                'category is not text'
            ),
            (length(typed.category) > 100, 'ON004', 'category is longer than 100 characters'),
            (typed.observed_at is null, 'ON005', 'observed_at is missing or is not an ISO 8601 time'),
            (
                typed.observed_at <= now() - interval '4 hours' or typed.observed_at > now() + interval '1 hour',
                'ON006',
                'observed_at is 4 hours ago or more, when the trend is over, or more than an hour ahead'
            ),
            (
                coalesce(typed.trend_score not between 0 and 1, true),
                'ON007',
                'trend_score is not a number from 0 to 1'
            ),
            (
                typed.trend ? 'source_confidence' and coalesce(typed.source_confidence not between 0 and 1, true),
                'ON007',
                'source_confidence is not a number from 0 to 1'
            ),
            (
                typed.trend ? 'search_volume' and coalesce(typed.search_volume < 0, true),
                'ON007',
                'search_volume is not a whole number from 0 to 2147483647'
            ),
            (
                typed.trend ? 'growth_rate' and coalesce(typed.growth_rate not between -100 and 1e12, true),
                'ON007',
                'growth_rate is not a number of per cent, from -100'
            ),
            (
                coalesce(typed.region_code <> all(private.region_codes()), true),
                'ON008',
                'region_code is not an ISO 3166 code of two capital letters'
            ),
            (
                coalesce(typed.data_source not in ('youtube_api', 'bright_data', 'internal'), true),
                'ON009',
                'data_source is none of youtube_api, bright_data, internal'
            ),
            (
                typed.trend ? 'related_keywords'
                and (
                    typed.related_keywords is null
                    or cardinality(typed.related_keywords) > 50
                    or exists (
                        select
                        from unnest(typed.related_keywords) as related (word)
                        where length(related.word) not between 1 and 255
                    )
                ),
                'ON010',
                'related_keywords is not an array of at most 50 texts of 1 to 255 characters'
            )
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on true
$$;
comment on function private.read_told_trends(jsonb) is
'The batch as typed rows, each with its first problem or none. Never raises, whatever an element holds.';

create function public.upsert_trending_keywords(trends jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform private.check_batch(trends);

    -- In one order, so that two batches never deadlock.
    perform
    from public.trending_keywords as stored
    inner join (
        select distinct
            read.keyword,
            read.region_code,
            read.data_source
        from private.read_told_trends(trends) as read
        where read.code is null
    ) as told
        on
            stored.keyword = told.keyword
            and stored.region_code = told.region_code
            and stored.data_source = told.data_source
    where stored.closed_at is null
    order by
        stored.keyword,
        stored.region_code,
        stored.data_source
    for no key update of stored;

    -- What is over is closed first. So is a row of our own test: its figures stay whole, and detection remembers them.
    update public.trending_keywords as stored
    set closed_at = least(stored.expires_at, told.observed_at)
    from (
        select
            read.keyword,
            read.region_code,
            read.data_source,
            max(read.observed_at) as observed_at
        from private.read_told_trends(trends) as read
        where read.code is null
        group by
            read.keyword,
            read.region_code,
            read.data_source
    ) as told
    where
        stored.closed_at is null
        and stored.keyword = told.keyword
        and stored.region_code = told.region_code
        and stored.data_source = told.data_source
        and stored.detected_at < told.observed_at
        and (stored.expires_at <= told.observed_at or stored.model_version is distinct from 'told');

    with read as materialized (
        select *
        from private.read_told_trends(trends)
    ),

    -- The newest news of each, unless what is stored is as new.
    newest as materialized (
        select distinct on (read.keyword, read.region_code, read.data_source) read.*
        from read
        where
            read.code is null
            and not exists (
                select
                from public.trending_keywords as stored
                where
                    stored.keyword = read.keyword
                    and stored.region_code = read.region_code
                    and stored.data_source = read.data_source
                    and stored.detected_at >= read.observed_at
            )
        order by
            read.keyword asc,
            read.region_code asc,
            read.data_source asc,
            read.observed_at desc,
            read.index desc
    ),

    written as (
        insert into public.trending_keywords as stored (
            keyword,
            region_code,
            data_source,
            trend_score,
            search_volume,
            growth_rate,
            source_confidence,
            category,
            related_keywords,
            model_version,
            detected_at,
            expires_at
        )
        select
            newest.keyword,
            newest.region_code,
            newest.data_source,
            newest.trend_score,
            coalesce(newest.search_volume, 0),
            coalesce(newest.growth_rate, 0),
            coalesce(newest.source_confidence, 0),
            newest.category,
            newest.related_keywords,
            'told',
            newest.observed_at,
            newest.observed_at + interval '4 hours'
        from newest
        order by
            newest.keyword,
            newest.region_code,
            newest.data_source
        on conflict (keyword, region_code, data_source) where closed_at is null do update
            set
                trend_score = excluded.trend_score,
                search_volume = excluded.search_volume,
                growth_rate = excluded.growth_rate,
                source_confidence = excluded.source_confidence,
                -- What is left out keeps what is known.
                category = coalesce(excluded.category, stored.category),
                related_keywords = coalesce(excluded.related_keywords, stored.related_keywords),
                detected_at = excluded.detected_at,
                expires_at = excluded.expires_at
            where
                stored.detected_at < excluded.detected_at
                and stored.model_version = 'told'
        returning stored.xmax = 0 as is_new
    ),

    tally as (
        select
            (select count(*) from read) as received,
            (select count(*) from read where read.code is not null) as rejected,
            (select count(*) from written where written.is_new) as inserted,
            (select count(*) from written where not written.is_new) as updated
    )

    select
        jsonb_build_object(
            'received', tally.received,
            'inserted', tally.inserted,
            'updated', tally.updated,
            'unchanged', tally.received - tally.rejected - tally.inserted - tally.updated,
            'rejected', (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_build_object('index', read.index, 'code', read.code, 'message', read.message)
                            order by read.index
                        ),
                        '[]'
                    )
                from read
                where read.code is not null
            )
        )
    into answer
    from tally;
    return answer;
end
$$;
comment on function public.upsert_trending_keywords(jsonb) is
'Keeps at most 5000 trends that others observed as open trends for 4 hours. Repeating a batch changes nothing; older '
'news never overwrites newer; bad rows come back as {index, code, message}, see docs/errors.md. For the service.';

create function public.upsert_trending_keyword(trend jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    answer := public.upsert_trending_keywords(jsonb_build_array(upsert_trending_keyword.trend));
    if answer -> 'rejected' <> '[]' then
        raise exception using
            errcode = 'PT400',
            message = 'The trend cannot be taken.',
            detail = answer #>> '{rejected,0,message}',
            hint = 'Send keyword, region_code, data_source, trend_score and observed_at.';
    end if;
    return jsonb_build_object(
        'id', (
            select stored.id
            from public.trending_keywords as stored
            where
                stored.keyword = private.normalize_keyword(upsert_trending_keyword.trend ->> 'keyword')
                and stored.region_code = upsert_trending_keyword.trend ->> 'region_code'
                and stored.data_source = upsert_trending_keyword.trend ->> 'data_source'
            order by
                stored.closed_at is null desc,
                stored.detected_at desc
            limit 1
        ),
        'inserted', answer -> 'inserted' = '1'
    );
end
$$;
comment on function public.upsert_trending_keyword(jsonb) is
'Keeps one trend that somebody else observed, see upsert_trending_keywords. Returns its id, and whether it is new; '
'PT400 names the field that cannot be true. For the service.';

-- supabase/schemas/shorts/33_trends.sql

-- Promises that what is detected is written as a trend once, that asking again changes nothing, and that what expires
-- is closed.

create function private.expire_trends(
    at timestamptz default now(),
    most integer default 10000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with expired as materialized (
        select trend.id
        from public.trending_keywords as trend
        where
            trend.closed_at is null
            and trend.expires_at <= expire_trends.at
        order by
            trend.keyword,
            trend.region_code,
            trend.data_source
        limit expire_trends.most
        -- What detection writes right now is its own to close.
        for update skip locked
    ),

    closed as (
        update public.trending_keywords as stored
        set closed_at = stored.expires_at
        from expired
        where stored.id = expired.id
        returning stored.id
    )

    select jsonb_build_object('closed', count(*))
    from closed
$$;
comment on function private.expire_trends(timestamptz, integer) is
'Closes trends that have expired, when they did: a batch. Returns how many. Their rows stay, as history.';

create function public.detect_trends(
    at timestamptz default now(),
    region text default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
-- The hours of a week are guessed large: to compile the statement takes longer than to run it.
set jit = off
language plpgsql
as $$
declare
    tested_count integer;
    found_count integer;
    notified_count integer;
    cut_count integer;
    written_keys text[];
begin
    if not isfinite(detect_trends.at) then
        raise exception using
            errcode = 'PT400',
            message = 'The time to detect for is infinite.',
            hint = 'Send a moment, or nothing for now.';
    end if;
    if detect_trends.region <> all(private.region_codes()) then
        raise exception using
            errcode = 'PT400',
            message = 'The region is unknown.',
            detail = format('region is %s.', left(detect_trends.region, 100)),
            hint = 'Send an ISO 3166 code of two capital letters, or nothing for all regions.';
    end if;

    -- An expired trend is over: what bursts after it is a new one.
    update public.trending_keywords as stored
    set closed_at = stored.expires_at
    where
        stored.closed_at is null
        and stored.expires_at <= detect_trends.at
        and (detect_trends.region is null or stored.region_code = detect_trends.region);

    cut_count := (private.fold_keyword_states(detect_trends.at, detect_trends.region) ->> 'cut')::integer;
    if not private.has_untested_bins(detect_trends.at, detect_trends.region) then
        return jsonb_build_object(
            'at', detect_trends.at,
            'region', detect_trends.region,
            'tested', 0,
            'found', 0,
            'notified', 0,
            'cut', cut_count
        );
    end if;

    with tested as materialized (
        select *
        from private.tested_bins(detect_trends.at, detect_trends.region)
    ),

    -- Several detectors may see the same: the surest one tells it.
    detected as (
        select distinct on (seen.keyword, seen.region_code, seen.data_source)
            seen.*
        from private.detected(detect_trends.at, detect_trends.region) as seen
        where seen.is_trend
        order by
            seen.keyword asc,
            seen.region_code asc,
            seen.data_source asc,
            seen.q_value asc,
            seen.detector asc
    ),

    -- For a day only twice the record is news: a burst that lasts is told once.
    found as materialized (
        select detected.*
        from detected
        where
            not exists (
                select
                from public.trending_keywords as earlier
                where
                    earlier.keyword = detected.keyword
                    and earlier.region_code = detected.region_code
                    and earlier.data_source = detected.data_source
                    and earlier.detected_at < detect_trends.at
                    and earlier.detected_at > detect_trends.at - interval '24 hours'
                    and 2 * earlier.z_score >= detected.z_score
            )
    ),

    -- Each hour of the 7 days in Korea that end with the tested hour, and whether anybody looked in it.
    last_week as materialized (
        select
            newest.region_code,
            newest.data_source,
            hour.bucket,
            extract(epoch from newest.bucket - hour.bucket) / 3600 as hours_back,
            private.korean_day(newest.bucket) - private.korean_day(hour.bucket) as days_back,
            exists (
                select
                from private.observed_bins as observed
                where
                    newest.region_code = observed.region_code
                    and newest.data_source = observed.data_source
                    and observed.bin_seconds = 3600
                    and hour.bucket = observed.bucket
            ) as is_observed
        from (
            select distinct
                found.region_code,
                found.data_source,
                found.bucket
            from found
        ) as newest
        cross join lateral generate_series(
            date_trunc('day', newest.bucket, 'Asia/Seoul') - interval '144 hours',
            newest.bucket,
            interval '1 hour'
        ) as hour (bucket)
    ),

    -- What is absent from an hour that was observed was seen 0 times; of the others nobody knows.
    observations as materialized (
        select
            found.keyword,
            found.region_code,
            found.data_source,
            last_week.hours_back,
            last_week.days_back,
            case when last_week.is_observed then coalesce(seen.mentions, 0) end as mentions
        from found
        inner join last_week
            on
                found.region_code = last_week.region_code
                and found.data_source = last_week.data_source
        -- "offset" makes it one look-up an hour; a join would read all other keywords of the week too.
        left join lateral (
            select signal.mentions
            from private.keyword_signals as signal
            where
                found.region_code = signal.region_code
                and found.data_source = signal.data_source
                and last_week.bucket = signal.bucket
                and found.keyword = signal.keyword
                and signal.bucket between detect_trends.at - interval '9 days' and detect_trends.at
            offset 0
        ) as seen on last_week.is_observed
    ),

    daily_series as (
        select
            day.keyword,
            day.region_code,
            day.data_source,
            jsonb_agg(day.mentions order by day.days_back desc) as daily
        from (
            select
                observations.keyword,
                observations.region_code,
                observations.data_source,
                observations.days_back,
                sum(observations.mentions) as mentions
            from observations
            group by
                observations.keyword,
                observations.region_code,
                observations.data_source,
                observations.days_back
        ) as day
        group by
            day.keyword,
            day.region_code,
            day.data_source
    ),

    hourly_series as (
        select
            observations.keyword,
            observations.region_code,
            observations.data_source,
            jsonb_agg(observations.mentions order by observations.hours_back desc) as hourly
        from observations
        where observations.hours_back < 24
        group by
            observations.keyword,
            observations.region_code,
            observations.data_source
    ),

    -- Most runs find nothing, and ask nothing then.
    asked as materialized (
        select
            array_agg(distinct found.keyword) as different_keywords,
            array_agg(found.keyword) as keywords,
            array_agg(found.data_source) as data_sources,
            array_agg(found.bucket) as buckets
        from found
        having count(*) > 0
    ),

    companions as materialized (
        select companion.*
        from asked
        cross join lateral private.trend_companions(asked.different_keywords) as companion
    ),

    popularity as materialized (
        select popular.*
        from asked
        cross join lateral private.regional_popularity(asked.keywords, asked.data_sources, asked.buckets) as popular
    ),

    written as (
        insert into public.trending_keywords as stored (
            keyword,
            region_code,
            data_source,
            trend_score,
            z_score,
            p_value,
            q_value,
            search_volume,
            growth_rate,
            category,
            related_keywords,
            regional_popularity,
            source_confidence,
            hourly_trend_data,
            daily_trend_data,
            detection_window,
            model_version,
            detected_at,
            expires_at
        )
        select
            found.keyword,
            found.region_code,
            found.data_source,
            1 - exp(-least(found.z_score / 3, 700)),
            found.z_score,
            found.p_value,
            found.q_value,
            found.mentions,
            100 * (found.mentions - found.usual_mentions) / greatest(found.usual_mentions, 1),
            companions.category,
            companions.related_keywords,
            coalesce(popularity.popularity, '{"KR": 0.0, "US": 0.0, "JP": 0.0, "global": 0.0}'),
            coalesce(source.confidence, 0),
            hourly_series.hourly,
            daily_series.daily,
            interval '28 days',
            found.model_version,
            detect_trends.at,
            detect_trends.at + interval '4 hours'
        from found
        inner join hourly_series
            on
                found.keyword = hourly_series.keyword
                and found.region_code = hourly_series.region_code
                and found.data_source = hourly_series.data_source
        inner join daily_series
            on
                found.keyword = daily_series.keyword
                and found.region_code = daily_series.region_code
                and found.data_source = daily_series.data_source
        left join companions on found.keyword = companions.keyword
        left join popularity
            on
                found.keyword = popularity.keyword
                and found.data_source = popularity.data_source
                and found.bucket = popularity.bucket
        left join private.trend_sources as source on found.data_source = source.data_source
        -- Time only moves forward: a replay of the past finds its trends already told.
        where
            not exists (
                select
                from public.trending_keywords as later
                where
                    later.keyword = found.keyword
                    and later.region_code = found.region_code
                    and later.data_source = found.data_source
                    and later.detected_at >= detect_trends.at
            )
        order by
            found.keyword,
            found.region_code,
            found.data_source
        on conflict (keyword, region_code, data_source) where closed_at is null do update
            set
                trend_score = excluded.trend_score,
                z_score = excluded.z_score,
                p_value = excluded.p_value,
                q_value = excluded.q_value,
                search_volume = excluded.search_volume,
                growth_rate = excluded.growth_rate,
                -- Runs are five minutes apart: of what is closer an hour's change cannot be told.
                velocity = (excluded.trend_score - stored.trend_score)
                / greatest(extract(epoch from excluded.detected_at - stored.detected_at) / 3600, 1 / 12.0),
                category = coalesce(excluded.category, stored.category),
                related_keywords = coalesce(excluded.related_keywords, stored.related_keywords),
                regional_popularity = excluded.regional_popularity,
                source_confidence = excluded.source_confidence,
                hourly_trend_data = excluded.hourly_trend_data,
                daily_trend_data = excluded.daily_trend_data,
                detection_window = excluded.detection_window,
                model_version = excluded.model_version,
                detected_at = excluded.detected_at,
                expires_at = excluded.expires_at
            where stored.detected_at < excluded.detected_at
        returning private.trend_dedupe_key(stored.keyword, stored.region_code, stored.detected_at) as dedupe_key
    )

    select
        (select coalesce(sum(tested.keywords), 0) from tested),
        (select count(*) from found),
        (select array_agg(written.dedupe_key) from written)
    into
        tested_count,
        found_count,
        written_keys;

    -- What was tested is not tested again before something new comes.
    update private.state_positions as position
    set tested_bucket = position.newest_bucket
    from private.tested_bins(detect_trends.at, detect_trends.region) as done
    where
        position.region_code = done.region_code
        and position.data_source = done.data_source
        and position.bin_seconds = 3600
        and done.is_newest;

    -- The triggers on the table have written the outbox by now, in this same transaction.
    select count(*)
    into notified_count
    from ops.outbox as event
    where
        event.event_type = 'trend.detected'
        and event.dedupe_key = any(written_keys)
        and event.created_at = now();

    return jsonb_build_object(
        'at', detect_trends.at,
        'region', detect_trends.region,
        'tested', tested_count,
        'found', found_count,
        'notified', notified_count,
        'cut', cut_count
    );
end
$$;
comment on function public.detect_trends(timestamptz, text) is
'Tests the newest hour before the given time and writes what bursts as open trends. Returns how many keywords were '
'tested, found and told to webhooks, and how many of a flood of new ones were cut: no state is kept of them.';

-- supabase/schemas/shorts/34_trend_facts.sql

-- Promises that a trend says what it goes with, what it is about and where it is popular, that the facts of a run cost
-- milliseconds however much is known, and that premium reads the strongest.

create table private.trend_sources (
    data_source text primary key,
    confidence double precision not null,
    constraint data_source_is_known check (data_source in ('youtube_api', 'bright_data', 'internal')),
    constraint confidence_is_a_fraction check (confidence between 0 and 1)
);
alter table private.trend_sources enable row level security;
comment on table private.trend_sources is
'How far each source is trusted, the one place that says so: the source_confidence of what detection finds. An '
'operator changes it; the next trend has it.';
comment on column private.trend_sources.confidence is
'0 to 1. YouTube counts its own charts; Bright Data scrapes pages; our own searches are few people''s.';
insert into private.trend_sources (data_source, confidence)
values
('youtube_api', 0.9),
('bright_data', 0.7),
('internal', 0.6);

create function private.video_category_names()
returns table (
    category_id integer,
    english text,
    korean text
)
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    values
    (1, 'Film & Animation', '영화/애니메이션'),
    (2, 'Autos & Vehicles', '자동차'),
    (10, 'Music', '음악'),
    (15, 'Pets & Animals', '반려동물/동물'),
    (17, 'Sports', '스포츠'),
    (18, 'Short Movies', '단편 영화'),
    (19, 'Travel & Events', '여행/이벤트'),
    (20, 'Gaming', '게임'),
    (21, 'Videoblogging', '동영상 블로그'),
    (22, 'People & Blogs', '인물/블로그'),
    (23, 'Comedy', '코미디'),
    (24, 'Entertainment', '엔터테인먼트'),
    (25, 'News & Politics', '뉴스/정치'),
    (26, 'Howto & Style', '노하우/스타일'),
    (27, 'Education', '교육'),
    (28, 'Science & Technology', '과학기술'),
    (29, 'Nonprofits & Activism', '비영리/사회운동'),
    (30, 'Movies', '영화'),
    (31, 'Anime/Animation', '만화/애니메이션'),
    (32, 'Action/Adventure', '액션/모험'),
    (33, 'Classics', '고전'),
    (34, 'Comedy', '코미디'),
    (35, 'Documentary', '다큐멘터리'),
    (36, 'Drama', '드라마'),
    (37, 'Family', '가족'),
    (38, 'Foreign', '외국'),
    (39, 'Horror', '공포'),
    (40, 'Sci-Fi/Fantasy', 'SF/판타지'),
    (41, 'Thriller', '스릴러'),
    (42, 'Shorts', '쇼츠'),
    (43, 'Shows', '프로그램'),
    (44, 'Trailers', '예고편')
$$;
comment on function private.video_category_names() is
'YouTube''s categories of videos by number, in English and Korean. One name has one translation.';

create function private.trend_companions(keywords text[])
returns table (
    keyword text,
    related_keywords text[],
    category text
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
-- To sort or read whole what a look-up answers with its first rows is dear; the guesses for a sample are too rough.
set enable_bitmapscan = off
set enable_seqscan = off
language sql
as $$
    -- Ids of videos are random: the first twenty are a fair sample, and cost the same however many there are.
    with sampled as materialized (
        select
            wanted.keyword,
            mapping.video_id
        from unnest(trend_companions.keywords) as wanted (keyword)
        cross join lateral (
            select stored.video_id
            from public.keyword_video_mappings as stored
            where stored.keyword = wanted.keyword
            order by stored.video_id
            limit 20
        ) as mapping
    ),

    sample as (
        select
            sampled.keyword,
            count(*) as videos
        from sampled
        group by sampled.keyword
    ),

    together as (
        select
            sampled.keyword,
            other.keyword::text as companion,
            count(*) as videos
        from sampled
        inner join public.keyword_video_mappings as other
            on
                sampled.video_id = other.video_id
                and sampled.keyword <> other.keyword
        group by
            sampled.keyword,
            other.keyword
        -- What comes together once may do so by chance, and would have the greatest lift of all.
        having count(*) >= 2
    ),

    -- Who is seldom there is not looked at closer.
    supported as materialized (
        select
            together.keyword,
            together.companion,
            together.videos,
            sample.videos as sample_videos,
            row_number() over (
                partition by together.keyword
                order by together.videos desc, together.companion asc
            ) as place
        from together
        inner join sample on together.keyword = sample.keyword
    ),

    -- What the planner knows without counting: of the most common keywords in how many videos, and of how many in all.
    common as materialized (
        select
            value.keyword,
            value.share * mapping.reltuples as videos
        from pg_catalog.pg_stats as known
        inner join pg_catalog.pg_class as mapping on mapping.oid = 'public.keyword_video_mappings'::regclass
        cross join lateral unnest(
            known.most_common_vals::text::text[],
            known.most_common_freqs
        ) as value (keyword, share)
        where
            known.schemaname = 'public'
            and known.tablename = 'keyword_video_mappings'
            and known.attname = 'keyword'
            and mapping.reltuples > 0
    ),

    -- The others are counted, up to where they would be common too.
    companion as materialized (
        select
            wanted.companion,
            coalesce(common.videos, counted.videos) as videos
        from (
            select distinct supported.companion
            from supported
            where supported.place <= 20
        ) as wanted
        left join common on wanted.companion = common.keyword
        cross join lateral (
            select count(*) as videos
            from (
                select
                from public.keyword_video_mappings as stored
                where
                    stored.keyword = wanted.companion
                    and common.keyword is null
                limit 200
            ) as first_ones
        ) as counted
    ),

    lifted as (
        select
            supported.keyword,
            supported.companion,
            -- All videos, and those of the keyword, are the same for all companions: the order is that of the lift.
            row_number() over (
                partition by supported.keyword
                order by
                    supported.videos::double precision / greatest(companion.videos, supported.videos) desc,
                    supported.videos desc,
                    supported.companion asc
            ) as place
        from supported
        inner join companion on supported.companion = companion.companion
        cross join (
            -- Below 1 nobody has counted yet.
            select relation.reltuples as videos
            from pg_catalog.pg_class as relation
            where relation.oid = 'public.cached_videos'::regclass
        ) as known
        where
            supported.place <= 20
            and (
                known.videos < 1
                -- A lift of one is chance. So few videos as the planner remembers cannot have been all.
                or supported.videos * greatest(known.videos, supported.sample_videos, companion.videos)
                > supported.sample_videos * companion.videos
            )
    ),

    related as (
        select
            lifted.keyword,
            array_agg(lifted.companion order by lifted.place) as keywords
        from lifted
        where lifted.place <= 10
        group by lifted.keyword
    ),

    category as (
        select distinct on (sampled.keyword)
            sampled.keyword,
            name.english
        from sampled
        inner join public.cached_videos as video on sampled.video_id = video.video_id
        inner join private.video_category_names() as name on video.category_id = name.category_id
        group by
            sampled.keyword,
            name.english
        order by
            sampled.keyword asc,
            count(*) desc,
            name.english asc
    )

    select
        sample.keyword,
        related.keywords,
        category.english
    from sample
    left join related on sample.keyword = related.keyword
    left join category on sample.keyword = category.keyword
$$;
comment on function private.trend_companions(text[]) is
'Of each keyword that leads to videos: at most ten keywords that lead to the same ones, by lift, and the category of '
'most of them. From a sample of 20 videos, of which a companion is in two at least.';

create function private.regional_popularity(keywords text[], data_sources text[], buckets timestamptz[])
returns table (
    keyword text,
    data_source text,
    bucket timestamptz,
    popularity jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with wanted as materialized (
        select distinct
            given.keyword,
            given.data_source,
            given.bucket
        from unnest(
            regional_popularity.keywords,
            regional_popularity.data_sources,
            regional_popularity.buckets
        ) as given (keyword, data_source, bucket)
    ),

    region as materialized (
        select
            observed.region_code,
            hour.data_source,
            hour.bucket,
            coalesce(
                (
                    select max(signal.mentions)
                    from private.keyword_signals as signal
                    where
                        signal.region_code = observed.region_code
                        and signal.data_source = hour.data_source
                        and signal.bucket = hour.bucket
                        -- For the index of these.
                        and signal.mentions >= 3
                ),
                (
                    select max(signal.mentions)
                    from private.keyword_signals as signal
                    where
                        signal.region_code = observed.region_code
                        and signal.data_source = hour.data_source
                        and signal.bucket = hour.bucket
                )
            )::double precision as most_mentions
        from (
            select distinct
                wanted.data_source,
                wanted.bucket
            from wanted
        ) as hour
        inner join private.observed_bins as observed
            on
                hour.data_source = observed.data_source
                and hour.bucket = observed.bucket
                and observed.bin_seconds = 3600
    ),

    mentioned as (
        select
            wanted.keyword,
            wanted.data_source,
            wanted.bucket,
            region.region_code,
            region.most_mentions,
            coalesce(seen.mentions, 0) as mentions
        from wanted
        inner join region
            on
                wanted.data_source = region.data_source
                and wanted.bucket = region.bucket
        -- "offset" makes it one look-up a region; a join would read all other keywords of the hour too.
        left join lateral (
            select signal.mentions
            from private.keyword_signals as signal
            where
                signal.region_code = region.region_code
                and signal.data_source = wanted.data_source
                and signal.bucket = wanted.bucket
                and signal.keyword = wanted.keyword
            offset 0
        ) as seen on true
        where region.most_mentions > 0
    ),

    share as (
        select
            mentioned.keyword,
            mentioned.data_source,
            mentioned.bucket,
            coalesce(mentioned.region_code, 'global') as place,
            round((sum(mentioned.mentions) / sum(mentioned.most_mentions))::numeric, 4) as popularity
        from mentioned
        group by
            mentioned.keyword,
            mentioned.data_source,
            mentioned.bucket,
            grouping sets ((mentioned.region_code), ())
    )

    select
        share.keyword,
        share.data_source,
        share.bucket,
        '{"KR": 0.0, "US": 0.0, "JP": 0.0, "global": 0.0}'::jsonb
        || jsonb_object_agg(share.place, share.popularity) as popularity
    from share
    where share.place in ('KR', 'US', 'JP', 'global')
    group by
        share.keyword,
        share.data_source,
        share.bucket
$$;
comment on function private.regional_popularity(text[], text[], timestamptz[]) is
'Mentions of each keyword in an hour as a share of those of the region''s busiest keyword: 1 is the busiest, 0 was not '
'seen. global: of all regions that the source observed in that hour together.';

create function public.top_trends(
    region text default 'KR',
    slot text default null
)
returns table (
    keyword text,
    region_code text,
    data_source text,
    trend_score double precision,
    velocity double precision,
    growth_rate double precision,
    search_volume integer,
    category text,
    category_korean text,
    related_keywords text[],
    regional_popularity jsonb,
    source_confidence double precision,
    time_slot text,
    predicted_peak_time timestamptz,
    predicted_duration interval,
    detected_at timestamptz,
    expires_at timestamptz
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
#variable_conflict use_column
begin
    if top_trends.region <> all(private.region_codes()) then
        raise exception using
            errcode = 'PT400',
            message = 'The region is unknown.',
            detail = format('region is %s.', left(top_trends.region, 100)),
            hint = 'Send an ISO 3166 code of two capital letters, or nothing for Korea.';
    end if;
    if top_trends.slot not in ('night', 'morning', 'afternoon', 'evening') then
        raise exception using
            errcode = 'PT400',
            message = 'The part of the day is unknown.',
            detail = format('slot is %s.', left(top_trends.slot, 100)),
            hint = 'Send night, morning, afternoon or evening, or nothing for the whole day.';
    end if;

    return query
    select
        strongest.keyword::text,
        strongest.region_code::text,
        strongest.data_source::text,
        strongest.trend_score,
        strongest.velocity,
        strongest.growth_rate,
        strongest.search_volume,
        strongest.category::text,
        (
            select min(name.korean)
            from private.video_category_names() as name
            where name.english = strongest.category
        ) as category_korean,
        strongest.related_keywords,
        strongest.regional_popularity,
        strongest.source_confidence,
        strongest.time_slot,
        strongest.predicted_peak_time,
        strongest.predicted_duration,
        strongest.detected_at,
        strongest.expires_at
    from (
        select distinct on (trend.keyword) trend.*
        from public.trending_keywords as trend
        where
            trend.region_code = coalesce(top_trends.region, 'KR')
            and (top_trends.slot is null or trend.time_slot = top_trends.slot)
            and trend.closed_at is null
            and trend.expires_at > now()
        order by
            trend.keyword asc,
            trend.trend_score desc,
            trend.data_source asc
    ) as strongest
    order by
        strongest.trend_score desc,
        strongest.keyword asc
    limit 50;
end
$$;
comment on function public.top_trends(text, text) is
'The strongest trends of a region now, those detected in a part of the day in Korea if one is named: at most 50, '
'whole, what has expired left out. For premium and up; the table''s policy gives others none.';

-- supabase/schemas/shorts/35_forecast.sql

-- Promises a forecast of an hourly series by the methods that would have served it best of late, with an interval made
-- of the errors that they would have made.

create function private.forecast_methods()
returns text[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select array[
        'day', 'days_2', 'days_3', 'days_5', 'week', 'week_added', 'week_half', 'week_scaled', 'weeks', 'weeks_added',
        'weeks_damped', 'day_drift', 'day_decay', 'day_difference', 'last', 'mean', 'burst'
    ]
$$;
comment on function private.forecast_methods() is
'The names of the forecasters, in the order in which private.forecast takes those that no past hour tells apart.';

create function private.fill_gaps(series double precision[])
returns double precision[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with place as (
        select
            given.value,
            given.hour,
            given.hour % 24 as slot,
            -- Of equal count are an hour with a value and the hours without one that follow it, a day apart each.
            count(given.value) over (partition by given.hour % 24 order by given.hour) as days_seen
        from unnest(fill_gaps.series) with ordinality as given (value, hour)
    )

    select
        array_agg(
            coalesce(
                filled.same_hour_before,
                filled.usual_of_the_hour,
                filled.usual
            )
            order by filled.hour
        )
    from (
        select
            place.hour,
            max(place.value) over (partition by place.slot, place.days_seen) as same_hour_before,
            avg(place.value) over (partition by place.slot) as usual_of_the_hour,
            avg(place.value) over () as usual
        from place
    ) as filled
$$;
comment on function private.fill_gaps(double precision[]) is
'The series with each null (an hour that nobody observed) replaced: by the same hour of the last day that has it, else '
'the mean of that hour of the day, else the mean of all. Nulls stay when there is nothing else.';

create function private.forecast(
    series double precision[],
    horizon integer,
    out methods text[],
    out point double precision[],
    out lower double precision[],
    out upper double precision[]
)
returns record
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
-- Planned once: to plan takes longer than to run.
set plan_cache_mode = force_generic_plan
language plpgsql
as $$
declare
    -- Older hours than these no method reads, nor any fold.
    seen double precision[] := forecast.series[greatest(cardinality(forecast.series) - 1343, 1):];
    y double precision[] := seen;
    hours integer := coalesce(cardinality(seen), 0);
    -- Two thirds of even a short series stay to forecast the rest from.
    fold_steps integer := least(forecast.horizon, greatest(hours / 6, 1));
    folds integer := least(3, (hours - 1) / fold_steps);
    has_weeks boolean;
begin
    if array_position(y, null) is not null then
        y := private.fill_gaps(y);
    end if;
    if hours = 0 or y[1] is null then
        return;
    end if;

    -- In a burst yesterday teaches nothing: only its own last hours tell what serves.
    if (
        select
            max(recent.value) filter (where recent.place > 144)
            > avg(recent.value) filter (where recent.place <= 144) + 6 * sqrt(
                greatest(
                    var_pop(recent.value) filter (where recent.place <= 144),
                    avg(recent.value) filter (where recent.place <= 144),
                    0.3
                )
            )
        from unnest(y[hours - 167:]) with ordinality as recent (value, place)
        where hours >= 168
    ) then
        fold_steps := least(fold_steps, 4);
        folds := least(3, (hours - 1) / fold_steps);
    end if;
    -- What no fold could try is never chosen.
    has_weeks := hours - fold_steps >= 336;

    with cut as (
        select
            fold.number as fold,
            hours - fold.number * fold_steps as n,
            case when fold.number = 0 then forecast.horizon else fold_steps end as steps
        from generate_series(0, folds) as fold (number)
    ),

    -- What a cut has in all its steps.
    known as (
        select
            cut.fold,
            cut.n,
            cut.steps,
            day.last_day,
            day.day_before,
            day.last_error,
            day.last_day - week.same_day as week_change,
            least(greatest(day.last_day / nullif(week.same_day, 0), 0.3), 3.0) as week_ratio,
            -- Each week counts 0.6 of the one after it.
            case when cut.n >= 336 then 1 / (1.6 + case when cut.n >= 504 then 0.36 else 0 end
                + case when cut.n >= 672 then 0.216 else 0 end) end as weight_0,
            case when cut.n >= 504 then 0.36 else 0 end as weight_2,
            case when cut.n >= 672 then 0.216 else 0 end as weight_3,
            burst.base,
            greatest((y[cut.n] + coalesce(y[cut.n - 1], y[cut.n])) / 2 - burst.base, 0) as excess,
            -- A half-life between one hour and three days; six hours where the fall has only begun.
            case
                when decay.points >= 4 then least(greatest(-decay.slope, 0.0096), 0.69)
                else 0.1155
            end as decay
        from cut
        cross join lateral (
            select
                avg(y[cut.n - 24 + step.number]) as last_day,
                avg(y[cut.n - 48 + step.number]) as day_before,
                avg(y[cut.n - 24 + step.number] - y[cut.n - 48 + step.number])
                    filter (where step.number > 21) as last_error
            from generate_series(1, 24) as step (number)
        ) as day
        cross join lateral (
            select avg(y[cut.n - 192 + step.number]) as same_day
            from generate_series(1, 24) as step (number)
            where cut.n >= 192
        ) as week
        cross join lateral (
            select
                coalesce(avg(y[cut.n - 96 + step.number]), min(y[cut.n - 48 + step.number])) as base,
                max(y[cut.n - 48 + step.number]) as top
            from generate_series(1, 48) as step (number)
        ) as burst
        cross join lateral (
            select min(step.number) as number
            from generate_series(greatest(1, 49 - cut.n), 48) as step (number)
            where y[cut.n - 48 + step.number] = burst.top
        ) as peak
        cross join lateral (
            select
                count(*) as points,
                regr_slope(ln(greatest(y[cut.n - 48 + step.number] - burst.base, 0.5)), step.number) as slope
            from generate_series(peak.number, 48) as step (number)
        ) as decay
    ),

    -- The change from the weeks' last day to the last day itself.
    levelled as (
        select
            known.*,
            known_level.weeks_change
        from known
        left join (
            select
                known.fold,
                known.last_day - avg(
                    known.weight_0 * (
                        y[known.n - 24 + step.number]
                        + 0.6 * y[known.n - 192 + step.number]
                        + known.weight_2 * coalesce(y[known.n - 360 + step.number], 0)
                        + known.weight_3 * coalesce(y[known.n - 528 + step.number], 0)
                    )
                ) as weeks_change
            from known
            cross join generate_series(1, 24) as step (number)
            where has_weeks
            group by known.fold, known.last_day
        ) as known_level on known.fold = known_level.fold
    ),

    -- Each hour that is looked back at is looked up once: "offset" keeps the planner from writing it out below.
    lag as (
        select
            place.*,
            y[place.same_hour] as value,
            y[place.same_hour - 24] as value_2,
            y[place.same_hour - 48] as value_3,
            y[place.same_week_hour] as week,
            case
                when has_weeks
                    then
                        place.weight_0 * (
                            y[place.same_week_hour]
                            + 0.6 * y[place.same_week_hour - 168]
                            + place.weight_2 * coalesce(y[place.same_week_hour - 336], 0)
                            + place.weight_3 * coalesce(y[place.same_week_hour - 504], 0)
                        )
            end as weeks,
            case when place.fold > 0 then seen[place.n + place.step] end as actual
        from (
            select
                levelled.*,
                step.number as step,
                levelled.n - 24 + (step.number - 1) % 24 + 1 as same_hour,
                levelled.n - 168 + (step.number - 1) % 168 + 1 as same_week_hour
            from levelled
            cross join lateral generate_series(1, levelled.steps) as step (number)
            offset 0
        ) as place
        offset 0
    ),

    candidate as materialized (
        select
            one.fold,
            one.step,
            one.actual,
            array[
                one.value,
                (one.value + one.value_2) / 2,
                (one.value + one.value_2 + one.value_3) / 3,
                (one.value + one.value_2 + one.value_3 + y[one.same_hour - 72] + y[one.same_hour - 96]) / 5,
                one.week,
                one.week + one.week_change,
                one.week + one.week_change / 2,
                one.week * one.week_ratio,
                one.weeks,
                one.weeks + one.weeks_change,
                case when has_weeks then one.weeks + one.weeks_change * exp(-one.step / 48.0::double precision) end,
                one.value + (one.last_day - one.day_before) * case when one.step <= 24 then 0.5 else 0.75 end,
                one.value + one.last_error * exp(-one.step / 6.0::double precision),
                one.value + one.week - y[one.same_week_hour - 24],
                y[one.n],
                one.last_day,
                one.base + one.excess * exp(-one.decay * one.step)
            ] as forecasts
        from lag as one
    ),

    error as materialized (
        select
            candidate.fold,
            array[
                avg(abs(candidate.forecasts[1] - candidate.actual)),
                avg(abs(candidate.forecasts[2] - candidate.actual)),
                avg(abs(candidate.forecasts[3] - candidate.actual)),
                avg(abs(candidate.forecasts[4] - candidate.actual)),
                avg(abs(candidate.forecasts[5] - candidate.actual)),
                avg(abs(candidate.forecasts[6] - candidate.actual)),
                avg(abs(candidate.forecasts[7] - candidate.actual)),
                avg(abs(candidate.forecasts[8] - candidate.actual)),
                avg(abs(candidate.forecasts[9] - candidate.actual)),
                avg(abs(candidate.forecasts[10] - candidate.actual)),
                avg(abs(candidate.forecasts[11] - candidate.actual)),
                avg(abs(candidate.forecasts[12] - candidate.actual)),
                avg(abs(candidate.forecasts[13] - candidate.actual)),
                avg(abs(candidate.forecasts[14] - candidate.actual)),
                avg(abs(candidate.forecasts[15] - candidate.actual)),
                avg(abs(candidate.forecasts[16] - candidate.actual)),
                avg(abs(candidate.forecasts[17] - candidate.actual))
            ] as errors
        from candidate
        where candidate.actual is not null
        group by candidate.fold
    ),

    -- For each fold the best three by the other folds: an interval of errors that chose their own methods would be
    -- too narrow. Fold 0 is the future, which all folds choose for.
    ranked as (
        select
            method.fold,
            method.place,
            row_number() over (
                partition by method.fold
                order by method.error, method.place
            ) as rank
        from (
            select
                left_out.fold,
                available.place,
                case
                    when count(error.fold) = count(error.errors[available.place])
                        then coalesce(
                            avg(error.errors[available.place]) filter (where error.fold <> left_out.fold),
                            avg(error.errors[available.place])
                        )
                end as error
            from generate_series(0, folds) as left_out (fold)
            cross join (
                select given.place
                from candidate
                cross join lateral unnest(candidate.forecasts) with ordinality as given (forecast, place)
                where
                    candidate.fold = 0
                    and candidate.step = 1
                    and given.forecast is not null
            ) as available
            left join error on true
            group by
                left_out.fold,
                available.place
        ) as method
    ),

    picked as (
        select
            ranked.fold,
            array_agg(ranked.place order by ranked.rank) as places
        from ranked
        where ranked.rank <= 3
        group by ranked.fold
    ),

    ensemble as materialized (
        select
            candidate.fold,
            candidate.step,
            candidate.actual,
            picked.places,
            sqrt(1 + candidate.step / 24.0::double precision) as scale,
            greatest(
                (
                    candidate.forecasts[picked.places[1]]
                    + candidate.forecasts[picked.places[2]]
                    + candidate.forecasts[picked.places[3]]
                ) / 3,
                0
            ) as point
        from candidate
        inner join picked on candidate.fold = picked.fold
    ),

    -- 0.82 of the errors of the past hold 0.80 of those to come: docs/forecast.md has the figures.
    spread as (
        select
            coalesce(
                (array_agg(error.size order by error.size))[
                    least(ceil(0.82 * (count(*) + 1)), count(*))::integer
                ],
                greatest(y[hours], 1)
            ) as width
        from (
            select abs(ensemble.actual - ensemble.point) / ensemble.scale as size
            from ensemble
            where ensemble.actual is not null
        ) as error
    )

    select
        (
            select array_agg((private.forecast_methods())[chosen.place] order by chosen.rank)
            from unnest(min(ensemble.places)) with ordinality as chosen (place, rank)
        ),
        array_agg(ensemble.point order by ensemble.step),
        array_agg(greatest(ensemble.point - spread.width * ensemble.scale, 0) order by ensemble.step),
        array_agg(ensemble.point + spread.width * ensemble.scale order by ensemble.step)
    into
        forecast.methods,
        forecast.point,
        forecast.lower,
        forecast.upper
    from ensemble
    cross join spread
    where ensemble.fold = 0;
end
$$;
comment on function private.forecast(double precision[], integer) is
'The next hours of a series of hourly counts: the mean of the three methods that did best in up to three rolling '
'folds, and an interval that should hold 80 % of what comes. Nulls in the series are hours that nobody observed. All '
'null when nothing was.';

create function public.backtest_forecast(
    series double precision[],
    horizon integer
)
returns jsonb
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    if cardinality(backtest_forecast.series) > 100000 then
        raise exception using
            errcode = 'PT413',
            message = 'The series is too long.',
            detail = format('It has %s hours.', cardinality(backtest_forecast.series)),
            hint = 'Send at most 100,000 hours; the last 1,344 are read.';
    end if;
    if
        array_ndims(backtest_forecast.series) is distinct from 1
        or array_lower(backtest_forecast.series, 1) <> 1
        or array_position(backtest_forecast.series, null) is not null
        and (select count(given.value) = 0 from unnest(backtest_forecast.series) as given (value))
    then
        raise exception using
            errcode = 'PT400',
            message = 'The series holds no number.',
            hint = 'Send a plain array with a count per hour, oldest first, and null for an hour that nobody observed.';
    end if;
    -- NaN is more than any number.
    if exists (
        select
        from unnest(backtest_forecast.series) as given (value)
        where given.value < 0 or given.value > 1e15
    ) then
        raise exception using
            errcode = 'PT400',
            message = 'The series holds what is no count.',
            hint = 'Send numbers from 0 to 1e15.';
    end if;
    if backtest_forecast.horizon is null or backtest_forecast.horizon not between 1 and 168 then
        raise exception using
            errcode = 'PT400',
            message = 'The horizon is out of range.',
            detail = format('horizon is %s.', backtest_forecast.horizon),
            hint = 'Send 1 to 168 hours.';
    end if;

    select
        jsonb_build_object(
            'point', forecast.point,
            'lower', forecast.lower,
            'upper', forecast.upper,
            'methods', forecast.methods
        )
    into answer
    from private.forecast(backtest_forecast.series, backtest_forecast.horizon) as forecast;
    return answer;
end
$$;
comment on function public.backtest_forecast(double precision[], integer) is
'The forecast that the room itself would make of a series of hourly counts: point, lower and upper (80 %) for each '
'hour to come, and the methods that were chosen. Writes nothing. For the service.';

-- supabase/schemas/shorts/35_predictions.sql

-- Promises that what is foretold of a keyword is written down before it comes, and held against what came.

-- Below the weakest burst that detection tells, a day counts as quiet.
create function private.score_of_z(z_score double precision, least_z double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select case when score_of_z.z_score >= score_of_z.least_z then 1 - exp(-least(score_of_z.z_score, 100) / 3) else 0 end
$$;
comment on function private.score_of_z(double precision, double precision) is
'The trend score that a z-score would have, 0 to 1; 0 below the least that detection tells.';

create function private.burst_outlook(
    series double precision[],
    out usual double precision,
    out deviation double precision,
    out peak_hours_ago integer,
    out lasts_hours double precision
)
returns record
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    hours constant integer := coalesce(cardinality(series), 0);
    variance double precision;
    decay double precision;
    peak double precision;
    points integer;
begin
    select
        -- The burst itself is not what is usual.
        coalesce(avg(past.value) filter (where past.place <= hours - 24), min(past.value)),
        coalesce(var_pop(past.value) filter (where past.place <= hours - 24), 0)
    into
        usual,
        variance
    from (
        select
            given.value,
            given.place + greatest(hours - 168, 0) as place
        from unnest(series[hours - 167:]) with ordinality as given (value, place)
    ) as past;
    -- A count's own chance variation, and the rule of three for a silent past: as detection has it.
    deviation := sqrt(greatest(variance, usual, 0.3));

    for place in greatest(hours - 23, 1)..hours loop
        if series[place] > peak or peak is null and series[place] is not null then
            peak := series[place];
            peak_hours_ago := hours - place;
        end if;
    end loop;

    -- A half-life between one hour and three days; six hours where the fall has only begun.
    decay := 0.1155;
    if peak_hours_ago >= 3 then
        select
            least(greatest(-regr_slope(ln(greatest(fall.value - usual, 0.5)), fall.place), 0.0096), 0.69),
            count(*)
        into
            decay,
            points
        from unnest(series[hours - peak_hours_ago:]) with ordinality as fall (value, place)
        where fall.value is not null;
        decay := case when points >= 4 then decay else 0.1155 end;
    end if;
    -- Until what is left of it is no more than chance.
    lasts_hours := greatest(ln(greatest((peak - usual) / deviation, 1)) / decay, 1);
end
$$;
comment on function private.burst_outlook(double precision[]) is
'Of a series of hourly counts: what is usual and by how much it varies (the week before the last day), how long ago '
'the peak of the last day was, and for how many hours from there the burst lasts, by a log-linear fit of its fall.';

create function private.place_counts(
    counts double precision[],
    places integer[],
    mentions integer[]
)
returns double precision[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    for i in 1..coalesce(cardinality(places), 0) loop
        counts[places[i]] := mentions[i];
    end loop;
    return counts;
end
$$;
comment on function private.place_counts(double precision[], integer[], integer[]) is
'A series with the mentions put in their places, from 1.';

create function private.tracked_series(
    at timestamptz,
    most integer
)
returns table (
    keyword text,
    region_code text,
    data_source text,
    newest timestamptz,
    series double precision[]
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
-- How many are tracked no planner knows: a loop over hours for each keyword would take minutes, and to sort a million
-- counts takes longer than to add each to its series in memory.
set enable_nestloop = off
set enable_sort = off
set work_mem = '64MB'
language sql
as $$
    with tracked as materialized (
        select
            named.keyword,
            named.region_code,
            named.data_source,
            row_number() over (
                order by
                    max(named.weight) desc,
                    sum(named.weight) desc,
                    named.keyword,
                    named.region_code,
                    named.data_source
            )::integer as number
        from (
            select
                trend.keyword,
                trend.region_code,
                trend.data_source,
                1e12 as weight
            from public.trending_keywords as trend
            where
                trend.closed_at is null
                and trend.detected_at <= tracked_series.at
                and trend.expires_at > tracked_series.at
            union all
            select
                signal.keyword,
                signal.region_code,
                signal.data_source,
                sum(signal.mentions)
            from private.keyword_signals as signal
            where
                signal.bucket > tracked_series.at - interval '24 hours'
                and signal.bucket <= tracked_series.at
                -- Fewer could not burst, and what one person types is theirs.
                and signal.mentions >= 3
            group by
                signal.keyword,
                signal.region_code,
                signal.data_source
        ) as named
        group by
            named.keyword,
            named.region_code,
            named.data_source
        order by number
        limit tracked_series.most
    ),

    -- Each hour of two weeks, and whether anybody looked in it.
    source as materialized (
        select
            known.region_code,
            known.data_source,
            known.newest,
            hour.counts,
            hour.buckets,
            -- Where most signals are of keywords that nobody tracks, each hour of a keyword is looked up: ten times as slow.
            hour.signals < 10 * known.keywords * cardinality(hour.buckets) as is_read_whole
        from (
            select
                tracked.region_code,
                tracked.data_source,
                count(*) as keywords,
                (
                    select max(observed.bucket)
                    from private.observed_bins as observed
                    where
                        tracked.region_code = observed.region_code
                        and tracked.data_source = observed.data_source
                        and observed.bin_seconds = 3600
                        and observed.bucket between tracked_series.at - interval '24 hours' and tracked_series.at
                ) as newest
            from tracked
            group by
                tracked.region_code,
                tracked.data_source
        ) as known
        cross join lateral (
            select
                array_agg(
                    case when observed.bucket is not null then 0.0::double precision end
                    order by slot.bucket
                ) as counts,
                array_agg(observed.bucket) filter (where observed.bucket is not null) as buckets,
                sum(observed.keywords) as signals
            from generate_series(
                known.newest - interval '335 hours',
                known.newest,
                interval '1 hour'
            ) as slot (bucket)
            left join private.observed_bins as observed
                on
                    known.region_code = observed.region_code
                    and known.data_source = observed.data_source
                    and observed.bin_seconds = 3600
                    and slot.bucket = observed.bucket
        ) as hour
        where known.newest is not null
    ),

    wanted as materialized (
        select
            tracked.number,
            tracked.keyword,
            source.*,
            (date_part('epoch', source.newest) / 3600)::integer as newest_hour
        from tracked
        inner join source
            on
                tracked.region_code = source.region_code
                and tracked.data_source = source.data_source
    ),

    seen as (
        select
            event.number,
            array_agg(336 - event.hours_ago) as places,
            array_agg(event.mentions) as mentions
        from (
            select
                wanted.number,
                signal.mentions,
                wanted.newest_hour - (date_part('epoch', signal.bucket) / 3600)::integer as hours_ago
            from wanted
            inner join private.keyword_signals as signal
                on
                    wanted.region_code = signal.region_code
                    and wanted.data_source = signal.data_source
                    and wanted.keyword = signal.keyword
            where
                wanted.is_read_whole
                and signal.bucket between tracked_series.at - interval '16 days' and tracked_series.at
            union all
            select
                wanted.number,
                signal.mentions,
                wanted.newest_hour - (date_part('epoch', hour.bucket) / 3600)::integer as hours_ago
            from wanted
            cross join lateral unnest(wanted.buckets) as hour (bucket)
            cross join lateral (
                select stored.mentions
                from private.keyword_signals as stored
                where
                    stored.region_code = wanted.region_code
                    and stored.data_source = wanted.data_source
                    and stored.bucket = hour.bucket
                    and stored.keyword = wanted.keyword
                    and stored.bucket between tracked_series.at - interval '16 days' and tracked_series.at
                offset 0
            ) as signal
            where not wanted.is_read_whole
        ) as event
        where event.hours_ago between 0 and 335
        group by event.number
    )

    select
        wanted.keyword,
        wanted.region_code,
        wanted.data_source,
        wanted.newest,
        private.place_counts(wanted.counts, seen.places, seen.mentions)
    from wanted
    left join seen on wanted.number = seen.number
$$;
comment on function private.tracked_series(timestamptz, integer) is
'The last two weeks, hour by hour, of the keywords with an open trend and of those that three or more mentioned in an '
'hour of the last day, most mentions first. Null is an hour that nobody observed, by private.observed_bins.';

create function private.forecast_trends(
    at timestamptz default now(),
    most integer default 5000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    today date := private.korean_day(forecast_trends.at);
    day_starts timestamptz := (today + 1)::timestamp at time zone 'Asia/Seoul';
    version text := 'best-3-of-17-v2';
    least_z double precision := (
        select settings.least_z
        from private.detector_settings as settings
        where
            settings.detector = 'burst'
            and settings.bin_seconds = 3600
    );
    answer jsonb;
begin
    -- Which hours were observed, and what is usual, as detection has it.
    perform private.fold_keyword_states(forecast_trends.at);

    with outlook as materialized (
        select
            tracked.keyword,
            tracked.region_code,
            tracked.data_source,
            tracked.newest,
            tracked.series,
            forecast.*,
            burst.*,
            extract(epoch from day_starts - tracked.newest)::integer / 3600 as first_step
        from private.tracked_series(forecast_trends.at, forecast_trends.most) as tracked
        -- As far as the end of tomorrow in Korea.
        cross join lateral private.forecast(
            tracked.series,
            extract(epoch from day_starts - tracked.newest)::integer / 3600 + 23
        ) as forecast
        cross join lateral private.burst_outlook(tracked.series) as burst
        where forecast.point is not null
    ),

    -- Whichever is higher: the peak that was, or one to come.
    peak as (
        select
            outlook.keyword,
            outlook.region_code,
            outlook.data_source,
            outlook.newest + interval '1 hour' * coalesce(later.step, -outlook.peak_hours_ago) as peak_time,
            interval '1 hour' * least(outlook.lasts_hours, 336) as duration
        from outlook
        left join lateral (
            select to_come.step
            from unnest(outlook.point) with ordinality as to_come (mentions, step)
            where
                to_come.mentions
                > outlook.series[cardinality(outlook.series) - outlook.peak_hours_ago]
            order by
                to_come.mentions desc,
                to_come.step
            limit 1
        ) as later on true
    ),

    -- The trigger tells nobody: neither the score nor the time of detection changes.
    told as (
        update public.trending_keywords as stored
        set
            predicted_peak_time = peak.peak_time,
            predicted_duration = peak.duration
        from peak
        where
            stored.closed_at is null
            and stored.detected_at <= forecast_trends.at
            and stored.expires_at > forecast_trends.at
            and stored.keyword = peak.keyword
            and stored.region_code = peak.region_code
            and stored.data_source = peak.data_source
            and (stored.predicted_peak_time, stored.predicted_duration)
            is distinct from (peak.peak_time, peak.duration)
        returning stored.id
    ),

    -- How far off the same model was of late, for strong and for weak news apart.
    lesson as (
        select
            (past.features_used ->> 'raw_score')::double precision > 0 as is_strong,
            percentile_cont(array[0.1, 0.5, 0.9]) within group (
                order by past.actual_score - (past.features_used ->> 'raw_score')::double precision
            ) as missed
        from public.trend_predictions as past
        where
            past.model_version = version
            and past.predicted_for_date between today - 28 and today - 1
            and past.actual_score is not null
        group by (past.features_used ->> 'raw_score')::double precision > 0
        having count(*) >= 50
    ),

    -- What detection takes for usual, carried over the silent hours since. Where it has no state, the series tells.
    known as materialized (
        select
            outlook.keyword,
            outlook.region_code,
            outlook.data_source,
            case
                when silence.bins = 0 then stored.state
                else private.state_after_silence(stored.state, silence.bins, 1, 336)
            end as state
        from outlook
        inner join private.state_positions as position
            on
                outlook.region_code = position.region_code
                and outlook.data_source = position.data_source
                and position.bin_seconds = 3600
                and outlook.newest = position.newest_bucket
        inner join private.keyword_states as stored
            on
                outlook.region_code = stored.region_code
                and outlook.data_source = stored.data_source
                and stored.bin_seconds = 3600
                and outlook.keyword = stored.keyword
                and stored.last_bucket >= outlook.newest - interval '28 days'
        cross join lateral (
            select count(*)::integer as bins
            from private.observed_bins as observed
            where
                observed.region_code = outlook.region_code
                and observed.data_source = outlook.data_source
                and observed.bin_seconds = 3600
                and observed.bucket > stored.last_bucket
                and observed.bucket < outlook.newest
        ) as silence
        where (stored.state).bins > 0
    ),

    foretold as (
        select
            outlook.keyword,
            outlook.region_code,
            outlook.data_source,
            outlook.newest,
            outlook.series,
            outlook.methods,
            high.usual,
            high.deviation,
            private.score_of_z(high.point, least_z) as raw_score,
            private.score_of_z(high.lower, least_z) as raw_lower,
            private.score_of_z(high.upper, least_z) as raw_upper
        from outlook
        left join known
            on
                outlook.keyword = known.keyword
                and outlook.region_code = known.region_code
                and outlook.data_source = known.data_source
        cross join lateral (
            select
                max((outlook.point[step.number] - step.usual) / step.deviation) as point,
                max((outlook.lower[step.number] - step.usual) / step.deviation) as lower,
                max((outlook.upper[step.number] - step.usual) / step.deviation) as upper,
                avg(step.usual) as usual,
                avg(step.deviation) as deviation
            from (
                select
                    hour.number,
                    expected.usual,
                    case
                        when known.state is null then outlook.deviation
                        else sqrt(private.usual_variance(known.state, expected.usual))
                    end as deviation
                from generate_series(outlook.first_step, cardinality(outlook.point)) as hour (number)
                cross join lateral (
                    select
                        case
                            when known.state is null then outlook.usual
                            -- The first of these hours is midnight in Korea.
                            else private.usual_mentions(known.state, hour.number - outlook.first_step)
                        end as usual
                    offset 0
                ) as expected
            ) as step
        ) as high
    ),

    corrected as (
        select
            foretold.*,
            least(greatest(coalesce(foretold.raw_score + lesson.missed[2], foretold.raw_score), 0), 1) as score,
            least(greatest(coalesce(foretold.raw_score + lesson.missed[1], foretold.raw_lower), 0), 1) as low,
            least(greatest(coalesce(foretold.raw_score + lesson.missed[3], foretold.raw_upper), 0), 1) as high,
            lesson.missed is not null as is_corrected
        from foretold
        left join lesson on (foretold.raw_score > 0) = lesson.is_strong
    ),

    -- Of several sources the one that says most.
    news as (
        select distinct on (corrected.region_code, corrected.keyword)
            corrected.*,
            coalesce(
                (
                    select max(trend.trend_score)
                    from public.trending_keywords as trend
                    where
                        trend.keyword = corrected.keyword
                        and trend.region_code = corrected.region_code
                        and trend.detected_at >= today::timestamp at time zone 'Asia/Seoul'
                        and trend.detected_at <= forecast_trends.at
                ),
                0
            ) as score_today
        from corrected
        order by
            corrected.region_code,
            corrected.keyword,
            corrected.score desc,
            corrected.data_source
    ),

    written as (
        insert into public.trend_predictions as stored (
            keyword,
            region_code,
            prediction_date,
            predicted_for_date,
            predicted_score,
            confidence_interval,
            confidence_level,
            model_version,
            features_used
        )
        select
            news.keyword,
            news.region_code,
            today,
            today + 1,
            news.score::numeric(5, 4),
            numrange(news.low::numeric(5, 4), news.high::numeric(5, 4), '[]'),
            0.80,
            version,
            jsonb_build_object(
                'data_source', news.data_source,
                'newest_hour', news.newest,
                'hours', cardinality(news.series),
                'methods', news.methods,
                'usual', round(news.usual::numeric, 3),
                'deviation', round(news.deviation::numeric, 3),
                'raw_score', round(news.raw_score::numeric, 4),
                'score_today', round(news.score_today::numeric, 4),
                'corrected', news.is_corrected
            )
        from news
        order by
            news.region_code,
            news.keyword
        on conflict on constraint one_prediction_a_day_and_model do update
            set
                predicted_score = excluded.predicted_score,
                confidence_interval = excluded.confidence_interval,
                confidence_level = excluded.confidence_level,
                features_used = excluded.features_used
            where stored.actual_score is null
        returning stored.id
    )

    select
        jsonb_build_object(
            'series', (select count(*) from outlook),
            'trends', (select count(*) from told),
            'predictions', (select count(*) from written)
        )
    into answer;
    return answer;
end
$$;
comment on function private.forecast_trends(timestamptz, integer) is
'Foretells peak and duration of the open trends, and tomorrow''s score in Korea of all tracked keywords. Said again it '
'replaces what it said that day. Returns how many series it read and what it wrote.';

create function private.score_predictions(
    day date default private.korean_day() - 1,
    batch integer default 50000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    scored_count integer;
begin
    with due as materialized (
        select
            prediction.id,
            prediction.keyword,
            prediction.region_code,
            prediction.predicted_for_date
        from public.trend_predictions as prediction
        where
            prediction.actual_score is null
            and prediction.predicted_for_date <= least(score_predictions.day, private.korean_day() - 1)
            and prediction.predicted_for_date > score_predictions.day - 28
        order by
            prediction.predicted_for_date,
            prediction.region_code,
            prediction.keyword
        limit score_predictions.batch
        for update skip locked
    ),

    -- A day in which nobody looked proves nothing.
    watched as materialized (
        select
            span.region_code,
            span.predicted_for_date,
            span.starts_at,
            span.starts_at + interval '24 hours' as ends_at
        from (
            select distinct
                due.region_code,
                due.predicted_for_date,
                due.predicted_for_date::timestamp at time zone 'Asia/Seoul' as starts_at
            from due
        ) as span
        where
            exists (
                select
                from private.keyword_signals as signal
                where
                    signal.region_code = span.region_code
                    and signal.bucket >= span.starts_at
                    and signal.bucket < span.starts_at + interval '24 hours'
            )
    ),

    seen as (
        select
            watched.region_code,
            watched.predicted_for_date,
            trend.keyword,
            max(trend.trend_score) as score
        from watched
        inner join public.trending_keywords as trend
            on
                watched.region_code = trend.region_code
                and trend.detected_at >= watched.starts_at
                -- A trend that was told again after midnight was there before.
                and least(trend.created_at, trend.detected_at) < watched.ends_at
        group by
            watched.region_code,
            watched.predicted_for_date,
            trend.keyword
    ),

    scored as (
        update public.trend_predictions as stored
        set actual_score = coalesce(seen.score, 0)::numeric(5, 4)
        from due
        inner join watched
            on
                due.region_code = watched.region_code
                and due.predicted_for_date = watched.predicted_for_date
        left join seen
            on
                due.region_code = seen.region_code
                and due.predicted_for_date = seen.predicted_for_date
                and due.keyword = seen.keyword
        where stored.id = due.id
        returning stored.id
    )

    select count(*)
    into scored_count
    from scored;
    return jsonb_build_object('scored', scored_count);
end
$$;
comment on function private.score_predictions(date, integer) is
'Writes what came beside what was foretold, for days in Korea that are over, up to the given one and 28 days back: the '
'highest trend score of the day, 0 where detection looked and found none. Days without any signal stay open.';

create view public.forecast_accuracy
with (security_invoker = true)
as
select
    prediction.predicted_for_date,
    prediction.region_code,
    prediction.model_version,
    prediction.predicted_for_date - prediction.prediction_date as days_ahead,
    count(*) as predictions,
    round(avg(prediction.prediction_error), 4) as mean_error,
    round(
        sum(prediction.prediction_error) filter (where prediction.features_used ? 'score_today')
        / nullif(
            sum(abs(prediction.actual_score - (prediction.features_used ->> 'score_today')::numeric)),
            0
        ),
        4
    ) as mase,
    round(avg((prediction.confidence_interval @> prediction.actual_score)::integer), 4) as coverage,
    round(avg(prediction.confidence_level), 2) as confidence_level
from public.trend_predictions as prediction
where prediction.actual_score is not null
group by
    prediction.predicted_for_date,
    prediction.region_code,
    prediction.model_version,
    prediction.predicted_for_date - prediction.prediction_date;
comment on view public.forecast_accuracy is
'How good the forecasts were, by day, region and model: for premium and up, as the forecasts themselves.';
comment on column public.forecast_accuracy.predicted_for_date is 'Day in Korea that was foretold.';
comment on column public.forecast_accuracy.region_code is 'ISO 3166 code of the region.';
comment on column public.forecast_accuracy.model_version is 'Which model said so.';
comment on column public.forecast_accuracy.days_ahead is 'How many days before.';
comment on column public.forecast_accuracy.predictions is 'Forecasts that have been scored.';
comment on column public.forecast_accuracy.mean_error is 'Mean distance between forecast and score, 0 to 1.';
comment on column public.forecast_accuracy.mase is
'The error in units of what "tomorrow as today" would have missed: below 1 is better than that. Null where it missed '
'nothing.';
comment on column public.forecast_accuracy.coverage is 'Share of scores that came to lie in their interval, 0 to 1.';
comment on column public.forecast_accuracy.confidence_level is 'Share that should.';

-- supabase/schemas/shorts/36_summaries.sql

-- Promises two summaries that cost a look-up instead of a count: one's own month, and the days of each category.

create materialized view private.user_activity_summary as
with searches as (
    select
        session.user_id,
        count(*) as searches,
        sum(session.results_clicked) as clicks,
        max(session.session_started_at) as last_seen,
        round(avg(session.user_satisfaction_rating), 2) as satisfaction
    from public.search_sessions as session
    where
        session.user_id is not null
        and session.session_started_at >= now() - interval '30 days'
    group by session.user_id
),

watched as (
    select
        interaction.user_id,
        sum(interaction.watch_duration) as watch_time,
        max(interaction.created_at) as last_seen
    from public.video_interactions as interaction
    where interaction.created_at >= now() - interval '30 days'
    group by interaction.user_id
)

select -- noqa: ST06
    searches.user_id,
    searches.searches,
    searches.clicks,
    coalesce(watched.watch_time, 0) as watch_time,
    greatest(searches.last_seen, watched.last_seen) as last_seen,
    searches.satisfaction
from searches
left join watched on searches.user_id = watched.user_id;
-- Of a summary that was made just now nobody is kept waiting.
-- squawk-ignore require-concurrent-index-creation
create unique index user_activity_summary_key on private.user_activity_summary (user_id);
comment on materialized view private.user_activity_summary is
'Everybody who searched in the last 30 days, a row each. Refreshed every hour; people ask public.my_activity().';
comment on column private.user_activity_summary.user_id is 'Whose month.';
comment on column private.user_activity_summary.searches is 'Searches.';
comment on column private.user_activity_summary.clicks is 'Results clicked in them.';
comment on column private.user_activity_summary.watch_time is 'Seconds watched.';
comment on column private.user_activity_summary.last_seen is 'The last search or interaction.';
comment on column private.user_activity_summary.satisfaction is
'Mean rating of the searches, 1 to 5; null without any.';

create materialized view private.category_trend_summary as
select
    keyword_day.trend_date,
    keyword_day.category,
    count(*) as trending_keyword_count,
    avg(keyword_day.avg_score) as avg_trend_score,
    coalesce(
        array_agg(keyword_day.keyword order by keyword_day.max_score desc, keyword_day.keyword asc)
        filter (where keyword_day.max_score > 0.5),
        '{}'
    ) as top_keywords
from (
    select -- noqa: ST06
        private.korean_day(trend.valid_from) as trend_date,
        -- YouTube says Music, the AI music.
        lower(coalesce(trend.category, video.ai_analysis -> 'categories' ->> 0, 'unknown')) as category,
        trend.keyword::text as keyword,
        max(trend.trend_score) as max_score,
        avg(trend.trend_score) as avg_score
    from public.trending_keywords as trend
    left join public.keyword_video_mappings as mapping on trend.keyword = mapping.keyword
    left join public.cached_videos as video on mapping.video_id = video.video_id
    where trend.valid_from >= now() - interval '30 days'
    group by
        private.korean_day(trend.valid_from),
        lower(coalesce(trend.category, video.ai_analysis -> 'categories' ->> 0, 'unknown')),
        trend.keyword
) as keyword_day
group by
    keyword_day.trend_date,
    keyword_day.category;
-- squawk-ignore require-concurrent-index-creation
create unique index category_trend_summary_key on private.category_trend_summary (trend_date, category);
-- The latest days of all categories.
-- squawk-ignore require-concurrent-index-creation
create index idx_trend_summary_date on private.category_trend_summary (trend_date desc);
comment on materialized view private.category_trend_summary is
'What trended in the last 30 days, by day in Korea and category. Refreshed every hour; people ask '
'public.category_trends().';
comment on column private.category_trend_summary.trend_date is 'Day in Korea.';
comment on column private.category_trend_summary.category is
'In lower case: of the trend, or else the first that the AI says of its videos; unknown where nobody says.';
comment on column private.category_trend_summary.trending_keyword_count is 'Keywords that trended.';
comment on column private.category_trend_summary.avg_trend_score is 'Mean of their mean scores, 0 to 1.';
comment on column private.category_trend_summary.top_keywords is 'Those with a score above 0.5, strongest first.';

create function private.refresh_summaries()
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    -- Concurrently: who reads meanwhile reads what was there before.
    refresh materialized view concurrently private.user_activity_summary;
    refresh materialized view concurrently private.category_trend_summary;
    select
        jsonb_build_object(
            'people', (select count(*) from private.user_activity_summary),
            'categories', (select count(*) from private.category_trend_summary)
        )
    into answer;
    return answer;
end
$$;
comment on function private.refresh_summaries() is 'Computes both summaries anew; returns how many rows they have.';

create function private.activity_of_caller()
returns table (
    searches bigint,
    clicks bigint,
    watch_time bigint,
    last_seen timestamptz,
    satisfaction numeric
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        summary.searches,
        summary.clicks,
        summary.watch_time,
        summary.last_seen,
        summary.satisfaction
    from private.user_activity_summary as summary
    where summary.user_id = (select private.user_id())
$$;
comment on function private.activity_of_caller() is
'The row of who asks. Reads past privileges: a materialized view has no policies, so nobody may read it directly.';

create function public.my_activity()
returns table (
    searches bigint,
    clicks bigint,
    watch_time bigint,
    last_seen timestamptz,
    satisfaction numeric
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        activity.searches,
        activity.clicks,
        activity.watch_time,
        activity.last_seen,
        activity.satisfaction
    from private.activity_of_caller() as activity
$$;
comment on function public.my_activity() is
'One''s own last 30 days as of the last full hour: searches, clicks, seconds watched, last seen, mean rating. No row '
'for who has not searched. For who is signed in.';

create function private.category_trends_for_premium(days integer)
returns table (
    trend_date date,
    category text,
    trending_keyword_count bigint,
    avg_trend_score double precision,
    top_keywords text[]
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        summary.trend_date,
        summary.category,
        summary.trending_keyword_count,
        summary.avg_trend_score,
        summary.top_keywords
    from private.category_trend_summary as summary
    where
        (select private.has_tier('premium'))
        and summary.trend_date > private.korean_day() - category_trends_for_premium.days
    order by
        summary.trend_date desc,
        summary.trending_keyword_count desc,
        summary.category asc
$$;
comment on function private.category_trends_for_premium(integer) is
'The last days of all categories, for premium and up. Reads past privileges: a materialized view has no policies.';

create function public.category_trends(days integer default 7)
returns table (
    trend_date date,
    category text,
    trending_keyword_count bigint,
    avg_trend_score double precision,
    top_keywords text[]
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        trend.trend_date,
        trend.category,
        trend.trending_keyword_count,
        trend.avg_trend_score,
        trend.top_keywords
    from private.category_trends_for_premium(least(greatest(coalesce(category_trends.days, 7), 0), 30)) as trend
$$;
comment on function public.category_trends(integer) is
'What trended on each of the last days in Korea, today among them, by category: at most 30. No rows below premium.';

-- supabase/schemas/shorts/37_surges.sql

-- Promises a ranking of tomorrow's surges: what may double, named the day before. docs/trends.md says how good it is.

create function private.surge_score(today double precision, usual double precision, fresh double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- A surge has at least three mentions, twice the usual ones, and more than today: the nearer, the likelier.
    select
        4.02 * surge_score.today / needed.mentions
        - 2.17 * ln(needed.mentions)
        + 1.36 * ln(1 + surge_score.usual)
        + 0.30 * ln(1 + surge_score.today)
        + 1.28 * ln(1 + surge_score.fresh)
    from (
        select greatest(3, 2 * surge_score.usual, surge_score.today + 1) as mentions
    ) as needed
$$;
comment on function private.surge_score(double precision, double precision, double precision) is
'The higher, the likelier a keyword surges tomorrow: by its mentions of today, the mean of the last seven days with '
'today, and how many of today''s videos are new. The weights were fitted on the first half of real charts.';

create function public.backtest_surges(
    today double precision[],
    usual double precision[],
    fresh double precision[]
)
returns double precision[]
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if
        coalesce(cardinality(today) > 100000, true)
        or cardinality(today) is distinct from cardinality(usual)
        or cardinality(today) is distinct from cardinality(fresh)
        or exists (
            select
            from unnest(today, usual, fresh) as given (today, usual, fresh)
            -- NaN is more than any number.
            where
                coalesce(given.today not between 0 and 1e12, true)
                or coalesce(given.usual not between 0 and 1e12, true)
                or coalesce(given.fresh not between 0 and 1e12, true)
        )
    then
        raise exception using
            errcode = 'PT400',
            message = 'The counts cannot be ranked.',
            hint = 'Send three arrays of one length, at most 100000 keywords, of numbers from 0 to 1e12.';
    end if;
    return array(
        select private.surge_score(given.today, given.usual, given.fresh)
        from unnest(today, usual, fresh) with ordinality as given (today, usual, fresh, place)
        order by given.place
    );
end
$$;
comment on function public.backtest_surges(double precision[], double precision[], double precision[]) is
'The score by which the room ranks tomorrow''s surges, per keyword: from its mentions of today, the mean of the last '
'seven days with today, and how many of today''s videos are new. Writes nothing. For the service.';

-- supabase/schemas/shorts/40_notify.sql

-- Promises that whoever commits a trend has told of it: events for webhooks and news for Realtime are in the same
-- transaction, and nothing that goes wrong in telling undoes the trend.

insert into ops.event_types (event_type, edge_function, for_subscribers, description)
values
('trend.detected', 'notify-trend', true, 'A keyword bursts: its score is above 0.8, or has risen through 0.8.'),
('trend.updated', 'trend-update', true, 'A trend is new, or its score, source or keyword has changed.');

create function private.trend_dedupe_key(
    keyword text,
    region_code text,
    detected_at timestamptz
)
returns text
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return region_code || ':' || to_char(detected_at at time zone 'UTC', 'YYYY-MM-DD') || ':' || keyword;
end
$$;
comment on function private.trend_dedupe_key(text, text, timestamptz) is
'One webhook event per keyword, region and UTC day, whichever sources saw it and however often it is detected.';

create function private.strong_trend_events(trend_ids uuid[])
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
language plpgsql
as $$
begin
    return (
        select
            jsonb_agg(
                jsonb_build_object(
                    'event_type', 'trend.detected',
                    'dedupe_key', private.trend_dedupe_key(trend.keyword, trend.region_code, trend.detected_at),
                    'data', jsonb_build_object(
                        'id', trend.id,
                        'keyword', trend.keyword,
                        'region_code', trend.region_code,
                        'data_source', trend.data_source,
                        'trend_score', trend.trend_score,
                        'growth_rate', trend.growth_rate,
                        'search_volume', trend.search_volume,
                        'z_score', trend.z_score,
                        'q_value', trend.q_value,
                        'model_version', trend.model_version,
                        'detected_at', trend.detected_at,
                        'expires_at', trend.expires_at
                    )
                )
                order by trend.trend_score desc
            )
        from public.trending_keywords as trend
        where trend.id = any(trend_ids)
    );
end
$$;
comment on function private.strong_trend_events(uuid[]) is
'The events trend.detected of these trends, as ops.enqueue takes them; null when there are none.';

create function private.changed_trend_events(
    trend_ids uuid[],
    previous_scores double precision[],
    change text
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
language plpgsql
as $$
begin
    return (
        select
            jsonb_agg(
                jsonb_build_object(
                    'event_type', 'trend.updated',
                    'dedupe_key', concat_ws(':', trend.id, trend.updated_at, trend.trend_score),
                    'data', jsonb_build_object(
                        'id', trend.id,
                        'keyword', trend.keyword,
                        'region_code', trend.region_code,
                        'data_source', trend.data_source,
                        'trend_score', trend.trend_score,
                        'previous_score', changed.previous_score,
                        'growth_rate', trend.growth_rate,
                        'detected_at', trend.detected_at,
                        'expires_at', trend.expires_at,
                        'model_version', trend.model_version,
                        'change', changed_trend_events.change
                    )
                )
                order by trend.id
            )
        from public.trending_keywords as trend
        inner join unnest(trend_ids, previous_scores) as changed (id, previous_score) on trend.id = changed.id
    );
end
$$;
comment on function private.changed_trend_events(uuid[], double precision[], text) is
'The events trend.updated of these trends, each with its score before; null when there are none.';

create function private.notify_trending_keyword()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    written uuid[];
    strong uuid[];
begin
    select
        array_agg(trend.id),
        array_agg(trend.id) filter (where trend.trend_score > 0.8)
    into
        written,
        strong
    from new_trends as trend;
    -- An upsert that only updated fires this too, with nothing.
    if written is not null then
        -- In one call: the secrets that a wake-up needs are read once.
        perform ops.enqueue(
            null,
            coalesce(private.strong_trend_events(strong), '[]')
            || private.changed_trend_events(written, array[]::double precision[], 'inserted')
        );
        perform private.add_trend_news(written, 'inserted');
    end if;
    return null;
exception
    when others then
        raise warning 'new trends were not told: %', sqlerrm;
        return null;
end
$$;
comment on function private.notify_trending_keyword() is
'Tells of new trends, a statement at a time. Neither Realtime nor the outbox can fail the write.';

create trigger trending_keyword_notification
after insert on public.trending_keywords
referencing new table as new_trends
for each statement
execute function private.notify_trending_keyword();

create function private.notify_trend_update()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    changed uuid[];
    previous_scores double precision[];
    risen uuid[];
begin
    select
        array_agg(now_trend.id order by now_trend.id),
        array_agg(old_trend.trend_score order by now_trend.id),
        array_agg(now_trend.id) filter (where now_trend.trend_score > 0.8 and old_trend.trend_score <= 0.8)
    into
        changed,
        previous_scores,
        risen
    from new_trends as now_trend
    inner join old_trends as old_trend on now_trend.id = old_trend.id
    where
        (now_trend.trend_score, now_trend.data_source, now_trend.keyword)
        is distinct from (old_trend.trend_score, old_trend.data_source, old_trend.keyword);
    if changed is not null then
        perform ops.enqueue(
            null,
            coalesce(private.strong_trend_events(risen), '[]')
            || private.changed_trend_events(changed, previous_scores, 'updated')
        );
        perform private.add_trend_news(changed, 'updated');
    end if;
    return null;
exception
    when others then
        raise warning 'changed trends were not told: %', sqlerrm;
        return null;
end
$$;
comment on function private.notify_trend_update() is
'Tells of trends whose score, source or keyword really changed, and anew of those that rose through 0.8.';

create trigger trend_update_notification
after update on public.trending_keywords
referencing old table as old_trends new table as new_trends
for each statement
execute function private.notify_trend_update();

-- A hosted project has this publication; a plain Postgres does not.
do $$
begin
    if exists (
        select
        from pg_catalog.pg_publication
        where pubname = 'supabase_realtime'
    ) then
        alter publication supabase_realtime
        add table public.trending_keywords, public.search_sessions, public.user_feedback;
        -- Else partitions would be published instead, whose names nobody knows.
        alter publication supabase_realtime set (publish_via_partition_root = true);
        -- No policy filters deletes: everybody who listens would learn the ids of everybody's rows.
        alter publication supabase_realtime set (publish = 'insert, update');
    end if;
end
$$;

-- supabase/schemas/shorts/41_trend_news.sql

-- Promises that whoever follows the trends sees every one once and in the order of commits, however often the
-- connection broke: news are numbered without gaps when they are committed, broadcast, and can be asked for again.

create table private.trend_news (
    id bigint generated always as identity primary key,
    cursor bigint unique,
    trend_id uuid not null,
    keyword text not null,
    region_code text not null,
    change text not null,
    limited jsonb not null,
    full_row jsonb not null,
    is_first boolean not null,
    created_at timestamptz not null default now(),
    constraint change_is_known check (change in ('inserted', 'updated'))
);
alter table private.trend_news enable row level security;
create index trend_news_without_number on private.trend_news (id)
where cursor is null;
comment on table private.trend_news is
'What became of trends, as it is told to those who follow them. Kept for 7 days.';
comment on column private.trend_news.cursor is
'Its number, without gaps and in the order of commits; null until its transaction commits.';
comment on column private.trend_news.limited is 'What everybody may see of the trend.';
comment on column private.trend_news.full_row is 'The trend as it was: for premium and up.';
comment on column private.trend_news.is_first is
'Whether it is the first of its statement: it has all be numbered when the transaction commits.';

create table private.trend_news_counter (
    is_the_only_one boolean primary key default true,
    newest bigint not null default 0,
    constraint there_is_one_counter check (is_the_only_one)
);
alter table private.trend_news_counter enable row level security;
insert into private.trend_news_counter default values;
comment on table private.trend_news_counter is
'The newest cursor: one row, locked by one committing transaction at a time.';

create function private.add_trend_news(
    trend_ids uuid[],
    change text
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
language plpgsql
as $$
begin
    insert into private.trend_news (trend_id, keyword, region_code, change, limited, full_row, is_first)
    select
        trend.id,
        trend.keyword,
        trend.region_code,
        add_trend_news.change,
        jsonb_build_object(
            'change', add_trend_news.change,
            'id', trend.id,
            'keyword', trend.keyword,
            'region_code', trend.region_code,
            'trend_score', trend.trend_score,
            'growth_rate', trend.growth_rate,
            'detected_at', trend.detected_at
        ),
        to_jsonb(trend) || jsonb_build_object('change', add_trend_news.change),
        row_number() over (order by trend.detected_at, trend.id) = 1
    from public.trending_keywords as trend
    where trend.id = any(trend_ids)
    order by
        trend.detected_at,
        trend.id;
exception
    when others then
        raise warning 'trends are no news: %', sqlerrm;
end
$$;
comment on function private.add_trend_news(uuid[], text) is
'Notes what is told of these trends; it is numbered and broadcast when the transaction commits. Never raises.';

create function private.broadcast_trend_news(
    after bigint,
    up_to bigint
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
language plpgsql
as $$
begin
    -- All topics are private: on a public one any client could send, and its trends would look like ours.
    perform
        realtime.send(
            jsonb_build_object('cursor', news.cursor)
            || case when listeners.topic = 'trends' then news.limited else news.full_row end,
            'trend',
            listeners.topic,
            true
        )
    from private.trend_news as news
    cross join unnest(array['trends', 'trends:premium', 'trends:pro', 'trends:enterprise']) as listeners (topic)
    where
        -- Of very many the last will do: who hears it has a gap and asks for the others, a page at a time.
        news.cursor > case
            when broadcast_trend_news.up_to - broadcast_trend_news.after > 500 then broadcast_trend_news.up_to - 1
            else broadcast_trend_news.after
        end
        and news.cursor <= broadcast_trend_news.up_to
    order by news.cursor;
exception
    when others then
        raise warning 'trends were not broadcast: %', sqlerrm;
end
$$;
comment on function private.broadcast_trend_news(bigint, bigint) is
'Broadcasts the news of these numbers in their order, of more than 500 the last alone: limited for everybody, in full '
'for each tier. Never raises.';

create function private.number_trend_news()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
language plpgsql
as $$
declare
    before bigint;
    up_to bigint;
begin
    -- From here to the end of the commit nobody else gets a number: so numbers are in the order of commits.
    select counter.newest
    into before
    from private.trend_news_counter as counter
    where
        -- Else an earlier statement of the transaction numbered this one's with its own.
        exists (
            select
            from private.trend_news as news
            where
                news.id = new.id
                and news.cursor is null
        )
    for update;
    if not found then
        return null;
    end if;
    with numbered as (
        update private.trend_news as stored
        set cursor = before + waiting.position
        from (
            select
                news.id,
                row_number() over (order by news.id) as position
            from private.trend_news as news
            where news.cursor is null
        ) as waiting
        where stored.id = waiting.id
        returning stored.id
    )

    update private.trend_news_counter
    set newest = before + (select count(*) from numbered)
    returning newest
    into up_to;
    perform private.broadcast_trend_news(before, up_to);
    return null;
exception
    when others then
        -- The row waits for the next transaction that brings news.
        raise warning 'the news of trends were not numbered: %', sqlerrm;
        return null;
end
$$;
comment on function private.number_trend_news() is
'Runs while the transaction commits: numbers all its news at once and broadcasts them.';

-- Postgres asks for the condition at once: a statement of 5,000 trends leaves one call to the commit.
create constraint trigger number_trend_news
after insert on private.trend_news
deferrable initially deferred
for each row
when (new.is_first)
execute function private.number_trend_news();

create function private.trend_news_after(
    after bigint,
    most integer
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if trend_news_after.after < 0 then
        raise exception using
            errcode = 'PT400',
            message = 'The cursor is negative.',
            detail = format('cursor is %s.', trend_news_after.after),
            hint = 'Send the cursor of the last answer or broadcast, or none to begin now.';
    end if;
    if (trend_news_after.most between 1 and 1000) is not true then
        raise exception using
            errcode = 'PT400',
            message = 'The limit is not between 1 and 1000.',
            detail = format('limit is %s.', trend_news_after.most),
            hint = 'Send a whole number from 1 to 1000, and the cursor of the answer for more.';
    end if;
    return (
        with position as (
            select
                counter.newest,
                coalesce(trend_news_after.after, counter.newest) as seen,
                (
                    select min(news.cursor)
                    from private.trend_news as news
                ) as oldest
            from private.trend_news_counter as counter
        ),

        -- A number that was not given yet is from before a restore: what follows it cannot be told, so all begins anew.
        start as (
            select
                position.newest,
                case when position.seen > position.newest then position.newest else position.seen end as seen,
                position.seen > position.newest
                or (position.seen < position.newest and coalesce(position.oldest > position.seen + 1, true)) as missed
            from position
        ),

        page as (
            select
                news.cursor,
                jsonb_build_object('cursor', news.cursor)
                || case when reader.is_full then news.full_row else news.limited end as told
            from start
            inner join private.trend_news as news on news.cursor > start.seen
            cross join (
                select
                    private.has_tier('premium')
                    or coalesce(nullif(current_setting('role', true), 'none'), session_user)
                    in ('service_role', 'postgres') as is_full
            ) as reader
            order by news.cursor
            limit most
        )

        select
            jsonb_build_object(
                'trends', coalesce((select jsonb_agg(page.told order by page.cursor) from page), '[]'),
                'cursor', told.up_to,
                'newest', start.newest,
                'is_complete', told.up_to >= start.newest,
                'missed', start.missed
            )
        from start
        cross join lateral (
            select
                coalesce(
                    (select max(page.cursor) from page),
                    -- What was missed is not kept any more: there is nothing to wait for.
                    case when start.missed then start.newest else start.seen end
                ) as up_to
        ) as told
    );
end
$$;
comment on function private.trend_news_after(bigint, integer) is
'What public.trends_since answers. Reads past privileges: premium and the service get full rows, others limited ones.';

create function public.trends_since(
    cursor bigint default null,
    "limit" integer default 100
)
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.trend_news_after(trends_since.cursor, trends_since."limit")
$$;
comment on function public.trends_since(bigint, integer) is
'What became of trends since a cursor, in order: {"trends", "cursor", "newest", "is_complete", "missed"}. Without a '
'cursor it begins now. missed: the cursor is older than the 7 days that are kept. Full rows for premium and up, '
'limited ones for everybody.';

create function private.forget_trend_news(
    at timestamptz default now(),
    most integer default 10000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Only from the old end, so that what is kept has no gaps.
    with oldest as (
        select
            page.id,
            bool_and(page.created_at < forget_trend_news.at - interval '7 days') over (order by page.cursor) as is_over
        from (
            select
                news.id,
                news.cursor,
                news.created_at
            from private.trend_news as news
            where news.cursor is not null
            order by news.cursor
            limit forget_trend_news.most
        ) as page
    ),

    forgotten as (
        delete from private.trend_news as stored
        using oldest
        where
            stored.id = oldest.id
            and oldest.is_over
        returning stored.id
    )

    select jsonb_build_object('forgotten', count(*))
    from forgotten
$$;
comment on function private.forget_trend_news(timestamptz, integer) is
'Deletes a batch of the news that are older than 7 days, the oldest first. Returns how many.';

-- supabase/schemas/shorts/42_notifications.sql

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

-- supabase/schemas/shorts/43_person_topics.sql

-- Promises that the devices of a person learn what the person did on another, and that no write fails for it. Searches
-- are partitioned, and Postgres Changes asks the policies for each listener: so this goes by broadcast.

create function private.broadcast_to_people(
    messages jsonb,
    event text,
    ending text
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform realtime.send(message.value, event, 'user:' || message.key || ending, true)
    from jsonb_each(messages) as message
    order by message.key;
exception
    when others then
        raise warning 'people were not told of %: %', event, sqlerrm;
end
$$;
comment on function private.broadcast_to_people(jsonb, text, text) is
'Sends {user_id: payload} to the private topics user:<id> with this ending. Never raises.';

create function private.tell_of_profiles()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    messages jsonb;
begin
    -- What was learned changes all the time and is nothing that a device shows.
    select
        jsonb_object_agg(
            now_profile.user_id,
            jsonb_build_object(
                'preferred_categories', now_profile.preferred_categories,
                'preferred_keywords', now_profile.preferred_keywords,
                'disliked_categories', now_profile.disliked_categories,
                'updated_at', now_profile.updated_at
            )
        )
    into messages
    from new_profiles as now_profile
    inner join old_profiles as old_profile on now_profile.id = old_profile.id
    where
        (
            now_profile.preferred_categories,
            now_profile.preferred_keywords,
            now_profile.disliked_categories,
            now_profile.mood_patterns,
            now_profile.personalization_weights,
            now_profile.time_preferences,
            now_profile.context_preferences
        ) is distinct from (
            old_profile.preferred_categories,
            old_profile.preferred_keywords,
            old_profile.disliked_categories,
            old_profile.mood_patterns,
            old_profile.personalization_weights,
            old_profile.time_preferences,
            old_profile.context_preferences
        );
    if messages is not null then
        perform private.broadcast_to_people(messages, 'profile', '');
    end if;
    return null;
exception
    when others then
        raise warning 'people were not told of their profiles: %', sqlerrm;
        return null;
end
$$;
comment on function private.tell_of_profiles() is 'Event profile for whose choices changed, a message per person.';

create trigger tell_of_profiles
after update on public.user_profiles
referencing old table as old_profiles new table as new_profiles
for each statement
execute function private.tell_of_profiles();

create function private.tell_of_interactions()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    messages jsonb;
begin
    select
        jsonb_object_agg(
            told.user_id,
            jsonb_build_object('video_ids', to_jsonb(told.video_ids[:50]), 'count', told.interactions)
        )
    into messages
    from (
        select
            interaction.user_id,
            array_agg(distinct interaction.video_id) as video_ids,
            count(*) as interactions
        from new_interactions as interaction
        group by interaction.user_id
    ) as told;
    if messages is not null then
        perform private.broadcast_to_people(messages, 'interactions', '');
    end if;
    return null;
exception
    when others then
        raise warning 'people were not told of their interactions: %', sqlerrm;
        return null;
end
$$;
comment on function private.tell_of_interactions() is
'Event interactions: {"video_ids": [at most 50], "count"}, one message per person and statement.';

create trigger tell_of_interactions
after insert on public.video_interactions
referencing new table as new_interactions
for each statement
execute function private.tell_of_interactions();

create function private.tell_of_searches()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    messages jsonb;
begin
    -- The newest of each person: a device asks for the rest.
    select
        jsonb_object_agg(
            newest.user_id,
            jsonb_build_object(
                'id', newest.id,
                'search_query', newest.search_query,
                'search_type', newest.search_type,
                'session_started_at', newest.session_started_at,
                'session_id', newest.session_id
            )
        )
    into messages
    from (
        select distinct on (session.user_id)
            session.id,
            session.user_id,
            session.search_query,
            session.search_type,
            session.session_started_at,
            session.session_id
        from new_sessions as session
        where session.user_id is not null
        order by
            session.user_id asc,
            session.session_started_at desc,
            session.id asc
    ) as newest;
    if messages is not null then
        perform private.broadcast_to_people(messages, 'search', ':searches');
    end if;
    return null;
exception
    when others then
        raise warning 'people were not told of their searches: %', sqlerrm;
        return null;
end
$$;
comment on function private.tell_of_searches() is
'Event search on user:<id>:searches: the newest search of each person in the statement.';

create trigger tell_of_searches
after insert on public.search_sessions
referencing new table as new_sessions
for each statement
execute function private.tell_of_searches();

-- supabase/schemas/shorts/44_subscriber_webhooks.sql

-- Promises that premium people have trends posted to servers of their own, as long as they are premium, and that nobody
-- reaches another's endpoint.

create function private.keep_webhook_entitlement()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if tg_op <> 'DELETE' and new.tier >= 'premium' then
        update public.webhook_endpoints as endpoint
        set entitled_until = new.expires_at
        where
            endpoint.user_id = new.user_id
            and endpoint.entitled_until is distinct from new.expires_at;
    else
        update public.webhook_endpoints as endpoint
        set entitled_until = now()
        where
            endpoint.user_id = old.user_id
            and coalesce(endpoint.entitled_until > now(), true);
    end if;
    return null;
end
$$;
comment on function private.keep_webhook_entitlement() is
'Entitles the endpoints of a person as long as the tier does: to its end, and below premium no longer.';

create trigger keep_webhook_entitlement
after insert or update or delete on public.user_tiers
for each row
execute function private.keep_webhook_entitlement();

create function private.require_webhook_tier()
returns timestamptz
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    held public.user_tiers;
begin
    -- Held until the end: a tier that changes at this moment finds the endpoint, and changes it too.
    select *
    into held
    from public.user_tiers as stored
    where stored.user_id = private.user_id()
    for share;
    if held.tier >= 'premium' and coalesce(held.expires_at > now(), true) then
        return held.expires_at;
    end if;
    raise exception using
        errcode = 'PT403',
        message = 'Webhooks need premium.',
        hint = 'Subscribe, or listen to the topic trends. Endpoints that exist can still be switched off and removed.';
end
$$;
comment on function private.require_webhook_tier() is
'Until when who asks may have webhooks, null for no end; PT403 below premium.';

create function private.add_own_webhook(
    url text,
    event_types text[],
    description text
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    entitled_until constant timestamptz := private.require_webhook_tier();
begin
    return private.add_webhook_endpoint(
        owner => private.user_id(),
        url => add_own_webhook.url,
        event_types => add_own_webhook.event_types,
        description => add_own_webhook.description,
        entitled_until => entitled_until
    );
end
$$;
comment on function private.add_own_webhook(text, text[], text) is 'What public.add_my_webhook does, for who asks.';

create function private.manage_own_webhook(
    action text,
    endpoint_id uuid,
    options jsonb
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    -- Another's endpoint and none at all are told in the same words.
    if not exists (
        select
        from public.webhook_endpoints as endpoint
        where
            endpoint.id = manage_own_webhook.endpoint_id
            and endpoint.user_id = private.user_id()
    ) then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such webhook endpoint.',
            hint = 'Send the id that the registration returned.';
    end if;
    if action in ('rotate', 'test', 'replay') or (action = 'set' and options -> 'is_enabled' = 'true') then
        perform private.require_webhook_tier();
    end if;
    case action
        when 'rotate' then
            answer := private.rotate_webhook_secret(
                endpoint_id, overlap_seconds => (options ->> 'overlap_seconds')::integer
            );
        when 'test' then
            answer := private.test_webhook_endpoint(endpoint_id);
        when 'set' then
            answer := private.set_webhook_endpoint(endpoint_id, (options ->> 'is_enabled')::boolean);
        when 'remove' then
            answer := to_jsonb(private.remove_webhook_endpoint(endpoint_id));
        when 'log' then
            answer := private.webhook_log(
                endpoint_id, (options ->> 'limit')::integer, (options ->> 'before')::timestamptz
            );
        when 'replay' then
            answer := to_jsonb(
                public.replay_webhook_deliveries(
                    endpoint_id => manage_own_webhook.endpoint_id,
                    since => (options ->> 'since')::timestamptz,
                    batch_size => 5000
                )
            );
    end case;
    return answer;
end
$$;
comment on function private.manage_own_webhook(text, uuid, jsonb) is
'What people do with endpoints of their own: PT404 for any other, PT403 for what needs premium.';

create function public.add_my_webhook(
    url text,
    event_types text[] default '{trend.detected}',
    description text default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.add_own_webhook(url, event_types, description)
$$;
comment on function public.add_my_webhook(text, text[], text) is
'For premium and up: has events posted to one''s own server. {"id", "secret"}: the secret is told this once.';

create function public.rotate_my_webhook_secret(
    endpoint_id uuid,
    overlap_seconds integer default 86400
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook(
        'rotate', endpoint_id, jsonb_build_object('overlap_seconds', overlap_seconds)
    )
$$;
comment on function public.rotate_my_webhook_secret(uuid, integer) is
'A new secret, told this once; until the overlap ends messages carry the signatures of both.';

create function public.test_my_webhook(endpoint_id uuid)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook('test', endpoint_id, '{}')
$$;
comment on function public.test_my_webhook(uuid) is
'Sends webhook.test to the endpoint: {"delivery_id", "webhook_id"}.';

create function public.set_my_webhook(
    endpoint_id uuid,
    is_enabled boolean
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook('set', endpoint_id, jsonb_build_object('is_enabled', is_enabled))
$$;
comment on function public.set_my_webhook(uuid, boolean) is
'Switches one''s endpoint on or off and answers its row. To switch it on needs premium.';

create function public.remove_my_webhook(endpoint_id uuid)
returns boolean
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook('remove', endpoint_id, '{}')::boolean
$$;
comment on function public.remove_my_webhook(uuid) is 'Removes one''s endpoint with its deliveries and secrets.';

create function public.my_webhook_log(
    endpoint_id uuid,
    "limit" integer default 50,
    before timestamptz default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook(
        'log', endpoint_id, jsonb_build_object('limit', my_webhook_log."limit", 'before', before)
    )
$$;
comment on function public.my_webhook_log(uuid, integer, timestamptz) is
'The deliveries of one''s endpoint with their attempts, the newest first; next_before continues.';

create function public.replay_my_webhooks(
    endpoint_id uuid,
    since timestamptz default null
)
returns integer
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.manage_own_webhook('replay', endpoint_id, jsonb_build_object('since', since))::integer
$$;
comment on function public.replay_my_webhooks(uuid, timestamptz) is
'Sends again what was given up since then, at most 5,000 at a time, under the same webhook-id. Returns how many.';

-- supabase/schemas/shorts/47_korean_text.sql

-- Promises one way to compare what people type in Korean: folded, without spaces, by first consonants, by jamo.

create function private.compatibility_jamo(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Conjoining jamo (leads, vowels, finals), then the letters a keyboard types.
    return translate(
        compatibility_jamo.text,
        E'\u1100\u1101\u1102\u1103\u1104\u1105\u1106\u1107\u1108\u1109\u110A\u110B\u110C\u110D\u110E\u110F'
        '\u1110\u1111\u1112\u1161\u1162\u1163\u1164\u1165\u1166\u1167\u1168\u1169\u116A\u116B\u116C\u116D'
        '\u116E\u116F\u1170\u1171\u1172\u1173\u1174\u1175\u11A8\u11A9\u11AA\u11AB\u11AC\u11AD\u11AE\u11AF'
        '\u11B0\u11B1\u11B2\u11B3\u11B4\u11B5\u11B6\u11B7\u11B8\u11B9\u11BA\u11BB\u11BC\u11BD\u11BE\u11BF'
        '\u11C0\u11C1\u11C2',
        'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ'
        'ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ'
        'ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ'
    );
end
$$;
comment on function private.compatibility_jamo(text) is
'The text with each conjoining jamo as the letter of the same look that stands alone: what stood first or last in a '
'syllable is the same then.';

create function private.fold_text(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    -- pg_c_utf8 is the same on every machine.
    lowered constant text := lower(normalize(left(text, 2000), nfkc) collate pg_c_utf8);
begin
    -- Marks of scripts that write vowels as marks stay: they are letters to who reads them. NFKC makes conjoining jamo of
    -- typed ones, ㅁㅈ: they are turned back.
    return btrim(
        regexp_replace(
            case
                when lowered ~ '[\u1100-\u11FF]' then private.compatibility_jamo(lowered)
                else lowered
            end collate pg_c_utf8,
            '[^[:alnum:]\u0300-\u036F\u0610-\u061A\u064B-\u065F\u0900-\u0963\u0966-\u109F\u1780-\u17D3]+',
            ' ',
            'g'
        )
    );
end
$$;
comment on function private.fold_text(text) is
'NFKC, lower case, every run of what is neither letter nor digit as one space. Of its first 2,000 characters.';

create function private.squeeze_text(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select replace(private.fold_text(squeeze_text.text), ' ', '')
$$;
comment on function private.squeeze_text(text) is 'Folded and without spaces: 맛 집 and 맛집 are the same.';

create function private.jamo_of(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Canonical decomposition writes a syllable as two or three jamo; what else it took apart is put together again.
    return normalize(private.compatibility_jamo(normalize(text, nfd)), nfc);
end
$$;
comment on function private.jamo_of(text) is
'맛집 as ㅁㅏㅅㅈㅣㅂ: a letter for each jamo, compound vowels and finals whole; other letters stay as they are.';

create function private.choseong_of(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Vowels and finals go, since translate has nothing to put in their place.
    return normalize(
        translate(
            normalize(choseong_of.text, nfd),
            E'\u1100\u1101\u1102\u1103\u1104\u1105\u1106\u1107\u1108\u1109\u110A\u110B\u110C\u110D\u110E\u110F'
            '\u1110\u1111\u1112\u1161\u1162\u1163\u1164\u1165\u1166\u1167\u1168\u1169\u116A\u116B\u116C\u116D'
            '\u116E\u116F\u1170\u1171\u1172\u1173\u1174\u1175\u11A8\u11A9\u11AA\u11AB\u11AC\u11AD\u11AE\u11AF'
            '\u11B0\u11B1\u11B2\u11B3\u11B4\u11B5\u11B6\u11B7\u11B8\u11B9\u11BA\u11BB\u11BC\u11BD\u11BE\u11BF'
            '\u11C0\u11C1\u11C2',
            'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ'
        ),
        nfc
    );
end
$$;
comment on function private.choseong_of(text) is
'맛집 as ㅁㅈ: the first consonant of each syllable; other letters and lone jamo stay as they are.';

create function private.jamo_distance(a text, b text, most integer)
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    one constant text[] := string_to_array(private.jamo_of(a), null);
    other constant text[] := string_to_array(private.jamo_of(b), null);
    width constant integer := cardinality(other);
    beyond constant integer := jamo_distance.most + 1;
    above integer[];
    below integer[];
    smallest integer;
    cost integer;
begin
    if a is null or b is null or most is null or most < 0 or abs(cardinality(one) - width) > most then
        return null;
    end if;
    -- Only the band that can stay within `most` is computed; around it stands what is beyond.
    above := array(
        select least(number, beyond)
        from generate_series(0, width) as step (number)
    );
    for row_number in 1 .. cardinality(one) loop
        below := array_fill(beyond, array[width + 1]);
        below[1] := least(row_number, beyond);
        smallest := below[1];
        for place in greatest(1, row_number - most) .. least(width, row_number + most) loop
            cost := least(
                above[place] + (one[row_number] <> other[place])::integer,
                above[place + 1] + 1,
                below[place] + 1,
                beyond
            );
            below[place + 1] := cost;
            smallest := least(smallest, cost);
        end loop;
        if smallest > most then
            return null;
        end if;
        above := below;
    end loop;
    return nullif(above[width + 1], beyond);
end
$$;
comment on function private.jamo_distance(text, text, integer) is
'How many jamo must be put in, left out or exchanged to make the one text of the other; null when more than `most`.';

-- supabase/schemas/shorts/48_video_cards.sql

-- Promises that search and feed read narrow rows in rank order, derived from the cache by a fold, equal to it after it.

create function private.search_score(
    relevance double precision,
    quality double precision,
    popularity double precision,
    published_at timestamptz
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Relevance x worth x freshness, as a sum of logarithms. Freshness halves in 180 days for everything at once, so
    -- that it is counted forward from 2020: the order of two videos never changes with time, and can be stored.
    return
        ln(greatest(relevance, 0.01))
        + ln(0.1 + 0.6 * coalesce(quality, 0) + 0.3 * coalesce(popularity, 0))
        + ln(2) * extract(epoch from published_at - '2020-01-01 00:00+00'::timestamptz)::double precision
        / (180 * 86400);
end
$$;
comment on function private.search_score(double precision, double precision, double precision, timestamptz) is
'How search ranks: ln(relevance) + ln(0.1 + 0.6 quality + 0.3 popularity) + ln 2 x (days since 2020 / 180). '
'Relevance, quality and popularity are from 0 to 1; private.search_score_at says what is left of it at a time.';

create function private.search_score_at(
    score double precision,
    at timestamptz
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return exp(
        least(
            score - ln(2) * extract(epoch from at - '2020-01-01 00:00+00'::timestamptz)::double precision
            / (180 * 86400),
            0
        )
    );
end
$$;
comment on function private.search_score_at(double precision, timestamptz) is
'relevance x (0.1 + 0.6 quality + 0.3 popularity) x 0.5 ^ (age / 180 days), 0 to 1.';

create function private.keyword_relevance(relevance_score double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- The design's threshold is 0.7: what is below still answers, after what is above unless far better and newer.
    return case when relevance_score > 0.7 then relevance_score else 0.1 + relevance_score / 2 end;
end
$$;
comment on function private.keyword_relevance(double precision) is
'What a mapping''s relevance counts in search: itself above 0.7, else 0.1 + half of it.';

create function private.search_key(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- A keyword of emoji alone has no letters to fold.
    return coalesce(nullif(private.fold_text(text), ''), private.normalize_keyword(text));
end
$$;
comment on function private.search_key(text) is
'How a keyword is looked up: folded; normalised where nothing of it is a letter or a digit.';

create function private.title_grams(folded text)
returns text[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    letters constant text[] := string_to_array(replace(folded, ' ', ''), null);
begin
    -- Across spaces too, so that 맛집 finds 맛 집 by the same pairs. What comes twice is twice in it: an index does not mind.
    return array(
        select unnest(letters) collate "C"
        union all
        select (one.letter || one.following) collate "C"
        from unnest(letters, letters[2:]) as one (letter, following)
        where one.following is not null
    );
end
$$;
comment on function private.title_grams(text) is
'Every letter and every two neighbouring letters of a folded text, spaces left out, as often as they are there.';

create table private.video_cards (
    video_no integer generated always as identity primary key,
    video_id varchar(20) not null unique references public.cached_videos (video_id) on delete cascade,
    title_folded text collate "C" not null,
    category_id smallint not null,
    channel_id varchar(50),
    duration integer,
    popularity real not null,
    quality real not null,
    view_count bigint not null,
    published_at timestamptz not null,
    expires_at timestamptz not null,
    region_restrictions jsonb,
    is_servable boolean not null,
    standing real not null,
    constraint card_scores_are_fractions check (popularity between 0 and 1 and quality between 0 and 1)
);
alter table private.video_cards enable row level security;
create index video_cards_by_gram on private.video_cards using gin (private.title_grams(title_folded))
where is_servable;
create index video_cards_by_expiry on private.video_cards (expires_at)
where is_servable;
comment on table private.video_cards is
'What search and feed need of a video, narrow. Derived: private.fold_video_cards writes it, '
'private.rebuild_video_cards makes it anew, private.video_card_problems compares it with public.cached_videos.';
comment on column private.video_cards.video_no is 'Our own short number of the video; stays while the video is cached.';
comment on column private.video_cards.title_folded is 'private.fold_text of the title.';
comment on column private.video_cards.category_id is 'YouTube''s number; 0 while unknown.';
comment on column private.video_cards.popularity is 'ln(1 + views) / ln(1 + 1e9) to two digits, at most 1.';
comment on column private.video_cards.quality is 'The quality score; 0 while unknown.';
comment on column private.video_cards.published_at is
'A year before it was first seen, where the source does not tell.';
comment on column private.video_cards.region_restrictions is 'Null where it plays everywhere.';
comment on column private.video_cards.is_servable is
'A Short that plays and had not expired when last looked at. What is served is looked up in the cache again.';
comment on column private.video_cards.standing is
'private.search_score with relevance 1: the order among videos that answer equally well.';

create table private.keywords (
    keyword_no integer generated always as identity primary key,
    keyword text collate "C" not null unique,
    videos integer not null default 0
);
alter table private.keywords enable row level security;
comment on table private.keywords is 'Every keyword that ever led to a Short that plays. Derived, see video_cards.';
comment on column private.keywords.keyword is 'private.search_key of it: k-pop and k pop are one.';
comment on column private.keywords.videos is 'How many Shorts that play it leads to.';

create table private.keyword_postings (
    keyword_no integer not null,
    video_no integer not null,
    score real not null,
    primary key (video_no, keyword_no)
);
alter table private.keyword_postings enable row level security;
create index keyword_postings_in_order on private.keyword_postings (keyword_no, score desc, video_no desc);
comment on table private.keyword_postings is
'The Shorts that play of each keyword, in the order of search: no row of any other video. Derived, see video_cards. '
'No foreign keys: they cost more than all else when millions are written. Keywords stay, and postings go by trigger.';
comment on column private.keyword_postings.score is 'private.search_score. Never changes with time.';

create table private.keyword_deltas (
    id bigint generated always as identity primary key,
    keyword_no integer not null,
    videos integer not null
);
alter table private.keyword_deltas enable row level security;
comment on table private.keyword_deltas is
'How many postings a keyword has won or lost and its row does not say yet. Appended only; the fold adds it up.';

create table private.card_marks (
    id bigint generated always as identity primary key,
    video_ids text[] not null,
    marked_at timestamptz not null default now()
);
alter table private.card_marks enable row level security;
comment on table private.card_marks is
'Videos that changed since the fold. Appended only, so that nobody waits for anybody; the fold takes them away.';

create table private.frequent_grams (
    gram text collate "C" primary key,
    videos integer not null,
    is_whole boolean not null,
    last_standing real not null,
    video_nos integer[] not null
);
alter table private.frequent_grams enable row level security;
comment on table private.frequent_grams is
'The best videos of each letter and pair of letters that more than 100 titles have. Derived, see video_cards. '
'What changed since a list was made is in private.unlisted_cards.';
comment on column private.frequent_grams.videos is 'About how many videos have it.';
comment on column private.frequent_grams.is_whole is 'Whether the list holds all of them.';
comment on column private.frequent_grams.last_standing is
'Every video with a higher standing that has the gram is in the list; -infinity where the list is whole.';
comment on column private.frequent_grams.video_nos is 'At most 2,000, the highest standing first.';

create sequence private.card_changes as bigint;
create table private.unlisted_cards (
    video_no integer primary key,
    change_no bigint not null default nextval('private.card_changes'),
    title_folded text collate "C" not null,
    changed_at timestamptz not null default now()
);
alter table private.unlisted_cards enable row level security;
create index unlisted_cards_by_gram on private.unlisted_cards using gin (private.title_grams(title_folded));
create index unlisted_cards_by_change on private.unlisted_cards (change_no);
comment on table private.unlisted_cards is
'Servable videos whose title or standing changed, which lists of grams do not know yet: they are looked up apart.';
comment on column private.unlisted_cards.video_no is
'Of video_cards. No foreign key: who deletes a video shall not wait for the lists.';

create table private.list_round (
    is_only boolean primary key default true,
    listed_no bigint not null default 0,
    target_no bigint,
    done_gram text collate "C" not null default '',
    constraint there_is_one_round check (is_only)
);
alter table private.list_round enable row level security;
insert into private.list_round default values;
comment on table private.list_round is
'How far the lists of grams are: all know the changes up to listed_no, those up to done_gram the ones up to target_no.';

create view private.wanted_cards
with (security_invoker = true)
as
with figures as (
    select
        video.*,
        -- To two digits: a few views more are no change of the order, and nothing to write.
        least(round((ln(1 + coalesce(video.view_count, 0)::double precision) / ln(1e9 + 1))::numeric, 2), 1)::real
            as popularity,
        coalesce(video.published_at, video.created_at - interval '1 year') as first_at
    from public.cached_videos as video
)

select
    video.video_id,
    video.channel_id,
    video.duration,
    video.popularity,
    video.first_at as published_at,
    video.expires_at,
    private.fold_text(video.title) collate "C" as title_folded,
    coalesce(video.category_id, 0)::smallint as category_id,
    coalesce(video.quality_score, 0)::real as quality,
    coalesce(video.view_count, 0) as view_count,
    nullif(video.region_restrictions, '{}') as region_restrictions,
    video.is_playable and video.is_shorts and video.expires_at > now() as is_servable,
    -- private.search_score, written out: a call costs as much as all the rest of a row.
    (
        ln(
            0.1
            + 0.6 * round(coalesce(video.quality_score, 0)::numeric, 2)::double precision
            + 0.3 * video.popularity::double precision
        )
        + ln(2) * extract(epoch from video.first_at - '2020-01-01 00:00+00'::timestamptz)::double precision
        / (180 * 86400)
    )::real as standing
from figures as video;
comment on view private.wanted_cards is 'What video_cards should say, from public.cached_videos as it is now.';

create view private.wanted_postings
with (security_invoker = true)
as
-- Each keyword is folded once, however many videos it leads to.
with folded as materialized (
    select
        spelled.keyword,
        private.search_key(spelled.keyword) collate "C" as search_key
    from (select distinct mapping.keyword from public.keyword_video_mappings as mapping) as spelled
)

select
    card.video_no,
    card.video_id,
    folded.search_key as keyword,
    (card.standing + ln(greatest(max(private.keyword_relevance(mapping.relevance_score)), 0.01)))::real as score
from private.video_cards as card
inner join public.keyword_video_mappings as mapping on card.video_id = mapping.video_id
inner join folded on mapping.keyword = folded.keyword
where
    card.is_servable
    and folded.search_key <> ''
group by
    card.video_no,
    card.video_id,
    folded.search_key;
comment on view private.wanted_postings is 'What keyword_postings should say, from public.keyword_video_mappings.';

create function private.mark_cards(video_ids text[])
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- In parts: one fold shall not have to take a million.
    insert into private.card_marks (video_ids)
    select array_agg(numbered.video_id)
    from (
        select
            one.video_id,
            row_number() over () as number
        from (select distinct unnest(mark_cards.video_ids) as video_id) as one
    ) as numbered
    group by (numbered.number - 1) / 1000
$$;
comment on function private.mark_cards(text[]) is 'Notes videos for the fold.';

create function private.mark_new_videos()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.mark_cards(array(select new_row.video_id from new_rows as new_row));
    return null;
end
$$;
comment on function private.mark_new_videos() is 'Notes what a statement added, for the fold of cards.';

create function private.mark_changed_videos()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Counters are no change: they are written each minute, and no card shows them.
    perform private.mark_cards(
        array(
            select new_row.video_id
            from new_rows as new_row
            left join old_rows as old_row on new_row.id = old_row.id
            where (
                new_row.video_id,
                new_row.title,
                new_row.category_id,
                new_row.channel_id,
                new_row.duration,
                new_row.view_count,
                new_row.published_at,
                new_row.expires_at,
                new_row.region_restrictions,
                new_row.is_playable,
                new_row.is_shorts,
                new_row.quality_score
            ) is distinct from (
                old_row.video_id,
                old_row.title,
                old_row.category_id,
                old_row.channel_id,
                old_row.duration,
                old_row.view_count,
                old_row.published_at,
                old_row.expires_at,
                old_row.region_restrictions,
                old_row.is_playable,
                old_row.is_shorts,
                old_row.quality_score
            )
        )
    );
    return null;
end
$$;
comment on function private.mark_changed_videos() is 'Notes what a statement changed, for the fold of cards.';

create function private.mark_changed_mappings()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.mark_cards(
        array(
            select changed.video_id
            from (
                select
                    old_row.video_id,
                    old_row.keyword,
                    old_row.relevance_score
                from old_rows as old_row
                except
                select
                    new_row.video_id,
                    new_row.keyword,
                    new_row.relevance_score
                from new_rows as new_row
            ) as changed
        )
        || array(
            select changed.video_id
            from (
                select
                    new_row.video_id,
                    new_row.keyword,
                    new_row.relevance_score
                from new_rows as new_row
                except
                select
                    old_row.video_id,
                    old_row.keyword,
                    old_row.relevance_score
                from old_rows as old_row
            ) as changed
        )
    );
    return null;
end
$$;
comment on function private.mark_changed_mappings() is
'Notes the videos whose keywords changed, for the fold of cards.';

create trigger mark_new_cards
after insert on public.cached_videos
referencing new table as new_rows
for each statement
execute function private.mark_new_videos();
create trigger mark_changed_cards
after update on public.cached_videos
referencing old table as old_rows new table as new_rows
for each statement
execute function private.mark_changed_videos();
create trigger mark_new_postings
after insert on public.keyword_video_mappings
referencing new table as new_rows
for each statement
execute function private.mark_new_videos();
create trigger mark_changed_postings
after update on public.keyword_video_mappings
referencing old table as old_rows new table as new_rows
for each statement
execute function private.mark_changed_mappings();
create trigger mark_lost_postings
after delete on public.keyword_video_mappings
referencing old table as new_rows
for each statement
execute function private.mark_new_videos();

create function private.count_won_postings()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into private.keyword_deltas (keyword_no, videos)
    select
        changed.keyword_no,
        case when tg_op = 'INSERT' then count(*) else -count(*) end
    from changed_rows as changed
    group by changed.keyword_no;
    return null;
end
$$;
comment on function private.count_won_postings() is
'Notes how many postings a statement gave a keyword or took from it.';

create trigger count_won_postings
after insert on private.keyword_postings
referencing new table as changed_rows
for each statement
execute function private.count_won_postings();
create trigger count_lost_postings
after delete on private.keyword_postings
referencing old table as changed_rows
for each statement
execute function private.count_won_postings();

create function private.forget_postings()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if tg_op = 'TRUNCATE' then
        delete from private.keyword_postings;
    else
        delete from private.keyword_postings as posting
        where posting.video_no = any(array(select gone.video_no from gone));
    end if;
    return null;
end
$$;
comment on function private.forget_postings() is 'Postings go with their cards, in the same transaction.';

create trigger forget_postings
after delete on private.video_cards
referencing old table as gone
for each statement
execute function private.forget_postings();
create trigger forget_all_postings
after truncate on private.video_cards
for each statement
execute function private.forget_postings();

create function private.write_cards(video_ids text[])
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
-- Whatever the statistics say: each table is read for these videos alone, by its index, and the rest is hashed. Planned
-- for one row, loops within loops took 15 s for 400 videos.
set enable_nestloop = off
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
language plpgsql
as $$
declare
    is_all constant boolean := video_ids is null;
    cards integer;
    postings integer;
begin
    -- Held in one order before anything is written: who deletes videos takes them in that order too, and what hangs on
    -- them afterwards.
    perform
    from public.cached_videos as video
    where is_all or video.video_id = any(write_cards.video_ids)
    order by video.video_id
    for key share;

    with changed as materialized (
        select
            wanted.*,
            coalesce(
                card.video_no, nextval(pg_get_serial_sequence('private.video_cards', 'video_no'))::integer
            ) as video_no,
            -- A rebuild makes the lists anew.
            not is_all
            and wanted.is_servable
            and (
                card.is_servable is not true
                or wanted.title_folded <> card.title_folded
                or wanted.standing <> card.standing
            ) as is_unlisted
        from private.wanted_cards as wanted
        left join (
            select known.*
            from private.video_cards as known
            where is_all or known.video_id = any(write_cards.video_ids)
        ) as card on wanted.video_id = card.video_id
        where
            (is_all or wanted.video_id = any(write_cards.video_ids))
            and (
                card.video_no is null
                or (
                    wanted.title_folded,
                    wanted.category_id,
                    wanted.channel_id,
                    wanted.duration,
                    wanted.popularity,
                    wanted.quality,
                    wanted.view_count,
                    wanted.published_at,
                    wanted.expires_at,
                    wanted.region_restrictions,
                    wanted.is_servable,
                    wanted.standing
                ) is distinct from (
                    card.title_folded,
                    card.category_id,
                    card.channel_id,
                    card.duration,
                    card.popularity,
                    card.quality,
                    card.view_count,
                    card.published_at,
                    card.expires_at,
                    card.region_restrictions,
                    card.is_servable,
                    card.standing
                )
            )
    ),

    -- By the number that it has, or is given here: no join to find the row again.
    written as (
        insert into private.video_cards as card (
            video_id,
            channel_id,
            duration,
            popularity,
            published_at,
            expires_at,
            title_folded,
            category_id,
            quality,
            view_count,
            region_restrictions,
            is_servable,
            standing,
            video_no
        )
        overriding system value
        select
            changed.video_id,
            changed.channel_id,
            changed.duration,
            changed.popularity,
            changed.published_at,
            changed.expires_at,
            changed.title_folded,
            changed.category_id,
            changed.quality,
            changed.view_count,
            changed.region_restrictions,
            changed.is_servable,
            changed.standing,
            changed.video_no
        from changed
        on conflict (video_id) do update
            set
                title_folded = excluded.title_folded,
                category_id = excluded.category_id,
                channel_id = excluded.channel_id,
                duration = excluded.duration,
                popularity = excluded.popularity,
                quality = excluded.quality,
                view_count = excluded.view_count,
                published_at = excluded.published_at,
                expires_at = excluded.expires_at,
                region_restrictions = excluded.region_restrictions,
                is_servable = excluded.is_servable,
                standing = excluded.standing
        returning 1
    ),

    unlisted as (
        insert into private.unlisted_cards as unlisted (video_no, title_folded)
        select
            changed.video_no,
            changed.title_folded
        from changed
        where changed.is_unlisted
        on conflict (video_no) do update
            set
                change_no = excluded.change_no,
                title_folded = excluded.title_folded,
                changed_at = excluded.changed_at
    )

    select count(*)
    into cards
    from written;

    with folded as materialized (
        select distinct private.search_key(spelled.keyword) collate "C" as search_key
        from (
            select distinct mapping.keyword
            from public.keyword_video_mappings as mapping
            where is_all or mapping.video_id = any(write_cards.video_ids)
        ) as spelled
    )

    insert into private.keywords (keyword)
    select folded.search_key
    from folded
    left join (
        select stored.keyword
        from private.keywords as stored
        where is_all or stored.keyword = any(array(select folded.search_key from folded))
    ) as known on folded.search_key = known.keyword
    where
        known.keyword is null
        and folded.search_key <> ''
    order by folded.search_key;

    with card as materialized (
        select
            known.video_no,
            known.video_id,
            known.standing,
            known.is_servable
        from private.video_cards as known
        where is_all or known.video_id = any(write_cards.video_ids)
    ),

    mapping as (
        select
            stored.video_id,
            stored.keyword,
            stored.relevance_score
        from public.keyword_video_mappings as stored
        where is_all or stored.video_id = any(write_cards.video_ids)
    ),

    -- Each keyword is folded once, however many videos it leads to.
    folded as materialized (
        select
            spelled.keyword,
            private.search_key(spelled.keyword) collate "C" as search_key
        from (select distinct mapping.keyword from mapping) as spelled
    ),

    numbered as (
        select
            folded.keyword,
            known.keyword_no
        from folded
        inner join (
            select
                keyword.keyword,
                keyword.keyword_no
            from private.keywords as keyword
            where is_all or keyword.keyword = any(array(select folded.search_key from folded))
        ) as known on folded.search_key = known.keyword
    ),

    wanted as (
        select
            numbered.keyword_no,
            card.video_no,
            (
                card.standing
                -- private.keyword_relevance, written out, which grows with what it is given.
                + ln(
                    greatest(
                        max(
                            case
                                when mapping.relevance_score > 0.7 then mapping.relevance_score
                                else 0.1 + mapping.relevance_score / 2
                            end
                        ),
                        0.01
                    )
                )
            )::real as score
        from mapping
        inner join card on mapping.video_id = card.video_id
        inner join numbered on mapping.keyword = numbered.keyword
        where card.is_servable
        group by
            numbered.keyword_no,
            card.video_no,
            card.standing
    ),

    -- What is as it should be is not written.
    changed as materialized (
        select
            stored.place,
            wanted.keyword_no,
            wanted.video_no,
            wanted.score
        from wanted
        full join (
            select
                posting.ctid as place,
                posting.keyword_no,
                posting.video_no,
                posting.score
            from private.keyword_postings as posting
            where is_all or posting.video_no = any(array(select card.video_no from card))
        ) as stored
            on
                wanted.video_no = stored.video_no
                and wanted.keyword_no = stored.keyword_no
        where wanted.score is distinct from stored.score
    ),

    lost as (
        delete from private.keyword_postings as posting
        where posting.ctid = any(array(select changed.place from changed where changed.video_no is null))
        returning 1
    ),

    won as (
        insert into private.keyword_postings as posting (keyword_no, video_no, score)
        select
            changed.keyword_no,
            changed.video_no,
            changed.score
        from changed
        where changed.video_no is not null
        order by
            changed.keyword_no asc,
            changed.score desc
        on conflict (video_no, keyword_no) do update
            set score = excluded.score
        returning 1
    )

    select
        (select count(*) from lost)
        + (select count(*) from won)
    into postings;

    with taken as (
        delete from private.keyword_deltas
        returning
            keyword_no,
            videos
    ),

    delta as materialized (
        select
            taken.keyword_no,
            sum(taken.videos) as videos
        from taken
        group by taken.keyword_no
        having sum(taken.videos) <> 0
    )

    insert into private.keywords as keyword (keyword_no, keyword, videos)
    overriding system value
    select
        known.keyword_no,
        known.keyword,
        known.videos + delta.videos
    from delta
    inner join (
        select stored.*
        from private.keywords as stored
        where is_all or stored.keyword_no = any(array(select delta.keyword_no from delta))
    ) as known on delta.keyword_no = known.keyword_no
    on conflict (keyword_no) do update
        set videos = excluded.videos;

    return jsonb_build_object('cards_written', cards, 'postings_written', postings);
end
$$;
comment on function private.write_cards(text[]) is
'Makes the cards and postings of these videos, of all for null, what the cache says. Returns how many differed.';

create function private.list_grams(batch_size integer)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
language plpgsql
as $$
declare
    round private.list_round;
    grams text[];
begin
    select *
    into round
    from private.list_round;
    if round.target_no is null then
        -- A few are quickly looked up apart; the lists are not rewritten for each.
        update private.list_round
        set target_no = due.target_no
        from (
            select max(unlisted.change_no) as target_no
            from private.unlisted_cards as unlisted
            having count(*) >= 2000 or min(unlisted.changed_at) < now() - interval '1 hour'
        ) as due
        returning list_round.*
        into round;
        if not found then
            return 0;
        end if;
    end if;

    -- What changed with each gram of this batch.
    grams := array(
        select due.gram
        from (
            select distinct gram.gram collate "C" as gram
            from private.unlisted_cards as unlisted
            cross join lateral unnest(private.title_grams(unlisted.title_folded)) as gram (gram)
            where
                unlisted.change_no <= round.target_no
                and gram.gram collate "C" > round.done_gram
        ) as due
        order by due.gram
        limit batch_size
    );

    -- Lists stay the highest standings without a gap: what sank below the last is left out, as others may stand between.
    with changed as materialized (
        select distinct
            gram.gram collate "C" as gram,
            unlisted.video_no
        from private.unlisted_cards as unlisted
        cross join lateral unnest(private.title_grams(unlisted.title_folded)) as gram (gram)
        where
            unlisted.change_no <= round.target_no
            and gram.gram = any(grams)
    ),

    merged as materialized (
        select
            list.gram,
            list.is_whole,
            list.last_standing,
            list.videos,
            card.video_no,
            card.standing
        from private.frequent_grams as list
        cross join lateral (
            select unnest(list.video_nos) as video_no
            union
            select changed.video_no
            from changed
            where changed.gram = list.gram
        ) as entry
        inner join private.video_cards as card on entry.video_no = card.video_no
        where
            list.gram = any(grams)
            and card.is_servable
            and card.standing >= list.last_standing
            and strpos(replace(card.title_folded, ' ', ''), list.gram) > 0
    ),

    ranked as (
        select
            merged.gram,
            count(*) as videos,
            bool_and(merged.is_whole) as is_whole,
            max(merged.last_standing) as last_standing,
            max(merged.videos) as videos_before,
            (array_agg(merged.video_no order by merged.standing desc, merged.video_no desc))[1:2000] as video_nos,
            (array_agg(merged.standing order by merged.standing desc, merged.video_no desc))[2000] as cut
        from merged
        group by merged.gram
    )

    update private.frequent_grams as list
    set
        videos = case when ranked.is_whole then ranked.videos else list.videos end,
        is_whole = ranked.is_whole and ranked.videos <= 2000,
        last_standing = case
            when ranked.is_whole and ranked.videos <= 2000 then '-infinity'
            when ranked.videos > 2000 then ranked.cut
            else ranked.last_standing
        end,
        video_nos = ranked.video_nos
    from ranked
    where
        list.gram = ranked.gram
        and (list.video_nos <> ranked.video_nos or list.videos <> ranked.videos);

    -- Lists that lost half of what they held, and pairs that have become frequent, are made from the titles.
    delete from private.frequent_grams as list
    where
        list.gram = any(grams)
        and cardinality(list.video_nos) < case when list.is_whole then 50 else 1000 end;
    perform private.make_lists(
        array(
            select gram.gram
            from unnest(grams) as gram (gram)
            where
                not exists (
                    select
                    from private.frequent_grams as list
                    where list.gram = gram.gram
                )
                and (
                    select count(*) > 100
                    from (
                        select
                        from private.video_cards as card
                        where
                            private.title_grams(card.title_folded) @> array[gram.gram]
                            and card.is_servable
                        limit 101
                    ) as first_ones
                )
        )
    );

    if cardinality(grams) < batch_size then
        update private.list_round
        set
            listed_no = round.target_no,
            target_no = null,
            done_gram = '';
        delete from private.unlisted_cards as unlisted
        where unlisted.change_no <= round.target_no;
    else
        update private.list_round
        set done_gram = grams[cardinality(grams)];
    end if;
    return cardinality(grams);
end
$$;

create function private.make_lists(grams text[])
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
language sql
as $$
    insert into private.frequent_grams (gram, videos, is_whole, last_standing, video_nos)
    select
        list.gram,
        list.videos,
        list.videos <= 2000,
        case when list.videos <= 2000 then '-infinity'::real else list.standings[2000] end,
        list.video_nos[1:2000]
    from (
        select
            gram.gram,
            count(*) as videos,
            array_agg(card.video_no order by card.standing desc, card.video_no desc) as video_nos,
            array_agg(card.standing order by card.standing desc, card.video_no desc) as standings
        from unnest(make_lists.grams) as gram (gram)
        inner join private.video_cards as card
            on
                private.title_grams(card.title_folded) @> array[gram.gram]
                and card.is_servable
        group by gram.gram
    ) as list
$$;
comment on function private.make_lists(text[]) is 'Makes the lists of these grams, which have none, from the titles.';
comment on function private.list_grams(integer) is
'Brings the lists of so many grams up to date, in rounds: each takes all grams of what had changed when it began.';

create function private.fold_video_cards(batch_size integer default 5000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    marked text[];
    counts jsonb;
begin
    -- One fold at a time: changes are numbered in the order in which they can be seen.
    perform pg_advisory_xact_lock(hashtextextended('shorts-fold-video-cards', 0));

    with due as (
        select
            mark.id,
            sum(cardinality(mark.video_ids)) over (order by mark.id) - cardinality(mark.video_ids) as before
        from (
            select *
            from private.card_marks
            order by id
            limit batch_size
        ) as mark
    ),

    taken as (
        delete from private.card_marks as mark
        using due
        where
            mark.id = due.id
            and due.before < batch_size
        returning mark.video_ids
    )

    select array_agg(distinct one.video_id)
    into marked
    from taken
    cross join lateral unnest(taken.video_ids) as one (video_id);

    -- Time alone changes what may be served.
    marked := coalesce(marked, '{}') || array(
        select card.video_id::text
        from private.video_cards as card
        where
            card.is_servable
            and card.expires_at <= now()
        order by card.expires_at
        limit batch_size
    );
    counts := private.write_cards(marked);
    if (counts ->> 'cards_written')::integer > 0 then
        -- Each search would read what waits to be sorted into the index.
        perform gin_clean_pending_list('private.video_cards_by_gram');
        perform gin_clean_pending_list('private.unlisted_cards_by_gram');
    end if;
    return
        jsonb_build_object('videos_marked', cardinality(marked))
        || counts
        || jsonb_build_object('grams_listed', private.list_grams(500));
end
$$;
comment on function private.fold_video_cards(integer) is
'Brings the cards, postings and lists up to date with a batch of what changed in the cache. Returns what it did.';

create function private.rebuild_video_cards()
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set work_mem = '64MB'
-- Millions of grams are sorted into their index at once.
set gin_pending_list_limit = '256MB'
language plpgsql
as $$
declare
    counts jsonb;
begin
    perform pg_advisory_xact_lock(hashtextextended('shorts-fold-video-cards', 0));
    delete from private.card_marks;
    -- Numbers of videos stay, since other tables refer to them.
    counts := private.write_cards(null);
    perform gin_clean_pending_list('private.video_cards_by_gram');
    update private.keywords as keyword
    set videos = counted.videos
    from (
        select
            one.keyword_no,
            count(posting.video_no) as videos
        from private.keywords as one
        left join private.keyword_postings as posting on one.keyword_no = posting.keyword_no
        group by one.keyword_no
    ) as counted
    where
        keyword.keyword_no = counted.keyword_no
        and keyword.videos <> counted.videos;

    delete from private.unlisted_cards;
    delete from private.frequent_grams;
    update private.list_round
    set
        listed_no = nextval('private.card_changes'),
        target_no = null,
        done_gram = '';
    with ranked as materialized (
        select
            card.video_no,
            card.standing,
            card.title_folded,
            row_number() over (order by card.standing desc, card.video_no desc)::integer as place
        from private.video_cards as card
        where card.is_servable
    ),

    listed as (
        select
            gram.gram,
            count(*) as videos,
            -- Places are small numbers, quickly sorted.
            array_agg(ranked.place order by ranked.place) as places
        from ranked
        cross join lateral (select distinct unnest(private.title_grams(ranked.title_folded)) as gram) as gram
        group by gram.gram
        having count(*) > 100
    )

    insert into private.frequent_grams (gram, videos, is_whole, last_standing, video_nos)
    select
        listed.gram,
        listed.videos,
        listed.videos <= 2000,
        case when listed.videos <= 2000 then '-infinity'::real else min(ranked.standing) end,
        array_agg(ranked.video_no order by ranked.place)
    from listed
    cross join lateral unnest(listed.places[1:2000]) as entry (place)
    inner join ranked on entry.place = ranked.place
    group by
        listed.gram,
        listed.videos;
    return counts || jsonb_build_object('grams_listed', (select count(*) from private.frequent_grams));
end
$$;
comment on function private.rebuild_video_cards() is
'Makes all cards, postings and lists what the cache says, in one go. For operators, after a restore or a mass load.';

create function private.video_card_problems()
returns table (
    problem text,
    place text
)
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with waiting as materialized (
        select distinct one.video_id
        from private.card_marks as mark
        cross join lateral unnest(mark.video_ids) as one (video_id)
        union
        select card.video_id
        from private.video_cards as card
        where
            card.is_servable
            and card.expires_at <= now()
    ),

    postings as materialized (
        select
            posting.video_no,
            keyword.keyword,
            posting.score
        from private.keyword_postings as posting
        inner join private.keywords as keyword on posting.keyword_no = keyword.keyword_no
    ),

    changes as materialized (
        select
            round.listed_no,
            round.target_no,
            round.done_gram
        from private.list_round as round
    ),

    grams as materialized (
        select
            gram.gram collate "C" as gram,
            card.video_no,
            card.standing,
            coalesce(
                unlisted.change_no > case
                    when gram.gram collate "C" <= changes.done_gram then coalesce(changes.target_no, changes.listed_no)
                    else changes.listed_no
                end,
                false
            ) as is_apart
        from private.video_cards as card
        cross join lateral (select distinct unnest(private.title_grams(card.title_folded)) as gram) as gram
        cross join changes
        left join private.unlisted_cards as unlisted on card.video_no = unlisted.video_no
        where card.is_servable
    )

    select
        case
            when card.video_id is null then 'a video has no card'
            else 'a card differs from its video'
        end as problem,
        wanted.video_id as place
    from private.wanted_cards as wanted
    left join private.video_cards as card on wanted.video_id = card.video_id
    where
        wanted.video_id not in (select waiting.video_id from waiting)
        and (
            wanted.title_folded,
            wanted.category_id,
            wanted.channel_id,
            wanted.duration,
            wanted.popularity,
            wanted.quality,
            wanted.view_count,
            wanted.published_at,
            wanted.expires_at,
            wanted.region_restrictions,
            wanted.is_servable,
            wanted.standing
        ) is distinct from (
            card.title_folded,
            card.category_id,
            card.channel_id,
            card.duration,
            card.popularity,
            card.quality,
            card.view_count,
            card.published_at,
            card.expires_at,
            card.region_restrictions,
            card.is_servable,
            card.standing
        )
    union all
    select
        'a posting differs from its mapping' as problem,
        format('%s of %s', coalesce(wanted.keyword, posting.keyword), card.video_id) as place
    from private.wanted_postings as wanted
    full join postings as posting
        on
            wanted.video_no = posting.video_no
            and wanted.keyword = posting.keyword
    inner join private.video_cards as card on coalesce(wanted.video_no, posting.video_no) = card.video_no
    where
        wanted.score is distinct from posting.score
        and card.video_id not in (select waiting.video_id from waiting)
    union all
    select
        'a keyword''s number of videos is wrong' as problem,
        keyword.keyword as place
    from private.keywords as keyword
    left join (
        select
            postings.keyword,
            count(*) as videos
        from postings
        group by postings.keyword
    ) as counted on keyword.keyword = counted.keyword
    left join (
        select
            delta.keyword_no,
            sum(delta.videos) as videos
        from private.keyword_deltas as delta
        group by delta.keyword_no
    ) as delta on keyword.keyword_no = delta.keyword_no
    where keyword.videos + coalesce(delta.videos, 0) <> coalesce(counted.videos, 0)
    union all
    select
        'a list lacks a video' as problem,
        format('%s of %s', list.gram, grams.video_no) as place
    from private.frequent_grams as list
    inner join grams on list.gram = grams.gram
    where
        not grams.is_apart
        and grams.standing > list.last_standing
        and not list.video_nos @> array[grams.video_no]
$$;
comment on function private.video_card_problems() is
'Where cards, postings and lists are not what the cache says; nothing is right. What waits for the fold is no problem.';

-- supabase/schemas/shorts/50_search.sql

-- Promises that a search answers from lists that are in order already, with every title that has what was asked for.
-- The order: what the query's own keyword leads to; then titles that have it; then the same of what may have been meant
-- (private.corrected_keywords), where that was less than a page. Among each, by private.search_score.

create type private.search_filters as (
    category_id integer,
    region text,
    max_duration integer,
    min_quality real,
    least_views bigint
);
comment on type private.search_filters is 'What a video must be to be in an answer; null asks for nothing.';

create type private.search_place as (
    phase integer,
    score real,
    video_no integer
);
comment on type private.search_place is
'Where an answer goes on. Phase 0 is the postings of the query, 1 its titles, 2 the postings of the first correction.';

create function private.read_search_filters(
    filters jsonb,
    is_anonymous boolean
)
returns private.search_filters
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    problem text;
    wanted private.search_filters;
begin
    -- The same as the policy anonymous_limited_read of public.cached_videos.
    wanted.least_views := case when is_anonymous is not false then 1001 end;
    if coalesce(filters, '{}') in ('{}', '{"facets": true}', '{"facets": false}') then
        return wanted;
    end if;
    problem := case
        when jsonb_typeof(coalesce(filters, '{}'::jsonb)) <> 'object' then 'The filters are no JSON object.'
        when
            filters - array['category_id', 'region', 'max_duration', 'min_quality', 'facets'] <> '{}'::jsonb
            then 'A filter is none of the known ones.'
        when
            filters -> 'category_id' <> 'null'
            and (
                not pg_input_is_valid(filters ->> 'category_id', 'integer')
                or (filters ->> 'category_id')::numeric not between 0 and 999
            )
            then 'category_id is not a whole number from 0 to 999.'
        when
            filters -> 'region' <> 'null'
            and (filters ->> 'region' = any(private.region_codes())) is not true
            then 'The region is no ISO 3166 code of two capital letters.'
        when
            filters -> 'max_duration' <> 'null'
            and (
                not pg_input_is_valid(filters ->> 'max_duration', 'integer')
                or (filters ->> 'max_duration')::numeric < 1
            )
            then 'max_duration is not a whole number of seconds from 1.'
        when
            filters -> 'min_quality' <> 'null'
            and (
                not pg_input_is_valid(filters ->> 'min_quality', 'double precision')
                or ((filters ->> 'min_quality')::double precision between 0 and 1) is not true
            )
            then 'min_quality is not a number from 0 to 1.'
        when
            jsonb_typeof(filters -> 'facets') <> 'boolean'
            then 'facets is neither true nor false.'
    end;
    if problem is not null then
        raise exception using
            errcode = 'PT400',
            message = problem,
            detail = left(filters::text, 200),
            hint = 'Send category_id, region, max_duration, min_quality, or leave them out: see docs/search.md.';
    end if;
    wanted.category_id := (filters ->> 'category_id')::integer;
    wanted.region := filters ->> 'region';
    wanted.max_duration := (filters ->> 'max_duration')::integer;
    wanted.min_quality := (filters ->> 'min_quality')::real;
    return wanted;
end
$$;
comment on function private.read_search_filters(jsonb, boolean) is
'The filters of a search, or PT400 that says which cannot be true. Anonymous visitors see what has over 1,000 views.';

create function private.search_digest(
    key text,
    wanted private.search_filters
)
returns text
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return left(encode(sha256(convert_to(jsonb_build_array(key, wanted)::text, 'UTF8')), 'hex'), 16);
end
$$;
comment on function private.search_digest(text, private.search_filters) is
'What tells the cursors of one question from those of another.';

create function private.write_cursor(
    place private.search_place,
    how text,
    digest text
)
returns text
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return rtrim(
        translate(
            encode(
                convert_to(
                    format(
                        '{"p":%s,"s":%s,"v":%s,"h":"%s","d":"%s"}',
                        place.phase, place.score, place.video_no, how, digest
                    ),
                    'UTF8'
                ),
                'base64'
            ),
            E'+/\n',
            '-_'
        ),
        '='
    );
end
$$;
comment on function private.write_cursor(private.search_place, text, text) is
'A place in the answer to one question, as text that can stand in an address.';

create function private.read_cursor(
    cursor text,
    digest text
)
returns jsonb
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    opened text;
begin
    if cursor ~ '^[A-Za-z0-9_-]{8,200}$' and length(cursor) % 4 <> 1 then
        -- Escaped, bytes that are no text stay harmless.
        opened := encode(
            decode(translate(cursor, '-_', '+/') || repeat('=', (4 - length(cursor) % 4) % 4), 'base64'), 'escape'
        );
    end if;
    -- Each part is as long as what we write, so that none is beyond its type.
    if
        (
            opened ~ (
                '^\{"p":[0-9],"s":-?[0-9]{1,3}(\.[0-9]{1,12})?,"v":[0-9]{1,9},"h":"(none|keyword|title|synonym|corrected)",'
                || '"d":"[0-9a-f]{16}"\}$'
            )
        ) is not true
        or opened::jsonb ->> 'd' <> digest
    then
        raise exception using
            errcode = 'PT400',
            message = 'The cursor does not belong to this search.',
            detail = 'It is damaged, or of a search with other words or filters.',
            hint = 'Send next_cursor of the page before with the same query and filters, or none for the first page.';
    end if;
    return opened::jsonb;
end
$$;
comment on function private.read_cursor(text, text) is 'What a cursor says; PT400 where it is not of this question.';

create function private.spaced_pattern(folded text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    squeezed constant text := replace(folded, ' ', '');
begin
    -- Whole words, or every 여기 사람 would be found by 기사. What is long is not split by accident.
    return
        case
            when length(squeezed) between 2 and 20
                then '(^| )'
                    || array_to_string(string_to_array(squeezed, null), ' ?')
                    || '(을|를|이|가|은|는|의|에|도|에서|으로|로)?( |$)'
            else '^$'
        end;
end
$$;
comment on function private.spaced_pattern(text) is
'Finds folded text where it is spaced otherwise and made of whole words, with a particle or none: 맛집 in 제주 맛 집을.';

create function private.answer_pattern(terms text[])
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- What is folded has letters, digits and spaces, none of which means anything else in a pattern.
    return (
        select string_agg(concat_ws('|', one.term, replace(one.term, ' ', ''), private.spaced_pattern(one.term)), '|')
        from unnest(terms) as one (term)
    );
end
$$;
comment on function private.answer_pattern(text[]) is
'Finds folded titles that have one of these folded texts, spaced in its way or another. Null for none.';

create function private.term_grams(term text)
returns text[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    letters constant text[] := string_to_array(replace(term, ' ', ''), null);
begin
    -- A pair says all that its letters say, and fewer titles have it.
    if cardinality(letters) < 2 then
        return letters;
    end if;
    return array(
        select distinct (one.letter || one.following) collate "C"
        from unnest(letters, letters[2:]) as one (letter, following)
        where one.following is not null
    );
end
$$;
comment on function private.term_grams(text) is
'What of private.title_grams a title must have that has this folded text: its pairs of letters, or its only letter.';

create function private.find_postings(
    wanted_keyword integer,
    wanted private.search_filters,
    after_place private.search_place,
    most integer,
    is_served boolean,
    earlier_keywords integer[],
    earlier_terms text[]
)
returns table (
    video_no integer,
    score real,
    category_id smallint,
    duration integer
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    earlier_pattern constant text := private.answer_pattern(earlier_terms);
begin
    -- What is served is looked up in the cache as it is now: cards may be a minute behind.
    return query
    select
        posting.video_no,
        posting.score,
        card.category_id,
        card.duration
    from private.keyword_postings as posting
    inner join private.video_cards as card on posting.video_no = card.video_no
    where
        posting.keyword_no = wanted_keyword
        and (posting.score, posting.video_no) < (after_place.score, after_place.video_no)
        and card.is_servable
        and (wanted.least_views is null or card.view_count >= wanted.least_views)
        and (wanted.category_id is null or card.category_id = wanted.category_id)
        and (wanted.max_duration is null or card.duration <= wanted.max_duration)
        and (wanted.min_quality is null or card.quality >= wanted.min_quality)
        and (
            wanted.region is null
            or card.region_restrictions is null
            or private.plays_in(card.region_restrictions, wanted.region)
        )
        and (
            earlier_pattern is null
            or not (
                card.title_folded ~ earlier_pattern
                or exists (
                    select
                    from private.keyword_postings as other
                    where
                        other.keyword_no = any(earlier_keywords)
                        and other.video_no = posting.video_no
                )
            )
        )
        and (
            not is_served
            or exists (
                select
                from public.cached_videos as video
                where
                    video.video_id = card.video_id
                    and video.is_playable
                    and video.is_shorts
                    and video.expires_at > now()
                    and (wanted.least_views is null or video.view_count >= wanted.least_views)
                    and (
                        wanted.region is null
                        or video.region_restrictions = '{}'
                        or private.plays_in(video.region_restrictions, wanted.region)
                    )
            )
        )
    order by
        posting.score desc,
        posting.video_no desc
    limit most;
end
$$;
comment on function private.find_postings(
    integer, private.search_filters, private.search_place, integer, boolean, integer[], text[]
) is
'The next videos of a keyword, best first, without those that earlier keywords and texts of the same search found.';

create function private.find_titles(
    term text,
    wanted private.search_filters,
    after_place private.search_place,
    most integer,
    is_exact boolean,
    earlier_keywords integer[],
    earlier_terms text[]
)
returns table (
    video_no integer,
    score real,
    category_id smallint,
    duration integer
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    squeezed constant text := replace(term, ' ', '');
    spaced constant text := private.spaced_pattern(term);
    earlier_pattern constant text := private.answer_pattern(earlier_terms);
    grams text[] := private.term_grams(term);
    slices constant integer[] := '{0, 60, 500, 2000}'::integer[];
    list private.frequent_grams;
    listed text[];
    known_no bigint;
    nos integer[] := '{}'::integer[];
    standings real[] := '{}'::real[];
    fresh_nos integer[];
    fresh_standings real[];
    found_nos integer[];
    found_standings real[];
    is_enough boolean := false;
    is_left boolean := false;
begin
    if cardinality(grams) = 0 then
        return;
    end if;
    listed := array(
        select one.gram
        from private.frequent_grams as one
        where one.gram = any(grams)
        order by one.videos
    );
    if cardinality(listed) < cardinality(grams) then
        -- At most a hundred titles have what is in no list: the others need not be looked for.
        grams := array(
            select rare.gram collate "C"
            from unnest(grams) as rare (gram)
            where rare.gram <> all(listed)
            limit 4
        );
    else
        -- The list of the rarest.
        select one.*
        into list
        from private.frequent_grams as one
        where one.gram = listed[1];
        select
            case
                when list.gram <= round.done_gram then coalesce(round.target_no, round.listed_no)
                else round.listed_no
            end
        into known_no
        from private.list_round as round;

        -- What changed since the list was made.
        if exists (select from private.unlisted_cards as unlisted where unlisted.change_no > known_no) then
            select
                array_agg(card.video_no),
                array_agg(card.standing)
            into
                fresh_nos,
                fresh_standings
            from private.unlisted_cards as unlisted
            inner join private.video_cards as card on unlisted.video_no = card.video_no
            where
                private.title_grams(unlisted.title_folded) @> grams
                and unlisted.change_no > known_no
                and card.is_servable
                and (card.standing, card.video_no) < (after_place.score, after_place.video_no)
                and (list.is_whole or card.standing > list.last_standing)
                and (
                    strpos(card.title_folded, term) > 0
                    or strpos(card.title_folded, squeezed) > 0
                    or card.title_folded ~ spaced
                )
                and (wanted.least_views is null or card.view_count >= wanted.least_views)
                and (wanted.category_id is null or card.category_id = wanted.category_id)
                and (wanted.max_duration is null or card.duration <= wanted.max_duration)
                and (wanted.min_quality is null or card.quality >= wanted.min_quality)
                and (
                    wanted.region is null
                    or card.region_restrictions is null
                    or private.plays_in(card.region_restrictions, wanted.region)
                )
                and (
                    earlier_keywords is null
                    or not exists (
                        select
                        from private.keyword_postings as other
                        where
                            other.keyword_no = any(earlier_keywords)
                            and other.video_no = card.video_no
                    )
                )
                and (earlier_pattern is null or card.title_folded !~ earlier_pattern)
                and (
                    not is_exact
                    or exists (
                        select
                        from public.cached_videos as video
                        where
                            video.video_id = card.video_id
                            and video.is_playable
                            and video.is_shorts
                            and video.expires_at > now()
                            and (wanted.least_views is null or video.view_count >= wanted.least_views)
                            and (
                                wanted.region is null
                                or video.region_restrictions = '{}'
                                or private.plays_in(video.region_restrictions, wanted.region)
                            )
                    )
                );
        end if;

        -- The list is in order: mostly its first sixty fill a page.
        for part in 1 .. 3 loop
            exit when slices[part] >= cardinality(list.video_nos);
            select
                array_agg(hit.video_no),
                array_agg(hit.standing)
            into
                found_nos,
                found_standings
            from (
                select
                    card.video_no,
                    card.standing
                from unnest(list.video_nos[slices[part] + 1:slices[part + 1]])
                    with ordinality as entry (video_no, place)
                inner join private.video_cards as card on entry.video_no = card.video_no
                where
                    card.is_servable
                    and (card.standing, card.video_no) < (after_place.score, after_place.video_no)
                    and (list.is_whole or card.standing > list.last_standing)
                    and (
                        strpos(card.title_folded, term) > 0
                        or strpos(card.title_folded, squeezed) > 0
                        or card.title_folded ~ spaced
                    )
                    and (wanted.least_views is null or card.view_count >= wanted.least_views)
                    and (wanted.category_id is null or card.category_id = wanted.category_id)
                    and (wanted.max_duration is null or card.duration <= wanted.max_duration)
                    and (wanted.min_quality is null or card.quality >= wanted.min_quality)
                    and (
                        wanted.region is null
                        or card.region_restrictions is null
                        or private.plays_in(card.region_restrictions, wanted.region)
                    )
                    and (
                        earlier_keywords is null
                        or not exists (
                            select
                            from private.keyword_postings as other
                            where
                                other.keyword_no = any(earlier_keywords)
                                and other.video_no = card.video_no
                        )
                    )
                    and (earlier_pattern is null or card.title_folded !~ earlier_pattern)
                    and (
                        not is_exact
                        or exists (
                            select
                            from public.cached_videos as video
                            where
                                video.video_id = card.video_id
                                and video.is_playable
                                and video.is_shorts
                                and video.expires_at > now()
                                and (wanted.least_views is null or video.view_count >= wanted.least_views)
                                and (
                                    wanted.region is null
                                    or video.region_restrictions = '{}'
                                    or private.plays_in(video.region_restrictions, wanted.region)
                                )
                        )
                    )
                    and (
                        fresh_nos is null
                        or not exists (
                            select
                            from private.unlisted_cards as unlisted
                            where
                                unlisted.video_no = card.video_no
                                and unlisted.change_no > known_no
                        )
                    )
                order by entry.place
                limit most - cardinality(nos)
            ) as hit;
            nos := nos || found_nos;
            standings := standings || found_standings;
            is_enough := cardinality(nos) >= most;
            exit when is_enough;
            -- Where few of the best have it, few of all have: the index finds them sooner.
            is_left := is_exact and part = 2 and cardinality(nos) * 4 < most and slices[3] < cardinality(list.video_nos);
            exit when is_left;
        end loop;

        -- Beyond a list that is cut off nothing is known: only what stands above its end is certain to come first.
        if is_enough or not is_exact or (list.is_whole and not is_left) then
            return query
            select
                one.video_no,
                one.standing,
                card.category_id,
                card.duration
            from unnest(nos || fresh_nos, standings || fresh_standings) as one (video_no, standing)
            inner join private.video_cards as card on one.video_no = card.video_no
            order by
                one.standing desc,
                one.video_no desc
            limit most;
            return;
        end if;
    end if;

    return query
    select
        card.video_no,
        card.standing,
        card.category_id,
        card.duration
    from private.video_cards as card
    where
        private.title_grams(card.title_folded) @> grams
        and card.is_servable
        and (card.standing, card.video_no) < (after_place.score, after_place.video_no)
        and (
            strpos(card.title_folded, term) > 0
            or strpos(card.title_folded, squeezed) > 0
            or card.title_folded ~ spaced
        )
        and (wanted.least_views is null or card.view_count >= wanted.least_views)
        and (wanted.category_id is null or card.category_id = wanted.category_id)
        and (wanted.max_duration is null or card.duration <= wanted.max_duration)
        and (wanted.min_quality is null or card.quality >= wanted.min_quality)
        and (
            wanted.region is null
            or card.region_restrictions is null
            or private.plays_in(card.region_restrictions, wanted.region)
        )
        and (
            earlier_keywords is null
            or not exists (
                select
                from private.keyword_postings as other
                where
                    other.keyword_no = any(earlier_keywords)
                    and other.video_no = card.video_no
            )
        )
        and (earlier_pattern is null or card.title_folded !~ earlier_pattern)
        and (
            not is_exact
            or exists (
                select
                from public.cached_videos as video
                where
                    video.video_id = card.video_id
                    and video.is_playable
                    and video.is_shorts
                    and video.expires_at > now()
                    and (wanted.least_views is null or video.view_count >= wanted.least_views)
                    and (
                        wanted.region is null
                        or video.region_restrictions = '{}'
                        or private.plays_in(video.region_restrictions, wanted.region)
                    )
            )
        )
    order by
        card.standing desc,
        card.video_no desc
    limit most;
end
$$;
comment on function private.find_titles(
    text, private.search_filters, private.search_place, integer, boolean, integer[], text[]
) is
'The next videos whose title has a folded text, best first, without what keywords and texts before it found. Where not '
'exact, it may end early rather than read all titles.';

create function private.title_highlights(
    title text,
    term text
)
returns jsonb
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    gap constant text := '[^[:alnum:]]';
    readable text collate pg_c_utf8 := lower(title collate pg_c_utf8);
    starts integer[];
    ends integer[];
    pattern text;
    begins integer;
    beyond integer;
    place integer;
    marks jsonb := jsonb_build_array();
begin
    if term = '' then
        return marks;
    end if;
    if title is not nfkc normalized or length(readable) <> length(title) then
        -- Piece by piece: a letter with what belongs to it, conjoining jamo as a syllable. Each letter of the folded
        -- text knows where its piece begins and ends in the title.
        with pieces as (
            select
                piece.letters[1] as letters,
                piece.number
            from regexp_matches(
                title,
                E'[\u1100-\u115F]?[\u1160-\u11A7]*[\u11A8-\u11FF]+|[\u1100-\u115F][\u1160-\u11A7]*'
                '|.[\u0300-\u036F\u3099\u309A\uFE00-\uFE0F\u200D]*|\n',
                'g'
            ) with ordinality as piece (letters, number)
        ),

        placed as (
            select
                pieces.number,
                lower(normalize(pieces.letters, nfkc) collate pg_c_utf8) as folded,
                sum(length(pieces.letters)) over (order by pieces.number) as last,
                sum(length(pieces.letters)) over (order by pieces.number) - length(pieces.letters) + 1 as first
            from pieces
        )

        select
            string_agg(letter.letter, '' order by placed.number, letter.number),
            array_agg(placed.first order by placed.number, letter.number),
            array_agg(placed.last order by placed.number, letter.number)
        into
            readable,
            starts,
            ends
        from placed
        cross join lateral unnest(string_to_array(placed.folded, null)) with ordinality as letter (letter, number);
    end if;

    -- The most frequent case, at a tenth of the cost: one word, as it stands.
    if starts is null and strpos(term, ' ') = 0 then
        place := strpos(readable, term);
        if place > 0 then
            while place > 0 and jsonb_array_length(marks) < 10 loop
                begins := coalesce(beyond, 1) + place - 1;
                beyond := begins + length(term);
                marks := marks || jsonb_build_array(jsonb_build_array(begins - 1, length(term)));
                place := strpos(substr(readable, beyond), term);
            end loop;
            return marks;
        end if;
    end if;

    -- As it was asked; else spaced otherwise; else its words.
    foreach pattern in array array[
        replace(term, ' ', gap || '+'),
        array_to_string(string_to_array(replace(term, ' ', ''), null), gap || '*'),
        replace(term, ' ', '|')
    ] loop
        place := 1;
        while place <= length(readable) and jsonb_array_length(marks) < 10 loop
            begins := regexp_instr(readable collate pg_c_utf8, pattern, place, 1, 0);
            exit when begins = 0;
            beyond := regexp_instr(readable collate pg_c_utf8, pattern, place, 1, 1);
            marks := marks || jsonb_build_array(
                case
                    when starts is null then jsonb_build_array(begins - 1, beyond - begins)
                    else jsonb_build_array(starts[begins] - 1, ends[beyond - 1] - starts[begins] + 1)
                end
            );
            place := beyond;
        end loop;
        exit when jsonb_array_length(marks) > 0;
    end loop;
    return marks;
end
$$;
comment on function private.title_highlights(text, text) is
'Where a title has a folded text: at most ten [start, length] in characters of the title as it is, from 0.';

create function private.render_videos(
    video_nos integer[],
    scores real[],
    phases integer[],
    terms text[]
)
returns json
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    elapsed constant double precision
        := ln(2) * extract(epoch from now() - '2020-01-01 00:00+00'::timestamptz)::double precision / (180 * 86400);
    half constant double precision := ln(2);
    answer json;
begin
    -- json, and of rows: written once and never read here, it costs a quarter of jsonb built by keys.
    select json_agg(shown.video order by shown.place)
    into answer
    from (
        select
            hit.place,
            (
                select rendered
                from (
                    select
                        video.video_id,
                        video.title,
                        case
                            -- Most of what a keyword leads to does not have it in the title.
                            when
                                strpos(card.title_folded, hit.term) > 0
                                or strpos(replace(card.title_folded, ' ', ''), replace(hit.term, ' ', '')) > 0
                                or (strpos(hit.term, ' ') > 0 and card.title_folded ~ replace(hit.term, ' ', '|'))
                                then private.title_highlights(video.title, hit.term)
                            else '[]'::jsonb
                        end as highlights,
                        video.channel_id,
                        video.channel_name,
                        video.thumbnail_url,
                        video.duration,
                        video.view_count,
                        video.published_at,
                        video.category_id,
                        video.quality_score,
                        -- private.search_score_at, where a title that has it answers half as well as a keyword that is
                        -- it, and a correction half as well again.
                        round(
                            exp(
                                least(hit.score - half * (hit.phase % 2 + least(hit.phase / 2, 1)) - elapsed, 0)
                            )::numeric,
                            6
                        ) as score
                ) as rendered
            ) as video
        from (
            select
                listed.*,
                terms[listed.phase / 2 + 1] as term
            from unnest(video_nos, scores, phases) with ordinality as listed (video_no, score, phase, place)
        ) as hit
        inner join private.video_cards as card on hit.video_no = card.video_no
        inner join public.cached_videos as video on card.video_id = video.video_id
    ) as shown;
    return coalesce(answer, '[]'::json);
end
$$;
comment on function private.render_videos(integer[], real[], integer[], text[]) is
'The rows of an answer, as everybody may see them: from the cache as it is now.';

create function private.search_facets(
    categories integer[],
    durations integer[]
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    facets jsonb;
begin
    with counted as (
        select
            hit.category_id,
            count(*) as videos,
            count(*) filter (where hit.duration <= 60) as videos_of_a_minute
        from unnest(categories, durations) as hit (category_id, duration)
        group by hit.category_id
    )

    select
        jsonb_build_object(
            'categories', coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'category_id', counted.category_id,
                        'name', name.korean,
                        'videos', counted.videos
                    )
                    order by counted.videos desc, counted.category_id
                ),
                '[]'
            ),
            'durations', jsonb_build_array(
                jsonb_build_object('max_duration', 60, 'videos', coalesce(sum(counted.videos_of_a_minute), 0)),
                jsonb_build_object(
                    'max_duration', private.shorts_limit_seconds(),
                    'videos', coalesce(sum(counted.videos), 0)
                )
            )
        )
    into facets
    from counted
    left join private.video_category_names() as name on counted.category_id = name.category_id;
    return facets;
end
$$;
comment on function private.search_facets(integer[], integer[]) is
'How many of videos of these categories and lengths are of each.';

create function private.answer_search(
    query text,
    shown_query text,
    filters jsonb,
    most integer,
    cursor text,
    is_anonymous boolean
)
returns json
stable
security definer
set search_path = pg_catalog, pg_temp
-- For all that is called from here: lists and indexes only, planned once. Each setting costs a microsecond a call.
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
language plpgsql
as $$
declare
    most_matches constant integer := 1000;
    folded constant text := private.fold_text(query);
    key text := nullif(folded, '');
    digest text;
    wanted private.search_filters;
    opened jsonb;
    place private.search_place;
    facet_place private.search_place;
    answered_how text := 'none';
    kinds text[] := '{keyword}'::text[];
    terms text[];
    keyword_nos integer[];
    keyword_no integer;
    has_corrections boolean := false;
    earlier_keywords integer[];
    earlier_terms text[];
    nos integer[];
    scores real[];
    page_nos integer[] := '{}'::integer[];
    page_scores real[] := '{}'::real[];
    page_phases integer[] := '{}'::integer[];
    categories integer[] := '{}'::integer[];
    durations integer[] := '{}'::integer[];
    found_categories integer[];
    found_durations integer[];
    total integer;
    facets jsonb;
    next_cursor text;
    is_more boolean := false;
    is_whole boolean := true;
    short_by integer;
begin
    if key is null then
        -- A keyword of emoji alone has no letters to fold.
        key := private.normalize_keyword(query);
    end if;
    if length(query) > 200 or coalesce(key, '') = '' then
        raise exception using
            errcode = 'PT400',
            message = 'The query is not 1 to 200 characters.',
            detail = format('It has %s.', coalesce(length(query), 0)),
            hint = 'Send what somebody would type to search.';
    end if;
    if (most between 1 and 50) is not true then
        raise exception using
            errcode = 'PT400',
            message = 'The limit is not 1 to 50.',
            detail = format('It is %s.', coalesce(most::text, 'missing')),
            hint = 'Ask for at most 50 videos, and for more with next_cursor.';
    end if;
    wanted := private.read_search_filters(filters, is_anonymous);
    place := (0, 'infinity'::real, 2147483647);
    if cursor is not null then
        digest := private.search_digest(key, wanted);
        opened := private.read_cursor(cursor, digest);
        place := ((opened ->> 'p')::integer, (opened ->> 's')::real, (opened ->> 'v')::integer);
        answered_how := opened ->> 'h';
    end if;

    -- terms[1] is what was asked; corrections follow when they are needed. What has no letters is in no folded title.
    terms := array[folded];
    select keyword.keyword_no
    into keyword_no
    from private.keywords as keyword
    where keyword.keyword = key;
    if not found and strpos(key, ' ') > 0 then
        -- Spaced as it was asked, or not at all: 맛 집 is 맛집.
        select keyword.keyword_no
        into keyword_no
        from private.keywords as keyword
        where keyword.keyword = replace(key, ' ', '');
    end if;
    keyword_nos := array[coalesce(keyword_no, 0)];
    loop
        if place.phase >= 2 and not has_corrections then
            -- Only to fill the first page; who pages on has found enough. Typing errors are looked for where nothing is
            -- as it was typed.
            exit when (cursor is not null and (opened ->> 'p')::integer < 2) or folded = '';
            has_corrections := true;
            select
                terms || array_agg(correction.keyword order by correction.place),
                kinds || array_agg(
                    case when correction.how = 'synonym' then 'synonym' else 'corrected' end order by correction.place
                ),
                keyword_nos || array_agg(keyword.keyword_no order by correction.place)
            into
                terms,
                kinds,
                keyword_nos
            from private.corrected_keywords(query, 3, answered_how not in ('keyword', 'title'))
                with ordinality as correction (keyword, distance, how, place)
            inner join private.keywords as keyword on correction.keyword = keyword.keyword;
        end if;
        exit when place.phase >= 2 * cardinality(terms);
        short_by := most + 1 - cardinality(page_nos);
        earlier_keywords := nullif(array_remove(keyword_nos[1:(place.phase + 1) / 2], 0), '{}');
        earlier_terms := nullif(terms[1:place.phase / 2], '{}');
        nos := null;
        if place.phase % 2 = 1 then
            select
                array_agg(hit.video_no),
                array_agg(hit.score)
            into
                nos,
                scores
            from private.find_titles(
                terms[place.phase / 2 + 1], wanted, place, short_by, true, earlier_keywords, earlier_terms
            ) as hit;
        elsif keyword_nos[place.phase / 2 + 1] > 0 then
            select
                array_agg(hit.video_no),
                array_agg(hit.score)
            into
                nos,
                scores
            from private.find_postings(
                keyword_nos[place.phase / 2 + 1], wanted, place, short_by, true, earlier_keywords, earlier_terms
            ) as hit;
        end if;
        if nos is not null then
            page_nos := page_nos || nos;
            page_scores := page_scores || scores;
            page_phases := page_phases || array_fill(place.phase, array[cardinality(nos)]);
            if answered_how = 'none' then
                answered_how := case
                    when place.phase >= 2 then kinds[place.phase / 2 + 1]
                    when place.phase = 1 then 'title'
                    else 'keyword'
                end;
            end if;
        end if;
        is_more := cardinality(page_nos) > most;
        exit when is_more;
        place := (place.phase + 1, 'infinity'::real, 2147483647);
    end loop;
    if is_more then
        place := (page_phases[most], page_scores[most], page_nos[most]);
        next_cursor := private.write_cursor(
            place, answered_how, coalesce(digest, private.search_digest(key, wanted))
        );
        page_nos := page_nos[1:most];
        page_scores := page_scores[1:most];
        page_phases := page_phases[1:most];
    end if;

    if coalesce((filters ->> 'facets')::boolean, true) then
        facet_place := (0, 'infinity'::real, 2147483647);
        while facet_place.phase < least(2 * cardinality(terms), 8) loop
            short_by := most_matches + 1 - cardinality(categories);
            earlier_keywords := nullif(array_remove(keyword_nos[1:(facet_place.phase + 1) / 2], 0), '{}');
            earlier_terms := nullif(terms[1:facet_place.phase / 2], '{}');
            if facet_place.phase % 2 = 1 then
                select
                    array_agg(hit.category_id),
                    array_agg(hit.duration)
                into
                    found_categories,
                    found_durations
                from private.find_titles(
                    terms[facet_place.phase / 2 + 1], wanted, facet_place, short_by, false,
                    earlier_keywords, earlier_terms
                ) as hit;
                -- A list that is cut off may have left some out.
                is_whole := is_whole and coalesce(
                    (
                        select
                            count(*) < cardinality(private.term_grams(terms[facet_place.phase / 2 + 1]))
                            or (array_agg(list.is_whole order by list.videos))[1]
                        from private.frequent_grams as list
                        where list.gram = any(private.term_grams(terms[facet_place.phase / 2 + 1]))
                    ),
                    true
                );
            else
                select
                    array_agg(hit.category_id),
                    array_agg(hit.duration)
                into
                    found_categories,
                    found_durations
                from private.find_postings(
                    keyword_nos[facet_place.phase / 2 + 1], wanted, facet_place, short_by, false,
                    earlier_keywords, earlier_terms
                ) as hit;
            end if;
            categories := categories || found_categories;
            durations := durations || found_durations;
            exit when cardinality(categories) > most_matches;
            facet_place.phase := facet_place.phase + 1;
        end loop;
        is_whole := is_whole and cardinality(categories) <= most_matches;
        total := least(cardinality(categories), most_matches);
        facets := private.search_facets(categories[1:total], durations[1:total]);
    else
        -- What a first page shows to the end needs no counting.
        is_whole := cursor is null and not is_more;
        total := cardinality(page_nos);
    end if;

    return json_build_object(
        'query', shown_query,
        'how', answered_how,
        'answered', case
            when answered_how in ('keyword', 'title') then key
            when cardinality(page_nos) > 0 then terms[page_phases[1] / 2 + 1]
        end,
        'videos', private.render_videos(page_nos, page_scores, page_phases, terms),
        'facets', facets,
        'total', total,
        'total_is_exact', is_whole,
        'next_cursor', next_cursor
    );
end
$$;
comment on function private.answer_search(text, text, jsonb, integer, text, boolean) is
'Answers a search without any cache, and says that it was asked what is shown: see docs/search.md. Stable, so that all '
'of it is read from one moment.';

create function private.find_videos(
    query text,
    filters jsonb,
    most integer,
    cursor text,
    is_anonymous boolean
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return private.answer_search(query, query, filters, most, cursor, is_anonymous)::jsonb;
end
$$;
comment on function private.find_videos(text, jsonb, integer, text, boolean) is
'private.answer_search, to be looked into by SQL.';

-- supabase/schemas/shorts/51_search_pages.sql

-- Promises that a question asked again costs a look-up, and that no kept answer outlives what it shows.

create table private.keyword_pages (
    keyword text collate "C",
    is_anonymous boolean,
    body json not null,
    video_ids text[] collate "C" not null,
    min_expires_at timestamptz not null,
    rendered_at timestamptz not null default now(),
    primary key (keyword, is_anonymous)
);
alter table private.keyword_pages enable row level security;
-- In the row itself and quick to unpack: another look-up would cost as much as the first.
alter table private.keyword_pages alter column body set storage main;
alter table private.keyword_pages alter column body set compression lz4;
-- Which pages show a video. Without a list of what is pending: who drops a page shall not read that first.
create index keyword_pages_by_video on private.keyword_pages using gin (video_ids) with (fastupdate = off);
create index keyword_pages_by_expiry on private.keyword_pages (min_expires_at);
comment on table private.keyword_pages is
'Answers to searches as they are sent: the first 20 without filters, for Korea. Derived; may be emptied at any time.';
comment on column private.keyword_pages.keyword is 'What was searched for, folded.';
comment on column private.keyword_pages.is_anonymous is 'Whether it is what visitors who are not signed in may see.';
comment on column private.keyword_pages.body is 'The answer of search_videos.';
comment on column private.keyword_pages.video_ids is 'YouTube''s ids of the videos on it.';
comment on column private.keyword_pages.min_expires_at is
'From when on it is not served: when its first video expires, or it has been kept for long enough.';
comment on column private.keyword_pages.rendered_at is 'When it was made.';

-- A table for its locks alone: who renders takes the one kind, who changes what may be shown the other. Many of either
-- kind work at the same time, and never one of each.
create table private.search_page_gate (
    nothing boolean primary key
);
alter table private.search_page_gate enable row level security;
comment on table private.search_page_gate is
'Always empty, for its locks: no page is rendered while somebody takes a video out.';
comment on column private.search_page_gate.nothing is 'There is no row.';

create table private.search_page_reads (
    day date,
    slot smallint,
    hits bigint not null default 0,
    misses bigint not null default 0,
    primary key (day, slot),
    constraint page_reads_are_not_negative check (hits >= 0 and misses >= 0)
);
alter table private.search_page_reads enable row level security;
comment on table private.search_page_reads is
'How many searches a kept page answered, by day in Korea: one in 128 is counted, as 128. Only searches that could have '
'been answered so: the first 20 without filters. Kept for 90 days.';
comment on column private.search_page_reads.day is 'Day in Korea.';
comment on column private.search_page_reads.slot is 'One of eight rows of a day, so that nobody waits for another.';
comment on column private.search_page_reads.hits is 'Answered by a page.';
comment on column private.search_page_reads.misses is 'Searched for.';

create function private.count_page_read(
    is_hit boolean,
    weight integer
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- A GET reads only.
    if current_setting('transaction_read_only') = 'off' then
        insert into private.search_page_reads as counted (day, slot, hits, misses)
        values (
            private.korean_day(),
            floor(random() * 8),
            case when count_page_read.is_hit then count_page_read.weight else 0 end,
            case when count_page_read.is_hit then 0 else count_page_read.weight end
        )
        on conflict (day, slot) do update
            set
                hits = counted.hits + excluded.hits,
                misses = counted.misses + excluded.misses;
    end if;
end
$$;
comment on function private.count_page_read(boolean, integer) is
'Counts searches that a kept page answered, or could have. Nothing in a transaction that only reads.';

create function private.drop_search_pages(keywords text[])
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    dropped integer;
begin
    if coalesce(cardinality(keywords), 0) = 0 then
        return 0;
    end if;
    -- Until the end of the transaction nobody renders: a page made of what is about to change would stay.
    lock table private.search_page_gate in share mode;
    with stale as materialized (
        select
            page.keyword,
            page.is_anonymous
        from private.keyword_pages as page
        where page.keyword = any(drop_search_pages.keywords)
        order by
            page.keyword asc,
            page.is_anonymous asc
        for update
    ),

    gone as (
        delete from private.keyword_pages as page
        using stale
        where
            page.keyword = stale.keyword
            and page.is_anonymous = stale.is_anonymous
        returning 1
    )

    select count(*)
    into dropped
    from gone;
    return dropped;
end
$$;
comment on function private.drop_search_pages(text[]) is
'Drops the pages of folded keywords and returns how many; until the end of the transaction none is rendered anew.';

create function private.drop_pages_of_videos(video_ids text[])
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if coalesce(cardinality(drop_pages_of_videos.video_ids), 0) = 0 then
        return 0;
    end if;
    lock table private.search_page_gate in share mode;
    return private.drop_search_pages(
        array(
            select distinct page.keyword
            from private.keyword_pages as page
            where page.video_ids && drop_pages_of_videos.video_ids
        )
    );
end
$$;
comment on function private.drop_pages_of_videos(text[]) is
'Drops the pages that show one of the videos and returns how many; until the end of the transaction none is rendered.';

create function private.drop_pages_of_changed_videos()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Only what could be on a page and may not be any more, or not there: counters change all the time.
    perform private.drop_pages_of_videos(
        array(
            select before.video_id
            from before
            inner join after on before.id = after.id
            where
                before.is_playable
                and before.is_shorts
                and (
                    not after.is_playable
                    or not after.is_shorts
                    or after.expires_at < before.expires_at
                    or after.purged_at is distinct from before.purged_at
                    or after.region_restrictions <> before.region_restrictions
                    or after.video_id <> before.video_id
                    or (before.view_count > 1000 and coalesce(after.view_count, 0) <= 1000)
                )
        )
    );
    return null;
end
$$;
comment on function private.drop_pages_of_changed_videos() is
'Drops the pages with videos that an update took out, or changed where they play.';

create function private.drop_pages_of_deleted_videos()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.drop_pages_of_videos(
        array(
            select before.video_id
            from before
            where
                before.is_playable
                and before.is_shorts
        )
    );
    return null;
end
$$;
comment on function private.drop_pages_of_deleted_videos() is 'Drops the pages with videos that were deleted.';

create function private.drop_all_pages()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    lock table private.search_page_gate in share mode;
    delete from private.keyword_pages;
    return null;
end
$$;
comment on function private.drop_all_pages() is 'Drops all pages, when all videos go at once.';

create trigger drop_pages_of_changed_videos
after update on public.cached_videos
referencing old table as before new table as after
for each statement
execute function private.drop_pages_of_changed_videos();

create trigger drop_pages_of_deleted_videos
after delete on public.cached_videos
referencing old table as before
for each statement
execute function private.drop_pages_of_deleted_videos();

create trigger drop_all_pages
after truncate on public.cached_videos
for each statement
execute function private.drop_all_pages();

create function private.drop_pages_of_keywords()
returns trigger
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform private.drop_search_pages(
        array(
            select keyword.keyword
            from private.keywords as keyword
            where
                keyword.keyword_no in (
                    select changed.keyword_no
                    from changed
                )
        )
    );
    return null;
end
$$;
comment on function private.drop_pages_of_keywords() is
'Drops the pages of keywords that lead elsewhere now, or in another order, in the transaction that folds it.';

create trigger drop_pages_of_new_postings
after insert on private.keyword_postings
referencing new table as changed
for each statement
execute function private.drop_pages_of_keywords();

create trigger drop_pages_of_moved_postings
after update on private.keyword_postings
referencing new table as changed
for each statement
execute function private.drop_pages_of_keywords();

create trigger drop_pages_of_lost_postings
after delete on private.keyword_postings
referencing old table as changed
for each statement
execute function private.drop_pages_of_keywords();

create function private.keep_search_page(
    keyword text,
    is_anonymous boolean,
    answer json
)
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- What somebody typed wrongly or half is asked again soon, or never; the order of a keyword is folded by then.
    insert into private.keyword_pages as stored (keyword, is_anonymous, body, video_ids, min_expires_at)
    select
        keep_search_page.keyword,
        keep_search_page.is_anonymous,
        keep_search_page.answer,
        array_agg(video.video_id::text),
        least(
            min(video.expires_at),
            now() + case
                when keep_search_page.answer ->> 'how' = 'keyword' then interval '1 hour'
                else interval '10 minutes'
            end
        )
    from json_array_elements(keep_search_page.answer -> 'videos') as listed (card)
    inner join public.cached_videos as video on listed.card ->> 'video_id' = video.video_id
    having
        count(*) = json_array_length(keep_search_page.answer -> 'videos')
        and bool_and(video.is_playable and video.is_shorts)
        and count(*) > 0
    on conflict on constraint keyword_pages_pkey do update
        set
            body = excluded.body,
            video_ids = excluded.video_ids,
            min_expires_at = excluded.min_expires_at,
            rendered_at = excluded.rendered_at
$$;
comment on function private.keep_search_page(text, boolean, json) is
'Keeps an answer that found something, for an hour, or 10 minutes when no keyword gave it, and never longer than its '
'videos are known.';

create function private.search_afresh(
    query text,
    category_id integer,
    region text,
    max_duration integer,
    min_quality double precision,
    most integer,
    cursor text,
    facets boolean
)
returns json
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    folded constant text := private.search_key(query);
    -- The caller's: in here the current one is the owner of the function.
    is_visitor constant boolean := current_setting('role') = 'anon';
    problem record;
    is_page boolean;
    page json;
    answer json;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            coalesce(length(query) > 200, true),
            'query is missing or longer than 200 characters',
            'Send what the person typed.'
        ),
        (
            folded = '',
            'query is empty',
            'Send what the person typed: blanks alone find nothing.'
        ),
        (
            search_afresh.category_id not between 0 and 999,
            'category_id is not from 0 to 999',
            'Send YouTube''s number of the category, 0 for what has none, or nothing.'
        ),
        (
            search_afresh.region <> all(private.region_codes()),
            'region is no ISO 3166 code',
            'Send two capital letters, such as KR.'
        ),
        (
            search_afresh.max_duration not between 1 and 86400,
            'max_duration is not from 1 to 86400',
            'Send seconds, such as 60 or 180, or nothing.'
        ),
        (
            search_afresh.min_quality not between 0 and 1,
            'min_quality is not from 0 to 1',
            'Send a number from 0 to 1, or nothing.'
        ),
        (
            search_afresh.most not between 1 and 50,
            'limit is not from 1 to 50',
            'Send a whole number from 1 to 50, or nothing: that is 20.'
        ),
        (
            length(search_afresh.cursor) not between 1 and 1000,
            'cursor is empty or longer than 1000 characters',
            'Send next_cursor of the page before, or nothing for the first.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'Nothing was searched for.',
            hint = problem.hint;
    end if;

    is_page := search_afresh.category_id is null
        and search_afresh.region = 'KR'
        and search_afresh.max_duration is null
        and search_afresh.min_quality is null
        and search_afresh.most = 20
        and search_afresh.cursor is null
        and search_afresh.facets;
    if is_page then
        select stored.body
        into page
        from private.keyword_pages as stored
        where
            stored.keyword = folded
            and stored.is_anonymous = is_visitor
            and stored.min_expires_at > now();
        if found then
            if random() < 0.0078125 then
                perform private.count_page_read(true, 128);
            end if;
            return page;
        end if;
        is_page := current_setting('transaction_read_only') = 'off'
            and current_setting('transaction_isolation') = 'read committed';
        if random() < 0.0078125 then
            perform private.count_page_read(false, 128);
        end if;
    end if;
    if is_page then
        -- While somebody takes videos out, answers are given and not kept.
        begin
            lock table private.search_page_gate in row exclusive mode nowait;
        exception
            when lock_not_available then
                is_page := false;
        end;
    end if;

    answer := private.answer_search(
        query,
        folded,
        jsonb_strip_nulls(
            jsonb_build_object(
                'category_id', search_afresh.category_id,
                'region', search_afresh.region,
                'max_duration', search_afresh.max_duration,
                'min_quality', search_afresh.min_quality,
                'facets', search_afresh.facets
            )
        ),
        search_afresh.most,
        search_afresh.cursor,
        is_visitor
    );
    if is_page then
        perform private.keep_search_page(folded, is_visitor, answer);
    end if;
    return answer;
end
$$;
comment on function private.search_afresh(
    text, integer, text, integer, double precision, integer, text, boolean
) is 'Checks what is asked, searches, and keeps the answer where it is one that many will ask for.';

create function public.search_videos(
    query text,
    category_id integer default null,
    region text default 'KR',
    max_duration integer default null,
    min_quality double precision default null,
    "limit" integer default 20,
    cursor text default null,
    facets boolean default true
)
returns json
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
-- PostgREST wants the name limit, and one function less between costs a quarter less.
-- @plpgsql_check_options: other_warnings = false
declare
    page json;
begin
    -- A page is kept as what is sent and found by the question as it stands: folding it costs more than that.
    if
        search_videos.category_id is null
        and search_videos.region = 'KR'
        and search_videos.max_duration is null
        and search_videos.min_quality is null
        and search_videos."limit" = 20
        and search_videos.cursor is null
        and search_videos.facets
    then
        select stored.body
        into page
        from private.keyword_pages as stored
        where
            stored.keyword = search_videos.query
            and stored.is_anonymous = (current_user = 'anon')
            and stored.min_expires_at > now();
        if found then
            if random() < 0.0078125 then
                perform private.count_page_read(true, 128);
            end if;
            return page;
        end if;
    end if;
    return private.search_afresh(
        search_videos.query,
        search_videos.category_id,
        coalesce(search_videos.region, 'KR'),
        search_videos.max_duration,
        search_videos.min_quality,
        coalesce(search_videos."limit", 20),
        search_videos.cursor,
        coalesce(search_videos.facets, true)
    );
end
$$;
comment on function public.search_videos(
    text, integer, text, integer, double precision, integer, text, boolean
) is
'Videos for what somebody typed, the best first: {"query", "how", "answered", "videos", "facets", "total", '
'"total_is_exact", "next_cursor"}, see docs/search.md. For everybody; visitors see what they see of cached_videos.';

create function private.forget_search_pages(
    most_pages integer default 200000,
    batch_size integer default 20000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    expired integer;
    surplus integer;
    kept bigint;
begin
    with stale as materialized (
        select
            page.keyword,
            page.is_anonymous
        from private.keyword_pages as page
        where page.min_expires_at <= now()
        order by page.min_expires_at asc
        limit forget_search_pages.batch_size
        for update skip locked
    ),

    gone as (
        delete from private.keyword_pages as page
        using stale
        where
            page.keyword = stale.keyword
            and page.is_anonymous = stale.is_anonymous
        returning 1
    )

    select count(*)
    into expired
    from gone;

    -- Nobody fills the disk by asking: what expires first goes first.
    select count(*)
    into kept
    from private.keyword_pages;
    with stale as materialized (
        select
            page.keyword,
            page.is_anonymous
        from private.keyword_pages as page
        order by page.min_expires_at asc
        limit least(greatest(kept - forget_search_pages.most_pages, 0), forget_search_pages.batch_size)
        for update skip locked
    ),

    gone as (
        delete from private.keyword_pages as page
        using stale
        where
            page.keyword = stale.keyword
            and page.is_anonymous = stale.is_anonymous
        returning 1
    )

    select count(*)
    into surplus
    from gone;

    delete from private.search_page_reads
    where day < private.korean_day() - 90;
    return jsonb_build_object('expired', expired, 'surplus', surplus);
end
$$;
comment on function private.forget_search_pages(integer, integer) is
'Deletes pages that are not served any more, and what is beyond the number that is kept.';

create view ops.search_page_health
with (security_invoker = true)
as
with reads as (
    select
        coalesce(sum(counted.hits), 0) as hits,
        coalesce(sum(counted.misses), 0) as misses
    from private.search_page_reads as counted
    where counted.day >= private.korean_day() - 1
),

pages as (
    select
        count(*) as pages,
        count(*) filter (where page.min_expires_at <= now()) as expired_pages
    from private.keyword_pages as page
)

select
    reads.hits,
    reads.misses,
    pages.pages,
    pages.expired_pages,
    round(reads.hits / nullif(reads.hits + reads.misses, 0), 4) as hit_ratio,
    pg_total_relation_size('private.keyword_pages') as bytes,
    now() as last_updated
from reads
cross join pages;
comment on view ops.search_page_health is
'How many searches of today and yesterday in Korea a kept page answered, in one row. The goal: hit_ratio above 0.85.';
comment on column ops.search_page_health.hits is 'Answered by a page; one in 128 is counted, as 128.';
comment on column ops.search_page_health.misses is 'Searched for, though a page could have answered.';
comment on column ops.search_page_health.pages is 'Pages that are kept.';
comment on column ops.search_page_health.expired_pages is 'Those of them that are not served any more.';
comment on column ops.search_page_health.hit_ratio is 'Share of hits, 0 to 1; null before the first counted search.';
comment on column ops.search_page_health.bytes is 'What they take of the disk, with indexes.';
comment on column ops.search_page_health.last_updated is 'When it was asked.';

-- supabase/schemas/shorts/52_suggest.sql

-- Promises that half a word is enough: suggestions while somebody types, and what they meant by what they mistyped.

create function private.deletions_of(
    letters text,
    most integer
)
returns integer[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    hashes integer[];
begin
    -- Hashes, for they are a fifth of the size; whoever looks one up compares the words themselves.
    with recursive left_out as (
        select
            deletions_of.letters collate "C" as form,
            length(deletions_of.letters) as until,
            0 as letters_left_out
        union all
        select
            overlay(left_out.form placing '' from place.number for 1),
            place.number - 1,
            left_out.letters_left_out + 1
        from left_out
        cross join lateral generate_series(1, left_out.until) as place (number)
        where left_out.letters_left_out < deletions_of.most
    )

    select array_agg(distinct hashtext(left_out.form))
    into hashes
    from left_out;
    return hashes;
end
$$;
comment on function private.deletions_of(text, integer) is
'Hashes of a text and of what is left of it without 1 to `most` letters. Two texts with no hash in common differ by '
'more than that.';

create function private.typos_allowed(
    squeezed text,
    jamo text
)
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return
        case
            when length(jamo) < 4 then 0
            when length(squeezed) >= 4 and length(jamo) between 8 and 20 then 2
            else 1
        end;
end
$$;
comment on function private.typos_allowed(text, text) is
'How many jamo may be wrong: 2 from four syllables on, 1 below and beyond 20 jamo, none in words of three jamo.';

create table private.suggestions (
    keyword_no integer primary key references private.keywords (keyword_no) on delete cascade,
    keyword text collate "C" not null unique,
    squeezed text collate "C" not null,
    choseong text collate "C" not null,
    jamo text collate "C" not null,
    deletions integer[] not null,
    popularity real not null,
    videos integer not null,
    videos_for_everybody integer not null,
    refreshed_at timestamptz not null default now()
);
alter table private.suggestions enable row level security;
create index suggestions_by_spelling on private.suggestions (squeezed, popularity desc);
create index suggestions_by_syllable on private.suggestions (left(jamo, 2), popularity desc);
create index suggestions_by_one on private.suggestions (left(choseong, 1), popularity desc);
create index suggestions_by_two on private.suggestions (left(choseong, 2), popularity desc);
create index suggestions_by_three on private.suggestions (left(choseong, 3), popularity desc);
create index suggestions_by_deletion on private.suggestions using gin (deletions);
create index suggestions_by_age on private.suggestions (refreshed_at);
comment on table private.suggestions is
'Keywords that lead to a Short that plays, as people type them. Derived from private.keywords by '
'private.refresh_suggestions; it may be emptied at any time.';
comment on column private.suggestions.keyword is 'The keyword, folded.';
comment on column private.suggestions.squeezed is 'Without spaces.';
comment on column private.suggestions.choseong is 'The first consonants of squeezed.';
comment on column private.suggestions.jamo is 'The jamo of squeezed.';
comment on column private.suggestions.deletions is 'private.deletions_of its jamo, as many as typos are allowed.';
comment on column private.suggestions.popularity is
'ln(1 + views of its Shorts), and 5 times the trend''s score while it trends.';
comment on column private.suggestions.videos is 'Shorts that play it leads to.';
comment on column private.suggestions.videos_for_everybody is 'Those that visitors see who are not signed in.';
comment on column private.suggestions.refreshed_at is 'When it was last compared with what it is derived from.';

create function private.refresh_suggestions(batch_size integer default 5000)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    looked_at integer[];
    stored integer[];
    gone integer;
begin
    -- First what is new, then what trends, then what waited longest.
    looked_at := array(
        select keyword.keyword_no
        from private.keywords as keyword
        where
            keyword.videos > 0
            and not exists (
                select
                from private.suggestions as known
                where known.keyword_no = keyword.keyword_no
            )
        order by keyword.keyword_no asc
        limit refresh_suggestions.batch_size
    );
    looked_at := looked_at || array(
        select keyword.keyword_no
        from (
            select distinct private.search_key(trend.keyword) as keyword
            from public.trending_keywords as trend
            where
                trend.closed_at is null
                and trend.expires_at > now()
        ) as trending
        inner join private.keywords as keyword on trending.keyword = keyword.keyword
        limit refresh_suggestions.batch_size
    );
    looked_at := looked_at || array(
        select known.keyword_no
        from private.suggestions as known
        order by known.refreshed_at asc
        limit greatest(refresh_suggestions.batch_size - cardinality(looked_at), 0)
    );

    with trending as (
        select
            private.search_key(trend.keyword) as keyword,
            max(trend.trend_score) as score
        from public.trending_keywords as trend
        where
            trend.closed_at is null
            and trend.expires_at > now()
        group by private.search_key(trend.keyword)
    ),

    figures as materialized (
        select
            posting.keyword_no,
            count(*) as videos,
            count(*) filter (where card.view_count > 1000) as videos_for_everybody,
            sum(card.view_count) as views
        from private.keyword_postings as posting
        inner join private.video_cards as card on posting.video_no = card.video_no
        where
            posting.keyword_no = any(looked_at)
            and card.is_servable
            and card.expires_at > now()
        group by posting.keyword_no
    ),

    spelled as materialized (
        select
            figures.keyword_no,
            figures.videos,
            figures.videos_for_everybody,
            figures.views,
            keyword.keyword,
            replace(keyword.keyword, ' ', '') as squeezed,
            private.jamo_of(replace(keyword.keyword, ' ', '')) as jamo
        from figures
        inner join private.keywords as keyword on figures.keyword_no = keyword.keyword_no
    ),

    written as (
        insert into private.suggestions as known (
            keyword_no, keyword, squeezed, choseong, jamo, deletions, popularity, videos, videos_for_everybody
        )
        select
            spelled.keyword_no,
            spelled.keyword,
            spelled.squeezed,
            private.choseong_of(spelled.squeezed),
            spelled.jamo,
            private.deletions_of(spelled.jamo, private.typos_allowed(spelled.squeezed, spelled.jamo)),
            ln(1 + spelled.views::double precision) + 5 * coalesce(trending.score, 0),
            spelled.videos,
            spelled.videos_for_everybody
        from spelled
        left join trending on spelled.keyword = trending.keyword
        order by spelled.keyword_no
        on conflict (keyword_no) do update
            set
                popularity = excluded.popularity,
                videos = excluded.videos,
                videos_for_everybody = excluded.videos_for_everybody,
                refreshed_at = now()
        returning keyword_no
    )

    select coalesce(array_agg(written.keyword_no), '{}')
    into stored
    from written;

    delete from private.suggestions as known
    where
        known.keyword_no = any(looked_at)
        and known.keyword_no <> all(stored);
    get diagnostics gone = row_count;
    return jsonb_build_object('stored', cardinality(stored), 'gone', gone);
end
$$;
comment on function private.refresh_suggestions(integer) is
'Compares suggestions with the keywords they are derived from: the new ones first, then what trends, then those that '
'waited longest.';

create function private.typing_pattern(typed text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- A lone consonant is the first of a syllable, a syllable without a final may still get one, and the last final
    -- may become a double one: 달 is on the way to 닭.
    select
        '^' || string_agg(
            case
                when letter.lead > 0
                    then
                        '[' || letter.sign || chr(44032 + (letter.lead - 1) * 588) || '-'
                        || chr(44032 + letter.lead * 588 - 1) || ']'
                when letter.final = 0
                    then '[' || letter.sign || '-' || chr(letter.code + 27) || ']'
                when letter.place = length(typing_pattern.typed) and letter.final in (1, 4, 8, 17)
                    then
                        '[' || letter.sign || '-'
                        || chr(letter.code + case letter.final when 8 then 7 when 17 then 1 else 2 end) || ']'
                when letter.code < 128 and letter.sign !~ '[a-z0-9]' then '\' || letter.sign
                else letter.sign
            end,
            ''
            order by letter.place
        )
    from (
        select
            typed_letter.sign,
            typed_letter.place,
            ascii(typed_letter.sign) as code,
            case
                when ascii(typed_letter.sign) between 44032 and 55203 then (ascii(typed_letter.sign) - 44032) % 28
            end as final,
            strpos('ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ', typed_letter.sign) as lead
        from string_to_table(typing_pattern.typed, null) with ordinality as typed_letter (sign, place)
    ) as letter
$$;
comment on function private.typing_pattern(text) is
'What somebody typed so far, without spaces, as a regular expression: ㅁㅈ, 마ㅈ and 맛지 fit 맛집.';

create function private.final_moved(typed text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Whoever types 마지 has 맞 on the way: each final, what stays of it, and what moves on.
    select
        left(last.typed, -1)
        || chr(
            last.code - last.final
            + ('{0,0,1,0,4,4,0,0,8,8,8,8,8,8,8,0,0,17,0,0,0,0,0,0,0,0,0}'::integer[])[last.final]
        )
        || substr('ㄱㄲㅅㄴㅈㅎㄷㄹㄱㅁㅂㅅㅌㅍㅎㅁㅂㅅㅅㅆㅇㅈㅊㅋㅌㅍㅎ', last.final, 1)
    from (
        select
            final_moved.typed,
            ascii(right(final_moved.typed, 1)) as code,
            (ascii(right(final_moved.typed, 1)) - 44032) % 28 as final
    ) as last
    where
        last.code between 44032 and 55203
        and last.final > 0
$$;
comment on function private.final_moved(text) is
'맞 as 마ㅈ: the last consonant as the first of a syllable to come; null where there is none.';

create function private.begun_keywords(
    typed text,
    most integer,
    is_anonymous boolean
)
returns table (
    keyword_no integer,
    keyword text,
    videos integer,
    popularity real
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    pattern constant text := private.typing_pattern(typed) collate "C";
    first_letters constant text := left(private.choseong_of(typed), 3);
begin
    -- Four indexes in the order of popularity: the more was typed, the fewer keywords are looked at.
    if length(typed) = 1 and ascii(typed) between 44032 and 55203 then
        return query
        select
            known.keyword_no,
            known.keyword,
            case when begun_keywords.is_anonymous then known.videos_for_everybody else known.videos end,
            known.popularity
        from private.suggestions as known
        where
            left(known.jamo, 2) = left(private.jamo_of(typed), 2)
            and known.squeezed ~ pattern
            and (known.videos_for_everybody > 0 or not begun_keywords.is_anonymous)
            and private.leads_somewhere(known.keyword_no, begun_keywords.is_anonymous)
        order by known.popularity desc
        limit most;
    elsif length(typed) = 1 then
        return query
        select
            known.keyword_no,
            known.keyword,
            case when begun_keywords.is_anonymous then known.videos_for_everybody else known.videos end,
            known.popularity
        from private.suggestions as known
        where
            left(known.choseong, 1) = first_letters
            and known.squeezed ~ pattern
            and (known.videos_for_everybody > 0 or not begun_keywords.is_anonymous)
            and private.leads_somewhere(known.keyword_no, begun_keywords.is_anonymous)
        order by known.popularity desc
        limit most;
    elsif length(typed) = 2 then
        return query
        select
            known.keyword_no,
            known.keyword,
            case when begun_keywords.is_anonymous then known.videos_for_everybody else known.videos end,
            known.popularity
        from private.suggestions as known
        where
            left(known.choseong, 2) = first_letters
            and known.squeezed ~ pattern
            and (known.videos_for_everybody > 0 or not begun_keywords.is_anonymous)
            and private.leads_somewhere(known.keyword_no, begun_keywords.is_anonymous)
        order by known.popularity desc
        limit most;
    else
        return query
        select
            known.keyword_no,
            known.keyword,
            case when begun_keywords.is_anonymous then known.videos_for_everybody else known.videos end,
            known.popularity
        from private.suggestions as known
        where
            left(known.choseong, 3) = first_letters
            and known.squeezed ~ pattern
            and (known.videos_for_everybody > 0 or not begun_keywords.is_anonymous)
            and private.leads_somewhere(known.keyword_no, begun_keywords.is_anonymous)
        order by known.popularity desc
        limit most;
    end if;
end
$$;
comment on function private.begun_keywords(text, integer, boolean) is
'The most popular keywords that begin with what was typed, which has no spaces.';

create function private.leads_somewhere(
    keyword_no integer,
    is_anonymous boolean
)
returns boolean
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        exists (
            select
            from private.keyword_postings as posting
            inner join private.video_cards as card on posting.video_no = card.video_no
            inner join public.cached_videos as video on card.video_id = video.video_id
            where
                posting.keyword_no = leads_somewhere.keyword_no
                and video.is_playable
                and video.is_shorts
                and video.expires_at > now()
                and (video.view_count > 1000 or not leads_somewhere.is_anonymous)
        )
$$;
comment on function private.leads_somewhere(integer, boolean) is
'Whether a keyword leads to a Short that plays now, and that visitors see when it is one who asks.';

create function private.suggested_keywords(
    prefix text,
    most integer
)
returns table (
    keyword text,
    videos integer,
    highlights jsonb
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    is_visitor constant boolean := current_setting('role') = 'anon';
    typed constant text := left(replace(private.search_key(prefix), ' ', ''), 50);
    moved constant text := private.final_moved(typed);
begin
    if prefix is null or length(prefix) > 500 then
        raise exception using
            errcode = 'PT400',
            message = 'prefix is missing or longer than 500 characters',
            detail = 'Nothing was looked for.',
            hint = 'Send what was typed so far.';
    end if;
    if most not between 1 and 50 then
        raise exception using
            errcode = 'PT400',
            message = 'limit is not from 1 to 50',
            detail = 'Nothing was looked for.',
            hint = 'Send a whole number from 1 to 50, or nothing: that is 10.';
    end if;
    if typed = '' then
        return;
    end if;
    return query
    select
        found.keyword,
        found.videos,
        jsonb_build_array(
            jsonb_build_array(
                0,
                length(rtrim(substring(found.keyword from '^(?:[^ ] ?){' || found.letters || '}')))
            )
        )
    from (
        select distinct on (either.keyword) either.*
        from (
            select
                begun.*,
                length(typed) as letters,
                0 as place
            from private.begun_keywords(typed, most, is_visitor) as begun
            union all
            select
                begun.*,
                length(moved) as letters,
                1 as place
            from private.begun_keywords(moved, most, is_visitor) as begun
            where moved is not null
        ) as either
        order by
            either.keyword asc,
            either.place asc
    ) as found
    order by
        found.place asc,
        found.popularity desc,
        found.keyword asc
    limit most;
end
$$;
comment on function private.suggested_keywords(text, integer) is
'Keywords that begin with what was typed, then those that could still be meant by its last consonant.';

create function public.suggest_keywords(
    prefix text,
    "limit" integer default 10
)
returns table (
    keyword text,
    videos integer,
    highlights jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        suggested.keyword,
        suggested.videos,
        suggested.highlights
    from private.suggested_keywords(suggest_keywords.prefix, coalesce(suggest_keywords."limit", 10)) as suggested
$$;
comment on function public.suggest_keywords(text, integer) is
'Keywords for what was typed so far, the most popular first: 맛, ㅁㅈ, 마ㅈ and 맛지 find 맛집. For everybody.';

create table private.synonyms (
    word text collate "C",
    synonym text collate "C",
    created_at timestamptz not null default now(),
    primary key (word, synonym),
    constraint synonyms_are_folded check (
        word = private.fold_text(word) and synonym = private.fold_text(synonym) and word <> '' and synonym <> ''
    ),
    constraint a_synonym_is_another_word check (word <> synonym)
);
alter table private.synonyms enable row level security;
create index synonyms_by_synonym on private.synonyms (synonym);
comment on table private.synonyms is
'Words that mean the same to who searches. A pair counts both ways and stands once. The service adds and removes.';
comment on column private.synonyms.word is 'One word, folded as private.fold_text does.';
comment on column private.synonyms.synonym is 'The other, folded.';
comment on column private.synonyms.created_at is 'When it was added.';

insert into private.synonyms (word, synonym)
values
('강아지', '댕댕이'),
('강아지', '멍멍이'),
('강아지', 'puppy'),
('게임', 'game'),
('고양이', '냥이'),
('고양이', '야옹이'),
('고양이', 'cat'),
('골프', 'golf'),
('공부', 'study'),
('꿀팁', '팁'),
('노래', '송'),
('농구', 'basketball'),
('다이어트', 'diet'),
('댄스', '춤'),
('댄스', 'dance'),
('레시피', '요리법'),
('레시피', 'recipe'),
('리뷰', '후기'),
('리뷰', 'review'),
('먹방', 'mukbang'),
('먹방', '먹는 방송'),
('메이크업', '화장'),
('메이크업', 'makeup'),
('몰카', '몰래카메라'),
('브이로그', 'vlog'),
('브이로그', '일상'),
('스마트폰', '휴대폰'),
('아이폰', 'iphone'),
('야구', 'baseball'),
('언박싱', '개봉기'),
('언박싱', 'unboxing'),
('에이에스엠알', 'asmr'),
('여행', 'travel'),
('요리', '쿠킹'),
('운동', '헬스'),
('운동', 'workout'),
('인테리어', '집꾸미기'),
('챌린지', 'challenge'),
('축구', 'soccer'),
('축구', 'football'),
('카페', '커피숍'),
('커버', 'cover'),
('케이팝', 'kpop'),
('케이팝', 'k pop'),
('하울', 'haul'),
('홈트', '홈트레이닝');

create function private.corrected_keywords(
    query text,
    most integer,
    is_mistyped boolean default true
)
returns table (
    keyword text,
    distance integer,
    how text
)
stable
rows 3
security definer
set search_path = pg_catalog, pg_temp
-- How many words share one of many hashes the planner cannot know: it would rather read them all.
set enable_seqscan = off
language plpgsql
as $$
declare
    folded constant text := private.fold_text(left(query, 500));
    bare constant text := replace(folded, ' ', '');
    parts constant text[] := string_to_array(folded, ' ');
    spelled constant text := private.jamo_of(bare);
    typos constant integer := private.typos_allowed(bare, spelled);
    left_to_find integer := most;
    found_here integer;
begin
    if folded = '' or coalesce(most, 0) < 1 then
        return;
    end if;

    return query
    select
        known.keyword,
        0,
        'spacing'
    from private.suggestions as known
    where
        known.squeezed = bare
        and known.keyword <> folded
    order by
        known.popularity desc,
        known.keyword asc
    limit left_to_find;
    get diagnostics found_here = row_count;
    left_to_find := left_to_find - found_here;

    if left_to_find > 0 and cardinality(parts) <= 4 then
        -- Each word with and without what could be a particle; what is left must be a keyword, so that 고양이 stays.
        return query
        with recursive variants as (
            select
                word.place,
                form.form,
                form.is_shorter
            from unnest(parts) with ordinality as word (word, place)
            cross join lateral (
                select
                    word.word as form,
                    false as is_shorter
                union all
                select
                    left(word.word, -length(particle.particle)),
                    true
                from unnest(
                    string_to_array(
                        '에서는 에서도 으로는 이라는 에서 에게 으로 부터 까지 이랑 하고 처럼 보다 이나 라는 에는 '
                        '을 를 이 가 은 는 의 도 만 로 와 과 랑 에 야',
                        ' '
                    )
                ) as particle (particle)
                where
                    word.word like '%' || particle.particle
                    and length(word.word) > length(particle.particle)
            ) as form
        ),

        built as (
            select
                variants.form as phrase,
                variants.is_shorter,
                1 as words
            from variants
            where variants.place = 1
            union all
            select
                built.phrase || variants.form,
                built.is_shorter or variants.is_shorter,
                built.words + 1
            from built
            inner join variants on variants.place = built.words + 1
        )

        select
            known.keyword,
            0,
            'particle'
        from built
        inner join private.suggestions as known on built.phrase = known.squeezed
        where
            built.words = cardinality(parts)
            and built.is_shorter
        group by known.keyword
        order by
            max(length(known.keyword)) desc,
            max(known.popularity) desc,
            known.keyword asc
        limit left_to_find;
        get diagnostics found_here = row_count;
        left_to_find := left_to_find - found_here;
    end if;

    if left_to_find > 0 then
        -- Of the whole question, and of one word of it.
        return query
        with pairs as (
            select
                pair.word,
                pair.synonym
            from private.synonyms as pair
            where pair.word = folded or pair.word = any(parts)
            union
            select
                pair.synonym as word,
                pair.word as synonym
            from private.synonyms as pair
            where pair.synonym = folded or pair.synonym = any(parts)
        ),

        phrases as (
            select pairs.synonym as phrase
            from pairs
            where pairs.word = folded
            union
            select array_to_string(array_replace(parts, pairs.word, pairs.synonym), ' ')
            from pairs
            where pairs.word = any(parts)
        )

        select
            known.keyword,
            0,
            'synonym'
        from phrases
        inner join private.suggestions as known on replace(phrases.phrase, ' ', '') = known.squeezed
        group by known.keyword
        order by
            max(known.popularity) desc,
            known.keyword asc
        limit left_to_find;
        get diagnostics found_here = row_count;
        left_to_find := left_to_find - found_here;
    end if;

    -- One wrong first, which few words could be; two are looked for among the 200 that people watch most.
    for wrong in 1 .. typos loop
        exit when left_to_find = 0 or not is_mistyped;
        return query
        select
            near.keyword,
            near.distance,
            'corrected'
        from (
            select
                candidate.keyword,
                candidate.popularity,
                private.jamo_distance(
                    candidate.jamo,
                    spelled,
                    least(wrong, private.typos_allowed(candidate.squeezed, candidate.jamo))
                ) as distance
            from (
                select
                    known.keyword,
                    known.squeezed,
                    known.jamo,
                    known.popularity
                from private.suggestions as known
                where
                    known.deletions && private.deletions_of(spelled, wrong)
                    and known.squeezed <> bare
                    and abs(length(known.jamo) - length(spelled)) <= wrong
                order by known.popularity desc
                limit 200
            ) as candidate
        ) as near
        where near.distance = wrong
        order by
            near.popularity desc,
            near.keyword asc
        limit left_to_find;
        get diagnostics found_here = row_count;
        left_to_find := left_to_find - found_here;
    end loop;
end
$$;
comment on function private.corrected_keywords(text, integer, boolean) is
'Keywords that could be meant: the same without regard to spaces, without particles, by synonyms, and with a jamo or '
'two typed wrongly; in this order. Of the last none unless it may be mistyped.';

create table private.unanswered_searches (
    day date,
    query text collate "C",
    people integer not null,
    last_at timestamptz not null,
    primary key (day, query),
    constraint unanswered_searches_are_of_many check (people >= 3)
);
alter table private.unanswered_searches enable row level security;
comment on table private.unanswered_searches is
'What people searched for and found nothing, by day in Korea. Only what three people or more asked on that day: it '
'tells of nobody. Kept for 30 days.';
comment on column private.unanswered_searches.day is 'Day in Korea.';
comment on column private.unanswered_searches.query is 'What they searched for, folded.';
comment on column private.unanswered_searches.people is 'How many people.';
comment on column private.unanswered_searches.last_at is 'When the last of them did.';

create function private.count_unanswered_searches(day date default null)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    looked_at constant date := coalesce(count_unanswered_searches.day, private.korean_day(now() - interval '1 hour'));
    stored integer;
begin
    with counted as materialized (
        select
            private.fold_text(session.search_query) as query,
            count(distinct session.user_id) as people,
            max(session.session_started_at) as last_at
        from public.search_sessions as session
        where
            session.session_started_at >= looked_at::timestamp at time zone 'Asia/Seoul'
            and session.session_started_at < (looked_at + 1)::timestamp at time zone 'Asia/Seoul'
            and session.session_ended_at is not null
            -- Who does not say how many were found has shown some.
            and session.results_count = 0
            and session.results_shown = 0
            and session.results_clicked = 0
            and session.search_type <> 'ai_chat'
        group by private.fold_text(session.search_query)
        having count(distinct session.user_id) >= 3
        order by
            people desc,
            query asc
        limit 10000
    ),

    written as (
        insert into private.unanswered_searches as stored (day, query, people, last_at)
        select
            looked_at,
            counted.query,
            counted.people,
            counted.last_at
        from counted
        where counted.query <> ''
        order by counted.query
        on conflict on constraint unanswered_searches_pkey do update
            set
                people = excluded.people,
                last_at = excluded.last_at
            where
                stored.people <> excluded.people
                or stored.last_at <> excluded.last_at
        returning 1
    )

    select count(*)
    into stored
    from written;
    delete from private.unanswered_searches as stored
    where stored.day < private.korean_day() - 30;
    return jsonb_build_object('day', looked_at, 'stored', stored);
end
$$;
comment on function private.count_unanswered_searches(date) is
'Counts who found nothing on a day in Korea; of an hour ago when none is named, so that each day is looked at when it '
'is over. A repeated call changes nothing.';

create function public.unanswered_searches("limit" integer default 50)
returns table (
    query text,
    people integer,
    days integer,
    last_at timestamptz
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        stored.query,
        max(stored.people) as people,
        count(*)::integer as days,
        max(stored.last_at) as last_at
    from private.unanswered_searches as stored
    where
        stored.day >= private.korean_day() - 7
        and not exists (
            select
            from private.keywords as known
            where
                known.keyword = stored.query
                and known.videos > 0
        )
    group by stored.query
    order by
        people desc,
        days desc,
        stored.query asc
    limit least(greatest(coalesce(unanswered_searches."limit", 50), 0), 500)
$$;
comment on function public.unanswered_searches(integer) is
'What at least three people searched for on a day of the last week and found nothing, and what still leads nowhere: '
'worth to be fetched. For the service.';

-- supabase/schemas/shorts/53_video_vectors.sql

-- Promises every video a vector of 100 numbers that follows from what is known of it, until a better one is brought.

create table private.video_vectors (
    video_no integer primary key references private.video_cards (video_no) on delete cascade,
    embedding extensions.vector(100) not null,
    version text not null,
    inputs bigint,
    written_at timestamptz not null default now(),
    constraint version_is_a_short_text check (length(version) between 1 and 50),
    constraint only_hashes_have_inputs check ((inputs is not null) = (version like 'hash-%'))
);
alter table private.video_vectors enable row level security;
create index video_vectors_by_likeness on private.video_vectors
using hnsw (embedding extensions.vector_cosine_ops);
comment on table private.video_vectors is
'One vector a video, of length 1. Derived: what is hashed can be rebuilt from the source tables.';
comment on column private.video_vectors.version is
'How it was made. Those of different versions lie in different spaces and are never compared.';
comment on column private.video_vectors.inputs is
'What it was hashed from, as one number, so that nothing is written when nothing changed; null for what was brought.';

create table private.learning_walks (
    job text primary key,
    walked_to uuid,
    walked_to_no integer not null default 0,
    newest_no integer not null default 0,
    rounds integer not null default 0
);
alter table private.learning_walks enable row level security;
comment on table private.learning_walks is
'How far each learning job has come in its round. Moves in the transaction that did the work.';
comment on column private.learning_walks.walked_to is 'The last person of this round; null at its beginning.';
comment on column private.learning_walks.walked_to_no is 'The last video of this round; 0 at its beginning.';
comment on column private.learning_walks.newest_no is 'The newest video that was looked at out of turn.';
insert into private.learning_walks (job) values
('neighbours'),
('tastes'),
('vectors'),
('ranks');

create function private.unit_vector(numbers double precision[])
returns extensions.vector
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select (array_agg(part.number / part.length order by part.place))::extensions.vector
    from (
        select
            scaled.place,
            scaled.number,
            sqrt(sum(scaled.number * scaled.number) over ()) as length
        from (
            -- Divided by the largest first: the square of a small number is 0, that of a large one infinite.
            select
                item.place,
                item.number / max(abs(item.number)) over () as number
            from unnest(numbers) with ordinality as item (number, place)
            where
                private.is_taste(numbers)
                and exists (
                    select
                    from unnest(numbers) as other (number)
                    where other.number <> 0
                )
        ) as scaled
    ) as part
$$;
comment on function private.unit_vector(double precision[]) is
'The direction of 100 finite numbers, as a vector of length 1; null for anything else and for nothing but zeros.';

create function private.embed_video(
    category_id integer,
    keywords text[],
    channel_id text,
    weights double precision[] default null
)
returns extensions.vector
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with features as (
        select
            'category:' || embed_video.category_id as feature,
            0.6 as weight
        where embed_video.category_id is not null
        union all
        select
            'channel:' || embed_video.channel_id,
            0.4
        where embed_video.channel_id is not null
        union all
        select
            'keyword:' || word.keyword,
            0.7 * word.weight / sqrt(sum(word.weight * word.weight) over ())
        from (
            select
                given.keyword,
                max(coalesce(given.weight, 1)) as weight
            from unnest(embed_video.keywords, embed_video.weights) as given (keyword, weight)
            where
                given.keyword is not null
                and coalesce(given.weight, 1) > 0
            group by given.keyword
        ) as word
    ),

    known as (
        select
            features.feature,
            features.weight
        from features
        union all
        select
            'unknown',
            1
        where not exists (select from features)
    ),

    -- Eight signed places for each feature: two features that share a place share one of eight.
    places as (
        select
            mod(hashed.value & 9223372036854775807, 100) as place,
            -- Whole numbers, so that the order of adding does not matter.
            sum(
                (case when hashed.other & 1 = 0 then 1 else -1 end * round(known.weight * 1000000000))::bigint
            ) as amount
        from known
        cross join generate_series(1, 8) as seed (number)
        cross join lateral (
            select
                hashtextextended(known.feature collate "C", seed.number) as value,
                hashtextextended(known.feature collate "C", seed.number + 1000) as other
        ) as hashed
        group by mod(hashed.value & 9223372036854775807, 100)
    )

    select
        extensions.l2_normalize(
            (
                array_agg(coalesce(places.amount, 0)::double precision / 1000000000 order by dimension.number)
            )::extensions.vector
        )
    from generate_series(0, 99) as dimension (number)
    left join places on dimension.number = places.place
$$;
comment on function private.embed_video(integer, text[], text, double precision[]) is
'The vector of a video that nobody brought a better one for: signed hashes of its category, keywords and channel. '
'The same for the same values, whatever their order; length 1; a weight for each keyword, or 1.';

create function private.hash_videos(from_nos integer[])
returns table (
    video_no integer,
    is_known boolean,
    category_id integer,
    channel_id text,
    keywords text[],
    weights double precision[],
    inputs bigint
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        card.video_no,
        video.purged_at is null,
        video.category_id,
        video.channel_id,
        words.keywords,
        words.weights,
        hashtextextended(
            concat_ws('|', video.category_id, video.channel_id, words.keywords, words.weights) collate "C", 0
        )
    from private.video_cards as card
    inner join public.cached_videos as video on card.video_id = video.video_id
    cross join lateral (
        select
            array_agg(best.keyword order by best.keyword) as keywords,
            array_agg(best.weight order by best.keyword) as weights
        from (
            select
                private.search_key(mapping.keyword) collate "C" as keyword,
                round(
                    (
                        greatest(mapping.relevance_score, 0.05)
                        -- By powers of four, so that a video is not written again for each new one of its keyword.
                        / (1 + ln(4) * floor(log(4, greatest(word.videos, 1))))
                    )::numeric,
                    4
                )::double precision as weight
            from public.keyword_video_mappings as mapping
            left join private.keywords as word on word.keyword = private.search_key(mapping.keyword)
            where mapping.video_id = card.video_id
            order by
                mapping.relevance_score desc,
                mapping.keyword asc
            limit 20
        ) as best
    ) as words
    where card.video_no = any(from_nos)
$$;
comment on function private.hash_videos(integer[]) is
'What the vectors of videos are hashed from: the 20 keywords that fit best, each damped by how many videos have it.';

create function private.fold_video_vectors(batch_size integer default 2000)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    walk private.learning_walks;
    newest integer[];
    others integer[];
    written integer;
    removed integer;
begin
    -- The row is the lock: one fold at a time, and one that is killed leaves it as it was.
    select stored.*
    into walk
    from private.learning_walks as stored
    where stored.job = 'vectors'
    for update;
    newest := array(
        select card.video_no
        from private.video_cards as card
        where card.video_no > walk.newest_no
        order by card.video_no
        limit fold_video_vectors.batch_size
    );
    others := array(
        select card.video_no
        from private.video_cards as card
        where
            card.video_no > walk.walked_to_no
            and card.video_no <= walk.newest_no
        order by card.video_no
        limit greatest(fold_video_vectors.batch_size - cardinality(newest), 0)
    );

    with hashed as materialized (
        select hash.*
        from private.hash_videos(newest || others) as hash
    ),

    gone as (
        delete from private.video_vectors as vector
        using hashed
        where
            vector.video_no = hashed.video_no
            and not hashed.is_known
        returning vector.video_no
    ),

    changed as materialized (
        select
            hashed.video_no,
            hashed.inputs,
            private.embed_video(
                hashed.category_id, hashed.keywords, hashed.channel_id, hashed.weights
            ) as embedding
        from hashed
        left join private.video_vectors as known on hashed.video_no = known.video_no
        where
            hashed.is_known
            -- What somebody brought stays, whatever it was made from.
            and (
                known.video_no is null
                or (known.version = 'hash-1' and known.inputs <> hashed.inputs)
                or (known.version like 'hash-%' and known.version <> 'hash-1')
            )
    ),

    stored as (
        insert into private.video_vectors as vector (video_no, embedding, version, inputs)
        select
            changed.video_no,
            changed.embedding,
            'hash-1',
            changed.inputs
        from changed
        order by changed.video_no
        on conflict (video_no) do update
            set
                embedding = excluded.embedding,
                version = excluded.version,
                inputs = excluded.inputs,
                written_at = excluded.written_at
        -- A better one may have come while these were hashed.
        where vector.version like 'hash-%'
        returning vector.video_no
    )

    select
        (select count(*) from stored),
        (select count(*) from gone)
    into written, removed;

    update private.learning_walks as stored
    set
        newest_no = coalesce(newest[cardinality(newest)], stored.newest_no),
        walked_to_no = case
            when cardinality(newest) + cardinality(others) < fold_video_vectors.batch_size then 0
            else coalesce(others[cardinality(others)], stored.walked_to_no)
        end,
        rounds = stored.rounds
        + (cardinality(newest) + cardinality(others) < fold_video_vectors.batch_size)::integer
    where stored.job = 'vectors';
    return jsonb_build_object('vectors_written', written, 'vectors_removed', removed);
end
$$;
comment on function private.fold_video_vectors(integer) is
'Gives vectors to new videos, then goes on with its round over the others and rewrites those whose category, '
'keywords or channel changed. A batch at a time; a video whose vector was brought keeps it.';

create function private.rebuild_video_vectors()
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    delete from private.video_vectors as vector
    where vector.version like 'hash-%';
    update private.learning_walks as walk
    set
        newest_no = 0,
        walked_to_no = 0
    where walk.job = 'vectors'
$$;
comment on function private.rebuild_video_vectors() is
'Forgets what was hashed, so that the next folds hash it again. What was brought stays.';

create function public.set_video_embeddings(
    embeddings jsonb,
    version text
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform private.check_batch(embeddings);
    if coalesce(version, '') !~ '^[A-Za-z0-9._-]{1,50}$' or version like 'hash-%' then
        raise exception using
            errcode = 'PT400',
            message = 'the version is not 1 to 50 letters, digits, dots, _ or -, or begins with hash-',
            hint = 'Name the model, such as e5-small-1: vectors of different versions are never compared.';
    end if;
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then item.value end as sent,
            case
                when
                    jsonb_typeof(item.value -> 'embedding') = 'array'
                    and jsonb_array_length(item.value -> 'embedding') = 100
                    then
                        private.unit_vector(
                            array(
                                select
                                    case
                                        when
                                            jsonb_typeof(number.value) = 'number'
                                            and pg_input_is_valid(number.value #>> '{}', 'double precision')
                                            then (number.value #>> '{}')::double precision
                                    end
                                from jsonb_array_elements(item.value -> 'embedding') with ordinality as number
                                order by number.ordinality
                            )
                        )
            end as embedding
        from jsonb_array_elements(embeddings) with ordinality as item (value, ordinality)
    ),

    read as materialized (
        select
            given.index,
            given.embedding,
            card.video_no,
            case
                when given.sent is null then 'ON001'
                when
                    coalesce(jsonb_typeof(given.sent -> 'video_id') <> 'string', true)
                    or given.sent ->> 'video_id' !~ '^[A-Za-z0-9_-]{1,20}$'
                    then 'ON002'
                when given.embedding is null then 'ON007'
                when card.video_no is null then 'ON012'
            end as code
        from given
        left join private.video_cards as card on given.sent ->> 'video_id' = card.video_id
    ),

    stored as (
        insert into private.video_vectors as vector (video_no, embedding, version)
        select
            last.video_no,
            last.embedding,
            set_video_embeddings.version
        from (
            select distinct on (read.video_no)
                read.video_no,
                read.embedding
            from read
            where read.code is null
            order by
                read.video_no asc,
                read.index desc
        ) as last
        order by last.video_no
        on conflict (video_no) do update
            set
                embedding = excluded.embedding,
                version = excluded.version,
                inputs = null,
                written_at = excluded.written_at
        returning vector.video_no
    )

    select
        jsonb_build_object(
            'received', count(*),
            'stored', (select count(*) from stored),
            'rejected', coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'index', read.index,
                        'code', read.code,
                        'message', case read.code
                            when 'ON001' then 'the row is not an object'
                            when 'ON002' then 'video_id is not an id of at most 20 letters, digits, _ and -'
                            when 'ON007' then 'embedding is not 100 finite numbers that are not all 0'
                            else 'there is no such video'
                        end
                    )
                    order by read.index
                ) filter (where read.code is not null),
                '[]'
            )
        )
    into answer
    from read;
    return answer;
end
$$;
comment on function public.set_video_embeddings(jsonb, text) is
'Replaces the vectors of videos by better ones, [{"video_id", "embedding": [100 numbers]}, ...]; for the service. '
'They are made length 1. Good rows are stored, bad ones named.';

create function public.set_video_embedding(
    video_id text,
    embedding double precision[],
    version text
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
    problem jsonb;
begin
    -- JSON has no number that is none.
    if private.unit_vector(embedding) is null then
        raise exception using
            errcode = 'PT400',
            message = 'embedding is not 100 finite numbers that are not all 0',
            hint = 'Send exactly 100 numbers from -1e30 to 1e30; they are made length 1.';
    end if;
    answer := public.set_video_embeddings(
        jsonb_build_array(jsonb_build_object('video_id', video_id, 'embedding', to_jsonb(embedding))), version
    );
    problem := answer -> 'rejected' -> 0;
    if problem is not null then
        raise exception using
            errcode = case when problem ->> 'code' = 'ON012' then 'PT404' else 'PT400' end,
            message = problem ->> 'message',
            hint = 'Ingest the video first; a new one is known a minute later.';
    end if;
    return answer;
end
$$;
comment on function public.set_video_embedding(text, double precision[], text) is
'Replaces the vector of one video by a better one of 100 numbers; for the service. See set_video_embeddings.';

create function private.nearest_videos(
    target extensions.vector,
    of_version text,
    most integer,
    least_views bigint default 0,
    except_no integer default null
)
returns table (
    video_no integer,
    video_id text,
    similarity double precision
)
stable
security definer
set search_path = pg_catalog, pg_temp
set "hnsw.iterative_scan" = 'strict_order'
set "hnsw.ef_search" = '100'
set plan_cache_mode = 'force_custom_plan'
language plpgsql
as $$
begin
    -- Planned anew each time: without knowing the number that is asked for, all would be read and sorted.
    return query
    select
        vector.video_no,
        card.video_id::text,
        1 - (vector.embedding operator(extensions.<=>) nearest_videos.target)
    from private.video_vectors as vector
    inner join private.video_cards as card on vector.video_no = card.video_no
    where
        vector.version = nearest_videos.of_version
        and card.is_servable
        and card.expires_at > now()
        and coalesce(card.view_count, 0) >= nearest_videos.least_views
        and vector.video_no is distinct from nearest_videos.except_no
    order by vector.embedding operator(extensions.<=>) nearest_videos.target
    limit nearest_videos.most;
end
$$;
comment on function private.nearest_videos(extensions.vector, text, integer, bigint, integer) is
'The servable videos whose vectors lie nearest, of one version. The index goes on until there are enough.';

create function private.similar_to(
    of_video text,
    most integer,
    least_views bigint
)
returns table (
    video_id text,
    similarity double precision
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        near.video_id,
        near.similarity
    from private.video_cards as card
    inner join private.video_vectors as vector on card.video_no = vector.video_no
    cross join lateral private.nearest_videos(
        vector.embedding, vector.version, similar_to.most, similar_to.least_views, card.video_no
    ) as near
    where card.video_id = similar_to.of_video
$$;
comment on function private.similar_to(text, integer, bigint) is
'Ids of the videos that are most like one. Reads what clients do not; similar_videos keeps to what they may see.';

create function public.similar_videos(
    video_id text,
    "limit" integer default 20,
    region text default 'KR'
)
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
-- @plpgsql_check_options: other_warnings = false
declare
    most integer := coalesce("limit", 20);
    answer jsonb;
begin
    if most not between 1 and 50 then
        raise exception using
            errcode = 'PT400',
            message = 'limit is not 1 to 50',
            detail = format('It is %s.', most),
            hint = 'Ask for 1 to 50 videos, or leave it out for 20.';
    end if;
    if coalesce(region, 'KR') !~ '^[A-Z]{2}$' then
        raise exception using
            errcode = 'PT400',
            message = 'The region is unknown.',
            detail = format('region is %s.', left(region, 100)),
            hint = 'Send an ISO 3166 code of two capital letters.';
    end if;
    -- Under the caller's own policies: what is hidden from the caller is as unknown as what does not exist.
    if
        not exists (
            select
            from public.cached_videos as video
            where video.video_id = similar_videos.video_id
        )
    then
        raise exception using
            errcode = 'PT404',
            message = 'there is no such video',
            hint = 'Send the video_id of a video that search_videos or personalized_feed returned.';
    end if;

    select
        coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'video_id', kept.video_id,
                    'title', kept.title,
                    'channel_id', kept.channel_id,
                    'channel_name', kept.channel_name,
                    'thumbnail_url', kept.thumbnail_url,
                    'duration', kept.duration,
                    'view_count', kept.view_count,
                    'published_at', kept.published_at,
                    'category_id', kept.category_id,
                    'quality_score', kept.quality_score,
                    'score', round(kept.similarity::numeric, 4)
                )
                order by
                    kept.similarity desc,
                    kept.video_id asc
            ),
            '[]'
        )
    into answer
    from (
        select
            video.*,
            near.similarity
        -- A few more than asked for: what has stopped playing since, or does not play in the region, is left out.
        from private.similar_to(
            similar_videos.video_id, 2 * most + 10, case when current_user = 'anon' then 1001 else 0 end
        ) as near
        inner join public.cached_videos as video on near.video_id = video.video_id
        where
            video.is_playable
            and video.is_shorts
            and video.expires_at > now()
            and private.plays_in(video.region_restrictions, coalesce(similar_videos.region, 'KR'))
        order by
            near.similarity desc,
            video.video_id asc
        limit most
    ) as kept;
    return jsonb_build_object('videos', answer);
end
$$;
comment on function public.similar_videos(text, integer, text) is
'Shorts like this one that play, the most similar first: {"videos": [...]}, each with a score up to 1. For everybody; '
'anonymous visitors see the well known ones. At most 50.';

-- supabase/schemas/shorts/54_learning.sql

-- Promises that what people watch is learned from every night: which videos go together, and what each person likes.

create table private.learning_settings (
    is_the_one boolean primary key default true,
    window_size integer not null default 30,
    audience_size integer not null default 500,
    half_life interval not null default '3 days',
    landmark timestamptz not null default '2026-01-01 00:00+00',
    least_people integer not null default 1,
    neighbours_kept integer not null default 100,
    begun_in_pairs double precision not null default 0.6,
    begun_in_history double precision not null default 0.7,
    recency double precision not null default 0.98,
    category_prior double precision not null default 10,
    hour_prior double precision not null default 20,
    constraint there_is_one_row check (is_the_one),
    constraint sizes_are_possible check (
        window_size between 1 and 500
        and audience_size between 1 and 10000
        and least_people between 1 and 1000
        and neighbours_kept between 1 and 1000
    ),
    constraint weights_are_possible check (
        begun_in_pairs between 0 and 1
        and begun_in_history between 0 and 1
        and recency between 0.5 and 1
        and category_prior > 0
        and hour_prior > 0
    ),
    -- A sum doubles with each half-life since the landmark; 480 of them are 1,440 days.
    constraint half_life_is_possible check (half_life between interval '1 day' and interval '365 days')
);
alter table private.learning_settings enable row level security;
comment on table private.learning_settings is 'What learning goes by, one row. Explained in docs/learning.md.';
comment on column private.learning_settings.window_size is 'The newest videos of a person, which go together.';
comment on column private.learning_settings.audience_size is
'People, those who did something last, of whom the neighbours of a video are ranked.';
comment on column private.learning_settings.half_life is 'After which having been watched counts half.';
comment on column private.learning_settings.landmark is
'What was watched then counts 1. Moved by private.relearn, to be called before 480 half-lives have passed.';
comment on column private.learning_settings.least_people is 'People that a pair needs to be shown.';
comment on column private.learning_settings.neighbours_kept is 'Neighbours that a video has at most.';
comment on column private.learning_settings.begun_in_pairs is
'What a video that was merely begun counts in a pair; a liked one counts 1.';
comment on column private.learning_settings.begun_in_history is 'The same in the mean of a person''s videos.';
comment on column private.learning_settings.recency is 'What each older video counts, against the next newer.';
comment on column private.learning_settings.category_prior is
'Views of everybody that a person''s categories start from.';
comment on column private.learning_settings.hour_prior is 'Views of everybody that a person''s hours start from.';
insert into private.learning_settings (is_the_one) values (true);

create table private.watch_windows (
    user_id uuid primary key references public.users (id) on delete cascade,
    videos integer[] not null,
    strengths real[] not null,
    worths double precision[] not null,
    learned_to timestamptz not null,
    constraint a_window_is_parallel check (
        cardinality(strengths) = cardinality(videos)
        and cardinality(worths) = cardinality(videos)
    )
);
alter table private.watch_windows enable row level security;
create index watch_windows_of_a_video on private.watch_windows using gin (videos)
-- A list of what waits to be sorted in would be read again for each video that is ranked.
with (fastupdate = off);
comment on table private.watch_windows is
'What each person watched last, and until when that is known: all that neighbours are ranked from.';
comment on column private.watch_windows.videos is 'The newest videos that the person watched, each once, newest first.';
comment on column private.watch_windows.strengths is 'What each counts: 1 when it was liked, less when it was begun.';
comment on column private.watch_windows.worths is
'The same, worth twice as much each half-life later that it was watched.';
comment on column private.watch_windows.learned_to is 'Interactions stored until then are in it.';

create table private.video_audiences (
    video_no integer primary key,
    people integer not null,
    likes integer not null,
    news double precision not null,
    changes integer not null,
    ranked_at timestamptz not null default '-infinity'
)
with (fillfactor = 70);
alter table private.video_audiences enable row level security;
comment on table private.video_audiences is 'How many people watched a video: sums without anybody''s id.';
comment on column private.video_audiences.people is 'People who did not skip it.';
comment on column private.video_audiences.likes is 'Those who liked it.';
comment on column private.video_audiences.news is
'People, each worth twice as much each half-life later: what is watched now counts more.';
comment on column private.video_audiences.changes is 'Windows with it that have changed since it was ranked.';
comment on column private.video_audiences.ranked_at is 'When its neighbours were ranked.';

create table private.video_neighbours (
    video_no integer primary key,
    neighbour_nos integer[] not null,
    weights double precision[] not null,
    constraint neighbours_have_weights check (cardinality(weights) = cardinality(neighbour_nos))
);
alter table private.video_neighbours enable row level security;
comment on table private.video_neighbours is
'The at most 100 videos that those who watched a video watch now, as parallel arrays, the best first.';
comment on column private.video_neighbours.weights is
'Only to be compared with other weights, of any video: they have no unit and grow with the years.';

create table private.global_tastes (
    is_the_one boolean primary key default true,
    category_shares jsonb not null default '{}',
    hour_counts double precision[] not null default array_fill(0::double precision, array[24]),
    learned_at timestamptz not null default '-infinity',
    constraint there_is_one_row check (is_the_one),
    constraint there_are_24_hours check (cardinality(hour_counts) = 24)
);
alter table private.global_tastes enable row level security;
comment on table private.global_tastes is 'What everybody likes together, one row: where each person starts from.';
comment on column private.global_tastes.category_shares is
'{"24": 0.31, ...}: smoothed shares of what is liked; they sum to 1.';
comment on column private.global_tastes.hour_counts is
'What is watched by the hour in Korea, the first from midnight; newer counts more.';
insert into private.global_tastes (is_the_one) values (true);

create table private.user_tastes (
    user_id uuid primary key references public.users (id) on delete cascade,
    category_lift jsonb not null,
    hours real[] not null,
    events integer not null,
    vector_version text,
    learned_to timestamptz not null,
    learned_at timestamptz not null default now(),
    constraint there_are_24_hours check (cardinality(hours) = 24),
    constraint category_lift_is_an_object check (jsonb_typeof(category_lift) = 'object')
);
alter table private.user_tastes enable row level security;
comment on table private.user_tastes is 'What was learned of each person; goes with the person.';
comment on column private.user_tastes.category_lift is
'{"24": 0.8, ...}: logarithm of the person''s share of a category over everybody''s; 0 is usual, what is absent is 0.';
comment on column private.user_tastes.hours is
'Share of each hour in Korea, the first from midnight: the person''s drawn to everybody''s; sum 1.';
comment on column private.user_tastes.events is 'Videos that it rests on: watched, not skipped.';
comment on column private.user_tastes.vector_version is
'Which video vectors the person''s preference_vector is a mean of.';
comment on column private.user_tastes.learned_to is 'Interactions stored until then were there.';

create function private.is_liked(
    interaction_type text,
    watch_percentage double precision,
    watched_to_end boolean
)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        interaction_type in ('like', 'save', 'share')
        or (interaction_type = 'view' and (watched_to_end or watch_percentage >= 0.5))
$$;
comment on function private.is_liked(text, double precision, boolean) is
'Whether what a person did says that the video was liked: a like, save or share, or at least half of it watched.';

create function private.worth_at(
    at timestamptz,
    landmark timestamptz,
    half_life interval
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        2 ^ greatest(
            least(
                extract(epoch from at - landmark)::double precision / extract(epoch from half_life)::double precision, 480
            ),
            -480
        )
$$;
comment on function private.worth_at(timestamptz, timestamptz, interval) is
'What something of then counts: 1 at the landmark, twice as much each half-life later. So sums never have to be '
'decayed: old ones lose against new ones by themselves. Ends at 480 half-lives: a ratio of two must be a number too.';

create function private.people_to_learn_from(
    job text,
    batch_size integer,
    up_to timestamptz
)
returns setof uuid
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    walk private.learning_walks;
    looked uuid[];
    due uuid[];
    ends boolean;
begin
    -- The row is the lock: one run of a job at a time, and one that is killed leaves it as it was.
    select stored.*
    into walk
    from private.learning_walks as stored
    where stored.job = people_to_learn_from.job
    for update;
    looked := array(
        select person.id
        from public.users as person
        where person.id > coalesce(walk.walked_to, '00000000-0000-0000-0000-000000000000')
        order by person.id
        limit 20 * people_to_learn_from.batch_size
    );
    due := array(
        select person.id
        from public.users as person
        inner join auth.users as account on person.id = account.id
        left join private.watch_windows as pairs on person.id = pairs.user_id
        left join private.user_tastes as taste on person.id = taste.user_id
        where
            person.id = any(looked)
            -- Accounts that cost nothing to make teach nobody but themselves.
            and (people_to_learn_from.job = 'tastes' or not account.is_anonymous)
            and exists (
                select
                from public.video_interactions as interaction
                where
                    interaction.user_id = person.id
                    and interaction.created_at > coalesce(
                        case people_to_learn_from.job when 'tastes' then taste.learned_to else pairs.learned_to end,
                        '-infinity'
                    )
                    and interaction.created_at <= people_to_learn_from.up_to
            )
        order by person.id
        limit people_to_learn_from.batch_size
        -- Who is being erased just now is nobody to learn from.
        for key share of person skip locked
    );
    ends := cardinality(due) < people_to_learn_from.batch_size
        and cardinality(looked) < 20 * people_to_learn_from.batch_size;
    update private.learning_walks as stored
    set
        walked_to = case
            when ends then null
            when cardinality(due) = people_to_learn_from.batch_size then due[cardinality(due)]
            else looked[cardinality(looked)]
        end,
        rounds = stored.rounds + ends::integer
    where stored.job = people_to_learn_from.job;
    return query
    select one.id
    from unnest(due) as one (id);
end
$$;
comment on function private.people_to_learn_from(text, integer, timestamptz) is
'The next people of a job''s round who did something since it was learned from last; moves the round on. The round '
'begins again after the last person.';

create function private.note_watched(
    batch_size integer,
    up_to timestamptz
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
-- What the steps before leave is unknown to the planner, and never few.
set enable_nestloop = off
language plpgsql
as $$
declare
    set_to private.learning_settings;
    counts jsonb;
begin
    -- Before anything is read: who waited here must see what the run before has noted.
    perform
    from private.learning_walks as walk
    where walk.job = 'neighbours'
    for update;
    select stored.*
    into set_to
    from private.learning_settings as stored;

    with due as materialized (
        select
            chosen.user_id,
            known.videos,
            known.strengths,
            known.worths,
            coalesce(known.learned_to, '-infinity') as learned_to
        from private.people_to_learn_from('neighbours', note_watched.batch_size, note_watched.up_to) as chosen (user_id)
        left join private.watch_windows as known on chosen.user_id = known.user_id
    ),

    done as materialized (
        select
            due.user_id,
            recent.created_at,
            recent.watched_at,
            recent.strength,
            (
                select card.video_no
                from private.video_cards as card
                where card.video_id = recent.video_id
            ) as video_no
        from due
        cross join lateral (
            select
                interaction.created_at,
                interaction.interaction_timestamp as watched_at,
                interaction.video_id,
                case
                    when
                        private.is_liked(
                            interaction.interaction_type, interaction.watch_percentage, interaction.watched_to_end
                        )
                        then 1
                    when interaction.interaction_type = 'view' then set_to.begun_in_pairs
                end as strength
            from public.video_interactions as interaction
            where
                interaction.user_id = due.user_id
                and interaction.created_at <= note_watched.up_to
            order by interaction.created_at desc
            -- Enough for a window of somebody who skips, or comes back to the same.
            limit 10 * set_to.window_size
        ) as recent
    ),

    moments as materialized (
        select
            done.user_id,
            -- A video that has no number yet is waited for, for an hour.
            least(
                max(done.created_at),
                min(done.created_at) filter (
                    where done.video_no is null and done.created_at > note_watched.up_to - interval '1 hour'
                ) - interval '1 microsecond'
            ) as learned_to
        from done
        group by done.user_id
    ),

    entries as materialized (
        select
            newest.user_id,
            newest.video_no,
            newest.strength,
            newest.watched_at,
            newest.place,
            newest.strength * private.worth_at(newest.watched_at, set_to.landmark, set_to.half_life) as worth
        from (
            select
                done.user_id,
                done.video_no,
                max(done.strength) as strength,
                max(done.watched_at) as watched_at,
                row_number() over (
                    partition by done.user_id
                    order by max(done.created_at) desc, max(done.watched_at) desc, done.video_no desc
                ) as place
            from done
            where
                done.strength is not null
                and done.video_no is not null
            group by
                done.user_id,
                done.video_no
        ) as newest
        where newest.place <= set_to.window_size
    ),

    gains as materialized (
        select
            entries.user_id,
            entries.video_no,
            entries.watched_at,
            old.video_no is null as is_new,
            entries.strength = 1 and coalesce(old.strength, 0) < 1 as is_newly_liked,
            greatest(entries.worth - coalesce(old.worth, 0), 0) as worth
        from entries
        left join (
            select
                due.user_id,
                was.video_no,
                was.strength,
                was.worth
            from due
            cross join lateral unnest(due.videos, due.strengths, due.worths) as was (video_no, strength, worth)
        ) as old
            on
                entries.user_id = old.user_id
                and entries.video_no = old.video_no
    ),

    moved as materialized (
        select gains.user_id
        from gains
        where gains.worth > 0
        group by gains.user_id
    ),

    audiences as (
        insert into private.video_audiences as audience (video_no, people, likes, news, changes)
        select
            gains.video_no,
            count(*) filter (where gains.is_new),
            count(*) filter (where gains.is_newly_liked),
            sum(gains.worth),
            count(*)
        from gains
        inner join moved on gains.user_id = moved.user_id
        group by gains.video_no
        order by gains.video_no
        on conflict (video_no) do update
            set
                people = audience.people + excluded.people,
                likes = audience.likes + excluded.likes,
                news = audience.news + excluded.news,
                changes = audience.changes + excluded.changes
    ),

    by_hour as (
        select array_agg(coalesce(hour_of.weight, 0) order by clock.hour) as hours
        from generate_series(0, 23) as clock (hour)
        left join (
            select
                extract(hour from gains.watched_at at time zone 'Asia/Seoul') as hour,
                sum(gains.worth) as weight
            from gains
            group by extract(hour from gains.watched_at at time zone 'Asia/Seoul')
        ) as hour_of on clock.hour = hour_of.hour
    ),

    hours as (
        update private.global_tastes as everybody
        set
            hour_counts = array(
                select both_of.old + both_of.fresh
                from unnest(everybody.hour_counts, by_hour.hours) with ordinality as both_of (old, fresh, place)
                order by both_of.place
            )
        from by_hour
        where exists (select from moved)
    ),

    remembered as (
        insert into private.watch_windows as known (user_id, videos, strengths, worths, learned_to)
        select
            moments.user_id,
            coalesce(array_agg(entries.video_no order by entries.place) filter (where entries.place > 0), '{}'),
            coalesce(array_agg(entries.strength::real order by entries.place) filter (where entries.place > 0), '{}'),
            coalesce(array_agg(entries.worth order by entries.place) filter (where entries.place > 0), '{}'),
            moments.learned_to
        from moments
        left join entries on moments.user_id = entries.user_id
        group by
            moments.user_id,
            moments.learned_to
        order by moments.user_id
        on conflict (user_id) do update
            set
                videos = excluded.videos,
                strengths = excluded.strengths,
                worths = excluded.worths,
                learned_to = greatest(known.learned_to, excluded.learned_to)
    )

    select
        jsonb_build_object(
            -- Who waits for a card is looked at again and again, and must not keep the others waiting.
            'people', (
                select count(*)
                from due
                inner join moments on due.user_id = moments.user_id
                where moments.learned_to > due.learned_to
            ),
            'watched', (select count(*) from gains where gains.worth > 0)
        )
    into counts;
    return counts;
end
$$;
comment on function private.note_watched(integer, timestamptz) is
'Brings the windows of the next people who did something up to date, and what is summed of them. Sums and positions '
'move together: what is killed has noted nothing, what is repeated notes nothing more.';

create function private.rank_neighbours(
    batch_size integer,
    at timestamptz
)
returns integer
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set work_mem = '128MB'
-- What the steps before leave is unknown to the planner, and never few.
set enable_nestloop = off
language plpgsql
as $$
declare
    set_to private.learning_settings;
    walk private.learning_walks;
    worth double precision;
    due integer[];
    is_last boolean;
begin
    select stored.*
    into walk
    from private.learning_walks as stored
    where stored.job = 'ranks'
    for update;
    select stored.*
    into set_to
    from private.learning_settings as stored;
    worth := private.worth_at(at, set_to.landmark, set_to.half_life);
    select
        coalesce(array_agg(next.video_no order by next.video_no) filter (where coalesce(next.people_before, 0) < 10 * batch_size), '{}'),
        count(*) < batch_size and coalesce(bool_and(coalesce(next.people_before, 0) < 10 * batch_size), true)
    into
        due,
        is_last
    from (
        select
            audience.video_no,
            -- What a video takes is by its people; so many fit into memory.
            sum(least(audience.people, set_to.audience_size)) over (
                order by audience.video_no rows between unbounded preceding and 1 preceding
            ) as people_before
        from private.video_audiences as audience
        where
            audience.video_no > walk.walked_to_no
            -- What is known of many changes little by few.
            and (
                audience.changes >= least(greatest(audience.people / 5, 1), 50)
                or audience.ranked_at <= rank_neighbours.at - interval '7 days'
            )
        order by audience.video_no
        limit batch_size
    ) as next;

    with pairs as materialized (
        select
            one.video_no,
            other.video_no as other_no,
            sum(met.share * other.worth) as pull,
            sum(met.share) as shares,
            count(*) as people
        from unnest(due) as one (video_no)
        cross join lateral (
            -- Who watches everything says little about any two videos.
            select
                recent.strengths[array_position(recent.videos, one.video_no)] / cardinality(recent.videos) as share,
                recent.videos,
                recent.worths
            from private.watch_windows as recent
            where recent.videos @> array[one.video_no]
            order by recent.learned_to desc
            limit set_to.audience_size
        ) as met
        cross join lateral unnest(met.videos, met.worths) as other (video_no, worth)
        group by
            one.video_no,
            other.video_no
    ),

    best as materialized (
        select
            placed.video_no,
            array_agg(placed.other_no order by placed.place) as neighbour_nos,
            array_agg(placed.weight order by placed.place) as weights
        from (
            select
                pairs.video_no,
                pairs.other_no,
                weighed.weight,
                row_number() over (
                    partition by pairs.video_no
                    order by weighed.weight desc, pairs.other_no asc
                ) as place
            from pairs
            -- A video beside itself is the sum of who watched it.
            inner join pairs as own
                on
                    pairs.video_no = own.video_no
                    and own.other_no = pairs.video_no
            inner join private.video_audiences as other on pairs.other_no = other.video_no
            cross join lateral (
                select
                    -- The last factor is common to all: with it a weight stays as it is while nothing new happens.
                    pairs.pull / worth / sqrt((own.shares + 0.5) * (other.news / worth + 0.25)) * sqrt(worth) as weight
            ) as weighed
            where
                pairs.other_no <> pairs.video_no
                and pairs.people >= set_to.least_people
                and weighed.weight > 0
        ) as placed
        where placed.place <= set_to.neighbours_kept
        group by placed.video_no
    ),

    -- Of what is gone, and of what nobody's window has any more, nothing is kept.
    dropped as (
        delete from private.video_neighbours as neighbour
        where
            neighbour.video_no = any(due)
            and not exists (
                select
                from best
                where best.video_no = neighbour.video_no
            )
    ),

    forgotten as (
        delete from private.video_audiences as audience
        where
            audience.video_no = any(due)
            and not exists (
                select
                from private.video_cards as card
                where card.video_no = audience.video_no
            )
    ),

    written as (
        insert into private.video_neighbours as neighbour (video_no, neighbour_nos, weights)
        select
            best.video_no,
            best.neighbour_nos,
            best.weights
        from best
        inner join private.video_cards as card on best.video_no = card.video_no
        order by best.video_no
        on conflict (video_no) do update
            set
                neighbour_nos = excluded.neighbour_nos,
                weights = excluded.weights
    )

    update private.video_audiences as audience
    set
        changes = 0,
        ranked_at = rank_neighbours.at
    from private.video_cards as card
    where
        audience.video_no = any(due)
        and audience.video_no = card.video_no;
    update private.learning_walks as stored
    set
        walked_to_no = case when is_last then 0 else due[cardinality(due)] end,
        rounds = stored.rounds + is_last::integer
    where stored.job = 'ranks';
    return cardinality(due);
end
$$;
comment on function private.rank_neighbours(integer, timestamptz) is
'Ranks the neighbours of the next videos of which enough windows changed or a week has passed; returns of how many: '
'at most so many, and of ten times as many people. Forgets what is left of videos that are gone.';

create function private.learn_neighbours(
    batch_size integer default 5000,
    up_to timestamptz default now() - interval '5 minutes'
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    counts jsonb;
    is_left boolean;
    ranked integer := 0;
begin
    counts := private.note_watched(batch_size, up_to);
    is_left := counts -> 'people' <> '0'
        or exists (
            select
            from private.learning_walks as walk
            where
                walk.job = 'neighbours'
                and walk.walked_to is not null
        );
    -- Ranked when nobody is left to note: a video in many windows that change is ranked once.
    if not is_left then
        ranked := private.rank_neighbours(2 * batch_size, up_to);
    end if;
    return counts || jsonb_build_object('ranked', ranked, 'left', is_left or ranked > 0);
end
$$;
comment on function private.learn_neighbours(integer, timestamptz) is
'Learns which videos go together from what people did since last time: a batch of people, or, when there is nobody '
'left, of videos to rank. Says whether anything may be left.';

create function private.measure_everybody()
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    update private.global_tastes as everybody
    set
        category_shares = coalesce(
            (
                select jsonb_object_agg(shares.category_id, round(shares.share::numeric, 6))
                from (
                    select
                        card.category_id,
                        (sum(audience.likes) + 1) / (sum(sum(audience.likes)) over () + count(*) over ()) as share
                    from private.video_audiences as audience
                    inner join private.video_cards as card on audience.video_no = card.video_no
                    where card.category_id > 0
                    group by card.category_id
                ) as shares
            ),
            '{}'
        ),
        learned_at = now()
$$;
comment on function private.measure_everybody() is 'Sums up how much everybody likes each category.';

create function private.learn_tastes(
    batch_size integer default 1000,
    up_to timestamptz default now() - interval '5 minutes'
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    set_to private.learning_settings;
    everybody private.global_tastes;
    usual double precision[];
    people integer;
    profiles integer;
begin
    -- Before anything is read: who waited here must see what the run before has counted.
    perform
    from private.learning_walks as walk
    where walk.job = 'tastes'
    for update;
    select stored.*
    into set_to
    from private.learning_settings as stored;
    if
        exists (
            select
            from private.learning_walks as walk
            where
                walk.job = 'tastes'
                and walk.walked_to is null
        )
    then
        perform private.measure_everybody();
    end if;
    select stored.*
    into everybody
    from private.global_tastes as stored;
    usual := array(
        -- No hour is impossible.
        select (smoothed.share + 0.001) / sum(smoothed.share + 0.001) over ()
        from (
            select
                hour_of.place,
                coalesce(hour_of.counted / nullif(sum(hour_of.counted) over (), 0), 0) as share
            from unnest(everybody.hour_counts) with ordinality as hour_of (counted, place)
        ) as smoothed
        order by smoothed.place
    );

    with due as materialized (
        select chosen.user_id
        from private.people_to_learn_from('tastes', learn_tastes.batch_size, learn_tastes.up_to) as chosen (user_id)
    ),

    done as materialized (
        select
            due.user_id,
            recent.created_at,
            recent.interaction_timestamp,
            recent.id,
            recent.video_id,
            recent.strength
        from due
        cross join lateral (
            select
                interaction.id,
                interaction.created_at,
                interaction.interaction_timestamp,
                interaction.video_id,
                case
                    when
                        private.is_liked(
                            interaction.interaction_type, interaction.watch_percentage, interaction.watched_to_end
                        )
                        then 1
                    when interaction.interaction_type = 'view' then set_to.begun_in_history
                end as strength
            from public.video_interactions as interaction
            where
                interaction.user_id = due.user_id
                and interaction.created_at <= learn_tastes.up_to
            order by interaction.created_at desc
            fetch first 300 rows with ties
        ) as recent
    ),

    watched as materialized (
        select
            latest.user_id,
            latest.watched_at,
            latest.strength,
            card.video_no,
            card.category_id,
            row_number() over (
                partition by latest.user_id
                order by latest.created_at desc, latest.watched_at desc, card.video_no desc
            ) - 1 as age
        from (
            select
                done.user_id,
                done.video_id,
                max(done.created_at) as created_at,
                max(done.interaction_timestamp) as watched_at,
                max(done.strength) as strength
            from done
            where done.strength is not null
            group by
                done.user_id,
                done.video_id
        ) as latest
        inner join private.video_cards as card on latest.video_id = card.video_id
    ),

    totals as materialized (
        select
            due.user_id,
            count(watched.video_no)::integer as events,
            count(watched.video_no) filter (where watched.strength = 1) as likes
        from due
        left join watched on due.user_id = watched.user_id
        group by due.user_id
    ),

    lifts as (
        select
            totals.user_id,
            jsonb_object_agg(
                share.key,
                round(
                    ln(
                        (coalesce(own.liked, 0) + set_to.category_prior * share.share)
                        / (totals.likes + set_to.category_prior)
                        / share.share
                    )::numeric,
                    4
                )
            ) as category_lift
        from totals
        cross join (
            select
                usual_of.key,
                usual_of.value::double precision as share
            from jsonb_each_text(everybody.category_shares) as usual_of
        ) as share
        left join (
            select
                watched.user_id,
                watched.category_id,
                count(*) as liked
            from watched
            where watched.strength = 1
            group by
                watched.user_id,
                watched.category_id
        ) as own
            on
                totals.user_id = own.user_id
                and share.key = own.category_id::text
        group by totals.user_id
    ),

    clocks as (
        select
            totals.user_id,
            array_agg(
                ((coalesce(own.watched, 0) + set_to.hour_prior * usual[clock.hour + 1])
                / (totals.events + set_to.hour_prior))::real
                order by clock.hour
            ) as hours
        from totals
        cross join generate_series(0, 23) as clock (hour)
        left join (
            select
                watched.user_id,
                extract(hour from watched.watched_at at time zone 'Asia/Seoul') as hour,
                count(*) as watched
            from watched
            group by
                watched.user_id,
                extract(hour from watched.watched_at at time zone 'Asia/Seoul')
        ) as own
            on
                totals.user_id = own.user_id
                and clock.hour = own.hour
        group by totals.user_id
    ),

    -- Vectors of one kind: of that which the video watched last has.
    kinds as (
        select distinct on (watched.user_id)
            watched.user_id,
            vector.version
        from watched
        inner join private.video_vectors as vector on watched.video_no = vector.video_no
        order by
            watched.user_id asc,
            watched.age asc
    ),

    directions as materialized (
        select
            watched.user_id,
            kinds.version,
            extensions.l2_normalize(
                extensions.sum(
                    vector.embedding operator(extensions.*)
                    array_fill(watched.strength * set_to.recency ^ watched.age, array[100])::extensions.vector
                )
            ) as direction
        from watched
        inner join kinds on watched.user_id = kinds.user_id
        inner join private.video_vectors as vector
            on
                watched.video_no = vector.video_no
                and kinds.version = vector.version
        where watched.age < 100
        group by
            watched.user_id,
            kinds.version
    ),

    learned as (
        insert into private.user_tastes as taste (
            user_id, category_lift, hours, events, vector_version, learned_to
        )
        select
            totals.user_id,
            coalesce(lifts.category_lift, '{}'),
            clocks.hours,
            totals.events,
            directions.version,
            moment.learned_to
        from totals
        inner join (
            select
                done.user_id,
                max(done.created_at) as learned_to
            from done
            group by done.user_id
        ) as moment on totals.user_id = moment.user_id
        inner join clocks on totals.user_id = clocks.user_id
        left join lifts on totals.user_id = lifts.user_id
        left join directions on totals.user_id = directions.user_id
        order by totals.user_id
        on conflict (user_id) do update
            set
                category_lift = excluded.category_lift,
                hours = excluded.hours,
                events = excluded.events,
                vector_version = excluded.vector_version,
                learned_to = excluded.learned_to,
                learned_at = excluded.learned_at
        returning taste.user_id
    ),

    held as materialized (
        select
            profile.user_id,
            totals.events,
            directions.direction::real[]::double precision[] as direction
        from public.user_profiles as profile
        inner join totals on profile.user_id = totals.user_id
        left join directions
            on
                totals.user_id = directions.user_id
                and extensions.vector_norm(directions.direction) > 0
        order by profile.user_id
        for no key update of profile
    ),

    shown as (
        update public.user_profiles as profile
        set
            preference_vector = coalesce(held.direction, profile.preference_vector),
            profile_confidence = round(held.events / (held.events + 10.0), 2)
        from held
        where
            profile.user_id = held.user_id
            and (profile.preference_vector, profile.profile_confidence)
            is distinct from (
                coalesce(held.direction, profile.preference_vector), round(held.events / (held.events + 10.0), 2)
            )
        returning profile.user_id
    )

    select
        (select count(*) from learned),
        (select count(*) from shown)
    into people, profiles;
    return jsonb_build_object(
        'people', people,
        'profiles', profiles,
        'left', people > 0
        or exists (
            select
            from private.learning_walks as walk
            where
                walk.job = 'tastes'
                and walk.walked_to is not null
        )
    );
end
$$;
comment on function private.learn_tastes(integer, timestamptz) is
'Learns what people like from their last 300 interactions: a batch of those who did something since last time. '
'Says whether anybody may be left.';

create function private.relearn(landmark timestamptz default date_trunc('day', now()))
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    delete from private.video_neighbours;
    delete from private.video_audiences;
    delete from private.watch_windows;
    delete from private.user_tastes;
    update private.global_tastes
    set
        category_shares = '{}',
        hour_counts = array_fill(0::double precision, array[24]),
        learned_at = '-infinity';
    update private.learning_settings
    set landmark = relearn.landmark;
    update private.learning_walks as walk
    set
        walked_to = null,
        walked_to_no = 0
    where walk.job in ('neighbours', 'tastes', 'ranks')
$$;
comment on function private.relearn(timestamptz) is
'Forgets all that was learned, so that the next runs learn it again from the interactions that are kept: after old '
'ones were imported, or settings changed.';

-- supabase/schemas/shorts/55_feed.sql

-- Promises that a person's feed is the exact best of all that plays, by six weights, in milliseconds however much is
-- known: sorted lists are read only as deep as it takes to prove that nothing unread would be among the best.

create table private.feed_weights (
    version text primary key,
    weights jsonb not null,
    is_default boolean not null default false,
    created_at timestamptz not null default now(),
    constraint feed_weights_sum_to_one check (
        private.is_distribution(
            weights,
            array[
                'category_match',
                'keyword_relevance',
                'temporal_context',
                'popularity_score',
                'freshness_factor',
                'diversity_bonus'
            ]
        )
    )
);
alter table private.feed_weights enable row level security;
create unique index one_version_of_the_feed_is_default on private.feed_weights (is_default)
where is_default;
comment on table private.feed_weights is
'The tuned weights of the feed by version. Exactly one is the default; an operator changes it without a deployment, '
'and each impression tells by which version it was ranked.';
comment on column private.feed_weights.weights is 'The six weights of user_profiles.personalization_weights; sum 1.';
comment on column private.feed_weights.is_default is 'Whether it ranks the feeds of now.';
insert into private.feed_weights (version, weights, is_default)
values
(
    'seed',
    '{
        "category_match": 0.30,
        "keyword_relevance": 0.25,
        "temporal_context": 0.15,
        "popularity_score": 0.15,
        "freshness_factor": 0.10,
        "diversity_bonus": 0.05
    }',
    false
),
(
    'v1',
    '{
        "category_match": 0.10,
        "keyword_relevance": 0.68,
        "temporal_context": 0.02,
        "popularity_score": 0.12,
        "freshness_factor": 0.02,
        "diversity_bonus": 0.06
    }',
    true
);

create table private.mood_topics (
    mood text primary key,
    category_ids integer[] not null default '{}',
    keywords text[] not null default '{}',
    constraint mood_topics_are_short check (
        length(mood) between 1 and 255 and cardinality(category_ids) <= 20 and private.are_short_texts(keywords, 20)
    )
);
alter table private.mood_topics enable row level security;
comment on table private.mood_topics is
'What a mood of user_profiles.mood_patterns is about. A mood without a row stands for the keyword of its name.';
comment on column private.mood_topics.category_ids is 'YouTube''s numbers of the categories that suit it.';
comment on column private.mood_topics.keywords is 'Keywords that suit it, normalised.';
insert into private.mood_topics (mood, category_ids, keywords)
values
('energetic', '{10,17}', '{신나는,댄스,챌린지}'),
('news', '{25}', '{뉴스,속보}'),
('workout', '{17}', '{운동,홈트,스트레칭}'),
('focus', '{27,28}', '{집중,공부}'),
('educational', '{27,28}', '{교육,강의,영어}'),
('productivity', '{26,27}', '{생산성,꿀팁,자기계발}'),
('relaxing', '{10,15,19}', '{힐링,여행,자연}'),
('entertainment', '{23,24}', '{예능,웃긴영상}'),
('healing', '{15,22}', '{힐링,강아지,고양이}'),
('calm', '{10}', '{잔잔한,피아노}'),
('asmr', '{}', '{asmr,먹방}'),
('sleep', '{}', '{수면,빗소리,asmr}');

create function private.heat_time(at timestamptz)
returns double precision
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select (extract(epoch from heat_time.at) - 1767225600)::double precision / (0.7 * 86400)
$$;
comment on function private.heat_time(timestamptz) is
'Half-lives of heat since 2026: what was liked 0.7 days ago counts half. The one place that says so.';

create table private.video_heats (
    video_no integer primary key references private.video_cards (video_no) on delete cascade,
    heat double precision not null
);
alter table private.video_heats enable row level security;
create index video_heats_in_order on private.video_heats (heat desc, video_no);
comment on table private.video_heats is
'How much a video is liked lately, each like worth half after 0.7 days. Sums without anybody''s id.';
comment on column private.video_heats.heat is
'log2 of the sum of 2 ^ private.heat_time(each like). Counted forward, so that their order never changes with time.';

create table private.heat_position (
    is_the_one boolean primary key default true,
    counted_to timestamptz not null default '-infinity',
    constraint there_is_one_row check (is_the_one)
);
alter table private.heat_position enable row level security;
comment on table private.heat_position is 'Until when likes are in private.video_heats; moves in their transaction.';
insert into private.heat_position (is_the_one) values (true);

create function private.fold_video_heats(
    at timestamptz default now(),
    batch_size integer default 50000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with place as materialized (
        select stored.counted_to
        from private.heat_position as stored
        for update
    ),

    -- Whole moments only, so that the position never parts those of one; who is still writing has a minute.
    bound as materialized (
        select max(batch.created_at) as counted_to
        from (
            select done.created_at
            from public.video_interactions as done
            where
                done.created_at > (select place.counted_to from place)
                and done.created_at <= fold_video_heats.at - interval '1 minute'
            order by done.created_at
            limit fold_video_heats.batch_size
        ) as batch
    ),

    liked as materialized (
        select
            done.video_id,
            done.user_id,
            max(done.created_at) as liked_at
        from public.video_interactions as done
        where
            done.created_at > (select place.counted_to from place)
            and done.created_at <= (select bound.counted_to from bound)
            and (
                done.interaction_type in ('like', 'save', 'share')
                or (done.interaction_type = 'view' and (done.watch_percentage >= 0.5 or done.watched_to_end))
            )
        group by
            done.video_id,
            done.user_id
    ),

    summed as materialized (
        select
            card.video_no,
            newest.heat
            + ln(sum(2 ^ greatest(private.heat_time(liked.liked_at) - newest.heat, -1000))) / ln(2::float8) as heat
        from liked
        inner join private.video_cards as card on liked.video_id = card.video_id
        cross join lateral (select private.heat_time(fold_video_heats.at) as heat) as newest
        group by
            card.video_no,
            newest.heat
    ),

    kept as (
        insert into private.video_heats as stored (video_no, heat)
        select
            summed.video_no,
            summed.heat
        from summed
        order by summed.video_no
        on conflict (video_no) do update
            set
                heat = greatest(stored.heat, excluded.heat)
                + ln(1 + exp(-least(abs(stored.heat - excluded.heat), 60) * ln(2::float8))) / ln(2::float8)
    ),

    moved as (
        update private.heat_position as stored
        set counted_to = bound.counted_to
        from bound
        where bound.counted_to is not null
    )

    select
        jsonb_build_object(
            'likes', (select count(*) from liked),
            'videos', (select count(*) from summed),
            'counted_to', (select bound.counted_to from bound)
        )
$$;
comment on function private.fold_video_heats(timestamptz, integer) is
'Adds the likes since the last time to private.video_heats: every minute, one batch, each like once.';

-- The lists that the feed reads, each in the order of one part of its score, with all that a score takes beside it.
create index video_cards_popular_in_category
on private.video_cards (category_id, popularity desc, video_no)
include (published_at)
where is_servable;
create index video_cards_new_in_category
on private.video_cards (category_id, published_at desc nulls last, video_no)
include (popularity)
where is_servable;

create type private.feed_context as (
    at timestamptz,
    region text,
    weights double precision [],
    weights_version text,
    history_nos integer [],
    history_ids text [],
    history_weights double precision [],
    behaviour_share double precision,
    seen_nos integer [],
    keyword_nos integer [],
    keywords text [],
    keyword_reasons text [],
    keyword_weights double precision [],
    mood_weights double precision [],
    category_ids integer [],
    category_matches double precision [],
    category_moods double precision [],
    category_reasons text []
);
comment on type private.feed_context is
'All that a feed knows of a person at a moment, as parallel arrays: nothing after this reads what is personal.';

create function private.feed_categories_named(names text[])
returns integer[]
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select coalesce(array_agg(distinct category.category_id), '{}')
    from private.video_category_names() as category
    inner join unnest(feed_categories_named.names) as given (name)
        on
            lower(given.name) in (category.category_id::text, lower(category.english), category.korean)
            or lower(given.name) = any(regexp_split_to_array(lower(category.english), '[ &/]+'))
            or lower(given.name) = any(regexp_split_to_array(category.korean, '[ /]+'))
$$;
comment on function private.feed_categories_named(text[]) is
'Numbers of the categories that people mean: by number, by name in English or Korean, or by a word of it.';

create function private.effective_weights(
    base jsonb,
    own jsonb
)
returns double precision[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select array_agg(coalesce(shared.weight / nullif(shared.total, 0), 0) order by shared.place)
    from (
        select
            raised.place,
            raised.weight,
            sum(raised.weight) over () as total
        from (
            select
                factor.place,
                coalesce((effective_weights.base ->> factor.name)::double precision, 0)
                * coalesce((effective_weights.own ->> factor.name)::double precision / factor.seed, 1) as weight
            from (
                values
                (1, 'category_match', 0.30),
                (2, 'keyword_relevance', 0.25),
                (3, 'temporal_context', 0.15),
                (4, 'popularity_score', 0.15),
                (5, 'freshness_factor', 0.10),
                (6, 'diversity_bonus', 0.05)
            ) as factor (place, name, seed)
        ) as raised
    ) as shared
$$;
comment on function private.effective_weights(jsonb, jsonb) is
'The tuned weights, each times how far the person moved it from the seed''s, scaled to sum to 1: who changed nothing '
'gets the tuned ones, and who gave a factor 0 gets none of it. In the order of the profile''s default.';

create function private.feed_context_of(
    person uuid,
    at timestamptz,
    options jsonb
)
returns private.feed_context
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
language plpgsql
as $$
declare
    context private.feed_context;
    profile record;
    local_hour integer := extract(hour from feed_context_of.at at time zone 'Asia/Seoul');
    part_of_day text := case
        when local_hour < 6 then 'night'
        when local_hour < 12 then 'morning'
        when local_hour < 18 then 'afternoon'
        else 'evening'
    end;
    moods text[];
    history_categories integer[];
    history_near double precision[];
    mood_categories integer[];
    mood_keywords text[];
    preferred integer[];
    disliked integer[];
    events_near double precision;
    own_count double precision;
begin
    select
        stored.preferred_categories,
        stored.preferred_keywords,
        stored.disliked_categories,
        stored.mood_patterns,
        stored.personalization_weights,
        account.settings ->> 'region' as region,
        weights.version,
        weights.weights,
        taste.category_lift,
        taste.hours,
        taste.events,
        everybody.category_shares
    into profile
    from private.feed_weights as weights
    left join public.users as account on account.id = feed_context_of.person
    left join public.user_profiles as stored on stored.user_id = feed_context_of.person
    left join private.user_tastes as taste on taste.user_id = feed_context_of.person
    left join private.global_tastes as everybody on everybody.is_the_one
    where
        case
            when feed_context_of.options ? 'weights_version'
                then weights.version = feed_context_of.options ->> 'weights_version'
            else weights.is_default
        end;
    context.at := feed_context_of.at;
    context.region := case when profile.region ~ '^[A-Z]{2}$' then profile.region else 'KR' end;
    context.weights_version := profile.version;
    context.weights := private.effective_weights(
        coalesce(feed_context_of.options -> 'weights', profile.weights), profile.personalization_weights
    );

    -- What the person did last, by the index of person and time; a video counts by the last that was done to it.
    with recent as materialized (
        select
            done.video_id,
            done.created_at,
            done.interaction_type = 'skip' as is_negative,
            case
                when
                    done.interaction_type in ('like', 'save', 'share')
                    or (done.interaction_type = 'view' and (done.watch_percentage >= 0.5 or done.watched_to_end))
                    then 1.0
                -- What merely began says which circle a person is in.
                when done.interaction_type = 'view' then 0.7
            end as strength
        from public.video_interactions as done
        where
            done.user_id = feed_context_of.person
            and done.created_at <= feed_context_of.at
        order by done.created_at desc
        limit 2000
    ),

    said as materialized (
        select
            feedback.video_id,
            feedback.created_at,
            feedback.feedback_type <> 'like' as is_negative
        from public.user_feedback as feedback
        where
            feedback.user_id = feed_context_of.person
            and feedback.created_at <= feed_context_of.at
    ),

    known as materialized (
        select
            mentioned.video_id,
            max(mentioned.created_at) filter (where mentioned.strength > 0) as liked_at,
            max(mentioned.strength) as strength,
            max(mentioned.created_at) as done_at,
            bool_or(mentioned.is_negative) as is_negative
        from (
            select
                recent.video_id,
                recent.created_at,
                recent.strength,
                recent.is_negative
            from recent
            union all
            select
                said.video_id,
                said.created_at,
                case when not said.is_negative then 1.0 end,
                said.is_negative
            from said
        ) as mentioned
        group by mentioned.video_id
    ),

    placed as materialized (
        select
            card.video_no,
            card.video_id,
            card.category_id,
            known.liked_at,
            known.strength,
            known.is_negative,
            known.done_at,
            case
                when known.liked_at is not null and not known.is_negative
                    then row_number() over (
                        partition by known.liked_at is not null and not known.is_negative
                        order by
                            known.liked_at desc,
                            card.video_no desc
                    )
            end as place
        from known
        inner join private.video_cards as card on known.video_id = card.video_id
    ),

    tired as (
        select shown.video_no
        from (
            select
                page.request_id,
                unnest(page.video_nos) as video_no
            from (
                select
                    impression.request_id,
                    impression.video_nos
                from private.feed_impressions as impression
                where
                    impression.user_id = feed_context_of.person
                    and impression.shown_at > feed_context_of.at - interval '14 days'
                    and impression.shown_at <= feed_context_of.at
                order by impression.shown_at desc
                limit 100
            ) as page
        ) as shown
        group by shown.video_no
        having count(distinct shown.request_id) >= 5
    )

    select
        array_agg(placed.video_no order by placed.place) filter (where placed.place <= 50),
        array_agg(placed.video_id order by placed.place) filter (where placed.place <= 50),
        array_agg(0.98 ^ (placed.place - 1) * placed.strength order by placed.place) filter (where placed.place <= 50),
        array_agg(
            case when placed.strength = 1 then placed.category_id end order by placed.place
        ) filter (where placed.place <= 50),
        -- Hours lie on a circle: 23 is near 1.
        array_agg(
            case
                when
                    abs(
                        mod(
                            extract(hour from placed.liked_at at time zone 'Asia/Seoul')::integer - local_hour + 36, 24
                        ) - 12
                    ) <= 2
                    then 1.0
                else 0.0
            end
            order by placed.place
        ) filter (where placed.place <= 50),
        case
            when coalesce((feed_context_of.options ->> 'exclude_seen')::boolean, true)
                then array_agg(placed.video_no) filter (
                    where placed.is_negative or placed.done_at > feed_context_of.at - interval '30 days'
                ) || array(select tired.video_no from tired)
        end
    into
        context.history_nos,
        context.history_ids,
        context.history_weights,
        history_categories,
        history_near,
        context.seen_nos
    from placed;
    context.seen_nos := coalesce(context.seen_nos, '{}');

    -- Moods: what suits this part of the day, as the person says or as the default does.
    moods := coalesce(
        array(
            select jsonb_array_elements_text(
                case
                    when jsonb_typeof(profile.mood_patterns -> part_of_day) = 'array'
                        then profile.mood_patterns -> part_of_day
                    else '[]'
                end
            )
            limit 10
        ),
        '{}'
    );
    select
        coalesce(array_agg(distinct about.category_id) filter (where about.category_id is not null), '{}'),
        coalesce(array_agg(distinct about.keyword) filter (where about.keyword is not null), '{}')
    into
        mood_categories,
        mood_keywords
    from unnest(moods) as mood (name)
    left join private.mood_topics as topic on lower(mood.name) = topic.mood
    cross join lateral (
        select
            suits.category_id,
            null::text as keyword
        from unnest(topic.category_ids) as suits (category_id)
        union all
        select
            null,
            word.keyword
        from unnest(coalesce(topic.keywords, array[left(lower(mood.name), 255)])) as word (keyword)
    ) as about;

    preferred := private.feed_categories_named(profile.preferred_categories);
    disliked := private.feed_categories_named(profile.disliked_categories);

    -- Keywords that lead anywhere: the person's own (a chosen category that YouTube has not is one), trends, moods.
    select
        array_agg(word.keyword_no order by word.keyword_no),
        array_agg(word.keyword order by word.keyword_no),
        array_agg(word.reason order by word.keyword_no),
        array_agg(word.weight order by word.keyword_no),
        array_agg(word.mood_weight order by word.keyword_no)
    into
        context.keyword_nos,
        context.keywords,
        context.keyword_reasons,
        context.keyword_weights,
        context.mood_weights
    from (
        select
            stored.keyword_no,
            stored.keyword,
            (array_agg(given.reason order by given.weight desc))[1] as reason,
            max(given.weight) as weight,
            max(given.mood_weight) as mood_weight
        from (
            select
                own.keyword,
                'keyword' as reason,
                1.0::double precision as weight,
                0.0::double precision as mood_weight
            from (
                select left(private.normalize_keyword(chosen.name), 255) as keyword
                from unnest(profile.preferred_keywords || profile.preferred_categories) as chosen (name)
                limit 40
            ) as own
            union all
            select
                trend.keyword,
                'trending',
                0.3 * trend.trend_score,
                0
            from (
                select
                    stored_trend.keyword,
                    stored_trend.trend_score
                from public.trending_keywords as stored_trend
                where
                    stored_trend.region_code = context.region
                    and stored_trend.closed_at is null
                    and stored_trend.expires_at > feed_context_of.at
                order by stored_trend.trend_score desc
                limit 10
            ) as trend
            union all
            select
                mood_word.keyword,
                'mood',
                0,
                0.5
            from unnest(mood_keywords) as mood_word (keyword)
        ) as given
        inner join private.keywords as stored on given.keyword = stored.keyword
        group by
            stored.keyword_no,
            stored.keyword
    ) as word;

    -- Categories: the person's share of each against everybody's, drawn to what was chosen as if by ten more videos.
    own_count := coalesce((select count(liked.category_id) from unnest(history_categories) as liked (category_id)), 0);
    context.behaviour_share := coalesce(cardinality(context.history_nos), 0)
    / (coalesce(cardinality(context.history_nos), 0) + 0.5);
    -- The hours that were learned say how much the person's own habits weigh at this one, against the moods.
    events_near := coalesce(
        (
            select profile.events * sum(profile.hours[mod(local_hour + distance + 24, 24) + 1])
            from generate_series(-2, 2) as distance
        ),
        (
            select sum(near_weight.near * near_weight.weight)
            from unnest(history_near, context.history_weights) as near_weight (near, weight)
        ),
        0
    );
    with recursive present as (
        (
            select card.category_id
            from private.video_cards as card
            where card.is_servable
            order by card.category_id
            limit 1
        )
        union all
        select following.category_id
        from present
        cross join lateral (
            select card.category_id
            from private.video_cards as card
            where
                card.is_servable
                and card.category_id > present.category_id
            order by card.category_id
            limit 1
        ) as following
    ),

    history as (
        select
            done.category_id,
            count(*)::double precision as weight,
            sum(done.weight * done.near) as near
        from unnest(history_categories, context.history_weights, history_near) as done (category_id, weight, near)
        group by done.category_id
    ),

    matched as (
        select
            present.category_id,
            ln((coalesce(history.weight, 0) / hoped.usual + 10 * hoped.lift) / (own_count + 10)) as lift,
            coalesce(history.near, 0) / (events_near + 5) as near,
            5 / (events_near + 5) * (present.category_id = any(mood_categories))::integer as mood,
            coalesce(history.weight, 0) > 0 or present.category_id = any(preferred) as is_personal
        from present
        left join history on present.category_id = history.category_id
        cross join lateral (
            select
                greatest(
                    coalesce((profile.category_shares ->> present.category_id::text)::double precision, 0), 0.01
                ) as usual,
                cardinality(preferred) as chosen,
                coalesce(profile.events, 0) / (coalesce(profile.events, 0) + 10.0) as learned
        ) as usual
        cross join lateral (
            select
                usual.usual,
                usual.learned * exp(coalesce((profile.category_lift ->> present.category_id::text)::double precision, 0))
                + (1 - usual.learned) * (
                    case when usual.chosen > 0 then 0.5 else 1 end
                    + case
                        when present.category_id = any(preferred) then 0.5 / usual.chosen / usual.usual
                        else 0
                    end
                ) as lift
        ) as hoped
        where present.category_id <> all(disliked)
    )

    select
        array_agg(matched.category_id order by matched.category_id),
        array_agg(1 / (1 + exp(-matched.lift)) order by matched.category_id),
        array_agg(least(1, matched.near + 0.5 * matched.mood) order by matched.category_id),
        array_agg(
            case
                when matched.is_personal and matched.lift > 0.2 then 'category'
                when matched.mood > 0 then 'mood'
            end
            order by matched.category_id
        )
    into
        context.category_ids,
        context.category_matches,
        context.category_moods,
        context.category_reasons
    from matched;
    return context;
end
$$;
comment on function private.feed_context_of(uuid, timestamptz, jsonb) is
'Reads what a feed goes by. History is live: what was done a moment ago is in it.';

create function private.feed_evidence(context private.feed_context)
returns table (
    video_no integer,
    relevance double precision,
    mood double precision,
    heat double precision,
    liked_place integer,
    liked_part double precision,
    keyword_place integer,
    keyword_part double precision
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
language plpgsql
rows 3000
as $$
declare
    -- A posting's score is a sum of logarithms that never changes; this makes it what it is worth now.
    aged constant double precision := ln(2::double precision)
    * extract(epoch from context.at - '2020-01-01 00:00+00'::timestamptz)::double precision / (180 * 86400);
    cooled constant double precision := private.heat_time(context.at);
    -- To take a field out of a row for each video is slow.
    liking constant double precision := context.behaviour_share;
    -- Weights of neighbours have no unit: the greatest is what they are measured by.
    loudest constant double precision := greatest(
        (
            select max(neighbour.weights[1])
            from private.video_neighbours as neighbour
            where neighbour.video_no = any(context.history_nos)
        ),
        1e-300
    );
begin
    -- The strongest source rides in the low digits of what is maximised, so that one pass sums and remembers it.
    return query
    with told as materialized (
        select
            neighbour.neighbour_no as told_no,
            sum(history.weight * (neighbour.weight / loudest)) as liked,
            max((history.weight * (neighbour.weight / loudest) * 1e9)::bigint * 1000 + history.place) as liked_by,
            0::double precision as word,
            0::double precision as mood_word,
            0::bigint as word_by,
            0::double precision as heat
        from unnest(context.history_nos, context.history_weights) with ordinality as history (video_no, weight, place)
        inner join private.video_neighbours as listed on history.video_no = listed.video_no
        cross join lateral unnest(listed.neighbour_nos, listed.weights) as neighbour (neighbour_no, weight)
        group by neighbour.neighbour_no
        union all
        select
            posting.video_no,
            0,
            0,
            sum(word.weight * posting.score),
            sum(word.mood_weight * posting.score),
            max((greatest(word.weight, word.mood_weight / 1000) * posting.score * 1e9)::bigint * 1000 + word.place),
            0
        from unnest(context.keyword_nos, context.keyword_weights, context.mood_weights) with ordinality
            as word (keyword_no, weight, mood_weight, place)
        cross join lateral (
            select
                listed.video_no,
                exp(greatest(least(listed.score - aged, 0), -700)) as score
            from private.keyword_postings as listed
            where listed.keyword_no = word.keyword_no
            order by listed.score desc
            limit 100
        ) as posting
        group by posting.video_no
        union all
        select
            hot.video_no,
            0,
            0,
            0,
            0,
            0,
            hot.heat
        from (
            select
                listed.video_no,
                ln(1 + 2 ^ least(greatest(listed.heat - cooled, -60), 60)) as heat
            from private.video_heats as listed
            order by listed.heat desc
            limit 1000
        ) as hot
    ),

    summed as materialized (
        select
            told.told_no,
            sum(told.liked) as liked,
            max(told.liked_by) as liked_by,
            sum(told.word) as word,
            sum(told.mood_word) as mood_word,
            max(told.word_by) as word_by,
            max(told.heat) as heat
        from told
        group by told.told_no
    ),

    scaled as (
        select
            summed.*,
            liking * summed.liked / nullif(max(summed.liked) over (), 0) as liked_part,
            (1 - 0.8 * liking) * least(1, summed.word) as word_part,
            summed.heat / nullif(max(summed.heat) over (), 0) as warmth
        from summed
    )

    select
        scaled.told_no,
        coalesce(scaled.liked_part, 0) + scaled.word_part,
        least(1, scaled.mood_word),
        coalesce(scaled.warmth, 0),
        case when scaled.liked > 0 then (scaled.liked_by % 1000)::integer end,
        coalesce(scaled.liked_part, 0)::double precision,
        case when scaled.word_by > 0 then (scaled.word_by % 1000)::integer end,
        scaled.word_part::double precision
    from scaled;
end
$$;
comment on function private.feed_evidence(private.feed_context) is
'All that speaks for single videos: the 100 best neighbours of each video that was watched lately, the 100 best videos '
'of each keyword, the 1,000 that everybody likes most now. Each is 0 to 1, relevance to 2; what is not here has 0.';

create type private.feed_pool as (
    video_nos integer [],
    raw_scores double precision [],
    scores double precision [],
    category_ids integer [],
    channel_ids text [],
    category_matches double precision [],
    relevances double precision [],
    context_matches double precision [],
    popularities double precision [],
    freshnesses double precision [],
    liked_places integer [],
    liked_parts double precision [],
    keyword_places integer [],
    keyword_parts double precision [],
    moods double precision [],
    new_nos integer [],
    is_exact boolean,
    rounds integer,
    entries_read integer
);
comment on type private.feed_pool is
'The best by raw score, in the order of the normalised one, as parallel arrays; new_nos are others to explore.';

create function private.feed_candidates(
    context private.feed_context,
    pool_size integer
)
returns private.feed_pool
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set jit = off
language plpgsql
as $$
declare
    most_rounds constant integer := 6;
    -- To take a field out of a row for each video is slow.
    ranked_at constant timestamptz := context.at;
    category_weight constant double precision := context.weights[1];
    keyword_weight constant double precision := context.weights[2];
    context_weight constant double precision := context.weights[3];
    popularity_weight constant double precision := context.weights[4];
    freshness_weight constant double precision := context.weights[5];
    pool private.feed_pool;
    -- So that one round is enough for most; who has no history is read on in the lists.
    told_depth integer := 6 * pool_size;
    depths integer[] := array_fill(16, array[coalesce(cardinality(context.category_ids), 0)]);
    too_shallow boolean[];
    hopeless boolean[];
    unread_worth double precision;
begin
    pool.rounds := 0;
    loop
        pool.rounds := pool.rounds + 1;
        with evidence as materialized (
            select
                told.*,
                keyword_weight * sqrt(told.relevance)
                + context_weight * told.mood
                + popularity_weight * 0.8 * told.heat as worth
            from private.feed_evidence(context) as told
        ),

        categories as materialized (
            select *
            from unnest(context.category_ids, context.category_matches, context.category_moods, depths) with ordinality
                as category (category_id, category_match, mood, depth, place)
        ),

        seen as materialized (
            select listed.video_no
            from unnest(context.seen_nos) as listed (video_no)
        ),

        told as materialized (
            select
                best.video_no,
                best.worth
            from evidence as best
            order by best.worth desc
            limit told_depth
        ),

        popular as materialized (
            select
                category.place,
                listed.*
            from categories as category
            cross join lateral (
                select
                    card.video_no,
                    card.popularity,
                    card.published_at
                from private.video_cards as card
                where
                    card.category_id = category.category_id
                    and card.is_servable
                order by card.popularity desc
                limit category.depth
            ) as listed
        ),

        fresh as materialized (
            select
                category.place,
                listed.*
            from categories as category
            cross join lateral (
                select
                    card.video_no,
                    card.popularity,
                    card.published_at
                from private.video_cards as card
                where
                    card.category_id = category.category_id
                    and card.is_servable
                order by card.published_at desc nulls last
                limit category.depth
            ) as listed
        ),

        -- What a video that no list has shown could have at most, by category; one that was read to its end hides none.
        hidden as materialized (
            select
                category.place,
                category_weight * category.category_match
                + context_weight * category.mood
                + popularity_weight * 0.2 * seen_popular.lowest
                + freshness_weight * exp(
                    -least(greatest(date_part('epoch', ranked_at - seen_fresh.oldest), 0) / 604800, 700)
                ) as at_most
            from categories as category
            cross join lateral (
                select
                    min(popular.popularity) as lowest,
                    count(*) as entries
                from popular
                where popular.place = category.place
            ) as seen_popular
            cross join lateral (
                select
                    min(coalesce(fresh.published_at, '1900-01-01')) as oldest,
                    count(*) as entries
                from fresh
                where fresh.place = category.place
            ) as seen_fresh
            where
                seen_popular.entries = category.depth
                and seen_fresh.entries = category.depth
        ),

        candidates as materialized (
            select
                found.video_no,
                found.place,
                found.popularity,
                found.published_at
            from (
                select
                    popular.video_no,
                    popular.place,
                    popular.popularity,
                    popular.published_at
                from popular
                union all
                select
                    fresh.video_no,
                    fresh.place,
                    fresh.popularity,
                    fresh.published_at
                from fresh
                union all
                select
                    card.video_no,
                    category.place,
                    card.popularity,
                    card.published_at
                from told
                -- One by one: joined freely, every card would be read.
                cross join lateral (
                    select
                        one.video_no,
                        one.category_id,
                        one.popularity,
                        one.published_at
                    from private.video_cards as one
                    where
                        one.video_no = told.video_no
                        and one.is_servable
                    limit 1
                ) as card
                inner join categories as category on card.category_id = category.category_id
            ) as found
            where not exists (
                select
                from seen
                where seen.video_no = found.video_no
            )
        ),

        scored as materialized (
            select
                once.video_no,
                category.category_match,
                coalesce(evidence.relevance, 0) as relevance,
                least(1, category.mood + coalesce(evidence.mood, 0)) as context_match,
                0.2 * once.popularity + 0.8 * coalesce(evidence.heat, 0) as popularity,
                aged.freshness,
                evidence.liked_place,
                evidence.liked_part,
                evidence.keyword_place,
                evidence.keyword_part,
                evidence.mood,
                once.published_at,
                category_weight * category.category_match
                + keyword_weight * sqrt(coalesce(evidence.relevance, 0))
                + context_weight * least(1, category.mood + coalesce(evidence.mood, 0))
                + popularity_weight * (0.2 * once.popularity + 0.8 * coalesce(evidence.heat, 0))
                + freshness_weight * aged.freshness as raw_score
            from (
                select distinct on (candidates.video_no) candidates.*
                from candidates
                order by candidates.video_no
            ) as once
            inner join categories as category on once.place = category.place
            left join evidence on once.video_no = evidence.video_no
            cross join lateral (
                select
                    -- Of 13 years and more nothing is left; a number that small would be an error.
                    exp(
                        -least(
                            greatest(
                                date_part('epoch', ranked_at - coalesce(once.published_at, '1900-01-01')), 0
                            ) / 604800,
                            700
                        )
                    ) as freshness
                offset 0
            ) as aged
        ),

        best as materialized (
            select scored.*
            from scored
            order by
                scored.raw_score desc,
                scored.video_no asc
            limit pool_size
        ),

        spread as (
            select
                best.*,
                coalesce(
                    category_weight * (best.category_match - avg(best.category_match) over everything)
                    / nullif(stddev_pop(best.category_match) over everything, 0),
                    0
                )
                + coalesce(
                    keyword_weight * (best.relevance - avg(best.relevance) over everything)
                    / nullif(stddev_pop(best.relevance) over everything, 0),
                    0
                )
                + coalesce(
                    context_weight * (best.context_match - avg(best.context_match) over everything)
                    / nullif(stddev_pop(best.context_match) over everything, 0),
                    0
                )
                + coalesce(
                    popularity_weight * (best.popularity - avg(best.popularity) over everything)
                    / nullif(stddev_pop(best.popularity) over everything, 0),
                    0
                )
                + coalesce(
                    freshness_weight * (best.freshness - avg(best.freshness) over everything)
                    / nullif(stddev_pop(best.freshness) over everything, 0),
                    0
                ) as score
            from best
            window everything as (rows between unbounded preceding and unbounded following)
        ),

        ranked as (
            select
                spread.*,
                card.category_id,
                card.channel_id,
                row_number() over (
                    order by
                        spread.score desc,
                        spread.raw_score desc,
                        spread.video_no asc
                ) as place
            from spread
            inner join private.video_cards as card on spread.video_no = card.video_no
        ),

        packed as (
            select
                array_agg(ranked.video_no order by ranked.place) as video_nos,
                array_agg(ranked.raw_score order by ranked.place) as raw_scores,
                array_agg(ranked.score order by ranked.place) as scores,
                array_agg(ranked.category_id::integer order by ranked.place) as category_ids,
                array_agg(ranked.channel_id::text order by ranked.place) as channel_ids,
                array_agg(ranked.category_match order by ranked.place) as category_matches,
                array_agg(ranked.relevance order by ranked.place) as relevances,
                array_agg(ranked.context_match order by ranked.place) as context_matches,
                array_agg(ranked.popularity::double precision order by ranked.place) as popularities,
                array_agg(ranked.freshness order by ranked.place) as freshnesses,
                array_agg(ranked.liked_place order by ranked.place) as liked_places,
                array_agg(ranked.liked_part order by ranked.place) as liked_parts,
                array_agg(ranked.keyword_place order by ranked.place) as keyword_places,
                array_agg(ranked.keyword_part order by ranked.place) as keyword_parts,
                array_agg(ranked.mood order by ranked.place) as moods,
                -- With fewer than were asked for nothing may stay unread.
                case
                    when count(*) = pool_size then min(ranked.raw_score) - 1e-12
                    else '-infinity'::double precision
                end as least_score
            from ranked
        ),

        -- Evidence is known whole: what was not looked up has at most the worth of the last that was.
        unread as (
            select
                coalesce(
                    (
                        select min(told.worth)
                        from told
                        having count(*) = told_depth
                    ),
                    0
                ) as worth
        )

        select
            packed.video_nos,
            packed.raw_scores,
            packed.scores,
            packed.category_ids,
            packed.channel_ids,
            packed.category_matches,
            packed.relevances,
            packed.context_matches,
            packed.popularities,
            packed.freshnesses,
            packed.liked_places,
            packed.liked_parts,
            packed.keyword_places,
            packed.keyword_parts,
            packed.moods,
            array(
                select scored.video_no
                from scored
                where scored.video_no <> all(coalesce(packed.video_nos[:20], '{}'))
                order by
                    scored.published_at desc nulls last,
                    scored.video_no desc
                limit 60
            ),
            array(
                select coalesce(hidden.at_most + unread.worth > packed.least_score, false)
                from categories as category
                left join hidden on category.place = hidden.place
                order by category.place
            ),
            unread.worth,
            array(
                select coalesce(hidden.at_most > packed.least_score, false)
                from categories as category
                left join hidden on category.place = hidden.place
                order by category.place
            ),
            (select count(*) from popular) + (select count(*) from fresh) + (select count(*) from told)
        into
            pool.video_nos,
            pool.raw_scores,
            pool.scores,
            pool.category_ids,
            pool.channel_ids,
            pool.category_matches,
            pool.relevances,
            pool.context_matches,
            pool.popularities,
            pool.freshnesses,
            pool.liked_places,
            pool.liked_parts,
            pool.keyword_places,
            pool.keyword_parts,
            pool.moods,
            pool.new_nos,
            too_shallow,
            unread_worth,
            hopeless,
            pool.entries_read
        from packed
        cross join unread;
        pool.is_exact := not coalesce(true = any(too_shallow), false);
        exit when pool.is_exact or pool.rounds = most_rounds;
        -- What is known whole is cheaper to read on; a category is, where it alone could hide one of the best.
        if unread_worth > 0 then
            told_depth := told_depth * 3;
        else
            hopeless := too_shallow;
        end if;
        depths := array(
            select case when listed.is_hopeless then listed.depth * 4 else listed.depth end
            from unnest(depths, hopeless) with ordinality as listed (depth, is_hopeless, place)
            order by listed.place
        );
    end loop;
    return pool;
end
$$;
comment on function private.feed_candidates(private.feed_context, integer) is
'The best by raw score, proven so by the threshold test of Fagin: it reads each list to a depth, bounds what none has '
'shown, and reads deeper where the bound exceeds the worst of the best. is_exact is false only when six rounds, each '
'four times as deep, did not settle it.';

create function private.hashed_uniform(
    key text,
    draw integer
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        ((hashtextextended(hashed_uniform.key, hashed_uniform.draw) & 4503599627370495)::double precision + 0.5)
        / 4503599627370496
$$;
comment on function private.hashed_uniform(text, integer) is
'A number between 0 and 1 that looks random and is the same for the same key: what makes a repeated page stable.';

create function private.beta_tail(
    a double precision,
    b double precision,
    x double precision
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    front double precision;
begin
    if x <= 0 then
        return 1;
    elsif x >= 1 then
        return 0;
    end if;
    front := exp(
        greatest(
            private.ln_gamma(a + b) - private.ln_gamma(a) - private.ln_gamma(b) + a * ln(x) + b * ln(1 - x), -700
        )
    );
    if x < (a + 1) / (a + b + 2) then
        return 1 - front * private.beta_fraction(a, b, x) / a;
    end if;
    return front * private.beta_fraction(b, a, 1 - x) / b;
end
$$;
comment on function private.beta_tail(double precision, double precision, double precision) is
'The chance that a draw from Beta(a, b) is above x.';

create function private.rank_feed(
    person uuid,
    at timestamptz default now(),
    most integer default 100,
    options jsonb default '{}'
)
returns table (
    video_no integer,
    video_id text,
    score double precision,
    factors jsonb,
    why text[],
    is_exploration boolean,
    propensity double precision
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
language plpgsql
rows 100
as $$
declare
    -- So many of the best are put into an order in which neighbours differ; the others follow by their score.
    varied constant integer := 50;
    -- Of so many places one is for exploration: 8.3 %.
    block constant integer := 12;
    context private.feed_context;
    pool private.feed_pool;
    asked integer := least(greatest(coalesce(rank_feed.most, 100), 1), 500);
    seed text := concat_ws(':', rank_feed.person, floor(extract(epoch from rank_feed.at) / 3600));
    variety double precision;
    likenesses double precision[];
    most_alike double precision[];
    -- Scores less what likeness to those that were picked takes; of a picked one, and of one that explores, nothing.
    worths double precision[];
    explored integer[];
    propensities double precision[];
    explored_next integer := 1;
    explored_at integer := 0;
    places integer[] := '{}'::integer[];
    picked_nos integer[] := '{}'::integer[];
    picked_diversities double precision[] := '{}'::double precision[];
    picked_propensities double precision[] := '{}'::double precision[];
    size integer;
    compared integer;
    likeness double precision;
    lowest double precision;
    width double precision;
    first_free integer := 1;
    candidate integer;
    chosen integer;
    -- Counted from 0; -1 for none.
    last_chosen integer := -1;
    best_worth double precision;
begin
    context := private.feed_context_of(rank_feed.person, rank_feed.at, coalesce(rank_feed.options, '{}'));
    pool := private.feed_candidates(context, greatest(200, asked));
    size := coalesce(cardinality(pool.video_nos), 0);

    if coalesce((rank_feed.options ->> 'exploration')::boolean, true) then
        with drawn as (
            select
                fresh.video_no,
                belief.a,
                belief.b,
                gammas.first / (gammas.first + gammas.second) as draw
            from unnest(pool.new_nos) as fresh (video_no)
            left join private.feed_exposures as exposure on fresh.video_no = exposure.video_no
            cross join lateral (
                select
                    coalesce(exposure.clicks, 0) + 1.0::double precision as a,
                    greatest(coalesce(exposure.shows, 0) - coalesce(exposure.clicks, 0), 0)
                    + 9.0::double precision as b,
                    -- Numbers between 0 and 1 that look random and are the same in the same hour.
                    (hashtextextended(seed || ':' || fresh.video_no, 1) & 4503599627370495)::double precision + 0.5 as one,
                    (hashtextextended(seed || ':' || fresh.video_no, 2) & 4503599627370495)::double precision + 0.5 as two
            ) as belief
            -- Two gammas (Wilson and Hilferty) of two normals (Box and Muller).
            cross join lateral (
                select
                    sqrt(-2 * ln(belief.one / 4503599627370496)) as radius,
                    2 * pi() * belief.two / 4503599627370496 as angle
            ) as polar
            cross join lateral (
                select
                    belief.a
                    * greatest(1 - 1 / (9 * belief.a) + polar.radius * cos(polar.angle) / (3 * sqrt(belief.a)), 1e-3) ^ 3
                    as first,
                    belief.b
                    * greatest(1 - 1 / (9 * belief.b) + polar.radius * sin(polar.angle) / (3 * sqrt(belief.b)), 1e-3) ^ 3
                    as second
            ) as gammas
        ),

        placed as materialized (
            select
                drawn.*,
                row_number() over (
                    order by
                        drawn.draw desc,
                        drawn.video_no asc
                ) as place
            from drawn
        )

        select
            array_agg(winner.video_no order by winner.place),
            -- Given what the others drew, it is shown when its own draw is above the best that is not.
            array_agg(
                private.beta_tail(
                    winner.a,
                    winner.b,
                    coalesce((select max(loser.draw) from placed as loser where loser.place > asked / block + 1), 0)
                )
                order by winner.place
            )
        into
            explored,
            propensities
        from placed as winner
        where winner.place <= asked / block + 1;
    end if;
    explored := coalesce(explored, '{}');

    variety := coalesce((rank_feed.options ->> 'variety')::double precision, 2 * context.weights[6]);
    if variety > 0 then
        with item as materialized (
            select *
            from unnest(pool.video_nos[:varied], pool.category_ids[:varied], pool.channel_ids[:varied]) with ordinality
                as listed (video_no, category_id, channel_id, place)
        ),

        word as materialized (
            select
                item.place,
                posting.keyword_no,
                count(*) over (partition by item.place) as words
            from item
            inner join private.keyword_postings as posting on item.video_no = posting.video_no
        ),

        common as materialized (
            select
                one.place as one,
                other.place as other,
                count(*)::double precision / (min(one.words) + min(other.words) - count(*)) as share
            from word as one
            inner join word as other on one.keyword_no = other.keyword_no
            group by
                one.place,
                other.place
        )

        select
            array_agg(
                case
                    when one.channel_id = other.channel_id then 1
                    else 0.5 * (one.category_id = other.category_id)::integer + 0.5 * coalesce(common.share, 0)
                end
                order by
                    one.place,
                    other.place
            )
        into likenesses
        from item as one
        cross join item as other
        left join common on one.place = common.one and other.place = common.other;
    end if;
    lowest := pool.scores[size];
    width := greatest(pool.scores[1] - lowest, 1e-9);
    compared := case when variety > 0 then least(size, varied) else 0 end;
    most_alike := array_fill(0::double precision, array[compared]);
    worths := pool.scores;
    -- The places of those are among those that explore.
    for one in 1..cardinality(explored) loop
        candidate := array_position(pool.video_nos, explored[one]);
        if candidate is not null then
            worths[candidate] := null;
        end if;
    end loop;
    for place in 1..asked loop
        if mod(place - 1, block) = 0 then
            explored_at := place + floor(block * private.hashed_uniform(seed, place))::integer;
        end if;
        if explored_next > cardinality(explored) then
            explored_at := 0;
        end if;
        if place <> explored_at then
            -- What the last pick took is taken off, and the best of the rest found, in one pass.
            chosen := null;
            best_worth := '-infinity';
            while first_free <= size and worths[first_free] is null loop
                first_free := first_free + 1;
            end loop;
            for other in first_free..compared loop
                if worths[other] is not null then
                    if last_chosen >= 0 then
                        likeness := likenesses[last_chosen * compared + other];
                        if likeness > most_alike[other] then
                            worths[other] := worths[other] - variety * (likeness - most_alike[other]);
                            most_alike[other] := likeness;
                        end if;
                    end if;
                    if worths[other] > best_worth then
                        chosen := other;
                        best_worth := worths[other];
                    end if;
                end if;
            end loop;
            -- Beyond them nothing is compared any more, and none of them can come after it.
            if chosen is null and first_free <= size then
                chosen := first_free;
            end if;
            last_chosen := -1;
        end if;
        if place = explored_at or chosen is null then
            -- So few are there, perhaps, that only those are left that explore.
            exit when explored_next > cardinality(explored);
            places := places || coalesce(array_position(pool.video_nos, explored[explored_next]), 0);
            picked_nos := picked_nos || explored[explored_next];
            picked_diversities := picked_diversities || 1.0::double precision;
            picked_propensities := picked_propensities || propensities[explored_next];
            explored_next := explored_next + 1;
            continue;
        end if;
        worths[chosen] := null;
        places := places || chosen;
        picked_nos := picked_nos || pool.video_nos[chosen];
        picked_diversities := picked_diversities
        || (1 - case when chosen <= compared then most_alike[chosen] else 0 end)::double precision;
        picked_propensities := picked_propensities || 1.0::double precision;
        if chosen <= compared then
            last_chosen := chosen - 1;
        end if;
    end loop;

    return query
    select
        picked.picked_no,
        card.video_id::text,
        case when picked.place > 0 then (pool.scores[picked.place] - lowest) / width end,
        case
            when picked.place > 0
                then jsonb_build_object(
                    'category_match', pool.category_matches[picked.place],
                    'keyword_relevance', pool.relevances[picked.place],
                    'temporal_context', pool.context_matches[picked.place],
                    'popularity_score', pool.popularities[picked.place],
                    'freshness_factor', pool.freshnesses[picked.place],
                    'diversity_bonus', picked.diversity
                )
            else '{}'
        end,
        case when picked.is_explored then array['exploration'] else '{}'::text[] end || coalesce(reasons.why, '{}'),
        picked.is_explored,
        picked.propensity
    from (
        select
            listed.*,
            listed.picked_no = any(explored) as is_explored
        from unnest(places, picked_nos, picked_diversities, picked_propensities) with ordinality
            as listed (place, picked_no, diversity, propensity, shown_at)
    ) as picked
    inner join private.video_cards as card on picked.picked_no = card.video_no
    cross join lateral (
        select array_agg(strong.reason order by strong.part desc) as why
        from (
            select
                part.reason,
                part.part,
                max(part.part) over () as most_part,
                row_number() over (order by part.part desc) as rank
            from (
                values
                (
                    'liked_similar:' || context.history_ids[pool.liked_places[picked.place]],
                    context.weights[2] * pool.liked_parts[picked.place]
                ),
                (
                    context.keyword_reasons[pool.keyword_places[picked.place]]
                    || ':' || context.keywords[pool.keyword_places[picked.place]],
                    case
                        when pool.keyword_parts[picked.place] > 0
                            then context.weights[2] * pool.keyword_parts[picked.place]
                        else context.weights[3] * pool.moods[picked.place]
                    end
                ),
                (
                    context.category_reasons[array_position(context.category_ids, card.category_id::integer)]
                    || ':' || card.category_id,
                    case context.category_reasons[array_position(context.category_ids, card.category_id::integer)]
                        when 'category' then context.weights[1] * (2 * pool.category_matches[picked.place] - 1)
                        else context.weights[3] * pool.context_matches[picked.place]
                    end
                ),
                ('popular', context.weights[4] * pool.popularities[picked.place]),
                ('fresh', context.weights[5] * pool.freshnesses[picked.place])
            ) as part (reason, part)
            where
                part.reason is not null
                and part.part > 0
        ) as strong
        where
            strong.rank <= 3
            and strong.part >= 0.25 * strong.most_part
    ) as reasons
    order by picked.shown_at;
end
$$;
comment on function private.rank_feed(uuid, timestamptz, integer, jsonb) is
'A person''s feed at a moment, in its order. options, all left out in the service: weights (the base instead of the '
'default version''s), weights_version, exploration (false: none), exclude_seen (false: nothing), variety (0: no '
'diversity). score is 0 to 1 inside the candidates, null for a video that is only explored.';

-- supabase/schemas/shorts/56_feed_log.sql

-- Promises that what a feed showed is on record with its chance of being shown, that its pages stay as they were, and
-- that who asks sees nobody else's.

create table private.feed_rankings (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.users (id) on delete cascade,
    ranked_at timestamptz not null default now(),
    moved_at timestamptz not null,
    region text not null,
    weights_version text not null references private.feed_weights (version),
    video_nos integer[] not null,
    scores real[] not null,
    whys jsonb not null,
    explored boolean[] not null,
    propensities real[] not null,
    constraint a_ranking_is_parallel check (
        cardinality(scores) = cardinality(video_nos)
        and cardinality(explored) = cardinality(video_nos)
        and cardinality(propensities) = cardinality(video_nos)
        and jsonb_array_length(whys) = cardinality(video_nos)
    )
);
alter table private.feed_rankings enable row level security;
create index feed_rankings_of_a_person on private.feed_rankings (user_id, ranked_at desc);
create index feed_rankings_by_age on private.feed_rankings (ranked_at);
create index feed_rankings_by_version on private.feed_rankings (weights_version);
comment on table private.feed_rankings is
'Feeds as they were ranked, so that their pages stay as they were. Kept for a day; goes with the person.';
comment on column private.feed_rankings.moved_at is
'When the person last did, said or changed anything: a newer moment means a new ranking.';
comment on column private.feed_rankings.whys is 'The reasons of each video, as private.rank_feed names them.';
comment on column private.feed_rankings.explored is 'Whether each was shown to learn of it.';
comment on column private.feed_rankings.propensities is 'The chance that each had of being shown.';

create table private.feed_impressions (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null references public.users (id) on delete cascade,
    shown_at timestamptz not null default clock_timestamp(),
    request_id uuid not null,
    weights_version text not null,
    video_nos integer[] not null,
    video_ids text[] not null,
    positions integer[] not null,
    explored boolean[] not null,
    propensities real[] not null,
    is_counted boolean not null default false,
    primary key (id, shown_at)
) partition by range (shown_at);
alter table private.feed_impressions enable row level security;
create index feed_impressions_of_a_person on private.feed_impressions (user_id, shown_at desc);
create index feed_impressions_to_count on private.feed_impressions (shown_at)
where not is_counted;
comment on table private.feed_impressions is
'One row a page that was shown: its videos, positions and chances, as parallel arrays. A month each, 3 months; goes '
'with the person.';
comment on column private.feed_impressions.request_id is 'The ranking that the page was cut from.';
comment on column private.feed_impressions.positions is 'The place of each in the whole feed, from 1.';
comment on column private.feed_impressions.propensities is 'The chance that each had of being shown there.';
comment on column private.feed_impressions.is_counted is 'Whether private.feed_exposures has it.';

create table private.feed_impressions_default partition of private.feed_impressions default;
alter table private.feed_impressions_default enable row level security;
comment on table private.feed_impressions_default is 'Pages that no other partition takes.';
insert into ops.partition_policies (parent_schema, parent_table, control_column, retention)
values ('private', 'feed_impressions', 'shown_at', '3 months');
select ops.create_monthly_partitions();

create table private.feed_exposures (
    video_no integer primary key references private.video_cards (video_no) on delete cascade,
    shows bigint not null,
    clicks bigint not null,
    constraint clicks_come_from_shows check (clicks between 0 and shows)
);
alter table private.feed_exposures enable row level security;
comment on table private.feed_exposures is
'How often feeds showed a video, and how often it was then liked or watched by half: what exploration learns from.';

create function private.serve_feed(
    at_most integer,
    cursor text
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
language plpgsql
as $$
declare
    -- Five pages of 20; who wants more asks anew, and has seen these then.
    longest constant integer := 100;
    person uuid := private.require_person();
    ranking private.feed_rankings;
    given text[];
    from_place integer := 0;
    last_moved_at timestamptz;
    region_now text;
    page record;
begin
    if coalesce(serve_feed.at_most, 20) not between 1 and 50 then
        raise exception using
            errcode = 'PT400',
            message = 'The limit is not between 1 and 50.',
            detail = format('limit is %s.', serve_feed.at_most),
            hint = 'Send a whole number from 1 to 50, and next_cursor for more.';
    end if;

    if serve_feed.cursor is null then
        select
            case when account.settings ->> 'region' ~ '^[A-Z]{2}$' then account.settings ->> 'region' else 'KR' end,
            greatest(account.updated_at, profile.updated_at, done.created_at, said.created_at)
        into
            region_now,
            last_moved_at
        from public.users as account
        left join public.user_profiles as profile on profile.user_id = account.id
        left join lateral (
            select recent.created_at
            from public.video_interactions as recent
            where recent.user_id = account.id
            order by recent.created_at desc
            limit 1
        ) as done on true
        left join lateral (
            select max(feedback.created_at) as created_at
            from public.user_feedback as feedback
            where feedback.user_id = account.id
        ) as said on true
        where account.id = person;

        -- In the same hour, with nothing done since, the ranking would be the same.
        select kept.*
        into ranking
        from private.feed_rankings as kept
        inner join private.feed_weights as weights on kept.weights_version = weights.version
        where
            kept.user_id = person
            and kept.ranked_at >= date_trunc('hour', now())
            and kept.moved_at = last_moved_at
            and kept.region = region_now
            and weights.is_default
            -- What was tuned within the hour counts at once.
            and kept.ranked_at >= weights.created_at
        order by kept.ranked_at desc
        limit 1;
        if ranking.id is null then
            insert into private.feed_rankings as made (
                user_id, ranked_at, moved_at, region, weights_version, video_nos, scores, whys, explored, propensities
            )
            select
                person,
                clock_timestamp(),
                last_moved_at,
                region_now,
                weights.version,
                coalesce(array_agg(ranked.video_no order by ranked.place) filter (where ranked.place > 0), '{}'),
                coalesce(
                    array_agg(coalesce(ranked.score, 0)::real order by ranked.place) filter (where ranked.place > 0),
                    '{}'
                ),
                coalesce(jsonb_agg(to_jsonb(ranked.why) order by ranked.place) filter (where ranked.place > 0), '[]'),
                coalesce(array_agg(ranked.is_exploration order by ranked.place) filter (where ranked.place > 0), '{}'),
                coalesce(array_agg(ranked.propensity::real order by ranked.place) filter (where ranked.place > 0), '{}')
            from private.feed_weights as weights
            left join
                private.rank_feed(person, now(), longest) with ordinality
                    as ranked (video_no, video_id, score, factors, why, is_exploration, propensity, place)
                on true
            where weights.is_default
            group by weights.version
            returning made.* into ranking;
        end if;
    else
        given := regexp_match(
            serve_feed.cursor,
            '^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([0-9]{1,3})$'
        );
        -- Somebody else's is as unknown as one that never was.
        select kept.*
        into ranking
        from private.feed_rankings as kept
        where
            kept.id = given[1]::uuid
            and kept.user_id = person
            and given[2]::integer between 1 and longest;
        if ranking.id is null then
            raise exception using
                errcode = 'PT400',
                message = 'The cursor is no cursor of this feed.',
                detail = 'A cursor holds for a day, and for the person it was given to.',
                hint = 'Send next_cursor of the page before unchanged, or none for the first page.';
        end if;
        from_place := given[2]::integer;
    end if;

    select
        coalesce(jsonb_agg(item.card order by item.place), '[]') as cards,
        array_agg(item.video_no order by item.place) as video_nos,
        array_agg(item.video_id order by item.place) as video_ids,
        array_agg(item.place order by item.place) as positions,
        array_agg(item.is_explored order by item.place) as explored,
        array_agg(item.propensity order by item.place) as propensities,
        max(item.place) as last_place,
        count(*) as shown
    into page
    from (
        select
            listed.place::integer as place,
            listed.video_no,
            video.video_id::text as video_id,
            listed.is_explored,
            listed.propensity,
            jsonb_build_object(
                'video_id', video.video_id,
                'title', video.title,
                'channel_id', video.channel_id,
                'channel_name', video.channel_name,
                'thumbnail_url', video.thumbnail_url,
                'duration', video.duration,
                'view_count', video.view_count,
                'published_at', video.published_at,
                'category_id', video.category_id,
                'quality_score', video.quality_score,
                'score', listed.score,
                'why', private.feed_reasons(ranking.whys -> (listed.place - 1)::integer),
                'is_exploration', listed.is_explored,
                'propensity', listed.propensity
            ) as card
        from unnest(ranking.video_nos, ranking.scores, ranking.explored, ranking.propensities) with ordinality
            as listed (video_no, score, is_explored, propensity, place)
        inner join private.video_cards as card on listed.video_no = card.video_no
        -- What happened since the last fold, and where the person is, decides here.
        inner join public.cached_videos as video on card.video_id = video.video_id
        where
            listed.place > from_place
            and video.is_playable
            and video.is_shorts
            and video.expires_at > now()
            and private.plays_in(video.region_restrictions, ranking.region)
        order by listed.place
        limit coalesce(serve_feed.at_most, 20)
    ) as item;

    if page.shown > 0 then
        insert into private.feed_impressions (
            user_id, request_id, weights_version, video_nos, video_ids, positions, explored, propensities
        )
        values (
            person,
            ranking.id,
            ranking.weights_version,
            page.video_nos,
            page.video_ids,
            page.positions,
            page.explored,
            page.propensities
        );
    end if;
    return jsonb_build_object(
        'videos', page.cards,
        'weights_version', ranking.weights_version,
        'next_cursor', case
            when page.shown = coalesce(serve_feed.at_most, 20) and page.last_place < cardinality(ranking.video_nos)
                then ranking.id || '.' || page.last_place
        end
    );
end
$$;
comment on function private.serve_feed(integer, text) is
'A page of the feed of who asks, by the token alone, and the record that it was shown.';

create function public.personalized_feed(
    "limit" integer default 20,
    cursor text default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.serve_feed("limit", cursor)
$$;
comment on function public.personalized_feed(integer, text) is
'A page of one''s own feed: {"videos": [{..., "score", "why": [{"reason", "detail"}], "is_exploration", '
'"propensity"}], "weights_version", "next_cursor"}. 1 to 50 videos a page; next_cursor is null at its end. '
'For who is signed in.';

create function private.feed_reasons(why jsonb)
returns jsonb
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(
            jsonb_agg(
                case split.reason
                    when 'liked_similar'
                        then jsonb_build_object('reason', split.reason, 'detail', video.title, 'video_id', split.detail)
                    when 'category'
                        then jsonb_build_object(
                            'reason', split.reason, 'detail', category.english, 'category_id', split.detail::integer
                        )
                    when 'mood'
                        then jsonb_build_object('reason', split.reason, 'detail', coalesce(category.english, split.detail))
                    else jsonb_build_object('reason', split.reason, 'detail', split.detail)
                end
                order by split.place
            ),
            '[]'
        )
    from (
        select
            split_part(listed.reason, ':', 1) as reason,
            nullif(substr(listed.reason, strpos(listed.reason || ':', ':') + 1), '') as detail,
            listed.place
        from jsonb_array_elements_text(feed_reasons.why) with ordinality as listed (reason, place)
    ) as split
    left join public.cached_videos as video
        on split.reason = 'liked_similar' and split.detail = video.video_id
    left join private.video_category_names() as category
        on split.reason in ('category', 'mood') and split.detail = category.category_id::text
$$;
comment on function private.feed_reasons(jsonb) is
'What private.rank_feed names, as a frontend shows it: {"reason", "detail"} and the id of what the detail names.';

create function private.count_feed_impressions(
    at timestamptz default now(),
    batch_size integer default 2000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language sql
as $$
    with due as materialized (
        select
            impression.id,
            impression.shown_at
        from private.feed_impressions as impression
        where
            not impression.is_counted
            -- An hour for it to be watched.
            and impression.shown_at < count_feed_impressions.at - interval '1 hour'
        order by impression.shown_at
        limit count_feed_impressions.batch_size
        for update skip locked
    ),

    pages as (
        update private.feed_impressions as stored
        set is_counted = true
        from due
        where
            stored.id = due.id
            and stored.shown_at = due.shown_at
        returning stored.user_id, stored.shown_at, stored.video_nos, stored.video_ids
    ),

    counted as materialized (
        select
            card.video_no,
            count(*) as shows,
            count(*) filter (where watched.is_positive) as clicks
        from pages
        cross join lateral unnest(pages.video_ids) as shown (video_id)
        inner join private.video_cards as card on shown.video_id = card.video_id
        left join lateral (
            select true as is_positive
            from public.video_interactions as done
            where
                done.user_id = pages.user_id
                and done.created_at >= pages.shown_at
                and done.created_at < pages.shown_at + interval '1 hour'
                and done.video_id = shown.video_id
                and (
                    done.interaction_type in ('like', 'save', 'share')
                    or (done.interaction_type = 'view' and (done.watch_percentage >= 0.5 or done.watched_to_end))
                )
            limit 1
        ) as watched on true
        group by card.video_no
    ),

    kept as (
        insert into private.feed_exposures as stored (video_no, shows, clicks)
        select
            counted.video_no,
            counted.shows,
            counted.clicks
        from counted
        order by counted.video_no
        on conflict (video_no) do update
            set
                shows = stored.shows + excluded.shows,
                clicks = stored.clicks + excluded.clicks
    )

    select
        jsonb_build_object(
            'pages', (select count(*) from due),
            'videos', (select count(*) from counted)
        )
$$;
comment on function private.count_feed_impressions(timestamptz, integer) is
'Counts pages that were shown an hour ago into private.feed_exposures, each once, the oldest first.';

create function private.forget_feed_rankings(
    at timestamptz default now(),
    batch_size integer default 20000
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    with forgotten as (
        delete from private.feed_rankings as stored
        where stored.id in (
            select old.id
            from private.feed_rankings as old
            where old.ranked_at < forget_feed_rankings.at - interval '1 day'
            order by old.ranked_at
            limit forget_feed_rankings.batch_size
            for update skip locked
        )
        returning stored.id
    )

    select jsonb_build_object('forgotten', (select count(*) from forgotten))
$$;
comment on function private.forget_feed_rankings(timestamptz, integer) is 'Forgets rankings of more than a day ago.';

-- supabase/schemas/shorts/57_ai_chat.sql

-- Promises that nobody asks the AI more often in a day than their tier allows, and that what was said is kept.

create table private.ai_turn_limits (
    tier public.tier_enum primary key,
    daily_limit integer not null,
    constraint daily_limit_is_possible check (daily_limit between 0 and 1000000)
);
alter table private.ai_turn_limits enable row level security;
comment on table private.ai_turn_limits is
'How many turns with the AI a day in Korea allows. An operator changes it; it counts at once. No row: none.';
comment on column private.ai_turn_limits.daily_limit is 'Turns a day of each person of this tier.';

insert into private.ai_turn_limits (tier, daily_limit)
values
('premium', 50),
('pro', 200),
('enterprise', 1000);

create table private.ai_turn_days (
    user_id uuid not null references public.users (id) on delete cascade,
    day date not null,
    used integer not null,
    primary key (user_id, day),
    constraint used_is_positive check (used > 0)
);
alter table private.ai_turn_days enable row level security;
comment on table private.ai_turn_days is
'How many turns with the AI a person has begun on a day in Korea. A new day''s first turn forgets the days before.';
comment on column private.ai_turn_days.used is
'Counted before the model is asked; a conversation that is gone gives none back.';

create function private.ai_turns_allowed(person uuid)
returns integer
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        coalesce(
            (
                select allowed.daily_limit
                from public.user_tiers as held
                inner join private.ai_turn_limits as allowed on held.tier = allowed.tier
                where
                    held.user_id = person
                    and (held.expires_at is null or held.expires_at > now())
            ),
            -- An admin without a tier may as much as anybody.
            (
                select max(allowed.daily_limit)
                from private.ai_turn_limits as allowed
                where private.is_admin()
            ),
            0
        )
$$;
comment on function private.ai_turns_allowed(uuid) is 'How many turns with the AI a day allows this person now.';

create function private.take_ai_turn(person uuid)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    allowed constant integer := private.ai_turns_allowed(person);
    today constant date := private.korean_day();
    resets_at constant timestamptz := (today + 1)::timestamp at time zone 'Asia/Seoul';
    used_up integer;
begin
    -- Who takes at the same time waits for this row, and is then asked about what is used by then.
    insert into private.ai_turn_days as counted (user_id, day, used)
    select
        person,
        today,
        1
    where allowed > 0
    on conflict on constraint ai_turn_days_pkey do update
        set used = counted.used + 1
        where counted.used < allowed
    returning counted.used
    into used_up;
    if used_up = 1 then
        delete from private.ai_turn_days as stored
        where
            stored.user_id = person
            and stored.day < today;
    end if;
    return jsonb_build_object(
        'granted', used_up is not null,
        'turns_left', coalesce(allowed - used_up, 0),
        'resets_at', resets_at,
        'retry_after_seconds', ceil(extract(epoch from resets_at - now()))::integer
    );
end
$$;
comment on function private.take_ai_turn(uuid) is
'Counts one turn of the day if one is left; granted says whether. Never beyond the limit, however many ask at once.';

create function private.with_turns(
    conversation jsonb,
    added jsonb
)
returns jsonb
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select coalesce(jsonb_agg(sized.entry order by sized.place), '[]'::jsonb)
    from (
        select
            turn.entry,
            turn.place,
            -- With what stands between two of them, or around all.
            sum(length(turn.entry::text) + 2) over (order by turn.place desc) as characters
        from jsonb_array_elements(conversation || added) with ordinality as turn (entry, place)
    ) as sized
    where sized.characters <= 65536
$$;
comment on function private.with_turns(jsonb, jsonb) is
'A conversation and what is said next; as many of the oldest turns go as make it too long to be stored.';

create function private.require_conversation(
    session uuid,
    person uuid
)
returns public.search_sessions
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    kept public.search_sessions;
begin
    if not private.may_talk_to_the_ai() then
        raise exception using
            errcode = 'PT403',
            message = 'A conversation with the AI needs premium.',
            detail = 'Nothing was stored or counted.',
            hint = 'Subscribe, or search by keyword.';
    end if;
    if require_conversation.session is null then
        return null;
    end if;
    select stored.*
    into kept
    from public.search_sessions as stored
    where
        stored.id = require_conversation.session
        and stored.user_id = person
        and stored.search_type = 'ai_chat'
    for no key update;
    if not found then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such conversation of yours.',
            detail = 'Conversations older than 90 days are archived.',
            hint = 'Send the session of an earlier answer, or none to begin a new conversation.';
    end if;
    return kept;
end
$$;
comment on function private.require_conversation(uuid, uuid) is
'The person''s own conversation, held until the end of the transaction; null for none. Refuses who may not talk.';

create function private.begin_ai_turn(
    message text,
    session uuid
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person constant uuid := private.require_person();
    talk public.search_sessions := private.require_conversation(begin_ai_turn.session, person);
    turn constant uuid := gen_random_uuid();
    taken jsonb;
    opened jsonb;
begin
    if coalesce(length(message) > 1000 or private.normalize_keyword(message) = '', true) then
        raise exception using
            errcode = 'PT400',
            message = 'The message is missing, empty, or longer than 1000 characters.',
            detail = 'Nothing was stored or counted.',
            hint = 'Send what the person typed.';
    end if;
    taken := private.take_ai_turn(person);
    if not (taken -> 'granted')::boolean then
        return taken || jsonb_build_object('session', talk.id);
    end if;
    if talk.id is null then
        opened := private.open_search(left(message, 500), 'ai_chat', null, null, null, null);
        talk.id := (opened ->> 'id')::uuid;
        talk.session_started_at := (opened ->> 'session_started_at')::timestamptz;
        talk.conversation_context := '[]'::jsonb;
    end if;
    update public.search_sessions as stored
    set
        conversation_context = private.with_turns(
            talk.conversation_context,
            jsonb_build_object('turn', turn, 'role', 'user', 'text', message, 'at', now())
        )
    where
        stored.id = talk.id
        and stored.session_started_at = talk.session_started_at;
    return taken || jsonb_build_object(
        'session', talk.id,
        'turn', turn,
        'conversation', jsonb_path_query_array(talk.conversation_context, '$[last - 11 to last]')
    );
end
$$;
comment on function private.begin_ai_turn(text, uuid) is
'Counts a turn of who asks and stores what they said, in a new conversation or in one of their own.';

create function public.open_ai_turn(
    message text,
    session uuid default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.begin_ai_turn(message, session)
$$;
comment on function public.open_ai_turn(text, uuid) is
'Takes one of the day''s turns with the AI: {"granted", "turns_left", "resets_at", "retry_after_seconds", "session", '
'"turn", "conversation"}, the last 12 things said before. Premium and up.';

create function private.end_ai_turn(
    session uuid,
    turn uuid,
    answer text,
    source text,
    model text,
    fallback boolean,
    videos text[],
    response_time_ms integer
)
returns jsonb
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person constant uuid := private.require_person();
    talk constant public.search_sessions := private.require_conversation(end_ai_turn.session, person);
    problem record;
begin
    select
        rule.message,
        rule.hint
    into problem
    from (
        values
        (
            coalesce(length(answer) not between 1 and 4000, true),
            'The answer is missing, empty, or longer than 4000 characters.',
            'Send what was shown.'
        ),
        (
            coalesce(end_ai_turn.source not in ('model', 'search'), true),
            'The source is neither model nor search.',
            'Send who wrote the answer.'
        ),
        (
            length(end_ai_turn.model) not between 1 and 200,
            'The model has no name, or one of more than 200 characters.',
            'Send its name, or nothing when the search wrote the answer.'
        ),
        (
            not private.are_short_texts(videos, 50),
            'The videos are not at most 50 ids.',
            'Send the ids of the cards that were shown.'
        ),
        (
            end_ai_turn.response_time_ms not between 1 and 86400000,
            'response_time_ms is not from 1 to 86400000',
            'Send the milliseconds until the answer was there, or nothing.'
        )
    ) as rule (is_broken, message, hint)
    where rule.is_broken
    limit 1;
    if found then
        raise exception using
            errcode = 'PT400',
            message = problem.message,
            detail = 'Nothing was changed.',
            hint = problem.hint;
    end if;
    if talk.conversation_context @> jsonb_build_array(jsonb_build_object('turn', turn, 'role', 'assistant')) then
        return jsonb_build_object('session', talk.id, 'stored', false);
    end if;
    if not coalesce(
        talk.conversation_context @> jsonb_build_array(jsonb_build_object('turn', turn, 'role', 'user')), false
    ) then
        raise exception using
            errcode = 'PT404',
            message = 'There is no such turn of yours.',
            detail = 'Nothing was changed.',
            hint = 'Send session and turn as open_ai_turn returned them.';
    end if;
    update public.search_sessions as stored
    set
        conversation_context = private.with_turns(
            talk.conversation_context,
            jsonb_build_object(
                'turn', turn,
                'role', 'assistant',
                'text', answer,
                'at', now(),
                'source', end_ai_turn.source,
                'model', end_ai_turn.model,
                'fallback', coalesce(end_ai_turn.fallback, false),
                'videos', coalesce(to_jsonb(videos), '[]')
            )
        ),
        results_count = least(stored.results_count + coalesce(cardinality(videos), 0), 1000000),
        results_shown = least(stored.results_shown + coalesce(cardinality(videos), 0), 100000),
        response_time_ms = coalesce(end_ai_turn.response_time_ms, stored.response_time_ms),
        session_ended_at = now()
    where
        stored.id = talk.id
        and stored.session_started_at = talk.session_started_at;
    return jsonb_build_object('session', talk.id, 'stored', true);
end
$$;
comment on function private.end_ai_turn(uuid, uuid, text, text, text, boolean, text[], integer) is
'Adds the answer to a turn of who asks, once.';

create function public.close_ai_turn(
    session uuid,
    turn uuid,
    answer text,
    source text,
    model text default null,
    fallback boolean default false,
    videos text[] default '{}',
    response_time_ms integer default null
)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select private.end_ai_turn(session, turn, answer, source, model, fallback, videos, response_time_ms)
$$;
comment on function public.close_ai_turn(uuid, uuid, text, text, text, boolean, text[], integer) is
'Stores what was answered in a turn that open_ai_turn began: {"session", "stored"}. Said again, it changes nothing.';

-- supabase/schemas/shorts/58_trending_now.sql

-- Promises that everybody can read what trends now, and no more of it than that.

create function private.limited_trends(
    region text,
    at_most integer
)
returns table (
    keyword text,
    region_code text,
    trend_score double precision,
    growth_rate double precision,
    detected_at timestamptz,
    expires_at timestamptz
)
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        strongest.keyword::text,
        strongest.region_code::text,
        strongest.trend_score,
        strongest.growth_rate,
        strongest.detected_at,
        strongest.expires_at
    from (
        select distinct on (trend.keyword) trend.*
        from public.trending_keywords as trend
        where
            trend.region_code = limited_trends.region
            and trend.closed_at is null
            and trend.expires_at > now()
        order by
            trend.keyword asc,
            trend.trend_score desc
    ) as strongest
    order by
        strongest.trend_score desc,
        strongest.keyword asc
    limit at_most
$$;
comment on function private.limited_trends(text, integer) is
'The columns of a trend that are for everybody. Reads past the policy, which keeps full rows for premium and up.';

create function public.trending_now(
    region text default 'KR',
    "limit" integer default 10
)
returns table (
    keyword text,
    region_code text,
    trend_score double precision,
    growth_rate double precision,
    detected_at timestamptz,
    expires_at timestamptz
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        trend.keyword,
        trend.region_code,
        trend.trend_score,
        trend.growth_rate,
        trend.detected_at,
        trend.expires_at
    from private.limited_trends(
        coalesce(trending_now.region, 'KR'),
        least(greatest(coalesce(trending_now."limit", 10), 0), 50)
    ) as trend
$$;
comment on function public.trending_now(text, integer) is
'What trends in a region, strongest first: at most 50, and only what has not expired. For everybody.';

-- supabase/schemas/shorts/60_access.sql

-- Promises that what a client may reach is exactly what stands here, a paragraph per object.

-- users: people see and edit their own profile; tier, usage and address are not theirs to write. Admins see all.
-- The ciphertext is of no use without its key, and a grant of columns would refuse select('*').
grant select on public.users to app_authenticated;
grant update (name, username, avatar_url, settings, preferences) on public.users to app_authenticated;
grant select, insert, update, delete on public.users to app_service;
create policy "Mask sensitive data for non-owners" on public.users
for select to authenticated
using (id = (select auth.uid()) or (select private.is_admin()));
create policy "people edit their own row" on public.users
for update to authenticated
using (id = (select auth.uid()))
with check (id = (select auth.uid()));

-- users_secure: addresses in clear. Admins sign in like everybody; the view's own condition tells them apart.
grant select on public.users_secure to app_authenticated, app_service;
grant execute on function private.shorts_email(uuid) to app_authenticated, app_service;

-- user_tiers: people see their own tier; only the service gives one.
grant select on public.user_tiers to app_authenticated;
grant select, insert, update, delete on public.user_tiers to app_service;
create policy "people read their own tier" on public.user_tiers
for select to authenticated
using (user_id = (select auth.uid()));

-- user_profiles: people write what they like; what was learned of them is the service's to write.
grant select, delete on public.user_profiles to app_authenticated;
grant insert (
    user_id,
    preferred_categories,
    preferred_keywords,
    disliked_categories,
    mood_patterns,
    personalization_weights,
    time_preferences,
    context_preferences
) on public.user_profiles to app_authenticated;
grant update (
    user_id,
    preferred_categories,
    preferred_keywords,
    disliked_categories,
    mood_patterns,
    personalization_weights,
    time_preferences,
    context_preferences
) on public.user_profiles to app_authenticated;
grant select, insert, update, delete on public.user_profiles to app_service;
create policy users_own_data on public.user_profiles
for all to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));

-- user_search_patterns: computed; people see their own.
grant select on public.user_search_patterns to app_authenticated;
grant select, insert, update, delete on public.user_search_patterns to app_service;
create policy "people read their own search patterns" on public.user_search_patterns
for select to authenticated
using (user_id = (select auth.uid()));

-- search_sessions: people write their own and rate them; figures and clocks are not theirs to write, and nobody sees
-- token, network and app. Admins see, rate and delete those of all: no other policy lets anybody delete. A conversation
-- with the AI needs premium, at every command.
grant delete on public.search_sessions to app_authenticated;
grant select (
    id,
    user_id,
    search_query,
    search_type,
    search_intent,
    user_context,
    results_count,
    results_shown,
    results_clicked,
    response_time_ms,
    cache_hit,
    api_cost_units,
    user_satisfaction_rating,
    session_outcome,
    session_started_at,
    session_ended_at,
    created_at,
    updated_at,
    session_id,
    conversation_context
) on public.search_sessions to app_authenticated;
grant insert (
    user_id, search_query, search_type, search_intent, user_context, session_id, conversation_context
) on public.search_sessions to app_authenticated;
grant update (
    search_intent, user_satisfaction_rating, session_outcome, conversation_context
) on public.search_sessions to app_authenticated;
grant select, insert, update, delete on public.search_sessions to app_service;
grant select on public.search_sessions_partitioned to app_authenticated, app_service;
create policy "people read their own searches" on public.search_sessions
for select to authenticated
using (user_id = (select auth.uid()));
create policy "people write their own searches" on public.search_sessions
for insert to authenticated
with check (user_id = (select auth.uid()));
create policy "people rate their own searches" on public.search_sessions
for update to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));
create policy admin_full_access on public.search_sessions
for all to authenticated
using ((select private.is_admin()))
with check ((select private.is_admin()));
create policy "Premium features for premium users" on public.search_sessions
as restrictive
for all to authenticated
using (search_type <> 'ai_chat' or (select private.has_tier('premium')) or (select private.is_admin()))
with check (search_type <> 'ai_chat' or (select private.has_tier('premium')) or (select private.is_admin()));

-- video_interactions: people add their own, to searches of their own, and change none. On trial 50 a day.
grant select on public.video_interactions to app_authenticated;
grant insert (
    id,
    user_id,
    video_id,
    session_id,
    session_started_at,
    interaction_type,
    interaction_value,
    watch_duration,
    total_duration,
    watch_percentage,
    watched_to_end,
    clicked_thumbnail,
    clicked_title,
    opened_in_youtube,
    user_rating,
    feedback_text,
    interaction_context,
    interaction_timestamp
) on public.video_interactions to app_authenticated;
grant select, insert, update, delete on public.video_interactions to app_service;
grant select on public.video_interactions_partitioned to app_authenticated, app_service;
create policy "people read their own interactions" on public.video_interactions
for select to authenticated
using (user_id = (select auth.uid()));
create policy "people add their own interactions" on public.video_interactions
for insert to authenticated
with check (
    user_id = (select auth.uid())
    and (
        session_id is null
        or exists (
            select
            from public.search_sessions as session
            where
                session.id = video_interactions.session_id
                and session.session_started_at = video_interactions.session_started_at
                and session.user_id = (select auth.uid())
        )
    )
);
create policy "Trial users limited access" on public.video_interactions
as restrictive
for insert to authenticated
with check ((select private.trial_has_room()));

-- watch_events: whose interaction it is, theirs are its events.
grant select on public.watch_events to app_authenticated;
grant insert (
    id, interaction_id, interaction_created_at, event_type, event_timestamp, video_timestamp, seek_from, seek_to
) on public.watch_events to app_authenticated;
grant select, insert, update, delete on public.watch_events to app_service;
create policy "people read the events of their interactions" on public.watch_events
for select to authenticated
using (
    exists (
        select
        from public.video_interactions as interaction
        where
            interaction.id = watch_events.interaction_id
            and interaction.created_at = watch_events.interaction_created_at
            and interaction.user_id = (select auth.uid())
    )
);
create policy "people add events to their interactions" on public.watch_events
for insert to authenticated
with check (
    exists (
        select
        from public.video_interactions as interaction
        where
            interaction.id = watch_events.interaction_id
            and interaction.created_at = watch_events.interaction_created_at
            and interaction.user_id = (select auth.uid())
    )
);

-- user_session_details: the app reports the visits of who is signed in.
grant select on public.user_session_details to app_authenticated;
grant insert (
    user_id,
    session_id,
    device_type,
    device_os,
    app_version,
    connection_type,
    session_end,
    total_videos_watched,
    total_watch_time,
    avg_load_time_ms,
    error_count
) on public.user_session_details to app_authenticated;
grant update (
    user_id,
    session_id,
    device_type,
    device_os,
    app_version,
    connection_type,
    session_end,
    total_videos_watched,
    total_watch_time,
    avg_load_time_ms,
    error_count
) on public.user_session_details to app_authenticated;
grant select, insert, update, delete on public.user_session_details to app_service;
create policy "people read their own visits" on public.user_session_details
for select to authenticated
using (user_id = (select auth.uid()));
create policy "people write their own visits" on public.user_session_details
for insert to authenticated
with check (user_id = (select auth.uid()));
create policy "people update their own visits" on public.user_session_details
for update to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));

-- user_feedback: people say it, and take it back. To say it again goes through submit_feedback.
grant select, delete on public.user_feedback to app_authenticated;
grant insert (
    user_id, video_id, session_id, feedback_type, reason, comment, source_keyword, position_in_list
) on public.user_feedback to app_authenticated;
grant select, insert, update, delete on public.user_feedback to app_service;
create policy "people read their own feedback" on public.user_feedback
for select to authenticated
using (user_id = (select auth.uid()));
create policy "people give their own feedback" on public.user_feedback
for insert to authenticated
with check (user_id = (select auth.uid()));
create policy "people take back their own feedback" on public.user_feedback
for delete to authenticated
using (user_id = (select auth.uid()));

-- search_sessions_archive: personal and past, for the service only.
grant select, insert, delete on private.search_sessions_archive to app_service;

-- start_search, end_search, record_interaction, record_watch_event, submit_feedback, report_playback_error,
-- touch_cached_video: what people do, each for themselves; the private halves ask who it is.
grant execute on function public.start_search(text, text, jsonb, text, uuid, text) to app_authenticated;
grant execute on function private.open_search(text, text, jsonb, text, uuid, text) to app_authenticated;
grant execute on function public.end_search(
    uuid, text, integer, integer, integer, integer, integer, jsonb
) to app_authenticated;
grant execute on function private.close_search(
    uuid, text, integer, integer, integer, integer, integer, jsonb
) to app_authenticated;
grant execute on function public.record_interaction(jsonb) to app_authenticated;
grant execute on function private.store_interactions(jsonb) to app_authenticated;
grant execute on function public.record_watch_event(jsonb) to app_authenticated;
grant execute on function private.store_watch_events(jsonb) to app_authenticated;
grant execute on function public.submit_feedback(text, text, text, text, uuid, text, integer) to app_authenticated;
grant execute on function private.store_feedback(text, text, text, text, uuid, text, integer) to app_authenticated;
grant execute on function public.report_playback_error(text, integer, text) to app_authenticated;
grant execute on function private.store_playback_error(text, integer, text) to app_authenticated;
grant execute on function public.touch_cached_video(text) to app_authenticated;
grant execute on function private.note_cache_hit(text) to app_authenticated;

-- cached_channels: public facts, readable by everybody.
grant select on public.cached_channels to app_anonymous;
grant select, insert, update, delete on public.cached_channels to app_service;
create policy "channels are readable by everybody" on public.cached_channels
for select to anon, authenticated
using (true);

-- cached_videos: who is signed in sees what plays; anonymous visitors see the well known part of it.
grant select on public.cached_videos to app_anonymous;
grant select, insert, update, delete on public.cached_videos to app_service;
create policy anonymous_limited_read on public.cached_videos
for select to anon
using (is_playable and view_count > 1000);
create policy authenticated_basic_read on public.cached_videos
for select to authenticated
using (is_playable);

-- keyword_video_mappings: derived from the videos, for who is signed in.
grant select on public.keyword_video_mappings to app_authenticated;
grant select, insert, update, delete on public.keyword_video_mappings to app_service;
create policy "mappings are readable by who is signed in" on public.keyword_video_mappings
for select to authenticated
using (true);

-- video_quality_scores: derived from the videos, for who is signed in.
grant select on public.video_quality_scores to app_authenticated;
grant select, insert, update, delete on public.video_quality_scores to app_service;
create policy "scores are readable by who is signed in" on public.video_quality_scores
for select to authenticated
using (true);

-- keyword_performance_cache, keyword_effectiveness, trend_predictions: analytics, for premium and up; what only one or
-- two people searched for is for nobody.
grant select on public.keyword_performance_cache to app_authenticated;
grant select, insert, update, delete on public.keyword_performance_cache to app_service;
create policy "premium reads the performance of keywords" on public.keyword_performance_cache
for select to authenticated
using ((select private.has_tier('premium')) and (people is null or people >= (select private.fewest_people())));
grant select on public.keyword_effectiveness to app_authenticated;
grant select, insert, update, delete on public.keyword_effectiveness to app_service;
create policy "premium reads the effectiveness of keywords" on public.keyword_effectiveness
for select to authenticated
using ((select private.has_tier('premium')) and (people is null or people >= (select private.fewest_people())));
grant select on public.trend_predictions to app_authenticated;
grant select, insert, update, delete on public.trend_predictions to app_service;
create policy "premium reads predictions" on public.trend_predictions
for select to authenticated
using ((select private.has_tier('premium')));

-- quality, summaries: the service scores; where a video plays is for everybody, one's own month for who is signed in,
-- categories for premium and up, who are told apart inside.
grant execute on function public.calculate_quality_score(text, text) to app_service;
grant execute on function public.set_ai_analysis(text, jsonb, text, double precision, jsonb) to app_service;
grant execute on function public.is_playable_in(text, text) to app_anonymous, app_service;
grant execute on function private.plays_in(jsonb, text) to app_anonymous, app_service;
grant execute on function public.my_activity() to app_authenticated;
grant execute on function private.activity_of_caller() to app_authenticated;
grant execute on function public.category_trends(integer) to app_authenticated;
grant execute on function private.category_trends_for_premium(integer) to app_authenticated;
-- What detect_trends calls, for the days of its series.
grant execute on function private.korean_day(timestamptz) to app_service;

-- trending_keywords: full rows for premium and up; anonymous visitors may ask and get none, see trending_now.
grant select on public.trending_keywords to app_anonymous;
grant select, insert, update, delete on public.trending_keywords to app_service;
create policy premium_advanced_features on public.trending_keywords
for select to authenticated
using ((select private.has_tier('premium')));

-- keyword_signals: raw counts, for the service.
grant select, insert, update, delete on private.keyword_signals to app_service;

-- trending_now: the limited list, for everybody.
grant execute on function public.trending_now(text, integer) to app_anonymous, app_service;
grant execute on function private.limited_trends(text, integer) to app_anonymous, app_service;

-- The private topic trends: the same, as it comes. No policy lets a client send to it, so nobody can forge a trend.
create policy "everybody hears of trends" on realtime.messages
for select to anon, authenticated
using (topic = 'trends' and extension = 'broadcast');

-- ingest, detect, receive: the service's own verbs.
grant execute on function public.ingest_videos(jsonb) to app_service;
grant execute on function public.ingest_keyword_signals(jsonb) to app_service;
grant execute on function public.detect_trends(timestamptz, text) to app_service;
grant execute on function public.receive_trend_event(text, jsonb) to app_service;

-- What policies and the verbs above call under the caller's own rights.
grant execute on function private.claims() to app_anonymous, app_service;
grant execute on function private.user_id() to app_anonymous, app_service;
grant execute on function private.request_headers() to app_anonymous, app_service;
grant execute on function private.request_id() to app_anonymous, app_service;
grant execute on function private.is_admin() to app_anonymous, app_service;
grant execute on function private.has_tier(public.tier_enum) to app_anonymous, app_service;
grant execute on function private.check_batch(jsonb) to app_service;
grant execute on function private.check_counts(jsonb) to app_service;
grant execute on function private.normalize_keyword(text) to app_service;
grant execute on function private.region_codes() to app_service;
grant execute on function private.read_videos(jsonb) to app_service;
grant execute on function private.read_keyword_signals(jsonb) to app_service;
-- The planner of every query on cached_videos reads it: an index is made with it.
grant execute on function private.shorts_limit_seconds() to app_anonymous, app_service;
grant execute on function private.plays_everywhere(boolean, text, text, boolean, integer, text) to app_service;
grant execute on function private.overall_quality(
    double precision, double precision, double precision, numeric, numeric
) to app_service;
grant execute on function private.is_distribution(jsonb, text[]) to app_authenticated, app_service;
grant execute on function private.fewest_people() to app_authenticated, app_service;
grant execute on function private.is_taste(double precision[]) to app_authenticated, app_service;
grant execute on function private.are_short_texts(text[], integer) to app_authenticated, app_service;
grant execute on function private.request_network() to app_authenticated, app_service;
grant execute on function private.trial_has_room() to app_authenticated, app_service;
grant execute on function private.trend_dedupe_key(text, text, timestamptz) to app_service;

-- quotas, the queue of videos to look up, runs: for the service; only an operator changes a limit.
grant select on private.quota_limits to app_service;
grant select, insert, update on private.quota_days to app_service;
grant select, insert, update, delete on private.refresh_queue to app_service;
grant select, insert, update, delete on private.refresh_keywords to app_service;
grant select, insert, update on private.ingest_runs to app_service;
grant execute on function public.take_quota(text, integer) to app_service;
grant execute on function public.close_quota(text) to app_service;
grant execute on function public.queue_videos(jsonb) to app_service;
grant execute on function public.claim_refreshes(integer, integer) to app_service;
grant execute on function public.finish_refreshes(uuid, jsonb, jsonb) to app_service;
grant execute on function public.release_refreshes(uuid, text, integer) to app_service;
grant execute on function public.begin_ingest_run(text, jsonb) to app_service;
grant execute on function public.save_ingest_run(uuid, jsonb, jsonb) to app_service;
grant execute on function public.end_ingest_run(uuid, text, jsonb) to app_service;
grant execute on function public.ingest_status() to app_service;
grant execute on function private.pacific_day(timestamptz) to app_service;
grant execute on function private.pacific_midnight(date) to app_service;
grant execute on function private.quota_state(text) to app_service;
grant execute on function private.quota_limit(text) to app_service;
grant execute on function private.refresh_priority(text) to app_service;
grant execute on function private.second_chance_wait(integer) to app_service;
grant execute on function private.player_error_after(
    integer, timestamptz, integer, timestamptz, boolean
) to app_service;
grant execute on function private.search_relevance(integer) to app_service;
grant execute on function private.read_queued_videos(jsonb) to app_service;
grant execute on function private.map_searches(jsonb) to app_service;
grant execute on function private.retry_wait(integer, integer) to app_service;
grant execute on function private.give_back_refreshes(uuid, text, integer) to app_service;
grant execute on function private.check_lease(uuid) to app_service;
grant execute on function private.store_missing_videos(text[]) to app_service;
grant execute on function private.give_second_chances(text[]) to app_service;
grant execute on function private.check_object(text, jsonb) to app_service;
grant execute on function private.no_such_run(uuid) to app_service;

-- channels, statistics and the formulas of scores: the service's own, and what its verbs call under its rights.
grant select on private.channel_statistics to app_service;
grant execute on function public.ingest_channels(jsonb) to app_service;
grant execute on function private.read_channels(jsonb) to app_service;
grant execute on function private.quality_figures(text[]) to app_service;
grant execute on function private.check_ai_analysis(jsonb, text, double precision, jsonb) to app_service;
grant execute on function private.version_order(text) to app_service;
grant execute on function private.wilson_lower_bound(
    double precision, double precision, double precision
) to app_service;
grant execute on function private.shrunk_rate(
    double precision, double precision, double precision, double precision
) to app_service;
grant execute on function private.engagement_rate(bigint, bigint, bigint) to app_service;
grant execute on function private.engagement_score(bigint, bigint, bigint, double precision) to app_service;
grant execute on function private.channel_engagement(double precision, bigint) to app_service;
grant execute on function private.like_score(bigint, bigint) to app_service;
grant execute on function private.retention_score(double precision, bigint) to app_service;
grant execute on function private.freshness(interval) to app_service;
-- told trends: what others observed, through the service.
grant execute on function public.upsert_trending_keyword(jsonb) to app_service;
grant execute on function public.upsert_trending_keywords(jsonb) to app_service;
grant execute on function private.read_told_trends(jsonb) to app_service;

-- detection: what detect_trends, ingest_keyword_signals and backtest_bursts read, write and call as the service.
grant select, insert, update, delete on private.signal_marks to app_service;
grant select, insert, update, delete on private.observed_bins to app_service;
grant select, insert, update, delete on private.keyword_states to app_service;
grant select, insert, update, delete on private.state_positions to app_service;
grant select on private.detector_settings to app_service;
grant execute on function public.backtest_bursts(double precision[], integer, timestamptz) to app_service;
grant execute on function private.empty_state() to app_service;
grant execute on function private.seasonal_base(private.burst_state, integer) to app_service;
grant execute on function private.usual_mentions(private.burst_state, integer) to app_service;
grant execute on function private.usual_variance(private.burst_state, double precision) to app_service;
grant execute on function private.burst_z(private.burst_state, integer, double precision) to app_service;
grant execute on function private.next_state(
    private.burst_state, integer, double precision, integer, integer
) to app_service;
grant execute on function private.state_after_silence(private.burst_state, integer, integer, integer) to app_service;
grant execute on function private.silent_state(integer[], integer) to app_service;
grant execute on function private.replay_states(
    private.burst_state, integer, integer[], integer[], double precision[], integer, integer
) to app_service;
grant execute on function private.replay_keywords(text, text, text[], timestamptz) to app_service;
grant execute on function private.fold_keyword_states(timestamptz, text) to app_service;
grant execute on function private.ln_gamma(double precision) to app_service;
grant execute on function private.beta_fraction(double precision, double precision, double precision) to app_service;
grant execute on function private.count_tail(double precision, double precision, double precision) to app_service;
grant execute on function private.burst_p(
    double precision, double precision, double precision, double precision
) to app_service;
grant execute on function private.fisher_tail(double precision, integer) to app_service;
grant execute on function private.tested_bins(timestamptz, text) to app_service;
grant execute on function private.has_untested_bins(timestamptz, text) to app_service;
grant execute on function private.score_keywords(timestamptz, text, boolean, text[]) to app_service;
grant execute on function private.detect_bursts(timestamptz, text) to app_service;
grant execute on function private.detect_new_keywords(timestamptz, text) to app_service;
grant execute on function private.detect_spread(timestamptz, text) to app_service;
grant execute on function private.made_by_one_channel(text, integer, timestamptz) to app_service;
grant execute on function private.detected(timestamptz, text) to app_service;
-- forecast: the service forecasts and scores; how good the forecasts were is for premium and up, as they are.
grant execute on function public.backtest_forecast(double precision[], integer) to app_service;
grant execute on function private.forecast(double precision[], integer) to app_service;
grant execute on function private.fill_gaps(double precision[]) to app_service;
grant execute on function private.forecast_methods() to app_service;
grant select on public.forecast_accuracy to app_authenticated, app_service;

-- facts of trends: what detect_trends reads and calls as the service; the strongest for premium, by the table's policy.
grant select on private.trend_sources to app_service;
grant execute on function private.trend_companions(text[]) to app_service;
grant execute on function private.regional_popularity(text[], text[], timestamptz[]) to app_service;
grant execute on function public.top_trends(text, text) to app_authenticated, app_service;
grant execute on function private.video_category_names() to app_authenticated, app_service;
grant execute on function private.region_codes() to app_authenticated;

-- surges: the service ranks counts of its own.
grant execute on function public.backtest_surges(
    double precision[], double precision[], double precision[]
) to app_service;
grant execute on function private.surge_score(double precision, double precision, double precision) to app_service;

-- one reading for bursts and new keywords: called by the detectors, as the service.
grant execute on function private.detect_alone(timestamptz, text) to app_service;

-- search pages, suggestions, synonyms: search is for everybody. A page has nothing but what its readers may see, and is
-- read directly: a function in between would cost more than the look-up.
grant select on private.keyword_pages to app_anonymous, app_service;
create policy "visitors read their pages" on private.keyword_pages
for select to anon
using (is_anonymous);
create policy "who is signed in reads their pages" on private.keyword_pages
for select to authenticated
using (not is_anonymous);
grant select, insert, update, delete on private.synonyms to app_service;
grant select on private.search_page_reads to app_service;
grant select on ops.search_page_health to app_service;
grant select on private.unanswered_searches to app_service;
grant select on private.keywords to app_service;
grant execute on function public.search_videos(
    text, integer, text, integer, double precision, integer, text, boolean
) to app_anonymous, app_service;
grant execute on function private.search_afresh(
    text, integer, text, integer, double precision, integer, text, boolean
) to app_anonymous, app_service;
grant execute on function private.count_page_read(boolean, integer) to app_anonymous, app_service;
grant execute on function public.suggest_keywords(text, integer) to app_anonymous, app_service;
grant execute on function private.suggested_keywords(text, integer) to app_anonymous, app_service;
grant execute on function public.unanswered_searches(integer) to app_service;

-- learning: the service brings vectors; similar videos are for everybody, who may see them by the policy of the table.
grant select on private.video_cards to app_service;
grant select, insert, update, delete on private.video_vectors to app_service;
grant execute on function public.set_video_embeddings(jsonb, text) to app_service;
grant execute on function public.set_video_embedding(text, double precision[], text) to app_service;
grant execute on function private.unit_vector(double precision[]) to app_service;
grant execute on function public.similar_videos(text, integer, text) to app_anonymous, app_service;
grant execute on function private.similar_to(text, integer, bigint) to app_anonymous, app_service;

-- conversations with the AI: people take and answer turns of their own; only an operator changes a limit.
grant select on private.ai_turn_limits to app_service;
grant select on private.ai_turn_days to app_service;
grant execute on function public.open_ai_turn(text, uuid) to app_authenticated;
grant execute on function public.close_ai_turn(
    uuid, uuid, text, text, text, boolean, text[], integer
) to app_authenticated;
grant execute on function private.begin_ai_turn(text, uuid) to app_authenticated;
grant execute on function private.end_ai_turn(
    uuid, uuid, text, text, text, boolean, text[], integer
) to app_authenticated;

-- feed: one's own, by the token alone; an operator tunes weights and moods as the service.
grant execute on function public.personalized_feed(integer, text) to app_authenticated;
grant execute on function private.serve_feed(integer, text) to app_authenticated;
grant select, insert, update, delete on private.feed_weights to app_service;
grant select, insert, update, delete on private.mood_topics to app_service;
grant select on private.feed_impressions to app_service;
grant select on private.feed_exposures to app_service;

-- trend news: everybody asks through trends_since, limited below premium. Topics of tiers are for who holds them.
-- Whatever a topic is called, these conditions compare texts and cannot raise: one that did would silence all others.
grant execute on function public.trends_since(bigint, integer) to app_anonymous, app_service;
grant execute on function private.trend_news_after(bigint, integer) to app_anonymous, app_service;
create policy "premium and up hear of whole trends" on realtime.messages
for select to authenticated
using (
    extension = 'broadcast'
    and (
        (topic = 'trends:premium' and (select private.has_tier('premium')))
        or (topic = 'trends:pro' and (select private.has_tier('pro')))
        or (topic = 'trends:enterprise' and (select private.has_tier('enterprise')))
    )
);

-- notifications: people read, mark as read and delete their own; the handlers of the webhooks write them.
grant select, delete on public.notifications to app_authenticated;
grant update (read_at) on public.notifications to app_authenticated;
grant select, insert, update, delete on public.notifications to app_service;
grant execute on function public.receive_trend_update(text, jsonb) to app_service;
grant execute on function private.folded_keywords(text[]) to app_authenticated, app_service;
create policy "people keep their own notifications" on public.notifications
for all to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));

-- webhooks of premium people: who is signed in calls; the functions ask for the tier where it is needed. The list of
-- one's own is the table, public.webhook_endpoints.
grant execute on function public.add_my_webhook(text, text[], text) to app_authenticated;
grant execute on function public.rotate_my_webhook_secret(uuid, integer) to app_authenticated;
grant execute on function public.test_my_webhook(uuid) to app_authenticated;
grant execute on function public.set_my_webhook(uuid, boolean) to app_authenticated;
grant execute on function public.remove_my_webhook(uuid) to app_authenticated;
grant execute on function public.my_webhook_log(uuid, integer, timestamptz) to app_authenticated;
grant execute on function public.replay_my_webhooks(uuid, timestamptz) to app_authenticated;
grant execute on function private.add_own_webhook(text, text[], text) to app_authenticated;
grant execute on function private.manage_own_webhook(text, uuid, jsonb) to app_authenticated;

-- supabase/schemas/shorts/80_monitoring.sql

-- Promises the room's figures at a glance, for operators: they are about everybody's use.

create view ops.performance_dashboard
with (security_invoker = true)
as
with videos as (
    select
        count(*) filter (where video.last_accessed_at > now() - interval '1 hour') as active_cache_count,
        round(avg(video.cache_hit_count) filter (where video.cache_hit_count > 0), 2) as avg_cache_hits
    from public.cached_videos as video
),

searches as (
    select
        -- 0 is what a search has that nobody timed.
        round(avg(session.response_time_ms) filter (where session.response_time_ms > 0), 2) as avg_response_time,
        count(*) filter (where session.cache_hit) as cache_hit_count,
        count(distinct session.user_id) as active_users,
        round(avg(session.user_satisfaction_rating), 2) as avg_satisfaction
    from public.search_sessions as session
    where session.session_started_at > now() - interval '1 hour'
)

select
    videos.active_cache_count,
    videos.avg_cache_hits,
    searches.avg_response_time,
    searches.cache_hit_count,
    searches.active_users,
    searches.avg_satisfaction,
    now() as last_updated
from videos
cross join searches;
comment on view ops.performance_dashboard is 'Seven figures of the room in one row.';
comment on column ops.performance_dashboard.active_cache_count is 'Videos that were asked for in the last hour.';
comment on column ops.performance_dashboard.avg_cache_hits is 'Mean hits of a video that has any; null while none has.';
comment on column ops.performance_dashboard.avg_response_time is
'Mean milliseconds until the results of a search of the last hour; null while none was timed.';
comment on column ops.performance_dashboard.cache_hit_count is
'Searches of the last hour whose question had been answered a little before.';
comment on column ops.performance_dashboard.active_users is 'People who searched in the last hour.';
comment on column ops.performance_dashboard.avg_satisfaction is
'Mean rating of the last hour''s searches, 1 to 5; null while none is rated.';
comment on column ops.performance_dashboard.last_updated is 'When it was asked.';

grant select on ops.performance_dashboard to app_service;

create function private.shorts_figures(at timestamptz)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select to_jsonb(dashboard) - 'last_updated'
    from ops.performance_dashboard as dashboard
$$;
comment on function private.shorts_figures(timestamptz) is
'The room''s dashboard, for the history of figures that the floor keeps.';

-- supabase/schemas/shorts/90_schedule.sql

-- Promises that trends are looked for and figures kept without anybody asking: all of the room's jobs, each one
-- transaction and one bounded batch. pg_cron counts in GMT; Korea is nine hours ahead.

-- Every five minutes: a source that has delivered nothing new costs nothing and finds nothing.
select cron.schedule('shorts-detect-trends', '*/5 * * * *', 'select public.detect_trends()');

-- Every minute: counters lag behind by no more than that.
select cron.schedule(
    'shorts-fold-counters',
    '* * * * *',
    $$select ops.log_job_run('shorts-fold-counters', private.fold_counters())$$
);

-- Every hour, each at its own minute.
select cron.schedule(
    'shorts-rollup-keywords',
    '25 * * * *',
    $$select ops.log_job_run('shorts-rollup-keywords', private.rollup_keyword_metrics(private.korean_day()))$$
);
select cron.schedule(
    'shorts-analyze-patterns',
    '35 * * * *',
    $$select ops.log_job_run('shorts-analyze-patterns', private.analyze_search_patterns())$$
);
select cron.schedule(
    'shorts-refresh-summaries',
    '50 * * * *',
    $$select ops.log_job_run('shorts-refresh-summaries', private.refresh_summaries())$$
);

-- 00:10 in Korea: yesterday whole, with its last half hour.
select cron.schedule(
    'shorts-rollup-yesterday',
    '10 15 * * *',
    $$select ops.log_job_run('shorts-rollup-yesterday', private.rollup_keyword_metrics(private.korean_day() - 1))$$
);

-- 01:00 to 01:59 in Korea, every minute a batch: a night takes 600,000 searches, and an empty batch costs nothing.
select cron.schedule(
    'shorts-archive-sessions',
    '* 16 * * *',
    $$select ops.log_job_run('shorts-archive-sessions', private.archive_search_sessions())$$
);

-- 02:40 in Korea: after months are made, before floor-drop-expired-partitions, which it clears the way for.
select cron.schedule(
    'shorts-prune-watch-events',
    '40 17 * * *',
    $$select ops.log_job_run('shorts-prune-watch-events', private.prune_watch_events())$$
);

-- Every 15 minutes: what is due goes into the queue of the refresh worker, and old records of its work go.
select cron.schedule(
    'shorts-queue-due-videos',
    '*/15 * * * *',
    $$select ops.log_job_run(
        'shorts-queue-due-videos', private.queue_due_videos() || private.forget_ingest_history()
    )$$
);

-- Every ten minutes, channels three minutes before the videos that are scored by them.
select cron.schedule(
    'shorts-score-channels',
    '2-59/10 * * * *',
    $$select ops.log_job_run('shorts-score-channels', private.score_channels())$$
);
select cron.schedule(
    'shorts-score-videos',
    '5-59/10 * * * *',
    $$select ops.log_job_run('shorts-score-videos', private.score_videos())$$
);

-- A minute before trends are looked for, so that what people searched for until now is among it.
select cron.schedule(
    'shorts-count-internal-signals',
    '4-59/5 * * * *',
    $$select ops.log_job_run('shorts-count-internal-signals', private.count_internal_signals())$$
);

-- 03:00 to 03:59 in Korea, every minute a batch: a night takes 120,000 videos. It is told the moment of the next night,
-- so that nothing gets older than 30 days in between.
select cron.schedule(
    'shorts-purge-api-data',
    '* 18 * * *',
    $$
        select ops.log_job_run('shorts-purge-api-data', private.purge_api_data(at => now() + interval '1 day'))
    $$
);

-- What is not mentioned any more is silent without a row too. Each hour, so that a flood goes as fast as it came.
select cron.schedule(
    'shorts-forget-keyword-states',
    '45 * * * *',
    $$select ops.log_job_run('shorts-forget-keyword-states', private.forget_keyword_states())$$
);

-- Every hour, when the hour before has long been ingested; what is foretold late in the day replaces what was early.
select cron.schedule(
    'shorts-forecast-trends',
    '20 * * * *',
    $$select ops.log_job_run('shorts-forecast-trends', private.forecast_trends())$$
);

-- 00:30 in Korea: yesterday is over, its trends are found.
select cron.schedule(
    'shorts-score-predictions',
    '30 15 * * *',
    $$select ops.log_job_run('shorts-score-predictions', private.score_predictions())$$
);

-- Every ten minutes, also where detection finds nothing to do: what has expired is closed.
select cron.schedule(
    'shorts-expire-trends',
    '*/10 * * * *',
    $$select ops.log_job_run('shorts-expire-trends', private.expire_trends())$$
);

-- Every minute: a new keyword is suggested two minutes after its first video came; the rest goes round.
select cron.schedule(
    'shorts-refresh-suggestions',
    '* * * * *',
    $$select ops.log_job_run('shorts-refresh-suggestions', private.refresh_suggestions())$$
);
select cron.schedule(
    'shorts-forget-search-pages',
    '3-59/5 * * * *',
    $$select ops.log_job_run('shorts-forget-search-pages', private.forget_search_pages())$$
);

-- Every hour, the day that it was an hour ago: what nobody could be answered.
select cron.schedule(
    'shorts-count-unanswered-searches',
    '40 * * * *',
    $$select ops.log_job_run('shorts-count-unanswered-searches', private.count_unanswered_searches())$$
);

-- Every five minutes: new videos get their vectors soon, and the round over the others comes forward.
select cron.schedule(
    'shorts-fold-video-vectors',
    '3-59/5 * * * *',
    $$select ops.log_job_run('shorts-fold-video-vectors', private.fold_video_vectors())$$
);

-- 04:00 to 04:59 in Korea, every minute a batch: which videos go together; then, from 05:00, what each person likes.
select cron.schedule(
    'shorts-learn-neighbours',
    '* 19 * * *',
    $$select ops.log_job_run('shorts-learn-neighbours', private.learn_neighbours())$$
);
select cron.schedule(
    'shorts-learn-tastes',
    '* 20 * * *',
    $$select ops.log_job_run('shorts-learn-tastes', private.learn_tastes())$$
);

-- Every minute: search and feed know a video within it. What must not be served is looked up in the cache anyway.
select cron.schedule(
    'shorts-fold-video-cards',
    '* * * * *',
    $$select ops.log_job_run('shorts-fold-video-cards', private.fold_video_cards())$$
);

-- Every minute: what is liked now is popular within two. A minute's likes are one batch, unless there are more.
select cron.schedule(
    'shorts-fold-video-heats',
    '* * * * *',
    $$select ops.log_job_run('shorts-fold-video-heats', private.fold_video_heats())$$
);

-- Every five minutes: what feeds showed an hour ago is counted. Every hour: rankings of yesterday are forgotten.
select cron.schedule(
    'shorts-count-feed-impressions',
    '*/5 * * * *',
    $$select ops.log_job_run('shorts-count-feed-impressions', private.count_feed_impressions())$$
);
select cron.schedule(
    'shorts-forget-feed-rankings',
    '40 * * * *',
    $$select ops.log_job_run('shorts-forget-feed-rankings', private.forget_feed_rankings())$$
);

-- Every hour a batch: who was away for longer than a week begins anew.
select cron.schedule(
    'shorts-forget-trend-news',
    '55 * * * *',
    $$select ops.log_job_run('shorts-forget-trend-news', private.forget_trend_news())$$
);

-- Every hour a batch: notifications are kept for 30 days.
select cron.schedule(
    'shorts-forget-notifications',
    '57 * * * *',
    $$select ops.log_job_run('shorts-forget-notifications', private.forget_notifications())$$
);
