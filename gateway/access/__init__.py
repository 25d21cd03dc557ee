"""Who may talk to the gateway, how much, and how strangers become known."""
