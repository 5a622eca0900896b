// A graph convolution's linear part, a ReLU and a GRU over all steps, for one block of services after the other.
//
// A block's state, its inputs of one step and the weights stay in the processor's cache, and gates are applied while
// their sums are still in registers. Compiled once for each instruction set, by scripts/build-native.sh; tidecast_predictor
// .recurrence chooses one, and does the same with PyTorch where there is none. Called through a C interface, so that it
// does not depend on the version of Python or PyTorch.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

#ifdef __AVX512F__
constexpr int LANES = 16;
#else
constexpr int LANES = 8;
#endif
constexpr int TILE = 12;  // rows whose sums are held in registers at a time
constexpr int ROWS = 96;  // of a block

typedef float V __attribute__((vector_size(LANES * 4)));
typedef int32_t I __attribute__((vector_size(LANES * 4)));

inline V load(const float* at) {
    V v;
    std::memcpy(&v, at, sizeof(v));
    return v;
}

inline void store(float* at, V v) { std::memcpy(at, &v, sizeof(v)); }

inline V all(float x) { return V{} + x; }

inline V choose(I mask, V yes, V no) { return (V)(((I)yes & mask) | ((I)no & ~mask)); }

// 2^n * e^f with |f| <= ln(2) / 2, e^f by its Taylor series; the error is a few units in the last place.
inline V exponential(V x) {
    x = choose(x > all(87.0f), all(87.0f), x);
    x = choose(x < all(-87.0f), all(-87.0f), x);
    const V shifted = x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: the integer lies in the lowest bits
    const I n = (I)shifted - (I)all(12582912.0f);
    const V whole = shifted - 12582912.0f;
    const V f = (x - whole * 0.693145752f) - whole * 1.42860677e-6f;  // ln(2) in two parts, the first without rounding
    V sum = all(1.0f / 5040);
    sum = sum * f + 1.0f / 720;
    sum = sum * f + 1.0f / 120;
    sum = sum * f + 1.0f / 24;
    sum = sum * f + 1.0f / 6;
    sum = sum * f + 0.5f;
    sum = sum * f + 1.0f;
    sum = sum * f + 1.0f;
    return sum * (V)((n + 127) << 23);
}

inline V sigmoid(V x) { return 1.0f / (1.0f + exponential(-x)); }

inline V tanh(V x) { return 1.0f - 2.0f / (1.0f + exponential(x + x)); }

struct Sums {
    V row[TILE];

    inline void begin(V bias) {
#pragma GCC unroll 12
        for (int m = 0; m < TILE; m++) row[m] = bias;
    }

    // Add rows of *a*, `width` numbers each, times a panel of weights.
    inline void add(const float* a, const float* panel, int width) {
        for (int k = 0; k < width; k++) {
            const V weight = load(panel + k * LANES);
#pragma GCC unroll 12
            for (int m = 0; m < TILE; m++) row[m] += a[m * width + k] * weight;
        }
    }
};

