"""Training: losses, recipe, steps, loop, and the run on disk.

losses   cross-entropy, focal, Dice, Lovász
recipe   `Recipe`: everything that decides a training besides the model and the data
choices  the recipe for your own data, from what the check of the data found
batches  order and random numbers of the training images
steps    the steps of one epoch: augmentation, criterion, optimizer
runs     checkpoints, history and the state from which a run continues
loop     `fit`
command  `seglab train`
"""
