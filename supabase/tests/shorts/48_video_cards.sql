-- Cards, postings and lists are what the cache says, after the fold and after a rebuild, and nobody waits for them.
begin;
\ir ../outcome.psql
select plan(45);

-- The house as it stands counts for nothing in here.
delete from public.cached_videos;
delete from private.keyword_deltas;
delete from private.card_marks;
delete from private.keywords;
delete from private.unlisted_cards;
delete from private.frequent_grams;

-- The formula.
select is(
    round(private.search_score_at(private.search_score(0.8, 0.5, 1, now()), now())::numeric, 6),
    0.56,
    'a score is relevance x (0.1 + 0.6 quality + 0.3 popularity) x freshness'
);
select is(
    round(private.search_score_at(private.search_score(1, 1, 1, now() - interval '180 days'), now())::numeric, 6),
    0.5,
    'freshness halves in 180 days'
);
select is(
    private.search_score(1, 1, 1, '2026-01-01') - private.search_score(1, 1, 1, '2025-01-01')
    > private.search_score(1, 1, 1, '2023-01-01') - private.search_score(1, 1, 1, '2022-01-01') - 1e-9,
    true,
    'and of all at once: no score depends on when it was written'
);
select ok(
    private.search_score(1, null, null, '2026-01-01') < private.search_score(1, 0.1, 0.1, '2026-01-01'),
    'what is unknown counts nothing'
);
select is(private.keyword_relevance(0.71), 0.71::double precision, 'S-238: above 0.7 a relevance counts in full');
select is(round(private.keyword_relevance(0.7)::numeric, 9), 0.45, 'S-238: at 0.7 and below half of it');
select is(private.keyword_relevance(0), 0.1::double precision, 'a mapping without relevance still leads somewhere');
select is(private.search_key('K-Pop'), 'k pop', 'a keyword is looked up as it is folded');
select is(private.search_key('🔥'), '🔥', 'one without letters as it is');
select set_eq(
    $$select unnest(private.title_grams('제주 맛집'))$$,
    $$values ('제'), ('주'), ('맛'), ('집'), ('제주'), ('주맛'), ('맛집')$$,
    'a title has letters and pairs, across spaces too'
);
select is(private.title_grams(''), '{}'::text[], 'nothing has none');

