// How a kernel's blocks and threads are run, one after the other.
#include "kernel.hpp"

namespace dry {

static void run(dim3 grid, dim3 block, size_t shared, bool fibers, Enter enter,
                void** arguments) {
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
    std::memset(memory.data(), 0xCD, memory.size());
    coh::dyn_smem = reinterpret_cast<unsigned char*>((address + 63) & ~uintptr_t(63));
    coh::state = &state;
    blockIdx = {unsigned(l % grid.x), unsigned(l / grid.x % grid.y),
                unsigned(l / grid.x / grid.y)};
    (fibers ? coh::run_block : coh::run_plain)(n, block, enter, arguments);
  }
}

int launch(const unsigned* g, const unsigned* b, size_t shared, void** arguments,
           char* error, size_t length, bool fibers, bool serial, Enter enter) {
  const dim3 one, grid{g[0], g[1], g[2]}, block{b[0], b[1], b[2]};
  try {
    run(serial ? one : grid, serial ? one : block, shared, fibers, enter, arguments);
    return 0;
  } catch (const std::exception& e) {
    std::snprintf(error, length, "%s", e.what());
    return 1;
  }
}

}  // namespace dry
