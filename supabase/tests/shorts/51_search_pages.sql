-- A question asked again costs a look-up, and no kept answer outlives what it shows.
begin;
\ir ../asked.psql
select plan(49);

-- An empty house: nothing of the running stack is seen in here.
delete from private.keyword_pages;
delete from private.search_page_reads;

-- Of each word 30 videos; the last 10 are not for visitors.
select
    public.ingest_videos(
        jsonb_agg(
            jsonb_build_object(
                'video_id', 'pages-' || word.place || '-' || number,
                'title', word.keyword || ' 영상 ' || number,
                'channel_id', 'pages-channel',
                'channel_name', '시험 채널',
                'collected_at', now(),
                'published_at', now() - interval '1 day',
                'duration_seconds', 30,
                'category_id', 24,
                'is_embeddable', true,
                'privacy_status', 'public',
                'view_count', case when number <= 20 then 1000000 - number else 1000 end,
                'keywords', jsonb_build_array(
                    jsonb_build_object('keyword', word.keyword, 'relevance', 0.9, 'source', 'youtube_api')
                )
            )
        )
    ) -> 'inserted' as inserted
from unnest(array['쪽지맛집', '쪽지먹방']) with ordinality as word (keyword, place)
cross join generate_series(1, 30) as number
\gset
select private.rebuild_video_cards() is not null as rebuilt \gset

create function pg_temp.found(
    role_name text,
    statement text
)
returns jsonb
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform set_config('role', role_name, true);
    execute statement
    into answer;
    perform set_config('role', 'none', true);
    return answer;
end
$$;
create function pg_temp.pages()
returns text[]
language sql
as $$
    select
        coalesce(
            array_agg(
                page.keyword || case when page.is_anonymous then ' visitor' else ' member' end
                order by page.keyword, page.is_anonymous
            ),
            '{}'
        )
    from private.keyword_pages as page
$$;
create function pg_temp.refusal(statement text)
returns text
language sql
as $$
    select split_part(pg_temp.asked('{"role": "authenticated"}', statement), ' / ', 1)
$$;

select is(
    (
        select array_agg(key order by key)
        from jsonb_object_keys(pg_temp.found('anon', 'select public.search_videos(''쪽지맛집'')')) as key
    ),
    '{answered,facets,how,next_cursor,query,total,total_is_exact,videos}',
    'an answer has all that is promised'
);
select is(pg_temp.pages(), array['쪽지맛집 visitor'], 'what a visitor asked is kept for visitors');
select is(
    pg_temp.found('authenticated', 'select public.search_videos(''쪽지맛집'')') ->> 'total_is_exact', 'true',
    'who is signed in is answered apart'
);
select is(
    pg_temp.pages(), array['쪽지맛집 member', '쪽지맛집 visitor'], 'and kept apart'
);
select is(
    (
        select count(*)
        from private.keyword_pages as page
        cross join unnest(page.video_ids) as shown (video_id)
        inner join public.cached_videos as video on shown.video_id = video.video_id
        where
            page.is_anonymous
            and video.view_count <= 1000
    ),
    0::bigint,
    'S-239: no page of visitors has a video with 1,000 views or less'
);
select is(
    (
        select bool_and(cardinality(page.video_ids) = 20 and page.min_expires_at = now() + interval '1 hour')
        from private.keyword_pages as page
    ),
    true,
    'a page has its 20 videos, and lasts an hour'
);

