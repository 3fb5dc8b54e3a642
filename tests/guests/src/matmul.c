/* n products of 32x32 matrices of f64; returns the bits of the trace. */
#include <stdint.h>
#include <string.h>

#define N 32
static double a[N][N], b[N][N], c[N][N];

__attribute__((export_name("run"))) int64_t run(int32_t n) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (i * N + j) / 1024.0;
            b[i][j] = i == j ? 0.5 : 1.0 / (1 + i + j);
        }
    for (int32_t round = 0; round < n; round++) {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double sum = 0;
                for (int k = 0; k < N; k++) sum += a[i][k] * b[k][j];
                c[i][j] = sum;
            }
        /* Scaled, so that it neither vanishes nor overflows. */
        double most = 0;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) most = c[i][j] > most ? c[i][j] : most;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) a[i][j] = c[i][j] / most;
    }
    double trace = 0;
    for (int i = 0; i < N; i++) trace += a[i][i];
    int64_t bits;
    memcpy(&bits, &trace, sizeof bits);
    return bits;
}
