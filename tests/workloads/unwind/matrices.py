"""Multiplies matrices by numpy's BLAS, on as many threads as that takes, with Python's own work between."""

import numpy

matrix = numpy.random.default_rng(1).random((512, 512))
print("ready", flush=True)
while True:
    matrix = matrix @ matrix
    matrix /= numpy.linalg.norm(matrix)
    sum(range(20_000))