-- The page itself is what is served: mark it to see.
update private.keyword_pages set body = '{"how": "kept"}';
select is(
    pg_temp.found('anon', 'select public.search_videos(''쪽지맛집'')') ->> 'how', 'kept', 'asked again, the page answers'
);
select is(
    pg_temp.found('anon', 'select public.search_videos(''  쪽지맛집! '')') ->> 'how', 'kept',
    'also when it is spelled otherwise'
);
select is(
    pg_temp.found('service_role', 'select public.search_videos(''쪽지맛집'')') ->> 'how', 'kept',
    'the service reads the page of who is signed in'
);
select is_empty(
    $$
        select question
        from unnest(
            array[
                'category_id => 24', 'region => ''US''', 'max_duration => 60', 'min_quality => 0', '"limit" => 19',
                'facets => false'
            ]
        ) as question
        where
            pg_temp.found('anon', format('select public.search_videos(''쪽지맛집'', %s)', question)) ->> 'how' = 'kept'
    $$,
    'no other question is answered by the page'
);
select is(
    pg_temp.found(
        'anon', 'select public.search_videos(''쪽지맛집'', region => null, "limit" => null, facets => null)'
    ) ->> 'how',
    'kept',
    'nothing is the usual'
);
update private.keyword_pages set min_expires_at = now();
select is(
    pg_temp.found('anon', 'select public.search_videos(''쪽지맛집'')') ->> 'how', 'keyword',
    'a page whose first video has expired is not served, but made anew'
);
select is(
    (
        select page.min_expires_at > now()
        from private.keyword_pages as page
        where page.is_anonymous
    ),
    true,
    'and kept again'
);

-- What takes a video out takes its pages with it.
create function pg_temp.after(statement text)
returns text[]
language plpgsql
as $$
declare
    left_over text[];
begin
    delete from private.keyword_pages;
    perform pg_temp.found('anon', 'select public.search_videos(''쪽지맛집'')');
    perform pg_temp.found('anon', 'select public.search_videos(''쪽지먹방'')');
    begin
        execute statement;
        left_over := pg_temp.pages();
        raise exception using errcode = 'OK000';
    exception
        when sqlstate 'OK000' then
            return left_over;
    end;
end
$$;
select is(
    pg_temp.after(format('update public.cached_videos set %s where video_id = ''pages-1-1''', change.change)),
    array['쪽지먹방 visitor'],
    change.change || ' drops the pages with it, and no other'
)
from unnest(
    array[
        'player_error_code = 150',
        'privacy_status = ''private''',
        'duration = 181',
        'is_age_restricted = true',
        'region_restrictions = ''{"blocked": ["KR"]}''',
        'expires_at = now()',
        'purged_at = now()',
        'view_count = 1000'
    ]
) as change (change);
select is(
    pg_temp.after('delete from public.cached_videos where video_id = ''pages-1-1'''), array['쪽지먹방 visitor'],
    'so does a deletion'
);
select is(
    pg_temp.after('update public.cached_videos set cache_hit_count = cache_hit_count + 1, view_count = view_count + 5'),
    array['쪽지맛집 visitor', '쪽지먹방 visitor'],
    'counters drop nothing'
);
select is(
    pg_temp.after('update public.cached_videos set player_error_code = 150 where video_id = ''pages-1-25'''),
    array['쪽지맛집 visitor', '쪽지먹방 visitor'],
    'nor does a video that is on no page'
);
select is(
    pg_temp.after('select private.drop_search_pages(''{쪽지먹방,unknown}'')'), array['쪽지맛집 visitor'],
    'pages of keywords are dropped by name'
);
select is(
    pg_temp.after(
        $$
            with moved as (
                update public.cached_videos set published_at = now() where video_id = 'pages-2-30' returning 1
            )

            select count(*) from moved
        $$
    ),
    array['쪽지맛집 visitor', '쪽지먹방 visitor'],
    'a video that is newer moves nothing yet'
);
select is(
    pg_temp.after(
        $$
            do $do$
            begin
                update public.cached_videos set published_at = now() where video_id = 'pages-2-30';
                perform private.fold_video_cards();
            end
            $do$
        $$
    ),
    array['쪽지맛집 visitor'],
    'the fold drops the pages of keywords whose order it changed'
);
select is(
    pg_temp.after(
        $$
            do $do$
            begin
                delete from public.keyword_video_mappings where keyword = '쪽지먹방' and video_id = 'pages-2-30';
                perform private.fold_video_cards();
            end
            $do$
        $$
    ),
    array['쪽지맛집 visitor'],
    'and of those that lead elsewhere'
);
select is(private.drop_search_pages(null), 0, 'no keywords, no pages');
select is(private.drop_pages_of_videos('{}'), 0, 'no videos, no pages');

