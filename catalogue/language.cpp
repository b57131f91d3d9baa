#include <retrace/catalogue/loss_samples.h>
#include <retrace/losses/distillation.h>
#include <retrace/losses/language.h>
#include <retrace/losses/perplexity.h>

namespace retrace::catalogue {
namespace {

constexpr std::int64_t kVocabulary = 4;

Sample of_tokens(const Shape& sizes, const std::string& tokens, Arguments arguments = {},
                 const std::string& mask = {}) {
  Shape logits = sizes;
  logits.push_back(kVocabulary);
  Sample sample{{{"logits", logits}, {tokens, sizes, indices(kVocabulary)}}, std::move(arguments)};
  if (!mask.empty()) sample.inputs.push_back({mask, sizes, truths()});
  return sample;
}

Results call_next_token(const Call& c) {
  return losses::next_token_loss(c["logits"], c["tokens"],
                                 {.ignore_index = c.integer("ignore_index", -100),
                                  .mask = c.optional("mask"),
                                  .reduction = reduction_of("next_token_loss", c)});
}

Sample taught(const Shape& rows, Arguments arguments) {
  Shape logits = rows;
  logits.push_back(kVocabulary);
  return {
      {{"student", logits}, constant("teacher", logits), {"labels", rows, indices(kVocabulary)}},
      std::move(arguments)};
}

Results call_generalized_jsd(const Call& c) {
  return losses::generalized_jsd(c["student"], c["teacher"], c["labels"],
                                 {.beta = c.number("beta", 0.5),
                                  .temperature = c.number("temperature", 1),
                                  .ignore_index = c.integer("ignore_index", -100),
                                  .reduction = reduction_of("generalized_jsd", c)});
}

Results call_mlm_corrupt(const Call& c) {
  const losses::MlmBatch batch =
      losses::mlm_corrupt(c["ids"], c["special"],
                          {.mask_id = c.integer("mask_id"),
                           .vocab_size = c.integer("vocab_size", 0),
                           .mask_prob = c.number("mask_prob", 0.15),
                           .p_mask = c.number("p_mask", 0.8),
                           .p_random = c.number("p_random", 0.1),
                           .ignore_index = c.integer("ignore_index", -100),
                           .u_select = c.optional("u_select"),
                           .u_action = c.optional("u_action"),
                           .random_ids = c.optional("random_ids")});
  return Results({{"ids", batch.ids}, {"labels", batch.labels}});
}

}  // namespace

void add_language(std::vector<Row>& rows) {
  const Shape ids = {3, 4};
  const Domain token = indices(9), uniform = between(0, 1);
  rows.insert(
      rows.end(),
      {
          {.name = "next_token_loss",
           .family = "language",
           .question = "How surprised is the model by each next token?",
           .run = call_next_token,
           .samples = with_reductions({of_tokens({2, 3}, "tokens"),
                                       of_tokens({2, 5}, "tokens", {{"ignore_index", 2}}, "mask"),
                                       of_tokens({4}, "tokens"), of_tokens({2, 1}, "tokens")}),
           .second_derivatives = false},
          {.name = "sequence_logps",
           .family = "language",
           .question = "How likely does the model find this response?",
           .run = [](const Call& c) -> Results {
             return losses::sequence_logps(c["logits"], c["tokens"], c.optional("mask"),
                                           {.average = c.flag("average", false)});
           },
           .samples = {of_tokens({2, 3}, "tokens"), of_tokens({2, 5}, "tokens", {}, "mask"),
                       of_tokens({3, 4}, "tokens", {{"average", true}}, "mask"),
                       of_tokens({4}, "tokens")},
           .second_derivatives = false},
          {.name = "sft_loss",
           .family = "language",
           .question = "How far is the model from the responses it is shown?",
           .run = [](const Call& c) -> Results {
             return losses::sft_loss(
                 c["logits"], c["tokens"], c["response_mask"],
                 {.loss_type = losses::sft_loss_type_from_string(c.text("kind", "nll")),
                  .reduction = reduction_of("sft_loss", c)});
           },
           .samples = with_reductions({of_tokens({2, 4}, "tokens", {}, "response_mask"),
                                       of_tokens({3}, "tokens", {}, "response_mask")}),
           .second_derivatives = false},
          {.name = "masked_lm_loss",
           .family = "language",
           .question = "How well are hidden tokens guessed from those around them?",
           .run = [](const Call& c) -> Results {
             return losses::masked_lm_loss(c["logits"], c["labels"],
                                           {.ignore_index = c.integer("ignore_index", -100),
                                            .reduction = reduction_of("masked_lm_loss", c)});
           },
           .samples = with_reductions({of_tokens({2, 3}, "labels", {{"ignore_index", 1}}),
                                       of_tokens({4}, "labels"), of_tokens({}, "labels")}),
           .second_derivatives = false},
          {.name = "distillation_loss",
           .family = "language",
           .question = "How far is the student from the teacher, and from the labels?",
           .run = [](const Call& c) -> Results {
             return losses::distillation_loss(c["student"], c["teacher"], c["labels"],
                                              {.temperature = c.number("temperature", 2),
                                               .alpha = c.number("alpha", 0.5),
                                               .ignore_index = c.integer("ignore_index", -100)});
           },
           .samples = {taught({3}, {}), taught({2, 3}, {{"ignore_index", 1}}),
                       taught({3}, {{"temperature", 4.0}, {"alpha", 0.9}})},
           .second_derivatives = false},
          {.name = "generalized_jsd",
           .family = "language",
           .question = "How far apart are teacher and student, seen from between them?",
           .run = call_generalized_jsd,
           .samples = with_reductions(
               {taught({2, 3}, {}), taught({2, 3}, {{"beta", 0.1}, {"ignore_index", 1}}),
                taught({3}, {{"beta", 0.0}, {"temperature", 2.0}}),
                taught({3}, {{"beta", 1.0}, {"temperature", 2.0}})},
               {"mean", "sum"})},
          {.name = "mlm_corrupt",
           .family = "language",
           .question = "Which tokens is the model to guess, and what does it see instead?",
           .run = call_mlm_corrupt,
           .samples = {{{{"ids", ids, token},
                         {"special", ids, truths()},
                         {"u_select", ids, uniform},
                         {"u_action", ids, uniform},
                         {"random_ids", ids, token}},
                        {{"mask_id", std::int64_t{9}},
                         {"vocab_size", std::int64_t{9}},
                         {"mask_prob", 0.5}}}},
           .differentiable = false},
          {.name = "perplexity",
           .family = "language",
           .question = "Among how many tokens does the model choose?",
           .run = [](const Call& c) -> Results { return losses::perplexity(c["mean_nll"]); },
           .samples = {{{{"mean_nll", {}}}}, {{{"mean_nll", {3}}}}}},
          {.name = "perplexity_aggregate",
           .family = "language",
           .question = "What is the perplexity of several batches together?",
           .run = [](const Call& c) -> Results {
             return losses::perplexity_aggregate(c["nll_sum"], c["tokens"]);
           },
           .samples = {{{{"nll_sum", {4}, positive()}, {"tokens", {4}, {1, 9, {}, kInt64}}}}},
           .differentiable = false},
          {.name = "bits_per_token",
           .family = "language",
           .question = "How many bits does a token take?",
           .run = [](const Call& c) -> Results { return losses::bits_per_token(c["mean_nll"]); },
           .samples = {{{{"mean_nll", {}}}}, {{{"mean_nll", {3}}}}}},
          {.name = "bits_per_byte",
           .family = "language",
           .question = "How many bits does a byte of text take?",
           .run = [](const Call& c) -> Results {
             return losses::bits_per_byte(c["nll_sum"], c["num_bytes"]);
           },
           .samples = {{{{"nll_sum", {4}, positive()}, {"num_bytes", {4}, {1, 9, {}, kInt64}}}}},
           .differentiable = false},
      });
}

}  // namespace retrace::catalogue
