"""Speech to text: faster-whisper where a model is set, else a small recogniser."""
