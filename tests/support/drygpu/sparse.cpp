// cuSPARSE: products of sparse matrices with vectors and dense matrices.
#include "lapack.hpp"

using namespace dry;

namespace {

constexpr int SUCCESS = 0, FAILED = 6, UNSUPPORTED = 10;

struct Sparse {
  long rows;
  const void *row, *column, *values;  // `row` has where each row begins
  bool wide_row, wide_column;         // whether indices are 64 bits wide
  int type;
};
struct Dense {
  long rows, columns, leading;
  void* values;
  bool by_rows;
};

long index(const void* indices, bool wide, long i) {
  return wide ? static_cast<const int64_t*>(indices)[i]
              : static_cast<const int32_t*>(indices)[i];
}

// Call `use(row, column, place)` for each entry.
template <class Use>
void entries(const Sparse& a, Use use) {
  for (long r = 0; r < a.rows; r++) {
    const long end = index(a.row, a.wide_row, r + 1);
    for (long i = index(a.row, a.wide_row, r); i < end; i++)
      use(r, index(a.column, a.wide_column, i), i);
  }
}

template <class T>
T& at(const Dense& a, bool turned, long i, long j) {
  if (turned) std::swap(i, j);
  return static_cast<T*>(a.values)[a.by_rows ? i * a.leading + j : j * a.leading + i];
}

template <class T>
int multiply(int ta, int tb, const T* alpha, const Sparse& a, const Dense& b,
             const T* beta, const Dense& c) {
  for (long i = 0; i < c.rows; i++)
    for (long j = 0; j < c.columns; j++)
      at<T>(c, false, i, j) = *beta == T(0) ? T(0) : *beta * at<T>(c, false, i, j);
  entries(a, [&](long row, long column, long place) {
    if (ta) std::swap(row, column);
    T value = static_cast<const T*>(a.values)[place];
    if (ta == 2) value = conjugate(value);
    for (long j = 0; j < c.columns; j++) {
      T factor = at<T>(b, tb, column, j);
      if (tb == 2) factor = conjugate(factor);
      at<T>(c, false, row, j) += *alpha * value * factor;
    }
  });
  return SUCCESS;
}

int product(void* handle, const char* name, int ta, int tb, const void* alpha,
            const Sparse& a, const Dense& b, const void* beta, const Dense& c) {
  if (!ready(handle, name, {a.row, a.column, a.values, b.values, c.values},
             {alpha, beta}))
    return FAILED;
  return by_type(a.type, UNSUPPORTED, [&](auto zero) {
    using T = decltype(zero);
    return multiply<T>(ta, tb, static_cast<const T*>(alpha), a, b,
                       static_cast<const T*>(beta), c);
  });
}

}  // namespace

extern "C" {

int cusparseCreate(void** handle) {
  *handle = new Handle{counts.sparse};
  return SUCCESS;
}
int cusparseDestroy(void* handle) {
  delete &handle_of(handle);
  return SUCCESS;
}
int cusparseSetStream(void* handle, intptr_t stream) {
  handle_of(handle).stream = stream;
  return SUCCESS;
}
int cusparseGetVersion(void*, int* version) {
  *version = 12720;
  return SUCCESS;
}

const char* cusparseGetErrorName(int) { return "CUSPARSE_STATUS_OF_THE_FAKE_DEVICE"; }
const char* cusparseGetErrorString(int) { return "(fake device)"; }

// CuPy makes one with each matrix, for functions that are not here.
int cusparseCreateMatDescr(void** description) {
  *description = new int;
  return SUCCESS;
}
int cusparseDestroyMatDescr(void* description) {
  delete static_cast<int*>(description);
  return SUCCESS;
}
int cusparseSetMatType(void*, int) { return SUCCESS; }
int cusparseSetMatIndexBase(void*, int) { return SUCCESS; }

int cusparseCreateCsr(Sparse** a, long rows, long, long, void* row, void* column,
                      void* values, int row_type, int column_type, int, int type) {
  *a = new Sparse{rows, row, column, values, row_type == 3, column_type == 3, type};
  return SUCCESS;
}
int cusparseDestroySpMat(Sparse* a) {
  delete a;
  return SUCCESS;
}
int cusparseCreateDnVec(Dense** x, long size, void* values, int) {
  *x = new Dense{size, 1, size, values, false};
  return SUCCESS;
}
int cusparseCreateDnMat(Dense** a, long rows, long columns, long leading, void* values,
                        int, int order) {
  *a = new Dense{rows, columns, leading, values, order == 2};
  return SUCCESS;
}
int cusparseDestroyDnVec(Dense* x) {
  delete x;
  return SUCCESS;
}
int cusparseDestroyDnMat(Dense* a) { return cusparseDestroyDnVec(a); }

int cusparseSpMV_bufferSize(void*, int, const void*, Sparse*, Dense*, const void*,
                            Dense*, int, int, size_t* size) {
  *size = 512;
  return SUCCESS;
}
int cusparseSpMV(void* handle, int ta, const void* alpha, Sparse* a, Dense* x,
                 const void* beta, Dense* y, int, int, void*) {
  return product(handle, "cusparseSpMV", ta, 0, alpha, *a, *x, beta, *y);
}
int cusparseSpMM_bufferSize(void*, int, int, const void*, Sparse*, Dense*, const void*,
                            Dense*, int, int, size_t* size) {
  *size = 512;
  return SUCCESS;
}
int cusparseSpMM(void* handle, int ta, int tb, const void* alpha, Sparse* a, Dense* b,
                 const void* beta, Dense* c, int, int, void*) {
  return product(handle, "cusparseSpMM", ta, tb, alpha, *a, *b, beta, *c);
}
}
