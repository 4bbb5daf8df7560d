"""What is not run here, and the file that runs it, with words of that file that do."""

from __future__ import annotations

NEWCOMER = ("tests/scripts/test_drill_newcomer.py", "walk(steps, folder=tmp_path")

# Commands that install, start or end whole stacks, or need a service that no test has.
COMMANDS = {
    "./scripts/setup": ("scripts/test", "./scripts/setup --for-tests"),
    "./scripts/check": ("scripts/test", 'step "check" ./scripts/check'),
    "./scripts/test": (".ci/run", "exec ./scripts/test"),
    ".venv/bin/python -m pytest tests/functions": ("scripts/test", '.venv/bin/python -m pytest "$@"'),
    "./scripts/dev": ("tests/local_stack/test_main_job.py", 'checkout.started("--port-base", PORT_BASE)'),
    "./scripts/dev --once": ("tests/local_stack/test_main_job.py", 'checkout.run("--once", "--port-base", PORT_BASE)'),
    "./scripts/dev --once --data FOLDER": (
        "tests/local_stack/test_main_job.py",
        'checkout.run("--once", "--port-base", PORT_BASE, "--data", str(data))',
    ),
    "./scripts/dev up": ("tests/local_stack/test_supervisor.py", 'checkout.run("up")'),
    "./scripts/dev down": ("tests/local_stack/test_supervisor.py", 'checkout.run("down")'),
    "./scripts/dev reset": ("tests/local_stack/test_supervisor.py", 'checkout.run("reset")'),
    "./scripts/dev psql -v ON_ERROR_STOP=1 --single-transaction < supabase/seed.sql": (
        "tests/app/test_seed_integration.py",
        '"ON_ERROR_STOP=1", "--single-transaction"]',
    ),
    "git clone REPOSITORY ondol": NEWCOMER,
    "cd ondol": NEWCOMER,
    "node --env-file=.env first.mjs": NEWCOMER,
    ".venv/bin/python first.py": NEWCOMER,
    "./scripts/dev psql -c \"select public.upsert_trending_keyword(jsonb_build_object('keyword', '붕어빵라떼', "
    "'region_code', 'KR', 'data_source', 'internal', 'trend_score', 0.93, 'observed_at', now()))\"": NEWCOMER,
    "docker build -f functions/Dockerfile -t ondol-handlers .": ("tests/functions/test_image.py", "DOCKERFILE"),
    "docker run -p 8000:8000 -e SUPABASE_URL -e SUPABASE_SECRET_KEY -e TREND_WEBHOOK_SECRET ondol-handlers": (
        "tests/functions/test_image.py",
        '[image / "scripts" / "handlers", "--port", str(port)]',
    ),
    "supabase secrets set AI_CHAT_URL=https://model.example/v1/chat/completions AI_CHAT_MODEL=a-model AI_CHAT_KEY=…": (
        "tests/supabase_functions/test_ai_chat_integration.py",
        "AI_CHAT_URL",
    ),
    "npm ci": ("scripts/setup", "npm ci"),
    "npm run build": ("scripts/local_stack/board.py", '["npm", "run", "build"]'),
    '.venv/bin/python -m pytest tests/e2e -k "chromium and picture"': (
        "tests/e2e/picture.test.mjs",
        "a picture of the board",
    ),
    "npm test": ("tests/e2e/test_board.py", '["npm", "test"]'),
}

# Programs with a test of their own: page and language, the file that reads the page, and how it takes the blocks.
PROGRAMS = {
    ("docs/feed.md", "python"): ("tests/app/test_feed_integration.py", "recipe('python')"),
    ("docs/feed.md", "js"): ("tests/app/test_feed_integration.py", "recipe('js')"),
    ("docs/quickstart.md", "python"): ("scripts/drills/newcomer_drill.py", "PAGE = "),
    ("docs/quickstart.md", "js"): ("scripts/drills/newcomer_drill.py", "PAGE = "),
    ("docs/realtime.md", "python"): ("tests/app/test_watch_integration.py", r"^```python\n(.*?)^```"),
    ("docs/realtime.md", "js"): ("tests/app/js/watch_trends.test.mjs", "[recipe, listThenWatch] = [...page.matchAll("),
    ("docs/recipes.md", "python"): ("tests/app/test_recipes_integration.py", "blocks('python')"),
    ("docs/recipes.md", "js"): ("tests/app/test_recipes_integration.py", 'blocks("js")'),
    ("docs/search.md", "python"): ("tests/app/test_search_integration.py", "recipe('python')"),
    ("docs/search.md", "js"): ("tests/app/test_search_integration.py", "recipe('js')"),
    ("docs/webhooks.md", "python"): ("tests/functions/test_webhooks_page.py", 'code("python")'),
    ("docs/webhooks.md", "typescript"): ("tests/functions/test_webhooks_page.py", 'code("typescript")'),
    ("docs/learning.md", "text"): (
        "supabase/tests/shorts/54_learning.sql",
        "'the weight is the formula of docs/learning.md'",
    ),
    ("web/README.md", "json"): ("tests/local_stack/test_board.py", 'blocks("json", page="web/README.md")'),
    ("docs/webhooks.md", "json"): ("tests/functions/test_webhooks_page.py", 'code("json", of=5, place=4)'),
}

# Output of a command that runs elsewhere: it is held against the page there.
OUTPUT = {
    "./scripts/dev --once": ("tests/local_stack/test_main_job.py", "missing_lines("),
    "./scripts/dev": ("scripts/drills/newcomer_drill.py", "step.missing("),
    "node --env-file=.env first.mjs": ("scripts/drills/newcomer_drill.py", "step.missing("),
}
