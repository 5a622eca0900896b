// The gradients of what recurrence.cpp computes, from the last step to the first, for one block of services after the other.
//
// Of the way there only the states are kept: the gates of a step are computed anew, in the cache, for less than it costs to
// bring them back from memory. Sums over services are taken in one order however many threads there are, so the same
// inputs have the same gradients, to the bit.

#include "step.h"

namespace {

constexpr int BACK_ROWS = 48;  // of a block, at most: a step back holds more numbers of each row than one ahead
constexpr int GROUPS = 64;     // of blocks, at most: each has sums of its own
constexpr int ACROSS = 8;      // columns of the convolution's outputs whose sums are held in registers at a time

// (width, outputs) to panels of LANES outputs each, (outputs / LANES, width, LANES), of which *width* may be a part.
void pack_across(const float* weights, int outputs, int begin, int end, int to, int whole, float* panels) {
    for (int k = begin; k < end; k++)
        for (int o = 0; o < outputs; o++)
            panels[((size_t)(o / LANES) * whole + to + k - begin) * LANES + o % LANES] = weights[(size_t)k * outputs + o];
}

struct Work {
    Inputs inputs;
    Weights weights;
    int64_t services;
    int rows, padded;                      // of a block; of the inputs, to whole panels
    const float* bias;                     // (hidden), of the convolution
    const float *input_back, *state_back;  // panels of (hidden, 3 hidden): new, reset, update; reset, update, new
    const float* course;                   // (services, steps, hidden)
    const float* slopes;                   // the same, of the states
};

// Sums over the services of a group of blocks.
struct Sum {
    Sum(const Work& w, float* at)
        : input(at), state(input + w.weights.hidden * 3 * w.weights.hidden),
          convolution(state + w.weights.hidden * 3 * w.weights.hidden), gates(convolution + w.weights.hidden * w.padded),
          bias(gates + 4 * w.weights.hidden) {}

    static size_t numbers(int D, int padded) { return (size_t)6 * D * D + (size_t)D * padded + 5 * D; }

    float *input, *state;  // (3 hidden, hidden), in the order of their panels
    float* convolution;    // (hidden, padded)
    float* gates;          // (4 hidden): new, reset, update, and new's of the state
    float* bias;           // (hidden), of the convolution
};

// What a block holds; `G` has the slopes of what goes into the gates, in the order of Sum::gates.
struct Block {
    Block(int rows, int D, float* at)
        : stride(4 * D + LANES), x(at), h(x + rows * D), dx(h + rows * D), dh(dx + rows * D), G(dh + rows * D),
          inputs(G + rows * stride) {}

    static size_t numbers(int rows, int D, int padded) { return (size_t)rows * (8 * D + LANES + padded); }

    int stride;  // of G; no power of two, as its columns would then want the same few places of the cache
    float *x, *h, *dx, *dh, *G, *inputs;
};

// The slopes of one step's gates; of the state before, only what goes past the gates.
void through_gates(const Weights& w, const Block& b, int tiled) {
    const int D = w.hidden;
    for (int p = 0; p < D / LANES; p++)
        for (int r = 0; r < tiled; r += TILE) {
            Gates g;
            gates(w, p, b.x + r * D, b.h + r * D, g);
#pragma GCC unroll 16
            for (int m = 0; m < TILE; m++) {
                const int at = (r + m) * D + p * LANES;
                float* to = b.G + (r + m) * b.stride + p * LANES;
                const V slope = load(b.dh + at), reset = g.reset.row[m], update = g.update.row[m], fresh = g.fresh.row[m];
                const V of_fresh = slope * (1.0f - update) * (1.0f - fresh * fresh);
                store(to, of_fresh);
                store(to + D, of_fresh * g.held.row[m] * reset * (1.0f - reset));
                store(to + 2 * D, slope * (load(b.h + at) - fresh) * update * (1.0f - update));
                store(to + 3 * D, of_fresh * reset);
                store(b.dh + at, slope * update);
            }
        }
}

// Add to (outputs, inputs) the products of the columns of two blocks; HEIGHT divides *outputs*.
template <int HEIGHT>
void add_products(const float* a, int a_stride, int outputs, const float* b, int b_stride, int rows, float* sums) {
    for (int o = 0; o < outputs; o += HEIGHT)
        for (int p = 0; p < b_stride; p += LANES) {
            Sums<HEIGHT> sum;
            sum.begin(sums + o * b_stride + p, b_stride);
            sum.add_across(a + o, a_stride, b + p, b_stride, rows);
            sum.end(sums + o * b_stride + p, b_stride);
        }
}

void add_rows(const float* a, int stride, int width, int rows, float* sums) {
    for (int p = 0; p < width; p += LANES) {
        V sum = load(sums + p);
        for (int r = 0; r < rows; r++) sum += load(a + r * stride + p);
        store(sums + p, sum);
    }
}

void block(const Work& w, int64_t begin, int rows, const Block& b, const Sum& sum) {
    const int D = w.weights.hidden, steps = w.inputs.steps, tiled = tiles(rows), whole = 3 * D;
    std::memset(b.dh, 0, sizeof(float) * tiled * D);
    for (int t = steps - 1; t >= 0; t--) {
        w.inputs.gather(begin, rows, t, b.inputs, w.padded);
        convolve(w.weights, b.inputs, w.padded, w.bias, tiled, b.x);
        for (int r = 0; r < rows; r++) {
            const int64_t at = ((begin + r) * steps + t) * D;
            if (t)
                std::memcpy(b.h + r * D, w.course + at - D, sizeof(float) * D);
            else
                std::memset(b.h + r * D, 0, sizeof(float) * D);
            for (int d = 0; d < D; d += LANES) store(b.dh + r * D + d, load(b.dh + r * D + d) + load(w.slopes + at + d));
        }
        through_gates(w.weights, b, tiled);
        for (int p = 0; p < D / LANES; p++) {
            const size_t panel = (size_t)p * whole * LANES;
            for (int r = 0; r < tiled; r += TILE) {
                const int at = r * D + p * LANES;
                Sums<> back;
                back.begin(V{});
                back.add(b.G + r * b.stride, b.stride, w.input_back + panel, whole);
#pragma GCC unroll 16
                for (int m = 0; m < TILE; m++) store(b.dx + at + m * D, choose(load(b.x + at + m * D) == V{}, V{}, back.row[m]));
                if (!t) continue;
                back.begin(b.dh + at, D);
                back.add(b.G + r * b.stride + D, b.stride, w.state_back + panel, whole);
                back.end(b.dh + at, D);
            }
        }
        add_products<TILE>(b.G, b.stride, whole, b.x, D, rows, sum.input);
        if (t) add_products<TILE>(b.G + D, b.stride, whole, b.h, D, rows, sum.state);
        add_products<ACROSS>(b.dx, D, D, b.inputs, w.padded, rows, sum.convolution);
        add_rows(b.G, b.stride, 4 * D, rows, sum.gates);
        add_rows(b.dx, D, D, rows, sum.bias);
    }
}

}  // namespace

