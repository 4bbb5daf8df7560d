-- Promises that a search answers from lists that are in order already, with every title that has what was asked for.
-- The order: what the query's own keyword leads to; then titles that have it; then the same of what may have been meant
-- (private.corrected_keywords), where that was less than a page. Among each, by private.search_score.

create type private.search_filters as (
    category_id integer,
    region text,
    max_duration integer,
    min_quality real,
    least_views bigint
);
comment on type private.search_filters is 'What a video must be to be in an answer; null asks for nothing.';

create type private.search_place as (
    phase integer,
    score real,
    video_no integer
);
comment on type private.search_place is
'Where an answer goes on. Phase 0 is the postings of the query, 1 its titles, 2 the postings of the first correction.';

create function private.read_search_filters(
    filters jsonb,
    is_anonymous boolean
)
returns private.search_filters
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    problem text;
    wanted private.search_filters;
begin
    -- The same as the policy anonymous_limited_read of public.cached_videos.
    wanted.least_views := case when is_anonymous is not false then 1001 end;
    if coalesce(filters, '{}') in ('{}', '{"facets": true}', '{"facets": false}') then
        return wanted;
    end if;
    problem := case
        when jsonb_typeof(coalesce(filters, '{}'::jsonb)) <> 'object' then 'The filters are no JSON object.'
        when
            filters - array['category_id', 'region', 'max_duration', 'min_quality', 'facets'] <> '{}'::jsonb
            then 'A filter is none of the known ones.'
        when
            filters -> 'category_id' <> 'null'
            and (
                not pg_input_is_valid(filters ->> 'category_id', 'integer')
                or (filters ->> 'category_id')::numeric not between 0 and 999
            )
            then 'category_id is not a whole number from 0 to 999.'
        when
            filters -> 'region' <> 'null'
            and (filters ->> 'region' = any(private.region_codes())) is not true
            then 'The region is no ISO 3166 code of two capital letters.'
        when
            filters -> 'max_duration' <> 'null'
            and (
                not pg_input_is_valid(filters ->> 'max_duration', 'integer')
                or (filters ->> 'max_duration')::numeric < 1
            )
            then 'max_duration is not a whole number of seconds from 1.'
        when
            filters -> 'min_quality' <> 'null'
            and (
                not pg_input_is_valid(filters ->> 'min_quality', 'double precision')
                or ((filters ->> 'min_quality')::double precision between 0 and 1) is not true
            )
            then 'min_quality is not a number from 0 to 1.'
        when
            jsonb_typeof(filters -> 'facets') <> 'boolean'
            then 'facets is neither true nor false.'
    end;
    if problem is not null then
        raise exception using
            errcode = 'PT400',
            message = problem,
            detail = left(filters::text, 200),
            hint = 'Send category_id, region, max_duration, min_quality, or leave them out: see docs/search.md.';
    end if;
    wanted.category_id := (filters ->> 'category_id')::integer;
    wanted.region := filters ->> 'region';
    wanted.max_duration := (filters ->> 'max_duration')::integer;
    wanted.min_quality := (filters ->> 'min_quality')::real;
    return wanted;
end
$$;
comment on function private.read_search_filters(jsonb, boolean) is
'The filters of a search, or PT400 that says which cannot be true. Anonymous visitors see what has over 1,000 views.';

create function private.search_digest(
    key text,
    wanted private.search_filters
)
returns text
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return left(encode(sha256(convert_to(jsonb_build_array(key, wanted)::text, 'UTF8')), 'hex'), 16);
end
$$;
comment on function private.search_digest(text, private.search_filters) is
'What tells the cursors of one question from those of another.';

create function private.write_cursor(
    place private.search_place,
    how text,
    digest text
)
returns text
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return rtrim(
        translate(
            encode(
                convert_to(
                    format(
                        '{"p":%s,"s":%s,"v":%s,"h":"%s","d":"%s"}',
                        place.phase, place.score, place.video_no, how, digest
                    ),
                    'UTF8'
                ),
                'base64'
            ),
            E'+/\n',
            '-_'
        ),
        '='
    );
end
$$;
comment on function private.write_cursor(private.search_place, text, text) is
'A place in the answer to one question, as text that can stand in an address.';

