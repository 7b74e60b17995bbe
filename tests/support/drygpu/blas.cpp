// cuBLAS by the BLAS and LAPACK of SciPy.
#include "lapack.hpp"

using namespace dry;

namespace {

constexpr int SUCCESS = 0, INVALID = 7, FAILED = 13, UNSUPPORTED = 15;

char letter(int operation) { return "NTC"[operation]; }

template <class T>
int gemm(int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int lda,
         const void* b, int ldb, const void* beta, void* c, int ldc) {
  const char first = letter(ta), second = letter(tb);
  if (m && n)
    lapack<T>("gemm")(&first, &second, &m, &n, &k, alpha, a, &lda, b, &ldb, beta, c,
                      &ldc);
  return SUCCESS;
}

template <class T>
T element(int operation, const T* a, int lda, int i, int j) {
  const T value = operation ? a[size_t(i) * lda + j] : a[size_t(j) * lda + i];
  return operation == 2 ? conjugate(value) : value;
}

// The sum of two matrices; it may be where one of them is.
template <class T>
int geam(int ta, int tb, int m, int n, T alpha, const T* a, int lda, T beta, const T* b,
         int ldb, T* c, int ldc) {
  if (!m || !n) return SUCCESS;
  std::vector<T> sum;
  for (int j = 0; j < n; j++)
    for (int i = 0; i < m; i++)
      sum.push_back((alpha == T(0) ? T(0) : alpha * element(ta, a, lda, i, j)) +
                    (beta == T(0) ? T(0) : beta * element(tb, b, ldb, i, j)));
  for (int j = 0; j < n; j++) std::copy_n(&sum[size_t(j) * m], m, c + size_t(j) * ldc);
  return SUCCESS;
}

}  // namespace

