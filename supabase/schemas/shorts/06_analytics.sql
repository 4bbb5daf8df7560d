-- Promises daily figures per keyword that are read instead of counted, and a place for what models foretell.

create function private.fewest_people()
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select 3
$$;
comment on function private.fewest_people() is
'How many people must have used a keyword in a day before others see its figures: what one person typed is theirs.';

create table public.keyword_performance_cache (
    keyword varchar(255) not null,
    date date not null,
    total_views integer not null default 0,
    avg_completion_rate numeric(3, 2),
    total_likes integer not null default 0,
    people integer,
    primary key (keyword, date),
    constraint performance_figures_are_possible check (
        total_views >= 0 and total_likes >= 0 and people >= 0 and avg_completion_rate between 0 and 1
    )
);
alter table public.keyword_performance_cache enable row level security;
comment on table public.keyword_performance_cache is
'Views and likes that a keyword led to, by day in Korea. Denormalised: counted from video_interactions once instead of '
'at each read.';
comment on column public.keyword_performance_cache.keyword is 'Normalised: NFKC, lower case, single spaces.';
comment on column public.keyword_performance_cache.date is 'Day in Korea.';
comment on column public.keyword_performance_cache.total_views is 'Views of the day.';
comment on column public.keyword_performance_cache.avg_completion_rate is
'Mean completion of these views, 0 to 1; null without any.';
comment on column public.keyword_performance_cache.total_likes is 'Likes of the day.';
comment on column public.keyword_performance_cache.people is
'At least so many people; below three nobody but the service sees the row. Null when it was not counted from people.';

create table public.keyword_effectiveness (
    id uuid not null unique default gen_random_uuid(),
    keyword varchar(255) not null,
    date date not null,
    search_count integer not null default 0,
    click_count integer not null default 0,
    ctr numeric not null generated always as (
        case when search_count > 0 then round(click_count::numeric / search_count * 100, 2) else 0 end
    ) stored,
    total_watch_time integer not null default 0,
    avg_completion_rate numeric(5, 2),
    like_rate numeric(5, 2),
    skip_rate numeric(5, 2),
    people integer,
    primary key (keyword, date),
    constraint effectiveness_counts_are_not_negative check (
        search_count >= 0 and click_count >= 0 and total_watch_time >= 0 and people >= 0
    ),
    constraint effectiveness_rates_are_fractions check (
        avg_completion_rate between 0 and 1
        and like_rate between 0 and 1
        and skip_rate between 0 and 1
    )
);
alter table public.keyword_effectiveness enable row level security;
comment on table public.keyword_effectiveness is
'How well a keyword serves who searches it, by day in Korea. For premium and up.';
comment on column public.keyword_effectiveness.id is 'Our own id.';
comment on column public.keyword_effectiveness.keyword is 'Normalised: NFKC, lower case, single spaces.';
comment on column public.keyword_effectiveness.date is 'Day in Korea.';
comment on column public.keyword_effectiveness.search_count is 'Searches of the day.';
comment on column public.keyword_effectiveness.click_count is 'Results clicked in them.';
comment on column public.keyword_effectiveness.ctr is
'Clicks per 100 searches; above 100 when people click more than one.';
comment on column public.keyword_effectiveness.total_watch_time is 'Seconds watched from these searches.';
comment on column public.keyword_effectiveness.avg_completion_rate is 'Mean completion of their views, 0 to 1.';
comment on column public.keyword_effectiveness.like_rate is 'Likes per view, 0 to 1.';
comment on column public.keyword_effectiveness.skip_rate is 'Skips per view or skip, 0 to 1.';
comment on column public.keyword_effectiveness.people is
'At least so many people; below three nobody but the service sees the row. Null when it was not counted from people.';

create table public.trend_predictions (
    id uuid primary key default gen_random_uuid(),
    keyword varchar(255) not null,
    prediction_date date not null,
    predicted_for_date date not null,
    predicted_score numeric(5, 4),
    confidence_interval numrange,
    confidence_level numeric(3, 2),
    model_version varchar(20),
    features_used jsonb,
    actual_score numeric(5, 4),
    prediction_error numeric(5, 4) generated always as (abs(predicted_score - actual_score)) stored,
    created_at timestamptz not null default now(),
    region_code varchar(2) not null default 'KR',
    constraint predictions_are_fractions check (
        predicted_score between 0 and 1
        and actual_score between 0 and 1
        and confidence_level between 0 and 1
    ),
    constraint a_prediction_is_about_what_comes check (predicted_for_date >= prediction_date),
    constraint a_prediction_lies_in_its_interval check (confidence_interval @> predicted_score),
    constraint region_code_has_two_letters check (region_code ~ '^[A-Z]{2}$'),
    -- Said again on the same day it replaces what was said before.
    constraint one_prediction_a_day_and_model unique nulls not distinct (
        predicted_for_date, region_code, keyword, prediction_date, model_version
    )
);
alter table public.trend_predictions enable row level security;
comment on table public.trend_predictions is
'What a model foretold of a keyword, and what came. For premium and up.';
comment on column public.trend_predictions.id is 'Our own id.';
comment on column public.trend_predictions.keyword is 'Normalised: NFKC, lower case, single spaces.';
comment on column public.trend_predictions.prediction_date is 'The day it was said.';
comment on column public.trend_predictions.predicted_for_date is 'The day it is about.';
comment on column public.trend_predictions.predicted_score is 'The trend score that is expected, 0 to 1.';
comment on column public.trend_predictions.confidence_interval is 'Between what it should lie, [lower,upper].';
comment on column public.trend_predictions.confidence_level is 'How often it should lie there, such as 0.90.';
comment on column public.trend_predictions.model_version is 'Which model said so.';
comment on column public.trend_predictions.features_used is 'What it went by.';
comment on column public.trend_predictions.actual_score is 'The score that came; null while it has not.';
comment on column public.trend_predictions.prediction_error is 'How far off it was.';
comment on column public.trend_predictions.created_at is 'When the row was written.';
comment on column public.trend_predictions.region_code is 'ISO 3166 code of the region it is about.';
