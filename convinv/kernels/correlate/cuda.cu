// Products with a convolution and with its adjoint, one gather for both: for layers and
// places that cuda_tiles.cu does not compute.
//
// A target sample (channel k of a group, place t) is a sum over the taps that join it
// to source places, and over the channels j of its group:
//
//     target[k, t] = sum_{(u, s) joins t} sum_j table[u, j, k] * source[j, s]
//
// Only the way in which an axis finds its (u, s) differs between the two products.
// table is (groups, taps, J, K) with K padded to a multiple of TILE; a thread owns
// TILE channels of one place, so every source sample is loaded once for all of them.

// Forward: tap u of output i reads map[stride * i + dilation * u], nothing where -1.
struct ForwardAxis {
  const long long* map;
  long long stride, dilation;
  int taps;

  template <class F>
  __device__ __forceinline__ void operator()(long long i, F visit) const {
    const long long* place = map + stride * i;
#pragma unroll 1
    for (int u = 0; u < taps; ++u, place += dilation) {
      const long long s = fetch(place);
      if (s >= 0) visit(u, s);
    }
  }
};

// Adjoint: input p appears at some padded positions. Those that a tap reaches from a
// whole output index are listed in start[p] ... start[p + 1], with the first such tap
// and its index; `tap_step` taps on, the next one reads `index_step` outputs before.
struct AdjointAxis {
  const long long *start, *tap, *index;
  int tap_step;
  long long index_step;
  int taps;

  template <class F>
  __device__ __forceinline__ void operator()(long long p, F visit) const {
    const long long last = fetch(start + p + 1);
#pragma unroll 1
    for (long long f = fetch(start + p); f < last; ++f) {
      long long s = fetch(index + f);
#pragma unroll 1
      for (int u = int(fetch(tap + f)); u < taps && s >= 0;
           u += tap_step, s -= index_step)
        visit(u, s);
    }
  }
};

struct Size {
  long long d, h, w;
  __device__ __forceinline__ long long volume() const { return d * h * w; }
};

struct Channels {
  long long batch, groups, source, target;  // source and target: in one group
};

// target[0 ... TILE) at one place. `weights` steps by `width` from (u, j) to the next.
template <int TILE, class Axis>
__device__ __forceinline__ void sum_taps(Scalar (&sum)[TILE], const Axis (&axes)[3],
                                         long long d, long long h, long long w,
                                         const Scalar* __restrict__ source, Size size,
                                         const Scalar* __restrict__ weights,
                                         long long channels, long long width) {
  const long long volume = size.volume();
  axes[0](d, [&](int ud, long long sd) {
    axes[1](h, [&](int uh, long long sh) {
      axes[2](w, [&](int uw, long long sw) {
        const int tap = (ud * axes[1].taps + uh) * axes[2].taps + uw;
        const Scalar* from = source + (sd * size.h + sh) * size.w + sw;
        const Scalar* row = weights + tap * channels * width;
#pragma unroll 2
        for (long long j = 0; j < channels; ++j, from += volume, row += width) {
          const Scalar value = fetch(from);
          for (int k = 0; k < TILE; ++k) sum[k] = sum[k] + fetch(row + k) * value;
        }
      });
    });
  });
}

// The places of one launch: `count` of those in `list`, or all.
struct Places {
  const long long* list;
  long long count;
  int all;
  __device__ __forceinline__ long long operator[](long long i) const {
    return all ? i : fetch(list + i);
  }
};

