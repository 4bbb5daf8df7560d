-- Promises that trends which others tell are kept like our own: one open row a key, newest news first, bad ones named.

create function private.read_told_trends(trends jsonb)
returns table (
    index integer,
    code text,
    message text,
    keyword text,
    region_code text,
    data_source text,
    trend_score double precision,
    search_volume integer,
    growth_rate double precision,
    source_confidence double precision,
    category text,
    related_keywords text[],
    observed_at timestamptz
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
            case when jsonb_typeof(item.value) = 'object' then jsonb_strip_nulls(item.value) end as trend
        from jsonb_array_elements(trends) with ordinality as item (value, ordinality)
    ),

    typed as materialized (
        select
            given.index,
            given.trend,
            private.normalize_keyword(given.trend ->> 'keyword') as keyword,
            given.trend ->> 'region_code' as region_code,
            given.trend ->> 'data_source' as data_source,
            given.trend ->> 'category' as category,
            case
                when pg_input_is_valid(given.trend ->> 'trend_score', 'double precision')
                    then (given.trend ->> 'trend_score')::double precision
            end as trend_score,
            case
                when pg_input_is_valid(given.trend ->> 'search_volume', 'integer')
                    then (given.trend ->> 'search_volume')::integer
            end as search_volume,
            case
                when pg_input_is_valid(given.trend ->> 'growth_rate', 'double precision')
                    then (given.trend ->> 'growth_rate')::double precision
            end as growth_rate,
            case
                when pg_input_is_valid(given.trend ->> 'source_confidence', 'double precision')
                    then (given.trend ->> 'source_confidence')::double precision
            end as source_confidence,
            case
                when
                    jsonb_typeof(given.trend -> 'related_keywords') = 'array'
                    and not jsonb_path_exists(given.trend -> 'related_keywords', '$[*] ? (@.type() != "string")')
                    then array(
                        select private.normalize_keyword(related.word)
                        from jsonb_array_elements_text(given.trend -> 'related_keywords')
                            with ordinality as related (word, place)
                        order by related.place
                    )
            end as related_keywords,
            case
                when
                    given.trend ->> 'observed_at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]'
                    and pg_input_is_valid(given.trend ->> 'observed_at', 'timestamptz')
                    then (given.trend ->> 'observed_at')::timestamptz
            end as observed_at
        from given
    )

    select
        typed.index,
        problem.code,
        problem.message,
        typed.keyword,
        typed.region_code,
        typed.data_source,
        typed.trend_score,
        typed.search_volume,
        typed.growth_rate,
        typed.source_confidence,
        typed.category,
        typed.related_keywords,
        typed.observed_at
    from typed
    left join lateral (
        select
            rule.code,
            rule.message
        from (
            values
            (typed.trend is null, 'ON001', 'the row is not an object'),
            (jsonb_typeof(typed.trend -> 'keyword') <> 'string', 'ON003', 'keyword is not text'),
            (coalesce(typed.keyword = '', true), 'ON003', 'keyword is missing or empty'),
            (length(typed.keyword) > 255, 'ON004', 'keyword is longer than 255 characters'),
            (
                typed.trend ? 'category' and jsonb_typeof(typed.trend -> 'category') <> 'string',
                'ON003',
                'category is not text'
            ),
            (length(typed.category) > 100, 'ON004', 'category is longer than 100 characters'),
            (typed.observed_at is null, 'ON005', 'observed_at is missing or is not an ISO 8601 time'),
            (
                typed.observed_at <= now() - interval '4 hours' or typed.observed_at > now() + interval '1 hour',
                'ON006',
                'observed_at is 4 hours ago or more, when the trend is over, or more than an hour ahead'
            ),
            (
                coalesce(typed.trend_score not between 0 and 1, true),
                'ON007',
                'trend_score is not a number from 0 to 1'
            ),
            (
                typed.trend ? 'source_confidence' and coalesce(typed.source_confidence not between 0 and 1, true),
                'ON007',
                'source_confidence is not a number from 0 to 1'
            ),
            (
                typed.trend ? 'search_volume' and coalesce(typed.search_volume < 0, true),
                'ON007',
                'search_volume is not a whole number from 0 to 2147483647'
            ),
            (
                typed.trend ? 'growth_rate' and coalesce(typed.growth_rate not between -100 and 1e12, true),
                'ON007',
                'growth_rate is not a number of per cent, from -100'
            ),
            (
                coalesce(typed.region_code <> all(private.region_codes()), true),
                'ON008',
                'region_code is not an ISO 3166 code of two capital letters'
            ),
            (
                coalesce(typed.data_source not in ('youtube_api', 'bright_data', 'internal'), true),
                'ON009',
                'data_source is none of youtube_api, bright_data, internal'
            ),
            (
                typed.trend ? 'related_keywords'
                and (
                    typed.related_keywords is null
                    or cardinality(typed.related_keywords) > 50
                    or exists (
                        select
                        from unnest(typed.related_keywords) as related (word)
                        where length(related.word) not between 1 and 255
                    )
                ),
                'ON010',
                'related_keywords is not an array of at most 50 texts of 1 to 255 characters'
            )
        ) as rule (is_broken, code, message)
        where rule.is_broken
        limit 1
    ) as problem on true
$$;
comment on function private.read_told_trends(jsonb) is
'The batch as typed rows, each with its first problem or none. Never raises, whatever an element holds.';

