#include <retrace/train/language_model.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/ranges.h>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/file.h>
#include <retrace/train/exit.h>
#include <retrace/train/saved_model.h>
#include <retrace/train/transformer_config.h>

namespace retrace::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigKey = "transformer";
constexpr const char* kTokenizerKey = "tokenizer";

std::string in_folder(const std::string& folder, const char* name) {
  return (fs::path(folder) / name).string();
}

// A tensor of a GPT-2 checkpoint, and which of a Gpt it is. Their products are x W, ours x Wᵀ.
struct Gpt2Tensor {
  std::string theirs, ours;
  Shape sizes;  // theirs
  bool transposed = false;
};

std::vector<Gpt2Tensor> gpt2_tensors(const TransformerConfig& config) {
  const nn::TransformerOptions& o = config.options;
  const std::int64_t e = o.embed_dim, hidden = o.hidden > 0 ? o.hidden : 4 * e;
  std::vector<Gpt2Tensor> all = {
      {"wte.weight", "transformer.tokens.weight", {config.vocab_size, e}},
      {"wpe.weight", "transformer.positions", {o.context, e}}};
  const auto norm = [&](const std::string& theirs, const std::string& ours) {
    all.push_back({theirs + ".weight", ours + ".weight", {e}});
    all.push_back({theirs + ".bias", ours + ".bias", {e}});
  };
  const auto product = [&](const std::string& theirs, const std::string& ours, std::int64_t in,
                           std::int64_t out) {
    all.push_back({theirs + ".weight", ours + ".weight", {in, out}, true});
    all.push_back({theirs + ".bias", ours + ".bias", {out}});
  };
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const std::string theirs = fmt::format("h.{}.", i),
                      ours = fmt::format("transformer.blocks.{}.", i);
    norm(theirs + "ln_1", ours + "ln1");
    product(theirs + "attn.c_attn", ours + "attention.qkv", e, 3 * e);
    product(theirs + "attn.c_proj", ours + "attention.proj", e, e);
    norm(theirs + "ln_2", ours + "ln2");
    product(theirs + "mlp.c_fc", ours + "fc", e, hidden);
    product(theirs + "mlp.c_proj", ours + "out", hidden, e);
  }
  norm("ln_f", "transformer.norm");
  if (!o.tied_head) all.push_back({"lm_head.weight", "head.weight", {config.vocab_size, e}});
  return all;
}

constexpr std::string_view kPrefix = "transformer.";

// Theirs, without the prefix and what says nothing: stored causal masks, a tied head.
StateDict stripped(const StateDict& file, bool tied_head) {
  StateDict tensors;
  for (const auto& [full_name, tensor] : file) {
    const std::string name =
        full_name.starts_with(kPrefix) ? full_name.substr(kPrefix.size()) : full_name;
    const bool is_mask = name.starts_with("h.") &&
                         (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"));
    if (!is_mask && !(tied_head && name == "lm_head.weight")) tensors.insert(name, tensor);
  }
  return tensors;
}

StateDict renamed(const StateDict& theirs, const std::vector<Gpt2Tensor>& wanted,
                  const std::string& path) {
  std::vector<std::string> wrong;
  StateDict ours;
  for (const Gpt2Tensor& tensor : wanted) {
    const auto found = theirs.find(tensor.theirs);
    if (found == theirs.end()) {
      wrong.push_back(fmt::format("{} {} is missing", tensor.theirs, tensor.sizes));
    } else if (found->second.sizes() != tensor.sizes) {
      wrong.push_back(fmt::format("{} is {} and should be {}", tensor.theirs, found->second.sizes(),
                                  tensor.sizes));
    } else {
      const Tensor x = found->second.to(kFloat32);
      ours.insert(tensor.ours, tensor.transposed ? x.t().contiguous() : x);
    }
  }
  for (const auto& [name, tensor] : theirs) {
    const bool known = std::any_of(wanted.begin(), wanted.end(),
                                   [&name = name](const auto& w) { return w.theirs == name; });
    if (!known)
      wrong.push_back(fmt::format("{} {} belongs to no such model", name, tensor.sizes()));
  }
  require<IoError>(wrong.empty(), "{}: does not fit its config.json: {}", path,
                   fmt::join(wrong, "; "));
  return ours;
}

void check_tokenizer(const std::optional<data::Tokenizer>& tokenizer, std::int64_t vocab_size,
                     const std::string& path) {
  require<IoError>(!tokenizer || tokenizer->size() <= vocab_size,
                   "{}: the tokenizer has {} tokens, and the model knows {}", path,
                   tokenizer ? tokenizer->size() : 0, vocab_size);
}

}  // namespace

