"""Training: losses, recipe, batches, loop, and the run on disk.

losses   cross-entropy, focal, Dice, Lovász
recipe   `Recipe`: everything that decides a training
batches  order and random numbers of the training images
runs     checkpoints, history and the state from which a run resumes
loop     `fit`
"""
