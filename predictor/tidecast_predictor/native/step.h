// One step of a block of services: the convolution's linear part, a ReLU and the gates, in sums that stay in registers.

#pragma once

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "lanes.h"

constexpr int TILE = 12;  // rows whose sums are held in registers at a time
constexpr int ROWS = 96;  // of a block, at most
constexpr int SHARES = 8;  // blocks there should be, lest one thread has nothing to do

// Sums of HEIGHT rows in one panel of outputs.
template <int HEIGHT = TILE>
struct Sums {
    V row[HEIGHT];

    inline void begin(V bias) {
#pragma GCC unroll 16
        for (int m = 0; m < HEIGHT; m++) row[m] = bias;
    }

    inline void begin(const float* at, int stride) {
#pragma GCC unroll 16
        for (int m = 0; m < HEIGHT; m++) row[m] = load(at + m * stride);
    }

    inline void end(float* at, int stride) const {
#pragma GCC unroll 16
        for (int m = 0; m < HEIGHT; m++) store(at + m * stride, row[m]);
    }

    // Add rows of *a*, `width` numbers each, times a panel of weights.
    inline void add(const float* a, int stride, const float* panel, int width) {
        for (int k = 0; k < width; k++) {
            const V weight = load(panel + k * LANES);
#pragma GCC unroll 16
            for (int m = 0; m < HEIGHT; m++) row[m] += a[m * stride + k] * weight;
        }
    }

    // Add HEIGHT columns of *a*, times one panel's columns of *b*, over all their rows.
    inline void add_across(const float* a, int a_stride, const float* b, int b_stride, int rows) {
        for (int k = 0; k < rows; k++) {
            const V right = load(b + k * b_stride);
#pragma GCC unroll 16
            for (int m = 0; m < HEIGHT; m++) row[m] += a[k * a_stride + m] * right;
        }
    }
};

// (outputs, width) as PyTorch keeps weights, to panels of LANES outputs each, (outputs / LANES, width, LANES).
inline void pack(const float* weights, int outputs, int width, float* panels) {
    for (int o = 0; o < outputs; o++)
        for (int k = 0; k < width; k++)
            panels[((size_t)(o / LANES) * width + k) * LANES + o % LANES] = weights[(size_t)o * width + k];
}

struct Inputs {
    const float* const* parts;  // each (services, steps, its width)
    const int* widths;
    int count, steps;

    int width() const {
        int sum = 0;
        for (int c = 0; c < count; c++) sum += widths[c];
        return sum;
    }

    // Write what all parts have at a step side by side.
    void gather(int64_t begin, int rows, int t, float* to, int stride) const {
        for (int c = 0; c < count; c++) {
            for (int r = 0; r < rows; r++)
                std::memcpy(to + r * stride, parts[c] + ((begin + r) * steps + t) * widths[c], sizeof(float) * widths[c]);
            to += widths[c];
        }
    }
};

struct Weights {
    int hidden, width;                         // width: of all inputs together
    const float *convolution, *input, *state;  // panels of (hidden, width), (3 hidden, hidden) twice
    const float *input_bias, *state_bias;      // (3 hidden): reset, update, new
};

struct Packed {
    Packed(int hidden, int width, const float* convolution, const float* input, const float* state)
        : panels((size_t)hidden * width + 6 * (size_t)hidden * hidden) {
        if (!panels.at) return;
        const size_t recurrent = (size_t)3 * hidden * hidden;
        pack(input, 3 * hidden, hidden, panels.at);
        pack(state, 3 * hidden, hidden, panels.at + recurrent);
        pack(convolution, hidden, width, panels.at + 2 * recurrent);
    }

    Weights weights(int hidden, int width, const float* input_bias, const float* state_bias) const {
        const size_t recurrent = (size_t)3 * hidden * hidden;
        return {hidden, width, panels.at + 2 * recurrent, panels.at, panels.at + recurrent, input_bias, state_bias};
    }

    Memory panels;
};

// The convolution of `tiled` rows of inputs, and its ReLU.
inline void convolve(const Weights& w, const float* inputs, int stride, const float* clock, int tiled, float* x) {
    for (int p = 0; p < w.hidden / LANES; p++) {
        const V bias = load(clock + p * LANES);
        for (int r = 0; r < tiled; r += TILE) {
            Sums<> sums;
            sums.begin(bias);
            sums.add(inputs + r * stride, stride, w.convolution + (size_t)p * w.width * LANES, w.width);
#pragma GCC unroll 16
            for (int m = 0; m < TILE; m++) store(x + (r + m) * w.hidden + p * LANES, rectified(sums.row[m]));
        }
    }
}

// Of one panel of hidden numbers, for TILE rows: what the gates say, and what the state adds to the new value.
struct Gates {
    Sums<> reset, update, fresh, held;
};

inline __attribute__((always_inline)) void gates(const Weights& w, int p, const float* x, const float* h, Gates& g) {
    const int D = w.hidden, panels = D / LANES;
    const size_t panel = (size_t)D * LANES;
    const int reset = p, update = panels + p, fresh = 2 * panels + p;
    Sums<> held, gate;
    held.begin(load(w.state_bias + fresh * LANES));
    held.add(h, D, w.state + fresh * panel, D);
    gate.begin(load(w.input_bias + reset * LANES) + load(w.state_bias + reset * LANES));
    gate.add(x, D, w.input + reset * panel, D);
    gate.add(h, D, w.state + reset * panel, D);
    g.held = held;
    const V bias = load(w.input_bias + fresh * LANES);
#pragma GCC unroll 16
    for (int m = 0; m < TILE; m++) {
        g.reset.row[m] = sigmoid(gate.row[m]);
        held.row[m] = bias + g.reset.row[m] * held.row[m];
    }
    held.add(x, D, w.input + fresh * panel, D);
    gate.begin(load(w.input_bias + update * LANES) + load(w.state_bias + update * LANES));
    gate.add(x, D, w.input + update * panel, D);
    gate.add(h, D, w.state + update * panel, D);
#pragma GCC unroll 16
    for (int m = 0; m < TILE; m++) {
        g.fresh.row[m] = tanh(held.row[m]);
        g.update.row[m] = sigmoid(gate.row[m]);
    }
}

inline int tiles(int64_t rows) { return (int)((rows + TILE - 1) / TILE * TILE); }

// Rows of a block; depends on nothing but what there is to do, as sums over blocks may do.
inline int block_rows(int64_t services, int most) {
    return (int)std::clamp<int64_t>(((services + SHARES - 1) / SHARES + TILE - 1) / TILE * TILE, TILE, most);
}

// Do `count` things by *threads* threads, whichever is free; *work* is made for each thread and returns whether it could.
template <class Worker>
bool share(int64_t count, int threads, Worker work) {
    std::atomic<int64_t> taken{0};
    std::atomic<bool> failed{false};
    const auto run = [&] {
        if (!work([&] { const int64_t next = taken.fetch_add(1); return next < count ? next : -1; })) failed = true;
    };
    std::vector<std::thread> others;
    try {
        for (int i = 1; i < (int)std::min<int64_t>(threads, count); i++) others.emplace_back(run);
    } catch (...) {
        // Fewer threads than asked for do the same.
    }
    run();
    for (auto& other : others) other.join();
    return !failed;
}
