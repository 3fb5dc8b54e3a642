/* Quicksort, heap sort and merge sort of n thousand numbers; all three must agree. Returns a sum, or -1 if they differ. */
#include <stdint.h>
#include <string.h>

#define COUNT 1000
static int32_t quick[COUNT], heap[COUNT], merge[COUNT], spare[COUNT];

static void swap(int32_t *a, int32_t *b) {
    int32_t t = *a;
    *a = *b;
    *b = t;
}

static void quicksort(int32_t *a, int low, int high) {
    while (low < high) {
        int32_t pivot = a[low + (high - low) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot) i++;
            while (a[j] > pivot) j--;
            if (i <= j) swap(&a[i++], &a[j--]);
        }
        if (j - low < high - i) {
            quicksort(a, low, j);
            low = i;
        } else {
            quicksort(a, i, high);
            high = j;
        }
    }
}

static void sift(int32_t *a, int root, int count) {
    for (int child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && a[child] < a[child + 1]) child++;
        if (a[root] >= a[child]) return;
        swap(&a[root], &a[child]);
    }
}

static void heapsort(int32_t *a, int count) {
    for (int i = count / 2; i-- > 0;) sift(a, i, count);
    for (int i = count; i-- > 1;) {
        swap(&a[0], &a[i]);
        sift(a, 0, i);
    }
}

static void mergesort(int32_t *a, int count) {
    if (count < 2) return;
    int half = count / 2;
    mergesort(a, half);
    mergesort(a + half, count - half);
    memcpy(spare, a, (size_t)half * sizeof *a);
    for (int i = 0, j = half, k = 0; i < half; k++) a[k] = j < count && a[j] < spare[i] ? a[j++] : spare[i++];
}

__attribute__((export_name("run"))) int32_t run(int32_t n) {
    uint32_t seed = 12345;
    int32_t sum = 0;
    for (int32_t round = 0; round < n; round++) {
        for (int i = 0; i < COUNT; i++) {
            seed = seed * 1103515245u + 12345u;
            quick[i] = heap[i] = merge[i] = (int32_t)(seed >> 8);
        }
        quicksort(quick, 0, COUNT - 1);
        heapsort(heap, COUNT);
        mergesort(merge, COUNT);
        for (int i = 0; i < COUNT; i++) {
            if (quick[i] != heap[i] || quick[i] != merge[i] || (i && quick[i - 1] > quick[i])) return -1;
            sum = sum * 31 + quick[i];
        }
    }
    return sum;
}
