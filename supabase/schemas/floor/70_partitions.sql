-- Promises that every kept table has its next months ready, loses only the months that its policy lets go, and that no
-- partition can be reached by itself. Months are those of UTC, whoever asks from wherever.

create table ops.partition_policies (
    parent_schema text not null,
    parent_table text not null,
    control_column text not null,
    months_ahead integer not null default 3,
    retention interval,
    primary key (parent_schema, parent_table),
    constraint months_ahead_are_45_days_or_more check (months_ahead between 2 and 24),
    constraint retention_is_a_month_or_more check (retention >= interval '1 month')
);
alter table ops.partition_policies enable row level security;
comment on table ops.partition_policies is
'Which tables are kept in monthly partitions, how far ahead and for how long.';
comment on column ops.partition_policies.control_column is 'The timestamptz column that the table is partitioned by.';
comment on column ops.partition_policies.months_ahead is 'How many months after the current one are ready.';
comment on column ops.partition_policies.retention is
'A partition goes when its newest possible row is this old; null keeps all.';

create function private.partition_column(parent regclass)
returns name
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    control name;
begin
    select attribute.attname
    into control
    from pg_partitioned_table as partitioned
    inner join pg_attribute as attribute
        on
            partitioned.partrelid = attribute.attrelid
            and partitioned.partattrs[0] = attribute.attnum
    where
        partitioned.partrelid = parent
        and partitioned.partstrat = 'r'
        and partitioned.partnatts = 1
        and attribute.atttypid = 'timestamptz'::regtype;
    if not found then
        raise exception using
            errcode = 'wrong_object_type',
            message = 'The table is not partitioned by range of one timestamptz column.',
            detail = format('The table is %s.', coalesce(parent::text, 'null')),
            hint = 'Create it with "partition by range (column)"; a plain table is not converted in place.';
    end if;
    return control;
end
$$;
comment on function private.partition_column(regclass) is
'The column that decides the month of a row; raises for a table that cannot have monthly partitions.';

-- Bounds are read, never names: an ordinary table may be called anything. ISO and UTC make the text unambiguous.
create function private.partitions_of(parent regclass)
returns table (
    child regclass,
    lower_bound timestamptz,
    upper_bound timestamptz,
    is_default boolean
)
stable
security invoker
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
language sql
as $$
    select
        relation.oid::regclass as child,
        (regexp_match(bound.expression, '^FOR VALUES FROM \(''([^'']+)''\)'))[1]::timestamptz as lower_bound,
        (regexp_match(bound.expression, ' TO \(''([^'']+)''\)$'))[1]::timestamptz as upper_bound,
        bound.expression = 'DEFAULT' as is_default
    from pg_inherits as inheritance
    inner join pg_class as relation on inheritance.inhrelid = relation.oid
    cross join lateral pg_get_expr(relation.relpartbound, relation.oid) as bound (expression)
    where inheritance.inhparent = partitions_of.parent
$$;
comment on function private.partitions_of(regclass) is
'The partitions of a table and their bounds; a bound without end is null.';

create function private.parent_of_policy(policy ops.partition_policies)
returns regclass
stable
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    parent regclass := to_regclass(format('%I.%I', policy.parent_schema, policy.parent_table));
begin
    if parent is null then
        raise exception using
            errcode = 'undefined_table',
            message = 'A partition policy names a table that is not there.',
            detail = format('The policy is for %I.%I.', policy.parent_schema, policy.parent_table),
            hint = 'Delete the policy, or create the table.';
    end if;
    if private.partition_column(parent) <> policy.control_column then
        raise exception using
            errcode = 'undefined_column',
            message = 'A partition policy names another column than the table is partitioned by.',
            detail = format('%s is partitioned by %s.', parent, private.partition_column(parent)),
            hint = 'Correct control_column in ops.partition_policies.';
    end if;
    return parent;
end
$$;
comment on function private.parent_of_policy(ops.partition_policies) is
'The table of a policy; raises when the policy and the table do not agree.';

create function private.move_strays(
    source regclass,
    target regclass,
    control name,
    begins timestamptz,
    ends timestamptz
)
returns bigint
volatile
security invoker
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
language plpgsql
as $$
declare
    has_strays boolean;
    columns text;
    silence text[];
    restore text[];
    statement text;
    moved bigint;
