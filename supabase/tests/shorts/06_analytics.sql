-- Daily figures per keyword that no write overflows, predictions with their error, and a reason beside each copy.
begin;
\ir ../model.psql
select plan(22);

select results_eq(
    $$
        select pg_temp.columns_of('public.keyword_performance_cache', array[
            'keyword', 'date', 'total_views', 'avg_completion_rate', 'total_likes'
        ])
    $$,
    array[
        'keyword varchar(255) not null',
        'date date not null',
        'total_views integer not null default 0',
        'avg_completion_rate numeric(3,2)',
        'total_likes integer not null default 0'
    ],
    'S-048: keyword_performance_cache has the second design''s columns'
);
insert into public.keyword_performance_cache (keyword, date)
values ('캠핑', '2025-06-02');
select is(
    pg_temp.verdicts(
        'insert into public.keyword_performance_cache (keyword, date) values (''캠핑'', %L)',
        array['2025-06-03', '2025-06-02', null]
    ),
    array['taken', '23505 keyword_performance_cache_pkey', '23502'],
    'S-048: one row a keyword and day'
);
select set_eq(
    $$select * from pg_temp.fractions_of('public.keyword_performance_cache')$$,
    $$values ('avg_completion_rate', '23514 performance_figures_are_possible')$$,
    'S-072, S-048: its rate is 0 to 1'
);
select is(
    pg_temp.verdicts(
        'update public.keyword_performance_cache set %s = -1',
        array['total_views', 'total_likes']
    ),
    array_fill('23514 performance_figures_are_possible'::text, array[2]),
    'S-048, D64: its counts are not negative'
);

