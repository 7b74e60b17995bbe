"""What the paper prints of its Table 3, and the sizes of its experiments.

Its centers, the widths of its boxes and its Tables 1, 2 and 4 to 7 are not published in
a form that can be read.
"""

TEST = 10_000  # matrices of a test set
RUNS = 3
EPOCHS, MATRICES, BATCH = 20, 1_000_000, 128
STEPS = {2: EPOCHS * MATRICES // BATCH, 3: 200_000, 16: 200_000}
LAYERS = {"2-FC": 2, "3-FC": 3}
SMALL = 8  # hidden units of the network that is looked into

# Table 3, seconds for a test set: a GPU by batch size, a CPU one by one, the inverse
COLUMNS = ("GPU 1", "GPU 100", "GPU 10000", "CPU 1", "exact CPU")
SECONDS = {
    (2, "2-FC"): (4.491, 0.214, 0.125, 1.703, 0.075),
    (2, "3-FC"): (8.177, 0.356, 0.162, 2.032, 0.075),
    (3, "2-FC"): (5.501, 0.257, 0.162, 1.700, 0.078),
    (3, "3-FC"): (6.718, 0.280, 0.159, 2.057, 0.078),
    (16, "2-FC"): (4.709, 0.623, 0.467, 5.232, 1.196),
    (16, "3-FC"): (6.623, 0.878, 0.459, 25.887, 1.196),
}