extern "C" {

void dry_set_lapack(const char* name, void* function) {
  lapack_functions[name] = function;
}

int cublasCreate_v2(void** handle) {
  *handle = new Handle{counts.blas};
  return SUCCESS;
}
int cublasDestroy_v2(void* handle) {
  delete &handle_of(handle);
  return SUCCESS;
}
int cublasSetStream_v2(void* handle, intptr_t stream) {
  handle_of(handle).stream = stream;
  return SUCCESS;
}
int cublasGetStream_v2(void* handle, intptr_t* stream) {
  *stream = handle_of(handle).stream;
  return SUCCESS;
}
int cublasGetVersion_v2(void*, int* version) {
  *version = 130000;
  return SUCCESS;
}
int cublasSetPointerMode_v2(void* handle, int mode) {
  handle_of(handle).pointer_mode = mode;
  return SUCCESS;
}
int cublasGetPointerMode_v2(void* handle, int* mode) {
  *mode = handle_of(handle).pointer_mode;
  return SUCCESS;
}
int cublasSetMathMode(void* handle, int mode) {
  handle_of(handle).math_mode = mode;
  return SUCCESS;
}
int cublasGetMathMode(void* handle, int* mode) {
  *mode = handle_of(handle).math_mode;
  return SUCCESS;
}

int cublasGemmEx(void* handle, int ta, int tb, int m, int n, int k, const void* alpha,
                 const void* a, int type, int lda, const void* b, int type_b, int ldb,
                 const void* beta, void* c, int type_c, int ldc, int, int) {
  if (type != type_b || type != type_c) return UNSUPPORTED;
  if (!ready(handle, "cublasGemmEx", {a, b, c}, {alpha, beta})) return FAILED;
  return by_type(type, UNSUPPORTED, [&](auto zero) {
    return gemm<decltype(zero)>(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  });
}

int cublasGemmStridedBatchedEx(void* handle, int ta, int tb, int m, int n, int k,
                               const void* alpha, const void* a, int type, int lda,
                               long long step_a, const void* b, int type_b, int ldb,
                               long long step_b, const void* beta, void* c, int type_c,
                               int ldc, long long step_c, int batch, int, int) {
  if (type != type_b || type != type_c) return UNSUPPORTED;
  if (!ready(handle, "cublasGemmStridedBatchedEx", {a, b, c}, {alpha, beta}))
    return FAILED;
  return by_type(type, UNSUPPORTED, [&](auto zero) {
    using T = decltype(zero);
    for (long long i = 0; i < batch; i++)
      gemm<T>(ta, tb, m, n, k, alpha, static_cast<const T*>(a) + i * step_a, lda,
              static_cast<const T*>(b) + i * step_b, ldb, beta,
              static_cast<T*>(c) + i * step_c, ldc);
    return SUCCESS;
  });
}

// For each type the functions that name it by a letter.
#define TYPED(L, T)                                                                    \
  int cublas##L##gemm_v2(void* handle, int ta, int tb, int m, int n, int k,            \
                         const T* alpha, const T* a, int lda, const T* b, int ldb,     \
                         const T* beta, T* c, int ldc) {                               \
    if (!ready(handle, "cublas" #L "gemm", {a, b, c}, {alpha, beta})) return FAILED;   \
    return gemm<T>(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);              \
  }                                                                                    \
  int cublas##L##gemmBatched(void* handle, int ta, int tb, int m, int n, int k,        \
                             const T* alpha, const T* const* a, int lda,               \
                             const T* const* b, int ldb, const T* beta, T* const* c,   \
                             int ldc, int batch) {                                     \
    if (!ready(handle, "cublas" #L "gemmBatched", {a, b, c}, {alpha, beta}) ||         \
        !all_here(batch, a, b, c))                                                     \
      return FAILED;                                                                   \
    for (int i = 0; i < batch; i++)                                                    \
      gemm<T>(ta, tb, m, n, k, alpha, a[i], lda, b[i], ldb, beta, c[i], ldc);          \
    return SUCCESS;                                                                    \
  }                                                                                    \
  int cublas##L##gemmStridedBatched(                                                   \
      void* handle, int ta, int tb, int m, int n, int k, const T* alpha, const T* a,   \
      int lda, long long step_a, const T* b, int ldb, long long step_b, const T* beta, \
      T* c, int ldc, long long step_c, int batch) {                                    \
    if (!ready(handle, "cublas" #L "gemmStridedBatched", {a, b, c},                    \
               {alpha, beta}))                                                         \
      return FAILED;                                                                   \
    for (int i = 0; i < batch; i++)                                                    \
      gemm<T>(ta, tb, m, n, k, alpha, a + i * step_a, lda, b + i * step_b, ldb, beta,  \
              c + i * step_c, ldc);                                                    \
    return SUCCESS;                                                                    \
  }                                                                                    \
  int cublas##L##gemv_v2(void* handle, int ta, int m, int n, const T* alpha,           \
                         const T* a, int lda, const T* x, int incx, const T* beta,     \
                         T* y, int incy) {                                             \
    if (!ready(handle, "cublas" #L "gemv", {a, x, y}, {alpha, beta})) return FAILED;   \
    const char operation = letter(ta);                                                 \
    lapack<T>("gemv")(&operation, &m, &n, alpha, a, &lda, x, &incx, beta, y, &incy);   \
    return SUCCESS;                                                                    \
  }                                                                                    \
  int cublas##L##geam(void* handle, int ta, int tb, int m, int n, const T* alpha,      \
                      const T* a, int lda, const T* beta, const T* b, int ldb, T* c,   \
                      int ldc) {                                                       \
    if (!ready(handle, "cublas" #L "geam", {a, b, c}, {alpha, beta})) return FAILED;   \
    return geam<T>(ta, tb, m, n, *alpha, a, lda, *beta, b, ldb, c, ldc);               \
  }                                                                                    \
  int cublas##L##trsm_v2(void* handle, int side, int uplo, int ta, int diagonal,       \
                         int m, int n, const T* alpha, const T* a, int lda, T* b,      \
                         int ldb) {                                                    \
    if (!ready(handle, "cublas" #L "trsm", {a, b}, {alpha})) return FAILED;            \
    const char sides = "LR"[side], part = "LU"[uplo], operation = letter(ta),          \
               unit = "NU"[diagonal];                                                  \
    lapack<T>("trsm")(&sides, &part, &operation, &unit, &m, &n, alpha, a, &lda, b,     \
                      &ldb);                                                           \
    return SUCCESS;                                                                    \
  }                                                                                    \
  int cublas##L##getrfBatched(void* handle, int n, T* const* a, int lda, int* pivots,  \
                              int* info, int batch) {                                  \
    if (!ready(handle, "cublas" #L "getrfBatched", {a, pivots, info}) ||               \
        !all_here(batch, a))                                                           \
      return FAILED;                                                                   \
    if (!pivots) return UNSUPPORTED;                                                   \
    for (int i = 0; i < batch; i++)                                                    \
      lapack<T>("getrf")(&n, &n, a[i], &lda, pivots + i * n, info + i);                \
    return SUCCESS;                                                                    \
  }                                                                                    \
  int cublas##L##getriBatched(void* handle, int n, const T* const* a, int lda,         \
                              const int* pivots, T* const* c, int ldc, int* info,      \
                              int batch) {                                             \
    if (!ready(handle, "cublas" #L "getriBatched", {a, pivots, c, info}) ||            \
        !all_here(batch, a, c))                                                        \
      return FAILED;                                                                   \
    std::vector<T> work(64 * n + 64);                                                  \
    const int length = int(work.size());                                               \
    for (int i = 0; i < batch; i++) {                                                  \
      for (int j = 0; j < n; j++) std::copy_n(a[i] + j * lda, n, c[i] + j * ldc);      \
      lapack<T>("getri")(&n, c[i], &ldc, pivots + i * n, work.data(), &length,         \
                         info + i);                                                    \
    }                                                                                  \
    return SUCCESS;                                                                    \
  }                                                                                    \
  int cublas##L##getrsBatched(void* handle, int ta, int n, int columns,                \
                              const T* const* a, int lda, const int* pivots,           \
                              T* const* b, int ldb, int* info, int batch) {            \
    if (!ready(handle, "cublas" #L "getrsBatched", {a, pivots, b}) ||                  \
        !all_here(batch, a, b))                                                        \
      return FAILED;                                                                   \
    const char operation = letter(ta);                                                 \
    *info = 0;                                                                         \
    for (int i = 0, ignored; i < batch; i++)                                           \
      lapack<T>("getrs")(&operation, &n, &columns, a[i], &lda, pivots + i * n, b[i],   \
                         &ldb, &ignored);                                              \
    return SUCCESS;                                                                    \
  }
TYPED(S, float)
TYPED(D, double)
TYPED(C, std::complex<float>)
TYPED(Z, std::complex<double>)
}
