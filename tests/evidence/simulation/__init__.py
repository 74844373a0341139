"""Made-up worlds for the register that this project ships: does the ledger say what is true there?"""
