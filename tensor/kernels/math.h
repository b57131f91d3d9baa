#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

/// Elementary functions for the bodies of kernel loops.
///
/// Each is a free function overloaded for float and double, and for Dual numbers in dual.h. The
/// float versions marked "own" have no branches and call nothing, so that a plain loop over them
/// vectorises; tests/tensor/math_test.cpp bounds their error over every exponent. Double goes to
/// the C library: it checks, float trains. Bounds are in units of the last place (ulp), for
/// processors with fused multiply-add; without it they are half a unit larger.
///
/// Every product that feeds a sum is written with `mul_add`: what the compiler contracts by itself
/// may differ between the body of a vectorised loop and its tail, and with it the last bit.
///
/// Limits, zeros of either sign, infinities and NaN come out as in C's <math.h>, and subnormal
/// numbers are exact to the same bounds; floating-point flags and errno are not kept.
namespace retrace::math {

/// a if `condition`, else b; both are computed.
template <class T>
inline T select(bool condition, T a, T b) {
  return condition ? a : b;
}

/// a b + c, rounded once where the processor can.
[[gnu::always_inline]] inline float mul_add(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
inline double mul_add(double a, double b, double c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// c0 + c1 x + c2 x^2 + ... by Horner's rule.
[[gnu::always_inline]] inline float polynomial(float, float c0) { return c0; }
template <class... C>
[[gnu::always_inline]] inline float polynomial(float x, float c0, C... c) {
  return mul_add(polynomial(x, c...), x, c0);
}

[[gnu::always_inline]] inline float abs(float x) { return std::fabs(x); }
inline double abs(double x) { return std::fabs(x); }

/// -1, 0 or 1; 0 for NaN.
template <class T>
inline T sign(T x) {
  return static_cast<T>(static_cast<int>(x > T(0)) - static_cast<int>(x < T(0)));
}

/// NaN if either is.
template <class T>
inline T max(T a, T b) {
  return select(a > b, a, select(a != a, a, b));
}
template <class T>
inline T min(T a, T b) {
  return select(a < b, a, select(a != a, a, b));
}

using std::sqrt;
/// 1 / sqrt(x).
[[gnu::always_inline]] inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }

// ---- exponentials ------------------------------------------------------------------------------

/// 1.5 * 2^23: adding it rounds |x| < 2^22 to a whole number, found in the low bits of the sum.
/// Adding a whole number to it, too, adds that number to what is found.
inline constexpr float kRound = 0x1.8p23f;

/// ln 2 = kLn2High + kLn2Low; the high part has 15 bits, so that its product with any exponent is
/// exact without a fused multiply-add, too.
inline constexpr float kLn2High = 0x1.62e4p-1f;
inline constexpr float kLn2Low =
    static_cast<float>(std::numbers::ln2 - static_cast<double>(kLn2High));

/// x 2^n with one rounding even where the result is subnormal, for n in [-252, 254] found in the
/// low bits of a sum with kRound + 254.
[[gnu::always_inline]] inline float scale_by_power_of_two(float x, uint32_t sum) {
  const uint32_t half = sum >> 1;
  return x * std::bit_cast<float>(half << 23) * std::bit_cast<float>((sum - half) << 23);
}

/// x = n ln 2 + r with |r| <= ln(2) / 2, for |x| < 2^20; the low bits of `sum` are n + kBias.
/// Above kMost n stays there and r grows: then the exponential is infinite anyway.
struct ExpArgument {
  uint32_t sum;
  float r;
};
template <int kBias, int kMost = 129>
inline ExpArgument reduce_exp(float x) {
  constexpr float kShift = kRound + kBias;
  constexpr int32_t kLargest = std::bit_cast<int32_t>(kShift + kMost);
  const float shifted = mul_add(x, std::numbers::log2e_v<float>, kShift);
  // As whole numbers: a minimum of floats that keeps NaN costs the compiler four instructions.
  const int32_t bits = std::bit_cast<int32_t>(shifted);
  const int32_t sum = bits < kLargest ? bits : kLargest;
  const float n = std::bit_cast<float>(sum) - kShift;
  return {static_cast<uint32_t>(sum), mul_add(n, -kLn2Low, mul_add(n, -kLn2High, x))};
}

/// (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2.
[[gnu::always_inline]] inline float exp_tail(float r) {
  return polynomial(r, 0.5f, 0.16666542f, 0.0416662805f, 0.00836670958f, 0.00139466324f);
}

/// exp(x) for x in [-87, 88] only: no subnormal result, no overflow.
[[gnu::always_inline]] inline float exp_normal(float x) {
  const auto [sum, r] = reduce_exp<127>(x);
  return polynomial(r, 1.0f, 1.0f, exp_tail(r)) * std::bit_cast<float>(sum << 23);
}

/// exp(x) for x <= 0 as a term of a sum that has 1 in it: nothing below 2e-38, 1 ulp.
[[gnu::always_inline]] inline float exp_term(float x) {
  return exp_normal(select(x < -87.0f, -87.0f, x));
}
inline double exp_term(double x) { return std::exp(x); }

/// Own, 1 ulp.
[[gnu::always_inline]] inline float exp(float x) {
  const auto [sum, r] = reduce_exp<254>(select(x < -104.0f, -104.0f, x));
  return scale_by_power_of_two(polynomial(r, 1.0f, 1.0f, exp_tail(r)), sum);
}
inline double exp(double x) { return std::exp(x); }

/// 2^r for |r| <= 1/2.
[[gnu::always_inline]] inline float exp2_fraction(float r) {
  return polynomial(r, 1.0f, 0.693147182f, 0.240226507f, 0.0555032715f, 0.00961800292f,
                    0.00134005339f, 0.000154765454f);
}

/// 2^x. Own, 1 ulp.
[[gnu::always_inline]] inline float exp2(float x) {
  constexpr float kShift = kRound + 254;
  x = select(x < -151.0f, -151.0f, x);
  const int32_t bits = std::bit_cast<int32_t>(x + kShift);
  constexpr int32_t kLargest = std::bit_cast<int32_t>(kShift + 129);
  const int32_t sum = bits < kLargest ? bits : kLargest;
  const float r = x - (std::bit_cast<float>(sum) - kShift);
  return scale_by_power_of_two(exp2_fraction(r), static_cast<uint32_t>(sum));
}
inline double exp2(double x) { return std::exp2(x); }

/// exp(x) - 1. Own, 2 ulp.
[[gnu::always_inline]] inline float expm1(float x) {
  const auto [sum, r] = reduce_exp<126, 128>(select(x < -20.0f, -20.0f, x));
  const float p = mul_add(r * r, exp_tail(r), r);  // exp(r) - 1
  // Half of 2^n p + (2^n - 1): 2^n itself would overflow before the result does.
  const float half_scale = std::bit_cast<float>(sum << 23);
  const float result = 2.0f * mul_add(half_scale, p, half_scale - 0.5f);
  return std::copysign(select(half_scale == 0.5f, p, result), x);
}
inline double expm1(double x) { return std::expm1(x); }

// ---- logarithms --------------------------------------------------------------------------------

/// x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), for positive finite x.
struct LogArgument {
  int32_t k;
  float f;
};
inline LogArgument reduce_log_bits(uint32_t bits) {
  constexpr uint32_t kSqrtHalf = 0x3f3504f3;
  const int32_t k = static_cast<int32_t>(bits - kSqrtHalf) >> 23;
  return {k, std::bit_cast<float>(bits - (static_cast<uint32_t>(k) << 23)) - 1.0f};
}
inline LogArgument reduce_log(float x) {
  const uint32_t normal = std::bit_cast<uint32_t>(x);
  const uint32_t subnormal = std::bit_cast<uint32_t>(x * 0x1p24f) - (24u << 23);
  return reduce_log_bits(select(x < std::numeric_limits<float>::min(), subnormal, normal));
}

/// k ln 2 + log(1 + f) + correction for 1 + f in [sqrt(1/2), sqrt(2)).
[[gnu::always_inline]] inline float log_of_reduced(float k, float f, float correction) {
  const float f2 = f * f;
  const float p = polynomial(f, 0.333333313f, -0.250008196f, 0.200012296f, -0.166234046f,
                             0.142017633f, -0.131597891f, 0.127613261f, -0.0763509423f);
  const float low = mul_add(k, kLn2Low, correction);
  return mul_add(k, kLn2High, f + mul_add(f2, mul_add(f, p, -0.5f), low));
}

/// `result`, or what a logarithm of `x` is where it is no finite number: log(0) = -inf, negative
/// and NaN give NaN, log(inf) = inf. One condition is on the bits: from conditions on x alone the
/// compiler makes a cascade of masks.
[[gnu::always_inline]] inline float log_special(float x, float result) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const float positive = select(x < kInfinity, result, x);
  return select(static_cast<int32_t>(bits) <= 0, select(x == 0.0f, -kInfinity, kNaN), positive);
}

/// Own, 1 ulp.
[[gnu::always_inline]] inline float log(float x) {
  const auto [k, f] = reduce_log(x);
  return log_special(x, log_of_reduced(static_cast<float>(k), f, 0.0f));
}
inline double log(double x) { return std::log(x); }

/// Own, 1 ulp; exact for powers of two.
[[gnu::always_inline]] inline float log2(float x) {
  const auto [k, f] = reduce_log(x);
  // log2(1 + f) / f - 1
  const float p =
      polynomial(f, 0.442695051f, -0.721347332f, 0.480898231f, -0.360696644f, 0.288567394f,
                 -0.239617407f, 0.204600736f, -0.191062808f, 0.186174393f, -0.109948762f);
  return log_special(x, static_cast<float>(k) + mul_add(f, p, f));
}
inline double log2(double x) { return std::log2(x); }

/// Own, 2 ulp.
[[gnu::always_inline]] inline float log10(float x) {
  constexpr double kLog2 = std::numbers::ln2 / std::numbers::ln10;  // log10(2)
  constexpr float kHigh = 0x1.344p-2f;
  constexpr float kLow = static_cast<float>(kLog2 - static_cast<double>(kHigh));
  const auto [k, f] = reduce_log(x);
  // log10(1 + f) / f - 1/2
  const float p =
      polynomial(f, -0.0657055154f, -0.217147186f, 0.144764796f, -0.108580507f, 0.0868674442f,
                 -0.0721320286f, 0.0615909658f, -0.0575156473f, 0.0560440235f, -0.033097785f);
  const float whole = static_cast<float>(k);
  const float fraction = mul_add(f, 0.5f, mul_add(f, p, whole * kLow));
  return log_special(x, mul_add(whole, kHigh, fraction));
}
inline double log10(double x) { return std::log10(x); }

/// log(1 + x). Own, 2 ulp.
[[gnu::always_inline]] inline float log1p(float x) {
  const float sum = 1.0f + x;
  const float lost = x - (sum - 1.0f);  // the exact sum is sum + lost
  const auto [k, f] = reduce_log_bits(std::bit_cast<uint32_t>(sum));
  // log(m + c) = log(m) + c / m, m = 1 + f; c is a rounding error, so 1 / m ~ 1 - f is enough.
  const float c = lost * std::bit_cast<float>(static_cast<uint32_t>(127 - std::min(k, 127)) << 23);
  const float result = log_of_reduced(static_cast<float>(k), f, mul_add(c, -f, c));
  return std::copysign(log_special(sum, result), x);
}
inline double log1p(double x) { return std::log1p(x); }

/// log(1 + exp(x)), the softplus. Never overflows. Own, 2 ulp.
[[gnu::always_inline]] inline float log1p_exp(float x) {
  const float e = exp(-abs(x));
  // log(1 + e) / e for e in [0, 1]
  const float p =
      polynomial(e, 0.999999995f, -0.499999024f, 0.333299626f, -0.24954135f, 0.19675945f,
                 -0.153056071f, 0.106036769f, -0.0569597312f, 0.0198515581f, -0.00324404468f);
  return mul_add(e, p, select(x < 0.0f, 0.0f, x));
}
inline double log1p_exp(double x) { return max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

// ---- sigmoids ----------------------------------------------------------------------------------

/// Own, 2 ulp.
[[gnu::always_inline]] inline float tanh(float x) {
  const float a = abs(x);
  const float x2 = x * x;
  // tanh(x) / x - 1 over x^2, for |x| < 0.625
  const float p =
      polynomial(x2, -0.333332807f, 0.133314446f, -0.0537398644f, 0.0206395127f, -0.00570540968f);
  const float small = mul_add(x * x2, p, x);
  const float e = exp_normal(select(a > 10.0f, 20.0f, 2.0f * a));
  return std::copysign(select(a < 0.625f, small, 1.0f - 2.0f / (e + 1.0f)), x);
}
inline double tanh(double x) { return std::tanh(x); }

/// 1 / (1 + exp(-x)), to full relative accuracy on both sides. Float own, 2 ulp.
template <class T>
inline T sigmoid(T x) {
  const T e = exp(-abs(x));
  return select(x < T(0), e, T(1)) / (T(1) + e);
}

// ---- error function ----------------------------------------------------------------------------

/// erf(x) / x - 1, for |x| < 1.
[[gnu::always_inline]] inline float erf_tail(float x) {
  return polynomial(x * x, 0.128379166f, -0.37612626f, 0.112835802f, -0.0268536396f, 0.00518804416f,
                    -0.000800795271f, 7.84703589e-05f);
}

/// Own, 2 ulp.
[[gnu::always_inline]] inline float erf(float x) {
  const float a = abs(x);
  const float small = mul_add(x, erf_tail(x), x);
  // log2(erfc(a)), for a in [1, 3.95]; beyond, erf is 1.
  constexpr float kLargest = 3.95f;
  const float clamped =
      std::bit_cast<float>(std::min(std::bit_cast<int32_t>(a), std::bit_cast<int32_t>(kLargest)));
  const float q = polynomial(clamped, -0.00043357152f, -1.62627947f, -0.920271814f, -0.149068952f,
                             0.0316529125f, -0.00428821752f, 0.000272403675f);
  constexpr float kShift = kRound + 127;
  const float shifted = q + kShift;
  const float scale = std::bit_cast<float>(std::bit_cast<uint32_t>(shifted) << 23);
  const float large = mul_add(-exp2_fraction(q - (shifted - kShift)), scale, 1.0f);
  return select(a >= 1.0f, std::copysign(large, x), small);  // small where x is NaN
}
inline double erf(double x) { return std::erf(x); }

/// 1 - erf(x) to full relative accuracy, down to the last subnormal at x = 10.06. Own, 3 ulp.
[[gnu::always_inline]] inline float erfc(float x) {
  const float small = mul_add(x, -erf_tail(x), 1.0f - x);
  constexpr float kLargest = 10.5f;
  const float a = std::bit_cast<float>(
      std::min(std::bit_cast<int32_t>(abs(x)), std::bit_cast<int32_t>(kLargest)));
  // exp(-a^2) with a^2 = high + low to twice the precision: an error of a^2 is one of the result.
  const float head = std::bit_cast<float>((std::bit_cast<uint32_t>(a) + 0x800u) & 0xfffff000u);
  const float low = (a - head) * (a + head);
  // exp(a^2) erfc(a) / q in q = 1 / (1 + a), for a in [1, 10.1]; `lost` and `error` are what
  // rounding took from 1 + a and, relatively, from q.
  const float sum = 1.0f + a;
  const float lost = a - (sum - 1.0f);
  const float q = 1.0f / sum;
  const float error = mul_add(-q, lost, mul_add(-q, sum, 1.0f));
  const float p = polynomial(q, 0.564180255f, 0.564554513f, 0.276346117f, -0.236302659f,
                             -0.882199824f, -0.041689489f, 3.47768879f, -4.70746756f, 2.05809975f);
  const auto [n, r0] = reduce_exp<254>(-(head * head));
  const float r = r0 - (low - error);
  const float grown = mul_add(r * r, exp_tail(r), r);  // exp(r) - 1
  const float pq = p * q;
  const float tail = scale_by_power_of_two(mul_add(grown, pq, pq), n);
  const float large = select(x < 0.0f, 2.0f - tail, tail);
  return select(abs(x) >= 1.0f, large, small);  // small where x is NaN
}
inline double erfc(double x) { return std::erfc(x); }

// ---- normal distribution -----------------------------------------------------------------------

/// 1 / sqrt(2 pi): the density of the normal distribution at 0.
template <class T>
inline constexpr T kNormalDensity0 = static_cast<T>(std::numbers::inv_sqrtpi / std::numbers::sqrt2);

/// Distribution function of the normal distribution, erfc(-x / sqrt(2)) / 2. Own, with a relative
/// error below 1e-7 (4 + x^2 / 2) in the tail, too.
[[gnu::always_inline]] inline float normal_cdf(float x) {
  const float a = abs(x);
  const float t = 1.0f / mul_add(a, 0.35f, 1.0f);
  // cdf(-a) exp(a^2 / 2) / t
  const float p =
      polynomial(t, 0.139621404f, 0.139861868f, 0.119832887f, 0.105507915f, -0.0231095868f,
                 0.15917374f, -0.255713833f, 0.143971468f, -0.0291458778f);
  const float e = exp(-0.5f * x * x), q = p * t;
  return select(x < 0.0f, e * q, mul_add(-e, q, 1.0f));
}
inline double normal_cdf(double x) { return 0.5 * std::erfc(x * (-1.0 / std::numbers::sqrt2)); }

// ---- whole numbers ------------------------------------------------------------------------------

/// f(a, b); of whole numbers modulo 2^64, because their signed overflow would be undefined.
template <class T, class F>
T wrapping(T a, T b, F f) {
  if constexpr (std::is_same_v<T, int64_t>) {
    return static_cast<T>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
  } else {
    return f(a, b);
  }
}
/// a + b, a - b, a b.
template <class T>
T plus(T a, T b) {
  return wrapping(a, b, [](auto u, auto v) { return u + v; });
}
template <class T>
T minus(T a, T b) {
  return wrapping(a, b, [](auto u, auto v) { return u - v; });
}
template <class T>
T times(T a, T b) {
  return wrapping(a, b, [](auto u, auto v) { return u * v; });
}
/// a / b, of whole numbers cut towards 0; b is not 0.
template <class T>
T quotient(T a, T b) {
  if constexpr (std::is_same_v<T, int64_t>) {
    return b == -1 ? minus(T(0), a) : a / b;  // the smallest by -1 does not fit
  } else {
    return a / b;
  }
}

// ---- the C library's ----------------------------------------------------------------------------

// Seldom used.
using std::atan2, std::pow, std::fmod;
using std::sin, std::cos, std::tan, std::sinh, std::cosh, std::asin, std::acos, std::atan;
// One instruction each. rint: halves go to the even whole number.
using std::floor, std::ceil, std::trunc, std::rint;

}  // namespace retrace::math
