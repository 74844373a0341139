"""Backbones: networks and where their weights come from, cut points, training policies, cost."""
