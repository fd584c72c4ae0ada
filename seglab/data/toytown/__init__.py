"""Toytown: street scenes drawn from a seed, the same on every machine to the last bit.

shapes   anti-aliased shapes
canvas   random numbers and noise, colours, painting
street   classes and palettes, the camera, sky and far end
houses   rows of houses, gardens, fences
ground   road, pavements, markings, shadow
cars     cars, vans, buses
people   pedestrians and bicyclists
objects  positions of all objects; lamps, bollards, signs, trees, bins
scene    `scene`: the finished image with its labels, in four weathers
"""
