"""What is minimised: losses, targets, weights, presets."""
