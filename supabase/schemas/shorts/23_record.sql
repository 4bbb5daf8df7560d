-- Promises that whoever records is somebody with an account, and is told of each refusal what to do.

create function private.require_person()
returns uuid
volatile
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    person uuid;
begin
    -- Held, so that an erasure waits for this call or this call for it, and never both.
    select stored.id
    into person
    from public.users as stored
    where stored.id = private.user_id()
    for key share;
    if person is null then
        raise exception using
            errcode = 'PT403',
            message = 'Only a person can call this.',
            detail = 'The token names nobody who has an account.',
            hint = 'Sign in, and send the token of that session.';
    end if;
    return person;
end
$$;
comment on function private.require_person() is
'Who asks, when it is somebody with an account; refuses everybody else.';

create function private.check_own_batch(batch jsonb)
returns void
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if jsonb_typeof(batch) is distinct from 'array' or jsonb_array_length(batch) = 0 then
        raise exception using
            errcode = 'PT400',
            message = 'The batch is no JSON array with rows in it.',
            detail = format(
                'It is %s.',
                case when jsonb_typeof(batch) = 'array' then 'empty' else coalesce(jsonb_typeof(batch), 'missing') end
            ),
            hint = 'Send an array of 1 to 1000 objects, even for one row.';
    end if;
    if pg_column_size(batch) <= 2000000 and not private.has_plain_numbers(batch) then
        raise exception using
            errcode = 'PT400',
            message = 'A number of the batch has more than 500 digits.',
            detail = 'Nothing was stored.',
            hint = 'Send numbers as JavaScript writes them.';
    end if;
    if jsonb_array_length(batch) > 1000 or pg_column_size(batch) > 2000000 then
        raise exception using
            errcode = 'PT413',
            message = 'The batch has more than 1000 rows or 2 MB.',
            detail = format('It has %s rows and %s bytes.', jsonb_array_length(batch), pg_column_size(batch)),
            hint = 'Send it in parts of at most 1000 rows and 2 MB.';
    end if;
end
$$;
comment on function private.check_own_batch(jsonb) is
'Refuses what is no array with rows, and more than one person has to say at once.';

create function private.row_hint(code text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        case row_hint.code
            when 'ON001' then 'Send an object for each row.'
            when 'ON002' then 'Send YouTube''s id of the video.'
            when 'ON003' then 'Send a JSON string, or leave the key out.'
            when 'ON004' then 'Shorten it to 2000 characters.'
            when 'ON005' then 'Send a time such as 2026-07-07T15:24:48Z, or leave the key out.'
            when 'ON006' then 'Send when it happened, and send it within the week.'
            when 'ON007' then 'Send a JSON number within the range, or leave the key out.'
            when 'ON009' then 'Send one of the words in the message; flags are true or false.'
            when 'ON011' then 'Send a UUID, or leave the key out.'
            when 'ON012' then 'Send only videos that the API has returned.'
            when 'ON013' then 'Send the id that was returned when it was stored.'
            when 'ON014' then 'Send a small object, or leave the key out.'
            when 'ON015' then 'Make a new random UUID.'
            when 'ON016' then 'Send the row again after midnight in Korea, or subscribe.'
            when 'ON017' then 'Send seek_from and seek_to with event_type seek only.'
        end
$$;
comment on function private.row_hint(text) is 'What to do about a refused row of a person''s batch.';

create function private.refuse_empty_handed(rejected jsonb)
returns void
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    if jsonb_path_exists(rejected, '$[*] ? (@.code == "ON016")') then
        raise exception using
            errcode = 'PT429',
            message = format('On trial %s interactions a day are stored, and this is more.', private.trial_limit()),
            detail = rejected::text,
            hint = 'Wait until midnight in Korea, or subscribe.';
    end if;
    raise exception using
        errcode = 'PT400',
        message = rejected #>> '{0,message}',
        detail = rejected::text,
        hint = rejected #>> '{0,hint}';
end
$$;
comment on function private.refuse_empty_handed(jsonb) is 'Refuses a batch of which no row could be taken.';
