-- Promises that what a client may reach is exactly what stands here, a paragraph per object.

-- users: people see and edit their own profile; tier, usage and address are not theirs to write. Admins see all.
-- The ciphertext is of no use without its key, and a grant of columns would refuse select('*').
grant select on public.users to app_authenticated;
grant update (name, username, avatar_url, settings, preferences) on public.users to app_authenticated;
grant select, insert, update, delete on public.users to app_service;
create policy "Mask sensitive data for non-owners" on public.users
for select to authenticated
using (id = (select auth.uid()) or (select private.is_admin()));
create policy "people edit their own row" on public.users
for update to authenticated
using (id = (select auth.uid()))
with check (id = (select auth.uid()));

-- users_secure: addresses in clear. Admins sign in like everybody; the view's own condition tells them apart.
grant select on public.users_secure to app_authenticated, app_service;
grant execute on function private.shorts_email(uuid) to app_authenticated, app_service;

-- user_tiers: people see their own tier; only the service gives one.
grant select on public.user_tiers to app_authenticated;
grant select, insert, update, delete on public.user_tiers to app_service;
create policy "people read their own tier" on public.user_tiers
for select to authenticated
using (user_id = (select auth.uid()));

-- user_profiles: people write what they like; what was learned of them is the service's to write.
grant select, delete on public.user_profiles to app_authenticated;
grant insert (
    user_id,
    preferred_categories,
    preferred_keywords,
    disliked_categories,
    mood_patterns,
    personalization_weights,
    time_preferences,
    context_preferences
) on public.user_profiles to app_authenticated;
grant update (
    user_id,
    preferred_categories,
    preferred_keywords,
    disliked_categories,
    mood_patterns,
    personalization_weights,
    time_preferences,
    context_preferences
) on public.user_profiles to app_authenticated;
grant select, insert, update, delete on public.user_profiles to app_service;
create policy users_own_data on public.user_profiles
for all to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));

-- user_search_patterns: computed; people see their own.
grant select on public.user_search_patterns to app_authenticated;
grant select, insert, update, delete on public.user_search_patterns to app_service;
create policy "people read their own search patterns" on public.user_search_patterns
for select to authenticated
using (user_id = (select auth.uid()));

-- search_sessions: people write their own and rate them; figures and clocks are not theirs to write, and nobody sees
-- token, network and app. Admins see, rate and delete those of all: no other policy lets anybody delete. A conversation
-- with the AI needs premium, at every command.
grant delete on public.search_sessions to app_authenticated;
grant select (
    id,
    user_id,
    search_query,
    search_type,
    search_intent,
    user_context,
    results_count,
    results_shown,
    results_clicked,
    response_time_ms,
    cache_hit,
    api_cost_units,
    user_satisfaction_rating,
    session_outcome,
    session_started_at,
    session_ended_at,
    created_at,
    updated_at,
    session_id,
    conversation_context
) on public.search_sessions to app_authenticated;
grant insert (
    user_id, search_query, search_type, search_intent, user_context, session_id, conversation_context
) on public.search_sessions to app_authenticated;
grant update (
    search_intent, user_satisfaction_rating, session_outcome, conversation_context
) on public.search_sessions to app_authenticated;
grant select, insert, update, delete on public.search_sessions to app_service;
grant select on public.search_sessions_partitioned to app_authenticated, app_service;
create policy "people read their own searches" on public.search_sessions
for select to authenticated
using (user_id = (select auth.uid()));
create policy "people write their own searches" on public.search_sessions
for insert to authenticated
with check (user_id = (select auth.uid()));
create policy "people rate their own searches" on public.search_sessions
for update to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));
create policy admin_full_access on public.search_sessions
for all to authenticated
using ((select private.is_admin()))
with check ((select private.is_admin()));
create policy "Premium features for premium users" on public.search_sessions
as restrictive
for all to authenticated
using (search_type <> 'ai_chat' or (select private.has_tier('premium')) or (select private.is_admin()))
with check (search_type <> 'ai_chat' or (select private.has_tier('premium')) or (select private.is_admin()));

