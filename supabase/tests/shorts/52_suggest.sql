-- Half a word is enough, and what was mistyped is found by what was meant.
begin;
\ir ../asked.psql
\ir ../outcome.psql
select plan(43);

-- An empty house: nothing of the running stack is seen in here.
delete from public.cached_videos;
delete from public.trending_keywords;
delete from private.unanswered_searches;
delete from private.suggestions;
select
    public.ingest_videos(
        jsonb_agg(
            jsonb_build_object(
                'video_id', 'suggest-' || word.place || '-' || number,
                'title', '시험 ' || number,
                'collected_at', now(),
                'duration_seconds', 30,
                'is_embeddable', true,
                'privacy_status', 'public',
                'view_count', word.views,
                'keywords', jsonb_build_array(
                    jsonb_build_object('keyword', word.keyword, 'relevance', 0.9, 'source', 'youtube_api')
                )
            )
        )
    ) -> 'inserted' as inserted
from (
    values
    (1, '맛집', 900000), (2, '마사지', 800000), (3, '강남 맛집', 700000), (4, '강아지 훈련', 600000), (5, '먹방', 500000),
    (6, '고양이', 400000), (7, 'vlog', 300000), (8, '축구 하이라이트', 200000), (9, '닭갈비', 100000), (10, '맛보기', 1000),
    (11, 'k-pop', 50000), (12, '물', 40000), (13, '마술', 30000)
) as word (place, keyword, views)
cross join generate_series(1, 2) as number
\gset
select private.rebuild_video_cards() is not null as rebuilt \gset
select is(private.refresh_suggestions(), '{"gone": 0, "stored": 13}', 'keywords that lead somewhere are suggested');
select is(
    private.refresh_suggestions(), '{"gone": 0, "stored": 13}', 'a repeated refresh finds the same'
);
select is(
    (
        select array[known.keyword, known.squeezed, known.choseong, known.jamo]::text[] collate "default"
        from private.suggestions as known
        where known.keyword like '강남%'
    ),
    array['강남 맛집', '강남맛집', 'ㄱㄴㅁㅈ', 'ㄱㅏㅇㄴㅏㅁㅁㅏㅅㅈㅣㅂ'],
    'each in the forms it is typed in'
);

create function pg_temp.suggested(
    prefix text,
    most integer default 10
)
returns text
language sql
as $$
    select string_agg(suggested.keyword, ', ' order by suggested.place)
    from public.suggest_keywords(prefix, most)
        with ordinality as suggested (keyword, videos, highlights, place)
