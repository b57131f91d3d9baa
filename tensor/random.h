#pragma once

// Random numbers: Philox4x32-10 (Salmon et al. 2011), a function of seed and counter. The same seed
// gives the same integers and uniforms on every platform and with any number of threads; normals
// agree to the last digits.

#include <array>
#include <atomic>
#include <cstdint>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// A stream of random numbers, given by its seed and how much of it was used.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) : seed_(seed) {}
  std::uint64_t seed() const { return seed_; }
  /// Blocks of four 32-bit numbers used so far; settable, so that a run can be resumed.
  std::uint64_t position() const { return position_; }
  void set_state(std::uint64_t seed, std::uint64_t position) {
    seed_ = seed;
    position_ = position;
  }
  /// Takes `blocks` blocks out of the stream and returns the first one's number.
  std::uint64_t reserve(std::uint64_t blocks) { return position_.fetch_add(blocks); }
  /// Block `index` of stream `seed`. Every block has 2^64 further ones of its own, for what a draw
  /// needs beyond its share of numbers (rejection): `retry` counts them.
  static std::array<std::uint32_t, 4> block(std::uint64_t seed, std::uint64_t index,
                                            std::uint64_t retry = 0);
  /// Blocks `first`, `first` + 1, ..., so many, one behind the other: several at a time.
  static void fill_blocks(std::uint64_t seed, std::uint64_t first, std::int64_t count,
                          std::uint32_t* numbers);

  std::uint64_t next_u64();
  double next_uniform();  ///< [0, 1), 53 bits
  /// Whole number in [0, bound), without bias.
  std::int64_t next_below(std::int64_t bound);

 private:
  std::atomic<std::uint64_t> seed_, position_{0};
};

/// The generator that functions use when none is given.
Generator& default_generator();
/// Starts the default generator anew.
void manual_seed(std::uint64_t seed);

/// Uniform in [0, 1): 24 bits for float32, 53 for float64.
Tensor rand(const Shape& sizes, DType dtype = kFloat32, Generator* generator = nullptr);
/// Standard normal (Box and Muller 1958).
Tensor randn(const Shape& sizes, DType dtype = kFloat32, Generator* generator = nullptr);
/// Whole numbers in [low, high), int64. ValueError unless low < high.
Tensor randint(std::int64_t low, std::int64_t high, const Shape& sizes,
               Generator* generator = nullptr);
/// 0 .. n-1 in random order, int64.
Tensor randperm(std::int64_t n, Generator* generator = nullptr);
/// 1 with the probability at that place, else 0, in p's dtype. ValueError outside [0, 1].
Tensor bernoulli(const Tensor& p, Generator* generator = nullptr);
/// Indices drawn by weight from each row: weights [n] or [rows, n], floating, >= 0, not
/// normalised; result [samples] or [rows, samples], int64. Without replacement the weights above 0
/// must suffice. ValueError for negative, NaN or infinite weights, or a row that sums to 0.
Tensor multinomial(const Tensor& weights, std::int64_t samples, bool replacement = false,
                   Generator* generator = nullptr);
Tensor rand_like(const Tensor& x, Generator* generator = nullptr);
Tensor randn_like(const Tensor& x, Generator* generator = nullptr);

/// Fill in place, unrecorded, from a given generator.
void fill_uniform(const Tensor& x, double low, double high, Generator& generator);
void fill_normal(const Tensor& x, double mean, double std, Generator& generator);

}  // namespace retrace
