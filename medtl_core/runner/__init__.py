"""Running notebooks: what is asked for is checked before a kernel starts; what is done is not done twice."""