create function private.read_cursor(
    cursor text,
    digest text
)
returns jsonb
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    opened text;
begin
    if cursor ~ '^[A-Za-z0-9_-]{8,200}$' and length(cursor) % 4 <> 1 then
        -- Escaped, bytes that are no text stay harmless.
        opened := encode(
            decode(translate(cursor, '-_', '+/') || repeat('=', (4 - length(cursor) % 4) % 4), 'base64'), 'escape'
        );
    end if;
    -- Each part is as long as what we write, so that none is beyond its type.
    if
        (
            opened ~ (
                '^\{"p":[0-9],"s":-?[0-9]{1,3}(\.[0-9]{1,12})?,"v":[0-9]{1,9},"h":"(none|keyword|title|synonym|corrected)",'
                || '"d":"[0-9a-f]{16}"\}$'
            )
        ) is not true
        or opened::jsonb ->> 'd' <> digest
    then
        raise exception using
            errcode = 'PT400',
            message = 'The cursor does not belong to this search.',
            detail = 'It is damaged, or of a search with other words or filters.',
            hint = 'Send next_cursor of the page before with the same query and filters, or none for the first page.';
    end if;
    return opened::jsonb;
end
$$;
comment on function private.read_cursor(text, text) is 'What a cursor says; PT400 where it is not of this question.';

