-- One row of quality per video and version, each part a fraction, the overall score computed from them.
begin;
\ir ../model.psql
select plan(11);

insert into public.cached_videos (video_id, title)
values
('q1', 'scored'),
('q2', 'scored');
insert into public.video_quality_scores (video_id)
values ('q1');

select results_eq(
    $$
        select pg_temp.columns_of('public.video_quality_scores', array[
            'id', 'video_id', 'content_quality_score', 'thumbnail_attractiveness', 'title_effectiveness',
            'engagement_rate', 'retention_rate', 'viral_potential', 'channel_trust_score', 'creator_consistency',
            'overall_quality_score', 'analyzed_at', 'analysis_version', 'confidence_level', 'created_at', 'updated_at'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'video_id varchar(20) not null',
        'content_quality_score double precision not null default 0.0',
        'thumbnail_attractiveness double precision not null default 0.0',
        'title_effectiveness double precision not null default 0.0',
        'engagement_rate double precision not null default 0.0',
        'retention_rate double precision not null default 0.0',
        'viral_potential double precision not null default 0.0',
        'channel_trust_score double precision not null default 0.0',
        'creator_consistency double precision not null default 0.0',
        'overall_quality_score double precision not null default 0.0',
        'analyzed_at timestamptz not null default now()',
        'analysis_version varchar(20) not null default ''v1.0''::character varying',
        'confidence_level double precision not null default 0.0',
        'created_at timestamptz not null default now()',
        'updated_at timestamptz not null default now()'
    ],
    'S-034: video_quality_scores has the first design''s columns, types and defaults'
);
select results_eq(
    $$
        select pg_temp.columns_of('public.video_quality_scores', array[
            'id', 'video_id', 'engagement_rate', 'retention_rate', 'content_quality', 'audio_quality', 'video_quality',
            'relevance_score', 'trend_alignment', 'freshness_score', 'overall_score', 'calculated_at'
        ])
    $$,
    array[
        'id uuid not null default gen_random_uuid()',
        'video_id varchar(20) not null',
        'engagement_rate double precision not null default 0.0',
        'retention_rate double precision not null default 0.0',
        'content_quality double precision generated content_quality_score',
        'audio_quality numeric(3,2)',
        'video_quality numeric(3,2)',
        'relevance_score numeric(3,2)',
        'trend_alignment numeric(3,2)',
        'freshness_score numeric(3,2)',
        'overall_score numeric(5,4) not null generated private.overall_quality(content_quality_score, '
        || 'engagement_rate, retention_rate, trend_alignment, freshness_score)',
        'calculated_at timestamptz not null default now()'
    ],
    'S-035, S-005, C-03, C-04: and the second design''s in the same table; rates are fractions in both'
);
select results_eq(
    $$select overall_score, content_quality from public.video_quality_scores where video_id = 'q1'$$,
    $$values (0.0000, 0::float8)$$,
    'S-035, D63: what is unknown counts as 0, and the score is there'
);
update public.video_quality_scores
set content_quality_score = 0.8;
select results_eq(
    $$select overall_score, content_quality from public.video_quality_scores where video_id = 'q1'$$,
    $$values (0.2400, 0.8::float8)$$,
    'S-035, C-03: content_quality repeats content_quality_score, which counts .30'
);
select is(
    (
        select
            array_agg(
                private.overall_quality(
                    (part = 1)::integer,
                    (part = 2)::integer,
                    (part = 3)::integer,
                    (part = 4)::integer,
                    (part = 5)::integer
                )
                order by part
            )
        from generate_series(1, 5) as part
    ),
    array[0.30, 0.25, 0.20, 0.15, 0.10],
    'S-035, C-05: content .30, engagement .25, retention .20, trend .15, freshness .10'
);
update public.video_quality_scores
set
    content_quality_score = 1,
    engagement_rate = 1,
    retention_rate = 1,
    trend_alignment = 1,
    freshness_score = 1;
select is(
    (select overall_score from public.video_quality_scores where video_id = 'q1'),
    1.0000,
    'S-035, S-251, C-05: a video that is best in everything has 1'
);
select is(
    pg_temp.verdict('update public.video_quality_scores set overall_score = 1'),
    '428C9',
    'S-035: nobody claims an overall score'
);
select set_eq(
    $$select * from pg_temp.fractions_of('public.video_quality_scores')$$,
    $$
        values
        ('content_quality_score', '23514 quality_scores_are_fractions'),
        ('thumbnail_attractiveness', '23514 quality_scores_are_fractions'),
        ('title_effectiveness', '23514 quality_scores_are_fractions'),
        ('engagement_rate', '23514 quality_scores_are_fractions'),
        ('retention_rate', '23514 quality_scores_are_fractions'),
        ('viral_potential', '23514 quality_scores_are_fractions'),
        ('channel_trust_score', '23514 quality_scores_are_fractions'),
        ('creator_consistency', '23514 quality_scores_are_fractions'),
        ('overall_quality_score', '23514 quality_scores_are_fractions'),
        ('confidence_level', '23514 quality_scores_are_fractions'),
        ('audio_quality', '23514 quality_parts_are_fractions'),
        ('video_quality', '23514 quality_parts_are_fractions'),
        ('relevance_score', '23514 quality_parts_are_fractions'),
        ('trend_alignment', '23514 quality_parts_are_fractions'),
        ('freshness_score', '23514 quality_parts_are_fractions'),
        ('engagement_score', '23514 statistical_scores_are_fractions'),
        ('like_score', '23514 statistical_scores_are_fractions'),
        ('retention_score', '23514 statistical_scores_are_fractions')
    $$,
    'S-072, S-034, S-035, D63, D64: all eighteen are 0 to 1'
);
select is(
    pg_temp.verdicts(
        'insert into public.video_quality_scores (video_id, analysis_version) values (%s)',
        array[
            $$'q1', 'v1.1'$$, $$'q2', 'v1.0'$$, $$'q1', 'v1.0'$$, $$'q1', ''$$, $$null, 'v1.0'$$, $$'q3', 'v1.0'$$
        ]
    ),
    array[
        'taken',
        'taken',
        '23505 a_video_is_scored_once_a_version',
        '23514 analysis_version_is_text',
        '23502',
        '23503 video_quality_scores_video_id_fkey'
    ],
    'S-005: a video that is known is scored once by each version'
);
select ok(
    (select relrowsecurity from pg_class where oid = 'public.video_quality_scores'::regclass),
    'S-005: nobody reads a score that no policy lets through'
);
delete from public.cached_videos
where video_id = 'q1';
select is_empty(
    $$select id from public.video_quality_scores where video_id = 'q1'$$,
    'S-034, S-005, U-09: scores go with their video'
);

select finish();
rollback;
