#include <retrace/optim/algorithm.h>

#include <cmath>
#include <unordered_map>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::optim {

// The handle ------------------------------------------------------------------------------------

Algorithm& Optimizer::algorithm() const {
  require<ValueError>(algorithm_ != nullptr,
                      "optimizer: used after it was moved from; use the one it was moved to");
  return *algorithm_;
}

void Optimizer::step() { algorithm().step(); }
void Optimizer::zero_grad() { algorithm().zero_grad(); }
std::size_t Optimizer::groups() const { return algorithm().groups(); }
const std::vector<Tensor>& Optimizer::parameters() const { return algorithm().parameters(); }
std::string_view Optimizer::name() const { return algorithm().name(); }
StateDict Optimizer::state_dict() const { return algorithm().state_dict(); }
void Optimizer::load_state_dict(const StateDict& state) { algorithm().load_state_dict(state); }

namespace {

void require_group(const Algorithm& algorithm, std::size_t group) {
  require<IndexError>(group < algorithm.groups(), "{}: there is no group {}, only {}; count from 0",
                      algorithm.name(), group, algorithm.groups());
}

}  // namespace

double Optimizer::lr(std::size_t group) const {
  require_group(algorithm(), group);
  return algorithm_->lr(group);
}

void Optimizer::set_lr(double lr, std::size_t group) {
  require_group(algorithm(), group);
  require_at_least_zero(name(), "lr", lr);
  algorithm_->set_lr(group, lr);
}

void Optimizer::set_lr(double lr) {
  require_at_least_zero(name(), "lr", lr);
  for (std::size_t group = 0; group < groups(); ++group) algorithm_->set_lr(group, lr);
}

// Groups ----------------------------------------------------------------------------------------

namespace {

void check_parameter(std::string_view name, std::size_t k, const Tensor& parameter) {
  require<ValueError>(parameter.defined(), "{}: parameter {} is undefined; give it a value first",
                      name, k);
  require<DTypeError>(parameter.is_floating_point(),
                      "{}: parameter {} is {} {}; only float32 and float64 can be optimized", name,
                      k, parameter.dtype(), parameter.sizes());
  require<AutogradError>(parameter.is_leaf(),
                         "{}: parameter {} of shape {} is computed from others, not a leaf; give "
                         "the tensors it was computed from, or detach() it",
                         name, k, parameter.sizes());
  require<ValueError>(!elements_overlap(parameter),
                      "{}: several elements of parameter {} of shape {} are one place in memory "
                      "(expand, unfold); give the tensor that it shows, or a clone()",
                      name, k, parameter.sizes());
}

}  // namespace

void Algorithm::add_parameters(const std::vector<Tensor>& parameters) {
  std::unordered_map<const TensorData*, std::size_t> group_of;
  for (std::size_t group = 0, index = 0; group < groups(); ++group) {
    for (; index < group_ends_[group]; ++index) group_of[&parameters_[index].get()] = group;
  }
  std::vector<Tensor> all = parameters_;
  for (const Tensor& parameter : parameters) {
    check_parameter(name(), all.size(), parameter);
    const auto [place, is_new] = group_of.emplace(&parameter.get(), groups());
    require<ValueError>(is_new || place->second == groups(),
                        "{}: a parameter of shape {} is in group {} and in group {}; put it into "
                        "one of them",
                        name(), parameter.sizes(), place->second, groups());
    if (!is_new) continue;
    check_shape(all.size(), parameter.sizes());
    all.push_back(parameter);
  }
  group_ends_.reserve(groups() + 1);
  kept_.resize(all.size());
  parameters_.swap(all);
  group_ends_.push_back(parameters_.size());
}

void require_parameters(const Algorithm& algorithm) {
  require<ValueError>(!algorithm.parameters().empty(),
                      "{}: there are no parameters; give those of a module, module.parameters()",
                      algorithm.name());
}

void Algorithm::zero_grad() {
  if (UpdateObserver* const observer = UpdateObserver::current()) [[unlikely]] {
    for (const Tensor& parameter : parameters_) observer->on_zero_grad(parameter);
  }
  for (const Tensor& parameter : parameters_) parameter.get().grad = nullptr;
}

