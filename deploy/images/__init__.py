"""Making Valet's images: `python -m deploy.images` (or `make images`), and what an image says of itself."""
