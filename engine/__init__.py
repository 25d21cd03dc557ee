"""Models behind the gateway: clients of OpenAI-compatible servers and the built-in demo model."""
