// cuFFT by SciPy's transforms, which Python sets.
#include <memory>

#include "device.hpp"

using namespace dry;

namespace {

constexpr int INVALID_PLAN = 1, FAILED = 6;

// What Python needs to know of a plan, as long integers.
struct Plan {
  long rank = 1, type = 0, batch = 1;
  long in_stride = 1, in_distance = 0, out_stride = 1, out_distance = 0;
  long sizes[3] = {1, 1, 1}, in_sizes[3] = {}, out_sizes[3] = {};  // of 0: contiguous
};
struct Held {
  Plan plan;
  intptr_t stream = 0;
};
std::map<int, Held> plans;  // used with Python's lock held
int last = 0;
Held* plan_of(int handle) {
  auto found = plans.find(handle);
  return found == plans.end() ? nullptr : &found->second;
}
int (*transform)(const long* plan, const void* in, void* out, int direction) = nullptr;

int execute(int handle, void* in, void* out, int direction) {
  PythonLock lock;
  const Held* held = plan_of(handle);
  if (!held) return INVALID_PLAN;
  if (!here({in, out})) return FAILED;
  const Stream& stream = stream_of(held->stream);
  if (!stream.recording) counts.fft++, names["cufftExec"]++;
  auto plan = std::make_shared<Plan>(held->plan);
  const bool good = perform(held->stream, [=]() -> std::string {
    auto numbers = reinterpret_cast<const long*>(plan.get());
    return transform(numbers, in, out, direction) ? "cuFFT failed" : "";
  });
  return good ? 0 : FAILED;
}

}  // namespace

extern "C" {

void dry_set_transform(decltype(transform) function) { transform = function; }

int cufftGetVersion(int* version) {
  *version = 12000;
  return 0;
}
int cufftCreate(int* handle) {
  PythonLock lock;
  plans[*handle = ++last];
  return 0;
}
int cufftDestroy(int handle) {
  PythonLock lock;
  return plans.erase(handle) ? 0 : INVALID_PLAN;
}
int cufftSetStream(int handle, intptr_t stream) {
  PythonLock lock;
  Held* held = plan_of(handle);
  if (held) held->stream = stream;
  return held ? 0 : INVALID_PLAN;
}
int cufftSetAutoAllocation(int, int) { return 0; }
int cufftSetWorkArea(int, void*) { return 0; }

int cufftMakePlanMany(int handle, int rank, int* n, int* in_sizes, int in_stride,
                      int in_distance, int* out_sizes, int out_stride,
                      int out_distance, int type, int batch, size_t* work) {
  Plan plan;
  plan.rank = rank, plan.type = type, plan.batch = batch;
  plan.in_stride = in_stride, plan.in_distance = in_distance;
  plan.out_stride = out_stride, plan.out_distance = out_distance;
  for (int i = 0; i < rank; i++) {
    plan.sizes[i] = n[i];
    plan.in_sizes[i] = in_sizes ? in_sizes[i] : 0;
    plan.out_sizes[i] = out_sizes ? out_sizes[i] : 0;
  }
  PythonLock lock;
  Held* held = plan_of(handle);
  if (held) held->plan = plan;
  *work = 512;
  return held ? 0 : INVALID_PLAN;
}
int cufftMakePlan1d(int handle, int n, int type, int batch, size_t* work) {
  return cufftMakePlanMany(handle, 1, &n, nullptr, 1, 0, nullptr, 1, 0, type, batch,
                           work);
}

int cufftExecC2C(int h, void* in, void* out, int d) { return execute(h, in, out, d); }
int cufftExecZ2Z(int h, void* in, void* out, int d) { return execute(h, in, out, d); }
int cufftExecR2C(int h, void* in, void* out) { return execute(h, in, out, -1); }
int cufftExecD2Z(int h, void* in, void* out) { return execute(h, in, out, -1); }
int cufftExecC2R(int h, void* in, void* out) { return execute(h, in, out, 1); }
int cufftExecZ2D(int h, void* in, void* out) { return execute(h, in, out, 1); }
}
