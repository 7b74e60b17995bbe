// Row and column actions of a convolution, in place; the contract is `kernels.rows`'s.
//
// A warp acts on one row or column at a time. Samples that taps fold onto are updated by
// one thread, as no two may write to one place.

constexpr int WARPS = THREADS / 32;

#define TRIPLE(type, name) type name##_d, type name##_h, type name##_w

// A layer and the arrays of one sweep. Tables are those of `kernels.rows.tables.Plan`.
struct Layer {
  const Scalar* weights;
  long long groups, channels, filters, taps, width;
  long long in_d, in_h, in_w, out_d, out_h, out_w, k_h, k_w;
  double damp;
  __device__ __forceinline__ long long samples() const { return in_d * in_h * in_w; }
  __device__ __forceinline__ long long pixels() const { return out_d * out_h * out_w; }
};

#define LAYER                                                                    \
  const Scalar *__restrict__ weights, long long groups, long long channels,      \
      long long filters, long long taps, long long width, TRIPLE(long long, in), \
      TRIPLE(long long, out), long long k_h, long long k_w, double damp
#define LAYER_PASSED                                                             \
  Layer {                                                                        \
    weights, groups, channels, filters, taps, width, in_d, in_h, in_w, out_d,    \
        out_h, out_w, k_h, k_w, damp                                             \
  }

__device__ __forceinline__ double broadcast(double a) {
  return __shfl_sync(0xffffffffu, a, 0);
}
__device__ __forceinline__ Complex<double> broadcast(Complex<double> a) {
  return {broadcast(a.re), broadcast(a.im)};
}

__device__ __forceinline__ int lane() { return thread_number() % 32; }
__device__ __forceinline__ long long warp() {
  return (long long)blockIdx.x * WARPS + thread_number() / 32;
}
__device__ __forceinline__ long long all_warps() { return (long long)gridDim.x * WARPS; }

// The sum over a warp, in all of its threads.
__device__ __forceinline__ Wide warp_sum(Wide value) {
  for (unsigned lanes = 16; lanes > 0; lanes /= 2)
    value = value + shuffle_down(value, lanes);
  return broadcast(value);
}

__device__ __forceinline__ void add(Scalar& place, Wide value) {
  place = narrow(widen(place) + value);
}

// The samples under the taps of an output pixel, as offsets in its group's channels.
struct Window {
  const long long *offsets, *row_d, *row_h, *row_w;
  long long at, k_h, k_w, k_dhw, in_h, in_w, samples;
  bool plain;

  __device__ __forceinline__ long long operator()(long long t) const {
    if (plain) return at + offsets[t];
    const long long w = row_w[t % k_w], h = row_h[t / k_w % k_h],
                    d = row_d[t % k_dhw / (k_w * k_h)];
    if (d < 0 || h < 0 || w < 0) return -1;
    return t / k_dhw * samples + (d * in_h + h) * in_w + w;
  }
};

__device__ __forceinline__ Window window(const Layer& a, const long long* offsets,
                                         TRIPLE(const long long*, start),
                                         TRIPLE(const long long*, table),
                                         long long pixel) {
  const long long w = pixel % a.out_w, h = pixel / a.out_w % a.out_h,
                  d = pixel / a.out_w / a.out_h;
  const long long s_d = start_d[d], s_h = start_h[h], s_w = start_w[w];
  const long long k_dhw = a.taps / a.channels, k_d = k_dhw / (a.k_h * a.k_w);
  return {offsets,
          table_d + d * k_d,
          table_h + h * a.k_h,
          table_w + w * a.k_w,
          (s_d * a.in_h + s_h) * a.in_w + s_w,
          a.k_h,
          a.k_w,
          k_dhw,
          a.in_h,
          a.in_w,
          a.samples(),
          s_d >= 0 && s_h >= 0 && s_w >= 0};
}

__device__ __forceinline__ void row_action(const Layer& a, const Window& place,
                                           long long item, long long o,
                                           long long pixel, Scalar* x, const Scalar* b,
                                           Scalar* z, const REAL* scale) {
  const double size = scale[o * a.pixels() + pixel];
  if (size == 0) return;
  x += (item * a.groups + o / a.filters) * a.channels * a.samples();
  const Scalar* weight = a.weights + o * a.width;
  const long long i = (item * a.groups * a.filters + o) * a.pixels() + pixel;
  Wide rest = widen(b[i]);
  if (a.damp != 0) rest = rest + -a.damp * widen(z[i]);
  Wide sum = {};
  for (long long t = lane(); t < a.taps; t += 32) {
    const long long p = place(t);
    if (p >= 0) sum = sum + widen(fetch(weight + t)) * widen(x[p]);
  }
  const Wide step = size * (rest + -1.0 * warp_sum(sum));
  const long long first = place.plain ? lane() : 0;
  const long long stride = place.plain ? 32 : 1;
  if (place.plain || lane() == 0)
    for (long long t = first; t < a.taps; t += stride) {
      const long long p = place(t);
      if (p >= 0) add(x[p], step * conjugate(widen(fetch(weight + t))));
    }
  if (a.damp != 0 && lane() == 0) add(z[i], a.damp * step);
  __syncwarp();
}

#define ROWS                                                                  \
  const long long *offsets, TRIPLE(const long long*, start),                  \
      TRIPLE(const long long*, table), Scalar *x, const Scalar *b, Scalar *z, \
      const REAL *scale, const bool *active, long long batch
#define WINDOW(pixel)                                                       \
  window(a, offsets, start_d, start_h, start_w, table_d, table_h, table_w, pixel)

