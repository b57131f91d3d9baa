#include <doctest/doctest.h>

#include <fstream>

#include <nlohmann/json.hpp>

#include <retrace/autograd/grad_mode.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/nn/init.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tests/difference.h>
#include <retrace/tests/files.h>
#include <retrace/train/language_model.h>
#include <retrace/train/saved_model.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;
using retrace::testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const std::string kTiny = RETRACE_SOURCE_DIR "/tests/train/gpt2_tiny";

// A copy of the checkpoint with other tensors.
std::string with_tensors(const TemporaryFolder& folder, const StateDict& tensors) {
  fs::copy_file(kTiny + "/config.json", folder / "config.json",
                fs::copy_options::overwrite_existing);
  save_safetensors(folder / "model.safetensors", tensors);
  return folder.path();
}

// ... or with another member in its config.json.
std::string with_member(const TemporaryFolder& folder, const char* key, nlohmann::json value) {
  fs::copy_file(kTiny + "/model.safetensors", folder / "model.safetensors",
                fs::copy_options::overwrite_existing);
  auto config = nlohmann::json::parse(read_file(kTiny + "/config.json"));
  config[key] = std::move(value);
  folder.put("config.json", config.dump());
  return folder.path();
}

}  // namespace

TEST_CASE("a GPT-2 checkpoint gives the logits that PyTorch computed of it") {
  const auto expected = nlohmann::json::parse(read_file(kTiny + "/logits.json"));
  const auto tokens = expected["tokens"].get<std::vector<std::vector<std::int64_t>>>();
  const Tensor ids = empty({2, 12}, kInt64);
  for (std::int64_t r = 0; r < 2; ++r)
    std::copy(tokens[r].begin(), tokens[r].end(), ids.data_ptr<std::int64_t>() + 12 * r);
  const auto numbers = expected["logits"].get<std::vector<double>>();
  const Tensor logits = tensor({numbers}, kFloat64).view({2, 12, 97});

  nn::Gpt gpt = train::load_language_model(kTiny).gpt;
  gpt.eval();
  CHECK(largest_difference(gpt(ids).to(kFloat64), logits) < 1e-5);
  gpt.to(kFloat64);
  CHECK(largest_difference(gpt(ids), logits) < 1e-10);
}

TEST_CASE("a GPT that is written in GPT-2's form comes back with the same bits") {
  manual_seed(1);
  const TemporaryFolder folder;
  const Tensor ids = randint(0, 256, {2, 7});
  for (const bool tied : {false, true}) {
    const nn::TransformerOptions options = {.context = 9,
                                            .layers = 3,
                                            .heads = 2,
                                            .embed_dim = 8,
                                            .hidden = tied ? 0 : 12,
                                            .activation = tied ? "gelu" : "gelu_tanh",
                                            .tied_head = tied,
                                            .eps = 1e-6};
    train::LanguageModel model = {.gpt = nn::Gpt(256, options),
                                  .tokenizer = data::Tokenizer::bytes()};
    for (const Tensor& p : model.gpt.parameters()) nn::init::normal_(p, 0, 0.3);
    train::save_gpt2(folder / "out", model);
    const train::LanguageModel back = train::load_language_model(folder / "out");
    CHECK(largest_difference(model.gpt(ids), back.gpt(ids)) == 0);
    CHECK(back.tokenizer->encode("abc") == std::vector<std::int64_t>{97, 98, 99});
    CHECK(back.gpt.options().hidden == options.hidden);
  }
  const auto refused = [&](const nn::TransformerOptions& options) {
    return message_of<ValueError>(
        [&] { train::save_gpt2(folder / "no", {.gpt = nn::Gpt(5, options)}); });
  };
  CHECK(says(refused({.positions = nn::Positions::rotary}), "rotary positions"));
  CHECK(says(refused({.activation = "swiglu"}), "swiglu"));
  CHECK(says(refused({.norm = nn::NormKind::rms_norm}), "rms_norm"));
  CHECK(says(refused({.norm_first = false}), "behind"));
  CHECK(says(refused({.bias = false}), "no biases"));
  CHECK_FALSE(fs::exists(folder / "no"));
}

TEST_CASE("prefixes, stored masks, a stored head and half precision do not matter") {
  const TemporaryFolder folder;
  StateDict other;
  for (const auto& [name, x] : load_safetensors(kTiny + "/model.safetensors")) {
    const std::string bare = name.starts_with("transformer.") ? name.substr(12) : name;
    if (bare.ends_with(".attn.bias")) continue;
    other.insert("transformer." + bare, x);
  }
  other.insert("transformer.h.0.attn.bias", ones({1, 1, 64, 64}, kBool));
  other.insert("transformer.h.1.attn.masked_bias", zeros({}));
  other.insert("lm_head.weight", other["transformer.wte.weight"]);
  const Tensor ids = tensor({{1, 2, 3}});
  const NoGradGuard no_grad;
  CHECK(largest_difference(train::load_gpt2(with_tensors(folder, other)).gpt(ids),
                           train::load_gpt2(kTiny).gpt(ids)) == 0);
}