-- Marks.
insert into public.cached_videos (
    video_id, title, duration, is_embeddable, privacy_status, view_count, published_at, quality_score,
    region_restrictions
)
values
('cardA', '제주도에서 맛집을 추천', 50, true, 'public', 5000, '2026-11-01', 0.5, '{}'),
('cardB', 'does not play', 50, false, 'public', 5000, '2026-11-01', null, '{"blocked": ["US"]}'),
('cardC', 'is no Short', 181, true, 'public', null, null, null, '{}');
insert into public.keyword_video_mappings (keyword, video_id, relevance_score) values
('맛집', 'cardA', 0.9),
('k-pop', 'cardA', 0.8),
('k pop', 'cardA', 0.2),
('맛집', 'cardB', 0.9);
select is(
    (select array_agg(distinct one order by one) from private.card_marks cross join unnest(video_ids) as one),
    '{cardA,cardB,cardC}',
    'what is new is marked'
);
select is((select count(*) from private.video_cards), 0::bigint, 'and nothing else is done while it is written');
select is(
    (select count(*) from private.video_card_problems()),
    0::bigint,
    'what waits for the fold is no problem'
);
select is(
    private.fold_video_cards(),
    '{"videos_marked": 3, "cards_written": 3, "postings_written": 2, "grams_listed": 0}',
    'a fold writes cards, and postings of what may be served'
);
select is((select count(*) from private.card_marks), 0::bigint, 'and takes the marks away');
select results_eq(
    $$
        select
            video_id::text,
            title_folded,
            category_id::integer,
            view_count,
            is_servable,
            region_restrictions
        from private.video_cards
        order by video_id
    $$,
    $$
        values
        ('cardA', '제주도에서 맛집을 추천' collate "C", 0, 5000::bigint, true, null::jsonb),
        ('cardB', 'does not play', 0, 5000, false, '{"blocked": ["US"]}'),
        ('cardC', 'is no short', 0, 0, false, null)
    $$,
    'cards say what search needs'
);
select results_eq(
    'select keyword, videos from private.keywords order by keyword',
    $$values ('k pop' collate "C", 1), ('맛집', 1)$$,
    'keywords that are folded alike are one, and know how many Shorts they lead to'
);
select is(
    (
        select posting.score
        from private.keyword_postings as posting
        inner join private.keywords as keyword on posting.keyword_no = keyword.keyword_no
        where keyword.keyword = 'k pop'
    ),
    (
        select private.search_score(0.8, 0.5, card.popularity, card.published_at)::real
        from private.video_cards as card
        where card.video_id = 'cardA'
    ),
    'a posting has the score of its best mapping'
);
select is((select count(*) from private.video_card_problems()), 0::bigint, 'cards equal the cache');
select is(
    private.fold_video_cards(),
    '{"videos_marked": 0, "cards_written": 0, "postings_written": 0, "grams_listed": 0}',
    'a fold of nothing does nothing'
);
update public.cached_videos set cache_hit_count = 5, last_accessed_at = now();
update public.keyword_video_mappings set click_count = 5;
select is((select count(*) from private.card_marks), 0::bigint, 'counters are no change');
update public.cached_videos set title = title where video_id = 'cardA';
select is((select count(*) from private.card_marks), 0::bigint, 'nor is what is written as it was');

-- What changes.
select set_config('card.no', (select video_no from private.video_cards where video_id = 'cardA')::text, true);
update public.cached_videos set title = '서울 맛집' where video_id = 'cardA';
update public.keyword_video_mappings set relevance_score = 0.95 where keyword = '맛집' and video_id = 'cardA';
delete from public.keyword_video_mappings where keyword = 'k pop';
select is(
    private.fold_video_cards() - 'grams_listed',
    '{"videos_marked": 1, "cards_written": 1, "postings_written": 1}',
    'a video that changed in three ways is written once, and what did not change is not'
);
select is((select count(*) from private.video_card_problems()), 0::bigint, 'changes arrive');
update public.cached_videos set is_embeddable = false where video_id = 'cardA';
select private.fold_video_cards();
select is(
    (select count(*) from private.keyword_postings)::text || (select sum(videos) from private.keywords),
    '00',
    'what does not play any more has no postings'
);
update public.cached_videos set is_embeddable = true, expires_at = now() + interval '1 hour' where video_id = 'cardA';
select private.fold_video_cards();
select is((select count(*) from private.keyword_postings), 2::bigint, 'it has them again when it plays again');
select is(
    (select video_no::text from private.video_cards where video_id = 'cardA'),
    current_setting('card.no'),
    'a video keeps its number'
);
alter table public.cached_videos disable trigger mark_changed_cards;
update public.cached_videos set expires_at = now() where video_id = 'cardA';
update private.video_cards set expires_at = now() where video_id = 'cardA';
alter table public.cached_videos enable trigger mark_changed_cards;
select is(
    (select count(*) from private.video_card_problems()),
    0::bigint,
    'what expires is no problem until the next fold'
);
select private.fold_video_cards();
select is(
    (select is_servable::text from private.video_cards where video_id = 'cardA')
    || (select count(*) from private.keyword_postings),
    'false0',
    'time alone takes it out'
);
update public.cached_videos set expires_at = now() + interval '1 day' where video_id = 'cardA';
select private.fold_video_cards();
delete from public.cached_videos where video_id = 'cardA';
select is(
    (select count(*) from private.video_cards where video_id = 'cardA'),
    0::bigint,
    'a card goes with its video'
);
select private.fold_video_cards();
select is((select sum(videos) from private.keywords), 0::bigint, 'and its keywords lead to one less');
select is((select count(*) from private.video_card_problems()), 0::bigint, 'nothing is left of it');

