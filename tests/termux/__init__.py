"""A phone without a phone: Termux:API 0.53 as far as the agent meets it, driven by rows of Android's provider."""
