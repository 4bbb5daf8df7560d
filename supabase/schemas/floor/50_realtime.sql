-- Promises that a private topic of the floor is heard only by whom it is for.

create policy "admins hear of sensitive operations" on realtime.messages
for select to authenticated
using (topic = 'admin:security' and (select private.is_admin()));

-- Texts are compared, nothing is cast: a policy that raised at a strange topic would silence all others.
create policy "people hear what is for them alone" on realtime.messages
for select to authenticated
using (
    extension = 'broadcast'
    and topic in (
        select 'user:' || private.user_id() || kind.ending
        from (values (''), (':searches')) as kind (ending)
    )
);
