// The BLAS and LAPACK functions that SciPy exports, by name.
#pragma once
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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
  const std::string whole = prefix<T> + name;
  if (void* function = lapack_functions[whole]) return {function};
  // an exception of C++ cannot pass through CuPy's modules
  std::fprintf(stderr, "SciPy lacks %s\n", whole.c_str());
  std::abort();
}

template <class T>
T conjugate(T value) {
  if constexpr (is_complex<T>) return std::conj(value);
  return value;
}

// CUDA's codes of real and complex types in single and double precision
template <class Call>
int by_type(int type, int unsupported, Call call) {
  switch (type) {
    case 0: return call(float());
    case 1: return call(double());
    case 4: return call(std::complex<float>());
    case 5: return call(std::complex<double>());
    default: return unsupported;
  }
}

struct Handle {
  long& calls;  // of its library
  intptr_t stream = 0;
  int pointer_mode = 0;  // of cuBLAS: 1 for scalars on the device
  int math_mode = 0;
};
inline Handle& handle_of(void* handle) { return *static_cast<Handle*>(handle); }

// Before a library works on a stream, at once: the call is counted, and the work before
// it done. Its memory must be the current device's, its scalars where the handle says.
inline bool ready(void* handle, const char* name, Operands operands,
                  Operands scalars = {}) {
  PythonLock lock;
  Handle& used = handle_of(handle);
  used.calls++;
  names[name]++;
  finish(stream_of(used.stream));
  for (const void* scalar : scalars)
    if (used.pointer_mode ? !here({scalar}) : bool(find(uintptr_t(scalar))))
      return false;
  return here(operands);
}

// Whether the matrices whose addresses are in tables are on the current device.
template <class... Tables>
bool all_here(int batch, Tables... tables) {
  PythonLock lock;
  for (int i = 0; i < batch; i++)
    if (!here({tables[i]...})) return false;
  return true;
}

}  // namespace dry
