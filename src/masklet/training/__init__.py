"""Training: data, made-up video, simulated prompts, losses, the loop, and recipes."""
