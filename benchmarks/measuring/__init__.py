"""What a method costs beside plain fine-tuning: time, memory, arithmetic, state."""