begin
    execute format('select exists (select from only %s where %I >= $1 and %2$I < $2)', source, control)
    into has_strays
    using begins, ends;
    if not has_strays then
        return 0;
    end if;
    if exists (
        select
        from pg_constraint as foreign_key
        where
            foreign_key.contype = 'f'
            and foreign_key.confrelid = source
            and foreign_key.confdeltype in ('c', 'n', 'd')
    ) then
        raise exception using
            errcode = 'dependent_objects_still_exist',
            message = 'Rows cannot leave the default partition while a foreign key acts on their deletion.',
            detail = format('Rows from %s to %s are in %s.', begins, ends, source),
            hint = 'In one transaction drop the foreign key, create the partition and add the key again.';
    end if;

    select string_agg(format('%I', attribute.attname), ', ' order by attribute.attnum)
    into columns
    from pg_attribute as attribute
    where
        attribute.attrelid = source
        and attribute.attnum > 0
        and not attribute.attisdropped
        and attribute.attgenerated = '';

    -- To move a row is not to delete it: an append-only table must not refuse, nor an audit record it.
    select
        coalesce(array_agg(format('alter table %s disable trigger %I', source, row_trigger.tgname)), '{}'),
        coalesce(
            array_agg(
                format(
                    'alter table %s enable %s trigger %I',
                    source,
                    case row_trigger.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end,
                    row_trigger.tgname
                )
            ),
            '{}'
        )
    into
        silence,
        restore
    from pg_trigger as row_trigger
    where
        row_trigger.tgrelid = source
        and not row_trigger.tgisinternal
        and row_trigger.tgenabled <> 'D';

    foreach statement in array silence loop
        execute statement;
    end loop;
    execute format(
        'with moved as (delete from only %1$s where %2$I >= $1 and %2$I < $2 returning %3$s) '
        'insert into %4$s (%3$s) select %3$s from moved',
        source,
        control,
        columns,
        target
    )
    using begins, ends;
    get diagnostics moved = row_count;
    foreach statement in array restore loop
        execute statement;
    end loop;
    return moved;
end
$$;
comment on function private.move_strays(regclass, regclass, name, timestamptz, timestamptz) is
'Moves the rows of a span from a default partition to a table that becomes their partition; returns how many.';

