"""Answers of language models that may be kept."""