struct Memory {  // aligned, zero at first
    explicit Memory(size_t count) : size((count * 4 + 63) / 64 * 64), at((float*)std::aligned_alloc(64, size)) {
        if (at) std::memset(at, 0, size);
    }
    ~Memory() { std::free(at); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    size_t size;
    float* at;
};

// (outputs, width) as PyTorch keeps weights, to panels of LANES outputs each, (outputs / LANES, width, LANES).
void pack(const float* weights, int outputs, int width, float* panels) {
    for (int o = 0; o < outputs; o++)
        for (int k = 0; k < width; k++)
            panels[((size_t)(o / LANES) * width + k) * LANES + o % LANES] = weights[(size_t)o * width + k];
}

struct Work {
    const float* const* parts;  // each (services, steps, channels)
    int count;
    int64_t services;
    int steps, channels, hidden;
    const float *clock;                        // (steps, hidden), the convolution's bias included
    const float *convolution, *input, *state;  // panels of (hidden, count * channels), (3 hidden, hidden) twice
    const float *input_bias, *state_bias;      // (3 hidden): reset, update, new
    const float* before;                       // (services, hidden) or null
    float* after;                              // (services, hidden)
};

void block(const Work& w, int64_t begin, int rows, float* inputs, float* x, float* h, float* next) {
    const int D = w.hidden, C = w.channels, width = w.count * C, panels = D / LANES;
    const int tiled = (rows + TILE - 1) / TILE * TILE;
    if (w.before)
        std::memcpy(h, w.before + begin * D, sizeof(float) * rows * D);
    else
        std::memset(h, 0, sizeof(float) * rows * D);
    for (int t = 0; t < w.steps; t++) {
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < w.count; c++)
                std::memcpy(inputs + r * width + c * C, w.parts[c] + ((begin + r) * w.steps + t) * C, sizeof(float) * C);
        for (int p = 0; p < panels; p++) {
            const V bias = load(w.clock + (int64_t)t * D + p * LANES);
            for (int r = 0; r < tiled; r += TILE) {
                Sums sums;
                sums.begin(bias);
                sums.add(inputs + r * width, w.convolution + (size_t)p * width * LANES, width);
#pragma GCC unroll 12
                for (int m = 0; m < TILE; m++)
                    store(x + (r + m) * D + p * LANES, choose(sums.row[m] > V{}, sums.row[m], V{}));
            }
        }
        for (int p = 0; p < panels; p++) {
            const size_t panel = (size_t)D * LANES;
            const int reset = p, update = panels + p, fresh = 2 * panels + p;
            const V reset_bias = load(w.input_bias + reset * LANES) + load(w.state_bias + reset * LANES);
            const V update_bias = load(w.input_bias + update * LANES) + load(w.state_bias + update * LANES);
            const V input_bias = load(w.input_bias + fresh * LANES), state_bias = load(w.state_bias + fresh * LANES);
            for (int r = 0; r < tiled; r += TILE) {
                const float *xr = x + r * D, *hr = h + r * D;
                Sums news, gate;
                news.begin(state_bias);
                news.add(hr, w.state + fresh * panel, D);
                gate.begin(reset_bias);
                gate.add(xr, w.input + reset * panel, D);
                gate.add(hr, w.state + reset * panel, D);
#pragma GCC unroll 12
                for (int m = 0; m < TILE; m++) news.row[m] = input_bias + sigmoid(gate.row[m]) * news.row[m];
                news.add(xr, w.input + fresh * panel, D);
                gate.begin(update_bias);
                gate.add(xr, w.input + update * panel, D);
                gate.add(hr, w.state + update * panel, D);
#pragma GCC unroll 12
                for (int m = 0; m < TILE; m++) {
                    const V fresh_value = tanh(news.row[m]), held = load(hr + m * D + p * LANES);
                    store(next + (r + m) * D + p * LANES, fresh_value + sigmoid(gate.row[m]) * (held - fresh_value));
                }
            }
        }
        std::swap(h, next);
    }
    std::memcpy(w.after + begin * D, h, sizeof(float) * rows * D);
}

void blocks(const Work& w, std::atomic<int64_t>& taken, std::atomic<int>& failed) {
    const size_t width = (size_t)w.count * w.channels;
    Memory memory(ROWS * (3 * (size_t)w.hidden + width));
    if (!memory.at) {
        failed = 1;
        return;
    }
    float *x = memory.at, *h = x + ROWS * w.hidden, *next = h + ROWS * w.hidden, *inputs = next + ROWS * w.hidden;
    for (int64_t begin; (begin = taken.fetch_add(ROWS)) < w.services;)
        block(w, begin, (int)std::min<int64_t>(ROWS, w.services - begin), inputs, x, h, next);
}

}  // namespace

// Writes the state after the last step to *after*. Returns 0, or 1 where the hidden width does not suit, or 2 where
// memory is short.
extern "C" int tidecast_recur(const float* const* parts, int count, int64_t services, int steps, int channels,
                              int hidden, const float* clock, const float* convolution, const float* input,
                              const float* state, const float* input_bias, const float* state_bias,
                              const float* before, float* after, int threads) {
    if (hidden % LANES) return 1;
    const int width = count * channels;
    const size_t recurrent = (size_t)3 * hidden * hidden;
    Memory panels((size_t)hidden * width + 2 * recurrent);
    if (!panels.at) return 2;
    float *convolution_panels = panels.at + 2 * recurrent, *input_panels = panels.at, *state_panels = panels.at + recurrent;
    pack(convolution, hidden, width, convolution_panels);
    pack(input, 3 * hidden, hidden, input_panels);
    pack(state, 3 * hidden, hidden, state_panels);
    const Work work{parts,  count,      services,   steps,  channels, hidden, clock, convolution_panels, input_panels, state_panels,
                    input_bias, state_bias, before, after};
    std::atomic<int64_t> taken{0};
    std::atomic<int> failed{0};
    const int hands = (int)std::min<int64_t>(threads, (services + ROWS - 1) / ROWS);
    std::vector<std::thread> others;
    try {
        for (int i = 1; i < hands; i++) others.emplace_back([&] { blocks(work, taken, failed); });
    } catch (...) {
        // Fewer threads than asked for do the same.
    }
    blocks(work, taken, failed);
    for (auto& other : others) other.join();
    return failed ? 2 : 0;
}
