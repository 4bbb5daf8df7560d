-- What people search for and watch becomes hourly counts: each person once, nobody by name, exactly once.
begin;
\ir ../outcome.psql
select plan(47);

insert into auth.users (id, email, is_anonymous)
select
    format('%s1111111-1111-4111-8111-111111111111', n)::uuid,
    case when n <= 5 then format('person%s@example.com', n) end,
    n > 5
from generate_series(1, 8) as n;
delete from public.video_interactions;
delete from public.search_sessions;
delete from private.uncounted_hours;
delete from private.keyword_signals;
insert into public.cached_videos (video_id, title, is_embeddable, privacy_status)
values
('signal1', 'one', true, 'public'),
('signal2', 'two', true, 'public');
insert into public.keyword_video_mappings (keyword, video_id, relevance_score)
values
('alpha', 'signal1', 0.9),
('beta', 'signal1', 0.8),
('gamma', 'signal1', 0.7),
('delta', 'signal1', 0.6),
('epsilon', 'signal1', 0.5),
('zeta', 'signal1', 0.4),
('shorts', 'signal2', 0.9),
('alpha', 'signal2', 0.8);

-- An hour that is over; what is planted in it is planted by the service, people cannot date back.
create function pg_temp.hour()
returns timestamptz
language sql
as $$
    select date_trunc('hour', now(), 'UTC') - interval '3 hours'
$$;
create function pg_temp.search(
    who integer,
    query text,
    location text default 'unknown',
    at timestamptz default pg_temp.hour() + interval '10 minutes',
    kind text default 'keyword'
)
returns void
language sql
as $$
    insert into public.search_sessions (user_id, search_query, search_type, user_context, session_started_at)
    values (
        format('%s1111111-1111-4111-8111-111111111111', who)::uuid,
        query,
        kind,
        jsonb_build_object('location', location),
        at
    )
$$;
create function pg_temp.watch(
    who integer,
    video text,
    kind text default 'view',
    at timestamptz default pg_temp.hour() + interval '10 minutes'
)
returns void
language sql
as $$
    insert into public.video_interactions (user_id, video_id, interaction_type, created_at, interaction_timestamp)
    values (format('%s1111111-1111-4111-8111-111111111111', who)::uuid, video, kind, at, at)
$$;
create function pg_temp.counted()
returns text[]
language sql
as $$
    select
        coalesce(
            array_agg(
                format('%s %s %s/%s', signal.region_code, signal.keyword, signal.mentions, signal.views)
                order by
                    signal.region_code,
                    signal.keyword
            ),
            '{}'
        )
    from private.keyword_signals as signal
    where
        signal.data_source = 'internal'
        and signal.bucket = pg_temp.hour()
$$;
create function pg_temp.clean()
returns void
language sql
as $$
    delete from public.video_interactions;
    delete from public.search_sessions;
    delete from private.uncounted_hours;
    delete from private.keyword_signals;
$$;

-- Marks.
select pg_temp.search(1, 'Cat  DANCE'), pg_temp.search(1, 'cat dance');
select results_eq(
    'select hour, count(*) from private.uncounted_hours group by hour',
    'values (pg_temp.hour(), 2::bigint)',
    'S-216: each statement leaves a mark of the hour'
);
select is(
    private.count_internal_signals(),
    '{"hours": 1, "written": 1, "removed": 0, "marks": 2, "too_late": 0, "rare_forgotten": 0}',
    'S-216: the job counts the hour and takes the marks'
);
select is(pg_temp.counted(), array['KR cat dance 1/0'], 'S-216: a person counts once, in one spelling');
select is(
    private.count_internal_signals(),
    '{"hours": 0, "written": 0, "removed": 0, "marks": 0, "too_late": 0, "rare_forgotten": 0}',
    'S-216: once more finds nothing to do'
);
insert into private.uncounted_hours (hour)
values (pg_temp.hour());
select is(
    private.count_internal_signals(),
    '{"hours": 1, "written": 0, "removed": 0, "marks": 1, "too_late": 0, "rare_forgotten": 0}',
    'S-216: a mark too many changes nothing'
);
select pg_temp.search(2, 'cat dance'), pg_temp.search(3, 'ＣＡＴ dance');
select is(private.count_internal_signals() -> 'written', '1'::jsonb, 'S-216: what comes later is added');
select is(pg_temp.counted(), array['KR cat dance 3/0'], 'S-216: three people');
delete from public.search_sessions
where user_id = '31111111-1111-4111-8111-111111111111';
select is(private.count_internal_signals() -> 'written', '1'::jsonb, 'S-216: what goes is taken away');
select is(pg_temp.counted(), array['KR cat dance 2/0'], 'S-216: two people');
select pg_temp.clean();

