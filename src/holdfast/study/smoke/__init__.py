"""The smoke form of a recipe: the same path, offline, with a tiny random model and generated text."""
