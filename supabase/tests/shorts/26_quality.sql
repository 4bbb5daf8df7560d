-- A video's score follows what is known of it; an AI's answer is stored whole or not at all.
begin;
select plan(60);
\ir ../outcome.psql

insert into auth.users (id, email)
values ('11111111-1111-4111-8111-111111111111', 'one@example.com');
insert into public.cached_videos (
    video_id, title, is_embeddable, privacy_status, view_count, like_count, comment_count, region_restrictions
)
values
('planted1', 'one', true, 'public', 2000, 150, 50, '{"blocked": ["KR"]}'),
('planted2', 'two', true, 'public', 0, 5, 5, '{}'),
('planted3', 'three', true, 'public', 10, 50, 50, '{"allowed": ["KR", "JP"], "blocked": []}'),
('planted4', 'four', false, 'public', 5000, null, null, '{}'),
('planted5', 'five', true, 'public', 5, null, null, '{}');

-- What the service computes.
insert into public.video_interactions (user_id, video_id, interaction_type, watch_duration, total_duration)
values
('11111111-1111-4111-8111-111111111111', 'planted1', 'view', 10, 20),
('11111111-1111-4111-8111-111111111111', 'planted1', 'view', 20, 20),
('11111111-1111-4111-8111-111111111111', 'planted1', 'like', 0, 20);
select is(
    public.calculate_quality_score('planted1'),
    round(0.25 * 0.1 + 0.20 * 0.75, 4),
    'S-124: the overall score weighs engagement and retention'
);
select results_eq(
    $$
        select engagement_rate, retention_rate, analysis_version::text
        from public.video_quality_scores
        where video_id = 'planted1'
    $$,
    $$values (0.1::double precision, 0.75::double precision, 'v1.0')$$,
    'S-124: (150 + 50) / 2000 is engaged, the mean of two views retained, likes are no views'
);
select is(
    (select quality_score from public.cached_videos where video_id = 'planted1'),
    0.175::double precision,
    'S-134: the video has the score'
);
select is(public.calculate_quality_score('planted2'), 0.0000, 'S-124: without views nothing is engaged');
select is(public.calculate_quality_score('planted3'), 0.2500, 'S-124: more likes than views are all that can be');
update public.cached_videos
set like_count = 950
where video_id = 'planted1';
select is(
    public.calculate_quality_score('planted1'),
    round(0.25 * 0.5 + 0.20 * 0.75, 4),
    'S-124: asked again it follows the video'
);
select is(
    (select quality_score from public.cached_videos where video_id = 'planted1'),
    0.275::double precision,
    'S-134: and so does the video, by an update too'
);
select is(
    (select count(*) from public.video_quality_scores where video_id = 'planted1'),
    1::bigint,
    'S-005: a version has one row'
);
select throws_ok(
    $$select public.calculate_quality_score('unknown')$$,
    'PT404',
    'The video is not known.',
    'S-124: an unknown video has no score'
);
select throws_ok(
    $$select public.calculate_quality_score('planted1', repeat('v', 21))$$,
    'PT400',
    'The version of the analysis is not 1 to 20 characters.',
    'S-124: no such version'
);

-- What an AI says.
insert into public.video_quality_scores (video_id, analysis_version, content_quality_score, analyzed_at)
values
('planted1', 'v2.0', 0.9, now() + interval '1 second'),
('planted2', 'v2.0', 0.8, now() - interval '1 day');
select is(
    (select overall_quality_score from public.video_quality_scores where video_id = 'planted1' and analysis_version = 'v2.0'),
    0.27::double precision,
    'S-005: where the AI gives no overall score it is computed'
);
select is(
    (select quality_score from public.cached_videos where video_id = 'planted1'),
    0.27::double precision,
    'S-134: the newest analysis counts'
);
select is(
    (select quality_score from public.cached_videos where video_id = 'planted2'),
    0::double precision,
    'S-134: an older one that comes late does not'
);
update public.video_quality_scores
set trend_alignment = 1
where
    video_id = 'planted1'
    and analysis_version = 'v2.0';
select is(
    (select quality_score from public.cached_videos where video_id = 'planted1'),
    0.42::double precision,
    'S-005: what was computed is computed again'
);
update public.video_quality_scores
set overall_quality_score = 0.66
where
    video_id = 'planted1'
    and analysis_version = 'v2.0';
update public.video_quality_scores
set freshness_score = 1
where
    video_id = 'planted1'
    and analysis_version = 'v2.0';
