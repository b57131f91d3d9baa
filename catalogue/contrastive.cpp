#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
#include <retrace/losses/contrastive.h>

namespace retrace::catalogue {
namespace {

Sample labelled(Arguments arguments) {
  return {{{"embeddings", {6, 3}}, {"labels", {6}, indices(2)}}, std::move(arguments)};
}

Sample matching(const std::string& first, const std::string& second, Arguments arguments = {},
                const std::vector<Input>& more = {}) {
  Sample sample{{{first, {4, 3}}, {second, {4, 3}}}, std::move(arguments)};
  sample.inputs.insert(sample.inputs.end(), more.begin(), more.end());
  return sample;
}

Results call_info_nce(const Call& c) {
  return losses::info_nce(
      c["query"], c["keys"],
      {.negatives = c.optional("negatives"),
       .temperature = c.number("temperature", 0.1),
       .normalize = c.flag("normalize", true),
       .negatives_mode = losses::negatives_mode_from_string(c.text("negatives_mode", "shared")),
       .symmetric = c.flag("symmetric", false)});
}

std::vector<Sample> of_info_nce() {
  const Argument one = 1.0;
  return {matching("query", "keys", {{"temperature", one}}),
          matching("query", "keys", {{"temperature", one}, {"symmetric", true}}),
          matching("query", "keys", {{"temperature", one}, {"normalize", false}}),
          matching("query", "keys", {{"temperature", one}}, {{"negatives", {5, 3}}}),
          matching("query", "keys", {{"temperature", one}, {"negatives_mode", "own"}},
                   {{"negatives", {4, 2, 3}}})};
}

}  // namespace

void add_contrastive(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "info_nce",
           .family = "metric learning",
           .question = "Can each query find its key among the others?",
           .run = call_info_nce,
           .samples = of_info_nce(),
           .card =
               {.topic = 25,
                .about = "Cross-entropy of a matrix of similarities, whose diagonal is right: the "
                         "other keys of the batch are the wrong answers. One similarity of three "
                         "by three moves.",
                .range = "[0, ∞)",
                .slope = "(p - 1) / (N τ): vanishes once the key is found, the sooner the colder.",
                .call =
                    "losses::info_nce(query, keys, {.temperature = $(temperature), .normalize = "
                    "false, .symmetric = $(symmetric)})",
                .example = "embeddings --loss info_nce",
                .trap = "Knowing nothing costs ln N: losses of different batch sizes cannot be "
                        "compared. By default rows are normalised first; here they are not, so "
                        "that a similarity can move alone.",
                .scene = {.inputs = {{"query", {3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1}},
                                     {"keys", {3, 3}, {0.5, 0.1, 0.2, 0.3, 0.8, 0.1, 0, 0.2, 0.7}}},
                          .moved = "keys",
                          .axis = {.symbol = "s₁₁",
                                   .label = "similarity of a query and its key",
                                   .low = -1,
                                   .high = 1,
                                   .points = 41},
                          .shown = {{"L"}},
                          .knobs = {{"temperature",
                                     "τ",
                                     {0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0},
                                     0.1},
                                    {"symmetric", "symmetric", {false, true}, false}},
                          .arguments = {{"normalize", false}},
                          .watched = {{"s₂₁", 1}, {"s₃₁", 2}}}}},
          {.name = "nt_xent",
           .family = "metric learning",
           .question = "Can each view find the other one of its sample?",
           .run = [](const Call& c) -> Results {
             return losses::nt_xent(c["z1"], c["z2"],
                                    {.temperature = c.number("temperature", 0.5)});
           },
           .samples = {matching("z1", "z2"), matching("z1", "z2", {{"temperature", 1.0}})},
           .card =
               {.topic = 25,
                .about = "SimCLR's loss: two views of each sample, and all other views are wrong "
                         "answers. One of four views turns away from its partner.",
                .range = "[0, ∞)",
                .slope =
                    "0 when a view and its partner agree; strongest where another one is as close.",
                .call = "losses::nt_xent(z1, z2, {.temperature = $(temperature)})",
                .example = "embeddings --loss nt_xent",
                .trap = "The mean is over 2 N views, and the similarity of a view to itself is "
                        "left out.",
                .scene = {.inputs = {{"angle", {}, {0}},
                                     {"z1", {1, 2}, {-1, 0.5}},
                                     {"z2", {2, 2}, {1, 0, -1, -0.5}}},
                          .moved = "angle",
                          .axis = direction(),
                          .shown = {{"L"}},
                          .knobs = {{"temperature",
                                     "τ",
                                     {0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0},
                                     0.5}},
                          .run = [](const Call& c) -> Results {
                            return losses::nt_xent(above(c["angle"], c["z1"]), c["z2"],
                                                   {.temperature = c.number("temperature")});
                          }}}},
          {.name = "sup_con",
           .family = "metric learning",
           .question = "Are rows of one label alike, and those of others not?",
           .run = [](const Call& c) -> Results {
             return losses::sup_con(c["embeddings"], c["labels"],
                                    {.temperature = c.number("temperature", 0.07),
                                     .base_temperature = c.number("base_temperature", 0)});
           },
           .samples = {labelled({{"temperature", 0.5}}),
                       labelled({{"temperature", 1.0}, {"base_temperature", 0.5}})},
           .card = {.topic = 25,
                    .about = "Several right answers for each row, all those of its label. One of "
                             "four rows turns.",
                    .range = "[0, ∞)",
                    .slope = "p - 1 / |P| to each positive: strongest to those that are far.",
                    .call = "losses::sup_con(embeddings, labels, {.temperature = $(temperature)})",
                    .example = "embeddings --loss sup_con",
                    .trap = "The logarithm stands inside the mean over positives (L_out). The "
                            "authors' code also multiplies by τ / base_temperature.",
                    .scene = {.inputs = {{"angle", {}, {0}},
                                         {"others", {3, 2}, {1, 0, -1, 0.5, -1, -0.5}},
                                         classes("labels", {0, 0, 1, 1})},
                              .moved = "angle",
                              .axis = direction(),
                              .shown = {{"L"}},
                              .knobs = {{"temperature",
                                         "τ",
                                         {0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75,
                                          1.0},
                                         0.07}},
                              .run = [](const Call& c) -> Results {
                                return losses::sup_con(above(c["angle"], c["others"]), c["labels"],
                                                       {.temperature = c.number("temperature")});
                              }}}},
          {.name = "clip_loss",
           .family = "metric learning",
           .question = "Do image and text find each other, at a temperature that is learned?",
           .run = [](const Call& c) -> Results {
             return losses::clip_loss(c["image"], c["text"], c["log_scale"]);
           },
           .samples = {matching("image", "text", {}, {{"log_scale", {}, between(0, 1)}}),
                       matching("image", "text", {}, {{"log_scale", {}, between(-1, 0)}})},
           .card = {.topic = 25,
                    .about = "info_nce in both directions, from image to text and back. One of two "
                             "images turns away from its text.",
                    .range = "[0, ∞)",
                    .slope = "That of info_nce in both directions; the scale gets one too.",
                    .call = "losses::clip_loss(image, text, log_scale)",
                    .trap = "log_scale is the logarithm of 1 / τ: it starts at log(1 / 0.07) = "
                            "2.659 and is kept at most log 100 = 4.605.",
                    .scene = {.inputs = {{"angle", {}, {0}},
                                         {"image", {1, 2}, {-1, 0.5}},
                                         {"text", {2, 2}, {1, 0, -1, -0.5}},
                                         {"log_scale", {}, {1}}},
                              .moved = "angle",
                              .axis = direction(),
                              .shown = {{"L"}},
                              .knobs = {{"log_scale",
                                         "log scale",
                                         {0.0, 0.5, 1.0, 1.5, 2.0, 2.659, 3.0, 3.5, 4.0, 4.605},
                                         2.659}},
                              .run = [](const Call& c) -> Results {
                                return losses::clip_loss(above(c["angle"], c["image"]), c["text"],
                                                         c["log_scale"]);
                              }}}},
          {.name = "siglip_loss",
           .family = "metric learning",
           .question = "Does each image belong to each text, judged pair by pair?",
           .run = [](const Call& c) -> Results {
             return losses::siglip_loss(c["image"], c["text"], c["log_scale"], c["bias"]);
           },
           .samples = {matching("image", "text", {},
                                {{"log_scale", {}, between(0, 1)}, {"bias", {}}}),
                       matching("image", "text", {},
                                {{"log_scale", {}, between(-1, 0)}, {"bias", {}, positive()}})},
           .card =
               {.topic = 25,
                .about = "A yes or no for each pair by itself, so no softmax over the batch is "
                         "needed. One of two images turns away from its text.",
                .range = "[0, ∞)",
                .slope = "(σ(z) - 1) / N for a pair that belongs together, σ(z) / N for any other.",
                .call = "losses::siglip_loss(image, text, log_scale, bias)",
                .trap = "The sum over all N² pairs is divided by N, not N². The bias starts at "
                        "-10, because nearly all pairs do not belong together.",
                .scene = {.inputs = {{"angle", {}, {0}},
                                     {"image", {1, 2}, {-1, 0.5}},
                                     {"text", {2, 2}, {1, 0, -1, -0.5}},
                                     {"log_scale", {}, {2.303}},
                                     {"bias", {}, {-10}}},
                          .moved = "angle",
                          .axis = direction(),
                          .shown = {{"L"}},
                          .knobs =
                              {{"log_scale", "log scale", {0.0, 1.0, 2.0, 2.303, 3.0, 4.0}, 2.303},
                               {"bias", "bias", {-10.0, -8.0, -5.0, -2.0, 0.0}, -10.0}},
                          .run = [](const Call& c) -> Results {
                            return losses::siglip_loss(above(c["angle"], c["image"]), c["text"],
                                                       c["log_scale"], c["bias"]);
                          }}}},
      });
}

}  // namespace retrace::catalogue
