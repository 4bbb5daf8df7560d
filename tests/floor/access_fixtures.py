"""Who asks, and a row of every relation for each of them: what the access table is tried with.

A relation that is new in docs/access.md needs a statement in ROWS, and its owner, if it has one, in OWNERS or
OWNED_THROUGH.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import psycopg


@dataclass(frozen=True)
class Identity:
    """One kind of client: the database role and the claims that its request runs with."""

    name: str
    column: str  # of docs/access.md
    role: str
    person: str | None = None
    app_metadata: str = "{}"

    @property
    def claims(self) -> str:
        if self.person is None:
            return json.dumps({"role": self.role})
        # user_metadata is the person's own to write: whatever it says must change nothing.
        said_by_themselves = {"role": "admin", "tier": "enterprise", "app_metadata": {"role": "admin"}}
        claims = {"sub": self.person, "role": self.role, "user_metadata": said_by_themselves}
        return json.dumps(claims | {"app_metadata": json.loads(self.app_metadata)})


A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "aaaaaaaa-0000-4000-8000-000000000002"
TRIAL = "aaaaaaaa-0000-4000-8000-000000000003"
EXPIRED = "aaaaaaaa-0000-4000-8000-000000000004"
PREMIUM = "aaaaaaaa-0000-4000-8000-000000000005"
ENTERPRISE = "aaaaaaaa-0000-4000-8000-000000000006"
ADMIN = "aaaaaaaa-0000-4000-8000-000000000007"
PEOPLE = (A, B, TRIAL, EXPIRED, PREMIUM, ENTERPRISE, ADMIN)

IDENTITIES = (
    Identity("anon", "anonymous", "anon"),
    Identity("A, free", "signed in", "authenticated", A),
    Identity("B, free", "signed in", "authenticated", B),
    Identity("trial", "signed in", "authenticated", TRIAL, '{"tier": "trial"}'),
    # The token still says what the table no longer does.
    Identity("expired", "signed in", "authenticated", EXPIRED, '{"tier": "enterprise"}'),
    Identity("premium", "premium", "authenticated", PREMIUM, '{"tier": "premium"}'),
    Identity("enterprise", "premium", "authenticated", ENTERPRISE, '{"tier": "enterprise"}'),
    Identity("admin", "admin", "authenticated", ADMIN, '{"role": "admin"}'),
    Identity("service", "service", "service_role"),
)

# The column that names whose row it is.
OWNERS = {
    "public.notifications": "user_id",
    "public.webhook_endpoints": "user_id",
    "public.search_sessions": "user_id",
    "public.search_sessions_partitioned": "user_id",
    "public.user_feedback": "user_id",
    "public.user_profiles": "user_id",
    "public.user_search_patterns": "user_id",
    "public.user_session_details": "user_id",
    "public.user_tiers": "user_id",
    "public.users": "id",
    "public.video_interactions": "user_id",
    "public.video_interactions_partitioned": "user_id",
}

# Whose row it is where another row says so, as SQL.
OWNED_THROUGH = {
    "public.watch_events": """(
        select interaction.user_id
        from public.video_interactions as interaction
        where interaction.id = interaction_id
    )""",
}

# Views of what Postgres counts by itself: whether there is a row is not ours to say.
MAY_BE_EMPTY = {"ops.index_recommendations"}

# Run once for every person (%(person)s) and number (%(n)s); owned relations get a row each, the others a few to share.
ROWS = (
    """
    insert into auth.users (id, email)
    values (%(person)s, 'access-' || %(n)s || '@example.com')
    """,
    # Settings are the person's own: to call oneself admin there must be worth nothing.
    """
    update public.users
    set settings = settings || '{"role": "admin"}'
    where id = %(person)s
    """,
    """
    insert into public.user_tiers (user_id, tier, expires_at, source)
    values (
        %(person)s,
        (array['free', 'free', 'trial', 'enterprise', 'premium', 'enterprise', 'free']::public.tier_enum[])[%(n)s],
        case when %(n)s = 4 then now() - interval '1 second' end,
        'operator'
    )
    """,
    "insert into public.cached_channels (channel_id, channel_title) values ('access_' || %(n)s, 'a channel')",
    """
    insert into private.channel_statistics (channel_id, usual_engagement, scored_at, changed_at)
    values ('access_' || %(n)s, 0.03, now(), now())
    """,
    # What the workers of ingest go by.
    "insert into private.quota_days (bucket, day, used) values ('youtube_units', date '2020-01-01' + %(n)s, 1)",
    "insert into private.refresh_queue (video_id, reason) values ('access_' || %(n)s, 'requested')",
    "insert into private.refresh_keywords (video_id, keyword) values ('access_' || %(n)s, 'access')",
    """
    insert into private.ingest_runs (source, request)
    values ('youtube', jsonb_build_object('access', %(n)s::integer))
    """,
    # Well known and playable, playable, well known, neither.
    """
    insert into public.cached_videos (video_id, title, view_count, is_embeddable, privacy_status)
    values ('access_' || %(n)s, 'a video', 500 + 1000 * (%(n)s %% 2), %(n)s %% 4 < 2, 'public')
    """,
    """
    insert into public.keyword_video_mappings (keyword, video_id)
    values ('access', 'access_' || %(n)s)
    """,
    "insert into public.trending_keywords (keyword, trend_score) values ('access ' || %(n)s, 0.5)",
    # A search, what was done with its results and what the player said of it, and the visit that all this belongs to.
    """
    insert into public.search_sessions (id, user_id, search_query, session_token, session_id)
    values (%(person)s, %(person)s, 'access ' || %(n)s, 'a token', %(person)s)
    """,
    """
    insert into public.video_interactions (id, user_id, video_id, session_id, session_started_at, interaction_type)
    select
        session.id,
        session.user_id,
        'access_' || %(n)s,
        session.id,
        session.session_started_at,
        'view'
    from public.search_sessions as session
    where session.user_id = %(person)s
    """,
    """
    insert into public.watch_events (interaction_id, interaction_created_at, event_type)
    select
        interaction.id,
        interaction.created_at,
        'play'
    from public.video_interactions as interaction
    where interaction.user_id = %(person)s
    """,
    "insert into public.user_session_details (user_id, session_id) values (%(person)s, %(person)s)",
    """
    insert into public.user_feedback (user_id, video_id, feedback_type)
    values (%(person)s, 'access_' || %(n)s, 'like')
    """,
    """
    insert into private.search_sessions_archive
    select (jsonb_populate_record(
        null::private.search_sessions_archive,
        to_jsonb(session) || '{"archived_at": "2026-01-01T00:00:00Z"}'
    )).*
    from public.search_sessions as session
    where session.user_id = %(person)s
    """,
    "insert into public.video_quality_scores (video_id) values ('access_' || %(n)s)",
    """
    insert into public.keyword_performance_cache (keyword, date, people)
    values ('access ' || %(n)s, '2026-01-01', %(n)s)
    """,
    """
    insert into public.keyword_effectiveness (keyword, date, people)
    values ('access ' || %(n)s, '2026-01-01', %(n)s)
    """,
    # One that came to be, so that the accuracy of forecasts has a row.
    """
    insert into public.trend_predictions (keyword, prediction_date, predicted_for_date, predicted_score, actual_score)
    values ('access ' || %(n)s, '2026-01-01', '2026-01-02', 0.5, 0.4)
    """,
    """
    insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
    values ('KR', 'internal', date_trunc('hour', now(), 'UTC'), 'access ' || %(n)s, 1)
    """,
    # What search and the feed go by, and what they remember of people.
    """
    insert into private.video_cards (
        video_id, title_folded, category_id, popularity, quality, view_count, published_at, expires_at, is_servable,
        standing
    )
    values ('access_' || %(n)s, 'a video', 0, 0, 0, 0, now(), now(), false, 0)
    """,
    """
    insert into private.video_vectors (video_no, embedding, version)
    select video_no, array_fill(1, array[100])::extensions.vector, 'access'
    from private.video_cards where video_id = 'access_' || %(n)s
    """,
    "insert into private.keywords (keyword) values ('access ' || %(n)s)",
    """
    insert into private.keyword_pages (keyword, is_anonymous, body, video_ids, min_expires_at)
    values ('access ' || %(n)s, %(n)s %% 2 = 0, '{}', '{}', now())
    """,
    "insert into private.search_page_reads (day, slot) values (date '2020-01-01' + %(n)s, 0)",
    """
    insert into private.unanswered_searches (day, query, people, last_at)
    values ('2026-01-01', 'access ' || %(n)s, 3, now())
    """,
    """
    insert into private.feed_exposures (video_no, shows, clicks)
    select video_no, 1, 0 from private.video_cards where video_id = 'access_' || %(n)s
    """,
    """
    insert into private.feed_impressions (
        user_id, request_id, weights_version, video_nos, video_ids, positions, explored, propensities
    )
    values (%(person)s, gen_random_uuid(), 'v1', '{1}', '{access}', '{1}', '{false}', '{1}')
    """,
    """
    insert into public.notifications (user_id, kind, dedupe_key, keyword, region_code, payload)
    values (%(person)s, 'trend', 'access ' || %(n)s, 'access', 'KR', '{}')
    """,
    "insert into private.ai_turn_days (user_id, day, used) values (%(person)s, '2026-01-01', 1)",
    # What detection keeps of them.
    """
    insert into private.keyword_states (region_code, data_source, bin_seconds, keyword, last_bucket, state)
    values ('KR', 'internal', 60, 'access ' || %(n)s, '2026-01-01', private.empty_state())
    """,
    """
    insert into private.observed_bins (region_code, data_source, bin_seconds, bucket, keywords, mentions)
    values ('KR', 'internal', 60, date '2026-01-01' + %(n)s, 1, 1)
    """,
    """
    insert into private.state_positions (region_code, data_source, bin_seconds, newest_bucket)
    values ('KR', 'internal', 60 * %(n)s, '2026-01-01')
    """,
    "insert into ops.outbox (event_type, dedupe_key, data) values ('access.tried', 'access ' || %(n)s, '{}')",
    """
    insert into ops.event_types (event_type, edge_function, description)
    values ('access.tried_' || chr(96 + %(n)s), 'notify-trend', 'a row to read')
    """,
    """
    insert into public.webhook_endpoints (user_id, url, event_types)
    values (%(person)s, 'https://example.com/access/' || %(n)s, '{access.tried}')
    """,
    """
    insert into ops.webhook_deliveries (outbox_id, endpoint_id, event_type)
    select
        event.id,
        endpoint.id,
        event.event_type
    from ops.outbox as event
    cross join public.webhook_endpoints as endpoint
    where
        event.dedupe_key = 'access ' || %(n)s
        and endpoint.url = 'https://example.com/access/' || %(n)s
    """,
    # Every second delivery is dead.
    """
    update ops.webhook_deliveries as delivery
    set
        state = 'dead',
        next_attempt_at = null
    from public.webhook_endpoints as endpoint
    where
        endpoint.id = delivery.endpoint_id
        and endpoint.url = 'https://example.com/access/' || %(n)s
        and %(n)s %% 2 = 0
    """,
    """
    insert into ops.webhook_attempts (delivery_id, replay, attempt, status)
    select
        delivery.id,
        0,
        1,
        500
    from ops.webhook_deliveries as delivery
    inner join public.webhook_endpoints as endpoint on delivery.endpoint_id = endpoint.id
    where endpoint.url = 'https://example.com/access/' || %(n)s
    """,
    "insert into ops.webhook_receipts (webhook_id, event) values ('access ' || %(n)s, '{}')",
    "select ops.record_audit_event('ACCESS', 'access ' || %(n)s)",
    "insert into ops.figure_history (taken_at, figures) values (now() - %(n)s * interval '1 second', '{}')",
    "select ops.raise_alert('access', 'access ' || %(n)s, 'a row to read')",
    "select ops.log_job_run('access-' || %(n)s, '{\"tried\": 1}')",
    """
    insert into ops.archive_policies (parent_schema, parent_table, control_column)
    values ('public', 'access_' || %(n)s, 'created_at')
    """,
    """
    insert into ops.job_expectations (job_name)
    values ('access-' || %(n)s)
    """,
    "select ops.snapshot_table_sizes()",
    "select ops.seal_audit_log()",
)


def seed(connection: psycopg.Connection[Any]) -> None:
    """Make the rows, in a transaction that the caller rolls back."""
    for statement in ROWS:
        for n, person in enumerate(PEOPLE, start=1):
            connection.execute(statement, {"person": person, "n": n}, prepare=False)
    # What waits for the commit would refuse a change of its table.
    connection.execute("set constraints all immediate")
    connection.execute("set constraints all deferred")
