"""Training: one loop, policies, frozen features and prediction."""