-- video_interactions: people add their own, to searches of their own, and change none. On trial 50 a day.
grant select on public.video_interactions to app_authenticated;
grant insert (
    id,
    user_id,
    video_id,
    session_id,
    session_started_at,
    interaction_type,
    interaction_value,
    watch_duration,
    total_duration,
    watch_percentage,
    watched_to_end,
    clicked_thumbnail,
    clicked_title,
    opened_in_youtube,
    user_rating,
    feedback_text,
    interaction_context,
    interaction_timestamp
) on public.video_interactions to app_authenticated;
grant select, insert, update, delete on public.video_interactions to app_service;
grant select on public.video_interactions_partitioned to app_authenticated, app_service;
create policy "people read their own interactions" on public.video_interactions
for select to authenticated
using (user_id = (select auth.uid()));
create policy "people add their own interactions" on public.video_interactions
for insert to authenticated
with check (
    user_id = (select auth.uid())
    and (
        session_id is null
        or exists (
            select
            from public.search_sessions as session
            where
                session.id = video_interactions.session_id
                and session.session_started_at = video_interactions.session_started_at
                and session.user_id = (select auth.uid())
        )
    )
);
create policy "Trial users limited access" on public.video_interactions
as restrictive
for insert to authenticated
with check ((select private.trial_has_room()));

-- watch_events: whose interaction it is, theirs are its events.
grant select on public.watch_events to app_authenticated;
grant insert (
    id, interaction_id, interaction_created_at, event_type, event_timestamp, video_timestamp, seek_from, seek_to
) on public.watch_events to app_authenticated;
grant select, insert, update, delete on public.watch_events to app_service;
create policy "people read the events of their interactions" on public.watch_events
for select to authenticated
using (
    exists (
        select
        from public.video_interactions as interaction
        where
            interaction.id = watch_events.interaction_id
            and interaction.created_at = watch_events.interaction_created_at
            and interaction.user_id = (select auth.uid())
    )
);
create policy "people add events to their interactions" on public.watch_events
for insert to authenticated
with check (
    exists (
        select
        from public.video_interactions as interaction
        where
            interaction.id = watch_events.interaction_id
            and interaction.created_at = watch_events.interaction_created_at
            and interaction.user_id = (select auth.uid())
    )
);

-- user_session_details: the app reports the visits of who is signed in.
grant select on public.user_session_details to app_authenticated;
grant insert (
    user_id,
    session_id,
    device_type,
    device_os,
    app_version,
    connection_type,
    session_end,
    total_videos_watched,
    total_watch_time,
    avg_load_time_ms,
    error_count
) on public.user_session_details to app_authenticated;
grant update (
    user_id,
    session_id,
    device_type,
    device_os,
    app_version,
    connection_type,
    session_end,
    total_videos_watched,
    total_watch_time,
    avg_load_time_ms,
    error_count
) on public.user_session_details to app_authenticated;
grant select, insert, update, delete on public.user_session_details to app_service;
create policy "people read their own visits" on public.user_session_details
for select to authenticated
using (user_id = (select auth.uid()));
create policy "people write their own visits" on public.user_session_details
for insert to authenticated
with check (user_id = (select auth.uid()));
create policy "people update their own visits" on public.user_session_details
for update to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));

-- user_feedback: people say it, and take it back. To say it again goes through submit_feedback.
grant select, delete on public.user_feedback to app_authenticated;
grant insert (
    user_id, video_id, session_id, feedback_type, reason, comment, source_keyword, position_in_list
) on public.user_feedback to app_authenticated;
grant select, insert, update, delete on public.user_feedback to app_service;
create policy "people read their own feedback" on public.user_feedback
for select to authenticated
using (user_id = (select auth.uid()));
create policy "people give their own feedback" on public.user_feedback
for insert to authenticated
with check (user_id = (select auth.uid()));
create policy "people take back their own feedback" on public.user_feedback
for delete to authenticated
using (user_id = (select auth.uid()));

