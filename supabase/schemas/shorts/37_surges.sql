-- Promises a ranking of tomorrow's surges: what may double, named the day before. docs/trends.md says how good it is.

create function private.surge_score(today double precision, usual double precision, fresh double precision)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- A surge has at least three mentions, twice the usual ones, and more than today: the nearer, the likelier.
    select
        4.02 * surge_score.today / needed.mentions
        - 2.17 * ln(needed.mentions)
        + 1.36 * ln(1 + surge_score.usual)
        + 0.30 * ln(1 + surge_score.today)
        + 1.28 * ln(1 + surge_score.fresh)
    from (
        select greatest(3, 2 * surge_score.usual, surge_score.today + 1) as mentions
    ) as needed
$$;
comment on function private.surge_score(double precision, double precision, double precision) is
'The higher, the likelier a keyword surges tomorrow: by its mentions of today, the mean of the last seven days with '
'today, and how many of today''s videos are new. The weights were fitted on the first half of real charts.';

create function public.backtest_surges(
    today double precision[],
    usual double precision[],
    fresh double precision[]
)
returns double precision[]
immutable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if
        coalesce(cardinality(today) > 100000, true)
        or cardinality(today) is distinct from cardinality(usual)
        or cardinality(today) is distinct from cardinality(fresh)
        or exists (
            select
            from unnest(today, usual, fresh) as given (today, usual, fresh)
            -- NaN is more than any number.
            where
                coalesce(given.today not between 0 and 1e12, true)
                or coalesce(given.usual not between 0 and 1e12, true)
                or coalesce(given.fresh not between 0 and 1e12, true)
        )
    then
        raise exception using
            errcode = 'PT400',
            message = 'The counts cannot be ranked.',
            hint = 'Send three arrays of one length, at most 100000 keywords, of numbers from 0 to 1e12.';
    end if;
    return array(
        select private.surge_score(given.today, given.usual, given.fresh)
        from unnest(today, usual, fresh) with ordinality as given (today, usual, fresh, place)
        order by given.place
    );
end
$$;
comment on function public.backtest_surges(double precision[], double precision[], double precision[]) is
'The score by which the room ranks tomorrow''s surges, per keyword: from its mentions of today, the mean of the last '
'seven days with today, and how many of today''s videos are new. Writes nothing. For the service.';