create function public.upsert_trending_keywords(trends jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    perform private.check_batch(trends);

    -- In one order, so that two batches never deadlock.
    perform
    from public.trending_keywords as stored
    inner join (
        select distinct
            read.keyword,
            read.region_code,
            read.data_source
        from private.read_told_trends(trends) as read
        where read.code is null
    ) as told
        on
            stored.keyword = told.keyword
            and stored.region_code = told.region_code
            and stored.data_source = told.data_source
    where stored.closed_at is null
    order by
        stored.keyword,
        stored.region_code,
        stored.data_source
    for no key update of stored;

    -- What is over is closed first. So is a row of our own test: its figures stay whole, and detection remembers them.
    update public.trending_keywords as stored
    set closed_at = least(stored.expires_at, told.observed_at)
    from (
        select
            read.keyword,
            read.region_code,
            read.data_source,
            max(read.observed_at) as observed_at
        from private.read_told_trends(trends) as read
        where read.code is null
        group by
            read.keyword,
            read.region_code,
            read.data_source
    ) as told
    where
        stored.closed_at is null
        and stored.keyword = told.keyword
        and stored.region_code = told.region_code
        and stored.data_source = told.data_source
        and stored.detected_at < told.observed_at
        and (stored.expires_at <= told.observed_at or stored.model_version is distinct from 'told');

    with read as materialized (
        select *
        from private.read_told_trends(trends)
    ),

    -- The newest news of each, unless what is stored is as new.
    newest as materialized (
        select distinct on (read.keyword, read.region_code, read.data_source) read.*
        from read
        where
            read.code is null
            and not exists (
                select
                from public.trending_keywords as stored
                where
                    stored.keyword = read.keyword
                    and stored.region_code = read.region_code
                    and stored.data_source = read.data_source
                    and stored.detected_at >= read.observed_at
            )
        order by
            read.keyword asc,
            read.region_code asc,
            read.data_source asc,
            read.observed_at desc,
            read.index desc
    ),

    written as (
        insert into public.trending_keywords as stored (
            keyword,
            region_code,
            data_source,
            trend_score,
            search_volume,
            growth_rate,
            source_confidence,
            category,
            related_keywords,
            model_version,
            detected_at,
            expires_at
        )
        select
            newest.keyword,
            newest.region_code,
            newest.data_source,
            newest.trend_score,
            coalesce(newest.search_volume, 0),
            coalesce(newest.growth_rate, 0),
            coalesce(newest.source_confidence, 0),
            newest.category,
            newest.related_keywords,
            'told',
            newest.observed_at,
            newest.observed_at + interval '4 hours'
        from newest
        order by
            newest.keyword,
            newest.region_code,
            newest.data_source
        on conflict (keyword, region_code, data_source) where closed_at is null do update
            set
                trend_score = excluded.trend_score,
                search_volume = excluded.search_volume,
                growth_rate = excluded.growth_rate,
                source_confidence = excluded.source_confidence,
                -- What is left out keeps what is known.
                category = coalesce(excluded.category, stored.category),
                related_keywords = coalesce(excluded.related_keywords, stored.related_keywords),
                detected_at = excluded.detected_at,
                expires_at = excluded.expires_at
            where
                stored.detected_at < excluded.detected_at
                and stored.model_version = 'told'
        returning stored.xmax = 0 as is_new
    ),

    tally as (
        select
            (select count(*) from read) as received,
            (select count(*) from read where read.code is not null) as rejected,
            (select count(*) from written where written.is_new) as inserted,
            (select count(*) from written where not written.is_new) as updated
    )

    select
        jsonb_build_object(
            'received', tally.received,
            'inserted', tally.inserted,
            'updated', tally.updated,
            'unchanged', tally.received - tally.rejected - tally.inserted - tally.updated,
            'rejected', (
                select
                    coalesce(
                        jsonb_agg(
                            jsonb_build_object('index', read.index, 'code', read.code, 'message', read.message)
                            order by read.index
                        ),
                        '[]'
                    )
                from read
                where read.code is not null
            )
        )
    into answer
    from tally;
    return answer;
end
$$;
comment on function public.upsert_trending_keywords(jsonb) is
'Keeps at most 5000 trends that others observed as open trends for 4 hours. Repeating a batch changes nothing; older '
'news never overwrites newer; bad rows come back as {index, code, message}, see docs/errors.md. For the service.';

create function public.upsert_trending_keyword(trend jsonb)
returns jsonb
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer jsonb;
begin
    answer := public.upsert_trending_keywords(jsonb_build_array(upsert_trending_keyword.trend));
    if answer -> 'rejected' <> '[]' then
        raise exception using
            errcode = 'PT400',
            message = 'The trend cannot be taken.',
            detail = answer #>> '{rejected,0,message}',
            hint = 'Send keyword, region_code, data_source, trend_score and observed_at.';
    end if;
    return jsonb_build_object(
        'id', (
            select stored.id
            from public.trending_keywords as stored
            where
                stored.keyword = private.normalize_keyword(upsert_trending_keyword.trend ->> 'keyword')
                and stored.region_code = upsert_trending_keyword.trend ->> 'region_code'
                and stored.data_source = upsert_trending_keyword.trend ->> 'data_source'
            order by
                stored.closed_at is null desc,
                stored.detected_at desc
            limit 1
        ),
        'inserted', answer -> 'inserted' = '1'
    );
end
$$;
comment on function public.upsert_trending_keyword(jsonb) is
'Keeps one trend that somebody else observed, see upsert_trending_keywords. Returns its id, and whether it is new; '
'PT400 names the field that cannot be true. For the service.';
