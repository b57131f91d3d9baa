#include <retrace/train/transformer_config.h>

#include <algorithm>

#include <retrace/tensor/check.h>
#include <retrace/tensor/json.h>

namespace retrace::train {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr std::int64_t kMostLayers = 4096;

// Names of values, in both directions.
template <class T>
struct Spelling {
  T value;
  const char* text;
};
constexpr Spelling<nn::Positions> kPositions[] = {{nn::Positions::learned, "learned"},
                                                  {nn::Positions::sinusoidal, "sinusoidal"},
                                                  {nn::Positions::rotary, "rotary"}};
constexpr Spelling<nn::NormKind> kNorms[] = {{nn::NormKind::layer_norm, "layer_norm"},
                                             {nn::NormKind::rms_norm, "rms_norm"}};
// Ours, and theirs.
constexpr Spelling<std::string_view> kActivations[] = {
    {"gelu_tanh", "gelu_new"}, {"gelu_tanh", "gelu_pytorch_tanh"},
    {"gelu", "gelu"},          {"relu", "relu"},
    {"silu", "silu"},          {"silu", "swish"}};

template <class T, std::size_t n>
const char* text_of(const Spelling<T> (&all)[n], T value) {
  for (const auto& spelling : all)
    if (spelling.value == value) return spelling.text;
  return nullptr;
}

// Reads members of a JSON object; what is wrong with one is an IoError that names it.
class Reader {
 public:
  Reader(const std::string& json, const std::string& path) : path_(path) {
    try {
      object_ = parse_json(json);
    } catch (const Json::exception&) {  // then it is no object
    } catch (const IoError& error) {
      fail<IoError>("{}: {}", path, error.what());
    }
    require<IoError>(object_.is_object(), "{}: is not a JSON object", path);
  }

  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }
  std::int64_t size(const char* key, std::int64_t low, std::int64_t high = 1 << 30) const {
    const Json& value = member(key);
    require<IoError>(value.is_number_integer() && value >= low && value <= high,
                     "{}: {} is {}; it must be a whole number from {} to {}", path_, key,
                     json_excerpt(value), low, high);
    return value;
  }
  double number(const char* key) const {
    const Json& value = member(key);
    require<IoError>(value.is_number(), "{}: {} is {}; it must be a number", path_, key,
                     json_excerpt(value));
    return value;
  }
  bool flag(const char* key) const {
    const Json& value = member(key);
    require<IoError>(value.is_boolean(), "{}: {} is {}; it must be true or false", path_, key,
                     json_excerpt(value));
    return value;
  }
  bool flag(const char* key, bool otherwise) const { return has(key) ? flag(key) : otherwise; }
  std::string text(const char* key) const {
    const Json& value = member(key);
    require<IoError>(value.is_string(), "{}: {} is {}; it must be a text", path_, key,
                     json_excerpt(value));
    return value;
  }
  template <class T, std::size_t n>
  T choice(const char* key, const Spelling<T> (&all)[n]) const {
    const std::string given = text(key);
    for (const auto& spelling : all)
      if (spelling.text == given) return spelling.value;
    fail<IoError>("{}: {} is {}, which is not known here", path_, key, json_excerpt(given));
  }

 private:
  const Json& member(const char* key) const {
    require<IoError>(object_.contains(key), "{}: {} is missing", path_, key);
    return object_[key];
  }
  const std::string& path_;
  Json object_;
};

void check_heads(const TransformerConfig& config, const std::string& path) {
  const nn::TransformerOptions& o = config.options;
  require<IoError>(o.embed_dim % o.heads == 0, "{}: {} heads cannot share {} channels", path,
                   o.heads, o.embed_dim);
}

}  // namespace

std::string TransformerConfig::to_json() const {
  const nn::TransformerOptions& o = options;
  return json_text(OrderedJson{{"vocab_size", vocab_size},
                               {"context", o.context},
                               {"layers", o.layers},
                               {"heads", o.heads},
                               {"embed_dim", o.embed_dim},
                               {"hidden", o.hidden},
                               {"positions", text_of(kPositions, o.positions)},
                               {"activation", o.activation},
                               {"norm", text_of(kNorms, o.norm)},
                               {"norm_first", o.norm_first},
                               {"bias", o.bias},
                               {"tied_head", o.tied_head},
                               {"dropout", o.dropout},
                               {"eps", o.eps}});
}

