-- Promises that no request runs for ever, and that nobody's writes crowd out everybody else's.

-- What a request may cost, by who asks. Supabase's own values for people; the service ingests whole batches.
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role service_role set statement_timeout = '120s';

create table private.rate_limits (
    role_name text primary key,
    per_minute integer not null,
    constraint a_limit_lets_something_through check (per_minute > 0)
);
alter table private.rate_limits enable row level security;
comment on table private.rate_limits is
'How many writes and calls by POST a person, or an address without a person, may make in a minute. No row: no limit.';
comment on column private.rate_limits.role_name is 'The database role of the request.';
comment on column private.rate_limits.per_minute is 'Counted over the last 60 seconds, not by the clock''s minutes.';

insert into private.rate_limits (role_name, per_minute)
values
('anon', 300),
('authenticated', 600);

-- A row a request and not a counter: who counts up one row waits for everybody else who does.
create unlogged table private.counted_requests (
    identity bytea not null,
    counted_at timestamptz not null
);
alter table private.counted_requests enable row level security;
create index counted_requests_by_identity on private.counted_requests (identity, counted_at);
create index counted_requests_by_time on private.counted_requests (counted_at);
comment on table private.counted_requests is
'The writes of the last minutes. Lost in a crash, which only forgives.';
comment on column private.counted_requests.identity is
'Digest of the person''s id or the address: not for reading, and gone in minutes.';

create function private.before_request()
returns void
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    minute constant interval := interval '1 minute';
    request_id text := private.request_id();
    asks text;
    allowed integer;
    digest bytea;
    counted bigint;
    oldest timestamptz;
    wait integer;
begin
    if request_id is null then
        request_id := gen_random_uuid()::text;
    end if;
    perform set_config('ondol.request_id', request_id, true);
    perform set_config(
        'response.headers',
        jsonb_build_array(jsonb_build_object('x-request-id', request_id))::text,
        true
    );

    -- An estimate is made of everybody's rows: the planner's statistics know no policies.
    if
        current_setting('role') in ('anon', 'authenticated')
        and private.request_headers() ->> 'prefer' ~* 'count *= *"?(planned|estimated)'
    then
        raise exception using
            errcode = 'PT400',
            message = 'Rows are counted exactly or not at all.',
            detail = 'An estimate would tell of rows that are not yours.',
            hint = 'Send Prefer: count=exact, or none.';
    end if;

    -- A GET or HEAD runs in a transaction that only reads: it cannot be counted and is not.
    if current_setting('transaction_read_only')::boolean then
        return;
    end if;
    begin
        select rate.per_minute
        into allowed
        from private.rate_limits as rate
        where rate.role_name = current_setting('role');
        -- On a hosted project Cloudflare writes the first header; the other one's first hop is what is left elsewhere.
        asks := coalesce(
            'person:' || private.user_id(),
            private.request_headers() ->> 'cf-connecting-ip',
            trim(split_part(private.request_headers() ->> 'x-forwarded-for', ',', 1))
        );
        if allowed is null or asks is null or asks = '' then
            return;
        end if;

        digest := sha256(convert_to(asks, 'UTF8'));
        select
            count(*),
            min(latest.counted_at)
        into counted, oldest
        from (
            select one.counted_at
            from private.counted_requests as one
            where
                one.identity = digest
                and one.counted_at > clock_timestamp() - minute
            order by one.counted_at desc
            limit allowed
        ) as latest;
        if counted < allowed then
            insert into private.counted_requests (identity, counted_at)
            values (digest, clock_timestamp());
        else
            wait := greatest(ceil(extract(epoch from oldest + minute - clock_timestamp())), 1);
        end if;
    exception
        when others then
            -- Whatever is wrong with counting is no reason to refuse anybody.
            raise warning 'the request was not counted: %', sqlerrm;
    end;
    if wait is not null then
        raise sqlstate 'PGRST'
        using
            message = jsonb_build_object(
                'code', 'PT429',
                'message', 'Too many writes in a minute.',
                'details', format('%s a minute are allowed.', allowed),
                'hint', format('Try again in %s seconds.', wait)
            ),
            detail = jsonb_build_object('status', 429, 'headers', jsonb_build_object('Retry-After', wait::text));
    end if;
end
$$;
comment on function private.before_request() is
'Called by the Data API before each request: gives it an id and refuses who writes too often with 429 and Retry-After.';

create function private.purge_counted_requests()
returns bigint
volatile
security definer
set search_path = pg_catalog, pg_temp
language sql
as $$
    with purged as (
        delete from private.counted_requests
        where counted_at < clock_timestamp() - interval '2 minutes'
        returning 1
    )

    select count(*)
    from purged
$$;
comment on function private.purge_counted_requests() is
'Forgets the requests that no limit counts any more; returns how many.';

grant execute on function private.before_request() to app_anonymous, app_service;

-- sqlfluff does not know a setting with a dot.
alter role authenticator set pgrst.db_pre_request = 'private.before_request'; -- noqa: PRS
notify pgrst, 'reload config';
