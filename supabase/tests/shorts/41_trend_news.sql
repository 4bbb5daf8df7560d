-- Whoever follows the trends sees every one once and in the order of commits, limited below premium.
begin;
\ir ../outcome.psql
select plan(37);

-- An empty house: nothing of the running stack is seen in here.
delete from auth.users;
delete from ops.outbox;
delete from public.trending_keywords;
delete from private.trend_news;
update private.trend_news_counter
set newest = 0;
insert into auth.users (id, email)
values
('11111111-1111-4111-8111-111111111111', 'free@example.com'),
('22222222-2222-4222-8222-222222222222', 'premium@example.com'),
('33333333-3333-4333-8333-333333333333', 'expired@example.com');
insert into public.user_tiers (user_id, tier, expires_at, source)
values
('22222222-2222-4222-8222-222222222222', 'premium', now() + interval '1 day', 'purchase'),
('33333333-3333-4333-8333-333333333333', 'enterprise', now() - interval '1 second', 'purchase');
delete from realtime.messages;

-- What is numbered, and when.
insert into public.trending_keywords (keyword, trend_score, growth_rate, category)
values
('first', 0.5, 100, 'food'),
('second', 0.6, 100, 'food');
select is(
    (select count(*) from private.trend_news where cursor is null),
    2::bigint,
    'news have no number before the commit'
);
select is((select count(*) from realtime.messages), 0::bigint, 'and are not broadcast');
set constraints all immediate;
select results_eq(
    'select cursor, keyword, change from private.trend_news order by cursor',
    $$
        select row_number() over (order by id), keyword::text, 'inserted'
        from public.trending_keywords
    $$,
    'with it they are numbered without gaps'
);
set constraints all deferred;
update public.trending_keywords
set trend_score = 0.7
where keyword = 'first';
update public.trending_keywords
set trend_score = 0.9
where keyword = 'first';
insert into public.trending_keywords (keyword, trend_score)
values ('third', 0.1);
set constraints all immediate;
select results_eq(
    $$
        select cursor, keyword, change, (limited -> 'trend_score')::double precision
        from private.trend_news
        where cursor > 2
        order by cursor
    $$,
    $$
        values
        (3::bigint, 'first', 'updated', 0.7::double precision),
        (4, 'first', 'updated', 0.9),
        (5, 'third', 'inserted', 0.1)
    $$,
    'all of a transaction at once, in the order of its statements, each as it was then'
);
select is((select newest from private.trend_news_counter), 5::bigint, 'the counter stands at the newest');
savepoint without_change;
update public.trending_keywords
set
    category = 'music',
    detected_at = detected_at + interval '1 minute',
    closed_at = expires_at;
select is((select count(*) from private.trend_news), 5::bigint, 'what changes neither score, source nor keyword is no news');
rollback to savepoint without_change;

-- The broadcasts.
select results_eq(
    $$
        select topic, count(*), array_agg((payload -> 'cursor')::bigint order by (payload -> 'cursor')::bigint)
        from realtime.messages
        where
            event = 'trend'
            and private
            and extension = 'broadcast'
        group by topic
        order by topic collate "C"
    $$,
    $$
        values
        ('trends', 5::bigint, array[1, 2, 3, 4, 5]::bigint[]),
        ('trends:enterprise', 5, array[1, 2, 3, 4, 5]),
        ('trends:premium', 5, array[1, 2, 3, 4, 5]),
        ('trends:pro', 5, array[1, 2, 3, 4, 5])
    $$,
    'S-282: each is broadcast once to everybody and to each tier, on private topics'
);
select set_eq(
    $$select distinct jsonb_object_keys(payload) from realtime.messages where topic = 'trends'$$,
    array['cursor', 'change', 'id', 'keyword', 'region_code', 'trend_score', 'growth_rate', 'detected_at'],
    'S-282: everybody hears what is for everybody'
);
select is_empty(
    $$
        select attribute.attname::text
        from pg_attribute as attribute
        where
            attribute.attrelid = 'public.trending_keywords'::regclass
            and attribute.attnum > 0
            and not attribute.attisdropped
        union all
        select * from (values ('cursor'), ('change')) as told (key)
        except
        select jsonb_object_keys(payload) from realtime.messages where topic = 'trends:premium'
    $$,
    'S-282: premium hears all of the row'
);

-- What is asked for again.
create temporary table client (place, name, role_name, claims, is_full) as
values
(1, 'anon', 'anon', '{}'::jsonb, false),
(2, 'free', 'authenticated', '{"sub": "11111111-1111-4111-8111-111111111111"}', false),
(
    3,
    'expired',
    'authenticated',
    '{"sub": "33333333-3333-4333-8333-333333333333", "app_metadata": {"tier": "enterprise"}}',
    false
),
(4, 'premium', 'authenticated', '{"sub": "22222222-2222-4222-8222-222222222222"}', true),
(5, 'service', 'service_role', '{}', true);
create function pg_temp.asked(role_name text, claims jsonb, call text)
returns jsonb
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform set_config('request.jwt.claims', (claims || jsonb_build_object('role', role_name))::text, true);
    perform set_config('role', role_name, true);
    execute 'select ' || call into answer;
    perform set_config('role', 'none', true);
    return answer;
