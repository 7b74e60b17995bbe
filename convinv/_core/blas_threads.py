"""One BLAS thread at a time where matrices are small.

The threads of a BLAS wait for each other after every product; for products of
microseconds, or on a busy machine, that costs many times the products themselves. The
batch is divided among threads instead (`_core.threads.parallel_map`).
"""

import threading
from typing import Any

from threadpoolctl import ThreadpoolController


class _OneThread:
    """A context, safe to enter from several threads at once."""

    def __init__(self):
        self.lock, self.inside = threading.Lock(), 0
        self.controller: ThreadpoolController | None = None
        self.limiter: Any = None

    def __enter__(self):
        with self.lock:
            if self.inside == 0:
                if self.controller is None:
                    self.controller = ThreadpoolController().select(user_api="blas")
                self.limiter = self.controller.limit(limits=1)
                self.limiter.__enter__()
            self.inside += 1

    def __exit__(self, *error):
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.limiter.__exit__(*error)


one_blas_thread = _OneThread()
