-- A document from a client is known to be small before it is written out or stored.
begin;
select plan(15);

select ok(private.has_plain_numbers('{"a": [1, -2.5, 1e100, 1e-100, "1e131071"]}'), 'numbers as people write them');
select ok(private.has_plain_numbers('"text"'), 'no number at all');
select ok(not private.has_plain_numbers('1e131071'), 'a number of 131,072 digits');
select ok(not private.has_plain_numbers('{"a": {"b": [[-1e600]]}}'), 'however deep');
select ok(not private.has_plain_numbers('[1e-600]'), 'and a small one');

select ok(private.is_small('{}', 'object', 10), 'an empty object is small');
select ok(private.is_small('{"a": 1}', 'object', 8), 'as many characters as allowed');
select ok(not private.is_small('{"a": 12}', 'object', 8), 'and not one more');
select ok(not private.is_small('[]', 'object', 10), 'an array is no object');
select ok(
    not private.is_small(jsonb_build_object('a', (select jsonb_agg(1e131071) from generate_series(1, 20000))), 'object', 65536),
    'what would be 2.6 GB of text is refused without writing it'
);
select ok(private.is_small('[]', 'array', 10), 'an empty array is small');
select ok(not private.is_small('{}', 'array', 10), 'an object is no array');
select ok(not private.is_small('[1, 2, 3]', 'array', 8), 'too many characters');
select ok(not private.is_small((select jsonb_agg(1e131071) from generate_series(1, 20000)), 'array', 65536), 'too many digits');
select is(private.is_small(null, 'object', 10), null, 'nothing is neither, so that a check of a null passes');

select finish();
rollback;
