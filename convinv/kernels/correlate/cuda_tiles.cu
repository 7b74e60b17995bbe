// Products of layers with dilation 1 along the last axis, by tiles in shared memory.
//
//     target[k, t] = sum_u sum_j table[u, j, k] * source[j, map[stride * t + dilation * u]]
//
// The loader defines TILE, ROWS, TAPS (columns of taps that are taken at once) and STRIDE
// (along the last axis). A block owns a rectangle of places and up to blockDim.z * TILE
// channels of it. It copies the samples of some source channels there to shared memory,
// including the boundary, and adds their products; each sample is read from device
// memory once, except at the rims of the rectangles. A thread owns COLUMNS neighbors in
// each of ROWS rows for TILE channels: its reads from shared memory serve all of these
// sums, so that arithmetic limits thick layers.
//
// Positions along one axis are 32 bits wide; the launcher sees to that.

constexpr int COLUMNS = 4;
constexpr int WINDOW = (COLUMNS - 1) * STRIDE + TAPS;  // samples behind COLUMNS sums

// The data of one access.
struct alignas(16) Pack {
  static constexpr int SIZE = 16 / sizeof(Scalar);
  Scalar value[SIZE];
};

constexpr int PACKS = (WINDOW + Pack::SIZE - 1) / Pack::SIZE;

struct Size {
  int d, h, w;
  __device__ __forceinline__ long long volume() const { return (long long)d * h * w; }
};

// Position q of the padded source copies sample map[q], or is zero where that is -1.
struct Axis {
  const int* map;
  int length, stride, dilation, taps;

  __device__ __forceinline__ int sample(int position) const {
    return position < length ? fetch(map + position) : -1;
  }
};

struct Layer {
  int groups, source, target;  // channels in one group
  int channels, heights;  // of the source, and taps along h, copied at once
};

// Columns of taps in the table, padded with zeros. Only TAPS of 4 are used repeatedly,
// since steps must keep packs aligned.
__device__ __forceinline__ int padded(int taps) {
  return TAPS == 4 ? (taps + 3) / 4 * 4 : TAPS;
}

// Columns in shared memory: whole packs, as many as the last thread reads.
__device__ __forceinline__ int pitch_of(int taps_w) {
  const int last = COLUMNS * STRIDE * int(blockDim.x - 1) + taps_w - TAPS;
  return last + (WINDOW + 3) / 4 * 4;
}

// A copy to shared memory that the thread does not wait for, of zero unless `shown`.
__device__ __forceinline__ void copy_async(Scalar* to, const Scalar* from, bool shown) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(
                   unsigned(__cvta_generic_to_shared(to))),
               "l"(from), "n"(sizeof(Scalar)), "r"(shown ? unsigned(sizeof(Scalar)) : 0u)
               : "memory");
#else
  *to = shown ? fetch(from) : Scalar{};
#endif
}

// Wait for the copies of all threads of the block.
__device__ __forceinline__ void finish_copies() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
  __syncthreads();
}

// Copy `channels` planes of `rows` rows, from padded position (row, column) on. A warp
// takes a row at a time; its threads know their columns' samples beforehand.
__device__ __forceinline__ void load_source(Scalar* tile, const Scalar* __restrict__ from,
                                            const Size& size, const Axis& h,
                                            const Axis& w, int row, int column,
                                            int channels, int rows, int pitch) {
  constexpr int SEVERAL = 5;
  const int warp = thread_number() / 32;
  for (int c = thread_number() % 32; c < pitch; c += 32 * SEVERAL) {
    int at[SEVERAL];
#pragma unroll
    for (int i = 0; i < SEVERAL; ++i) at[i] = w.sample(column + c + 32 * i);
    const Scalar* plane = from;
    int r = warp;
#pragma unroll 1
    for (int e = warp; e < channels * rows; e += THREADS / 32, r += THREADS / 32) {
      for (; r >= rows; r -= rows) plane += size.volume();
      const int line = h.sample(row + r);
      const Scalar* samples = plane + (long long)line * size.w;
      Scalar* to = tile + e * pitch + c;
#pragma unroll
      for (int i = 0; i < SEVERAL; ++i)
        if (c + 32 * i < pitch) {
          const bool shown = (line | at[i]) >= 0;
          copy_async(to + 32 * i, shown ? samples + at[i] : from, shown);
        }
    }
  }
}

// Copy `run` of the `whole` numbers that the table has for every channel.
__device__ __forceinline__ void load_weights(Scalar* tile,
                                             const Scalar* __restrict__ table,
                                             int channels, int run, int whole) {
#pragma unroll 1
  for (int j = 0; j < channels; ++j, tile += run, table += whole)
#pragma unroll 1
    for (int e = thread_number(); e < run; e += THREADS)
      copy_async(tile + e, table + e, true);
}

