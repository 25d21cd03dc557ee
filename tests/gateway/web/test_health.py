"""What watches the gateway sees, and what it does not."""

from __future__ import annotations

from typing import Any

from tests.fakes.web import House, house


async def get(home: House, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    async with home.client.get(home.url + path, headers=headers or {}) as response:
        if response.content_type == "application/json":
            return response.status, await response.json()
        return response.status, await response.text()


async def test_alive_whatever_the_store_does() -> None:
    async with house() as home:
        home.records.down = home.log.down = True

        assert await get(home, "/healthz", await home_session()) == (200, "ok\n")


async def home_session() -> dict[str, str]:
    return {"Cookie": "moltgate=x", "Host": "10.0.0.7"}


async def test_ready_only_when_every_part_is() -> None:
    async with house() as home:
        assert await get(home, "/readyz") == (200, {"ready": True})

        home.checks["store"] = "no answer from 10.0.0.5"

        assert await get(home, "/readyz") == (503, {"ready": False})


async def test_what_is_missing_is_told_to_administrators_only() -> None:
    async with house() as home:
        home.checks["store"] = "no answer"

        assert await get(home, "/readyz", await home.token("chat")) == (503, {"ready": False})
        _, told = await get(home, "/readyz", await home.session())
        assert told["checks"] == {"store": "no answer", "draining": "ok"}


async def test_a_store_that_is_away_hides_the_details_and_breaks_nothing() -> None:
    async with house() as home:
        admin = await home.token("admin")
        home.records.down = True
        home.checks["store"] = "no answer"

        assert await get(home, "/readyz", admin) == (503, {"ready": False})


async def test_metrics_are_for_those_who_may_see_them() -> None:
    async with house() as home:
        assert (await get(home, "/metrics"))[0] == 401
        assert (await get(home, "/metrics", await home.token("chat")))[0] == 403
        assert await get(home, "/metrics", await home.token("metrics")) == (
            200,
            "moltgate_up 1\n",
        )
        assert (await get(home, "/metrics", await home.token("admin")))[0] == 200
