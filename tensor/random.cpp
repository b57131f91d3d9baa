#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/view.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace retrace {
namespace {

using Block = std::array<std::uint32_t, 4>;

constexpr std::int64_t kGrain = 1 << 14;  // blocks for one thread

std::uint64_t word64(const Block& block, std::size_t i) {
  return block[2 * i] | std::uint64_t{block[2 * i + 1]} << 32;
}

// How many numbers of type T a block holds.
template <class T>
constexpr int kPerBlock = 16 / sizeof(T);

// In [0, 1), all the bits that T has.
float uniform(const Block& block, int i, float) {
  return static_cast<float>(block[static_cast<std::size_t>(i)] >> 8) * 0x1p-24f;
}
double uniform(const Block& block, int i, double) {
  return static_cast<double>(word64(block, i) >> 11) * 0x1p-53;
}

// In (0, 1], for logarithms; fine steps near 0, where they show.
float positive_uniform(const Block& block, int i, float) {
  return (static_cast<float>(block[static_cast<std::size_t>(i)]) + 1.0f) * 0x1p-32f;
}
double positive_uniform(const Block& block, int i, double) {
  return (static_cast<double>(word64(block, i) >> 11) + 1.0) * 0x1p-53;
}

// Two standard normals from two uniforms (Box and Muller 1958).
template <class T>
std::array<T, 2> normals(const Block& block, int pair) {
  const T radius = std::sqrt(T(-2) * std::log(positive_uniform(block, 2 * pair, T())));
  const T angle = T(2) * std::numbers::pi_v<T> * uniform(block, 2 * pair + 1, T());
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

// Whole number in [0, range) without bias (Lemire 2019, arXiv:1805.10941); range 0 stands for 2^64.
// A function of (seed, block, slot): rejected numbers are replaced from the block's own retries.
std::uint64_t below(std::uint64_t range, std::uint64_t seed, std::uint64_t index, int slot) {
  if (range == 0) return word64(Generator::block(seed, index), slot);
  for (std::uint64_t retry = 0;; ++retry) {
    const auto product =
        static_cast<unsigned __int128>(word64(Generator::block(seed, index, retry), slot)) * range;
    const auto low = static_cast<std::uint64_t>(product);
    if (low >= range || low >= (0 - range) % range)
      return static_cast<std::uint64_t>(product >> 64);
  }
}

constexpr int kSlots = 2;  // draws of `below` from a block

std::uint64_t blocks_for(std::int64_t n, int per_block) {
  return static_cast<std::uint64_t>((n + per_block - 1) / per_block);
}

// Calls f(block, first element, number of elements) for all blocks that `n` elements need. An
// element depends on its block alone, so threads may share the blocks out as they like.
template <class F>
void for_each_block(std::int64_t n, int per_block, Generator& generator, F&& f) {
  const std::uint64_t seed = generator.seed();
  const std::uint64_t blocks = blocks_for(n, per_block), base = generator.reserve(blocks);
  parallel_for(static_cast<std::int64_t>(blocks), kGrain,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t b = begin; b < end; ++b) {
                   const std::int64_t first = b * per_block;
                   f(Generator::block(seed, base + static_cast<std::uint64_t>(b)), first,
                     static_cast<int>(std::min<std::int64_t>(per_block, n - first)));
                 }
               });
}

template <class T>
void draw_uniform(T* out, std::int64_t n, double low, double high, Generator& generator) {
  const T start = static_cast<T>(low), width = static_cast<T>(high - low);
  const T last = std::nextafter(static_cast<T>(high), start);
  for_each_block(n, kPerBlock<T>, generator,
                 [=](const Block& block, std::int64_t first, int count) {
                   for (int i = 0; i < count; ++i) {
                     // Rounding may reach `high`, which does not belong to the interval.
                     const T value = start + width * uniform(block, i, T());
                     out[first + i] = value < static_cast<T>(high) || high <= low ? value : last;
                   }
                 });
}

template <class T>
void draw_normal(T* out, std::int64_t n, double mean, double std, Generator& generator) {
  const T center = static_cast<T>(mean), scale = static_cast<T>(std);
  for_each_block(n, kPerBlock<T>, generator,
                 [=](const Block& block, std::int64_t first, int count) {
                   for (int i = 0; i < count; i += 2) {
                     const auto pair = normals<T>(block, i / 2);
                     out[first + i] = center + scale * pair[0];
                     if (i + 1 < count) out[first + i + 1] = center + scale * pair[1];
                   }
                 });
}

Generator& chosen(Generator* generator) {
  return generator != nullptr ? *generator : default_generator();
}

// Fills x through draw(contiguous tensor); elements are numbered row-major whatever the strides.
template <class F>
void fill_in_place(const Tensor& x, F&& draw) {
  if (x.is_contiguous()) {
    draw(x);
  } else {
    const Tensor drawn = empty_like(x);
    draw(drawn);
    copy_elements(x, drawn);
  }
  x.get().storage->changed();
}

}  // namespace

