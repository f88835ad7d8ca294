"""What data-parallel training sends, and a model on paper of how it scales."""
