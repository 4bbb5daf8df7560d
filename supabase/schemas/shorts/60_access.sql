-- Promises that what a client may reach is exactly what stands here, a paragraph per object.

-- users: people see and edit their own profile; tier, usage and address are not theirs to write. Admins see all.
-- The ciphertext is of no use without its key, and a grant of columns would refuse select('*').
grant select on public.users to app_authenticated;
grant update (name, username, avatar_url, settings, preferences) on public.users to app_authenticated;
grant select, insert, update, delete on public.users to app_service;
create policy "people read their own row, admins read all" on public.users
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
grant execute on function private.normalize_keyword(text) to app_service;
grant execute on function private.region_codes() to app_service;
grant execute on function private.read_videos(jsonb) to app_service;
grant execute on function private.read_keyword_signals(jsonb) to app_service;
grant execute on function private.shorts_limit_seconds() to app_service;
grant execute on function private.plays_everywhere(boolean, text, text, boolean, integer) to app_service;
grant execute on function private.test_bursts(timestamptz, text) to app_service;
grant execute on function private.trend_dedupe_key(text, text, timestamptz) to app_service;