Metadata describe(std::int64_t vocab_size, const nn::TransformerOptions& options,
                  const data::Tokenizer* tokenizer) {
  Metadata metadata = {
      {kConfigKey, TransformerConfig{.vocab_size = vocab_size, .options = options}.to_json()}};
  if (tokenizer != nullptr) metadata[kTokenizerKey] = tokenizer->to_json();
  return metadata;
}

TransformerDescription TransformerDescription::of(const SavedModel& saved) {
  const auto config = TransformerConfig::from_json(saved.description(kConfigKey), saved.path());
  constexpr std::string_view kTokens = "transformer.tokens.weight";
  require<IoError>(saved.size_of(kTokens, 0) == config.vocab_size &&
                       saved.size_of(kTokens, 1) == config.options.embed_dim,
                   "{}: its table of tokens is not of the model that it describes", saved.path());
  // A few bytes can describe a model that no memory holds.
  const nn::TransformerOptions& o = config.options;
  const auto e = static_cast<double>(o.embed_dim), hidden = static_cast<double>(o.hidden);
  const double positions = e * static_cast<double>(o.context);
  const double needed = static_cast<double>(o.layers) * e * (4 * e + 2 * hidden) +
                        (o.positions == nn::Positions::learned ? positions : 0);
  require<IoError>(needed <= static_cast<double>(saved.elements()) && positions <= 0x1p30,
                   "{}: its tensors are not of the model that it describes", saved.path());
  TransformerDescription result = {.vocab_size = config.vocab_size, .options = config.options};
  if (const auto text = saved.metadata().find(kTokenizerKey); text != saved.metadata().end())
    result.tokenizer = data::Tokenizer::from_json(text->second);
  check_tokenizer(result.tokenizer, result.vocab_size, saved.path());
  return result;
}

const data::Tokenizer& LanguageModel::words(const std::string& path) const {
  require<IoError>(tokenizer.has_value(),
                   "{}: has no tokenizer; put vocab.json and merges.txt beside the model", path);
  return *tokenizer;
}

std::string LanguageModel::go_on(const std::string& prompt,
                                 const nn::GenerateOptions& options) const {
  nn::GenerateOptions to_end = options;
  to_end.stop = tokenizer->find(kEnd);
  std::vector<std::int64_t> tokens = nn::generate(gpt, {tokenizer->encode(prompt)}, to_end)[0];
  if (to_end.stop && !tokens.empty() && tokens.back() == *to_end.stop) tokens.pop_back();
  return tokenizer->decode(tokens);
}

LanguageModel base_language_model(const std::string& path) {
  if (!path.empty()) {
    LanguageModel model = load_language_model(path);
    model.words(path);
    return model;
  }
  data::Tokenizer bytes = data::Tokenizer::bytes();
  bytes.add_special(std::string(LanguageModel::kEnd));
  const nn::TransformerOptions size = {.context = 256, .layers = 4, .heads = 4, .embed_dim = 128};
  return {.gpt = nn::Gpt(bytes.size(), size), .tokenizer = bytes};
}

