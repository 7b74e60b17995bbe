// Products of layers by tiles in shared memory.
//
//     target[k, spread * t + phase] =
//         sum_u sum_j table[phase, u, j, k] *
//                     source[j, map[phase, stride * t + dilation * u]]
//
// The loader defines TILE, ROWS, TAPS (columns of taps that are taken at once) and STRIDE
// (along the last axis, on which the dilation is 1). A block owns a rectangle of the
// places of one phase (see phases.py) and up to blockDim.z * TILE channels of it. It
// copies the samples of some source channels there to shared memory, including the
// boundary, and adds their products; blocks of other channels of the rectangle copy them
// again, as does each tap along depth. The blocks of all phases of a rectangle are
// neighbors in the grid. A thread owns COLUMNS neighbors in each of ROWS rows for TILE
// channels: its reads from shared memory serve all of these sums.
//
// Positions along one axis and places in a plane are 32 bits wide; the launcher sees to
// that. Along columns, rows and channels a block has powers of two of threads.

// STORED adjacent weights.
__device__ __forceinline__ void read(Scalar (&weight)[STORED], const Scalar* from) {
  if constexpr (STORED % Pack::SIZE == 0) {
#pragma unroll
    for (int i = 0; i < STORED / Pack::SIZE; ++i) {
      const Pack pack = reinterpret_cast<const Pack*>(from)[i];
#pragma unroll
      for (int k = 0; k < Pack::SIZE; ++k) weight[i * Pack::SIZE + k] = pack.value[k];
    }
  } else {
#pragma unroll
    for (int k = 0; k < STORED; ++k) weight[k] = from[k];
  }
}

// The products of TAPS taps with the samples of every row of the result.
__device__ __forceinline__ void multiply(Scalar (&sum)[ROWS][COLUMNS][TILE],
                                         const Scalar* samples, int row_step,
                                         const Scalar* weights) {
  Pack seen[ROWS][PACKS];
#pragma unroll
  for (int q = 0; q < ROWS; ++q)
#pragma unroll
    for (int i = 0; i < PACKS; ++i)
      seen[q][i] = reinterpret_cast<const Pack*>(samples + q * row_step)[i];
#pragma unroll
  for (int v = 0; v < TAPS; ++v) {
    Scalar weight[STORED];
    read(weight, weights + v * STORED);
#pragma unroll
    for (int q = 0; q < ROWS; ++q)
#pragma unroll
      for (int c = 0; c < COLUMNS; ++c) {
        const int i = c * STRIDE + v;
        const Scalar value = seen[q][i / Pack::SIZE].value[i % Pack::SIZE];
#pragma unroll
        for (int k = 0; k < TILE; ++k)
          sum[q][c][k] = add_product(sum[q][c][k], weight[k], value);
      }
  }
}

// The products with what is in shared memory: `channels` of `rows` rows, and `heights`
// rows of taps.
__device__ __forceinline__ void add_part(Scalar (&sum)[ROWS][COLUMNS][TILE],
                                         const Scalar* samples, int channels, int rows,
                                         int pitch, int heights, const Axis& h,
                                         int taps_w) {
  const int lane_run = taps_w * STORED, row_run = int(blockDim.z) * lane_run;
  const int row_step = int(blockDim.y) * h.stride * pitch;
  const Scalar* used = samples + channels * rows * pitch + threadIdx.z * lane_run;
  samples += int(threadIdx.y) * h.stride * pitch + int(threadIdx.x) * COLUMNS * STRIDE;
#pragma unroll 1
  for (int c = 0; c < channels; ++c, samples += rows * pitch) {
    const Scalar* seen = samples;
#pragma unroll 1
    for (int i = 0; i < heights; ++i, seen += h.dilation * pitch, used += row_run)
      if constexpr (TAPS == 4) {
#pragma unroll 1
        for (int v = 0; v < taps_w; v += TAPS)
          multiply(sum, seen + v, row_step, used + v * STORED);
      } else {
        multiply(sum, seen, row_step, used);
      }
  }
}

