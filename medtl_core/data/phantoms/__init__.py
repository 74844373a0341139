"""Digital phantoms: images drawn with a known truth."""
