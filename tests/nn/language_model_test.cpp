#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/moments.h>
#include <retrace/losses/losses.h>
#include <retrace/nn/nn.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tests/difference.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

using Tokens = std::vector<std::int64_t>;

// Every choice that a transformer has, not in every combination.
const std::vector<nn::TransformerOptions>& kinds() {
  static const nn::TransformerOptions base = {
      .context = 16, .layers = 2, .heads = 2, .embed_dim = 8};
  static const std::vector<nn::TransformerOptions> all = [] {
    std::vector<nn::TransformerOptions> list(6, base);
    list[1].positions = nn::Positions::sinusoidal;
    list[1].norm_first = false;
    list[2].positions = nn::Positions::rotary;
    list[2].norm = nn::NormKind::rms_norm;
    list[2].activation = "swiglu";
    list[2].bias = false;
    list[3].tied_head = true;
    list[3].activation = "gelu_tanh";
    list[4].heads = 1;
    list[4].hidden = 5;
    list[4].activation = "relu";
    list[5].dropout = 0.5;
    return list;
  }();
  return all;
}

// With weights so large that tokens matter.
template <class Model>
Model lively(std::int64_t vocab_size, const nn::TransformerOptions& options) {
  Model model(vocab_size, options);
  for (const Tensor& p : model.parameters())
    if (p.dim() == 2) nn::init::normal_(p, 0, 0.5);
  return model;
}

Tensor random_ids(std::int64_t batch, std::int64_t steps) { return randint(0, 11, {batch, steps}); }

}  // namespace

TEST_CASE("a Gpt gives the same logits with and without a cache, in a batch and alone") {
  manual_seed(1);
  for (const nn::TransformerOptions& options : kinds()) {
    nn::Gpt gpt = lively<nn::Gpt>(11, options);
    gpt.eval();
    const NoGradGuard no_grad;
    const Tensor ids = random_ids(3, 16), all = gpt(ids);
    CHECK(all.sizes() == Shape{3, 16, 11});
    CHECK(largest_difference(all[1].unsqueeze(0), gpt(ids.narrow(0, 1, 1))) < 1e-5);

    nn::KeyValueCache cache;
    CHECK(largest_difference(gpt(ids.narrow(1, 0, 5), cache), all.narrow(1, 0, 5)) < 1e-5);
    CHECK(cache.length() == 5);
    CHECK(cache.batch() == 3);
    for (std::int64_t t = 5; t < 15; ++t)
      CHECK(largest_difference(gpt.next_logits(ids.narrow(1, t, 1), &cache), all.select(1, t)) <
            1e-5);
    CHECK(largest_difference(gpt.next_logits(ids), all.select(1, -1)) < 1e-5);
    cache.clear();
    CHECK(largest_difference(gpt(ids.narrow(0, 0, 1), cache), all.narrow(0, 0, 1)) < 1e-5);
  }
}

TEST_CASE("a Gpt looks at nothing that comes later, a Bert at everything but padding") {
  manual_seed(2);
  for (const nn::TransformerOptions& options : kinds()) {
    nn::Gpt gpt = lively<nn::Gpt>(11, options);
    nn::Bert bert = lively<nn::Bert>(11, options);
    gpt.eval();
    bert.eval();
    const NoGradGuard no_grad;
    const Tensor ids = random_ids(1, 10), other = ids.clone();
    other.select(1, 7).fill_((ids.data_ptr<std::int64_t>()[7] + 1) % 11);
    CHECK(largest_difference(gpt(ids).narrow(1, 0, 7), gpt(other).narrow(1, 0, 7)) == 0);
    CHECK(largest_difference(gpt(ids).select(1, 7), gpt(other).select(1, 7)) > 1e-3);
    CHECK(largest_difference(bert(ids).select(1, 2), bert(other).select(1, 2)) > 1e-4);

    const Tensor padding = zeros({1, 10}, kBool);
    padding.narrow(1, 7, 3).fill_(true);
    CHECK(largest_difference(bert(ids, padding).narrow(1, 0, 7),
                             bert(other, padding).narrow(1, 0, 7)) == 0);
    CHECK(largest_difference(bert(ids, padding).narrow(1, 0, 7), bert(ids.narrow(1, 0, 7))) < 1e-5);
  }
}

