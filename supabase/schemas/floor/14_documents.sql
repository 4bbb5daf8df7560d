-- Promises that a JSON document from a client is known to be small before it is written out or stored.

-- Written out, 1e131071 is 131,072 characters: a few kilobytes sent would be gigabytes of text.
create function private.has_plain_numbers(document jsonb)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select not exists (
        select
        from jsonb_path_query(document, 'strict $.** ? (@.type() == "number")') as item (number)
        where
            scale(item.number::numeric) > 500
            or abs(item.number::numeric) >= 1e500
    )
$$;
comment on function private.has_plain_numbers(jsonb) is 'Whether no number in it has more than 500 digits.';

create function private.is_small(
    document jsonb,
    kind text,
    most_characters integer
)
returns boolean
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case
            when jsonb_typeof(document) <> kind or pg_column_size(document) > 8 * most_characters then false
            when not private.has_plain_numbers(document) then false
            else length(document::text) <= most_characters
        end
$$;
comment on function private.is_small(jsonb, text, integer) is
'Whether it is JSON of this kind, object or array, that nobody uses as a store for something else.';

-- Checks of tables run with the rights of who writes.
grant execute on function private.has_plain_numbers(jsonb) to app_authenticated, app_service;
grant execute on function private.is_small(jsonb, text, integer) to app_authenticated, app_service;
