"""What a method is asked on a clip, and how its answer is scored."""
