-- Any batch can be read: a bad row is named by index and code, the good one beside it is kept.
begin;
select plan(50);

-- An empty house: nothing of the running stack is seen in here.
delete from public.cached_videos;
delete from public.cached_channels;
delete from private.keyword_signals;

-- Bad rows: each is named by index and code, the good one beside it is kept.
create function pg_temp.refusal(fields jsonb)
returns text
language sql
as $$
    select
        case
            when answer ->> 'inserted' = '1' then concat_ws(' ', answer #>> '{rejected,0,index}', answer #>> '{rejected,0,code}')
            else 'the good row was lost'
        end
    from public.ingest_videos(
        jsonb_build_array(
            jsonb_build_object(
                'video_id', 'good' || substr(md5(fields::text), 1, 8),
                'title', 'good',
                'collected_at', '2026-01-01T00:00:00Z'
            ),
            case
                when jsonb_typeof(fields) = 'object'
                    then '{"video_id": "bad", "title": "bad", "collected_at": "2026-01-01T00:00:00Z"}' || fields
                else fields
            end
        )
    ) as answer
$$;
select is(pg_temp.refusal('7'), '1 ON001', 'a number is no row');
select is(pg_temp.refusal('null'), '1 ON001', 'null is no row');
select is(pg_temp.refusal('[[]]'::jsonb), '1 ON001', 'an array is no row');
select is(pg_temp.refusal('{"video_id": null}'), '1 ON002', 'no id');
select is(pg_temp.refusal('{"video_id": "with space"}'), '1 ON002', 'an id with a space');
select is(pg_temp.refusal('{"video_id": "aaaaaaaaaaaaaaaaaaaaa"}'), '1 ON002', 'an id of 21 characters');
select is(pg_temp.refusal('{"channel_id": "한"}'), '1 ON002', 'a channel id that is none');
select is(pg_temp.refusal('{"title": "   "}'), '1 ON003', 'an empty title');
select is(pg_temp.refusal('{"title": {"a": 1}}'), '1 ON003', 'a title that is an object');
select is(pg_temp.refusal(jsonb_build_object('title', repeat('x', 10240))), '1 ON004', 'a title of 10 kB');
select is(pg_temp.refusal(jsonb_build_object('description', repeat('x', 10001))), '1 ON004', 'a description too long');
select is(pg_temp.refusal('{"collected_at": null}'), '1 ON005', 'no time');
select is(pg_temp.refusal('{"collected_at": "2026-13-01T00:00:00Z"}'), '1 ON005', 'a time that does not exist');
select is(pg_temp.refusal('{"collected_at": "yesterday"}'), '1 ON005', 'a time in words');
select is(pg_temp.refusal('{"published_at": "infinity"}'), '1 ON005', 'a time without end');
select is(pg_temp.refusal('{"collected_at": "2999-01-01T00:00:00Z"}'), '1 ON006', 'a time to come');
select is(pg_temp.refusal('{"published_at": "1999-01-01T00:00:00Z"}'), '1 ON006', 'a time before YouTube');
select is(pg_temp.refusal('{"view_count": -1}'), '1 ON007', 'a negative count');
select is(pg_temp.refusal('{"view_count": 1e30}'), '1 ON007', 'an absurd count');
select is(pg_temp.refusal('{"view_count": "many"}'), '1 ON007', 'a count in words');
select is(pg_temp.refusal('{"like_count": 3000000000}'), '1 ON007', 'more likes than people');
select is(pg_temp.refusal('{"duration_seconds": 1.5}'), '1 ON007', 'half a second');
select is(pg_temp.refusal('{"region": "ZZ"}'), '1 ON008', 'an unknown region');
select is(pg_temp.refusal('{"region": "kr"}'), '1 ON008', 'a region in small letters');
select is(pg_temp.refusal('{"is_playable": "yes"}'), '1 ON009', 'a flag in words');
select is(pg_temp.refusal('{"privacy_status": "secret"}'), '1 ON009', 'an unknown privacy_status');
select is(pg_temp.refusal('{"keywords": {"keyword": "k"}}'), '1 ON010', 'keywords that are no array');
select is(pg_temp.refusal('{"keywords": [{"keyword": " "}]}'), '1 ON010', 'an empty keyword');
select is(pg_temp.refusal('{"keywords": [{"keyword": "k", "relevance": "high"}]}'), '1 ON010', 'a relevance in words');
select is(pg_temp.refusal('{"keywords": [{"keyword": "k", "relevance": 1.1}]}'), '1 ON010', 'a relevance above 1');
select is(pg_temp.refusal('{"keywords": [{"keyword": "k", "source": "hearsay"}]}'), '1 ON010', 'an unknown source');
select is(
    pg_temp.refusal(jsonb_build_object('keywords', jsonb_build_array(jsonb_build_object('keyword', repeat('ﷺ', 200))))),
    '1 ON010',
    'a keyword that is too long once it is normalised'
);
select is(pg_temp.refusal('{"keywords": [{"keyword": "k", "rank": 0}]}'), '1 ON010', 'a rank before the first');
select is(pg_temp.refusal('{"keywords": [{"keyword": "k", "rank": 1001}]}'), '1 ON010', 'a rank beyond the last');
select is(pg_temp.refusal('{"keywords": [{"keyword": "k", "rank": 1.5}]}'), '1 ON010', 'a rank between two');
select is(pg_temp.refusal('{"keywords": [{"keyword": "k", "rank": "1"}]}'), '1 ON010', 'a rank in words');
select is(pg_temp.refusal('{"tags": "먹방"}'), '1 ON010', 'tags that are no array');
select is(pg_temp.refusal('{"tags": ["먹방", 1]}'), '1 ON010', 'a tag that is a number');
select is(
    pg_temp.refusal(jsonb_build_object('tags', array(select 'tag' from generate_series(1, 501)))),
    '1 ON010',
    'too many tags'
);
select is(
    pg_temp.refusal(jsonb_build_object('tags', jsonb_build_array(repeat('x', 10001)))), '1 ON010', 'a tag without end'
);
select is(
    pg_temp.refusal(
        jsonb_build_object('keywords', jsonb_build_array(jsonb_build_object('keyword', repeat('ﷺ', 20000))))
    ),
    '1 ON010',
    'a keyword without end is refused as it is'
);
select is(
    length(private.normalize_keyword(repeat('ﷺ', 20000))), 36000, 'of which no more than the first 2,000 characters are read'
);
select is(pg_temp.refusal('{"live_broadcast": "soon"}'), '1 ON009', 'an unknown live_broadcast');
select is(pg_temp.refusal('{"region_restrictions": ["KR"]}'), '1 ON009', 'restrictions that are no object');
select is(
    pg_temp.refusal(
        jsonb_build_object('region_restrictions', jsonb_build_object('blocked', array_fill('KR'::text, array[5000])))
    ),
    '1 ON009',
    'restrictions without end'
);
select is(
    pg_temp.refusal('{"region_restrictions": {"blocked": [1e131071]}}'), '1 ON009', 'a number of many digits'
);
select is_empty($$select from public.cached_videos where video_id = 'bad'$$, 'none of them was stored');

-- The whole call.
select throws_ok($$select public.ingest_videos('{}')$$, 'PT400', 'The batch is no JSON array.', 'no array');
select throws_ok($$select public.ingest_videos(null)$$, 'PT400', 'The batch is no JSON array.', 'nothing');
select throws_ok(
    $$select public.ingest_videos((select jsonb_agg(n) from generate_series(1, 5001) as n))$$,
    'PT413',
    'The batch has more than 5000 rows.',
    'too many rows'
);

select finish();
rollback;
