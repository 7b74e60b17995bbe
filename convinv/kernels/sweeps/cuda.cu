// Solves with narrow block banded factors: one launch for all steps of both sweeps.
//
// A step needs the result of the step before, so that a launch for each would take
// hundreds of times longer than its arithmetic. Here a block of threads goes through all
// block rows of a factor for one item or some. The lines that a step needs stay in
// shared memory; the matrices of a row, which serve most steps, stay in the caches. A
// thread sums a part of the products for one unknown of a line, for all items at once.

struct Factor {
  const Scalar *forward;   // (groups, rows, band, w, w), for line i - 1, i - 2, ...
  const Scalar *backward;  // (groups, rows after, band + 1, w, w), for line i, i + 1, ...
  const int *row, *after;  // which of these serve a line, (count,)
  long long start;         // of its values, in those of one item of all factors
  int count, width, band, rows, rows_after;

  __device__ explicit Factor(const long long* table)
      : forward(reinterpret_cast<const Scalar*>(table[0])),
        backward(reinterpret_cast<const Scalar*>(table[1])),
        row(reinterpret_cast<const int*>(table[2])),
        after(reinterpret_cast<const int*>(table[3])),
        start(table[4]), count(int(table[5])), width(int(table[6])),
        band(int(table[7])), rows(int(table[8])), rows_after(int(table[9])) {}
};
constexpr int FIELDS = 10;

// The numbers of an unknown for the items that a block treats.
template <int ITEMS>
struct alignas(ITEMS * sizeof(Scalar) < 16 ? ITEMS * sizeof(Scalar) : 16) Numbers {
  Scalar value[ITEMS];
};

// One sweep over the lines of z, forward or back, of `items` items that lie `stride`
// numbers apart.
template <int ITEMS>
__device__ __forceinline__ void sweep(const Factor& f, bool back, int group, Scalar* z,
                                      int items, Numbers<ITEMS>* lines) {
  const int w = f.width, slices = THREADS / w, thread = int(threadIdx.x);
  const int slice = thread / w, column = thread % w, slots = f.band + 1;
  const bool works = slice < slices;
  Numbers<ITEMS>* const parts = lines + slots * w;
  // of each line this thread sums the products with these unknowns
  const int low = slice * w / slices, high = (slice + 1) * w / slices;
  const int stride = f.count * w, first = back ? 0 : 1;
  const int size = (slots - first) * w * w;
  const Scalar* const matrices =
      (back ? f.backward + (long long)group * f.rows_after * size
            : f.forward + (long long)group * f.rows * size) + column;
  const int* const which = back ? f.after : f.row;
  Scalar next[ITEMS] = {};  // of the items slice, slice + slices, ... of the next line
  auto load = [&](int line) {
    const Scalar* from = z + slice * (long long)stride + line * w + column;
#pragma unroll
    for (int n = 0; n < ITEMS; ++n, from += slices * (long long)stride)
      if (works && slice + n * slices < items) next[n] = *from;
  };
  load(back ? f.count - 1 : 0);
  for (int step = 0; step < f.count; ++step) {
    const int line = back ? f.count - 1 - step : step;
    Numbers<ITEMS>* const here = lines + line % slots * w + column;
#pragma unroll
    for (int n = 0; n < ITEMS; ++n)
      if (works && slice + n * slices < ITEMS) here->value[slice + n * slices] = next[n];
    __syncthreads();
    if (step + 1 < f.count) load(back ? line - 1 : line + 1);
    if (works) {
      Numbers<ITEMS> sum = {};
      const Scalar* matrix = matrices + (long long)which[line] * size;
      const int reach = step < f.band ? step : f.band;
      for (int j = first; j <= reach; ++j, matrix += w * w) {
        const Numbers<ITEMS>* const with =
            lines + (back ? line + j : line - j) % slots * w;
#pragma unroll 4
        for (int k = low; k < high; ++k) {
          const Scalar entry = fetch(matrix + k * w);
          const Numbers<ITEMS> numbers = with[k];
#pragma unroll
          for (int n = 0; n < ITEMS; ++n)
            sum.value[n] = sum.value[n] + entry * numbers.value[n];
        }
      }
      parts[thread] = sum;
    }
    __syncthreads();
    Scalar* to = z + slice * (long long)stride + line * w + column;
    for (int item = slice; works && item < ITEMS; item += slices) {
      Scalar value = {};
      if (!back) value = here->value[item];
      for (int s = 0; s < slices; ++s)
        value = value + parts[s * w + column].value[item];
      here->value[item] = value;
      if (item < items) *to = value;
      to += slices * (long long)stride;
    }
  }
  __syncthreads();  // before the lines are used for another sweep
}

template <int ITEMS>
__device__ __forceinline__ void solve(Scalar* z, const long long* table,
                                      long long factors, long long groups,
                                      long long batch) {
  extern __shared__ double shared[];
  const long long tiles = (batch + ITEMS - 1) / ITEMS;
  for (long long work = blockIdx.x; work < factors * groups * tiles;
       work += gridDim.x) {
    const long long item = work % tiles * ITEMS, group = work / tiles % groups;
    const Factor f(table + work / tiles / groups * FIELDS);
    Scalar* const mine =
        z + f.start * batch + (group * batch + item) * f.count * f.width;
    const int items = int(batch - item < ITEMS ? batch - item : ITEMS);
#pragma unroll 1
    for (int back = 0; back < 2; ++back)
      sweep<ITEMS>(f, back != 0, int(group), mine, items,
                   reinterpret_cast<Numbers<ITEMS>*>(shared));
  }
}

KERNEL(2)
solve_one(Scalar* z, const long long* table, long long factors, long long groups,
          long long batch) {
  solve<1>(z, table, factors, groups, batch);
}

KERNEL(2)
solve_some(Scalar* z, const long long* table, long long factors, long long groups,
           long long batch) {
  solve<32 / sizeof(Scalar)>(z, table, factors, groups, batch);
}
