"""Evidence: records (what was measured), register (what is claimed), verdict, ledger and report."""
