"""Templates of the package that `llmproxy new-plugin` writes."""
