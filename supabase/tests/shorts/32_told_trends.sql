-- A trend that others tell is kept like our own: one open row a key, newest news first, bad ones named.
begin;
select plan(46);
\ir ../outcome.psql

-- An empty house: nothing of the running stack is seen in here.
delete from ops.outbox;
delete from public.trending_keywords;
delete from realtime.messages;

create function pg_temp.told(changes jsonb default '{}')
returns jsonb
language sql
as $$
    select
        '{"keyword": "두바이쫀득쿠키", "region_code": "KR", "data_source": "bright_data", "trend_score": 0.9}'::jsonb
        || jsonb_build_object('observed_at', now() - interval '30 minutes')
        || changes
$$;

-- A new one.
select ok(
    (public.upsert_trending_keyword(pg_temp.told(
        '{"keyword": "  두바이쫀득쿠키 ＡＢＣ", "search_volume": 12, "growth_rate": 350.5, "source_confidence": 0.7, '
        '"category": "food", "related_keywords": ["Ｐistachio", "카다이프"]}'
    )) ->> 'inserted')::boolean,
    'S-216: a trend that was told is new'
);
select results_eq(
    $$
        select
            keyword::text, region_code::text, data_source::text, trend_score, search_volume, growth_rate,
            source_confidence, category::text, related_keywords, model_version::text
        from public.trending_keywords
    $$,
    $$
        values (
            '두바이쫀득쿠키 abc', 'KR', 'bright_data', 0.9::double precision, 12, 350.5::double precision,
            0.7::double precision, 'food', array['pistachio', '카다이프'], 'told'
        )
    $$,
    'S-216: it is stored whole, its keyword in our spelling'
);
select ok(
    (
        select
            z_score is null and p_value is null and q_value is null and closed_at is null
            and detected_at = now() - interval '30 minutes' and expires_at = detected_at + interval '4 hours'
        from public.trending_keywords
    ),
    'S-216: it claims no test of ours, and is open for 4 hours from its observation'
);
select is(
    (select count(*) from ops.outbox where event_type = 'trend.detected'),
    1::bigint,
    'S-216: webhooks hear of it, since it is above 0.8'
);
-- As at each commit from here on.
set constraints all immediate;
select is((select count(*) from realtime.messages where topic = 'trends'), 1::bigint, 'S-216: everybody hears of it');

-- Again.
delete from public.trending_keywords;
delete from ops.outbox;
select ok((public.upsert_trending_keyword(pg_temp.told()) ->> 'inserted')::boolean, 'S-216: one more');
select is(
    public.upsert_trending_keyword(pg_temp.told()),
    (select jsonb_build_object('id', id, 'inserted', false) from public.trending_keywords),
    'S-216: told again it is the same row'
);
delete from realtime.messages;
select is(
    public.upsert_trending_keyword(pg_temp.told('{"trend_score": 0.1}')) -> 'inserted',
    'false'::jsonb,
    'S-216: the same moment again is a repeat'
);
select is((select trend_score from public.trending_keywords), 0.9::double precision, 'S-216: it changes nothing');
select is((select count(*) from realtime.messages), 0::bigint, 'S-216: nobody is told twice');
select public.upsert_trending_keyword(
    pg_temp.told(jsonb_build_object('trend_score', 0.5, 'observed_at', now() - interval '2 hours'))
);
select is((select trend_score from public.trending_keywords), 0.9::double precision, 'S-216: older news loses');
select is(
    public.upsert_trending_keyword(pg_temp.told(jsonb_build_object(
        'trend_score', 0.95, 'observed_at', now(), 'category', 'food'
    ))),
    (select jsonb_build_object('id', id, 'inserted', false) from public.trending_keywords),
    'S-216: newer news keeps the row'
);
select ok(
    (
        select trend_score = 0.95 and detected_at = now() and expires_at = now() + interval '4 hours' and category = 'food'
        from public.trending_keywords
    ),
    'S-216: it moves score, time and end'
);
select public.upsert_trending_keyword(
    pg_temp.told(jsonb_build_object('observed_at', now() + interval '1 minute', 'trend_score', 0.95))
);
select is((select category::text from public.trending_keywords), 'food', 'S-216: what is left out stays');
select is(
    (select count(*) from ops.outbox where event_type = 'trend.detected'),
    1::bigint,
    'S-216: one webhook event for all of it'
);

-- Other keys are other rows.
select public.upsert_trending_keywords(jsonb_build_array(
    pg_temp.told('{"region_code": "JP"}'), pg_temp.told('{"data_source": "youtube_api"}'),
    pg_temp.told('{"data_source": "internal"}'), pg_temp.told('{"keyword": "다른 것"}')
));
select is((select count(*) from public.trending_keywords), 5::bigint, 'S-216: region, source and keyword tell rows apart');

-- What is over.
update public.trending_keywords
set detected_at = now() - interval '9 hours', expires_at = now() - interval '5 hours';
select ok(
    (public.upsert_trending_keyword(pg_temp.told()) ->> 'inserted')::boolean,
    'S-216: an expired trend is closed, and what comes after it is a new one'
);
select results_eq(
    $$
        select closed_at = expires_at
        from public.trending_keywords
        where keyword = '두바이쫀득쿠키' and region_code = 'KR' and data_source = 'bright_data'
        order by detected_at
    $$,
    'values (true), (null)',
    'S-216: the old row ended when it expired'
);
select is(
    (select count(*) from public.trending_keywords where closed_at is null),
    5::bigint,
    'S-216: the others were left alone'
);

