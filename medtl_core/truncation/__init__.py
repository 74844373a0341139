"""Truncated transfer learning: cutting networks, finding the cut, and what it is compared with."""
