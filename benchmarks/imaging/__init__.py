"""Deblurring by `convinv.imaging.deconvolve` beside scikit-image's three methods."""
