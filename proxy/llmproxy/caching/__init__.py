"""What caches share: entries, purges, single flight, and how an answer says where it came from."""
