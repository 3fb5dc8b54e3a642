/* n steps of five bodies that attract each other, in f64; returns the bits of the energy. */
#include <stdint.h>
#include <string.h>

struct body {
    double x[3], v[3], mass;
};

static struct body bodies[5];

static double energy(void) {
    double e = 0;
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 3; k++) e += 0.5 * bodies[i].mass * bodies[i].v[k] * bodies[i].v[k];
        for (int j = i + 1; j < 5; j++) {
            double r2 = 0;
            for (int k = 0; k < 3; k++) {
                double d = bodies[i].x[k] - bodies[j].x[k];
                r2 += d * d;
            }
            e -= bodies[i].mass * bodies[j].mass / __builtin_sqrt(r2);
        }
    }
    return e;
}

__attribute__((export_name("run"))) int64_t run(int32_t n) {
    for (int i = 0; i < 5; i++) {
        bodies[i].mass = i ? 0.01 * i : 40;
        for (int k = 0; k < 3; k++) {
            bodies[i].x[k] = i ? (i * 5 + k) * (k % 2 ? -1 : 1) : 0;
            bodies[i].v[k] = i ? 0.1 * ((i + k) % 3 - 1) : 0;
        }
    }
    for (int32_t step = 0; step < n; step++) {
        for (int i = 0; i < 5; i++)
            for (int j = i + 1; j < 5; j++) {
                double d[3], r2 = 0;
                for (int k = 0; k < 3; k++) {
                    d[k] = bodies[i].x[k] - bodies[j].x[k];
                    r2 += d[k] * d[k];
                }
                double pull = 0.001 / (r2 * __builtin_sqrt(r2));
                for (int k = 0; k < 3; k++) {
                    bodies[i].v[k] -= d[k] * bodies[j].mass * pull;
                    bodies[j].v[k] += d[k] * bodies[i].mass * pull;
                }
            }
        for (int i = 0; i < 5; i++)
            for (int k = 0; k < 3; k++) bodies[i].x[k] += 0.001 * bodies[i].v[k];
    }
    double e = energy();
    int64_t bits;
    memcpy(&bits, &e, sizeof bits);
    return bits;
}
