// goldens PATH [--dtype f64|f32]: compares the ops of the catalogue with expected values from JSON
// files (tests/goldens/README.md has the format). Exit code 0 when nothing failed, 1 when something
// did, 2 for wrong usage, 3 for a file that cannot be read.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>
#include <retrace/tests/goldens_training.h>

namespace fs = std::filesystem;
using nlohmann::json;
using namespace retrace;
using catalogue::Call;
using catalogue::Results;

namespace {

// From JSON --------------------------------------------------------------------------------------

double number_in(const json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (!value.is_string()) return value.get<double>();
  const std::string text = value.get<std::string>();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  throw std::runtime_error("\"" + text + "\" is not a number");
}

Tensor tensor_in(const json& spec) {
  const Shape sizes(spec.at("shape").get<std::vector<std::int64_t>>());
  const std::string dtype = spec.at("dtype").get<std::string>();
  const json& data = spec.at("data");
  Tensor x = empty(sizes, dtype == "f64" ? kFloat64 : dtype == "i64" ? kInt64 : kBool);
  if (static_cast<std::int64_t>(data.size()) != x.numel())
    throw std::runtime_error(fmt::format("{} numbers for shape {}", data.size(), sizes.str()));
  std::int64_t i = 0;
  for (const json& value : data) {
    if (dtype == "f64") {
      x.data_ptr<double>()[i++] = number_in(value);
    } else if (dtype == "i64") {
      x.data_ptr<std::int64_t>()[i++] = value.get<std::int64_t>();
    } else {
      x.data_ptr<bool>()[i++] = number_in(value) != 0.0;
    }
  }
  return x;
}

catalogue::Argument argument_in(const json& value) {
  if (value.is_null()) return {};
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  std::vector<double> list;
  for (const json& item : value) list.push_back(number_in(item));
  return list;
}

// The view of `base` that a case asks for.
Tensor view_in(const json& spec, Tensor base) {
  if (spec.contains("transpose"))
    base = base.transpose(spec["transpose"][0].get<std::int64_t>(),
                          spec["transpose"][1].get<std::int64_t>());
  if (spec.contains("slice")) {
    const auto s = spec["slice"].get<std::vector<std::int64_t>>();
    base = base.slice(s[0], s[1], s[2], s[3]);
  }
  if (spec.contains("expand")) base = base.expand(spec["expand"].get<std::vector<std::int64_t>>());
  return base;
}

// Comparing --------------------------------------------------------------------------------------

struct Tolerance {
  double absolute, relative;
};

bool has_tag(const json& test, std::string_view tag) {
  if (!test.contains("tags")) return false;
  const json& tags = test["tags"];
  return std::any_of(tags.begin(), tags.end(), [&](const json& t) { return t == tag; });
}

Tolerance tolerance_of(const json& test, const std::string& family, DType dtype) {
  if (dtype == kFloat64) return {1e-12, 1e-10};
  const std::string op = test.at("op");
  if (has_tag(test, "extreme")) return {1e-6, 3e-4};
  if (family == "optim") return {1e-6, 1e-4};
  if (op == "transformer_block" || op.ends_with("_ffn")) return {1e-6, 2e-5};
  return {1e-6, 1e-5};
}

// What differs, in words; empty when nothing does.
std::string difference(const Tensor& got, const json& spec, const Tolerance& tolerance) {
  const Tensor expected = tensor_in(spec);
  if (!got.defined()) return "nothing came back";
  if (got.sizes() != expected.sizes())
    return fmt::format("expected shape {}, got {}", expected.sizes().str(), got.sizes().str());
  if (!is_floating(expected.dtype()) && got.dtype() != expected.dtype() && !got.is_floating_point())
    return fmt::format("expected {}, got {}", name_of(expected.dtype()), name_of(got.dtype()));
  const std::vector<double> a = got.to_vector<double>(), b = expected.to_vector<double>();
  std::size_t wrong = 0, worst = 0;
  double worst_error = -1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool equal = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    const double error = std::abs(a[i] - b[i]);
    if (equal || (std::isfinite(b[i]) && is_floating(expected.dtype()) &&
                  error <= tolerance.absolute + tolerance.relative * std::abs(b[i])))
      continue;
    ++wrong;
    const double size = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
    if (size > worst_error) worst_error = size, worst = i;
  }
  if (wrong == 0) return {};
  return fmt::format("element {}: expected {:.17g}, got {:.17g}, error {:.3g} ({} of {} wrong)",
                     worst, b[worst], a[worst], worst_error, wrong, a.size());
}

// Running ----------------------------------------------------------------------------------------

struct Counts {
  int passed = 0, failed = 0, needs_float64 = 0;
};

struct Prepared {
  Call call;
  std::vector<std::pair<std::string, Tensor>> bases;  // inputs that want a gradient
};

