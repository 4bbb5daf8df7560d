-- What Realtime keeps in a hosted project's database: the messages table that carries broadcasts and
-- whose policies say who may read or write a private channel, and the functions that fill it.

create schema realtime;
grant usage on schema realtime to postgres with grant option;
grant usage on schema realtime to anon, authenticated, service_role, supabase_realtime_admin;

create table realtime.messages (
    topic text not null,
    extension text not null,
    payload jsonb,
    event text,
    private boolean default false,
    updated_at timestamp not null default now(),
    inserted_at timestamp not null default now(),
    id uuid not null default gen_random_uuid(),
    binary_payload bytea,
    constraint messages_pkey primary key (id, inserted_at),
    constraint messages_payload_exclusive check (payload is null or binary_payload is null)
)
partition by range (inserted_at);
comment on table realtime.messages is
'Broadcasts on their way to subscribers, kept for three days; its policies authorise private channels.';

create index messages_inserted_at_topic_index on realtime.messages (inserted_at desc, topic)
where extension = 'broadcast' and private is true;

alter table realtime.messages enable row level security;
-- postgres is a member of this role, so its migrations may create policies here, as on a hosted project.
alter table realtime.messages owner to supabase_realtime_admin;
grant references, delete, trigger, truncate, update on realtime.messages to postgres;
grant select, insert on realtime.messages to postgres with grant option;
grant select, insert, update on realtime.messages to anon, authenticated, service_role;

create function realtime.topic()
returns text
stable
set search_path = pg_catalog, pg_temp
language sql
as $$
    select nullif(current_setting('realtime.topic', true), '')
$$;
comment on function realtime.topic() is
'The topic of the channel that is being authorised; null outside of such a check.';

create function realtime.send(payload jsonb, event text, topic text, private boolean default true)
returns void
volatile
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    message_id constant uuid := gen_random_uuid();
begin
    -- Policies of the caller's role apply to the row, and they ask for the topic.
    perform set_config('realtime.topic', topic, true);
    insert into realtime.messages (id, payload, event, topic, private, extension)
    values (
        message_id,
        case
            when payload ? 'id' then payload
            else jsonb_set(payload, '{id}', to_jsonb(message_id))
        end,
        event,
        topic,
        private,
        'broadcast'
    );
exception
    when others then
        -- A message that cannot be sent must never cost its sender the transaction.
        raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
end
$$;
comment on function realtime.send(jsonb, text, text, boolean) is
'Broadcast a message to a topic when the transaction commits. A failure is a warning, never an error.';

create function realtime.send_binary(payload bytea, event text, topic text, private boolean default true)
returns void
volatile
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform set_config('realtime.topic', topic, true);
    insert into realtime.messages (binary_payload, event, topic, private, extension)
    values (payload, event, topic, private, 'broadcast');
exception
    when others then
        raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
end
$$;
comment on function realtime.send_binary(bytea, text, text, boolean) is
'As realtime.send, for bytes; receivers that speak protocol 1.0.0 do not get them.';

create function realtime.broadcast_changes(
    topic_name text,
    event_name text,
    operation text,
    table_name text,
    table_schema text,
    new record,
    old record,
    level text default 'ROW'
)
returns void
volatile
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if level = 'STATEMENT' then
        raise exception 'function can only be triggered for each row, not for each statement';
    end if;
    if operation not in ('INSERT', 'UPDATE', 'DELETE') then
        raise exception 'Unexpected operation type: %', operation;
    end if;
    perform realtime.send(
        jsonb_build_object(
            'schema', table_schema,
            'table', table_name,
            'operation', operation,
            'record', new,
            'old_record', old
        ),
        event_name,
        topic_name
    );
exception
    when others then
        -- Unlike realtime.send: a trigger that calls this wrongly is a mistake its author must see.
        raise exception 'Failed to process the row: %', sqlerrm;
end
$$;
comment on function realtime.broadcast_changes(text, text, text, text, text, record, record, text) is
'For row triggers: broadcast the change of a row to a private topic. A wrong call is an error.';

alter function realtime.topic() owner to supabase_realtime_admin;
alter function realtime.send(jsonb, text, text, boolean) owner to supabase_realtime_admin;
alter function realtime.send_binary(bytea, text, text, boolean) owner to supabase_realtime_admin;
alter function realtime.broadcast_changes(text, text, text, text, text, record, record, text)
owner to supabase_realtime_admin;

-- The local Realtime part calls this at its start and every hour; a hosted project's service does the
-- same by itself. A message sent on a day that has no partition yet is dropped with a warning.
create function realtime.maintain_messages_partitions()
returns void
volatile
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    today constant date := (now() at time zone 'utc')::date;
    keep_from constant timestamp := today - 3;
    first_moment date;
    partition_name text;
    outdated regclass;
begin
    for offset_days in -1..3 loop
        first_moment := today + offset_days;
        partition_name := 'messages_' || to_char(first_moment, 'YYYY_MM_DD');
        continue when to_regclass(format('realtime.%I', partition_name)) is not null;
        execute format(
            'create table realtime.%I partition of realtime.messages for values from (%L) to (%L)',
            partition_name,
            first_moment,
            first_moment + 1
        );
        execute format('alter table realtime.%I enable row level security', partition_name);
        execute format('alter table realtime.%I owner to supabase_realtime_admin', partition_name);
    end loop;
    for outdated in
        select child.oid::regclass
        from pg_inherits as link
        join pg_class as child on child.oid = link.inhrelid
        where
            link.inhparent = 'realtime.messages'::regclass
            and substring(pg_get_expr(child.relpartbound, child.oid) from $re$TO \('([^']+)'\)$re$)::timestamp
            <= keep_from
    loop
        execute format('drop table %s', outdated);
    end loop;
end
$$;
comment on function realtime.maintain_messages_partitions() is
'Local stack only: makes the partitions from yesterday to three days ahead and drops those past three days.';
revoke execute on function realtime.maintain_messages_partitions() from public;
select realtime.maintain_messages_partitions();
