// The BLAS and LAPACK functions that SciPy exports, by name.
#pragma once
#include <complex>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "device.hpp"

namespace dry {

// Set from Python: "dgemm", "zgesvd", ...
inline std::map<std::string, void*> lapack_functions;

template <class T>
constexpr char prefix = 'd';
template <>
inline constexpr char prefix<float> = 's';
template <>
inline constexpr char prefix<std::complex<float>> = 'c';
template <>
inline constexpr char prefix<std::complex<double>> = 'z';

template <class T>
struct Real {
  using type = T;
};
template <class T>
struct Real<std::complex<T>> {
  using type = T;
};
template <class T>
constexpr bool is_complex = !std::is_same_v<T, typename Real<T>::type>;

// A function of Fortran: it takes nothing but pointers.
struct Fortran {
  void* function;
  template <class... A>
  void operator()(A... arguments) const {
    reinterpret_cast<void (*)(A...)>(function)(arguments...);
  }
};
template <class T>
Fortran lapack(const std::string& name) {
  return {lapack_functions.at(prefix<T> + name)};
}

// Before a library works on a stream, at once: what is before it is done, and its
// memory must be the current device's.
using Operands = std::initializer_list<const void*>;
inline bool begin(intptr_t stream, Operands operands) {
  finish(stream_of(stream));
  for (const void* operand : operands) {
    const Allocation* held = find(reinterpret_cast<uintptr_t>(operand));
    if (held && held->device != current) return false;
  }
  return true;
}

}  // namespace dry
