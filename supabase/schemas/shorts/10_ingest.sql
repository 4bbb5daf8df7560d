-- Promises that any batch can be read: each row comes out typed, with its first problem or none, and nothing raises.

create function private.normalize_keyword(keyword text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- NFKC makes up to 18 characters of one: what is far too long for a keyword shall cost nothing.
    select btrim(regexp_replace(lower(normalize(left(keyword, 2000), nfkc)), '[[:space:]]+', ' ', 'g'))
$$;
comment on function private.normalize_keyword(text) is
'One spelling per keyword: NFKC, lower case, single spaces. Of its first 2,000 characters.';

create function private.region_codes()
returns text[]
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select string_to_array(
        'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ '
        'CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO '
        'FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE '
        'JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO '
        'MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW '
        'PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM '
        'TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW',
        ' '
    )
$$;
comment on function private.region_codes() is 'The two-letter codes of ISO 3166-1.';

create function private.check_batch(batch jsonb)
returns void
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if jsonb_typeof(batch) is distinct from 'array' then
        raise exception using
            errcode = 'PT400',
            message = 'The batch is no JSON array.',
            detail = format('It is %s.', coalesce(jsonb_typeof(batch), 'missing')),
            hint = 'Send an array of objects, even for one row.';
    end if;
    if jsonb_array_length(batch) > 5000 then
        raise exception using
            errcode = 'PT413',
            message = 'The batch has more than 5000 rows.',
            detail = format('It has %s.', jsonb_array_length(batch)),
            hint = 'Send it in parts of at most 5000 rows.';
    end if;
end
$$;
comment on function private.check_batch(jsonb) is
'Refuses what is no array, and more work than one statement should hold.';

create function private.check_counts(signals jsonb)
returns void
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    counts bigint;
begin
    perform private.check_batch(signals);
    counts := (
        select
            coalesce(
                sum(
                    case
                        when jsonb_typeof(item.value -> 'keywords') = 'array'
                            then jsonb_array_length(item.value -> 'keywords')
                        else 1
                    end
                ),
                0
            )
        from jsonb_array_elements(signals) as item (value)
    );
    if counts > 50000 then
        raise exception using
            errcode = 'PT413',
            message = 'The batch has more than 50000 counts.',
            detail = format('It has %s.', counts),
            hint = 'Send it in parts of at most 50000 counts.';
    end if;
end
$$;
comment on function private.check_counts(jsonb) is 'As check_batch, where an element may hold many counts.';

create function private.read_videos(videos jsonb)
returns table (
    index integer,
    code text,
    message text,
    video_id text,
    title text,
    description text,
    channel_id text,
    channel_name text,
    published_at timestamptz,
    duration integer,
    category_id integer,
    view_count bigint,
    like_count integer,
    comment_count integer,
    is_embeddable boolean,
    privacy_status text,
    upload_status text,
    live_broadcast text,
    is_age_restricted boolean,
    region_restrictions jsonb,
    thumbnail_url text,
    tags text[],
    collected_at timestamptz,
    keywords jsonb,
    words text[]
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as video
        from jsonb_array_elements(videos) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.video,
            given.video ->> 'video_id' as video_id,
            btrim(given.video ->> 'title') as title,
            given.video ->> 'description' as description,
            given.video ->> 'channel_id' as channel_id,
            given.video ->> 'channel_name' as channel_name,
            given.video ->> 'thumbnail_url' as thumbnail_url,
            given.video ->> 'region' as region,
            given.video -> 'region_restrictions' as region_restrictions,
            case
                when jsonb_typeof(given.video -> 'tags') = 'array'
                    then array(select jsonb_array_elements_text(given.video -> 'tags'))
            end as tags,
            case
                when coalesce(jsonb_typeof(given.video -> 'keywords'), 'array') = 'array'
                    then coalesce(given.video -> 'keywords', '[]')
            end as keywords,
            case
                when
                    given.video ->> 'published_at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.video ->> 'published_at', 'timestamptz')
                    then (given.video ->> 'published_at')::timestamptz
            end as published_at,
            case
                when
                    given.video ->> 'collected_at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.video ->> 'collected_at', 'timestamptz')
                    then (given.video ->> 'collected_at')::timestamptz
            end as collected_at,
            case
                when pg_input_is_valid(given.video ->> 'duration_seconds', 'integer')
                    then (given.video ->> 'duration_seconds')::integer
            end as duration,
            case
                when pg_input_is_valid(given.video ->> 'category_id', 'integer')
                    then (given.video ->> 'category_id')::integer
            end as category_id,
            case
                when pg_input_is_valid(given.video ->> 'view_count', 'bigint')
                    then (given.video ->> 'view_count')::bigint
            end as view_count,
            case
                when pg_input_is_valid(given.video ->> 'like_count', 'integer')
                    then (given.video ->> 'like_count')::integer
            end as like_count,
            case
                when pg_input_is_valid(given.video ->> 'comment_count', 'integer')
                    then (given.video ->> 'comment_count')::integer
            end as comment_count,
            case
                when jsonb_typeof(given.video -> 'is_playable') = 'boolean'
                    then (given.video -> 'is_playable')::boolean
            end as is_playable,
            case
                when jsonb_typeof(given.video -> 'is_embeddable') = 'boolean'
                    then (given.video -> 'is_embeddable')::boolean
            end as is_embeddable,
            case
                when jsonb_typeof(given.video -> 'is_age_restricted') = 'boolean'
                    then (given.video -> 'is_age_restricted')::boolean
            end as is_age_restricted,
            given.video ->> 'privacy_status' as privacy_status,
            given.video ->> 'upload_status' as upload_status,
            given.video ->> 'live_broadcast' as live_broadcast
        from given
    ),

    spelled as materialized (
        select
            typed.*,
            array(
                select
                    case
                        -- Most are in their one spelling already, and a look is cheaper than a call.
                        when item.value ->> 'keyword' ~ '^[a-z0-9가-힣]+$' then item.value ->> 'keyword'
                        else private.normalize_keyword(item.value ->> 'keyword')
                    end
                from jsonb_array_elements(typed.keywords) as item (value)
            ) as words
        from typed
    ),

    judged as materialized (
        select
            spelled.*,
            -- One case for all rules: the first that is broken ends it, and a good row costs a few comparisons.
            case
                when spelled.video is null
                    then 'ON001 the row is not an object'
                when
                    'string' <> any(array[
                        jsonb_typeof(spelled.video -> 'video_id'),
                        jsonb_typeof(spelled.video -> 'title'),
                        jsonb_typeof(spelled.video -> 'description'),
                        jsonb_typeof(spelled.video -> 'channel_id'),
                        jsonb_typeof(spelled.video -> 'channel_name'),
                        jsonb_typeof(spelled.video -> 'thumbnail_url'),
                        jsonb_typeof(spelled.video -> 'region')
                    ])
                    then 'ON003 one of video_id, title, description, channel_id, channel_name, thumbnail_url, region is '
                    'not text'
                when coalesce(spelled.video_id !~ '^[A-Za-z0-9_-]{1,20}$', true)
                    then 'ON002 video_id is not an id of at most 20 letters, digits, _ and -'
                when coalesce(spelled.title = '', true)
                    then 'ON003 title is missing or empty'
                when length(spelled.title) > 500
                    then 'ON004 title is longer than 500 characters'
                when length(spelled.description) > 10000
                    then 'ON004 description is longer than 10000 characters'
                when length(spelled.channel_name) > 200
                    then 'ON004 channel_name is longer than 200 characters'
                when length(spelled.thumbnail_url) > 2000
                    then 'ON004 thumbnail_url is longer than 2000 characters'
                when spelled.channel_id !~ '^[A-Za-z0-9_-]{1,50}$'
                    then 'ON002 channel_id is not an id of at most 50 letters, digits, _ and -'
                when spelled.collected_at is null
                    then 'ON005 collected_at is missing or is not an ISO 8601 time'
                when spelled.video ? 'published_at' and spelled.published_at is null
                    then 'ON005 published_at is not an ISO 8601 time'
                when spelled.collected_at not between '2005-01-01 00:00+00' and now() + interval '1 hour'
                    then 'ON006 collected_at is before YouTube or in the future'
                when spelled.published_at not between '2005-01-01 00:00+00' and now() + interval '1 hour'
                    then 'ON006 published_at is before YouTube or in the future'
                when spelled.video ? 'duration_seconds' and coalesce(spelled.duration not between 0 and 604800, true)
                    then 'ON007 duration_seconds is not a whole number from 0 to 604800'
                when spelled.video ? 'category_id' and coalesce(spelled.category_id not between 0 and 999, true)
                    then 'ON007 category_id is not a whole number from 0 to 999'
                when spelled.video ? 'view_count' and coalesce(spelled.view_count not between 0 and 1000000000000, true)
                    then 'ON007 view_count is not a whole number from 0 to 1000000000000'
                when spelled.video ? 'like_count' and coalesce(spelled.like_count < 0, true)
                    then 'ON007 like_count is not a whole number from 0 to 2147483647'
                when spelled.video ? 'comment_count' and coalesce(spelled.comment_count < 0, true)
                    then 'ON007 comment_count is not a whole number from 0 to 2147483647'
                when spelled.region <> all(private.region_codes())
                    then 'ON008 region is not an ISO 3166 code of two capital letters'
                when
                    (spelled.video ? 'is_playable' and spelled.is_playable is null)
                    or (spelled.video ? 'is_embeddable' and spelled.is_embeddable is null)
                    or (spelled.video ? 'is_age_restricted' and spelled.is_age_restricted is null)
                    or spelled.privacy_status not in ('public', 'unlisted', 'private')
                    or length(spelled.upload_status) > 20
                    or spelled.live_broadcast not in ('none', 'live', 'upcoming')
                    or not private.is_small(spelled.region_restrictions, 'object', 10000)
                    then 'ON009 one of is_playable, is_embeddable, is_age_restricted, privacy_status, upload_status, '
                    'live_broadcast, region_restrictions is not what YouTube sends'
                when
                    spelled.video ? 'tags'
                    and (
                        spelled.tags is null
                        or cardinality(spelled.tags) > 500
                        or length(array_to_string(spelled.tags, '')) > 10000
                        or jsonb_path_exists(spelled.video, '$.tags[*] ? (@.type() != "string")')
                    )
                    then 'ON010 tags is not an array of at most 500 texts of together 10000 characters'
                when
                    spelled.keywords is null
                    or jsonb_array_length(spelled.keywords) > 50
                    or jsonb_path_exists(
                        spelled.keywords,
                        '$[*] ? (
                            @.type() != "object"
                            || !(@.keyword.type() == "string")
                            || exists (@.relevance ? (@.type() != "number" || @ < 0 || @ > 1))
                            || exists (@.rank ? (@.type() != "number" || @ < 1 || @ > 1000 || @.floor() != @))
                            || exists (@.source ? (
                                @ != "youtube_api" && @ != "ai_analysis" && @ != "user_feedback" || @.type() != "string"
                            ))
                        )'
                    )
                    or exists (
                        select
                        from unnest(spelled.words) as spelling (word)
                        where length(spelling.word) not between 1 and 255
                    )
                    then 'ON010 keywords is not an array of at most 50 {keyword, relevance from 0 to 1, '
                    'rank from 1 to 1000, source of youtube_api, ai_analysis, user_feedback}'
            end as problem
        from spelled
    )

    select
        judged.index,
        left(judged.problem, 5) as code,
        substr(judged.problem, 7) as message,
        judged.video_id,
        judged.title,
        judged.description,
        judged.channel_id,
        nullif(judged.channel_name, '') as channel_name,
        judged.published_at,
        judged.duration,
        judged.category_id,
        judged.view_count,
        judged.like_count,
        judged.comment_count,
        -- A source that only says "it plays" vouches for both flags.
        coalesce(judged.is_embeddable, judged.is_playable) as is_embeddable,
        coalesce(judged.privacy_status, case when judged.is_playable then 'public' end) as privacy_status,
        judged.upload_status,
        judged.live_broadcast,
        judged.is_age_restricted,
        judged.region_restrictions,
        judged.thumbnail_url,
        judged.tags,
        judged.collected_at,
        judged.keywords,
        judged.words
    from judged
