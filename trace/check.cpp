// Recorder::check: each gradient of the last backward pass against finite differences of the loss.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include <retrace/autograd/grad_mode.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>
#include <retrace/trace/numbers.h>
#include <retrace/trace/recorder.h>
#include <retrace/trace/slope.h>

namespace retrace::trace {
namespace {

double dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

// x = from + step · direction; its version stays, since nobody is to notice.
void move(const Tensor& x, const Tensor& from, const Tensor& direction, double step) {
  const Tensor moved = contiguous_copy(from);
  visit_float(x.dtype(), "Recorder::check", [&]<class T>() {
    T* to = elements<T>(moved);
    const T* along = elements<T>(direction);
    for (std::int64_t i = 0; i < moved.numel(); ++i)
      to[i] = static_cast<T>(static_cast<double>(to[i]) + step * static_cast<double>(along[i]));
  });
  copy_elements(x, moved);
}

// Whether two tensors reach into the same piece of memory, if not at the same elements.
bool may_overlap(const Tensor& a, const Tensor& b) {
  if (a.get().storage != b.get().storage) return false;
  const auto reach = [](const Tensor& x) {
    const char* first = elements<const char>(x);
    const char* last = first;
    for (int d = 0; d < x.dim(); ++d) {
      const std::int64_t steps = (x.sizes()[d] - 1) * x.strides()[d] * size_of(x.dtype());
      (steps < 0 ? first : last) += steps;
    }
    return std::pair(first, last);
  };
  const auto [a_first, a_last] = reach(a);
  const auto [b_first, b_last] = reach(b);
  return a_first <= b_last && b_first <= a_last;
}

// Runs a program again and again, which computes the same ops each time.
class Again final : public TapeObserver {
 public:
  struct Op {
    std::string name;
    Shape sizes;
    /// Of each input: it can be another for this op alone. Not so where the result is a place in
    /// it, or another input is.
    std::vector<bool> stands_alone;
    /// The op before which it begins to read: an own node's value comes from unrecorded ops.
    std::size_t begins = 0;
    bool is_recorded = false;
  };
  // A tensor that is another while one op reads it: its result from before, or a leaf.
  struct Nudge {
    std::size_t begins, reader;
    std::optional<std::size_t> maker;
    Tensor tensor;
    Tensor direction;
    double step;
  };

  explicit Again(const std::function<Tensor()>& program) : program_(program) {}

  const std::vector<Op>& ops() const { return ops_; }
  /// Those that were there before, by identity_of.
  const std::unordered_map<std::uint64_t, Tensor>& leaves() const { return leaves_; }

  Tensor run(Nudge* nudge = nullptr) {
    nudge_ = nudge;
    done_ = 0;
    if (nudge == nullptr) ops_.clear();
    last_ = 0;
    const ObserverScope scope(*this);
    const EnableGradGuard as_before;  // ops in place are told only while they are recorded
    struct Restore {
      Again& again;
      ~Restore() { again.restore(); }
    } restore_at_last{*this};
    push_if_due();
    return program_();
  }

  void on_op(std::string_view op, const retrace::Node* node, const Tensor& output,
             std::span<const Tensor* const> inputs) override {
    if (nudge_ == nullptr) return note(op, node, output, inputs);
    if (done_ == nudge_->reader) restore();
    if (nudge_->maker == done_) nudge_->tensor = output;
    ++done_;
    push_if_due();
  }
  void on_step(const Step&) override {}

 private:
  void note(std::string_view op, const retrace::Node* node, const Tensor& output,
            std::span<const Tensor* const> inputs) {
    const std::size_t number = ops_.size();
    Op noted{.name = std::string(op),
             .sizes = output.sizes(),
             .stands_alone = {},
             .begins = number,
             .is_recorded = node != nullptr};
    const std::uint64_t result = identity_of(output.get());
    if (noted.is_recorded && result == last_) {
      while (noted.begins > 0 && !ops_[noted.begins - 1].is_recorded) --noted.begins;
    }
    last_ = result;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      bool alone = inputs[k]->defined() && inputs[k]->get().storage != output.get().storage;
      for (std::size_t other = 0; alone && other < inputs.size(); ++other)
        alone = other == k || !inputs[other]->defined() || !may_overlap(*inputs[k], *inputs[other]);
      noted.stands_alone.push_back(alone);
      // Not a view of it: ops in place refuse what has one.
      if (inputs[k]->defined() && !inputs[k]->get().producer)
        leaves_.emplace(identity_of(inputs[k]->get()), *inputs[k]);
    }
    ops_.push_back(std::move(noted));
  }
  void push_if_due() {
    if (nudge_ == nullptr || done_ != nudge_->begins) return;
    const Tensor& x = nudge_->tensor;
    require<ValueError>(x.defined() && x.sizes() == nudge_->direction.sizes(),
                        "Recorder::check: the function computes something else each time it runs");
    as_it_was_ = contiguous_copy(x);
    move(x, as_it_was_, nudge_->direction, nudge_->step);
  }
  void restore() {
    if (as_it_was_.defined()) copy_elements(nudge_->tensor, as_it_was_);
    as_it_was_ = Tensor();
  }