-- What counts.
select
    pg_temp.search(1, '아이유 콘서트'),
    pg_temp.search(1, 'shorts'),
    pg_temp.search(1, '쇼츠 영상'),
    pg_temp.search(1, 'a'),
    pg_temp.search(1, repeat('x', 255)),
    pg_temp.search(1, repeat('y', 256)),
    pg_temp.search(1, 'hong@example.com'),
    pg_temp.search(1, '홍길동 010-1234-5678'),
    pg_temp.search(1, '０１０ １２３４ ５６７８'),
    pg_temp.search(1, '900101-1234567'),
    pg_temp.search(1, '공일공 일이삼사 오육칠팔'),
    pg_temp.search(1, 'what shall i watch', kind => 'ai_chat'),
    pg_temp.search(1, 'what trends', kind => 'trending');
select private.count_internal_signals();
select is(
    pg_temp.counted(),
    array['KR ' || repeat('x', 255) || ' 1/0', 'KR 아이유 콘서트 1/0'],
    'S-216: no stop words, no letters, nothing endless, no address and no number, no conversation, no trend'
);
select is(
    array(
        select line.query
        from unnest(array[
            'a@b.co', 'hong @ example.com', '010-1234-5678', '010 1234 5678', '+82 10 1234 5678', '01012345678',
            '02)123-4567', '1588-1234', '123-4567', '900101-1234567', '9001011234567', '900101-1', '900101 - 2345678',
            '공일공-일이삼사-오육칠팔', '이름 010.1234.5678 주소', '110-123-456789'
        ]) as line (query)
        where not private.looks_personal(line.query)
    ),
    '{}',
    'S-216: addresses, phones, resident and account numbers are known however they are written'
);
select is(
    array(
        select line.query
        from unnest(array[
            'kim at example dot com', 'kim(at)gmail(dot)com', 'kim [@] example . com', 'kim 골뱅이 naver 닷 com',
            '٠١٠١٢٣٤٥٦٧٨', '〇一〇一二三四五六七八'
        ]) as line (query)
        where not private.looks_personal(line.query)
    ),
    '{}',
    'S-216: nor in words or in the digits of another script'
);
select is(
    array(
        select line.query
        from unnest(array[
            '골뱅이무침 맛집', '골뱅이 소면 3.5점', 'cat food.com', 'attack on titan', 'dance at home', 'party at 8.30'
        ]) as line (query)
        where private.looks_personal(line.query)
    ),
    '{}',
    'S-216: whelks, sites and hours are not'
);
select is(
    array(
        select line.query
        from unnest(array[
            '아이유 2024 콘서트', '20251121 음악중심', '251121 아이브', 'iphone 15 pro max 256', '2024 2025 시즌', '1+1', '3.14',
            '10,000원', '이영 일상', '구구단 3단', '@channel', 'top 100', '4k 60fps'
        ]) as line (query)
        where private.looks_personal(line.query)
    ),
    '{}',
    'S-216: years, dates and sizes are not'
);
select pg_temp.clean();
insert into public.search_sessions (search_query, session_started_at)
values ('of nobody', pg_temp.hour());
select pg_temp.search(n, 'of visitors'), pg_temp.watch(n, 'signal1')
from generate_series(6, 8) as n;
select is(private.count_internal_signals() -> 'written', '0'::jsonb, 'S-216: nobody that is known counts for nothing');
select is(pg_temp.counted(), '{}', 'S-216: nor do accounts that cost nothing to make');
select pg_temp.clean();

