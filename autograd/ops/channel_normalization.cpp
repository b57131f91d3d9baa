// batch_norm, group_norm and instance_norm: normalisations with one scale and shift per channel.
#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/normalization.h>
#include <retrace/autograd/ops/normalize.h>
#include <retrace/autograd/ops/reduction.h>

#include <array>

namespace retrace {
namespace {

/// How row-major numbers [N, C, length] fall into slices that share a mean: a slice is `runs` runs
/// of `length` numbers, each run of one channel. Over the batch a slice is a channel and has a run
/// in each sample; else it is a group of neighbouring channels of one sample.
struct Slices {
  std::int64_t count, runs, length, channels;
  bool over_batch;

  std::int64_t run(std::int64_t slice, std::int64_t r) const {
    return over_batch ? r * channels + slice : slice * runs + r;
  }
  std::int64_t channel(std::int64_t slice, std::int64_t r) const {
    return over_batch ? slice : run(slice, r) % channels;
  }
  std::int64_t size() const { return runs * length; }
  /// Slices worth a thread.
  std::int64_t grain() const { return kernels::grain_of(size()); }
};

/// Σ g and Σ g · n of a run.
struct RunSums {
  double g = 0, g_n = 0;
};

template <class T>
RunSums sums_of_run(const T* g, const T* x, std::int64_t length, const Normalize<T>& normal) {
  RunSums sums;
  for (std::int64_t first = 0; first < length; first += kSumBlock) {
    const std::int64_t end = std::min(first + kSumBlock, length);
    T sum_g[kLanes] = {}, sum_gn[kLanes] = {};
    const auto lane = [&](std::int64_t i, std::int64_t l) {
      sum_g[l] += g[i];
      sum_gn[l] = math::mul_add(g[i], normal(x[i]), sum_gn[l]);
    };
    std::int64_t i = first;
    for (; i + kLanes <= end; i += kLanes) {
#pragma omp simd
      for (std::int64_t l = 0; l < kLanes; ++l) lane(i + l, l);
    }
    for (std::int64_t l = 0; i < end; ++i, ++l) lane(i, l);
    sums.g += static_cast<double>(kernels::sum_lanes<kLanes>(sum_g));
    sums.g_n += static_cast<double>(kernels::sum_lanes<kLanes>(sum_gn));
  }
  return sums;
}

template <class T>
Statistics statistics(const T* x, const Slices& slices, std::int64_t slice, double eps,
                      double* var) {
  Moments moments(static_cast<double>(x[slices.run(slice, 0) * slices.length]));
  for (std::int64_t r = 0; r < slices.runs; ++r)
    moments.add(x + slices.run(slice, r) * slices.length, slices.length);
  if (var != nullptr) *var = moments.var();
  return moments.statistics(eps);
}

template <class T>
void normalize_slice(const T* x, const Slices& slices, std::int64_t slice, const Statistics& s,
                     const T* weight, const T* bias, T* y) {
  const Normalize<T> normal(s);
  for (std::int64_t r = 0; r < slices.runs; ++r) {
    const std::int64_t c = slices.channel(slice, r), at = slices.run(slice, r) * slices.length;
    const T w = weight == nullptr ? T(1) : weight[c], b = bias == nullptr ? T(0) : bias[c];
    kernels::dense_row([=](T v) { return math::mul_add(normal(v), w, b); }, slices.length, y + at,
                       x + at);
  }
}

/// Of a slice whose statistics are its own: else they are constants, and no means are taken away.
template <class T>
void backward_slice(const T* g, const T* x, const Slices& slices, std::int64_t slice,
                    const Statistics& s, bool own, const T* weight, RunSums* sums, T* dx) {
  const Normalize<T> normal(s);
  double h = 0, h_n = 0;
  const auto scale_of = [&](std::int64_t r) {
    return weight == nullptr ? T(1) : weight[slices.channel(slice, r)];
  };
  for (std::int64_t r = 0; r < slices.runs; ++r) {
    const std::int64_t at = slices.run(slice, r);
    const double w = static_cast<double>(scale_of(r));
    sums[at] = sums_of_run(g + at * slices.length, x + at * slices.length, slices.length, normal);
    h += w * sums[at].g;
    h_n += w * sums[at].g_n;
  }
  if (dx == nullptr) return;
  const double count = static_cast<double>(slices.size());
  const T mean_h = own ? static_cast<T>(h / count) : T(0);
  const T mean_hn = own ? static_cast<T>(h_n / count) : T(0);
  for (std::int64_t r = 0; r < slices.runs; ++r) {
    const std::int64_t at = slices.run(slice, r) * slices.length;
    const T w = scale_of(r);
    kernels::dense_row(
        [=](T u, T v) {
          return normal.rstd * math::mul_add(u, w, -math::mul_add(normal(v), mean_hn, mean_h));
        },
        slices.length, dx + at, g + at, x + at);
  }
}

struct BatchNorm {
  static constexpr std::string_view op = "batch_norm",
                                    formula = "n = (x - mean) / sqrt(var + ε), y = n · w + b",
                                    gradient =
                                        "h = g · w, in training dx = (h - mean(h) - n · mean(h · "
                                        "n)) / sqrt(var + ε), else h / sqrt(var + ε), dw = Σ g · "
                                        "n, db = Σ g";
};
struct GroupNorm {
  static constexpr std::string_view op = "group_norm", formula = BatchNorm::formula,
                                    gradient =
                                        "h = g · w, dx = (h - mean(h) - n · mean(h · n)) / "
                                        "sqrt(var + ε), dw = Σ g · n, db = Σ g";
};
struct InstanceNorm {
  static constexpr std::string_view op = "instance_norm", formula = GroupNorm::formula,
                                    gradient = GroupNorm::gradient;
};

/// x as the slices have it, row-major. Over a batch [N, C] is turned, so that a channel's numbers
/// lie together; doing it again turns back.
Tensor arranged(const Tensor& x, const Slices& slices) {
  if (!slices.over_batch || x.dim() > 2) return as_contiguous(x);
  return contiguous_copy(
      make_view(x, {x.sizes()[1], x.sizes()[0]}, {x.strides()[1], x.strides()[0]}));
}

template <class T>
const T* elements_or_null(const Tensor& x) {
  return x.defined() ? elements<T>(x) : nullptr;
}

/// Inputs x, weight and bias, of which the last two may be absent.
template <class Kind>
struct ChannelNormNode final : NodeOf<ChannelNormNode<Kind>> {
  static constexpr std::string_view op = Kind::op, formula = Kind::formula,
                                    gradient = Kind::gradient;
  ChannelNormNode(const Slices& of_x, bool own, double e)
      : slices(of_x), own_statistics(own), eps(e) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor input = bounded_input(*this, 0);
    const Tensor weight = has_weight ? bounded_input(*this, 1) : Tensor();
    if (GradMode::is_enabled() && g.numel() > 0)
      return backward_by_ops(g, input, weight, gradients);
    const Tensor upstream = arranged(g, slices), x = arranged(input, slices);
    const Tensor statistics_of_slices = this->saved_extra(0);
    const Tensor dx = gradients.wants(0) ? empty(x.sizes(), x.dtype()) : Tensor();
    std::vector<RunSums> sums(static_cast<std::size_t>(slices.count * slices.runs));
    visit_float(x.dtype(), op, [&]<class T>() {
      const auto* stats = elements<Statistics>(statistics_of_slices);
      const T* const w = elements_or_null<T>(weight);
      T* const out = dx.defined() ? elements<T>(dx) : nullptr;
      parallel_for(slices.count, slices.grain(), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t s = begin; s < end; ++s)
          backward_slice<T>(elements<T>(upstream), elements<T>(x), slices, s, stats[s],
                            own_statistics, w, sums.data(), out);
      });
      give_sum<T>(gradients, 1, sums, &RunSums::g_n);
      give_sum<T>(gradients, 2, sums, &RunSums::g);
    });
    if (dx.defined()) gradients.give(0, arranged(dx, slices));
  }

  Slices slices;
  bool own_statistics, has_weight = false;
  double eps;

 private:
  void backward_by_ops(const Tensor& g, const Tensor& x, const Tensor& weight,
                       Gradients& gradients) const {
    const Tensor bias = linear_input(*this, 2);
    recorded_backward(std::array{x, weight, bias}, {g}, gradients, [&] {
      const Tensor n = own_statistics ? normalized(x) : shifted(x);
      const Tensor scaled = weight.defined() ? n * by_channel(weight, x) : n;
      return bias.defined() ? scaled + by_channel(bias, x) : scaled;
    });
  }
  Tensor by_channel(const Tensor& c, const Tensor& x) const {
    Shape sizes;
    for (int d = 0; d < x.dim(); ++d) sizes.push_back(d == 1 ? slices.channels : 1);
    return c.reshape(sizes);
  }
  Tensor normalized(const Tensor& x) const {
    Shape dims = {-1};
    Tensor of_slices = x.to(kFloat64);
    if (slices.over_batch) {
      dims = {0};
      for (int d = 2; d < x.dim(); ++d) dims.push_back(d);
    } else {
      of_slices = of_slices.reshape({slices.count, slices.size()});
    }
    const Tensor n =
        normalized_by_ops(of_slices, dims, /*centered=*/true, eps, this->saved_extra(0));
    return n.view(x.sizes()).to(x.dtype());
  }
  // By the statistics of other batches, one for each channel.
  Tensor shifted(const Tensor& x) const {
    const Tensor stats = this->saved_extra(0).to(x.dtype());
    return (x - by_channel(stats.select(1, 0).contiguous(), x)) *
           by_channel(stats.select(1, 1).contiguous(), x);
  }

  template <class T>
  void give_sum(Gradients& gradients, std::size_t i, const std::vector<RunSums>& sums,
                double RunSums::*part) {
    if (!gradients.wants(i)) return;
    std::vector<double> total(static_cast<std::size_t>(slices.channels));
    for (std::int64_t s = 0; s < slices.count; ++s) {
      for (std::int64_t r = 0; r < slices.runs; ++r)
        total[static_cast<std::size_t>(slices.channel(s, r))] +=
            sums[static_cast<std::size_t>(slices.run(s, r))].*part;
    }
    Tensor d = empty({slices.channels}, this->output_dtype());
    std::transform(total.begin(), total.end(), elements<T>(d),
                   [](double sum) { return static_cast<T>(sum); });
    gradients.give(i, std::move(d));
  }
};

