"""Training: one loop; trials and studies that are paired over seeds, kept, resumed and run in parallel."""
