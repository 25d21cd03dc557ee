"""The API's description, OpenAPI 3.1, made from the same structs that read the requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from gateway.web.api import PAGE, Taken
from gateway.web.auth import Principal
from gateway.web.bodies import DIGEST, NAME, LoginBody, Message
from gateway.web.files import Uploaded
from gateway.web.guard import Route
from gateway.web.queries import LARGEST

VERSION = "1"

_PROBLEMS = {
    400: "The request could not be read",
    401: "No credential, or a wrong one",
    403: "Not allowed: missing scope, or an unknown Host or Origin",
    404: "There is nothing here, or it is somebody else's",
    408: "The body came too slowly",
    409: "This id was used for another message",
    413: "Too large",
    415: "Another media type or encoding is needed",
    422: "Readable, but not what is expected here",
    426: "This address speaks WebSocket",
    429: "Too many requests; see Retry-After",
    503: "Cannot be stored at the moment; see Retry-After and send again with the same id",
}
_ANY = (400, 401, 403, 429, 503)
_BODY = (*_ANY, 408, 413, 415, 422)

Json = dict[str, Any]


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Json, description: str) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(codes: Sequence[int]) -> Json:
    return {
        str(code): {
            **_json(_ref("Error"), _PROBLEMS[code]),
            **({"headers": _RETRY_AFTER} if code in (429, 503) else {}),
        }
        for code in sorted(codes)
    }


def _operation(
    name: str,
    summary: str,
    good: Mapping[str, Json],
    codes: Sequence[int] = _ANY,
    *,
    parameters: Sequence[Json] = (),
    body: Json | None = None,
    public: bool = False,
) -> Json:
    operation: Json = {
        "operationId": name,
        "summary": summary,
        "responses": {**good, **_problems(codes)},
    }
    if parameters:
        operation["parameters"] = list(parameters)
    if body:
        operation["requestBody"] = {"required": True, "content": body}
    if public:
        operation["security"] = []
    return operation


def _parameter(where: str, name: str, schema: Json, description: str = "") -> Json:
    return {
        "in": where,
        "name": name,
        "required": where == "path",
        "schema": schema,
        "description": description,
    }


_RETRY_AFTER = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds"}}
_NUMBER = {"type": "integer", "minimum": 0, "maximum": LARGEST}
_CONVERSATION = _parameter("path", "conversation", {"type": "string", "pattern": NAME})
_AFTER = _parameter("query", "after", _NUMBER, "Number of the last entry known")

_ENTRY = {
    "type": "object",
    "required": ["seq", "at", "event"],
    "properties": {
        "seq": {"type": "integer", "minimum": 1, "description": "Without gaps, from 1"},
        "at": {"type": "number", "description": "Seconds since the epoch"},
        "event": {
            "type": "object",
            "required": ["type", "role"],
            "properties": {
                "type": {"const": "message"},
                "role": {"enum": ["user", "assistant"]},
                "id": {"type": "string", "description": "Of a user's message"},
                "reply": {"type": "string", "description": "Of a reply: the same for its parts"},
                "part": {"type": "integer"},
                "parts": {"type": "integer"},
                "text": {"type": "string", "description": "CommonMark"},
                "kind": {"type": "string"},
                "attachments": {"type": "array"},
                "files": {"type": "array"},
                "buttons": {"type": "array"},
            },
        },
    },
}
_MESSAGES = {
    "type": "object",
    "required": ["messages", "next"],
    "properties": {
        "messages": {"type": "array", "items": _ref("Entry")},
        "next": {"type": "integer", "description": "Where to go on reading: `after`"},
    },
}
_CONVERSATIONS = {
    "type": "object",
    "required": ["conversations"],
    "properties": {
        "conversations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["conversation", "title", "last", "at"],
                "properties": {
                    "conversation": {"type": "string"},
                    "title": {"type": "string"},
                    "last": {"type": "integer"},
                    "at": {"type": "number"},
                },
            },
        }
    },
}
_ME = {
    "type": "object",
    "required": ["principal", "scopes", "title", "upload_limit"],
    "properties": {
        "principal": {"type": "string"},
        "scopes": {"type": "array", "items": {"type": "string"}},
        "title": {"type": "string"},
        "upload_limit": {"type": "integer"},
    },
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}


def _paths() -> Json:
    empty = {"204": {"description": "Done"}}
    binary: Json = {"application/octet-stream": {"schema": {}}}
    stream = {"200": {"description": "Server-sent events", "content": {"text/event-stream": {}}}}
    seq = _parameter("query", "seq", {**_NUMBER, "minimum": 1}, "Number of that entry")
    return {
        "/api/v1/login": {
            "post": _operation(
                "logIn",
                "Open a browser session with a one-time code",
                empty,
                _BODY,
                body={"application/json": {"schema": _ref("LoginBody")}},
                public=True,
            )
        },
        "/api/v1/logout": {"post": _operation("logOut", "End the browser session", empty)},
        "/api/v1/me": {"get": _operation("whoAmI", "Who is calling", {"200": _json(_ME, "You")})},
        "/api/v1/messages": {
            "post": _operation(
                "sendMessage",
                "Send a message; repeatable with the same id",
                {"202": _json(_ref("Taken"), "Stored: it will be answered or visibly refused")},
                (*_BODY, 409),
                body={"application/json": {"schema": _ref("Message")}},
            )
        },
        "/api/v1/conversations": {
            "get": _operation(
                "listConversations",
                "Own conversations, most recently used first",
                {"200": _json(_CONVERSATIONS, "Conversations")},
            )
        },
        "/api/v1/conversations/{conversation}/messages": {
            "get": _operation(
                "readMessages",
                "Entries after a number; the newest ones without it",
                {"200": _json(_MESSAGES, "Entries, oldest first")},
                (*_ANY, 404, 422),
                parameters=(
                    _CONVERSATION,
                    _AFTER,
                    _parameter(
                        "query", "limit", {"type": "integer", "minimum": 1, "maximum": PAGE}
                    ),
                ),
            )
        },
        "/api/v1/conversations/{conversation}/events": {
            "get": _operation(
                "followConversation",
                "Entries as they come, and live text; resumed by Last-Event-ID",
                stream,
                (*_ANY, 404, 422),
                parameters=(
                    _CONVERSATION,
                    _AFTER,
                    _parameter("header", "Last-Event-ID", _NUMBER),
                ),
            )
        },
        "/api/v1/ws": {
            "get": _operation(
                "openSocket",
                "The chat page's WebSocket",
                {"101": {"description": "WebSocket"}},
                (*_ANY, 426),
            )
        },
        "/api/v1/files": {
            "post": _operation(
                "uploadFile",
                "Upload a file to name it in a message within a day",
                {"201": _json(_ref("Uploaded"), "Stored")},
                _BODY,
                parameters=(_parameter("query", "name", {"type": "string"}, "A label"),),
                body=binary,
            )
        },
        "/api/v1/files/{digest}": {
            "get": _operation(
                "downloadFile",
                "A file of one's own uploads, or of a message",
                {"200": {"description": "The content", "content": {"*/*": {}}}},
                (*_ANY, 404, 422),
                parameters=(
                    _parameter("path", "digest", {"type": "string", "pattern": DIGEST}),
                    _parameter("query", "conversation", {"type": "string"}, "Where the message is"),
                    seq,
                ),
            )
        },
        "/api/v1/openapi.json": {
            "get": _operation("describe", "This document", {"200": _json({}, "OpenAPI 3.1")})
        },
    }


def document() -> Json:
    _, schemas = msgspec.json.schema_components(
        (Message, LoginBody, Taken, Uploaded), ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Moltgate", "version": VERSION},
        "paths": _paths(),
        "components": {
            "schemas": {**schemas, "Entry": _ENTRY, "Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


_DOCUMENT = msgspec.json.encode(document())


async def describe(request: web.Request, principal: Principal | None) -> web.Response:
    return web.Response(body=_DOCUMENT, content_type="application/json")


ROUTES = (Route(method="GET", path="/api/v1/openapi.json", handler=describe, who="chat"),)
