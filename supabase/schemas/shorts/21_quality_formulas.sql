-- Promises every component of a score in one place, each with its source. Pure: figures in, a figure out. In plpgsql,
-- which computes an expression ten times as fast as a function in SQL that cannot be inlined.
-- The weights of the whole are in 05_quality.sql, since a generated column needs them; docs/quality.md has a table.

create function private.wilson_lower_bound(
    successes double precision,
    trials double precision,
    z double precision default 1.96
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    share constant double precision := case when successes < trials then successes / trials else 1 end;
begin
    -- E. B. Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22, 209-212.
    return
        case
            when trials > 0 and successes > 0
                then greatest(
                    (
                        share + z * z / (2 * trials)
                        - z * sqrt((share * (1 - share) + z * z / (4 * trials)) / trials)
                    )
                    / (1 + z * z / trials),
                    0
                )
            else 0
        end;
end
$$;
comment on function private.wilson_lower_bound(double precision, double precision, double precision) is
'The lower end of Wilson''s interval for a share, 0 to 1: 8 of 10 at z = 1.96 is 0.4902. 0 of 0 is 0.';

create function private.wilson_towards_half(
    successes double precision,
    trials double precision
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- The same interval: its lower end above one half, its upper end below it, one half where it holds both.
    return
        greatest(
            private.wilson_lower_bound(successes, trials),
            least(1 - private.wilson_lower_bound(trials - successes, trials), 0.5)
        );
end
$$;
comment on function private.wilson_towards_half(double precision, double precision) is
'A share as far from one half as Wilson''s interval proves, 0 to 1. One success more never lowers it, one failure more '
'never raises it; nothing known is 0.5.';

create function private.shrunk_rate(
    successes double precision,
    trials double precision,
    prior_rate double precision,
    prior_trials double precision
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Mean of a beta-binomial posterior. C. N. Morris 1983, "Parametric empirical Bayes inference", JASA 78, 47-55.
    return
        (case when successes > trials then trials else successes end + prior_trials * prior_rate)
        / nullif(trials + prior_trials, 0);
end
$$;
comment on function private.shrunk_rate(double precision, double precision, double precision, double precision) is
'A rate, 0 to 1, that begins at the prior''s and moves to the data''s as trials outgrow prior_trials.';

create function private.engagement_rate(
    likes bigint,
    comments bigint,
    views bigint
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- The design's own formula, exact.
    return
        least(
            coalesce(
                (coalesce(likes, 0)::double precision + coalesce(comments, 0))
                / nullif(views, 0),
                0
            ),
            1
        );
end
$$;
comment on function private.engagement_rate(bigint, bigint, bigint) is
'(likes + comments) / views, 0 to 1; what is unknown counts 0, and without views nothing is engaged.';

create function private.channel_engagement(
    total_of_rates double precision,
    videos bigint
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Fitted by moments to 21,523 videos of charts (July 2026): mean rate 0.030; videos of a channel differ half as
    -- much as channels do (standard deviations 0.016 and 0.032), so that the mean of all weighs no more than a video.
    return (coalesce(total_of_rates, 0) + 0.03) / (coalesce(videos, 0) + 1);
end
$$;
comment on function private.channel_engagement(double precision, bigint) is
'What engagement a channel''s videos usually have, 0 to 1: their mean, with one video of 0.03 added.';

create function private.engagement_score(
    likes bigint,
    comments bigint,
    views bigint,
    usual_of_channel double precision
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Fitted to the same videos: within a channel rates differ as if each were of 107 views.
    return
        case
            when likes is not null and views is not null
                then private.shrunk_rate(likes::double precision + coalesce(comments, 0), views, usual_of_channel, 100)
        end;
end
$$;
comment on function private.engagement_score(bigint, bigint, bigint, double precision) is
'Engagement shrunk towards what is usual of the channel, which weighs 100 views; null without likes or views.';

create function private.like_score(
    likes bigint,
    views bigint
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Wilson, above; after E. Miller 2009, "How not to sort by average rating".
    return case when likes is not null and views > 0 then private.wilson_lower_bound(likes, views) end;
end
$$;
comment on function private.like_score(bigint, bigint) is
'Likes per view that are certain to 97.5%, 0 to 1; null where likes or views are unknown, or there are no views.';

create function private.retention_score(
    mean_completion double precision,
    people bigint
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Our own choice: five people outweigh "half of it is watched".
    return case when people > 0 then private.shrunk_rate(mean_completion * people, people, 0.5, 5) end;
end
$$;
comment on function private.retention_score(double precision, bigint) is
'The mean share that people watch, shrunk towards one half, which weighs five people; null where nobody watched.';

create function private.freshness(age interval)
returns numeric
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Our own choice: e-folding in 14 days, so that half is left after 9.7 days, and nothing from 75 days on.
    return
        case
            when age is not null
                then round(exp(-least(greatest(extract(epoch from age), 0) / (14 * 86400), 100))::numeric, 2)
        end;
end
$$;
comment on function private.freshness(interval) is 'exp(-age / 14 days), 0 to 1; null where the age is unknown.';

create function private.evenness(
    spread double precision,
    mean double precision,
    videos bigint
)
returns double precision
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- One less the coefficient of variation (K. Pearson 1896); of logarithms, since views span powers of ten.
    return case when videos >= 3 then least(greatest(1 - coalesce(spread / nullif(mean, 0), 0), 0), 1) end;
end
$$;
comment on function private.evenness(double precision, double precision, bigint) is
'How even a channel''s videos are, 0 to 1: 1 - standard deviation / mean of ln(1 + views); null below three videos.';

create function private.channel_trust(
    age interval,
    subscribers bigint,
    kept bigint,
    videos bigint,
    evenness double precision,
    compared bigint
)
returns numeric
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Our own choice of weights. Each part is 0.5 while nothing is known of it, so that it changes nothing.
    return
        round(
            (
                0.40 * private.wilson_towards_half(kept, videos)
                + 0.20 * case
                    when age is not null
                        then 1 - exp(-least(greatest(extract(epoch from age), 0) / (3 * 31557600), 100))
                    else 0.5
                end
                + 0.20 * case when subscribers is not null then least(log(1 + subscribers) / 6, 1) else 0.5 end
                + 0.20 * coalesce(private.shrunk_rate(evenness * compared, compared, 0.5, 10), 0.5)
            )::numeric,
            2
        );
end
$$;
comment on function private.channel_trust(interval, bigint, bigint, bigint, double precision, bigint) is
'Trust in a channel, 0 to 1: .40 videos that stayed playable, .20 age (3 years), .20 size (a million subscribers), .20 '
'evenness of the compared videos, shrunk by ten. 0.5 where nothing is known.';
