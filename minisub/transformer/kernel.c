/* The gradient and the logits of a stack in C: the same as `gradient.py` and `block.py`, faster.

   At this width a product takes less time than torch takes to start it. Here a whole sequence goes
   forward and back while its activations are in the cache of one core. Rows are sequences; a model's
   weights lie one after another, in the order of `ModelConfig.parameters`.

   Compiled for one shape: REAL (float or double), D_MODEL, HEADS, D_MLP, VOCAB, LAYERS, N_CTX.
   LANES values make a vector; D_MODEL / HEADS and D_MLP are multiples of it. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define D D_MODEL
#define D_HEAD (D / HEADS)
#define UP(n) (((n) + LANES - 1) / LANES * LANES)
#define WIDE UP(VOCAB) /* logits, filled up to whole vectors */
#define KEYS UP(N_CTX)
#define BLOCK_SIZE (3 * D * D + D * D + D * D_MLP + D_MLP * D)
#define EPSILON ((REAL)1e-5)
#define FAR ((REAL)1e30) /* -FAR is below any logit */
#define INLINE static inline __attribute__((always_inline))

typedef REAL vec __attribute__((vector_size(LANES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

/* What the way back through a block needs. */
typedef struct {
    REAL normed1[N_CTX][D], scale1[N_CTX], qkv[N_CTX][3 * D], pattern[HEADS][N_CTX][KEYS];
    REAL z[N_CTX][D], normed2[N_CTX][D], scale2[N_CTX], post[N_CTX][D_MLP];
} Saved;

typedef struct {
    Saved blocks[LAYERS];
    REAL x[N_CTX][D], final[N_CTX][D], final_scale[N_CTX], logits[N_CTX][WIDE];
    REAL keys[D_HEAD][KEYS], values[D_HEAD][KEYS], d_pattern[N_CTX][KEYS], d_z[N_CTX][D];
    REAL d[N_CTX][D], d_normed[N_CTX][D], d_mlp[N_CTX][D_MLP], d_qkv[N_CTX][3 * D];
    REAL unembedding[D][WIDE], unembedding_t[WIDE][D], d_unembedding[D][WIDE];
    REAL qkv_t[LAYERS][3 * D][D], out_t[LAYERS][D][D];
    REAL mlp_in_t[LAYERS][D_MLP][D], mlp_out_t[LAYERS][D][D_MLP];
    REAL seen[N_CTX][KEYS], words[WIDE]; /* seen: 1 where a query may look; words: 1 for a logit, 0 for what fills up */
} Work;

#ifdef IS_FLOAT
typedef int32_t bits __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
#else
typedef int64_t bits __attribute__((vector_size(LANES * 8), aligned(8), may_alias));
#endif

INLINE vec load(const REAL *at) { return *(const vec *)at; }
INLINE void store(REAL *at, vec x) { *(vec *)at = x; }

INLINE REAL sum(vec x)
{
    REAL each[LANES];
    store(each, x);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) each[i] += each[i + half];
    return each[0];
}

/* One tile of c = a b, or c += a b: a few rows by a few vectors, with everything in registers. */
INLINE void tile(const int n, const int m, int inner, const REAL *a, int row_of_a, int step_of_a,
                 const REAL *b, int row_of_b, REAL *c, int row_of_c, const int add)
{
    /* Written out, as not every compiler keeps an array of vectors in registers. */
    vec left0, left1, left2, left3, right0, right1, right2, right3;
#define START(i)                                                                         \
    left##i = add && i < n ? load(c + i * row_of_c) : (vec){0};                          \
    right##i = add && i < n && m == 2 ? load(c + i * row_of_c + LANES) : (vec){0};
#define TERM(i)                                                                          \
    if (i < n) {                                                                         \
        REAL x = a[i * row_of_a + k * step_of_a];                                        \
        left##i += x * left;                                                             \
        if (m == 2) right##i += x * right;                                               \
    }
#define END(i)                                                                           \
    if (i < n) store(c + i * row_of_c, left##i);                                         \
    if (i < n && m == 2) store(c + i * row_of_c + LANES, right##i);
    START(0) START(1) START(2) START(3)
    for (int k = 0; k < inner; k++) {
        vec left = load(b + k * row_of_b), right = m == 2 ? load(b + k * row_of_b + LANES) : left;
        TERM(0) TERM(1) TERM(2) TERM(3)
    }
    END(0) END(1) END(2) END(3)
}

INLINE void strip(int n, const int m, int inner, const REAL *a, int row_of_a, int step_of_a,
                  const REAL *b, int row_of_b, REAL *c, int row_of_c, const int add)
{
    int i = 0;
    for (; i + 4 <= n; i += 4)
        tile(4, m, inner, a + i * row_of_a, row_of_a, step_of_a, b, row_of_b, c + i * row_of_c,
             row_of_c, add);
    a += i * row_of_a;
    c += i * row_of_c;
    if (n - i == 3) tile(3, m, inner, a, row_of_a, step_of_a, b, row_of_b, c, row_of_c, add);
    if (n - i == 2) tile(2, m, inner, a, row_of_a, step_of_a, b, row_of_b, c, row_of_c, add);
    if (n - i == 1) tile(1, m, inner, a, row_of_a, step_of_a, b, row_of_b, c, row_of_c, add);
}

INLINE void any_product(int n, int m, int inner, const REAL *a, int row_of_a, int step_of_a,
                        const REAL *b, int row_of_b, REAL *c, int row_of_c, const int add)
{
    int j = 0;
    for (; j + 2 * LANES <= m; j += 2 * LANES)
        strip(n, 2, inner, a, row_of_a, step_of_a, b + j, row_of_b, c + j, row_of_c, add);
    for (; j < m; j += LANES)
        strip(n, 1, inner, a, row_of_a, step_of_a, b + j, row_of_b, c + j, row_of_c, add);
}

/* c [n, m] = a [n, inner] b [inner, m], or c += a b; m is a multiple of LANES. */
INLINE void product(int n, int m, int inner, const REAL *a, int row_of_a, const REAL *b,
                    int row_of_b, REAL *c, int row_of_c, const int add)
{
    any_product(n, m, inner, a, row_of_a, 1, b, row_of_b, c, row_of_c, add);
}

/* c [n, m] += a' b, where a is [inner, n] and b is [inner, m]. */
INLINE void product_of_columns(int n, int m, int inner, const REAL *a, int row_of_a, const REAL *b,
                               int row_of_b, REAL *c, int row_of_c)
{
    any_product(n, m, inner, a, 1, row_of_a, b, row_of_b, c, row_of_c, 1);
}

INLINE void transpose(const REAL *a, int n, int m, REAL *out)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) out[j * n + i] = a[i * m + j];
}

/* Return a where the condition holds, else b. */
INLINE vec choose(bits condition, vec a, vec b)
{
    return (vec)(((bits)a & condition) | ((bits)b & ~condition));
}

#ifdef IS_FLOAT

/* Cephes' polynomial; good to one unit in the last place or so. */
INLINE vec exponential(vec x)
{
    const vec lowest = (vec){0} - 87.0f, magic = (vec){0} + 12582912.0f; /* 1.5 * 2^23 */
    x = choose(x < lowest, lowest, x);
    vec shifted = x * 1.44269504088896341f + magic, n = shifted - magic;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return (vec)((bits)p + ((bits)shifted << 23));
}
#else
INLINE vec exponential(vec x)
{
    for (int i = 0; i < LANES; i++) x[i] = exp(x[i]);
    return x;
}
#endif

/* Turn a row of n (whole vectors) into exp(x - its largest) where `counts` is 1, and into 0 where it
   is 0; return the sum, and the largest. */
INLINE REAL exponentials(REAL *row, const REAL *counts, const int n, REAL *largest)
{
    REAL each[LANES], top;
    vec total = {0}, most = total - FAR;
    for (int j = 0; j < n; j += LANES) {
        vec x = load(row + j) * load(counts + j) + (load(counts + j) - 1) * FAR;
        store(row + j, x);
        most = choose(x > most, x, most);
    }
    store(each, most);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) each[i] = each[i] > each[i + half] ? each[i] : each[i + half];
    *largest = top = each[0];
    for (int j = 0; j < n; j += LANES) {
        vec x = exponential(load(row + j) - top) * load(counts + j);
        store(row + j, x);
        total += x;
    }
    return sum(total);
}

INLINE void layer_norm(REAL (*x)[D], REAL (*out)[D], REAL *scale, int from, int to)
{
    for (int t = from; t < to; t++) {
        vec total = {0}, squares = {0};
        for (int i = 0; i < D; i += LANES) total += load(x[t] + i);
        REAL mean = sum(total) / D;
        for (int i = 0; i < D; i += LANES) {
            vec centred = load(x[t] + i) - mean;
            squares += centred * centred;
            store(out[t] + i, centred);
        }
        scale[t] = 1 / (REAL)sqrt(sum(squares) / D + EPSILON);
        for (int i = 0; i < D; i += LANES) store(out[t] + i, load(out[t] + i) * scale[t]);
    }
}

/* Add to d [T, D] the gradient at the input of a norm from that at its output, or put it there. */
INLINE void layer_norm_backward(REAL (*d_out)[D], REAL (*normed)[D], const REAL *scale,
                                REAL (*d)[D], int from, int to, const int add)
{
    for (int t = from; t < to; t++) {
        vec total = {0}, along = {0};
        for (int i = 0; i < D; i += LANES) {
            total += load(d_out[t] + i);
            along += load(d_out[t] + i) * load(normed[t] + i);
        }
        REAL mean = sum(total) / D, share = sum(along) / D;
        for (int i = 0; i < D; i += LANES) {
            vec x = (load(d_out[t] + i) - mean - load(normed[t] + i) * share) * scale[t];
            if (add) x += load(d[t] + i);
            store(d[t] + i, x);
        }
    }
}

/* One block on x [length, D]; the stream goes on from position `from`. What came before position
   `first` has been read already, and its keys and values are in `saved`. */
static void block_forward(const REAL *w, Work *work, Saved *saved, int first, int length, int from)
{
    const REAL *W_QKV = w, *W_O = w + 3 * D * D, *W_in = W_O + D * D, *W_out = W_in + D * D_MLP;
    const REAL scale = 1 / (REAL)sqrt(D_HEAD);
    int n = length - from;
    layer_norm(work->x, saved->normed1, saved->scale1, first, length);
    product(length - first, 3 * D, D, saved->normed1[first], D, W_QKV, 3 * D, saved->qkv[first],
            3 * D, 0);
    for (int h = 0; h < HEADS; h++) {
        const REAL *q = saved->qkv[0] + h * D_HEAD, *k = q + D, *v = k + D;
        REAL(*pattern)[KEYS] = saved->pattern[h];
        for (int i = 0; i < D_HEAD; i++) {
            for (int t = 0; t < length; t++) work->keys[i][t] = k[t * 3 * D + i] * scale;
            for (int t = length; t < KEYS; t++) work->keys[i][t] = 0;
        }
        product(n, KEYS, D_HEAD, q + from * 3 * D, 3 * D, work->keys[0], KEYS, pattern[from], KEYS, 0);
        for (int t = from; t < length; t++) {
            REAL top, share = 1 / exponentials(pattern[t], work->seen[t], KEYS, &top);
            for (int j = 0; j < KEYS; j += LANES) store(pattern[t] + j, load(pattern[t] + j) * share);
        }
        product(n, D_HEAD, length, pattern[from], KEYS, v, 3 * D, saved->z[from] + h * D_HEAD, D, 0);
    }
    product(n, D, D, saved->z[from], D, W_O, D, work->x[from], D, 1);
    layer_norm(work->x, saved->normed2, saved->scale2, from, length);
    product(n, D_MLP, D, saved->normed2[from], D, W_in, D_MLP, saved->post[from], D_MLP, 0);
    for (int t = from; t < length; t++)
        for (int i = 0; i < D_MLP; i += LANES) {
            vec x = load(saved->post[t] + i);
            store(saved->post[t] + i, choose(x < 0, (vec){0}, x)); /* NaN stays */
        }
    product(n, D, D_MLP, saved->post[from], D_MLP, W_out, D, work->x[from], D, 1);
}

/* The way back through a block: work->d [length, D] from its output to its input. */
static void block_backward(Work *work, int block, int length, int from, const uint8_t *trains,
                           REAL *grad, int is_end)
{
    Saved *saved = &work->blocks[block];
    REAL *d_QKV = grad, *d_O = grad + 3 * D * D, *d_in = d_O + D * D, *d_out = d_in + D * D_MLP;
    const REAL scale = 1 / (REAL)sqrt(D_HEAD);
    int n = length - from;
    REAL(*d)[D] = work->d;
    if (trains[3])
        product_of_columns(D_MLP, D, n, saved->post[from], D_MLP, d[from], D, d_out, D);
    product(n, D_MLP, D, d[from], D, work->mlp_out_t[block][0], D_MLP, work->d_mlp[from], D_MLP, 0);
    for (int t = from; t < length; t++)
        for (int i = 0; i < D_MLP; i += LANES)
            store(work->d_mlp[t] + i,
                  choose(load(saved->post[t] + i) <= 0, (vec){0}, load(work->d_mlp[t] + i)));
    if (trains[2])
        product_of_columns(D, D_MLP, n, saved->normed2[from], D, work->d_mlp[from], D_MLP, d_in,
                           D_MLP);
    product(n, D, D_MLP, work->d_mlp[from], D_MLP, work->mlp_in_t[block][0], D, work->d_normed[from],
            D, 0);
    layer_norm_backward(work->d_normed, saved->normed2, saved->scale2, d, from, length, 1);
    if (trains[1]) product_of_columns(D, D, n, saved->z[from], D, d[from], D, d_O, D);
    if (is_end && !trains[0]) return;
    product(n, D, D, d[from], D, work->out_t[block][0], D, work->d_z[from], D, 0);
    memset(work->d_qkv, 0, (size_t)length * 3 * D * sizeof(REAL));
    for (int h = 0; h < HEADS; h++) {
        const REAL *q = saved->qkv[0] + h * D_HEAD, *k = q + D, *v = k + D;
        const REAL *d_z = work->d_z[from] + h * D_HEAD;
        REAL *d_q = work->d_qkv[0] + h * D_HEAD, *d_k = d_q + D, *d_v = d_k + D;
        REAL(*pattern)[KEYS] = saved->pattern[h], (*d_pattern)[KEYS] = work->d_pattern;
        product_of_columns(length, D_HEAD, n, pattern[from], KEYS, d_z, D, d_v, 3 * D);
        for (int i = 0; i < D_HEAD; i++) {
            for (int t = 0; t < length; t++) work->values[i][t] = v[t * 3 * D + i];
            for (int t = length; t < KEYS; t++) work->values[i][t] = 0;
        }
        product(n, KEYS, D_HEAD, d_z, D, work->values[0], KEYS, d_pattern[from], KEYS, 0);
        for (int t = from; t < length; t++) {
            vec along = {0};
            for (int j = 0; j < KEYS; j += LANES)
                along += load(d_pattern[t] + j) * load(pattern[t] + j);
            REAL share = sum(along);
            for (int j = 0; j < KEYS; j += LANES)
                store(d_pattern[t] + j,
                      (load(d_pattern[t] + j) - share) * load(pattern[t] + j) * scale);
        }
        product(n, D_HEAD, length, d_pattern[from], KEYS, k, 3 * D, d_q + from * 3 * D, 3 * D, 0);
        product_of_columns(length, D_HEAD, n, d_pattern[from], KEYS, q + from * 3 * D, 3 * D, d_k,
                           3 * D);
    }
    if (trains[0])
        product_of_columns(D, 3 * D, length, saved->normed1[0], D, work->d_qkv[0], 3 * D, d_QKV,
                           3 * D);
    if (is_end) return;
    product(length, D, 3 * D, work->d_qkv[0], 3 * D, work->qkv_t[block][0], D, work->d_normed[0], D,
            0);
    memset(d, 0, (size_t)from * D * sizeof(REAL)); /* earlier positions were not read out */
    layer_norm_backward(work->d_normed, saved->normed1, saved->scale1, d, 0, length, 1);
}

/* Put tokens at the positions `first` to `length` into the residual stream. */
INLINE void embed(const REAL *w, const int64_t *tokens, int first, int length, Work *work)
{
    const REAL *positions = w + VOCAB * D;
    for (int t = first; t < length; t++)
        for (int i = 0; i < D; i++)
            work->x[t][i] = w[tokens[t - first] * D + i] + positions[t * D + i];
}

INLINE void unembed(Work *work, int from, int length)
{
    layer_norm(work->x, work->final, work->final_scale, from, length);
    product(length - from, WIDE, D, work->final[from], D, work->unembedding[0], WIDE,
            work->logits[from], WIDE, 0);
}

INLINE const REAL *block_of(const REAL *w, int block)
{
    return w + (VOCAB + N_CTX) * D + block * BLOCK_SIZE;
}

static void prepare(const REAL *w, Work *work, int backward)
{
    const REAL *W_U = block_of(w, LAYERS);
    for (int i = 0; i < D; i++) {
        memcpy(work->unembedding[i], W_U + i * VOCAB, VOCAB * sizeof(REAL));
        for (int j = VOCAB; j < WIDE; j++) work->unembedding[i][j] = 0;
    }
    for (int j = 0; j < WIDE; j++) work->words[j] = j < VOCAB;
    for (int t = 0; t < N_CTX; t++)
        for (int j = 0; j < KEYS; j++) work->seen[t][j] = j <= t;
    if (!backward) return;
    transpose(work->unembedding[0], D, WIDE, work->unembedding_t[0]);
    for (int block = 0; block < LAYERS; block++) {
        const REAL *at = block_of(w, block);
        transpose(at, D, 3 * D, work->qkv_t[block][0]);
        transpose(at + 3 * D * D, D, D, work->out_t[block][0]);
        transpose(at + 4 * D * D, D, D_MLP, work->mlp_in_t[block][0]);
        transpose(at + 4 * D * D + D * D_MLP, D_MLP, D, work->mlp_out_t[block][0]);
    }
}

/* The loss of one row; work->logits becomes the gradient at the logits. */
static REAL row_loss(Work *work, int length, int from, const int64_t *labels, const REAL *weights,
                     const REAL *soft, REAL n_terms)
{
    REAL loss = 0;
    for (int t = from; t < length; t++) {
        int k = t - from;
        REAL *row = work->logits[t], weight = weights[k] / n_terms, mass = 1;
        if (weight == 0) {
            memset(row, 0, WIDE * sizeof(REAL));
            continue;
        }
        REAL chosen = soft ? 0 : row[labels[k]], top;
        if (soft) {
            mass = 0;
            for (int j = 0; j < VOCAB; j++) {
                mass += soft[k * VOCAB + j];
                chosen += soft[k * VOCAB + j] * row[j];
            }
        }
        REAL total = exponentials(row, work->words, WIDE, &top);
        loss += weight * (mass * ((REAL)log(total) + top) - chosen);
        REAL factor = weight * mass / total;
        for (int j = 0; j < WIDE; j += LANES) store(row + j, load(row + j) * factor);
        if (soft)
            for (int j = 0; j < VOCAB; j++) row[j] -= weight * soft[k * VOCAB + j];
        else
            row[labels[k]] -= weight;
    }
    return loss;
}

/* Add the gradient of a batch to grad [models, n_params], where it trains; put the losses in.

   Args:
       n_models, n_rows, n_all_rows: Models, rows of the batch, rows of the dataset.
       length, predicted: Tokens that are read, and how many at the end are predicted.
       params, grad: [models, n_params].
       losses: [models].
       tokens: [models or 1, all rows, length + 1]; labels and weights: [..., predicted]; soft:
           [..., predicted, VOCAB] or NULL; prefix: [models, all rows, length, D] or NULL: the
           stream before the block `lowest`.
       shared: Whether tokens, labels, weights, soft are the same for all models, each 0 or 1.
       rows: [n_rows], which rows.
       trains: For each parameter, in their order, whether it trains.
       lowest: The lowest block that trains, LAYERS if none; below it nothing needs a gradient.
   Returns 0, or 1 if there is no memory. */
int gradient(int n_models, int n_rows, int64_t n_all_rows, int length, int predicted,
             int64_t n_params, const REAL *params, REAL *grad, REAL *losses, const int64_t *tokens,
             const int64_t *labels, const REAL *weights, const REAL *soft, const REAL *prefix,
             const uint8_t *shared, const int64_t *rows, const uint8_t *trains, int lowest)
{
    Work *work = malloc(sizeof(Work));
    if (!work) return 1;
    const int from = length - predicted, trains_embedding = trains[0] || trains[1];
    const uint8_t *trains_block = trains + 2, trains_unembedding = trains[2 + 4 * LAYERS];
    const REAL n_terms = (REAL)n_rows * predicted;
    for (int model = 0; model < n_models; model++) {
        const REAL *w = params + model * n_params;
        REAL *g = grad + model * n_params;
        prepare(w, work, 1);
        memset(work->d_unembedding, 0, sizeof(work->d_unembedding));
        losses[model] = 0;
        for (int b = 0; b < n_rows; b++) {
            const int64_t row = rows[b];
#define ROW_OF(what, size) ((what) + ((shared[what##_] ? 0 : model * n_all_rows) + row) * (size))
            enum { tokens_, labels_, weights_, soft_ };
            const REAL *row_weights = ROW_OF(weights, predicted);
            int has_loss = 0;
            for (int k = 0; k < predicted; k++) has_loss |= row_weights[k] != 0;
            if (!has_loss) continue;
            const int64_t *row_tokens = ROW_OF(tokens, length + 1);
            int block = 0;
            if (prefix) {
                block = lowest < LAYERS ? lowest : LAYERS - 1;
                memcpy(work->x, prefix + (model * n_all_rows + row) * length * D,
                       (size_t)length * D * sizeof(REAL));
            } else {
                embed(w, row_tokens, 0, length, work);
            }
            for (; block < LAYERS; block++)
                block_forward(block_of(w, block), work, &work->blocks[block], 0, length,
                              block == LAYERS - 1 ? from : 0);
            unembed(work, from, length);
            losses[model] += row_loss(work, length, from, ROW_OF(labels, predicted), row_weights,
                                      soft ? ROW_OF(soft, predicted * VOCAB) : NULL, n_terms);
            if (trains_unembedding)
                product_of_columns(D, WIDE, predicted, work->final[from], D, work->logits[from],
                                   WIDE, work->d_unembedding[0], WIDE);
            if (lowest == LAYERS) continue;
            product(predicted, D, WIDE, work->logits[from], WIDE, work->unembedding_t[0], D,
                    work->d_normed[from], D, 0);
            layer_norm_backward(work->d_normed, work->final, work->final_scale, work->d, from,
                                length, 0);
            for (block = LAYERS - 1; block >= lowest; block--)
                block_backward(work, block, length, block == LAYERS - 1 ? from : 0,
                               trains_block + 4 * block, (REAL *)block_of(g, block),
                               block == lowest && !trains_embedding);
            if (trains[0])
                for (int t = 0; t < length; t++)
                    for (int i = 0; i < D; i++) g[row_tokens[t] * D + i] += work->d[t][i];
            if (trains[1])
                for (int t = 0; t < length; t++)
                    for (int i = 0; i < D; i++) g[(VOCAB + t) * D + i] += work->d[t][i];
        }
        if (trains_unembedding) {
            REAL *d_U = (REAL *)block_of(g, LAYERS);
            for (int i = 0; i < D; i++)
                for (int j = 0; j < VOCAB; j++) d_U[i * VOCAB + j] += work->d_unembedding[i][j];
        }
    }
    free(work);
    return 0;
}

/* Write the logits at the last positions: out [models, rows, n_last, VOCAB].

   Args:
       n_models, n_rows, length, n_last: Models, rows, tokens of a row, positions that are read out.
       params: [models, n_params].
       tokens: [models or 1, rows, length]; is_shared says which.
   Returns 0, or 1 if there is no memory. */
int logits(int n_models, int64_t n_rows, int length, int n_last, int64_t n_params,
           const REAL *params, const int64_t *tokens, int is_shared, REAL *out)
{
    Work *work = malloc(sizeof(Work));
    if (!work) return 1;
    const int from = length - n_last;
    for (int model = 0; model < n_models; model++) {
        const REAL *w = params + model * n_params;
        prepare(w, work, 0);
        for (int64_t row = 0; row < n_rows; row++) {
            embed(w, tokens + ((is_shared ? 0 : model * n_rows) + row) * length, 0, length, work);
            for (int block = 0; block < LAYERS; block++)
                block_forward(block_of(w, block), work, &work->blocks[0], 0, length,
                              block == LAYERS - 1 ? from : 0);
            unembed(work, from, length);
            for (int t = from; t < length; t++, out += VOCAB)
                memcpy(out, work->logits[t], VOCAB * sizeof(REAL));
        }
    }
    free(work);
    return 0;
}

/* Return the token that a row of logits leads to: the most likely one, or the one drawn by u. */
static int64_t choose_token(Work *work, REAL *row, const REAL *u, REAL temperature)
{
    if (!u) {
        int best = 0;
        for (int j = 1; j < VOCAB; j++) best = row[j] > row[best] ? j : best;
        return best;
    }
    REAL top, sum_so_far = 0;
    for (int j = 0; j < VOCAB; j++) row[j] /= temperature;
    REAL goal = *u * exponentials(row, work->words, WIDE, &top);
    for (int j = 0; j < VOCAB; j++) {
        sum_so_far += row[j];
        if (sum_so_far > goal) return j;
    }
    return VOCAB - 1;
}

/* Write the next tokens of each prompt: out [models, rows, n_tokens].

   Args:
       n_models, n_rows, length, n_tokens: Models, rows, tokens of a prompt, tokens to write.
       params: [models, n_params].
       prompts: [models or 1, rows, length]; is_shared says which.
       uniforms: [rows, n_tokens] in [0, 1), by which tokens are drawn; NULL for the most likely.
       temperature: Divides the logits before drawing.
   Returns 0, or 1 if there is no memory. */
int generate(int n_models, int64_t n_rows, int length, int n_tokens, int64_t n_params,
             const REAL *params, const int64_t *prompts, int is_shared, const REAL *uniforms,
             double temperature, int64_t *out)
{
    Work *work = malloc(sizeof(Work));
    if (!work) return 1;
    for (int model = 0; model < n_models; model++) {
        const REAL *w = params + model * n_params;
        prepare(w, work, 0);
        for (int64_t row = 0; row < n_rows; row++, out += n_tokens) {
            embed(w, prompts + ((is_shared ? 0 : model * n_rows) + row) * length, 0, length, work);
            for (int k = 0, first = 0, n = length; k < n_tokens; k++, first = n++) {
                if (k) embed(w, out + k - 1, first, n, work);
                for (int block = 0; block < LAYERS; block++)
                    block_forward(block_of(w, block), work, &work->blocks[block], first, n,
                                  block == LAYERS - 1 ? n - 1 : first);
                unembed(work, n - 1, n);
                out[k] = choose_token(work, work->logits[n - 1],
                                      uniforms ? uniforms + row * n_tokens + k : NULL,
                                      (REAL)temperature);
            }
        }
    }
    free(work);
    return 0;
}
