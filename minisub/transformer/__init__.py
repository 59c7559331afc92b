"""Many small transformers as one stack: forward beside backward, and one training loop."""
