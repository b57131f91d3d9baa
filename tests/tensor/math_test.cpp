// Compiled with the flags of the kernel files: what it checks depends on them.
#include <retrace/tensor/kernels/math.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace {

namespace math = retrace::math;

// The bounds hold with fused multiply-add; without it half a unit is added to them.
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
constexpr double kUnfused = 0;
#else
constexpr double kUnfused = 0.5;
#endif

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

using Loop = void (*)(const float* x, float* y, int64_t n);

// A loop per function, as kernels write it: not inlined, its length unknown.
template <auto F>
[[gnu::noinline]] void apply(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = F(x[i]);
}

struct Function {
  const char* name;
  Loop loop;
  long double (*exact)(long double);
  double max_ulp;
};

const std::vector<Function>& functions() {
  static const std::vector<Function> list = {
      {"exp", apply<[](float x) { return math::exp(x); }>,
       [](long double x) { return std::exp(x); }, 1.0},
      {"exp2", apply<[](float x) { return math::exp2(x); }>,
       [](long double x) { return std::exp2(x); }, 1.0},
      {"expm1", apply<[](float x) { return math::expm1(x); }>,
       [](long double x) { return std::expm1(x); }, 2.0},
      {"log", apply<[](float x) { return math::log(x); }>,
       [](long double x) { return std::log(x); }, 1.0},
      {"log2", apply<[](float x) { return math::log2(x); }>,
       [](long double x) { return std::log2(x); }, 1.0},
      {"log10", apply<[](float x) { return math::log10(x); }>,
       [](long double x) { return std::log10(x); }, 2.0},
      {"log1p", apply<[](float x) { return math::log1p(x); }>,
       [](long double x) { return std::log1p(x); }, 2.0},
      {"log1p_exp", apply<[](float x) { return math::log1p_exp(x); }>,
       [](long double x) { return std::max(x, 0.0L) + std::log1p(std::exp(-std::fabs(x))); }, 2.0},
      {"tanh", apply<[](float x) { return math::tanh(x); }>,
       [](long double x) { return std::tanh(x); }, 2.0},
      {"sigmoid", apply<[](float x) { return math::sigmoid(x); }>,
       [](long double x) {
         const long double e = std::exp(-std::fabs(x));
         return (x < 0 ? e : 1.0L) / (1.0L + e);
       },
       2.0},
      {"erf", apply<[](float x) { return math::erf(x); }>,
       [](long double x) { return std::erf(x); }, 2.0},
      {"erfc", apply<[](float x) { return math::erfc(x); }>,
       [](long double x) { return std::erfc(x); }, 3.0},
      {"normal_cdf", apply<[](float x) { return math::normal_cdf(x); }>,
       [](long double x) { return std::erfc(-x / std::numbers::sqrt2_v<long double>) / 2; }, 100.0},
      {"sqrt", apply<[](float x) { return math::sqrt(x); }>,
       [](long double x) { return std::sqrt(x); }, 0.5},
      {"rsqrt", apply<[](float x) { return math::rsqrt(x); }>,
       [](long double x) { return 1.0L / std::sqrt(x); }, 1.5},
      {"sin", apply<[](float x) { return math::sin(x); }>,
       [](long double x) { return std::sin(x); }, 1.0},
      {"cos", apply<[](float x) { return math::cos(x); }>,
       [](long double x) { return std::cos(x); }, 1.0},
      {"tan", apply<[](float x) { return math::tan(x); }>,
       [](long double x) { return std::tan(x); }, 1.5},
      {"sinh", apply<[](float x) { return math::sinh(x); }>,
       [](long double x) { return std::sinh(x); }, 2.5},
      {"cosh", apply<[](float x) { return math::cosh(x); }>,
       [](long double x) { return std::cosh(x); }, 2.0},
      {"asin", apply<[](float x) { return math::asin(x); }>,
       [](long double x) { return std::asin(x); }, 1.5},
      {"acos", apply<[](float x) { return math::acos(x); }>,
       [](long double x) { return std::acos(x); }, 1.5},
      {"atan", apply<[](float x) { return math::atan(x); }>,
       [](long double x) { return std::atan(x); }, 1.5},
  };
  return list;
}

float evaluate(const Function& f, float x) {
  float y = 0;
  f.loop(&x, &y, 1);
  return y;
}

