-- Whoever commits a trend has told of it: an event above 0.8, another for every real change, and the news.
begin;
select plan(22);

-- An empty house: nothing of the running stack is seen in here.
delete from ops.outbox;
delete from public.trending_keywords;
delete from private.trend_news;

select results_eq(
    $$
        select event_type::text, edge_function::text, for_subscribers
        from ops.event_types
        where event_type like 'trend.%'
        order by event_type
    $$,
    $$values ('trend.detected', 'notify-trend', true), ('trend.updated', 'trend-update', true)$$,
    'S-262, S-263: both events are known, with the function that delivers them, and subscribers may have them'
);
create temporary view told as
select
    event.event_type,
    event.dedupe_key,
    event.data,
    event.data ->> 'keyword' as keyword,
    (event.data ->> 'trend_score')::double precision as score
from ops.outbox as event;
create temporary view detected as
select *
from told
where event_type = 'trend.detected';
create temporary view updated as
select *
from told
where event_type = 'trend.updated';

-- New trends.
insert into public.trending_keywords (keyword, trend_score, growth_rate)
values ('mild', 0.8, 120);
select is((select count(*) from detected), 0::bigint, 'S-247, S-129: 0.8 is not above 0.8');
insert into public.trending_keywords (keyword, trend_score, z_score, region_code, detected_at, expires_at)
values
('strong', 0.81, 5, 'KR', '2026-01-02 23:59+00', '2026-01-03 03:59+00'),
('weak', 0.5, 2, 'KR', '2026-01-02 23:59+00', '2026-01-03 03:59+00');
select results_eq(
    'select dedupe_key, keyword, score from detected',
    $$values ('KR:2026-01-02:strong', 'strong', 0.81::double precision)$$,
    'S-116, S-214, S-247, S-129: 0.81 is, and is told once'
);
select set_eq(
    'select distinct jsonb_object_keys(data) from detected',
    array[
        'id', 'keyword', 'region_code', 'data_source', 'trend_score', 'growth_rate', 'search_volume', 'z_score',
        'q_value', 'model_version', 'detected_at', 'expires_at'
    ],
    'the event holds the trend''s figures and nothing of a person'
);
select results_eq(
    $$select keyword, score, data ->> 'change', data -> 'previous_score' from updated order by keyword$$,
    $$
        values
        ('mild', 0.8::double precision, 'inserted', 'null'::jsonb),
        ('strong', 0.81, 'inserted', 'null'),
        ('weak', 0.5, 'inserted', 'null')
    $$,
    'S-117, S-130: whoever wants all changes hears of every new trend, whatever its score'
);
select set_eq(
    'select distinct jsonb_object_keys(data) from updated',
    array[
        'id', 'keyword', 'region_code', 'data_source', 'trend_score', 'previous_score', 'growth_rate', 'detected_at',
        'expires_at', 'model_version', 'change'
    ],
    'with these figures'
);

-- Changes.
delete from ops.outbox
where event_type = 'trend.updated';
update public.trending_keywords
set
    category = 'food',
    detected_at = detected_at + interval '1 second',
    trend_score = trend_score;
