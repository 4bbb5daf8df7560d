-- One profile and one set of habits per person, with the defaults of the design, refusing what no feed could use.
begin;
\ir ../model.psql
select plan(40);

-- An empty house: nobody of the running stack is seen in here.
delete from auth.users;

insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');

select results_eq(
    $$
        select pg_temp.columns_of('public.users', array[
            'id', 'email', 'name', 'avatar_url', 'user_tier', 'subscription_expires_at', 'daily_api_usage',
            'monthly_api_usage', 'settings', 'created_at', 'updated_at'
        ])
    $$,
    array[
        'id uuid not null',
        'email varchar(255)',
        'name varchar(100)',
        'avatar_url text',
        'user_tier tier_enum not null default ''free''::tier_enum',
        'subscription_expires_at timestamptz',
        'daily_api_usage integer not null default 0',
        'monthly_api_usage integer not null default 0',
        'settings jsonb not null default {"theme": "light", "language": "ko", "auto_play": true, '
        || '"notifications": true}',
        'created_at timestamptz not null default now()',
        'updated_at timestamptz not null default now()'
    ],
    'S-020, U-01: users has the first design''s columns; the id is that of Auth, the address is masked'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.users', array[
            'auth_id', 'username', 'preferences', 'subscription_end', 'email_encrypted'
        ])
    $$,
    array[
        'auth_id uuid generated id',
        'username citext',
        'preferences jsonb not null default {}',
        'subscription_end timestamptz generated subscription_expires_at',
        'email_encrypted bytea'
    ],
    'S-021, C-06, C-07, C-08, C-10: and the second design''s names beside them'
);
update public.users
set
    username = 'One',
    subscription_expires_at = '2030-01-01 00:00+09'
where id = '11111111-1111-4111-8111-111111111111';
select results_eq(
    $$
        select auth_id = id and subscription_end = subscription_expires_at
        from public.users
        where username = 'oNE'
    $$,
    array[true],
    'S-021: the names of the two designs mean the same, and a handle is found in any case'
);
select is(
    pg_temp.verdicts(
        $$update public.users set username = %L where id = '22222222-2222-4222-8222-222222222222'$$,
        array['two', 'ONE', 'x', 'a b']
    ),
    array[
        'taken', '23505 users_username_key', '23514 username_is_a_handle', '23514 username_is_a_handle'
    ],
    'S-021, C-06: a handle is one word, and nobody else''s'
);
select results_eq(
    $$
        select key, value
        from jsonb_each((select settings from public.users where username = 'one'))
        order by key
    $$,
    $$values ('auto_play', 'true'::jsonb), ('language', '"ko"'), ('notifications', 'true'), ('theme', '"light"')$$,
    'S-022: settings begin with the four of the design'
);
select is(
    pg_temp.verdicts(
        $$update public.users set settings = settings || %L where username = 'one'$$,
        array['{"language": "en"}', '{"mine": [1]}', '{"language": 1}', '{"auto_play": "yes"}']
    ),
    array['taken', 'taken'] || array_fill('23514 settings_have_their_types'::text, array[2]),
    'S-022: and keep their types'
);

