"""Microsoft's side: OpenID discovery, authorize, token, and the calendar part of Graph."""
