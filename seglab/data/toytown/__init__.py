"""Toytown: street scenes drawn from a seed, the same on every machine to the last bit.

canvas   random numbers, shapes and anti-aliased painting
street   classes and colours, the camera, sky and far end
houses   rows of houses, gardens, fences
ground   road, pavements, markings, shadow
cars     cars, vans, buses
people   pedestrians and bicyclists
objects  positions of all objects; lamps, bollards, signs, trees, bins
scene    `scene`: the finished image with its labels, in four weathers
"""
