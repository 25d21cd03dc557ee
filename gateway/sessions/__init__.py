"""A conversation as its people see it: settings, commands, resets, and what the model is asked."""
