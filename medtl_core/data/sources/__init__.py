"""Where data sets come from: registry, cards, downloads, locations."""
