"""What methods share: perturbed embeddings, heads, divergences."""