select is((select count(*) from told), 1::bigint, 'S-130: another column, or the same score again, is no news');
update public.trending_keywords
set trend_score = 0.7
where keyword = 'weak';
select is((select count(*) from detected), 1::bigint, 'a rise that stays below 0.8 is not detected');
select results_eq(
    $$
        select keyword, score, (data ->> 'previous_score')::double precision, data ->> 'change', dedupe_key
        from updated
    $$,
    $$
        select keyword::text, 0.7::double precision, 0.5::double precision, 'updated', concat_ws(':', id, updated_at, '0.7')
        from public.trending_keywords
        where keyword = 'weak'
    $$,
    'S-130: but a change, told with the score before'
);
update public.trending_keywords
set data_source = 'bright_data'
where keyword = 'mild';
select is((select data ->> 'data_source' from updated where keyword = 'mild'), 'bright_data', 'S-130: so is a source');
update public.trending_keywords
set keyword = 'stronger'
where keyword = 'strong';
select is((select count(*) from updated where keyword = 'stronger'), 1::bigint, 'S-130: and a keyword');
update public.trending_keywords
set keyword = 'strong'
where keyword = 'stronger';
update public.trending_keywords
set trend_score = 0.9
where keyword in ('weak', 'strong');
select set_eq(
    'select keyword from detected',
    array['strong', 'weak'],
    'rising through 0.8 is told; rising further is not told again'
);
update public.trending_keywords
set trend_score = 0.1;
update public.trending_keywords
set trend_score = 0.95;
select is(
    (select count(*) from detected where keyword in ('strong', 'weak')),
    2::bigint,
    'a second rise on the same day is the same event'
);
select is(
    (select count(*) from detected),
    3::bigint,
    'the third is the mild one, which rose too'
);
delete from ops.outbox;
update public.trending_keywords
set closed_at = expires_at;
select is((select count(*) from told), 0::bigint, 'closing tells nobody');
insert into public.trending_keywords (keyword, trend_score, region_code, data_source, detected_at, expires_at)
values
('strong', 0.9, 'KR', 'youtube_api', '2026-01-02 10:00+00', '2026-01-02 14:00+00'),
('strong', 0.9, 'KR', 'bright_data', '2026-01-02 10:00+00', '2026-01-02 14:00+00'),
('strong', 0.9, 'US', 'bright_data', '2026-01-02 10:00+00', '2026-01-02 14:00+00'),
('strong', 0.9, 'KR', 'internal', '2026-01-03 00:00+00', '2026-01-03 04:00+00');
select set_eq(
    'select dedupe_key from detected',
    array['KR:2026-01-02:strong', 'US:2026-01-02:strong', 'KR:2026-01-03:strong'],
    'one event per keyword, region and day, whichever source saw it'
);

-- Nothing that goes wrong in telling undoes the trend.
set local client_min_messages = error;
savepoint broken;
alter table ops.outbox rename to outbox_lost;
select lives_ok(
    $$insert into public.trending_keywords (keyword, trend_score) values ('without outbox', 0.9)$$,
    'without an outbox'
);
rollback to savepoint broken;
savepoint refusing;
alter table ops.outbox add constraint nothing_is_good_enough check (false) not valid;
select lives_ok(
    $$insert into public.trending_keywords (keyword, trend_score) values ('refused', 0.9)$$,
    'with an outbox that refuses'
);
select isnt_empty($$select from public.trending_keywords where keyword = 'refused'$$, 'the trend is there');
rollback to savepoint refusing;
savepoint endless;
alter table ops.webhook_deliveries add constraint nothing_is_good_enough check (false) not valid;
insert into public.webhook_endpoints (url, event_types)
values ('http://127.0.0.1:9/notify-test', '{trend.detected}');
select lives_ok(
    $$insert into public.trending_keywords (keyword, trend_score) values ('unscheduled', 0.9)$$,
    'with deliveries that cannot be scheduled'
);
rollback to savepoint endless;
reset client_min_messages;

select is(
    (
        select array_agg(tablename::text order by tablename)
        from pg_publication_tables
        where
            pubname = 'supabase_realtime'
            and schemaname = 'public'
            and tablename !~ '^conformance'
    ),
    array['notifications', 'search_sessions', 'trending_keywords', 'user_feedback'],
    'S-178: trends, searches, feedback and notifications are published for Postgres Changes, each under its own name'
);
select results_eq(
    $$
        select pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot
        from pg_publication
        where pubname = 'supabase_realtime'
    $$,
    'values (true, true, false, false, true)',
    'S-179, S-180, D50: whose rows are deleted is told to nobody, since no policy could choose who hears it'
);

select finish();
rollback;
