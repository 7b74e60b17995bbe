// cuSOLVER by SciPy's LAPACK: as there, a failure is told by `info` only.
#include "lapack.hpp"

using namespace dry;

namespace {

constexpr int SUCCESS = 0, FAILED = 6, UNSUPPORTED = 9;
constexpr int LENGTH = 1024;  // of the work space that CuPy allocates and nobody uses

// Work space of a function of LAPACK: a call with a length of -1 asks for it.
template <class T, class Call>
void with_work(Call call) {
  T wanted[2] = {};
  const int ask = -1;
  call(wanted, &ask);
  std::vector<T> work(size_t(std::real(wanted[0])) + 1);
  const int length = int(work.size());
  call(work.data(), &length);
}

template <class T>
void geqrf(int m, int n, T* a, int lda, T* tau, int* info) {
  with_work<T>([&](T* work, const int* length) {
    lapack<T>("geqrf")(&m, &n, a, &lda, tau, work, length, info);
  });
}

template <class T>
void orgqr(int m, int n, int k, T* a, int lda, const T* tau, int* info) {
  with_work<T>([&](T* work, const int* length) {
    lapack<T>(is_complex<T> ? "ungqr" : "orgqr")(&m, &n, &k, a, &lda, tau, work, length,
                                                 info);
  });
}

template <class T>
void ormqr(int side, int ta, int m, int n, int k, const T* a, int lda, const T* tau,
           T* c, int ldc, int* info) {
  const char sides = "LR"[side], operation = "NTC"[ta];
  with_work<T>([&](T* work, const int* length) {
    const Fortran function = lapack<T>(is_complex<T> ? "unmqr" : "ormqr");
    function(&sides, &operation, &m, &n, &k, a, &lda, tau, c, &ldc, work, length, info);
  });
}

template <class T>
void gesvd(char ju, char jv, int m, int n, T* a, int lda, typename Real<T>::type* s,
           T* u, int ldu, T* v, int ldv, int* info) {
  std::vector<typename Real<T>::type> real(5 * std::min(m, n) + 1);
  with_work<T>([&](T* work, const int* length) {
    if constexpr (is_complex<T>)
      lapack<T>("gesvd")(&ju, &jv, &m, &n, a, &lda, s, u, &ldu, v, &ldv, work, length,
                         real.data(), info);
    else
      lapack<T>("gesvd")(&ju, &jv, &m, &n, a, &lda, s, u, &ldu, v, &ldv, work, length,
                         info);
  });
}

// `v` is not the adjoint of the right singular vectors but these themselves.
template <class T>
void gesvdj(int vectors, int m, int n, T* a, int lda, typename Real<T>::type* s, T* u,
            int ldu, T* v, int ldv, int* info) {
  std::vector<T> adjoint(size_t(n) * n + 1);
  const char job = vectors ? 'A' : 'N';
  gesvd<T>(job, job, m, n, a, lda, s, u, ldu, adjoint.data(), n, info);
  if (!vectors) return;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      v[size_t(j) * ldv + i] = conjugate(adjoint[size_t(i) * n + j]);
}

template <class T>
void syev(int vectors, int uplo, int n, T* a, int lda, typename Real<T>::type* w,
          int* info) {
  const char job = "NV"[vectors], part = "LU"[uplo];
  std::vector<typename Real<T>::type> real(3 * n + 1);
  with_work<T>([&](T* work, const int* length) {
    if constexpr (is_complex<T>)
      lapack<T>("heev")(&job, &part, &n, a, &lda, w, work, length, real.data(), info);
    else
      lapack<T>("syev")(&job, &part, &n, a, &lda, w, work, length, info);
  });
}

}  // namespace

