#include <retrace/autograd/ops/distance.h>
#include <retrace/catalogue/loss_samples.h>

namespace retrace::catalogue {
namespace {

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

bool points_differ(const Call& c) { return coordinates_differ(c, "x1", "x2"); }

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
           .samples = {points({3, 4}, {5, 4}), points({1, 2}, {3, 2}), points({0, 3}, {2, 3})}},
      });
}

}  // namespace retrace::catalogue
