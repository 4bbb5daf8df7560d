"""Sign-up, sessions, tokens, keys and user administration, through supabase-py, against any Supabase."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import jwt
import pytest
from supabase import AsyncClient
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from .conftest import connected

if TYPE_CHECKING:
    from .conftest import Target

PASSWORD = "a-long-password-1"


@dataclass(frozen=True)
class Person:
    """A confirmed user of one test."""

    id: str
    email: str


def new_email() -> str:
    return f"conformance-{uuid4()}@example.com"


def claims_of(access_token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(access_token, options={"verify_signature": False})
    return claims


async def claims_in_database(client: AsyncClient) -> dict[str, Any]:
    seen = (await client.rpc("conformance_claims").execute()).data
    assert isinstance(seen, dict)
    return dict(seen)


@pytest.fixture
async def client(target: Target) -> AsyncIterator[AsyncClient]:
    async with connected(target, target.publishable_key) as made:
        yield made


@pytest.fixture
async def person(service: AsyncClient) -> AsyncIterator[Person]:
    created = await service.auth.admin.create_user(
        {
            "email": new_email(),
            "password": PASSWORD,
            "email_confirm": True,
            "user_metadata": {"name": "김하나"},
            "app_metadata": {"team": "floor"},
        }
    )
    yield Person(id=created.user.id, email=created.user.email or "")
    await service.auth.admin.delete_user(created.user.id)


async def sign_in(client: AsyncClient, person: Person) -> tuple[str, str]:
    """Access token and refresh token of a new session."""
    answer = await client.auth.sign_in_with_password({"email": person.email, "password": PASSWORD})
    assert answer.session is not None
    return answer.session.access_token, answer.session.refresh_token


async def test_sign_up_gives_a_session_whose_token_says_everything(
    client: AsyncClient, service: AsyncClient, target: Target
) -> None:
    email = new_email()
    before = int(time.time()) - 2
    answer = await client.auth.sign_up(
        {"email": email.upper(), "password": PASSWORD, "options": {"data": {"name": "이두리"}}}
    )
    assert answer.user is not None
    try:
        assert answer.session is not None
        claims = claims_of(answer.session.access_token)
        assert claims["iss"] == f"{target.url}/auth/v1"
        assert (claims["aud"], claims["role"]) == ("authenticated", "authenticated")
        assert (claims["sub"], claims["email"], claims["phone"]) == (answer.user.id, email, "")
        assert (claims["aal"], claims["is_anonymous"]) == ("aal1", False)
        assert [entry["method"] for entry in claims["amr"]] == ["password"]
        assert before <= claims["amr"][0]["timestamp"] <= time.time() + 2
        assert claims["exp"] - claims["iat"] == answer.session.expires_in
        assert claims["session_id"]
        assert claims["app_metadata"]["provider"] == "email"
        assert claims["app_metadata"]["providers"] == ["email"]
        assert claims["user_metadata"]["name"] == "이두리"
        assert answer.user.identities is not None
        assert [identity.provider for identity in answer.user.identities] == ["email"]
    finally:
        await service.auth.admin.delete_user(answer.user.id)


async def test_a_second_sign_up_with_the_same_address_is_refused(client: AsyncClient, person: Person) -> None:
    with pytest.raises(AuthApiError) as refused:
        await client.auth.sign_up({"email": person.email, "password": PASSWORD})
    assert (refused.value.status, refused.value.code) == (422, "user_already_exists")


async def test_a_weak_password_is_refused_with_its_reasons(client: AsyncClient) -> None:
    with pytest.raises(AuthWeakPasswordError) as refused:
        await client.auth.sign_up({"email": new_email(), "password": "short"})
    assert refused.value.status == 422
    assert "length" in refused.value.reasons


async def test_a_wrong_password_and_an_unknown_address_look_the_same(client: AsyncClient, person: Person) -> None:
    answers = []
    for email, password in ((person.email, "wrong-password"), (new_email(), PASSWORD)):
        with pytest.raises(AuthApiError) as refused:
            await client.auth.sign_in_with_password({"email": email, "password": password})
        answers.append((refused.value.status, refused.value.code, refused.value.message))
    assert answers[0] == (400, "invalid_credentials", "Invalid login credentials")
    assert answers[1] == answers[0]


async def test_a_refresh_keeps_the_session_and_replaces_its_refresh_token(client: AsyncClient, person: Person) -> None:
    access_token, refresh_token = await sign_in(client, person)
    refreshed = await client.auth.refresh_session(refresh_token)
    assert refreshed.session is not None
    assert refreshed.session.refresh_token != refresh_token
    before, after = claims_of(access_token), claims_of(refreshed.session.access_token)
    assert after["session_id"] == before["session_id"]
    assert after["amr"] == before["amr"]
    assert after["iat"] >= before["iat"]
    with pytest.raises(AuthApiError) as refused:
        await client.auth.refresh_session("nosuchtoken1")
    assert refused.value.status == 400


async def test_get_user_and_get_claims(client: AsyncClient, person: Person) -> None:
    access_token, _ = await sign_in(client, person)
    found = await client.auth.get_user(access_token)
    assert found is not None
    assert (found.user.id, found.user.email) == (person.id, person.email)
    assert found.user.user_metadata["name"] == "김하나"
    claims = await client.auth.get_claims(access_token)
    assert claims is not None
    assert claims["claims"]["sub"] == person.id
    with pytest.raises(AuthApiError) as refused:
        await client.auth.get_user(access_token[:-4] + "AAAA")
    assert (refused.value.status, refused.value.code) == (403, "bad_jwt")


async def test_users_change_their_own_metadata_and_nothing_that_grants_power(
    client: AsyncClient, person: Person
) -> None:
    _, refresh_token = await sign_in(client, person)
    updated = await client.auth.update_user({"data": {"name": "박세나", "tier": "enterprise"}})
    assert updated.user.user_metadata["name"] == "박세나"
    refreshed = await client.auth.refresh_session(refresh_token)
    assert refreshed.session is not None
    claims = claims_of(refreshed.session.access_token)
    assert claims["user_metadata"]["name"] == "박세나"
    assert claims["app_metadata"].get("tier") != "enterprise"
    assert claims["app_metadata"]["team"] == "floor"


async def test_a_new_password_replaces_the_old_one(client: AsyncClient, person: Person) -> None:
    await sign_in(client, person)
    await client.auth.update_user({"password": "another-password-2"})
    with pytest.raises(AuthApiError, match="Invalid login credentials"):
        await sign_in(client, person)
    answer = await client.auth.sign_in_with_password({"email": person.email, "password": "another-password-2"})
    assert answer.session is not None


async def test_sign_out_ends_the_session(client: AsyncClient, person: Person) -> None:
    access_token, refresh_token = await sign_in(client, person)
    await client.auth.sign_out()
    with pytest.raises(AuthApiError) as refused:
        await client.auth.get_user(access_token)
    assert (refused.value.status, refused.value.code) == (403, "session_not_found")
    with pytest.raises(AuthApiError) as refused:
        await client.auth.refresh_session(refresh_token)
    assert refused.value.status == 400


async def test_the_database_sees_the_tokens_claims(client: AsyncClient, person: Person) -> None:
    access_token, _ = await sign_in(client, person)
    seen = await claims_in_database(client)
    assert seen == claims_of(access_token)
    assert seen["app_metadata"]["team"] == "floor"


async def test_the_token_hook_adds_the_tier(client: AsyncClient, person: Person) -> None:
    access_token, _ = await sign_in(client, person)
    assert claims_of(access_token)["app_metadata"]["tier"] == "free"
    seen = await claims_in_database(client)
    assert seen["app_metadata"]["tier"] == "free"


async def test_keys_decide_the_role_until_somebody_signs_in(
    client: AsyncClient, service: AsyncClient, person: Person
) -> None:
    assert (await claims_in_database(client))["role"] == "anon"
    assert (await claims_in_database(service))["role"] == "service_role"
    await sign_in(client, person)
    assert (await claims_in_database(client))["role"] == "authenticated"


async def test_a_missing_or_wrong_key_is_refused(target: Target) -> None:
    async with httpx.AsyncClient(base_url=target.url) as http:
        for path in ("/rest/v1/rpc/conformance_claims", "/auth/v1/settings"):
            for headers in ({}, {"apikey": "sb_publishable_wrong"}):
                answer = await http.get(path, headers=headers)
                assert answer.status_code == 401
                assert answer.json()["message"]


async def test_a_token_of_somebody_elses_making_is_refused(client: AsyncClient, target: Target) -> None:
    claims = {"role": "service_role", "aud": "authenticated", "exp": int(time.time()) + 600}
    secret = "a-secret-that-this-project-has-never-seen"
    forged = [jwt.encode(claims, secret, algorithm="HS256"), jwt.encode(claims, "", algorithm="none")]
    async with httpx.AsyncClient(base_url=target.url) as http:
        for token in forged:
            headers = {"apikey": target.publishable_key, "Authorization": f"Bearer {token}"}
            answer = await http.post("/rest/v1/rpc/conformance_claims", headers=headers, json={})
            assert answer.status_code == 401
            assert answer.json()["code"] == "PGRST301"


async def test_settings_health_and_key_set_are_served(target: Target) -> None:
    async with httpx.AsyncClient(base_url=f"{target.url}/auth/v1") as http:
        headers = {"apikey": target.publishable_key}
        settings = (await http.get("/settings", headers=headers)).json()
        assert settings["external"]["email"] is True
        assert settings["disable_signup"] is False
        assert (await http.get("/health", headers=headers)).json()["name"] == "GoTrue"
        assert isinstance((await http.get("/.well-known/jwks.json")).json()["keys"], list)


async def test_an_admin_creates_finds_changes_and_deletes_users(service: AsyncClient, client: AsyncClient) -> None:
    admin = service.auth.admin
    email = new_email()
    created = (
        await admin.create_user({"email": email, "password": PASSWORD, "app_metadata": {"role": "admin", "x": 1}})
    ).user
    assert created.email_confirmed_at is None
    assert created.app_metadata == {"provider": "email", "providers": ["email"], "role": "admin", "x": 1}
    with pytest.raises(AuthApiError) as refused:
        await client.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    assert refused.value.code == "email_not_confirmed"

    changed = (
        await admin.update_user_by_id(
            created.id,
            {
                "email_confirm": True,
                "password": "another-password-2",
                "app_metadata": {"x": None},
                "user_metadata": {"name": "최나래"},
            },
        )
    ).user
    assert changed.email_confirmed_at is not None
    assert changed.app_metadata == {"provider": "email", "providers": ["email"], "role": "admin"}
    signed_in = await client.auth.sign_in_with_password({"email": email, "password": "another-password-2"})
    assert signed_in.session is not None
    assert claims_of(signed_in.session.access_token)["app_metadata"]["role"] == "admin"
    found = (await admin.get_user_by_id(created.id)).user
    assert (found.email, found.user_metadata["name"]) == (email, "최나래")
    assert found.last_sign_in_at is not None
    assert [identity.provider for identity in found.identities or []] == ["email"]

    await admin.delete_user(created.id)
    for gone in (admin.get_user_by_id(created.id), admin.delete_user(created.id)):
        with pytest.raises(AuthApiError) as refused:
            await gone
        assert (refused.value.status, refused.value.code) == (404, "user_not_found")
    with pytest.raises(AuthApiError) as refused:
        await client.auth.get_user(signed_in.session.access_token)
    assert refused.value.status == 403


async def test_an_admin_lists_users_page_by_page(service: AsyncClient) -> None:
    made = [(await service.auth.admin.create_user({"email": new_email()})).user.id for _ in range(3)]
    try:
        first = await service.auth.admin.list_users(page=1, per_page=2)
        second = await service.auth.admin.list_users(page=2, per_page=2)
        assert [user.id for user in first + second][:3] == made[::-1]
        assert (len(first), len(second) >= 1) == (2, True)
    finally:
        for user_id in made:
            await service.auth.admin.delete_user(user_id)


async def test_an_address_that_is_taken_is_refused(service: AsyncClient, person: Person) -> None:
    with pytest.raises(AuthApiError) as refused:
        await service.auth.admin.create_user({"email": person.email})
    assert (refused.value.status, refused.value.code) == (422, "email_exists")
    other = (await service.auth.admin.create_user({"email": new_email()})).user
    try:
        with pytest.raises(AuthApiError) as refused:
            await service.auth.admin.update_user_by_id(other.id, {"email": person.email})
        assert refused.value.status == 422
    finally:
        await service.auth.admin.delete_user(other.id)


async def test_a_banned_user_cannot_sign_in_or_refresh(
    service: AsyncClient, client: AsyncClient, person: Person
) -> None:
    _, refresh_token = await sign_in(client, person)
    await service.auth.admin.update_user_by_id(person.id, {"ban_duration": "24h"})
    with pytest.raises(AuthApiError) as refused:
        await sign_in(client, person)
    assert (refused.value.status, refused.value.code) == (400, "user_banned")
    with pytest.raises(AuthApiError) as refused:
        await client.auth.refresh_session(refresh_token)
    assert (refused.value.status, refused.value.code) == (400, "user_banned")
    await service.auth.admin.update_user_by_id(person.id, {"ban_duration": "none"})
    await sign_in(client, person)


async def test_only_the_service_role_administers_users(client: AsyncClient, person: Person, target: Target) -> None:
    with pytest.raises(AuthApiError) as refused:
        await client.auth.admin.list_users()
    assert (refused.value.status, refused.value.code) == (403, "not_admin")
    access_token, _ = await sign_in(client, person)
    async with httpx.AsyncClient(base_url=target.url) as http:
        headers = {"apikey": target.publishable_key, "Authorization": f"Bearer {access_token}"}
        answer = await http.delete(f"/auth/v1/admin/users/{person.id}", headers=headers)
        assert answer.status_code == 403


async def test_nobody_gives_himself_a_role(client: AsyncClient, target: Target, person: Person) -> None:
    token, refresh_token = await sign_in(client, person)
    headers = {"apikey": target.publishable_key, "Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=target.url, headers=headers) as http:
        wanted = {"app_metadata": {"role": "admin", "tier": "enterprise"}, "role": "service_role"}
        await http.put("/auth/v1/user", json=wanted)
        stranger = {"email": new_email(), "password": PASSWORD, **wanted, "data": {"role": "admin"}}
        signed_up = (await http.post("/auth/v1/signup", json=stranger)).json()
    try:
        refreshed = await client.auth.refresh_session(refresh_token)
        assert refreshed.session is not None
        for claims in (claims_of(refreshed.session.access_token), claims_of(signed_up["access_token"])):
            assert claims["role"] == "authenticated"
            assert "role" not in claims["app_metadata"]
            assert claims["app_metadata"].get("tier") != "enterprise"
    finally:
        async with connected(target, target.secret_key) as service:
            await service.auth.admin.delete_user(signed_up["user"]["id"])
