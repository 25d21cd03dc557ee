"""The composition root: reads settings, builds everything, runs it, closes it.

The only package that knows every other one, with a module for each role. Roles are coroutines that
run until cancelled and leave nothing behind.
"""
