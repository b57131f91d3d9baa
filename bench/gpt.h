// The language model of the GPT workloads: its sizes, and numbers that are the same in every
// program, so that they can be checked against one another.
#pragma once

#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>

namespace retrace::bench {

struct GptSizes {
  std::int64_t layers, width, heads, context, batch;
  std::int64_t parameters = 0;  // 0: not told
};
inline constexpr GptSizes kGptTiny = {4, 128, 4, 64, 16, 818176};
inline constexpr GptSizes kGptChar = {6, 384, 6, 256, 4, 10795776};
inline constexpr std::int64_t kGptVocabulary = 65;
inline constexpr std::int64_t kNewTokens = 256;      // of gpt_generate
inline constexpr std::int64_t kResponseTokens = 32;  // of dpo, the last of a sequence
inline constexpr double kGptLearningRate = 1e-6, kGptWeightDecay = 0.01;
// Steps before timing. The loss of the last is reported: it depends on the gradients, too.
inline constexpr int kCheckedSteps = 3;

// All ask in one order: for the model's matrices (positions, the table of tokens, in each layer
// qkv, proj, fc, out, then the head), then for tokens.
class GptNumbers {
 public:
  void fill_weights(float* to, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(normal_(engine_));
  }
  void fill_tokens(std::int64_t* to, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = token_(engine_);
  }

 private:
  std::mt19937_64 engine_{0};
  // In float one rounding in ten million decides what is drawn, and compilers round differently.
  std::normal_distribution<double> normal_{0, 0.02};
  std::uniform_int_distribution<std::int64_t> token_{0, kGptVocabulary - 1};
};

inline void check_parameters(std::int64_t count, const GptSizes& sizes) {
  if (sizes.parameters == 0 || count == sizes.parameters) return;
  throw std::runtime_error("the model has " + std::to_string(count) + " parameters, not " +
                           std::to_string(sizes.parameters));
}

}  // namespace retrace::bench
