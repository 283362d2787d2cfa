"""One run: a model tuned on a task with a method, and scored."""
