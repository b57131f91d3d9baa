#include <retrace/autograd/backprop.h>
#include <retrace/autograd/forward.h>
#include <retrace/autograd/functional.h>
#include <retrace/autograd/observer.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

#include <algorithm>

namespace retrace {
namespace {

void require_direction(std::string_view op, std::string_view what, std::size_t i, const Tensor& x,
                       const Tensor& direction) {
  require<ValueError>(direction.defined(),
                      "{}: {} {} is undefined; give one of shape {}, zeros where nothing moves", op,
                      what, i, x.sizes());
  require<ShapeError>(direction.sizes() == x.sizes(),
                      "{}: {} {} is {}, what it belongs to {}; give one of that shape", op, what, i,
                      direction.sizes(), x.sizes());
  require<DTypeError>(direction.dtype() == x.dtype(),
                      "{}: {} {} of shape {} is {}, what it belongs to {}; convert with .to({})",
                      op, what, i, direction.sizes(), direction.dtype(), x.dtype(), x.dtype());
}

void require_inputs(std::string_view op, const std::vector<Tensor>& inputs) {
  require<ValueError>(!inputs.empty(), "{}: there is no input; give at least one", op);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    require<ValueError>(inputs[i].defined(), "{}: input {} is undefined; give it a value first", op,
                        i);
    require<DTypeError>(inputs[i].is_floating_point(),
                        "{}: input {} of shape {} is {}, it must be floating; let the function "
                        "capture it instead",
                        op, i, inputs[i].sizes(), inputs[i].dtype());
  }
}

void require_directions(std::string_view op, std::string_view what,
                        const std::vector<Tensor>& inputs, const std::vector<Tensor>& directions) {
  require<ValueError>(directions.size() == inputs.size(),
                      "{}: {} inputs and {} {}s; give one for each input", op, inputs.size(),
                      directions.size(), what);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    require_direction(op, what, i, inputs[i], directions[i]);
}

/// A run of a function that is being differentiated.
class Run {
 public:
  Run(std::string_view op, TensorFunction f, const std::vector<Tensor>& inputs) {
    require<AutogradError>(
        !running_ || !GradMode::is_enabled(),
        "{}: called inside of another jvp, vjp or hvp, whose derivatives would lack what flows "
        "through it; use grad with create_graph, or a NoGradGuard where it is a constant",
        op);
    for (const Tensor& input : inputs) arguments.push_back(argument_for(input));
    struct Running {
      bool before = std::exchange(running_, true);
      ~Running() { running_ = before; }
    } const running;
    const EnableGradGuard recording;
    outputs = f(arguments);
    for (std::size_t i = 0; i < outputs.size(); ++i)
      require<ValueError>(outputs[i].defined(),
                          "{}: output {} of the function is undefined; return tensors with values",
                          op, i);
  }

  /// What the caller gets of them.
  std::vector<Tensor> detached_outputs() const {
    std::vector<Tensor> detached;
    for (const Tensor& output : outputs) detached.push_back(output.detach());
    return detached;
  }

  std::vector<Tensor> arguments, outputs;

 private:
  // A tensor that is given twice is two arguments.
  Tensor argument_for(const Tensor& input) const {
    const auto is_same = [&](const Tensor& other) { return other.is_same(input); };
    const bool again = std::any_of(arguments.begin(), arguments.end(), is_same);
    return input.requires_grad() && !again ? input : input.detach().requires_grad_();
  }

  static thread_local constinit bool running_;
};
thread_local constinit bool Run::running_ = false;

/// Of `like`'s shape, sharing memory with nothing; zeros for an undefined one.
Tensor owned(const Tensor& x, const Tensor& like) {
  return x.defined() ? contiguous_copy(x) : zeros(like.sizes(), like.dtype());
}

std::vector<Tensor> owned(std::vector<Tensor> of_inputs, const std::vector<Tensor>& inputs) {
  of_inputs.resize(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) of_inputs[i] = owned(of_inputs[i], inputs[i]);
  return of_inputs;
}

}  // namespace

Jvp jvp(TensorFunction f, const std::vector<Tensor>& inputs, const std::vector<Tensor>& tangents) {
  require_inputs("jvp", inputs);
  require_directions("jvp", "tangent", inputs, tangents);
  const Run run("jvp", f, inputs);
  const ObserverScope nobody;  // whoever watches was told of the ops of f
  Jvp result{run.detached_outputs(), push_tangents(run.outputs, run.arguments, tangents)};
  for (std::size_t i = 0; i < run.outputs.size(); ++i) {
    if (run.outputs[i].is_floating_point())
      result.tangents[i] = owned(result.tangents[i], run.outputs[i]);
  }
  return result;
}

Vjp vjp(TensorFunction f, const std::vector<Tensor>& inputs, const std::vector<Tensor>& upstream) {
  require_inputs("vjp", inputs);
  const Run run("vjp", f, inputs);
  require<ValueError>(upstream.empty() || upstream.size() == run.outputs.size(),
                      "vjp: {} outputs and {} upstream gradients; give one for each output",
                      run.outputs.size(), upstream.size());
  std::vector<Tensor> outputs, seeds;
  for (std::size_t i = 0; i < run.outputs.size(); ++i) {
    const Tensor& output = run.outputs[i];
    if (!output.is_floating_point()) continue;
    if (!upstream.empty()) require_direction("vjp", "upstream gradient", i, output, upstream[i]);
    if (!output.requires_grad()) continue;
    outputs.push_back(output);
    if (!upstream.empty()) seeds.push_back(upstream[i]);
  }
  std::vector<Tensor> gradients;
  if (!outputs.empty())
    gradients = grad(outputs, run.arguments, seeds, false, false, /*allow_unused=*/true);
  return {run.detached_outputs(), owned(std::move(gradients), inputs)};
}

Hvp hvp(TensorFunction f, const std::vector<Tensor>& inputs, const std::vector<Tensor>& vectors) {
  require_inputs("hvp", inputs);
  require_directions("hvp", "vector", inputs, vectors);
  const Run run("hvp", f, inputs);
  require<ShapeError>(run.outputs.size() == 1 && run.outputs[0].numel() == 1,
                      "hvp: the function gives {} results, the first of shape {}; let it give one "
                      "number, such as a loss",
                      run.outputs.size(), run.outputs.empty() ? Shape() : run.outputs[0].sizes());
  const Tensor& value = run.outputs[0];
  std::vector<Tensor> slopes, directions, products;
  if (value.requires_grad()) {
    const std::vector<Tensor> gradients =
        grad({value}, run.arguments, {}, false, /*create_graph=*/true, /*allow_unused=*/true);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined() || !gradients[i].requires_grad()) continue;
      slopes.push_back(gradients[i]);
      directions.push_back(vectors[i]);
    }
  }
  if (!slopes.empty())
    products = grad(slopes, run.arguments, directions, false, false, /*allow_unused=*/true);
  return {value.detach(), owned(std::move(products), inputs)};
}

}  // namespace retrace
