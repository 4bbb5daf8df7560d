-- No more of a quota is granted than a day in California allows, to the unit.
begin;
\ir ../served.psql
select plan(35);

delete from private.quota_days;

-- The day and its length, where clocks change.
select is(private.pacific_day('2026-11-21 07:59:59+00'), '2026-11-20'::date, 'the last second of a day in winter');
select is(private.pacific_day('2026-11-21 08:00:00+00'), '2026-11-21'::date, 'and the first of the next');
select is(private.pacific_day('2026-07-01 06:59:59+00'), '2026-06-30'::date, 'in summer an hour earlier');
select is(private.pacific_day('2026-07-01 07:00:00+00'), '2026-07-01'::date, 'to the second');
select is(private.pacific_midnight('2026-03-08'), '2026-03-08 08:00+00', 'the day when clocks go forward begins at 8');
select is(private.pacific_midnight('2026-03-09'), '2026-03-09 07:00+00', 'and the next at 7: it had 23 hours');
select is(private.pacific_day('2026-03-09 06:59:59+00'), '2026-03-08'::date, 'none is missing at its end');
select is(private.pacific_midnight('2026-11-01'), '2026-11-01 07:00+00', 'the day when they go back begins at 7');
select is(private.pacific_midnight('2026-11-02'), '2026-11-02 08:00+00', 'and the next at 8: it had 25 hours');
select is(private.pacific_day('2026-11-02 07:59:59+00'), '2026-11-01'::date, 'and one more at its end');

-- As shipped.
select results_eq(
    'select bucket, daily_limit from private.quota_limits order by bucket',
    $$values ('youtube_search', 100), ('youtube_units', 10000)$$,
    'YouTube allows 100 searches and 10,000 units a day'
);

-- To the unit.
select is(
    pg_temp.served($$select public.take_quota('youtube_search', 99)$$) - 'resets_at',
    '{"granted": true, "bucket": "youtube_search", "used": 99, "daily_limit": 100}',
    '99 of 100 are granted'
);
select is(
    pg_temp.served($$select public.take_quota('youtube_search', 2)$$) - 'resets_at',
    '{"granted": false, "bucket": "youtube_search", "used": 99, "daily_limit": 100}',
    '2 more are not, and nothing is counted'
);
select is(pg_temp.served($$select public.take_quota('youtube_search', 1)$$) -> 'granted', 'true', 'the last one is');
select is(
    pg_temp.served($$select public.take_quota('youtube_search', 1)$$) - 'resets_at',
    '{"granted": false, "bucket": "youtube_search", "used": 100, "daily_limit": 100}',
    'and then none'
);
select is(
    pg_temp.served($$select public.take_quota('youtube_units', 10001)$$) -> 'granted',
    'false',
    'more than a day has is not granted'
);
select is(pg_temp.served($$select public.take_quota('youtube_units', 10001)$$) -> 'used', '0', 'nor counted');
select is(
    pg_temp.served($$select public.take_quota('youtube_units', 10000)$$) -> 'granted',
    'true',
    'a whole day at once is'
);
select is(
    (pg_temp.served($$select public.take_quota('youtube_units', 1)$$) ->> 'resets_at')::timestamptz,
    private.pacific_midnight(private.pacific_day() + 1),
    'it begins anew at midnight in California'
);

-- Another day is another quota.
update private.quota_days
set day = day - 1;
select is(
    pg_temp.served($$select public.take_quota('youtube_search', 100)$$) -> 'granted',
    'true',
    'yesterday took nothing from today'
);
select is((select count(*) from private.quota_days), 3::bigint, 'and is kept');

-- An operator changes limits.
update private.quota_limits
set daily_limit = 150
where bucket = 'youtube_search';
select is(
    pg_temp.served($$select public.take_quota('youtube_search', 50)$$) -> 'used',
    '150',
    'a higher limit counts at once'
);
select is(pg_temp.served($$select public.take_quota('youtube_search', 1)$$) -> 'granted', 'false', 'as far as it goes');
update private.quota_limits
set daily_limit = 0
where bucket = 'youtube_search';
select is(
    pg_temp.served($$select public.take_quota('youtube_search', 1)$$) - 'resets_at',
    '{"granted": false, "bucket": "youtube_search", "used": 150, "daily_limit": 0}',
    'so does a lower one: nothing is granted any more'
);
select is(
    pg_temp.served($$select public.close_quota('youtube_search')$$) -> 'used',
    '150',
    'and closing it takes back nothing that was used'
);
select is(
    pg_temp.served($$update private.quota_limits set daily_limit = 1000000 returning to_jsonb(daily_limit)$$),
    '"42501 permission denied for table quota_limits"',
    'the service cannot change a limit'
);

-- The source itself says so.
delete from private.quota_days;
select is(pg_temp.served($$select public.take_quota('youtube_units', 10)$$) -> 'used', '10', 'a day has begun');
select is(
    pg_temp.served($$select public.close_quota('youtube_units')$$) - 'resets_at',
    '{"granted": false, "bucket": "youtube_units", "used": 10000, "daily_limit": 10000}',
    'the source calls it spent'
);
select is(
    pg_temp.served($$select public.take_quota('youtube_units', 1)$$) -> 'granted',
    'false',
    'and nothing is granted any more'
);
select is(pg_temp.served($$select public.close_quota('youtube_units')$$) -> 'used', '10000', 'again changes nothing');

-- What cannot be true.
select is(
    pg_temp.served($$select public.take_quota('gold', 1)$$), '"PT404 There is no such quota."', 'PT404: another bucket'
);
select is(
    pg_temp.served($$select public.close_quota(null)$$), '"PT404 There is no such quota."', 'PT404: no bucket'
);
create function pg_temp.told()
returns text
language plpgsql
as $$
declare
    told text;
begin
    perform public.take_quota(repeat('x', 100000), 1);
    return null;
exception
    when others then
        get stacked diagnostics told = pg_exception_detail;
        return told;
end
$$;
select ok(length(pg_temp.told()) < 200, 'a refusal does not send back all that it was sent');
select is(
    pg_temp.served($$select public.take_quota('youtube_units', 0)$$),
    '"PT400 The units are no whole number from 1."',
    'PT400: nothing'
);
select is(
    pg_temp.served($$select public.take_quota('youtube_units', null)$$),
    '"PT400 The units are no whole number from 1."',
    'PT400: no number'
);

select finish();
rollback;
