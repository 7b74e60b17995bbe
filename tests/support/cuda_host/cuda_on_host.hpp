// CUDA built-ins for a C++ compiler: plain CUDA kernels run on the CPU, for tests.
//
// A block runs on one thread of the CPU and its CUDA threads are fibers, so barriers
// and shuffles work and a divergent barrier is reported instead of waited for. With
// COH_THREADS, every CUDA thread is a thread of the CPU, and ThreadSanitizer sees a
// missing __syncthreads() as the data race that it is.
//
// Not there: atomics but atomicInc, textures, cooperative groups, tensor cores, half
// precision, streams, and the memory model between blocks.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
constexpr int warpSize = 32;

using std::abs;
using std::fma;
using std::max;
using std::min;
using std::sqrt;
template <class T>
inline T __ldg(const T* p) {
  return *p;
}

template <class T>
inline T __ldcg(const T* p) {
  return *p;
}
inline unsigned atomicInc(unsigned* address, unsigned most) {
  std::atomic_ref<unsigned> place(*address);
  unsigned old = place.load();
  while (!place.compare_exchange_weak(old, old >= most ? 0 : old + 1)) {
  }
  return old;
}
inline int __popc(unsigned a) { return __builtin_popcount(a); }

inline thread_local uint3 threadIdx, blockIdx;
inline thread_local dim3 blockDim, gridDim;

namespace coh {
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
inline thread_local unsigned char* dyn_smem = nullptr;  // extern __shared__
inline thread_local unsigned lane_linear = 0;           // linear thread id
inline void fail(const std::string& m) { throw Error(m); }

// One slot per CUDA thread for shuffles; two banks so a fast lane cannot
// overwrite a value a slow lane has not read yet.
struct BlockState {
  unsigned n = 0;
  std::vector<uint64_t> slot[2];
  std::vector<unsigned> bank;
};
inline thread_local BlockState* state = nullptr;
}  // namespace coh