create function private.spaced_pattern(folded text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    squeezed constant text := replace(folded, ' ', '');
begin
    -- Whole words, or every 여기 사람 would be found by 기사. What is long is not split by accident.
    return
        case
            when length(squeezed) between 2 and 20
                then '(^| )'
                    || array_to_string(string_to_array(squeezed, null), ' ?')
                    || '(을|를|이|가|은|는|의|에|도|에서|으로|로)?( |$)'
            else '^$'
        end;
end
$$;
comment on function private.spaced_pattern(text) is
'Finds folded text where it is spaced otherwise and made of whole words, with a particle or none: 맛집 in 제주 맛 집을.';

create function private.answer_pattern(terms text[])
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- What is folded has letters, digits and spaces, none of which means anything else in a pattern.
    return (
        select string_agg(concat_ws('|', one.term, replace(one.term, ' ', ''), private.spaced_pattern(one.term)), '|')
        from unnest(terms) as one (term)
    );
end
$$;
comment on function private.answer_pattern(text[]) is
'Finds folded titles that have one of these folded texts, spaced in its way or another. Null for none.';

create function private.term_grams(term text)
returns text[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    letters constant text[] := string_to_array(replace(term, ' ', ''), null);
begin
    -- A pair says all that its letters say, and fewer titles have it.
    if cardinality(letters) < 2 then
        return letters;
    end if;
    return array(
        select distinct (one.letter || one.following) collate "C"
        from unnest(letters, letters[2:]) as one (letter, following)
        where one.following is not null
    );
end
$$;
comment on function private.term_grams(text) is
'What of private.title_grams a title must have that has this folded text: its pairs of letters, or its only letter.';

create function private.find_postings(
    wanted_keyword integer,
    wanted private.search_filters,
    after_place private.search_place,
    most integer,
    is_served boolean,
    earlier_keywords integer[],
    earlier_terms text[]
)
returns table (
    video_no integer,
    score real,
    category_id smallint,
    duration integer
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    earlier_pattern constant text := private.answer_pattern(earlier_terms);
begin
    -- What is served is looked up in the cache as it is now: cards may be a minute behind.
    return query
    select
        posting.video_no,
        posting.score,
        card.category_id,
        card.duration
    from private.keyword_postings as posting
    inner join private.video_cards as card on posting.video_no = card.video_no
    where
        posting.keyword_no = wanted_keyword
        and (posting.score, posting.video_no) < (after_place.score, after_place.video_no)
        and card.is_servable
        and (wanted.least_views is null or card.view_count >= wanted.least_views)
        and (wanted.category_id is null or card.category_id = wanted.category_id)
        and (wanted.max_duration is null or card.duration <= wanted.max_duration)
        and (wanted.min_quality is null or card.quality >= wanted.min_quality)
        and (
            wanted.region is null
            or card.region_restrictions is null
            or private.plays_in(card.region_restrictions, wanted.region)
        )
        and (
            earlier_pattern is null
            or not (
                card.title_folded ~ earlier_pattern
                or exists (
                    select
                    from private.keyword_postings as other
                    where
                        other.keyword_no = any(earlier_keywords)
                        and other.video_no = posting.video_no
                )
            )
        )
        and (
            not is_served
            or exists (
                select
                from public.cached_videos as video
                where
                    video.video_id = card.video_id
                    and video.is_playable
                    and video.is_shorts
                    and video.expires_at > now()
                    and (wanted.least_views is null or video.view_count >= wanted.least_views)
                    and (
                        wanted.region is null
                        or video.region_restrictions = '{}'
                        or private.plays_in(video.region_restrictions, wanted.region)
                    )
            )
        )
    order by
        posting.score desc,
        posting.video_no desc
    limit most;
end
$$;
comment on function private.find_postings(
    integer, private.search_filters, private.search_place, integer, boolean, integer[], text[]
) is
'The next videos of a keyword, best first, without those that earlier keywords and texts of the same search found.';

create function private.find_titles(
    term text,
    wanted private.search_filters,
    after_place private.search_place,
    most integer,
    is_exact boolean,
    earlier_keywords integer[],
    earlier_terms text[]
)
returns table (
    video_no integer,
    score real,
    category_id smallint,
    duration integer
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    squeezed constant text := replace(term, ' ', '');
    spaced constant text := private.spaced_pattern(term);
    earlier_pattern constant text := private.answer_pattern(earlier_terms);
    grams text[] := private.term_grams(term);
    slices constant integer[] := '{0, 60, 500, 2000}'::integer[];
    list private.frequent_grams;
    listed text[];
    known_no bigint;
    nos integer[] := '{}'::integer[];
    standings real[] := '{}'::real[];
    fresh_nos integer[];
    fresh_standings real[];
    found_nos integer[];
    found_standings real[];
    is_enough boolean := false;
    is_left boolean := false;
begin
    if cardinality(grams) = 0 then
        return;
    end if;
    listed := array(
        select one.gram
        from private.frequent_grams as one
        where one.gram = any(grams)
        order by one.videos
    );
    if cardinality(listed) < cardinality(grams) then
        -- At most a hundred titles have what is in no list: the others need not be looked for.
        grams := array(
            select rare.gram collate "C"
            from unnest(grams) as rare (gram)
            where rare.gram <> all(listed)
            limit 4
        );
    else
        -- The list of the rarest.
        select one.*
        into list
        from private.frequent_grams as one
        where one.gram = listed[1];
        select
            case
                when list.gram <= round.done_gram then coalesce(round.target_no, round.listed_no)
                else round.listed_no
            end
        into known_no
        from private.list_round as round;

        -- What changed since the list was made.
        if exists (select from private.unlisted_cards as unlisted where unlisted.change_no > known_no) then
            select
                array_agg(card.video_no),
                array_agg(card.standing)
            into
                fresh_nos,
                fresh_standings
            from private.unlisted_cards as unlisted
            inner join private.video_cards as card on unlisted.video_no = card.video_no
            where
                private.title_grams(unlisted.title_folded) @> grams
                and unlisted.change_no > known_no
                and card.is_servable
                and (card.standing, card.video_no) < (after_place.score, after_place.video_no)
                and (list.is_whole or card.standing > list.last_standing)
                and (
                    strpos(card.title_folded, term) > 0
                    or strpos(card.title_folded, squeezed) > 0
                    or card.title_folded ~ spaced
                )
                and (wanted.least_views is null or card.view_count >= wanted.least_views)
                and (wanted.category_id is null or card.category_id = wanted.category_id)
                and (wanted.max_duration is null or card.duration <= wanted.max_duration)
                and (wanted.min_quality is null or card.quality >= wanted.min_quality)
                and (
                    wanted.region is null
                    or card.region_restrictions is null
                    or private.plays_in(card.region_restrictions, wanted.region)
                )
                and (
                    earlier_keywords is null
                    or not exists (
                        select
                        from private.keyword_postings as other
                        where
                            other.keyword_no = any(earlier_keywords)
                            and other.video_no = card.video_no
                    )
                )
                and (earlier_pattern is null or card.title_folded !~ earlier_pattern)
                and (
                    not is_exact
                    or exists (
                        select
                        from public.cached_videos as video
                        where
                            video.video_id = card.video_id
                            and video.is_playable
                            and video.is_shorts
                            and video.expires_at > now()
                            and (wanted.least_views is null or video.view_count >= wanted.least_views)
                            and (
                                wanted.region is null
                                or video.region_restrictions = '{}'
                                or private.plays_in(video.region_restrictions, wanted.region)
                            )
                    )
                );
        end if;

        -- The list is in order: mostly its first sixty fill a page.
        for part in 1 .. 3 loop
            exit when slices[part] >= cardinality(list.video_nos);
            select
                array_agg(hit.video_no),
                array_agg(hit.standing)
            into
                found_nos,
                found_standings
            from (
                select
                    card.video_no,
                    card.standing
                from unnest(list.video_nos[slices[part] + 1:slices[part + 1]])
                    with ordinality as entry (video_no, place)
                inner join private.video_cards as card on entry.video_no = card.video_no
                where
                    card.is_servable
                    and (card.standing, card.video_no) < (after_place.score, after_place.video_no)
                    and (list.is_whole or card.standing > list.last_standing)
                    and (
                        strpos(card.title_folded, term) > 0
                        or strpos(card.title_folded, squeezed) > 0
                        or card.title_folded ~ spaced
                    )
                    and (wanted.least_views is null or card.view_count >= wanted.least_views)
                    and (wanted.category_id is null or card.category_id = wanted.category_id)
                    and (wanted.max_duration is null or card.duration <= wanted.max_duration)
                    and (wanted.min_quality is null or card.quality >= wanted.min_quality)
                    and (
                        wanted.region is null
                        or card.region_restrictions is null
                        or private.plays_in(card.region_restrictions, wanted.region)
                    )
                    and (
                        earlier_keywords is null
                        or not exists (
                            select
                            from private.keyword_postings as other
                            where
                                other.keyword_no = any(earlier_keywords)
                                and other.video_no = card.video_no
                        )
                    )
                    and (earlier_pattern is null or card.title_folded !~ earlier_pattern)
                    and (
                        not is_exact
                        or exists (
                            select
                            from public.cached_videos as video
                            where
                                video.video_id = card.video_id
                                and video.is_playable
                                and video.is_shorts
                                and video.expires_at > now()
                                and (wanted.least_views is null or video.view_count >= wanted.least_views)
                                and (
                                    wanted.region is null
                                    or video.region_restrictions = '{}'
                                    or private.plays_in(video.region_restrictions, wanted.region)
                                )
                        )
                    )
                    and (
                        fresh_nos is null
                        or not exists (
                            select
                            from private.unlisted_cards as unlisted
                            where
                                unlisted.video_no = card.video_no
                                and unlisted.change_no > known_no
                        )
                    )
                order by entry.place
                limit most - cardinality(nos)
            ) as hit;
            nos := nos || found_nos;
            standings := standings || found_standings;
            is_enough := cardinality(nos) >= most;
            exit when is_enough;
            -- Where few of the best have it, few of all have: the index finds them sooner.
            is_left := is_exact and part = 2 and cardinality(nos) * 4 < most and slices[3] < cardinality(list.video_nos);
            exit when is_left;
        end loop;

        -- Beyond a list that is cut off nothing is known: only what stands above its end is certain to come first.
        if is_enough or not is_exact or (list.is_whole and not is_left) then
            return query
            select
                one.video_no,
                one.standing,
                card.category_id,
                card.duration
            from unnest(nos || fresh_nos, standings || fresh_standings) as one (video_no, standing)
            inner join private.video_cards as card on one.video_no = card.video_no
            order by
                one.standing desc,
                one.video_no desc
            limit most;
            return;
        end if;
    end if;

    return query
    select
        card.video_no,
        card.standing,
        card.category_id,
        card.duration
    from private.video_cards as card
    where
        private.title_grams(card.title_folded) @> grams
        and card.is_servable
        and (card.standing, card.video_no) < (after_place.score, after_place.video_no)
        and (
            strpos(card.title_folded, term) > 0
            or strpos(card.title_folded, squeezed) > 0
            or card.title_folded ~ spaced
        )
        and (wanted.least_views is null or card.view_count >= wanted.least_views)
        and (wanted.category_id is null or card.category_id = wanted.category_id)
        and (wanted.max_duration is null or card.duration <= wanted.max_duration)
        and (wanted.min_quality is null or card.quality >= wanted.min_quality)
        and (
            wanted.region is null
            or card.region_restrictions is null
            or private.plays_in(card.region_restrictions, wanted.region)
        )
        and (
            earlier_keywords is null
            or not exists (
                select
                from private.keyword_postings as other
                where
                    other.keyword_no = any(earlier_keywords)
                    and other.video_no = card.video_no
            )
        )
        and (earlier_pattern is null or card.title_folded !~ earlier_pattern)
        and (
            not is_exact
            or exists (
                select
                from public.cached_videos as video
                where
                    video.video_id = card.video_id
                    and video.is_playable
                    and video.is_shorts
                    and video.expires_at > now()
                    and (wanted.least_views is null or video.view_count >= wanted.least_views)
                    and (
                        wanted.region is null
                        or video.region_restrictions = '{}'
                        or private.plays_in(video.region_restrictions, wanted.region)
                    )
            )
        )
    order by
        card.standing desc,
        card.video_no desc
    limit most;
end
$$;
comment on function private.find_titles(
    text, private.search_filters, private.search_place, integer, boolean, integer[], text[]
) is
'The next videos whose title has a folded text, best first, without what keywords and texts before it found. Where not '
'exact, it may end early rather than read all titles.';

create function private.title_highlights(
    title text,
    term text
)
returns jsonb
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    gap constant text := '[^[:alnum:]]';
    readable text collate pg_c_utf8 := lower(title collate pg_c_utf8);
    starts integer[];
    ends integer[];
    pattern text;
    begins integer;
    beyond integer;
    place integer;
    marks jsonb := jsonb_build_array();
begin
    if term = '' then
        return marks;
    end if;
    if title is not nfkc normalized or length(readable) <> length(title) then
        -- Piece by piece: a letter with what belongs to it, conjoining jamo as a syllable. Each letter of the folded
        -- text knows where its piece begins and ends in the title.
        with pieces as (
            select
                piece.letters[1] as letters,
                piece.number
            from regexp_matches(
                title,
                E'[\u1100-\u115F]?[\u1160-\u11A7]*[\u11A8-\u11FF]+|[\u1100-\u115F][\u1160-\u11A7]*'
                '|.[\u0300-\u036F\u3099\u309A\uFE00-\uFE0F\u200D]*|\n',
                'g'
            ) with ordinality as piece (letters, number)
        ),

        placed as (
            select
                pieces.number,
                lower(normalize(pieces.letters, nfkc) collate pg_c_utf8) as folded,
                sum(length(pieces.letters)) over (order by pieces.number) as last,
                sum(length(pieces.letters)) over (order by pieces.number) - length(pieces.letters) + 1 as first
            from pieces
        )

        select
            string_agg(letter.letter, '' order by placed.number, letter.number),
            array_agg(placed.first order by placed.number, letter.number),
            array_agg(placed.last order by placed.number, letter.number)
        into
            readable,
            starts,
            ends
        from placed
        cross join lateral unnest(string_to_array(placed.folded, null)) with ordinality as letter (letter, number);
    end if;

    -- The most frequent case, at a tenth of the cost: one word, as it stands.
    if starts is null and strpos(term, ' ') = 0 then
        place := strpos(readable, term);
        if place > 0 then
            while place > 0 and jsonb_array_length(marks) < 10 loop
                begins := coalesce(beyond, 1) + place - 1;
                beyond := begins + length(term);
                marks := marks || jsonb_build_array(jsonb_build_array(begins - 1, length(term)));
                place := strpos(substr(readable, beyond), term);
            end loop;
            return marks;
        end if;
    end if;

    -- As it was asked; else spaced otherwise; else its words.
    foreach pattern in array array[
        replace(term, ' ', gap || '+'),
        array_to_string(string_to_array(replace(term, ' ', ''), null), gap || '*'),
        replace(term, ' ', '|')
    ] loop
        place := 1;
        while place <= length(readable) and jsonb_array_length(marks) < 10 loop
            begins := regexp_instr(readable collate pg_c_utf8, pattern, place, 1, 0);
            exit when begins = 0;
            beyond := regexp_instr(readable collate pg_c_utf8, pattern, place, 1, 1);
            marks := marks || jsonb_build_array(
                case
                    when starts is null then jsonb_build_array(begins - 1, beyond - begins)
                    else jsonb_build_array(starts[begins] - 1, ends[beyond - 1] - starts[begins] + 1)
                end
            );
            place := beyond;
        end loop;
        exit when jsonb_array_length(marks) > 0;
    end loop;
    return marks;
end
$$;
comment on function private.title_highlights(text, text) is
'Where a title has a folded text: at most ten [start, length] in characters of the title as it is, from 0.';

create function private.render_videos(
    video_nos integer[],
    scores real[],
    phases integer[],
    terms text[]
)
returns json
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    elapsed constant double precision
        := ln(2) * extract(epoch from now() - '2020-01-01 00:00+00'::timestamptz)::double precision / (180 * 86400);
    half constant double precision := ln(2);
    answer json;
begin
    -- json, and of rows: written once and never read here, it costs a quarter of jsonb built by keys.
    select json_agg(shown.video order by shown.place)
    into answer
    from (
        select
            hit.place,
            (
                select rendered
                from (
                    select
                        video.video_id,
                        video.title,
                        case
                            -- Most of what a keyword leads to does not have it in the title.
                            when
                                strpos(card.title_folded, hit.term) > 0
                                or strpos(replace(card.title_folded, ' ', ''), replace(hit.term, ' ', '')) > 0
                                or (strpos(hit.term, ' ') > 0 and card.title_folded ~ replace(hit.term, ' ', '|'))
                                then private.title_highlights(video.title, hit.term)
                            else '[]'::jsonb
                        end as highlights,
                        video.channel_id,
                        video.channel_name,
                        video.thumbnail_url,
                        video.duration,
                        video.view_count,
                        video.published_at,
                        video.category_id,
                        video.quality_score,
                        -- private.search_score_at, where a title that has it answers half as well as a keyword that is
                        -- it, and a correction half as well again.
                        round(
                            exp(
                                least(hit.score - half * (hit.phase % 2 + least(hit.phase / 2, 1)) - elapsed, 0)
                            )::numeric,
                            6
                        ) as score
                ) as rendered
            ) as video
        from (
            select
                listed.*,
                terms[listed.phase / 2 + 1] as term
            from unnest(video_nos, scores, phases) with ordinality as listed (video_no, score, phase, place)
        ) as hit
        inner join private.video_cards as card on hit.video_no = card.video_no
        inner join public.cached_videos as video on card.video_id = video.video_id
    ) as shown;
    return coalesce(answer, '[]'::json);
end
$$;
comment on function private.render_videos(integer[], real[], integer[], text[]) is
'The rows of an answer, as everybody may see them: from the cache as it is now.';

create function private.search_facets(
    categories integer[],
    durations integer[]
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    facets jsonb;
begin
    with counted as (
        select
            hit.category_id,
            count(*) as videos,
            count(*) filter (where hit.duration <= 60) as videos_of_a_minute
        from unnest(categories, durations) as hit (category_id, duration)
        group by hit.category_id
    )

    select
        jsonb_build_object(
            'categories', coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'category_id', counted.category_id,
                        'name', name.korean,
                        'videos', counted.videos
                    )
                    order by counted.videos desc, counted.category_id
                ),
                '[]'
            ),
            'durations', jsonb_build_array(
                jsonb_build_object('max_duration', 60, 'videos', coalesce(sum(counted.videos_of_a_minute), 0)),
                jsonb_build_object(
                    'max_duration', private.shorts_limit_seconds(),
                    'videos', coalesce(sum(counted.videos), 0)
                )
            )
        )
    into facets
    from counted
    left join private.video_category_names() as name on counted.category_id = name.category_id;
    return facets;
end
$$;
comment on function private.search_facets(integer[], integer[]) is
'How many of videos of these categories and lengths are of each.';

create function private.answer_search(
    query text,
    shown_query text,
    filters jsonb,
    most integer,
    cursor text,
    is_anonymous boolean
)
returns json
stable
security definer
set search_path = pg_catalog, pg_temp
-- For all that is called from here: lists and indexes only, planned once. Each setting costs a microsecond a call.
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
language plpgsql
as $$
declare
    most_matches constant integer := 1000;
    folded constant text := private.fold_text(query);
    key text := nullif(folded, '');
    digest text;
    wanted private.search_filters;
    opened jsonb;
    place private.search_place;
    facet_place private.search_place;
    answered_how text := 'none';
    kinds text[] := '{keyword}'::text[];
    terms text[];
    keyword_nos integer[];
    keyword_no integer;
    has_corrections boolean := false;
    earlier_keywords integer[];
    earlier_terms text[];
    nos integer[];
    scores real[];
    page_nos integer[] := '{}'::integer[];
    page_scores real[] := '{}'::real[];
    page_phases integer[] := '{}'::integer[];
    categories integer[] := '{}'::integer[];
    durations integer[] := '{}'::integer[];
    found_categories integer[];
    found_durations integer[];
    total integer;
    facets jsonb;
    next_cursor text;
    is_more boolean := false;
    is_whole boolean := true;
    short_by integer;
begin
    if key is null then
        -- A keyword of emoji alone has no letters to fold.
        key := private.normalize_keyword(query);
    end if;
    if length(query) > 200 or coalesce(key, '') = '' then
        raise exception using
            errcode = 'PT400',
            message = 'The query is not 1 to 200 characters.',
            detail = format('It has %s.', coalesce(length(query), 0)),
            hint = 'Send what somebody would type to search.';
    end if;
    if (most between 1 and 50) is not true then
        raise exception using
            errcode = 'PT400',
            message = 'The limit is not 1 to 50.',
            detail = format('It is %s.', coalesce(most::text, 'missing')),
            hint = 'Ask for at most 50 videos, and for more with next_cursor.';
    end if;
    wanted := private.read_search_filters(filters, is_anonymous);
    place := (0, 'infinity'::real, 2147483647);
    if cursor is not null then
        digest := private.search_digest(key, wanted);
        opened := private.read_cursor(cursor, digest);
        place := ((opened ->> 'p')::integer, (opened ->> 's')::real, (opened ->> 'v')::integer);
        answered_how := opened ->> 'h';
    end if;

    -- terms[1] is what was asked; corrections follow when they are needed. What has no letters is in no folded title.
    terms := array[folded];
    select keyword.keyword_no
    into keyword_no
    from private.keywords as keyword
    where keyword.keyword = key;
    if not found and strpos(key, ' ') > 0 then
        -- Spaced as it was asked, or not at all: 맛 집 is 맛집.
        select keyword.keyword_no
        into keyword_no
        from private.keywords as keyword
        where keyword.keyword = replace(key, ' ', '');
    end if;
    keyword_nos := array[coalesce(keyword_no, 0)];
    loop
        if place.phase >= 2 and not has_corrections then
            -- Only to fill the first page; who pages on has found enough. Typing errors are looked for where nothing is
            -- as it was typed.
            exit when (cursor is not null and (opened ->> 'p')::integer < 2) or folded = '';
            has_corrections := true;
            select
                terms || array_agg(correction.keyword order by correction.place),
                kinds || array_agg(
                    case when correction.how = 'synonym' then 'synonym' else 'corrected' end order by correction.place
                ),
                keyword_nos || array_agg(keyword.keyword_no order by correction.place)
            into
                terms,
                kinds,
                keyword_nos
            from private.corrected_keywords(query, 3, answered_how not in ('keyword', 'title'))
                with ordinality as correction (keyword, distance, how, place)
            inner join private.keywords as keyword on correction.keyword = keyword.keyword;
        end if;
        exit when place.phase >= 2 * cardinality(terms);
        short_by := most + 1 - cardinality(page_nos);
        earlier_keywords := nullif(array_remove(keyword_nos[1:(place.phase + 1) / 2], 0), '{}');
        earlier_terms := nullif(terms[1:place.phase / 2], '{}');
        nos := null;
        if place.phase % 2 = 1 then
            select
                array_agg(hit.video_no),
                array_agg(hit.score)
            into
                nos,
                scores
            from private.find_titles(
                terms[place.phase / 2 + 1], wanted, place, short_by, true, earlier_keywords, earlier_terms
            ) as hit;
        elsif keyword_nos[place.phase / 2 + 1] > 0 then
            select
                array_agg(hit.video_no),
                array_agg(hit.score)
            into
                nos,
                scores
            from private.find_postings(
                keyword_nos[place.phase / 2 + 1], wanted, place, short_by, true, earlier_keywords, earlier_terms
            ) as hit;
        end if;
        if nos is not null then
            page_nos := page_nos || nos;
            page_scores := page_scores || scores;
            page_phases := page_phases || array_fill(place.phase, array[cardinality(nos)]);
            if answered_how = 'none' then
                answered_how := case
                    when place.phase >= 2 then kinds[place.phase / 2 + 1]
                    when place.phase = 1 then 'title'
                    else 'keyword'
                end;
            end if;
        end if;
        is_more := cardinality(page_nos) > most;
        exit when is_more;
        place := (place.phase + 1, 'infinity'::real, 2147483647);
    end loop;
    if is_more then
        place := (page_phases[most], page_scores[most], page_nos[most]);
        next_cursor := private.write_cursor(
            place, answered_how, coalesce(digest, private.search_digest(key, wanted))
        );
        page_nos := page_nos[1:most];
        page_scores := page_scores[1:most];
        page_phases := page_phases[1:most];
    end if;

    if coalesce((filters ->> 'facets')::boolean, true) then
        facet_place := (0, 'infinity'::real, 2147483647);
        while facet_place.phase < least(2 * cardinality(terms), 8) loop
            short_by := most_matches + 1 - cardinality(categories);
            earlier_keywords := nullif(array_remove(keyword_nos[1:(facet_place.phase + 1) / 2], 0), '{}');
            earlier_terms := nullif(terms[1:facet_place.phase / 2], '{}');
            if facet_place.phase % 2 = 1 then
                select
                    array_agg(hit.category_id),
                    array_agg(hit.duration)
                into
                    found_categories,
                    found_durations
                from private.find_titles(
                    terms[facet_place.phase / 2 + 1], wanted, facet_place, short_by, false,
                    earlier_keywords, earlier_terms
                ) as hit;
                -- A list that is cut off may have left some out.
                is_whole := is_whole and coalesce(
                    (
                        select
                            count(*) < cardinality(private.term_grams(terms[facet_place.phase / 2 + 1]))
                            or (array_agg(list.is_whole order by list.videos))[1]
                        from private.frequent_grams as list
                        where list.gram = any(private.term_grams(terms[facet_place.phase / 2 + 1]))
                    ),
                    true
                );
            else
                select
                    array_agg(hit.category_id),
                    array_agg(hit.duration)
                into
                    found_categories,
                    found_durations
                from private.find_postings(
                    keyword_nos[facet_place.phase / 2 + 1], wanted, facet_place, short_by, false,
                    earlier_keywords, earlier_terms
                ) as hit;
            end if;
            categories := categories || found_categories;
            durations := durations || found_durations;
            exit when cardinality(categories) > most_matches;
            facet_place.phase := facet_place.phase + 1;
        end loop;
        is_whole := is_whole and cardinality(categories) <= most_matches;
        total := least(cardinality(categories), most_matches);
        facets := private.search_facets(categories[1:total], durations[1:total]);
    else
        -- What a first page shows to the end needs no counting.
        is_whole := cursor is null and not is_more;
        total := cardinality(page_nos);
    end if;

    return json_build_object(
        'query', shown_query,
        'how', answered_how,
        'answered', case
            when answered_how in ('keyword', 'title') then key
            when cardinality(page_nos) > 0 then terms[page_phases[1] / 2 + 1]
        end,
        'videos', private.render_videos(page_nos, page_scores, page_phases, terms),
        'facets', facets,
        'total', total,
        'total_is_exact', is_whole,
        'next_cursor', next_cursor
    );
end
$$;
comment on function private.answer_search(text, text, jsonb, integer, text, boolean) is
'Answers a search without any cache, and says that it was asked what is shown: see docs/search.md. Stable, so that all '
'of it is read from one moment.';

create function private.find_videos(
    query text,
    filters jsonb,
    most integer,
    cursor text,
    is_anonymous boolean
)
returns jsonb
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    return private.answer_search(query, query, filters, most, cursor, is_anonymous)::jsonb;
end
$$;
comment on function private.find_videos(text, jsonb, integer, text, boolean) is
'private.answer_search, to be looked into by SQL.';
