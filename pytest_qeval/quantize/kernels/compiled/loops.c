/* What torch does in many passes over memory, done in one: each function has the bits of the operations it replaces.

   Matrices are contiguous, row after row. bfloat16 is passed as uint16_t. Compile with -ffp-contract=off: a fused
   multiply-add would round once where torch rounds twice. */

#include "numbers.h"

#define FEW 16384 /* elements up to which waking threads takes longer than the work */
#define BLOCK 512 /* columns */
#define LANES 16  /* of the widest vectors that torch adds up */

EXPORT void quantize(const bf16 *x, long rows, long columns, float steps, float smallest, uint8_t *out, float *scales) {
#pragma omp parallel for schedule(static) if (rows * columns > FEW)
    for (long i = 0; i < rows; i++) {
        scales[i] = scale_of_row(x + i * columns, columns, steps, smallest);
        round_row(x + i * columns, columns, scales[i], out + i * columns);
    }
}

/* (sums · scale) + bias, in bfloat16, of one row; `bias` may be none. */
INLINE void finish_row(const float *sums, float scale, const float *bias, long columns, bf16 *out) {
    if (bias)
        for (long j = 0; j < columns; j++) out[j] = narrow(sums[j] * scale + bias[j]);
    else
        for (long j = 0; j < columns; j++) out[j] = narrow(sums[j] * scale);
}

/* (sums · scale of the row) + bias, in bfloat16; columns from starts[p] to starts[p + 1] go to outs[p], whose rows are
   strides[p] apart. */
EXPORT void finish(const float *sums, const float *scales, const float *bias, long rows, long parts,
                   const long *starts, bf16 *const *outs, const long *strides) {
    long columns = starts[parts];
#pragma omp parallel for schedule(static) if (rows * columns > FEW)
    for (long i = 0; i < rows; i++) {
        const float *row = sums + i * columns;
        float scale = scales[i];
        for (long p = 0; p < parts; p++) {
            long first = starts[p], width = starts[p + 1] - first;
            finish_row(row + first, scale, bias ? bias + first : 0, width, outs[p] + i * strides[p]);
        }
    }
}

EXPORT void gate(const bf16 *gates, const bf16 *ups, long count, const int32_t *activated, bf16 *out) {
#pragma omp parallel for schedule(static) if (count > FEW)
    for (long j = 0; j < count; j++) out[j] = gate_one(gates[j], ups[j], activated);
}

/* `finish` and `gate` of sums whose first `columns` are gates and whose others are ups; rows of `out` are `stride`
   apart. */
EXPORT void finish_and_gate(const float *sums, const float *scales, const float *bias, long rows, long columns,
                            const int32_t *activated, bf16 *out, long stride) {
#pragma omp parallel for schedule(static) if (rows * columns > FEW)
    for (long i = 0; i < rows; i++)
        for (long start = 0; start < columns; start += BLOCK) {
            const float *gate_sums = sums + 2 * i * columns + start, *up_sums = gate_sums + columns;
            const float *gate_bias = bias ? bias + start : 0, *up_bias = bias ? gate_bias + columns : 0;
            long width = columns - start < BLOCK ? columns - start : BLOCK;
            bf16 gates[BLOCK], ups[BLOCK]; /* loops that only round, or only look up, become vectors */
            finish_row(gate_sums, scales[i], gate_bias, width, gates);
            finish_row(up_sums, scales[i], up_bias, width, ups);
            for (long j = 0; j < width; j++) out[i * stride + start + j] = gate_one(gates[j], ups[j], activated);
        }
}

/* The sum of squares as torch adds up a contiguous row: vectors of `lanes`, four of them side by side, and sums of 16
   added up in levels (ATen/native/cpu/SumKernel.cpp). */
INLINE float sum_squares(const bf16 *row, long columns, const int lanes) {
    float levels[4][4][LANES];
    memset(levels, 0, sizeof levels);
    long vectors = columns / lanes, groups = vectors / 4;
    for (long group = 0; group < groups;) {
        for (int k = 0; k < 4; k++)
            for (int lane = 0; lane < lanes; lane++) {
                float x = widen(row[(group * 4 + k) * lanes + lane]);
                levels[0][k][lane] += x * x;
            }
        group++;
        if (group % 16) continue;
        for (int level = 1; level < 4; level++) {
            for (int k = 0; k < 4; k++)
                for (int lane = 0; lane < lanes; lane++) {
                    levels[level][k][lane] += levels[level - 1][k][lane];
                    levels[level - 1][k][lane] = 0;
                }
            if (group & (15L << 4 * level)) break;
        }
    }
    float (*sums)[LANES] = levels[0];
    for (int level = 1; level < 4; level++)
        for (int k = 0; k < 4; k++)
            for (int lane = 0; lane < lanes; lane++) sums[k][lane] += levels[level][k][lane];
    for (long vector = groups * 4; vector < vectors; vector++)
        for (int lane = 0; lane < lanes; lane++) {
            float x = widen(row[vector * lanes + lane]);
            sums[0][lane] += x * x;
        }
    for (int k = 1; k < 4; k++)
        for (int lane = 0; lane < lanes; lane++) sums[0][lane] += sums[k][lane];
    float total = 0;
    for (long j = vectors * lanes; j < columns; j++) total += widen(row[j]) * widen(row[j]);
    for (int lane = 0; lane < lanes; lane++) total += sums[0][lane];
    return total;
}

EXPORT void squares(const bf16 *x, long rows, long columns, int lanes, float *sums) {
    for (long i = 0; i < rows; i++)
        sums[i] = lanes == 16 ? sum_squares(x + i * columns, columns, 16) : sum_squares(x + i * columns, columns, 8);
}

/* weight · (row / √(mean square + epsilon)), rounded before and after the product with the weight. */
EXPORT void rms_norm(const bf16 *x, const bf16 *weight, float epsilon, long rows, long columns, int lanes, bf16 *out) {
#pragma omp parallel for schedule(static) if (rows * columns > FEW)
    for (long i = 0; i < rows; i++) {
        const bf16 *row = x + i * columns;
        float squares = lanes == 16 ? sum_squares(row, columns, 16) : sum_squares(row, columns, 8);
        float factor = 1.0f / __builtin_sqrtf(squares / columns + epsilon);
        for (long j = 0; j < columns; j++)
            out[i * columns + j] = narrow(widen(weight[j]) * widen(narrow(widen(row[j]) * factor)));
    }
}
