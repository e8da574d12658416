/* Attention of a decoding step: each row attends to its own keys only, as many as it has.

   A query's result depends on nothing but the query, and the keys and values before it: scores and results are added up in
   one order, whatever the number of rows, queries or threads. */

#include "numbers.h"

#if defined(__AVX512BF16__) && defined(__x86_64__)

#include <immintrin.h>
#include <stdlib.h>

#define BLOCK 16       /* keys whose scores are computed together */
#define CHUNK 32       /* numbers of a key or value: 64 bytes */
#define SIDES 8        /* sums of a score */
#define TOGETHER 8     /* queries whose results are added up together */
#define LARGEST 256    /* numbers of a key */

/* Of a tensor [rows, heads, tokens, numbers], whose numbers are contiguous: distances, in numbers. */
struct strides {
    long row, head, token;
};

static __thread struct {
    float *start;
    long count;
} kept;

/* Memory of this thread that later calls use again; none where there is none. */
static float *room(long count) {
    if (kept.count < count) {
        free(kept.start);
        count = (count + 4095) / 4096 * 4096;
        kept.start = aligned_alloc(64, count * sizeof(float));
        kept.count = kept.start ? count : 0;
    }
    return kept.start;
}

/* Transpose 16 × 16 words of 4 bytes. */
INLINE void transpose(__m512i x[16]) {
    __m512i y[16];
    for (int i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
        x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
        x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
        x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        y[i] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0x88);
        y[i + 4] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0xdd);
        y[i + 8] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0x88);
        y[i + 12] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        x[i] = _mm512_shuffle_i32x4(y[i], y[i + 8], 0x88);
        x[i + 8] = _mm512_shuffle_i32x4(y[i], y[i + 8], 0xdd);
        x[i + 4] = _mm512_shuffle_i32x4(y[i + 4], y[i + 12], 0x88);
        x[i + 12] = _mm512_shuffle_i32x4(y[i + 4], y[i + 12], 0xdd);
    }
}

/* The scores of queries with 16 keys; queries are contiguous. */
INLINE void score_block(const bf16 *queries, long count, const bf16 *keys, long stride, long size, float scale, float *scores,
                        long columns) {
    __m512i pairs[LARGEST / 2]; /* of numbers, of 16 keys each */
    for (long chunk = 0; chunk < size / CHUNK; chunk++) {
        for (int key = 0; key < BLOCK; key++) pairs[chunk * 16 + key] = _mm512_loadu_si512(keys + key * stride + chunk * CHUNK);
        transpose(pairs + chunk * 16);
    }
    for (long q = 0; q < count; q++) {
        const bf16 *query = queries + q * size;
        __m512 sums[SIDES]; /* side by side, so that none waits for the one before */
        for (int side = 0; side < SIDES; side++) sums[side] = _mm512_setzero_ps();
        for (long pair = 0; pair < size / 2; pair += SIDES)
#pragma GCC unroll 8
            for (int side = 0; side < SIDES; side++) {
                int32_t both;
                memcpy(&both, query + (pair + side) * 2, 4);
                sums[side] = _mm512_dpbf16_ps(sums[side], (__m512bh)_mm512_set1_epi32(both), (__m512bh)pairs[pair + side]);
            }
        for (int half = SIDES / 2; half; half /= 2)
            for (int side = 0; side < half; side++) sums[side] = _mm512_add_ps(sums[side], sums[side + half]);
        _mm512_storeu_ps(scores + q * columns, _mm512_mul_ps(sums[0], _mm512_set1_ps(scale)));
    }
}

/* e to the power of numbers of at most 0: the exponent's part that is not whole by its Taylor series. */
INLINE __m512 exponential(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-200), x); /* as good as 0, and no infinity; NaN stays */
    __m512 whole = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0); /* of 1 / ln 2 */
    __m512 rest = _mm512_fnmadd_ps(whole, _mm512_set1_ps(0.693359375f), x); /* ln 2, in two parts */
    rest = _mm512_fnmadd_ps(whole, _mm512_set1_ps(-2.12194440e-4f), rest);
    __m512 sum = _mm512_set1_ps(1.0f / 5040);
    const float factors[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    for (int i = 0; i < 7; i++) sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(factors[i]));
    return _mm512_scalef_ps(sum, whole);
}

/* Turn the first `count` scores into weights that add up to 1, and those after them, up to `columns`, into 0. */
INLINE void weigh(float *scores, long count, long columns) {
    __m512 most = _mm512_set1_ps(-__builtin_inff()), sum = _mm512_setzero_ps();
    for (long at = 0; at < columns; at += 16) {
        __mmask16 real = count - at >= 16 ? 0xffff : count > at ? (1 << (count - at)) - 1 : 0;
        most = _mm512_mask_max_ps(most, real, most, _mm512_loadu_ps(scores + at));
    }
    most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    for (long at = 0; at < columns; at += 16) {
        __mmask16 real = count - at >= 16 ? 0xffff : count > at ? (1 << (count - at)) - 1 : 0;
        __m512 weights = _mm512_maskz_mov_ps(real, exponential(_mm512_sub_ps(_mm512_loadu_ps(scores + at), most)));
        sum = _mm512_add_ps(sum, weights);
        _mm512_storeu_ps(scores + at, weights);
    }
    __m512 factor = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(sum));
    for (long at = 0; at < columns; at += 16)
        _mm512_storeu_ps(scores + at, _mm512_mul_ps(factor, _mm512_loadu_ps(scores + at)));
}

