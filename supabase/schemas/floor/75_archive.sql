-- Promises that what grows stays bounded: a big plain table becomes monthly partitions whole or not at all, and what
-- only tells of the past goes in small batches.

create table ops.archive_policies (
    parent_schema text not null,
    parent_table text not null,
    control_column text not null,
    created_at timestamptz not null default now(),
    primary key (parent_schema, parent_table)
);
alter table ops.archive_policies enable row level security;
comment on table ops.archive_policies is
'Which plain tables may be partitioned without asking again, once they are big. All others are only reported.';
comment on column ops.archive_policies.control_column is 'The timestamptz column that decides the month of a row.';

create function private.obstacles_to_partitioning(
    source regclass,
    control_column name
)
returns table (
    problem text,
    hint text
)
stable
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select
        obstacle.problem,
        obstacle.hint
    from pg_class as relation
    left join pg_attribute as control
        on
            relation.oid = control.attrelid
            and control.attname = control_column
            and control.attnum > 0
            and not control.attisdropped
    cross join lateral (
        values
        (
            1,
            relation.relkind = 'p',
            'The table is partitioned already.',
            'Give it a row in ops.partition_policies.'
        ),
        (
            2,
            relation.relkind not in ('r', 'p') or relation.relpersistence <> 'p' or relation.reloftype <> 0,
            'It is no plain, permanent table.',
            'Only those can be converted.'
        ),
        (
            3,
            relation.relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
            or exists (
                select
                from pg_depend as dependency
                where
                    dependency.classid = 'pg_class'::regclass
                    and dependency.objid = relation.oid
                    and dependency.deptype = 'e'
            ),
            'The table belongs to Postgres or to an extension.',
            'Leave it to its owner.'
        ),
        (
            4,
            relation.relispartition
            or exists (select from pg_inherits as link where relation.oid in (link.inhrelid, link.inhparent)),
            'The table has parents or children.',
            'Partition its parent instead.'
        ),
        (
            5,
            control.attname is null
            or control.atttypid <> 'timestamptz'::regtype
            or not control.attnotnull
            or control.attgenerated <> '',
            'The control column is no timestamptz column that is never null.',
            'Name one; a generated column cannot decide the month.'
        ),
        (
            6,
            exists (
                select
                from pg_constraint as inbound
                where
                    inbound.contype = 'f'
                    and inbound.confrelid = relation.oid
            ),
            'Foreign keys refer to the table.',
            'They would have to name the control column too: let them go, or delete by age instead.'
        ),
        (
            7,
            exists (
                select
                from pg_index as index
                where
                    index.indrelid = relation.oid
                    and (
                        index.indisexclusion
                        or index.indisunique
                        and not coalesce(control.attnum = any((index.indkey::int2[])[0:index.indnkeyatts - 1]), false)
                    )
            ),
            'A primary key, unique or exclusion constraint does not hold the control column.',
            'Partitions can only keep rows apart within a month: add the column to the key.'
        ),
        (
            8,
            relation.relhasrules,
            'The table has rules.',
            'Replace them with triggers.'
        ),
        (
            9,
            exists (
                select
                from pg_depend as dependency
                left join pg_policy as policy
                    on
                        dependency.classid = 'pg_policy'::regclass
                        and dependency.objid = policy.oid
                where
                    dependency.deptype = 'n'
                    and (
                        dependency.refclassid = 'pg_class'::regclass
                        and dependency.refobjid = relation.oid
                        or dependency.refclassid = 'pg_type'::regclass
                        and dependency.refobjid in (
                            select type.oid
                            from pg_type as type
                            where relation.reltype in (type.oid, type.typelem)
                        )
                    )
                    and (
                        dependency.classid in ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)
                        or dependency.classid = 'pg_class'::regclass
                        and dependency.objid <> relation.oid
                        and not exists (
                            select
                            from pg_index as own
                            where
                                own.indexrelid = dependency.objid
                                and own.indrelid = relation.oid
                        )
                        or policy.polrelid <> relation.oid
                    )
            ),
            'Views, functions or policies of other tables are bound to the table.',
            'Drop them, convert, and create them again, in one migration.'
        ),
        (
            10,
            exists (
                select
                from pg_constraint as own
                where
                    own.conrelid = relation.oid
                    and (not own.convalidated or own.contype = 'c' and own.connoinherit)
            ),
            'A constraint is not validated, or not inherited.',
            'Validate it, or let partitions inherit it.'
        ),
        (
            11,
            exists (
                select
                from pg_trigger as own
                where
                    own.tgrelid = relation.oid
                    and own.tgtype & 1 = 1
                    and (own.tgoldtable is not null or own.tgnewtable is not null)
            ),
            'A row trigger has a transition table.',
            'Partitioned tables know those only for statements.'
        ),
        (
            12,
            relation.relreplident <> 'd' or relation.reloptions is not null,
            'The table has a replica identity or storage parameters of its own.',
            'Reset them: the partitions to come would not have them.'
        ),
        (
            13,
            exists (
                select
                from pg_publication_rel as published
                inner join pg_publication as publication on published.prpubid = publication.oid
                where
                    published.prrelid = relation.oid
                    and (
                        not publication.pubviaroot
                        or published.prqual is not null
                        or published.prattrs is not null
                    )
            ),
            'A publication would tell of the partitions instead of the table, or filters it.',
            'Set publish_via_partition_root on the publication, or take the table out of it.'
        ),
        (
            14,
            pg_table_size(relation.oid) > 10::bigint * 1024 * 1024 * 1024,
            'The table is larger than 10 GB: its writers would wait for too long.',
            'Create a partitioned table beside it, let the writers change over, and move the past in parts.'
        )
    ) as obstacle (number, is_there, problem, hint)
    where
        relation.oid = source
        and obstacle.is_there
    order by obstacle.number
