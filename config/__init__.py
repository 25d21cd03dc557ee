"""Reading the configuration file: YAML, secret references, typed sections, clear complaints."""
