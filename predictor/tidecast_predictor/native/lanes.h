// Vectors as wide as the processor's registers, the gates' functions on them, and memory that is aligned to them.
//
// Whatever is not a number stays so: comparisons are written so that they let it through.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

#ifdef __AVX512F__
constexpr int LANES = 16;
#else
constexpr int LANES = 8;
#endif

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

inline V rectified(V x) { return choose(x < V{}, V{}, x); }

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