$$;
comment on function private.obstacles_to_partitioning(regclass, name) is
'What a table has that monthly partitions could not keep; no row when it can be converted.';

create function private.copy_grants(
    source regclass,
    target regclass
)
returns void
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    kind text;
    statement text;
begin
    select case when relation.relkind = 'S' then 'sequence' else 'table' end
    into kind
    from pg_class as relation
    where relation.oid = target;

    -- Default privileges may have given the new one what the old one never had.
    for statement in
        select distinct
            format(
                'revoke all on %s %s from %s',
                kind,
                target,
                case when entry.grantee = 0 then 'public' else format('%I', pg_get_userbyid(entry.grantee)) end
            )
        from pg_class as relation
        cross join lateral aclexplode(relation.relacl) as entry
        where
            relation.oid = target
            and entry.grantee <> relation.relowner
    loop
        execute statement;
    end loop;

    for statement in
        with held as (
            select
                relation.relowner,
                relation.relacl as entries,
                null::name as column_name
            from pg_class as relation
            where relation.oid = source
            union all
            select
                relation.relowner,
                attribute.attacl,
                attribute.attname
            from pg_class as relation
            inner join pg_attribute as attribute on relation.oid = attribute.attrelid
            where
                relation.oid = source
                and attribute.attacl is not null
                and not attribute.attisdropped
        )

        select
            format(
                'grant %s%s on %s %s to %s%s',
                entry.privilege_type,
                ' (' || quote_ident(held.column_name) || ')',
                kind,
                target,
                case when entry.grantee = 0 then 'public' else format('%I', pg_get_userbyid(entry.grantee)) end,
                case when entry.is_grantable then ' with grant option' else '' end
            )
        from held
        cross join lateral aclexplode(held.entries) as entry
        where entry.grantee <> held.relowner
    loop
        execute statement;
    end loop;
end
$$;
comment on function private.copy_grants(regclass, regclass) is
'Gives one table or sequence the grants of another, on columns too, and no others.';

