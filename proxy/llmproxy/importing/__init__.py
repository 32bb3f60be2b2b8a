"""Other gateways' configurations, read into this one's. Pure: trees in, a tree and notes out.

`litellm` reads a LiteLLM proxy's file; `walking` makes sure that every key of it was carried or is told.
"""
