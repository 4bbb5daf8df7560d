-- What people do is stored with the defaults of the design, month by month, and refuses what cannot have happened.
begin;
\ir ../model.psql
\ir ../outcome.psql
select plan(74);

create function pg_temp.completion(
    watched integer,
    lasting integer
)
returns numeric
language plpgsql
as $$
declare
    computed numeric;
begin
    update public.video_interactions
    set
        watch_duration = watched,
        total_duration = lasting
    returning completion_rate
    into computed;
    return computed;
end
$$;

create function pg_temp.moment(ahead integer)
returns timestamptz
language sql
as $$
    select date_trunc('month', now(), 'UTC') + make_interval(months => ahead, days => 20)
$$;

create function pg_temp.month_of(
    parent text,
    ahead integer
)
returns text
language sql
as $$
    select format('private.%s_%s', parent, to_char(pg_temp.moment(ahead) at time zone 'UTC', 'YYYY_MM'))
$$;

create function pg_temp.partitions_scanned(query text)
returns text[]
language plpgsql
as $$
declare
    plan jsonb;
begin
    execute 'explain (format json, verbose) ' || query
    into plan;
    return (
        select array_agg(distinct format('%s.%s', node ->> 'Schema', node ->> 'Relation Name'))
        from jsonb_path_query(plan, 'strict $.**?(exists(@."Relation Name"))') as node
    );
end
$$;

-- An empty house: nobody of the running stack is seen in here.
delete from auth.users;
delete from public.search_sessions;

insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'one@example.com'),
('22222222-2222-4222-8222-222222222222', 'two@example.com');
\set one '{"sub": "11111111-1111-4111-8111-111111111111", "role": "authenticated"}'
insert into public.cached_videos (video_id, title)
values
('v1', 'seen'),
('v2', 'not seen');

