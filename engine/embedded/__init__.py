"""The built-in small model: a fresh install answers at once, with no network, key or GPU."""
