/* Matrix products together with what comes before and after them: rounding of the inputs, scales, bias and gate.

   A row's result depends on nothing but the row and the weights. Its products are added up in the order of the input
   features, whatever the number of rows or threads.

   Weights are packed into panels of 32 output features. A panel is a sequence of steps along the input features, 64 bytes
   of each feature at a time. A step is two tiles of 16 output features. A tile has 16 rows of 16 groups of 4 bytes: the
   group g of feature c stands in row g, column c. Both AMX and AVX-512 multiply in this order. Rows are packed into tiles
   of 16 rows, 64 bytes of each.

   Integers of rows are shifted by 128, because AVX-512 wants them unsigned. The sums begin with what takes that away. */

#include "numbers.h"

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__) && defined(__x86_64__)

#include <immintrin.h>
#include <omp.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TILE 1024       /* bytes */
#define TALL 16         /* rows of a tile */
#define PANEL 32        /* output features */
#define SUMS 512        /* numbers: of a tile of rows with a panel, 16 features after 16 */
#define DEPTH 32        /* steps after which sums are put aside: 64 KB of a panel stay close to the processor */
#define BLOCK 16        /* tiles of rows that are multiplied by a panel before the next one */
#define GROUP 16        /* panels of a task at most */
#define SHIFT 128
#define PERMISSION 0x1023 /* ARCH_REQ_XCOMP_PERM of Linux, and the number of the tiles' data */
#define TILE_DATA 18

enum rows_kind { FLOATS, ROUNDED, INTEGERS };

/* What happens to the sums. Vectors are padded to whole panels, layer after layer. */
struct layers {
    long count;
    const long *widths; /* output features */
    const float *scales, *bias;
    const int32_t *activated; /* of two layers, the gate and what it opens; or none */
    void *const *outs;
    const long *strides;
};

/* Panels of layers of one width alternate; others follow one another. */
struct place {
    long layer, panel;
};

static int has_tiles;

/* Choose AMX, if it is wanted and the system permits it, or AVX-512; return whether it is AMX. */
EXPORT int use_tiles(int wanted) {
#if defined(__AMX_BF16__) && defined(__AMX_INT8__)
    has_tiles = wanted && !syscall(SYS_arch_prctl, PERMISSION, TILE_DATA);
#endif
    return has_tiles;
}

INLINE long least(long a, long b) { return a < b ? a : b; }
INLINE long ratio(long a, long b) { return (a + b - 1) / b; }

INLINE void fetch_lines(const char *at, long bytes) {
    for (long line = 0; line < bytes; line += 64) _mm_prefetch(at + line, _MM_HINT_T1);
}

#if defined(__AMX_BF16__) && defined(__AMX_INT8__)

static const uint8_t shapes[64] __attribute__((aligned(64))) = {
    [0] = 1, /* palette; then bytes of a row, and rows, of eight tiles */
    [16] = 64, [18] = 64, [20] = 64, [22] = 64, [24] = 64, [26] = 64, [28] = 64, [30] = 64,
    [48] = 16, 16, 16, 16, 16, 16, 16, 16};

INLINE void begin_tiles(uint8_t *before) {
    _tile_storeconfig(before);
    _tile_loadconfig(shapes);
}

INLINE void end_tiles(const uint8_t *before) {
    if (before[0]) _tile_loadconfig(before);
    else _tile_release();
}

#define DOT(sum, rows, weights) \
    if (integers) _tile_dpbusd(sum, rows, weights); \
    else _tile_dpbf16ps(sum, rows, weights)