// blockIdx.y: item, group and tile of channels; x: places. With `want`, the squares of
// each item's results are added up.
template <int TILE, class Axis>
__device__ __forceinline__ void product(const Scalar* __restrict__ source, Size from,
                                        Scalar* __restrict__ target, Size to,
                                        const Scalar* __restrict__ table,
                                        const Axis (&axes)[3], Channels n, Places places,
                                        int want, const Sums<double>& sums) {
  const long long tiles = (n.target + TILE - 1) / TILE, width = tiles * TILE;
  const long long taps = (long long)axes[0].taps * axes[1].taps * axes[2].taps;
  const long long volume = to.volume(), step = (long long)gridDim.x * THREADS;
  for (long long y = blockIdx.y; y < n.batch * n.groups * tiles; y += gridDim.y) {
    const long long tile = y % tiles, part = y / tiles;  // part: item and group
    const Scalar* in = source + part * n.source * from.volume();
    Scalar* out = target + (part * n.target + tile * TILE) * volume;
    const Scalar* weights =
        table + part % n.groups * taps * n.source * width + tile * TILE;
    const long long left = n.target - tile * TILE;
    double squares = 0;
    for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < places.count;
         i += step) {
      const long long place = places[i], row = place / to.w;
      Scalar sum[TILE] = {};
      sum_taps<TILE>(sum, axes, row / to.h, row % to.h, place % to.w, in, from, weights,
                     n.source, width);
      for (int k = 0; k < TILE; ++k)
        if (k < left) {
          out[k * volume + place] = sum[k];
          if (want) squares += square(sum[k]);
        }
    }
    if (want) {
      const long long others = n.groups * tiles, item = y / others;
      const int parts = int(others * gridDim.x);
      sums.put(item, y % others * gridDim.x + blockIdx.x, parts, squares);
      if (sums.last(item, parts)) sums.finish(item, parts);
    }
  }
}

#define TRIPLE(type, name) type name##_d, type name##_h, type name##_w
#define COMMON                                                                      \
  const Scalar *source, Scalar *target, const Scalar *table, SUMS(double),          \
      const long long *list, long long count, long long all, long long batch,       \
      long long groups, long long source_channels, long long target_channels,       \
      TRIPLE(long long, from), TRIPLE(long long, to), TRIPLE(long long, taps),      \
      long long want
#define PRODUCT(TILE)                                                                 \
  product<TILE>(source, Size{from_d, from_h, from_w}, target, Size{to_d, to_h, to_w}, \
                table, axes,                                                          \
                Channels{batch, groups, source_channels, target_channels},            \
                Places{list, count, int(all)}, int(want),                             \
                Sums<double>{partial, sums, tickets})

#define FORWARD_AXIS(a) {map_##a, stride_##a, dilation_##a, int(taps_##a)}
#define FORWARD(NAME, TILE)                                                          \
  KERNEL(1)                                                                          \
  NAME(COMMON, TRIPLE(const long long*, map), TRIPLE(long long, stride),             \
       TRIPLE(long long, dilation)) {                                                \
    const ForwardAxis axes[3] = {FORWARD_AXIS(d), FORWARD_AXIS(h), FORWARD_AXIS(w)}; \
    PRODUCT(TILE);                                                                   \
  }

#define ADJOINT_AXIS(a) \
  {start_##a, tap_##a, index_##a, int(tap_step_##a), index_step_##a, int(taps_##a)}
#define ADJOINT(NAME, TILE)                                                          \
  KERNEL(1)                                                                          \
  NAME(COMMON, TRIPLE(const long long*, start), TRIPLE(const long long*, tap),       \
       TRIPLE(const long long*, index), TRIPLE(long long, tap_step),                 \
       TRIPLE(long long, index_step)) {                                              \
    const AdjointAxis axes[3] = {ADJOINT_AXIS(d), ADJOINT_AXIS(h), ADJOINT_AXIS(w)}; \
    PRODUCT(TILE);                                                                   \
  }

FORWARD(forward_1, 1)
FORWARD(forward_2, 2)
FORWARD(forward_4, 4)
FORWARD(forward_8, 8)
ADJOINT(adjoint_1, 1)
ADJOINT(adjoint_2, 2)
ADJOINT(adjoint_4, 4)
ADJOINT(adjoint_8, 8)
