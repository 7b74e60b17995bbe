// A matrix at every frequency, applied to spectra.
//
// blocks (groups, p, q, count) of complex numbers, v (batch, groups, q, count) and out
// (batch, groups, p, count); neighboring threads have neighboring frequencies.

using Number = Complex<REAL>;

constexpr int ROWS = 4;  // of the product that a thread sums together

KERNEL(3)
multiply(const Number* __restrict__ blocks, const Number* __restrict__ v,
         Number* __restrict__ out, long long batch, long long groups, long long p,
         long long q, long long count) {
  for (long long item = blockIdx.y; item < batch * groups; item += gridDim.y)
    for (long long f = (long long)blockIdx.x * THREADS + threadIdx.x; f < count;
         f += (long long)gridDim.x * THREADS) {
      const Number* block = blocks + item % groups * p * q * count + f;
      const Number* in = v + item * q * count + f;
      for (long long first = 0; first < p; first += ROWS) {
        Number sum[ROWS] = {};
        for (long long i = 0; i < q; ++i) {
          const Number value = fetch(in + i * count);
#pragma unroll
          for (int row = 0; row < ROWS; ++row)
            if (first + row < p)
              sum[row] =
                  sum[row] + fetch(block + ((first + row) * q + i) * count) * value;
        }
#pragma unroll
        for (int row = 0; row < ROWS; ++row)
          if (first + row < p) out[(item * p + first + row) * count + f] = sum[row];
      }
    }
}