// All sums of a thread: of steps threadIdx.y + q * blockDim.y of the rows, and from
// threadIdx.x * COLUMNS on of the columns. `in` is the item's first channel, `filters`
// the table of the block's phase.
__device__ __forceinline__ void add_up(Scalar (&sum)[ROWS][COLUMNS][TILE],
                                       const Scalar* __restrict__ in,
                                       const Scalar* __restrict__ filters,
                                       const Size& from, const Axis& d, const Axis& h,
                                       Axis w, const Layer& n, int most_h, int depth,
                                       int top, int left) {
  extern __shared__ Pack shared[];
  Scalar* const samples = reinterpret_cast<Scalar*>(shared);
  const int taps_w = padded(w.taps), pitch = pitch_of(taps_w);
  const int high = (int(blockDim.y) * ROWS - 1) * h.stride;
  const int row = int(blockDim.z) * taps_w * STORED;  // weights of a row of taps
  const int whole = most_h * row;                     // and of a channel
#pragma unroll 1
  for (int ud = 0; ud < d.taps; ++ud) {
    const int plane = d.sample(d.stride * depth + d.dilation * ud);
    if (plane < 0) continue;  // the same for the whole block
#pragma unroll 1
    for (int residue = 0; residue < n.residues; ++residue) {
      const Scalar* table =
          filters + (long long)(ud * n.residues + residue) * n.source * whole;
      Axis columns = w;
      columns.map += residue * w.length;
#pragma unroll 1
      for (int u = 0; u < h.taps; u += n.heights) {
        const int heights = min(n.heights, h.taps - u);
        const int rows = high + (heights - 1) * h.dilation + 1;
#pragma unroll 1
        for (int j = 0; j < n.source; j += n.channels) {
          const int channels = min(n.channels, n.source - j);
          __syncthreads();  // the previous ones have been read
          load_source(samples, in + j * from.volume() + (long long)plane * from.plane(),
                      from.volume(), from.w, h, columns,
                      h.stride * top + h.dilation * u, STRIDE * left, channels, rows,
                      pitch);
          load_weights(samples + channels * rows * pitch,
                       table + (long long)j * whole + u * row, channels, heights * row,
                       whole);
          finish_copies();
          add_part(sum, samples, channels, rows, pitch, heights, h, taps_w);
        }
      }
    }
  }
}

// Write the sums of a row of steps to a plane. The threads of a warp exchange them
// through shared memory, so that neighboring threads write neighbors in a row, wherever
// the row begins. where[i]: bytes to what this thread writes; -1 for nothing.
__device__ __forceinline__ void store_row(const Scalar (&sum)[COLUMNS][TILE],
                                          Scalar* plane, long long volume, int channels,
                                          const int (&where)[COLUMNS], int want,
                                          double& squares) {
  extern __shared__ Pack shared[];
  const int lane = thread_number() & 31;
  Scalar* const mine =
      reinterpret_cast<Scalar*>(shared) + (thread_number() - lane) * COLUMNS;
#pragma unroll
  for (int k = 0; k < TILE; ++k, plane += volume)
    if (k < channels) {  // the same for the whole warp
#pragma unroll
      for (int i = 0; i < COLUMNS / Pack::SIZE; ++i) {
        Pack pack;
#pragma unroll
        for (int c = 0; c < Pack::SIZE; ++c) pack.value[c] = sum[i * Pack::SIZE + c][k];
        reinterpret_cast<Pack*>(mine + lane * COLUMNS)[i] = pack;
      }
      __syncwarp();
#pragma unroll
      for (int i = 0; i < COLUMNS; ++i)
        if (where[i] >= 0) {
          const Scalar value = mine[lane + 32 * i];
          *behind(plane, where[i]) = value;
          if (want) squares += square(value);
        }
      __syncwarp();
    }
}