create function ops.create_monthly_partition(
    parent regclass,
    month date
)
returns table (
    child regclass,
    is_new boolean,
    moved_rows bigint
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set lock_timeout = '2s'
language plpgsql
as $$
declare
    control name := private.partition_column(parent);
    begins timestamptz := date_trunc('month', month::timestamptz, 'UTC');
    ends timestamptz := begins + interval '1 month';
    child_schema name;
    child_name name;
    stray_partition regclass;
begin
    if not coalesce(isfinite(month), false) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The month is no date.',
            hint = 'Pass any day of the month.';
    end if;
    is_new := false;
    moved_rows := 0;

    -- Twice: on most days there is nothing to do and nothing is locked; behind the lock nobody else can make it.
    for attempt in 1..2 loop
        select existing.child
        into child
        from private.partitions_of(parent) as existing
        where
            not existing.is_default
            and coalesce(existing.lower_bound, '-infinity') <= begins
            and coalesce(existing.upper_bound, 'infinity') >= ends;
        if child is not null then
            return next;
            return;
        end if;
        -- Keeps other makers out; readers and writers of the table go on.
        execute format('lock table only %s in share update exclusive mode', parent);
    end loop;

    select
        case when schema.nspname = 'ops' then 'ops' else 'private' end,
        left(relation.relname, 55) || to_char(begins, '_YYYY_MM')
    into
        child_schema,
        child_name
    from pg_class as relation
    inner join pg_namespace as schema on relation.relnamespace = schema.oid
    where relation.oid = parent;
    if to_regclass(format('%I.%I', child_schema, child_name)) is not null then
        raise exception using
            errcode = 'duplicate_table',
            message = 'Something else has the name of the partition.',
            detail = format('%I.%I is no partition of %s for that month.', child_schema, child_name, parent),
            hint = 'Rename it; rows wait in the default partition until then.';
    end if;

    -- An attached table, unlike one created as a partition, locks nobody out of the parent. Identity comes with attach.
    execute format(
        'create table %I.%I (like %s including all excluding identity)', child_schema, child_name, parent
    );
    child := format('%I.%I', child_schema, child_name)::regclass;
    execute format('alter table %s enable row level security', child);
    execute format(
        'revoke all on table %s from public, anon, authenticated, service_role, '
        'app_anonymous, app_authenticated, app_premium, app_admin, app_service',
        child
    );
    execute format(
        'comment on table %s is %L', child, format('Rows of %s from %s until before %s.', parent, begins, ends)
    );

    select existing.child
    into stray_partition
    from private.partitions_of(parent) as existing
    where existing.is_default;
    if stray_partition is not null then
        -- A row that came in between moving and attaching would make the attaching fail.
        execute format('lock table %s in access exclusive mode', stray_partition);
        moved_rows := private.move_strays(stray_partition, child, control, begins, ends);
    end if;
    execute format('alter table %s attach partition %s for values from (%L) to (%L)', parent, child, begins, ends);
    is_new := true;
    return next;
end
$$;
comment on function ops.create_monthly_partition(regclass, date) is
'Makes sure that the UTC month of the date has a partition, and moves into it what had strayed into the default one. '
'Gives up after 2 s rather than making writers wait.';

create function private.months_to_create(
    parent regclass,
    at timestamptz,
    months_ahead integer
)
returns date[]
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
language plpgsql
as $$
declare
    this_month timestamptz := date_trunc('month', at, 'UTC');
    months date[];
    stray_partition regclass;
    stray_months date[];
begin
    select array_agg((this_month + make_interval(months => ahead))::date order by ahead)
    into months
    from generate_series(0, months_ahead) as ahead;

    select existing.child
    into stray_partition
    from private.partitions_of(parent) as existing
    where existing.is_default;
    if stray_partition is not null then
        -- Old strays too: in a month of their own they are found by time, and expire with it. A few years at a time.
        execute format(
            'select array_agg(month) from ('
            'select distinct date_trunc(''month'', %1$I, ''UTC'')::date as month from only %2$s '
            'where isfinite(%1$I) and %1$I < $1 order by month limit 36) as stray',
            private.partition_column(parent),
            stray_partition
        )
        into stray_months
        using this_month;
    end if;
    return months || coalesce(stray_months, '{}');
end
$$;
comment on function private.months_to_create(regclass, timestamptz, integer) is
'First days of the months that need a partition: the current one, those ahead, and earlier ones that have strays.';

create function ops.create_monthly_partitions(at timestamptz default now())
returns table (
    parent text,
    month date,
    child text,
    state text,
    moved_rows bigint,
    message text
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
language plpgsql
as $$
declare
    policy ops.partition_policies;
    parent_table regclass;
    months date[];
begin
    if not coalesce(isfinite(at), false) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The time is no moment.',
            hint = 'Pass a timestamptz, or nothing for now.';
    end if;
    for policy in
        select stored.*
        from ops.partition_policies as stored
        order by
            stored.parent_schema,
            stored.parent_table
    loop
        parent := format('%I.%I', policy.parent_schema, policy.parent_table);
        -- What is wrong with one table, or with one month of it, is nothing to the others.
        begin
            month := null;
            child := null;
            months := '{}';
            parent_table := private.parent_of_policy(policy);
            -- Before the default partition is read: of two makers that had read it, neither could lock it.
            execute format('lock table only %s in share update exclusive mode', parent_table);
            months := private.months_to_create(parent_table, at, policy.months_ahead);
        exception
            when others then
                raise warning 'no partitions were made for %: %', parent, sqlerrm;
                state := 'failed';
                moved_rows := 0;
                message := sqlerrm;
                return next;
        end;
        foreach month in array months loop
            begin
                message := null;
                select
                    made.child::text,
                    case when made.is_new then 'created' else 'present' end,
                    made.moved_rows
                into
                    child,
                    state,
                    moved_rows
                from ops.create_monthly_partition(parent_table, month) as made;
            exception
                when others then
                    raise warning 'no partition was made for % in %: %', parent, month, sqlerrm;
                    child := null;
                    state := 'failed';
                    moved_rows := 0;
                    message := sqlerrm;
            end;
            return next;
        end loop;
    end loop;
end
$$;
comment on function ops.create_monthly_partitions(timestamptz) is
'Makes what is missing for every policy. One row a month: created, present, or failed with the reason.';

create function ops.drop_expired_partitions(
    at timestamptz default now(),
    dry_run boolean default false
)
returns table (
    parent text,
    child text,
    upper_bound timestamptz,
    state text,
    message text
)
volatile
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '2s'
language plpgsql
as $$
declare
    policy ops.partition_policies;
    parent_table regclass;
    expired record;
begin
    if not coalesce(isfinite(at), false) or dry_run is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'The time is no moment, or dry_run is neither true nor false.',
            hint = 'Pass a timestamptz, or nothing for now.';
    end if;
    for policy in
        select stored.*
        from ops.partition_policies as stored
        where stored.retention is not null
        order by
            stored.parent_schema,
            stored.parent_table
    loop
        parent := format('%I.%I', policy.parent_schema, policy.parent_table);
        begin
            parent_table := private.parent_of_policy(policy);
        exception
            when others then
                raise warning 'no partitions of % were dropped: %', parent, sqlerrm;
                child := null;
                upper_bound := null;
                state := 'failed';
                message := sqlerrm;
                return next;
                continue;
        end;
        for expired in
            select
                existing.child,
                existing.upper_bound
            from private.partitions_of(parent_table) as existing
            where
                not existing.is_default
                and existing.upper_bound <= at - policy.retention
            order by existing.upper_bound
        loop
            child := expired.child::text;
            upper_bound := expired.upper_bound;
            state := 'expired';
            message := null;
            if not dry_run then
                begin
                    -- Detached first: rows that others still refer to stop it here, and the partition stays as it was.
                    execute format('alter table %s detach partition %s', parent_table, expired.child);
                    execute format('drop table %s', expired.child);
                    state := 'dropped';
                exception
                    when others then
                        raise warning 'the partition % was not dropped: %', child, sqlerrm;
                        state := 'failed';
                        message := sqlerrm;
                end;
            end if;
            return next;
        end loop;
    end loop;
end
$$;
comment on function ops.drop_expired_partitions(timestamptz, boolean) is
'Drops the partitions whose upper bound is past their policy''s retention; a dry run only tells them. '
'One row a partition: expired, dropped, or failed with the reason.';

create function ops.partition_health(at timestamptz default now())
returns table (
    parent text,
    newest_bound timestamptz,
    days_ahead integer,
    stray_rows bigint,
    is_healthy boolean,
    problem text
)
stable
security definer
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    policy ops.partition_policies;
    parent_table regclass;
    stray_partition regclass;
    covered_until timestamptz;
    next_bound timestamptz;
begin
    for policy in
        select stored.*
        from ops.partition_policies as stored
        order by
            stored.parent_schema,
            stored.parent_table
    loop
        parent := format('%I.%I', policy.parent_schema, policy.parent_table);
        newest_bound := null;
        days_ahead := 0;
        stray_rows := null;
        begin
            parent_table := private.parent_of_policy(policy);
            select max(existing.upper_bound)
            into newest_bound
            from private.partitions_of(parent_table) as existing;

            -- A month that is missing ends what is ahead, whatever comes after it.
            covered_until := at;
            loop
                select max(coalesce(existing.upper_bound, 'infinity'))
                into next_bound
                from private.partitions_of(parent_table) as existing
                where
                    not existing.is_default
                    and coalesce(existing.lower_bound, '-infinity') <= covered_until
                    and coalesce(existing.upper_bound, 'infinity') > covered_until;
                exit when next_bound is null;
                covered_until := next_bound;
                exit when not isfinite(covered_until);
            end loop;
            days_ahead := case
                when isfinite(covered_until) then floor(extract(epoch from covered_until - at) / 86400)::integer
                else 2147483647
            end;

            select existing.child
            into stray_partition
            from private.partitions_of(parent_table) as existing
            where existing.is_default;
            stray_rows := 0;
            if stray_partition is not null then
                execute format('select count(*) from %s', stray_partition)
                into stray_rows;
            end if;

            problem := nullif(
                concat_ws(
                    ' ',
                    case when days_ahead < 45 then 'Partitions end in less than 45 days.' end,
                    case when stray_partition is null then 'There is no default partition.' end,
                    case when stray_rows > 0 then 'Rows are in the default partition.' end
                ),
                ''
            );
        exception
            when others then
                problem := sqlerrm;
        end;
        is_healthy := problem is null;
        return next;
    end loop;
end
$$;
comment on function ops.partition_health(timestamptz) is
'One row a policy: the newest bound, for how many days from now on no month is missing, and rows that strayed.';

grant select on ops.partition_policies to app_service;
grant execute on function ops.partition_health(timestamptz) to app_service;

-- The audit log is kept whole: its chain is proof only of what is there, and it holds no personal data that must go.
insert into ops.partition_policies (parent_schema, parent_table, control_column, retention)
values ('ops', 'audit_logs_enhanced', 'created_at', null);
select ops.create_monthly_partitions();
