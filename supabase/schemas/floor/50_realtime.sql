-- Promises that a private topic of the floor is heard only by whom it is for.

create policy "admins hear of sensitive operations" on realtime.messages
for select to authenticated
using (topic = 'admin:security' and (select private.is_admin()));
