// Vector algebra on batches: arrays (batch, n), one coefficient per item.

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

// The sum of a function of all numbers.
template <class F, typename T, int N>
__device__ __forceinline__ auto total_of(F term, const Numbers<T, N>& numbers) {
  auto sum = term(numbers.value[0]);
#pragma unroll
  for (int k = 1; k < N; ++k) sum = sum + term(numbers.value[k]);
  return sum;
}
template <typename T, int N>
__device__ __forceinline__ double squares(const Numbers<T, N>& numbers) {
  return total_of([](T a) { return square(a); }, numbers);
}

// a x + y
template <int N>
__device__ __forceinline__ Numbers<Scalar, N> add(REAL a, const Numbers<Scalar, N>& x,
                                                  const Numbers<Scalar, N>& y) {
  Numbers<Scalar, N> out;
#pragma unroll
  for (int k = 0; k < N; ++k) out.value[k] = y.value[k] + a * x.value[k];
  return out;
}

// A function of each number.
template <class F, typename T, int N>
__device__ __forceinline__ auto mapped(F f, const Numbers<T, N>& x) {
  Numbers<decltype(f(x.value[0])), N> out;
#pragma unroll
  for (int k = 0; k < N; ++k) out.value[k] = f(x.value[k]);
  return out;
}
template <int N>
__device__ __forceinline__ auto widened(const Numbers<Scalar, N>& x) {
  return mapped([](Scalar a) { return widen(a); }, x);
}
template <int N>
__device__ __forceinline__ auto narrowed(const Numbers<Wide, N>& x) {
  return mapped([](Wide a) { return narrow(a); }, x);
}

// `sum` and `sign` times `count` vectors of a basis, `step` apart, times their factors.
template <int N>
__device__ __forceinline__ Numbers<Wide, N> plus(Numbers<Wide, N> sum, const Scalar* v,
                                                 long long step, const Wide* factor,
                                                 double sign, long long count) {
#pragma unroll 4
  for (long long i = 0; i < count; ++i, v += step) {
    const auto numbers = read(Width<N>{}, v);
    const Wide next = sign * fetch(factor + i);
#pragma unroll
    for (int k = 0; k < N; ++k)
      sum.value[k] = sum.value[k] + next * widen(numbers.value[k]);
  }
  return sum;
}

template <class... T>
__device__ __forceinline__ auto loader(const T*... from) {
  return [=](auto width, long long i) {
    return Loaded<sizeof...(T), decltype(width)::count>{{read(width, from + i)...}};
  };
}

KERNEL(4)
sumsq(const Scalar* x, SUMS(double), long long n, long long batch) {
  sum_pass<4>(Sums<double>{partial, sums, tickets}, n, batch, aligned(x), loader(x),
              [=](long long, long long, const auto& got) { return squares(got.of[0]); });
}

KERNEL(4)
extent(const Scalar* x, SUMS(double), long long n, long long batch) {
  sum_pass<4>(Sums<Extent>{(Extent*)partial, (Extent*)sums, tickets}, n, batch,
              aligned(x), loader(x), [=](long long, long long, const auto& got) {
                return total_of([](Scalar a) { return extent_of(a); }, got.of[0]);
              });
}

KERNEL(4)
subtract(const Scalar* x, Wide* y, SUMS(double), long long n, long long batch) {
  sum_pass<1>(Sums<double>{partial, sums, tickets}, n, batch, aligned(x, y), loader(x),
              [=](long long, long long i, const auto& got) {
                auto value = read(Width<sizeof(got.of[0]) / sizeof(Scalar)>{}, y + i);
#pragma unroll
                for (int k = 0; k < int(sizeof(got.of[0]) / sizeof(Scalar)); ++k)
                  value.value[k] = widen(got.of[0].value[k]) + -1.0 * value.value[k];
                write(y + i, value);
                return squares(value);
              });
}