// Distance from the exact value in units of its last place as a float; infinite where one is NaN,
// or infinite with the wrong sign, and the other is not.
double ulp_error(float y, long double exact) {
  if (std::isnan(exact)) return std::isnan(y) ? 0 : HUGE_VAL;
  if (std::isnan(y)) return HUGE_VAL;
  const float rounded = static_cast<float>(exact);
  if (rounded == y) {
    if (std::isinf(y)) return 0;
  } else if (std::isinf(y) != std::isinf(rounded)) {
    // Next to the overflow either answer is within an ulp or far off.
    const long double limit = 0x1p128L;
    const long double value = std::isinf(y) ? std::copysign(limit, y) : y;
    return static_cast<double>(std::fabs(value - exact) / 0x1p104L);
  }
  int exponent = 0;
  std::frexp(exact, &exponent);
  const long double ulp = std::ldexp(1.0L, std::max(exponent - 24, -149));
  return static_cast<double>(std::fabs(y - exact) / ulp);
}

struct Worst {
  double ulp = 0;
  float x = 0;
  float y = 0;
};

Worst sweep(const Function& f, uint32_t first, uint64_t step) {
  constexpr int64_t kBlock = 4096;
  std::vector<float> x, y(kBlock);
  Worst worst;
  auto flush = [&] {
    f.loop(x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double ulp = ulp_error(y[i], f.exact(x[i]));
      if (ulp > worst.ulp) worst = {ulp, x[i], y[i]};
    }
    x.clear();
  };
  for (uint64_t bits = first; bits < (uint64_t{1} << 32); bits += step) {
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    if (x.size() == kBlock) flush();
  }
  flush();
  return worst;
}

TEST_CASE("float functions keep their error bound over every exponent") {
  // RETRACE_EXHAUSTIVE=1 tries all 2^32 patterns, else every 4999th: about 840 000, at each
  // exponent some 1 700.
  const bool exhaustive = std::getenv("RETRACE_EXHAUSTIVE") != nullptr;
  for (const Function& f : functions()) {
    const Worst worst = sweep(f, 0, exhaustive ? 1 : 4999);
    CAPTURE(std::string(f.name));
    CAPTURE(worst.x);
    CAPTURE(worst.y);
    CHECK(worst.ulp <= f.max_ulp + kUnfused);
    if (std::getenv("RETRACE_PRINT_ULP") != nullptr) {
      MESSAGE(std::string(f.name) << ": " << worst.ulp << " ulp at " << worst.x);
    }
  }
}

