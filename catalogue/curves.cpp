#include <retrace/autograd/backprop.h>
#include <retrace/catalogue/curves.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

#include <algorithm>
#include <cmath>

namespace retrace::catalogue {
namespace {

// A number of a result by a number of the moved tensor.
struct Slope {
  Shown shown;
  std::int64_t element;
};

std::vector<Slope> slopes_of(const Scene& scene) {
  std::vector<Slope> all;
  for (const Shown& shown : scene.shown) all.push_back({shown, scene.element});
  for (const Watched& watched : scene.watched) all.push_back({scene.shown[0], watched.element});
  return all;
}

Tensor filled(const Given& given, DType dtype) {
  return tensor(given.numbers, kFloat64)
      .reshape(given.sizes)
      .to(is_floating(given.dtype) ? dtype : given.dtype);
}

double number_of(const Argument& argument) {
  if (const auto* whole = std::get_if<std::int64_t>(&argument)) return static_cast<double>(*whole);
  if (const auto* truth = std::get_if<bool>(&argument)) return *truth ? 1 : 0;
  return std::get<double>(argument);
}

Tensor shown_tensor(const Results& results, const Shown& shown) {
  return shown.result.empty() ? results.tensors()[0] : results[shown.result];
}

double value_of(const Results& results, const Shown& shown) {
  const Tensor y = shown_tensor(results, shown).detach().to(kFloat64).contiguous();
  return y.to_vector<double>()[static_cast<std::size_t>(shown.element)];
}

struct Derivative {
  double value = 0, slope = 0;
  bool has_slope = false;
  std::string formula = {}, gradient = {};
};

// The scene of one dtype and one combination of stops, ready to be evaluated at any number.
class Stage {
 public:
  Stage(const Row& row, std::vector<std::size_t> stops, DType dtype)
      : row_(row), scene_(row.card.scene), stops_(std::move(stops)), dtype_(dtype) {}

  Call call(double number) const { return scene_call(scene_, stops_, number, dtype_); }

  Derivative derivative(const Slope& of, double number) const {
    const Call at = call(number);
    Tensor moved = at.optional(scene_.moved);
    const bool wanted = row_.differentiable && moved.defined();
    if (wanted) moved.requires_grad_();
    const Results results = run_scene(row_, at);
    Derivative d{.value = value_of(results, of.shown)};
    const Tensor y = shown_tensor(results, of.shown);
    if (!wanted || !y.requires_grad()) return d;
    Tensor upstream = zeros_like(y.detach());
    upstream.reshape({-1})[of.shown.element].fill_(1);
    Backprop pass(y, {.gradient = upstream});
    d.formula = pass.tape()[0]->formula_text();
    d.gradient = pass.tape()[0]->gradient_text();
    pass.run();
    d.slope = moved.grad().to(kFloat64).contiguous().to_vector<double>()[static_cast<std::size_t>(
        of.element)];
    d.has_slope = true;
    return d;
  }

  // Its value with the watched element, which may be another than the moved one, off by `by`.
  double beside(const Slope& of, double number, double by) const {
    const NoGradGuard off;
    const Call at = call(number);
    at[scene_.moved].reshape({-1})[of.element].add_(by);
    return value_of(run_scene(row_, at), of.shown);
  }