-- Interactions.
select
    pg_temp.watch(1, 'signal1'),
    pg_temp.watch(1, 'signal1'),
    pg_temp.watch(2, 'signal1', 'like'),
    pg_temp.watch(3, 'signal1', 'share'),
    pg_temp.watch(4, 'signal1', 'save'),
    pg_temp.watch(5, 'signal1', 'skip'),
    pg_temp.watch(1, 'signal2'),
    pg_temp.search(1, 'alpha'),
    pg_temp.search(5, 'alpha');
select private.count_internal_signals();
select is(
    pg_temp.counted(),
    array['KR alpha 5/2', 'KR beta 4/1', 'KR delta 4/1', 'KR epsilon 4/1', 'KR gamma 4/1'],
    'S-216: a video''s five best keywords, each person once for searching and watching, a view once a video'
);
select is((select count(*) from private.uncounted_hours), 0::bigint, 'S-216: all are counted');
select pg_temp.watch(5, 'signal1', 'skip');
select is((select count(*) from private.uncounted_hours), 0::bigint, 'S-216: a skip leaves no mark');
delete from public.video_interactions
where user_id = '11111111-1111-4111-8111-111111111111';
select private.count_internal_signals();
select is(
    pg_temp.counted(),
    array['KR alpha 5/0', 'KR beta 3/0', 'KR delta 3/0', 'KR epsilon 3/0', 'KR gamma 3/0'],
    'S-216: what is deleted counts no more'
);
delete from public.video_interactions;
select is(
    private.count_internal_signals() - 'marks',
    '{"hours": 1, "written": 1, "removed": 4, "too_late": 0, "rare_forgotten": 0}',
    'S-216: what nobody did any more is removed'
);
select is(pg_temp.counted(), array['KR alpha 2/0'], 'S-216: no row of it is left');
select pg_temp.clean();

-- Regions.
select
    pg_temp.search(1, 'place', 'us'),
    pg_temp.search(1, 'place', 'JP', pg_temp.hour() + interval '20 minutes'),
    pg_temp.search(2, 'place', 'Seoul', pg_temp.hour() + interval '5 minutes'),
    pg_temp.search(2, 'place', 'US', pg_temp.hour() + interval '30 minutes'),
    pg_temp.search(3, 'place', 'Seoul'),
    pg_temp.search(4, 'place', 'ZZ'),
    pg_temp.watch(1, 'signal2');
select private.count_internal_signals();
select is(
    pg_temp.counted(),
    array['KR place 2/0', 'US alpha 1/1', 'US place 2/0'],
    'S-216: a person is in one region an hour, the first known one; else in Korea'
);
select pg_temp.clean();

-- A robot.
select pg_temp.search(1, format('robot %s', 1000 + n), at => pg_temp.hour() + n * interval '1 second')
from generate_series(1, 250) as n;
select private.count_internal_signals();
select results_eq(
    $$
        select
            count(*),
            max(keyword::text)
        from private.keyword_signals
        where data_source = 'internal'
    $$,
    $$values (200::bigint, 'robot 1200')$$,
    'S-216: of what one person asks in an hour the first 200 count'
);
select pg_temp.clean();

-- Hours.
select
    pg_temp.search(1, 'at the edge', at => pg_temp.hour()),
    pg_temp.search(2, 'at the edge', at => pg_temp.hour() + interval '1 hour'),
    pg_temp.search(3, 'at the edge', at => pg_temp.hour() - interval '1 microsecond');
select private.count_internal_signals();
select results_eq(
    $$
        select
            bucket,
            mentions
        from private.keyword_signals
        where keyword = 'at the edge'
        order by bucket
    $$,
    $$
        values
        (pg_temp.hour() - interval '1 hour', 1),
        (pg_temp.hour(), 1),
        (pg_temp.hour() + interval '1 hour', 1)
    $$,
    'S-216: an hour has its first moment and not its last'
);
select pg_temp.search(1, 'too old', at => now() - interval '50 hours');
select is((select count(*) from private.uncounted_hours), 0::bigint, 'S-216: what came too late leaves no mark');
insert into private.uncounted_hours (hour)
values (date_trunc('hour', now(), 'UTC') - interval '49 hours');
select is(
    private.count_internal_signals(),
    '{"hours": 0, "written": 0, "removed": 0, "marks": 1, "too_late": 1, "rare_forgotten": 0}',
    'S-216: a mark that was left for two days is dropped, and told'
);
select pg_temp.search(1, 'apple'), pg_temp.search(1, 'banana');
select is(
    private.count_internal_signals(batch_size => 1) -> 'marks', '1'::jsonb, 'S-216: a batch has its size'
);
select is(
    private.count_internal_signals(batch_size => 1) -> 'marks', '1'::jsonb, 'S-216: and the next takes the next'
);
select is(
    pg_temp.counted(), array['KR apple 1/0', 'KR at the edge 1/0', 'KR banana 1/0'], 'S-216: which changes nothing'
);
select pg_temp.clean();

