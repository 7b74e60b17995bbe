// What a library of compiled kernels tells about one of them.
#pragma once
#include <cstddef>

namespace dry {
struct Function {
  // 0, or 1 with a message in `error`
  int (*launch)(const unsigned* grid, const unsigned* block, size_t shared,
                void** arguments, char* error, size_t length);
  int count;            // of its parameters
  const size_t* sizes;  // of each, in bytes
  const char* name;
};
}  // namespace dry