INLINE __m512 widen_all(__m256i x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

/* Add up 32 numbers of weighted values for some queries, whose results are `apart`. */
INLINE void add_values(const float *weights, long columns, const bf16 *values, long stride, long count, const int queries,
                       float *out, long apart) {
    __m512 sums[TOGETHER][2];
    for (int q = 0; q < queries; q++) sums[q][0] = sums[q][1] = _mm512_setzero_ps();
    for (long at = 0; at < count; at++) {
        const __m256i *value = (const __m256i *)(values + at * stride);
        __m512 left = widen_all(_mm256_loadu_si256(value)), right = widen_all(_mm256_loadu_si256(value + 1));
#pragma GCC unroll 8
        for (int q = 0; q < queries; q++) {
            __m512 weight = _mm512_set1_ps(weights[q * columns + at]);
            sums[q][0] = _mm512_fmadd_ps(weight, left, sums[q][0]);
            sums[q][1] = _mm512_fmadd_ps(weight, right, sums[q][1]);
        }
    }
    for (int q = 0; q < queries; q++) {
        _mm512_storeu_ps(out + q * apart, sums[q][0]);
        _mm512_storeu_ps(out + q * apart + 16, sums[q][1]);
    }
}

static void add_all_values(const float *weights, long columns, const bf16 *values, long stride, long count, long queries,
                           long size, float *out) {
    for (long q = 0; q < queries; q += TOGETHER)
        for (long chunk = 0; chunk < size; chunk += CHUNK) {
#define CASE(n) \
    case n: add_values(weights + q * columns, columns, values + chunk, stride, count, n, out + q * size + chunk, size); break
            switch (queries - q < TOGETHER ? queries - q : TOGETHER) {
                CASE(1);
                CASE(2);
                CASE(3);
                CASE(4);
                CASE(5);
                CASE(6);
                CASE(7);
                CASE(8);
            }
#undef CASE
        }
}

/* Attend with the query heads that share one head of keys and values.

   The queries of token t attend to the first `before` + t + 1 keys. Keys have to be there up to a multiple of 16. Return
   whether memory ran out. */
static int attend_group(const bf16 *queries, struct strides of_queries, const bf16 *keys, const bf16 *values, long stride,
                         long before, long group, long tokens, long size, float scale, bf16 *out, struct strides of_out) {
    long count = before + tokens, columns = (count + BLOCK - 1) / BLOCK * BLOCK, many = group * tokens;
    float *scores = room(many * (columns + size + size / 2));
    if (!scores) return 1;
    float *sums = scores + many * columns;
    bf16 *own = (bf16 *)(sums + many * size);
    for (long n = 0; n < many; n++)
        memcpy(own + n * size, queries + n / tokens * of_queries.head + n % tokens * of_queries.token, size * 2);
    for (long at = 0; at < columns; at += BLOCK)
        score_block(own, many, keys + at * stride, stride, size, scale, scores + at, columns);
    for (long n = 0; n < many; n++) weigh(scores + n * columns, before + n % tokens + 1, columns);
    add_all_values(scores, columns, values, stride, count, many, size, sums);
    for (long n = 0; n < many; n++) {
        bf16 *to = out + n / tokens * of_out.head + n % tokens * of_out.token;
        for (long j = 0; j < size; j++) to[j] = narrow(sums[n * size + j]);
    }
    return 0;
}

/* Attend in all rows. queries: [rows, heads, tokens, size]; keys and values: [rows, shared, columns, size], with the same
   strides; befores: keys of each row before its first new token, whose own are there already; out: as queries. Return
   whether memory ran out. */
EXPORT int attend(const bf16 *queries, const long *query_strides, const bf16 *keys, const bf16 *values,
                   const long *key_strides, const long *befores, long rows, long heads, long shared, long tokens, long size,
                   float scale, bf16 *out, const long *out_strides) {
    struct strides q = {query_strides[0], query_strides[1], query_strides[2]};
    struct strides k = {key_strides[0], key_strides[1], key_strides[2]};
    struct strides o = {out_strides[0], out_strides[1], out_strides[2]};
    long group = heads / shared;
    int failed = 0;
#pragma omp parallel for schedule(dynamic) collapse(2) reduction(| : failed)
    for (long row = 0; row < rows; row++)
        for (long head = 0; head < shared; head++) {
            long start = row * k.row + head * k.head;
            failed |= attend_group(queries + row * q.row + head * group * q.head, q, keys + start, values + start, k.token,
                         befores[row], group, tokens, size, scale, out + row * o.row + head * group * o.head, o);
        }
    return failed;
}

/* Put each row's new keys, or values, [rows, heads, tokens, size], behind those that it has. */
EXPORT void append(const bf16 *new, const long *new_strides, bf16 *all, const long *strides, const long *befores, long rows,
                   long heads, long tokens, long size) {
    for (long row = 0; row < rows; row++)
        for (long head = 0; head < heads; head++)
            for (long token = 0; token < tokens; token++)
                memcpy(all + row * strides[0] + head * strides[1] + (befores[row] + token) * strides[2],
                       new + row * new_strides[0] + head * new_strides[1] + token * new_strides[2], size * sizeof(bf16));
}

#endif
