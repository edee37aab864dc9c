"""What exists on the broker before anybody connects: users, permissions, the exchange. The same everywhere."""
