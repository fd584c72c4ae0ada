"""Toytown: street scenes drawn from a seed, the same on every machine to the last bit.

canvas   random bits, shapes and anti-aliased painting
street   camera, sky, houses and ground
objects  lamps, signs, trees, cars, people, bicycles
scene    `scene`: the finished image with its labels, in four weathers
"""