// Write the sums of a row of steps where rows consist of whole packs.
__device__ __forceinline__ void store_packs(const Scalar (&sum)[COLUMNS][TILE],
                                            Scalar* to, long long volume, int channels,
                                            int want, double& squares) {
#pragma unroll
  for (int k = 0; k < TILE; ++k, to += volume)
    if (k < channels) {
#pragma unroll
      for (int i = 0; i < COLUMNS / Pack::SIZE; ++i) {
        Pack pack;
#pragma unroll
        for (int c = 0; c < Pack::SIZE; ++c) {
          pack.value[c] = sum[i * Pack::SIZE + c][k];
          if (want) squares += square(pack.value[c]);
        }
        reinterpret_cast<Pack*>(to)[i] = pack;
      }
    }
}

// Write all sums; returns the sum of squares of the thread's results if `want`.
__device__ __forceinline__ double store(const Scalar (&sum)[ROWS][COLUMNS][TILE],
                                        Scalar* __restrict__ out, const Size& to,
                                        int channels, const Span& rows,
                                        const Span& columns, const Owned& owned,
                                        int want) {
  const int shift = __popc(blockDim.x - 1);
  const int thread = thread_number(), lane = thread & 31;
  double squares = 0;
  if (!owned.some && columns.spread == 1 && to.w % COLUMNS == 0 &&
      reinterpret_cast<unsigned long long>(out) % sizeof(Pack) == 0) {
#pragma unroll
    for (int q = 0; q < ROWS; ++q) {
      const int row = rows.place(int(threadIdx.y) + q * int(blockDim.y));
      const int column = columns.first + int(threadIdx.x) * COLUMNS;
      if (row < to.h && column < to.w)
        store_packs(sum[q], out + row * to.w + column, to.volume(), channels, want,
                    squares);
    }
    return squares;
  }
  __syncthreads();  // the previous contents have been used
#pragma unroll
  for (int q = 0; q < ROWS; ++q) {
    int where[COLUMNS];
#pragma unroll
    for (int i = 0; i < COLUMNS; ++i) {
      const int owner = thread - lane + lane / COLUMNS + 32 / COLUMNS * i;
      const int y = owner >> shift & int(blockDim.y - 1), x = owner & int(blockDim.x - 1);
      const int row = rows.place(y + q * int(blockDim.y));
      const int column = columns.place(x * COLUMNS + lane % COLUMNS);
      bool here = row < to.h && column < to.w;
      if (owned.some && here) here = fetch(owned.h + row) && fetch(owned.w + column);
      where[i] = here ? (row * to.w + column) * int(sizeof(Scalar)) : -1;
    }
    store_row(sum[q], out, to.volume(), channels, where, want, squares);
  }
  return squares;
}

// The sums of a thread, of the block at `place`.
__device__ __forceinline__ void add_all(Scalar (&sum)[ROWS][COLUMNS][TILE],
                                        const Place& place, const Scalar* source,
                                        const Size& from, const Scalar* table,
                                        const int* counts, Axis d, Axis h, Axis w,
                                        const Layer& n, const Grid& grid) {
  const Span &rows = place.rows, &columns = place.columns;
  const int most_h = h.taps, depths = grid.phases_d.by;
  d.map += place.phase_d * d.length;
  h.map += rows.phase * h.length;
  w.map += columns.phase * n.residues * w.length;
  const int* h_counts = counts + depths;
  h.taps = fetch(h_counts + rows.phase);
  d.taps = fetch(counts + place.phase_d);
  if (!fetch(h_counts + rows.spread + columns.phase)) d.taps = 0;
  int part = place.group * grid.parts.by + place.part;  // of the table
  part = (part * depths + place.phase_d) * rows.spread + rows.phase;
  part = part * n.tables + fetch(h_counts + rows.spread + columns.spread + columns.phase);
  add_up(sum, source + (long long)place.item * n.source * from.volume(),
         table + part * n.filters, from, d, h, w, n, most_h, place.step_d, rows.first,
         columns.first);
}

