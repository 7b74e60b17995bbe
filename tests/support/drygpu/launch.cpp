// Modules of compiled kernels, and their launches.
#include <dlfcn.h>

#include <cstring>
#include <memory>

#include "device.hpp"
#include "function.hpp"

namespace dry {

struct Module {
  void* library;
  int device;
};
struct Loaded {
  const Function* function;
  int device;
};

// The values of a launch's arguments, which the caller may change after it.
struct Arguments {
  std::vector<std::vector<char>> values;
  std::vector<void*> pointers;
  Arguments(const Function& function, void** given) {
    for (int i = 0; i < function.count; i++) {
      auto bytes = static_cast<char*>(given[i]);
      values.emplace_back(bytes, bytes + function.sizes[i]);
    }
    for (auto& value : values) pointers.push_back(value.data());
  }
};

static std::string run(const Function& function, const unsigned* grid,
                       const unsigned* block, size_t shared, void** arguments) {
  char error[512] = "";
  if (!function.launch(grid, block, shared, arguments, error, sizeof error)) return {};
  return std::string("kernel ") + function.name + ": " + error;
}

// Pointers to memory of another device are as invalid there as on a real one. An
// argument is a pointer, a number, or a structure that begins with a pointer.
static bool reachable(const Function& function, void** arguments) {
  for (int i = 0; i < function.count; i++) {
    if (function.sizes[i] < sizeof(uintptr_t)) continue;
    uintptr_t address;
    std::memcpy(&address, arguments[i], sizeof address);
    const Allocation* held = find(address);
    if (held && held->device != current) return false;
  }
  return true;
}

static bool possible(const unsigned* grid, const unsigned* block) {
  const size_t threads = size_t(block[0]) * block[1] * block[2];
  return grid[0] && grid[1] && grid[2] && grid[0] <= 2147483647u && grid[1] <= 65535 &&
         grid[2] <= 65535 && threads && threads <= 1024 && block[2] <= 64;
}

}  // namespace dry

using namespace dry;

extern "C" {

intptr_t cuda_moduleLoadData(Object* path, int) {
  void* library = dlopen(PyBytes_AsString(path), RTLD_NOW | RTLD_LOCAL);
  if (!library) return fault(dlerror());
  return reinterpret_cast<intptr_t>(new Module{library, current});
}
Object* cuda_moduleUnload(intptr_t, int) { return none(); }

intptr_t cuda_moduleGetFunction(intptr_t handle, Object* name, int) {
  auto module = reinterpret_cast<Module*>(handle);
  const std::string symbol = std::string("dry_function_") + PyUnicode_AsUTF8(name);
  auto function = static_cast<const Function*>(dlsym(module->library, symbol.c_str()));
  if (!function) return driver_error(NOT_FOUND);
  return reinterpret_cast<intptr_t>(new Loaded{function, module->device});
}

Object* cuda_launchKernel(intptr_t handle, unsigned gx, unsigned gy, unsigned gz,
                          unsigned bx, unsigned by, unsigned bz, unsigned shared,
                          intptr_t stream, intptr_t parameters, intptr_t, int) {
  const Loaded& loaded = *reinterpret_cast<Loaded*>(handle);
  const Function& function = *loaded.function;
  const unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
  if (loaded.device != current) return done(driver_error(INVALID_HANDLE));
  if (!possible(grid, block) || shared > SHARED)
    return done(driver_error(INVALID_VALUE));
  auto given = reinterpret_cast<void**>(parameters);
  if (!reachable(function, given)) return done(driver_error(ILLEGAL_ADDRESS));
  if (stream_of(stream).recording)
    counts.captured++;
  else
    counts.launches++, names[function.name]++;
  auto kept = std::make_shared<Arguments>(function, given);
  return done(perform(stream, [=, &function] {
    const unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
    return run(function, grid, block, shared, kept->pointers.data());
  }));
}

// What CuPy asks about a kernel before it chooses blocks.
int cuda_funcGetAttribute(int attribute, intptr_t, int) { return attribute ? 0 : 1024; }
Object* cuda_funcSetAttribute(intptr_t, int, int, int) { return none(); }
int cuda_occupancyMaxActiveBlocksPerMultiprocessor(intptr_t, int, size_t, int) {
  return 2;
}
Object* cuda_occupancyMaxPotentialBlockSize(intptr_t, size_t, int, int) {
  return Py_BuildValue("ii", 132, 256);
}
}