TEST_CASE("float functions are accurate where their formula changes") {
  std::int64_t compared = 0;
  for (const Function& f : functions()) {
    for (const float centre : {0.625f,      1.0f,
                               2.0f,        0.5f,
                               3.95f,       10.0f,
                               20.0f,       0.70710678f,
                               1.41421356f, 0.41421356f,
                               0.34657359f, 1.03972077f,
                               88.722839f,  87.336545f,
                               103.97208f,  10.06f,
                               9.19f,       128.0f,
                               126.0f,      149.0f,
                               16777216.0f, 1.17549435e-38f,
                               1e-45f}) {
      for (const float sign : {1.0f, -1.0f}) {
        for (int32_t step = -2000; step <= 2000; ++step) {
          const int32_t bits = std::bit_cast<int32_t>(centre) + step;
          if (bits < 0) continue;
          const float x = sign * std::bit_cast<float>(bits);
          const float y = evaluate(f, x);
          const double ulp = ulp_error(y, f.exact(x));
          ++compared;
          if (!(ulp <= f.max_ulp + kUnfused)) {
            FAIL_CHECK(std::string(f.name) << "(" << x << ") = " << y << ": " << ulp << " ulp");
          }
        }
      }
    }
  }
  CHECK(compared > 100'000 * std::ssize(functions()));
}

bool same(float a, float b) {
  return std::isnan(a) ? std::isnan(b) : std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

float call(const std::string& name, float x) {
  for (const Function& f : functions()) {
    if (name == f.name) return evaluate(f, x);
  }
  FAIL("no function " << name);
  return kNaN;
}

TEST_CASE("float functions at zeros, infinities and NaN") {
  struct Row {
    const char* name;
    float x;
    float y;
  };
  const std::vector<Row> rows = {
      {"exp", 0, 1},
      {"exp", -0.0f, 1},
      {"exp", -kInfinity, 0},
      {"exp", kInfinity, kInfinity},
      {"exp", 89, kInfinity},
      {"exp", 88.8f, kInfinity},
      {"exp", -104, 0},
      {"exp", -103.5f, 1.40129846e-45f},
      {"exp", std::numeric_limits<float>::max(), kInfinity},
      {"exp", std::numeric_limits<float>::lowest(), 0},
      {"exp2", 10, 1024},
      {"exp2", -149, 1.40129846e-45f},
      {"exp2", -151, 0},
      {"exp2", 127, 0x1p127f},
      {"exp2", 128, kInfinity},
      {"exp2", -kInfinity, 0},
      {"exp2", kInfinity, kInfinity},
      {"expm1", 0, 0},
      {"expm1", -0.0f, -0.0f},
      {"expm1", 1e-45f, 1e-45f},
      {"expm1", -kInfinity, -1},
      {"expm1", -30, -1},
      {"expm1", kInfinity, kInfinity},
      {"expm1", 89, kInfinity},
      {"log", 0, -kInfinity},
      {"log", -0.0f, -kInfinity},
      {"log", 1, 0},
      {"log", -1, kNaN},
      {"log", -kInfinity, kNaN},
      {"log", -1e-45f, kNaN},
      {"log", kInfinity, kInfinity},
      {"log2", 0, -kInfinity},
      {"log2", 1, 0},
      {"log2", 8, 3},
      {"log2", 1.40129846e-45f, -149},
      {"log2", 0x1p127f, 127},
      {"log2", -1, kNaN},
      {"log2", kInfinity, kInfinity},
      {"log10", 0, -kInfinity},
      {"log10", 1, 0},
      {"log10", -1, kNaN},
      {"log10", kInfinity, kInfinity},
      {"log1p", 0, 0},
      {"log1p", -0.0f, -0.0f},
      {"log1p", -1, -kInfinity},
      {"log1p", -1.5f, kNaN},
      {"log1p", -kInfinity, kNaN},
      {"log1p", kInfinity, kInfinity},
      {"log1p", 1e-45f, 1e-45f},
      {"log1p_exp", -kInfinity, 0},
      {"log1p_exp", kInfinity, kInfinity},
      {"log1p_exp", 100, 100},
      {"log1p_exp", 0, std::numbers::ln2_v<float>},
      {"tanh", 0, 0},
      {"tanh", -0.0f, -0.0f},
      {"tanh", 1e-45f, 1e-45f},
      {"tanh", kInfinity, 1},
      {"tanh", -kInfinity, -1},
      {"tanh", 50, 1},
      {"tanh", -50, -1},
      {"sigmoid", 0, 0.5f},
      {"sigmoid", kInfinity, 1},
      {"sigmoid", -kInfinity, 0},
      {"sigmoid", -104, 0},
      {"sigmoid", 40, 1},
      {"erf", 0, 0},
      {"erf", -0.0f, -0.0f},
      {"erf", kInfinity, 1},
      {"erf", -kInfinity, -1},
      {"erf", 5, 1},
      {"erfc", 0, 1},
      {"erfc", kInfinity, 0},
      {"erfc", -kInfinity, 2},
      {"erfc", 11, 0},
      {"erfc", -5, 2},
      {"sqrt", -1, kNaN},
      {"rsqrt", 0, kInfinity},
      {"rsqrt", kInfinity, 0},
  };
  for (const Row& row : rows) {
    const float y = call(row.name, row.x);
    if (!same(y, row.y))
      FAIL_CHECK(std::string(row.name) << "(" << row.x << ") = " << y << ", not " << row.y);
  }
  for (const Function& f : functions()) {
    CAPTURE(std::string(f.name));
    CHECK(std::isnan(evaluate(f, kNaN)));
    CHECK(std::isnan(evaluate(f, -kNaN)));
  }
}

TEST_CASE("the normal distribution keeps its digits in the tail") {
  double worst = 0;
  for (float x = -12.5f; x < 14.0f; x += 0x1p-10f) {
    const long double exact = std::erfc(-x / std::numbers::sqrt2_v<long double>) / 2;
    const auto error = static_cast<double>(std::fabs(call("normal_cdf", x) - exact) / exact);
    worst = std::max(worst, error / static_cast<double>(4 + x * x / 2));
  }
  CHECK(worst < 1e-7);
  CHECK(call("normal_cdf", 0.0f) == doctest::Approx(0.5).epsilon(1e-7));
  CHECK(call("normal_cdf", 20.0f) == 1.0f);
  CHECK(call("normal_cdf", -20.0f) == 0.0f);
  CHECK(call("normal_cdf", kInfinity) == 1.0f);
  CHECK(call("normal_cdf", -kInfinity) == 0.0f);
}

TEST_CASE("a term of a sum of exponentials has the bits of exp, or is next to nothing") {
  std::vector<float> x;
  for (float v = -87; v <= 0; v += 0x1p-10f) x.push_back(v);
  const std::size_t normal = x.size();
  for (const float v : {-87.5f, -104.0f, -1e30f, -kInfinity}) x.push_back(v);
  x.push_back(kNaN);
  std::vector<float> terms(x.size()), exact(x.size());
  apply<[](float v) { return math::exp_term(v); }>(x.data(), terms.data(), std::ssize(x));
  apply<[](float v) { return math::exp(v); }>(x.data(), exact.data(), std::ssize(x));
  std::size_t same = 0;
  for (std::size_t i = 0; i < normal; ++i) same += terms[i] == exact[i];
  CHECK(same == normal);
  for (std::size_t i = normal; i + 1 < x.size(); ++i) {
    CHECK(terms[i] >= 0);
    CHECK(terms[i] < 2e-38f);
  }
  CHECK(std::isnan(terms.back()));
}

TEST_CASE("powers of two and ten have whole logarithms") {
  for (int k = -149; k <= 127; ++k) {
    CHECK(call("log2", std::ldexp(1.0f, k)) == static_cast<float>(k));
  }
  float power = 1;
  for (int k = 0; k <= 10; ++k, power *= 10) CHECK(call("log10", power) == static_cast<float>(k));
}

TEST_CASE("bounded functions stay in their range and rise or fall at every step near its ends") {
  struct Range {
    const char* name;
    float low, high;
    float from, to;
  };
  for (const Range& range :
       {Range{"tanh", -1, 1, 8.5f, 9.5f}, Range{"erf", -1, 1, 3.7f, 4.1f},
        Range{"sigmoid", 0, 1, 15.0f, 18.0f}, Range{"erfc", 0, 2, 9.9f, 10.2f}}) {
    CAPTURE(std::string(range.name));
    float worst_low = 0, worst_high = 0;
    for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 4999) {
      const float y = call(range.name, std::bit_cast<float>(static_cast<uint32_t>(bits)));
      worst_low = std::min(worst_low, y - range.low);
      worst_high = std::max(worst_high, y - range.high);
    }
    CHECK(worst_low == 0.0f);
    CHECK(worst_high == 0.0f);
    const bool rising = call(range.name, 1.0f) > call(range.name, -1.0f);
    float last = call(range.name, range.from);
    for (float x = range.from; x < range.to; x = std::nextafter(x, kInfinity)) {
      const float y = call(range.name, x);
      if (rising ? y < last : y > last) {
        FAIL_CHECK(std::string(range.name) << " turns at " << x << ": " << last << ", " << y);
        break;
      }
      last = y;
    }
  }
}

TEST_CASE("the tail of a loop has the bits of its body") {
  constexpr int64_t kSize = 1 << 12;
  std::vector<float> x(kSize), whole(kSize), part(kSize);
  uint64_t state = 1;
  for (float& value : x) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = (static_cast<float>(state >> 40) * 0x1p-24f - 0.5f) * 24.0f;
  }
  for (const Function& f : functions()) {
    CAPTURE(std::string(f.name));
    f.loop(x.data(), whole.data(), kSize);
    int64_t different = 0;
    for (int64_t n = 1; n <= 67; ++n) {
      for (int64_t begin = 0; begin + n <= kSize; begin += n) {
        f.loop(x.data() + begin, part.data() + begin, n);
        for (int64_t i = begin; i < begin + n; ++i) {
          different += same(part[static_cast<size_t>(i)], whole[static_cast<size_t>(i)]) ? 0 : 1;
        }
      }
    }
    CHECK(different == 0);
  }
}

