"""The calls that make or read pictures and sound, and judge texts: in the canonical form and out of it."""