// A step ----------------------------------------------------------------------------------------

// Checks one parameter and makes all memory that its update needs, so that updates cannot fail.
void Algorithm::prepare(std::size_t index, std::size_t group, const KeptTensors& tensors) {
  TensorData& p = parameters_[index].get();
  const TensorData& g = *p.grad;
  require<ShapeError>(g.sizes == p.sizes,
                      "{}: parameter {} has shape {}, its gradient {}; they must be equal", name(),
                      index, p.sizes, g.sizes);
  require<DTypeError>(g.dtype == p.dtype && is_floating(p.dtype),
                      "{}: parameter {} {} is {}, its gradient {}; they must be equal and floating",
                      name(), index, p.sizes, p.dtype, g.dtype);
  check_shape(index, p.sizes);
  if (p.dtype == kFloat32) check_float32(group);
  for (std::size_t k = 0; k < kMaxKept; ++k) {
    const auto& [kept_as, initial, is_number] = tensors[k];
    Tensor& kept = kept_[index].tensors[k];
    if (kept_as.empty()) continue;
    if (!kept.defined())
      kept = is_number ? full({}, initial, kFloat64) : full(p.sizes, initial, p.dtype);
    if (is_number) continue;
    require<ShapeError>(kept.sizes() == p.sizes,
                        "{}: parameter {} has shape {}, its {} {}; make the optimizer after "
                        "changing the module",
                        name(), index, p.sizes, kept_as, kept.sizes());
    require<DTypeError>(kept.dtype() == p.dtype,
                        "{}: parameter {} {} is {}, its {} {}; make the optimizer after converting "
                        "the module",
                        name(), index, p.sizes, p.dtype, kept_as, kept.dtype());
  }
  reserve(p);
  Job job{index, group, &p, {}, {}, p.data, g.data};
  if (!p.contiguous) {
    job.row_major = contiguous_copy(parameters_[index]);
    job.parameter_data = job.row_major.get().data;
  }
  // Updates read gradients while they write parameters: the two must not share memory.
  if (!g.contiguous || g.storage == p.storage) {
    job.gradient = contiguous_copy(Tensor(p.grad));
    job.gradient_data = job.gradient.get().data;
  }
  jobs_.push_back(std::move(job));
}

void Algorithm::step() {
  jobs_.clear();
  for (std::size_t group = 0, index = 0; group < groups(); ++group) {
    const KeptTensors tensors = kept_tensors(group);
    for (; index < group_ends_[group]; ++index) {
      if (parameters_[index].get().grad) prepare(index, group, tensors);
    }
  }
  UpdateObserver* const observer = UpdateObserver::current();
  std::vector<Watched> watched;
  if (observer != nullptr) {
    for (const Job& job : jobs_) watched.push_back(watch(job));
  }
  for (const Job& job : jobs_) finish(job);
  ++optimizer_steps;
  for (const Watched& of : watched) {
    observer->on_update({name(), lr(of.group), kept_[of.index].step, parameters_[of.index],
                         of.gradient, of.before, of.kept});
  }
  jobs_.clear();
}

void Algorithm::finish(const Job& job) {
  update(job, kept_[job.index]);
  if (job.row_major.defined()) copy_elements(parameters_[job.index], job.row_major);
  job.parameter->storage->changed();
}

// What is told of an update, before it is made.
Algorithm::Watched Algorithm::watch(const Job& job) const {
  const Tensor& parameter = parameters_[job.index];
  Watched watched{
      job.index, job.group, contiguous_copy(parameter), contiguous_copy(parameter.grad()), {}};
  const KeptTensors names = kept_tensors(job.group);
  for (std::size_t k = 0; k < kMaxKept; ++k) {
    const Tensor& tensor = kept_[job.index].tensors[k];
    if (tensor.defined()) watched.kept.push_back({names[k].name, contiguous_copy(tensor), tensor});
  }
  return watched;
}

// State -----------------------------------------------------------------------------------------

namespace {

std::string size_name(std::size_t group) { return fmt::format("groups.{}.size", group); }
std::string kept_name(std::size_t index, std::string_view name) {
  return fmt::format("{}.{}", index, name);
}

}  // namespace

