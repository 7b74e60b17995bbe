// CUDA kernels of CuPy and of the package as C++, and how the fake device runs them.
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

using Enter = void (*)(void*);  // calls a kernel with its arguments

// Launch a kernel: 0, or 1 with a message in `error`. It is in `runner.cpp`, compiled
// once: it would take most of the time that a kernel takes to compile.
// `fibers`: its threads wait for each other. `serial`: its loop over the elements is
// right for any grid, so that one thread does all.
int launch(const unsigned* grid, const unsigned* block, size_t shared, void** arguments,
           char* error, size_t length, bool fibers, bool serial, Enter enter);

template <auto kernel>
struct Kernel;

template <class... A, void (*kernel)(A...)>
struct Kernel<kernel> {
  static constexpr int count = sizeof...(A);
  static constexpr size_t sizes[count + 1] = {sizeof(A)..., 0};
  template <size_t... I>
  static void call(void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
  }
  static void enter(void* arguments) {
    call(static_cast<void**>(arguments), std::index_sequence_for<A...>{});
  }
};

}  // namespace dry

#define DRY_KERNEL(name, fibers, serial)                                             \
  static int dry_launch_##name(const unsigned* grid, const unsigned* block,          \
                               size_t shared, void** arguments, char* error,         \
                               size_t length) {                                      \
    return dry::launch(grid, block, shared, arguments, error, length, fibers, serial, \
                       dry::Kernel<&::name>::enter);                                 \
  }                                                                                  \
  extern "C" dry::Function dry_function_##name;                                      \
  dry::Function dry_function_##name = {dry_launch_##name,                            \
                                       dry::Kernel<&::name>::count,                  \
                                       dry::Kernel<&::name>::sizes, #name};
