#pragma once

// Language models as files keep them: with what they are made of, and what turns texts into their
// tokens.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <retrace/data/tokenizer.h>
#include <retrace/nn/sampling.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/train/table.h>

namespace retrace::train {

class SavedModel;

/// For the file of a transformer (see Trainer::describe): how many tokens it knows, its options,
/// and the tokenizer, if it has one.
Metadata describe(std::int64_t vocab_size, const nn::TransformerOptions& options,
                  const data::Tokenizer* tokenizer = nullptr);

/// What describe() wrote. IoErrors name the file.
struct TransformerDescription {
  std::int64_t vocab_size = 0;
  nn::TransformerOptions options = {};
  std::optional<data::Tokenizer> tokenizer = {};

  static TransformerDescription of(const SavedModel& saved);
};

/// A GPT and what turns texts into its tokens: a checkpoint need not have that.
struct LanguageModel {
  nn::Gpt gpt;
  std::optional<data::Tokenizer> tokenizer = {};
  Metadata metadata = {};  ///< all that its file says; of one in GPT-2's form nothing

  /// IoError, in the name of `path`, when there is none.
  const data::Tokenizer& words(const std::string& path) const;
  /// Goes on with a text; ValueError for an empty one. Ends at the token "<|endoftext|>", if the
  /// tokenizer has it, which is left out.
  std::string go_on(const std::string& prompt, const nn::GenerateOptions& options) const;

  static constexpr std::string_view kEnd = "<|endoftext|>";
};

/// What training on texts begins with: the model at `path`, as of load_language_model, which must
/// have a tokenizer (IoError); without a path a fresh one, 4 layers 128 wide, that reads bytes, 256
/// at once, and knows the token kEnd.
LanguageModel base_language_model(const std::string& path);

/// A prompt, and how a model goes on with it before and after it was tuned: greedily, with so many
/// tokens at most.
std::string answers_text(const std::string& prompt, const LanguageModel& before,
                         const LanguageModel& tuned, std::int64_t max_new_tokens);

/// IoError, in the name of `path`, unless a model reads what the policy says: the same tokens, and
/// at least as many.
void require_same_tokens(const std::string& path, const nn::Transformer& model,
                         const std::optional<data::Tokenizer>& tokenizer,
                         const LanguageModel& policy);

/// Losses in nats, and the perplexity of each, by what they are of.
Table perplexity_table(const std::string& title,
                       const std::vector<std::pair<std::string, double>>& nats);

/// The folder of a run that kept a GPT, its file, or a folder in GPT-2's form (see load_gpt2).
/// IoError.
LanguageModel load_language_model(const std::string& folder_or_file);

/// A folder as GPT-2 is published in: config.json, model.safetensors, and, if there is one, the
/// tokenizer in vocab.json and merges.txt. Tensors may be float16 or bfloat16, have the prefix
/// "transformer.", and come with the stored causal masks "h.N.attn.bias", which are left out.
/// IoError that lists every tensor that is missing, of another shape, or not of such a model, or
/// names what in config.json is not understood.
LanguageModel load_gpt2(const std::string& folder);

/// Writes such a folder, made if it is not there, for load_gpt2 and for programs that use PyTorch.
/// ValueError for a model that the form has no place for: it has learned positions, layer_norm with
/// biases in front (norm_first), and one of the activations gelu, gelu_tanh, relu and silu.
void save_gpt2(const std::string& folder, const LanguageModel& model);

}  // namespace retrace::train
