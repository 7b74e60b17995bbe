// Vector algebra on batches: arrays (batch, n), one coefficient per item.
//
// Sums take the two steps of sum_items and add_up.

// The largest magnitude and the sum of squares of numbers. Sums of these keep
// the larger one, or NaN.
struct Extent {
  double largest, squares;
};

__device__ __forceinline__ Extent operator+(Extent a, Extent b) {
  const bool first = a.largest > b.largest || a.largest != a.largest;
  return {first ? a.largest : b.largest, a.squares + b.squares};
}
__device__ __forceinline__ Extent shuffle_down(Extent a, unsigned lanes) {
  return {shuffle_down(a.largest, lanes), shuffle_down(a.squares, lanes)};
}

__device__ __forceinline__ Extent extent_of(double a) { return {a < 0 ? -a : a, a * a}; }
template <typename T>
__device__ __forceinline__ Extent extent_of(Complex<T> a) {
  return extent_of(double(a.re)) + extent_of(double(a.im));
}

KERNEL(4)
total_real(const double* partial, double* sums, long long n, long long batch) {
  add_up(partial, sums, n, batch);
}

KERNEL(4)
total_wide(const Wide* partial, Wide* sums, long long n, long long batch) {
  add_up(partial, sums, n, batch);
}

KERNEL(4)
sumsq(const Scalar* x, double* partial, long long n, long long batch) {
  sum_items(partial, n, batch, [=](long long, long long i) { return square(x[i]); });
}

KERNEL(4)
total_extent(const double* partial, double* sums, long long n, long long batch) {
  add_up((const Extent*)partial, (Extent*)sums, n, batch);
}

KERNEL(4)
extent(const Scalar* x, double* partial, long long n, long long batch) {
  sum_items((Extent*)partial, n, batch,
            [=](long long, long long i) { return extent_of(x[i]); });
}

KERNEL(4)
subtract(const Scalar* x, Wide* y, double* partial, long long n, long long batch) {
  sum_items(partial, n, batch, [=](long long, long long i) {
    const Wide value = widen(x[i]) + -1.0 * y[i];
    y[i] = value;
    return square(value);
  });
}

KERNEL(4)
dot(const Scalar* x, const Scalar* y, Wide* partial, long long n, long long batch) {
  sum_items(partial, n, batch, [=](long long, long long i) {
    return conjugate(widen(x[i])) * widen(y[i]);
  });
}

KERNEL(4)
axpy(const Wide* __restrict__ a, const Scalar* x, Scalar* y, double* partial,
     long long n, long long batch) {
  sum_items(partial, n, batch, [=](long long b, long long i) {
    const Scalar value = y[i] + narrow(a[b]) * x[i];
    y[i] = value;
    return square(value);
  });
}

KERNEL(4)
axpby(const Wide* __restrict__ a, const Scalar* x, const Wide* __restrict__ b,
      Scalar* y, double* partial, long long n, long long batch) {
  sum_items(partial, n, batch, [=](long long item, long long i) {
    const Scalar value = narrow(a[item]) * x[i] + narrow(b[item]) * y[i];
    y[i] = value;
    return square(value);
  });
}

KERNEL(4)
step(const Wide* __restrict__ a, Scalar* p, Scalar* x, const Scalar* s,
     const Wide* __restrict__ b, long long n, long long batch) {
  each(n, batch, [=](long long item, long long i) {
    const Scalar old = p[i];
    x[i] = x[i] + narrow(a[item]) * old;
    p[i] = s[i] + narrow(b[item]) * old;
  });
}

KERNEL(4)
three_term(Scalar* h, const Wide* __restrict__ a, Scalar* hb,
           const Wide* __restrict__ b, Scalar* x, const Scalar* v,
           const Wide* __restrict__ c, long long n, long long batch) {
  each(n, batch, [=](long long item, long long i) {
    const Scalar old = h[i], bar = old + narrow(a[item]) * hb[i];
    hb[i] = bar;
    x[i] = x[i] + narrow(b[item]) * bar;
    h[i] = v[i] + narrow(c[item]) * old;
  });
}

// Products of the first `count` vectors of a basis (length, batch, n) with w: partial
// sums (batch, count, gridDim.x).
KERNEL(4)
project_products(const Scalar* basis, const Scalar* w, Wide* partial, long long count,
                 long long n, long long batch) {
  const long long step = (long long)gridDim.x * THREADS;
  for (long long b = blockIdx.y; b < batch; b += gridDim.y)
    for (long long k = 0; k < count; ++k) {
      const Scalar* v = basis + (k * batch + b) * n;
      Wide sum = {};
      for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < n; i += step)
        sum = sum + conjugate(widen(v[i])) * widen(w[b * n + i]);
      sum = block_sum(sum);
      if (threadIdx.x == 0) partial[(b * count + k) * gridDim.x + blockIdx.x] = sum;
    }
}

KERNEL(4)
project_subtract(const Scalar* basis, const Wide* __restrict__ h, Scalar* w,
                 double* partial, long long count, long long n, long long batch) {
  sum_items(partial, n, batch, [=](long long b, long long i) {
    Wide value = widen(w[i]);
#pragma unroll 1  // or registers are spilled
    for (long long k = 0; k < count; ++k)
      value = value + -1.0 * (h[b * count + k] * widen(basis[k * batch * n + i]));
    w[i] = narrow(value);
    return square(w[i]);
  });
}

KERNEL(4)
scale(const Wide* __restrict__ a, Scalar* x, long long n, long long batch) {
  each(n, batch, [=](long long b, long long i) { x[i] = narrow(a[b]) * x[i]; });
}

// The sum of the first `count` vectors of a basis (length, batch, n), times y.
KERNEL(4)
combine(const Scalar* __restrict__ basis, const Wide* __restrict__ y,
        Scalar* __restrict__ result, long long count, long long n, long long batch) {
  each(n, batch, [=](long long b, long long i) {
    Wide value = {};
#pragma unroll 4
    for (long long k = 0; k < count; ++k)
      value = value + y[b * count + k] * widen(basis[k * batch * n + i]);
    result[i] = narrow(value);
  });
}
