-- A search finds every title that has what was asked for, in the written order, and nothing that one may not see.
begin;
select plan(56);

-- The house as it stands counts for nothing in here.
delete from public.cached_videos;
delete from private.keyword_deltas;
delete from private.card_marks;
delete from private.keywords;
delete from private.unlisted_cards;
delete from private.frequent_grams;

create function pg_temp.found(
    query text,
    filters jsonb default '{"facets": false}',
    most integer default 20,
    is_anonymous boolean default false
)
returns text
language sql
as $$
    select coalesce(string_agg(video.value ->> 'video_id', ' ' order by video.ordinality), '')
    from jsonb_array_elements(private.find_videos(query, filters, most, null, is_anonymous) -> 'videos')
        with ordinality as video (value, ordinality)
$$;
create function pg_temp.refusal(
    query text,
    filters jsonb default '{}',
    most integer default 20,
    cursor text default null
)
returns text
language plpgsql
as $$
declare
    code text;
    message text;
    hint text;
begin
    perform private.find_videos(query, filters, most, cursor, false);
    return 'none';
exception
    when others then
        get stacked diagnostics
            code = returned_sqlstate,
            message = message_text,
            hint = pg_exception_hint;
        return code || ' ' || message || case when hint = '' then ' without a hint' else '' end;
end
$$;

insert into public.cached_videos (
    video_id, title, duration, is_embeddable, privacy_status, view_count, published_at, quality_score, category_id,
    region_restrictions
)
values
('title', '제주도에서 맛집을 추천', 50, true, 'public', 5000, now() - interval '1 day', 0.5, 19, '{}'),
('spaced', '서울 맛 집을 소개', 50, true, 'public', 5000, now() - interval '2 days', 0.5, 19, '{}'),
('across', '자 맛 집안 일', 50, true, 'public', 5000, now() - interval '60 hours', 0.5, 19, '{}'),
('strong', '부산 여행', 61, true, 'public', 1000, now() - interval '301 days', 0.5, 19, '{}'),
('weak', '대구 여행', 60, true, 'public', 1001, now() - interval '300 days', 0.5, 22, '{}'),
('good', '대전 여행', 20, true, 'public', 5000, now() - interval '300 days', 0.9, 22, '{}'),
('old', '광주 여행', 20, true, 'public', 5000, now() - interval '900 days', 0.9, null, '{}'),
('blocked', '울산 맛집', 50, true, 'public', 5000, now() - interval '3 days', 0.5, 19, '{"blocked": ["KR"]}'),
('hidden', '비밀 맛집', 50, false, 'public', 5000, now() - interval '3 days', 0.5, 19, '{}'),
('nfd', normalize('인천 분식집', nfd), 50, true, 'public', 5000, now() - interval '70 hours', 0.5, 19, '{}'),
('wide', 'Ｋ－ＰＯＰ Dance 100%', 50, true, 'public', 5000, now() - interval '3 days', 0.5, 10, '{}');
insert into public.keyword_video_mappings (keyword, video_id, relevance_score) values
('맛집', 'strong', 0.71),
('맛집', 'weak', 0.7),
('맛집', 'good', 0.71),
('맛집', 'old', 0.71),
('맛집', 'hidden', 1),
('떡볶이', 'title', 1);
select private.fold_video_cards();
select private.refresh_suggestions();

