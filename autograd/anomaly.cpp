#include <retrace/autograd/anomaly.h>
#include <retrace/autograd/call_site.h>
#include <retrace/autograd/observer.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/scope.h>
#include <retrace/tensor/view.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace retrace {
namespace {

thread_local constinit bool anomaly_enabled = false, refuses_infinities = false, going_back = false;

void update_watched() { ops_watched = anomaly_enabled || UpdateObserver::current() != nullptr; }

bool is_refused(double value) {
  return std::isnan(value) || (refuses_infinities && std::isinf(value));
}

/// Whether one of the values is refused; without a branch for each, for that is a pass over every
/// result.
template <class T>
bool any_refused(const T* values, std::int64_t n) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const Bits infinity = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
  const Bits largest = refuses_infinities ? infinity - 1 : infinity;
  Bits found = 0;
  for (std::int64_t i = 0; i < n; ++i)
    found |= static_cast<Bits>(std::bit_cast<Bits>(std::abs(values[i])) > largest);
  return found != 0;
}

/// Number of the first value in row-major order that is refused, or -1.
std::int64_t first_refused(const Tensor& x) {
  if (!x.is_floating_point()) return -1;
  const Tensor rows = as_contiguous(x);
  return visit_float(x.dtype(), "anomaly", [&]<class T>() -> std::int64_t {
    const T* values = elements<T>(rows);
    if (!any_refused(values, x.numel())) return -1;
    return std::find_if(values, values + x.numel(), is_refused) - values;
  });
}

std::string value_at(const Tensor& x, std::int64_t at) {
  const double value = x.to_vector<double>()[static_cast<std::size_t>(at)];
  return std::isnan(value) ? "NaN" : value < 0 ? "-inf" : "inf";
}

std::string steps_text() {
  return optimizer_steps == 1 ? "after 1 optimizer step"
                              : fmt::format("after {} optimizer steps", optimizer_steps);
}

// "[2, 3] from -1 to 4", and whether a NaN was there already.
std::string describe(const Tensor& x) {
  std::string text = fmt::format("{} {}", x.dtype(), x.sizes());
  if (!x.is_floating_point() || x.numel() == 0) return text;
  double least = std::numeric_limits<double>::infinity(), most = -least;
  std::int64_t nans = 0;
  for (const double value : x.to_vector<double>()) {
    if (std::isnan(value)) {
      ++nans;
      continue;
    }
    least = std::min(least, value);
    most = std::max(most, value);
  }
  if (least <= most) text += fmt::format(" from {:.6g} to {:.6g}", least, most);
  if (nans > 0) text += fmt::format(" with {} NaN", nans);
  return text;
}

std::string describe(std::span<const Tensor* const> inputs) {
  std::string text;
  for (const Tensor* input : inputs) {
    if (input->defined()) text += (text.empty() ? "" : ", ") + describe(*input);
  }
  return text;
}

}  // namespace

AnomalyMode::AnomalyMode(bool enabled, bool infinities)
    : before_(anomaly_enabled), infinities_before_(refuses_infinities) {
  anomaly_enabled = enabled;
  refuses_infinities = infinities;
  update_watched();
}

AnomalyMode::~AnomalyMode() {
  anomaly_enabled = before_;
  refuses_infinities = infinities_before_;
  update_watched();
}

bool AnomalyMode::is_enabled() { return anomaly_enabled; }

AnomalyMode::Backward::Backward() : before_(going_back) { going_back = true; }
AnomalyMode::Backward::~Backward() { going_back = before_; }

thread_local constinit ObserverScope* ObserverScope::latest_ = nullptr;

ObserverScope::ObserverScope(TapeObserver* observer) : observer_(observer), before_(latest_) {
  latest_ = this;
  UpdateObserver::current_ = observer;
  update_watched();
}

// Scopes that something else owns, as recorders do, may end in any order.
ObserverScope::~ObserverScope() {
  ObserverScope** link = &latest_;
  while (*link != this) link = &(*link)->before_;
  *link = before_;
  UpdateObserver::current_ = latest_ != nullptr ? latest_->observer_ : nullptr;
  update_watched();
}

void watch_op(std::string_view op, const Node* node, const Tensor& output,
              std::span<const Tensor* const> inputs) {
  TapeObserver* const observer = ObserverScope::current();
  if (observer != nullptr && (node != nullptr || !going_back))
    observer->on_op(op, node, output, inputs);
  if (!anomaly_enabled || going_back) return;
  const std::int64_t at = first_refused(output);
  if (at < 0) return;
  const std::string site = describe_call_site(capture_call_stack());
  fail<AutogradError>(
      "{}: the result {} is {} at element {}{}, {}; inputs: {}; look at what they hold", op,
      output.sizes(), value_at(output, at), at, site.empty() ? "" : ", called at " + site,
      steps_text(), describe(inputs));
}

void watch_gradient(const Node& node, std::size_t input, const Tensor& gradient, bool summed,
                    const Tensor& upstream) {
  const std::int64_t at = first_refused(gradient);
  if (at < 0) return;
  const std::string place = node.place(), site = node.call_site();
  std::string known = upstream.defined() ? describe(upstream) : "none for the first output";
  for (const Node::Saved& saved : node.saved_) {
    if (saved.tensor) known += "; kept: " + describe(Tensor(saved.tensor));
  }
  fail<AutogradError>(
      "{}backward of {}: the gradient of input {} {}{} is {} at element {}{}, {}; the rule is {}; "
      "upstream: {}; look at what the op was given",
      place.empty() ? "" : place + ": ", node.name(), input, gradient.sizes(),
      summed ? ", summed with those of its other uses," : "", value_at(gradient, at), at,
      site.empty() ? "" : ", recorded at " + site, steps_text(), node.gradient_text(), known);
}

}  // namespace retrace