// A warp goes through the rows of one item.
KERNEL(3)
rows(LAYER, ROWS, const long long* order, long long count, long long reverse) {
  const Layer a = LAYER_PASSED;
  for (long long item = warp(); item < batch; item += all_warps()) {
    if (!active[item]) continue;
    for (long long k = 0; k < count; ++k) {
      const long long row = order[reverse ? count - 1 - k : k];
      const long long pixel = row % a.pixels();
      row_action(a, WINDOW(pixel), item, row / a.pixels(), pixel, x, b, z, scale);
    }
  }
}

// A warp goes through the filters of one pixel of one item.
KERNEL(3)
pixels(LAYER, ROWS, const long long* order, long long count, long long reverse) {
  const Layer a = LAYER_PASSED;
  const long long all = a.groups * a.filters;
  for (long long task = warp(); task < batch * count; task += all_warps()) {
    if (!active[task / count]) continue;
    const long long pixel = order[task % count];
    const Window place = WINDOW(pixel);
    for (long long o = 0; o < all; ++o)
      row_action(a, place, task / count, reverse ? all - 1 - o : o, pixel, x,
                       b, z, scale);
  }
}

// The output pixels that depend on a sample on one axis, with the tap.
struct Cover {
  const long long *output, *tap;
  long long count;
};

__device__ __forceinline__ Cover cover(const long long* begin, const long long* output,
                                       const long long* tap, long long sample) {
  const long long first = begin[sample];
  return {output + first, tap + first, begin[sample + 1] - first};
}

struct Covers {
  Cover on_d, on_h, on_w;
  bool plain;  // no output depends on the sample by two taps
  __device__ __forceinline__ long long count() const {
    return on_d.count * on_h.count * on_w.count;
  }
};

__device__ __forceinline__ void column_action(const Layer& a, const Covers& by,
                                              long long item, long long channel,
                                              long long sample, Scalar* x, Scalar* r,
                                              const Scalar* origin, bool shifted,
                                              const REAL* scale) {
  const long long j = channel * a.samples() + sample, group = channel / a.channels;
  const double size = scale[j];
  if (size == 0) return;
  const long long i = item * a.groups * a.channels * a.samples() + j;
  r += (item * a.groups + group) * a.filters * a.pixels();
  const long long k_dhw = a.taps / a.channels;
  const Scalar* weight =
      a.weights + group * a.filters * a.width + channel % a.channels * k_dhw;
  const long long count = by.count(), entries = count * a.filters;
  auto entry = [&](long long e, long long& row, long long& of) {
    const long long c = e % by.on_w.count, f = e / by.on_w.count % by.on_h.count,
                    d = e % count / (by.on_w.count * by.on_h.count), o = e / count;
    row = ((o * a.out_d + by.on_d.output[d]) * a.out_h + by.on_h.output[f]) * a.out_w +
          by.on_w.output[c];
    of = o * a.width + (by.on_d.tap[d] * a.k_h + by.on_h.tap[f]) * a.k_w +
         by.on_w.tap[c];
  };
  Wide rest = {};
  if (a.damp != 0) {
    rest = widen(x[i]);
    if (shifted) rest = rest + widen(origin[i]);
    rest = -(a.damp * a.damp) * rest;
  }
  Wide sum = {};
  long long row, of;
  for (long long e = lane(); e < entries; e += 32) {
    entry(e, row, of);
    sum = sum + conjugate(widen(fetch(weight + of))) * widen(r[row]);
  }
  const Wide step = size * (rest + warp_sum(sum));
  const long long first = by.plain ? lane() : 0;
  const long long stride = by.plain ? 32 : 1;
  if (by.plain || lane() == 0)
    for (long long e = first; e < entries; e += stride) {
      entry(e, row, of);
      add(r[row], -1.0 * step * widen(fetch(weight + of)));
    }
  if (lane() == 0) add(x[i], step);
  __syncwarp();
}

#define COLUMNS                                                                      \
  TRIPLE(const long long*, begin), TRIPLE(const long long*, output),                 \
      TRIPLE(const long long*, tap), TRIPLE(const bool*, single), Scalar *x,         \
      Scalar *r, const Scalar *origin, long long shifted, const REAL *scale,         \
      const bool *active, long long batch

#define COVERS(sample)                                                              \
  Covers {                                                                          \
    cover(begin_d, output_d, tap_d, sample / (a.in_w * a.in_h)),                    \
        cover(begin_h, output_h, tap_h, sample / a.in_w % a.in_h),                  \
        cover(begin_w, output_w, tap_w, sample % a.in_w),                           \
        single_d[sample / (a.in_w * a.in_h)] && single_h[sample / a.in_w % a.in_h] && \
            single_w[sample % a.in_w]                                               \
  }

// A warp goes through the columns of one item.
KERNEL(3)
columns(LAYER, COLUMNS, const long long* order, long long count, long long reverse) {
  const Layer a = LAYER_PASSED;
  for (long long item = warp(); item < batch; item += all_warps()) {
    if (!active[item]) continue;
    for (long long k = 0; k < count; ++k) {
      const long long j = order[reverse ? count - 1 - k : k];
      const long long sample = j % a.samples();
      column_action(a, COVERS(sample), item, j / a.samples(), sample, x, r,
                           origin, shifted != 0, scale);
    }
  }
}

// A warp goes through the channels of one sample of one item.
KERNEL(3)
samples(LAYER, COLUMNS, const long long* order, long long count, long long reverse) {
  const Layer a = LAYER_PASSED;
  const long long all = a.groups * a.channels;
  for (long long task = warp(); task < batch * count; task += all_warps()) {
    if (!active[task / count]) continue;
    const long long sample = order[task % count];
    const Covers by = COVERS(sample);
    for (long long c = 0; c < all; ++c)
      column_action(a, by, task / count, reverse ? all - 1 - c : c, sample, x,
                          r, origin, shifted != 0, scale);
  }
}