/* Add `depth` steps of one or two tiles of rows with a panel to their sums, which begin with zeros, or with `begin`. */
INLINE void add_by_tiles(const char *rows, long apart, const int two, const char *panel, long depth, float *sums,
                         const int first, const int32_t *begin, const char *next, long bytes, const int integers) {
    if (!first) {
        _tile_loadd(0, sums, 64);
        _tile_loadd(1, sums + SUMS / 2, 64);
    } else if (integers) {
        _tile_loadd(0, begin, 0);
        _tile_loadd(1, begin + PANEL / 2, 0);
    } else {
        _tile_zero(0);
        _tile_zero(1);
    }
    if (!first && two) {
        _tile_loadd(2, sums + SUMS, 64);
        _tile_loadd(3, sums + SUMS + SUMS / 2, 64);
    } else if (integers && two) {
        _tile_loadd(2, begin, 0);
        _tile_loadd(3, begin + PANEL / 2, 0);
    } else if (two) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (long k = 0; k < depth; k++, rows += TILE, panel += 2 * TILE, next += bytes) {
        fetch_lines(next, bytes);
        _tile_loadd(6, panel, 64);
        _tile_loadd(4, rows, 64);
        DOT(0, 4, 6);
        _tile_loadd(7, panel + TILE, 64);
        DOT(1, 4, 7);
        if (!two) continue;
        _tile_loadd(5, rows + apart, 64);
        DOT(2, 5, 6);
        DOT(3, 5, 7);
    }
    _tile_stored(0, sums, 64);
    _tile_stored(1, sums + SUMS / 2, 64);
    if (!two) return;
    _tile_stored(2, sums + SUMS, 64);
    _tile_stored(3, sums + SUMS + SUMS / 2, 64);
}

#else

INLINE void begin_tiles(uint8_t *before) { (void)before; }
INLINE void end_tiles(const uint8_t *before) { (void)before; }
INLINE void add_by_tiles(const char *rows, long apart, const int two, const char *panel, long depth, float *sums,
                         const int first, const int32_t *begin, const char *next, long bytes, const int integers) {}

#endif

#define STRIP 8 /* rows whose sums with a panel are held in registers */

INLINE __m512 dot(__m512 sum, __m512i rows, __m512i weights, const int integers) {
    return integers ? _mm512_castsi512_ps(_mm512_dpbusd_epi32(_mm512_castps_si512(sum), rows, weights))
                    : _mm512_dpbf16_ps(sum, (__m512bh)rows, (__m512bh)weights);
}

/* Do the same for the first `strips` strips of rows. */
INLINE void add_by_vectors(const char *rows, long apart, long strips, const char *panel, long depth, float *sums,
                           const int first, const int32_t *begin, const char *next, long bytes, const int integers) {
    for (long strip = 0; strip < strips; strip++) {
        const char *own = rows + strip / 2 * apart + strip % 2 * STRIP * 64;
        float *out = sums + strip / 2 * SUMS + strip % 2 * STRIP * 16;
        __m512 left[STRIP], right[STRIP];
        for (int r = 0; r < STRIP; r++) {
            left[r] = !first ? _mm512_load_ps(out + r * 16) : integers ? _mm512_loadu_ps(begin) : _mm512_setzero_ps();
            right[r] = !first    ? _mm512_load_ps(out + SUMS / 2 + r * 16)
                       : integers ? _mm512_loadu_ps(begin + PANEL / 2)
                                  : _mm512_setzero_ps();
        }
        for (long k = 0; k < depth; k++) {
            if (!strip) fetch_lines(next + k * bytes, bytes);
            for (int g = 0; g < 16; g++) {
                __m512i first_half = _mm512_load_si512(panel + k * 2 * TILE + g * 64);
                __m512i second_half = _mm512_load_si512(panel + k * 2 * TILE + TILE + g * 64);
#pragma GCC unroll 8
                for (int r = 0; r < STRIP; r++) {
                    __m512i group = _mm512_set1_epi32(*(const int32_t *)(own + k * TILE + r * 64 + g * 4));
                    left[r] = dot(left[r], group, first_half, integers);
                    right[r] = dot(right[r], group, second_half, integers);
                }
            }
        }
        for (int r = 0; r < STRIP; r++) {
            _mm512_store_ps(out + r * 16, left[r]);
            _mm512_store_ps(out + SUMS / 2 + r * 16, right[r]);
        }
    }
}

/* Pack `features` rows of `bytes` bytes into panels number `start`, `start + every` and so on. Behind all panels, at
   `shifts`, each feature's share of the shift is put for integers; without, none. */