select is(
    (select quality_score from public.cached_videos where video_id = 'planted1'),
    0.66::double precision,
    'S-134: what the AI gave is kept and copied'
);
insert into public.video_quality_scores (video_id, analysis_version, overall_quality_score)
values ('planted5', 'v3.0', null);
select is(
    (select overall_quality_score from public.video_quality_scores where video_id = 'planted5'),
    0::double precision,
    'S-005: null is none'
);
create temporary table before as
select video.ctid::text as place
from public.cached_videos as video
where video.video_id = 'planted1';
update public.video_quality_scores
set viral_potential = 1
where video_id = 'planted1';
select is(
    (select ctid::text from public.cached_videos where video_id = 'planted1'),
    (select place from before),
    'S-134: a score that does not change writes no video'
);
select is(
    (
        select array_agg(tgname::text order by tgname)
        from pg_trigger
        where
            tgrelid = 'public.video_quality_scores'::regclass
            and tgname like 'quality\_score\_sync%'
    ),
    array['quality_score_sync_trg', 'quality_score_sync_update_trg'],
    'S-134: the triggers by name'
);

-- The document of the AI.
select lives_ok(
    $$select public.set_ai_analysis('planted1', '{"categories": ["music"], "keywords": ["a"], "emotions": {"joy": 1}}')$$,
    'S-032: an analysis is stored'
);
select public.set_ai_analysis('planted1', '{"categories": ["news"], "keywords": [], "emotions": {}}');
select is(
    (select ai_analysis from public.cached_videos where video_id = 'planted1'),
    '{"categories": ["news"], "keywords": [], "emotions": {}}'::jsonb,
    'S-032: and replaced whole, never mixed'
);
select is(
    (
        select array_agg(pg_temp.outcome('service_role', null, format('select public.set_ai_analysis(%L, %L)', 'planted1', document)))
        from unnest(
            array[
                null,
                'null',
                '[]',
                '{"categories": [], "keywords": []}',
                '{"categories": {}, "keywords": [], "emotions": {}}',
                '{"categories": [1], "keywords": [], "emotions": {}}',
                '{"categories": [], "keywords": [null], "emotions": {}}',
                '{"categories": [], "keywords": [], "emotions": {"joy": "much"}}',
                jsonb_build_object('categories', '[]'::jsonb, 'keywords', jsonb_build_array(repeat('k', 65536)), 'emotions', '{}'::jsonb)::text
            ]
        ) as document
    ),
    array_fill('PT400 The analysis is no document of categories, keywords and emotions.'::text, array[9]),
    'S-032: what is not whole is refused'
);
select throws_ok(
    $$select public.set_ai_analysis('unknown', '{"categories": [], "keywords": [], "emotions": {}}')$$,
    'PT404',
    'The video is not known.',
    'S-032: an unknown video has no analysis'
);

-- What an AI says, with its version, its confidence and its scores.
select is(
    public.set_ai_analysis(
        'planted4',
        '{"categories": ["music"], "keywords": [], "emotions": {}}',
        'v1.0',
        0.8,
        '{"content_quality_score": 0.5, "viral_potential": 1, "audio_quality": 0.256}'
    ),
    true,
    'S-217: an answer is taken whole'
);
select results_eq(
    $$
        select
            analysis_version::text, confidence_level, content_quality_score, viral_potential, audio_quality,
            video_quality, thumbnail_attractiveness, overall_score, answered_at
        from public.video_quality_scores
        where video_id = 'planted4'
    $$,
    $$values ('v1.0', 0.8::float8, 0.5::float8, 1::float8, 0.26, null::numeric, 0::float8, 0.1500, now())$$,
    'S-217: version, confidence and scores are in one row; what was not said stays unknown'
);
create temporary table answered as
select
    score.id,
    score.ctid::text as place