TEST_CASE("gradients of every kind of Gpt and Bert agree with differences") {
  manual_seed(3);
  for (nn::TransformerOptions options : kinds()) {
    options.dtype = kFloat64;
    options.layers = 1;
    options.dropout = 0;
    const nn::Gpt gpt = lively<nn::Gpt>(5, options);
    const nn::Bert bert = lively<nn::Bert>(5, options);
    const Tensor ids = randint(0, 5, {2, 4});
    CHECK(gradcheck([&](const std::vector<Tensor>&) { return gpt(ids); }, gpt.parameters()));
    CHECK(gradcheck([&](const std::vector<Tensor>&) { return bert(ids); }, bert.parameters()));
  }
}

TEST_CASE("a block with the norms behind is the composition that it is said to be") {
  manual_seed(4);
  const nn::TransformerBlock block(8, 2, {.norm_first = false});
  const Tensor x = randn({2, 3, 8});
  const Tensor y = block.ln1(x + block.attention(x));
  CHECK(largest_difference(block(x), block.ln2(y + block.out(gelu(block.fc(y))))) == 0);
  CHECK(nn::TransformerBlock(9, 3, {.activation = "swiglu"}).fc.weight.sizes() == Shape{48, 9});
}

TEST_CASE("a language model's parameters have their names, first values and ties") {
  manual_seed(5);
  nn::Gpt gpt(50, {.context = 32, .layers = 2, .heads = 4, .embed_dim = 64});
  NamedTensors names = gpt.named_parameters();
  CHECK(names.begin()->first == "transformer.positions");
  CHECK(names["head.weight"].sizes() == Shape{50, 64});
  CHECK_FALSE(names.contains("head.bias"));
  const auto deviation = [&names](const char* name) {
    return retrace::std(names[name]).item<double>();
  };
  CHECK(deviation("transformer.tokens.weight") ==
        doctest::Approx(0.02 * std::sqrt(12)).epsilon(0.05));
  CHECK(deviation("transformer.blocks.1.fc.weight") ==
        doctest::Approx(0.02 * std::sqrt(12)).epsilon(0.05));
  CHECK(deviation("transformer.blocks.0.out.weight") ==
        doctest::Approx(0.01 * std::sqrt(12)).epsilon(0.05));
  CHECK(names["transformer.blocks.0.fc.bias"].abs().max().item<double>() == 0);
  const nn::Gpt tied(50, {.embed_dim = 64, .tied_head = true});
  CHECK(tied.parameters().size() == nn::Gpt(50, {.embed_dim = 64}).parameters().size() - 1);
  CHECK(tied.head.weight.is_same(tied.transformer.tokens.weight));
  // W5 of the benchmarks.
  std::int64_t count = 0;
  for (const Tensor& p :
       nn::Gpt(65, {.context = 256, .layers = 6, .heads = 6, .embed_dim = 384}).parameters())
    count += p.numel();
  CHECK(count == 10'795'776);
}

TEST_CASE("sinusoidal positions are those of the paper") {
  const Tensor p = nn::sinusoidal_positions(3, 4, kFloat64);
  const Tensor expected = tensor({{0.0, 1.0, 0.0, 1.0},
                                  {std::sin(1.0), std::cos(1.0), std::sin(0.01), std::cos(0.01)},
                                  {std::sin(2.0), std::cos(2.0), std::sin(0.02), std::cos(0.02)}},
                                 kFloat64);
  CHECK(largest_difference(p, expected) < 1e-15);
  CHECK(says(message_of<ValueError>([] { nn::sinusoidal_positions(3, 5); }), "must be even"));
}

TEST_CASE("a model that was saved gives the same bits") {
  manual_seed(6);
  const testing::TemporaryFolder folder;
  const Tensor ids = random_ids(2, 9);
  for (const nn::TransformerOptions& options : kinds()) {
    nn::Gpt gpt = lively<nn::Gpt>(11, options), other(11, options);
    save_safetensors(folder / "model.safetensors", gpt.state_dict());
    other.load_state_dict(load_safetensors(folder / "model.safetensors"));
    gpt.eval();
    other.eval();
    CHECK(largest_difference(gpt(ids), other(ids)) == 0);
    nn::Gpt twin = nn::clone(gpt);
    CHECK(largest_difference(gpt(ids), twin(ids)) == 0);
    twin.transformer.tokens.weight.detach().zero_();
    CHECK(largest_difference(gpt(ids), other(ids)) == 0);
  }
}