KERNEL(4)
dot(const Scalar* x, const Scalar* y, SUMS(Wide), long long n, long long batch) {
  sum_pass<2>(Sums<Wide>{partial, sums, tickets}, n, batch, aligned(x, y), loader(x, y),
              [=](long long, long long, const auto& got) {
                Wide sum = {};
#pragma unroll
                for (int k = 0; k < int(sizeof(got.of[0]) / sizeof(Scalar)); ++k)
                  sum = sum + conjugate(widen(got.of[0].value[k])) *
                                  widen(got.of[1].value[k]);
                return sum;
              });
}

KERNEL(4)
axpy(const double* __restrict__ a, const Scalar* x, Scalar* y, SUMS(double), long long n,
     long long batch) {
  sum_pass<2>(Sums<double>{partial, sums, tickets}, n, batch, aligned(x, y),
              loader(x, y), [=](long long b, long long i, const auto& got) {
                const auto value = add(REAL(fetch(a + b)), got.of[0], got.of[1]);
                write(y + i, value);
                return squares(value);
              });
}

KERNEL(4)
axpby(const double* __restrict__ a, const Scalar* x, const double* __restrict__ b,
      Scalar* y, SUMS(double), long long n, long long batch) {
  sum_pass<2>(Sums<double>{partial, sums, tickets}, n, batch, aligned(x, y),
              loader(x, y), [=](long long item, long long i, const auto& got) {
                auto value = got.of[1];
                for (auto& number : value.value) number = REAL(fetch(b + item)) * number;
                value = add(REAL(fetch(a + item)), got.of[0], value);
                write(y + i, value);
                return squares(value);
              });
}

KERNEL(4)
step(const double* __restrict__ a, Scalar* __restrict__ p, Scalar* __restrict__ x,
     const Scalar* __restrict__ s, const double* __restrict__ b, long long n,
     long long batch) {
  const bool packs = aligned(p, x, s);
  items(batch, [=](long long item) {
    const REAL first = REAL(fetch(a + item)), second = REAL(fetch(b + item));
    pass<2>(item, n, packs, loader(p, x, s),
            [=](long long, long long i, const auto& got) {
              write(x + i, add(first, got.of[0], got.of[1]));
              write(p + i, add(second, got.of[0], got.of[2]));
            });
  });
}

KERNEL(4)
three_term(Scalar* __restrict__ h, const double* __restrict__ a, Scalar* __restrict__ hb,
           const double* __restrict__ b, Scalar* __restrict__ x,
           const Scalar* __restrict__ v, const double* __restrict__ c, long long n,
           long long batch) {
  const bool packs = aligned(h, hb, x, v);
  items(batch, [=](long long item) {
    const REAL first = REAL(fetch(a + item)), second = REAL(fetch(b + item));
    const REAL third = REAL(fetch(c + item));
    pass<1>(item, n, packs, loader(h, hb, x, v),
            [=](long long, long long i, const auto& got) {
              const auto bar = add(first, got.of[1], got.of[0]);
              write(hb + i, bar);
              write(x + i, add(second, bar, got.of[2]));
              write(h + i, add(third, got.of[0], got.of[3]));
            });
  });
}

constexpr int TOGETHER = 4;  // vectors of a basis that a block multiplies

struct Products {
  Wide of[TOGETHER];
};

