-- A stand-in for pg_net 0.20: its schema, signatures, defaults and grants. The sender is net_worker.py.

create schema net;
comment on schema net is 'Asynchronous HTTP requests, sent after commit; never exposed through the API.';

create domain net.http_method as text
check (lower(value) in ('get', 'post', 'delete'));

-- Unlogged as in the real extension: a crash empties both tables.
create unlogged table net.http_request_queue (
    id bigserial,
    method net.http_method not null,
    url text not null,
    headers jsonb,
    body bytea,
    timeout_milliseconds integer not null
);
comment on table net.http_request_queue is 'Requests that wait for the worker. Every role can read their headers.';

create unlogged table net._http_response (
    id bigint,
    status_code integer,
    content_type text,
    headers jsonb,
    content text,
    timed_out boolean,
    error_msg text,
    created timestamptz not null default now()
);
comment on table net._http_response
is 'What became of each request; kept for 6 hours, not on replicas and not in backups.';

create index on net._http_response (created);

create type net.request_status as enum ('PENDING', 'SUCCESS', 'ERROR');

create type net.http_response as (
    status_code integer,
    headers jsonb,
    body text
);

create type net.http_response_result as (
    status net.request_status,
    message text,
    response net.http_response
);

create function net.wake()
returns void
volatile
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Delivered at commit: a rollback wakes nobody.
    select pg_catalog.pg_notify('pg_net', 'wake')
$$;
comment on function net.wake() is 'Wakes the worker when this transaction commits.';

create function net.worker_restart()
returns boolean
volatile
set search_path = pg_catalog, pg_temp
language sql
as $$
    select pg_catalog.pg_notify('pg_net', 'restart');
    select true
$$;
comment on function net.worker_restart()
is 'Makes the worker connect afresh, with the settings pg_net.ttl and pg_net.batch_size as they are then.';

create function net._worker_is_up()
returns boolean
stable
set search_path = pg_catalog, pg_temp
language sql
as $$
    -- Stand-in: the worker is a client, so it is known by its application name.
    select exists (
        select
        from pg_catalog.pg_stat_activity as activity
        where activity.application_name = 'pg_net 0.20.4 worker'
            and activity.datname = current_database()
    )
$$;

create function net.check_worker_is_up()
returns void
stable
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if not net._worker_is_up() then
        raise exception using
            message = 'the pg_net background worker is not up',
            detail = 'No connection of the worker is open, so no request is being sent.',
            hint = 'Start the local stack''s net-worker and read its log.';
    end if;
end
$$;
comment on function net.check_worker_is_up() is 'Raises an exception unless the worker is connected.';

create function net.wait_until_running()
returns void
volatile
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    loop
        -- The activity view is read once per transaction unless its snapshot is dropped.
        perform pg_catalog.pg_stat_clear_snapshot();
        exit when net._worker_is_up();
        perform pg_catalog.pg_sleep(0.05);
    end loop;
end
$$;
comment on function net.wait_until_running() is 'Waits until the worker is connected.';

create function net._urlencode_string(string varchar)
returns text
immutable
strict
set search_path = pg_catalog, pg_temp
language sql
as $$
    select coalesce(string_agg(
        case
            when letter ~ '^[A-Za-z0-9._~-]$' then letter
            else upper(regexp_replace(encode(convert_to(letter, 'UTF8'), 'hex'), '(..)', '%\1', 'g'))
        end,
        '' order by place
    ), '')
    from regexp_split_to_table(string, '') with ordinality as letters (letter, place)
    where letter <> ''
$$;

create function net._encode_url_with_params_array(url text, params_array text[])
returns text
immutable
strict
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    parts text [] := regexp_match(
        url,
        '^([a-z][a-z0-9+.-]*://[^/?#[:space:]]+)([^?#[:space:]]*)([?][^#[:space:]]*)?(#\S*)?$',
        'i'
    );
    query text;
