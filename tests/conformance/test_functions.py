"""Edge functions through supabase-py, against any Supabase that has them deployed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from supabase import AsyncClient
from supabase_functions.errors import FunctionsHttpError

from .conftest import connected

if TYPE_CHECKING:
    from .conftest import Target


@pytest.fixture
async def client(target: Target) -> AsyncIterator[AsyncClient]:
    async with connected(target, target.publishable_key) as made:
        yield made


@pytest.mark.parametrize("wake", [None, "", "t=1,v1=00", "t=99999999999,v1=" + "0" * 64])
async def test_notify_trend_refuses_a_wake_up_that_the_database_did_not_sign(
    wake: str | None, client: AsyncClient
) -> None:
    headers = {} if wake is None else {"x-ondol-wake": wake}
    with pytest.raises(FunctionsHttpError) as refused:
        await client.functions.invoke("notify-trend", {"body": {}, "headers": headers})
    assert refused.value.status == 401


async def test_a_function_that_is_not_there_is_a_404(client: AsyncClient) -> None:
    with pytest.raises(FunctionsHttpError) as missing:
        await client.functions.invoke("no-such-function", {"body": {}})
    assert missing.value.status == 404
