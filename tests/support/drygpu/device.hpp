// The fake devices: their memory, streams and counts, on the host.
//
// All of this is used with Python's lock held. CuPy calls cuBLAS and the like without
// it: they take it while they count and work off what is before them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace dry {

constexpr int DEVICES = 2;
constexpr size_t MEMORY = size_t(8) << 30;  // bytes of each device
constexpr size_t SHARED = 48 << 10;         // bytes of shared memory of a block

// codes of CUDA's errors that the fake devices know
enum Status {
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  INVALID_HANDLE = 400,
  ILLEGAL_STATE = 401,
  NOT_FOUND = 500,
  NOT_READY = 600,
  ILLEGAL_ADDRESS = 700,
  CAPTURE_UNSUPPORTED = 900,
  CAPTURE_INVALIDATED = 901,
  CAPTURE_IMPLICIT = 906,
};

// What is counted since the start; `counts()` in Python takes differences.
struct Counts {
  long launches = 0;         // kernels launched one by one
  long captured = 0;         // kernels recorded in graphs
  long graph_launches = 0;   // graphs launched
  long graph_nodes = 0;      // kernels, copies and fills that those ran
  long blas = 0;             // calls of cuBLAS
  long fft = 0;              // calls of cuFFT
  long solver = 0;           // calls of cuSOLVER
  long sparse = 0;           // products of cuSPARSE
  long waits = 0;            // the host waited for a device
  long to_host = 0;          // copies from a device to the host
  long to_device = 0;        // copies from the host to a device
  long copies = 0;           // copies within a device, and fills
  long allocations = 0;      // cudaMalloc
  long frees = 0;            // cudaFree
  long bytes = 0;            // of the memory that is allocated now
};
inline Counts counts;
inline std::map<std::string, long> names;  // calls by the name of kernel or function

// ------------------------------------------------------------------- memory
struct Allocation {
  size_t size;
  int device;
};
inline std::map<uintptr_t, Allocation> allocations;
// The allocation that holds an address, or null: memory of the host, or a number.
const Allocation* find(uintptr_t address);
// Whether all that a library is given is memory of the current device, or null.
using Operands = std::initializer_list<const void*>;
bool here(Operands operands);

// ------------------------------------------------------------------ streams
// Work is done as late as CUDA may do it: when somebody waits for it. So a stream that
// uses what another has not been made to wait for finds the memory as it was.
using Work = std::function<std::string()>;  // gives an error, or nothing

struct Recording {
  std::vector<Work> nodes;
  bool valid = true;
};

struct Stream {
  int device;
  bool blocking;                   // its work and the default stream's are in order
  Recording* recording = nullptr;  // what it captures, if it does
  std::vector<Work> waiting;       // what it has still to do
  size_t taken = 0;                // how much it has taken up to do before
  size_t end() const { return taken + waiting.size(); }
};

inline int current = 0;  // device
Stream& stream_of(intptr_t handle);
bool capturing(intptr_t handle);
// Have work done, or record it if the stream captures.
bool perform(intptr_t handle, const Work& work);
// Do all that is waiting; errors are kept for `raise_errors`.
void finish(Stream& stream);
void finish_all();
bool raise_errors();

// ------------------------------------------------------------------- errors
// Each sets an error of Python's; they return false for what returns that on errors.
bool runtime_error(Status status);                    // CUDARuntimeError
bool driver_error(Status status);                     // CUDADriverError
bool fault(const std::string& message);               // RuntimeError

}  // namespace dry

// ------------------------------------------------- the little of Python's C interface
// that is needed, so that its headers are not
struct _object;
using Object = _object;
extern "C" {
extern char _Py_NoneStruct[];
void Py_IncRef(Object*);
void Py_DecRef(Object*);
Object* Py_BuildValue(const char*, ...);
Object* PyObject_CallFunction(Object*, const char*, ...);
void PyErr_SetObject(Object*, Object*);
void PyErr_SetString(Object*, const char*);
extern Object* PyExc_RuntimeError;
Object* PyErr_Occurred(void);
const char* PyUnicode_AsUTF8(Object*);
char* PyBytes_AsString(Object*);
}
namespace dry {
extern Object* attributes_class;  // CuPy's PointerAttributes
}
inline Object* none() {
  auto it = reinterpret_cast<Object*>(_Py_NoneStruct);
  Py_IncRef(it);
  return it;
}
extern "C" {
int PyGILState_Ensure(void);
void PyGILState_Release(int);
}
struct PythonLock {
  int state = PyGILState_Ensure();
  ~PythonLock() { PyGILState_Release(state); }
};
inline Object* done(bool good) { return good ? none() : nullptr; }
