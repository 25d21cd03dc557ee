"""The core: receive, admit, store, claim, enrich, route, generate, commit, deliver."""
