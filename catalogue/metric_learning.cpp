#include <retrace/autograd/ops/distance.h>
#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
#include <retrace/losses/metric_learning.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

#include <algorithm>
#include <cmath>

namespace retrace::catalogue {
namespace {

losses::DistanceFunction distance_named(const std::string& name) {
  if (name == "euclidean") return euclidean_distance;
  if (name == "squared_euclidean") return squared_euclidean_distance;
  if (name == "cosine") return cosine_distance;
  if (name == "manhattan") return manhattan_distance;
  fail<ValueError>("call: the distance \"{}\" is not known", name);
}

losses::TripletMining mining_of(const Call& c) {
  return losses::triplet_mining_from_string(c.text("kind", "batch_hard"));
}

// With this margin the hinge is open for all points of the samples.
constexpr double kWide = 30;

std::vector<Sample> triplets(const std::vector<Arguments>& several) {
  std::vector<Sample> samples;
  for (Arguments arguments : several) {
    arguments.emplace_back("margin", kWide);
    samples.push_back(
        {{{"anchor", {4, 3}}, {"positive", {4, 3}}, {"negative", {4, 3}}}, std::move(arguments)});
  }
  samples.push_back({{{"anchor", {3}}, {"positive", {3}}, {"negative", {3}}}, {{"margin", kWide}}});
  return with_reductions(samples);
}

bool triplets_are_smooth(const Call& c) {
  return coordinates_differ(c, "anchor", "positive") &&
         coordinates_differ(c, "anchor", "negative") &&
         coordinates_differ(c, "positive", "negative");
}

Sample labelled(Arguments arguments) {
  return {{{"embeddings", {6, 3}}, {"labels", {6}, indices(2)}}, std::move(arguments)};
}

// All distances are far from each other, and no hinge is near its kink.
bool mining_is_smooth(const Call& c) {
  const Tensor all = cdist(c["embeddings"], c["embeddings"]);
  std::vector<double> distances;
  for (std::int64_t i = 0; i < all.size(0); ++i) {
    for (std::int64_t j = 0; j < i; ++j) distances.push_back(all[i][j].item<double>());
  }
  for (const double a : distances) {
    for (const double b : distances) {
      if (&a == &b) continue;
      if (a != b && !far(a, b)) return false;
      for (const double margin : {0.2, 0.6}) {
        if (!far(margin + a, b) || !far(margin + a * a, b * b)) return false;
      }
    }
  }
  return true;
}

Results call_contrastive(const Call& c) {
  return losses::contrastive_loss(c["x1"], c["x2"], c["label"],
                                  {.margin = c.number("margin", 1),
                                   .similar_label = c.integer("similar_label", 1),
                                   .reduction = reduction_of("contrastive_loss", c)});
}

Sample pairs(const Shape& x, Arguments arguments) {
  Shape rows = x;
  rows.erase(rows.size() - 1);
  return {{{"x1", x}, {"x2", x}, {"label", rows, {0, 1, {}, kInt64}}}, std::move(arguments)};
}

// Four points on a line, two of each label, of which the third moves.
Scene along_third_point(std::vector<Shown> shown, Knobs knobs,
                        Results (*run)(const Call& call) = nullptr) {
  return {.inputs = {{"embeddings", {4, 1}, {0, 0.5, 0, 2}}, classes("labels", {0, 0, 1, 1})},
          .moved = "embeddings",
          .element = 2,
          .axis = {.symbol = "x₃",
                   .label = "place of the third of four points",
                   .low = -1,
                   .high = 3,
                   .points = 81},
          .shown = std::move(shown),
          .knobs = std::move(knobs),
          .run = run};
}
Knobs of_mining(Knobs more = {}) {
  Knobs knobs = {{"kind",
                  "mining",
                  {"batch_hard", "all_valid", "violating", "semihard", "hard"},
                  "batch_hard"},
                 {"margin", "margin", {0.2, 0.5, 1.0}, 0.2}};
  knobs.insert(knobs.end(), more.begin(), more.end());
  return knobs;
}

}  // namespace

void add_metric_learning(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "triplet_margin_loss",
           .family = "metric learning",
           .question = "Is each anchor closer to its positive than to its negative?",
           .run = [](const Call& c) -> Results {
             return losses::triplet_margin_loss(
                 c["anchor"], c["positive"], c["negative"],
                 {.margin = c.number("margin", 1),
                  .p = c.number("p", 2),
                  .eps = c.number("eps", 1e-6),
                  .swap = c.flag("swap", false),
                  .reduction = reduction_of("triplet_margin_loss", c)});
           },
           .samples = triplets({{}, {{"p", 1.0}}, {{"swap", true}}}),
           .smooth = triplets_are_smooth,
           .allows_same = false,
           .card =
               {.topic = 23,
                .about = "By at least a margin: the anchor pulls its positive in and pushes its "
                         "negative away until that is so.",
                .range = "[0, ∞)",
                .slope = "The negative is pushed straight away with force 1, until it is farther "
                         "by the margin; then 0.",
                .call = "losses::triplet_margin_loss(anchor, positive, negative, {.margin = "
                        "$(margin), .swap = $(swap)})",
                .example = "embeddings --loss triplet",
                .trap =
                    "Triplets that are in order teach nothing: which ones are picked decides "
                    "(triplet_mined_loss). A margin of 0 is satisfied by all points in one place.",
                .scene = {.inputs = {{"anchor", {2}, {0, 0}},
                                     {"positive", {2}, {0.5, 0}},
                                     {"negative", {2}, {0, 0}}},
                          .moved = "negative",
                          .axis = {.symbol = "D",
                                   .label = "distance from the anchor to its negative",
                                   .low = 0,
                                   .high = 3,
                                   .edges = {0, 1e4}},
                          .shown = {{"L"}},
                          .knobs = {{"margin", "margin", spaced(0.25, 2, 8), 1.0},
                                    {"swap", "swap", {false, true}, false}}}}},
          {.name = "triplet_margin_with_distance_loss",
           .family = "metric learning",
           .question = "Is each anchor closer to its positive, by a distance of one's own?",
           .run = [](const Call& c) -> Results {
             return losses::triplet_margin_with_distance_loss(
                 c["anchor"], c["positive"], c["negative"],
                 {.distance_function = distance_named(c.text("distance", "euclidean")),
                  .margin = c.number("margin", 1),
                  .swap = c.flag("swap", false),
                  .reduction = reduction_of("triplet_margin_with_distance_loss", c)});
           },
           .samples = triplets({{},
                                {{"distance", "squared_euclidean"}, {"swap", true}},
                                {{"distance", "cosine"}},
                                {{"distance", "manhattan"}}}),
           .smooth = triplets_are_smooth,
           .allows_same = false,
           .card = {.topic = 23,
                    .about = "triplet_margin_loss with any distance, even one that is learnt.",
                    .range = "[0, ∞)",
                    .slope = "That of the distance, until the negative is farther by the margin.",
                    .call = "losses::triplet_margin_with_distance_loss(anchor, positive, negative, "
                            "{.distance_function = $(distance)_distance, .margin = $(margin)})",
                    .example = "embeddings --loss triplet",
                    .trap =
                        "A margin belongs to its distance: 1 is far for cosines, which end at 2.",
                    .scene = {.inputs = {{"anchor", {1, 2}, {1, 0}},
                                         {"positive", {1, 2}, {0.8, 0.6}},
                                         {"negative", {1, 2}, {0, 1}}},
                              .moved = "negative",
                              .axis = {.symbol = "n₁",
                                       .label = "first coordinate of the negative",
                                       .low = -4,
                                       .high = 4,
                                       .points = 81},
                              .shown = {{"L"}},
                              .knobs = {{"distance",
                                         "distance",
                                         {"euclidean", "squared_euclidean", "cosine", "manhattan"},
                                         "euclidean"},
                                        {"margin", "margin", spaced(0.25, 2, 8), 1.0}}}}},
          {.name = "mine_triplets",
           .family = "metric learning",
           .question = "Which triplets of a batch are worth learning from?",
           .run = [](const Call& c) -> Results {
             return losses::mine_triplets(
                 c["embeddings"], c["labels"],
                 {.kind = mining_of(c), .margin = c.number("margin", 0.2)});
           },
           .samples = {labelled({}), labelled({{"kind", "all_valid"}}),
                       labelled({{"kind", "semihard"}, {"margin", 0.6}})},
           .differentiable = false,
           .card = {.topic = 23,
                    .about = "Most triplets are in order already and teach nothing. Four points on "
                             "a line, two of each label; one of them moves.",
                    .range = "0, 1, 2, ... triplets",
                    .slope = "None: a choice has no gradient.",
                    .call = "losses::mine_triplets(embeddings, labels, {.kind = "
                            "losses::TripletMining::$(kind), .margin = $(margin)})",
                    .example = "embeddings --loss triplet --mining batch_hard",
                    .trap = "semihard means farther than the positive but within the margin; hard "
                            "means closer than the positive.",
                    .formula = "the rows (a, p, n) with n of another label than a and p that the "
                               "kind of mining takes",
                    .scene = along_third_point({{"triplets"}}, of_mining(),
                                               [](const Call& c) -> Results {
                                                 const std::int64_t found =
                                                     losses::mine_triplets(
                                                         c["embeddings"], c["labels"],
                                                         {.kind = mining_of(c),
                                                          .margin = c.number("margin")})
                                                         .size(0);
                                                 return full({}, found);
                                               })}},
          {.name = "triplet_mined_loss",
           .family = "metric learning",
           .question = "How far are the mined triplets from being in order?",
           .run = [](const Call& c) -> Results {
             return losses::triplet_mined_loss(c["embeddings"], c["labels"],
                                               {.kind = mining_of(c),
                                                .margin = c.number("margin", 0.2),
                                                .soft = c.flag("soft", false)});
           },
           .samples = {labelled({}), labelled({{"kind", "all_valid"}, {"margin", 0.6}}),
                       labelled({{"kind", "hard"}}), labelled({{"soft", true}}),
                       labelled({{"kind", "violating"}, {"margin", 0.6}, {"soft", true}})},
           .smooth = mining_is_smooth,
           .allows_repeats = false,
           .card = {.topic = 23,
                    .about = "The triplet loss over those that are worth it. Four points on a "
                             "line, two of each label; one of them moves.",
                    .range = "[0, ∞)",
                    .slope = "That of the mined triplets; jumps where others are mined.",
                    .call =
                        "losses::triplet_mined_loss(embeddings, labels, {.kind = "
                        "losses::TripletMining::$(kind), .margin = $(margin), .soft = $(soft)})",
                    .example = "embeddings --loss triplet --mining batch_hard",
                    .trap = "The hardest triplets of noisy labels are the wrong ones. A batch "
                            "without a triplet costs 0.",
                    .scene = along_third_point(
                        {{"L"}}, of_mining({{"soft", "soft", {false, true}, false}}))}},
          {.name = "triplet_semihard_loss",
           .family = "metric learning",
           .question = "Is each pair closer than the nearest stranger beyond it?",
           .run = [](const Call& c) -> Results {
             return losses::triplet_semihard_loss(
                 c["embeddings"], c["labels"],
                 {.margin = c.number("margin", 1), .squared = c.flag("squared", false)});
           },
           .samples = {labelled({{"margin", 0.6}}), labelled({{"margin", 0.6}, {"squared", true}})},
           .smooth = mining_is_smooth,
           .allows_repeats = false,
           .card =
               {.topic = 23,
                .about = "FaceNet's choice of negatives. Four points on a line, two of each label; "
                         "one of them moves.",
                .range = "[0, ∞)",
                .slope = "That of the chosen triplets; jumps where another negative is chosen.",
                .call = "losses::triplet_semihard_loss(embeddings, labels, {.margin = $(margin), "
                        ".squared = $(squared)})",
                .example = "embeddings --loss triplet --mining semi_hard",
                .trap =
                    "TensorFlow Addons takes squared distances for its L2; here that is an option.",
                .scene =
                    along_third_point({{"L"}}, {{"margin", "margin", spaced(0.25, 2, 8), 1.0},
                                                {"squared", "squared", {false, true}, false}})}},
          {.name = "contrastive_loss",
           .family = "metric learning",
           .question = "Are alike points close, and others at least a margin apart?",
           .run = call_contrastive,
           .samples = with_reductions({pairs({4, 3}, {{"margin", kWide}}), pairs({3}, {}),
                                       pairs({4, 3}, {{"similar_label", std::int64_t{0}}})}),
           .smooth =
               [](const Call& c) {
                 const double margin = c.number("margin", 1);
                 for (const double d :
                      euclidean_distance(c["x1"], c["x2"]).reshape({-1}).to_vector<double>()) {
                   if (!far(d, margin)) return false;
                 }
                 return true;
               },
           .allows_same = false,
           .card =
               {.topic = 24,
                .about = "Alike points are pulled together by a spring, others pushed apart by one "
                         "that ends at the margin.",
                .range = "[0, ∞)",
                .slope = "D for alike points; -(m - D) for others, 0 beyond the margin.",
                .call = "losses::contrastive_loss(x1, x2, label, {.margin = $(margin)})",
                .example = "embeddings --loss contrastive",
                .trap =
                    "Label 1 means alike here, 0 in the paper of 2006: similar_label says which. "
                    "At D = 0 two unlike points have no direction to part in, and get no gradient.",
                .scene = {.inputs = {{"x1", {2}, {0, 0}},
                                     {"x2", {2}, {0, 0}},
                                     {"label", {}, {0}, kInt64}},
                          .moved = "x2",
                          .axis = {.symbol = "D",
                                   .label = "distance",
                                   .low = 0,
                                   .high = 3,
                                   .edges = {0, 1e4}},
                          .shown = {{"L"}},
                          .knobs = {{"label",
                                     "label",
                                     {std::int64_t{0}, std::int64_t{1}},
                                     std::int64_t{0}},
                                    {"margin", "margin", spaced(0.25, 2.5, 10), 1.0}}}}},
      });
}

}  // namespace retrace::catalogue