-- Columns.
select results_eq(
    $$
        select pg_temp.columns_of('public.search_sessions', array[
            'id', 'user_id', 'session_token', 'search_query', 'search_type', 'search_intent', 'user_context',
            'results_count', 'results_shown', 'results_clicked', 'response_time_ms', 'cache_hit', 'api_cost_units',
            'user_satisfaction_rating', 'session_outcome', 'ip_address', 'user_agent', 'session_started_at',
            'session_ended_at', 'created_at', 'updated_at'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'user_id uuid default auth.uid()',
        'session_token varchar(100)',
        'search_query text not null',
        'search_type varchar(50) not null default ''keyword''::character varying',
        'search_intent varchar(50)',
        'user_context jsonb not null default {"browser": "unknown", "weather": "unknown", "location": "unknown", '
        || '"device_type": "unknown", "time_of_day": "unknown"}',
        'results_count integer not null default 0',
        'results_shown integer not null default 0',
        'results_clicked integer not null default 0',
        'response_time_ms integer default 0',
        'cache_hit boolean not null default false',
        'api_cost_units integer not null default 0',
        'user_satisfaction_rating integer',
        'session_outcome varchar(50)',
        'ip_address inet',
        'user_agent text',
        'session_started_at timestamptz not null default now()',
        'session_ended_at timestamptz',
        'created_at timestamptz not null default now()',
        'updated_at timestamptz not null default now()'
    ],
    'S-041: search_sessions has the first design''s columns, types and defaults'
);
select results_eq(
    $$select pg_temp.columns_of('public.search_sessions', array['session_id', 'conversation_context'])$$,
    array[
        'session_id uuid not null default gen_random_uuid()',
        'conversation_context jsonb not null default []'
    ],
    'S-042, C-16: and the second design''s'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.video_interactions', array[
            'id', 'user_id', 'video_id', 'session_id', 'interaction_type', 'interaction_value', 'watch_duration',
            'watch_percentage', 'watched_to_end', 'clicked_thumbnail', 'clicked_title', 'opened_in_youtube',
            'user_rating', 'feedback_text', 'interaction_context', 'interaction_timestamp', 'created_at', 'updated_at'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'user_id uuid not null default auth.uid()',
        'video_id varchar(20) not null',
        'session_id uuid',
        'interaction_type varchar(50) not null',
        'interaction_value integer not null default 1',
        'watch_duration integer not null default 0',
        'watch_percentage double precision not null default 0.0',
        'watched_to_end boolean not null default false',
        'clicked_thumbnail boolean not null default false',
        'clicked_title boolean not null default false',
        'opened_in_youtube boolean not null default false',
        'user_rating integer',
        'feedback_text text',
        'interaction_context jsonb not null default {"source": "search_results", "position": 0, '
        || '"recommendation_score": 0.0}',
        'interaction_timestamp timestamptz not null default now()',
        'created_at timestamptz not null default now()',
        'updated_at timestamptz not null default now()'
    ],
    'S-045, C-01: video_interactions has the first design''s columns, types and defaults'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.video_interactions', array[
            'watch_duration', 'total_duration', 'completion_rate'
        ])
    $$,
    array[
        'watch_duration integer not null default 0',
        'total_duration integer',
        'completion_rate numeric(3,2) not null generated CASE WHEN (total_duration > 0) THEN '
        || 'LEAST(((watch_duration)::numeric / (total_duration)::numeric), 1.0) ELSE (0)::numeric END'
    ],
    'S-046, C-17: and the second design''s'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.user_session_details', array[
            'id', 'user_id', 'session_id', 'device_type', 'device_os', 'app_version', 'connection_type',
            'session_start', 'session_end', 'total_videos_watched', 'total_watch_time', 'avg_load_time_ms',
            'error_count'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'user_id uuid not null default auth.uid()',
        'session_id uuid not null',
        'device_type text',
        'device_os text',
        'app_version text',
        'connection_type text',
        'session_start timestamptz not null default now()',
        'session_end timestamptz',
        'total_videos_watched integer not null default 0',
        'total_watch_time integer not null default 0',
        'avg_load_time_ms integer',
        'error_count integer not null default 0'
    ],
    'S-049: user_session_details has the second design''s columns, types and defaults'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.user_feedback', array[
            'id', 'user_id', 'video_id', 'session_id', 'feedback_type', 'reason', 'comment', 'source_keyword',
            'position_in_list', 'created_at'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'user_id uuid not null default auth.uid()',
        'video_id varchar(20) not null',
        'session_id uuid',
        'feedback_type text not null',
        'reason text',
        'comment text',
        'source_keyword varchar(255)',
        'position_in_list integer',
        'created_at timestamptz not null default now()'
    ],
    'S-050, C-01: user_feedback has the second design''s columns, types and defaults'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.watch_events', array[
            'id', 'interaction_id', 'event_type', 'event_timestamp', 'video_timestamp', 'seek_from', 'seek_to',
            'event_date'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'interaction_id uuid not null',
        'event_type text not null',
        'event_timestamp timestamptz not null default now()',
        'video_timestamp integer',
        'seek_from integer',
        'seek_to integer',
        'event_date date not null generated ((event_timestamp AT TIME ZONE ''UTC''::text))::date'
    ],
    'S-052, U-16: watch_events has the second design''s columns; the date is that of UTC'
);
select results_eq(
    $$
        select pg_temp.columns_of('private.encryption_keys', array[
            'key_name', 'vault_secret_id', 'is_active', 'created_at', 'rotated_at'
        ])
        union all
        select pg_temp.columns_of('private.encryption_keys', array['key_value'])
    $$,
    array[
        'key_name text not null',
        'vault_secret_id uuid',
        'is_active boolean not null default true',
        'created_at timestamptz not null default now()',
        'rotated_at timestamptz'
    ],
    'S-055: encryption_keys names its secrets in Vault, and has no column for a key'
);
select results_eq(
    $$
        select pg_temp.columns_of('ops.audit_logs_enhanced', array[
            'event_type', 'table_name', 'function_name', 'user_id', 'user_role', 'old_data', 'new_data',
            'changed_fields', 'ip_address', 'request_id', 'created_at', 'query', 'duration_ms'
        ])
    $$,
    array[
        'event_type text not null',
        'table_name text',
        'function_name text',
        'user_id uuid',
        'user_role text',
        'old_data jsonb',
        'new_data jsonb',
        'changed_fields text[]',
        'ip_address inet',
        'request_id text',
        'created_at timestamptz not null default clock_timestamp()',
        'query text',
        'duration_ms numeric'
    ],
    'S-056: the audit log has the second design''s columns that hold no personal data'
);
select set_eq(
    $$
        select relation.relname::text
        from pg_class as relation
        where
            relation.relnamespace = 'public'::regnamespace
            and relation.relrowsecurity
            and relation.relname in (
                'search_sessions', 'video_interactions', 'watch_events', 'user_session_details', 'user_feedback'
            )
    $$,
    array['search_sessions', 'video_interactions', 'watch_events', 'user_session_details', 'user_feedback'],
    'S-008, S-009, S-011, S-012, S-014: nobody reads a row of these that no policy lets through'
);

