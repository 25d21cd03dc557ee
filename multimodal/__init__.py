"""Voice, pictures and documents, read before the model is asked."""
