"""What the paper prints: the figures of its Tables 1, 2 and 3."""

MATRICES = 1000
SIZE = 10
GAP = 1e-15  # between the first two values, relative
SCALES = {1: 1e-10, 2: 1e-18}

# Table 1: squared errors, by case and workflow; clip's are those of tf
TABLE1 = {
    (1, 1): {"tf": 1412.5, "clip": 1412.5, "taylor": 1828.6, "inv": 38.9},
    (1, 2): {"tf": 1086.6, "clip": 1086.6, "taylor": 6045.1, "inv": 30.2},
    (1, 3): {"tf": 1347.7, "clip": 1347.7, "taylor": 1663.8, "inv": 640.3},
    (2, 1): {"tf": 1611.7, "clip": 1611.7, "taylor": 9487.2, "inv": 37.1},
    (2, 2): {"tf": 4945.1, "clip": 4945.1, "taylor": 15343.9, "inv": 3833.0},
    (2, 3): {"tf": 1443.9, "clip": 1443.9, "taylor": 7972.0, "inv": 712.0},
}

# Table 2: dB of its networks on its own 14 images, by the part that is sampled
RATIOS = (0.04, 0.1, 0.3, 0.4, 0.5)
TABLE2 = {
    "tf": (22.080, 25.377, 30.952, 32.794, 34.768),
    "taylor": (21.877, 25.503, 30.837, 32.707, 34.583),
    "inv": (22.072, 25.426, 30.952, 32.795, 34.768),
}

# Table 3: dB of its networks on its own series; None: the training failed
TABLE3_COLUMNS = ("standard", "tf", "taylor", "inv")
TABLE3 = {
    "radial, 16 spokes": (40.653, 40.572, 40.497, 40.569),
    "radial, 30 spokes": (42.779, 42.873, 42.826, 42.886),
    "variable density, 8x": (None, 40.557, 40.450, 40.597),
    "lines, 8x": (37.381, 37.381, 37.846, 37.142),
    "lines, 12x": (None, 26.952, 26.735, 26.833),
}
