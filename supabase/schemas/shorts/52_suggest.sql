-- Promises that half a word is enough: suggestions while somebody types, and what they meant by what they mistyped.

create function private.deletions_of(
    letters text,
    most integer
)
returns integer[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    hashes integer[];
begin
    -- Hashes, for they are a fifth of the size; whoever looks one up compares the words themselves.
    with recursive left_out as (
        select
            deletions_of.letters collate "C" as form,
            length(deletions_of.letters) as until,
            0 as letters_left_out
        union all
        select
            overlay(left_out.form placing '' from place.number for 1),
            place.number - 1,
            left_out.letters_left_out + 1
        from left_out
        cross join lateral generate_series(1, left_out.until) as place (number)
        where left_out.letters_left_out < deletions_of.most
    )

    select array_agg(distinct hashtext(left_out.form))
    into hashes
    from left_out;
    return hashes;
end
$$;
comment on function private.deletions_of(text, integer) is
'Hashes of a text and of what is left of it without 1 to `most` letters. Two texts with no hash in common differ by '
'more than that.';

create function private.typos_allowed(
    squeezed text,
    jamo text
)
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return
        case
            when length(jamo) < 4 then 0
            when length(squeezed) >= 4 and length(jamo) between 8 and 20 then 2
            else 1
        end;
end
$$;
comment on function private.typos_allowed(text, text) is
'How many jamo may be wrong: 2 from four syllables on, 1 below and beyond 20 jamo, none in words of three jamo.';

create table private.suggestions (
    keyword_no integer primary key references private.keywords (keyword_no) on delete cascade,
    keyword text collate "C" not null unique,
    squeezed text collate "C" not null,
    choseong text collate "C" not null,
    jamo text collate "C" not null,
    deletions integer[] not null,
    popularity real not null,
    videos integer not null,
    videos_for_everybody integer not null,
    refreshed_at timestamptz not null default now()
);
alter table private.suggestions enable row level security;
create index suggestions_by_spelling on private.suggestions (squeezed, popularity desc);
create index suggestions_by_syllable on private.suggestions (left(jamo, 2), popularity desc);
create index suggestions_by_one on private.suggestions (left(choseong, 1), popularity desc);
create index suggestions_by_two on private.suggestions (left(choseong, 2), popularity desc);
create index suggestions_by_three on private.suggestions (left(choseong, 3), popularity desc);
create index suggestions_by_deletion on private.suggestions using gin (deletions);
create index suggestions_by_age on private.suggestions (refreshed_at);
comment on table private.suggestions is
'Keywords that lead to a Short that plays, as people type them. Derived from private.keywords by '
'private.refresh_suggestions; it may be emptied at any time.';
comment on column private.suggestions.keyword is 'The keyword, folded.';
comment on column private.suggestions.squeezed is 'Without spaces.';
comment on column private.suggestions.choseong is 'The first consonants of squeezed.';
comment on column private.suggestions.jamo is 'The jamo of squeezed.';
comment on column private.suggestions.deletions is 'private.deletions_of its jamo, as many as typos are allowed.';
comment on column private.suggestions.popularity is
'ln(1 + views of its Shorts), and 5 times the trend''s score while it trends.';
comment on column private.suggestions.videos is 'Shorts that play it leads to.';
comment on column private.suggestions.videos_for_everybody is 'Those that visitors see who are not signed in.';
comment on column private.suggestions.refreshed_at is 'When it was last compared with what it is derived from.';

create function private.refresh_suggestions(batch_size integer default 5000)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
set jit = off
language plpgsql
as $$
declare
    looked_at integer[];
    stored integer[];
    gone integer;
begin
    -- First what is new, then what trends, then what waited longest.
    looked_at := array(
        select keyword.keyword_no
        from private.keywords as keyword
        where
            keyword.videos > 0
            and not exists (
                select
                from private.suggestions as known
                where known.keyword_no = keyword.keyword_no
            )
        order by keyword.keyword_no asc
        limit refresh_suggestions.batch_size
    );
    looked_at := looked_at || array(
        select keyword.keyword_no
        from (
            select distinct private.search_key(trend.keyword) as keyword
            from public.trending_keywords as trend
            where
                trend.closed_at is null
                and trend.expires_at > now()
        ) as trending
        inner join private.keywords as keyword on trending.keyword = keyword.keyword
        limit refresh_suggestions.batch_size
    );
    looked_at := looked_at || array(
        select known.keyword_no
        from private.suggestions as known
        order by known.refreshed_at asc
        limit greatest(refresh_suggestions.batch_size - cardinality(looked_at), 0)
    );

    with trending as (
        select
            private.search_key(trend.keyword) as keyword,
            max(trend.trend_score) as score
        from public.trending_keywords as trend
        where
            trend.closed_at is null
            and trend.expires_at > now()
        group by private.search_key(trend.keyword)
    ),

    figures as materialized (
        select
            posting.keyword_no,
            count(*) as videos,
            count(*) filter (where card.view_count > 1000) as videos_for_everybody,
            sum(card.view_count) as views
        from private.keyword_postings as posting
        inner join private.video_cards as card on posting.video_no = card.video_no
        where
            posting.keyword_no = any(looked_at)
            and card.is_servable
            and card.expires_at > now()
        group by posting.keyword_no
    ),

    spelled as materialized (
        select
            figures.keyword_no,
            figures.videos,
            figures.videos_for_everybody,
            figures.views,
            keyword.keyword,
            replace(keyword.keyword, ' ', '') as squeezed,
            private.jamo_of(replace(keyword.keyword, ' ', '')) as jamo
        from figures
        inner join private.keywords as keyword on figures.keyword_no = keyword.keyword_no
    ),

    written as (
        insert into private.suggestions as known (
            keyword_no, keyword, squeezed, choseong, jamo, deletions, popularity, videos, videos_for_everybody
        )
        select
            spelled.keyword_no,
            spelled.keyword,
            spelled.squeezed,
            private.choseong_of(spelled.squeezed),
            spelled.jamo,
            private.deletions_of(spelled.jamo, private.typos_allowed(spelled.squeezed, spelled.jamo)),
            ln(1 + spelled.views::double precision) + 5 * coalesce(trending.score, 0),
            spelled.videos,
            spelled.videos_for_everybody
        from spelled
        left join trending on spelled.keyword = trending.keyword
        order by spelled.keyword_no
        on conflict (keyword_no) do update
            set
                popularity = excluded.popularity,
                videos = excluded.videos,
                videos_for_everybody = excluded.videos_for_everybody,
                refreshed_at = now()
        returning keyword_no
    )

    select coalesce(array_agg(written.keyword_no), '{}')
    into stored
    from written;

    delete from private.suggestions as known
    where
        known.keyword_no = any(looked_at)
        and known.keyword_no <> all(stored);
    get diagnostics gone = row_count;
    return jsonb_build_object('stored', cardinality(stored), 'gone', gone);
end
$$;
comment on function private.refresh_suggestions(integer) is
'Compares suggestions with the keywords they are derived from: the new ones first, then what trends, then those that '
'waited longest.';

create function private.typing_pattern(typed text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- A lone consonant is the first of a syllable, a syllable without a final may still get one, and the last final
    -- may become a double one: 달 is on the way to 닭.
    select
        '^' || string_agg(
            case
                when letter.lead > 0
                    then
                        '[' || letter.sign || chr(44032 + (letter.lead - 1) * 588) || '-'
                        || chr(44032 + letter.lead * 588 - 1) || ']'
                when letter.final = 0
                    then '[' || letter.sign || '-' || chr(letter.code + 27) || ']'
                when letter.place = length(typing_pattern.typed) and letter.final in (1, 4, 8, 17)
                    then
                        '[' || letter.sign || '-'
                        || chr(letter.code + case letter.final when 8 then 7 when 17 then 1 else 2 end) || ']'
                when letter.code < 128 and letter.sign !~ '[a-z0-9]' then '\' || letter.sign
                else letter.sign
            end,
            ''
            order by letter.place
        )
    from (
        select
            typed_letter.sign,
            typed_letter.place,
            ascii(typed_letter.sign) as code,
            case
                when ascii(typed_letter.sign) between 44032 and 55203 then (ascii(typed_letter.sign) - 44032) % 28
            end as final,
            strpos('ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ', typed_letter.sign) as lead
        from string_to_table(typing_pattern.typed, null) with ordinality as typed_letter (sign, place)
    ) as letter
$$;
comment on function private.typing_pattern(text) is
'What somebody typed so far, without spaces, as a regular expression: ㅁㅈ, 마ㅈ and 맛지 fit 맛집.';

create function private.final_moved(typed text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Whoever types 마지 has 맞 on the way: each final, what stays of it, and what moves on.
    select
        left(last.typed, -1)
        || chr(
            last.code - last.final
            + ('{0,0,1,0,4,4,0,0,8,8,8,8,8,8,8,0,0,17,0,0,0,0,0,0,0,0,0}'::integer[])[last.final]
        )
        || substr('ㄱㄲㅅㄴㅈㅎㄷㄹㄱㅁㅂㅅㅌㅍㅎㅁㅂㅅㅅㅆㅇㅈㅊㅋㅌㅍㅎ', last.final, 1)
    from (
        select
            final_moved.typed,
            ascii(right(final_moved.typed, 1)) as code,
            (ascii(right(final_moved.typed, 1)) - 44032) % 28 as final
    ) as last
    where
        last.code between 44032 and 55203
        and last.final > 0
$$;
comment on function private.final_moved(text) is
'맞 as 마ㅈ: the last consonant as the first of a syllable to come; null where there is none.';

create function private.begun_keywords(
    typed text,
    most integer,
    is_anonymous boolean
)
returns table (
    keyword_no integer,
    keyword text,
    videos integer,
    popularity real
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    pattern constant text := private.typing_pattern(typed) collate "C";
    first_letters constant text := left(private.choseong_of(typed), 3);
begin
    -- Four indexes in the order of popularity: the more was typed, the fewer keywords are looked at.
    if length(typed) = 1 and ascii(typed) between 44032 and 55203 then
        return query
        select
            known.keyword_no,
            known.keyword,
            case when begun_keywords.is_anonymous then known.videos_for_everybody else known.videos end,
            known.popularity
        from private.suggestions as known
        where
            left(known.jamo, 2) = left(private.jamo_of(typed), 2)
            and known.squeezed ~ pattern
            and (known.videos_for_everybody > 0 or not begun_keywords.is_anonymous)
            and private.leads_somewhere(known.keyword_no, begun_keywords.is_anonymous)
        order by known.popularity desc
        limit most;
    elsif length(typed) = 1 then
        return query
        select
            known.keyword_no,
            known.keyword,
            case when begun_keywords.is_anonymous then known.videos_for_everybody else known.videos end,
            known.popularity
        from private.suggestions as known
        where
            left(known.choseong, 1) = first_letters
            and known.squeezed ~ pattern
            and (known.videos_for_everybody > 0 or not begun_keywords.is_anonymous)
            and private.leads_somewhere(known.keyword_no, begun_keywords.is_anonymous)
        order by known.popularity desc
        limit most;
    elsif length(typed) = 2 then
        return query
        select
            known.keyword_no,
            known.keyword,
            case when begun_keywords.is_anonymous then known.videos_for_everybody else known.videos end,
            known.popularity
        from private.suggestions as known
        where
            left(known.choseong, 2) = first_letters
            and known.squeezed ~ pattern
            and (known.videos_for_everybody > 0 or not begun_keywords.is_anonymous)
            and private.leads_somewhere(known.keyword_no, begun_keywords.is_anonymous)
        order by known.popularity desc
        limit most;
    else
        return query
        select
            known.keyword_no,
            known.keyword,
            case when begun_keywords.is_anonymous then known.videos_for_everybody else known.videos end,
            known.popularity
        from private.suggestions as known
        where
            left(known.choseong, 3) = first_letters
            and known.squeezed ~ pattern
            and (known.videos_for_everybody > 0 or not begun_keywords.is_anonymous)
            and private.leads_somewhere(known.keyword_no, begun_keywords.is_anonymous)
        order by known.popularity desc
        limit most;
    end if;
end
$$;
comment on function private.begun_keywords(text, integer, boolean) is
'The most popular keywords that begin with what was typed, which has no spaces.';

create function private.leads_somewhere(
    keyword_no integer,
    is_anonymous boolean
)
returns boolean
stable
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        exists (
            select
            from private.keyword_postings as posting
            inner join private.video_cards as card on posting.video_no = card.video_no
            inner join public.cached_videos as video on card.video_id = video.video_id
            where
                posting.keyword_no = leads_somewhere.keyword_no
                and video.is_playable
                and video.is_shorts
                and video.expires_at > now()
                and (video.view_count > 1000 or not leads_somewhere.is_anonymous)
        )
$$;
comment on function private.leads_somewhere(integer, boolean) is
'Whether a keyword leads to a Short that plays now, and that visitors see when it is one who asks.';

create function private.suggested_keywords(
    prefix text,
    most integer
)
returns table (
    keyword text,
    videos integer,
    highlights jsonb
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    is_visitor constant boolean := current_setting('role') = 'anon';
    typed constant text := left(replace(private.search_key(prefix), ' ', ''), 50);
    moved constant text := private.final_moved(typed);
begin
    if prefix is null or length(prefix) > 500 then
        raise exception using
            errcode = 'PT400',
            message = 'prefix is missing or longer than 500 characters',
            detail = 'Nothing was looked for.',
            hint = 'Send what was typed so far.';
    end if;
    if most not between 1 and 50 then
        raise exception using
            errcode = 'PT400',
            message = 'limit is not from 1 to 50',
            detail = 'Nothing was looked for.',
            hint = 'Send a whole number from 1 to 50, or nothing: that is 10.';
    end if;
    if typed = '' then
        return;
    end if;
    return query
    select
        found.keyword,
        found.videos,
        jsonb_build_array(
            jsonb_build_array(
                0,
                length(rtrim(substring(found.keyword from '^(?:[^ ] ?){' || found.letters || '}')))
            )
        )
    from (
        select distinct on (either.keyword) either.*
        from (
            select
                begun.*,
                length(typed) as letters,
                0 as place
            from private.begun_keywords(typed, most, is_visitor) as begun
            union all
            select
                begun.*,
                length(moved) as letters,
                1 as place
            from private.begun_keywords(moved, most, is_visitor) as begun
            where moved is not null
        ) as either
        order by
            either.keyword asc,
            either.place asc
    ) as found
    order by
        found.place asc,
        found.popularity desc,
        found.keyword asc
    limit most;
end
$$;
comment on function private.suggested_keywords(text, integer) is
'Keywords that begin with what was typed, then those that could still be meant by its last consonant.';

create function public.suggest_keywords(
    prefix text,
    "limit" integer default 10
)
returns table (
    keyword text,
    videos integer,
    highlights jsonb
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        suggested.keyword,
        suggested.videos,
        suggested.highlights
    from private.suggested_keywords(suggest_keywords.prefix, coalesce(suggest_keywords."limit", 10)) as suggested
$$;
comment on function public.suggest_keywords(text, integer) is
'Keywords for what was typed so far, the most popular first: 맛, ㅁㅈ, 마ㅈ and 맛지 find 맛집. For everybody.';

create table private.synonyms (
    word text collate "C",
    synonym text collate "C",
    created_at timestamptz not null default now(),
    primary key (word, synonym),
    constraint synonyms_are_folded check (
        word = private.fold_text(word) and synonym = private.fold_text(synonym) and word <> '' and synonym <> ''
    ),
    constraint a_synonym_is_another_word check (word <> synonym)
);
alter table private.synonyms enable row level security;
create index synonyms_by_synonym on private.synonyms (synonym);
comment on table private.synonyms is
'Words that mean the same to who searches. A pair counts both ways and stands once. The service adds and removes.';
comment on column private.synonyms.word is 'One word, folded as private.fold_text does.';
comment on column private.synonyms.synonym is 'The other, folded.';
comment on column private.synonyms.created_at is 'When it was added.';

insert into private.synonyms (word, synonym)
values
('강아지', '댕댕이'),
('강아지', '멍멍이'),
('강아지', 'puppy'),
('게임', 'game'),
('고양이', '냥이'),
('고양이', '야옹이'),
('고양이', 'cat'),
('골프', 'golf'),
('공부', 'study'),
('꿀팁', '팁'),
('노래', '송'),
('농구', 'basketball'),
('다이어트', 'diet'),
('댄스', '춤'),
('댄스', 'dance'),
('레시피', '요리법'),
('레시피', 'recipe'),
('리뷰', '후기'),
('리뷰', 'review'),
('먹방', 'mukbang'),
('먹방', '먹는 방송'),
('메이크업', '화장'),
('메이크업', 'makeup'),
('몰카', '몰래카메라'),
('브이로그', 'vlog'),
('브이로그', '일상'),
('스마트폰', '휴대폰'),
('아이폰', 'iphone'),
('야구', 'baseball'),
('언박싱', '개봉기'),
('언박싱', 'unboxing'),
('에이에스엠알', 'asmr'),
('여행', 'travel'),
('요리', '쿠킹'),
('운동', '헬스'),
('운동', 'workout'),
('인테리어', '집꾸미기'),
('챌린지', 'challenge'),
('축구', 'soccer'),
('축구', 'football'),
('카페', '커피숍'),
('커버', 'cover'),
('케이팝', 'kpop'),
('케이팝', 'k pop'),
('하울', 'haul'),
('홈트', '홈트레이닝');

create function private.corrected_keywords(
    query text,
    most integer,
    is_mistyped boolean default true
)
returns table (
    keyword text,
    distance integer,
    how text
)
stable
rows 3
security definer
set search_path = pg_catalog, pg_temp
-- How many words share one of many hashes the planner cannot know: it would rather read them all.
set enable_seqscan = off
language plpgsql
as $$
declare
    folded constant text := private.fold_text(left(query, 500));
    bare constant text := replace(folded, ' ', '');
    parts constant text[] := string_to_array(folded, ' ');
    spelled constant text := private.jamo_of(bare);
    typos constant integer := private.typos_allowed(bare, spelled);
    left_to_find integer := most;
    found_here integer;
begin
    if folded = '' or coalesce(most, 0) < 1 then
        return;
    end if;

    return query
    select
        known.keyword,
        0,
        'spacing'
    from private.suggestions as known
    where
        known.squeezed = bare
        and known.keyword <> folded
    order by
        known.popularity desc,
        known.keyword asc
    limit left_to_find;
    get diagnostics found_here = row_count;
    left_to_find := left_to_find - found_here;

    if left_to_find > 0 and cardinality(parts) <= 4 then
        -- Each word with and without what could be a particle; what is left must be a keyword, so that 고양이 stays.
        return query
        with recursive variants as (
            select
                word.place,
                form.form,
                form.is_shorter
            from unnest(parts) with ordinality as word (word, place)
            cross join lateral (
                select
                    word.word as form,
                    false as is_shorter
                union all
                select
                    left(word.word, -length(particle.particle)),
                    true
                from unnest(
                    string_to_array(
                        '에서는 에서도 으로는 이라는 에서 에게 으로 부터 까지 이랑 하고 처럼 보다 이나 라는 에는 '
                        '을 를 이 가 은 는 의 도 만 로 와 과 랑 에 야',
                        ' '
                    )
                ) as particle (particle)
                where
                    word.word like '%' || particle.particle
                    and length(word.word) > length(particle.particle)
            ) as form
        ),

        built as (
            select
                variants.form as phrase,
                variants.is_shorter,
                1 as words
            from variants
            where variants.place = 1
            union all
            select
                built.phrase || variants.form,
                built.is_shorter or variants.is_shorter,
                built.words + 1
            from built
            inner join variants on variants.place = built.words + 1
        )

        select
            known.keyword,
            0,
            'particle'
        from built
        inner join private.suggestions as known on built.phrase = known.squeezed
        where
            built.words = cardinality(parts)
            and built.is_shorter
        group by known.keyword
        order by
            max(length(known.keyword)) desc,
            max(known.popularity) desc,
            known.keyword asc
        limit left_to_find;
        get diagnostics found_here = row_count;
        left_to_find := left_to_find - found_here;
    end if;

    if left_to_find > 0 then
        -- Of the whole question, and of one word of it.
        return query
        with pairs as (
            select
                pair.word,
                pair.synonym
            from private.synonyms as pair
            where pair.word = folded or pair.word = any(parts)
            union
            select
                pair.synonym as word,
                pair.word as synonym
            from private.synonyms as pair
            where pair.synonym = folded or pair.synonym = any(parts)
        ),

        phrases as (
            select pairs.synonym as phrase
            from pairs
            where pairs.word = folded
            union
            select array_to_string(array_replace(parts, pairs.word, pairs.synonym), ' ')
            from pairs
            where pairs.word = any(parts)
        )

        select
            known.keyword,
            0,
            'synonym'
        from phrases
        inner join private.suggestions as known on replace(phrases.phrase, ' ', '') = known.squeezed
        group by known.keyword
        order by
            max(known.popularity) desc,
            known.keyword asc
        limit left_to_find;
        get diagnostics found_here = row_count;
        left_to_find := left_to_find - found_here;
    end if;

    -- One wrong first, which few words could be; two are looked for among the 200 that people watch most.
    for wrong in 1 .. typos loop
        exit when left_to_find = 0 or not is_mistyped;
        return query
        select
            near.keyword,
            near.distance,
            'corrected'
        from (
            select
                candidate.keyword,
                candidate.popularity,
                private.jamo_distance(
                    candidate.jamo,
                    spelled,
                    least(wrong, private.typos_allowed(candidate.squeezed, candidate.jamo))
                ) as distance
            from (
                select
                    known.keyword,
                    known.squeezed,
                    known.jamo,
                    known.popularity
                from private.suggestions as known
                where
                    known.deletions && private.deletions_of(spelled, wrong)
                    and known.squeezed <> bare
                    and abs(length(known.jamo) - length(spelled)) <= wrong
                order by known.popularity desc
                limit 200
            ) as candidate
        ) as near
        where near.distance = wrong
        order by
            near.popularity desc,
            near.keyword asc
        limit left_to_find;
        get diagnostics found_here = row_count;
        left_to_find := left_to_find - found_here;
    end loop;
end
$$;
comment on function private.corrected_keywords(text, integer, boolean) is
'Keywords that could be meant: the same without regard to spaces, without particles, by synonyms, and with a jamo or '
'two typed wrongly; in this order. Of the last none unless it may be mistyped.';

create table private.unanswered_searches (
    day date,
    query text collate "C",
    people integer not null,
    last_at timestamptz not null,
    primary key (day, query),
    constraint unanswered_searches_are_of_many check (people >= 3)
);
alter table private.unanswered_searches enable row level security;
comment on table private.unanswered_searches is
'What people searched for and found nothing, by day in Korea. Only what three people or more asked on that day: it '
'tells of nobody. Kept for 30 days.';
comment on column private.unanswered_searches.day is 'Day in Korea.';
comment on column private.unanswered_searches.query is 'What they searched for, folded.';
comment on column private.unanswered_searches.people is 'How many people.';
comment on column private.unanswered_searches.last_at is 'When the last of them did.';

create function private.count_unanswered_searches(day date default null)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    looked_at constant date := coalesce(count_unanswered_searches.day, private.korean_day(now() - interval '1 hour'));
    stored integer;
begin
    with counted as materialized (
        select
            private.fold_text(session.search_query) as query,
            count(distinct session.user_id) as people,
            max(session.session_started_at) as last_at
        from public.search_sessions as session
        where
            session.session_started_at >= looked_at::timestamp at time zone 'Asia/Seoul'
            and session.session_started_at < (looked_at + 1)::timestamp at time zone 'Asia/Seoul'
            and session.session_ended_at is not null
            -- Who does not say how many were found has shown some.
            and session.results_count = 0
            and session.results_shown = 0
            and session.results_clicked = 0
            and session.search_type <> 'ai_chat'
        group by private.fold_text(session.search_query)
        having count(distinct session.user_id) >= 3
        order by
            people desc,
            query asc
        limit 10000
    ),

    written as (
        insert into private.unanswered_searches as stored (day, query, people, last_at)
        select
            looked_at,
            counted.query,
            counted.people,
            counted.last_at
        from counted
        where counted.query <> ''
        order by counted.query
        on conflict on constraint unanswered_searches_pkey do update
            set
                people = excluded.people,
                last_at = excluded.last_at
            where
                stored.people <> excluded.people
                or stored.last_at <> excluded.last_at
        returning 1
    )

    select count(*)
    into stored
    from written;
    delete from private.unanswered_searches as stored
    where stored.day < private.korean_day() - 30;
    return jsonb_build_object('day', looked_at, 'stored', stored);
end
$$;
comment on function private.count_unanswered_searches(date) is
'Counts who found nothing on a day in Korea; of an hour ago when none is named, so that each day is looked at when it '
'is over. A repeated call changes nothing.';

create function public.unanswered_searches("limit" integer default 50)
returns table (
    query text,
    people integer,
    days integer,
    last_at timestamptz
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        stored.query,
        max(stored.people) as people,
        count(*)::integer as days,
        max(stored.last_at) as last_at
    from private.unanswered_searches as stored
    where
        stored.day >= private.korean_day() - 7
        and not exists (
            select
            from private.keywords as known
            where
                known.keyword = stored.query
                and known.videos > 0
        )
    group by stored.query
    order by
        people desc,
        days desc,
        stored.query asc
    limit least(greatest(coalesce(unanswered_searches."limit", 50), 0), 500)
$$;
comment on function public.unanswered_searches(integer) is
'What at least three people searched for on a day of the last week and found nothing, and what still leads nowhere: '
'worth to be fetched. For the service.';