extern "C" {

int cusolverDnCreate(void** handle) {
  *handle = new Handle{counts.solver};
  return SUCCESS;
}
int cusolverDnDestroy(void* handle) {
  delete &handle_of(handle);
  return SUCCESS;
}
int cusolverDnSetStream(void* handle, intptr_t stream) {
  handle_of(handle).stream = stream;
  return SUCCESS;
}
int cusolverDnGetStream(void* handle, intptr_t* stream) {
  *stream = handle_of(handle).stream;
  return SUCCESS;
}
int cusolverGetProperty(int part, int* value) {
  *value = part ? 0 : 12;
  return SUCCESS;
}
int cusolverDnCreateParams(void** params) {
  *params = new int;
  return SUCCESS;
}
int cusolverDnDestroyParams(void* params) {
  delete static_cast<int*>(params);
  return SUCCESS;
}
int cusolverDnCreateGesvdjInfo(void** info) { return cusolverDnCreateParams(info); }
int cusolverDnDestroyGesvdjInfo(void* info) { return cusolverDnDestroyParams(info); }
int cusolverDnCreateSyevjInfo(void** info) { return cusolverDnCreateParams(info); }
int cusolverDnDestroySyevjInfo(void* info) { return cusolverDnDestroyParams(info); }

int cusolverDnXsyevd_bufferSize(void*, void*, int, int, long, int, const void*, long,
                                int, const void*, int, size_t* device, size_t* host) {
  *device = *host = LENGTH;
  return SUCCESS;
}
int cusolverDnXsyevd(void* handle, void*, int vectors, int uplo, long n, int type,
                     void* a, long lda, int, void* w, int, void*, size_t, void*, size_t,
                     int* info) {
  if (!ready(handle, "cusolverDnXsyevd", {a, w, info})) return FAILED;
  return by_type(type, UNSUPPORTED, [&](auto zero) {
    using T = decltype(zero);
    syev<T>(vectors, uplo, int(n), static_cast<T*>(a), int(lda),
            static_cast<typename Real<T>::type*>(w), info);
    return SUCCESS;
  });
}

// For each type the functions that name it by a letter; R is its real type.
#define LENGTH_OF(NAME, ...)                    \
  int NAME##_bufferSize(void*, __VA_ARGS__) {   \
    *length = LENGTH;                           \
    return SUCCESS;                             \
  }
