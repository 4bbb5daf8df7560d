-- Promises that trends are looked for without anybody asking.

-- Every five minutes: a source that has delivered nothing new costs nothing and finds nothing.
select cron.schedule('shorts-detect-trends', '*/5 * * * *', 'select public.detect_trends()');
