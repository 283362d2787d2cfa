"""What runs methods: the engine, the Trainer glue, one run."""