create function private.checksum_of(
    source regclass,
    out row_count bigint,
    out checksum numeric
)
returns record
stable
security invoker
set search_path = pg_catalog, pg_temp
set row_security = off
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set extra_float_digits = 1
language plpgsql
as $$
declare
    columns text;
begin
    select string_agg(format('%I', attribute.attname), ', ' order by attribute.attnum)
    into columns
    from pg_attribute as attribute
    where
        attribute.attrelid = source
        and attribute.attnum > 0
        and not attribute.attisdropped;
    execute format(
        'select count(*), coalesce(sum(hashtextextended(row(%s)::text, 0)::numeric), 0) from %s', columns, source
    )
    into
        row_count,
        checksum;
end
$$;
comment on function private.checksum_of(regclass) is
'How many rows a table has, and a sum over all of them that is the same in any order.';

create function private.what_follows_the_swap(
    source regclass,
    target regclass
)
returns text[]
stable
security invoker
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
language sql
as $$
    with source_name as (
        select
            relation.oid,
            relation.relname,
            format('%I.%I', schema.nspname, relation.relname) as qualified
        from pg_class as relation
        inner join pg_namespace as schema on relation.relnamespace = schema.oid
        where relation.oid = source
    ),

    steps (number, name, statement) as (
        select
            1,
            own.tgname,
            pg_get_triggerdef(own.oid)
        from pg_trigger as own
        where
            own.tgrelid = source
            and not own.tgisinternal
        union all
        select
            2,
            own.tgname,
            format(
                'alter table %s %s trigger %I',
                source_name.qualified,
                case own.tgenabled when 'D' then 'disable' when 'A' then 'enable always' else 'enable replica' end,
                own.tgname
            )
        from pg_trigger as own
        cross join source_name
        where
            own.tgrelid = source
            and not own.tgisinternal
            and own.tgenabled <> 'O'
        union all
        select
            3,
            own.tgname,
            format('comment on trigger %I on %s is %L', own.tgname, source_name.qualified, remark.text)
        from pg_trigger as own
        cross join source_name
        cross join lateral obj_description(own.oid, 'pg_trigger') as remark (text)
        where
            own.tgrelid = source
            and remark.text is not null
        union all
        select
            4,
            own.polname,
            format(
                'create policy %I on %s as %s for %s to %s%s%s',
                own.polname,
                source_name.qualified,
                case when own.polpermissive then 'permissive' else 'restrictive' end,
                case own.polcmd
                    when 'r' then 'select'
                    when 'a' then 'insert'
                    when 'w' then 'update'
                    when 'd' then 'delete'
                    else 'all'
                end,
                (
                    select
                        string_agg(
                            case when role.id = 0 then 'public' else format('%I', pg_get_userbyid(role.id)) end, ', '
                        )
                    from unnest(own.polroles) as role (id)
                ),
                ' using (' || pg_get_expr(own.polqual, own.polrelid) || ')',
                ' with check (' || pg_get_expr(own.polwithcheck, own.polrelid) || ')'
            )
        from pg_policy as own
        cross join source_name
        where own.polrelid = source
        union all
        select
            5,
            own.polname,
            format('comment on policy %I on %s is %L', own.polname, source_name.qualified, remark.text)
        from pg_policy as own
        cross join source_name
        cross join lateral obj_description(own.oid, 'pg_policy') as remark (text)
        where
            own.polrelid = source
            and remark.text is not null
        union all
        select
            6,
            publication.pubname,
            format('alter publication %I add table %s', publication.pubname, source_name.qualified)
        from pg_publication_rel as published
        inner join pg_publication as publication on published.prpubid = publication.oid
        cross join source_name
        where published.prrelid = source
        union all
        -- The sequence of an identity column is made anew; whoever knows it by name finds it again.
        select
            7,
            attribute.attname,
            format(
                'alter sequence %s rename to %I',
                pg_get_serial_sequence(target::text, attribute.attname),
                old_sequence.relname
            )
        from pg_attribute as attribute
        cross join source_name
        inner join pg_class as old_sequence
            on pg_get_serial_sequence(source_name.qualified, attribute.attname)::regclass = old_sequence.oid
        where
            attribute.attrelid = source
            and attribute.attidentity <> ''
            and not attribute.attisdropped
    )

    select coalesce(array_agg(steps.statement order by steps.number, steps.name), '{}')
    from steps