// Products of the first `count` vectors of a basis (length, batch, n) with w, and of w
// with itself: sums (batch, count + 1). blockIdx.z: TOGETHER of them.
KERNEL(4)
project_products(const Scalar* basis, const Scalar* w, SUMS(Wide), long long count,
                 long long n, long long batch) {
  const Sums<Wide> out = {partial, sums, tickets};
  const int first = int(blockIdx.z) * TOGETHER;
  const int many = min(TOGETHER, int(count) + 1 - first);
  const bool packs = n % PACK == 0 && aligned(basis, w);
  items(batch, [&](long long b) {
    hold(b);  // no pointers to be kept from one item to the next
    const Scalar* vectors[TOGETHER];
#pragma unroll
    for (int k = 0; k < TOGETHER; ++k)
      vectors[k] = first + k < count ? basis + (first + k) * batch * n : w;
    Products sum = {};
    pass<1>(
        b, n, packs,
        [&](auto width, long long i) {
          Loaded<TOGETHER + 1, decltype(width)::count> got;
#pragma unroll
          for (int k = 0; k < TOGETHER; ++k) got.of[k] = read(width, vectors[k] + i);
          got.of[TOGETHER] = read(width, w + i);
          return got;
        },
        [&](long long, long long, const auto& got) {
#pragma unroll
          for (int j = 0; j < int(sizeof(got.of[0]) / sizeof(Scalar)); ++j)
#pragma unroll
            for (int k = 0; k < TOGETHER; ++k)
              sum.of[k] = sum.of[k] + conjugate(widen(got.of[k].value[j])) *
                                          widen(got.of[TOGETHER].value[j]);
        });
#pragma unroll
    for (int k = 0; k < TOGETHER; ++k)
      if (k < many)
        out.put(b * (count + 1) + first + k, blockIdx.x, gridDim.x, sum.of[k]);
  });
  if (out.last((long long)blockIdx.y * gridDim.z + blockIdx.z, gridDim.x))
    items(batch, [&](long long b) {
      for (int k = 0; k < many; ++k) out.finish(b * (count + 1) + first + k, gridDim.x);
    });
}

// w without the vectors of a basis, times h (batch, count + 1); the last of h is not
// used. `all` (batch, count) becomes h, or h more if `more`.
KERNEL(4)
project_subtract(const Scalar* basis, const Wide* __restrict__ h, Scalar* w, Wide* all,
                 SUMS(double), long long more, long long count, long long n,
                 long long batch) {
  const bool packs = n % PACK == 0 && aligned(basis, w);
  if (blockIdx.x == 0)
    items(batch, [&](long long b) {
#pragma unroll 1
      for (long long k = threadIdx.x; k < count; k += THREADS) {
        const Wide part = fetch(h + b * (count + 1) + k);
        all[b * count + k] = more ? all[b * count + k] + part : part;
      }
    });
  sum_pass<1>(
      Sums<double>{partial, sums, tickets}, n, batch, packs, loader(w),
      [=](long long b, long long i, const auto& got) {
        const auto out = narrowed(plus(widened(got.of[0]), basis + i, batch * n,
                                       h + b * (count + 1), -1.0, count));
        write(w + i, out);
        return squares(out);
      });
}

KERNEL(4)
scale(const double* __restrict__ a, Scalar* x, long long n, long long batch) {
  const bool packs = aligned(x);
  items(batch, [=](long long item) {
    const REAL factor = REAL(fetch(a + item));
    pass<4>(item, n, packs, loader(x), [=](long long, long long i, const auto& got) {
      auto value = got.of[0];
      for (auto& number : value.value) number = factor * number;
      write(x + i, value);
    });
  });
}

// The sum of the first `count` vectors of a basis (length, batch, n), times y.
KERNEL(4)
combine(const Scalar* __restrict__ basis, const Wide* __restrict__ y,
        Scalar* __restrict__ result, long long count, long long n, long long batch) {
  const bool packs = n % PACK == 0 && aligned(basis, result);
  items(batch, [=](long long item) {
    const Wide* factor = y + item * count;
    pass<1>(item, n, packs, loader(basis), [=](long long, long long i, const auto& got) {
      auto first = widened(got.of[0]);
      for (auto& number : first.value) number = fetch(factor) * number;
      const Scalar* others = basis + batch * n + i;
      const auto sum = plus(first, others, batch * n, factor + 1, 1.0, count - 1);
      write(result + i, narrowed(sum));
    });
  });
}
