"""Metrics, calibration and statistics: NumPy arrays in, numbers out. Nothing here imports torch."""