#ifndef COH_THREADS
// ------------------------------------------------------------ fiber backend
#define __shared__ static thread_local
namespace coh {
enum Wait { RUN, BLOCK_BAR, WARP_BAR, DONE };
inline void trampoline();
#if defined(__x86_64__) && defined(__ELF__) && !defined(COH_UCONTEXT)
// swapcontext() makes a system call; saving the six callee-saved registers does not.
struct Ctx {
  void* sp = nullptr;
};
extern "C" void coh_switch(void** save, void* load)
    __attribute__((visibility("hidden")));
asm(".text\n.weak coh_switch\n.hidden coh_switch\n.type "
    "coh_switch,@function\ncoh_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
inline void swap(Ctx& from, Ctx& to) { coh_switch(&from.sp, to.sp); }
inline void init(Ctx& c, char* stack, size_t n) {
  auto top = (reinterpret_cast<uintptr_t>(stack) + n) & ~uintptr_t(15);
  void** p = reinterpret_cast<void**>(top) - 1;  // entry: rsp % 16 == 8
  *p = nullptr;
  *--p = reinterpret_cast<void*>(&trampoline);
  for (int i = 0; i < 6; i++) *--p = nullptr;
  c.sp = p;
}
#else
}
#include <ucontext.h>
namespace coh {
struct Ctx {
  ucontext_t u;
};
inline void swap(Ctx& from, Ctx& to) { swapcontext(&from.u, &to.u); }
inline void init(Ctx& c, char* stack, size_t n) {
  getcontext(&c.u);
  c.u.uc_stack.ss_sp = stack;
  c.u.uc_stack.ss_size = n;
  c.u.uc_link = nullptr;
  makecontext(&c.u, trampoline, 0);
}
#endif
struct Fiber {
  Ctx ctx;
  Wait wait;
};
struct Sched {
  std::vector<Fiber> f;
  std::vector<char> stacks;
  Ctx main;
  unsigned cur = 0;
  void (*entry)(void*) = nullptr;
  void* arg = nullptr;
  std::string error;
};
inline thread_local Sched* sched = nullptr;  // null: no fibers
constexpr size_t STACK = 128 * 1024;

inline void yield(Wait w) {
  if (!sched) fail("barrier reached in a kernel launched without fibers");
  Sched& s = *sched;
  Fiber& me = s.f[s.cur];
  me.wait = w;
  swap(me.ctx, s.main);
}
inline void block_barrier() { yield(BLOCK_BAR); }
inline void warp_barrier() { yield(WARP_BAR); }
inline void trampoline() {
  Sched& s = *sched;
  try {
    s.entry(s.arg);
  } catch (const std::exception& e) {
    s.error = e.what();
  }
  s.f[s.cur].wait = DONE;
  swap(s.f[s.cur].ctx, s.main);
}
inline void run_block(unsigned n, dim3 bd, void (*entry)(void*), void* arg) {
  static thread_local Sched S;
  sched = &S;
  S.entry = entry;
  S.arg = arg;
  S.error.clear();
  if (S.f.size() != n) {
    S.f.assign(n, Fiber{});
    S.stacks.resize(size_t(n) * STACK);
  }
  for (unsigned i = 0; i < n; i++) {
    init(S.f[i].ctx, S.stacks.data() + size_t(i) * STACK, STACK);
    S.f[i].wait = RUN;
  }
  const uint3 bi = blockIdx;
  for (;;) {
    bool ran = false;
    unsigned done = 0;
    for (unsigned i = 0; i < n; i++) {
      if (S.f[i].wait == RUN) {
        S.cur = i;
        lane_linear = i;
        blockIdx = bi;
        threadIdx = {i % bd.x, (i / bd.x) % bd.y, i / (bd.x * bd.y)};
        swap(S.main, S.f[i].ctx);
        if (!S.error.empty()) fail(S.error);
        ran = true;
      }
      done += S.f[i].wait == DONE;
    }
    if (done == n) return;
    if (ran) {  // release every warp all of whose live lanes wait at a warp barrier
      for (unsigned w = 0; w < n; w += 32) {
        unsigned e = std::min(n, w + 32), at = 0, live = 0;
        for (unsigned i = w; i < e; i++) {
          at += S.f[i].wait == WARP_BAR;
          live += S.f[i].wait != DONE;
        }
        if (at && at == live)
          for (unsigned i = w; i < e; i++)
            if (S.f[i].wait == WARP_BAR) S.f[i].wait = RUN;
      }
    }
    unsigned runnable = 0, at_block = 0;
    for (auto& f : S.f) {
      runnable += f.wait == RUN;
      at_block += f.wait == BLOCK_BAR;
    }
    if (runnable) continue;
    if (at_block == n) {
      for (auto& f : S.f) f.wait = RUN;
      continue;
    }
    fail("divergent barrier: " + std::to_string(at_block) + " of " + std::to_string(n) +
         " threads at __syncthreads(), " + std::to_string(done) + " returned");
  }
}
}  // namespace coh
#else
// ----------------------------------------------- OS-thread backend (TSan/ASan)
#include <barrier>
#include <memory>
#include <thread>
#define __shared__ static
namespace coh {
inline std::unique_ptr<std::barrier<> > bar;
inline std::vector<std::unique_ptr<std::barrier<> > > wbar;
inline void block_barrier() { bar->arrive_and_wait(); }
inline void warp_barrier() { wbar[lane_linear / 32]->arrive_and_wait(); }
inline void run_block(unsigned n, dim3 bd, void (*entry)(void*), void* arg) {
  bar = std::make_unique<std::barrier<> >(n);
  wbar.clear();
  for (unsigned w = 0; w < n; w += 32)
    wbar.push_back(std::make_unique<std::barrier<> >(std::min(32u, n - w)));
  std::vector<std::thread> t;
  const uint3 bi = blockIdx;
  const dim3 gd = gridDim;
  auto* sm = dyn_smem;
  auto* st = state;
  for (unsigned i = 0; i < n; i++)
    t.emplace_back([=] {
      blockIdx = bi;
      blockDim = bd;
      gridDim = gd;
      dyn_smem = sm;
      state = st;
      lane_linear = i;
      threadIdx = {i % bd.x, (i / bd.x) % bd.y, i / (bd.x * bd.y)};
      entry(arg);
      bar->arrive_and_drop();
      wbar[i / 32]->arrive_and_drop();
    });
  for (auto& th : t) th.join();
}
}  // namespace coh
#endif

inline void __syncthreads() { coh::block_barrier(); }
inline void __syncwarp(unsigned = 0xffffffffu) { coh::warp_barrier(); }
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void __threadfence_block() { __threadfence(); }

namespace coh {
template <class T>
T shfl(T v, int src_lane) {  // src_lane: absolute lane, or <0 for own
  static_assert(sizeof(T) <= 8, "shuffle of at most 8 bytes");
  BlockState& s = *state;
  const unsigned me = lane_linear, w0 = me & ~31u;
  const unsigned b = s.bank[me] ^= 1u;
  std::memcpy(&s.slot[b][me], &v, sizeof(T));
  warp_barrier();
  unsigned from = src_lane < 0 ? me : w0 + unsigned(src_lane);
  if (from >= s.n) from = me;
  T r;
  std::memcpy(&r, &s.slot[b][from], sizeof(T));
  return r;
}
}  // namespace coh
template <class T>
T __shfl_sync(unsigned, T v, int src, int width = 32) {
  int lane = coh::lane_linear & 31;
  return coh::shfl(v, (lane & ~(width - 1)) + (src & (width - 1)));
}
template <class T>
T __shfl_down_sync(unsigned, T v, unsigned d, int width = 32) {
  int lane = coh::lane_linear & 31;
  return coh::shfl(v, (lane & (width - 1)) + int(d) < width ? lane + int(d) : -1);
}
template <class T>
T __shfl_xor_sync(unsigned, T v, int m, int width = 32) {
  int lane = coh::lane_linear & 31, t = lane ^ m;
  return coh::shfl(v, (t & ~(width - 1)) == (lane & ~(width - 1)) ? t : -1);
}
namespace coh {
// Threads that do not wait for each other.
inline void run_plain(unsigned n, dim3 bd, void (*entry)(void*), void* arg) {
#ifndef COH_THREADS
  sched = nullptr;  // that of an earlier kernel
#endif
  for (unsigned i = 0; i < n; i++) {
    lane_linear = i;
    threadIdx = {i % bd.x, (i / bd.x) % bd.y, i / (bd.x * bd.y)};
    entry(arg);
  }
}

template <class A>
constexpr int arg_code() {
  if constexpr (std::is_pointer_v<A>)
    return -int(sizeof(std::remove_pointer_t<A>));
  else
    return int(sizeof(A));
}
// Launch with the calling convention of cuLaunchKernel: args[i] points at the
// i-th argument.  sizes[i] says what the caller packed (bytes of a scalar, minus
// the item size of an array), so a float64 passed for a float parameter, which
// CuPy hands on without a check, is an error here.
template <class... A, size_t... I>
void launch_impl(void (*k)(A...), std::index_sequence<I...>, dim3 g, dim3 b,
                 size_t smem, void** args, const int* sizes, int nargs, bool fibers) {
  if (nargs != int(sizeof...(A)))
    fail("kernel takes " + std::to_string(sizeof...(A)) + " arguments, got " +
         std::to_string(nargs));
  const int want[] = {arg_code<A>()..., 0};
  for (int i = 0; i < nargs; i++)
    if (want[i] != sizes[i]) {
      auto say = [](int c) {
        return c < 0 ? "array of " + std::to_string(-c) + "-byte items"
                     : "scalar of " + std::to_string(c) + " bytes";
      };
      fail("argument " + std::to_string(i) + ": kernel takes " + say(want[i]) +
           ", got " + say(sizes[i]));
    }
  const unsigned n = b.x * b.y * b.z;
  if (n == 0 || n > 1024 || b.z > 64) fail("invalid block size");
  if (!g.x || !g.y || !g.z || g.y > 65535 || g.z > 65535) fail("invalid grid size");
  if (smem > 48 * 1024) fail("more than 48 KiB of dynamic shared memory");
  struct Pack {
    void (*k)(A...);
    void** a;
  } pack{k, args};
  auto entry = [](void* p) {
    auto* q = static_cast<Pack*>(p);
    q->k(*static_cast<std::remove_reference_t<A>*>(q->a[I])...);
  };
  std::string error;
  const long nb = long(g.x) * g.y * g.z;
#if defined(_OPENMP) && !defined(COH_THREADS)
#pragma omp parallel for schedule(dynamic)
#endif
  for (long l = 0; l < nb; l++) {
    try {
      BlockState st;
      st.n = n;
      st.bank.assign(n, 0);
      st.slot[0].assign(n, 0);
      st.slot[1].assign(n, 0);
      // fresh and poisoned: shared memory is not zeroed on a GPU either
      std::vector<unsigned char> sm(smem, 0xCD);
      dyn_smem = sm.data();
      state = &st;
      gridDim = g;
      blockDim = b;
      blockIdx = {unsigned(l % g.x), unsigned(l / g.x % g.y), unsigned(l / g.x / g.y)};
      if (fibers)
        run_block(n, b, +entry, &pack);
      else
        run_plain(n, b, +entry, &pack);
    } catch (const std::exception& e) {
#pragma omp critical
      error = e.what();
    }
  }
  if (!error.empty()) fail(error);
}
template <class... A>
int launch(void (*k)(A...), const unsigned* g, const unsigned* b, size_t smem,
           void** args, const int* sizes, int nargs, int fibers, char* err,
           int errlen) {
  try {
    launch_impl(k, std::index_sequence_for<A...>{}, dim3{g[0], g[1], g[2]},
                dim3{b[0], b[1], b[2]}, smem, args, sizes, nargs, fibers != 0);
    return 0;
  } catch (const std::exception& e) {
    std::snprintf(err, size_t(errlen), "%s", e.what());
    return 1;
  }
}
}  // namespace coh
