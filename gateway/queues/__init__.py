"""Lanes, outbox, dedupe, leases, logs and records on Redis: the only Redis code for messages.

Every transition is one Lua script (`*.lua`, key inventory on top) inside one partition, whose
keys share a hash tag; `wire` carries the calls, `topology` knows which server has a partition.
"""
