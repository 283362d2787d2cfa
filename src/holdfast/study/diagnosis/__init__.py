"""What limits the stability of tuning on one task: measured on its training rows and the pre-trained model."""
