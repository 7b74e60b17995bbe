// Passes over batches of vectors (batch, n), in accesses of 16 bytes, and their sums.
//
// The loader puts this text in front of cuda.cu. blockIdx.y and its multiples are items;
// the threads of all blockIdx.x share the packs of an item.

constexpr int PACK = 16 / sizeof(Scalar);  // numbers of an access

// Numbers of one access, or of several if T is wider than Scalar.
template <typename T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Numbers {
  T value[N];
};

// How many numbers a load takes, as a type.
template <int N>
struct Width {
  static constexpr int count = N;
};

template <class W, typename T>
__device__ __forceinline__ Numbers<T, W::count> read(W, const T* from) {
  return *reinterpret_cast<const Numbers<T, W::count>*>(from);
}
template <typename T, int N>
__device__ __forceinline__ void write(T* to, const Numbers<T, N>& numbers) {
#ifdef __CUDA_ARCH__
  // the compiler would store the numbers one by one if it adds up their squares
  constexpr int accesses = sizeof(numbers) / 16;
#pragma unroll
  for (int i = 0; i < accesses; ++i) {
    long long half[2];
    memcpy(half, reinterpret_cast<const char*>(&numbers) + 16 * i, 16);
    asm volatile("st.global.v2.b64 [%0], {%1, %2};" ::"l"(
                     reinterpret_cast<char*>(to) + 16 * i),
                 "l"(half[0]), "l"(half[1])
                 : "memory");
  }
  if constexpr (accesses > 0) return;
#endif
  *reinterpret_cast<Numbers<T, N>*>(to) = numbers;
}

// What a thread has loaded for one pack of a result.
template <int VECTORS, int N>
struct Loaded {
  Numbers<Scalar, N> of[VECTORS];
};

// Packs of all these arrays begin where the numbers of their places do.
template <class... T>
__device__ __forceinline__ bool aligned(const T*... arrays) {
  return (... && (reinterpret_cast<unsigned long long>(arrays) % 16 == 0));
}

// Calls use(b, place, load(width, place)) on all numbers of item b: packs in the middle,
// single ones before and behind. A thread loads `DEPTH` packs before it uses them.
template <int DEPTH, class Load, class Use>
__device__ __forceinline__ void pass(long long b, long long n, bool packs, Load load,
                                     Use use) {
  const long long begin = b * n, end = begin + n;
  const long long first = packs ? min((begin + PACK - 1) / PACK * PACK, end) : end;
  const long long last = packs ? max(end / PACK * PACK, first) : end;
  const long long mine = (long long)blockIdx.x * THREADS + threadIdx.x;
  const long long step = (long long)gridDim.x * THREADS;
#pragma unroll 1
  for (long long i = begin + mine; i < end; i += step) {
    if (i >= first) i += last - first;  // step over the packs
    if (i < end) use(b, i, load(Width<1>{}, i));
  }
#pragma unroll 1
  for (long long i = first + mine * PACK; i < last; i += DEPTH * step * PACK) {
    decltype(load(Width<PACK>{}, i)) loaded[DEPTH];
#pragma unroll
    for (int u = 0; u < DEPTH; ++u)
      if (i + u * step * PACK < last)
        loaded[u] = load(Width<PACK>{}, i + u * step * PACK);
#pragma unroll
    for (int u = 0; u < DEPTH; ++u)
      if (i + u * step * PACK < last) use(b, i + u * step * PACK, loaded[u]);
  }
}

// The items of a block.
template <class F>
__device__ __forceinline__ void items(long long batch, F each) {
  for (long long b = blockIdx.y; b < batch; b += gridDim.y) each(b);
}

// A pass over all items whose `use` returns terms of their sums.
template <int DEPTH, typename T, class Load, class Use>
__device__ __forceinline__ void sum_pass(const Sums<T>& out, long long n,
                                         long long batch, bool packs, Load load,
                                         Use use) {
  sum_over(out, batch, [&](long long b) {
    T sum = {};
    pass<DEPTH>(b, n, packs, load, [&](long long b, long long i, const auto& loaded) {
      sum = sum + use(b, i, loaded);
    });
    return sum;
  });
}
