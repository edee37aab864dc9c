"""The calendar sandbox, judged by real clients and by the providers' own descriptions."""