-- search_sessions_archive: personal and past, for the service only.
grant select, insert, delete on private.search_sessions_archive to app_service;

-- start_search, end_search, record_interaction, record_watch_event, submit_feedback, report_playback_error,
-- touch_cached_video: what people do, each for themselves; the private halves ask who it is.
grant execute on function public.start_search(text, text, jsonb, text, uuid, text) to app_authenticated;
grant execute on function private.open_search(text, text, jsonb, text, uuid, text) to app_authenticated;
grant execute on function public.end_search(
    uuid, text, integer, integer, integer, integer, integer, jsonb
) to app_authenticated;
grant execute on function private.close_search(
    uuid, text, integer, integer, integer, integer, integer, jsonb
) to app_authenticated;
grant execute on function public.record_interaction(jsonb) to app_authenticated;
grant execute on function private.store_interactions(jsonb) to app_authenticated;
grant execute on function public.record_watch_event(jsonb) to app_authenticated;
grant execute on function private.store_watch_events(jsonb) to app_authenticated;
grant execute on function public.submit_feedback(text, text, text, text, uuid, text, integer) to app_authenticated;
grant execute on function private.store_feedback(text, text, text, text, uuid, text, integer) to app_authenticated;
grant execute on function public.report_playback_error(text, integer, text) to app_authenticated;
grant execute on function private.store_playback_error(text, integer, text) to app_authenticated;
grant execute on function public.touch_cached_video(text) to app_authenticated;
grant execute on function private.note_cache_hit(text) to app_authenticated;

-- cached_channels: public facts, readable by everybody.
grant select on public.cached_channels to app_anonymous;
grant select, insert, update, delete on public.cached_channels to app_service;
create policy "channels are readable by everybody" on public.cached_channels
for select to anon, authenticated
using (true);

-- cached_videos: who is signed in sees what plays; anonymous visitors see the well known part of it.
grant select on public.cached_videos to app_anonymous;
grant select, insert, update, delete on public.cached_videos to app_service;
create policy anonymous_limited_read on public.cached_videos
for select to anon
using (is_playable and view_count > 1000);
create policy authenticated_basic_read on public.cached_videos
for select to authenticated
using (is_playable);

-- keyword_video_mappings: derived from the videos, for who is signed in.
grant select on public.keyword_video_mappings to app_authenticated;
grant select, insert, update, delete on public.keyword_video_mappings to app_service;
create policy "mappings are readable by who is signed in" on public.keyword_video_mappings
for select to authenticated
using (true);

-- video_quality_scores: derived from the videos, for who is signed in.
grant select on public.video_quality_scores to app_authenticated;
grant select, insert, update, delete on public.video_quality_scores to app_service;
create policy "scores are readable by who is signed in" on public.video_quality_scores
for select to authenticated
using (true);

-- keyword_performance_cache, keyword_effectiveness, trend_predictions: analytics, for premium and up; what only one or
-- two people searched for is for nobody.
grant select on public.keyword_performance_cache to app_authenticated;
grant select, insert, update, delete on public.keyword_performance_cache to app_service;
create policy "premium reads the performance of keywords" on public.keyword_performance_cache
for select to authenticated
using ((select private.has_tier('premium')) and (people is null or people >= (select private.fewest_people())));
grant select on public.keyword_effectiveness to app_authenticated;
grant select, insert, update, delete on public.keyword_effectiveness to app_service;
create policy "premium reads the effectiveness of keywords" on public.keyword_effectiveness
for select to authenticated
using ((select private.has_tier('premium')) and (people is null or people >= (select private.fewest_people())));
grant select on public.trend_predictions to app_authenticated;
grant select, insert, update, delete on public.trend_predictions to app_service;
create policy "premium reads predictions" on public.trend_predictions
for select to authenticated
using ((select private.has_tier('premium')));

