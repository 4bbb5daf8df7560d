-- Promises that any batch can be read: each row comes out typed, with its first problem or none, and nothing raises.

create function private.normalize_keyword(keyword text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select btrim(regexp_replace(lower(normalize(keyword, nfkc)), '[[:space:]]+', ' ', 'g'))
$$;
comment on function private.normalize_keyword(text) is 'One spelling per keyword: NFKC, lower case, single spaces.';

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
    keywords jsonb
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
    )

    select
        typed.index,
        problem.code,
        problem.message,
        typed.video_id,
        typed.title,
        typed.description,
        typed.channel_id,
        nullif(typed.channel_name, '') as channel_name,
        typed.published_at,
        typed.duration,
        typed.category_id,
        typed.view_count,
        typed.like_count,
        typed.comment_count,
        -- A source that only says "it plays" vouches for both flags.
        coalesce(typed.is_embeddable, typed.is_playable) as is_embeddable,
        coalesce(typed.privacy_status, case when typed.is_playable then 'public' end) as privacy_status,
        typed.upload_status,
        typed.live_broadcast,
        typed.is_age_restricted,
        typed.region_restrictions,
        typed.thumbnail_url,
        typed.tags,
        typed.collected_at,
        typed.keywords
    from typed
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.video is null, 'ON001', 'the row is not an object'),
            (
                'string' <> any(array[
                    jsonb_typeof(typed.video -> 'video_id'),
                    jsonb_typeof(typed.video -> 'title'),
                    jsonb_typeof(typed.video -> 'description'),
                    jsonb_typeof(typed.video -> 'channel_id'),
                    jsonb_typeof(typed.video -> 'channel_name'),
                    jsonb_typeof(typed.video -> 'thumbnail_url'),
                    jsonb_typeof(typed.video -> 'region')
                ]),
                'ON003',
                'one of video_id, title, description, channel_id, channel_name, thumbnail_url, region is not text'
            ),
            (
                coalesce(typed.video_id !~ '^[A-Za-z0-9_-]{1,20}$', true),
                'ON002',
                'video_id is not an id of at most 20 letters, digits, _ and -'
            ),
            (coalesce(typed.title = '', true), 'ON003', 'title is missing or empty'),
            (length(typed.title) > 500, 'ON004', 'title is longer than 500 characters'),
            (length(typed.description) > 10000, 'ON004', 'description is longer than 10000 characters'),
            (length(typed.channel_name) > 200, 'ON004', 'channel_name is longer than 200 characters'),
            (length(typed.thumbnail_url) > 2000, 'ON004', 'thumbnail_url is longer than 2000 characters'),
            (
                typed.channel_id !~ '^[A-Za-z0-9_-]{1,50}$',
                'ON002',
                'channel_id is not an id of at most 50 letters, digits, _ and -'
            ),
            (typed.collected_at is null, 'ON005', 'collected_at is missing or is not an ISO 8601 time'),
            (
                typed.video ? 'published_at' and typed.published_at is null,
                'ON005',
                'published_at is not an ISO 8601 time'
            ),
            (
                typed.collected_at not between '2005-01-01 00:00+00' and now() + interval '1 hour',
                'ON006',
                'collected_at is before YouTube or in the future'
            ),
            (
                typed.published_at not between '2005-01-01 00:00+00' and now() + interval '1 hour',
                'ON006',
                'published_at is before YouTube or in the future'
            ),
            (
                typed.video ? 'duration_seconds' and coalesce(typed.duration not between 0 and 604800, true),
                'ON007',
                'duration_seconds is not a whole number from 0 to 604800'
            ),
            (
                typed.video ? 'category_id' and coalesce(typed.category_id not between 0 and 999, true),
                'ON007',
                'category_id is not a whole number from 0 to 999'
            ),
            (
                typed.video ? 'view_count' and coalesce(typed.view_count not between 0 and 1000000000000, true),
                'ON007',
                'view_count is not a whole number from 0 to 1000000000000'
            ),
            (
                typed.video ? 'like_count' and coalesce(typed.like_count < 0, true),
                'ON007',
                'like_count is not a whole number from 0 to 2147483647'
            ),
            (
                typed.video ? 'comment_count' and coalesce(typed.comment_count < 0, true),
                'ON007',
                'comment_count is not a whole number from 0 to 2147483647'
            ),
            (
                typed.region <> all(private.region_codes()),
                'ON008',
                'region is not an ISO 3166 code of two capital letters'
            ),
            (
                (typed.video ? 'is_playable' and typed.is_playable is null)
                or (typed.video ? 'is_embeddable' and typed.is_embeddable is null)
                or (typed.video ? 'is_age_restricted' and typed.is_age_restricted is null)
                or typed.privacy_status not in ('public', 'unlisted', 'private')
                or length(typed.upload_status) > 20
                or typed.live_broadcast not in ('none', 'live', 'upcoming')
                or jsonb_typeof(typed.region_restrictions) <> 'object',
                'ON009',
                'one of is_playable, is_embeddable, is_age_restricted, privacy_status, upload_status, '
                'live_broadcast, region_restrictions is not what YouTube sends'
            ),
            (
                typed.video ? 'tags'
                and (
                    typed.tags is null
                    or cardinality(typed.tags) > 500
                    or jsonb_path_exists(typed.video, '$.tags[*] ? (@.type() != "string")')
                ),
                'ON010',
                'tags is not an array of at most 500 texts'
            ),
            (
                typed.keywords is null
                or jsonb_array_length(typed.keywords) > 50
                or jsonb_path_exists(
                    typed.keywords,
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
                    from jsonb_array_elements(typed.keywords) as item (value)
                    where
                        length(coalesce(private.normalize_keyword(item.value ->> 'keyword'), '')) not between 1 and 255
                ),
                'ON010',
                'keywords is not an array of at most 50 {keyword, relevance from 0 to 1, rank from 1 to 1000, '
                'source of youtube_api, ai_analysis, user_feedback}'
            )
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on true
$$;
comment on function private.read_videos(jsonb) is
'The batch as typed rows, each with its first problem or none. Never raises, whatever an element holds.';

