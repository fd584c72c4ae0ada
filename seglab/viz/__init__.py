"""Figures with alternative text, and interactive views.

style      colours, fonts, the `Figure` class
pictures   images, masks, overlays, heat maps
grids      small label maps and tables with the value in every cell
charts     classes, confusion, calibration, training
intervals  values with their uncertainty; leaderboard
diagrams   blocks of a model; paths through the course
command    `seglab explore`
widgets/   viewer, explorer, linked comparison
"""