$$;
comment on function private.what_follows_the_swap(regclass, regclass) is
'Statements that give the new table, once it has the name, the triggers, policies and publications of the old one.';

create function ops.partition_large_table(
    source regclass,
    control_column name,
    dry_run boolean default false
)
returns table (
    parent text,
    months integer,
    row_count bigint,
    checksum numeric,
    is_converted boolean
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
set row_security = off
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set quote_all_identifiers = off
set lock_timeout = '2s'
language plpgsql
as $$
declare
    relation record;
    obstacle record;
    part record;
    copy_name name;
    target regclass;
    child_schema name;
    child_name name;
    child regclass;
    begins timestamptz;
    month_starts timestamptz[];
    columns text;
    prefix text;
    statement text;
    afterwards text[];
    copied record;
begin
    select
        class.oid,
        class.relname,
        class.relowner,
        class.relrowsecurity,
        class.relforcerowsecurity,
        schema.nspname,
        format('%I.%I', schema.nspname, class.relname) as qualified,
        obj_description(class.oid, 'pg_class') as remark
    into relation
    from pg_class as class
    inner join pg_namespace as schema on class.relnamespace = schema.oid
    where class.oid = source;
    if not found or control_column is null or dry_run is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'There is no such table, or no control column is named.',
            hint = 'Pass a table, its timestamptz column, and whether it is only a rehearsal.';
    end if;
    parent := relation.qualified;
    is_converted := false;
    -- An older snapshot would not see the last rows, and the table with them is dropped.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'active_sql_transaction',
            message = 'The transaction looks at the past.',
            hint = 'Call it in a transaction of isolation level read committed.';
    end if;

    -- Twice: what cannot be converted is not locked, and behind the lock nothing changes any more.
    for attempt in 1..2 loop
        select found_one.*
        into obstacle
        from private.obstacles_to_partitioning(source, control_column) as found_one
        limit 1;
        if found then
            raise exception using
                errcode = 'object_not_in_prerequisite_state',
                message = obstacle.problem,
                detail = format('The table is %s.', parent),
                hint = obstacle.hint;
        end if;
        exit when dry_run;
        -- Readers go on. Writers wait until the copy has the name: a row can be neither missed nor copied twice.
        execute format('lock table only %s in share row exclusive mode', source);
    end loop;

    execute format(
        'select array_agg(distinct month order by month) from ('
        'select date_trunc(''month'', %1$I, ''UTC'') as month from only %2$s '
        'where isfinite(%1$I) and %1$I < date_trunc(''month'', now(), ''UTC'') '
        'union all '
        'select date_trunc(''month'', now(), ''UTC'') + make_interval(months => ahead) from generate_series(0, 3) as ahead'
        ') as needed',
        control_column,
        source
    )
    into month_starts;
    months := cardinality(month_starts);
    if months > 600 then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'The rows are of more than 600 months.',
            detail = format('The earliest month is %s.', month_starts[1]),
            hint = 'Correct the times that cannot be true.';
    end if;
    if dry_run then
        execute format('select count(*) from only %s', source)
        into row_count;
        return next;
        return;
    end if;

    -- The copy and its months, under the old owner.
    copy_name := left(relation.relname, 50) || '__partitioned';
    if to_regclass(format('%I.%I', relation.nspname, copy_name)) is not null then
        raise exception using
            errcode = 'duplicate_table',
            message = 'Something else has the name of the copy.',
            detail = format('%I.%I is there.', relation.nspname, copy_name),
            hint = 'Rename it.';
    end if;
    execute format(
        'create table %I.%I (like %s including all excluding indexes) partition by range (%I)',
        relation.nspname,
        copy_name,
        source,
        control_column
    );
    target := format('%I.%I', relation.nspname, copy_name)::regclass;
    if relation.relowner <> current_user::regrole then
        execute format('alter table %s owner to %I', target, pg_get_userbyid(relation.relowner));
    end if;
    child_schema := case when relation.nspname = 'ops' then 'ops' else 'private' end;
    foreach begins in array array[null::timestamptz] || month_starts loop
        child_name := left(relation.relname, 55) || coalesce(to_char(begins, '_YYYY_MM'), '_default');
        if to_regclass(format('%I.%I', child_schema, child_name)) is not null then
            raise exception using
                errcode = 'duplicate_table',
                message = 'Something else has the name of a partition.',
                detail = format('%I.%I is there.', child_schema, child_name),
                hint = 'Rename it.';
        end if;
        execute format(
            'create table %I.%I partition of %s %s',
            child_schema,
            child_name,
            target,
            case
                when begins is null then 'default'
                else format('for values from (%L) to (%L)', begins, begins + interval '1 month')
            end
        );
        child := format('%I.%I', child_schema, child_name)::regclass;
        execute format('alter table %s enable row level security', child);
        execute format(
            'revoke all on table %s from public, anon, authenticated, service_role, '
            'app_anonymous, app_authenticated, app_premium, app_admin, app_service',
            child
        );
        execute format(
            'comment on table %s is %L',
            child,
            case
                when begins is null then format('Rows of %s that have no month of their own.', parent)
                else format('Rows of %s from %s until before %s.', parent, begins, begins + interval '1 month')
            end
        );
    end loop;

    -- The rows. No trigger is there yet: to move a row is not to write it.
    select string_agg(format('%I', attribute.attname), ', ' order by attribute.attnum)
    into columns
    from pg_attribute as attribute
    where
        attribute.attrelid = source
        and attribute.attnum > 0
        and not attribute.attisdropped
        and attribute.attgenerated = '';
    execute format(
        'insert into %s (%s) overriding system value select %2$s from only %3$s', target, columns, source
    );

    -- Keys and indexes, under their own names: functions know constraints by them.
    for part in
        select
            index.indexrelid::regclass as old_index,
            index.indisunique as is_unique,
            class.relname as name,
            pg_get_indexdef(index.indexrelid) as definition,
            own.conname as constraint_name,
            pg_get_constraintdef(own.oid) as constraint_definition,
            obj_description(index.indexrelid, 'pg_class') as remark,
            obj_description(own.oid, 'pg_constraint') as constraint_remark
        from pg_index as index
        inner join pg_class as class on index.indexrelid = class.oid
        left join pg_constraint as own
            on
                index.indexrelid = own.conindid
                and own.conrelid = index.indrelid
                and own.contype in ('p', 'u')
        where index.indrelid = source
        order by
            index.indisprimary desc,
            index.indexrelid
    loop
        prefix := format(
            'CREATE %sINDEX %I ON %s USING ', case when part.is_unique then 'UNIQUE ' else '' end, part.name, parent
        );
        if part.constraint_name is null and not starts_with(part.definition, prefix) then
            raise exception using
                errcode = 'feature_not_supported',
                message = 'An index is described in words that are not understood.',
                detail = part.definition,
                hint = 'Drop it, convert, and create it again.';
        end if;
        execute format('alter index %s rename to %I', part.old_index, '__before_' || part.old_index::oid);
        if part.constraint_name is null then
            execute format(
                'create %sindex %I on %s using %s',
                case when part.is_unique then 'unique ' else '' end,
                part.name,
                target,
                substr(part.definition, length(prefix) + 1)
            );
        else
            execute format(
                'alter table %s add constraint %I %s', target, part.constraint_name, part.constraint_definition
            );
            if part.constraint_remark is not null then
                execute format(
                    'comment on constraint %I on %s is %L', part.constraint_name, target, part.constraint_remark
                );
            end if;
        end if;
        if part.remark is not null then
            execute format('comment on index %I.%I is %L', relation.nspname, part.name, part.remark);
        end if;
    end loop;
    for part in
        select
            own.conname as name,
            pg_get_constraintdef(own.oid) as definition,
            obj_description(own.oid, 'pg_constraint') as remark
        from pg_constraint as own
        where
            own.conrelid = source
            and own.contype = 'f'
        order by own.oid
    loop
        execute format('alter table %s add constraint %I %s', target, part.name, part.definition);
        if part.remark is not null then
            execute format('comment on constraint %I on %s is %L', part.name, target, part.remark);
        end if;
    end loop;

    -- Who may what.
    if relation.relrowsecurity then
        execute format('alter table %s enable row level security', target);
    end if;
    if relation.relforcerowsecurity then
        execute format('alter table %s force row level security', target);
    end if;
    execute format('comment on table %s is %L', target, relation.remark);
    perform private.copy_grants(source, target);

    -- Sequences go on where they are.
    for part in
        select
            attribute.attname as column_name,
            attribute.attidentity <> '' as is_identity,
            sequence.name::regclass as old_sequence
        from pg_attribute as attribute
        cross join lateral pg_get_serial_sequence(parent, attribute.attname) as sequence (name)
        where
            attribute.attrelid = source
            and attribute.attnum > 0
            and not attribute.attisdropped
            and sequence.name is not null
    loop
        if part.is_identity then
            statement := pg_get_serial_sequence(target::text, part.column_name);
            execute format(
                'select setval(%L, counter.last_value, counter.is_called) from %s as counter',
                statement,
                part.old_sequence
            );
            perform private.copy_grants(part.old_sequence, statement::regclass);
        else
            execute format('alter sequence %s owned by %s.%I', part.old_sequence, target, part.column_name);
        end if;
    end loop;

    -- Equal, or nothing has happened.
    select counted.*
    into copied
    from private.checksum_of(target) as counted;
    select
        counted.row_count,
        counted.checksum
    into
        row_count,
        checksum
    from private.checksum_of(source) as counted;
    if (copied.row_count, copied.checksum) is distinct from (row_count, checksum) then
        raise exception using
            errcode = 'data_corrupted',
            message = 'The copy is not equal to the table.',
            detail = format('%s rows were copied of %s in %s.', copied.row_count, row_count, parent),
            hint = 'Nothing was changed. Look for a column whose value depends on when it is computed.';
    end if;
    execute format('analyze %s', target);

    -- The swap. Only from here on readers wait, for milliseconds; without `cascade`, what was overlooked stops it.
    afterwards := private.what_follows_the_swap(source, target);
    execute format('lock table only %s in access exclusive mode', source);
    execute format('drop table %s', source);
    execute format('alter table %s rename to %I', target, relation.relname);
    foreach statement in array afterwards loop
        execute statement;
    end loop;

    insert into ops.partition_policies (parent_schema, parent_table, control_column)
    values (relation.nspname, relation.relname, partition_large_table.control_column)
    on conflict do nothing;
    perform ops.raise_alert(
        'table_partitioned',
        parent,
        format('%s rows were moved into %s months, checksum %s.', row_count, months, checksum),
        'info'
    );
    perform ops.resolve_alert('table_partitioned', parent);
    is_converted := true;
    return next;
end
$$;
comment on function ops.partition_large_table(regclass, name, boolean) is
'Turns a plain table into monthly partitions of UTC in one transaction: rows, keys, grants, policies and triggers are '
'kept, or nothing changes. Readers go on, writers wait. A rehearsal only tells what would be done.';

create function ops.auto_archive_policy(
    threshold_bytes bigint default 1073741824,
    at timestamptz default now()
)
returns table (
    parent text,
    bytes bigint,
    state text,
    message text
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    large record;
    alert record;
    chosen record;
    reported text[] := array[]::text[];
begin
    if not coalesce(threshold_bytes >= 0, false) or not coalesce(isfinite(at), false) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The threshold is no number of bytes, or the time is no moment.',
            hint = 'Pass a bigint of 0 or more and a timestamptz, or nothing.';
    end if;
    for large in
        select
            relation.oid,
            format('%I.%I', schema.nspname, relation.relname) as name,
            pg_total_relation_size(relation.oid) as bytes,
            policy.control_column::name as control_column
        from pg_class as relation
        inner join pg_namespace as schema on relation.relnamespace = schema.oid
        left join ops.archive_policies as policy
            on
                schema.nspname = policy.parent_schema
                and relation.relname = policy.parent_table
        where
            relation.relkind = 'r'
            and relation.relpersistence = 'p'
            and not relation.relispartition
            and pg_total_relation_size(relation.oid) >= threshold_bytes
            and relation.relnamespace in (
                select own.schema
                from private.own_schemas() as own (schema)
            )
            and not exists (
                select
                from pg_depend as dependency
                where
                    dependency.classid = 'pg_class'::regclass
                    and dependency.objid = relation.oid
                    and dependency.deptype = 'e'
            )
        order by
            bytes desc,
            name
    loop
        parent := large.name;
        bytes := large.bytes;
        message := null;
        if large.control_column is null then
            state := 'candidate';
            message := 'The table is large and no row of ops.archive_policies says that it may be partitioned.';
        else
            select found_one.problem
            into message
            from private.obstacles_to_partitioning(large.oid, large.control_column) as found_one
            limit 1;
            state := case when message is null then 'candidate' else 'refused' end;
            if message is null and chosen is null then
                chosen := large;
                continue;
            end if;
            -- Each conversion holds its table until commit, so one is enough.
            message := coalesce(message, 'The table waits for the next run: one is converted at a time.');
        end if;
        reported := reported || large.name;
        perform ops.raise_alert('large_table', large.name, message, at => auto_archive_policy.at);
        return next;
    end loop;

    if chosen is not null then
        parent := chosen.name;
        bytes := chosen.bytes;
        begin
            select format('%s rows are in %s months.', made.row_count, made.months)
            into message
            from ops.partition_large_table(chosen.oid, chosen.control_column) as made;
            state := 'converted';
        exception
            when others then
                raise warning '% was not partitioned: %', parent, sqlerrm;
                state := 'refused';
                message := sqlerrm;
                reported := reported || parent;
                perform ops.raise_alert('large_table', parent, message, at => auto_archive_policy.at);
        end;
        return next;
    end if;

    for alert in
        select stored.subject
        from ops.alerts as stored
        where
            stored.kind = 'large_table'
            and stored.resolved_at is null
            and stored.subject <> all(reported)
    loop
        perform ops.resolve_alert('large_table', alert.subject, auto_archive_policy.at);
    end loop;
end
$$;
comment on function ops.auto_archive_policy(bigint, timestamptz) is
'Looks for plain tables over a size: the largest that a policy names is partitioned, all others raise an alert. '
'One row a table: converted, refused with the reason, or candidate.';

create function ops.purge_cron_history(
    at timestamptz default now(),
    batch_size integer default 5000
)
returns bigint
volatile
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    purged bigint;
begin
    with old as (
        select run.runid
        from cron.job_run_details as run
        where coalesce(run.end_time, run.start_time) < at - interval '7 days'
        order by run.runid
        limit least(greatest(purge_cron_history.batch_size, 0), 50000)
        for update skip locked
    )

    delete from cron.job_run_details as run
    using old
    where run.runid = old.runid;
    get diagnostics purged = row_count;
    return purged;
end
$$;
comment on function ops.purge_cron_history(timestamptz, integer) is
'Removes runs of pg_cron that ended seven days ago, so many at a time; returns how many. pg_cron never does.';

grant select on ops.archive_policies to app_service;
