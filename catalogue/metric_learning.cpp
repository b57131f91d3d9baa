#include <retrace/autograd/ops/distance.h>
#include <retrace/catalogue/loss_samples.h>
#include <retrace/losses/contrastive.h>
#include <retrace/losses/metric_learning.h>
#include <retrace/tensor/check.h>

#include <algorithm>
#include <cmath>

namespace retrace::catalogue {
namespace {

// Distances ---------------------------------------------------------------------------------------

template <Tensor (*op)(const Tensor&, const Tensor&)>
Results call_distance(const Call& c) {
  return op(c["x1"], c["x2"]);
}

Sample points(const Shape& x1, const Shape& x2, Arguments arguments = {}) {
  return {{{"x1", x1}, {"x2", x2}}, std::move(arguments)};
}

std::vector<Sample> of_points() {
  return {points({3, 4}, {3, 4}), points({4}, {4}), points({2, 1, 3}, {4, 3}),
          points({0, 3}, {0, 3})};
}

// No coordinate of one vector is close to the other's.
bool coordinates_differ(const Call& c, std::string_view x1, std::string_view x2) {
  const auto a = numbers_of(c, x1), b = numbers_of(c, x2);
  if (a.size() != b.size()) return true;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!far(a[i], b[i])) return false;
  }
  return true;
}

bool points_differ(const Call& c) { return coordinates_differ(c, "x1", "x2"); }

// Triplets ----------------------------------------------------------------------------------------

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

// Similarities ------------------------------------------------------------------------------------

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

void add_distances(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "pairwise_distance",
           .family = "distance",
           .question = "How far is each vector from its partner?",
           .run = [](const Call& c) -> Results {
             return pairwise_distance(c["x1"], c["x2"], c.number("p", 2), c.number("eps", 1e-6));
           },
           .samples = both(of_points(), {points({3, 4}, {3, 4}, {{"p", 1.0}}),
                                         points({3, 4}, {3, 4}, {{"p", 3.0}, {"eps", 0.0}})}),
           .smooth = points_differ,
           .allows_same = false},
          {.name = "euclidean_distance",
           .family = "distance",
           .question = "How far is it as the crow flies?",
           .run = call_distance<euclidean_distance>,
           .samples = of_points(),
           .allows_same = false},
          {.name = "squared_euclidean_distance",
           .family = "distance",
           .question = "How far is it, squared?",
           .run = call_distance<squared_euclidean_distance>,
           .samples = of_points()},
          {.name = "manhattan_distance",
           .family = "distance",
           .question = "How far is it along the streets?",
           .run = call_distance<manhattan_distance>,
           .samples = of_points(),
           .smooth = points_differ,
           .allows_same = false},
          {.name = "cosine_distance",
           .family = "distance",
           .question = "How far apart do two vectors point?",
           .run = call_distance<cosine_distance>,
           .samples = of_points()},
          {.name = "cdist",
           .family = "distance",
           .question = "How far is every point from every other?",
           .run = call_distance<cdist>,
           .samples = {points({3, 4}, {5, 4}), points({1, 2}, {3, 2}), points({0, 3}, {2, 3})},
           .second_derivatives = false},
      });
}

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
           .allows_same = false},
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
           .allows_same = false},
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
           .differentiable = false},
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
           .second_derivatives = false,
           .smooth = mining_is_smooth,
           .allows_repeats = false},
          {.name = "triplet_semihard_loss",
           .family = "metric learning",
           .question = "Is each pair closer than the nearest stranger beyond it?",
           .run = [](const Call& c) -> Results {
             return losses::triplet_semihard_loss(
                 c["embeddings"], c["labels"],
                 {.margin = c.number("margin", 1), .squared = c.flag("squared", false)});
           },
           .samples = {labelled({{"margin", 0.6}}), labelled({{"margin", 0.6}, {"squared", true}})},
           .second_derivatives = false,
           .smooth = mining_is_smooth,
           .allows_repeats = false},
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
           .allows_same = false},
          {.name = "info_nce",
           .family = "metric learning",
           .question = "Can each query find its key among the others?",
           .run = call_info_nce,
           .samples = of_info_nce(),
           .second_derivatives = false},
          {.name = "nt_xent",
           .family = "metric learning",
           .question = "Can each view find the other one of its sample?",
           .run = [](const Call& c) -> Results {
             return losses::nt_xent(c["z1"], c["z2"],
                                    {.temperature = c.number("temperature", 0.5)});
           },
           .samples = {matching("z1", "z2"), matching("z1", "z2", {{"temperature", 1.0}})},
           .second_derivatives = false},
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
           .second_derivatives = false},
          {.name = "clip_loss",
           .family = "metric learning",
           .question = "Do image and text find each other, at a temperature that is learned?",
           .run = [](const Call& c) -> Results {
             return losses::clip_loss(c["image"], c["text"], c["log_scale"]);
           },
           .samples = {matching("image", "text", {}, {{"log_scale", {}, between(0, 1)}}),
                       matching("image", "text", {}, {{"log_scale", {}, between(-1, 0)}})},
           .second_derivatives = false},
          {.name = "siglip_loss",
           .family = "metric learning",
           .question = "Does each image belong to each text, judged pair by pair?",
           .run = [](const Call& c) -> Results {
             return losses::siglip_loss(c["image"], c["text"], c["log_scale"], c["bias"]);
           },
           .samples = {matching("image", "text", {},
                                {{"log_scale", {}, between(0, 1)}, {"bias", {}}}),
                       matching("image", "text", {},
                                {{"log_scale", {}, between(-1, 0)}, {"bias", {}, positive()}})}},
      });
}

}  // namespace retrace::catalogue
