-- Invented videos, keywords, people and interactions of any size for the serving benchmarks; {videos}, {keywords},
-- {people} and {interactions} are numbers. Loaded past triggers and without secondary indexes, which are made anew at the end.

set session_replication_role = replica;
set maintenance_work_mem = '1GB';
set work_mem = '256MB';
set synchronous_commit = off;
set jit = off;

create function pg_temp.word(number bigint)
returns text
immutable
language sql
as $$
    select string_agg(
        substr(
            '가나다라마바사아자차카타파하고노도로모보소오조초코토포호기니디리미비시이지치키티피히구누두루무부수우주추쿠투푸후강난단란만반산안장찬간날달말'
            '발살알잘찰팔할감남담람맘밤삼암잠참캄탐팜함낭당랑망방상앙창캉탕팡항건넌던런먼번선언전천컨턴펀헌걸널덜럴멀벌설얼절철경녕명병성영정청평형겨녀며'
            '벼셔여져쳐켜펴혀곰놈돔롬몸봄솜옴좀촘콤톰폼홈국눅둑룩묵북숙욱죽축쿡툭푹훅김님딤림밈빔심임짐침킴팀핌힘결계과관교군권금급길',
            1 + (place.digit % 200)::integer,
            1
        ),
        '' order by place.nth
    )
    from (
        select
            nth,
            case
                when word.number < 20000 then word.number * 7919 % 40000
                else 40000 + word.number * 7919 % 7960000
            end / (200 ^ (nth - 1))::bigint as digit
        from generate_series(1, case when word.number < 20000 then 2 else 3 end) as nth
    ) as place
$$;

create function pg_temp.keyword(number bigint)
returns text
immutable
language sql
as $$
    select
        pg_temp.word(keyword.number)
        || case when keyword.number % 2 = 1 then ' ' || pg_temp.word(keyword.number * 31 % 20000) else '' end
$$;

-- The place of a keyword by how popular it is: the nth is drawn about as often as 1 / (n + 20) ^ 0.9.
create function pg_temp.draw(share double precision, keywords bigint)
returns bigint
immutable
language sql
as $$
    select least(
        floor(
            ((draw.share * ((draw.keywords + 20) ^ 0.1::float8 - 20 ^ 0.1::float8) + 20 ^ 0.1::float8) ^ 10) - 20
        )::bigint,
        draw.keywords - 1
    )
$$;

create temporary table secondary_index on commit preserve rows as
select
    -- Of a partitioned table too, whose index would else be made without those of its months.
    replace(pg_get_indexdef(index.indexrelid), ' ON ONLY ', ' ON ') as statement,
    index.indexrelid::regclass::text as name
from pg_index as index
inner join pg_class as relation on index.indrelid = relation.oid
where
    index.indrelid in (
        'public.cached_videos'::regclass,
        'public.keyword_video_mappings'::regclass,
        'public.video_interactions'::regclass
    )
    and not index.indisunique
    and not relation.relispartition;
do $$
declare
    each record;
begin
    for each in select name from secondary_index loop
        execute 'drop index ' || each.name;
    end loop;
end
$$;

select setseed(0.42);

create temporary table vocabulary as
select
    number,
    pg_temp.keyword(number) as keyword
from generate_series(0, {keywords} - 1) as number;
create unique index on vocabulary (number) include (keyword);
analyze vocabulary;

insert into public.cached_channels (channel_id, channel_title)
select
    'bench_channel_' || number,
    'channel ' || number
from generate_series(0, {videos} / 50) as number;

-- Ten keywords a video, seven of them of its category.
create temporary table pick as
select distinct on (video, number)
    video,
    number,
    nth
from (
    select
        video,
        nth,
        case
            when nth <= 7 then least(drawn - drawn % 20 + video % 20, {keywords} - 1)
            else drawn
        end as number
    from generate_series(1, {videos}) as video
    cross join generate_series(1, 10) as nth
    cross join lateral (select pg_temp.draw(random() + 0 * video * nth, {keywords}) as drawn) as chance
) as drawn;
analyze pick;

