// Recorder::check: each gradient of the last backward pass against finite differences of the loss.

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <retrace/autograd/grad_mode.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>
#include <retrace/trace/recorder.h>
#include <retrace/trace/slope.h>

namespace retrace::trace {
namespace {

double element(const Tensor& dense, std::int64_t at) {
  return dense.dtype() == DType::float64 ? elements<double>(dense)[at]
                                         : static_cast<double>(elements<float>(dense)[at]);
}

double dot(const Tensor& a, const Tensor& b) {
  const Tensor x = as_contiguous(a), y = as_contiguous(b);
  double sum = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) sum += element(x, i) * element(y, i);
  return sum;
}

// x + step · direction, in place; its version stays, since nobody is to notice.
void move(const Tensor& x, const Tensor& from, const Tensor& direction, double step) {
  const Tensor moved = contiguous_copy(from);
  for (std::int64_t i = 0; i < moved.numel(); ++i) {
    const double value = element(from, i) + step * element(direction, i);
    if (moved.dtype() == DType::float64) {
      elements<double>(moved)[i] = value;
    } else {
      elements<float>(moved)[i] = static_cast<float>(value);
    }
  }
  copy_elements(x, moved);
}

// Runs a program again and again, which computes the same ops each time.
class Again final : public TapeObserver {
 public:
  struct Op {
    std::string name;
    Shape sizes;
    bool is_view = false;  // reads nothing: its result is a place in its input
  };
  // A tensor that is another while one op reads it: its result from before, or a leaf.
  struct Nudge {
    std::size_t reader;
    std::optional<std::size_t> maker;
    Tensor tensor;
    const Tensor& direction;
    double step;
  };

  explicit Again(const std::function<Tensor()>& program) : program_(program) {}

  const std::vector<Op>& ops() const { return ops_; }

  Tensor run(Nudge* nudge = nullptr) {
    nudge_ = nudge;
    done_ = 0;
    if (nudge == nullptr) ops_.clear();
    const ObserverScope scope(*this);
    const NoGradGuard no_grad;
    struct Restore {
      Again& again;
      ~Restore() { again.restore(); }
    } restore_at_last{*this};
    push_if_due();
    return program_();
  }

  void on_op(std::string_view op, const retrace::Node*, const Tensor& output,
             std::span<const Tensor* const> inputs) override {
    if (nudge_ == nullptr) {
      const auto is_place_of = [&](const Tensor* input) {
        return input->defined() && input->get().storage == output.get().storage;
      };
      ops_.push_back({std::string(op), output.sizes(),
                      std::any_of(inputs.begin(), inputs.end(), is_place_of)});
      return;
    }
    if (done_ == nudge_->reader) restore();
    if (nudge_->maker == done_) nudge_->tensor = output;
    ++done_;
    push_if_due();
  }
  void on_step(const Step&) override {}

 private:
  void push_if_due() {
    if (nudge_ == nullptr || done_ != nudge_->reader) return;
    as_it_was_ = contiguous_copy(nudge_->tensor);
    move(nudge_->tensor, as_it_was_, nudge_->direction, nudge_->step);
  }
  void restore() {
    if (as_it_was_.defined()) copy_elements(nudge_->tensor, as_it_was_);
    as_it_was_ = Tensor();
  }

  const std::function<Tensor()>& program_;
  std::vector<Op> ops_;
  Nudge* nudge_ = nullptr;
  std::size_t done_ = 0;
  Tensor as_it_was_;
};

Tensor corner(Tensor x, const Shape& sizes) {
  for (int d = 0; d < sizes.size(); ++d) x = x.narrow(d, 0, sizes[d]);
  return x;
}

// A unit vector along the part of a gradient that was kept; where that is zero, along all of it.
Tensor direction_of(const Numbers& gradient) {
  Tensor direction = zeros(gradient.sizes, gradient.dtype);
  const double norm = std::sqrt(dot(gradient.values, gradient.values));
  const auto count = static_cast<double>(gradient.values.numel());
  // A single number's slope has its sign.
  const bool is_one = gradient.sizes.numel() == 1;
  copy_elements(corner(direction, gradient.values.sizes()),
                is_one || norm == 0
                    ? full(gradient.values.sizes(), 1 / std::sqrt(count), gradient.dtype)
                    : contiguous_copy(gradient.values).div_(norm));
  return direction;
}

// With it no number moves further than a tenth of what numbers of x are, or could be.
double first_step(const Tensor& x, const Tensor& direction) {
  const double size = std::sqrt(dot(x, x) / static_cast<double>(x.numel()));
  double furthest = 0;
  for (std::int64_t i = 0; i < direction.numel(); ++i)
    furthest = std::max(furthest, std::abs(element(direction, i)));
  return 0.1 * std::max(size, 0.1) / furthest;
}

}  // namespace

