"""Text to speech, as voice messages."""
