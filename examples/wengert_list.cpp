// Reverse mode on scalars in 150 lines: a Wengert list, the lecture before the real engine.

#include <fmt/core.h>
#include <cmath>

#include <retrace/retrace.h>

using namespace retrace;

namespace {

// The list has an entry for each number that is computed, in the order of computing: its inputs are
// places before it, its slopes the derivatives by them. (Wengert 1964, doi 10.1145/355586.364791.)
struct Entry {
  std::string op;
  double value;
  std::vector<std::size_t> inputs;
  std::vector<double> slopes;
};
std::vector<Entry> list;

// A number is its place in the list.
struct Number {
  std::size_t place;
  double value() const { return list[place].value; }
};

Number put(std::string op, double value, std::vector<std::size_t> inputs = {},
           std::vector<double> slopes = {}) {
  list.push_back({std::move(op), value, std::move(inputs), std::move(slopes)});
  return {list.size() - 1};
}

// An op computes its value and its slopes, and knows of nothing else.
Number operator+(Number a, Number b) {
  return put("a + b", a.value() + b.value(), {a.place, b.place}, {1, 1});
}
Number operator-(Number a, Number b) {
  return put("a - b", a.value() - b.value(), {a.place, b.place}, {1, -1});
}
Number operator*(Number a, Number b) {
  return put("a · b", a.value() * b.value(), {a.place, b.place}, {b.value(), a.value()});
}
Number tanh(Number a) {
  const double y = std::tanh(a.value());
  return put("tanh(a)", y, {a.place}, {1 - y * y});
}

// dy by every entry, from the last to the first (Linnainmaa 1970). What used an entry stands behind
// it, so that all of its gradient has arrived when the loop comes to it.
std::vector<double> backward(Number y, std::string* told = nullptr) {
  std::vector<double> gradients(list.size(), 0.0);
  gradients[y.place] = 1;
  for (std::size_t i = y.place + 1; i-- > 0;) {
    for (std::size_t k = 0; k < list[i].inputs.size(); ++k) {
      double& sum = gradients[list[i].inputs[k]];
      const double before = sum;
      sum += gradients[i] * list[i].slopes[k];
      if (told != nullptr)
        *told += fmt::format("#{} {:<8} to #{}: {:.4f} + {:.4f} · {:.4f} = {:.4f}\n", i, list[i].op,
                             list[i].inputs[k], before, gradients[i], list[i].slopes[k], sum);
    }
  }
  return gradients;
}

// (tanh(w x + b) - target)², of Numbers or of Tensors.
template <class T>
T neuron_loss(const std::vector<T>& in) {
  using retrace::tanh;
  const T error = tanh(in[0] * in[2] + in[1]) - in[3];
  return error * error;
}

// The mean squared error of three hidden neurons on exclusive or, of their thirteen weights.
Number xor_loss(const std::vector<Number>& w) {
  const double table[4][3] = {{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}};
  Number sum = put("sum", 0);
  for (const auto& [first, second, answer] : table) {
    const Number a = put("input", first), b = put("input", second);
    Number y = w[12];
    for (std::size_t k = 0; k < 12; k += 4)
      y = y + w[k] * tanh(w[k + 1] * a + w[k + 2] * b + w[k + 3]);
    const Number error = y - put("answer", answer);
    sum = sum + error * error;
  }
  return sum * put("1 / 4", 0.25);
}

// f of these numbers, on a list of its own, with them at its head.
template <class F>
Number compute(const F& f, const std::vector<double>& numbers) {
  list.clear();
  std::vector<Number> inputs;
  for (const double number : numbers) inputs.push_back(put("input", number));
  return f(inputs);
}

// Central differences: f a little to the right, less f a little to the left.
template <class F>
double slope(const F& f, std::vector<double> at, std::size_t i, double step = 1e-5) {
  at[i] += step;
  const double right = compute(f, at).value();
  at[i] -= 2 * step;
  return (right - compute(f, at).value()) / (2 * step);
}

void lecture(train::Run& run) {
  const std::vector<double> at = {0.8, -0.2, 1.5, 1.0};  // w, b, x, target
  const Number loss = compute(neuron_loss<Number>, at);
  std::string told = "the list, as (tanh(w x + b) - target)² is computed:\n";
  for (std::size_t i = 0; i < list.size(); ++i) {
    told += fmt::format("#{} {:<8} = {:.4f}", i, list[i].op, list[i].value);
    for (std::size_t k = 0; k < list[i].inputs.size(); ++k)
      told += fmt::format("   by #{}: {:.4f}", list[i].inputs[k], list[i].slopes[k]);
    told += "\n";
  }
  told += "\nand back, gradient before + upstream · slope:\n";
  const std::vector<double> gradients = backward(loss, &told);
  std::vector<Tensor> inputs;
  for (const double number : at) inputs.push_back(tensor(number, kFloat64).requires_grad_());
  auto recorder = run.record_trace(1, {{"w", inputs[0]}, {"b", inputs[1]}, {"x", inputs[2]}});
  neuron_loss(inputs).backward();
  run.check_trace(recorder.get(), [&] { return neuron_loss(inputs); });
  run.write_trace(std::move(recorder));
  told += "\nthe same by central differences, and by the engine's tape:\n";
  for (std::size_t i = 0; i < 2; ++i)
    told += fmt::format("dloss/d{} = {:.8f}  {:.8f}  {:.8f}\n", i == 0 ? "w" : "b", gradients[i],
                        slope(neuron_loss<Number>, at, i), inputs[i].grad().item<double>());
  run.print(told);
  std::vector<double> weights = randn({13}, kFloat64).to_vector<double>();
  for (std::int64_t step = 1; step <= run.options().steps.value_or(1000); ++step) {
    const Number y = compute(xor_loss, weights);  // a list for each step
    const std::vector<double> g = backward(y);
    for (std::size_t i = 0; i < 13; ++i) weights[i] -= run.options().lr.value_or(0.1) * g[i];
    run.step(step, y.value());
  }
  run.finish("xor", {.metrics = {{"test_loss", compute(xor_loss, weights).value()}},
                     .floor = 0.0,
                     .largest_gap = 0.01,
                     .loss_unit = ""});
}

}  // namespace

int main(int argc, char** argv) {
  train::CommandLine command("wengert_list", "Reverse mode on scalars, from scratch.",
                             {"steps", "lr", "seed", "threads", "json", "csv", "report", "check"});
  return train::run_program(command, argc, argv, lecture);
}
