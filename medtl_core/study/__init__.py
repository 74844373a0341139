"""Studies: trials over arms, seeds and factors, kept, resumed and run in parallel."""