// With `want`, the squares of each item's results are added up, from all its blocks.
__device__ __forceinline__ void product(const Scalar* __restrict__ source,
                                        const Size& from, Scalar* __restrict__ target,
                                        const Size& to, const Scalar* __restrict__ table,
                                        const int* __restrict__ counts, const Axis& d,
                                        const Axis& h, const Axis& w, const Layer& n,
                                        const Grid& grid, const Owned& owned, int want,
                                        const Divisor& blocks, const Sums<double>& sums) {
  double squares = 0;
  Place place = place_of(grid, int(blockIdx.x));
  int depth = place.depth(grid);
  // the same for the whole block
  if (depth < to.d && (!owned.some || fetch(owned.d + depth))) {
    Scalar sum[ROWS][COLUMNS][TILE] = {};
    add_all(sum, place, source, from, table, counts, d, h, w, n, grid);
    int block = int(blockIdx.x);
    hold(block);
    place = place_of(grid, block);  // again: it would take registers from the sums
    depth = place.depth(grid);
    const int first = (place.part * int(blockDim.z) + int(threadIdx.z)) * TILE;
    squares = store(sum,
                    target + ((long long)place.item * n.target + first) * to.volume() +
                        (long long)depth * to.plane(),
                    to, n.target - first, place.rows, place.columns, owned, want);
  }
  if (want) {
    int item = int(blockIdx.x);
    const int part = blocks.split(item);
    sums.put(item, part, blocks.by, squares);
    if (sums.last(item, blocks.by)) sums.finish(item, blocks.by);
  }
}

#define TRIPLE(type, name) type name##_d, type name##_h, type name##_w
#define AXIS(a) \
  {map_##a, int(length_##a), int(stride_##a), int(dilation_##a), int(taps_##a)}
#define SIZE(name) {int(name##_d), int(name##_h), int(name##_w)}
#define BY(name) long long name, long long name##_factor
#define DIVISOR(a) {int(a), unsigned(a##_factor), unsigned(a##_factor >> 32)}

// Resident blocks: as many as leave a thread the registers that it needs. With three,
// the compiler spills some for a few architectures.
constexpr bool LARGE = TILE == 4 && sizeof(Scalar) == 8;
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ < 900
constexpr bool TIGHT =
    TILE == 3 || LARGE || (TILE == 1 && TAPS == 2 && sizeof(Scalar) == 8);
#else
constexpr bool TIGHT =
    (__CUDA_ARCH__ >= 1200 && TILE == 8) || (LARGE && TAPS == 2 && STRIDE == 2);
#endif
#ifdef COMPLEX
constexpr int BLOCKS = 2;
#else
constexpr int BLOCKS = TAPS > 3 || TIGHT ? 2 : 3;
#endif

KERNEL(BLOCKS)
tiles(const Scalar* source, Scalar* target, const Scalar* table, double* partial,
      double* sums, unsigned* tickets, const int* counts, long long source_channels,
      long long target_channels, long long residues, TRIPLE(long long, from),
      TRIPLE(long long, to), long long want,
      TRIPLE(long long, taps), TRIPLE(const int*, map), TRIPLE(long long, length),
      TRIPLE(long long, stride), TRIPLE(long long, dilation),
      TRIPLE(const signed char*, owned), long long some, long long channels,
      long long heights, long long tables, long long filters, BY(parts), BY(phases_w),
      BY(phases_h), BY(across), BY(down), BY(phases_d), BY(depths), BY(groups),
      BY(blocks)) {
  const Grid grid = {DIVISOR(parts),    DIVISOR(phases_w), DIVISOR(phases_h),
                     DIVISOR(across),   DIVISOR(down),     DIVISOR(phases_d),
                     DIVISOR(depths),   DIVISOR(groups)};
  const Layer n = {int(source_channels), int(target_channels), int(residues),
                   int(channels), int(heights), int(tables), filters};
  product(source, SIZE(from), target, SIZE(to), table, counts, AXIS(d), AXIS(h), AXIS(w),
          n, grid, Owned{owned_d, owned_h, owned_w, int(some)}, int(want),
          DIVISOR(blocks), Sums<double>{partial, sums, tickets});
}