-- Lists.
insert into public.cached_videos (video_id, title, duration, is_embeddable, privacy_status, published_at, quality_score)
select
    'many' || n,
    '흔한 말 ' || n,
    50,
    true,
    'public',
    '2026-11-01',
    (n % 100) / 100.0
from generate_series(1, 2100) as n;
select private.fold_video_cards() - 'grams_listed';
update private.unlisted_cards set changed_at = now() - interval '2 hours';
select private.fold_video_cards();
select results_eq(
    $$
        select
            gram,
            videos,
            is_whole,
            cardinality(video_nos)
        from private.frequent_grams
        where gram in ('흔한', '말1')
        order by gram
    $$,
    $$values ('말1' collate "C", 1111, true, 1111), ('흔한', 2100, false, 2000)$$,
    'what over 100 titles have is listed, the best 2,000'
);
select is((select count(*) from private.unlisted_cards), 0::bigint, 'then nothing has to be looked up apart');
select is((select count(*) from private.video_card_problems()), 0::bigint, 'lists lack nothing');
update public.cached_videos set title = '드문 말' where video_id = 'many99';
update public.cached_videos set quality_score = 0.995 where video_id = 'many1200';
select private.fold_video_cards();
select is((select count(*) from private.unlisted_cards), 2::bigint, 'what changed since is kept apart');
select is((select count(*) from private.video_card_problems()), 0::bigint, 'so that nothing is lacking meanwhile');
update private.unlisted_cards set changed_at = now() - interval '2 hours';
select private.fold_video_cards();
select is(
    (
        select card.video_id::text
        from private.frequent_grams as list
        inner join private.video_cards as card on list.video_nos[1] = card.video_no
        where list.gram = '흔한'
    ),
    'many1200',
    'the next round puts it in its place'
);
delete from private.keyword_postings;
update private.video_cards set title_folded = 'wrong' where video_id = 'many7';
update private.frequent_grams set video_nos = '{}';
select set_has(
    'select problem from private.video_card_problems()',
    $$values ('a card differs from its video'), ('a list lacks a video')$$,
    'a card or a list that is wrong is told'
);
select private.rebuild_video_cards();
select is((select count(*) from private.video_card_problems()), 0::bigint, 'a rebuild mends all');

-- Where the statistics know nothing of it.
delete from public.cached_videos;
select private.fold_video_cards(10000);
select is((select count(*) from private.keyword_postings), 0::bigint, 'postings go with their cards');
analyze public.cached_videos, public.keyword_video_mappings, private.video_cards, private.keywords,
private.keyword_postings, private.unlisted_cards;
insert into public.cached_videos (video_id, title, duration, is_embeddable, privacy_status, published_at)
select
    'unplanned' || n,
    '아무도 모르는 말 ' || n,
    50,
    true,
    'public',
    '2026-11-01'
from generate_series(1, 1000) as n;
insert into public.keyword_video_mappings (keyword, video_id, relevance_score)
select
    '낱말' || (n * k) % 700,
    'unplanned' || n,
    0.5 + 0.01 * k
from generate_series(1, 1000) as n
cross join generate_series(1, 10) as k
on conflict do nothing;
select set_config('fold.begun', clock_timestamp()::text, true);
select is(
    (private.fold_video_cards() ->> 'cards_written')::integer,
    1000,
    'a thousand videos with ten keywords each are folded'
);
select ok(
    clock_timestamp() - current_setting('fold.begun')::timestamptz < interval '10 seconds',
    'though planned for none: in loops it took minutes'
);
select is((select count(*) from private.video_card_problems()), 0::bigint, 'and rightly');

select finish();
rollback;