TransformerConfig TransformerConfig::from_json(const std::string& json, const std::string& path) {
  const Reader read(json, path);
  TransformerConfig config = {.vocab_size = read.size("vocab_size", 1),
                              .options = {.context = read.size("context", 1),
                                          .layers = read.size("layers", 1, kMostLayers),
                                          .heads = read.size("heads", 1),
                                          .embed_dim = read.size("embed_dim", 1),
                                          .hidden = read.size("hidden", 0),
                                          .positions = read.choice("positions", kPositions),
                                          .activation = read.text("activation"),
                                          .norm = read.choice("norm", kNorms),
                                          .norm_first = read.flag("norm_first"),
                                          .bias = read.flag("bias"),
                                          .tied_head = read.flag("tied_head"),
                                          .dropout = read.number("dropout"),
                                          .eps = read.number("eps")}};
  check_heads(config, path);
  return config;
}

std::string TransformerConfig::to_gpt2() const {
  const nn::TransformerOptions& o = options;
  const char* const activation = text_of(kActivations, std::string_view(o.activation));
  require<ValueError>(o.positions == nn::Positions::learned && o.norm == nn::NormKind::layer_norm &&
                          o.norm_first && o.bias && activation != nullptr,
                      "save_gpt2: the form has learned positions, layer_norm in front, biases and "
                      "gelu, gelu_tanh, relu or silu; this model has {} positions, {} {}, {} and "
                      "{}",
                      text_of(kPositions, o.positions), text_of(kNorms, o.norm),
                      o.norm_first ? "in front" : "behind", o.bias ? "biases" : "no biases",
                      o.activation);
  return json_text(OrderedJson{{"architectures", {"GPT2LMHeadModel"}},
                               {"model_type", "gpt2"},
                               {"vocab_size", vocab_size},
                               {"n_positions", o.context},
                               {"n_ctx", o.context},
                               {"n_embd", o.embed_dim},
                               {"n_layer", o.layers},
                               {"n_head", o.heads},
                               {"n_inner", o.hidden == 0 ? OrderedJson() : OrderedJson(o.hidden)},
                               {"activation_function", activation},
                               {"layer_norm_epsilon", o.eps},
                               {"resid_pdrop", o.dropout},
                               {"embd_pdrop", o.dropout},
                               {"attn_pdrop", o.dropout},
                               {"tie_word_embeddings", o.tied_head}},
                   1) +
         "\n";
}

TransformerConfig TransformerConfig::from_gpt2(const std::string& json, const std::string& path) {
  const Reader read(json, path);
  require<IoError>(!read.has("model_type") || read.text("model_type") == "gpt2",
                   "{}: model_type is not gpt2, the only form that is read here", path);
  require<IoError>(read.flag("scale_attn_weights", true) &&
                       !read.flag("scale_attn_by_inverse_layer_idx", false) &&
                       !read.flag("add_cross_attention", false),
                   "{}: attention that is not scaled by the root of its width, or looks at other "
                   "texts, is not known here",
                   path);
  TransformerConfig config = {
      .vocab_size = read.size("vocab_size", 1),
      .options = {
          .context = read.size(read.has("n_positions") ? "n_positions" : "n_ctx", 1),
          .layers = read.size("n_layer", 1, kMostLayers),
          .heads = read.size("n_head", 1),
          .embed_dim = read.size("n_embd", 1),
          .hidden = read.has("n_inner") ? read.size("n_inner", 1) : 0,
          .tied_head = read.flag("tie_word_embeddings", true),
          .dropout = read.has("resid_pdrop") ? read.number("resid_pdrop") : 0,
          .eps = read.has("layer_norm_epsilon") ? read.number("layer_norm_epsilon") : 1e-5}};
  config.options.activation = read.has("activation_function")
                                  ? read.choice("activation_function", kActivations)
                                  : "gelu_tanh";
  check_heads(config, path);
  return config;
}

}  // namespace retrace::train