// TILE adjacent weights.
__device__ __forceinline__ void read(Scalar (&weight)[TILE], const Scalar* from) {
  if constexpr (TILE % Pack::SIZE == 0) {
#pragma unroll
    for (int i = 0; i < TILE / Pack::SIZE; ++i) {
      const Pack pack = reinterpret_cast<const Pack*>(from)[i];
#pragma unroll
      for (int k = 0; k < Pack::SIZE; ++k) weight[i * Pack::SIZE + k] = pack.value[k];
    }
  } else {
#pragma unroll
    for (int k = 0; k < TILE; ++k) weight[k] = from[k];
  }
}

// The products of TAPS taps with the samples of every row of the result.
__device__ __forceinline__ void multiply(Scalar (&sum)[ROWS][COLUMNS][TILE],
                                         const Scalar* samples, int row_step,
                                         const Scalar* weights, int width) {
  Pack seen[ROWS][PACKS];
#pragma unroll
  for (int q = 0; q < ROWS; ++q)
#pragma unroll
    for (int i = 0; i < PACKS; ++i)
      seen[q][i] = reinterpret_cast<const Pack*>(samples + q * row_step)[i];
#pragma unroll
  for (int v = 0; v < TAPS; ++v) {
    Scalar weight[TILE];
    read(weight, weights + v * width);
#pragma unroll
    for (int q = 0; q < ROWS; ++q)
#pragma unroll
      for (int c = 0; c < COLUMNS; ++c) {
        const int i = c * STRIDE + v;
        const Scalar value = seen[q][i / Pack::SIZE].value[i % Pack::SIZE];
#pragma unroll
        for (int k = 0; k < TILE; ++k) sum[q][c][k] = sum[q][c][k] + weight[k] * value;
      }
  }
}

// All sums of a thread: of rows top + threadIdx.y + q * blockDim.y, and columns from
// left + threadIdx.x * COLUMNS on. `in` is the item's first channel, `filters` its table.
__device__ __forceinline__ void add_up(Scalar (&sum)[ROWS][COLUMNS][TILE],
                                       const Scalar* __restrict__ in,
                                       const Scalar* __restrict__ filters,
                                       const Size& from, const Axis& d, const Axis& h,
                                       const Axis& w, const Layer& n, int depth, int top,
                                       int left) {
  extern __shared__ Pack shared[];
  Scalar* const samples = reinterpret_cast<Scalar*>(shared);
  const int taps_w = padded(w.taps);
  const int width = int(blockDim.z) * TILE, pitch = pitch_of(taps_w);
  const int high = (int(blockDim.y) * ROWS - 1) * h.stride;
  const int whole = h.taps * taps_w * width;  // numbers of a channel in the table
  const int place = int(threadIdx.y) * h.stride * pitch + int(threadIdx.x) * COLUMNS * STRIDE;
#pragma unroll 1
  for (int ud = 0; ud < d.taps; ++ud) {
    const int plane = d.sample(d.stride * depth + d.dilation * ud);
    if (plane < 0) continue;  // the same for the whole block
#pragma unroll 1
    for (int u = 0; u < h.taps; u += n.heights) {
      const int heights = min(n.heights, h.taps - u);
      const int rows = high + (heights - 1) * h.dilation + 1;
#pragma unroll 1
      for (int j = 0; j < n.source; j += n.channels) {
        const int channels = min(n.channels, n.source - j);
        const Scalar* used = samples + channels * rows * pitch;
        __syncthreads();  // the previous ones have been read
        load_source(samples, in + j * from.volume() + (long long)plane * from.h * from.w,
                    from, h, w, h.stride * top + h.dilation * u, STRIDE * left, channels,
                    rows, pitch);
        load_weights(samples + channels * rows * pitch,
                     filters + (long long)(ud * n.source + j) * whole + u * taps_w * width,
                     channels, heights * taps_w * width, whole);
        finish_copies();
        used += threadIdx.z * TILE;
#pragma unroll 1
        for (int c = 0; c < channels; ++c)
#pragma unroll 1
          for (int i = 0; i < heights; ++i) {
            const Scalar* seen = samples + (c * rows + i * h.dilation) * pitch + place;
#pragma unroll 1
            for (int v = 0; v < taps_w; v += TAPS, used += TAPS * width)
              multiply(sum, seen + v, int(blockDim.y) * h.stride * pitch, used, width);
          }
      }
    }
  }
}