-- A row of our own test.
delete from public.trending_keywords;
insert into public.trending_keywords (
    keyword, region_code, data_source, trend_score, z_score, p_value, q_value, model_version, detected_at, expires_at
)
values (
    '두바이쫀득쿠키', 'KR', 'bright_data', 0.99, 14, 0, 0, 'skeleton-1', now() - interval '1 hour',
    now() + interval '3 hours'
);
select ok(
    not (public.upsert_trending_keyword(
        pg_temp.told(jsonb_build_object('observed_at', now() - interval '90 minutes'))
    ) ->> 'inserted')::boolean,
    'S-216: what we found later stands'
);
select ok(
    (public.upsert_trending_keyword(pg_temp.told()) ->> 'inserted')::boolean,
    'S-216: newer news from outside has a row of its own'
);
select results_eq(
    $$select model_version::text, z_score, closed_at is null from public.trending_keywords order by detected_at$$,
    $$values ('skeleton-1', 14::double precision, false), ('told', null, true)$$,
    'S-216: figures of our test are never mixed with what was told'
);

-- A batch.
delete from public.trending_keywords;
select is(
    public.upsert_trending_keywords(jsonb_build_array(
        pg_temp.told('{"trend_score": 0.3}'),
        'no object',
        pg_temp.told(jsonb_build_object('trend_score', 0.6, 'observed_at', now())),
        pg_temp.told('{"trend_score": 7}'),
        pg_temp.told('{"keyword": "b"}')
    )) - 'rejected',
    '{"received": 5, "inserted": 2, "updated": 0, "unchanged": 1}'::jsonb,
    'S-216: a batch is counted'
);
select is(
    (select trend_score from public.trending_keywords where keyword = '두바이쫀득쿠키'),
    0.6::double precision,
    'S-216: of two in a batch the newest counts'
);
select is(
    (
        select jsonb_agg(rejected.value ->> 'code' order by rejected.value -> 'index')
        from jsonb_array_elements(
            public.upsert_trending_keywords(jsonb_build_array(
                1, pg_temp.told('{"trend_score": "NaN"}'), pg_temp.told('{"keyword": 1}')
            )) -> 'rejected'
        ) as rejected (value)
    ),
    '["ON001", "ON007", "ON003"]'::jsonb,
    'S-216: bad rows come back with index and code'
);
select is(
    public.upsert_trending_keywords('[]') - 'rejected',
    '{"received": 0, "inserted": 0, "updated": 0, "unchanged": 0}'::jsonb,
    'S-216: nothing is a batch too'
);
select throws_ok(
    $$select public.upsert_trending_keywords('{}')$$, 'PT400', 'The batch is no JSON array.', 'S-216: no array'
);
select throws_ok(
    $$select public.upsert_trending_keywords(jsonb_agg(1)) from generate_series(1, 5001)$$,
    'PT413',
    'The batch has more than 5000 rows.',
    'S-216: more than one statement should hold'
);

-- Each field that cannot be true is named.
select is(
    (
        select problem.message
        from private.read_told_trends(jsonb_build_array(pg_temp.told(bad.changes))) as problem
    ),
    bad.message,
    format('S-216: refused: %s', bad.changes)
)
from (
    values
    ('{"keyword": " "}'::jsonb, 'keyword is missing or empty'),
    (jsonb_build_object('keyword', repeat('가', 256)), 'keyword is longer than 255 characters'),
    ('{"category": []}', 'category is not text'),
    (jsonb_build_object('category', repeat('x', 101)), 'category is longer than 100 characters'),
    ('{"observed_at": null}', 'observed_at is missing or is not an ISO 8601 time'),
    (
        jsonb_build_object('observed_at', now() - interval '4 hours'),
        'observed_at is 4 hours ago or more, when the trend is over, or more than an hour ahead'
    ),
    (
        jsonb_build_object('observed_at', now() + interval '61 minutes'),
        'observed_at is 4 hours ago or more, when the trend is over, or more than an hour ahead'
    ),
    ('{"trend_score": 1.01}', 'trend_score is not a number from 0 to 1'),
    ('{"source_confidence": -1}', 'source_confidence is not a number from 0 to 1'),
    ('{"search_volume": 0.5}', 'search_volume is not a whole number from 0 to 2147483647'),
    ('{"growth_rate": "Infinity"}', 'growth_rate is not a number of per cent, from -100'),
    ('{"region_code": "kr"}', 'region_code is not an ISO 3166 code of two capital letters'),
    ('{"data_source": "naver"}', 'data_source is none of youtube_api, bright_data, internal'),
    (
        '{"related_keywords": ["a", 1]}',
        'related_keywords is not an array of at most 50 texts of 1 to 255 characters'
    )
) as bad (changes, message);
select throws_ok(
    $$select public.upsert_trending_keyword('{"keyword": "x"}')$$,
    'PT400',
    'The trend cannot be taken.',
    'S-216: one bad trend is refused as a whole'
);

-- Who may.
select matches(
    pg_temp.outcome('authenticated', null, $$select public.upsert_trending_keyword('{}')$$),
    '^42501',
    'S-216: a person tells nothing'
);
select matches(
    pg_temp.outcome('authenticated', null, $$select public.upsert_trending_keywords('[]')$$),
    '^42501',
    'S-216: nor many'
);
select is(
    pg_temp.outcome(
        'service_role',
        null,
        format(
            'select public.upsert_trending_keyword(%L)',
            '{"keyword": "by the service", "region_code": "KR", "data_source": "internal", "trend_score": 0.5}'::jsonb
            || jsonb_build_object('observed_at', now())
        )
    ),
    '1 row',
    'S-216: the service does'
);

select * from finish();
rollback;
