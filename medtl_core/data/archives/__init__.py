"""Archives: the canonical data set, its checks, and the layouts it is read from."""