EXPORT void pack_weight(const char *weight, long features, long bytes, char *out, long start, long every, int32_t *shifts) {
    long steps = ratio(bytes, 64), panels = ratio(features, PANEL);
#pragma omp parallel for schedule(static)
    for (long p = 0; p < panels; p++)
        for (int c = 0; c < PANEL; c++) {
            const char *feature = p * PANEL + c < features ? weight + (p * PANEL + c) * bytes : 0;
            char *tiles = out + (start + p * every) * steps * 2 * TILE + c / 16 * TILE + c % 16 * 4;
            for (long s = 0; s < steps; s++) {
                char chunk[64] = {0};
                if (feature) memcpy(chunk, feature + s * 64, least(64, bytes - s * 64));
                for (int g = 0; g < 16; g++) memcpy(tiles + s * 2 * TILE + g * 64, chunk + g * 4, 4);
            }
            if (!shifts) continue;
            int32_t sum = 0;
            for (long j = 0; feature && j < bytes; j++) sum += (int8_t)feature[j];
            shifts[(start + p * every) * PANEL + c] = -SHIFT * sum;
        }
}

/* Put a row into tiles of rows; return its scale. */
INLINE float pack_row(const void *row, long columns, float most, float smallest, char *out, const enum rows_kind kind) {
    float scale = kind == ROUNDED ? scale_of_row(row, columns, most, smallest) : 1;
    const long chunk = kind == FLOATS ? 32 : 64;
    for (long start = 0; start < columns; start += chunk, out += TILE) {
        uint8_t bytes[64] = {0};
        long width = least(chunk, columns - start);
        if (kind == ROUNDED && width == chunk) round_row((const bf16 *)row + start, 64, scale, bytes);
        else if (kind == ROUNDED) round_row((const bf16 *)row + start, width, scale, bytes);
        else if (kind == INTEGERS)
            for (long j = 0; j < width; j++) bytes[j] = ((const uint8_t *)row)[start + j] ^ SHIFT;
        else memcpy(bytes, (const bf16 *)row + start, width * 2);
        memcpy(out, bytes, 64);
    }
    return scale;
}

INLINE struct place find_place(const struct layers *to, long panel) {
    int alike = 1;
    for (long n = 1; n < to->count; n++) alike &= to->widths[n] == to->widths[0];
    struct place at = {panel % to->count, panel / to->count};
    if (alike) return at;
    for (at.layer = 0, at.panel = panel; at.panel >= ratio(to->widths[at.layer], PANEL); at.layer++)
        at.panel -= ratio(to->widths[at.layer], PANEL);
    return at;
}

INLINE long vector_start(const struct layers *to, struct place at) {
    long panels = at.panel;
    for (long n = 0; n < at.layer; n++) panels += ratio(to->widths[n], PANEL);
    return panels * PANEL;
}

/* 16 results of a row: (sums · scales of the features · scale of the row) + bias. */
INLINE __m512 scale_sums(const float *sums, const struct layers *to, long feature, float scale, const enum rows_kind kind) {
    __m512 exact = _mm512_load_ps(sums);
    if (kind != FLOATS) {
        exact = _mm512_cvtepi32_ps(_mm512_castps_si512(exact));
        exact = _mm512_mul_ps(exact, _mm512_loadu_ps(to->scales + feature));
    }
    if (kind == ROUNDED) exact = _mm512_mul_ps(exact, _mm512_set1_ps(scale));
    if (kind != INTEGERS && to->bias) exact = _mm512_add_ps(exact, _mm512_loadu_ps(to->bias + feature));
    return exact;
}

/* As `narrow`, 16 numbers. */
INLINE __m256i narrow_all(__m512 x) {
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    __mmask16 broken = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_set1_epi32(rounded, broken, 0x7fc0));
}

