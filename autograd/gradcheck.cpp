#include <retrace/autograd/backprop.h>
#include <retrace/autograd/grad_mode.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/view.h>

#include <cmath>
#include <cstring>

namespace retrace {
namespace {

// Elements in row-major order, whatever the strides --------------------------------------------

std::vector<std::int64_t> index_of(std::int64_t element, const Shape& sizes) {
  std::vector<std::int64_t> index(static_cast<std::size_t>(sizes.size()));
  for (int d = sizes.size() - 1; d >= 0; --d) {
    index[static_cast<std::size_t>(d)] = element % sizes[d];
    element /= sizes[d];
  }
  return index;
}

double& element_of(const Tensor& x, std::int64_t element) {
  std::int64_t offset = 0;
  const std::vector<std::int64_t> index = index_of(element, x.sizes());
  for (int d = 0; d < x.dim(); ++d) offset += index[static_cast<std::size_t>(d)] * x.strides()[d];
  return elements<double>(x)[offset];
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes() || a.dtype() != b.dtype()) return false;
  const Tensor x = as_contiguous(a), y = as_contiguous(b);
  return x.numel() == 0 ||
         std::memcmp(x.get().data, y.get().data,
                     static_cast<std::size_t>(x.numel() * size_of(x.dtype()))) == 0;
}

// The numbers of the inputs, put back at the end whatever happens.
class Snapshot {
 public:
  explicit Snapshot(const std::vector<Tensor>& inputs) : inputs_(inputs) {
    for (const Tensor& input : inputs) copies_.push_back(contiguous_copy(input));
  }
  ~Snapshot() {
    for (std::size_t i = 0; i < inputs_.size(); ++i) copy_elements(inputs_[i], copies_[i]);
  }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  void require_unchanged() const {
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      require<ValueError>(same_bits(inputs_[i], copies_[i]),
                          "gradcheck: the function changes its input {} of shape {}; let it work "
                          "on a clone()",
                          i, inputs_[i].sizes());
  }

