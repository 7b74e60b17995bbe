// Device memory: allocations, copies, fills.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "device.hpp"

namespace dry {

constexpr size_t GUARD = 512;  // bytes behind an allocation that nobody may write to
constexpr unsigned char FILL = 0xFF;  // of fresh memory: NaN, or -1

static std::map<uintptr_t, size_t> pinned;  // memory of the host
static long used[DEVICES];

const Allocation* find(uintptr_t address) {
  auto next = allocations.upper_bound(address);
  if (next == allocations.begin()) return nullptr;
  auto& [start, held] = *std::prev(next);
  return address < start + std::max<size_t>(held.size, 1) ? &held : nullptr;
}

bool here(Operands operands) {
  return std::all_of(operands.begin(), operands.end(), [](const void* operand) {
    const Allocation* held = find(uintptr_t(operand));
    return !operand || (held && held->device == current);
  });
}

static bool is_pinned(uintptr_t address) {
  auto next = pinned.upper_bound(address);
  if (next == pinned.begin()) return false;
  auto& [start, size] = *std::prev(next);
  return address < start + size;
}

enum Kind { TO_DEVICE = 1, TO_HOST = 2, WITHIN = 3 };

static void count_copy(int kind) {
  (kind == TO_DEVICE ? counts.to_device
   : kind == TO_HOST ? counts.to_host
                     : counts.copies)++;
}

}  // namespace dry

using namespace dry;

extern "C" {

intptr_t cuda_malloc(size_t size, int) {
  if (used[current] + long(size) > long(MEMORY)) return runtime_error(OUT_OF_MEMORY);
  // not of the heap, whose addresses may be small: no number looks like one of these
  void* memory = mmap(nullptr, size + GUARD, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return runtime_error(OUT_OF_MEMORY);
  std::memset(memory, FILL, size + GUARD);
  counts.allocations++;
  counts.bytes += long(size);
  used[current] += long(size);
  allocations[reinterpret_cast<uintptr_t>(memory)] = {size, current};
  return reinterpret_cast<intptr_t>(memory);
}

Object* cuda_free(intptr_t pointer, int) {
  if (!pointer) return none();
  auto found = allocations.find(uintptr_t(pointer));
  if (found == allocations.end()) return done(runtime_error(INVALID_VALUE));
  finish_all();
  const Allocation held = found->second;
  auto end = reinterpret_cast<unsigned char*>(pointer) + held.size;
  bool whole = true;
  for (size_t i = 0; i < GUARD; i++) whole &= end[i] == FILL;
  munmap(reinterpret_cast<void*>(pointer), held.size + GUARD);
  allocations.erase(found);
  counts.frees++;
  counts.bytes -= long(held.size);
  used[held.device] -= long(held.size);
  if (!whole) return done(fault("a kernel wrote behind an allocation"));
  return done(raise_errors());
}

intptr_t cuda_hostAlloc(size_t size, unsigned, int) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 512, size ? size : 1))
    return runtime_error(OUT_OF_MEMORY);
  pinned[reinterpret_cast<uintptr_t>(memory)] = size;
  return reinterpret_cast<intptr_t>(memory);
}

Object* cuda_freeHost(intptr_t pointer, int) {
  pinned.erase(uintptr_t(pointer));
  std::free(reinterpret_cast<void*>(pointer));
  return none();
}

Object* cuda_memcpy(intptr_t to, intptr_t from, size_t size, int kind, int) {
  if (capturing(0)) return done(runtime_error(CAPTURE_IMPLICIT));
  finish(stream_of(0));
  std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), size);
  counts.waits++;
  count_copy(kind);
  return done(raise_errors());
}

Object* cuda_memcpyAsync(intptr_t to, intptr_t from, size_t size, int kind,
                         intptr_t stream, int) {
  const bool recorded = stream_of(stream).recording;
  if (!recorded) count_copy(kind);
  if (kind == TO_DEVICE && !recorded) {
    // its source may be used again as soon as CuPy sees that an event is done
    std::string bytes(reinterpret_cast<char*>(from), size);
    return done(perform(stream, [to, bytes = std::move(bytes)] {
      std::memcpy(reinterpret_cast<void*>(to), bytes.data(), bytes.size());
      return std::string();
    }));
  }
  return done(perform(stream, [=] {
    std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), size);
    return std::string();
  }));
}

Object* cuda_memcpyPeerAsync(intptr_t to, int, intptr_t from, int, size_t size,
                             intptr_t stream, int) {
  finish_all();
  return cuda_memcpyAsync(to, from, size, WITHIN, stream, 0);
}

Object* cuda_memsetAsync(intptr_t pointer, int value, size_t size, intptr_t stream,
                         int) {
  if (!stream_of(stream).recording) counts.copies++;
  return done(perform(stream, [=] {
    std::memset(reinterpret_cast<void*>(pointer), value, size);
    return std::string();
  }));
}

Object* cuda_memset(intptr_t pointer, int value, size_t size, int) {
  return cuda_memsetAsync(pointer, value, size, 0, 0);
}

Object* cuda_memGetInfo(int) {
  const long free = long(MEMORY) - used[current];
  return Py_BuildValue("nn", ssize_t(free), ssize_t(MEMORY));
}

int cuda_pointerGetMemoryType(intptr_t pointer, int) {
  return find(uintptr_t(pointer)) ? 2 : is_pinned(uintptr_t(pointer)) ? 1 : 0;
}

Object* cuda_pointerGetAttributes(intptr_t pointer, int) {
  const Allocation* held = find(uintptr_t(pointer));
  const ssize_t there = held ? pointer : 0;
  const int device = held ? held->device : -1;
  return PyObject_CallFunction(attributes_class, "inni", device, there,
                               ssize_t(pointer), cuda_pointerGetMemoryType(pointer, 0));
}
}