-- A search.
insert into public.search_sessions (id, user_id, search_query, session_started_at)
values
('aaaaaaaa-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', '캠핑', now()),
('aaaaaaaa-0000-4000-8000-000000000002', '22222222-2222-4222-8222-222222222222', '요리', now());
select results_eq(
    $$
        select key, value
        from jsonb_each((select user_context from public.search_sessions limit 1))
        order by key
    $$,
    $$
        values
        ('browser', '"unknown"'::jsonb),
        ('device_type', '"unknown"'),
        ('location', '"unknown"'),
        ('time_of_day', '"unknown"'),
        ('weather', '"unknown"')
    $$,
    'S-043: of the context of a search nothing is known until the app says it'
);
select is(
    pg_temp.verdicts(
        'update public.search_sessions set search_type = ''ai_chat'', conversation_context = %L',
        array['[{"role": "user", "content": "캠핑 영상"}, {"role": "assistant", "content": "…"}]', '{}', '"x"']
    ),
    array['taken'] || array_fill('23514 conversation_context_is_a_small_array'::text, array[2]),
    'S-042: a conversation is the list of its turns'
);
select is(
    pg_temp.verdicts(
        'update public.search_sessions set search_type = %L, conversation_context = ''[{}]''',
        array['ai_chat', 'keyword', 'trending']
    ),
    array['taken'] || array_fill('23514 only_a_conversation_has_turns'::text, array[2]),
    'S-042: and no other search has turns'
);
select is(
    pg_temp.outcome('authenticated', :'one', format('select %s from public.search_sessions', hidden)),
    '42501 permission denied for table search_sessions',
    format('S-044: people do not read %s, not even of their own searches', hidden)
)
from unnest(array['ip_address', 'user_agent', 'session_token']) as hidden;
select is(
    pg_temp.outcome('authenticated', :'one', 'select api_cost_units from public.search_sessions'),
    '1 row',
    'S-044: what a search cost they do'
);
set local request.headers = '{"x-forwarded-for": "203.0.113.77", "user-agent": "app/1.0"}';
insert into public.search_sessions (user_id, search_query)
values ('11111111-1111-4111-8111-111111111111', 'stamped');
select results_eq(
    $$select ip_address, user_agent from public.search_sessions where search_query = 'stamped'$$,
    $$values ('203.0.113.0/24'::inet, 'app/1.0')$$,
    'S-044: network and app are noted from the request'
);
set local request.headers = '';

-- Lists and ranges of a search.
select is(
    pg_temp.verdicts(
        'update public.search_sessions set search_type = %L',
        array['keyword', 'ai_chat', 'trending', 'voice', 'Keyword', '', null]
    ),
    array['taken', 'taken', 'taken'] || array_fill('23514 search_type_is_known'::text, array[3]) || array['23502'],
    'S-067, D64: a search_type is known or refused'
);
select is(
    pg_temp.verdicts(
        'update public.search_sessions set search_intent = %L',
        array['entertainment', 'education', 'mood_boost', 'trend_following', 'discovery', null, 'shopping', '']
    ),
    array_fill('taken'::text, array[6]) || array_fill('23514 search_intent_is_known'::text, array[2]),
    'S-068, D64: a search_intent is one of five, or nobody said'
);
select is(
    pg_temp.verdicts(
        'update public.search_sessions set session_outcome = %L',
        array['satisfied', 'partial', 'abandoned', null, 'great', '']
    ),
    array_fill('taken'::text, array[4]) || array_fill('23514 session_outcome_is_known'::text, array[2]),
    'S-069, D64: a session_outcome is one of three, or the search is open'
);
select is(
    pg_temp.verdicts(
        'update public.search_sessions set user_satisfaction_rating = %s',
        array['1', '2', '3', '4', '5', 'null', '0', '6', '-1']
    ),
    array_fill('taken'::text, array[6]) || array_fill('23514 user_satisfaction_rating_is_1_to_5'::text, array[3]),
    'S-071, D64: a search is rated 1 to 5'
);
select is(
    pg_temp.verdicts(
        'update public.search_sessions set %s',
        array[
            'results_count = -1',
            'results_shown = -1',
            'results_clicked = -1',
            'response_time_ms = -1',
            'api_cost_units = -1',
            'session_ended_at = session_started_at - interval ''1 second''',
            'search_query = ''''',
            'search_query = repeat(''x'', 501)',
            'user_context = ''[]'''
        ]
    ),
    array[
        '23514 result_counts_are_possible',
        '23514 result_counts_are_possible',
        '23514 result_counts_are_possible',
        '23514 response_time_is_possible',
        '23514 api_cost_is_not_negative',
        '23514 a_session_ends_after_it_started',
        '23514 search_query_is_text',
        '23514 search_query_is_text',
        '23514 user_context_is_a_small_object'
    ],
    'S-041, D64: no figure of a search is less than nothing'
);

