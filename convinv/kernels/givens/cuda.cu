// Givens rotations of the small matrices of GMRES, a warp for every item.
//
// Column j passes through j rotations, one after the other: lane 0 computes them from
// shared memory, into which the warp has copied a piece of the column.

constexpr int LANES = 32, PIECE = 24;

__device__ __forceinline__ double magnitude(double a) { return fabs(a); }
template <typename T>
__device__ __forceinline__ T magnitude(Complex<T> a) {
  return hypot(a.re, a.im);
}

// Of an entry on the diagonal, which is real.
__device__ __forceinline__ double diagonal(double a) { return a; }
template <typename T>
__device__ __forceinline__ T diagonal(Complex<T> a) {
  return a.re;
}

KERNEL(4)
append(const Wide* h, const double* before, const double* after, double tiny,
       const bool* active, Wide* triangle, Wide* cosines, double* sines, Wide* right,
       double* factor, bool* broken, double* residual, long long j, long long size,
       long long batch) {
  __shared__ Wide lower[PIECE], cosine[PIECE];
  __shared__ double sine[PIECE];
  const int lane = threadIdx.x;
  for (long long b = blockIdx.x; b < batch; b += gridDim.x) {
    const Wide* column = h + b * (j + 1);
    Wide* c = cosines + b * size;
    double* s = sines + b * size;
    Wide* out = triangle + b * size * size + j;
    Wide upper = column[0];
    for (long long first = 0; first < j; first += PIECE) {
      const int count = int(j - first < PIECE ? j - first : PIECE);
      for (int i = lane; i < count; i += LANES) {
        lower[i] = column[first + i + 1];
        cosine[i] = c[first + i];
        sine[i] = s[first + i];
      }
      __syncthreads();
      if (lane == 0)
        for (int i = 0; i < count; ++i) {
          const Wide a = upper, below = lower[i];
          lower[i] = conjugate(cosine[i]) * a + sine[i] * below;
          upper = -sine[i] * a + cosine[i] * below;
        }
      __syncthreads();
      for (int i = lane; i < count; i += LANES) out[(first + i) * size] = lower[i];
      __syncthreads();
    }
    if (lane == 0) {
      const double length = sqrt(before[b]);
      double norm = sqrt(after[b]);
      if (norm <= tiny * length) norm = 0;
      const double r = hypot(magnitude(upper), norm);
      Wide* value = right + b * (size + 1) + j;
      broken[b] = r <= tiny * length;
      if (active[b] && !broken[b]) {
        const double inverse = 1 / r;
        c[j] = inverse * upper;
        s[j] = norm * inverse;
        out[j * size] = Wide{r};
        value[1] = -s[j] * value[0];
        value[0] = conjugate(c[j]) * value[0];
        factor[b] = norm > 0 ? 1 / norm : 0;
      } else {
        for (long long i = 0; i < j; ++i) out[i * size] = Wide{};
        c[j] = out[j * size] = Wide{1};
        s[j] = factor[b] = 0;
        value[0] = value[1] = Wide{};
      }
      residual[b] = magnitude(value[1]);
    }
    __syncthreads();
  }
}

// The solution column by column, so that the warp updates the rest of y together.
KERNEL(4)
substitute(const Wide* triangle, const Wide* right, const double* norm, Wide* y,
           long long steps, long long size, long long batch) {
  for (long long b = blockIdx.x; b < batch; b += gridDim.x) {
    const Wide* t = triangle + b * size * size;
    Wide* solution = y + b * steps;
    for (long long i = threadIdx.x; i < steps; i += LANES)
      solution[i] = norm[b] * right[b * (size + 1) + i];
    __syncthreads();
    for (long long i = steps - 1; i >= 0; --i) {
      const Wide value = (1 / diagonal(t[i * (size + 1)])) * solution[i];
      __syncthreads();
      if (threadIdx.x == 0) solution[i] = value;
      for (long long k = threadIdx.x; k < i; k += LANES)
        solution[k] = solution[k] + -1.0 * (t[k * size + i] * value);
      __syncthreads();
    }
  }
}
