"""Reports of studies in which one model is tuned on several tasks in turn: a chain of tasks, or cycles of them."""