std::string answers_text(const std::string& prompt, const LanguageModel& before,
                         const LanguageModel& tuned, std::int64_t max_new_tokens) {
  const nn::GenerateOptions how = {.max_new_tokens = max_new_tokens, .sampling = {.greedy = true}};
  return fmt::format("\n{}\n  before: [{}]\n  tuned:  [{}]", prompt, before.go_on(prompt, how),
                     tuned.go_on(prompt, how));
}

void require_same_tokens(const std::string& path, const nn::Transformer& model,
                         const std::optional<data::Tokenizer>& tokenizer,
                         const LanguageModel& policy) {
  const std::int64_t context = policy.gpt.options().context;
  require<IoError>(
      model.vocab_size() == policy.gpt.vocab_size() && model.options().context >= context,
      "{}: this model knows {} tokens and reads {} at once, the policy {} and {}; begin "
      "both with the same model (--base)",
      path, model.vocab_size(), model.options().context, policy.gpt.vocab_size(), context);
  require<IoError>(
      !tokenizer || !policy.tokenizer || tokenizer->to_json() == policy.tokenizer->to_json(),
      "{}: this model has another tokenizer than the policy; begin both with the same "
      "model (--base)",
      path);
}

Table perplexity_table(const std::string& title,
                       const std::vector<std::pair<std::string, double>>& nats) {
  Table table{title, {"by", "nats", "perplexity"}, {}, {}};
  for (const auto& [by, loss] : nats)
    table.rows.push_back({by, fmt::format("{:.4f}", loss), fmt::format("{:.3f}", std::exp(loss))});
  return table;
}

LanguageModel load_language_model(const std::string& folder_or_file) {
  std::error_code ignored;
  if (fs::exists(in_folder(folder_or_file, "config.json"), ignored))
    return load_gpt2(folder_or_file);
  const SavedModel saved(folder_or_file);
  const auto described = TransformerDescription::of(saved);
  LanguageModel model = {.gpt = nn::Gpt(described.vocab_size, described.options),
                         .tokenizer = described.tokenizer,
                         .metadata = saved.metadata()};
  saved.load_into(model.gpt);
  return model;
}

LanguageModel load_gpt2(const std::string& folder) {
  const std::string config_path = in_folder(folder, "config.json"),
                    path = in_folder(folder, "model.safetensors");
  constexpr std::uint64_t kLargestConfig = 1 << 20;
  const auto config =
      TransformerConfig::from_gpt2(read_file(config_path, kLargestConfig), config_path);
  const StateDict state = renamed(stripped(load_safetensors(path), config.options.tied_head),
                                  gpt2_tensors(config), path);
  LanguageModel model = {.gpt = nn::Gpt(config.vocab_size, config.options)};
  std::error_code ignored;
  if (fs::exists(in_folder(folder, "vocab.json"), ignored))
    model.tokenizer = data::Tokenizer::load(folder);
  check_tokenizer(model.tokenizer, config.vocab_size, folder);
  model.gpt.load_state_dict(state);
  return model;
}

void save_gpt2(const std::string& folder, const LanguageModel& model) {
  const TransformerConfig config = {.vocab_size = model.gpt.vocab_size(),
                                    .options = model.gpt.options()};
  const std::string json = config.to_gpt2();
  const StateDict ours = model.gpt.state_dict();
  StateDict theirs;
  for (const Gpt2Tensor& tensor : gpt2_tensors(config)) {
    const Tensor& x = ours.find(tensor.ours)->second;
    const bool is_head = tensor.theirs == "lm_head.weight";
    theirs.insert((is_head ? "" : std::string(kPrefix)) + tensor.theirs,
                  tensor.transposed ? x.t().contiguous() : x);
  }
  writing([&] {
    create_folder(folder);
    save_safetensors(in_folder(folder, "model.safetensors"), theirs);
    write_file(in_folder(folder, "config.json"), json);
    if (model.tokenizer) model.tokenizer->save(folder);
  });
}

}  // namespace retrace::train
