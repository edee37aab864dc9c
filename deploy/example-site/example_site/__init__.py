"""A page to book from, as another service would build it on Valet's public contracts alone."""
