"""The plain way: the same work with one booking per message, by nameko's own event handlers and dispatchers."""
