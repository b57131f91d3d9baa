#include <retrace/autograd/ops/comparison.h>
#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
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

// A student's scores of three classes, of which the first is right and moves; the teacher's stand.
Scene along_student(Knobs knobs) {
  return {.inputs = {{"student", {1, 3}, {1, 2, 3}},
                     {"teacher", {1, 3}, {3, 1, 0}},
                     classes("labels", {0})},
          .moved = "student",
          .axis = {.symbol = "z₁", .label = "student's score of the right class, of three"},
          .shown = {{"L"}},
          .knobs = std::move(knobs),
          .watched = {{"z₂", 1}, {"z₃", 2}}};
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
           .card = {.topic = 26,
                    .about = "Cross-entropy of position t with the token at t + 1. Knowing nothing "
                             "costs ln V. What language models are trained with.",
                    .range = "[0, ∞)",
                    .slope = "p - 1 to the right token: a straight line of its probability; p to "
                             "each wrong one.",
                    .call = "losses::next_token_loss(logits, tokens)",
                    .example = "tiny_lm",
                    .trap = "The shift is made inside: give logits and tokens of the same "
                            "positions. The last position predicts nothing and gets no gradient.",
                    .scene = {.inputs = {{"logits", {2, 4}, {0, 0, 0, 0, 0, 0, 0, 0}},
                                         classes("tokens", {2, 1})},
                              .moved = "logits",
                              .element = 1,
                              .axis = token_probability(),
                              .shown = {{"L"}},
                              .watched = {{"z of a wrong one", 0}}}}},
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
           .card = {.topic = 26,
                    .about = "The sum of its tokens' log-probabilities. All losses of preferences "
                             "are made of it.",
                    .range = "(-∞, 0]",
                    .slope = "1 - p to the right token: vanishes where it is certain.",
                    .call = "losses::sequence_logps(logits, tokens, {}, {.average = $(average)})",
                    .example = "dpo",
                    .trap = "A sum favours short responses, a mean does not: DPO takes the sum, "
                            "SimPO and ORPO the mean.",
                    .scene = {.inputs = {{"logits", {3, 4}, {0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0}},
                                         classes("tokens", {2, 1, 2})},
                              .moved = "logits",
                              .element = 1,
                              .axis = token_probability(),
                              .shown = {{"log p"}},
                              .knobs = {{"average", "average", {false, true}, false}},
                              .watched = {{"z of a wrong one", 0}}}}},
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
           .card = {.topic = 30,
                    .about = "Only the tokens of the response count, not those of the prompt.",
                    .range = "[0, ∞)",
                    .slope = "p - 1 to the right token of the response, exactly 0 from targets of "
                             "the prompt. dft turns down what the model finds unlikely.",
                    .call = "losses::sft_loss(logits, tokens, response_mask, {.loss_type = "
                            "losses::SftLossType::$(kind)})",
                    .example = "sft --loss nll",
                    .trap = "The last token of the prompt predicts the first of the response, so "
                            "its logits do get a gradient. dft holds its factor p constant: finite "
                            "differences of the curve do not confirm its gradient.",
                    .scene = {.inputs = {{"logits", {3, 4}, {0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0}},
                                         classes("tokens", {0, 1, 2}),
                                         {"response_mask", {3}, {0, 1, 1}, kBool}},
                              .moved = "logits",
                              .element = 1,
                              .axis = token_probability(),
                              .shown = {{"L"}},
                              .knobs = {{"kind", "type", {"nll", "dft"}, "nll"}},
                              .watched = {{"z of a wrong one", 0}}}}},
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
           .card =
               {.topic = 27,
                .about = "Cross-entropy at the chosen positions only, from what stands on both "
                         "sides. BERT's loss.",
                .range = "[0, ∞)",
                .slope =
                    "p - 1 to the right token at a chosen position; exactly 0 everywhere else.",
                .call = "losses::masked_lm_loss(logits, labels)",
                .example = "masked_lm",
                .trap = "No shift: position t predicts the token at t. The label -100 marks what "
                        "does not count.",
                .scene = {.inputs = {{"logits", {2, 4}, {0, 0, 0, 0, 0, 0, 0, 0}},
                                     classes("labels", {1, -100})},
                          .moved = "logits",
                          .element = 1,
                          .axis = token_probability(),
                          .shown = {{"L"}},
                          .watched = {{"z of a wrong one", 0}, {"z where nothing counts", 5}}}}},
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
           .card = {.topic = 29,
                    .about = "The teacher is read at a temperature, which shows what it finds "
                             "similar; a share of the loss is that of the labels.",
                    .range = "[0, ∞)",
                    .slope = "α T (p_s - p_t) + (1 - α) (p - y): 0 where student and teacher (and "
                             "labels) agree.",
                    .call = "losses::distillation_loss(student, teacher, labels, {.temperature = "
                            "$(temperature), .alpha = $(alpha)})",
                    .example = "distillation --temperature 2",
                    .trap = "The soft part is multiplied by T², or its gradient would shrink as T "
                            "grows. α is the teacher's share here, the labels' in some other code. "
                            "The labels' part is at T = 1.",
                    .scene = along_student(
                        {{"temperature", "T", {0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0}, 2.0},
                         {"alpha", "α", {0.0, 0.25, 0.5, 0.75, 1.0}, 0.5}})}},
          {.name = "generalized_jsd",
           .family = "language",
           .question = "How far apart are teacher and student, seen from between them?",
           .run = call_generalized_jsd,
           .samples = with_reductions(
               {taught({2, 3}, {}), taught({2, 3}, {{"beta", 0.1}, {"ignore_index", 1}}),
                taught({3}, {{"beta", 0.0}, {"temperature", 2.0}}),
                taught({3}, {{"beta", 1.0}, {"temperature", 2.0}})},
               {"mean", "sum"}),
           .card =
               {.topic = 29,
                .about = "From KL(teacher‖student) at β = 0 to KL(student‖teacher) at β = 1, by "
                         "way of their mixture. For students that learn from their own texts.",
                .range = "[0, ∞)",
                .slope =
                    "0 where they agree; β = 1 makes the student pick one mode of the teacher.",
                .call = "losses::generalized_jsd(student, teacher, labels, {.beta = $(beta), "
                        ".temperature = $(temperature)})",
                .trap = "The two ends are cases of their own, not limits of the formula. No factor "
                        "T². The labels only say which tokens count.",
                .scene = along_student({{"beta", "β", spaced(0, 1, 11), 0.5},
                                        {"temperature", "T", {0.5, 1.0, 2.0}, 1.0}})}},
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
           .differentiable = false,
           .card =
               {.topic = 27,
                .about = "Of the tokens chosen, 80 % become the mask, 10 % a random token, 10 % "
                         "stay. Eight tokens with fixed draws.",
                .range = "0 ... all tokens",
                .slope = "None: a choice has no gradient.",
                .call = "losses::mlm_corrupt(ids, special, {.mask_id = 9, .mask_prob = 0.15, "
                        ".p_mask = $(p_mask)})",
                .example = "masked_lm --corruption bert",
                .trap = "A label is the token that was there, also where it stayed: it is to be "
                        "guessed, not copied.",
                .formula = "a token is chosen where its draw is below mask_prob; a second draw "
                           "says what becomes of it",
                .scene =
                    {.inputs = {classes("ids", {1, 2, 3, 4, 5, 6, 7, 8}),
                                {"special", {8}, {0, 0, 0, 0, 0, 0, 0, 0}, kBool},
                                {"u_select", {8}, {0.07, 0.63, 0.31, 0.94, 0.12, 0.48, 0.79, 0.26}},
                                {"u_action", {8}, {0.2, 0.85, 0.5, 0.3, 0.95, 0.1, 0.7, 0.6}},
                                classes("random_ids", {8, 7, 6, 5, 4, 3, 2, 1})},
                     .moved = "mask_prob",
                     .axis = {.symbol = "p",
                              .label = "probability of being chosen",
                              .low = 0,
                              .high = 1,
                              .points = 51,
                              .edges = {-0.1, 0, 1, 1.1}},
                     .shown = {{"chosen", 0, "chosen"}, {"masked", 0, "masked"}},
                     .knobs = {{"p_mask", "share of masks", {0.0, 0.5, 0.8}, 0.8}},
                     .arguments = {{"mask_id", std::int64_t{9}}, {"vocab_size", std::int64_t{9}}},
                     .run = [](const Call& c) -> Results {
                       const Results batch = call_mlm_corrupt(c);
                       return Results({{"chosen", ne(batch["labels"], -100).sum()},
                                       {"masked", eq(batch["ids"], 9).sum()}});
                     }}}},
          {.name = "perplexity",
           .family = "language",
           .question = "Among how many tokens does the model choose?",
           .run = [](const Call& c) -> Results { return losses::perplexity(c["mean_nll"]); },
           .samples = {{{{"mean_nll", {}}}}, {{{"mean_nll", {3}}}}},
           .card =
               {.topic = 28,
                .about = "e to the mean surprise: a model of perplexity 20 is as undecided as "
                         "between 20 equally likely tokens.",
                .range = "[1, ∞)",
                .slope = "The perplexity itself: it grows as it does. A measure, not a loss to "
                         "train with.",
                .call =
                    "losses::perplexity(mean_nll)",
                .example = "tiny_lm",
                .trap =
                    "Perplexities of different tokenizers cannot be compared: bits_per_byte can.",
                .scene = {.inputs = {number("mean_nll")},
                          .moved = "mean_nll",
                          .axis = {.symbol = "L",
                                   .label = "mean surprise, nats per token",
                                   .low = 0,
                                   .high = 6},
                          .shown = {{"perplexity"}}}}},
          {.name = "perplexity_aggregate",
           .family = "language",
           .question = "What is the perplexity of several batches together?",
           .run = [](const Call& c) -> Results {
             return losses::perplexity_aggregate(c["nll_sum"], c["tokens"]);
           },
           .samples = {{{{"nll_sum", {4}, positive()}, {"tokens", {4}, {1, 9, {}, kInt64}}}}},
           .differentiable = false,
           .card = {.topic = 28,
                    .about = "Every token counts the same, not every batch. Two batches of 10 and "
                             "90 tokens; the surprise of the first moves.",
                    .range = "[1, ∞)",
                    .slope = "None: a measure.",
                    .call = "losses::perplexity_aggregate(nll_sum, tokens)",
                    .trap = "Neither the mean of the batches' perplexities (13.74 at Σ = 20) nor "
                            "that of their mean losses (12.18): 18.17.",
                    .formula = "exp(Σ nll_sum / Σ tokens)",
                    .scene = {.inputs = {{"nll_sum", {2}, {20, 270}}, classes("tokens", {10, 90})},
                              .moved = "nll_sum",
                              .axis = {.symbol = "Σ",
                                       .label = "summed surprise of the first batch, nats",
                                       .low = 0,
                                       .high = 60},
                              .shown = {{"perplexity"}}}}},
          {.name = "bits_per_token",
           .family = "language",
           .question = "How many bits does a token take?",
           .run = [](const Call& c) -> Results { return losses::bits_per_token(c["mean_nll"]); },
           .samples = {{{{"mean_nll", {}}}}, {{{"mean_nll", {3}}}}},
           .card =
               {.topic = 28,
                .about =
                    "The surprise in bits instead of nats: how long the best code of a token is.",
                .range = "[0, ∞)",
                .slope = "1 / ln 2 everywhere.",
                .call = "losses::bits_per_token(mean_nll)",
                .trap = "ln 10 nats are 3.32 bits: 2 to the bits is the perplexity.",
                .scene = {.inputs = {number("mean_nll")},
                          .moved = "mean_nll",
                          .axis = {.symbol = "L",
                                   .label = "mean surprise, nats per token",
                                   .low = 0,
                                   .high = 6},
                          .shown = {{"bits"}}}}},
          {.name = "bits_per_byte",
           .family = "language",
           .question = "How many bits does a byte of text take?",
           .run = [](const Call& c) -> Results {
             return losses::bits_per_byte(c["nll_sum"], c["num_bytes"]);
           },
           .samples = {{{{"nll_sum", {4}, positive()}, {"num_bytes", {4}, {1, 9, {}, kInt64}}}}},
           .differentiable = false,
           .card = {.topic = 28,
                    .about = "Whatever the tokens were, the text has the same bytes: comparable "
                             "between vocabularies.",
                    .range = "[0, ∞)",
                    .slope = "None: a measure.",
                    .call = "losses::bits_per_byte(nll_sum, num_bytes)",
                    .example = "tiny_lm",
                    .trap = "Count bytes, not characters: they differ beyond ASCII.",
                    .formula = "Σ nll_sum / (Σ num_bytes · ln 2)",
                    .scene = {.inputs = {{"nll_sum", {1}, {100}}, classes("num_bytes", {50})},
                              .moved = "nll_sum",
                              .axis = {.symbol = "Σ",
                                       .label = "summed surprise of 50 bytes, nats",
                                       .low = 0,
                                       .high = 240},
                              .shown = {{"bits"}}}}},
      });
}

}  // namespace retrace::catalogue