-- An interaction.
insert into public.video_interactions (
    id, user_id, video_id, session_id, session_started_at, interaction_type, watch_duration, total_duration
)
values (
    'bbbbbbbb-0000-4000-8000-000000000001',
    '11111111-1111-4111-8111-111111111111',
    'v1',
    'aaaaaaaa-0000-4000-8000-000000000001',
    now(),
    'view',
    15,
    60
);
select results_eq(
    $$
        select key, value
        from jsonb_each((select interaction_context from public.video_interactions))
        order by key
    $$,
    $$values ('position', '0'::jsonb), ('recommendation_score', '0.0'), ('source', '"search_results"')$$,
    'S-047: an interaction comes from the top of a search until the app says otherwise'
);
select is(
    pg_temp.completion(watched, lasting),
    expected,
    format('S-046, D62: %s of %s s', watched, coalesce(lasting::text, 'unknown'))
)
from (
    values (15, 60, 0.25), (60, 60, 1.00), (90, 60, 1.00), (1, 3, 0.33), (0, 60, 0.00), (15, 0, 0.00), (15, null, 0.00),
    (86400, 1, 1.00)
) as example (watched, lasting, expected);
select is(
    pg_temp.verdicts(
        'update public.video_interactions set (watch_duration, total_duration) = (%s)',
        array['-15, 60', '15, -60', '86401, 60', '2147483647, 1']
    ),
    array_fill('23514 watch_times_are_possible'::text, array[4]),
    'S-045, S-046, D62: nobody watched less than nothing, or more than a day'
);
select is(
    pg_temp.verdicts(
        'update public.video_interactions set interaction_type = %L',
        array['view', 'like', 'share', 'save', 'skip', 'dislike', 'VIEW', '', null]
    ),
    array_fill('taken'::text, array[5]) || array_fill('23514 interaction_type_is_known'::text, array[3]) || array['23502'],
    'S-070, D64: an interaction_type is one of five'
);
select is(
    pg_temp.verdicts(
        'update public.video_interactions set user_rating = %s',
        array['1', '2', '3', '4', '5', 'null', '0', '6']
    ),
    array_fill('taken'::text, array[6]) || array_fill('23514 user_rating_is_1_to_5'::text, array[2]),
    'S-071, C-30, D64: a video is rated 1 to 5'
);
select set_eq(
    $$select * from pg_temp.fractions_of('public.video_interactions')$$,
    $$values ('watch_percentage', '23514 watch_percentage_is_a_fraction')$$,
    'S-072, S-045, D64: the watched share is 0 to 1'
);
select is(
    pg_temp.verdicts(
        $$
            insert into public.video_interactions (user_id, video_id, interaction_type)
            values (%s, 'view')
        $$,
        array[
            $$'11111111-1111-4111-8111-111111111111', 'v2'$$,
            $$'11111111-1111-4111-8111-111111111111', 'nowhere'$$,
            $$'11111111-1111-4111-8111-111111111111', null$$,
            $$'99999999-9999-4999-8999-999999999999', 'v2'$$,
            $$null, 'v2'$$
        ]
    ),
    array[
        'taken',
        '23503 video_interactions_video_id_fkey',
        '23502',
        '23503 video_interactions_user_id_fkey',
        '23502'
    ],
    'S-009, S-045, C-01, D65: an interaction is somebody''s, with a video that is known'
);
select is(
    pg_temp.verdicts(
        'update public.video_interactions set (session_id, session_started_at) = (%s)',
        array[
            $$'aaaaaaaa-0000-4000-8000-000000000002', now()$$,
            'null, null',
            $$'aaaaaaaa-0000-4000-8000-000000000001', null$$,
            'null, now()',
            $$'aaaaaaaa-0000-4000-8000-000000000001', now() - interval '1 second'$$,
            $$'aaaaaaaa-0000-4000-8000-000000000009', now()$$
        ]
    ),
    array[
        'taken',
        'taken',
        '23514 a_session_is_named_whole',
        '23514 a_session_is_named_whole',
        '23503 video_interactions_session_fkey',
        '23503 video_interactions_session_fkey'
    ],
    'S-009, C-20, U-02: the search it came from is one that is there'
);
select is(
    pg_temp.verdicts(
        'update public.video_interactions set interaction_timestamp = created_at + %L',
        array['-167 hours', '10 minutes', '-169 hours', '11 minutes', 'infinity']
    ),
    array['taken', 'taken'] || array_fill('23514 an_interaction_is_recent'::text, array[3]),
    'S-009: nobody remembers more than a week, and nobody the future'
);
select is(
    pg_temp.verdicts(
        'update public.video_interactions set %s',
        array[
            'interaction_value = 0',
            'interaction_value = 100',
            'interaction_value = -1',
            'interaction_value = 101',
            'interaction_context = ''[]''',
            'feedback_text = repeat(''x'', 2001)'
        ]
    ),
    array[
        'taken',
        'taken',
        '23514 interaction_value_is_possible',
        '23514 interaction_value_is_possible',
        '23514 interaction_context_is_a_small_object',
        '23514 feedback_text_is_not_too_long'
    ],
    'S-045, S-047, C-30: nobody adds to a video what no client could mean'
);

