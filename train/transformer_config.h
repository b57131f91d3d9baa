#pragma once

// For .cpp files: what a transformer is made of, as JSON.

#include <string>

#include <retrace/nn/language_model.h>

namespace retrace::train {

/// What a transformer is made from, as its files say it.
struct TransformerConfig {
  std::int64_t vocab_size = 0;
  nn::TransformerOptions options = {};

  /// In the form of this project's model files.
  std::string to_json() const;
  /// IoError that begins with `path`.
  static TransformerConfig from_json(const std::string& json, const std::string& path);

  /// In the form of GPT-2's config.json. ValueError where that has no place for the options.
  std::string to_gpt2() const;
  static TransformerConfig from_gpt2(const std::string& json, const std::string& path);
};

}  // namespace retrace::train