INLINE __m512 widen_all(__m256i x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

/* As `gate_one`. */
INLINE __m256i gate_all(__m256i gates, __m256i ups, const int32_t *activated) {
    __m512i opened = _mm512_i32gather_epi32(_mm512_cvtepu16_epi32(gates), activated, 4);
    return narrow_all(_mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32(opened, 16)), widen_all(ups)));
}

/* Write the results of some rows with a panel, or with two that are `apart`, a gate and what it opens. */
INLINE void write_panel(const float *sums, long apart, const struct layers *to, long panel, const float *scales, long row,
                        long rows, const int gated, const enum rows_kind kind) {
    struct place at = find_place(to, panel);
    long start = vector_start(to, at), other = start + ratio(to->widths[0], PANEL) * PANEL, stride = to->strides[at.layer];
    long width = least(PANEL, to->widths[at.layer] - at.panel * PANEL), size = kind == INTEGERS ? 4 : 2;
    char *out = (char *)to->outs[at.layer] + (row * stride + at.panel * PANEL) * size;
    for (long i = 0; i < rows; i++, out += stride * size) {
        const float *own = sums + i / TALL * SUMS + i % TALL * 16;
        char padded[PANEL * 4], *got = width == PANEL ? out : padded;
        for (int half = 0; half < 2; half++, own += SUMS / 2) {
            __m512 exact = scale_sums(own, to, start + half * 16, scales[row + i], kind);
            if (kind == INTEGERS) {
                _mm512_storeu_ps((float *)got + half * 16, exact);
                continue;
            }
            __m256i rounded = narrow_all(exact);
            if (gated) {
                __m512 up = scale_sums(own + apart, to, other + half * 16, scales[row + i], kind);
                rounded = gate_all(rounded, narrow_all(up), to->activated);
            }
            _mm256_storeu_si256((__m256i *)got + half, rounded);
        }
        if (width < PANEL) memcpy(out, padded, width * size);
    }
}

static __thread struct {
    char *start;
    long bytes;
} kept[2];

/* Memory of this thread that later calls use again; none where there is none. */
static char *room(int which, long bytes) {
    if (kept[which].bytes < bytes) {
        free(kept[which].start);
        bytes = ratio(bytes, 4096) * 4096;
        kept[which].start = aligned_alloc(4096, bytes);
        kept[which].bytes = kept[which].start ? bytes : 0;
    }
    return kept[which].start;
}

/* The weights of a product, and which of their panels belong to it. */
struct weights {
    const char *panels;
    const int32_t *shifts;
    long start, every, steps;
};

/* A block of packed rows, and where it begins. */
struct block {
    const char *tiles;
    long row, rows;
};

/* Multiply a block of rows by some panels. */
INLINE void multiply_block(struct block block, struct weights weights, long panel, long panels, float *sums,
                           const float *scales, const struct layers *to, const int gated, const enum rows_kind kind,
                           const int by_tiles) {
    const int integers = kind != FLOATS, unit = 1 + gated;
    long tiles = ratio(block.rows, TALL), steps = weights.steps;
    long bytes = 2 * TILE / ratio(tiles, 2) & ~63L; /* of the next panel, to be fetched in a step */
    for (long k = 0; k < steps; k += DEPTH)
        for (long p = panel; p < panel + panels; p += unit)
            for (long tile = 0; tile < tiles; tile += 2) {
                long two = tile + 1 < tiles, apart = (1 + two) * SUMS, depth = least(DEPTH, steps - k);
                float *own = steps > DEPTH ? sums + ((p - panel) * tiles + tile * unit) * SUMS : sums;
                const char *rows = block.tiles + (tile * steps + k) * TILE;
                long count = least(2 * TALL, block.rows - tile * TALL);
                for (int h = 0; h < unit; h++) {
                    long number = weights.start + (p + h) * weights.every;
                    const char *one = weights.panels + (number * steps + k) * 2 * TILE;
                    const char *next = one + unit * weights.every * steps * 2 * TILE + tile / 2 * depth * bytes;
                    const int32_t *begin = integers ? weights.shifts + number * PANEL : 0;
#define ADD(name, many, first) \
    name(rows, steps * TILE, many, one, depth, own + h * apart, first, begin, next, bytes, integers)
                    if (!by_tiles && k) ADD(add_by_vectors, ratio(count, STRIP), 0);
                    else if (!by_tiles) ADD(add_by_vectors, ratio(count, STRIP), 1);
                    else if (two && k) ADD(add_by_tiles, 1, 0);
                    else if (two) ADD(add_by_tiles, 1, 1);
                    else if (k) ADD(add_by_tiles, 0, 0);
                    else ADD(add_by_tiles, 0, 1);
#undef ADD
                }
                if (k + depth == steps)
                    write_panel(own, apart, to, p, scales, block.row + tile * TALL, count, gated, kind);
            }
}

