"""Transfer learning: settings, initialisation, pretraining, and methods that use unlabelled images."""
