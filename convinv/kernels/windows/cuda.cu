// Separable windows on a grid (batch, channels, D, H, W).
//
// Window number (sd * S_h + sh) * S_w + sw takes, on each axis, the samples that row s
// of the axis table names; -1 names none. Elements of a window are ordered as the grid
// is: (channels, n_d, n_h, n_w). A window has fewer than 2**31 elements.

struct Size {
  long long d, h, w;
  __device__ __forceinline__ long long volume() const { return d * h * w; }
};

struct Tables {
  const long long *d, *h, *w;  // (S, n) of each axis
  long long windows_h, windows_w;
  unsigned n_d, n_h, n_w;
};

// Calls visit(element, place) for the threads' share of one window; place is the
// offset in an item of the grid, or -1.
template <class F>
__device__ __forceinline__ void each_element(const Tables& t, Size size,
                                             unsigned channels, long long window,
                                             F visit) {
  const long long* at_w = t.w + window % t.windows_w * t.n_w;
  const long long* at_h = t.h + window / t.windows_w % t.windows_h * t.n_h;
  const long long* at_d = t.d + window / t.windows_w / t.windows_h * t.n_d;
  const unsigned count = channels * t.n_d * t.n_h * t.n_w;
  for (unsigned e = threadIdx.x; e < count; e += THREADS) {
    const unsigned w = e % t.n_w, h = e / t.n_w % t.n_h, rest = e / t.n_w / t.n_h;
    const long long d = fetch(at_d + rest % t.n_d), y = fetch(at_h + h),
                    x = fetch(at_w + w);
    const bool known = d >= 0 && y >= 0 && x >= 0;
    const long long c = rest / t.n_d;
    visit(e, known ? ((c * size.d + d) * size.h + y) * size.w + x : -1LL);
  }
}

#define TRIPLE(type, name) type name##_d, type name##_h, type name##_w
#define TABLES                                                               \
  TRIPLE(const long long*, table), long long windows_h, long long windows_w, \
      TRIPLE(long long, n)
#define TABLES_PASSED                                                              \
  Tables {                                                                         \
    table_d, table_h, table_w, windows_h, windows_w, unsigned(n_d), unsigned(n_h), \
        unsigned(n_w)                                                              \
  }

// values (count, batch, elements); a block owns one window of one item.
KERNEL(3)
gather(const Scalar* __restrict__ grid, Scalar* __restrict__ values,
       const long long* which, long long count, long long batch, long long channels,
       TRIPLE(long long, size), TABLES) {
  const Tables tables = TABLES_PASSED;
  const Size size = {size_d, size_h, size_w};
  const long long elements = channels * n_d * n_h * n_w;
  for (long long block = blockIdx.x; block < count * batch; block += gridDim.x) {
    const Scalar* item = grid + block % batch * channels * size.volume();
    Scalar* out = values + block * elements;
    each_element(tables, size, unsigned(channels), which[block / batch],
                 [=](unsigned e, long long place) {
                   out[e] = place < 0 ? Scalar{} : item[place];
                 });
  }
}

// The inverse of gather for one window: values (batch, elements).
KERNEL(3)
scatter(const Scalar* __restrict__ values, Scalar* __restrict__ grid, long long window,
        long long batch, long long channels, TRIPLE(long long, size), TABLES) {
  const Tables tables = TABLES_PASSED;
  const Size size = {size_d, size_h, size_w};
  const long long elements = channels * n_d * n_h * n_w;
  for (long long b = blockIdx.x; b < batch; b += gridDim.x) {
    const Scalar* in = values + b * elements;
    Scalar* item = grid + b * channels * size.volume();
    each_element(tables, size, unsigned(channels), window,
                 [=](unsigned e, long long place) {
                   if (place >= 0) item[place] = in[e];
                 });
  }
}

// The windows that cover sample p of an axis, and p's element in each of them:
// window[f], position[f] for start[p] <= f < start[p + 1].
struct Cover {
  const long long *start, *window, *position;
  long long windows;
  unsigned n;
};

struct Values {
  const Scalar* values;  // (windows, batch, channels, n_d, n_h, n_w)
  long long batch, channels;
  Cover d, h, w;

  __device__ __forceinline__ Scalar operator()(long long b, long long c, long long fd,
                                               long long fh, long long fw) const {
    const long long window =
        (fetch(d.window + fd) * h.windows + fetch(h.window + fh)) * w.windows +
        fetch(w.window + fw);
    const long long plane = (window * batch + b) * channels + c;
    const long long row = (plane * d.n + fetch(d.position + fd)) * h.n;
    return values[(row + fetch(h.position + fh)) * w.n + fetch(w.position + fw)];
  }
};

__device__ __forceinline__ Scalar last_value(const Values& v, long long b, long long c,
                                             Size first, Size last) {
  if (first.d == last.d || first.h == last.h || first.w == last.w) return Scalar{};
  return v(b, c, last.d - 1, last.h - 1, last.w - 1);
}

__device__ __forceinline__ Scalar mean_value(const Values& v, long long b, long long c,
                                             Size first, Size last) {
  Scalar sum = {};
  for (long long d = first.d; d < last.d; ++d)
    for (long long h = first.h; h < last.h; ++h)
      for (long long w = first.w; w < last.w; ++w) sum = sum + v(b, c, d, h, w);
  const Size count = {last.d - first.d, last.h - first.h, last.w - first.w};
  return REAL(1) / REAL(count.volume() ? count.volume() : 1) * sum;
}

// blockIdx.z: item and channel; y: rows (d, h); x: columns.
KERNEL(3)
combine(const Scalar* __restrict__ values, Scalar* __restrict__ grid, long long average,
        long long batch, long long channels, TRIPLE(long long, size),
        TRIPLE(const long long*, start), TRIPLE(const long long*, window),
        TRIPLE(const long long*, position), TRIPLE(long long, windows),
        TRIPLE(long long, n)) {
  const Values v = {values,
                    batch,
                    channels,
                    {start_d, window_d, position_d, windows_d, unsigned(n_d)},
                    {start_h, window_h, position_h, windows_h, unsigned(n_h)},
                    {start_w, window_w, position_w, windows_w, unsigned(n_w)}};
  const long long rows = size_d * size_h;
  for (long long z = blockIdx.z; z < batch * channels; z += gridDim.z)
    for (long long row = (long long)blockIdx.y * blockDim.y + threadIdx.y; row < rows;
         row += (long long)gridDim.y * blockDim.y) {
      const long long d = row / size_h, h = row % size_h;
      for (long long w = (long long)blockIdx.x * blockDim.x + threadIdx.x; w < size_w;
           w += (long long)gridDim.x * blockDim.x) {
        const Size first = {start_d[d], start_h[h], start_w[w]};
        const Size last = {start_d[d + 1], start_h[h + 1], start_w[w + 1]};
        grid[(z * rows + row) * size_w + w] =
            average ? mean_value(v, z / channels, z % channels, first, last)
                    : last_value(v, z / channels, z % channels, first, last);
      }
    }
}