/// Statistics of slices, and their variances if `vars` is not null.
Tensor statistics_of(std::string_view op, const Tensor& x, const Slices& slices, double eps,
                     std::vector<double>* vars) {
  Tensor result = empty_statistics(slices.count);
  if (slices.size() == 0) return result;
  visit_float(x.dtype(), op, [&]<class T>() {
    auto* stats = elements<Statistics>(result);
    parallel_for(slices.count, slices.grain(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = begin; s < end; ++s)
        stats[s] = statistics(elements<T>(x), slices, s, eps,
                              vars == nullptr ? nullptr : &(*vars)[static_cast<std::size_t>(s)]);
    });
  });
  return result;
}

/// y of x, whose numbers lie in `dense`; `stats` are its own if they were computed from it.
template <class Kind>
Tensor normalize(const Tensor& x, const Tensor& dense, Slices slices, const Tensor& stats, bool own,
                 const Tensor& weight, const Tensor& bias, double eps) {
  if (dense.numel() == 0) slices.runs = 0;  // however many there are of nothing
  const Tensor scale = weight.defined() ? as_contiguous(weight) : weight;
  const Tensor shift = bias.defined() ? as_contiguous(bias) : bias;
  const Tensor y = empty(dense.sizes(), x.dtype());
  visit_float(x.dtype(), Kind::op, [&]<class T>() {
    parallel_for(slices.count, slices.grain(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = begin; s < end; ++s)
        normalize_slice(elements<T>(dense), slices, s, elements<Statistics>(stats)[s],
                        elements_or_null<T>(scale), elements_or_null<T>(shift), elements<T>(y));
    });
  });
  return record<ChannelNormNode<Kind>>(
      arranged(y, slices), {&x, &weight, &bias},
      [&](auto& node) {
        node.save_input(0, x);
        node.has_weight = weight.defined();
        if (node.has_weight) node.save_input(1, scale);
        node.save_extra(stats);
      },
      slices, own, eps);
}