create function private.read_keyword_signals(signals jsonb)
returns table (
    index integer,
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

    typed as materialized (
        select
            given.index,
            given.signal,
            private.normalize_keyword(given.signal ->> 'keyword') as keyword,
            given.signal ->> 'region' as region_code,
            given.signal ->> 'source' as data_source,
            case
                when
                    given.signal ->> 'bucket' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.signal ->> 'bucket', 'timestamptz')
                    then date_trunc('hour', (given.signal ->> 'bucket')::timestamptz, 'UTC')
            end as bucket,
            case
                when pg_input_is_valid(given.signal ->> 'mentions', 'integer')
                    then (given.signal ->> 'mentions')::integer
            end as mentions,
            case
                when pg_input_is_valid(given.signal ->> 'views', 'bigint')
                    then (given.signal ->> 'views')::bigint
            end as views
        from given
    )

    select
        typed.index,
        problem.code,
        problem.message,
        typed.keyword,
        typed.region_code,
        typed.bucket,
        typed.data_source,
        typed.mentions,
        typed.views
    from typed
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.signal is null, 'ON001', 'the row is not an object'),
            (jsonb_typeof(typed.signal -> 'keyword') <> 'string', 'ON003', 'keyword is not text'),
            (coalesce(typed.keyword = '', true), 'ON003', 'keyword is missing or empty'),
            (length(typed.keyword) > 255, 'ON004', 'keyword is longer than 255 characters'),
            (typed.bucket is null, 'ON005', 'bucket is missing or is not an ISO 8601 time'),
            (
                typed.bucket not between '2005-01-01 00:00+00' and now() + interval '1 hour',
                'ON006',
                'bucket is before YouTube or in the future'
            ),
            (
                coalesce(typed.mentions not between 0 and 1000000000, true),
                'ON007',
                'mentions is not a whole number from 0 to 1000000000'
            ),
            (
                typed.signal ? 'views' and coalesce(typed.views not between 0 and 1000000000000, true),
                'ON007',
                'views is not a whole number from 0 to 1000000000000'
            ),
            (
                coalesce(typed.region_code <> all(private.region_codes()), true),
                'ON008',
                'region is not an ISO 3166 code of two capital letters'
            ),
            (
                coalesce(typed.data_source not in ('youtube_api', 'bright_data', 'internal'), true),
                'ON009',
                'source is none of youtube_api, bright_data, internal'
            )
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on true
$$;
comment on function private.read_keyword_signals(jsonb) is
'The batch as typed rows, each with its first problem or none. Never raises, whatever an element holds.';
