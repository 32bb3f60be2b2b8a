"""An HTTP cache: RFC 9111 without sockets, and the plugin that serves by it."""
