-- Whoever commits a trend has told of it: a webhook event above 0.8, a broadcast for everybody.
begin;
select plan(25);

-- An empty house: nothing of the running stack is seen in here.
delete from ops.outbox;
delete from ops.webhook_receipts;
delete from public.trending_keywords;
delete from realtime.messages;

insert into public.trending_keywords (keyword, trend_score, growth_rate)
values ('mild', 0.8, 120);
select is((select count(*) from ops.outbox), 0::bigint, 'S-247, S-129: 0.8 is not above 0.8');
insert into public.trending_keywords (keyword, trend_score, z_score, region_code, detected_at, expires_at)
values
('strong', 0.81, 5, 'KR', '2026-01-02 23:59+00', '2026-01-03 03:59+00'),
('weak', 0.5, 2, 'KR', '2026-01-02 23:59+00', '2026-01-03 03:59+00');
select results_eq(
    $$select event_type, dedupe_key, data ->> 'keyword', (data ->> 'trend_score')::double precision from ops.outbox$$,
    $$values ('trend.detected', 'KR:2026-01-02:strong', 'strong', 0.81::double precision)$$,
    'S-247, S-129: 0.81 is, and is told once'
);
select is_empty(
    $$
        select key
        from ops.outbox, jsonb_object_keys(data) as key
        where
            key not in (
                'id', 'keyword', 'region_code', 'data_source', 'trend_score', 'growth_rate', 'search_volume', 'z_score',
                'q_value', 'model_version', 'detected_at', 'expires_at'
            )
    $$,
    'the event holds the trend''s figures and nothing of a person'
);

-- Broadcast.
select set_eq(
    $$select payload ->> 'keyword' from realtime.messages where topic = 'trends' and event = 'trend'$$,
    array['mild', 'strong', 'weak'],
    'every new trend is broadcast, whatever its score'
);
select is_empty(
    $$select from realtime.messages where private is distinct from true or extension <> 'broadcast'$$,
    'S-282: on the private topic, to which no client can send'
);
select is_empty(
    $$
        select key
        from realtime.messages, jsonb_object_keys(payload) as key
        where key not in ('keyword', 'region_code', 'trend_score', 'growth_rate', 'detected_at', 'id')
    $$,
    'and limited to what is for everybody'
);

-- Updates.
delete from realtime.messages;
update public.trending_keywords
set category = 'food';
select is((select count(*) from ops.outbox), 1::bigint, 'S-130: another column is no news for webhooks');
select is((select count(*) from realtime.messages), 0::bigint, 'nor for the broadcast');
update public.trending_keywords
set trend_score = 0.7
where keyword = 'weak';
select is((select count(*) from ops.outbox), 1::bigint, 'a rise that stays below is not told');
select is((select count(*) from realtime.messages), 1::bigint, 'but broadcast');
update public.trending_keywords
set trend_score = 0.9
where keyword in ('weak', 'strong');
select set_eq(
    $$select data ->> 'keyword' from ops.outbox$$,
    array['strong', 'weak'],
    'rising through 0.8 is told; rising further is not told again'
);
update public.trending_keywords
set trend_score = 0.1;
update public.trending_keywords
set trend_score = 0.95;
select is(
    (select count(*) from ops.outbox where data ->> 'keyword' in ('strong', 'weak')),
    2::bigint,
    'a second rise on the same day is the same event'
);
update public.trending_keywords
set closed_at = expires_at;
select is(
    (select count(*) from ops.outbox),
    3::bigint,
    'closing tells nobody (the third is the mild one, which rose too)'
);
insert into public.trending_keywords (keyword, trend_score, region_code, data_source, detected_at, expires_at)
values
('strong', 0.9, 'KR', 'bright_data', '2026-01-02 10:00+00', '2026-01-02 14:00+00'),
('strong', 0.9, 'US', 'bright_data', '2026-01-02 10:00+00', '2026-01-02 14:00+00'),
('strong', 0.9, 'KR', 'internal', '2026-01-03 00:00+00', '2026-01-03 04:00+00');
select set_eq(
    $$select dedupe_key from ops.outbox where data ->> 'keyword' = 'strong'$$,
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
insert into ops.webhook_endpoints (url, event_types)
values ('http://127.0.0.1:9/notify-test', '{trend.detected}');
select lives_ok(
    $$insert into public.trending_keywords (keyword, trend_score) values ('unscheduled', 0.9)$$,
    'with deliveries that cannot be scheduled'
);
rollback to savepoint endless;
reset client_min_messages;

-- Receiving.
select is(
    public.receive_trend_event('msg_1', '{"type": "trend.detected", "data": {"keyword": "먹방"}}'),
    '{"duplicate": false}'::jsonb,
    'a webhook is taken'
);
select is(
    public.receive_trend_event('msg_1', '{"type": "trend.detected", "data": {"keyword": "먹방"}}'),
    '{"duplicate": true}'::jsonb,
    'and only once'
);
select is((select count(*) from ops.webhook_receipts), 1::bigint, 'with one receipt');
select throws_ok(
    $$select public.receive_trend_event('', '{"type": "trend.detected", "data": {"keyword": "k"}}')$$,
    'PT400',
    'The webhook has no id of 1 to 255 characters.',
    'a webhook without id is refused'
);
select throws_ok(
    $$select public.receive_trend_event('msg_2', '{"type": "user.deleted"}')$$,
    'PT400',
    'The event is no trend.detected event with a keyword.',
    'another event is refused'
);

select is(
    (
        select array_agg(tablename::text order by tablename)
        from pg_publication_tables
        where
            pubname = 'supabase_realtime'
            and schemaname = 'public'
            and tablename !~ '^conformance'
    ),
    array['search_sessions', 'trending_keywords', 'user_feedback'],
    'S-178: trends, searches and feedback are published for Postgres Changes, each under its own name'
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