-- quality, summaries: the service scores; where a video plays is for everybody, one's own month for who is signed in,
-- categories for premium and up, who are told apart inside.
grant execute on function public.calculate_quality_score(text, text) to app_service;
grant execute on function public.set_ai_analysis(text, jsonb, text, double precision, jsonb) to app_service;
grant execute on function public.is_playable_in(text, text) to app_anonymous, app_service;
grant execute on function private.plays_in(jsonb, text) to app_anonymous, app_service;
grant execute on function public.my_activity() to app_authenticated;
grant execute on function private.activity_of_caller() to app_authenticated;
grant execute on function public.category_trends(integer) to app_authenticated;
grant execute on function private.category_trends_for_premium(integer) to app_authenticated;
-- What detect_trends calls, for the days of its series.
grant execute on function private.korean_day(timestamptz) to app_service;

-- trending_keywords: full rows for premium and up; anonymous visitors may ask and get none, see trending_now.
grant select on public.trending_keywords to app_anonymous;
grant select, insert, update, delete on public.trending_keywords to app_service;
create policy premium_advanced_features on public.trending_keywords
for select to authenticated
using ((select private.has_tier('premium')));

-- keyword_signals: raw counts, for the service.
grant select, insert, update, delete on private.keyword_signals to app_service;

-- trending_now: the limited list, for everybody.
grant execute on function public.trending_now(text, integer) to app_anonymous, app_service;
grant execute on function private.limited_trends(text, integer) to app_anonymous, app_service;

-- The private topic trends: the same, as it comes. No policy lets a client send to it, so nobody can forge a trend.
create policy "everybody hears of trends" on realtime.messages
for select to anon, authenticated
using (topic = 'trends' and extension = 'broadcast');

-- ingest, detect, receive: the service's own verbs.
grant execute on function public.ingest_videos(jsonb) to app_service;
grant execute on function public.ingest_keyword_signals(jsonb) to app_service;
grant execute on function public.detect_trends(timestamptz, text) to app_service;
grant execute on function public.receive_trend_event(text, jsonb) to app_service;

-- What policies and the verbs above call under the caller's own rights.
grant execute on function private.claims() to app_anonymous, app_service;
grant execute on function private.user_id() to app_anonymous, app_service;
grant execute on function private.request_headers() to app_anonymous, app_service;
grant execute on function private.request_id() to app_anonymous, app_service;
grant execute on function private.is_admin() to app_anonymous, app_service;
grant execute on function private.has_tier(public.tier_enum) to app_anonymous, app_service;
grant execute on function private.check_batch(jsonb) to app_service;
grant execute on function private.check_counts(jsonb) to app_service;
grant execute on function private.normalize_keyword(text) to app_service;
grant execute on function private.region_codes() to app_service;
grant execute on function private.read_videos(jsonb) to app_service;
grant execute on function private.read_keyword_signals(jsonb) to app_service;
-- The planner of every query on cached_videos reads it: an index is made with it.
grant execute on function private.shorts_limit_seconds() to app_anonymous, app_service;
grant execute on function private.plays_everywhere(boolean, text, text, boolean, integer, text) to app_service;
grant execute on function private.overall_quality(
    double precision, double precision, double precision, numeric, numeric
) to app_service;
grant execute on function private.is_distribution(jsonb, text[]) to app_authenticated, app_service;
grant execute on function private.fewest_people() to app_authenticated, app_service;
grant execute on function private.is_taste(double precision[]) to app_authenticated, app_service;
grant execute on function private.are_short_texts(text[], integer) to app_authenticated, app_service;
grant execute on function private.request_network() to app_authenticated, app_service;
grant execute on function private.trial_has_room() to app_authenticated, app_service;
grant execute on function private.trend_dedupe_key(text, text, timestamptz) to app_service;