Recorder::Checked Recorder::check(const std::function<Tensor()>& loss) {
  give_pending();
  const ObserverScope nobody;
  const NoGradGuard no_grad;
  require<ValueError>(last_pass_.node != kNone,
                      "Recorder::check: no backward pass was recorded; call it after backward");
  const Numbers& seed = trace_.numbers[last_pass_.gradient];
  require<ValueError>(last_pass_.seeds == 1 && seed.complete,
                      "Recorder::check: the pass began from {} tensors, the last of shape {}; one "
                      "of at most {} elements can be checked",
                      last_pass_.seeds, seed.sizes, options_.elements);
  Again again(loss);
  const Tensor found = again.run();
  const std::size_t count = again.ops().size();
  const auto refuse = [&](const std::string& what) {
    throw ValueError(
        "Recorder::check: the function must compute again what the last backward "
        "pass began from, and the random numbers too: " +
        what);
  };
  if (count > last_pass_.ops)
    refuse(fmt::format("it ran {} ops, and {} were recorded", count, last_pass_.ops));
  const std::size_t first = last_pass_.ops - count;
  std::unordered_map<Id, std::size_t> number_of;  // of each op's first result
  for (std::size_t i = 0; i < count; ++i) {
    const Node& node = trace_.nodes[ran_[first + i]];
    const Again::Op& op = again.ops()[i];
    if (trace_.ops[node.op].name != op.name || node.sizes != op.sizes)
      refuse(fmt::format("its op number {} is {} {}, where {} {} was recorded", i + 1, op.name,
                         op.sizes, trace_.ops[node.op].name, node.sizes));
    number_of[ran_[first + i]] = i;
  }
  const Numbers& expected = trace_.numbers[last_pass_.value];
  if (found.sizes() != expected.sizes || found.dtype() != expected.dtype ||
      dot(found, seed.values) != dot(expected.values, seed.values))
    refuse("it came to another result");

  std::unordered_map<Id, Tensor> leaf_of;
  for (const auto& [data, leaf] : leaves_) leaf_of.emplace(leaf.node, Tensor(leaf.tensor));
  const double at_rest = dot(found, seed.values);
  const double rounding =
      std::abs(at_rest) * (found.dtype() == DType::float64 ? std::numeric_limits<double>::epsilon()
                                                           : std::numeric_limits<float>::epsilon());
  const auto measure = [&](const Contribution& given) -> std::optional<Measured> {
    const auto reader = number_of.find(given.node);
    if (reader == number_of.end() || again.ops()[reader->second].is_view) return std::nullopt;
    const std::vector<Id>& inputs = trace_.nodes[given.node].inputs;
    const Id to = inputs[given.input];
    // An op that reads a tensor twice cannot be given two of them.
    if (std::count(inputs.begin(), inputs.end(), to) > 1) return std::nullopt;
    const auto maker = number_of.find(to);
    const auto leaf = leaf_of.find(to);
    if (maker == number_of.end() && leaf == leaf_of.end()) return std::nullopt;

    const Numbers& gradient = trace_.numbers[given.gradient];
    if (gradient.values.numel() == 0 || gradient.non_finite > 0) return std::nullopt;
    const Tensor direction = direction_of(gradient);
    Again::Nudge nudge{.reader = reader->second,
                       .maker = std::nullopt,
                       .tensor = Tensor(),
                       .direction = direction,
                       .step = 0};
    if (maker != number_of.end()) {
      nudge.maker = maker->second;
    } else {
      nudge.tensor = leaf->second;
    }
    const auto rise = [&](double step) {
      nudge.step = step;
      return dot(again.run(&nudge), seed.values) - at_rest;
    };
    rise(0);  // finds the tensor
    const Slope slope = slope_at_zero(rise, first_step(nudge.tensor, direction), rounding);
    if (!std::isfinite(slope.value) || !std::isfinite(slope.error)) return std::nullopt;
    return Measured{slope.value, slope.error,
                    dot(gradient.values, corner(direction, gradient.values.sizes()))};
  };
  Checked checked;
  for (std::size_t i = last_pass_.event; i < trace_.events.size(); ++i) {
    auto* const given = std::get_if<Contribution>(&trace_.events[i]);
    if (given == nullptr) continue;
    given->measured = measure(*given);
    ++(given->measured ? checked.measured : checked.left_out);
    checked.differ += given->measured && given->measured->differs() ? 1 : 0;
  }
  return checked;
}

}  // namespace retrace::trace
