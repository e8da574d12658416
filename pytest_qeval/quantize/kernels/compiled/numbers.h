/* What the compiled functions share. */

#ifndef NUMBERS_H
#define NUMBERS_H

#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

typedef uint16_t bf16;

INLINE float widen(bf16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float wide;
    memcpy(&wide, &bits, 4);
    return wide;
}

/* Round to the nearest, ties to even. */
INLINE bf16 narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return x != x ? 0x7fc0 : (bf16)rounded;
}

/* The scale by which a row is rounded to -steps … steps. */
INLINE float scale_of_row(const bf16 *row, long columns, float steps, float smallest) {
    bf16 top = 0; /* magnitudes are in the order of their bits */
    for (long j = 0; j < columns; j++) {
        bf16 magnitude = row[j] & 0x7fff;
        top = magnitude > top ? magnitude : top;
    }
    float scale = widen(top) / steps;
    return scale < smallest ? smallest : scale;
}

/* Round numbers to integers, shifted to be unsigned. */
INLINE void round_row(const bf16 *row, long columns, float scale, uint8_t *out) {
    for (long j = 0; j < columns; j++) out[j] = (uint8_t)((int32_t)__builtin_rintf(widen(row[j]) / scale) + 128);
}

/* activation(gate) · up; `activated` has the activation of every bfloat16. */
INLINE bf16 gate_one(bf16 gate, bf16 up, const int32_t *activated) {
    return narrow(widen((bf16)activated[gate]) * widen(up));
}

#endif