 private:
  const std::vector<Tensor>& inputs_;
  std::vector<Tensor> copies_;
};

// Upstream gradients ---------------------------------------------------------------------------

// Magnitudes in [0.5, 1.5] of either sign: none vanishes, none is the 1 that hides a mistake.
Tensor random_upstream(const Shape& sizes, Generator& generator) {
  Tensor u = empty(sizes, kFloat64);
  fill_uniform(u, -1, 1, generator);
  double* values = elements<double>(u);
  for (std::int64_t i = 0; i < u.numel(); ++i) values[i] += std::copysign(0.5, values[i]);
  return u;
}

// The same numbers, every stride twice as long.
Tensor strided(const Tensor& u) {
  Shape sizes = u.sizes();
  if (sizes.size() == kMaxDims) return u;
  sizes.push_back(2);
  const Tensor room = full(sizes, std::nan(""), u.dtype());
  Shape strides = room.strides();
  strides.erase(strides.size() - 1);
  const Tensor view = make_view(room, u.sizes(), strides);
  copy_elements(view, u);
  return view;
}

// One number everywhere, by stride 0.
Tensor repeated(const Tensor& u, double value) {
  return expanded(full({}, value, u.dtype()), u.sizes());
}

// The check ------------------------------------------------------------------------------------

class Check {
 public:
  Check(std::string_view name, TensorFunction f, const std::vector<Tensor>& inputs,
        const GradcheckOptions& options, bool may_be_constant)
      : name_(name), f_(f), inputs_(inputs), options_(options), may_be_constant_(may_be_constant) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& input = inputs[i];
      require<ValueError>(input.defined(), "{}: input {} is undefined; give it a value first",
                          name_, i);
      if (!input.requires_grad()) continue;
      require<DTypeError>(input.dtype() == kFloat64,
                          "{}: input {} of shape {} is {}; differences need float64, convert it "
                          "with .to(kFloat64)",
                          name_, i, input.sizes(), input.dtype());
      require<ValueError>(!elements_overlap(input),
                          "{}: elements of input {} of shape {} and strides {} share memory, so "
                          "one cannot move alone; expand inside the function",
                          name_, i, input.sizes(), input.strides());
      checked_.push_back(i);
      wanted_.push_back(input);
    }
    require<ValueError>(!checked_.empty(),
                        "{}: none of the {} inputs wants a gradient; call requires_grad_()", name_,
                        inputs.size());
  }

  bool passes() {
    const Snapshot snapshot(inputs_);
    const EnableGradGuard recording;
    Generator generator(options_.seed);
    const std::vector<Tensor> outputs = evaluate();
    snapshot.require_unchanged();
    for (const Tensor& output : outputs)
      upstream_.push_back(random_upstream(output.sizes(), generator));
    require_deterministic(outputs);
    const std::vector<Tensor> analytic = gradients(outputs, upstream_);
    require_same(analytic, gradients(evaluate(), upstream_),
                 "differ when computed twice; make the function deterministic (seed it inside)");
    return agrees_with_differences(analytic) && layouts_agree(analytic) && outputs_agree(analytic);
  }

 private:
  // The floating outputs.
  std::vector<Tensor> evaluate() const {
    std::vector<Tensor> outputs;
    for (Tensor& output : f_(inputs_)) {
      require<ValueError>(output.defined(), "{}: the function returned an undefined tensor", name_);
      if (!output.is_floating_point()) continue;
      require<DTypeError>(output.dtype() == kFloat64,
                          "{}: the function returned a {} tensor of shape {}; compute in float64",
                          name_, output.dtype(), output.sizes());
      outputs.push_back(std::move(output));
    }
    return outputs;
  }

  void require_deterministic(const std::vector<Tensor>& outputs) const {
    const std::vector<Tensor> again = evaluate();
    for (std::size_t i = 0; i < outputs.size(); ++i)
      require<ValueError>(again.size() == outputs.size() && same_bits(outputs[i], again[i]),
                          "{}: output {} of shape {} differs when computed twice; make the "
                          "function deterministic (seed it inside)",
                          name_, i, outputs[i].sizes());
  }

  void require_same(const std::vector<Tensor>& a, const std::vector<Tensor>& b,
                    std::string_view complaint) const {
    for (std::size_t k = 0; k < a.size(); ++k)
      require<ValueError>(same_bits(a[k], b[k]), "{}: the gradients of input {} of shape {} {}",
                          name_, checked_[k], a[k].sizes(), complaint);
  }

  // Of Σ upstream · outputs, one for each checked input; zeros where nothing flows.
  std::vector<Tensor> gradients(const std::vector<Tensor>& outputs,
                                const std::vector<Tensor>& upstream) const {
    std::vector<Tensor> with_history, gradients_of_those;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].requires_grad()) continue;
      with_history.push_back(outputs[i]);
      gradients_of_those.push_back(upstream[i]);
    }
    require<AutogradError>(!with_history.empty() || may_be_constant_,
                           "{}: none of the {} floating outputs wants a gradient; the function "
                           "does not depend on its inputs, or recording was off in it",
                           name_, outputs.size());
    std::vector<Tensor> result = grad(with_history, wanted_, gradients_of_those,
                                      /*retain_graph=*/true, /*create_graph=*/false,
                                      /*allow_unused=*/true);
    for (std::size_t k = 0; k < result.size(); ++k) {
      if (!result[k].defined()) result[k] = zeros(wanted_[k].sizes(), kFloat64);
    }
    return result;
  }

  // A copy: an output may be a view of the input that moves on.
  static std::vector<std::vector<double>> values_of(const std::vector<Tensor>& outputs) {
    std::vector<std::vector<double>> values;
    for (const Tensor& output : outputs) values.push_back(output.to_vector<double>());
    return values;
  }

  // Differences are taken output by output before they are summed: the digits that all outputs
  // share cancel first.
  double difference(double& moved) const {
    const double before = moved;
    moved = before + options_.eps;
    const double up = moved;
    const std::vector<std::vector<double>> above = values_of(evaluate());
    moved = before - options_.eps;
    const double down = moved;
    const std::vector<std::vector<double>> below = values_of(evaluate());
    moved = before;
    long double sum = 0;
    for (std::size_t i = 0; i < above.size(); ++i) {
      const std::vector<double> u = upstream_[i].to_vector<double>();
      for (std::size_t e = 0; e < u.size(); ++e)
        sum +=
            static_cast<long double>(u[e]) * (static_cast<long double>(above[i][e]) - below[i][e]);
    }
    return static_cast<double>(sum / (static_cast<long double>(up) - down));
  }

  bool agrees_with_differences(const std::vector<Tensor>& analytic) const {
    for (std::size_t k = 0; k < wanted_.size(); ++k) {
      for (std::int64_t e = 0; e < wanted_[k].numel(); ++e) {
        const double numeric = difference(element_of(wanted_[k], e));
        const double given = element_of(analytic[k], e);
        // Written so that a NaN fails.
        if (std::abs(given - numeric) <= options_.atol + options_.rtol * std::abs(numeric))
          continue;
        return refuse(k, e, fmt::format("analytic {:.12g}, numeric {:.12g}", given, numeric));
      }
    }
    return true;
  }

  // Backward must read its upstream by its strides.
  bool layouts_agree(const std::vector<Tensor>& analytic) const {
    std::vector<Tensor> spread, fixed, fixed_dense;
    for (const Tensor& u : upstream_) {
      spread.push_back(strided(u));
      fixed.push_back(repeated(u, 0.75));
      fixed_dense.push_back(contiguous_copy(fixed.back()));
    }
    const std::vector<Tensor> outputs = evaluate();
    return close(gradients(outputs, spread), analytic, "a strided upstream gradient") &&
           close(gradients(outputs, fixed), gradients(outputs, fixed_dense),
                 "an upstream gradient repeated by stride 0");
  }

  // A gradient that arrives at one output alone leaves those of the others undefined.
  bool outputs_agree(const std::vector<Tensor>& analytic) const {
    const std::vector<Tensor> outputs = evaluate();
    if (outputs.size() < 2) return true;
    std::vector<Tensor> sums;
    for (const Tensor& input : wanted_) sums.push_back(zeros(input.sizes(), kFloat64));
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].requires_grad()) continue;
      const std::vector<Tensor> part = gradients({outputs[i]}, {upstream_[i]});
      for (std::size_t k = 0; k < sums.size(); ++k) sums[k].add_(part[k]);
    }
    return close(sums, analytic, "one output at a time");
  }

  bool close(const std::vector<Tensor>& a, const std::vector<Tensor>& b,
             std::string_view circumstance) const {
    for (std::size_t k = 0; k < a.size(); ++k) {
      for (std::int64_t e = 0; e < a[k].numel(); ++e) {
        const double x = element_of(a[k], e), y = element_of(b[k], e);
        if (std::abs(x - y) <= 1e-9 * (1 + std::abs(y)) || (std::isnan(x) && std::isnan(y)))
          continue;
        return refuse(
            k, e,
            fmt::format("with {} backward gives {:.12g} instead of {:.12g}", circumstance, x, y));
      }
    }
    return true;
  }

  bool refuse(std::size_t k, std::int64_t element, const std::string& how) const {
    require<AutogradError>(!options_.raise,
                           "{}: wrong gradient of input {} of shape {} at element {}: {} (eps {}, "
                           "atol {}, rtol {}); look at the backward of the ops that read it",
                           name_, checked_[k], wanted_[k].sizes(),
                           Shape(index_of(element, wanted_[k].sizes())), how, options_.eps,
                           options_.atol, options_.rtol);
    return false;
  }

  std::string_view name_;
  TensorFunction f_;
  const std::vector<Tensor>& inputs_;
  const GradcheckOptions& options_;
  const bool may_be_constant_;  // no output need depend on the inputs: the differences tell
  std::vector<std::size_t> checked_;
  std::vector<Tensor> wanted_;  // those inputs
  std::vector<Tensor> upstream_;
};

}  // namespace

