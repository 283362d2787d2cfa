"""The methods of one training, from their preparation to their end."""