$$;
select is(pg_temp.suggested(typed.typed), typed.expected, typed.typed || ' ' || typed.why)
from (
    values
    ('맛', '맛집, 맛보기, 마사지, 마술', 'is a syllable, and on the way to 마ㅅ'),
    ('ㅁㅈ', '맛집', 'are first consonants'),
    ('마ㅈ', '맛집', 'is a syllable without its final and a consonant'),
    ('맛지', '맛집', 'is the middle of a syllable'),
    ('맞', '맛집', 'has a final that moves on'),
    ('마', '맛집, 마사지, 마술, 맛보기', 'may still get a final'),
    ('달', '닭갈비', 'may still get a double final'),
    ('ㅁ', '맛집, 마사지, 먹방, 물, 마술, 맛보기', 'is what all of these begin with'),
    ('강남 ㅁ', '강남 맛집', 'goes beyond a space'),
    ('강남마', '강남 맛집', 'needs no space'),
    ('ㄱㄴㅁㅈ', '강남 맛집', 'are four first consonants'),
    ('VL', 'vlog', 'is folded'),
    ('kp', 'k pop', 'leaves out what is no letter'),
    (normalize('맛ㅈ', nfd), '맛집', 'is composed'),
    ('집', null, 'begins nothing'),
    ('', null, 'is nothing'),
    ('🎉', null, 'is no word'),
    ('[a*(\|^$', null, 'is no pattern')
) as typed (typed, expected, why);
select is(pg_temp.suggested('ㅁ', 2), '맛집, 마사지', 'no more than asked for');
select results_eq(
    $$
        select concat_ws(', ', keyword, videos, highlights)
        from public.suggest_keywords('강남ㅁ')
    $$,
    $$values ('강남 맛집, 2, [[0, 4]]')$$,
    'with the number of its videos, and what of it was typed'
);
select is(
    pg_temp.asked(
        '{"role": "authenticated"}', format('select count(*) from public.suggest_keywords(%s)', bad.arguments)
    ),
    bad.answer,
    'refused: ' || left(bad.arguments, 20)
)
from (
    values
    ('null', 'PT400 prefix is missing or longer than 500 characters / Send what was typed so far.'),
    (
        '''맛'', 0',
        'PT400 limit is not from 1 to 50 / Send a whole number from 1 to 50, or nothing: that is 10.'
    ),
    (
        'repeat(''맛'', 501)',
        'PT400 prefix is missing or longer than 500 characters / Send what was typed so far.'
    )
) as bad (arguments, answer);
select is(
    pg_temp.outcome('anon', '{"role": "anon"}', 'select * from public.suggest_keywords(''맛'')'), '3 rows',
    'visitors are not led to what they do not see'
);

insert into public.trending_keywords (keyword, trend_score, region_code, expires_at)
values ('마술', 1, 'KR', now() + interval '1 hour');
select private.refresh_suggestions() is not null as refreshed \gset
select is(pg_temp.suggested('마ㅅ'), '마술, 마사지', 'what trends comes earlier');

update public.cached_videos set player_error_code = 150 where video_id like 'suggest-2-%';
select is(pg_temp.suggested('마ㅅ'), '마술', 'what leads nowhere any more is not suggested');
select private.rebuild_video_cards() is not null as rebuilt \gset
select private.refresh_suggestions() is not null as refreshed \gset
select is(
    (select count(*) from private.suggestions as known where known.keyword = '마사지'), 0::bigint,
    'and is forgotten'
);

select is(
    (
        select count(*) filter (where is_mistyped) || ' ' || count(*) filter (where not is_mistyped)
        from unnest('{true, false}'::boolean[]) as asked (is_mistyped)
        cross join lateral private.corrected_keywords('마집', 3, asked.is_mistyped)
    ),
    '1 0',
    'who finds what they typed is not corrected'
);
create function pg_temp.corrected(query text)
returns text
language sql
as $$
    select
        string_agg(
            corrected.keyword || ' ' || corrected.distance || ' ' || corrected.how, ', ' order by corrected.place
        )
    from private.corrected_keywords(query, 3) with ordinality as corrected (keyword, distance, how, place)
$$;
select results_eq(
    $$
        select typed || ': ' || coalesce(pg_temp.corrected(typed), 'nothing')
        from unnest(
            array[
                '맛 집', '강 남맛집', '맛집을', '맛집에서는', '강남에서 맛집도', '고양이는', '브이로그', 'mukbang', '먹는 방송',
                '댕댕이 훈련', '냥이', '마집', '맛짐', '강어지 훈렴', '축구하일라이트', '룰', '고양이', '자동차', '', '!!'
            ]
        ) as typed
    $$,
    $$
        values
        ('맛 집: 맛집 0 spacing'),
        ('강 남맛집: 강남 맛집 0 spacing'),
        ('맛집을: 맛집 0 particle'),
        ('맛집에서는: 맛집 0 particle'),
        ('강남에서 맛집도: 강남 맛집 0 particle'),
        ('고양이는: 고양이 0 particle'),
        ('브이로그: vlog 0 synonym'),
        ('mukbang: 먹방 0 synonym'),
        ('먹는 방송: 먹방 0 synonym'),
        ('댕댕이 훈련: 강아지 훈련 0 synonym'),
        ('냥이: 고양이 0 synonym'),
        ('마집: 맛집 1 corrected'),
        ('맛짐: 맛집 1 corrected'),
        ('강어지 훈렴: 강아지 훈련 2 corrected'),
        ('축구하일라이트: 축구 하이라이트 1 corrected'),
        ('룰: nothing'),
        ('고양이: nothing'),
        ('자동차: nothing'),
        (': nothing'),
        ('!!: nothing')
    $$,
    'spaces, particles, synonyms and typing errors, in this order'
);
insert into private.synonyms (word, synonym)
values ('냥', '고양이');
select is(pg_temp.corrected('냥'), '고양이 0 synonym', 'a synonym is data');
select throws_ok(
    $$insert into private.synonyms (word, synonym) values ('맛집!', '집')$$, '23514', null, 'and stands folded'
);
select is(pg_temp.corrected('훈련 ' || repeat('가', 190)), null, 'a question beyond all keywords is answered too');

-- 5,000 more keywords: a correction reads those that share a hash, and not the table.
insert into private.keywords (keyword, videos)
select
    chr(44032 + number * 2) || chr(55203 - number),
    1
from generate_series(1, 5000) as number;
insert into private.suggestions (
    keyword_no, keyword, squeezed, choseong, jamo, deletions, popularity, videos, videos_for_everybody
)
select
    made.keyword_no,
    made.keyword,
    made.keyword,
    private.choseong_of(made.keyword),
    private.jamo_of(made.keyword),
    private.deletions_of(private.jamo_of(made.keyword), 1),
    1,
    1,
    1
from private.keywords as made
where
    not exists (
        select
        from private.suggestions as known
        where known.keyword_no = made.keyword_no
    )
    and made.videos = 1;
analyze private.suggestions;
create function pg_temp.reads_of(statement text)
returns bigint
language plpgsql
as $$
declare
    before bigint;
    after bigint;
begin
    select pg_stat_get_xact_tuples_returned('private.suggestions'::regclass) into before;
    execute statement;
    select pg_stat_get_xact_tuples_returned('private.suggestions'::regclass) into after;
    return after - before;
end
$$;
select cmp_ok(
    pg_temp.reads_of(format('select count(*) from %s', asked.question)), '<', 1000::bigint,
    'no full scan: ' || asked.question
)
from (
    values
    ('private.corrected_keywords(''마집'', 3)'),
    ('private.corrected_keywords(''강어지 훈렴'', 3)'),
    ('public.suggest_keywords(''마ㅈ'')')
) as asked (question);

-- Three people found nothing, of a fourth word only two.
insert into auth.users (id, email)
select
    ('00000000-0000-4000-8000-00000000005' || number)::uuid,
    'unanswered' || number || '@example.com'
from generate_series(1, 3) as number;
insert into public.search_sessions (
    user_id, search_query, search_type, results_count, session_started_at, session_ended_at
)
select
    ('00000000-0000-4000-8000-00000000005' || asked.person)::uuid,
    asked.query,
    'keyword',
    asked.results,
    now() - interval '70 minutes',
    now() - interval '69 minutes'
from (
    values
    (1, '없는말', 0), (2, ' 없는말! ', 0), (3, normalize('없는말', nfd), 0), (1, '둘만', 0), (2, '둘만', 0),
    (1, '있는말', 9), (2, '있는말', 9), (3, '있는말', 9), (1, '맛집', 0), (2, '맛집', 0), (3, '맛집', 0)
) as asked (person, query, results);
select is(
    private.count_unanswered_searches(private.korean_day(now() - interval '70 minutes')) -> 'stored', '2',
    'what three people asked in vain is counted'
);
select is(
    private.count_unanswered_searches(private.korean_day(now() - interval '70 minutes')) -> 'stored', '0',
    'and counted once'
);
select results_eq(
    $$select concat_ws(', ', query, people, days) from public.unanswered_searches()$$,
    $$values ('없는말, 3, 1')$$,
    'what only two asked is not told, nor what leads somewhere by now'
);
select is(
    pg_temp.outcome('authenticated', '{"role": "authenticated"}', 'select * from public.unanswered_searches()'),
    '42501 permission denied for function unanswered_searches',
    'it is told to the service'
);
select is(
    pg_temp.outcome('service_role', '{"role": "service_role"}', 'select * from public.unanswered_searches()'), '1 row',
    'which asks for it'
);
select * from finish();
rollback;
