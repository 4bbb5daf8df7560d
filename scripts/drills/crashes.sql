-- What the crash drill plants in its own stack: places where a backend waits while the drill holds the moment's lock,
-- a list of effects that has no key, and waits of seconds instead of hours. Nothing of it is in the product.
create schema drill;

create table drill.effects (
    webhook_id text not null,
    keyword text,
    at timestamptz not null default clock_timestamp()
);
create index effects_by_webhook on drill.effects (webhook_id);

create table drill.settings (
    lease interval not null,
    without text
);
insert into drill.settings (lease) values ('5 s');

create function drill.wait_at()
returns trigger
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    perform pg_advisory_xact_lock_shared(8, tg_argv[0]::integer);
    return new;
end
$$;

create function drill.shorten()
returns trigger
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    settings drill.settings;
begin
    select * into settings from drill.settings;
    if settings.without = 'lease' and new.attempt > old.attempt then
        new.next_attempt_at := now() + interval '1 day';
    elsif new.next_attempt_at > now() + settings.lease then
        new.next_attempt_at := now() + settings.lease;
    end if;
    return new;
end
$$;

create function drill.note_effect()
returns trigger
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    insert into drill.effects (webhook_id, keyword)
    values (new.webhook_id, new.event #>> '{data,keyword}');
    if exists (select from drill.settings where without = 'receipts') then
        delete from ops.webhook_receipts as receipt
        where receipt.webhook_id = new.webhook_id;
    end if;
    return null;
end
$$;

create trigger drill_shortens
before update on ops.webhook_deliveries
for each row
when (new.state = 'scheduled')
execute function drill.shorten();

create trigger drill_waits_in_claim
before update on ops.webhook_deliveries
for each row
when (new.attempt > old.attempt)
execute function drill.wait_at('1');

create trigger drill_notes_effect
after insert on ops.webhook_receipts
for each row
execute function drill.note_effect();

create trigger drill_waits_in_handler
after insert on ops.webhook_receipts
for each row
execute function drill.wait_at('2');

create trigger drill_waits_in_record
after update on ops.webhook_deliveries
for each row
when (new.state = 'delivered' and old.state = 'scheduled')
execute function drill.wait_at('3');

-- The sweep alone queues a wake-up outside every trigger.
create trigger drill_waits_in_sweep
before insert on net.http_request_queue
for each row
when (pg_trigger_depth() = 0)
execute function drill.wait_at('4');
