"""From Python what the commands do."""