Prepared prepare(const json& test, DType dtype) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::vector<std::pair<std::string, catalogue::Argument>> arguments;
  Prepared prepared;
  for (const auto& [name, spec] : test.at("inputs").items()) {
    Tensor base = tensor_in(spec);
    if (base.is_floating_point()) base = base.to(dtype);
    if (spec.value("requires_grad", false)) {
      base.requires_grad_();
      prepared.bases.emplace_back(name, base);
    }
    tensors.emplace_back(name, view_in(spec, base));
  }
  for (const auto& [name, value] : test.at("args").items())
    arguments.emplace_back(name, argument_in(value));
  prepared.call = Call(std::move(tensors), std::move(arguments));
  return prepared;
}

// The complaints about one case.
std::vector<std::string> run_case(const json& test, Results (*run)(const Call&),
                                  const Tolerance& tolerance, DType dtype) {
  const Prepared prepared = prepare(test, dtype);
  std::vector<std::string> complaints;
  const auto complain = [&](const std::string& what, const std::string& difference) {
    if (!difference.empty()) complaints.push_back(what + ": " + difference);
  };
  const Results results = run(prepared.call);
  for (const auto& [name, spec] : test.at("outputs").items())
    complain(name, difference(results[name], spec, tolerance));
  if (test.at("grads").empty() || !complaints.empty()) return complaints;

  std::vector<Tensor> outputs, weights, inputs;
  for (const auto& [name, spec] : test.at("loss_weights").items()) {
    const Tensor output = results[name];
    if (!output.requires_grad()) continue;
    outputs.push_back(output);
    weights.push_back(tensor_in(spec).to(output.dtype()));
  }
  for (const auto& [name, base] : prepared.bases) inputs.push_back(base);
  const std::vector<Tensor> gradients =
      grad(outputs, inputs, weights, /*retain_graph=*/false, /*create_graph=*/false,
           /*allow_unused=*/true);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name = prepared.bases[i].first;
    if (!test["grads"].contains(name)) continue;
    const Tensor gradient = gradients[i].defined() ? gradients[i] : zeros_like(inputs[i]);
    complain("gradient of " + name, difference(gradient, test["grads"][name], tolerance));
  }
  return complaints;
}

// A call that must be refused, with an error of the library and its inputs as they were.
std::vector<std::string> run_refused(const json& test, Results (*run)(const Call&), DType dtype) {
  const Prepared prepared = prepare(test, dtype), untouched = prepare(test, dtype);
  try {
    run(prepared.call);
  } catch (const Error& e) {
    if (std::string_view(e.what()).starts_with("call: ")) throw;
    for (std::size_t i = 0; i < prepared.call.tensors().size(); ++i) {
      if (!prepared.call.tensors()[i].second.equal(untouched.call.tensors()[i].second))
        return {fmt::format("was refused, but changed {}", prepared.call.tensors()[i].first)};
    }
    return {};
  }
  return {fmt::format("was not refused ({})", test.value("why", ""))};
}

void run_file(const fs::path& path, DType dtype, Counts& counts) {
  std::ifstream in(path);
  const json file = json::parse(in);
  const std::string family = file.at("family");
  for (const json& test : file.at("cases")) {
    const std::string label = path.filename().string() + ": " + test.at("name").get<std::string>();
    if (dtype == kFloat32 && has_tag(test, "float64")) {
      ++counts.needs_float64;
      continue;
    }
    const std::string op = test.at("op");
    const catalogue::Row* row = catalogue::find(op);
    const auto run = row != nullptr ? row->run : find_training(op);
    if (run == nullptr) {
      fmt::print("FAIL {}: no op {}\n", label, op);
      ++counts.failed;
      continue;
    }
    std::vector<std::string> complaints;
    try {
      complaints = test.value("expect_error", false)
                       ? run_refused(test, run, dtype)
                       : run_case(test, run, tolerance_of(test, family, dtype), dtype);
    } catch (const std::exception& e) {
      complaints = {std::string("threw ") + e.what()};
    }
    for (const std::string& complaint : complaints)
      fmt::print("FAIL {}: {} {}\n", label, op, complaint);
    ++(complaints.empty() ? counts.passed : counts.failed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Compares the ops of the catalogue with expected values");
  fs::path path;
  std::string dtype = "f64";
  app.add_option("PATH", path, "a file of expected values, or a folder of them")->required();
  app.add_option("--dtype", dtype, "dtype of floating inputs")
      ->check(CLI::IsMember({"f64", "f32"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }

  Counts counts;
  try {
    std::vector<fs::path> files;
    if (fs::is_directory(path)) {
      for (const auto& entry : fs::directory_iterator(path)) {
        if (entry.path().extension() == ".json") files.push_back(entry.path());
      }
      std::sort(files.begin(), files.end());
    } else {
      files.push_back(path);
    }
    if (files.empty()) throw std::runtime_error("no .json file in it");
    for (const fs::path& file : files) run_file(file, dtype == "f32" ? kFloat32 : kFloat64, counts);
  } catch (const std::exception& e) {
    fmt::print(stderr, "goldens: {}: {}\n", path.string(), e.what());
    return 3;
  }
  if (counts.needs_float64 > 0)
    fmt::print("{} cases have no meaning in float32\n", counts.needs_float64);
  fmt::print("{} passed, {} failed\n", counts.passed, counts.failed);
  return counts.failed == 0 ? 0 : 1;
}
