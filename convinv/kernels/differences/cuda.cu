// Differences of neighbors: a thread owns a sample, and all its differences.
//
// The entries of a field follow the axes d, h and w that are used, in this order.

// Where a sample is, and its neighbors one step ahead or behind, cyclic.
struct Place {
  long long size[3], at[3], step[3], index;

  __device__ __forceinline__ Place(long long i, long long d, long long h, long long w)
      : size{d, h, w}, at{i / w / h % d, i / w % h, i % w}, step{h * w, w, 1}, index(i) {}

  __device__ __forceinline__ long long ahead(int axis) const {
    const bool last = at[axis] + 1 == size[axis];
    return index + (last ? 1 - size[axis] : 1) * step[axis];
  }
  __device__ __forceinline__ long long behind(int axis) const {
    return index + (at[axis] == 0 ? size[axis] - 1 : -1) * step[axis];
  }
};

__device__ __forceinline__ Scalar minus(Scalar a, Scalar b) { return a + REAL(-1) * b; }

// The factor by which a magnitude is shrunk.
__device__ __forceinline__ REAL shrunk(double squared, double threshold) {
  const double size = sqrt(squared);
  return REAL(size > threshold ? (size - threshold) / size : 0.0 * size);
}

KERNEL(2)
shrink(const Scalar* __restrict__ x, Scalar* z, Scalar* u, SUMS(double),
       long long first_d, long long first_h, long long first_w, long long end_d,
       long long end_h, long long end_w, long long free_ones, long long isotropic,
       double threshold, double relax, long long use_d, long long use_h,
       long long use_w, long long batch, long long d, long long h, long long w) {
  const long long n = batch * d * h * w, stride = (long long)gridDim.x * THREADS;
  const long long first[3] = {first_d, first_h, first_w};
  const long long end[3] = {end_d, end_h, end_w}, use[3] = {use_d, use_h, use_w};
  double moved = 0, turned = 0;
  for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < n; i += stride) {
    const Place place(i, d, h, w);
    bool inside = true, counts[3];
#pragma unroll
    for (int a = 0; a < 3; ++a)
      inside = inside && first[a] <= place.at[a] && place.at[a] < end[a];
    Scalar v[3];
    double whole = 0;
    long long entry = i;
#pragma unroll
    for (int a = 0; a < 3; ++a) {
      counts[a] = use[a] && inside && place.at[a] + 1 < end[a];
      if (!use[a]) continue;
      const Scalar difference = minus(x[place.ahead(a)], x[i]);
      v[a] = REAL(relax) * difference + REAL(1 - relax) * z[entry] + u[entry];
      if (counts[a]) whole += square(v[a]);
      entry += n;
    }
    entry = i;
#pragma unroll
    for (int a = 0; a < 3; ++a) {
      if (!use[a]) continue;
      if (counts[a] || free_ones) {
        const REAL one = 1;
        const REAL factor =
            counts[a] ? shrunk(isotropic ? whole : square(v[a]), threshold) : one;
        const Scalar near = factor * v[a], rest = minus(v[a], near);
        moved += square(minus(near, z[entry]));
        if (counts[a]) turned += square(minus(rest, u[entry]));
        z[entry] = near;
        u[entry] = counts[a] ? rest : Scalar{};
      }
      entry += n;
    }
  }
  const Sums<double> both{partial, sums, tickets};
  both.put(0, blockIdx.x, gridDim.x, moved);
  both.put(1, blockIdx.x, gridDim.x, turned);
  if (both.last(0, gridDim.x))
    for (int which = 0; which < 2; ++which) both.finish(which, gridDim.x);
}

KERNEL(4)
divergence(const Scalar* __restrict__ z, const Scalar* __restrict__ u, Scalar* out,
           long long use_d, long long use_h, long long use_w, long long batch,
           long long d, long long h, long long w) {
  const long long n = batch * d * h * w, stride = (long long)gridDim.x * THREADS;
  const long long use[3] = {use_d, use_h, use_w};
  for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < n; i += stride) {
    const Place place(i, d, h, w);
    Scalar sum = {};
    long long entry = 0;
#pragma unroll
    for (int a = 0; a < 3; ++a) {
      if (!use[a]) continue;
      const long long before = entry + place.behind(a), here = entry + i;
      sum = sum + minus(z[before], u[before]);
      sum = sum + REAL(-1) * minus(z[here], u[here]);
      entry += n;
    }
    out[i] = sum;
  }
}
