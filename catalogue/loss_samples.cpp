#include <retrace/catalogue/loss_samples.h>

namespace retrace::catalogue {

Input constant(std::string name, const Shape& sizes, const Domain& domain) {
  return {std::move(name), sizes, domain, false};
}

bool coordinates_differ(const Call& c, std::string_view x1, std::string_view x2) {
  const auto a = numbers_of(c, x1), b = numbers_of(c, x2);
  if (a.size() != b.size()) return true;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!far(a[i], b[i])) return false;
  }
  return true;
}

std::vector<Sample> with_reductions(const std::vector<Sample>& samples,
                                    std::initializer_list<const char*> reductions) {
  std::vector<Sample> all;
  for (const char* reduction : reductions) {
    for (Sample sample : samples) {
      sample.arguments.emplace_back("reduction", std::string(reduction));
      all.push_back(std::move(sample));
    }
  }
  return all;
}

std::vector<Sample> of_pairs(const Domain& input, const Input& target, const Arguments& arguments) {
  std::vector<Sample> samples;
  for (const Shape& sizes : {Shape{3, 4}, Shape{2, 3, 4}, Shape{}, Shape{1, 3, 1}}) {
    Input second = target;
    second.sizes = sizes;
    samples.push_back({{{"input", sizes, input}, second}, arguments});
  }
  return with_reductions(samples);
}

bool input_differs_from_target(const Call& call) {
  const auto x = numbers_of(call, "input"), t = numbers_of(call, "target");
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!far(x[i], t[i])) return false;
  }
  return true;
}

std::vector<Sample> of_classes(const std::string& weight, const Arguments& arguments,
                               std::initializer_list<const char*> reductions) {
  const auto classes = [&](const Shape& input, const Shape& target, std::int64_t count,
                           bool weighted) {
    Sample sample{{{"input", input}, {"target", target, indices(count)}}, arguments};
    if (weighted) sample.inputs.push_back({weight, {count}, positive(), false});
    return sample;
  };
  return with_reductions(
      {classes({5, 4}, {5}, 4, false), classes({5, 4}, {5}, 4, !weight.empty()),
       classes({3}, {}, 3, false), classes({2, 3, 4}, {2, 4}, 3, !weight.empty()),
       classes({2, 1}, {2}, 1, false)},
      reductions);
}

}  // namespace retrace::catalogue