  const std::function<Tensor()>& program_;
  std::vector<Op> ops_;
  std::unordered_map<std::uint64_t, Tensor> leaves_;
  std::uint64_t last_ = 0;  // result of the op before, by identity_of
  Nudge* nudge_ = nullptr;
  std::size_t done_ = 0;
  Tensor as_it_was_;
};

// Unit vectors over the part of a gradient that was kept: along it, and with signs as if thrown,
// which sees what the gradient leaves out. A single number needs one, and so does a gradient of 0.
std::vector<Tensor> directions_of(const Numbers& gradient) {
  const Shape& sizes = gradient.values.sizes();
  const auto spread = [&](const Tensor& kept) {
    Tensor direction = zeros(gradient.sizes, gradient.dtype);
    copy_elements(corner_of(direction, sizes), kept);
    return direction;
  };
  const double count = static_cast<double>(gradient.values.numel());
  const Tensor signs = full(sizes, 1 / std::sqrt(count), DType::float64);
  std::uint64_t bits = 0x9E3779B97F4A7C15u;
  for (std::int64_t i = 1; i < signs.numel(); ++i) {
    bits = bits * 6364136223846793005u + 1442695040888963407u;
    if (bits >> 63 != 0) elements<double>(signs)[i] *= -1;
  }
  const double norm = std::sqrt(dot(gradient.values, gradient.values));
  std::vector<Tensor> directions;
  if (norm > 0 && count > 1)
    directions.push_back(spread(contiguous_copy(gradient.values).div_(norm)));
  directions.push_back(spread(signs));
  return directions;
}

// With it no number moves further than a tenth of what numbers of x are, or could be.
double first_step(const Tensor& x, const Tensor& direction) {
  const double size = std::sqrt(dot(x, x) / static_cast<double>(x.numel()));
  double furthest = 0;
  for (const double each : direction.to_vector<double>())
    furthest = std::max(furthest, std::abs(each));
  return 0.1 * std::max(size, 0.1) / furthest;
}

}  // namespace

Recorder::Checked Recorder::check(const std::function<Tensor()>& loss) {
  give_pending();
  const ObserverScope nobody;
  const NoGradGuard no_grad;
  require<ValueError>(trace_.complete,
                      "Recorder::check: the recorder is full, after {} events; make it larger "
                      "(RecorderOptions::events)",
                      options_.events);
  require<ValueError>(last_pass_.node != kNone,
                      "Recorder::check: no backward pass was recorded; call it after backward");
  require<ValueError>(last_pass_.value != kNone,
                      "Recorder::check: what the pass began from was computed before the recorder "
                      "was there; begin to record earlier");
  const Numbers& seed = trace_.numbers[last_pass_.gradient];
  const Numbers& expected = trace_.numbers[last_pass_.value];
  require<ValueError>(last_pass_.seeds == 1 && seed.complete && expected.complete,
                      "Recorder::check: the pass began from {} tensors, the last of shape {}; one "
                      "of at most {} elements can be checked",
                      last_pass_.seeds, seed.sizes, options_.elements);
  require<ValueError>(expected.non_finite == 0,
                      "Recorder::check: the pass began from NaN or infinity, of which there are no "
                      "slopes");
  Again again(loss);
  const Tensor found = again.run().detach();
  const std::size_t count = again.ops().size();
  const auto refuse = [&](const std::string& what) {
    throw ValueError(
        "Recorder::check: the function must compute again what the last backward "
        "pass began from, each time with the same random numbers: " +
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
  if (found.sizes() != expected.sizes || found.dtype() != expected.dtype ||
      dot(found, seed.values) != dot(expected.values, seed.values))
    refuse("it came to another result");

  std::unordered_map<Id, Tensor> leaf_of;
  for (const auto& [identity, leaf] : again.leaves()) {
    if (const auto known = leaves_.find(identity); known != leaves_.end())
      leaf_of.emplace(known->second, leaf);
  }
  const double at_rest = dot(found, seed.values);
  double rounding = dot(found.abs(), seed.values.abs());
  rounding *= found.dtype() == DType::float64 ? std::numeric_limits<double>::epsilon()
                                              : std::numeric_limits<float>::epsilon();
  const auto measure = [&](const Contribution& given) {
    std::vector<Measured> measured;
    const auto reader = number_of.find(given.node);
    if (reader == number_of.end()) return measured;
    const std::vector<bool>& stands_alone = again.ops()[reader->second].stands_alone;
    if (given.input >= stands_alone.size() || !stands_alone[given.input]) return measured;
    const Id to = trace_.nodes[given.node].inputs[given.input];
    const auto maker = number_of.find(to);
    const auto leaf = leaf_of.find(to);
    if (maker == number_of.end() && leaf == leaf_of.end()) return measured;
    const Numbers& gradient = trace_.numbers[given.gradient];
    if (gradient.values.numel() == 0 || gradient.non_finite > 0) return measured;

    Again::Nudge nudge{.begins = again.ops()[reader->second].begins,
                       .reader = reader->second,
                       .maker = std::nullopt,
                       .tensor = Tensor(),
                       .direction = Tensor(),
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
    for (const Tensor& direction : directions_of(gradient)) {
      nudge.direction = direction;
      if (rise(0) != 0) refuse("when it ran once more it came to another result");
      if (elements_overlap(nudge.tensor)) return std::vector<Measured>();
      const Slope slope = slope_at_zero(rise, first_step(nudge.tensor, direction), rounding);
      if (!std::isfinite(slope.value) || !std::isfinite(slope.error))
        return std::vector<Measured>();
      measured.push_back({slope.value, slope.error,
                          dot(gradient.values, corner_of(direction, gradient.values.sizes()))});
    }
    return measured;
  };
  Checked checked;
  for (Event& event : trace_.events) {
    auto* const given = std::get_if<Contribution>(&event);
    if (given == nullptr || given->pass != last_pass_.number) continue;
    given->measured = measure(*given);
    ++(given->measured.empty() ? checked.left_out : checked.measured);
    checked.differ += given->differs() ? 1 : 0;
  }
  return checked;
}

}  // namespace retrace::trace
