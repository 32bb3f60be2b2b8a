"""Other gateways' configurations, read into this one's. Pure: trees in, a tree and notes out.

`litellm` reads a LiteLLM proxy's file, `portkey` a config of Portkey's gateway; `walking` makes sure that every key of
it was carried or is told.
"""