TEST_CASE("a checkpoint that does not fit is refused with all that is wrong") {
  const TemporaryFolder folder;
  const StateDict file = load_safetensors(kTiny + "/model.safetensors");
  StateDict other;
  for (const auto& [name, x] : file) {
    if (name.ends_with("h.0.ln_1.bias")) continue;
    other.insert(name, name.ends_with("wpe.weight") ? zeros({63, 32}) : x);
  }
  other.insert("h.2.ln_1.weight", zeros({32}));
  const std::string message =
      message_of<IoError>([&] { train::load_gpt2(with_tensors(folder, other)); });
  CHECK(says(message, "h.0.ln_1.bias [32] is missing"));
  CHECK(says(message, "wpe.weight is [63, 32] and should be [64, 32]"));
  CHECK(says(message, "h.2.ln_1.weight [32] belongs to no such model"));

  const auto refused = [&](const char* key, nlohmann::json value) {
    return message_of<IoError>([&] { train::load_gpt2(with_member(folder, key, value)); });
  };
  CHECK(says(refused("n_head", 5), "5 heads cannot share 32 channels"));
  CHECK(says(refused("n_layer", 3), "h.2.ln_1.weight [32] is missing"));
  CHECK(says(refused("n_layer", -1), "n_layer is -1"));
  CHECK(says(refused("n_embd", "32"), "n_embd is \"32\""));
  CHECK(says(refused("vocab_size", 1 << 29), "wte.weight is [97, 32]"));
  CHECK(says(refused("activation_function", "tan"), "\"tan\", which is not known here"));
  CHECK(says(refused("model_type", "llama"), "model_type is not gpt2"));
  CHECK(says(refused("scale_attn_by_inverse_layer_idx", true), "not known here"));
  folder.put("config.json", "{\"n_layer\": 2}");
  CHECK(says(message_of<IoError>([&] { train::load_gpt2(folder.path()); }), "is missing"));
  folder.put("config.json", "{\"n_layer\": 2, \"n_layer\": 3}");
  CHECK(message_of<IoError>([&] { train::load_gpt2(folder.path()); }) ==
        folder / "config.json" + ": \"n_layer\" comes twice in one object");
  folder.put("config.json", "[1]");
  CHECK(says(message_of<IoError>([&] { train::load_gpt2(folder.path()); }), "not a JSON object"));
}

TEST_CASE("a model file says what the model is made of") {
  manual_seed(2);
  const TemporaryFolder folder;
  const data::Tokenizer tokenizer = data::Tokenizer::characters("ab c\xc3\xa9");
  const std::vector<nn::TransformerOptions> kinds = {
      {.context = 5, .layers = 1, .heads = 2, .embed_dim = 4},
      {.context = 5,
       .layers = 2,
       .heads = 1,
       .embed_dim = 4,
       .hidden = 3,
       .positions = nn::Positions::rotary,
       .activation = "swiglu",
       .norm = nn::NormKind::rms_norm,
       .bias = false,
       .tied_head = true,
       .dropout = 0.1}};
  const Tensor ids = tensor({{0, 1, 2, 3, 4}});
  for (const nn::TransformerOptions& options : kinds) {
    nn::Gpt gpt(tokenizer.size(), options);
    save_safetensors(folder / "model.safetensors", gpt.state_dict(),
                     train::describe(gpt.vocab_size(), options, &tokenizer));
    const train::LanguageModel back = train::load_language_model(folder.path());
    gpt.eval();
    nn::Gpt reader = back.gpt;
    reader.eval();
    CHECK(largest_difference(gpt(ids), reader(ids)) == 0);
    CHECK(back.tokenizer->encode("c\xc3\xa9") == tokenizer.encode("c\xc3\xa9"));
    CHECK(back.gpt.options().dropout == options.dropout);
  }

  nn::Gpt gpt(4, kinds[0]);
  save_safetensors(folder / "model.safetensors", gpt.state_dict(),
                   train::describe(4, kinds[0], &tokenizer));
  CHECK(says(message_of<IoError>([&] { train::load_language_model(folder.path()); }),
             "the tokenizer has 5 tokens, and the model knows 4"));
  save_safetensors(folder / "model.safetensors", gpt.state_dict());
  CHECK(says(message_of<IoError>([&] { train::load_language_model(folder.path()); }),
             "says nothing of transformer"));
  save_safetensors(folder / "model.safetensors", gpt.state_dict(),
                   train::describe(1 << 29, kinds[0]));
  CHECK(says(message_of<IoError>([&] { train::load_language_model(folder.path()); }),
             "table of tokens"));
}
