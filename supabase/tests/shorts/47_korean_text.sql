-- What people type in Korean is compared in one form, and typing errors are counted in jamo.
begin;
select plan(13);

select results_eq(
    $$
        select private.fold_text(typed)
        from unnest(
            array[
                'NFD ' || normalize('맛집', nfd) || '!',
                '  ＡＢＣ①  서울・맛집_투어 #먹방 ',
                'ㅁㅈ 마ㅈ ㄳ',
                '東京ラーメン、おいしい',
                'हिन्दी गाना',
                'É''clair',
                '🎉 !?',
                '',
                null
            ]
        ) as one (typed)
    $$,
    $$
        values
        ('nfd 맛집'), ('abc1 서울 맛집 투어 먹방'), ('ㅁㅈ 마ㅈ ㄳ'), ('東京ラーメン おいしい'), ('हिन्दी गाना'),
        (normalize('é clair', nfc)), (''), (''), (null)
    $$,
    'folding composes, lowers and leaves letters and digits, with one space between words'
);
select is(
    private.fold_text(private.fold_text('ㅁㅏㅅㅈㅣㅂ ㅁㅈ!')), private.fold_text('ㅁㅏㅅㅈㅣㅂ ㅁㅈ!'), 'folding twice is once'
);
select is(length(private.fold_text(repeat('맛', 5000))), 2000, 'what is far too long is folded in part');
select is(private.squeeze_text(' 맛 집! '), '맛집', 'spaces do not count');

select results_eq(
    $$
        select private.jamo_of(typed)
        from unnest(array['맛집', normalize('맛집', nfd), '값', '꽃', '왜', 'ㅁㅈ', 'é が a1', '']) as one (typed)
    $$,
    $$ values ('ㅁㅏㅅㅈㅣㅂ'), ('ㅁㅏㅅㅈㅣㅂ'), ('ㄱㅏㅄ'), ('ㄲㅗㅊ'), ('ㅇㅙ'), ('ㅁㅈ'), ('é が a1'), ('') $$,
    'jamo are single letters, compound ones whole; other letters stay'
);
select results_eq(
    $$
        select private.choseong_of(typed)
        from unnest(array['맛집', normalize('맛집', nfd), '쌀국수', '값 k-pop', 'ㅁㅈ', 'é が', '']) as one (typed)
    $$,
    $$ values ('ㅁㅈ'), ('ㅁㅈ'), ('ㅆㄱㅅ'), ('ㄱ k-pop'), ('ㅁㅈ'), ('é が'), ('') $$,
    'the first consonants of syllables; other letters stay'
);
select is(
    (
        select count(*)
        from generate_series(44032, 55203) as syllable (code)
        where
            private.jamo_of(chr(syllable.code))
            <> substr('ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ', (syllable.code - 44032) / 588 + 1, 1)
            || substr('ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ', (syllable.code - 44032) % 588 / 28 + 1, 1)
            || substr('ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ', nullif((syllable.code - 44032) % 28, 0), 1)
            or private.choseong_of(chr(syllable.code))
            <> substr('ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ', (syllable.code - 44032) / 588 + 1, 1)
    ),
    0::bigint,
    'of all 11,172 syllables'
);

select results_eq(
    $$
        select private.jamo_distance(one, other, most)
        from (
            values
            ('맛집', '맛집', 0), ('마집', '맛집', 1), ('맛집', '마집', 1), ('마집', '맛집', 0), ('강아쥐', '강아지', 1),
            ('kitten', 'sitting', 3), ('kitten', 'sitting', 2), ('', '맛', 3), ('', '맛', 2), ('', '', 0)
        ) as pair (one, other, most)
    $$,
    $$ values (0), (1), (1), (null), (1), (3), (null), (3), (null), (0) $$,
    'the distance counts what is put in, left out and exchanged, as far as asked for'
);
select is(private.jamo_distance(null, '맛', 3), null, 'nothing has no distance');
select is(private.jamo_distance('맛', '마', -1), null, 'no distance is below nothing');
select is(private.jamo_distance('맛', '마', null), null, 'nor is any without a limit');
-- The textbook's recursion as the truth.
create function pg_temp.plain_distance(
    one text,
    other text
)
returns integer
immutable
language sql
as $$
    select
        case
            when one = '' or other = '' then length(one) + length(other)
            when left(one, 1) = left(other, 1) then pg_temp.plain_distance(substr(one, 2), substr(other, 2))
            else
                1 + least(
                    pg_temp.plain_distance(substr(one, 2), other),
                    pg_temp.plain_distance(one, substr(other, 2)),
                    pg_temp.plain_distance(substr(one, 2), substr(other, 2))
                )
        end
$$;
select is_empty(
    $$
        select
            one,
            other,
            most
        from unnest('{ab,ba,aab,abab,bbaa,a,b,abba,baab,aaaa}'::text[]) as one
        cross join unnest('{ab,ba,aab,abab,bbaa,a,b,abba,baab,bbbb}'::text[]) as other
        cross join generate_series(0, 4) as most
        where
            private.jamo_distance(one, other, most)
            is distinct from (
                select plain.distance
                from (select pg_temp.plain_distance(one, other)) as plain (distance)
                where plain.distance <= most
            )
    $$,
    'the band leaves out nothing that is near enough'
);
select is(
    (
        select array_agg(distinct routine.provolatile::text || routine.proparallel::text)
        from pg_proc as routine
        where
            routine.pronamespace = 'private'::regnamespace
            and routine.proname in (
                'fold_text', 'squeeze_text', 'jamo_of', 'choseong_of', 'jamo_distance', 'compatibility_jamo'
            )
    ),
    array['is'],
    'all of it may stand in an index, and be computed by many'
);
select * from finish();
rollback;
