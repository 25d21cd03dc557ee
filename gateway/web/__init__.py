"""The gateway's HTTP server: web chat, the API for programs, webhooks, health and metrics.

`deps.WebDeps` says what it needs, `server.build_app` makes the application, `server.serve` runs it.
"""
