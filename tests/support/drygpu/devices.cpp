// The devices themselves, errors, and what Python reads and sets.
#include "device.hpp"

namespace dry {

static Object *runtime_class, *driver_class;
Object* attributes_class;

static bool raise(Object* type, int status) {
  Object* error = PyObject_CallFunction(type, "i", status);
  if (error) {
    PyErr_SetObject(type, error);
    Py_DecRef(error);
  }
  return false;
}
bool runtime_error(Status status) { return raise(runtime_class, status); }
bool driver_error(Status status) { return raise(driver_class, status); }
bool fault(const std::string& message) {
  PyErr_SetString(PyExc_RuntimeError, message.c_str());
  return false;
}

// The attributes of an H100 that CuPy and the package read; 1 for the others.
static const std::map<int, int> ATTRIBUTES = {
    {1, 1024},       // threads of a block
    {2, 1024},       // its extents
    {3, 1024},       {4, 64},
    {5, 2147483647}, // extents of a grid
    {6, 65535},      {7, 65535},
    {8, 49152},      // shared memory of a block
    {10, 32},        // threads of a warp
    {12, 65536},     // registers of a block
    {16, 132},       // multiprocessors
    {38, 52428800},  // bytes of the L2 cache
    {39, 2048},      // threads of a multiprocessor
    {75, 9},         // compute capability
    {76, 0},         {81, 233472},
    {82, 65536},     {97, 232448},
};

}  // namespace dry

using namespace dry;

extern "C" {

void dry_start(Object* runtime, Object* driver, Object* attributes) {
  runtime_class = runtime;
  driver_class = driver;
  attributes_class = attributes;
}

// ------------------------------------------------------------------ devices
Object* cuda__ensure_context(void) { return none(); }
int cuda_getDevice(int) { return current; }
int cuda_getDeviceCount(int) { return DEVICES; }
Object* cuda_setDevice(int device, int) {
  if (device < 0 || device >= DEVICES)
    return done(runtime_error(Status(101)));  // cudaErrorInvalidDevice
  current = device;
  return none();
}
int cuda_driverGetVersion(int) { return 13000; }
int cuda_deviceGetAttribute(int attribute, int, int) {
  auto found = ATTRIBUTES.find(attribute);
  return found == ATTRIBUTES.end() ? 1 : found->second;
}
int cuda_deviceCanAccessPeer(int, int, int) { return 0; }
Object* cuda__deviceEnsurePeerAccess(int, int) { return none(); }
Object* cuda_deviceGetPCIBusId(int device, int) {
  return Py_BuildValue("s", device ? "0000:01:00.0" : "0000:00:00.0");
}
Object* cuda_getDeviceProperties(int device, int) {
  return Py_BuildValue(
      "{s:y,s:i,s:n,s:i,s:i,s:i,s:i,s:i,s:n,s:i}", "name", "NVIDIA Fake H100",
      "multiProcessorCount", 132, "totalGlobalMem", ssize_t(MEMORY), "l2CacheSize",
      52428800, "major", 9, "minor", 0, "warpSize", 32, "maxThreadsPerBlock", 1024,
      "sharedMemPerBlock", ssize_t(SHARED), "pciBusID", device);
}
intptr_t cuda_ctxGetCurrent(int) { return 1 + current; }
int cuda_ctxGetDevice(int) { return current; }

// ------------------------------------------------------------------- counts
const long* dry_counts() { return reinterpret_cast<const long*>(&counts); }
void dry_names(void (*tell)(const char*, long)) {
  for (auto& [name, count] : names) tell(name.c_str(), count);
}
}
