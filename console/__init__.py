"""Floor 6: the web pages and the HTTP API."""