-- What is found.
select is(
    pg_temp.found('추천'),
    'title',
    'S-211: a word of a title'
);
select ok(
    pg_temp.found('맛집') like '% title %',
    'S-211, S-031: 맛집 finds 제주도에서 맛집을 추천'
);
select is(
    pg_temp.found('맛집', '{"region": "KR", "facets": false}'),
    'good strong weak old title spaced',
    'S-212, S-238: the keyword''s videos come first, by relevance x quality x freshness; then titles'
);
select is(
    pg_temp.found('맛 집', '{"region": "KR", "facets": false}'),
    'good strong weak old title spaced across',
    'spaced otherwise it is the same question, and what is spaced just so is found too'
);
select is(pg_temp.found('도에서 맛'), 'title', 'a part across words');
select is(pg_temp.found('맛'), 'title spaced across blocked', 'a single syllable');
select is(pg_temp.found('집'), 'title spaced across nfd blocked', 'the last of a word too');
select is(pg_temp.found(normalize('분식', nfd)), 'nfd', 'what is asked and what is titled in jamo is the same');
select is(pg_temp.found('분식'), 'nfd', 'as in syllables');
select is(pg_temp.found('k-pop DANCE'), 'wide', 'width, case and signs do not matter');
select is(pg_temp.found('100%'), 'wide', 'a per cent sign stands for nothing else');
select is(pg_temp.found('%'), '', 'alone it finds nothing');
select is(pg_temp.found('맛_'), pg_temp.found('맛'), 'nor does an underscore');
select is(pg_temp.found('일 자'), '', 'words do not meet round the corner');
select is(pg_temp.found('도쿄 맛집 투어'), '', 'what nobody has is not found');
select is(pg_temp.found('비밀'), '', 'nor what does not play');
select is(
    private.find_videos('맛집', '{}', 3, null, false) - array['videos', 'next_cursor', 'facets'],
    '{"query": "맛집", "how": "keyword", "answered": "맛집", "total": 7, "total_is_exact": true}',
    'an answer says how it was found and of how many'
);
select is(
    private.find_videos('추천', '{}', 3, null, false) ->> 'how',
    'title',
    'by a title'
);
select is(
    private.find_videos('도쿄', '{}', 3, null, false) - array['facets'],
    '{"query": "도쿄", "how": "none", "answered": null, "videos": [], "total": 0, "total_is_exact": true,'
    ' "next_cursor": null}',
    'or not at all'
);
select is(
    (private.find_videos('맛집을', '{}', 3, null, false) ->> 'answered')
    || ' ' || (private.find_videos('맛집을', '{}', 9, null, false) ->> 'how'),
    '맛집을 title',
    'a particle is looked for as it is'
);
select is(
    pg_temp.found('맛집을', '{"region": "KR", "facets": false}'),
    'title spaced good strong weak old',
    'and without it, when that does not fill the page'
);

select set_eq(
    $$select unnest(private.term_grams('제주 맛집'))$$,
    $$values ('제주'), ('주맛'), ('맛집')$$,
    'a title is looked up by pairs'
);
select is(private.term_grams('맛'), '{맛}'::text[], 'or by the only letter');
select is(private.answer_pattern(null), null, 'what nothing found before leaves nothing out');
select is(
    private.answer_search('맛집', 'shown', '{}', 3, null, false)::jsonb,
    private.find_videos('맛집', '{}', 3, null, false) || '{"query": "shown"}',
    'what is sent and what SQL looks into is the same'
);

-- What the cache says now is what counts.
update public.cached_videos set privacy_status = 'private' where video_id = 'title';
select is(pg_temp.found('추천'), '', 'what does not play any more is not served, though no fold has run');
update public.cached_videos set privacy_status = 'public', expires_at = now() where video_id = 'title';
select is(pg_temp.found('추천'), '', 'nor what has expired');
update public.cached_videos set expires_at = now() + interval '1 day' where video_id = 'title';
update public.cached_videos set is_embeddable = false where video_id in ('good', 'strong');
select is(
    pg_temp.found('맛집', '{"region": "KR", "facets": false}', 2),
    'weak old',
    'a page is filled with what comes after'
);
update public.cached_videos set is_embeddable = true where video_id in ('good', 'strong');

-- Filters.
select is(pg_temp.found('여행', '{"max_duration": 60}'), 'good weak old', 'S-240: 61 s is no Short of 60 s');
select is(pg_temp.found('여행', '{"max_duration": 61}'), 'good weak strong old', 'of 61 s it is');
select is(pg_temp.found('여행', '{"category_id": 22}'), 'good weak', 'S-212: one category');
select is(pg_temp.found('여행', '{"category_id": 0}'), 'old', 'the unknown one');
select is(pg_temp.found('여행', '{"min_quality": 0.9}'), 'good old', 'S-212: quality');
select is(pg_temp.found('울산', '{"region": "KR"}'), '', 'S-212: what a region blocks');
select is(pg_temp.found('울산', '{"region": "US"}'), 'blocked', 'plays in another');
select is(
    pg_temp.found('여행', '{}', 20, true),
    'good weak old',
    'S-239: anonymous visitors see 1001 views and not 1000'
);
select is(pg_temp.found('여행', '{}', 20, null), 'good weak old', 'S-239: who is nobody is anonymous');

