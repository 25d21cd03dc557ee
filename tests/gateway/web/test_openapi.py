"""The description is the API: same routes, and nothing undocumented happens."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from gateway.web.openapi import document
from gateway.web.server import routes
from gateway.web.settings import Limits
from tests.fakes.web import house


async def test_exactly_the_routes_of_the_api_are_described() -> None:
    async with house() as home:
        served = {
            (route.method.lower(), route.path)
            for route in routes(home.deps)
            if route.path.startswith("/api/")
        }
        described = {
            (method, path) for path, methods in document()["paths"].items() for method in methods
        }
        assert described == served


async def test_the_description_is_served_to_those_who_may_use_it() -> None:
    async with house() as home:
        where = home.url + "/api/v1/openapi.json"
        async with home.client.get(where) as response:
            assert response.status == 401
        async with home.client.get(where, headers=await home.token()) as response:
            assert await response.json() == json.loads(json.dumps(document()))


async def test_no_generated_request_finds_an_undocumented_answer(tmp_path: Path) -> None:
    limits = Limits(stream_seconds=0.05, guesses=100_000, uploads_per_hour=100_000)
    async with house(limits=limits) as home:
        token = (await home.token())["Authorization"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", home.url + "/api/v1/openapi.json"),
            *("--header", f"Authorization: {token}"),
            *("--max-examples", "25", "--seed", "1", "--workers", "1"),
            *("--phases", "examples,coverage,fuzzing"),
            *("--checks", CHECKS),
            *("--request-timeout", "10"),
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-6000:]


CHECKS = ",".join(
    (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "ignored_auth",
    )
)