std::uint64_t Generator::next_u64() { return word64(block(seed_, reserve(1)), 0); }

double Generator::next_uniform() { return uniform(block(seed_, reserve(1)), 0, double()); }

std::int64_t Generator::next_below(std::int64_t bound) {
  require<ValueError>(bound > 0, "next_below: bound {} must be above 0; give 1 or more", bound);
  return static_cast<std::int64_t>(below(static_cast<std::uint64_t>(bound), seed_, reserve(1), 0));
}

Generator& default_generator() {
  static Generator generator;
  return generator;
}

void manual_seed(std::uint64_t seed) { default_generator().set_state(seed, 0); }

void fill_uniform(const Tensor& x, double low, double high, Generator& generator) {
  visit_float(x.dtype(), "uniform_", [&]<class T>() {
    require<ValueError>(low <= high && std::isfinite(static_cast<T>(high) - static_cast<T>(low)),
                        "uniform_: low {}, high {}; both must be finite in {}, low not above high",
                        low, high, x.dtype());
    fill_in_place(x, [&](const Tensor& out) {
      draw_uniform(elements<T>(out), out.numel(), low, high, generator);
    });
  });
}

void fill_normal(const Tensor& x, double mean, double std, Generator& generator) {
  visit_float(x.dtype(), "normal_", [&]<class T>() {
    require<ValueError>(std::isfinite(mean) && std::isfinite(std) && std >= 0,
                        "normal_: mean {}, std {}; give finite numbers, and a std of at least 0",
                        mean, std);
    fill_in_place(x, [&](const Tensor& out) {
      draw_normal(elements<T>(out), out.numel(), mean, std, generator);
    });
  });
}

Tensor rand(const Shape& sizes, DType dtype, Generator* generator) {
  return visit_float(dtype, "rand", [&]<class T>() {
    Tensor result = empty(sizes, dtype);
    draw_uniform(elements<T>(result), result.numel(), 0, 1, chosen(generator));
    return result;
  });
}

Tensor randn(const Shape& sizes, DType dtype, Generator* generator) {
  return visit_float(dtype, "randn", [&]<class T>() {
    Tensor result = empty(sizes, dtype);
    draw_normal(elements<T>(result), result.numel(), 0, 1, chosen(generator));
    return result;
  });
}

Tensor rand_like(const Tensor& x, Generator* generator) {
  return rand(x.sizes(), x.dtype(), generator);
}
Tensor randn_like(const Tensor& x, Generator* generator) {
  return randn(x.sizes(), x.dtype(), generator);
}

Tensor randint(std::int64_t low, std::int64_t high, const Shape& sizes, Generator* generator) {
  require<ValueError>(low < high,
                      "randint: low {} is not below high {}; give a range with a number in it", low,
                      high);
  Tensor result = empty(sizes, kInt64);
  auto* out = elements<std::int64_t>(result);
  const std::int64_t n = result.numel();
  const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  Generator& source = chosen(generator);
  const std::uint64_t seed = source.seed(), base = source.reserve(blocks_for(n, kSlots));
  parallel_for(n, kGrain * kSlots, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint64_t index = base + static_cast<std::uint64_t>(i / kSlots);
      const std::uint64_t draw = below(range, seed, index, static_cast<int>(i % kSlots));
      out[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + draw);
    }
  });
  return result;
}

Tensor randperm(std::int64_t n, Generator* generator) {
  require<ValueError>(n >= 0, "randperm: n is {}; give 0 or more", n);
  Tensor result = empty({n}, kInt64);
  auto* out = elements<std::int64_t>(result);
  std::iota(out, out + n, std::int64_t{0});
  Generator& source = chosen(generator);
  const std::uint64_t seed = source.seed(), base = source.reserve(blocks_for(n, kSlots));
  for (std::int64_t i = n - 1; i > 0; --i) {
    const std::uint64_t index = base + static_cast<std::uint64_t>(i / kSlots);
    const std::uint64_t j =
        below(static_cast<std::uint64_t>(i) + 1, seed, index, static_cast<int>(i % kSlots));
    std::swap(out[i], out[j]);
  }
  return result;
}

Tensor bernoulli(const Tensor& p, Generator* generator) {
  return visit_float(p.dtype(), "bernoulli", [&]<class T>() {
    const Tensor given = as_contiguous(p);
    const T* probability = elements<T>(given);
    const std::int64_t n = given.numel();
    for (std::int64_t i = 0; i < n; ++i) {
      require<ValueError>(probability[i] >= 0 && probability[i] <= 1,
                          "bernoulli: probability {} at position {} of {} {}; give numbers in "
                          "[0, 1]",
                          probability[i], i, p.dtype(), p.sizes());
    }
    Tensor result = empty_like(p);
    T* out = elements<T>(result);
    // Compared as doubles: a float32 uniform has too few steps for small probabilities.
    constexpr int per_block = kPerBlock<T>;
    for_each_block(
        n, per_block, chosen(generator), [=](const Block& block, std::int64_t first, int count) {
          for (int i = 0; i < count; ++i) {
            const double u = per_block == 4 ? block[static_cast<std::size_t>(i)] * 0x1p-32
                                            : uniform(block, i, double());
            out[first + i] = u < static_cast<double>(probability[first + i]) ? T(1) : T(0);
          }
        });
    return result;
  });
}

