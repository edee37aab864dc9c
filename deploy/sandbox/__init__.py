"""The calendar sandbox: a small HTTPS server that plays Google's and Microsoft's calendars. See README.md."""