-- Other sources and other hours are nobody's business here.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions, views)
values
('KR', 'youtube_api', pg_temp.hour(), 'other source', 5, 5),
('KR', 'internal', pg_temp.hour() - interval '1 hour', 'other hour', 5, 5),
('KR', 'internal', pg_temp.hour(), 'this hour', 5, 5);
select pg_temp.search(1, 'apple pie');
select private.count_internal_signals();
select results_eq(
    $$select keyword::text from private.keyword_signals order by keyword collate "C"$$,
    $$values ('apple pie'), ('other hour'), ('other source')$$,
    'S-216: an hour''s internal signals are exactly what was counted'
);
select pg_temp.clean();

-- Rare ones live as long as detection looks back, and go with whose they are.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    'KR',
    planted.data_source,
    date_trunc('hour', now(), 'UTC') - planted.age,
    planted.keyword,
    planted.mentions
from (
    values
    ('internal', interval '8 days 1 hour', 'rare and old', 2),
    ('internal', interval '8 days 1 hour', 'common and old', 3),
    ('youtube_api', interval '8 days 1 hour', 'public and old', 1),
    ('internal', interval '8 days', 'rare and young', 2)
) as planted (data_source, age, keyword, mentions);
update private.rare_signals_forgotten
set done_until = date_trunc('hour', now(), 'UTC') - interval '9 days';
select is(
    private.count_internal_signals() -> 'rare_forgotten', '1'::jsonb, 'S-216: what few made is forgotten after 8 days'
);
select results_eq(
    $$select keyword::text from private.keyword_signals order by keyword collate "C"$$,
    $$values ('common and old'), ('public and old'), ('rare and young')$$,
    'S-216: and nothing else'
);
select is(
    (select done_until from private.rare_signals_forgotten),
    date_trunc('hour', now(), 'UTC') - interval '8 days',
    'S-216: it is known up to when'
);
update private.rare_signals_forgotten
set done_until = now() - interval '1 year';
select private.count_internal_signals();
select is(
    (select done_until from private.rare_signals_forgotten),
    now() - interval '1 year' + interval '48 hours',
    'S-216: after a long silence it catches up two days a run'
);
update private.rare_signals_forgotten
set done_until = date_trunc('hour', now(), 'UTC') - interval '8 days';
select throws_ok(
    'insert into private.rare_signals_forgotten values (false, now())',
    '23514',
    'new row for relation "rare_signals_forgotten" violates check constraint "there_is_one_row"',
    'S-216: there is one row'
);
select pg_temp.clean();

select
    pg_temp.search(1, 'my own name', at => date_trunc('hour', now(), 'UTC') - interval '5 days'),
    pg_temp.search(2, 'my own name'),
    pg_temp.search(n, 'well known')
from generate_series(1, 4) as n;
select private.count_internal_signals();
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
select
    'KR',
    planted.data_source,
    date_trunc('hour', now(), 'UTC') - interval '5 days',
    'my own name',
    1
from (
    values
    ('internal'),
    ('youtube_api')
) as planted (data_source);
select public.erase_user('11111111-1111-4111-8111-111111111111');
select results_eq(
    $$
        select data_source::text
        from private.keyword_signals
        where
            keyword = 'my own name'
            and bucket < pg_temp.hour()
    $$,
    $$values ('youtube_api')$$,
    'S-216: with a person goes at once what only one or two had typed, in hours too that are not counted again'
);
select private.count_internal_signals();
select is(
    pg_temp.counted(),
    array['KR my own name 1/0', 'KR well known 3/0'],
    'S-216: and the person''s part of what many typed'
);
select is(
    (
        select count(*)
        from pg_attribute as attribute
        where
            attribute.attrelid in (
                'private.uncounted_hours'::regclass,
                'private.rare_signals_forgotten'::regclass,
                'private.keyword_signals'::regclass,
                'private.stop_words'::regclass
            )
            and attribute.attnum > 0
            and attribute.atttypid = 'uuid'::regtype
    ),
    0::bigint,
    'S-216: none of the tables can say who'
);
select pg_temp.clean();