// Write the sums of rows from `top` and columns from `left` on to planes that begin at
// `out`; returns the sum of squares of the thread's results if `want`. The threads of a
// warp exchange their sums through shared memory, so that neighboring threads write
// neighbors in a row, wherever the row begins.
__device__ __forceinline__ double store(const Scalar (&sum)[ROWS][COLUMNS][TILE],
                                        Scalar* __restrict__ out, const Size& to,
                                        int channels, int top, int left,
                                        const Owned& owned, int want) {
  extern __shared__ Pack shared[];
  const int lane = thread_number() % 32, first = thread_number() - lane;
  Scalar* const mine = reinterpret_cast<Scalar*>(shared) + first * COLUMNS;
  double squares = 0;
  __syncthreads();  // the previous contents have been used
#pragma unroll
  for (int q = 0; q < ROWS; ++q) {
    long long where[COLUMNS];  // the places that this thread writes; -1 for none
#pragma unroll
    for (int i = 0; i < COLUMNS; ++i) {
      const int owner = first + lane / COLUMNS + 32 / COLUMNS * i;
      const int row = top + owner / int(blockDim.x) % int(blockDim.y) + q * int(blockDim.y);
      const int column = left + owner % int(blockDim.x) * COLUMNS + lane % COLUMNS;
      bool here = row < to.h && column < to.w;
      if (here && owned.some) here = fetch(owned.h + row) && fetch(owned.w + column);
      where[i] = here ? (long long)row * to.w + column : -1;
    }
    Scalar* plane = out;
#pragma unroll
    for (int k = 0; k < TILE; ++k, plane += to.volume())
      if (k < channels) {  // the same for the whole warp
#pragma unroll
        for (int i = 0; i < COLUMNS / Pack::SIZE; ++i) {
          Pack pack;
#pragma unroll
          for (int c = 0; c < Pack::SIZE; ++c)
            pack.value[c] = sum[q][i * Pack::SIZE + c][k];
          reinterpret_cast<Pack*>(mine + lane * COLUMNS)[i] = pack;
        }
        __syncwarp();
#pragma unroll
        for (int i = 0; i < COLUMNS; ++i)
          if (where[i] >= 0) {
            const Scalar value = mine[lane + 32 * i];
            plane[where[i]] = value;
            if (want) squares += square(value);
          }
        __syncwarp();
      }
  }
  return squares;
}

// blockIdx.x: item, group, rectangle and channels. With `want`, partial[blockIdx.x]
// receives the sum of squares of the block's results.
__device__ __forceinline__ void product(const Scalar* __restrict__ source,
                                        const Size& from, Scalar* __restrict__ target,
                                        const Size& to, const Scalar* __restrict__ table,
                                        const Axis& d, const Axis& h, const Axis& w,
                                        const Layer& n, const Owned& owned, int want,
                                        double* __restrict__ partial) {
  const int width = int(blockDim.z) * TILE, parts = (n.target + width - 1) / width;
  const int wide = int(blockDim.x) * COLUMNS, across = (to.w + wide - 1) / wide;
  const int high = int(blockDim.y) * ROWS, down = (to.h + high - 1) / high;
  const long long filters = (long long)d.taps * n.source * h.taps * padded(w.taps) * width;
  const int part = int(blockIdx.x) % parts, place = int(blockIdx.x) / parts;
  const int left = place % across * wide, top = place / across % down * high;
  const int depth = place / across / down % to.d;
  const long long item = place / across / down / to.d;
  double squares = 0;
  if (!owned.some || fetch(owned.d + depth)) {  // the same for the whole block
    Scalar sum[ROWS][COLUMNS][TILE] = {};
    add_up(sum, source + item * n.source * from.volume(),
           table + (item % n.groups * parts + part) * filters, from, d, h, w, n, depth,
           top, left);
    const int first = part * width + int(threadIdx.z) * TILE;
    squares = store(sum,
                    target + (item * n.target + first) * to.volume() +
                        (long long)depth * to.h * to.w,
                    to, n.target - first, top, left, owned, want);
  }
  if (want) {
    squares = block_sum(squares);
    if (thread_number() == 0) partial[blockIdx.x] = squares;
  }
}

#define TRIPLE(type, name) type name##_d, type name##_h, type name##_w
#define AXIS(a) {map_##a, int(length_##a), int(stride_##a), int(dilation_##a), int(taps_##a)}
#define SIZE(name) {int(name##_d), int(name##_h), int(name##_w)}

// Few resident blocks if a thread holds many numbers, all of which must stay in
// registers.
#ifdef COMPLEX
constexpr int BLOCKS = TILE == 1 && sizeof(Scalar) == 8 ? 2 : 1;
#else
constexpr int BYTES = sizeof(Scalar) * TILE;
constexpr int BLOCKS = BYTES == 64 ? 1 : BYTES > 4 || WINDOW > 9 ? 2 : 3;
#endif

KERNEL(BLOCKS)
tiles(const Scalar* source, Scalar* target, const Scalar* table, double* partial,
      long long groups, long long source_channels,
      long long target_channels, TRIPLE(long long, from), TRIPLE(long long, to),
      TRIPLE(long long, taps), long long want, TRIPLE(const int*, map),
      TRIPLE(long long, length), TRIPLE(long long, stride), TRIPLE(long long, dilation),
      TRIPLE(const signed char*, owned), long long some, long long channels,
      long long heights) {
  const Axis d = AXIS(d), h = AXIS(h), w = AXIS(w);
  const Size from = SIZE(from), to = SIZE(to);
  const Layer n = {int(groups), int(source_channels),
                   int(target_channels), int(channels), int(heights)};
  product(source, from, target, to, table, d, h, w, n,
          Owned{owned_d, owned_h, owned_w, int(some)}, int(want), partial);
}