-- Its events.
insert into public.watch_events (
    id, interaction_id, interaction_created_at, event_type, event_timestamp
)
values (
    'cccccccc-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001', now(), 'play', now()
);
select is(
    pg_temp.verdicts(
        $$
            insert into public.watch_events (interaction_id, interaction_created_at, event_type)
            values ('bbbbbbbb-0000-4000-8000-000000000001', now(), %L)
        $$,
        array['play', 'pause', 'seek', 'end', 'skip', 'replay', 'rewind', 'Play', '', null]
    ),
    array_fill('taken'::text, array[6]) || array_fill('23514 event_type_is_known'::text, array[3]) || array['23502'],
    'S-077, D64: an event is one of six'
);
select is(
    pg_temp.verdicts(
        $$
            insert into public.watch_events (
                interaction_id, interaction_created_at, event_type, video_timestamp, seek_from, seek_to
            )
            values ('bbbbbbbb-0000-4000-8000-000000000001', now(), %s)
        $$,
        array[
            $$'seek', 30, 10, 30$$,
            $$'play', 0, null, null$$,
            $$'play', 0, 1, 2$$,
            $$'pause', -1, null, null$$,
            $$'seek', 0, -5, 10$$
        ]
    ),
    array[
        'taken',
        'taken',
        '23514 only_a_seek_has_places',
        '23514 places_in_a_video_are_possible',
        '23514 places_in_a_video_are_possible'
    ],
    'S-052: only a seek goes from one place of the video to another'
);
select is(
    pg_temp.verdicts(
        'update public.watch_events set event_timestamp = interaction_created_at + %L',
        array['-167 hours', '9 minutes', '-169 hours', '11 minutes']
    ),
    array['taken', 'taken', '23514 an_event_is_near_its_interaction', '23514 an_event_has_happened'],
    'S-052: an event is from the time of its interaction'
);
select is(
    pg_temp.verdicts(
        $$
            insert into public.watch_events (interaction_id, interaction_created_at, event_type)
            values (%s, 'play')
        $$,
        array[
            $$'bbbbbbbb-0000-4000-8000-000000000001', now() - interval '1 second'$$,
            $$'bbbbbbbb-0000-4000-8000-000000000009', now()$$,
            'null, now()'
        ]
    ),
    array['23503 watch_events_interaction_fkey', '23503 watch_events_interaction_fkey', '23502'],
    'S-014: an event belongs to an interaction that is there'
);
insert into public.watch_events (interaction_id, interaction_created_at, event_type, event_timestamp)
values (
    'bbbbbbbb-0000-4000-8000-000000000001',
    now(),
    'pause',
    date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - interval '1 second'
);
select results_eq(
    $$select event_date from public.watch_events where event_type = 'pause'$$,
    $$select (now() at time zone 'UTC')::date - 1$$,
    'S-052, U-16: an event a second before midnight in London is of the day before, though in Seoul it is morning'
);