-- quotas, the queue of videos to look up, runs: for the service; only an operator changes a limit.
grant select on private.quota_limits to app_service;
grant select, insert, update on private.quota_days to app_service;
grant select, insert, update, delete on private.refresh_queue to app_service;
grant select, insert, update, delete on private.refresh_keywords to app_service;
grant select, insert, update on private.ingest_runs to app_service;
grant execute on function public.take_quota(text, integer) to app_service;
grant execute on function public.close_quota(text) to app_service;
grant execute on function public.queue_videos(jsonb) to app_service;
grant execute on function public.claim_refreshes(integer, integer) to app_service;
grant execute on function public.finish_refreshes(uuid, jsonb, jsonb) to app_service;
grant execute on function public.release_refreshes(uuid, text, integer) to app_service;
grant execute on function public.begin_ingest_run(text, jsonb) to app_service;
grant execute on function public.save_ingest_run(uuid, jsonb, jsonb) to app_service;
grant execute on function public.end_ingest_run(uuid, text, jsonb) to app_service;
grant execute on function public.ingest_status() to app_service;
grant execute on function private.pacific_day(timestamptz) to app_service;
grant execute on function private.pacific_midnight(date) to app_service;
grant execute on function private.quota_state(text) to app_service;
grant execute on function private.quota_limit(text) to app_service;
grant execute on function private.refresh_priority(text) to app_service;
grant execute on function private.second_chance_wait(integer) to app_service;
grant execute on function private.player_error_after(
    integer, timestamptz, integer, timestamptz, boolean
) to app_service;
grant execute on function private.search_relevance(integer) to app_service;
grant execute on function private.read_queued_videos(jsonb) to app_service;
grant execute on function private.map_searches(jsonb) to app_service;
grant execute on function private.retry_wait(integer, integer) to app_service;
grant execute on function private.give_back_refreshes(uuid, text, integer) to app_service;
grant execute on function private.check_lease(uuid) to app_service;
grant execute on function private.store_missing_videos(text[]) to app_service;
grant execute on function private.give_second_chances(text[]) to app_service;
grant execute on function private.check_object(text, jsonb) to app_service;
grant execute on function private.no_such_run(uuid) to app_service;

-- channels, statistics and the formulas of scores: the service's own, and what its verbs call under its rights.
grant select on private.channel_statistics to app_service;
grant execute on function public.ingest_channels(jsonb) to app_service;
grant execute on function private.read_channels(jsonb) to app_service;
grant execute on function private.quality_figures(text[]) to app_service;
grant execute on function private.check_ai_analysis(jsonb, text, double precision, jsonb) to app_service;
grant execute on function private.version_order(text) to app_service;
grant execute on function private.wilson_lower_bound(
    double precision, double precision, double precision
) to app_service;
grant execute on function private.shrunk_rate(
    double precision, double precision, double precision, double precision
) to app_service;
grant execute on function private.engagement_rate(bigint, bigint, bigint) to app_service;
grant execute on function private.engagement_score(bigint, bigint, bigint, double precision) to app_service;
grant execute on function private.channel_engagement(double precision, bigint) to app_service;
grant execute on function private.like_score(bigint, bigint) to app_service;
grant execute on function private.retention_score(double precision, bigint) to app_service;
grant execute on function private.freshness(interval) to app_service;
-- told trends: what others observed, through the service.
grant execute on function public.upsert_trending_keyword(jsonb) to app_service;
grant execute on function public.upsert_trending_keywords(jsonb) to app_service;
grant execute on function private.read_told_trends(jsonb) to app_service;