-- From searches to a trend: days of the usual, then many people at once.
insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions, views)
select
    'KR',
    'internal',
    pg_temp.hour() - n * interval '1 hour',
    word.keyword,
    3 + n % 2,
    0
from generate_series(50, 150) as n
cross join (
    values
    ('usual'),
    ('quiet')
) as word (keyword);
insert into auth.users (id, email)
select
    format('%s0000000-0000-4000-8000-%s', n % 10, lpad(n::text, 12, '0'))::uuid,
    format('crowd%s@example.com', n)
from generate_series(1, 30) as n;
insert into public.search_sessions (user_id, search_query, session_started_at)
select
    person.id,
    word.query,
    pg_temp.hour() - word.hours_ago * interval '1 hour'
from (
    select
        account.id,
        row_number() over (order by account.id) as place
    from auth.users as account
    where account.email like 'crowd%@example.com'
) as person
cross join (
    select
        'usual' as query,
        n as hours_ago,
        4 as people
    from generate_series(0, 40) as n
    union all
    select
        'Burst!',
        0,
        25
    union all
    select
        'of two',
        0,
        2
) as word
where person.place <= word.people;
select ok((private.count_internal_signals() -> 'hours')::integer = 41, 'S-216: the hours of two days');
select public.detect_trends(pg_temp.hour() + interval '1 hour');
select results_eq(
    $$
        select
            keyword::text,
            data_source::text,
            search_volume
        from public.trending_keywords
        where detected_at = pg_temp.hour() + interval '1 hour'
    $$,
    $$values ('burst!', 'internal', 25)$$,
    'S-216: what many search for at once is a trend from the inside; what two search for is none'
);
select is(
    (
        select count(*)
        from public.trending_keywords
        where keyword = 'of two'
    ),
    0::bigint,
    'S-216: nowhere'
);

-- Who may.
select is(
    array(
        select format('%s %s', role.name, relation.name)
        from unnest(array['anon', 'authenticated']) as role (name)
        cross join unnest(array[
            'private.uncounted_hours', 'private.rare_signals_forgotten', 'private.stop_words', 'private.keyword_signals'
        ]) as relation (name)
        where has_table_privilege(role.name, relation.name, 'select, insert, update, delete')
    ),
    '{}',
    'S-216: nobody reads or writes the tables'
);
select is(
    array(
        select format('%s %s', role.name, routine.name)
        from unnest(array['anon', 'authenticated']) as role (name)
        cross join unnest(array[
            'private.count_internal_signals(timestamptz, integer)',
            'private.internal_signals_of(timestamptz)',
            'private.set_internal_signals(timestamptz)',
            'private.forget_rare_signals(timestamptz)'
        ]) as routine (name)
        where has_function_privilege(role.name, routine.name, 'execute')
    ),
    '{}',
    'S-216: nobody but the schedule counts'
);
select is(
    pg_temp.outcome(
        'authenticated',
        '{"sub": "21111111-1111-4111-8111-111111111111", "role": "authenticated"}',
        $$insert into public.search_sessions (search_query) values ('typed by a person')$$
    ),
    '1 row',
    'S-216: a person searches past every function'
);
select private.count_internal_signals();
select is(
    (
        select mentions
        from private.keyword_signals
        where
            keyword = 'typed by a person'
            and bucket = date_trunc('hour', now(), 'UTC')
    ),
    1,
    'S-216: and is counted, by the server''s clock'
);
select is(
    pg_temp.outcome(
        'authenticated',
        '{"sub": "21111111-1111-4111-8111-111111111111", "role": "authenticated"}',
        $$insert into public.search_sessions (search_query, session_started_at) values ('dated back', now())$$
    ),
    '42501 permission denied for table search_sessions',
    'S-216: which nobody sets'
);

select finish();
rollback;
