#include <retrace/autograd/anomaly.h>
#include <retrace/autograd/call_site.h>
#include <retrace/autograd/observer.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/scope.h>
#include <retrace/tensor/view.h>

#include <cmath>
#include <limits>

namespace retrace {
namespace {

thread_local constinit bool anomaly_enabled = false, going_back = false;

void update_watched() { ops_watched = anomaly_enabled || UpdateObserver::current() != nullptr; }

/// Number of the first NaN in row-major order, or -1.
std::int64_t first_nan(const Tensor& x) {
  if (!x.is_floating_point()) return -1;
  const Tensor rows = as_contiguous(x);
  return visit_float(x.dtype(), "anomaly", [&]<class T>() -> std::int64_t {
    const T* values = elements<T>(rows);
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      if (std::isnan(values[i])) return i;
    }
    return -1;
  });
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

AnomalyMode::AnomalyMode(bool enabled) : before_(anomaly_enabled) {
  anomaly_enabled = enabled;
  update_watched();
}

AnomalyMode::~AnomalyMode() {
  anomaly_enabled = before_;
  update_watched();
}

bool AnomalyMode::is_enabled() { return anomaly_enabled; }

AnomalyMode::Backward::Backward() : before_(going_back) { going_back = true; }
AnomalyMode::Backward::~Backward() { going_back = before_; }

ObserverScope::ObserverScope(TapeObserver* observer) : before_(UpdateObserver::current_) {
  UpdateObserver::current_ = observer;
  update_watched();
}

ObserverScope::~ObserverScope() {
  UpdateObserver::current_ = before_;
  update_watched();
}

void watch_op(std::string_view op, const Node* node, const Tensor& output,
              std::span<const Tensor* const> inputs) {
  TapeObserver* const observer = ObserverScope::current();
  if (observer != nullptr && (node != nullptr || !going_back))
    observer->on_op(op, node, output, inputs);
  if (!anomaly_enabled || going_back) return;
  const std::int64_t at = first_nan(output);
  if (at < 0) return;
  const std::string site = describe_call_site(capture_call_stack());
  fail<AutogradError>(
      "{}: the result {} is NaN at element {}{}; inputs: {}; look at what they hold", op,
      output.sizes(), at, site.empty() ? "" : ", called at " + site, describe(inputs));
}

void watch_gradient(const Node& node, std::size_t input, const Tensor& gradient, bool summed) {
  const std::int64_t at = first_nan(gradient);
  if (at < 0) return;
  const std::string place = node.place(), site = node.call_site();
  fail<AutogradError>(
      "{}backward of {}: the gradient of input {} {}{} is NaN at element {}{}; the rule is {}; "
      "look "
      "at what the op was given",
      place.empty() ? "" : place + ": ", node.name(), input, gradient.sizes(),
      summed ? ", summed with those of its other uses," : "", at,
      site.empty() ? "" : ", recorded at " + site, node.gradient_text());
}

}  // namespace retrace