-- A visit.
select is(
    pg_temp.verdicts(
        $$
            insert into public.user_session_details (user_id, session_id, device_type)
            values ('11111111-1111-4111-8111-111111111111', gen_random_uuid(), %L)
        $$,
        array['mobile', 'tablet', 'desktop', null, 'tv', 'Mobile', '']
    ),
    array_fill('taken'::text, array[4]) || array_fill('23514 device_type_is_known'::text, array[3]),
    'S-073, D64: a device_type is one of three'
);
select is(
    pg_temp.verdicts(
        $$
            insert into public.user_session_details (user_id, session_id, connection_type)
            values ('11111111-1111-4111-8111-111111111111', gen_random_uuid(), %L)
        $$,
        array['wifi', '4g', '5g', null, '3g', 'WiFi', '']
    ),
    array_fill('taken'::text, array[4]) || array_fill('23514 connection_type_is_known'::text, array[3]),
    'S-074, D64: a connection_type is one of three, or none of them'
);
insert into public.user_session_details (user_id, session_id)
values ('11111111-1111-4111-8111-111111111111', 'dddddddd-0000-4000-8000-000000000001');
select is(
    pg_temp.verdicts(
        'insert into public.user_session_details (user_id, session_id) values (%s)',
        array[
            $$'22222222-2222-4222-8222-222222222222', 'dddddddd-0000-4000-8000-000000000001'$$,
            $$'11111111-1111-4111-8111-111111111111', 'dddddddd-0000-4000-8000-000000000001'$$,
            $$null, 'dddddddd-0000-4000-8000-000000000001'$$,
            $$'11111111-1111-4111-8111-111111111111', null$$
        ]
    ),
    array['taken', '23505 a_person_has_a_session_once', '23502', '23502'],
    'S-011, S-049, D65: a visit is somebody''s, once'
);
select is(
    pg_temp.verdicts(
        'update public.user_session_details set %s',
        array[
            'total_videos_watched = -1',
            'total_watch_time = -1',
            'avg_load_time_ms = -1',
            'error_count = -1',
            'device_os = repeat(''x'', 101)',
            'app_version = repeat(''x'', 101)',
            'session_end = session_start - interval ''1 second'''
        ]
    ),
    array_fill('23514 session_figures_are_possible'::text, array[4])
    || array_fill('23514 device_texts_are_short'::text, array[2])
    || array['23514 a_visit_ends_after_it_started'],
    'S-049, D64: no figure of a visit is less than nothing, and a device has a short name'
);

-- Feedback.
insert into public.user_feedback (user_id, video_id, feedback_type)
values ('11111111-1111-4111-8111-111111111111', 'v1', 'like');
select is(
    pg_temp.verdicts(
        $$
            insert into public.user_feedback (user_id, video_id, feedback_type)
            values ('11111111-1111-4111-8111-111111111111', 'v2', %L)
        $$,
        array['like', 'dislike', 'not_interested', 'report', 'love', '', null]
    ),
    array_fill('taken'::text, array[4]) || array_fill('23514 feedback_type_is_known'::text, array[2]) || array['23502'],
    'S-075, D64: feedback is one of four'
);
select is(
    pg_temp.verdicts(
        'update public.user_feedback set reason = %L',
        array['irrelevant', 'seen_too_many', 'offensive', 'quality', 'other', null, 'boring', '']
    ),
    array_fill('taken'::text, array[6]) || array_fill('23514 reason_is_known'::text, array[2]),
    'S-076, D64: a reason is one of five, or none is given'
);
select is(
    pg_temp.verdicts(
        'insert into public.user_feedback (user_id, video_id, feedback_type) values (%s)',
        array[
            $$'11111111-1111-4111-8111-111111111111', 'v1', 'report'$$,
            $$'22222222-2222-4222-8222-222222222222', 'v1', 'like'$$,
            $$'11111111-1111-4111-8111-111111111111', 'v1', 'like'$$,
            $$null, 'v1', 'like'$$,
            $$'11111111-1111-4111-8111-111111111111', null, 'like'$$,
            $$'11111111-1111-4111-8111-111111111111', 'nowhere', 'like'$$
        ]
    ),
    array[
        'taken',
        'taken',
        '23505 feedback_is_given_once',
        '23502',
        '23502',
        '23503 user_feedback_video_id_fkey'
    ],
    'S-012, S-050, D65: the same is said of a video once, by somebody'
);
select is(
    pg_temp.verdicts(
        'update public.user_feedback set %s',
        array['position_in_list = 0', 'position_in_list = -1', 'comment = repeat(''x'', 2001)']
    ),
    array['taken', '23514 position_is_possible', '23514 comment_is_not_too_long'],
    'S-050: a place in a list is counted from 0'
);