select is(private.drop_search_pages('{unknown}'), 0, 'what has no page loses none');

-- Nobody keeps an answer while a video is taken out.
select is(
    (
        select array_agg(distinct held.mode::text)
        from pg_locks as held
        where
            held.relation = 'private.search_page_gate'::regclass
            and held.pid = pg_backend_pid()
    ),
    '{RowExclusiveLock,ShareLock}',
    'who keeps pages and who drops them hold locks against each other until they are done'
);

select is(
    pg_temp.found('anon', 'select public.search_videos(''쪽지없는말'')') ->> 'how', 'none', 'nothing is found for nothing'
);
select is(
    (select count(*) from private.keyword_pages as page where page.keyword = '쪽지없는말'), 0::bigint,
    'and nothing is kept of it'
);

select is(
    pg_temp.refusal(format('select public.search_videos(%s)', asked.arguments)),
    'PT400 ' || asked.message,
    'refused: ' || left(asked.arguments, 40)
)
from (
    values
    ('null', 'query is missing or longer than 200 characters'),
    ('repeat(''맛'', 201)', 'query is missing or longer than 200 characters'),
    (''' ''', 'query is empty'),
    ('''맛집'', "limit" => 0', 'limit is not from 1 to 50'),
    ('''맛집'', "limit" => -1', 'limit is not from 1 to 50'),
    ('''맛집'', "limit" => 51', 'limit is not from 1 to 50'),
    ('''맛집'', region => ''Korea''', 'region is no ISO 3166 code'),
    ('''맛집'', category_id => -1', 'category_id is not from 0 to 999'),
    ('''맛집'', max_duration => 0', 'max_duration is not from 1 to 86400'),
    ('''맛집'', min_quality => ''NaN''', 'min_quality is not from 0 to 1'),
    ('''맛집'', cursor => repeat(''x'', 1001)', 'cursor is empty or longer than 1000 characters')
) as asked (arguments, message);

-- A log of 8,000 questions for 60 keywords, drawn as people draw them: the first twice as often as the second.
delete from private.search_page_reads;
delete from private.keyword_pages;
insert into public.keyword_video_mappings (keyword, video_id, relevance_score)
select
    '쪽지말' || word,
    'pages-1-' || (word % 20 + 1),
    0.9
from generate_series(1, 60) as word;
select private.rebuild_video_cards() is not null as rebuilt \gset
select setseed(0.42) is not null as seeded \gset
create temp table drawn as
select
    '쪽지말' || (
        select min(share.word)
        from (
            select
                word,
                sum(power(word, -1.05)) over (order by word) / sum(power(word, -1.05)) over () as until
            from generate_series(1, 60) as word
        ) as share
        where share.until >= one.draw
    ) as query
from (select random() as draw from generate_series(1, 8000)) as one;
grant select on drawn to anon;
select count(pg_temp.found('anon', format('select public.search_videos(%L)', drawn.query))) as asked
from drawn
\gset
select cmp_ok(
    (select health.hit_ratio from ops.search_page_health as health), '>', 0.85,
    'S-234: a log drawn by Zipf''s law is answered by pages in more than 85 of 100 cases'
);
select cmp_ok(
    (select abs(health.hits + health.misses - 8000) from ops.search_page_health as health), '<', 3000::numeric,
    'the counted ones stand for all'
);
update private.keyword_pages set min_expires_at = now() where keyword like '쪽지말1%';
select is(
    private.forget_search_pages(20), '{"expired": 11, "surplus": 29}',
    'the job deletes what expired, and what is beyond the number that is kept'
);
select is((select count(*) from private.keyword_pages), 20::bigint, 'no more than that are left');
select * from finish();
rollback;