void Algorithm::save(StateDict& state) const {
  for (std::size_t group = 0; group < groups(); ++group) {
    const std::size_t begin = group_begin(group), end = group_ends_[group];
    state.insert(size_name(group), to_tensor(static_cast<std::int64_t>(end - begin)));
    const KeptTensors tensors = kept_tensors(group);
    for (std::size_t index = begin; index < end; ++index) {
      if (kept_[index].step == 0) continue;
      state.insert(kept_name(index, "step"), to_tensor(kept_[index].step));
      for (std::size_t k = 0; k < kMaxKept; ++k) {
        if (!tensors[k].name.empty())
          state.insert(kept_name(index, tensors[k].name), contiguous_copy(kept_[index].tensors[k]));
      }
    }
  }
}

void Algorithm::check_groups(StateReader& reader) const {
  std::size_t saved = 0;
  while (reader.has(size_name(saved))) ++saved;
  require<ValueError>(
      saved == groups(),
      "{}: the state has {} parameter groups, the optimizer {}; make it with the groups it was "
      "saved with",
      name(), saved, groups());
  for (std::size_t group = 0; group < groups(); ++group) {
    const auto mine = static_cast<std::int64_t>(group_ends_[group] - group_begin(group));
    std::int64_t size = mine;
    reader.read(size_name(group), size);
    require<ValueError>(size == mine,
                        "{}: group {} of the state has {} parameters, that of the optimizer {}; "
                        "make it with the parameters it was saved with",
                        name(), group, size, mine);
  }
}

std::vector<Algorithm::Kept> Algorithm::read_kept(StateReader& reader,
                                                  std::span<const KeptTensors> of_groups) const {
  std::vector<Kept> all(parameters_.size());
  for (std::size_t group = 0; group < groups(); ++group) {
    for (std::size_t index = group_begin(group); index < group_ends_[group]; ++index) {
      // Without a step the parameter never had a gradient, and what follows is unexpected.
      if (!reader.has(kept_name(index, "step"))) continue;
      Kept& kept = all[index];
      kept.step = 1;
      reader.read(kept_name(index, "step"), kept.step);
      if (kept.step < 1)
        reader.add_problem(fmt::format("{}.step is {}, expected 1 or more", index, kept.step));
      const Tensor& parameter = parameters_[index];
      for (std::size_t k = 0; k < kMaxKept; ++k) {
        const auto& [kept_as, initial, is_number] = of_groups[group][k];
        if (kept_as.empty()) continue;
        kept.tensors[k] =
            reader.read_tensor(kept_name(index, kept_as), is_number ? Shape() : parameter.sizes(),
                               is_number ? kFloat64 : parameter.dtype());
      }
    }
  }
  return all;
}

// Options ---------------------------------------------------------------------------------------

void require_finite(std::string_view name, std::string_view option, double value) {
  require<ValueError>(std::isfinite(value), "{}: {} is {}; give a finite number", name, option,
                      value);
}

void require_at_least_zero(std::string_view name, std::string_view option, double value) {
  require<ValueError>(std::isfinite(value) && value >= 0,
                      "{}: {} is {}; give a finite number of at least 0", name, option, value);
}

void require_positive(std::string_view name, std::string_view option, double value) {
  require<ValueError>(std::isfinite(value) && value > 0,
                      "{}: {} is {}; give a finite number above 0", name, option, value);
}

void require_float32(std::string_view name, std::string_view option, double value) {
  const auto rounded = static_cast<float>(value);
  require<ValueError>(std::isfinite(rounded) && (rounded > 0 || option != "eps"),
                      "{}: {} is {}, which is {} as float32; give a number within float32's range, "
                      "or float64 tensors",
                      name, option, value, rounded);
}

void require_decay_rate(std::string_view name, std::string_view option, double value) {
  require<ValueError>(value >= 0 && value < 1, "{}: {} is {}; give a number in [0, 1)", name,
                      option, value);
}

void require_betas(std::string_view name, const std::array<double, 2>& betas) {
  require_decay_rate(name, "betas[0]", betas[0]);
  require_decay_rate(name, "betas[1]", betas[1]);
}

}  // namespace retrace::optim