select results_eq(
    $$
        select pg_temp.columns_of('public.user_profiles', array[
            'id', 'user_id', 'preference_vector', 'preferred_categories', 'preferred_keywords', 'disliked_categories',
            'mood_patterns', 'personalization_weights', 'created_at', 'updated_at'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'user_id uuid not null default auth.uid()',
        'preference_vector double precision[]',
        'preferred_categories text[] not null default ARRAY[''general''::text]',
        'preferred_keywords text[] not null default ARRAY[]::text[]',
        'disliked_categories text[] not null default ARRAY[]::text[]',
        'mood_patterns jsonb not null default {"night": ["calm", "asmr", "sleep"], "evening": ["relaxing", '
        || '"entertainment", "healing"], "morning": ["energetic", "news", "workout"], "afternoon": ["focus", '
        || '"educational", "productivity"]}',
        'personalization_weights jsonb not null default {"category_match": 0.30, "diversity_bonus": 0.05, '
        || '"freshness_factor": 0.10, "popularity_score": 0.15, "temporal_context": 0.15, "keyword_relevance": 0.25}',
        'created_at timestamptz not null default now()',
        'updated_at timestamptz not null default now()'
    ],
    'S-023: user_profiles has the first design''s columns, types and defaults'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.user_profiles', array[
            'personality_vector', 'time_preferences', 'context_preferences', 'profile_confidence', 'embedding'
        ])
    $$,
    array[
        'personality_vector jsonb not null default {}',
        'time_preferences jsonb not null default {}',
        'context_preferences jsonb not null default {}',
        'profile_confidence numeric(3,2) not null default 0',
        'embedding vector(100) generated CASE WHEN private.is_taste(preference_vector) '
        || 'THEN (preference_vector)::vector(100) ELSE NULL::vector END'
    ],
    'S-024, C-11, C-12: and the second design''s, the embedding computed from the vector'
);
select set_eq(
    $$
        select relation.relname::text
        from pg_class as relation
        where
            relation.relnamespace = 'public'::regnamespace
            and relation.relrowsecurity
            and relation.relname in ('user_profiles', 'user_search_patterns')
    $$,
    array['user_profiles', 'user_search_patterns'],
    'S-002, S-003: nobody reads a row of these that no policy lets through'
);
select results_eq(
    'select user_id from public.user_profiles order by user_id',
    'select id from public.users order by id',
    'S-002: a person has a profile from the sign-up on'
);
select is(
    pg_temp.verdicts(
        'insert into public.user_profiles (user_id) values (%L)',
        array['11111111-1111-4111-8111-111111111111', null, '99999999-9999-4999-8999-999999999999']
    ),
    array['23505 user_profiles_user_id_key', '23502', '23503 user_profiles_user_id_fkey'],
    'S-002, C-34, D65: one profile for a person, none for nobody'
);
select is(
    pg_temp.verdicts(
        $$
            update public.user_profiles
            set preference_vector = (select array_agg(0.01 * place) from generate_series(1, %s) as place)
        $$,
        array['100', '0', '3', '99', '101']
    ),
    array['taken', 'taken'] || array_fill('23514 preference_vector_has_100_numbers'::text, array[3]),
    'S-023, S-252, U-13, D64: a vector has 100 numbers, or there is none'
);
select is(
    pg_temp.verdicts(
        'update public.user_profiles set preference_vector = %s',
        array[
            'array_fill(0.5, array[10, 10])',
            'array_fill(null::float8, array[100])',
            'array_fill(''NaN''::float8, array[100])',
            'array_fill(''-Infinity''::float8, array[100])',
            'array_fill(1e300::float8, array[100])'
        ]
    ),
    array_fill('23514 preference_vector_has_100_numbers'::text, array[5]),
    'S-023, D64: and each of them is a number'
);
update public.user_profiles
set preference_vector = array_fill(0.5, array[100])
where user_id = '11111111-1111-4111-8111-111111111111';
select results_eq(
    $$
        select
            extensions.vector_dims(embedding),
            embedding operator(extensions.<->) array_fill(0.5, array[100])::extensions.vector
        from public.user_profiles
        where embedding is not null
    $$,
    $$values (100, 0::float8)$$,
    'S-024: the embedding has the 100 numbers of the vector, and none where there is none'
);
select results_eq(
    $$
        select key, value
        from jsonb_each((select mood_patterns from public.user_profiles limit 1))
        order by key
    $$,
    $$
        values
        ('afternoon', '["focus", "educational", "productivity"]'::jsonb),
        ('evening', '["relaxing", "entertainment", "healing"]'),
        ('morning', '["energetic", "news", "workout"]'),
        ('night', '["calm", "asmr", "sleep"]')
    $$,
    'S-025: three moods for each part of the day'
);
select results_eq(
    $$
        select key, value
        from jsonb_each((select personalization_weights from public.user_profiles limit 1))
        order by key
    $$,
    $$
        values
        ('category_match', '0.30'::jsonb),
        ('diversity_bonus', '0.05'),
        ('freshness_factor', '0.10'),
        ('keyword_relevance', '0.25'),
        ('popularity_score', '0.15'),
        ('temporal_context', '0.15')
    $$,
    'S-026: the six weights'
);
select is(
    (
        select sum(value::numeric)
        from jsonb_each_text((select personalization_weights from public.user_profiles limit 1))
    ),
    1.00,
    'S-026: they sum to 1'
);
select is(
    pg_temp.verdicts(
        'update public.user_profiles set personalization_weights = personalization_weights || %L',
        array[
            '{"category_match": 0.20, "diversity_bonus": 0.15}',
            '{"category_match": 0.3009}',
            '{"category_match": 0.9}',
            '{"category_match": -0.70, "diversity_bonus": 1.05}',
            '{"category_match": "0.30"}',
            '{"another": 0}',
            '[1]'
        ]
    ),
    array['taken', 'taken'] || array_fill('23514 personalization_weights_sum_to_one'::text, array[5]),
    'S-026: they always do, and no other weight comes in'
);
select is(
    pg_temp.verdict(
        $$update public.user_profiles set personalization_weights = personalization_weights - 'diversity_bonus'$$
    ),
    '23514 personalization_weights_sum_to_one',
    'S-026: none is left out'
);
select is(
    pg_temp.verdicts(
        $$update public.user_profiles set time_preferences = %L$$,
        array['{"morning": ["news", "workout"]}', '[]', 'null']
    ),
    array['taken'] || array_fill('23514 time_preferences_is_a_small_object'::text, array[2]),
    'S-057: time_preferences is one document: {"morning": [...], ...}'
);
select is(
    pg_temp.verdicts(
        $$update public.user_profiles set context_preferences = %L$$,
        array['{"mood": {"calm": 0.8}, "activity": {"commute": ["news"]}}', '["calm"]', '1']
    ),
    array['taken'] || array_fill('23514 context_preferences_is_a_small_object'::text, array[2]),
    'S-058: context_preferences is one document: {"mood": {...}, "activity": {...}}'
);
select is(
    pg_temp.verdicts(
        $$update public.user_profiles set personality_vector = jsonb_build_object('x', repeat('x', %s))$$,
        array['100', '100000']
    ),
    array['taken', '23514 personality_vector_is_a_small_object'],
    'S-024: and none of them is a store for something else'
);
select is(
    pg_temp.verdicts(
        'update public.user_profiles set preferred_keywords = %L',
        array['{캠핑,요리}', '{}', '{""}', '{null}']
    ),
    array['taken', 'taken'] || array_fill('23514 preferred_keywords_are_short_texts'::text, array[2]),
    'S-023: what a person prefers has a name'
);
select set_eq(
    $$select * from pg_temp.fractions_of('public.user_profiles')$$,
    $$values ('profile_confidence', '23514 profile_confidence_is_a_fraction')$$,
    'S-072, D64: the confidence in a profile is 0 to 1'
);