// Of states *course* with slopes *slopes*, both (services, steps, hidden), writes the slopes of the weights, each shaped as
// the weights. There was no state before the first step. Returns as tidecast_recur does.
extern "C" int tidecast_recur_back(const float* const* parts, const int* widths, int count, int64_t services, int steps,
                                   int hidden, const float* bias, const float* convolution, const float* input,
                                   const float* state, const float* input_bias, const float* state_bias,
                                   const float* course, const float* slopes, float* of_bias, float* of_convolution,
                                   float* of_input, float* of_state, float* of_input_bias, float* of_state_bias,
                                   int threads) {
    if (hidden % LANES) return 1;
    const Inputs inputs{parts, widths, count, steps};
    const int D = hidden, width = inputs.width(), padded = (width + LANES - 1) / LANES * LANES, rows = block_rows(services, BACK_ROWS);
    const int64_t blocks = (services + rows - 1) / rows, groups = std::min<int64_t>(blocks, GROUPS);
    const size_t recurrent = (size_t)3 * D * D, numbers = Sum::numbers(D, padded);
    const Packed packed(D, width, convolution, input, state);
    const Memory back(2 * recurrent), sums(numbers * std::max<int64_t>(groups, 1));
    if (!packed.panels.at || !back.at || !sums.at) return 2;
    pack_across(input, D, 2 * D, 3 * D, 0, 3 * D, back.at);
    pack_across(input, D, 0, 2 * D, D, 3 * D, back.at);
    pack_across(state, D, 0, 3 * D, 0, 3 * D, back.at + recurrent);
    const Work work{inputs, packed.weights(D, width, input_bias, state_bias), services, rows, padded, bias, back.at,
                    back.at + recurrent, course, slopes};
    const bool done = share(groups, threads, [&](auto next_group) {
        const Memory memory(Block::numbers(rows, D, padded));
        if (!memory.at) return false;
        const Block scratch(rows, D, memory.at);
        for (int64_t group; (group = next_group()) >= 0;) {
            const Sum sum(work, sums.at + group * numbers);
            for (int64_t i = group * blocks / groups; i < (group + 1) * blocks / groups; i++)
                block(work, i * rows, (int)std::min<int64_t>(rows, services - i * rows), scratch, sum);
        }
        return true;
    });
    if (!done) return 2;
    for (int64_t group = 1; group < groups; group++)
        for (size_t i = 0; i < numbers; i++) sums.at[i] += sums.at[group * numbers + i];
    const Sum sum(work, sums.at);
    const size_t one = sizeof(float) * D, square = one * D;
    std::memcpy(of_input + 2 * D * D, sum.input, square);
    std::memcpy(of_input, sum.input + D * D, 2 * square);
    std::memcpy(of_state, sum.state, 3 * square);
    for (int d = 0; d < D; d++) std::memcpy(of_convolution + (size_t)d * width, sum.convolution + (size_t)d * padded, sizeof(float) * width);
    std::memcpy(of_input_bias + 2 * D, sum.gates, one);
    std::memcpy(of_input_bias, sum.gates + D, 2 * one);
    std::memcpy(of_state_bias, sum.gates + D, 3 * one);
    std::memcpy(of_bias, sum.bias, one);
    return 0;
}