from public.video_quality_scores as score
where score.video_id = 'planted4';
select is(
    public.set_ai_analysis(
        'planted4',
        '{"categories": ["music"], "keywords": [], "emotions": {}}',
        'v1.0',
        0.8,
        '{"content_quality_score": 0.5, "viral_potential": 1, "audio_quality": 0.256}'
    ),
    true,
    'S-217: the same again is taken'
);
select public.set_ai_analysis('planted4', '{"categories": ["music"], "keywords": [], "emotions": {}}');
select results_eq(
    $$select id, ctid::text from public.video_quality_scores where video_id = 'planted4'$$,
    'select id, place from answered',
    'S-217: twice with v1.0 is one row, and nothing is written'
);
update public.video_quality_scores
set analyzed_at = now() - interval '1 hour', calculated_at = now() - interval '1 hour';
select public.set_ai_analysis(
    'planted4', '{"categories": ["music"], "keywords": [], "emotions": {}}', scores => '{"title_effectiveness": 0.7}'
);
select results_eq(
    $$
        select content_quality_score, title_effectiveness, confidence_level, analyzed_at, calculated_at
        from public.video_quality_scores
        where video_id = 'planted4'
    $$,
    $$values (0.5::float8, 0.7::float8, 0.8::float8, now(), now())$$,
    'S-217: what is not given stays as it is, what is given is news'
);
update public.video_quality_scores
set analyzed_at = now() - interval '1 hour';
select is(
    public.set_ai_analysis(
        'planted4',
        '{"categories": ["sport"], "keywords": [], "emotions": {}}',
        'v10.0',
        null,
        '{"content_quality_score": 1}'
    ),
    true,
    'S-217: a new version is taken'
);
select results_eq(
    $$
        select analysis_version::text, content_quality_score, title_effectiveness
        from public.video_quality_scores
        where video_id = 'planted4'
        order by analysis_version
    $$,
    $$values ('v1.0', 0.5::float8, 0.7::float8), ('v10.0', 1::float8, 0::float8)$$,
    'S-217: and has a row of its own'
);
select is(
    (select quality_score from public.cached_videos where video_id = 'planted4'),
    0.3::double precision,
    'S-217: the score of the video follows the newest analysis'
);
select is(
    array[
        public.set_ai_analysis(
            'planted4',
            '{"categories": ["late"], "keywords": [], "emotions": {}}',
            'v9.1',
            null,
            '{"content_quality_score": 0.1}'
        ),
        public.set_ai_analysis(
            'planted4',
            '{"categories": ["late"], "keywords": [], "emotions": {}}',
            'v1.0',
            null,
            '{"content_quality_score": 0.1}'
        )
    ],
    array[false, false],
    'S-217: what comes late, of a lower version, is told so'
);
select results_eq(
    $$
        select video.ai_analysis -> 'categories' ->> 0, video.quality_score, count(*)
        from public.cached_videos as video
        inner join public.video_quality_scores as score on video.video_id = score.video_id
        where video.video_id = 'planted4'
        group by video.video_id, video.ai_analysis, video.quality_score
    $$,
    $$values ('sport', 0.3::float8, 3::bigint)$$,
    'S-217: its scores are kept in its row, the newer document and score stay'
);
select is(
    public.set_ai_analysis(
        'planted4',
        '{"categories": ["again"], "keywords": [], "emotions": {}}',
        'v10.0',
        null,
        '{"overall_quality_score": 0.9}'
    ),
    true,
    'S-217: the same version may correct itself'
);
select results_eq(
    $$select ai_analysis -> 'categories' ->> 0, quality_score from public.cached_videos where video_id = 'planted4'$$,
    $$values ('again', 0.9::float8)$$,
    'S-217, S-134: and an overall score of its own counts'
);
select is(
    (
        select
            array_agg(
                pg_temp.outcome(
                    'service_role',
                    null,
                    format('select public.set_ai_analysis(%L, %L, scores => %L)', 'planted4', document, scores)
                )
                order by place
            )
        from unnest(
            array[
                '[]', '"x"', 'null', '{"engagement_rate": 0.5}', '{"mood": 0.5}', '{"viral_potential": 1.01}',
                '{"viral_potential": -0.1}', '{"viral_potential": "0.5"}', '{"viral_potential": null}',
                '{"viral_potential": [0.5]}', '{"viral_potential": 1e400}'
            ]
        ) with ordinality as wrong (scores, place)
        cross join (values ('{"categories": [], "keywords": [], "emotions": {}}')) as right_one (document)
    ),
    array_fill('PT400 The scores are not an AI''s, each from 0 to 1.'::text, array[11]),
    'S-217: unknown scores, those that are computed here, and what is no fraction are refused'
);
select is(
    (
        select
            array_agg(
                pg_temp.outcome(
                    'service_role',
                    null,
                    format(
                        'select public.set_ai_analysis(%L, %L, %L, %L)',
                        'planted4',
                        '{"categories": [], "keywords": [], "emotions": {}}',
                        wrong.version,
                        wrong.confidence
                    )
                )
                order by wrong.place
            )
        from (
            values (1, '', '0.5'), (2, repeat('v', 21), '0.5'), (3, 'v1.0', '1.1'), (4, 'v1.0', '-1'), (5, 'v1.0', 'NaN')
        ) as wrong (place, version, confidence)
    ),
    array[
        'PT400 The version of the analysis is not 1 to 20 characters.',
        'PT400 The version of the analysis is not 1 to 20 characters.',
        'PT400 The confidence is not from 0 to 1.',
        'PT400 The confidence is not from 0 to 1.',
        'PT400 The confidence is not from 0 to 1.'
    ],
    'S-217: so are a version that is none, and a confidence that is none'
);
select is(
    (select count(*) from pg_proc where proname = 'set_ai_analysis'),
    1::bigint,
    'S-217: there is one of its name, so that two arguments are enough'
);
select is(
    array[
        private.version_order('v10.0') > private.version_order('v9.1'),
        private.version_order('v1.0') < private.version_order('v1.1'),
        private.version_order('draft') < private.version_order('v0')
    ],
    array[true, true, true],
    'S-217: versions are compared by their numbers'
);

