-- By which methods each session signed in, as on a hosted project; the gateway writes here and reads it for `amr`.

set local role supabase_auth_admin;

create table auth.mfa_amr_claims (
    session_id uuid not null references auth.sessions (id) on delete cascade,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    authentication_method text not null,
    id uuid not null primary key,
    constraint mfa_amr_claims_session_id_authentication_method_pkey unique (session_id, authentication_method)
);

alter table auth.mfa_amr_claims enable row level security;

grant all on auth.mfa_amr_claims to postgres with grant option;

reset role;
