"""Model providers and their models as data: where they are, what they speak, what they cost.

`table` knows the providers, `models` what they serve; `filling` writes a provider's row into an upstream's section.
Nothing here is loaded before a configuration names a provider or something asks for a price.
"""
