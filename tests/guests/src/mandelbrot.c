/* Steps until escape over an n by n grid of the Mandelbrot set, in f64. */
#include <stdint.h>

__attribute__((export_name("run"))) int64_t run(int32_t n) {
    int64_t sum = 0;
    for (int32_t row = 0; row < n; row++)
        for (int32_t column = 0; column < n; column++) {
            double x0 = 3.0 * column / n - 2.0, y0 = 2.0 * row / n - 1.0, x = 0, y = 0;
            int steps = 0;
            while (steps < 200 && x * x + y * y <= 4) {
                double t = x * x - y * y + x0;
                y = 2 * x * y + y0;
                x = t;
                steps++;
            }
            sum = sum * 3 + steps;
        }
    return sum;
}
