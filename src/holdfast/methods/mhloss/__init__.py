"""MHLoss."""