-- detection: what detect_trends, ingest_keyword_signals and backtest_bursts read, write and call as the service.
grant select, insert, update, delete on private.signal_marks to app_service;
grant select, insert, update, delete on private.observed_bins to app_service;
grant select, insert, update, delete on private.keyword_states to app_service;
grant select, insert, update, delete on private.state_positions to app_service;
grant select on private.detector_settings to app_service;
grant execute on function public.backtest_bursts(double precision[], integer, timestamptz) to app_service;
grant execute on function private.empty_state() to app_service;
grant execute on function private.seasonal_base(private.burst_state, integer) to app_service;
grant execute on function private.usual_mentions(private.burst_state, integer) to app_service;
grant execute on function private.usual_variance(private.burst_state, double precision) to app_service;
grant execute on function private.burst_z(private.burst_state, integer, double precision) to app_service;
grant execute on function private.next_state(
    private.burst_state, integer, double precision, integer, integer
) to app_service;
grant execute on function private.state_after_silence(private.burst_state, integer, integer, integer) to app_service;
grant execute on function private.silent_state(integer[], integer) to app_service;
grant execute on function private.replay_states(
    private.burst_state, integer, integer[], integer[], double precision[], integer, integer
) to app_service;
grant execute on function private.replay_keywords(text, text, text[], timestamptz) to app_service;
grant execute on function private.fold_keyword_states(timestamptz, text) to app_service;
grant execute on function private.ln_gamma(double precision) to app_service;
grant execute on function private.beta_fraction(double precision, double precision, double precision) to app_service;
grant execute on function private.count_tail(double precision, double precision, double precision) to app_service;
grant execute on function private.burst_p(
    double precision, double precision, double precision, double precision
) to app_service;
grant execute on function private.fisher_tail(double precision, integer) to app_service;
grant execute on function private.tested_bins(timestamptz, text) to app_service;
grant execute on function private.has_untested_bins(timestamptz, text) to app_service;
grant execute on function private.score_keywords(timestamptz, text, boolean, text[]) to app_service;
grant execute on function private.detect_bursts(timestamptz, text) to app_service;
grant execute on function private.detect_new_keywords(timestamptz, text) to app_service;
grant execute on function private.detect_spread(timestamptz, text) to app_service;
grant execute on function private.made_by_one_channel(text, integer, timestamptz) to app_service;
grant execute on function private.detected(timestamptz, text) to app_service;
-- forecast: the service forecasts and scores; how good the forecasts were is for premium and up, as they are.
grant execute on function public.backtest_forecast(double precision[], integer) to app_service;
grant execute on function private.forecast(double precision[], integer) to app_service;
grant execute on function private.fill_gaps(double precision[]) to app_service;
grant execute on function private.forecast_methods() to app_service;
grant select on public.forecast_accuracy to app_authenticated, app_service;

-- facts of trends: what detect_trends reads and calls as the service; the strongest for premium, by the table's policy.
grant select on private.trend_sources to app_service;
grant execute on function private.trend_companions(text[]) to app_service;
grant execute on function private.regional_popularity(text[], text[], timestamptz[]) to app_service;
grant execute on function public.top_trends(text, text) to app_authenticated, app_service;
grant execute on function private.video_category_names() to app_authenticated, app_service;
grant execute on function private.region_codes() to app_authenticated;

-- surges: the service ranks counts of its own.
grant execute on function public.backtest_surges(
    double precision[], double precision[], double precision[]
) to app_service;
grant execute on function private.surge_score(double precision, double precision, double precision) to app_service;

-- one reading for bursts and new keywords: called by the detectors, as the service.
grant execute on function private.detect_alone(timestamptz, text) to app_service;

-- search pages, suggestions, synonyms: search is for everybody. A page has nothing but what its readers may see, and is
-- read directly: a function in between would cost more than the look-up.
grant select on private.keyword_pages to app_anonymous, app_service;
create policy "visitors read their pages" on private.keyword_pages
for select to anon
using (is_anonymous);
create policy "who is signed in reads their pages" on private.keyword_pages
for select to authenticated
using (not is_anonymous);
grant select, insert, update, delete on private.synonyms to app_service;
grant select on private.search_page_reads to app_service;
grant select on ops.search_page_health to app_service;
grant select on private.unanswered_searches to app_service;
grant select on private.keywords to app_service;
grant execute on function public.search_videos(
    text, integer, text, integer, double precision, integer, text, boolean
) to app_anonymous, app_service;
grant execute on function private.search_afresh(
    text, integer, text, integer, double precision, integer, text, boolean
) to app_anonymous, app_service;
grant execute on function private.count_page_read(boolean, integer) to app_anonymous, app_service;
grant execute on function public.suggest_keywords(text, integer) to app_anonymous, app_service;
grant execute on function private.suggested_keywords(text, integer) to app_anonymous, app_service;
grant execute on function public.unanswered_searches(integer) to app_service;