select results_eq(
    $$
        select pg_temp.columns_of('public.user_search_patterns', array[
            'id', 'user_id', 'total_searches', 'ai_searches_used', 'avg_results_clicked', 'hourly_activity_pattern',
            'search_intent_distribution', 'interaction_patterns', 'last_analyzed_at', 'created_at', 'updated_at'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'user_id uuid not null',
        'total_searches integer not null default 0',
        'ai_searches_used integer not null default 0',
        'avg_results_clicked integer not null default 0',
        'hourly_activity_pattern integer[] not null default array_fill(0, ARRAY[24])',
        'search_intent_distribution jsonb not null default {"discovery": 0.1, "education": 0.2, "mood_boost": 0.2, '
        || '"entertainment": 0.4, "trend_following": 0.1}',
        'interaction_patterns jsonb not null default {"like_rate": 0.0, "return_rate": 0.0, '
        || '"click_through_rate": 0.0, "video_completion_rate": 0.0}',
        'last_analyzed_at timestamptz default now()',
        'created_at timestamptz not null default now()',
        'updated_at timestamptz not null default now()'
    ],
    'S-027: user_search_patterns has the first design''s columns, types and defaults'
);
select results_eq(
    'select user_id from public.user_search_patterns order by user_id',
    'select id from public.users order by id',
    'S-003: a person has habits, though empty ones, from the sign-up on'
);
select is(
    pg_temp.verdicts(
        'insert into public.user_search_patterns (user_id) values (%L)',
        array['11111111-1111-4111-8111-111111111111', null]
    ),
    array['23505 user_search_patterns_user_id_key', '23502'],
    'S-003, C-34, D65: one set of habits for a person, none for nobody'
);
select is(
    (select hourly_activity_pattern from public.user_search_patterns limit 1),
    array_fill(0, array[24]),
    'S-027: 24 hours, none of them active yet'
);
select is(
    pg_temp.verdicts(
        'update public.user_search_patterns set hourly_activity_pattern = %s',
        array[
            'array_fill(7, array[24])',
            'array[1, 2, 3]',
            'array_fill(0, array[25])',
            'array_fill(0, array[2, 12])',
            'array_fill(-1, array[24])',
            'array_fill(null::integer, array[24])'
        ]
    ),
    array['taken'] || array_fill('23514 hourly_activity_pattern_has_24_hours'::text, array[5]),
    'S-027, U-13, D64: a day has 24 hours, each with a count'
);
select results_eq(
    $$
        select key, value
        from jsonb_each((select search_intent_distribution from public.user_search_patterns limit 1))
        order by key
    $$,
    $$
        values
        ('discovery', '0.1'::jsonb),
        ('education', '0.2'),
        ('entertainment', '0.4'),
        ('mood_boost', '0.2'),
        ('trend_following', '0.1')
    $$,
    'S-028: the shares of the five intents'
);
select is(
    (
        select sum(value::numeric)
        from jsonb_each_text((select search_intent_distribution from public.user_search_patterns limit 1))
    ),
    1.0,
    'S-028: they sum to 1'
);
select is(
    pg_temp.verdicts(
        'update public.user_search_patterns set search_intent_distribution = search_intent_distribution || %L',
        array[
            '{"discovery": 0.2, "education": 0.1}', '{"discovery": 0.5}', '{"shopping": 0.0}'
        ]
    ),
    array['taken'] || array_fill('23514 search_intents_sum_to_one'::text, array[2]),
    'S-028: they always do, and there is no sixth'
);
select results_eq(
    $$
        select key, value
        from jsonb_each((select interaction_patterns from public.user_search_patterns limit 1))
        order by key
    $$,
    $$
        values
        ('click_through_rate', '0.0'::jsonb),
        ('like_rate', '0.0'),
        ('return_rate', '0.0'),
        ('video_completion_rate', '0.0')
    $$,
    'S-029: four rates, all nothing yet'
);
select is(
    pg_temp.verdict('update public.user_search_patterns set total_searches = -1'),
    '23514 search_counts_are_not_negative',
    'S-027: nobody searched less than never'
);

-- Nothing endless, nothing impossible.
select is(
    pg_temp.verdicts(
        'update public.user_profiles set %s',
        array[
            'preferred_categories = array_fill(''x''::text, array[101])',
            'disliked_categories = array_fill(''x''::text, array[101])',
            'preferred_keywords = array_fill(''x''::text, array[201])',
            'mood_patterns = ''[]''',
            'mood_patterns = jsonb_build_object(''x'', repeat(''x'', 4096))'
        ]
    ),
    array[
        '23514 preferred_categories_are_short_texts',
        '23514 disliked_categories_are_short_texts',
        '23514 preferred_keywords_are_short_texts',
        '23514 mood_patterns_is_a_small_object',
        '23514 mood_patterns_is_a_small_object'
    ],
    'S-023, S-025: lists and moods end somewhere'
);
select is(
    pg_temp.verdicts(
        'update public.user_search_patterns set interaction_patterns = %L',
        array['{"like_rate": 0.5}', '[]']
    ),
    array['taken', '23514 interaction_patterns_is_a_small_object'],
    'S-029: the rates are one object'
);
select is(
    pg_temp.verdicts(
        'update public.users set %s',
        array[
            'avatar_url = ''https://example.com/a.png''',
            'avatar_url = ''javascript:alert(1)''',
            'daily_api_usage = -1',
            'monthly_api_usage = -1',
            'email = ''one@example.com''',
            'preferences = ''[]''',
            'settings = ''[]'''
        ]
    ),
    array[
        'taken',
        '23514 avatar_url_is_http',
        '23514 daily_api_usage_is_not_negative',
        '23514 monthly_api_usage_is_not_negative',
        '23514 email_is_masked',
        '23514 preferences_is_a_small_object',
        '23514 settings_is_a_small_object'
    ],
    'S-020, S-021: a picture has an address, use is counted from 0, and no address of a person is in clear'
);
select col_is_unique('public', 'users', 'auth_id', 'S-021, C-07: auth_id is one person''s');
select col_is_unique(
    'public', 'users', 'email_blind_index', 'S-020, C-28: so is an address, as far as it finds anybody'
);

-- A person goes with all of it.
delete from auth.users
where id = '11111111-1111-4111-8111-111111111111';
select is_empty(
    $$
        select user_id
        from public.user_profiles
        where user_id = '11111111-1111-4111-8111-111111111111'
        union all
        select user_id
        from public.user_search_patterns
        where user_id = '11111111-1111-4111-8111-111111111111'
    $$,
    'S-023, S-027: a profile and habits go with the person'
);

select finish();
rollback;