-- Highlights, in characters of the title as it is.
select is(private.title_highlights('제주도에서 맛집을 추천', '맛집'), '[[6, 2]]', 'where it is');
select is(private.title_highlights('맛집 맛집', '맛집'), '[[0, 2], [3, 2]]', 'each time');
select is(private.title_highlights('서울 맛 집을', '맛집'), '[[3, 3]]', 'spaced otherwise');
select is(
    private.title_highlights(normalize('인천 분식집', nfd), '분식'),
    to_jsonb(array[array[7, 6]]),
    'jamo count as the characters they are'
);
select is(private.title_highlights('😀 Ｋ－ＰＯＰ', 'k pop'), '[[2, 5]]', 'wide letters and emoji too');
select is(private.title_highlights('제주 ... 맛집', '맛집 제주'), '[[0, 2], [7, 2]]', 'else its words');
select is(private.title_highlights('제주', '서울'), '[]', 'or nothing');

-- Facets.
select is(
    private.find_videos('여행', '{}', 1, null, false) -> 'facets',
    '{
        "categories": [
            {"category_id": 22, "name": "인물/블로그", "videos": 2},
            {"category_id": 0, "name": null, "videos": 1},
            {"category_id": 19, "name": "여행/이벤트", "videos": 1}
        ],
        "durations": [{"max_duration": 60, "videos": 3}, {"max_duration": 180, "videos": 4}]
    }',
    'how many there are of each category and length'
);

-- Pages.
create function pg_temp.paged(
    query text,
    most integer
)
returns text
language plpgsql
as $$
declare
    answer jsonb;
    pages text[] := '{}';
    next_cursor text;
begin
    loop
        answer := private.find_videos(query, '{"region": "KR"}', most, next_cursor, false);
        pages := pages || array(select video ->> 'video_id' from jsonb_array_elements(answer -> 'videos') as video);
        next_cursor := answer ->> 'next_cursor';
        exit when next_cursor is null or cardinality(pages) > 50;
    end loop;
    return array_to_string(pages, ' ');
end
$$;
select is(pg_temp.paged('맛집', 1), 'good strong weak old title spaced', 'S-212: page by page it is the same');
select is(pg_temp.paged('맛집', 4), 'good strong weak old title spaced', 'across what was found how');
select is(pg_temp.paged('맛집', 6), 'good strong weak old title spaced', 'a last page that is full has none after it');

-- Refusals.
select is(pg_temp.refusal(''), 'PT400 The query is not 1 to 200 characters.', 'nothing is no question');
select is(pg_temp.refusal(repeat('맛', 201)), 'PT400 The query is not 1 to 200 characters.', 'nor is a book');
select is(pg_temp.refusal('x', '{}', -1), 'PT400 The limit is not 1 to 50.', 'less than nothing');
select is(
    pg_temp.refusal('x', '{"max_duration": 1e400}'),
    'PT400 max_duration is not a whole number of seconds from 1.',
    'a number beyond all types'
);
select is(
    pg_temp.refusal('x', '{"region": "kr"}'),
    'PT400 The region is no ISO 3166 code of two capital letters.',
    'a region'
);
select is(
    pg_temp.refusal('여행', '{}', 1, private.find_videos('맛집', '{}', 1, null, false) ->> 'next_cursor'),
    'PT400 The cursor does not belong to this search.',
    'the cursor of another question'
);

-- Plans: lists and indexes only, however large the tables are.
create function pg_temp.scans(query text)
returns bigint
language plpgsql
as $$
declare
    before bigint;
begin
    before := (
        select sum(table_stats.seq_scan)
        from pg_stat_xact_all_tables as table_stats
        where table_stats.relname in ('cached_videos', 'video_cards', 'keyword_postings', 'keywords', 'frequent_grams')
    );
    perform private.find_videos(query, '{"region": "KR", "category_id": 19}', 20, null, true);
    return (
        select sum(table_stats.seq_scan) - before
        from pg_stat_xact_all_tables as table_stats
        where table_stats.relname in ('cached_videos', 'video_cards', 'keyword_postings', 'keywords', 'frequent_grams')
    );
end
$$;
select is(pg_temp.scans('맛집'), 0::bigint, 'S-212: a keyword reads no table from end to end');
select is(pg_temp.scans('제주도에서 맛'), 0::bigint, 'S-212: nor do titles');

select finish();
rollback;
