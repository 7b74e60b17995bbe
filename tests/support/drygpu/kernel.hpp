// CUDA kernels of CuPy and of the package as C++, and their launches by the fake device.
#pragma once
#include <cassert>
#include <initializer_list>

#include "cuda_on_host.hpp"
#include "function.hpp"

#define __noinline__ __attribute__((noinline))
#define __constant__ static
#define __align__(n) alignas(n)
// The macros of Thrust that CuPy's complex numbers begin with.
#define THRUST_NAMESPACE_BEGIN namespace thrust {
#define THRUST_NAMESPACE_END }

using std::ceil;
using std::copysign;
using std::exp;
using std::floor;
using std::fmax;
using std::fmin;
using std::hypot;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::log;
using std::memcpy;
using std::memset;
using std::pow;
using std::signbit;

// One thread runs at a time, so that what is atomic in CUDA needs no care here.
template <class T>
inline T atomicAdd(T* at, T value) {
  T old = *at;
  *at = old + value;
  return old;
}
template <class T>
inline T atomicCAS(T* at, T expected, T value) {
  T old = *at;
  if (old == expected) *at = value;
  return old;
}
template <class T>
inline T atomicMax(T* at, T value) {
  T old = *at;
  *at = old > value ? old : value;
  return old;
}
template <class T>
inline T atomicMin(T* at, T value) {
  T old = *at;
  *at = old < value ? old : value;
  return old;
}

namespace dry {
template <class To, class From>
inline To bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace dry
inline int __float_as_int(float f) { return dry::bits<int>(f); }
inline float __int_as_float(int i) { return dry::bits<float>(i); }
inline unsigned __float_as_uint(float f) { return dry::bits<unsigned>(f); }
inline float __uint_as_float(unsigned i) { return dry::bits<float>(i); }
inline long long __double_as_longlong(double f) { return dry::bits<long long>(f); }
inline double __longlong_as_double(long long i) { return dry::bits<double>(i); }
// of half precision, which every fused kernel of CuPy mentions: numbers by their bits
inline unsigned short __float2half_rn(float f) {
  return dry::bits<unsigned short>(_Float16(f));
}
inline float __half2float(unsigned short h) { return dry::bits<_Float16>(h); }
inline unsigned short __half_as_ushort(unsigned short h) { return h; }
inline unsigned short __ushort_as_half(unsigned short h) { return h; }
inline double rsqrt(double a) { return 1 / std::sqrt(a); }
inline float rsqrtf(float a) { return 1 / std::sqrt(a); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }

// CUDA's min and max take integers of different types.
template <class A, class B>
using Mixed = std::enable_if_t<std::is_integral_v<A> && std::is_integral_v<B> &&
                                   !std::is_same_v<A, B>,
                               std::common_type_t<A, B>>;
template <class A, class B>
inline Mixed<A, B> min(A a, B b) {
  return std::min<Mixed<A, B>>(a, b);
}
template <class A, class B>
inline Mixed<A, B> max(A a, B b) {
  return std::max<Mixed<A, B>>(a, b);
}

namespace dry {

template <auto kernel>
struct Launcher;

template <class... A, void (*kernel)(A...)>
struct Launcher<kernel> {
  static constexpr size_t count = sizeof...(A);
  static constexpr size_t sizes[count + 1] = {sizeof(A)..., 0};

  // An argument, aligned as its type needs.
  template <class T>
  struct alignas(64) Slot {
    unsigned char bytes[sizeof(T)];
    T& value() { return *reinterpret_cast<T*>(bytes); }
  };
  using Slots = std::tuple<Slot<std::remove_cv_t<std::remove_reference_t<A>>>...>;

  static void enter(void* slots) {
    std::apply([](auto&... slot) { kernel(slot.value()...); },
               *static_cast<Slots*>(slots));
  }

  static void run_block_of(dim3 block, bool fibers, Slots& slots) {
    const unsigned n = block.x * block.y * block.z;
    if (fibers) return coh::run_block(n, block, enter, &slots);
    for (unsigned i = 0; i < n; i++) {
      coh::lane_linear = i;
      threadIdx = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
      enter(&slots);
    }
  }

  static void run(dim3 grid, dim3 block, size_t shared, bool fibers, Slots& slots) {
    const unsigned n = block.x * block.y * block.z;
    // fresh and poisoned: shared memory is not zeroed on a GPU either
    std::vector<unsigned char> memory(shared + 64);
    auto address = reinterpret_cast<uintptr_t>(memory.data());
    coh::BlockState state;
    state.n = n;
    gridDim = grid;
    blockDim = block;
    for (long l = 0, blocks = long(grid.x) * grid.y * grid.z; l < blocks; l++) {
      state.bank.assign(n, 0);
      state.slot[0].assign(n, 0);
      state.slot[1].assign(n, 0);
      std::fill(memory.begin(), memory.end(), 0xCD);
      coh::dyn_smem = reinterpret_cast<unsigned char*>((address + 63) & ~uintptr_t(63));
      coh::state = &state;
      blockIdx = {unsigned(l % grid.x), unsigned(l / grid.x % grid.y),
                  unsigned(l / grid.x / grid.y)};
      run_block_of(block, fibers, slots);
    }
  }

  // `fibers`: its threads wait for each other. `serial`: its loop over the elements is
  // right for any grid, so that one thread does all.
  template <bool fibers, bool serial>
  static int launch(const unsigned* g, const unsigned* b, size_t shared,
                    void** arguments, char* error, size_t length) {
    Slots slots;
    size_t i = 0;
    std::apply(
        [&](auto&... slot) {
          (std::memcpy(slot.bytes, arguments[i++], sizeof slot.bytes), ...);
        },
        slots);
    const dim3 one, grid{g[0], g[1], g[2]}, block{b[0], b[1], b[2]};
    try {
      run(serial ? one : grid, serial ? one : block, shared, fibers, slots);
      return 0;
    } catch (const std::exception& e) {
      std::snprintf(error, length, "%s", e.what());
      return 1;
    }
  }
};

}  // namespace dry

#define DRY_KERNEL(name, fibers, serial)                                         \
  extern "C" dry::Function dry_function_##name;                                  \
  dry::Function dry_function_##name = {                                          \
      dry::Launcher<&::name>::launch<fibers, serial>,                            \
      int(dry::Launcher<&::name>::count), dry::Launcher<&::name>::sizes, #name};