-- What goes with what.
select is(
    pg_temp.verdict($$delete from public.cached_videos where video_id = 'v1'$$),
    '23503 video_interactions_video_id_fkey',
    'S-045, C-36: a video that somebody watched stays'
);
select is(
    pg_temp.verdict($$delete from public.cached_videos where video_id = 'v2'$$),
    'taken',
    'S-045, C-36: one that nobody did may go'
);
delete from public.search_sessions
where id = 'aaaaaaaa-0000-4000-8000-000000000001';
select results_eq(
    $$select id, session_id, session_started_at, user_id from public.video_interactions$$,
    $$
        values (
            'bbbbbbbb-0000-4000-8000-000000000001'::uuid,
            null::uuid,
            null::timestamptz,
            '11111111-1111-4111-8111-111111111111'::uuid
        )
    $$,
    'C-20, S-045: an interaction outlives its search, and names none then'
);
delete from public.video_interactions;
select is_empty(
    'select id from public.watch_events',
    'S-014: events go with their interaction'
);
delete from auth.users
where id = '11111111-1111-4111-8111-111111111111';
select results_eq(
    $$
        select
            (select count(*) from public.search_sessions),
            (select count(*) from public.user_session_details),
            (select count(*) from public.user_feedback)
    $$,
    $$values (1::bigint, 0::bigint, 0::bigint)$$,
    'S-041, S-049, S-050, D69: searches, visits and feedback go with the person, and only the person''s'
);

-- Months.
select set_eq(
    $$
        select relation.oid::regclass::text
        from pg_partitioned_table as partitioned
        inner join pg_class as relation on partitioned.partrelid = relation.oid
        where relation.relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace)
    $$,
    array[
        'search_sessions', 'video_interactions', 'watch_events', 'ops.audit_logs_enhanced', 'private.keyword_signals',
        'private.feed_impressions'
    ],
    'S-199, S-270, C-18: the four logs of the designs are partitioned, and signals and impressions beside them'
);
select results_eq(
    $$
        select private.partition_column(parent)
        from unnest(array[
            'public.search_sessions', 'public.video_interactions', 'public.watch_events', 'ops.audit_logs_enhanced'
        ]::regclass[]) as parent
    $$,
    array['session_started_at', 'created_at', 'event_timestamp', 'created_at']::name[],
    'S-193, S-194, S-195, S-197, U-17: each by the time that its design says; an event by its moment, not by its date'
);
insert into public.search_sessions (id, user_id, search_query)
values ('aaaaaaaa-0000-4000-8000-000000000003', '22222222-2222-4222-8222-222222222222', 'this month');
select is(
    (select tableoid::regclass::text from public.search_sessions where search_query = 'this month'),
    pg_temp.month_of('search_sessions', 0),
    'S-193, S-008: a search is in the partition of its month'
);
insert into public.video_interactions (user_id, video_id, interaction_type, created_at, interaction_timestamp)
select
    '22222222-2222-4222-8222-222222222222',
    'v1',
    'view',
    pg_temp.moment(ahead),
    pg_temp.moment(ahead)
