-- What the realtime tests change and subscribe to. Every name begins with conformance_.


-- Rows of one's own, and rows that everybody sees; one column that only the service may read.
create table public.conformance_notes (
    id bigint primary key,
    owner uuid,
    shared boolean not null default false,
    room text not null default 'hall',
    body text,
    amount numeric(12, 2),
    big bigint,
    tags text[],
    written_at timestamptz,
    day date,
    meta jsonb,
    hidden text
);
alter table public.conformance_notes enable row level security;
revoke all on public.conformance_notes from anon, authenticated;
grant select (id, owner, shared, room, body, amount, big, tags, written_at, day, meta)
on public.conformance_notes to anon, authenticated;
grant all on public.conformance_notes to service_role;
create policy conformance_notes_read on public.conformance_notes
for select to anon, authenticated
using (shared or owner = (select auth.uid()));

-- No row-level security, and old rows in full.
create table public.conformance_open (
    id integer primary key,
    body text
);
alter table public.conformance_open replica identity full;
grant select on public.conformance_open to anon, authenticated, service_role;

-- A policy that raises for signed-in users only.
create table public.conformance_touchy (
    id integer primary key,
    body text
);
alter table public.conformance_touchy enable row level security;
grant select on public.conformance_touchy to anon, authenticated, service_role;
create policy conformance_touchy_anon on public.conformance_touchy
for select to anon
using (true);
create policy conformance_touchy_authenticated on public.conformance_touchy
for select to authenticated
using (1 / (id - id) = 1);

create table public.conformance_keyless (body text);
alter table public.conformance_keyless replica identity full;
grant select on public.conformance_keyless to anon, authenticated, service_role;

create table public.conformance_unpublished (id integer primary key);
grant select on public.conformance_unpublished to anon, authenticated, service_role;

alter publication supabase_realtime add table public.conformance_notes;
alter publication supabase_realtime add table public.conformance_open;
alter publication supabase_realtime add table public.conformance_touchy;
alter publication supabase_realtime add table public.conformance_keyless;

-- Private channels: anyone signed in reads and writes `conformance:room:*`, reads `conformance:news`,
-- and has `conformance:user:<id>` to themselves.
create policy conformance_receive on realtime.messages
for select to authenticated
using (
    (select realtime.topic()) like 'conformance:room:%'
    or (select realtime.topic()) = 'conformance:news'
    or (select realtime.topic()) = 'conformance:user:' || (select auth.uid())::text
);
create policy conformance_send on realtime.messages
for insert to authenticated
with check ((select realtime.topic()) like 'conformance:room:%');
