"""Training of a network: steps, the mean of its past, checkpoints. What is learned is the kind's to say."""