from generate_series(0, 4) as ahead;
select results_eq(
    'select tableoid::regclass::text from public.video_interactions order by created_at',
    $$
        select pg_temp.month_of('video_interactions', ahead)
        from generate_series(0, 3) as ahead
        union all
        select 'private.video_interactions_default'
    $$,
    'S-194, S-009: this month and three ahead have partitions of their own, what is beyond is not lost'
);
select results_eq(
    $$
        select parent, stray_rows, is_healthy
        from ops.partition_health()
        where parent like 'public.%'
        order by parent
    $$,
    $$
        values
        ('public.search_sessions', 0::bigint, true),
        ('public.video_interactions', 1, false),
        ('public.watch_events', 0, true)
    $$,
    'S-198: a default partition that holds a row is told of'
);
delete from public.video_interactions
where created_at = pg_temp.moment(4);
select is_empty(
    'select parent, problem from ops.partition_health() where not is_healthy',
    'S-198: and without it all are well'
);
select set_eq(
    $$
        select inheritance.inhparent::regclass::text
        from pg_inherits as inheritance
        inner join pg_class as relation on inheritance.inhrelid = relation.oid
        where
            pg_get_expr(relation.relpartbound, relation.oid) = 'DEFAULT'
            and relation.relnamespace in ('private'::regnamespace, 'ops'::regnamespace)
            and relation.relrowsecurity
    $$,
    array[
        'search_sessions', 'video_interactions', 'watch_events', 'ops.audit_logs_enhanced', 'private.keyword_signals',
        'private.feed_impressions'
    ],
    'S-198: every parent has a default partition, where no request reaches'
);
select is_empty(
    $$
        select inheritance.inhrelid::regclass
        from pg_inherits as inheritance
        inner join pg_class as relation on inheritance.inhrelid = relation.oid
        where
            inheritance.inhparent in (
                'public.search_sessions'::regclass, 'public.video_interactions'::regclass, 'public.watch_events'::regclass
            )
            and relation.relnamespace <> 'private'::regnamespace
    $$,
    'S-193, S-194, S-195: every partition lies where the Data API does not look'
);
select is_empty(
    $$
        select inheritance.inhrelid::regclass
        from pg_inherits as inheritance
        where
            inheritance.inhparent = 'public.video_interactions'::regclass
            and not exists (
                select
                from pg_index as stored
                where
                    stored.indrelid = inheritance.inhrelid
                    and stored.indpred is null
                    and pg_get_indexdef(stored.indexrelid) like '% (user_id, created_at DESC)'
            )
    $$,
    'S-106: every month of interactions has an index by person and time'
);
select is(
    pg_temp.partitions_scanned(
        $$
            select *
            from public.watch_events
            where
                event_timestamp >= date_trunc('month', now(), 'UTC')
                and event_timestamp < date_trunc('month', now(), 'UTC') + interval '1 day'
        $$
    ),
    array[pg_temp.month_of('watch_events', 0)],
    'S-195: a day of events is looked for in its month alone'
);
select results_eq(
    $$
        select child::text, is_new
        from ops.create_monthly_partition('public.watch_events', '2025-06-15')
    $$,
    $$values ('private.watch_events_2025_06', true)$$,
    'S-196: June 2025 is made when it is asked for, since its 12 months were over before the first migration'
);
insert into public.video_interactions (
    id, user_id, video_id, interaction_type, created_at, interaction_timestamp
)
values (
    'bbbbbbbb-0000-4000-8000-000000000002',
    '22222222-2222-4222-8222-222222222222',
    'v1',
    'view',
    '2025-06-02 08:00+09',
    '2025-06-02 08:00+09'
);
insert into public.watch_events (interaction_id, interaction_created_at, event_type, event_timestamp)
select
    'bbbbbbbb-0000-4000-8000-000000000002',
    '2025-06-02 08:00+09',
    'play',
    at::timestamptz
from unnest(array['2025-06-01 00:00+00', '2025-06-02 08:00+09', '2025-05-31 23:59:59.999999+00']) as at;
select results_eq(
    $$
        select event_timestamp, tableoid::regclass::text
        from public.watch_events
        where event_timestamp < '2025-07-01'
        order by event_timestamp
    $$,
    $$
        values
        ('2025-05-31 23:59:59.999999+00'::timestamptz, 'private.watch_events_default'),
        ('2025-06-01 00:00+00', 'private.watch_events_2025_06'),
        ('2025-06-02 08:00+09', 'private.watch_events_2025_06')
    $$,
    'S-196: events of June 2025 are in watch_events_2025_06'
);
select is(
    (
        select tableoid::regclass::text
        from ops.audit_logs_enhanced
        where
            table_name = 'users'
            and row_id like '%22222222-2222-4222-8222-222222222222%'
            and event_type = 'INSERT'
            and created_at >= now()
    ),
    replace(pg_temp.month_of('audit_logs_enhanced', 0), 'private.', 'ops.'),
    'S-197, S-018: what is audited today is in the partition of this month'
);

-- The names of the designs.
select results_eq(
    $$
        select
            (select count(*) from public.search_sessions_partitioned),
            (select count(*) from public.video_interactions_partitioned)
    $$,
    $$
        select
            (select count(*) from public.search_sessions),
            (select count(*) from public.video_interactions)
    $$,
    'S-200, S-201, U-26: search_sessions_partitioned and video_interactions_partitioned hold what their tables hold'
);
select cmp_ok(
    (select count(*) from public.video_interactions_partitioned),
    '>',
    4::bigint,
    'S-201: in every month'
);
select set_eq(
    $$
        select tablename::text
        from pg_publication_tables
        where
            pubname = 'supabase_realtime'
            and schemaname = 'public'
            and tablename in ('trending_keywords', 'user_feedback', 'search_sessions')
    $$,
    array['trending_keywords', 'user_feedback', 'search_sessions'],
    'S-282, C-26, U-25: what is published are trends, feedback and searches under their own names'
);

select finish();
rollback;
