// A matrix at every frequency, applied to spectra.
//
// blocks (groups, p, q, count) of complex numbers, v (batch, groups, q, count) and out
// (batch, groups, p, count); neighboring threads have neighboring frequencies. A thread
// makes ROWS rows of the product for several items, which share what it reads of blocks.

using Number = Complex<REAL>;

constexpr int ROWS = 4;
constexpr int SEVERAL = sizeof(Number) == 8 ? 4 : 2;  // items

// Rows from `first` on of the products at one frequency. `block` is its matrix, `in` and
// `out` begin with the first item, whose next one is `in_step` and `out_step` behind.
template <int ITEMS>
__device__ __forceinline__ void rows(const Number* __restrict__ block,
                                     const Number* __restrict__ in,
                                     Number* __restrict__ out, long long in_step,
                                     long long out_step, int items, long long first,
                                     long long p, long long q, long long count) {
  Number sum[ITEMS][ROWS] = {};
  const int many = int(min(p - first, (long long)ROWS));
  const Number *values[ITEMS], *factors[ROWS];  // the last again where there is none
#pragma unroll
  for (int k = 0; k < ITEMS; ++k) values[k] = in + min(k, items - 1) * in_step;
#pragma unroll
  for (int row = 0; row < ROWS; ++row)
    factors[row] = block + (first + min(row, many - 1)) * q * count;
#pragma unroll 1
  for (long long i = 0; i < q; ++i) {
    Number value[ITEMS], factor[ROWS];
#pragma unroll
    for (int k = 0; k < ITEMS; ++k, values[k - 1] += count) value[k] = *values[k];
#pragma unroll
    for (int row = 0; row < ROWS; ++row, factors[row - 1] += count)
      factor[row] = *factors[row];
#pragma unroll
    for (int k = 0; k < ITEMS; ++k)
#pragma unroll
      for (int row = 0; row < ROWS; ++row)
        sum[k][row] = add_product(sum[k][row], factor[row], value[k]);
  }
#pragma unroll
  for (int k = 0; k < ITEMS; ++k)
#pragma unroll
    for (int row = 0; row < ROWS; ++row)
      if (k < items && row < many)
        out[k * out_step + (first + row) * count] = sum[k][row];
}

// blockIdx.x: frequencies; y: groups, and items; z: rows.
template <int ITEMS>
__device__ __forceinline__ void product(const Number* __restrict__ blocks,
                                        const Number* __restrict__ v,
                                        Number* __restrict__ out, long long batch,
                                        long long groups, long long p, long long q,
                                        long long count) {
  const long long parts = (batch + ITEMS - 1) / ITEMS * groups;
  for (long long part = blockIdx.y; part < parts; part += gridDim.y) {
    const long long group = part % groups, item = part / groups * ITEMS;
    const int items = int(min(batch - item, (long long)ITEMS));
    const Number* in = v + (item * groups + group) * q * count;
    Number* to = out + (item * groups + group) * p * count;
    for (long long first = (long long)blockIdx.z * ROWS; first < p;
         first += (long long)gridDim.z * ROWS)
      for (long long f = (long long)blockIdx.x * THREADS + threadIdx.x; f < count;
           f += (long long)gridDim.x * THREADS)
        rows<ITEMS>(blocks + group * p * q * count + f, in + f, to + f,
                    groups * q * count, groups * p * count, items, first, p, q, count);
  }
}

#define MULTIPLY(NAME, ITEMS)                                                        \
  KERNEL(3)                                                                          \
  NAME(const Number* blocks, const Number* v, Number* out, long long batch,          \
       long long groups, long long p, long long q, long long count) {                \
    product<ITEMS>(blocks, v, out, batch, groups, p, q, count);                      \
  }

MULTIPLY(multiply_one, 1)
MULTIPLY(multiply_several, SEVERAL)
