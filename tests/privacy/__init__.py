"""What Valet knows of people and where it could be read: experiments that anyone can repeat with `make privacy`."""