-- What the job computes.
delete from public.video_quality_scores;
delete from public.video_interactions;
delete from public.trending_keywords;
delete from public.cached_videos
where video_id not like 'planted%';
insert into public.cached_channels (channel_id, channel_title, trust_score)
values ('UC-planted', 'c', 0.8);
insert into private.channel_statistics (channel_id, usual_engagement, evenness, scored_at, changed_at)
values ('UC-planted', 0.1, 0.75, now(), now() - interval '1 day');
update public.cached_videos
set channel_id = 'UC-planted', like_count = 150, published_at = now() - interval '14 days'
where video_id = 'planted1';
insert into public.keyword_video_mappings (keyword, video_id, relevance_score)
values
('김치', 'planted1', 0.5),
('quiet', 'planted1', 1),
('quiet', 'planted2', 1);
insert into public.trending_keywords (keyword, trend_score, closed_at)
values
('김치', 0.8, null),
('quiet', 1, now());
insert into public.video_interactions (user_id, video_id, interaction_type, watch_duration, total_duration)
values ('11111111-1111-4111-8111-111111111111', 'planted1', 'view', 15, 20);
select is(private.score_videos(2), '{"scored": 2}'::jsonb, 'S-124: a batch is as large as is said');
select is(private.score_videos(), '{"scored": 4}'::jsonb, 'S-124: the rest comes next, and what was watched just now');
select is(private.score_videos(), '{"scored": 1}'::jsonb, 'S-124: then only that, within the minute');
select results_eq(
    $$
        select
            video_id::text, analysis_version::text, engagement_rate, round(engagement_score::numeric, 6),
            round(like_score::numeric, 4), retention_rate, round(retention_score::numeric, 4), channel_trust_score, creator_consistency,
            trend_alignment, freshness_score
        from public.video_quality_scores
        where video_id in ('planted1', 'planted2', 'planted4')
        order by video_id
    $$,
    $$
        values
        (
            'planted1', 'v1.0', 0.1::float8, 0.1, 0.0643, 0.75::float8, 0.5417,
            0.8::float8, 0.75::float8, 0.40, 0.37
        ),
        ('planted2', 'v1.0', 0, 0.03, null, 0, null, 0, 0, 0.00, null),
        ('planted4', 'v1.0', 0, null, null, 0, null, 0, 0, null, null)
    $$,
    'S-124, S-034, S-035: every component is what its formula says; what is unknown is null or 0, never invented'
);
select is(
    (
        select count(*)
        from public.video_quality_scores
        where
            content_quality_score <> 0
            or thumbnail_attractiveness <> 0
            or title_effectiveness <> 0
            or viral_potential <> 0
            or audio_quality is not null
            or video_quality is not null
            or relevance_score is not null
            or confidence_level <> 0
    ),
    0::bigint,
    'S-217: the job says nothing that is an AI''s to say'
);
select is(
    (select quality_score from public.cached_videos where video_id = 'planted1'),
    round(0.25 * 0.1 + 0.20 * 0.75 + 0.15 * 0.4 + 0.10 * 0.37, 4)::double precision,
    'S-134: the video has the score'
);

