-- Words that say nothing are known to the database too.
begin;
select plan(9);

select ok((select count(*) > 500 from private.stop_words), 'S-216: the list of the app is here');
select is(
    (select count(*) from private.stop_words where word <> private.normalize_keyword(word)),
    0::bigint,
    'S-216: each as keywords are spelled'
);
select is(private.says_nothing('shorts'), true, 'S-216: a stop word says nothing');
select is(private.says_nothing('쇼츠 영상'), true, 'S-216: nor do two');
select is(private.says_nothing('a'), true, 'S-216: nor does a letter');
select is(private.says_nothing(''), true, 'S-216: nor does nothing');
select is(private.says_nothing('아이유 영상'), false, 'S-216: a word with a stop word does');
select is(private.says_nothing('아이유'), false, 'S-216: so does a word alone');
select throws_ok(
    $$insert into private.stop_words (word) values ('two words')$$,
    '23514',
    'new row for relation "stop_words" violates check constraint "a_stop_word_is_one_word"',
    'S-216: a stop word is one word'
);

select finish();
rollback;