select results_eq(
    $$
        select pg_temp.columns_of('public.keyword_effectiveness', array[
            'id', 'keyword', 'date', 'search_count', 'click_count', 'ctr', 'total_watch_time', 'avg_completion_rate',
            'like_rate', 'skip_rate'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'keyword varchar(255) not null',
        'date date not null',
        'search_count integer not null default 0',
        'click_count integer not null default 0',
        'ctr numeric not null generated CASE WHEN (search_count > 0) THEN round((((click_count)::numeric / '
        || '(search_count)::numeric) * (100)::numeric), 2) ELSE (0)::numeric END',
        'total_watch_time integer not null default 0',
        'avg_completion_rate numeric(5,2)',
        'like_rate numeric(5,2)',
        'skip_rate numeric(5,2)'
    ],
    'S-053: keyword_effectiveness has the second design''s columns; ctr has no width to overflow'
);
select col_is_pk(
    'public',
    'keyword_effectiveness',
    array['keyword', 'date'],
    'S-015, S-053, U-18: its key is the keyword and the day'
);
insert into public.keyword_effectiveness (keyword, date, search_count, click_count)
values
('ten clicks', '2025-06-02', 1, 10),
('many clicks', '2025-06-02', 1, 2000000000),
('a third', '2025-06-02', 3, 1),
('nobody', '2025-06-02', 0, 0);
select results_eq(
    $$
        select keyword, ctr
        from public.keyword_effectiveness
        where date = '2025-06-02'
        order by ctr
    $$,
    $$
        values
        ('nobody'::varchar, 0::numeric),
        ('a third', 33.33),
        ('ten clicks', 1000.00),
        ('many clicks', 200000000000.00)
    $$,
    'S-053, D62: 10 clicks on 1 search are 1000 per cent, and no number of clicks blocks the write'
);
select is(
    pg_temp.verdict($$insert into public.keyword_effectiveness (keyword, date) values ('nobody', '2025-06-02')$$),
    '23505 keyword_effectiveness_pkey',
    'S-015: one row a keyword and day'
);
select is(
    pg_temp.verdict(
        $$
            insert into public.keyword_effectiveness (id, keyword, date)
            select id, 'another', date
            from public.keyword_effectiveness
            where keyword = 'nobody'
        $$
    ),
    '23505 keyword_effectiveness_id_key',
    'S-015, U-18: an id is one row''s'
);
select set_eq(
    $$select * from pg_temp.fractions_of('public.keyword_effectiveness')$$,
    $$
        values
        ('avg_completion_rate', '23514 effectiveness_rates_are_fractions'),
        ('like_rate', '23514 effectiveness_rates_are_fractions'),
        ('skip_rate', '23514 effectiveness_rates_are_fractions')
    $$,
    'S-072, S-053: its rates are 0 to 1'
);
select is(
    pg_temp.verdicts(
        'update public.keyword_effectiveness set %s = -1',
        array['search_count', 'click_count', 'total_watch_time']
    ),
    array_fill('23514 effectiveness_counts_are_not_negative'::text, array[3]),
    'S-053, D64: its counts are not negative'
);

select results_eq(
    $$
        select pg_temp.columns_of('public.trend_predictions', array[
            'id', 'keyword', 'prediction_date', 'predicted_for_date', 'predicted_score', 'confidence_interval',
            'confidence_level', 'model_version', 'features_used', 'actual_score', 'prediction_error', 'created_at',
            'region_code'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'keyword varchar(255) not null',
        'prediction_date date not null',
        'predicted_for_date date not null',
        'predicted_score numeric(5,4)',
        'confidence_interval numrange',
        'confidence_level numeric(3,2)',
        'model_version varchar(20)',
        'features_used jsonb',
        'actual_score numeric(5,4)',
        'prediction_error numeric(5,4) generated abs((predicted_score - actual_score))',
        'created_at timestamptz not null default now()',
        'region_code varchar(2) not null default ''KR''::character varying'
    ],
    'S-054, S-016, C-02: trend_predictions has the second design''s columns, on the scale of 0 to 1'
);
insert into public.trend_predictions (
    keyword, prediction_date, predicted_for_date, predicted_score, confidence_interval, confidence_level
)
values ('캠핑', '2025-06-01', '2025-06-02', 0.72, '[0.6,0.8]', 0.9);
select is(
    (select prediction_error from public.trend_predictions where keyword = '캠핑'),
    null,
    'S-016, S-054: while nothing has come there is no error'
);
update public.trend_predictions
set actual_score = 0.9
where keyword = '캠핑';
select is(
    (select prediction_error from public.trend_predictions where keyword = '캠핑'),
    0.1800,
    'S-016, S-054: the error is how far the prediction was off, whichever way'
);
select is(
    pg_temp.verdict('update public.trend_predictions set prediction_error = 0'),
    '428C9',
    'S-016: and cannot be claimed'
);
select set_eq(
    $$
        select name, refusal
        from pg_temp.fractions_of('public.trend_predictions')
        union all
        select 'predicted_score', pg_temp.verdict('update public.trend_predictions set predicted_score = 0.9')
    $$,
    $$
        values
        ('actual_score', '23514 predictions_are_fractions'),
        ('confidence_level', '23514 predictions_are_fractions'),
        ('predicted_score', '23514 a_prediction_lies_in_its_interval')
    $$,
    'S-072, S-054: its figures are 0 to 1, and the prediction lies in its interval'
);
update public.trend_predictions
set confidence_interval = null;
select is(
    pg_temp.verdicts(
        'update public.trend_predictions set (predicted_score, actual_score) = (%s)',
        array['0, 1', '1, 0', '2, 1', '80, 75']
    ),
    array['taken', 'taken', '23514 predictions_are_fractions', '22003'],
    'S-054, D62: the largest error there can be is 1, and it fits'
);
select is(
    pg_temp.verdict($$update public.trend_predictions set predicted_for_date = prediction_date - 1$$),
    '23514 a_prediction_is_about_what_comes',
    'S-054: nobody foretells what was'
);
select is(
    pg_temp.verdicts(
        'insert into public.trend_predictions (keyword, prediction_date, predicted_for_date, region_code, model_version) '
        'select keyword, prediction_date, predicted_for_date, %s from public.trend_predictions',
        array['region_code, model_version', '''US'', null', '''KR'', ''v2''', '''us'', null']
    ),
    array['23505 one_prediction_a_day_and_model', 'taken', 'taken', '23514 region_code_has_two_letters'],
    'S-016, S-219: one prediction a keyword, region, pair of days and model, named or not'
);
select set_eq(
    $$
        select relation.relname::text
        from pg_class as relation
        where
            relation.relnamespace = 'public'::regnamespace
            and relation.relrowsecurity
            and relation.relname in ('keyword_performance_cache', 'keyword_effectiveness', 'trend_predictions')
    $$,
    array['keyword_performance_cache', 'keyword_effectiveness', 'trend_predictions'],
    'S-015, S-016, S-048: nobody reads a row of these that no policy lets through'
);

-- What could be computed and is stored says so.
select results_eq(
    $$
        select copy
        from unnest(array['video_interactions.completion_rate', 'user_profiles.time_preferences']) as copy
        where
            col_description(
                format('public.%I', split_part(copy, '.', 1))::regclass,
                (
                    select attnum
                    from pg_attribute
                    where
                        attrelid = format('public.%I', split_part(copy, '.', 1))::regclass
                        and attname = split_part(copy, '.', 2)
                )
            ) like '%Denormalised: %'
        union all
        select 'keyword_performance_cache'
        where obj_description('public.keyword_performance_cache'::regclass) like '%Denormalised: %'
    $$,
    array['video_interactions.completion_rate', 'user_profiles.time_preferences', 'keyword_performance_cache'],
    'S-280: the three exceptions from normal form say that they are, and why'
);
select results_eq(
    $$
        select copy
        from unnest(array[
            'keyword_video_mappings.click_count', 'user_profiles.personality_vector', 'cached_videos.ai_analysis'
        ]) as copy
        where
            col_description(
                format('public.%I', split_part(copy, '.', 1))::regclass,
                (
                    select attnum
                    from pg_attribute
                    where
                        attrelid = format('public.%I', split_part(copy, '.', 1))::regclass
                        and attname = split_part(copy, '.', 2)
                )
            ) like '%Denormalised: %'
    $$,
    array['keyword_video_mappings.click_count', 'user_profiles.personality_vector', 'cached_videos.ai_analysis'],
    'S-281: so do the three of the denormalisation matrix'
);

select finish();
rollback;