-- What makes a score due again, each alone.
create temporary table due_again (
    place integer,
    reason text,
    change text
);
insert into due_again
values
(1, 'nothing', 'select'),
(2, 'counts', $$update public.cached_videos set view_count = 4000 where video_id = 'planted2'$$),
(
    3,
    'a view',
    $$
        insert into public.video_interactions (user_id, video_id, interaction_type)
        values ('11111111-1111-4111-8111-111111111111', 'planted2', 'view')
    $$
),
(4, 'its channel', $$update private.channel_statistics set changed_at = now()$$),
(5, 'a trend', $$update public.trending_keywords set trend_score = 0.9 where keyword = '김치'$$),
(6, 'a trend that went', $$update public.video_quality_scores set trend_alignment = 1 where video_id = 'planted5'$$),
(7, 'purged', $$update public.cached_videos set purged_at = now() where video_id = 'planted5'$$);
create function pg_temp.scored_after(change text)
returns jsonb
language plpgsql
as $$
begin
    delete from public.video_interactions;
    delete from public.trending_keywords where closed_at is not null;
    update public.trending_keywords set updated_at = now() - interval '1 day';
    alter table public.trending_keywords disable trigger set_updated_at;
    update public.trending_keywords set updated_at = now() - interval '1 day';
    alter table public.trending_keywords enable trigger set_updated_at;
    alter table public.cached_videos disable trigger set_updated_at;
    update public.cached_videos set updated_at = now() - interval '1 day';
    alter table public.cached_videos enable trigger set_updated_at;
    update public.video_quality_scores set trend_alignment = 0, calculated_at = now() - interval '2 hours';
    alter table public.cached_videos disable trigger set_updated_at;
    update public.cached_videos set updated_at = now() - interval '1 day';
    alter table public.cached_videos enable trigger set_updated_at;
    update private.channel_statistics set changed_at = now() - interval '1 day';
    execute change;
    return private.score_videos() -> 'scored';
end
$$;
select is(
    pg_temp.scored_after(due_again.change),
    case when due_again.reason in ('nothing', 'purged') then '0' else '1' end::jsonb,
    'S-124: due again by ' || due_again.reason
)
from due_again
order by due_again.place;

-- Where a video plays.
select results_eq(
    $$
        select
            case_.restrictions::text,
            private.plays_in(case_.restrictions, 'KR'),
            private.plays_in(case_.restrictions, 'US')
        from (
            values
            (1, '{}'::jsonb),
            (2, null),
            (3, '{"allowed": [], "blocked": []}'),
            (4, '{"blocked": ["KR"]}'),
            (5, '{"allowed": ["KR"]}'),
            (6, '{"allowed": ["KR"], "blocked": []}'),
            (7, '{"allowed": ["KR"], "blocked": ["KR"]}'),
            (8, '{"allowed": []}')
        ) as case_ (number, restrictions)
        order by case_.number
    $$,
    $$
        values
        ('{}', true, true),
        (null, true, true),
        ('{"allowed": [], "blocked": []}', true, true),
        ('{"blocked": ["KR"]}', false, true),
        ('{"allowed": ["KR"]}', true, false),
        ('{"allowed": ["KR"], "blocked": []}', true, false),
        ('{"allowed": ["KR"], "blocked": ["KR"]}', false, false),
        ('{"allowed": []}', false, false)
    $$,
    'S-033: blocked and allowed lists'
);
select is(public.is_playable_in('planted1', 'KR'), false, 'S-033: blocked in Korea');
select is(public.is_playable_in('planted1', 'US'), true, 'S-033: not elsewhere');
select is(public.is_playable_in('planted4', 'KR'), false, 'S-033: what cannot be embedded plays nowhere');
select is(public.is_playable_in('unknown', 'KR'), false, 'S-033: nor what nobody knows');
select is(
    pg_temp.outcome('anon', null, $$select where public.is_playable_in('planted1', 'US') and not public.is_playable_in('planted5', 'US')$$),
    '1 row',
    'S-033: visitors ask of what they see'
);
select is(
    pg_temp.outcome('authenticated', '{}', $$select where public.is_playable_in('planted5', 'US')$$),
    '1 row',
    'S-033: who is signed in sees more'
);
select is(
    pg_temp.outcome('anon', null, $$select public.is_playable_in('planted1', 'kr')$$),
    'PT400 The region is unknown.',
    'S-033: no such region'
);
select is(
    array[
        pg_temp.outcome('authenticated', '{}', $$select public.calculate_quality_score('planted1')$$),
        pg_temp.outcome('authenticated', '{}', $$select public.set_ai_analysis('planted1', '{}')$$),
        pg_temp.outcome('service_role', null, $$select public.calculate_quality_score('planted1')$$)
    ],
    array[
        '42501 permission denied for function calculate_quality_score',
        '42501 permission denied for function set_ai_analysis',
        '1 row'
    ],
    'S-032, S-124: people neither score nor analyse, the service does'
);

select finish();
rollback;
