"""Google's side: authorize, token, revoke, freeBusy and events."""
