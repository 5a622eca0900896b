"""
A simulator of a mesh of services under moving load.

What it makes looks like what real tools export, in names, labels and units, but it is simulated: it is no measurement
and must never be shown as one. It serves tests, the demo and the development of the forecaster.
"""