TEST_CASE("what stands in a place is the token plus the place") {
  nn::Gpt gpt = lively<nn::Gpt>(5, {.context = 4, .layers = 1, .heads = 1, .embed_dim = 4});
  const Tensor ids = tensor({{1, 4, 2}}), before = gpt(ids), moved = randn({4});
  gpt.transformer.tokens.weight.detach().add_(moved);
  CHECK(largest_difference(gpt(ids), before) > 1e-2);
  gpt.transformer.positions.detach().sub_(moved);
  CHECK(largest_difference(gpt(ids), before) < 1e-5);
}

TEST_CASE("a copy without dropout has the dtype that the model was converted to") {
  manual_seed(10);
  const testing::TemporaryFolder folder;
  const Tensor ids = tensor({{1, 4, 2}});
  for (nn::TransformerOptions options : kinds()) {
    options.dropout = 0.5;
    nn::Gpt gpt(5, options);
    for (const DType dtype : {kFloat64, kFloat32, kFloat64}) {
      gpt.to(dtype);
      gpt.eval();
      const nn::Gpt copy = nn::without_dropout(gpt);
      const Tensor logits = copy(ids);
      CHECK(logits.dtype() == dtype);
      CHECK(logits.equal(gpt(ids)));
      save_safetensors(folder / "model.safetensors", gpt.state_dict());
      options.dtype = dtype;
      nn::Gpt loaded(5, options);
      loaded.load_state_dict(load_safetensors(folder / "model.safetensors"));
      loaded.eval();
      CHECK(loaded(ids).equal(logits));
    }
  }
}

TEST_CASE("a copy without dropout draws no random numbers") {
  const nn::Gpt model(5, {.context = 4, .layers = 1, .heads = 1, .embed_dim = 4});
  manual_seed(11);
  const Tensor expected = randn({8});
  manual_seed(11);
  const nn::Gpt copy = nn::without_dropout(model);
  CHECK(randn({8}).equal(expected));
}

TEST_CASE("a copy without dropout leaves frozen what was") {
  nn::Gpt model(5, {.context = 4, .layers = 1, .heads = 1, .embed_dim = 4, .dropout = 0.1});
  Tensor(model.transformer.tokens.weight).requires_grad_(false);
  const nn::Gpt copy = nn::without_dropout(model);
  const auto before = model.named_parameters();
  for (const auto& [name, parameter] : copy.named_parameters())
    CHECK(parameter.requires_grad() == before.at(name).requires_grad());
  CHECK_FALSE(copy.transformer.tokens.weight.requires_grad());
}

TEST_CASE("texts grow alike with and without a cache, together and alone, beyond the context") {
  manual_seed(7);
  const std::vector<Tokens> prompts = {{1, 2, 3, 4, 5}, {6}, {7, 8, 9}};
  for (const nn::TransformerOptions& options : kinds()) {
    const nn::Gpt gpt = lively<nn::Gpt>(11, options);
    // Rows that go on from their second halves do so together, so here none does.
    nn::GenerateOptions how = {.max_new_tokens = 11, .sampling = {.greedy = true}};
    const std::vector<Tokens> together = nn::generate(gpt, prompts, how);
    for (std::size_t r = 0; r < prompts.size(); ++r) {
      CHECK(together[r].size() == 11);
      CHECK(nn::generate(gpt, {prompts[r]}, how)[0] == together[r]);
    }
    how.max_new_tokens = 50;
    const Tokens long_one = nn::generate(gpt, {prompts[0]}, how)[0];
    CHECK(long_one.size() == 50);
    how.use_cache = false;
    CHECK(nn::generate(gpt, {prompts[0]}, how)[0] == long_one);
    CHECK(gpt.is_training());
  }
}