namespace {

template <class T>
void check_row(std::span<const T> weights, std::int64_t row, std::int64_t samples,
               bool replacement) {
  std::int64_t positive = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    require<ValueError>(
        std::isfinite(weights[i]) && weights[i] >= 0,
        "multinomial: weight {} at row {}, column {}; give finite weights of at least 0",
        weights[i], row, i);
    positive += weights[i] > 0;
  }
  require<ValueError>(
      positive > 0, "multinomial: the weights of row {} sum to 0; give at least one above 0", row);
  require<ValueError>(replacement || samples <= positive,
                      "multinomial: {} samples without replacement from row {}, which has {} "
                      "weights above 0; draw fewer or with replacement",
                      samples, row, positive);
}

// A uniform in [0, 1) for draw `i` of a reserved stretch.
double uniform_at(std::uint64_t seed, std::uint64_t base, std::int64_t i) {
  return uniform(Generator::block(seed, base + static_cast<std::uint64_t>(i / kSlots)),
                 static_cast<int>(i % kSlots), double());
}

template <class T>
void draw_with_replacement(std::span<const T> weights, std::span<std::int64_t> out,
                           std::uint64_t seed, std::uint64_t base, std::int64_t first_draw) {
  // Relative to the largest, so that their sum does not overflow.
  const double largest = static_cast<double>(*std::max_element(weights.begin(), weights.end()));
  std::vector<double> cumulative;
  double sum = 0;
  for (const T weight : weights) {
    cumulative.push_back(sum += static_cast<double>(weight) / largest);
  }
  // Rounding may reach the sum itself; the last index with a weight then stands for it.
  const auto last = std::lower_bound(cumulative.begin(), cumulative.end(), sum);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double u = uniform_at(seed, base, first_draw + static_cast<std::int64_t>(i));
    // The first cumulative weight above u: an index of weight 0 is never it.
    out[i] = std::upper_bound(cumulative.begin(), last, u * sum) - cumulative.begin();
  }
}

// The largest log(weight) + Gumbel noise come first: the same as drawing one after the other
// without putting back (Efraimidis and Spirakis 2006).
template <class T>
void draw_without_replacement(std::span<const T> weights, std::span<std::int64_t> out,
                              std::uint64_t seed, std::uint64_t base, std::int64_t first_draw) {
  std::vector<std::pair<double, std::int64_t>> keys;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    const auto index = static_cast<std::int64_t>(i);
    const double u = uniform_at(seed, base, first_draw + index) + 0x1p-54;  // above 0
    keys.emplace_back(std::log(-std::log(u)) - std::log(static_cast<double>(weights[i])), index);
  }
  const auto middle = keys.begin() + static_cast<std::ptrdiff_t>(out.size());
  std::partial_sort(keys.begin(), middle, keys.end());
  std::transform(keys.begin(), middle, out.begin(), [](const auto& key) { return key.second; });
}

}  // namespace

Tensor multinomial(const Tensor& weights, std::int64_t samples, bool replacement,
                   Generator* generator) {
  const Shape& sizes = weights.sizes();
  require<ShapeError>(sizes.size() == 1 || sizes.size() == 2,
                      "multinomial: weights {} must be [n] or [rows, n]; reshape them", sizes);
  require<ValueError>(samples > 0, "multinomial: {} samples; draw at least one", samples);
  const std::int64_t n = sizes.back(), rows = sizes.size() == 2 ? sizes[0] : 1;
  require<ShapeError>(
      n > 0, "multinomial: weights {} have no columns to draw from; give at least one", sizes);
  return visit_float(weights.dtype(), "multinomial", [&]<class T>() {
    const Tensor given = as_contiguous(weights);
    const auto row_of = [&](std::int64_t r) {
      return std::span<const T>(elements<T>(given) + r * n, static_cast<std::size_t>(n));
    };
    for (std::int64_t r = 0; r < rows; ++r) check_row(row_of(r), r, samples, replacement);
    Tensor result = empty(sizes.size() == 2 ? Shape{rows, samples} : Shape{samples}, kInt64);
    const std::int64_t draws_per_row = replacement ? samples : n;
    Generator& source = chosen(generator);
    const std::uint64_t seed = source.seed();
    const std::uint64_t base = source.reserve(blocks_for(rows * draws_per_row, kSlots));
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::span<std::int64_t> out(elements<std::int64_t>(result) + r * samples,
                                        static_cast<std::size_t>(samples));
      const std::int64_t first_draw = r * draws_per_row;
      if (replacement) {
        draw_with_replacement(row_of(r), out, seed, base, first_draw);
      } else {
        draw_without_replacement(row_of(r), out, seed, base, first_draw);
      }
    }
    return result;
  });
}

}  // namespace retrace
