-- Promises that what people watch is learned from every night: which videos go together, and what each person likes.

create table private.learning_settings (
    is_the_one boolean primary key default true,
    window_size integer not null default 50,
    memory_size integer not null default 2000,
    most_a_day integer not null default 100,
    half_life interval not null default '90 days',
    shrinkage real not null default 20,
    least_people integer not null default 2,
    neighbours_kept integer not null default 100,
    recency real not null default 0.97,
    category_prior real not null default 10,
    hour_prior real not null default 20,
    constraint there_is_one_row check (is_the_one),
    constraint sizes_are_possible check (
        window_size between 1 and 500
        and memory_size between window_size and 10000
        and most_a_day between 1 and 10000
        and least_people between 1 and 1000
        and neighbours_kept between 1 and 1000
    ),
    constraint priors_are_possible check (
        half_life > interval '0'
        and shrinkage >= 0
        and recency between 0.5 and 1
        and category_prior > 0
        and hour_prior > 0
    )
);
alter table private.learning_settings enable row level security;
comment on table private.learning_settings is 'What learning goes by, one row. Explained in docs/learning.md.';
comment on column private.learning_settings.window_size is 'Videos before it that a liked one is paired with.';
comment on column private.learning_settings.memory_size is 'Liked videos of a person that are known not to be new.';
comment on column private.learning_settings.most_a_day is 'Liked videos of a person and day in Korea that are paired.';
comment on column private.learning_settings.half_life is 'After which a pair counts half.';
comment on column private.learning_settings.shrinkage is 'People that a pair needs to be believed half.';
comment on column private.learning_settings.least_people is 'People that a pair needs to be shown at all.';
comment on column private.learning_settings.recency is 'What each older liked video counts, against the next newer.';
comment on column private.learning_settings.category_prior is 'Views of everybody that a person''s categories start from.';
comment on column private.learning_settings.hour_prior is 'Views of everybody that a person''s hours start from.';
insert into private.learning_settings (is_the_one) values (true);

create table private.watch_windows (
    user_id uuid primary key references public.users (id) on delete cascade,
    videos integer[] not null,
    positives integer not null,
    learned_to timestamptz not null,
    day date not null,
    taken integer not null
);
alter table private.watch_windows enable row level security;
comment on table private.watch_windows is
'How far pairs were learned from each person: the position that moves in the transaction that counts them.';
comment on column private.watch_windows.videos is 'What the person liked, each once, the newest first.';
comment on column private.watch_windows.positives is 'How many there were in all.';
comment on column private.watch_windows.learned_to is 'Interactions stored until then are counted.';
comment on column private.watch_windows.day is 'The last day in Korea of which pairs were counted.';
comment on column private.watch_windows.taken is 'Liked videos of that day that were paired.';

create table private.video_audiences (
    video_no integer primary key,
    weight double precision not null,
    people integer not null,
    is_stale boolean not null default true
);
alter table private.video_audiences enable row level security;
create index video_audiences_to_rank on private.video_audiences (video_no)
where is_stale;
comment on table private.video_audiences is 'How many people liked a video: sums without anybody''s id.';
comment on column private.video_audiences.weight is
'Each person once, damped by how much the person likes, worth twice as much each half-life later.';
comment on column private.video_audiences.people is 'The people.';
comment on column private.video_audiences.is_stale is 'Whether its neighbours must be ranked again.';

create table private.video_pairs (
    low_no integer not null,
    high_no integer not null,
    weight real not null,
    people integer not null,
    primary key (low_no, high_no),
    constraint a_pair_is_kept_once check (low_no < high_no)
);
alter table private.video_pairs enable row level security;
create index video_pairs_by_high on private.video_pairs (high_no);
comment on table private.video_pairs is 'How many people liked both videos: sums without anybody''s id.';
comment on column private.video_pairs.weight is 'Counted like the weight of an audience.';
comment on column private.video_pairs.people is 'The people.';

create table private.video_neighbours (
    video_no integer not null,
    neighbour_no integer not null,
    weight real not null,
    primary key (video_no, neighbour_no)
);
alter table private.video_neighbours enable row level security;
create index video_neighbours_by_weight on private.video_neighbours (video_no, weight desc)
include (neighbour_no);
comment on table private.video_neighbours is
'The at most 100 videos that go best with each: liked by the same people, within a few days of watching.';
comment on column private.video_neighbours.weight is 'Shrunk cosine of the two audiences, above 0, at most 1.';

create table private.global_tastes (
    is_the_one boolean primary key default true,
    category_shares jsonb not null default '{}',
    hour_counts double precision[] not null default array_fill(0::double precision, array[24]),
    learned_at timestamptz not null default '-infinity',
    constraint there_is_one_row check (is_the_one),
    constraint there_are_24_hours check (cardinality(hour_counts) = 24)
);
alter table private.global_tastes enable row level security;
comment on table private.global_tastes is 'What everybody likes together, one row: where each person starts from.';
comment on column private.global_tastes.category_shares is '{"24": 0.31, ...}: shares of what is liked; they sum to 1.';
comment on column private.global_tastes.hour_counts is 'What is liked by the hour in Korea, the first from midnight.';
insert into private.global_tastes (is_the_one) values (true);

create table private.user_tastes (
    user_id uuid primary key references public.users (id) on delete cascade,
    category_lift jsonb not null,
    hours real[] not null,
    events integer not null,
    vector_version text,
    learned_to timestamptz not null,
    learned_at timestamptz not null default now(),
    constraint there_are_24_hours check (cardinality(hours) = 24),
    constraint category_lift_is_an_object check (jsonb_typeof(category_lift) = 'object')
);
alter table private.user_tastes enable row level security;
comment on table private.user_tastes is 'What was learned of each person; goes with the person.';
comment on column private.user_tastes.category_lift is
'{"24": 0.8, ...}: logarithm of the person''s share of a category over everybody''s; 0 is usual, what is absent is 0.';
comment on column private.user_tastes.hours is
'Share of each hour in Korea, the first from midnight: the person''s drawn to everybody''s; sum 1.';
comment on column private.user_tastes.events is 'Liked videos that it rests on.';
comment on column private.user_tastes.vector_version is 'Which video vectors the person''s preference_vector is a mean of.';
comment on column private.user_tastes.learned_to is 'Interactions stored until then were there.';
