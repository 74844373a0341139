"""What a reader sees: figures, tables and pages made from records and verdicts."""
