// What cuda_tiles.cu works with: the sizes of a launch, and copies to shared memory.
//
// The loader puts this text in front of that file.

constexpr int COLUMNS = 4;
constexpr int WINDOW = (COLUMNS - 1) * STRIDE + TAPS;  // samples behind COLUMNS sums
constexpr int STORED = TILE == 3 ? 4 : TILE;           // weights of a thread in the table

// The data of one access.
struct alignas(16) Pack {
  static constexpr int SIZE = 16 / sizeof(Scalar);
  Scalar value[SIZE];
};

constexpr int PACKS = (WINDOW + Pack::SIZE - 1) / Pack::SIZE;

struct Size {
  int d, h, w;
  __device__ __forceinline__ int plane() const { return h * w; }
  __device__ __forceinline__ long long volume() const { return (long long)d * plane(); }
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
  int source, target;     // channels in one group
  int residues;           // maps of the columns, whose samples are further channels
  int channels, heights;  // of the source, and taps along h, copied at once
  int tables;             // of the phases of the columns, some of which share one
  long long filters;      // weights of a phase in the table
};

// The places that are written, by their axes; all unless `some`.
struct Owned {
  const signed char *d, *h, *w;
  int some;
};

// A divisor of numbers below 2^31, by a product with 2^shift / by, rounded up.
struct Divisor {
  int by;
  unsigned factor, shift;

  // The remainder of `number`, which becomes the quotient.
  __device__ __forceinline__ int split(int& number) const {
    const int whole = number;
    number = int(((unsigned long long)unsigned(whole) * factor) >> shift);
    return whole - number * by;
  }
};

// What divides the number of blocks, the fastest first.
struct Grid {
  Divisor parts, phases_w, phases_h, across, down, phases_d, depths, groups;
};

// Where the places of a block are: of planes, rows and columns, `first` is its first step
// in its phase.
struct Span {
  int first, phase, spread;
  __device__ __forceinline__ int place(int step) const {
    return (first + step) * spread + phase;
  }
};

// What a block computes. blockIdx.x: item, group, rectangle, phases and part of the
// channels, in the order of `Grid`.
struct Place {
  int part, group, item, phase_d, step_d;  // item: of all groups
  Span rows, columns;
  __device__ __forceinline__ int depth(const Grid& grid) const {
    return step_d * grid.phases_d.by + phase_d;
  }
};

__device__ __forceinline__ Place place_of(const Grid& grid, int rest) {
  Place place;
  place.part = grid.parts.split(rest);
  place.columns = {0, grid.phases_w.split(rest), grid.phases_w.by};
  place.rows = {0, grid.phases_h.split(rest), grid.phases_h.by};
  place.columns.first = grid.across.split(rest) * int(blockDim.x) * COLUMNS;
  place.rows.first = grid.down.split(rest) * int(blockDim.y) * ROWS;
  place.phase_d = grid.phases_d.split(rest);
  place.step_d = grid.depths.split(rest);
  place.item = rest;
  place.group = grid.groups.split(rest);
  return place;
}

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

// A copy to shared memory that the thread does not wait for; of zero unless `shown`.
template <typename T>
__device__ __forceinline__ void copy_async(T* to, const T* from, int shown) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile(
      "{ .reg .pred none;\n"
      "setp.eq.s32 none, %3, 0;\n"
      "cp.async.ca.shared.global [%0], [%1], %2, none; }" ::"r"(
          unsigned(__cvta_generic_to_shared(to))),
      "l"(from), "n"(sizeof(T)), "r"(shown)
      : "memory");
#else
  *to = shown ? *from : T{};
#endif
}

// Wait for the copies of all threads of the block.
__device__ __forceinline__ void finish_copies() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
  __syncthreads();
}

// `bytes` behind a place.
__device__ __forceinline__ const Scalar* behind(const Scalar* place, int bytes) {
  return reinterpret_cast<const Scalar*>(reinterpret_cast<const char*>(place) +
                                         unsigned(bytes));
}
__device__ __forceinline__ Scalar* behind(Scalar* place, int bytes) {
  return reinterpret_cast<Scalar*>(reinterpret_cast<char*>(place) + unsigned(bytes));
}

// Copy `channels` volumes' rows, from padded position (row, column) on. A warp takes a
// row at a time; its threads know their columns' samples beforehand.
__device__ __forceinline__ void load_source(Scalar* tile, const Scalar* __restrict__ from,
                                            long long volume, int width, const Axis& h,
                                            const Axis& w, int row, int column,
                                            int channels, int rows, int pitch) {
  constexpr int SEVERAL = 5, BYTES = sizeof(Scalar);
  int thread = thread_number();
  hold(thread);
  const int warp = thread >> 5;
#pragma unroll 1
  for (int c = thread & 31; c < pitch; c += 32 * SEVERAL) {
    int at[SEVERAL];           // bytes from the row's first sample
    int inside = 0, some = 0;  // bits: whether to write, and a sample
#pragma unroll
    for (int i = 0; i < SEVERAL; ++i) {
      const int sample = w.sample(column + c + 32 * i);
      at[i] = max(sample, 0) * BYTES;
      inside |= int(c + 32 * i < pitch) << i;
      some |= int(sample >= 0) << i;
      hold(at[i]);
    }
    hold(inside);
    hold(some);
    const Scalar* plane = from;
    Scalar* to = tile + warp * pitch + c;
    int r = warp;
#pragma unroll 1
    for (int e = warp; e < channels * rows; e += THREADS / 32) {
      for (; r >= rows; r -= rows) plane += volume;
      const int line = h.sample(row + r);  // the same for the whole warp
      const int shown = line < 0 ? 0 : some;
      const Scalar* samples = plane + max(line, 0) * width;
#pragma unroll
      for (int i = 0; i < SEVERAL; ++i)
        if (inside & 1 << i)
          copy_async(to + 32 * i, behind(samples, at[i]), shown & 1 << i);
      r += THREADS / 32;
      to += THREADS / 32 * pitch;
    }
  }
}

// Copy `run` of the `whole` numbers that the table has for every channel.
__device__ __forceinline__ void load_weights(Scalar* tile,
                                             const Scalar* __restrict__ table,
                                             int channels, int run, int whole) {
  if (run == whole) {
    run *= channels;
    channels = 1;
  }
#pragma unroll 1
  for (int j = 0; j < channels; ++j, tile += run, table += whole)
    if constexpr (STORED % Pack::SIZE == 0) {
#pragma unroll 1
      for (int e = thread_number(); e < run / Pack::SIZE; e += THREADS)
        copy_async(reinterpret_cast<Pack*>(tile) + e,
                   reinterpret_cast<const Pack*>(table) + e, 1);
    } else {
#pragma unroll 1
      for (int e = thread_number(); e < run; e += THREADS)
        copy_async(tile + e, table + e, 1);
    }
}
