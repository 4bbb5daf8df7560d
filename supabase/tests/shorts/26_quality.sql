-- A video's score follows what is known of it; an AI's answer is stored whole or not at all.
begin;
select plan(31);
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
