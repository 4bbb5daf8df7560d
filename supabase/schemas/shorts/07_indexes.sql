-- Promises the indexes of the design by their names, each with the question that it answers.

-- There is no Korean dictionary in Postgres: words are kept as they are, and search finds parts of them by bigrams.
create text search configuration public.korean (copy = pg_catalog.simple);
comment on text search configuration public.korean is 'Words of a text as they stand, for Korean and everything else.';

-- Shorts that play, by length: the shorter limit of 60 s is a part of it.
create index idx_cached_videos_playable_duration on public.cached_videos (is_playable, duration)
where is_playable and duration <= private.shorts_limit_seconds();

-- The most viewed videos of a category that play.
create index idx_videos_category_quality on public.cached_videos (category_name, view_count desc)
where is_playable;

-- A channel's newest good Shorts.
create index idx_channel_recent_videos on public.cached_videos (channel_id, published_at desc)
include (video_id, title, view_count)
where is_shorts and quality_score > 0.6;

-- Videos whose first category is this.
create index idx_ai_primary_category on public.cached_videos using gin ((ai_analysis -> 'categories' -> 0));

-- Videos about music, by anything else that the analysis says.
create index idx_trending_music on public.cached_videos using gin (ai_analysis)
where ai_analysis @> '{"categories": ["music"]}';

-- Videos whose analysis contains this.
create index idx_ai_analysis_path on public.cached_videos using gin (ai_analysis jsonb_path_ops);

-- Videos with these words, or these words and this analysis.
create index idx_video_metadata on public.cached_videos using gin (
    to_tsvector('public.korean', title || ' ' || coalesce(description, '')), ai_analysis
);

-- The videos that answer a keyword best; the second also without looking at the table.
create index idx_keyword_mappings_relevance on public.keyword_video_mappings (keyword, relevance_score desc)
where relevance_score > 0.7;
create index idx_keyword_quality_videos on public.keyword_video_mappings (keyword, relevance_score desc)
include (video_id, rank_position)
where relevance_score > 0.7;

-- The strongest trends, newest first among equals.
create index idx_trending_keywords_score_time on public.trending_keywords (trend_score desc, detected_at desc);

-- Trends that are popular in a region.
create index idx_trend_regional_gin on public.trending_keywords using gin (regional_popularity);

-- The strongest trends of a part of the day and a day of the week. What has expired is left out by the query.
create index idx_trend_time_score on public.trending_keywords (time_slot, day_of_week, trend_score desc)
include (keyword, category, valid_until);

-- A person's searches, newest first.
create index idx_search_sessions_user_time on public.search_sessions (user_id, session_started_at desc);

-- Searches from a kind of device, a place, a weather.
create index idx_user_context_gin on public.search_sessions using gin (user_context);

-- What a person watched last: by when it happened, and by when it was stored without looking at the table.
create index idx_video_interactions_user_recent on public.video_interactions (user_id, interaction_timestamp desc)
where interaction_type = 'view';
create index idx_user_recent_watch on public.video_interactions (user_id, created_at desc)
include (video_id, watch_duration, completion_rate)
where interaction_type = 'view';

-- People with a setting.
create index idx_user_settings_gin on public.users using gin (settings);

-- People who like this in the morning, people of this kind, people with a taste like this one.
create index idx_user_morning_prefs on public.user_profiles using gin ((time_preferences -> 'morning'));
create index idx_user_profiles_personality_gin on public.user_profiles using gin (personality_vector jsonb_path_ops);
create index idx_user_profiles_embedding_hnsw on public.user_profiles
using hnsw (embedding extensions.vector_cosine_ops);

-- A person's visits, newest first.
create index idx_session_user_time on public.user_session_details (user_id, session_start desc);

-- The best videos; a video's scores.
create index idx_quality_overall on public.video_quality_scores (overall_score desc);
create index idx_quality_video on public.video_quality_scores (video_id);

-- The most trusted channels; channels of a category.
create index idx_channel_trust on public.cached_channels (trust_score desc);
create index idx_channel_category on public.cached_channels (primary_category);

-- The latest days of all keywords.
create index idx_effectiveness_date on public.keyword_effectiveness (date desc);

-- What was foretold of a keyword.
create index idx_prediction_keyword_date on public.trend_predictions (keyword, predicted_for_date desc);
