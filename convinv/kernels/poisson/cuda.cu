// Steps for Poisson counts on batches: arrays (batch, n), one coefficient per item.
//
// Arrays with one row for all items have `rows` = 1. The kernels are for real data.

#ifndef COMPLEX

// The larger number, and the other one where one is NaN. No function of the library is
// called, so that the text compiles for a CPU too.
__device__ __forceinline__ Scalar larger(Scalar a, Scalar b) { return a > b ? a : b; }
__device__ __forceinline__ Scalar smaller(Scalar a, Scalar b) { return a < b ? a : b; }

// Two sums in one pass.
struct Pair {
  double first, second;
};

__device__ __forceinline__ Pair operator+(Pair a, Pair b) {
  return {a.first + b.first, a.second + b.second};
}
__device__ __forceinline__ Pair shuffle_down(Pair a, unsigned lanes) {
  return {shuffle_down(a.first, lanes), shuffle_down(a.second, lanes)};
}
__device__ __forceinline__ Sums<Pair> pairs(SUMS(double)) {
  return {(Pair*)partial, (Pair*)sums, tickets};
}

KERNEL(4)
quotient(Scalar* u, const Scalar* background, const Scalar* counts, Scalar* q,
         double tiny, long long rows, long long n, long long batch) {
  each(n, batch, [=](long long b, long long i) {
    const Scalar more = background[rows == 1 ? i - b * n : i];
    const Scalar value = larger(u[i] + more, Scalar(tiny));
    u[i] = value;
    q[i] = counts[i] / value;
  });
}

KERNEL(4)
advance(const double* __restrict__ t, const Scalar* v, Scalar* u, const Scalar* counts,
        Scalar* q, double tiny, long long n, long long batch) {
  each(n, batch, [=](long long b, long long i) {
    const Scalar value = larger(u[i] + Scalar(t[b]) * v[i], Scalar(tiny));
    u[i] = value;
    q[i] = counts[i] / value;
  });
}

KERNEL(3)
slopes(const double* __restrict__ t, const Scalar* u, const Scalar* v,
       const Scalar* counts, double tiny, SUMS(double), long long n,
       long long batch) {
  sum_items(pairs(partial, sums, tickets), n, batch, [=](long long b, long long i) {
    const Scalar far = Scalar(t[b]) * v[i];
    const Scalar ratio = v[i] / larger(u[i] + far, Scalar(tiny));
    const Scalar part = counts[i] * ratio;
    return Pair{double(part * (far / u[i])), double(part * ratio)};
  });
}

KERNEL(4)
direction(const double* __restrict__ a, const Scalar* x, const Scalar* g,
          const Scalar* inverse, const double* __restrict__ least, Scalar* d,
          SUMS(double), long long rows, long long n, long long batch) {
  sum_items(pairs(partial, sums, tickets), n, batch, [=](long long b, long long i) {
    const Scalar scale = inverse[rows == 1 ? i - b * n : i];
    const Scalar step = Scalar(a[b]) * larger(x[i], Scalar(least[b])) * scale * g[i];
    const Scalar value = larger(x[i] - step, Scalar(0)) - x[i];
    d[i] = value;
    return Pair{double(value) * double(g[i]), 0.0};
  });
}

KERNEL(4)
gradient(Scalar* back, const Scalar* s, const Scalar* x, const Scalar* inverse,
         const double* __restrict__ level, SUMS(double), long long s_rows,
         long long rows, long long n, long long batch) {
  sum_items(pairs(partial, sums, tickets), n, batch, [=](long long b, long long i) {
    const Scalar value = s[s_rows == 1 ? i - b * n : i] - back[i];
    back[i] = value;
    const Scalar scale = inverse[rows == 1 ? i - b * n : i];
    const Scalar step = smaller(x[i], larger(x[i], Scalar(level[b])) * scale * value);
    return Pair{square(double(step)), square(double(x[i]))};
  });
}

KERNEL(4)
curvature(const Scalar* d, const Scalar* g, const Scalar* old, const Scalar* x,
          const Scalar* inverse, const double* __restrict__ least, SUMS(double),
          long long rows, long long n, long long batch) {
  sum_items(pairs(partial, sums, tickets), n, batch, [=](long long b, long long i) {
    const Scalar scale = inverse[rows == 1 ? i - b * n : i];
    const double y = double(larger(x[i], Scalar(least[b])) * scale * (g[i] - old[i]));
    return Pair{double(d[i]) * y, y * y};
  });
}

#endif