-- learning: the service brings vectors; similar videos are for everybody, who may see them by the policy of the table.
grant select on private.video_cards to app_service;
grant select, insert, update, delete on private.video_vectors to app_service;
grant execute on function public.set_video_embeddings(jsonb, text) to app_service;
grant execute on function public.set_video_embedding(text, double precision[], text) to app_service;
grant execute on function private.unit_vector(double precision[]) to app_service;
grant execute on function public.similar_videos(text, integer, text) to app_anonymous, app_service;
grant execute on function private.similar_to(text, integer, bigint) to app_anonymous, app_service;

-- conversations with the AI: people take and answer turns of their own; only an operator changes a limit.
grant select on private.ai_turn_limits to app_service;
grant select on private.ai_turn_days to app_service;
grant execute on function public.open_ai_turn(text, uuid) to app_authenticated;
grant execute on function public.close_ai_turn(
    uuid, uuid, text, text, text, boolean, text[], integer
) to app_authenticated;
grant execute on function private.begin_ai_turn(text, uuid) to app_authenticated;
grant execute on function private.end_ai_turn(
    uuid, uuid, text, text, text, boolean, text[], integer
) to app_authenticated;

-- feed: one's own, by the token alone; an operator tunes weights and moods as the service.
grant execute on function public.personalized_feed(integer, text) to app_authenticated;
grant execute on function private.serve_feed(integer, text) to app_authenticated;
grant select, insert, update, delete on private.feed_weights to app_service;
grant select, insert, update, delete on private.mood_topics to app_service;
grant select on private.feed_impressions to app_service;
grant select on private.feed_exposures to app_service;

-- trend news: everybody asks through trends_since, limited below premium. Topics of tiers are for who holds them.
-- Whatever a topic is called, these conditions compare texts and cannot raise: one that did would silence all others.
grant execute on function public.trends_since(bigint, integer) to app_anonymous, app_service;
grant execute on function private.trend_news_after(bigint, integer) to app_anonymous, app_service;
create policy "premium and up hear of whole trends" on realtime.messages
for select to authenticated
using (
    extension = 'broadcast'
    and (
        (topic = 'trends:premium' and (select private.has_tier('premium')))
        or (topic = 'trends:pro' and (select private.has_tier('pro')))
        or (topic = 'trends:enterprise' and (select private.has_tier('enterprise')))
    )
);

-- notifications: people read, mark as read and delete their own; the handlers of the webhooks write them.
grant select, delete on public.notifications to app_authenticated;
grant update (read_at) on public.notifications to app_authenticated;
grant select, insert, update, delete on public.notifications to app_service;
grant execute on function public.receive_trend_update(text, jsonb) to app_service;
grant execute on function private.folded_keywords(text[]) to app_authenticated, app_service;
create policy "people keep their own notifications" on public.notifications
for all to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));

-- webhooks of premium people: who is signed in calls; the functions ask for the tier where it is needed. The list of
-- one's own is the table, public.webhook_endpoints.
grant execute on function public.add_my_webhook(text, text[], text) to app_authenticated;
grant execute on function public.rotate_my_webhook_secret(uuid, integer) to app_authenticated;
grant execute on function public.test_my_webhook(uuid) to app_authenticated;
grant execute on function public.set_my_webhook(uuid, boolean) to app_authenticated;
grant execute on function public.remove_my_webhook(uuid) to app_authenticated;
grant execute on function public.my_webhook_log(uuid, integer, timestamptz) to app_authenticated;
grant execute on function public.replay_my_webhooks(uuid, timestamptz) to app_authenticated;
grant execute on function private.add_own_webhook(text, text[], text) to app_authenticated;
grant execute on function private.manage_own_webhook(text, uuid, jsonb) to app_authenticated;
