-- Defects of the source designs that no other file tries: docs/source-design.md names the test of each.
begin;
select plan(4);

create temporary view times_without_zone as
select format('%s.%s', attribute.attrelid::regclass, attribute.attname) collate "default" as found
from pg_attribute as attribute
inner join pg_class as relation on attribute.attrelid = relation.oid
where
    relation.relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace)
    and relation.relkind in ('r', 'p', 'v', 'm')
    and attribute.attnum > 0
    and not attribute.attisdropped
    and attribute.atttypid in ('timestamp'::regtype, 'time'::regtype, 'timestamp[]'::regtype, 'time[]'::regtype);
create temporary view filtered_publications as
select prrelid::regclass::text collate "default" as found
from pg_publication_rel
where prqual is not null;

select is_empty('table times_without_zone', 'D61: no time is without its zone');
select is_empty('table filtered_publications', 'D49: no publication chooses rows');

-- What they find.
create table public.planted_times (
    id bigint primary key,
    begins timestamp,
    ends timestamptz
);
create publication planted for table public.planted_times where (id > 0);
select results_eq(
    'table times_without_zone',
    array['planted_times.begins'],
    'a time without its zone is seen'
);
select results_eq(
    'table filtered_publications',
    array['planted_times'],
    'a publication that chooses rows is seen'
);

select finish();
rollback;