void check_channels(std::string_view op, const Tensor& x, const char* name,
                    const Tensor& of_channels, bool written = false) {
  if (!of_channels.defined()) return;
  require<DTypeError>(of_channels.dtype() == x.dtype(),
                      "{}: x is {} {}, {} {} {}; convert one with .to({})", op, x.dtype(),
                      x.sizes(), name, of_channels.dtype(), of_channels.sizes(), x.dtype());
  require<ShapeError>(of_channels.sizes() == Shape{x.sizes()[1]},
                      "{}: x is {}, {} {}; give one number for each channel, [{}]", op, x.sizes(),
                      name, of_channels.sizes(), x.sizes()[1]);
  require<ValueError>(!written || !elements_overlap(of_channels),
                      "{}: several elements of {} {} are one place in memory (expand); clone() it",
                      op, name, of_channels.sizes());
}

void check(std::string_view op, const Tensor& x, int least_dims, const Tensor& weight,
           const Tensor& bias, double eps) {
  require_defined(op, {&x});
  if (!x.is_floating_point()) refuse_dtype(op, x.dtype(), "float32 or float64");
  require<ShapeError>(x.dim() >= least_dims, "{}: x is {}; give [N, C{}]", op, x.sizes(),
                      least_dims == 2 ? ", ..." : ", L, ...");
  check_channels(op, x, "weight", weight);
  check_channels(op, x, "bias", bias);
  require<ValueError>(eps >= 0 && std::isfinite(eps),
                      "{}: eps is {}; give a finite one, 0 or above", op, eps);
}

/// Numbers per sample and channel.
std::int64_t length_of(const Tensor& x) {
  std::int64_t length = 1;
  for (int d = 2; d < x.dim(); ++d) length *= x.sizes()[d];
  return length;
}