insert into public.cached_videos (
    video_id,
    title,
    channel_id,
    channel_name,
    duration,
    view_count,
    like_count,
    comment_count,
    is_embeddable,
    privacy_status,
    upload_status,
    is_age_restricted,
    category_id,
    category_name,
    published_at,
    quality_score,
    expires_at
)
select
    'b' || lpad(video::text, 10, '0'),
    string_agg(
        word.keyword || (array['', '', '을', '이', '에서', '의'])[1 + (video + pick.nth) % 6],
        ' ' order by pick.nth
    ) filter (where pick.nth in (1, 2, 8)) || ' #' || max(word.keyword) filter (where pick.nth = 3),
    'bench_channel_' || video % ({videos} / 50),
    'channel ' || video % ({videos} / 50),
    case when random() < 0.8 then 10 + (random() * 50)::integer else 61 + (random() * 119)::integer end,
    (100 * 10 ^ (5 * random()))::bigint,
    (10 * 10 ^ (4 * random()))::integer,
    (10 ^ (3 * random()))::integer,
    random() < 0.95,
    case when random() < 0.9 then 'public' else 'private' end,
    'processed',
    false,
    1 + video % 20,
    'category ' || video % 20,
    now() - random() * interval '60 days',
    round(random()::numeric, 4),
    now() + interval '5 days' + random() * interval '2 days'
from pick
inner join vocabulary as word on pick.number = word.number
group by video
-- A title needs its words: a video whose draws all fell together has none.
having count(*) filter (where pick.nth in (1, 2, 8)) > 0 and count(*) filter (where pick.nth = 3) > 0;

insert into public.keyword_video_mappings (keyword, video_id, relevance_score, search_rank, confidence_level)
select
    word.keyword,
    'b' || lpad(pick.video::text, 10, '0'),
    round((0.3 + 0.7 * random())::numeric, 4),
    1 + (random() * 49)::integer,
    0.9
from pick
inner join vocabulary as word on pick.number = word.number
inner join public.cached_videos as video on 'b' || lpad(pick.video::text, 10, '0') = video.video_id;

insert into auth.users (id, email)
select
    md5('bench person ' || number)::uuid,
    'bench-' || number || '@example.com'
from generate_series(1, {people}) as number;
insert into public.users (id, email)
select
    md5('bench person ' || number)::uuid,
    'b***' || number || '@example.com'
from generate_series(1, {people}) as number;
insert into public.user_profiles (user_id, preferred_categories, preferred_keywords)
select
    md5('bench person ' || person)::uuid,
    array['category ' || person % 20, 'category ' || (person + 7) % 20],
    array_agg(distinct word.keyword)
from generate_series(1, {people}) as person
cross join generate_series(1, 3) as nth
inner join vocabulary as word on pg_temp.draw((person * 7919 + nth * 104729) % 100003 / 100003.0, {keywords}) = word.number
group by person;

-- A person watches two categories mostly.
insert into public.video_interactions (
    user_id,
    video_id,
    interaction_type,
    watch_duration,
    watch_percentage,
    watched_to_end,
    total_duration,
    created_at,
    interaction_timestamp
)
select
    md5('bench person ' || watched.person)::uuid,
    video.video_id,
    watched.kind,
    round(40 * watched.share),
    watched.share,
    watched.share > 0.9,
    40,
    watched.at,
    watched.at
from (
    select
        person,
        (array['view', 'view', 'view', 'view', 'view', 'view', 'like', 'save', 'skip'])[1 + (random() * 8)::integer] as kind,
        random() as share,
        now() - random() * interval '27 days' as at,
        least(
            case
                when random() < 0.7 then drawn - drawn % 20 + case when random() < 0.5 then person else person + 7 end % 20
                else drawn
            end,
            {videos}
        ) as number
    from (
        select
            1 + floor(random() * {people})::bigint as person,
            1 + pg_temp.draw(random(), {videos}) as drawn
        from generate_series(1, {interactions})
    ) as chosen
) as watched
inner join public.cached_videos as video on 'b' || lpad(watched.number::text, 10, '0') = video.video_id;

do $$
declare
    each record;
begin
    for each in select statement from secondary_index loop
        execute each.statement;
    end loop;
end
$$;
set session_replication_role = origin;