begin
    if parts is null then
        raise exception 'URL using bad/illegal format or missing URL';
    end if;
    query := array_to_string(array_remove(array_prepend(nullif(substr(parts[3], 2), ''), params_array), null), '&');
    return parts[1]
        || case when parts[2] = '' then '/' else parts[2] end
        || case when query = '' then '' else '?' || query end
        || coalesce(parts[4], '');
end
$$;

create function net._enqueue(
    method net.http_method,
    url text,
    params jsonb,
    headers jsonb,
    body jsonb,
    timeout_milliseconds integer
)
returns bigint
volatile
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    encoded text[];
    request_id bigint;
begin
    select array_agg(net._urlencode_string(key) || '=' || net._urlencode_string(value))
    into encoded
    from jsonb_each_text(params);

    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values (
        _enqueue.method,
        net._encode_url_with_params_array(_enqueue.url, coalesce(encoded, '{}')),
        _enqueue.headers,
        convert_to(_enqueue.body::text, 'UTF8'),
        _enqueue.timeout_milliseconds
    )
    returning id into request_id;

    perform net.wake();
    return request_id;
end
$$;

create function net.http_get(
    url text,
    params jsonb default '{}',
    headers jsonb default '{}',
    timeout_milliseconds integer default 5000
)
returns bigint
volatile
set search_path = pg_catalog, pg_temp
language sql
as $$
    select net._enqueue('GET', url, params, headers, null, timeout_milliseconds)
$$;
comment on function net.http_get(text, jsonb, jsonb, integer)
is 'Queues a GET request and returns its id; it is sent after commit.';

create function net.http_post(
    url text,
    body jsonb default '{}',
    params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}',
    timeout_milliseconds integer default 5000
)
returns bigint
volatile
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    content_type text;
begin
    select header.value
    into content_type
    from jsonb_each_text(coalesce(headers, '{}')) as header
    where lower(header.key) = 'content-type'
    limit 1;

    if content_type is null then
        headers := headers || '{"Content-Type": "application/json"}';
    elsif content_type <> 'application/json' then
        raise exception 'Content-Type header must be "application/json"';
    end if;

    return net._enqueue('POST', url, params, headers, body, timeout_milliseconds);
end
$$;
comment on function net.http_post(text, jsonb, jsonb, jsonb, integer)
is 'Queues a POST request with a JSON body and returns its id; it is sent after commit.';

create function net.http_delete(
    url text,
    params jsonb default '{}',
    headers jsonb default '{}',
    timeout_milliseconds integer default 5000,
    body jsonb default null
)
returns bigint
volatile
set search_path = pg_catalog, pg_temp
language sql
as $$
    select net._enqueue('DELETE', url, params, headers, body, timeout_milliseconds)
$$;
comment on function net.http_delete(text, jsonb, jsonb, integer, jsonb)
is 'Queues a DELETE request and returns its id; it is sent after commit.';

create function net._http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result
volatile
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    answer net._http_response;
begin
    loop
        select response.*
        into answer
        from net._http_response as response
        where response.id = request_id;
        exit when found or async;
        perform pg_sleep(0.05);
    end loop;

    if answer.id is null or answer.error_msg is not null then
        return row(
            'ERROR',
            coalesce(answer.error_msg, 'request matching request_id not found'),
            null
        )::net.http_response_result;
    end if;
    return row(
        'SUCCESS',
        'ok',
        row(answer.status_code, answer.headers, answer.content)::net.http_response
    )::net.http_response_result;
end
$$;

create function net.http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result
volatile
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    raise notice 'The net.http_collect_response function is deprecated.';
    return net._http_collect_response(request_id, async);
end
$$;
comment on function net.http_collect_response(bigint, boolean)
is 'Deprecated: the answer to a request; async := false waits for it in a fresh transaction.';

-- As the real extension since 0.12: whoever reaches the database reads the queue.
grant usage on schema net to public;
grant all on all sequences in schema net to public;
grant all on all tables in schema net to public;