bool gradcheck(TensorFunction f, const std::vector<Tensor>& inputs,
               const GradcheckOptions& options) {
  return Check("gradcheck", f, inputs, options, /*may_be_constant=*/false).passes();
}

bool gradgradcheck(TensorFunction f, const std::vector<Tensor>& inputs,
                   const GradcheckOptions& options) {
  std::vector<Tensor> all = inputs, wanted;
  for (const Tensor& input : inputs) {
    if (input.defined() && input.requires_grad()) wanted.push_back(input);
  }
  Generator generator(options.seed + 1);
  const EnableGradGuard recording;
  const auto differentiable = [&](const std::vector<Tensor>& given) {
    std::vector<Tensor> outputs = f(given);
    std::erase_if(outputs, [](const Tensor& output) {
      return !output.is_floating_point() || !output.requires_grad();
    });
    return outputs;
  };
  for (const Tensor& output : differentiable(inputs))
    all.push_back(random_upstream(output.sizes(), generator).requires_grad_());

  const auto first_derivatives = [&](const std::vector<Tensor>& given) {
    const auto middle = given.begin() + static_cast<std::ptrdiff_t>(inputs.size());
    const std::vector<Tensor> outputs = differentiable({given.begin(), middle});
    std::vector<Tensor> gradients =
        grad(outputs, wanted, {middle, given.end()}, /*retain_graph=*/true, /*create_graph=*/true,
             /*allow_unused=*/true);
    std::erase_if(gradients, [](const Tensor& gradient) { return !gradient.defined(); });
    return gradients;
  };
  return Check("gradgradcheck", first_derivatives, all, options, /*may_be_constant=*/true).passes();
}

}  // namespace retrace