/* Return whether memory ran out. */
INLINE int multiply(const char *x, long rows, long columns, struct weights weights, float most, float smallest,
                     const struct layers *to, const enum rows_kind kind, const int gated, const int by_tiles) {
    const long size = kind == INTEGERS ? 1 : 2;
    long panels = 0, tiles = ratio(rows, TALL), steps = weights.steps, unit = 1 + gated;
    for (long n = 0; n < to->count; n++) panels += ratio(to->widths[n], PANEL);
    long threads = omp_get_max_threads(), blocks = ratio(tiles, BLOCK);
    long group = ratio(panels / unit, ratio(ratio(panels, GROUP), threads) * threads) * unit; /* all are equally large */
    long groups = ratio(panels, group);
    char *packed = room(0, tiles * (steps * TILE + TALL * 4));
    float *scales = (float *)(packed + tiles * steps * TILE);
    int failed = 0;
    if (!packed) return 1;
#pragma omp parallel reduction(| : failed)
    {
        uint8_t before[64] __attribute__((aligned(64)));
        if (by_tiles) begin_tiles(before);
#pragma omp for schedule(static)
        for (long i = 0; i < rows; i++)
            scales[i] = pack_row(x + i * columns * size, columns, most, smallest,
                                 packed + i / TALL * steps * TILE + i % TALL * 64, kind);
        float *sums = (float *)room(1, 2L * GROUP * BLOCK * SUMS * 4);
        failed = !sums;
#pragma omp for schedule(static) collapse(2)
        for (long g = 0; g < groups; g++)
            for (long b = 0; b < blocks; b++) {
                long row = b * BLOCK * TALL;
                struct block block = {packed + b * BLOCK * steps * TILE, row, least(BLOCK * TALL, rows - row)};
                if (sums)
                    multiply_block(block, weights, g * group, least(group, panels - g * group), sums, scales, to, gated, kind,
                               by_tiles);
            }
        if (by_tiles) end_tiles(before);
    }
    return failed;
}

#define MULTIPLY(kind, gated) \
    (has_tiles ? multiply(x, rows, columns, weights, most, smallest, &to, kind, gated, 1) \
               : multiply(x, rows, columns, weights, most, smallest, &to, kind, gated, 0))

/* Multiply rows by the weights of one or more layers.

   kind: 0 for bfloat16 by bfloat16; 1 for bfloat16 that is rounded to integers of -most … most, by integers; 2 for
   integers by integers, whose results are float32 without scales of rows, and without bias. Return whether memory ran
   out. */
EXPORT int multiply_packed(int kind, const char *x, long rows, long columns, const char *panels, const int32_t *shifts,
                            long start, long every, float most, float smallest, long count, const long *widths,
                            const float *scales, const float *bias, const int32_t *activated, void *const *outs,
                            const long *strides) {
    struct weights weights = {panels, shifts, start, every, ratio(columns, kind == FLOATS ? 32 : 64)};
    struct layers to = {count, widths, scales, bias, activated, outs, strides};
    if (kind == INTEGERS) return MULTIPLY(INTEGERS, 0);
    if (kind == ROUNDED) return activated ? MULTIPLY(ROUNDED, 1) : MULTIPLY(ROUNDED, 0);
    return activated ? MULTIPLY(FLOATS, 1) : MULTIPLY(FLOATS, 0);
}

#endif