TEST_CASE("generation ends at a token, when told to, and says what it draws") {
  manual_seed(8);
  const nn::Gpt gpt = lively<nn::Gpt>(11, kinds()[0]);
  nn::GenerateOptions how = {.max_new_tokens = 200};
  Generator first(5), second(5);
  how.sampling.generator = &first;
  const Tokens free = nn::generate(gpt, {{1}}, how)[0];
  how.sampling.generator = &second;
  how.stop = free[7];
  Tokens told;
  how.on_token = [&told](std::int64_t token) {
    told.push_back(token);
    return true;
  };
  const Tokens stopped = nn::generate(gpt, {{1}}, how)[0];
  CHECK(stopped.back() == free[7]);
  CHECK(stopped.size() <= 8);
  CHECK(std::equal(stopped.begin(), stopped.end(), free.begin()));
  CHECK(told == stopped);
  how.on_token = [](std::int64_t) { return false; };
  CHECK(nn::generate(gpt, {{1}, {2}}, how)[0].size() == 1);
  how.max_new_tokens = 0;
  CHECK(nn::generate(gpt, {{1}}, how)[0].empty());
}

TEST_CASE("tokens are drawn as often as softmax says, from what top_k and top_p leave") {
  const std::vector<double> p = {0.1, 0.4, 0.05, 0.3, 0.15};
  const Tensor logits = log(tensor({p}, kFloat64)).expand({20'000, 5});
  Generator generator(3);
  const auto shares = [&](nn::SamplingOptions options) {
    options.generator = &generator;
    std::vector<double> share(p.size());
    for (const std::int64_t token : nn::sample_tokens(logits, options).to_vector<std::int64_t>())
      ++share[static_cast<std::size_t>(token)];
    for (double& s : share) s /= 20'000;
    return share;
  };
  const auto expect = [](const std::vector<double>& got, const std::vector<double>& wanted) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const double deviation = std::sqrt(wanted[i] * (1 - wanted[i]) / 20'000);
      CHECK(std::abs(got[i] - wanted[i]) <= 4 * deviation);
    }
  };
  expect(shares({}), p);
  expect(shares({.top_k = 2}), {0, 4.0 / 7, 0, 3.0 / 7, 0});
  expect(shares({.top_p = 0.7}), {0, 4.0 / 7, 0, 3.0 / 7, 0});
  expect(shares({.top_p = 0.71}), {0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85});
  expect(shares({.top_p = 1e-9}), {0, 1, 0, 0, 0});
  expect(shares({.top_k = 99}), p);
  const double z = 0.01 + 0.16 + 0.0025 + 0.09 + 0.0225;
  expect(shares({.temperature = 0.5}), {0.01 / z, 0.16 / z, 0.0025 / z, 0.09 / z, 0.0225 / z});
  expect(shares({.greedy = true}), {0, 1, 0, 0, 0});
  CHECK(nn::sample_tokens(tensor({{1.0, 2.0, 2.0}}), {.greedy = true}).item<std::int64_t>() == 1);
}

TEST_CASE("rounding never draws a token that has no weight") {
  // All but one weight are lost one by one from what is left to go through, not from their sum, so
  // that something of the largest uniforms is left behind all of them.
  constexpr std::int64_t small = 1 << 21;
  const Tensor logits = full({1, small + 2}, std::log(5.4e-17), kFloat64);
  logits.data_ptr<double>()[small] = 0;
  logits.data_ptr<double>()[small + 1] = -HUGE_VAL;
  Generator generator;
  generator.set_state(3, 5'075'559'232);
  CHECK(generator.next_uniform() > 1 - 1e-10);
  generator.set_state(3, 5'075'559'232);
  CHECK(nn::sample_tokens(logits, {.generator = &generator}).item<std::int64_t>() == small);
}

TEST_CASE("a pass that is refused leaves the cache as it was") {
  manual_seed(12);
  nn::Gpt gpt = lively<nn::Gpt>(11, kinds()[0]);
  gpt.eval();
  gpt.transformer.tokens.requires_grad_(false);
  Tensor(gpt.transformer.positions).requires_grad_(false);
  gpt.transformer.blocks[0].requires_grad_(false);  // so that it fills its part of the cache
  nn::KeyValueCache cache;
  CHECK(says(message_of<AutogradError>([&] { gpt(random_ids(2, 3), cache); }), "blocks.1"));
  CHECK(cache.length() == 0);
  CHECK(cache.batch() == 0);
  const Tensor ids = random_ids(3, 5);
  {
    const NoGradGuard no_grad;
    CHECK(largest_difference(gpt(ids, cache), gpt(ids)) < 1e-5);
  }
  CHECK(cache.batch() == 3);
  const Tensor more = random_ids(3, 2);
  CHECK_THROWS_AS(gpt(random_ids(3, 2), cache), AutogradError);
  CHECK(cache.length() == 5);
  const NoGradGuard no_grad;
  CHECK(largest_difference(gpt(more, cache), gpt(cat({ids, more}, 1)).narrow(1, 5, 2)) < 1e-5);
}

TEST_CASE("language models and what draws from them refuse what makes no sense") {
  manual_seed(9);
  const nn::Gpt gpt(11, kinds()[0]);
  CHECK(says(message_of<ValueError>([&] { gpt(random_ids(1, 17)); }),
             "17 tokens a row; this model reads at most 16"));
  CHECK(says(message_of<ShapeError>([&] { gpt(arange(4)); }), "give [B, T]"));
  CHECK(says(message_of<IndexError>([&] { gpt(tensor({{11}})); }), "11"));
  CHECK(says(message_of<ValueError>([] { nn::Gpt(0); }), "vocab_size is 0"));
  CHECK(says(message_of<ValueError>([] { nn::Gpt(5, {.activation = "no"}); }), "\"no\""));
  CHECK(says(message_of<ValueError>([] {
               nn::Gpt(5, {.heads = 2, .embed_dim = 6, .positions = nn::Positions::rotary});
             }),
             "rotary"));

  nn::KeyValueCache cache;
  CHECK(says(message_of<AutogradError>([&] { gpt(random_ids(1, 3), cache); }), "NoGradGuard"));
  CHECK(cache.length() == 0);
  cache.clear();
  const NoGradGuard no_grad;
  gpt(random_ids(2, 10), cache);
  CHECK(says(message_of<ValueError>([&] { gpt(random_ids(2, 7), cache); }), "behind 10 in the"));
  CHECK(says(message_of<ShapeError>([&] { gpt(random_ids(1, 2), cache); }), "has 2 rows"));
  CHECK(cache.length() == 10);
  gpt(random_ids(2, 6), cache);

  const Tensor logits = zeros({1, 3});
  CHECK(says(message_of<ValueError>([&] { nn::sample_tokens(logits, {.temperature = 0}); }),
             "temperature is 0; give one above 0, or greedy"));
  CHECK(says(message_of<ValueError>([&] { nn::sample_tokens(logits, {.temperature = -1}); }),
             "temperature is -1"));
  CHECK(says(message_of<ValueError>([&] { nn::sample_tokens(logits, {.top_p = 0}); }), "(0, 1]"));
  CHECK(says(message_of<ValueError>([&] { nn::sample_tokens(logits, {.top_p = 1.5}); }), "1.5"));
  CHECK(says(message_of<ValueError>([&] { nn::sample_tokens(logits, {.top_k = -1}); }), "top_k"));
  CHECK(says(message_of<ValueError>([&] { nn::sample_tokens(log(logits)); }), "no finite"));
  CHECK(says(message_of<ShapeError>([&] { nn::sample_tokens(zeros({3})); }), "[rows, V]"));
  CHECK(says(message_of<DTypeError>([&] { nn::sample_tokens(arange(3).unsqueeze(0)); }), "int64"));
  CHECK(says(message_of<ValueError>([&] { nn::generate(gpt, {}); }), "no prompt"));
  CHECK(says(message_of<ValueError>([&] { nn::generate(gpt, {{}}); }), "is empty"));
  CHECK(says(message_of<ValueError>([&] { nn::generate(gpt, {Tokens(17, 1)}); }), "17 tokens"));
  CHECK(says(message_of<IndexError>([&] { nn::generate(gpt, {{-1}}); }), "-1"));
  CHECK(says(message_of<IndexError>([&] { nn::generate(gpt, {{gpt.vocab_size()}}); }), "outside"));
  CHECK_NOTHROW(nn::generate(gpt, {{0, gpt.vocab_size() - 1}}, {.max_new_tokens = 1}));
}
