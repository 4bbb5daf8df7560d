-- Promises every video a vector of 100 numbers that follows from what is known of it, until somebody brings a better one.

create table private.video_vectors (
    video_no integer primary key references private.video_cards (video_no) on delete cascade,
    embedding extensions.vector(100) not null,
    version text not null,
    inputs bigint,
    written_at timestamptz not null default now(),
    constraint version_is_a_short_text check (length(version) between 1 and 50),
    constraint only_hashes_have_inputs check ((inputs is not null) = (version like 'hash-%'))
);
alter table private.video_vectors enable row level security;
create index video_vectors_by_likeness on private.video_vectors
using hnsw (embedding extensions.vector_cosine_ops);
comment on table private.video_vectors is
'One vector a video, of length 1. Derived: what is hashed can be rebuilt from the source tables.';
comment on column private.video_vectors.version is
'How it was made. Those of different versions lie in different spaces and are never compared.';
comment on column private.video_vectors.inputs is
'What it was hashed from, as one number, so that nothing is written when nothing changed; null for what was brought.';

create table private.learning_walks (
    job text primary key,
    walked_to uuid,
    walked_to_no integer not null default 0,
    newest_no integer not null default 0,
    rounds integer not null default 0
);
alter table private.learning_walks enable row level security;
comment on table private.learning_walks is
'How far each learning job has come in its round. Moves in the transaction that did the work.';
comment on column private.learning_walks.walked_to is 'The last person of this round; null at its beginning.';
comment on column private.learning_walks.walked_to_no is 'The last video of this round; 0 at its beginning.';
comment on column private.learning_walks.newest_no is 'The newest video that was looked at out of turn.';
insert into private.learning_walks (job) values
('neighbours'),
('tastes'),
('vectors'),
('pairs');
