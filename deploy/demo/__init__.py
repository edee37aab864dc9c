"""The demonstration behind `make run`: the whole stack, two hosts, and a handful of real bookings."""
