#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/similarity.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
#include <retrace/losses/divergence.h>

namespace retrace::catalogue {

void add_divergences(std::vector<Row>& rows) {
  const auto two = [](const char* first, const char* second, const Shape& sizes,
                      const Arguments& arguments = {}) {
    return Sample{{{first, sizes}, {second, sizes}}, arguments};
  };
  const auto directions = [](const Shape& sizes, const Shape& pairs, double margin) {
    return Sample{{{"input1", sizes}, {"input2", sizes}, {"target", pairs, labels(-1, 1), false}},
                  {{"margin", margin}}};
  };
  const auto of_targets = [](const Domain& domain, const Arguments& arguments) {
    const Sample sample{{{"input", {5, 4}, between(-3, 0)}, {"target", {5, 4}, domain, false}},
                        arguments};
    const Sample deep{{{"input", {2, 3, 4}, between(-3, 0)}, {"target", {2, 3, 4}, domain, false}},
                      arguments};
    return with_reductions({sample, deep}, {"mean", "sum", "none", "batchmean"});
  };
  rows.insert(
      rows.end(),
      {
          {.name = "kl_div",
           .family = "divergence",
           .question =
               "How many nats does it cost to believe in the input, where the target holds?",
           .run = [](const Call& c) -> Results {
             return losses::kl_div(c["input"], c["target"],
                                   {.reduction = reduction_of("kl_div", c),
                                    .log_target = c.flag("log_target", false)});
           },
           .samples = both(of_targets(between(0.05, 1), {}),
                           of_targets(between(-3, 0), {{"log_target", true}})),
           .card = {.topic = 21,
                    .about = "KL(P‖Q), P being the target and Q, as log-probabilities, the input. "
                             "Not symmetric: which of the two is given matters.",
                    .range = "[0, ∞)",
                    .slope =
                        "To log Q: -P. Through the softmax that made Q, q - p: 0 where they agree.",
                    .call = "losses::kl_div(log_softmax(z, -1), target, {.reduction = "
                            "Reduction::$(reduction)})",
                    .trap = "KL(target‖input): mathematics names P first, the call second. The "
                            "input holds logarithms, the target does not. The default mean divides "
                            "by elements: the divergence is batchmean.",
                    .scene = {.inputs = {{"z", {1, 3}, {0, 0.5, -1}},
                                         {"target", {1, 3}, {0.5, 0.3, 0.2}}},
                              .moved = "z",
                              .axis = {.symbol = "z₁", .label = "first of three logits of Q"},
                              .shown = {{"L"}},
                              .knobs = {{"reduction",
                                         "reduction",
                                         {"mean", "batchmean", "sum"},
                                         "batchmean"}},
                              .watched = {{"z₂", 1}, {"z₃", 2}},
                              .run = [](const Call& c) -> Results {
                                return losses::kl_div(log_softmax(c["z"], -1), c["target"],
                                                      {.reduction = reduction_of("kl_div", c)});
                              }}}},
          {.name = "js_divergence",
           .family = "divergence",
           .question = "How well can one tell which of two distributions a draw comes from?",
           .run = [](const Call& c) -> Results {
             return losses::js_divergence(c["logp"], c["logq"],
                                          {.from_logits = c.text("from", "logits") == "logits",
                                           .reduction = reduction_of("js_divergence", c)});
           },
           .samples = with_reductions({two("logp", "logq", {5, 4}), two("logp", "logq", {2, 3, 4}),
                                       two("logp", "logq", {3}),
                                       two("logp", "logq", {5, 4}, {{"from", "log_probs"}})}),
           .card = {.topic = 21,
                    .about = "The mean KL to the mixture of both. Symmetric, and never above ln 2, "
                             "so disjoint distributions cost no more than that.",
                    .range = "[0, ln 2]",
                    .slope = "½ P (log P - log M), through the softmax: vanishes where they agree, "
                             "and where they are disjoint.",
                    .call = "losses::js_divergence(p, q)",
                    .trap = "It takes logits; log-probabilities with from_logits = false.",
                    .scene = {.inputs = {{"logp", {1, 3}, {0, 0, 0}}, {"logq", {1, 3}, {0, 0, 0}}},
                              .moved = "logp",
                              .axis = {.symbol = "z₁",
                                       .label = "first of three logits of P",
                                       .low = -8,
                                       .high = 8,
                                       .points = 81},
                              .shown = {{"L"}},
                              .watched = {{"z₂", 1}, {"z₃", 2}}}}},
          {.name = "cosine_similarity",
           .family = "divergence",
           .question = "How much do two vectors point the same way, whatever their lengths?",
           .run = [](const Call& c) -> Results {
             return cosine_similarity(c["a"], c["b"], c.integer("dim", 1), c.number("eps", 1e-8));
           },
           .samples = {two("a", "b", {5, 4}),
                       two("a", "b", {2, 3, 4}),
                       two("a", "b", {3}, {{"dim", 0}}),
                       {{{"a", {3, 1, 4}}, {"b", {2, 4}}}, {{"dim", -1}}}},
           .card =
               {.topic = 24,
                .about = "1 in the same direction, 0 at a right angle, -1 in the opposite one. "
                         "What most embeddings are compared by.",
                .range = "[-1, 1]",
                .slope =
                    "-sin θ: vanishes where they point the same way, and where they are opposite.",
                .call = "cosine_similarity(a, b, 0)",
                .scene = {.inputs = {{"angle", {}, {0}}, {"length", {}, {1}}, {"b", {2}, {1, 0}}},
                          .moved = "angle",
                          .axis = direction(),
                          .shown = {{"cos"}},
                          .knobs = {{"length", "length of a", {0.5, 1.0, 2.0, 5.0}, 1.0}},
                          .arguments = {{"dim", std::int64_t{0}}},
                          .run = [](const Call& c) -> Results {
                            return cosine_similarity(unit_vector(c["angle"]) * c["length"], c["b"],
                                                     0);
                          }}}},
          {.name = "cosine_embedding_loss",
           .family = "divergence",
           .question = "Do vectors that belong together point the same way, and others not?",
           .run = [](const Call& c) -> Results {
             return losses::cosine_embedding_loss(
                 c["input1"], c["input2"], c["target"],
                 {.margin = c.number("margin", 0),
                  .reduction = reduction_of("cosine_embedding_loss", c)});
           },
           .samples = with_reductions({directions({5, 4}, {5}, 0), directions({4}, {}, 0.3),
                                       directions({2, 3, 4}, {2, 3}, 0.3)}),
           .card =
               {.topic = 24,
                .about = "Vectors that belong together are pulled to an angle of 0, others pushed "
                         "until their cosine is below the margin.",
                .range = "[0, 2]",
                .slope = "∓ the slope of the cosine; 0 for others already below the margin.",
                .call =
                    "losses::cosine_embedding_loss(input1, input2, target, {.margin = $(margin)})",
                .scene =
                    {.inputs = {{"angle", {}, {0}}, {"input2", {2}, {1, 0}}, {"target", {}, {-1}}},
                     .moved = "angle",
                     .axis = direction(),
                     .shown = {{"L"}},
                     .knobs = {{"margin", "margin", spaced(-0.5, 0.75, 6), 0.0},
                               {"target", "target y", {-1.0, 1.0}, -1.0}},
                     .run = [](const Call& c) -> Results {
                       return losses::cosine_embedding_loss(unit_vector(c["angle"]), c["input2"],
                                                            c["target"],
                                                            {.margin = c.number("margin")});
                     }}}},
      });
}

}  // namespace retrace::catalogue
