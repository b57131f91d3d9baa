#include <retrace/autograd/ops/similarity.h>
#include <retrace/catalogue/loss_samples.h>
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
                           of_targets(between(-3, 0), {{"log_target", true}}))},
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
                                       two("logp", "logq", {5, 4}, {{"from", "log_probs"}})})},
          {.name = "cosine_similarity",
           .family = "divergence",
           .question = "How much do two vectors point the same way, whatever their lengths?",
           .run = [](const Call& c) -> Results {
             return cosine_similarity(c["a"], c["b"], c.integer("dim", 1), c.number("eps", 1e-8));
           },
           .samples = {two("a", "b", {5, 4}),
                       two("a", "b", {2, 3, 4}),
                       two("a", "b", {3}, {{"dim", 0}}),
                       {{{"a", {3, 1, 4}}, {"b", {2, 4}}}, {{"dim", -1}}}}},
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
                                       directions({2, 3, 4}, {2, 3}, 0.3)})},
      });
}

}  // namespace retrace::catalogue
