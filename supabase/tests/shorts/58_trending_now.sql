-- Everybody can read what trends now, and no more of it than that.
begin;
\ir ../outcome.psql
select plan(11);

-- An empty house: nothing of the running stack is seen in here.
delete from public.trending_keywords;
insert into public.trending_keywords (
    keyword, trend_score, region_code, data_source, detected_at, expires_at, closed_at
)
values
('first', 0.9, 'KR', 'internal', now(), now() + interval '4 hours', null),
('second', 0.5, 'KR', 'internal', now(), now() + interval '4 hours', null),
('second', 0.6, 'KR', 'youtube_api', now(), now() + interval '4 hours', null),
('expired', 0.99, 'KR', 'internal', now() - interval '5 hours', now() - interval '1 hour', null),
('closed', 0.99, 'KR', 'internal', now() - interval '1 hour', now() + interval '3 hours', now()),
('elsewhere', 0.99, 'US', 'internal', now(), now() + interval '4 hours', null);

select results_eq(
    $$select keyword, region_code, trend_score from public.trending_now()$$,
    $$values ('first', 'KR', 0.9::double precision), ('second', 'KR', 0.6)$$,
    'S-208: open and unexpired, strongest first, each keyword once, from Korea unless asked otherwise'
);
select results_eq(
    $$select keyword from public.trending_now('US')$$,
    $$values ('elsewhere')$$,
    'another region'
);
select results_eq($$select keyword from public.trending_now("limit" => 1)$$, $$values ('first')$$, 'a limit');
select is((select count(*) from public.trending_now('KR', -1)), 0::bigint, 'a negative limit gives nothing');
select is((select count(*) from public.trending_now('KR', null)), 2::bigint, 'no limit is the usual one');
select is((select count(*) from public.trending_now('nowhere')), 0::bigint, 'an unknown region has no trends');
insert into public.trending_keywords (keyword, trend_score)
select
    'many ' || n,
    0.1
from generate_series(1, 100) as n;
select is((select count(*) from public.trending_now()), 10::bigint, 'ten unless asked otherwise');
select is((select count(*) from public.trending_now('KR', 1000)), 50::bigint, 'never more than 50');
select is(
    pg_temp.outcome('anon', null, 'select * from public.trending_now()'),
    '10 rows',
    'anonymous visitors may ask'
);
select is(
    pg_temp.outcome('authenticated', '{}', 'select * from public.trending_now()'),
    '10 rows',
    'so may who is signed in'
);
select is(
    pg_temp.outcome('anon', null, 'select z_score from public.trending_now()'),
    '42703 column "z_score" does not exist',
    'the figures behind the score are not in the list'
);

select finish();
rollback;