 private:
  const Row& row_;
  const Scene& scene_;
  std::vector<std::size_t> stops_;
  DType dtype_;
};

double relative(double a, double b) {
  return std::abs(a - b) / std::max({1.0, std::abs(a), std::abs(b)});
}

// Compares the slope at a point, in float64, with what the values beside it say, if there are any.
void compare(const Stage& stage, const Slope& of, int point, double number, bool is_first,
             Curve& curve) try {
  const Derivative d = stage.derivative(of, number);
  const double h = 1e-5 * std::max(1.0, std::abs(number));
  const double far_left = stage.beside(of, number, -2 * h), left = stage.beside(of, number, -h),
               right = stage.beside(of, number, h), far_right = stage.beside(of, number, 2 * h);
  if (!std::isfinite(far_left + left + d.value + right + far_right + d.slope)) return;
  const double before = (left - far_left) / h, after = (far_right - right) / h;
  const bool jump = relative(left, right) > 1e-3 + 4 * h * std::abs(d.slope);
  if (jump || relative(before, after) > 0.01) {
    if (is_first) curve.corners.push_back({point, before, after, jump});
    return;
  }
  curve.error = std::max(curve.error, relative(d.slope, (right - left) / (2 * h)));
  ++curve.compared;
} catch (const Error&) {
  // At the end of what the op takes there is nothing on one side.
}

double moved_number(const Axis& axis, double point) {
  return axis.place == nullptr ? point : axis.place(point);
}

}  // namespace

std::vector<double> grid(const Axis& axis) {
  std::vector<double> points;
  for (int i = 0; i < axis.points; ++i) {
    // Short numbers: 0.3, not 0.30000000000000004.
    const double point = axis.low + (axis.high - axis.low) * i / (axis.points - 1);
    points.push_back(std::round(point * 1e6) / 1e6);
  }
  return points;
}

std::vector<std::size_t> first_stops(const Scene& scene) {
  std::vector<std::size_t> stops;
  for (const Knob& knob : scene.knobs) {
    const auto start = std::find(knob.stops.begin(), knob.stops.end(), knob.start);
    require<ValueError>(start != knob.stops.end(), "scene: \"{}\" starts at none of its stops",
                        knob.name);
    stops.push_back(static_cast<std::size_t>(start - knob.stops.begin()));
  }
  return stops;
}

std::vector<std::vector<std::size_t>> all_stops(const Scene& scene) {
  std::vector<std::vector<std::size_t>> all = {{}};
  for (const Knob& knob : scene.knobs) {
    std::vector<std::vector<std::size_t>> longer;
    for (const auto& stops : all) {
      for (std::size_t i = 0; i < knob.stops.size(); ++i) {
        longer.push_back(stops);
        longer.back().push_back(i);
      }
    }
    all = std::move(longer);
  }
  return all;
}

Call scene_call(const Scene& scene, const std::vector<std::size_t>& stops, double number,
                DType dtype) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const Given& given : scene.inputs) tensors.emplace_back(given.name, filled(given, dtype));
  std::vector<std::pair<std::string, Argument>> arguments = scene.arguments;
  const auto find = [&](const std::string& name) {
    const auto entry = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const auto& named) { return named.first == name; });
    return entry == tensors.end() ? Tensor() : entry->second;
  };
  for (std::size_t i = 0; i < scene.knobs.size(); ++i) {
    const Knob& knob = scene.knobs[i];
    const Argument& stop = knob.stops[stops[i]];
    if (Tensor input = find(knob.name); input.defined()) {
      input.fill_(number_of(stop));
    } else {
      arguments.emplace_back(knob.name, stop);
    }
  }
  if (const Tensor moved = find(scene.moved); moved.defined()) {
    moved.reshape({-1})[scene.element].fill_(number);
  } else {
    arguments.emplace_back(scene.moved, number);
  }
  return Call(std::move(tensors), std::move(arguments));
}

Results run_scene(const Row& row, const Call& call) {
  return row.card.scene.run == nullptr ? row.run(call) : row.card.scene.run(call);
}

Curve curve_of(const Row& row, const std::vector<std::size_t>& stops) {
  const Scene& scene = row.card.scene;
  const Stage shown(row, stops, kFloat32), exact(row, stops, kFloat64);
  const std::vector<Slope> slopes = slopes_of(scene);
  const std::vector<double> points = grid(scene.axis);
  Curve curve;
  curve.values.resize(scene.shown.size());
  try {
    for (std::size_t line = 0; line < slopes.size(); ++line) {
      std::vector<float> along;
      for (std::size_t i = 0; i < points.size(); ++i) {
        const double number = moved_number(scene.axis, points[i]);
        const Derivative d = shown.derivative(slopes[line], number);
        if (line < scene.shown.size()) curve.values[line].push_back(static_cast<float>(d.value));
        if (!d.has_slope) continue;
        along.push_back(static_cast<float>(d.slope));
        if (line + i == 0) {
          curve.formula = d.formula;
          curve.gradient = d.gradient;
        }
        compare(exact, slopes[line], static_cast<int>(i), number, line == 0, curve);
      }
      if (!along.empty()) curve.slopes.push_back(std::move(along));
    }
  } catch (const Error& error) {
    return {.refused = error.what()};
  }
  return curve;
}

std::vector<Edge> edges_of(const Row& row) {
  const Scene& scene = row.card.scene;
  const Stage stage(row, first_stops(scene), kFloat32);
  std::vector<Edge> edges;
  for (const double at : scene.axis.edges) {
    Edge edge{.at = at};
    try {
      const Derivative d = stage.derivative(slopes_of(scene)[0], moved_number(scene.axis, at));
      edge.value = static_cast<float>(d.value);
      edge.has_slope = d.has_slope;
      edge.slope = static_cast<float>(d.slope);
    } catch (const Error& error) {
      edge.refused = error.what();
    }
    edges.push_back(edge);
  }
  return edges;
}

}  // namespace retrace::catalogue
