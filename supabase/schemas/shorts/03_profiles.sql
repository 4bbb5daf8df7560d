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