TEST_CASE("double functions and the small ones") {
  CHECK(math::exp(1.0) == std::exp(1.0));
  CHECK(math::sigmoid(-800.0) == 0.0);
  CHECK(math::sigmoid(-700.0) == doctest::Approx(std::exp(-700.0)).epsilon(1e-15));
  CHECK(math::log1p_exp(-50.0) == doctest::Approx(std::exp(-50.0)).epsilon(1e-15));
  CHECK(math::erfc(10.0) == std::erfc(10.0));
  CHECK(std::isnan(math::max(kNaN, 1.0f)));
  CHECK(std::isnan(math::max(1.0f, kNaN)));
  CHECK(std::isnan(math::min(kNaN, 1.0f)));
  CHECK(std::isnan(math::min(1.0f, kNaN)));
  CHECK(math::max(1.0f, 2.0f) == 2.0f);
  CHECK(math::min(1.0f, 2.0f) == 1.0f);
  CHECK(math::sign(-3.0f) == -1.0f);
  CHECK(math::sign(0.0f) == 0.0f);
  CHECK(math::sign(2.0) == 1.0);
  CHECK(math::atan2(1.0f, -1.0f) == std::atan2(1.0f, -1.0f));
  CHECK(math::pow(2.0f, 0.5f) == std::pow(2.0f, 0.5f));
}

}  // namespace