$$;
comment on function private.read_videos(jsonb) is
'The batch as typed rows, each with its first problem or none. Never raises, whatever an element holds.';

create function private.read_keyword_signals(signals jsonb)
returns table (
    index integer,
    item integer,
    code text,
    message text,
    keyword text,
    region_code text,
    bucket timestamptz,
    data_source text,
    mentions integer,
    views bigint
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Materialized: the planner would else read each field again for every rule.
    with given as materialized (
        select
            (item.ordinality - 1)::integer as index,
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as signal
        from jsonb_array_elements(signals) with ordinality as item (value, ordinality)
    ),

    -- What the counts of one element share is read and judged once.
    typed as materialized (
        select
            given.index,
            given.signal,
            coalesce(given.signal ? 'keywords', false) as is_many,
            given.signal ->> 'region' as region_code,
            given.signal ->> 'source' as data_source,
            case
                when
                    given.signal ->> 'bucket' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.signal ->> 'bucket', 'timestamptz')
                    then date_trunc('hour', (given.signal ->> 'bucket')::timestamptz, 'UTC')
            end as bucket
        from given
    ),

    judged as materialized (
        select
            typed.*,
            case
                when typed.signal is null
                    then 'ON001 the row is not an object'
                when
                    'string' <> any(array[
                        jsonb_typeof(typed.signal -> 'keyword'),
                        jsonb_typeof(typed.signal -> 'region'),
                        jsonb_typeof(typed.signal -> 'bucket'),
                        jsonb_typeof(typed.signal -> 'source')
                    ])
                    then 'ON003 one of keyword, region, bucket, source is not text'
                when
                    typed.is_many
                    and (
                        jsonb_typeof(typed.signal -> 'keywords') <> 'array'
                        or coalesce(jsonb_typeof(typed.signal -> 'mentions') <> 'array', true)
                        or jsonb_typeof(typed.signal -> 'views') <> 'array'
                        or jsonb_path_exists(typed.signal, '$.keywords[*] ? (@.type() != "string")')
                    )
                    then 'ON010 keywords, mentions and views are not arrays of one length, keywords of texts'
                when
                    typed.is_many
                    and jsonb_array_length(typed.signal -> 'keywords') <> any(array[
                        jsonb_array_length(typed.signal -> 'mentions'),
                        coalesce(
                            jsonb_array_length(typed.signal -> 'views'), jsonb_array_length(typed.signal -> 'keywords')
                        )
                    ])
                    then 'ON010 keywords, mentions and views are not arrays of one length, keywords of texts'
                when typed.bucket is null
                    then 'ON005 bucket is missing or is not an ISO 8601 time'
                when typed.bucket not between '2005-01-01 00:00+00' and now() + interval '1 hour'
                    then 'ON006 bucket is before YouTube or in the future'
                when coalesce(typed.region_code <> all(private.region_codes()), true)
                    then 'ON008 region is not an ISO 3166 code of two capital letters'
                when coalesce(typed.data_source not in ('youtube_api', 'bright_data', 'internal'), true)
                    then 'ON009 source is none of youtube_api, bright_data, internal'
            end as problem
        from typed
    ),

    counted as materialized (
        select
            judged.index,
            case when judged.is_many then (given_count.place - 1)::integer end as item,
            judged.region_code,
            judged.bucket,
            judged.data_source,
            case
                -- Most are in their one spelling already, and a look is cheaper than a call.
                when given_count.keyword ~ '^[a-z0-9가-힣]+$' then given_count.keyword
                else private.normalize_keyword(given_count.keyword)
            end as keyword,
            case
                when pg_input_is_valid(given_count.mentions, 'integer') then given_count.mentions::integer
            end as mentions,
            case
                when pg_input_is_valid(given_count.views, 'bigint') then given_count.views::bigint
            end as views,
            given_count.views is not null as has_views
        from judged
        cross join lateral rows from (
            jsonb_array_elements_text(
                case
                    when judged.is_many then judged.signal -> 'keywords'
                    else jsonb_build_array(judged.signal -> 'keyword')
                end
            ),
            jsonb_array_elements_text(
                case
                    when judged.is_many then judged.signal -> 'mentions'
                    else jsonb_build_array(judged.signal -> 'mentions')
                end
            ),
            jsonb_array_elements_text(
                case
                    when judged.is_many then judged.signal -> 'views'
                    else jsonb_build_array(judged.signal -> 'views')
                end
            )
        ) with ordinality as given_count (keyword, mentions, views, place)
        where judged.problem is null
    ),

    weighed as (
        select
            counted.*,
            case
                when coalesce(counted.keyword = '', true)
                    then 'ON003 keyword is missing or empty'
                when length(counted.keyword) > 255
                    then 'ON004 keyword is longer than 255 characters'
                when coalesce(counted.mentions not between 0 and 1000000000, true)
                    then 'ON007 mentions is not a whole number from 0 to 1000000000'
                when counted.has_views and coalesce(counted.views not between 0 and 1000000000000, true)
                    then 'ON007 views is not a whole number from 0 to 1000000000000'
            end as problem
        from counted
    )

    select
        weighed.index,
        weighed.item,
        left(weighed.problem, 5) as code,
        substr(weighed.problem, 7) as message,
        weighed.keyword,
        weighed.region_code,
        weighed.bucket,
        weighed.data_source,
        weighed.mentions,
        weighed.views
    from weighed
    union all
    select
        judged.index,
        null as item,
        left(judged.problem, 5) as code,
        substr(judged.problem, 7) as message,
        null as keyword,
        null as region_code,
        null as bucket,
        null as data_source,
        null as mentions,
        null as views
    from judged
    where judged.problem is not null
$$;
comment on function private.read_keyword_signals(jsonb) is
'The counts of the batch as typed rows, each with its first problem or none. An element is one count, or many of one '
'hour in arrays. Never raises, whatever an element holds.';
