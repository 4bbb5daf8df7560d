-- Promises one way to compare what people type in Korean: folded, without spaces, by first consonants, by jamo.

create function private.compatibility_jamo(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Conjoining jamo (leads, vowels, finals), then the letters a keyboard types.
    return translate(
        compatibility_jamo.text,
        E'\u1100\u1101\u1102\u1103\u1104\u1105\u1106\u1107\u1108\u1109\u110A\u110B\u110C\u110D\u110E\u110F'
        '\u1110\u1111\u1112\u1161\u1162\u1163\u1164\u1165\u1166\u1167\u1168\u1169\u116A\u116B\u116C\u116D'
        '\u116E\u116F\u1170\u1171\u1172\u1173\u1174\u1175\u11A8\u11A9\u11AA\u11AB\u11AC\u11AD\u11AE\u11AF'
        '\u11B0\u11B1\u11B2\u11B3\u11B4\u11B5\u11B6\u11B7\u11B8\u11B9\u11BA\u11BB\u11BC\u11BD\u11BE\u11BF'
        '\u11C0\u11C1\u11C2',
        'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ'
        'ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ'
        'ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ'
    );
end
$$;
comment on function private.compatibility_jamo(text) is
'The text with each conjoining jamo as the letter of the same look that stands alone: what stood first or last in a '
'syllable is the same then.';

create function private.fold_text(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    -- pg_c_utf8 is the same on every machine.
    lowered constant text := lower(normalize(left(text, 2000), nfkc) collate pg_c_utf8);
begin
    -- Marks of scripts that write vowels as marks stay: they are letters to who reads them. NFKC makes conjoining jamo of
    -- typed ones, ㅁㅈ: they are turned back.
    return btrim(
        regexp_replace(
            case
                when lowered ~ '[\u1100-\u11FF]' then private.compatibility_jamo(lowered)
                else lowered
            end collate pg_c_utf8,
            '[^[:alnum:]\u0300-\u036F\u0610-\u061A\u064B-\u065F\u0900-\u0963\u0966-\u109F\u1780-\u17D3]+',
            ' ',
            'g'
        )
    );
end
$$;
comment on function private.fold_text(text) is
'NFKC, lower case, every run of what is neither letter nor digit as one space. Of its first 2,000 characters.';

create function private.squeeze_text(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language sql
as $$
    select replace(private.fold_text(squeeze_text.text), ' ', '')
$$;
comment on function private.squeeze_text(text) is 'Folded and without spaces: 맛 집 and 맛집 are the same.';

create function private.jamo_of(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Canonical decomposition writes a syllable as two or three jamo; what else it took apart is put together again.
    return normalize(private.compatibility_jamo(normalize(text, nfd)), nfc);
end
$$;
comment on function private.jamo_of(text) is
'맛집 as ㅁㅏㅅㅈㅣㅂ: a letter for each jamo, compound vowels and finals whole; other letters stay as they are.';

create function private.choseong_of(text text)
returns text
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
begin
    -- Vowels and finals go, since translate has nothing to put in their place.
    return normalize(
        translate(
            normalize(choseong_of.text, nfd),
            E'\u1100\u1101\u1102\u1103\u1104\u1105\u1106\u1107\u1108\u1109\u110A\u110B\u110C\u110D\u110E\u110F'
            '\u1110\u1111\u1112\u1161\u1162\u1163\u1164\u1165\u1166\u1167\u1168\u1169\u116A\u116B\u116C\u116D'
            '\u116E\u116F\u1170\u1171\u1172\u1173\u1174\u1175\u11A8\u11A9\u11AA\u11AB\u11AC\u11AD\u11AE\u11AF'
            '\u11B0\u11B1\u11B2\u11B3\u11B4\u11B5\u11B6\u11B7\u11B8\u11B9\u11BA\u11BB\u11BC\u11BD\u11BE\u11BF'
            '\u11C0\u11C1\u11C2',
            'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ'
        ),
        nfc
    );
end
$$;
comment on function private.choseong_of(text) is
'맛집 as ㅁㅈ: the first consonant of each syllable; other letters and lone jamo stay as they are.';

create function private.jamo_distance(a text, b text, most integer)
returns integer
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
language plpgsql
as $$
declare
    one constant text[] := string_to_array(private.jamo_of(a), null);
    other constant text[] := string_to_array(private.jamo_of(b), null);
    width constant integer := cardinality(other);
    beyond constant integer := jamo_distance.most + 1;
    above integer[];
    below integer[];
    smallest integer;
    cost integer;
begin
    if a is null or b is null or most is null or most < 0 or abs(cardinality(one) - width) > most then
        return null;
    end if;
    -- Only the band that can stay within `most` is computed; around it stands what is beyond.
    above := array(
        select least(number, beyond)
        from generate_series(0, width) as step (number)
    );
    for row_number in 1 .. cardinality(one) loop
        below := array_fill(beyond, array[width + 1]);
        below[1] := least(row_number, beyond);
        smallest := below[1];
        for place in greatest(1, row_number - most) .. least(width, row_number + most) loop
            cost := least(
                above[place] + (one[row_number] <> other[place])::integer,
                above[place + 1] + 1,
                below[place] + 1,
                beyond
            );
            below[place + 1] := cost;
            smallest := least(smallest, cost);
        end loop;
        if smallest > most then
            return null;
        end if;
        above := below;
    end loop;
    return nullif(above[width + 1], beyond);
end
$$;
comment on function private.jamo_distance(text, text, integer) is
'How many jamo must be put in, left out or exchanged to make the one text of the other; null when more than `most`.';