end
$$;
select is(
    (
        select jsonb_build_array(
            jsonb_agg(trend -> 'cursor'), bool_and(trend ? 'category'), bool_or(trend ? 'category')
        )
        from jsonb_array_elements(pg_temp.asked(role_name, claims, 'public.trends_since(0)') -> 'trends') as trend
    ),
    jsonb_build_array('[1, 2, 3, 4, 5]'::jsonb, is_full, is_full),
    format('%s gets all in order, %s', name, case when is_full then 'in full' else 'limited' end)
)
from client
order by place;
select is(
    pg_temp.asked('anon', '{}', 'public.trends_since()'),
    '{"trends": [], "cursor": 5, "newest": 5, "is_complete": true, "missed": false}',
    'without a cursor one begins now'
);
select is(
    pg_temp.asked('anon', '{}', 'public.trends_since(2, 2)') - 'trends',
    '{"cursor": 4, "newest": 5, "is_complete": false, "missed": false}',
    'a page that is not the last says so'
);
select is(
    pg_temp.asked('anon', '{}', 'public.trends_since(2, 3)') - 'trends',
    '{"cursor": 5, "newest": 5, "is_complete": true, "missed": false}',
    'the last one too, without another question'
);
select is(
    pg_temp.asked('anon', '{}', 'public.trends_since(5)'),
    '{"trends": [], "cursor": 5, "newest": 5, "is_complete": true, "missed": false}',
    'who has seen all gets nothing'
);
select is(
    pg_temp.asked('anon', '{}', 'public.trends_since(99)'),
    '{"trends": [], "cursor": 5, "newest": 5, "is_complete": true, "missed": true}',
    'a cursor from before a restore begins anew, and is told that something was missed'
);
select is(
    pg_temp.outcome(client.role_name, client.claims, attempt.statement),
    attempt.expected,
    attempt.statement
)
from client
cross join (
    values
    ('select public.trends_since(-1)', 'PT400 The cursor is negative.'),
    ('select public.trends_since(0, 0)', 'PT400 The limit is not between 1 and 1000.'),
    ('select public.trends_since(0, 1001)', 'PT400 The limit is not between 1 and 1000.'),
    ('select public.trends_since(0, null)', 'PT400 The limit is not between 1 and 1000.'),
    ('select from private.trend_news', '42501 permission denied for table trend_news')
) as attempt (statement, expected)
where client.name = 'anon'
order by attempt.statement;

savepoint before_many;
set constraints all deferred;
insert into public.trending_keywords (keyword, trend_score)
select 'one of 500 ' || number, 0.5
from generate_series(1, 500) as number;
set constraints all immediate;
set constraints all deferred;
insert into public.trending_keywords (keyword, trend_score)
select 'one of 501 ' || number, 0.5
from generate_series(1, 501) as number;
set constraints all immediate;
select results_eq(
    $$
        select count(*), max((payload -> 'cursor')::bigint)
        from realtime.messages
        where
            topic = 'trends'
            and (payload -> 'cursor')::bigint > 5
    $$,
    'values (501::bigint, 1006::bigint)',
    'of more than 500 at once the last alone is broadcast'
);
select is((select count(*) from private.trend_news where cursor is null), 0::bigint, 'but all have a number');
rollback to savepoint before_many;

-- What is old goes, from the old end only.
update private.trend_news
set created_at = now() - interval '7 days 1 second'
where cursor in (1, 2, 4);
select is(private.forget_trend_news(most => 1), '{"forgotten": 1}', 'news are forgotten after 7 days, a batch at a time');
select is(private.forget_trend_news(), '{"forgotten": 1}', 'but none after one that is kept: there are no gaps');
select is(
    (pg_temp.asked('anon', '{}', 'public.trends_since(1)') - 'trends')
    || jsonb_build_object(
        'first', pg_temp.asked('anon', '{}', 'public.trends_since(1)') #> '{trends,0,cursor}'
    ),
    '{"cursor": 5, "newest": 5, "is_complete": true, "missed": true, "first": 3}',
    'who comes too late gets what is left, and is told that something was missed'
);
select is(
    pg_temp.asked('anon', '{}', 'public.trends_since(2)') -> 'missed',
    'false',
    'who has seen all that was forgotten has missed nothing'
);
delete from private.trend_news;
select is(
    pg_temp.asked('anon', '{}', 'public.trends_since(2)'),
    '{"trends": [], "cursor": 5, "newest": 5, "is_complete": true, "missed": true}',
    'where nothing is left one goes on from the newest'
);

-- Nothing that goes wrong here undoes the trend, and what was not numbered is numbered later.
set local client_min_messages = error;
set constraints all deferred;
savepoint without_news;
alter table private.trend_news rename to trend_news_lost;
select lives_ok(
    $$insert into public.trending_keywords (keyword, trend_score) values ('without news', 0.9)$$,
    'without a table of news'
);
select isnt_empty(
    $$select from ops.outbox where event_type = 'trend.detected' and data ->> 'keyword' = 'without news'$$,
    'the webhooks are told nevertheless'
);
rollback to savepoint without_news;
alter table private.trend_news_counter rename to counter_lost;
insert into public.trending_keywords (keyword, trend_score)
values ('without counter', 0.9);
select lives_ok('set constraints all immediate', 'without a counter the transaction commits');
alter table private.counter_lost rename to trend_news_counter;
set constraints all deferred;
insert into public.trending_keywords (keyword, trend_score)
values ('with counter', 0.9);
set constraints all immediate;
select results_eq(
    'select cursor, keyword from private.trend_news order by cursor',
    $$values (6::bigint, 'without counter'), (7, 'with counter')$$,
    'the next transaction numbers what waited'
);
set constraints all deferred;
insert into public.trending_keywords (keyword, trend_score)
values ('unheard', 0.9);
-- What is broadcast cannot be read any more.
alter table private.trend_news rename column limited to limited_lost;
select lives_ok('set constraints all immediate', 'without a broadcast the transaction commits');
select isnt_empty(
    $$select from private.trend_news where keyword = 'unheard' and cursor = 8$$,
    'the news are numbered, so that they can be asked for'
);

select finish();
rollback;