#define TYPED(L, T, R, OR, SY)                                                         \
  LENGTH_OF(cusolverDn##L##getrf, int, int, T*, int, int* length)                      \
  int cusolverDn##L##getrf(void* handle, int m, int n, T* a, int lda, T*, int* pivots, \
                           int* info) {                                                \
    if (!ready(handle, "cusolverDn" #L "getrf", {a, pivots, info})) return FAILED;     \
    lapack<T>("getrf")(&m, &n, a, &lda, pivots, info);                                 \
    return SUCCESS;                                                                    \
  }                                                                                    \
  int cusolverDn##L##getrs(void* handle, int ta, int n, int columns, const T* a,       \
                           int lda, const int* pivots, T* b, int ldb, int* info) {     \
    if (!ready(handle, "cusolverDn" #L "getrs", {a, pivots, b, info})) return FAILED;  \
    const char operation = "NTC"[ta];                                                  \
    lapack<T>("getrs")(&operation, &n, &columns, a, &lda, pivots, b, &ldb, info);      \
    return SUCCESS;                                                                    \
  }                                                                                    \
  LENGTH_OF(cusolverDn##L##geqrf, int, int, T*, int, int* length)                      \
  int cusolverDn##L##geqrf(void* handle, int m, int n, T* a, int lda, T* tau, T*, int, \
                           int* info) {                                                \
    if (!ready(handle, "cusolverDn" #L "geqrf", {a, tau, info})) return FAILED;        \
    geqrf<T>(m, n, a, lda, tau, info);                                                 \
    return SUCCESS;                                                                    \
  }                                                                                    \
  LENGTH_OF(cusolverDn##L##OR##gqr, int, int, int, const T*, int, const T*,            \
            int* length)                                                               \
  int cusolverDn##L##OR##gqr(void* handle, int m, int n, int k, T* a, int lda,         \
                             const T* tau, T*, int, int* info) {                       \
    if (!ready(handle, "cusolverDn" #L #OR "gqr", {a, tau, info})) return FAILED;      \
    orgqr<T>(m, n, k, a, lda, tau, info);                                              \
    return SUCCESS;                                                                    \
  }                                                                                    \
  LENGTH_OF(cusolverDn##L##OR##mqr, int, int, int, int, int, const T*, int, const T*,  \
            const T*, int, int* length)                                                \
  int cusolverDn##L##OR##mqr(void* handle, int side, int ta, int m, int n, int k,      \
                             const T* a, int lda, const T* tau, T* c, int ldc, T*,     \
                             int, int* info) {                                         \
    if (!ready(handle, "cusolverDn" #L #OR "mqr", {a, tau, c, info})) return FAILED;   \
    ormqr<T>(side, ta, m, n, k, a, lda, tau, c, ldc, info);                            \
    return SUCCESS;                                                                    \
  }                                                                                    \
  LENGTH_OF(cusolverDn##L##potrf, int, int, T*, int, int* length)                      \
  int cusolverDn##L##potrf(void* handle, int uplo, int n, T* a, int lda, T*, int,      \
                           int* info) {                                                \
    if (!ready(handle, "cusolverDn" #L "potrf", {a, info})) return FAILED;             \
    const char part = "LU"[uplo];                                                      \
    lapack<T>("potrf")(&part, &n, a, &lda, info);                                      \
    return SUCCESS;                                                                    \
  }                                                                                    \
  int cusolverDn##L##potrfBatched(void* handle, int uplo, int n, T** a, int lda,       \
                                  int* info, int batch) {                              \
    if (!ready(handle, "cusolverDn" #L "potrfBatched", {a, info}) ||                   \
        !all_here(batch, a))                                                           \
      return FAILED;                                                                   \
    const char part = "LU"[uplo];                                                      \
    for (int i = 0; i < batch; i++)                                                    \
      lapack<T>("potrf")(&part, &n, a[i], &lda, info + i);                             \
    return SUCCESS;                                                                    \
  }                                                                                    \
  LENGTH_OF(cusolverDn##L##gesvd, int, int, int* length)                               \
  int cusolverDn##L##gesvd(void* handle, signed char ju, signed char jv, int m, int n, \
                           T* a, int lda, R* s, T* u, int ldu, T* v, int ldv, T*, int, \
                           R*, int* info) {                                            \
    if (!ready(handle, "cusolverDn" #L "gesvd", {a, s, u, v, info})) return FAILED;    \
    gesvd<T>(char(ju), char(jv), m, n, a, lda, s, u, ldu, v, ldv, info);               \
    return SUCCESS;                                                                    \
  }                                                                                    \
  LENGTH_OF(cusolverDn##L##gesvdjBatched, int, int, int, const T*, int, const R*,      \
            const T*, int, const T*, int, int* length, void*, int)                     \
  int cusolverDn##L##gesvdjBatched(void* handle, int vectors, int m, int n, T* a,      \
                                   int lda, R* s, T* u, int ldu, T* v, int ldv, T*,    \
                                   int, int* info, void*, int batch) {                 \
    if (!ready(handle, "cusolverDn" #L "gesvdjBatched", {a, s, u, v, info}))           \
      return FAILED;                                                                   \
    for (long i = 0; i < batch; i++)                                                   \
      gesvdj<T>(vectors, m, n, a + i * lda * n, lda, s + i * std::min(m, n),           \
                u + i * ldu * m, ldu, v + i * ldv * n, ldv, info + i);                 \
    return SUCCESS;                                                                    \
  }                                                                                    \
  LENGTH_OF(cusolverDn##L##SY##evjBatched, int, int, int, const T*, int, const R*,     \
            int* length, void*, int)                                                   \
  int cusolverDn##L##SY##evjBatched(void* handle, int vectors, int uplo, int n, T* a,  \
                                    int lda, R* w, T*, int, int* info, void*,          \
                                    int batch) {                                       \
    if (!ready(handle, "cusolverDn" #L #SY "evjBatched", {a, w, info})) return FAILED; \
    for (long i = 0; i < batch; i++)                                                   \
      syev<T>(vectors, uplo, n, a + i * lda * n, lda, w + i * n, info + i);            \
    return SUCCESS;                                                                    \
  }
TYPED(S, float, float, or, sy)
TYPED(D, double, double, or, sy)
TYPED(C, std::complex<float>, float, un, he)
TYPED(Z, std::complex<double>, double, un, he)
}
