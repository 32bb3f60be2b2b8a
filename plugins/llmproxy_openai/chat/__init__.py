"""Chat completions and embeddings in the canonical form, both faces of them. Loaded when something is translated."""
