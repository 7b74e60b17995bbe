// The common start of every kernel file; the loader puts this text in front of it.
//
// The loader defines REAL (float or double) and, for complex data, COMPLEX. Only
// built-in CUDA C++ is used, so the same text compiles for a GPU and for a CPU.
// Every block has THREADS threads (those of givens have 32), and sizes and offsets are
// 64 bits wide.

constexpr int THREADS = 256;

// A multiprocessor must have registers for `blocks` blocks. Without this limit, ptxas
// spills registers to fit more blocks than is worthwhile.
#define KERNEL(blocks) extern "C" __global__ void __launch_bounds__(THREADS, blocks)

template <typename T>
struct alignas(2 * sizeof(T)) Complex {
  T re, im;
};

// Scalar is the type of the data, Wide the type that sums are kept in.
#ifdef COMPLEX
using Scalar = Complex<REAL>;
using Wide = Complex<double>;
#else
using Scalar = REAL;
using Wide = double;
#endif

template <typename T>
__device__ __forceinline__ Complex<T> operator+(Complex<T> a, Complex<T> b) {
  return {a.re + b.re, a.im + b.im};
}

template <typename T>
__device__ __forceinline__ Complex<T> operator*(Complex<T> a, Complex<T> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

template <typename T>
__device__ __forceinline__ Complex<T> operator*(T a, Complex<T> b) {
  return {a * b.re, a * b.im};
}

// sum + a b, in two or four fused instructions.
template <typename T>
__device__ __forceinline__ T add_product(T sum, T a, T b) {
  return sum + a * b;
}
template <typename T>
__device__ __forceinline__ Complex<T> add_product(Complex<T> sum, Complex<T> a,
                                                  Complex<T> b) {
  return {(sum.re + a.re * b.re) - a.im * b.im, (sum.im + a.re * b.im) + a.im * b.re};
}

// |a|^2, in double precision.
__device__ __forceinline__ double square(double a) { return a * a; }
template <typename T>
__device__ __forceinline__ double square(Complex<T> a) {
  return square(double(a.re)) + square(double(a.im));
}

__device__ __forceinline__ double conjugate(double a) { return a; }
template <typename T>
__device__ __forceinline__ Complex<T> conjugate(Complex<T> a) {
  return {a.re, -a.im};
}

__device__ __forceinline__ double widen(double a) { return a; }
template <typename T>
__device__ __forceinline__ Complex<double> widen(Complex<T> a) {
  return {double(a.re), double(a.im)};
}

__device__ __forceinline__ Scalar narrow(Wide a) {
#ifdef COMPLEX
  return {REAL(a.re), REAL(a.im)};
#else
  return REAL(a);
#endif
}

// A load through the read-only cache.
template <typename T>
__device__ __forceinline__ T fetch(const T* p) {
  return __ldg(p);
}
template <typename T>
__device__ __forceinline__ Complex<T> fetch(const Complex<T>* p) {
  return {__ldg(&p->re), __ldg(&p->im)};
}

__device__ __forceinline__ double shuffle_down(double a, unsigned lanes) {
  return __shfl_down_sync(0xffffffffu, a, lanes);
}
__device__ __forceinline__ Complex<double> shuffle_down(Complex<double> a,
                                                        unsigned lanes) {
  return {shuffle_down(a.re, lanes), shuffle_down(a.im, lanes)};
}

__device__ __forceinline__ int thread_number() {
  return int((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x);
}

// Of this number the compiler knows nothing: it computes what depends on it neither
// again, nor earlier than it is used here.
template <typename T>
__device__ __forceinline__ void hold(T& number) {
#ifdef __CUDA_ARCH__
  if constexpr (sizeof(T) == 8)
    asm volatile("" : "+l"(number));
  else
    asm volatile("" : "+r"(number));
#endif
}

// The sum over the block, in thread 0. All threads must call it. The order of the
// additions is fixed, so equal inputs give equal bits.
template <typename T>
__device__ __forceinline__ T block_sum(T value) {
  constexpr int warps = THREADS / 32;
  __shared__ T part[warps];
  const int thread = thread_number();
  __syncthreads();  // the previous sum has been read
  for (unsigned lanes = 16; lanes > 0; lanes /= 2)
    value = value + shuffle_down(value, lanes);
  if (thread % 32 == 0) part[thread / 32] = value;
  __syncthreads();
  if (thread == 0)
    for (int warp = 1; warp < warps; ++warp) value = value + part[warp];
  return value;
}

// What another block has written, read past the first-level cache. T consists of
// doubles.
template <typename T>
__device__ __forceinline__ T written(const T* place) {
  constexpr int count = sizeof(T) / sizeof(double);
  union {
    T value;
    double parts[count];
  };
#pragma unroll
  for (int i = 0; i < count; ++i)
    parts[i] = __ldcg(reinterpret_cast<const double*>(place) + i);
  return value;
}

// Sums to which several blocks contribute: each first puts its parts. The last of these
// blocks adds them up, in order, so that equal inputs give equal bits. `tickets` are 0
// before and after a launch. All threads of a block must call the functions.
template <typename T>
struct Sums {
  T *partial, *sums;
  unsigned* tickets;

  // The part of this block, one of `parts`, of a sum.
  __device__ __forceinline__ void put(long long which, long long part, int parts,
                                      T sum) const {
    sum = block_sum(sum);
    if (thread_number() == 0)
      (parts == 1 ? sums[which] : partial[which * parts + part]) = sum;
  }

  // Whether the block is the last of `parts` with this ticket.
  __device__ __forceinline__ bool last(long long ticket, int parts) const {
    __shared__ bool is_last;
    if (parts == 1) return false;
    if (thread_number() == 0) {
      __threadfence();  // the parts are seen before the ticket
      is_last = atomicInc(tickets + ticket, parts - 1) == unsigned(parts - 1);
    }
    __syncthreads();  // one answer for all
    if (is_last) __threadfence();
    return is_last;
  }

  __device__ __forceinline__ void finish(long long which, int parts) const {
    T sum = {};
#pragma unroll 4
    for (int i = thread_number(); i < parts; i += THREADS)
      sum = sum + written(partial + which * parts + i);
    sum = block_sum(sum);
    if (thread_number() == 0) sums[which] = sum;
  }
};

#define SUMS(T) T *partial, T *sums, unsigned *tickets

// The sum of each item of a batch: `sum_of(item)` is what this thread adds to it.
// blockIdx.y and its multiples are items, and all blockIdx.x share them.
template <typename T, class F>
__device__ __forceinline__ void sum_over(const Sums<T>& out, long long batch, F sum_of) {
  for (long long b = blockIdx.y; b < batch; b += gridDim.y)
    out.put(b, blockIdx.x, gridDim.x, sum_of(b));
  if (out.last(blockIdx.y, gridDim.x))
    for (long long b = blockIdx.y; b < batch; b += gridDim.y) out.finish(b, gridDim.x);
}

// The sums of term(item, place) over all elements of items (batch, n).
template <typename T, class F>
__device__ __forceinline__ void sum_items(const Sums<T>& out, long long n,
                                          long long batch, F term) {
  const long long step = (long long)gridDim.x * THREADS;
  sum_over(out, batch, [=](long long b) {
    T sum = {};
    for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < n; i += step)
      sum = sum + term(b, b * n + i);
    return sum;
  });
}

template <class F>
__device__ __forceinline__ void each(long long n, long long batch, F update) {
  const long long step = (long long)gridDim.x * THREADS;
  for (long long b = blockIdx.y; b < batch; b += gridDim.y)
    for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < n; i += step)
      update(b, b * n + i);
}