template <class Kind>
Tensor normalize_groups(const Tensor& x, std::int64_t groups, const Tensor& weight,
                        const Tensor& bias, double eps) {
  const std::int64_t channels = x.sizes()[1];
  std::int64_t count = 0;
  require<ShapeError>(!__builtin_mul_overflow(x.sizes()[0], groups, &count),
                      "{}: x is {}; {} groups of a sample are more than 63 bits count; use fewer",
                      Kind::op, x.sizes(), groups);
  const Slices slices = {count, groups == 0 ? 0 : channels / groups, length_of(x), channels,
                         /*over_batch=*/false};
  const Tensor dense = arranged(x, slices);
  return normalize<Kind>(x, dense, slices, statistics_of(Kind::op, dense, slices, eps, nullptr),
                         /*own=*/true, weight, bias, eps);
}

// running = (1 - momentum) · running + momentum · batch(c), in double.
template <class F>
void move_running(const Tensor& running, double momentum, F batch) {
  visit_float(running.dtype(), BatchNorm::op, [&]<class T>() {
    T* value = elements<T>(running);
    for (std::int64_t c = 0; c < running.numel(); ++c, value += running.strides()[0])
      *value = static_cast<T>((1.0 - momentum) * static_cast<double>(*value) + momentum * batch(c));
  });
  running.get().storage->changed();
}

Tensor running_statistics(const Tensor& mean, const Tensor& var, double eps) {
  Tensor stats = empty_statistics(mean.numel());
  const std::vector<double> means = mean.to_vector<double>(), vars = var.to_vector<double>();
  for (std::size_t c = 0; c < means.size(); ++c)
    elements<Statistics>(stats)[c] = {means[c], vars[c], eps};
  return stats;
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, bool training, double momentum,
                  double eps) {
  constexpr std::string_view op = BatchNorm::op;
  check(op, x, 2, weight, bias, eps);
  const bool tracked = running_mean.defined() && running_var.defined();
  require<ValueError>(tracked || (training && !running_mean.defined() && !running_var.defined()),
                      "{}: running_mean or running_var is undefined; give both, or neither in "
                      "training",
                      op);
  check_channels(op, x, "running_mean", running_mean, /*written=*/training);
  check_channels(op, x, "running_var", running_var, /*written=*/training);
  require<ValueError>(momentum >= 0 && momentum <= 1, "{}: momentum is {}; give a number in [0, 1]",
                      op, momentum);
  const std::int64_t channels = x.sizes()[1], length = length_of(x);
  const std::int64_t count = x.sizes()[0] * length;
  require<ValueError>(!training || count > 1 || channels == 0,
                      "{}: x is {}, {} values per channel, which have no variance; give at least "
                      "two in training",
                      op, x.sizes(), count);
  const bool turned = x.dim() == 2;
  const Slices slices = {channels, turned ? 1 : x.sizes()[0], turned ? count : length, channels,
                         /*over_batch=*/true};
  const Tensor dense = arranged(x, slices);
  std::vector<double> vars(static_cast<std::size_t>(training ? channels : 0));
  const Tensor stats = training ? statistics_of(op, dense, slices, eps, &vars)
                                : running_statistics(running_mean, running_var, eps);
  Tensor y = normalize<BatchNorm>(x, dense, slices, stats, /*own=*/training, weight, bias, eps);
  if (!training || !tracked) return y;
  const double unbiased = static_cast<double>(count) / static_cast<double>(count - 1);
  move_running(running_mean, momentum,
               [&](std::int64_t c) { return elements<Statistics>(stats)[c].mean; });
  move_running(running_var, momentum,
               [&](std::int64_t c) { return vars[static_cast<std::size_t>(c)] * unbiased; });
  return y;
}

Tensor group_norm(const Tensor& x, std::int64_t num_groups, const Tensor& weight,
                  const Tensor& bias, double eps) {
  check(GroupNorm::op, x, 2, weight, bias, eps);
  require<ValueError>(
      num_groups > 0 && x.sizes()[1] % num_groups == 0,
      "group_norm: x is {}, num_groups {}; give a number that divides the {} channels", x.sizes(),
      num_groups, x.sizes()[1]);
  return normalize_groups<GroupNorm>(x, num_groups, weight, bias, eps);
}

Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check(InstanceNorm::op, x, 3, weight, bias, eps);
  require<ValueError>(x.numel() == 0 || length_of(x) > 1,
                      "instance_norm: x is {}, one value per channel, which has no variance; give "
                      "at least two",
                      x.sizes());
  return normalize_groups<InstanceNorm>(x, x.sizes()[1], weight, bias, eps);
}

}  // namespace retrace
