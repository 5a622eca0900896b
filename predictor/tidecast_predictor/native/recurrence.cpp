// A graph convolution's linear part, a ReLU and a GRU over all steps, for one block of services after the other.
//
// A block's state, its inputs of one step and the weights stay in the processor's cache, and gates are applied while
// their sums are still in registers. Compiled once for each instruction set, by scripts/build-native.sh; tidecast_predictor
// .compiled chooses one, and tidecast_predictor.recurrence does the same with PyTorch where there is none. Called through a
// C interface, so that it does not depend on the version of Python or PyTorch.

#include "step.h"

namespace {

struct Work {
    Inputs inputs;
    Weights weights;
    int64_t services;
    const float* clock;   // (steps, hidden), the convolution's bias included
    const float* before;  // (services, hidden) or null
    float* after;         // (services, hidden) or null
    float* course;        // (services, steps, hidden) or null
};

void block(const Work& w, int64_t begin, int rows, float* inputs, float* x, float* h, float* next) {
    const int D = w.weights.hidden, width = w.weights.width, steps = w.inputs.steps, tiled = tiles(rows);
    if (w.before)
        std::memcpy(h, w.before + begin * D, sizeof(float) * rows * D);
    else
        std::memset(h, 0, sizeof(float) * rows * D);
    for (int t = 0; t < steps; t++) {
        w.inputs.gather(begin, rows, t, inputs, width);
        convolve(w.weights, inputs, width, w.clock + (int64_t)t * D, tiled, x);
        for (int p = 0; p < D / LANES; p++)
            for (int r = 0; r < tiled; r += TILE) {
                Gates g;
                gates(w.weights, p, x + r * D, h + r * D, g);
#pragma GCC unroll 16
                for (int m = 0; m < TILE; m++) {
                    const int at = (r + m) * D + p * LANES;
                    store(next + at, g.fresh.row[m] + g.update.row[m] * (load(h + at) - g.fresh.row[m]));
                }
            }
        std::swap(h, next);
        if (w.course)
            for (int r = 0; r < rows; r++)
                std::memcpy(w.course + ((begin + r) * steps + t) * D, h + r * D, sizeof(float) * D);
    }
    if (w.after) std::memcpy(w.after + begin * D, h, sizeof(float) * rows * D);
}

}  // namespace

// Writes the state after the last step to *after*, and those after all steps to *course*; either may be null. Returns 0,
// or 1 where the hidden width does not suit, or 2 where memory is short.
extern "C" int tidecast_recur(const float* const* parts, const int* widths, int count, int64_t services, int steps,
                              int hidden, const float* clock, const float* convolution, const float* input,
                              const float* state, const float* input_bias, const float* state_bias,
                              const float* before, float* after, float* course, int threads) {
    if (hidden % LANES) return 1;
    const Inputs inputs{parts, widths, count, steps};
    const int width = inputs.width(), rows = block_rows(services, ROWS);
    const Packed packed(hidden, width, convolution, input, state);
    if (!packed.panels.at) return 2;
    const Work work{inputs, packed.weights(hidden, width, input_bias, state_bias), services, clock, before, after, course};
    const bool done = share((services + rows - 1) / rows, threads, [&](auto next_block) {
        const size_t numbers = (size_t)rows * hidden;
        const Memory memory(3 * numbers + (size_t)rows * width);
        if (!memory.at) return false;
        for (int64_t taken; (taken = next_block()) >= 0;) {
            const int64_t begin = taken * rows;
            block(work, begin, (int)std::min<int64_t>(rows, services - begin), memory.at + 3 * numbers, memory.at,
                  memory.at + numbers, memory.at + 2 * numbers);
        }
        return true;
    });
    return done ? 0 : 2;
}
